"""What a readiness run came to, in Dagster: the asset `readiness`, the run's tags, and rows S.1 to S.3 where nobody judged them.

`readiness` is no step of the run. It is stated when the run is over and its evidence is sealed, so that a run whose steps failed
is shown, too. Anybody who reaches Dagster can report an event of it: nothing depends on what is written here.
"""

import logging
from collections.abc import Iterable

import dagster as dg
from dagster._core.events import DagsterEvent, StepMaterializationData

from phase5_ops.checklist import ROW_OF_CHECK, ROWS, SECTIONS
from phase5_ops.context import RunContext
from phase5_ops.evidence.run_tags import (
    DECISION_TAG,
    DIGEST_TAG,
    READINESS_ASSET,
    RELEASE_TAG,
    SIGN_OFF_ASSET,
    VERDICTS_TAG,
)
from phase5_ops.gate.inputs.dagster_records import run_log
from phase5_ops.gate.records import Release
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.shown import in_markdown
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.findings import Catalogue
from phase5_ops.run_result.document import Project, RunResult, leave_result
from phase5_ops.run_result.page import metadata_of
from phase5_ops.verdict import Verdict

log = logging.getLogger(__name__)

#: Stands for the decision where the run was ended from outside.
INTERRUPTED = "INTERRUPTED"

_RESULT = "run result"


def readiness_asset(evidence: Iterable[str], names: DagsterNames) -> dg.AssetSpec:
    """The asset `readiness`, which follows from these assets."""
    return dg.AssetSpec(
        names.key(READINESS_ASSET),
        deps=[names.key(each) for each in sorted(evidence)],
        description="What the latest readiness run came to: the checklist, the decision, what keeps it closed and what to do,"
        " what changed since the run before. Stated at the end of every readiness run, also of one whose steps failed; not of one"
        " that was interrupted. A run of some rows alone shows those rows and decides nothing.",
        group_name=names.group(SECTIONS["S"].group),
        kinds={"report"},
    )


def result_of(run: RunContext) -> ReadinessDocument | None:
    """The document that a run left; None where it left none."""
    result: RunResult | None = run.shared.get(_RESULT)
    return None if result is None else result.document


def state_result(
    run: RunContext, instance: dg.DagsterInstance, dagster_run: dg.DagsterRun, project: Project, catalogue: Catalogue
) -> None:
    """Leaves the result of a readiness run whose evidence is sealed; of one that was interrupted, only a tag.

    Args:
        run: that is over.
        instance: where Dagster records it.
        dagster_run: as Dagster has it.
        project: what is judged, and how the report is made.
        catalogue: what to do about each finding.

    Raises:
        OSError: the evidence was not sealed, or the document cannot be kept.
    """
    found = run_log(instance, run.run_id)
    if found.interrupted:
        instance.add_run_tags(run.run_id, {DECISION_TAG: INTERRUPTED})
        return
    name, digest = dagster_run.tags.get(RELEASE_TAG), dagster_run.tags.get(DIGEST_TAG)
    release = Release(name, digest or "", run.settings.environment) if name else None
    result = leave_result(run, found, project, run.store.sealed_digest(run.run_id), release)
    run.shared[_RESULT] = result
    document = result.document
    instance.add_run_tags(run.run_id, {DECISION_TAG: document.decision, VERDICTS_TAG: verdicts_in_words(document)})
    names = DagsterNames.of(run.settings)
    materialized = dg.AssetMaterialization(
        names.key(READINESS_ASSET),
        description=f"{document.decision}, exit code {document.exit_code}",
        metadata=metadata_of(result, run, catalogue, release),
    )
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name=dagster_run.job_name,
        event_specific_data=StepMaterializationData(materialized),
        message=f"Materialized {READINESS_ASSET}: {document.decision}, exit code {document.exit_code}.",
    )
    instance.report_dagster_event(event, run.run_id, logging.INFO)
    shown = _signatures_shown(instance, names)
    if document.covers is None and (shown is None or (name is not None and name != shown)):
        _state_sign_offs(instance, names, document)


def verdicts_in_words(document: ReadinessDocument) -> str:
    """The rows and extra checks by verdict, the worst first: `FAIL 1.2 3.1; PASS 13`. No run judges sign-offs."""
    signed = {row.id for row in ROWS if row.is_sign_off}
    entries = [entry for entry in (*document.rows, *document.extra_checks) if entry.id not in signed]
    said = []
    for verdict in sorted(Verdict, key=lambda each: each.severity, reverse=True):
        ids = [entry.id for entry in entries if entry.verdict is verdict]
        if ids:
            said.append(f"{verdict} {len(ids) if verdict is Verdict.PASS else ' '.join(ids)}")
    return "; ".join(said)


def _signatures_shown(instance: dg.DagsterInstance, names: DagsterNames) -> str | None:
    """The release whose signatures rows S.1 to S.3 show in Dagster; None where they show those of none."""
    event = instance.get_latest_materialization_event(names.key(SIGN_OFF_ASSET))
    materialization = event.asset_materialization if event is not None else None
    shown = materialization.metadata.get("release") if materialization is not None else None
    return None if shown is None or shown.value in (None, "none") else str(shown.value)


def _state_sign_offs(instance: dg.DagsterInstance, names: DagsterNames, document: ReadinessDocument) -> None:
    """Shows rows S.1 to S.3 as the document has them. The events have no run, so that they are in no run's results."""
    for entry in document.rows:
        row = ROW_OF_CHECK[entry.check]
        if row.is_sign_off:
            found = dg.AssetCheckEvaluation(
                asset_key=names.key(row.asset),
                check_name=row.check,
                passed=False,
                severity=dg.AssetCheckSeverity.ERROR,
                description=f"{entry.verdict}: {in_markdown(entry.summary)}",
                metadata={
                    "verdict": str(entry.verdict),
                    "row": row.id,
                    "said by run": dg.MetadataValue.dagster_run(document.run_id),
                },
            )
            instance.report_runless_asset_event(found)
