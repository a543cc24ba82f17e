"""The audit of ledger exports as an asset, which a Spark job makes; there only where `engine.ledger_exports` names exports."""

import json

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from phase5_ops.aws.reader import describe_failure
from phase5_ops.checklist import SECTIONS
from phase5_ops.context import RunContext
from phase5_ops.engines.emr import SparkJobFailed, run_job
from phase5_ops.engines.partials import PartialUnusable
from phase5_ops.engines.places import place_of
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.tags import asset_tags
from phase5_ops.sections.replay.audit.spark.orders import document_in, order_of

EXPORTS_ASSET, EXPORTS_JOB = "ledger_export_audit", "ledger_export_job"
_SHOWN = 20


def ledger_export_audit(names: DagsterNames) -> dg.AssetsDefinition:
    """The asset of audited exports."""

    @dg.asset(
        key=names.key(EXPORTS_ASSET),
        group_name=names.group(SECTIONS["3"].group),
        description="What phase5 audit-ledger says of the ledger exports that engine.ledger_exports names, by a Spark job.",
        owners=["team:eng-reliability"],
        kinds={"spark", "s3"},
        tags=asset_tags(EXPORTS_ASSET, "3"),
        required_resource_keys={"run"},
    )
    def audited(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Has the exports audited, and shows the verdict and the first findings.

        Raises:
            dagster.Failure: there is no result of these exports.
        """
        run: RunContext = context.resources.run
        order, place = order_of(run.settings, context.run.run_id), place_of(run.settings.partials_location, run.reader)
        try:
            report = run_job(context, run.settings, run.reader, f"{EXPORTS_ASSET} {context.run.run_id}", order)
            document = json.loads(document_in(place.read(str(report["result"])), order))
            shown = {
                "verdict": document["verdict"],
                "facts": dg.MetadataValue.json(document["facts"]),
                "findings": len(document["findings"]),
                "first findings": dg.MetadataValue.json(document["findings"][:_SHOWN]),
                "result": place.shown(str(report["result"])),
            }
        except (SparkJobFailed, PartialUnusable) as error:
            raise dg.Failure(f"the ledger exports were not audited: {error}") from error
        except Exception as error:
            raise dg.Failure(f"the result of the audit cannot be read: {describe_failure(error)[1]}") from error
        return dg.MaterializeResult(metadata=shown)

    return audited


def exports_job(asset: dg.AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """The job that audits exports."""
    return dg.define_asset_job(EXPORTS_JOB, selection=[asset], description="Audits ledger exports by a Spark job.")
