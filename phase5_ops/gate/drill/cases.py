"""The gate drill (row 4.3): every way in which a candidate can be unfit, as data, tried on the decision function. Pure.

Each case starts from a complete set that opens and changes one thing. What lives here: the cases and the table `gate_drill`, one
row per case. Judging the table is in `judge.py`; the cases of the fresh reads are in `fresh_cases.py`, those of the records
of runs in `recorded_cases.py`. The cases use the policy in force, so that a policy which lets something through is drilled as it
is. It is one file because the faults, the cases and the required cases must agree.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

from phase5_ops.checklist import ALL_CHECKS, ROLES, ROWS, Row
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, NoFacts
from phase5_ops.gate.decision.alarm_rules import alarms_count
from phase5_ops.gate.decision.decide import decide, is_blocking
from phase5_ops.gate.decision.row_state import max_age
from phase5_ops.gate.drill.fresh_cases import ALARM_FAULTS, DEPLOYED_FAULTS, FRESH_CONTROLS, Find, FreshContext
from phase5_ops.gate.drill.recorded_cases import RECORDED_CONTROLS, RECORDED_FAULTS
from phase5_ops.gate.reasons import RELEASE, GateReason, ReasonCode, SignOffReason
from phase5_ops.gate.records import (
    Bundle,
    Decision,
    GateInputs,
    OtherRun,
    Outcome,
    Reason,
    Release,
    RowFacts,
    Rows,
    RunFacts,
    RunState,
    SignedFacts,
    SignOff,
    StoredResult,
    StoredVerdict,
    Waiver,
)
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict

CONTROL = "control"  # in place of a fault, for a case that has none: the gate must open


@dataclass(frozen=True, slots=True)
class DrilledCase:
    """One row of `gate_drill`: a case that was tried on the gate."""

    case: Annotated[str, "row and fault", Column(unique=True)]
    row: Annotated[str, 'row id, extra check, or "release"']
    fault: Annotated[str, 'key of one of the tables of faults, or "control"']
    expected: Annotated[str, "what the gate must say", Column(among=[str(each) for each in Outcome])]
    expected_code: Annotated[str, 'must be among the reasons; "" for a control']
    outcome: Annotated[str | None, "what the gate said; null where the case could not be tried"]
    codes: Annotated[str, "of the reasons given for the row, space-separated"]
    problem: Annotated[str | None, "why the case could not be tried"]


GATE_DRILL = DeclaredTable(DrilledCase, NoFacts)
GateDrill = GatheredTable[DrilledCase, NoFacts]

_RUN, _OTHER_RUN = "run-of-the-drill", "another-run"
_DIGEST, _OTHER_DIGEST = "sha256:" + "d" * 64, "sha256:" + "0" * 64
_POLICY_DIGEST = "sha256:" + "a" * 64
_RELEASE = Release("drill", _DIGEST, "drill")
_FINDING_CODE = "drilled_finding"
_HOUR, _MOMENT = timedelta(hours=1), timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class DrillCase:
    """One case: what is changed, on which row, and what the gate must say.

    `inputs` is made only when the case is tried, so that a case that cannot be made fails alone.
    """

    row: str
    fault: str
    expected: Outcome
    code: str
    inputs: Callable[[], GateInputs]

    @property
    def name(self) -> str:
        """Row and fault."""
        return f"{self.row} {self.fault}"


def complete_inputs(policy: GatePolicy, now: datetime) -> GateInputs:
    """A candidate with nothing missing: the gate opens for it whatever the policy."""
    rows = [row for row in ALL_CHECKS if not row.is_sign_off]
    run = RunFacts(_RUN, READINESS_JOB, RunState.FINISHED, _RELEASE.environment, _RELEASE.digest)
    tables = {row.asset: f"sha256:{index:064x}" for index, row in enumerate(rows)}
    verdicts = {
        row.check: StoredVerdict(
            f"sha256:{index + 100:064x}", Verdict.PASS, (), now, {row.asset: tables[row.asset]}, _POLICY_DIGEST
        )
        for index, row in enumerate(rows)
    }
    results = {
        row.check: StoredResult(
            check=row.check,
            run=run,
            evaluated=True,
            passed=True,
            verdict=Verdict.PASS,
            observed_at=now,
            target_run_id=_RUN,
            tables={row.asset: tables[row.asset]},
            verdict_file=verdicts[row.check].digest,
            policy_digest=_POLICY_DIGEST,
        )
        for row in rows
    }
    statement = SignedFacts(
        statement_digest="sha256:" + "5" * 64,
        release_digest=_DIGEST,
        policy_digest=_POLICY_DIGEST,
        evidence_digest="sha256:" + "e" * 64,
        rows={row.id: RowFacts(Verdict.PASS) for row in rows},
        waivers=frozenset(),
        series=1,
    )
    return GateInputs(
        release=_RELEASE,
        run_id=_RUN,
        results=results,
        bundle=Bundle(_RUN, statement.evidence_digest, statement.evidence_digest, tables, verdicts),
        policy_digest=_POLICY_DIGEST,
        policy=policy,
        now=now,
        statement=statement,
        sign_offs=tuple(_sign_off(role, statement, now) for role in ROLES),
        run_completed_at=now,
    )


def _sign_off(role: str, statement: SignedFacts, now: datetime) -> SignOff:
    return SignOff(role, role, f"key-of-{role}", f"person-of-{role}", statement.statement_digest, _RELEASE, now, frozen_at=now)


# --- faults of one row's stored result ---------------------------------------------------------------------------------------


def _result(inputs: GateInputs, row: Row, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of StoredResult
    return replace(inputs, results={**inputs.results, row.check: replace(inputs.results[row.check], **changes)})


def _stored(inputs: GateInputs, row: Row, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of StoredVerdict
    if inputs.bundle is None:
        return inputs
    verdicts = {**inputs.bundle.verdicts, row.check: replace(inputs.bundle.verdicts[row.check], **changes)}
    return replace(inputs, bundle=replace(inputs.bundle, verdicts=verdicts))


def both(inputs: GateInputs, row: Row, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of both
    """The same change in Dagster's record and in the stored verdict, so that it is the only thing that is wrong."""
    return _result(_stored(inputs, row, **changes), row, **changes)


