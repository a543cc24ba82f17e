"""Assembles the code location: `build_defs()` from the sections' declarations. What a section is made of is said in the section.

Resources can be swapped for tests and the sandbox through the arguments; nothing here reads AWS or decides anything.
"""

import gc
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import dagster as dg

from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.context import RunContext, open_run
from phase5_ops.evidence.preview import Preview
from phase5_ops.evidence.run_tags import PROMOTION_JOB, READINESS_JOB
from phase5_ops.evidence.table import Tables
from phase5_ops.gate.approval.disclosures import not_tried
from phase5_ops.gate.approval.judge import SIGN_OFFS
from phase5_ops.gate.defs import deployed_assets as deployed
from phase5_ops.gate.defs import drill_assets as gate_drill
from phase5_ops.gate.defs.notification_watch import notification_watch, settings_of_tick
from phase5_ops.gate.defs.promotion_asset import promotion
from phase5_ops.gate.defs.promotion_job import promotion_job
from phase5_ops.gate.defs.sensor import SensorWords, promotion_gate, release_candidate
from phase5_ops.gate.defs.sign_off_assets import JUDGING as SIGN_OFF_JUDGING
from phase5_ops.gate.defs.sign_off_assets import sign_off_checks, sign_off_job, sign_offs
from phase5_ops.gate.defs.sign_off_watch import sign_off_watch
from phase5_ops.gate.inputs.dagster_records import KeptResults
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.gate.runs.run_end import end_run
from phase5_ops.gate.session import new_session
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.wiring import (
    Evidence,
    EvidenceIOManager,
    Judging,
    Source,
    evidence_asset,
    marked_shared,
    row_checks,
    source_asset,
)
from phase5_ops.report.candidate import describe
from phase5_ops.report.changes import Changes
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html.render import render_report
from phase5_ops.run_result.assets import readiness_asset, state_result
from phase5_ops.run_result.document import Project
from phase5_ops.sections.breakers import assets as breakers
from phase5_ops.sections.costs.bill import assets as cost_assets
from phase5_ops.sections.costs.budgets import assets as budget_assets
from phase5_ops.sections.costs.changes import assets as change_assets
from phase5_ops.sections.executions import assets as executions
from phase5_ops.sections.isolation.exports import assets as export_assets
from phase5_ops.sections.isolation.harness import assets as harness_assets
from phase5_ops.sections.isolation.logs import assets as log_assets
from phase5_ops.sections.isolation.logs.engines.assets import hour_schedule, hours_job, tenant_log_scan_hours
from phase5_ops.sections.isolation.logs.engines.hours import HOURS_ASSET
from phase5_ops.sections.isolation.roles import assets as iam_assets
from phase5_ops.sections.replay.audit import assets as replay_audit
from phase5_ops.sections.replay.audit.spark.assets import exports_job, ledger_export_audit
from phase5_ops.sections.replay.probes import assets as replay_probes
from phase5_ops.sections.slo import assets as slo
from phase5_ops.sections.slo.alarm_replay import assets as alarm_replay
from phase5_ops.settings import Settings, load_settings

log = logging.getLogger(__name__)

#: What declares assets and checks, in the order of the checklist.
_PARTS = (
    slo,
    alarm_replay,
    breakers,
    replay_probes,
    replay_audit,
    harness_assets,
    export_assets,
    iam_assets,
    log_assets,
    gate_drill,
    deployed,
    budget_assets,
    change_assets,
    cost_assets,
    executions,
)

SOURCES: tuple[Source, ...] = tuple({source.key: source for part in _PARTS for source in part.SOURCES}.values())
EVIDENCE: tuple[Evidence, ...] = tuple(marked_shared([evidence for part in _PARTS for evidence in part.EVIDENCE]))
JUDGING: tuple[Judging, ...] = tuple(chain.from_iterable(part.JUDGING for part in _PARTS))

#: How each table is shown to people, by asset.
PREVIEWS: Mapping[str, Preview] = {each.name: each.preview for each in EVIDENCE if each.preview is not None}

