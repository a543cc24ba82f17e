"""One readiness run in this process: runs the job on the state folder's Dagster instance and gives what it left."""

import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext
from uuid import uuid4

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from phase5_ops.aws.tables import describe_table_once
from phase5_ops.build import EVIDENCE, PROJECT, build_defs, evidence_for, judgings_of
from phase5_ops.commands.held_back import logged_afterwards
from phase5_ops.commands.in_process import run_in_process
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder, raise_if_unusable
from phase5_ops.context import RunContext, open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.inputs.dagster_records import RunLog, is_interruption, run_log
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.steps import announce_steps
from phase5_ops.reads import ReadStatus
from phase5_ops.report.document import ReadinessDocument, ReportCode
from phase5_ops.run_result.assets import result_of
from phase5_ops.run_result.document import NOTHING_RAN, leave_result
from phase5_ops.settings import ConfigurationError, Settings


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
    run = open_run(settings, str(uuid4()), look_back, rows=rows)
    _make_sure_who_asks(run)
    _make_sure_of_the_platform(run)
    with logged_afterwards():
        try:
            return _run(settings, run, rows, instance)
        except (OSError, dg.DagsterError, SQLAlchemyError, sqlite3.Error) as error:
            raise_if_unusable(settings.state_dir, error)
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
    assets = evidence_for(set(rows)) if rows is not None else None
    found = _execute(run, assets, instance) if assets is None or assets else NOTHING_RAN
    document = result_of(run)
    if document is None:  # nothing had to be run, or what the run came to could not be kept: then this fails as that did
        document = leave_result(run, found, PROJECT, run.store.seal(run.run_id)).document
    entries = (*document.rows, *document.extra_checks)
    if any(finding.code == ReportCode.CHECK_NOT_EVALUATED.code for entry in entries for finding in entry.findings):
        raise_if_unusable(settings.state_dir)
    return document


def _execute(run: RunContext, assets: set[str] | None, instance: dg.DagsterInstance | None) -> RunLog:
    """Runs the job; what Dagster's log has of the run.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    announce_steps(_number_of_steps(assets))
    job = build_defs(settings=run.settings, run=run, gathered=assets).resolve_job_def(READINESS_JOB)
    with nullcontext(instance) if instance else open_dagster(run.settings.state_dir) as chosen:
        result = run_in_process(job, chosen, DagsterNames.of(run.settings), run_id=run.run_id, assets=assets)
        if any(map(_interrupted, result.all_events)):
            raise KeyboardInterrupt
        return run_log(chosen, run.run_id)


def _number_of_steps(assets: set[str] | None) -> int:
    """How many tables are gathered and how many checks judged in a run of these assets (None: all)."""
    return len(EVIDENCE if assets is None else assets) + sum(len(judging.judges) for judging in judgings_of(assets))


def _interrupted(event: dg.DagsterEvent) -> bool:
    """Whether an event says that Ctrl-C or SIGTERM ended the run; Dagster records such a run as failed."""
    if event.is_step_failure:
        return is_interruption(event.step_failure_data.error)
    if event.event_type is dg.DagsterEventType.RUN_FAILURE:
        return "Execution was interrupted" in (event.message or "")
    return event.event_type is dg.DagsterEventType.RUN_CANCELED
