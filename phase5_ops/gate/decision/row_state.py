"""Whether the stored result of one check counts, and if not, every reason why. Pure.

Dagster's stored results are not evidence: anyone who reaches the webserver can post one, wipe an asset or delete a run. A result
counts only if the candidate's own readiness run made it, about the evidence of that run as it is stored now, under the present
policy, and not too long ago.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter

from phase5_ops.checklist import DEFAULT_MAX_AGE_HOURS, Row
from phase5_ops.clock import iso
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import Bundle, GateInputs, Reason, Release, RunFacts, RunState, StoredResult
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Verdict, worst

#: The fields in which Dagster's record of a result must equal the verdict file.
_STORED_FIELDS = ("verdict", "findings", "observed_at", "tables", "policy_digest")
_stored_in = attrgetter(*_STORED_FIELDS)
#: What Dagster's own flag may say beside a verdict; for any other verdict it is False. A warning is not passed, and was passed in
#: the results of earlier versions; whether it closes a row is decided from the verdict alone.
_FLAGS = {Verdict.PASS: (True,), Verdict.WARN: (False, True)}


def max_age(row: Row, policy: GatePolicy) -> timedelta:
    """How old the evidence of a row may be: the policy's age, or the row's own where that is shorter."""
    most = policy.max_evidence_age_hours
    return _hours(most if row.max_age_hours == DEFAULT_MAX_AGE_HOURS else min(row.max_age_hours, most))


@cache
def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


def state_problems(row: Row, result: StoredResult | None, inputs: GateInputs) -> tuple[Reason, ...]:
    """Every reason why the stored result of `row` does not count; empty if it does.

    That it is missing, pending or crashed is the only reason then, since nothing else can be known of it.
    """
    if result is None:
        return (GateReason.RESULT_MISSING.closes(row.id, row.check, "no result"),)
    if result.run is None:
        return (GateReason.RESULT_OF_NO_RUN.closes(row.id, row.check, "no run behind it"),)
    if result.run.state is RunState.UNKNOWN:
        return (GateReason.RESULT_OF_NO_RUN.closes(row.id, row.check, f"no record of run {result.run.run_id}"),)
    if result.run.state is RunState.RUNNING:
        return (GateReason.RESULT_PENDING.closes(row.id, row.check, f"run {result.run.run_id} is not over"),)
    if not result.evaluated:
        return (GateReason.RESULT_CRASHED.closes(row.id, row.check, f"run {result.run.run_id} is over without a result"),)
    if result.verdict is None:
        return (GateReason.RESULT_UNREADABLE.closes(row.id, row.check, "no verdict"),)
    return (
        *_origin_problems(row, result, result.run, inputs),
        *_evidence_problems(row, result, inputs.bundle),
        *_contradictions(row, result, result.verdict),
        *_policy_problems(row, result, inputs),
        *_age_problems(row, result.observed_at, inputs),
    )


def _origin_problems(row: Row, result: StoredResult, run: RunFacts, inputs: GateInputs) -> Iterator[Reason]:
    release: Release | None = inputs.release
    if result.check != row.check:
        yield GateReason.RESULT_OF_ANOTHER_CHECK.closes(row.id, row.check, result.check)
    if run.job != READINESS_JOB:
        yield GateReason.RESULT_OF_ANOTHER_JOB.closes(row.id, row.check, f"job {run.job!r}")
    if run.run_id != inputs.run_id:
        yield GateReason.RESULT_OF_ANOTHER_RUN.closes(row.id, row.check, f"run {run.run_id}, not {inputs.run_id}")
    if release is not None and run.release_digest != release.digest:
        yield GateReason.RESULT_OF_ANOTHER_RELEASE.closes(row.id, row.check, str(run.release_digest))
    if release is not None and run.environment != release.environment:
        yield GateReason.RESULT_OF_ANOTHER_ENVIRONMENT.closes(row.id, row.check, str(run.environment))
    if result.target_run_id != run.run_id:
        seen = f"about the materialization of run {result.target_run_id}"
        yield GateReason.RESULT_OF_ANOTHER_MATERIALIZATION.closes(row.id, row.check, seen)
    if run.fixed_now and not inputs.allow_fixed_now:
        yield GateReason.RESULT_UNDER_FIXED_CLOCK.closes(row.id, row.check, f"run {run.run_id} ran under PHASE5_NOW")


def _evidence_problems(row: Row, result: StoredResult, bundle: Bundle | None) -> Iterator[Reason]:
    if row.asset not in result.tables or result.verdict_file is None:
        yield GateReason.RESULT_WITHOUT_EVIDENCE.closes(row.id, row.check, "it does not name its table and its stored verdict")
    if bundle is None:
        return  # said once, for the release
    for asset, digest in sorted([each for each in result.tables.items() if bundle.tables.get(each[0]) != each[1]]):
        seen = f"judged from {digest}, stored is {bundle.tables.get(asset)}"
        yield GateReason.RESULT_NOT_OF_THE_EVIDENCE.closes(row.id, asset, seen)
    stored = bundle.verdicts.get(row.check)
    if stored is None or stored.digest != result.verdict_file:
        seen = f"verdict file {result.verdict_file}, stored is {stored.digest if stored else None}"
        yield GateReason.RESULT_NOT_OF_THE_EVIDENCE.closes(row.id, row.check, seen)
    elif (recorded := _stored_in(result)) != (kept := _stored_in(stored)):
        differing = (name for name, a, b in zip(_STORED_FIELDS, recorded, kept, strict=True) if a != b)
        seen = f"it differs from the stored verdict in {', '.join(differing)}"
        yield GateReason.RESULT_NOT_OF_THE_EVIDENCE.closes(row.id, row.check, seen)


def _contradictions(row: Row, result: StoredResult, verdict: Verdict) -> Iterator[Reason]:
    found = worst(f.verdict for f in result.findings) if result.findings else Verdict.PASS
    if found is not verdict:
        yield GateReason.RESULT_CONTRADICTS_ITSELF.closes(row.id, row.check, f"verdict {verdict}, worst finding {found}")
    if result.passed not in _FLAGS.get(verdict, (False,)):
        yield GateReason.RESULT_CONTRADICTS_ITSELF.closes(row.id, row.check, f"verdict {verdict}, passed {result.passed}")


def _policy_problems(row: Row, result: StoredResult, inputs: GateInputs) -> Iterator[Reason]:
    if result.policy_digest != inputs.policy_digest:
        seen = f"judged under {result.policy_digest}, now {inputs.policy_digest}"
        yield GateReason.JUDGED_UNDER_OTHER_POLICY.closes(row.id, row.check, seen)


def _age_problems(row: Row, observed_at: datetime | None, inputs: GateInputs) -> Iterator[Reason]:
    if observed_at is None:
        yield GateReason.EVIDENCE_UNDATED.closes(row.id, row.check, "no time of reading")
        return
    age, limit = inputs.now - observed_at, max_age(row, inputs.policy)
    if age > limit:
        seen = f"read {iso(observed_at)}, {age.total_seconds() / 3600:.1f} h ago; at most {limit.total_seconds() / 3600:g} h"
        yield GateReason.EVIDENCE_STALE.closes(row.id, row.check, seen)
    if -age > timedelta(seconds=inputs.policy.clock_skew_seconds):
        yield GateReason.EVIDENCE_FROM_THE_FUTURE.closes(row.id, row.check, f"read {iso(observed_at)}, now {iso(inputs.now)}")
