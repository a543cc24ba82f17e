"""One readiness run in this process: runs the job on the state folder's Dagster instance and composes the document."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import nullcontext
from uuid import uuid4

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy.exc import SQLAlchemyError

from phase5_ops.aws.pricing import cost_usd
from phase5_ops.aws.tables import describe_table_once
from phase5_ops.build import build_defs, evidence_for, implemented_checks
from phase5_ops.checklist import ALL_CHECKS, ROW_OF_CHECK
from phase5_ops.clock import iso
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder, raise_if_unusable
from phase5_ops.context import RunContext, open_run
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.gate.runs.run_end import notices
from phase5_ops.reads import ReadStatus
from phase5_ops.report.document import (
    WHOLE_RUN,
    Judged,
    ReadinessDocument,
    Reading,
    ReportCode,
    missing_entry,
    readiness_document,
)
from phase5_ops.settings import ConfigurationError, Settings, in_sandbox

LINKS_LEAD_NOWHERE = "this is the sandbox: links to the AWS console lead nowhere"
#: Run configuration of a run in this process: Dagster's own log lines are not for who typed the command.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class NotAsked(Exception):
    """AWS did not identify the caller; the message names the call and the remedy."""


def run_readiness(
    settings: Settings, rows: Sequence[str] | None = None, *, instance: dg.DagsterInstance | None = None
) -> ReadinessDocument:
    """Makes one readiness run and stores its evidence, verdicts and document under the state folder.

    Args:
        settings: validated settings.
        rows: ids of the rows (or names of the extra checks) to gather and judge; None for all.
        instance: where Dagster records the run; default: the state folder's instance.

    Raises:
        ConfigurationError: the state folder cannot be used, AWS does not know these credentials, or their account and region have
            no table of the platform.
        NotAsked: AWS did not identify the caller; nothing was read.
        FolderUnusable: the state folder became unwritable during the run; nothing was decided.
        KeyboardInterrupt: the run was interrupted; nothing was decided.
    """
    settings = settings.model_copy(update={"state_dir": prepare_state_folder(settings.state_dir)})
    run = open_run(settings, str(uuid4()), look_back)
    _make_sure_who_asks(run)
    _make_sure_of_the_platform(run)
    try:
        return _run(settings, run, rows, instance)
    except (OSError, dg.DagsterError, SQLAlchemyError, sqlite3.Error):
        raise_if_unusable(settings.state_dir)
        raise


def _make_sure_who_asks(run: RunContext) -> None:
    read = run.who_am_i
    if read.status is ReadStatus.OK:
        return
    said = f"AWS did not identify the caller ({read.operation}: {read.status}: {read.error}), so nothing was read"
    if read.status is ReadStatus.DENIED:
        raise ConfigurationError(f"{said}: set valid credentials, e.g. with AWS_PROFILE, or log in again")
    raise NotAsked(f"{said}: check the network, AWS_REGION ({run.reader.region}) and AWS_ENDPOINT_URL, and run the command again")


def _make_sure_of_the_platform(run: RunContext) -> None:
    """Makes sure that some table exists: in a wrong region or account every row would be an error of its own."""
    tables = run.settings.tables
    names = (tables.ledger, tables.resilience, tables.readiness)
    if all(describe_table_once(run.reader, name).read.status is ReadStatus.NOT_FOUND for name in names):
        raise ConfigurationError(
            f"none of the tables {', '.join(names)} is in account {run.account}, region {run.reader.region}: set AWS_REGION and"
            " the credentials to those of the platform, or the names with PHASE5_TABLES__*"
        )


def _run(
    settings: Settings, run: RunContext, rows: Sequence[str] | None, instance: dg.DagsterInstance | None
) -> ReadinessDocument:
    evaluated_at = iso(run.now())
    assets = evidence_for(set(rows)) if rows is not None else None
    started = time.perf_counter()
    entries = _execute(run, assets, evaluated_at, instance) if assets is None or assets else {}
    if any(finding.code == ReportCode.CHECK_NOT_EVALUATED.code for entry in entries.values() for finding in entry.findings):
        raise_if_unusable(settings.state_dir)
    run.timings[WHOLE_RUN] = time.perf_counter() - started
    document = readiness_document(
        environment=settings.environment,
        run_id=run.run_id,
        evaluated_at=evaluated_at,
        evidence_digest=run.store.seal(run.run_id),
        policy_digest=run.policy_digest,
        entries=entries,
        gate=settings.gate,
        reading=_reading(run),
        chosen=rows,
        notices=[*notices(run), *([LINKS_LEAD_NOWHERE] if in_sandbox(settings) else [])],
        judged=Judged(account=run.account, region=run.reader.region, identity=run.identity),
    )
    run.store.write_result(run.run_id, document.to_json())
    return document


def _execute(
    run: RunContext, assets: set[str] | None, evaluated_at: str, instance: dg.DagsterInstance | None
) -> dict[str, RowEntry]:
    """Runs the job; the result of every implemented check, or why there is none."""
    job = build_defs(settings=run.settings, run=run).resolve_job_def(READINESS_JOB)
    with nullcontext(instance) if instance else open_dagster(run.settings.state_dir) as chosen:
        result = job.execute_in_process(
            instance=chosen,
            run_id=run.run_id,
            run_config=QUIET,
            asset_selection=[dg.AssetKey(name) for name in sorted(assets)] if assets is not None else None,
            raise_on_error=False,
        )
    if any(map(_interrupted, result.all_events)):
        raise KeyboardInterrupt
    evaluations = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    failures = [
        f"step {event.step_key} failed: {_cause(event.step_failure_data.error)}"
        for event in result.all_events
        if event.is_step_failure
    ]
    reason = "; ".join(failures)[:2000] or "the run ended without evaluating this check"
    entries = {}
    for row in ALL_CHECKS:
        if row.check in evaluations:
            entries[row.check] = RowEntry.model_validate(evaluations[row.check].metadata["result"].value)
        elif row.check in implemented_checks():
            entries[row.check] = missing_entry(ROW_OF_CHECK[row.check], ReportCode.CHECK_NOT_EVALUATED, reason, evaluated_at)
    return entries


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether an event says that Ctrl-C or SIGTERM ended the run; Dagster records such a run as failed."""
    if event.is_step_failure:
        error = event.step_failure_data.error
        return error is not None and error.cls_name == DagsterExecutionInterruptedError.__name__
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        return "Execution was interrupted" in (event.message or "")
    return event.event_type is dg.DagsterEventType.RUN_CANCELED


def _cause(error: SerializableErrorInfo | None) -> str:
    """The message of the original error, without Dagster's wrapping."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "no details"


def _reading(run: RunContext) -> Reading:
    meter = run.reader.meter
    return Reading(
        calls=dict(sorted(meter.calls.items())),
        cost_usd=round(cost_usd(meter), 6),
        seconds={name: round(seconds, 3) for name, seconds in run.timings.items()},
    )
