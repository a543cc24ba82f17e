"""One readiness run in this process: runs the job on the state folder's Dagster instance and composes the document."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from uuid import uuid4

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from phase5_ops.aws.pricing import cost_usd
from phase5_ops.build import READINESS_JOB, build_defs, evidence_for, implemented_checks, open_platform
from phase5_ops.checklist import ALL_CHECKS, ROW_OF_CHECK
from phase5_ops.clock import iso
from phase5_ops.platform import Platform
from phase5_ops.report.document import (
    CHECK_NOT_EVALUATED,
    WHOLE_RUN,
    Judged,
    ReadinessDocument,
    Reading,
    RowEntry,
    missing_entry,
    readiness_document,
)
from phase5_ops.run_end import notices
from phase5_ops.settings import Settings
from phase5_ops.state_folder import prepare_state_folder

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_readiness(
    settings: Settings, rows: Sequence[str] | None = None, *, instance: dg.DagsterInstance | None = None
) -> ReadinessDocument:
    """Makes one readiness run and stores its evidence, verdicts and document under the state folder.

    Args:
        settings: validated settings.
        rows: ids of the rows (or names of the extra checks) to gather and judge; None for all.
        instance: where Dagster records the run; default: the state folder's instance.

    Raises:
        ConfigurationError: the state folder cannot be used.
    """
    settings = settings.model_copy(update={"state_dir": prepare_state_folder(settings.state_dir)})
    platform = open_platform(settings, str(uuid4()))
    evaluated_at = iso(platform.now())
    assets = evidence_for(set(rows)) if rows is not None else None
    started = time.perf_counter()
    entries = _execute(platform, assets, evaluated_at, instance) if assets is None or assets else {}
    platform.timings[WHOLE_RUN] = time.perf_counter() - started
    document = readiness_document(
        environment=settings.environment,
        run_id=platform.run_id,
        evaluated_at=evaluated_at,
        evidence_digest=platform.store.seal(platform.run_id),
        policy_digest=platform.policy_digest,
        entries=entries,
        gate=settings.gate,
        reading=_reading(platform),
        chosen=rows,
        notices=notices(platform),
        judged=Judged(account=platform.account, region=platform.reader.region, identity=platform.identity),
    )
    platform.store.write_result(platform.run_id, document.to_json())
    return document


def _execute(
    platform: Platform, assets: set[str] | None, evaluated_at: str, instance: dg.DagsterInstance | None
) -> dict[str, RowEntry]:
    """Runs the job; the result of every implemented check, or why there is none."""
    job = build_defs(settings=platform.settings, platform=platform).resolve_job_def(READINESS_JOB)
    with nullcontext(instance) if instance else dg.DagsterInstance.get() as chosen:
        result = job.execute_in_process(
            instance=chosen,
            run_id=platform.run_id,
            run_config=_QUIET,
            asset_selection=[dg.AssetKey(name) for name in sorted(assets)] if assets is not None else None,
            raise_on_error=False,
        )
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
            entries[row.check] = missing_entry(ROW_OF_CHECK[row.check], CHECK_NOT_EVALUATED, reason, evaluated_at)
    return entries


def _cause(error: SerializableErrorInfo | None) -> str:
    """The message of the error that began it, rather than Dagster's wrapping of it."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "no details"


def _reading(platform: Platform) -> Reading:
    meter = platform.reader.meter
    return Reading(
        calls=dict(sorted(meter.calls.items())),
        cost_usd=round(sum(cost_usd(meter).values()), 6),
        seconds={name: round(seconds, 3) for name, seconds in platform.timings.items()},
    )