CATALOGUE = Catalogue.of(chain.from_iterable(judging.codes for judging in (*JUDGING, SIGN_OFF_JUDGING)))

#: Check -> fact -> what it says was not tried, in words.
NOT_TRIED_FACTS = {check: facts for judging in JUDGING for check, facts in judging.not_tried_facts.items()}

#: How the sensor words what it finds.
WORDS = SensorWords(partial(not_tried, codes=CATALOGUE.not_tried, facts=NOT_TRIED_FACTS), describe)


def implemented_checks() -> frozenset[str]:
    """The checks that a readiness run judges."""
    return frozenset(chain.from_iterable(judging.judges for judging in JUDGING))


def report_of(document: ReadinessDocument, tables: Tables, unread: Mapping[str, str], changes: Changes | None) -> str:
    """The report of a readiness run as one HTML page; see `render_report`."""
    return render_report(document, tables=tables, previews=PREVIEWS, changes=changes, catalogue=CATALOGUE, unread=unread)


#: What a readiness run's result is made of.
PROJECT = Project(implemented_checks(), {each.name: each.table for each in EVIDENCE}, report_of)


def judged_checks() -> frozenset[str]:
    """The checks that have a judge: those of the readiness run, and the sign-offs, which are judged on their own."""
    return implemented_checks() | frozenset(SIGN_OFF_JUDGING.judges)


def evidence_for(rows: set[str]) -> set[str]:
    """The assets that the given rows (ids or extra check names) need, upstream ones included."""
    needed = set()
    for judging in JUDGING:
        if rows & {ROW_OF_CHECK[check].id for check in judging.judges}:
            needed |= {judging.asset, *judging.also}
    upstream = {evidence.name: evidence.needs for evidence in EVIDENCE}
    todo = list(needed)
    while todo:
        new = set(upstream[todo.pop()]) - needed
        needed |= new
        todo += new
    return needed


def last_evidence() -> set[str]:
    """The assets that a run comes to its result by: those that are judged, and those that no other evidence needs."""
    needed = set(chain.from_iterable(evidence.needs for evidence in EVIDENCE))
    return {judging.asset for judging in JUDGING} | {evidence.name for evidence in EVIDENCE} - needed


def judgings_of(gathered: Collection[str] | None) -> list[Judging]:
    """Those whose judges find all that they read among these assets (None: all)."""
    return [each for each in JUDGING if gathered is None or {each.asset, *each.also} <= set(gathered)]


def build_defs(
    *, settings: Settings | None = None, run: RunContext | None = None, gathered: Collection[str] | None = None
) -> dg.Definitions:
    """The definitions of the location, by default with the settings of this process's environment and a context for each run.

    Args:
        settings: of everything.
        run: the run that these definitions are for.
        gathered: the assets of the run, where these are not all: checks that read more than them are left out, since Dagster runs
            every check of an asset that it materializes.

    Raises:
        ConfigurationError: the settings are invalid.
    """
    chosen = settings or load_settings()
    kept = KeptResults()  # for all ticks of the sensor in this process
    names = DagsterNames.of(chosen)
    by_hours = chosen.engine.log_scan == "dagster"
    assets = [evidence_asset(evidence, names) for evidence in (_on_hours(EVIDENCE) if by_hours else EVIDENCE)]
    checks = [row_checks(judging, names) for judging in judgings_of(gathered)]
    hours = [tenant_log_scan_hours(names)] if by_hours else []
    hours_jobs = [hours_job(asset) for asset in hours]
    exports = [ledger_export_audit(names)] if chosen.engine.ledger_exports else []
    sign_off = sign_off_job(names)
    job = dg.define_asset_job(
        READINESS_JOB,
        selection=dg.AssetSelection.assets(*(names.key(evidence.name) for evidence in EVIDENCE)),
        description="Gathers all evidence once and judges every row of the checklist.",
        executor_def=dg.in_process_executor,
        config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
    )
    schedule = dg.ScheduleDefinition(
        name="daily_readiness",
        job=job,
        cron_schedule=f"{chosen.schedule.minute} {chosen.schedule.hour} * * *",
        execution_timezone=chosen.schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The daily readiness run.",
    )
    return dg.Definitions(
        assets=[
            *(source_asset(source, names) for source in SOURCES),
            *assets,
            *hours,
            *exports,
            readiness_asset(last_evidence(), names),
            release_candidate(names, chosen.environment),
            sign_offs(names),
            promotion(names),
        ],
        asset_checks=[*checks, sign_off_checks(names)],
        jobs=[job, sign_off, promotion_job, *hours_jobs, *(exports_job(asset) for asset in exports)],
        schedules=[schedule, *chain.from_iterable(hour_schedule(chosen, each) for each in hours_jobs)],
        sensors=[
            sign_off_watch(lambda: new_session(chosen, "sensor-tick"), sign_off),
            notification_watch(lambda: new_session(settings_of_tick(chosen), "sensor-tick")),
            promotion_gate(
                lambda instance: DecidingSession(open_run(chosen, "sensor-tick"), instance=instance, kept=kept),
                {READINESS_JOB: job, PROMOTION_JOB: promotion_job},
                chosen.flow.tick_seconds,
                WORDS,
            ),
        ],
        resources={
            "run": run_resource(chosen, run),
            "evidence_io": evidence_io_manager,
        },
        executor=dg.in_process_executor,
    )


