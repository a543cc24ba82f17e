"""The hours of row 4.2's scan as Dagster sees them: an hourly partitioned asset, its job and its schedule.

They are there only where the setting `engine.log_scan` is `dagster`. A run scans an hour, wherever the run launcher of the
instance puts it. A backfill makes a run for each hour (BackfillPolicy.multi_run, Dagster's default), so that each has a deadline
of its own for its reading (reading.deadline_seconds).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from phase5_ops.aws.tables import scan_items_once
from phase5_ops.ccnative.tenants import parse_kill_switches
from phase5_ops.checklist import SECTIONS
from phase5_ops.context import RunContext
from phase5_ops.engines.places import place_of
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.tags import asset_tags
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions, shared_key
from phase5_ops.sections.isolation.logs.engines.hours import HOURS_ASSET, hour_of, scan_hour, settled
from phase5_ops.sections.isolation.logs.evidence import dictionary_of
from phase5_ops.settings import Settings

HOURS_JOB = "log_scan_hours_job"
_FIRST_HOUR = "2025-01-01-00:00"
_MOST_NAMED = 3


def tenant_log_scan_hours(names: DagsterNames) -> dg.AssetsDefinition:
    """The asset of scanned hours."""

    @dg.asset(
        key=names.key(HOURS_ASSET),
        partitions_def=dg.HourlyPartitionsDefinition(start_date=_FIRST_HOUR),
        deps=[names.key("cloudwatch/logs"), names.key("dynamodb/tenants")],
        group_name=names.group(SECTIONS["4"].group),
        description="What one hour of the platform's log groups holds, scanned and kept, to be merged by tenant_log_scan.",
        owners=["team:security-compliance"],
        kinds={"cloudwatch"},
        tags=asset_tags(HOURS_ASSET, "4"),
        required_resource_keys={"run"},
    )
    def scanned(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Scans the hours of this run's partitions.

        Raises:
            dagster.Failure: an hour has not settled yet, the tenant ids are not known, or an hour was not read whole; what was
                found of it is kept all the same, and whoever merges it reports what is missing.
        """
        run: RunContext = context.resources.run
        settings = run.settings
        place = place_of(settings.partials_location, run.reader)
        items, read = scan_items_once(run.reader, settings.tables.tenants)
        known = parse_kill_switches(items, settings.tables.tenants)
        if read.status is not ReadStatus.OK or known.malformed:
            raise dg.Failure(f"the tenant ids are not known: {read}; {len(known.malformed)} items that cannot be read")
        tenants = dictionary_of((tenant.tenant for tenant in known.tenants), settings.logs).tenants
        conditions = Conditions(tenants, settings.logs, shared_key(place))
        problems, size = list[str](), 0
        for key in context.partition_keys:
            hour = hour_of(key)
            if not settled(hour, run.now(), settings.engine.settle_minutes):
                raise dg.Failure(f"hour {key} has not settled: lines may still come (engine.settle_minutes)")
            made = scan_hour(run, hour, conditions, place)
            size += len(made.content)
            problems += [f"hour {key}: {each}" for each in made.reads if each.status is not ReadStatus.OK]
        if problems:
            raise dg.Failure(f"not read whole: {'; '.join(problems[:_MOST_NAMED])}", metadata={"problems": len(problems)})
        return dg.MaterializeResult(metadata={"hours": len(context.partition_keys), "bytes kept": size, "place": place.shown("")})

    return scanned


def hours_job(asset: dg.AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """The job that scans an hour."""
    return dg.define_asset_job(
        HOURS_JOB, selection=[asset], description="Scans an hour of the log groups and keeps what was found."
    )


def hour_schedule(settings: Settings, job: UnresolvedAssetJobDefinition) -> Sequence[Any]:
    """The schedule by which each hour is scanned once it has settled."""
    return [
        dg.build_schedule_from_partitioned_job(
            job,
            name="hourly_log_scan",
            minute_of_hour=settings.engine.settle_minutes,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Scans each hour of the log groups when it has settled.",
        )
    ]
