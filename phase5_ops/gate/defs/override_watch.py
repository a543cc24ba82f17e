"""What the gate's sensor does about overrides: launches the promotion of each valid, signed one, and says why others wait. Thin.

Whatever this launches, the promotion judges the order again by itself. An order that did not take effect is tried again until it
ends, under the same idempotency key; one whose run was killed after it took effect is finished; where it is not known whether it
took effect, a line says so.
"""

from datetime import datetime, timedelta

import dagster as dg

from phase5_ops.evidence.run_tags import ATTEMPT_TAG, DIGEST_TAG, ENVIRONMENT_TAG, OVERRIDE_TAG, PROMOTION_JOB, RELEASE_TAG
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override, stored_order
from phase5_ops.gate.candidates.next_step import next_number, run_key
from phase5_ops.gate.decision.override_rules import problems
from phase5_ops.gate.defs.promotion_job import override_run_config
from phase5_ops.gate.defs.tick_errors import said_of
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.promotion.publication import begun
from phase5_ops.gate.records import RunState
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Fate, StoredOverride
from phase5_ops.text import printable

_LOOKED_AT = timedelta(days=7)  # how long after its end an order is looked at, for what it left half done
_LONGEST_LINE = 300


def watch_overrides(session: DecidingSession, now: datetime) -> tuple[list[dg.RunRequest], list[str]]:
    """The runs to launch for the overrides that have not ended, and a line for each that waits.

    Args:
        session: what the tick reads from.
        now: wall clock, for the pace of trying again.

    Raises:
        StateError: the table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    requests: list[dg.RunRequest] = []
    lines: list[str] = []
    for stored in session.state.overrides(session.settings.environment):
        override = stored_order(stored.id, stored.payload)
        if override is None:
            lines.append(
                printable(f"override {stored.id}: the item in the state table is no order; find out who wrote it")[:_LONGEST_LINE]
            )
            continue
        if session.now - override.until >= _LOOKED_AT:
            continue
        try:
            request, why = _next(session, override, stored, now)
        except (KeysError, SigningError):
            raise
        except Exception as error:  # noqa: BLE001 - see `said_of`
            request, why = None, f"it could not be looked at: {said_of(error, stored.id)}"
        requests += [request] if request else []
        lines += [printable(f"{override.release.name}: {override.kind} {override.id}: {why}")[:_LONGEST_LINE]] if why else []
    return requests, lines


def _next(
    session: DecidingSession, override: Override, stored: StoredOverride, now: datetime
) -> tuple[dg.RunRequest | None, str]:
    """The run to launch for one order, and what to say of it."""
    state, settings = session.state, session.settings
    candidate = state.candidate(override.release)
    if candidate is None or (candidate.release, candidate.series) != (override.release, override.series):
        return (
            None,
            ""
            if override.until <= session.now
            else "the state table has no such candidate, or the candidate is in another series",
        )
    if state.promotion(override.release, override.series, override=override.id) is not None:
        finished = override.kind is not OrderKind.BREAK_GLASS or candidate.fate in (Fate.BREAK_GLASS, Fate.PROMOTED)
        return (
            (None, "")
            if finished
            else _launched(
                session, override, now, "the order took effect, and another run completes what an interrupted one left undone"
            )
        )
    if override.until <= session.now:
        return None, "; ".join(begun(state, candidate, override))  # it ended: nothing more is done, but what was done is said
    offs = session.sign_offs(stored.signatures, [stored.payload])
    against = problems(override, offs, policy=settings.overrides, gate=settings.gate, now=session.now)
    if against:
        return None, "; ".join(map(str, against))
    return _launched(session, override, now, "promotion_job is launched")


def _launched(session: DecidingSession, override: Override, now: datetime, why: str) -> tuple[dg.RunRequest | None, str]:
    runs = check_state.runs_of_override(session.instance, override.id, override.release.environment, job=PROMOTION_JOB)
    if pending := [run for run in runs if run.facts.state is RunState.RUNNING]:
        return None, f"run {pending[0].facts.run_id} is under way"
    ended = max((run.ended_at for run in runs if run.ended_at is not None), default=None)
    if ended is not None and now - ended < timedelta(seconds=session.settings.overrides.retry_seconds):
        return None, "the last run did not finish, see its log; another run is launched soon"
    attempt = next_number(runs)
    return _request(override, attempt), f"{why}, attempt {attempt}"


def _request(override: Override, attempt: int) -> dg.RunRequest:
    release = override.release
    tags = {
        OVERRIDE_TAG: override.id,
        RELEASE_TAG: release.name,
        DIGEST_TAG: release.digest,
        ENVIRONMENT_TAG: release.environment,
        ATTEMPT_TAG: str(attempt),
    }
    key = run_key(PROMOTION_JOB, release.environment, override.id, str(attempt))
    return dg.RunRequest(run_key=key, job_name=PROMOTION_JOB, run_config=override_run_config(override), tags=tags)