def _run(inputs: GateInputs, row: Row, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of RunFacts
    run = inputs.results[row.check].run
    return _result(inputs, row, run=replace(run, **changes) if run else None)


def _finding(row: Row, verdict: Verdict, subject: str = "subject") -> Finding:
    return Finding(_FINDING_CODE, verdict, f"{subject} of {row.id}", "nothing", "the drill's fault")


def _judged(inputs: GateInputs, row: Row, verdict: Verdict, *findings: Finding) -> GateInputs:
    found = findings or (_finding(row, verdict),)
    return _result(both(inputs, row, verdict=verdict, findings=found), row, passed=verdict is Verdict.PASS)


def _stale(inputs: GateInputs, row: Row) -> GateInputs:
    return both(inputs, row, observed_at=inputs.now - max_age(row, inputs.policy) - timedelta(seconds=1))


def _from_the_future(inputs: GateInputs, row: Row) -> GateInputs:
    return both(inputs, row, observed_at=inputs.now + timedelta(seconds=inputs.policy.clock_skew_seconds + 1))


def _missing(inputs: GateInputs, row: Row) -> GateInputs:
    return replace(inputs, results={check: result for check, result in inputs.results.items() if check != row.check})


RowFault = Callable[[GateInputs, Row], GateInputs]

#: What can be wrong with a row's result: name -> (code of the reason, the change).
ROW_FAULTS: Mapping[str, tuple[str, RowFault]] = {
    "failing": (_FINDING_CODE, lambda i, row: _judged(i, row, Verdict.FAIL)),
    "inconclusive": (_FINDING_CODE, lambda i, row: _judged(i, row, Verdict.INCONCLUSIVE)),
    "erroring": (_FINDING_CODE, lambda i, row: _judged(i, row, Verdict.ERROR)),
    "missing": (GateReason.RESULT_MISSING.code, _missing),
    "running": (GateReason.RESULT_PENDING.code, lambda i, row: _run(i, row, state=RunState.RUNNING)),
    "crashed": (GateReason.RESULT_CRASHED.code, lambda i, row: _result(i, row, evaluated=False)),
    "without a verdict": (GateReason.RESULT_UNREADABLE.code, lambda i, row: _result(i, row, verdict=None)),
    "stale": (GateReason.EVIDENCE_STALE.code, _stale),
    "from the future": (GateReason.EVIDENCE_FROM_THE_FUTURE.code, _from_the_future),
    "undated": (GateReason.EVIDENCE_UNDATED.code, lambda i, row: both(i, row, observed_at=None)),
    "posted from outside": (GateReason.RESULT_OF_NO_RUN.code, lambda i, row: _result(i, row, run=None)),
    "run deleted": (GateReason.RESULT_OF_NO_RUN.code, lambda i, row: _run(i, row, state=RunState.UNKNOWN)),
    "from another job": (GateReason.RESULT_OF_ANOTHER_JOB.code, lambda i, row: _run(i, row, job="another_job")),
    "from another run": (GateReason.RESULT_OF_ANOTHER_RUN.code, lambda i, row: _run(i, row, run_id=_OTHER_RUN)),
    "of another check": (GateReason.RESULT_OF_ANOTHER_CHECK.code, lambda i, row: _result(i, row, check="another_check")),
    "of another release": (
        GateReason.RESULT_OF_ANOTHER_RELEASE.code,
        lambda i, row: _run(i, row, release_digest=_OTHER_DIGEST),
    ),
    "of another environment": (
        GateReason.RESULT_OF_ANOTHER_ENVIRONMENT.code,
        lambda i, row: _run(i, row, environment="another"),
    ),
    "about another materialization": (
        GateReason.RESULT_OF_ANOTHER_MATERIALIZATION.code,
        lambda i, row: _result(i, row, target_run_id=_OTHER_RUN),
    ),
    "without evidence": (GateReason.RESULT_WITHOUT_EVIDENCE.code, lambda i, row: both(i, row, tables={})),
    "table swapped": (
        GateReason.RESULT_NOT_OF_THE_EVIDENCE.code,
        lambda i, row: both(i, row, tables={row.asset: _OTHER_DIGEST}),
    ),
    "better than the stored verdict": (
        GateReason.RESULT_NOT_OF_THE_EVIDENCE.code,
        lambda i, row: _stored(i, row, verdict=Verdict.FAIL, findings=(_finding(row, Verdict.FAIL),)),
    ),
    "younger than the stored verdict": (
        GateReason.RESULT_NOT_OF_THE_EVIDENCE.code,
        lambda i, row: _stored(i, row, observed_at=i.now - timedelta(days=99)),
    ),
    "under another policy in the stored verdict": (
        GateReason.RESULT_NOT_OF_THE_EVIDENCE.code,
        lambda i, row: _stored(i, row, policy_digest=_OTHER_DIGEST),
    ),
    "verdict edited": (GateReason.RESULT_NOT_OF_THE_EVIDENCE.code, lambda i, row: _result(i, row, verdict_file=_OTHER_DIGEST)),
    "verdict contradicts its findings": (
        GateReason.RESULT_CONTRADICTS_ITSELF.code,
        lambda i, row: both(i, row, findings=(_finding(row, Verdict.FAIL),)),
    ),
    "flag contradicts the verdict": (GateReason.RESULT_CONTRADICTS_ITSELF.code, lambda i, row: _result(i, row, passed=False)),
    "under a fixed clock": (GateReason.RESULT_UNDER_FIXED_CLOCK.code, lambda i, row: _run(i, row, fixed_now=True)),
    "under another policy": (
        GateReason.JUDGED_UNDER_OTHER_POLICY.code,
        lambda i, row: both(i, row, policy_digest=_OTHER_DIGEST),
    ),
}

WARNING = "only a warning"  # opens, unless the policy lets warnings of the row block


def _as_signed(inputs: GateInputs, row: Row, waivers: frozenset[str] = frozenset()) -> GateInputs:
    """The same, with the row signed as it is, so that only the row and its waivers decide."""
    result, statement = inputs.results[row.check], inputs.statement
    if statement is None or result.verdict is None:
        return inputs
    found = RowFacts(result.verdict, frozenset((f.code, f.subject) for f in result.findings))
    return replace(inputs, statement=replace(statement, rows={**statement.rows, row.id: found}, waivers=waivers))


def _warned(inputs: GateInputs, row: Row) -> GateInputs:
    return _as_signed(_judged(inputs, row, Verdict.WARN), row)


# --- waivers that do not count -----------------------------------------------------------------------------------------------


def _other_role(row: Row) -> str:
    return next(role for role in ROLES if role != row.owner)


def good_waiver(inputs: GateInputs, row: Row) -> Waiver:
    """A waiver in force for the drill's finding of a row."""
    finding = _finding(row, Verdict.FAIL)
    return Waiver(
        id=f"waiver of {row.id}",
        row=row.id,
        release_digest=_DIGEST,
        pairs=frozenset({(finding.code, finding.subject)}),
        reason="drilled",
        ticket="DRILL-1",
        issued_at=inputs.now,
        until=inputs.now + timedelta(days=min(1.0, inputs.policy.waiver_days)),
        signed_by=_other_role(row),
        identity=f"person-of-{_other_role(row)}",
    )


def _waived(inputs: GateInputs, row: Row, verdict: Verdict = Verdict.FAIL, /, **changes: Any) -> GateInputs:  # noqa: ANN401
    waiver = replace(good_waiver(inputs, row), **changes)
    signed = _as_signed(_judged(inputs, row, verdict), row, frozenset({waiver.id}))
    return replace(signed, waivers=(waiver,))


def _another(row: Row) -> Row:
    """Another row that the same role may waive, so that only the row is wrong."""
    return next(each for each in ALL_CHECKS if each.waivable and each.owner != _other_role(row) and each.id != row.id)


def _partly_waived(inputs: GateInputs, row: Row) -> GateInputs:
    two = (_finding(row, Verdict.FAIL), _finding(row, Verdict.FAIL, "another subject"))
    return _judged(_waived(inputs, row), row, Verdict.FAIL, *two)


#: Waivers that must not open their row.
WAIVER_FAULTS: Mapping[str, RowFault] = {
    "waived while erroring": lambda i, row: _waived(i, row, Verdict.ERROR),
    "waiver over": lambda i, row: _waived(i, row, issued_at=i.now - 2 * _HOUR, until=i.now),
    "waiver from the future": lambda i, row: _waived(i, row, issued_at=i.now + 2 * _HOUR, until=i.now + 3 * _HOUR),
    "waiver for too long": lambda i, row: _waived(i, row, until=i.now + timedelta(days=15)),
    "waiver of another row": lambda i, row: _waived(i, row, row=_another(row).id),
    "waiver of another release": lambda i, row: _waived(i, row, release_digest=_OTHER_DIGEST),
    "waiver of another subject": lambda i, row: _waived(i, row, pairs=frozenset({(_FINDING_CODE, "another")})),
    "waiver of another code": lambda i, row: _waived(i, row, pairs=frozenset({("another_code", f"subject of {row.id}")})),
    "waiver of one finding of two": _partly_waived,
    "waiver without findings": lambda i, row: _waived(i, row, pairs=frozenset()),
    "waiver without a reason": lambda i, row: _waived(i, row, reason=" "),
    "waiver without a ticket": lambda i, row: _waived(i, row, ticket=" "),
    "waiver by the row's owner": lambda i, row: _waived(i, row, signed_by=row.owner),
    "waiver that nobody signed": lambda i, row: _waived(i, row, signed_by=None),
    "waiver by an unknown person": lambda i, row: _waived(i, row, identity=""),
}
WAIVED_UNWAIVABLE = "waiver of a row that may not be waived"

# --- signatures --------------------------------------------------------------------------------------------------------------


def _off(inputs: GateInputs, row: Row, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of SignOff
    return replace(inputs, sign_offs=tuple(replace(o, **changes) if o.role == row.owner else o for o in inputs.sign_offs))


def _of_role(inputs: GateInputs, role: str) -> SignOff:
    return next(off for off in inputs.sign_offs if off.role == role)


def _unsigned(inputs: GateInputs, row: Row) -> GateInputs:
    return replace(inputs, sign_offs=tuple(off for off in inputs.sign_offs if off.role != row.owner))


def _copied(inputs: GateInputs, row: Row) -> GateInputs:
    """Another role's signature, entered for this role as well."""
    other = _of_role(inputs, _other_role(row))
    return replace(_unsigned(inputs, row), sign_offs=(*_unsigned(inputs, row).sign_offs, replace(other, role=row.owner)))


def _expired(inputs: GateInputs, row: Row) -> GateInputs:
    return _off(inputs, row, signed_at=inputs.now - timedelta(days=inputs.policy.sign_off_days))


def _worse(inputs: GateInputs, _row: Row) -> GateInputs:
    """The finding that was signed, now a warning."""
    signed = _as_signed(_judged(inputs, ROWS[0], Verdict.PASS), ROWS[0])
    return _judged(signed, ROWS[0], Verdict.WARN)


SIGNATURE_FAULTS: Mapping[str, tuple[ReasonCode, RowFault]] = {
    "not signed": (SignOffReason.SIGNATURE_MISSING, _unsigned),
    "signed with an unknown key": (SignOffReason.SIGNATURE_INVALID, lambda i, row: _off(i, row, key_role=None)),
    "signed with another role's key": (
        SignOffReason.SIGNATURE_OF_ANOTHER_ROLE,
        lambda i, row: _off(i, row, key_role=_other_role(row)),
    ),
    "another role's signature again": (SignOffReason.SIGNATURE_OF_ANOTHER_ROLE, _copied),
    "signed for another release": (
        SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE,
        lambda i, row: _off(i, row, release=replace(_RELEASE, digest=_OTHER_DIGEST)),
    ),
    "signed for another name of the release": (
        SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE,
        lambda i, row: _off(i, row, release=replace(_RELEASE, name="another")),
    ),
    "signed bytes that name no release": (
        SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE,
        lambda i, row: _off(i, row, release=None, frozen_at=None),
    ),
    "signed for another environment": (
        SignOffReason.SIGNATURE_OF_ANOTHER_ENVIRONMENT,
        lambda i, row: _off(i, row, release=replace(_RELEASE, environment="another")),
    ),
    "signed another statement": (
        SignOffReason.SIGNATURE_OF_ANOTHER_STATEMENT,
        lambda i, row: _off(i, row, statement_digest=_OTHER_DIGEST),
    ),
    "signed too long ago": (SignOffReason.SIGNATURE_EXPIRED, _expired),
    "signed in the future": (SignOffReason.SIGNATURE_FROM_THE_FUTURE, lambda i, row: _off(i, row, signed_at=i.now + 2 * _HOUR)),
    "signed before the statement was frozen": (
        SignOffReason.SIGNATURE_BEFORE_STATEMENT,
        lambda i, row: _off(i, row, frozen_at=i.now + _MOMENT),
    ),
    "signed with a revoked key": (SignOffReason.SIGNATURE_KEY_REVOKED, lambda i, row: _off(i, row, key_revoked_at=i.now)),
    "said to be signed before its key was revoked": (
        SignOffReason.SIGNATURE_KEY_REVOKED,
        lambda i, row: _off(i, row, key_revoked_at=i.now + _HOUR),
    ),
    "proved to be signed when its key was revoked": (
        SignOffReason.SIGNATURE_KEY_REVOKED,
        lambda i, row: _off(i, row, key_revoked_at=i.now, proved_at=i.now),
    ),
    "signed by nobody known": (SignOffReason.SIGNER_UNKNOWN, lambda i, row: _off(i, row, identity="")),
    "signed by the person of another role": (
        SignOffReason.SIGNER_REPEATED,
        lambda i, row: _off(i, row, identity=_of_role(i, _other_role(row)).identity.upper()),
    ),
    "signed with one key for two roles": (
        SignOffReason.SIGNER_REPEATED,
        lambda i, row: _off(i, row, key_id=_of_role(i, _other_role(row)).key_id),
    ),
    "nothing frozen to sign": (SignOffReason.NOTHING_TO_SIGN, lambda i, _: replace(i, statement=None)),
    "signed for an earlier series": (SignOffReason.SIGNATURE_VOID, lambda i, _: replace(i, series=2)),
    "policy changed since signed": (SignOffReason.SIGNATURE_VOID, lambda i, _: _signed(i, policy_digest=_OTHER_DIGEST)),
    "artifact changed since signed": (SignOffReason.SIGNATURE_VOID, lambda i, _: _signed(i, release_digest=_OTHER_DIGEST)),
    "waivers changed since signed": (SignOffReason.SIGNATURE_VOID, lambda i, _: _signed(i, waivers=frozenset({"gone"}))),
    "a row worse than it was signed": (SignOffReason.SIGNATURE_VOID, _worse),
    "a finding that was not signed": (SignOffReason.SIGNATURE_VOID, lambda i, _: _judged(i, ROWS[0], Verdict.PASS)),
    "a row not in what was signed": (SignOffReason.SIGNATURE_VOID, lambda i, _: _signed(i, rows={})),
}

#: Unusual signatures that must count.
SIGNATURE_CONTROLS: Mapping[str, RowFault] = {
    "proved to be signed before its key was revoked": lambda i, row: _off(
        i, row, key_revoked_at=i.now, proved_at=i.now - _MOMENT
    ),
    "signed the moment the statement was frozen": lambda i, row: _off(i, row, frozen_at=i.now),
}


def _signed(inputs: GateInputs, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of SignedFacts
    return replace(inputs, statement=replace(inputs.statement, **changes) if inputs.statement else None)


# --- the candidate as a whole ------------------------------------------------------------------------------------------------


def _bundle(inputs: GateInputs, **changes: Any) -> GateInputs:  # noqa: ANN401 - fields of Bundle
    return replace(inputs, bundle=replace(inputs.bundle, **changes) if inputs.bundle else None)


def _newer(inputs: GateInputs, rows: Rows | None) -> GateInputs:
    return replace(inputs, other_runs=(OtherRun(_OTHER_RUN, _RELEASE.environment, inputs.now + _HOUR, rows),))


_PASSED: Rows = {row.id: (Verdict.PASS, ()) for row in ALL_CHECKS if not row.is_sign_off}
_FAILED_ONCE: Rows = {**_PASSED, ROWS[0].id: (Verdict.FAIL, (_finding(ROWS[0], Verdict.FAIL),))}


def _deleted_failure(inputs: GateInputs) -> GateInputs:
    """A newer run failed, and only its evidence is left; a later one that left only evidence passed, which cures nothing."""
    runs = [
        OtherRun(f"deleted-run-{number}", _RELEASE.environment, inputs.now + number * _HOUR, rows, recorded=False)
        for number, rows in enumerate((_FAILED_ONCE, _PASSED), start=1)
    ]
    return replace(inputs, other_runs=tuple(runs))


def _passed_under(policy_digest: str, inputs: GateInputs) -> GateInputs:
    """A newer run failed, and a later one passed under this policy."""
    failed = OtherRun(_OTHER_RUN, _RELEASE.environment, inputs.now + _HOUR, _FAILED_ONCE, policies=frozenset({_POLICY_DIGEST}))
    passed = OtherRun("last-run", _RELEASE.environment, inputs.now + 2 * _HOUR, _PASSED, policies=frozenset({policy_digest}))
    return replace(inputs, other_runs=(failed, passed))


RELEASE_FAULTS: Mapping[str, tuple[str, Callable[[GateInputs], GateInputs]]] = {
    "no release": (SignOffReason.NO_RELEASE.code, lambda i: replace(i, release=None)),
    "no readiness run": (GateReason.NO_READINESS_RUN.code, lambda i: replace(i, run_id=None)),
    "no stored evidence": (GateReason.EVIDENCE_MISSING.code, lambda i: replace(i, bundle=None)),
    "evidence of another run": (GateReason.EVIDENCE_OF_ANOTHER_RUN.code, lambda i: _bundle(i, run_id=_OTHER_RUN)),
    "evidence edited": (GateReason.EVIDENCE_CHANGED.code, lambda i: _bundle(i, digest=_OTHER_DIGEST)),
    "evidence never sealed": (GateReason.EVIDENCE_CHANGED.code, lambda i: _bundle(i, sealed_digest=None)),
    "a newer run is unreadable": (GateReason.NEWER_RUN_UNREADABLE.code, lambda i: _newer(i, None)),
    "a newer run failed and was deleted": (GateReason.NEWER_RUN_DISAGREES.code, _deleted_failure),
    "a newer run failed, a later one passed under another policy": (
        GateReason.NEWER_RUN_DISAGREES.code,
        partial(_passed_under, _OTHER_DIGEST),
    ),
    "a fresh read closes": (
        "drilled_fresh_read",
        lambda i: replace(i, closing=(Reason(RELEASE, "FAIL", "drilled_fresh_read", "platform", "the drill's fault"),)),
    ),
}
RELEASE_CONTROLS: Mapping[str, Callable[[GateInputs], GateInputs]] = {
    "a newer run failed, a later one passed": partial(_passed_under, _POLICY_DIGEST),
}

#: What happened to one row in a newer run of the environment -> its verdict there.
NEWER_RUN_FAULTS: Mapping[str, Verdict] = {"fails in a newer run": Verdict.FAIL, "errs in a newer run": Verdict.ERROR}


def _newer_fault(row: Row, fault: str) -> str:
    return f"{row.id} {fault}"


# --- the cases ---------------------------------------------------------------------------------------------------------------


def blocking_rows(policy: GatePolicy) -> list[Row]:
    """The rows and extra checks that must pass, sign-offs apart."""
    return [row for row in ALL_CHECKS if not row.is_sign_off and is_blocking(row, policy)]


def cases(policy: GatePolicy, now: datetime) -> Iterator[DrillCase]:
    """Every case under a policy: first that the complete set opens, then each fault on each row, signatures, the candidate."""
    complete = complete_inputs(policy, now)
    yield DrillCase(RELEASE, CONTROL, Outcome.OPEN, "", lambda: complete)
    for row in blocking_rows(policy):
        for fault, (code, change) in ROW_FAULTS.items():
            yield DrillCase(row.id, fault, Outcome.BLOCKED, code, partial(change, complete, row))
        blocks = row.id in policy.warn_blocks
        expected, code = (Outcome.BLOCKED, _FINDING_CODE) if blocks else (Outcome.OPEN, "")
        yield DrillCase(row.id, WARNING, expected, code, partial(_warned, complete, row))
        yield from _waiver_cases(complete, row)
        for fault, verdict in NEWER_RUN_FAULTS.items():
            rows = {row.id: (verdict, (_finding(row, verdict),))}
            code = GateReason.NEWER_RUN_DISAGREES.code
            yield DrillCase(RELEASE, _newer_fault(row, fault), Outcome.BLOCKED, code, partial(_newer, complete, rows))
    for row in (row for row in ROWS if row.is_sign_off):
        for fault, (reason, change) in SIGNATURE_FAULTS.items():
            yield DrillCase(row.id, fault, Outcome.READY_TO_SIGN, reason.code, partial(change, complete, row))
        for control, change in SIGNATURE_CONTROLS.items():
            yield DrillCase(row.id, control, Outcome.OPEN, "", partial(change, complete, row))
    for fault, (code, change_all) in RELEASE_FAULTS.items():
        yield DrillCase(RELEASE, fault, Outcome.BLOCKED, code, partial(change_all, complete))
    for control, change_all in RELEASE_CONTROLS.items():
        yield DrillCase(RELEASE, control, Outcome.OPEN, "", partial(change_all, complete))
    yield from _fresh_cases(complete)
    for fault, (code, recorded) in RECORDED_FAULTS.items():
        yield DrillCase(RELEASE, fault, Outcome.BLOCKED, code, partial(recorded.given, complete))
    for control, recorded in RECORDED_CONTROLS.items():
        yield DrillCase(RELEASE, control, Outcome.OPEN, "", partial(recorded.given, complete))


def _waiver_cases(complete: GateInputs, row: Row) -> Iterator[DrillCase]:
    if not row.waivable:
        yield DrillCase(row.id, WAIVED_UNWAIVABLE, Outcome.BLOCKED, _FINDING_CODE, partial(_waived, complete, row))
        return
    for fault, change in WAIVER_FAULTS.items():
        yield DrillCase(row.id, fault, Outcome.BLOCKED, _FINDING_CODE, partial(change, complete, row))
    yield DrillCase(row.id, CONTROL, Outcome.OPEN, "", partial(_waived, complete, row))


def _fresh_cases(complete: GateInputs) -> Iterator[DrillCase]:
    """Gives the gate what the rules of the fresh reads find; alarms close only where the policy lets them."""
    context = FreshContext(_RELEASE, complete.now, complete.policy)

    def given(find: Find) -> Callable[[], GateInputs]:
        return lambda: replace(complete, closing=find(context))

    for fault, (code, find) in DEPLOYED_FAULTS.items():
        yield DrillCase(RELEASE, fault, Outcome.BLOCKED, code, given(find))
    for fault, (code, find) in ALARM_FAULTS.items():
        expected = (Outcome.BLOCKED, code) if alarms_count(complete.policy) else (Outcome.OPEN, "")
        yield DrillCase(RELEASE, fault, *expected, given(find))
    for control, find in FRESH_CONTROLS.items():
        yield DrillCase(RELEASE, control, Outcome.OPEN, "", given(find))


def required_cases(policy: GatePolicy) -> set[tuple[str, str]]:
    """(row, fault) of every case that a drill under this policy must have tried."""
    faults = (*RELEASE_FAULTS, *DEPLOYED_FAULTS, *ALARM_FAULTS, *RECORDED_FAULTS)
    about_all = (*faults, *RELEASE_CONTROLS, *FRESH_CONTROLS, *RECORDED_CONTROLS)
    required = {(RELEASE, fault) for fault in (CONTROL, *about_all)}
    required |= {(row.id, fault) for row in ROWS if row.is_sign_off for fault in (*SIGNATURE_FAULTS, *SIGNATURE_CONTROLS)}
    for row in blocking_rows(policy):
        waivers = (*WAIVER_FAULTS, CONTROL) if row.waivable else (WAIVED_UNWAIVABLE,)
        required |= {(row.id, fault) for fault in (*ROW_FAULTS, WARNING, *waivers)}
        required |= {(RELEASE, _newer_fault(row, fault)) for fault in NEWER_RUN_FAULTS}
    return required


Decide = Callable[[GateInputs], Decision]


def drill(policy: GatePolicy, now: datetime, *, gate: Decide = decide) -> GateDrill:
    """The table `gate_drill`: every case tried on `gate`.

    A case that raises is a row with its problem; the drill goes on.
    """
    return GATE_DRILL.gathered((_tried(case, gate) for case in cases(policy, now)), NoFacts())


def _tried(case: DrillCase, gate: Decide) -> DrilledCase:
    outcome, codes, problem = None, "", None
    try:
        decision = gate(case.inputs())
        outcome = str(decision.outcome)
        codes = " ".join(sorted({reason.code for reason in decision.reasons if reason.row == case.row}))
    except Exception:  # noqa: BLE001 - a gate that raises is what the drill is to find out
        problem = traceback.format_exc(limit=-2)
    return DrilledCase(
        case=case.name,
        row=case.row,
        fault=case.fault,
        expected=str(case.expected),
        expected_code=case.code,
        outcome=outcome,
        codes=codes,
        problem=problem,
    )