def _on_hours(declared: Iterable[Evidence]) -> Iterator[Evidence]:
    """The same evidence, with the log scan after the hours that it merges."""
    for evidence in declared:
        merges = evidence.name == "tenant_log_scan"
        yield replace(evidence, sources=(*evidence.sources, HOURS_ASSET)) if merges else evidence


def run_resource(settings: Settings, given: RunContext | None = None) -> dg.ResourceDefinition:
    """The resource `run`: what all steps of a run work with (default: opened for each run). Closing it ends a readiness run."""

    @dg.resource(description="Settings, AWS reader, history and evidence store of one run.")
    def run(context: dg.InitResourceContext) -> Iterator[RunContext]:
        with _only_new_garbage():
            opened = given or open_run(settings, context.run.run_id if context.run is not None else "no-run", look_back)
            try:
                yield opened
            finally:
                _give_back(opened)
            if context.run is not None and context.run.job_name == READINESS_JOB and context.instance is not None:
                # the run is over: without a record no candidate can rely on it
                with _logged("the end of run %s could not be recorded", opened):
                    end_run(opened, context.instance, context.run)
                # after the evidence was sealed; nothing depends on it
                with _logged("the result of run %s could not be kept", opened):
                    state_result(opened, context.instance, context.run, PROJECT, CATALOGUE)

    return run


@contextmanager
def _only_new_garbage() -> Iterator[None]:
    """Python collects no garbage of before: to walk through all that was imported, several times a run, took a tenth of it.

    Where somebody has seen to that already, nothing changes.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _logged(what: str, run: RunContext) -> Iterator[None]:
    """Logs a failure after which the run ends all the same."""
    try:
        yield
    except OSError as error:  # the folder cannot be written: a traceback would help nobody
        log.warning(f"{what}: %s", run.run_id, error)
    except Exception:
        log.exception(what, run.run_id)


def _give_back(run: RunContext) -> None:
    """Gives back what an interrupted or failed run still holds."""
    for name, give_back in run.at_end.items():
        try:
            give_back()
        except Exception:  # the run is over; what is still held expires by itself
            log.exception("what %s still holds on the platform could not be released; it expires by itself", name)
    run.at_end.clear()


@dg.io_manager(required_resource_keys={"run"}, description="Evidence tables as Parquet, one folder a run.")
def evidence_io_manager(_context: Any) -> EvidenceIOManager:  # noqa: ANN401 - dagster's init context
    """The IO manager of evidence tables."""
    return EvidenceIOManager({**{each.name: each.table for each in EVIDENCE}, SIGN_OFF_JUDGING.asset: SIGN_OFFS})
