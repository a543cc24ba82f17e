"""The decision: from stored results, evidence, signatures, waivers and policy to OPEN, READY_TO_SIGN or BLOCKED. Pure.

It starts closed. OPEN needs every row of the checklist and every blocking extra check to open on the evidence of one run, and
the three roles' signatures over a statement of it. The decision names every reason against opening, in checklist order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.checklist import ALL_CHECKS, ROWS, Row
from phase5_ops.gate import reasons
from phase5_ops.gate.decision.row_state import max_age, state_problems
from phase5_ops.gate.decision.signature_rules import differences, sign_off_problems
from phase5_ops.gate.decision.waivers import WaivedRow, closing_findings, unmatched, waive
from phase5_ops.gate.reasons import RELEASE, GateReason, SignOffReason
from phase5_ops.gate.records import (
    Decision,
    GateInputs,
    OpenedOn,
    OtherRun,
    Outcome,
    Reason,
    RowDecision,
    RowFacts,
    SignedFacts,
    StoredResult,
)
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict

_JUDGED = tuple(row for row in ALL_CHECKS if not row.is_sign_off)
_SIGNED = tuple(row for row in ROWS if row.is_sign_off)


def is_blocking(row: Row, policy: GatePolicy) -> bool:
    """Whether a row blocks: every row of the checklist does, and each extra check that the policy does not let only warn."""
    return row.check not in policy.extra_checks_warn_only or row in ROWS


def decide(inputs: GateInputs) -> Decision:
    """The gate's decision over these facts; a missing fact never opens it.

    Raises:
        ValueError: `now` has no time zone.
    """
    if inputs.now.tzinfo is None:
        raise ValueError("the gate's time needs a time zone")
    judged = [_decide_row(row, inputs) for row in _JUDGED]
    facts = {each.decision.row: each.facts for each in judged if each.facts is not None}
    used = frozenset(name for each in judged for name in each.used)
    release_reasons = (*_release_problems(inputs), *inputs.closing)
    unknown = frozenset(each.decision.row for each in judged if each.facts is None and each.decision.blocking)
    void = _void(inputs, facts, used, unknown)
    sign_offs = _decide_sign_offs(inputs, void)
    by_id = {decision.row: decision for decision in (*(each.decision for each in judged), *sign_offs)}
    rows = tuple(by_id[row.id] for row in ALL_CHECKS)
    ready = not release_reasons and all(each.decision.opens for each in judged)
    signed = ready and all(decision.opens for decision in sign_offs)
    opened_on = _opened_on(inputs) if signed else None
    return Decision(
        outcome=Outcome.OPEN if opened_on else Outcome.READY_TO_SIGN if ready else Outcome.BLOCKED,
        opened_on=opened_on,
        reasons=(*release_reasons, *(reason for row in rows if not row.opens for reason in row.reasons)),
        rows=rows,
        facts=facts,
        waivers_used=used,
        unmatched_waivers=tuple(unmatched(inputs.waivers, {each.decision.row: each.closing for each in judged})),
        fresh_until=_fresh_until(inputs, judged),
        void=void,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    decision: RowDecision
    facts: RowFacts | None = None
    used: tuple[str, ...] = ()
    closing: tuple[Finding, ...] = ()


def _decide_row(row: Row, inputs: GateInputs) -> _Judged:
    result = inputs.results.get(row.check)
    blocking = is_blocking(row, inputs.policy)
    problems = state_problems(row, result, inputs)
    if result is None or result.verdict is None or not result.evaluated:
        return _Judged(RowDecision(row.id, problems[0].state, not blocking, blocking=blocking, reasons=problems))
    closing = closing_findings(row, result.findings, inputs.policy)
    verdict_opens = _verdict_opens(row, result.verdict, inputs.policy)
    waived = None if verdict_opens else _waived(row, result, inputs)
    found = () if waived is None or waived.waived else _verdict_reasons(row, result.verdict, waived, closing)
    opens = not problems and (waived is None or waived.waived)
    decision = RowDecision(
        row.id,
        problems[0].state if problems else str(result.verdict),
        opens or not blocking,
        waived=opens and waived is not None,
        blocking=blocking,
        reasons=(*problems, *found),
    )
    facts = None if problems else RowFacts(result.verdict, frozenset([(f.code, f.subject) for f in result.findings]))
    return _Judged(decision, facts, waived.used if waived is not None and decision.waived else (), closing)


def _verdict_opens(row: Row, verdict: Verdict, policy: GatePolicy) -> bool:
    return verdict is Verdict.PASS or (verdict is Verdict.WARN and row.id not in policy.warn_blocks)


def _waived(row: Row, result: StoredResult, inputs: GateInputs) -> WaivedRow:
    if inputs.release is None or not row.waivable or not inputs.waivers:
        return WaivedRow(waived=False, used=(), uncovered=closing_findings(row, result.findings, inputs.policy), refused=())
    return waive(row, result.findings, inputs.waivers, release_digest=inputs.release.digest, policy=inputs.policy, now=inputs.now)


def _verdict_reasons(row: Row, verdict: Verdict, waived: WaivedRow, closing: tuple[Finding, ...]) -> tuple[Reason, ...]:
    why_not = f" (waivers refused: {'; '.join(f'{name}: {why}' for name, why in waived.refused)})" if waived.refused else ""
    found = waived.uncovered or closing
    if not found:
        return (
            Reason(
                row.id, str(verdict), "verdict", row.check, f"the row is {verdict} without a finding{why_not}", verdict=verdict
            ),
        )
    return tuple(Reason(row.id, str(f.verdict), f.code, f.subject, f.seen + why_not, f.link, f.verdict) for f in found)


def _release_problems(inputs: GateInputs) -> Iterable[Reason]:
    release, bundle = inputs.release, inputs.bundle
    if release is None:
        yield SignOffReason.NO_RELEASE.closes(RELEASE, "release", "no release to sign")
    if inputs.run_id is None:
        yield GateReason.NO_READINESS_RUN.closes(RELEASE, "run", "no readiness run")
    elif bundle is None:
        yield GateReason.EVIDENCE_MISSING.closes(RELEASE, inputs.run_id, "no stored evidence of the run")
    elif bundle.run_id != inputs.run_id:
        yield GateReason.EVIDENCE_OF_ANOTHER_RUN.closes(RELEASE, inputs.run_id, f"evidence of run {bundle.run_id}")
    elif bundle.digest != bundle.sealed_digest:
        yield GateReason.EVIDENCE_CHANGED.closes(RELEASE, inputs.run_id, f"sealed {bundle.sealed_digest}, stored {bundle.digest}")
    if release is not None:
        yield from _newer_run_problems(inputs, release.environment)


def _newer_run_problems(inputs: GateInputs, environment: str) -> Iterable[Reason]:
    """A newer run that fails, errs or cannot be read closes the gate until a still newer one passes every row."""
    since = inputs.run_completed_at
    newer = [
        run
        for run in sorted(inputs.other_runs, key=lambda run: (run.completed_at, run.run_id))
        if run.environment == environment and run.run_id != inputs.run_id and (since is None or run.completed_at >= since)
    ]
    standing: tuple[Reason, ...] = ()
    for run in newer:
        problems = tuple(_disagreements(run, inputs))
        if problems:
            standing = problems
        elif standing and _passes(run, inputs):
            standing = ()
    yield from standing


def _disagreements(run: OtherRun, inputs: GateInputs) -> Iterable[Reason]:
    whence = "" if run.recorded else "; Dagster has no record of it here: it was made with another state folder, or is gone"
    if run.rows is None:
        yield GateReason.NEWER_RUN_UNREADABLE.closes(RELEASE, run.run_id, f"its results cannot be read{whence}")
        return
    whence += "" if run.recorded else ", its evidence is left"
    for row in _JUDGED:
        verdict, _ = run.rows.get(row.id, (Verdict.PASS, ()))
        bad = verdict in (Verdict.FAIL, Verdict.ERROR)
        if bad and is_blocking(row, inputs.policy) and not _opens_there(row, run, inputs):
            yield GateReason.NEWER_RUN_DISAGREES.closes(RELEASE, run.run_id, f"row {row.id} is {verdict} there{whence}")


def _opens_there(row: Row, run: OtherRun, inputs: GateInputs) -> bool:
    if run.rows is None or row.id not in run.rows:
        return False
    verdict, findings = run.rows[row.id]
    as_result = StoredResult(row.check, verdict=verdict, findings=findings)
    return _verdict_opens(row, verdict, inputs.policy) or _waived(row, as_result, inputs).waived


def _passes(run: OtherRun, inputs: GateInputs) -> bool:
    wanted = (row for row in _JUDGED if is_blocking(row, inputs.policy))
    judged_alike = run.policies == {inputs.policy_digest}  # settings may have been loosened for this run alone
    return run.recorded and run.confirmed and judged_alike and all(_opens_there(row, run, inputs) for row in wanted)


def _void(inputs: GateInputs, facts: Mapping[str, RowFacts], used: frozenset[str], unknown: frozenset[str]) -> tuple[str, ...]:
    """Why signatures over the frozen statement no longer hold; empty where nothing is frozen."""
    if inputs.release is None or inputs.statement is None:
        return ()
    return differences(
        inputs.statement,
        series=inputs.series,
        release_digest=inputs.release.digest,
        policy_digest=inputs.policy_digest,
        waivers=used,
        rows=facts,
        unknown=unknown,
    )


def _decide_sign_offs(inputs: GateInputs, void: tuple[str, ...]) -> tuple[RowDecision, ...]:
    release, statement = inputs.release, inputs.statement
    if release is None or statement is None:
        code, seen = (
            (SignOffReason.NO_RELEASE, "no release to sign")
            if release is None
            else (SignOffReason.NOTHING_TO_SIGN, "no readiness statement")
        )
        return tuple(
            RowDecision(row.id, str(reasons.GateState.UNSIGNED), opens=False, reasons=(code.closes(row.id, row.owner, seen),))
            for row in _SIGNED
        )
    problems = sign_off_problems(
        inputs.sign_offs,
        statement_digest=statement.statement_digest,
        release=release,
        void=void,
        policy=inputs.policy,
        now=inputs.now,
    )
    return tuple(
        RowDecision(
            row.id,
            str(reasons.GateState.UNSIGNED if problems[row.owner] else Verdict.PASS),
            opens=not problems[row.owner],
            reasons=tuple(code.closes(row.id, row.owner, seen) for code, seen in problems[row.owner]),
        )
        for row in _SIGNED
    )


def _opened_on(inputs: GateInputs) -> OpenedOn | None:
    """The digests that the decision rests on; None if one is missing, so that nothing opens on a gap."""
    statement: SignedFacts | None = inputs.statement
    if inputs.release is None or inputs.run_id is None or inputs.bundle is None or statement is None:
        return None
    return OpenedOn(inputs.release.digest, inputs.run_id, inputs.bundle.digest, inputs.policy_digest, statement.statement_digest)


def _fresh_until(inputs: GateInputs, judged: list[_Judged]) -> datetime | None:
    moments = []
    counting = {each.decision.row for each in judged if each.facts is not None}
    for row in _JUDGED:
        if not is_blocking(row, inputs.policy):
            continue
        result = inputs.results.get(row.check)
        if row.id not in counting or result is None or result.observed_at is None:
            return None
        moments.append(result.observed_at + max_age(row, inputs.policy))
    return min(moments, default=None)
