"""What the gate's sensor does about overrides: launches the promotion of each that stands and is signed, and says why not. Thin.

Whatever this launches, the promotion judges the order again by itself. An order that did not take effect is tried again until it
ends, under the same idempotency key.
"""

from datetime import datetime, timedelta

import dagster as dg

from phase5_ops.digest import sha256_of
from phase5_ops.gate import check_state
from phase5_ops.gate.believed_keys import believed_keys
from phase5_ops.gate.inputs import GateSources
from phase5_ops.gate.keys import KeySet
from phase5_ops.gate.overrides import Override, problems
from phase5_ops.gate.overriding import read_stored
from phase5_ops.gate.promotion_job import PROMOTION_JOB, override_run_config
from phase5_ops.gate.records import RunState
from phase5_ops.gate.state import StateTable, StoredOverride
from phase5_ops.gate.stored_signatures import verified_sign_offs


def watch_overrides(sources: GateSources, now: datetime) -> tuple[list[dg.RunRequest], list[str]]:
    """The runs to launch for the overrides that have not ended, and a line for each that waits.

    Args:
        sources: what the tick reads from.
        now: wall clock, for the pace of trying again.

    Raises:
        StateError: the table cannot be read.
        KeysError, SigningError: it cannot be told which keys to believe.
    """
    requests, lines = [], []
    keys: KeySet | None = None
    settings, state = sources.platform.settings, sources.state
    for stored in state.overrides(settings.environment):
        override = read_stored(stored)
        if override is None:
            lines.append(f"override {stored.id}: not an override; find out who wrote it")
            continue
        if override.until <= sources.platform.now():
            continue
        keys = keys or believed_keys(sources.platform.reader, settings)
        request, why = _next(sources, state, override, stored, keys, now)
        requests += [request] if request else []
        lines += [f"{override.release.name}: {override.kind} {override.id}: {why}"] if why else []
    return requests, lines


def _next(  # noqa: PLR0917 - what one look at one order needs
    sources: GateSources, state: StateTable, override: Override, stored: StoredOverride, keys: KeySet, now: datetime
) -> tuple[dg.RunRequest | None, str]:
    settings = sources.platform.settings
    offs = verified_sign_offs(stored.signatures, [stored.payload], keys)
    against = problems(override, offs, policy=settings.overrides, gate=settings.gate, now=sources.platform.now())
    if against:
        return None, "; ".join(map(str, against))
    if state.promotion(override.release, override.series, override=override.id) is not None:
        return None, ""
    runs = check_state.runs_of_override(sources.instance, override.id, override.release.environment)
    if pending := [run for run in runs if run.facts.state is RunState.RUNNING]:
        return None, f"run {pending[0].facts.run_id} is under way"
    ended = max((run.ended_at for run in runs if run.ended_at is not None), default=None)
    if ended is not None and now - ended < timedelta(seconds=settings.overrides.retry_seconds):
        return None, "it did not take effect; it is tried again soon, see the run's log"
    attempt = max((run.attempt for run in runs), default=0) + 1
    return _request(override, attempt), f"promotion_job is launched, attempt {attempt}"


def _request(override: Override, attempt: int) -> dg.RunRequest:
    release = override.release
    tags = {
        check_state.OVERRIDE_TAG: override.id,
        check_state.RELEASE_TAG: release.name,
        check_state.DIGEST_TAG: release.digest,
        check_state.ENVIRONMENT_TAG: release.environment,
        check_state.ATTEMPT_TAG: str(attempt),
    }
    key = sha256_of("\0".join((PROMOTION_JOB, release.environment, override.id, str(attempt))).encode())[7:39]
    return dg.RunRequest(run_key=key, job_name=PROMOTION_JOB, run_config=override_run_config(override), tags=tags)
