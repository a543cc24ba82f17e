"""The decision: OPEN implies every condition, each said again here independently; a fault never opens; every reason is named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from phase5_ops.checklist import ALL_CHECKS, EXTRA_CHECKS, ROLES, ROW_OF_CHECK, ROWS
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.row_state import max_age
from phase5_ops.gate.drill.cases import ROW_FAULTS, SIGNATURE_FAULTS, both, complete_inputs, good_waiver
from phase5_ops.gate.records import (
    Bundle,
    GateInputs,
    OtherRun,
    Outcome,
    Reason,
    Release,
    RowFacts,
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

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = GatePolicy()
COMPLETE = complete_inputs(POLICY, NOW)
EVIDENCE_ROWS = [row for row in ALL_CHECKS if not row.is_sign_off]
UNWAIVABLE = {"3.1", "3.3", "4.1", "4.2", "4.3", "S.1", "S.2", "S.3"}
FAIL, PASS, WARN = Verdict.FAIL, Verdict.PASS, Verdict.WARN


def changed(inputs: GateInputs, check: str, passed: bool | None = True, run=..., **changes) -> GateInputs:
    inputs = both(inputs, ROW_OF_CHECK[check], **changes)
    result = replace(inputs.results[check], passed=passed, run=inputs.results[check].run if run is ... else run)
    return replace(inputs, results={**inputs.results, check: result})


def failing(inputs: GateInputs, row, verdict: Verdict = FAIL, *subjects: str) -> GateInputs:
    findings = tuple(Finding("broken", verdict, subject, "whole", "broken", "https://e/1") for subject in subjects or ("it",))
    return changed(inputs, row.check, verdict=verdict, passed=verdict is PASS, findings=findings)


# --- what it says ------------------------------------------------------------------------------------------------------------


def test_reasons_come_in_checklist_order_with_the_release_first():
    inputs = replace(COMPLETE, bundle=replace(COMPLETE.bundle, digest="sha256:" + "1" * 64), sign_offs=())
    for row in reversed(EVIDENCE_ROWS):
        inputs = failing(inputs, row)
    decision = decide(inputs)
    order = ["release", *(row.id for row in ALL_CHECKS)]
    assert [reason.row for reason in decision.reasons] == sorted((r.row for r in decision.reasons), key=order.index)
    assert {reason.row for reason in decision.reasons} == set(order)


def test_every_blocking_finding_is_a_reason_with_its_link():
    decision = decide(failing(COMPLETE, ROWS[0], FAIL, "a", "b"))
    assert [(r.code, r.subject, r.link) for r in decision.reasons if r.row == "1.1"] == [
        ("broken", "a", "https://e/1"),
        ("broken", "b", "https://e/1"),
    ]
    assert str(decision.reasons[0]) == "1.1 FAIL broken a: broken"


def test_a_result_that_is_stale_and_failing_says_both():
    inputs = changed(failing(COMPLETE, ROWS[0]), ROWS[0].check, passed=False, observed_at=NOW - timedelta(hours=73))
    decision = decide(inputs)
    assert {"evidence_stale", "broken"} <= {reason.code for reason in decision.reasons}
    assert decision.rows[0].state == "STALE"


def test_everything_but_signatures_is_ready_to_sign():
    decision = decide(replace(COMPLETE, sign_offs=(), statement=None))
    assert decision.outcome is Outcome.READY_TO_SIGN
    assert decision.opened_on is None
    assert {reason.code for reason in decision.reasons} == {"nothing_to_sign"}


def test_a_run_without_a_release_has_nothing_to_sign_and_is_blocked():
    decision = decide(replace(COMPLETE, release=None))
    assert decision.outcome is Outcome.BLOCKED
    assert {reason.code for reason in decision.reasons} == {"no_release"}
    assert [reason.seen for reason in decision.reasons if reason.row == "S.1"] == ["no release to sign"]


def test_the_gates_own_age_bears_on_every_row():
    inputs = changed(COMPLETE, ROWS[0].check, observed_at=NOW - timedelta(hours=2))
    assert decide(inputs).outcome is Outcome.OPEN
    strict = replace(inputs, policy=GatePolicy(max_evidence_age_hours=1))
    assert [reason.code for reason in decide(strict).reasons] == ["evidence_stale"]
    loose = replace(
        changed(COMPLETE, ROWS[0].check, observed_at=NOW - timedelta(hours=80)), policy=GatePolicy(max_evidence_age_hours=96)
    )
    assert decide(loose).outcome is Outcome.OPEN


def test_a_row_with_a_shorter_age_of_its_own_keeps_it():
    row = replace(ROWS[0], max_age_hours=2)
    assert max_age(row, GatePolicy(max_evidence_age_hours=96)) == timedelta(hours=2)
    assert max_age(row, GatePolicy(max_evidence_age_hours=1)) == timedelta(hours=1)


def test_evidence_exactly_as_old_as_allowed_still_counts():
    assert decide(changed(COMPLETE, ROWS[0].check, observed_at=NOW - timedelta(hours=72))).outcome is Outcome.OPEN


def test_a_decision_says_until_when_its_evidence_is_fresh():
    inputs = changed(COMPLETE, ROWS[3].check, observed_at=NOW - timedelta(hours=10))
    assert decide(inputs).fresh_until == NOW + timedelta(hours=62)
    assert decide(changed(COMPLETE, ROWS[3].check, run=None)).fresh_until is None


def test_warnings_open_unless_the_policy_says_otherwise():
    row = ROWS[4]
    statement = replace(
        COMPLETE.statement, rows={**COMPLETE.statement.rows, row.id: RowFacts(WARN, frozenset({("broken", "it")}))}
    )
    inputs = replace(failing(COMPLETE, row, WARN), statement=statement)
    assert decide(inputs).outcome is Outcome.OPEN
    blocked = decide(replace(inputs, policy=GatePolicy(warn_blocks=(row.id,))))
    assert [(reason.row, reason.state) for reason in blocked.reasons] == [(row.id, "WARN")]


def test_an_extra_check_blocks_unless_the_policy_only_shows_it():
    extra = EXTRA_CHECKS[0]
    assert decide(failing(COMPLETE, extra)).outcome is Outcome.BLOCKED
    shown = replace(failing(COMPLETE, extra), policy=GatePolicy(extra_checks_warn_only=(extra.check,)))
    decision = decide(shown)
    assert next(row for row in decision.rows if row.row == extra.id).state == "FAIL"
    assert {reason.row for reason in decision.reasons} == {"S.1", "S.2", "S.3"}  # it is worse than what was signed
    assert decision.outcome is Outcome.READY_TO_SIGN


def test_a_waived_row_is_shown_as_waived_and_its_waiver_as_used():
    row = ROWS[0]
    waiver = replace(good_waiver(COMPLETE, row), pairs=frozenset({("broken", "it")}))
    facts = RowFacts(FAIL, frozenset({("broken", "it")}))
    statement = replace(COMPLETE.statement, rows={**COMPLETE.statement.rows, row.id: facts}, waivers=frozenset({waiver.id}))
    decision = decide(replace(failing(COMPLETE, row), waivers=(waiver,), statement=statement))
    assert decision.outcome is Outcome.OPEN
    assert decision.rows[0].waived
    assert decision.rows[0].state == "FAIL"
    assert decision.waivers_used == {waiver.id}
    assert decision.facts[row.id] == facts


def test_a_waiver_that_matches_nothing_is_reported_and_changes_nothing():
    decision = decide(replace(COMPLETE, waivers=(good_waiver(COMPLETE, ROWS[0]),)))
    assert decision.outcome is Outcome.OPEN
    assert decision.unmatched_waivers == (("waiver of 1.1", ("drilled_finding", "subject of 1.1")),)


def test_a_refused_waiver_is_named_in_the_reason():
    row = ROWS[0]
    waiver = replace(good_waiver(COMPLETE, row), pairs=frozenset({("broken", "it")}), signed_by=row.owner)
    (reason,) = [r for r in decide(replace(failing(COMPLETE, row), waivers=(waiver,))).reasons if r.row == "1.1"]
    assert "owner" in reason.seen


# --- newer runs --------------------------------------------------------------------------------------------------------------


def newer(
    hours: float, rows, environment: str = "drill", *, recorded: bool = True, policies=(COMPLETE.policy_digest,)
) -> OtherRun:
    at = NOW + timedelta(hours=hours)
    return OtherRun(f"newer-{hours}", environment, at, rows, recorded, policies=frozenset(policies))


ALL_PASS = {row.id: (PASS, ()) for row in EVIDENCE_ROWS}
ONE_FAILS = {**ALL_PASS, "2.2": (FAIL, (Finding("broken", FAIL, "it", "", ""),))}
ONE_UNDECIDED = {**ALL_PASS, "2.2": (Verdict.INCONCLUSIVE, (Finding("broken", Verdict.INCONCLUSIVE, "it", "", ""),))}
ONE_ROW_ONLY = {"2.2": (PASS, ())}


@pytest.mark.parametrize(
    ("runs", "outcome"),
    [
        ((newer(1, ONE_FAILS),), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, ALL_PASS)), Outcome.OPEN),
        ((newer(2, ONE_FAILS), newer(1, ALL_PASS)), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, ONE_UNDECIDED)), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, ONE_ROW_ONLY)), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, {})), Outcome.BLOCKED),
        ((newer(1, ONE_UNDECIDED),), Outcome.OPEN),
        ((newer(1, None),), Outcome.BLOCKED),
        ((newer(1, None), newer(2, ALL_PASS)), Outcome.OPEN),
        ((newer(-1, ONE_FAILS),), Outcome.OPEN),
        ((newer(0, ONE_FAILS),), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS, environment="staging"),), Outcome.OPEN),
        ((newer(1, ONE_FAILS, recorded=False),), Outcome.BLOCKED),
        ((newer(1, None, recorded=False),), Outcome.BLOCKED),
        ((newer(1, ALL_PASS, recorded=False),), Outcome.OPEN),
        ((newer(1, ONE_FAILS), newer(2, ALL_PASS, recorded=False)), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS, recorded=False), newer(2, ALL_PASS)), Outcome.OPEN),
        ((newer(1, ONE_FAILS), newer(2, ALL_PASS, policies=["sha256:" + "f" * 64])), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, ALL_PASS, policies=[COMPLETE.policy_digest, None])), Outcome.BLOCKED),
        ((newer(1, ONE_FAILS), newer(2, ALL_PASS, policies=[])), Outcome.BLOCKED),
    ],
)
def test_a_newer_run_that_disagrees_blocks_until_a_newer_one_passes(runs, outcome):
    assert decide(replace(COMPLETE, other_runs=runs)).outcome is outcome


def test_where_the_end_of_the_run_is_not_known_every_other_run_is_newer():
    inputs = replace(COMPLETE, other_runs=(newer(-1, ONE_FAILS),), run_completed_at=None)
    assert {reason.code for reason in decide(inputs).reasons} == {"newer_run_disagrees"}


def test_a_newer_run_that_fails_only_what_is_waived_does_not_disagree():
    row = next(row for row in ROWS if row.id == "2.2")
    waiver = replace(good_waiver(COMPLETE, row), pairs=frozenset({("broken", "it")}))
    assert decide(replace(COMPLETE, other_runs=(newer(1, ONE_FAILS),), waivers=(waiver,))).outcome is Outcome.OPEN


# --- confirmation ------------------------------------------------------------------------------------------------------------


def test_signatures_stand_for_a_confirmation_run_that_is_no_worse():
    row = ROWS[0]
    signed = {**COMPLETE.statement.rows, row.id: RowFacts(WARN, frozenset({("broken", "it"), ("broken", "other")}))}
    inputs = replace(
        failing(COMPLETE, row, WARN), statement=replace(COMPLETE.statement, rows=signed, evidence_digest="sha256:old")
    )
    assert decide(inputs).outcome is Outcome.OPEN
    assert decide(replace(COMPLETE, statement=inputs.statement)).outcome is Outcome.OPEN


def test_signatures_are_void_for_a_confirmation_run_with_a_new_finding_and_the_difference_is_named():
    row = ROWS[0]
    signed = {**COMPLETE.statement.rows, row.id: RowFacts(WARN, frozenset({("broken", "other")}))}
    decision = decide(replace(failing(COMPLETE, row, WARN), statement=replace(COMPLETE.statement, rows=signed)))
    assert decision.outcome is Outcome.READY_TO_SIGN
    assert {reason.code for reason in decision.reasons} == {"signature_void"}
    assert all("row 1.1 has broken it" in reason.seen for reason in decision.reasons)


def test_one_signature_that_counts_is_enough_beside_others_that_do_not():
    bad = replace(COMPLETE.sign_offs[0], key_role=None)
    assert decide(replace(COMPLETE, sign_offs=(bad, *COMPLETE.sign_offs, bad))).outcome is Outcome.OPEN


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        decide(replace(COMPLETE, now=datetime(2026, 11, 23)))


# --- properties --------------------------------------------------------------------------------------------------------------

DIGESTS = [COMPLETE.release.digest, "sha256:" + "9" * 64]
RARE = 12
USUAL = 8


def mostly(usual, others):
    """The usual value, now and then another: so that whole sets without a fault are common enough."""
    return st.sampled_from([usual] * USUAL * len(others) + list(others))


@st.composite
def results(draw, row):
    base = COMPLETE.results[row.check]
    if draw(st.integers(0, RARE)) == RARE:
        return None
    verdict = draw(st.sampled_from([PASS, *Verdict, WARN, FAIL]))
    subjects = draw(st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2, unique=True)) if verdict is not PASS else []
    findings = tuple(Finding("code", verdict, subject, "", "") for subject in subjects)
    if draw(st.integers(0, RARE)) == RARE:
        findings = (*findings, Finding("hidden", draw(st.sampled_from(list(Verdict))), "z", "", ""))
    run = RunFacts(
        draw(mostly("run-of-the-drill", ["other"])),
        draw(mostly("readiness_job", ["other_job", ""])),
        draw(mostly(RunState.FINISHED, [RunState.RUNNING, RunState.UNKNOWN])),
        draw(mostly("drill", ["production", None])),
        draw(mostly(DIGESTS[0], [DIGESTS[1], None])),
        draw(mostly(False, [True])),
    )
    return StoredResult(
        check=draw(mostly(row.check, ["another"])),
        run=draw(mostly(run, [None])),
        evaluated=draw(mostly(True, [False])),
        passed=draw(mostly(verdict is PASS, [True, False, None])),
        verdict=draw(mostly(verdict, [None, PASS])),
        findings=findings,
        observed_at=draw(
            mostly(
                NOW,
                [None, NOW - timedelta(hours=71), NOW - timedelta(hours=73), NOW + timedelta(hours=1), NOW - timedelta(hours=5)],
            )
        ),
        target_run_id=draw(mostly("run-of-the-drill", ["other", None])),
        tables=draw(mostly(base.tables, [{}, {row.asset: DIGESTS[1]}])),
        verdict_file=draw(mostly(base.verdict_file, [None, DIGESTS[1]])),
        policy_digest=draw(mostly(base.policy_digest, [None, DIGESTS[1]])),
    )


def stored_as(result: StoredResult, row) -> StoredVerdict:
    """The verdict file of which this result is the record."""
    digest = COMPLETE.bundle.verdicts[row.check].digest
    return StoredVerdict(digest, result.verdict, result.findings, result.observed_at, result.tables, result.policy_digest)


@st.composite
def waivers(draw, index, rows):
    row = draw(st.sampled_from(rows))
    issued = NOW + draw(st.sampled_from([timedelta(0), timedelta(0), -timedelta(days=13), timedelta(days=1)]))
    return Waiver(
        f"w{index}",
        row.id,
        draw(mostly(DIGESTS[0], DIGESTS)),
        draw(st.sampled_from([frozenset({("code", "x"), ("code", "y")}), frozenset({("code", "x")}), frozenset()])),
        "reason",
        "T-1",
        issued,
        issued + draw(st.sampled_from([timedelta(days=1), timedelta(days=14), timedelta(days=15)])),
        draw(st.sampled_from([*ROLES, None])),
        draw(mostly("someone", [""])),
    )


SIGNED_FOR = Release("r", DIGESTS[0], "drill")
SIGNED_FOR_OTHERS = [replace(SIGNED_FOR, **{part: "x"}) for part in ("name", "digest", "environment")]


@st.composite
def sign_offs(draw, role):
    return SignOff(
        role,
        draw(mostly(role, [*ROLES, None])),
        draw(mostly(f"key-{role}", ["key-shared"])),
        draw(mostly(f"person-{role}", ["person-shared", ""])),
        draw(mostly(COMPLETE.statement.statement_digest, DIGESTS)),
        draw(mostly(SIGNED_FOR, SIGNED_FOR_OTHERS)),
        NOW + draw(mostly(timedelta(0), [timedelta(days=-8), timedelta(days=1), timedelta(days=-1)])),
        NOW + draw(mostly(timedelta(days=-9), [timedelta(days=-2), timedelta(0), timedelta(hours=1)])),
        draw(mostly(None, [NOW, NOW - timedelta(days=30), NOW + timedelta(days=1)])),
        draw(st.sampled_from([None, NOW, NOW - timedelta(days=31)])),
    )


@st.composite
def situations(draw):
    policy = draw(
        st.sampled_from(
            [
                POLICY,
                GatePolicy(warn_blocks=("1.1", "2.1")),
                GatePolicy(extra_checks_warn_only=("tool_slo_met",)),
                GatePolicy(max_evidence_age_hours=4),
            ]
        )
    )
    disturbed = draw(st.sets(st.sampled_from(range(len(EVIDENCE_ROWS))), max_size=2))
    found = {
        row.check: draw(results(row)) if index in disturbed else COMPLETE.results[row.check]
        for index, row in enumerate(EVIDENCE_ROWS)
    }
    present = {check: result for check, result in found.items() if result is not None}
    closed = [row for row in EVIDENCE_ROWS if row.check in present and present[row.check].verdict not in (PASS, WARN)]
    given_waivers = tuple(draw(waivers(index, closed or EVIDENCE_ROWS)) for index in range(draw(st.integers(0, 3))))
    signed_rows = {
        row.id: RowFacts(present[row.check].verdict, frozenset((f.code, f.subject) for f in present[row.check].findings))
        for row in EVIDENCE_ROWS
        if row.check in present and present[row.check].verdict is not None
    }
    if draw(st.integers(0, RARE)) == RARE:
        signed_rows["1.1"] = RowFacts(PASS)
    signed_waivers = draw(st.sampled_from([frozenset(), frozenset({"w0"}), frozenset(w.id for w in given_waivers)]))
    statement = SignedFacts(
        COMPLETE.statement.statement_digest,
        draw(mostly(DIGESTS[0], DIGESTS)),
        draw(mostly(COMPLETE.policy_digest, DIGESTS)),
        COMPLETE.statement.evidence_digest,
        signed_rows,
        signed_waivers,
    )
    bundle = replace(
        COMPLETE.bundle,
        verdicts={
            row.check: draw(mostly(stored_as(present[row.check], row), [COMPLETE.bundle.verdicts[row.check]]))
            if row.check in present and present[row.check] is not COMPLETE.results[row.check]
            else COMPLETE.bundle.verdicts[row.check]
            for row in EVIDENCE_ROWS
        },
        run_id=draw(mostly("run-of-the-drill", ["other"])),
        sealed_digest=draw(mostly(COMPLETE.bundle.digest, [None, DIGESTS[1]])),
    )
    return GateInputs(
        release=draw(mostly(SIGNED_FOR, [None])),
        run_id=draw(mostly("run-of-the-drill", ["other", None])),
        results=present,
        bundle=draw(mostly(bundle, [None])),
        policy_digest=COMPLETE.policy_digest,
        policy=policy,
        now=NOW,
        statement=draw(mostly(statement, [None])),
        sign_offs=tuple(draw(sign_offs(role)) for role in ROLES for _ in range(draw(mostly(1, [0, 2])))),
        waivers=given_waivers,
        other_runs=draw(mostly((), [(newer(1, ONE_FAILS),), (newer(1, ALL_PASS),), (newer(1, None),)])),
        run_completed_at=draw(mostly(NOW, [None])),
        closing=draw(mostly((), [(Reason("release", "FAIL", "alarm", "a", "firing"),)])),
        allow_fixed_now=draw(st.booleans()),
    )


def may_open(inputs: GateInputs) -> bool:
    """The conditions said again, from the requirements and without the gate's code."""
    return (
        inputs.release is not None
        and inputs.run_id is not None
        and _evidence_whole(inputs)
        and not inputs.closing
        and all(_row_holds(inputs, row) for row in EVIDENCE_ROWS if row.check not in inputs.policy.extra_checks_warn_only)
        and _signed_by_three(inputs)
        and not any(
            run.rows is None or (run.rows == ONE_FAILS and not _waived(inputs, "2.2", {("broken", "it")}))
            for run in inputs.other_runs
        )
    )


def _evidence_whole(inputs: GateInputs) -> bool:
    bundle: Bundle | None = inputs.bundle
    return bundle is not None and bundle.run_id == inputs.run_id and bundle.digest == bundle.sealed_digest


def _row_holds(inputs: GateInputs, row) -> bool:
    result = inputs.results.get(row.check)
    if result is None or result.run is None or not result.evaluated or result.verdict is None or result.observed_at is None:
        return False
    run, release, bundle = result.run, inputs.release, inputs.bundle
    trusted = (
        result.check == row.check
        and (run.job, run.run_id, run.state) == ("readiness_job", inputs.run_id, RunState.FINISHED)
        and (run.environment, run.release_digest) == (release.environment, release.digest)
        and (inputs.allow_fixed_now or not run.fixed_now)
        and result.target_run_id == run.run_id
        and result.policy_digest == inputs.policy_digest
        and row.asset in result.tables
        and all(bundle.tables[asset] == digest for asset, digest in result.tables.items())
        and bundle.verdicts[row.check] == replace(stored_as(result, row), digest=result.verdict_file)
        and timedelta(minutes=-5) <= inputs.now - result.observed_at <= timedelta(hours=inputs.policy.max_evidence_age_hours)
    )
    order = [PASS, WARN, Verdict.INCONCLUSIVE, FAIL, Verdict.ERROR]
    worst_found = max((f.verdict for f in result.findings), key=order.index, default=PASS)
    flags = {PASS: [True], WARN: [True, False]}.get(
        result.verdict, [False]
    )  # a warning was flagged as passed in earlier versions
    consistent = worst_found == result.verdict and result.passed in flags
    if not trusted or not consistent:
        return False
    if result.verdict is PASS or (result.verdict is WARN and row.id not in inputs.policy.warn_blocks):
        return True
    closing = [
        f for f in result.findings if f.verdict not in (PASS, WARN) or (f.verdict is WARN and row.id in inputs.policy.warn_blocks)
    ]
    if row.id in UNWAIVABLE or not closing or any(f.verdict is Verdict.ERROR for f in closing):
        return False
    return _waived(inputs, row.id, {(f.code, f.subject) for f in closing})


def _waived(inputs: GateInputs, row_id: str, pairs: set) -> bool:
    owner = next(row.owner for row in ALL_CHECKS if row.id == row_id)
    for waiver in inputs.waivers:
        in_force = waiver.issued_at <= NOW + timedelta(minutes=5) and waiver.until > NOW
        short = waiver.until - waiver.issued_at <= timedelta(days=14)
        signed = waiver.signed_by is not None and waiver.signed_by != owner and waiver.identity
        if waiver.row == row_id and waiver.release_digest == inputs.release.digest and in_force and short and signed:
            pairs = pairs - waiver.pairs
    return not pairs


def _signed_by_three(inputs: GateInputs) -> bool:
    statement = inputs.statement
    if statement is None or statement.release_digest != inputs.release.digest or statement.policy_digest != inputs.policy_digest:
        return False
    people: dict[str, set[str]] = {}
    for off in inputs.sign_offs:
        counts = (
            off.key_role == off.role
            and off.identity
            and off.statement_digest == statement.statement_digest
            and off.release == inputs.release
            and off.frozen_at <= off.signed_at
            and timedelta(minutes=-5) <= NOW - off.signed_at < timedelta(days=7)
            and (off.key_revoked_at is None or (off.proved_at is not None and off.proved_at < off.key_revoked_at))
        )
        if counts:
            people.setdefault(off.role, set()).add(off.identity)
    if set(people) != set(ROLES):
        return False
    return any(len({a, b, c}) == 3 for a in people[ROLES[0]] for b in people[ROLES[1]] for c in people[ROLES[2]])


@settings(max_examples=400)
@given(situations())
def test_open_implies_every_condition(inputs: GateInputs):
    decision = decide(inputs)
    event(str(decision.outcome) + (" with a waiver" if decision.waivers_used else ""))
    if decision.outcome is Outcome.OPEN:
        assert may_open(inputs)
        assert decision.reasons == ()
        assert decision.opened_on.evidence_digest == inputs.bundle.digest
    else:
        assert decision.opened_on is None
        assert decision.reasons, "closed without a reason"


@settings(max_examples=200)
@given(
    situations(),
    st.lists(st.tuples(st.sampled_from(EVIDENCE_ROWS), st.sampled_from(sorted(ROW_FAULTS))), max_size=2),
    st.lists(
        st.tuples(st.sampled_from([r for r in ROWS if r.is_sign_off]), st.sampled_from(sorted(SIGNATURE_FAULTS))), max_size=2
    ),
)
def test_adding_a_fault_never_opens(inputs: GateInputs, row_faults, signature_faults):
    inputs = replace(inputs, results={**COMPLETE.results, **inputs.results})
    before = decide(inputs).outcome
    faulty = inputs
    for row, fault in row_faults:
        if row.check in faulty.results and faulty.bundle is not None:
            faulty = ROW_FAULTS[fault][1](faulty, row)
    after = decide(faulty).outcome
    blocking = [row for row, _ in row_faults if row.check not in inputs.policy.extra_checks_warn_only]
    if before is not Outcome.OPEN:
        assert after is not Outcome.OPEN
    if blocking and not inputs.waivers and not inputs.allow_fixed_now:
        assert after is Outcome.BLOCKED
    roles = {off.role for off in faulty.sign_offs}
    if roles == set(ROLES):
        for row, fault in signature_faults:
            if {off.role for off in faulty.sign_offs} == set(ROLES) and faulty.results.keys() >= COMPLETE.results.keys():
                faulty = SIGNATURE_FAULTS[fault][1](faulty, row)
        if after is not Outcome.OPEN:
            assert decide(faulty).outcome is not Outcome.OPEN


@settings(max_examples=200)
@given(st.data())
def test_a_complete_set_opens_whatever_its_tables_are_called(data):
    policy = data.draw(st.sampled_from([POLICY, GatePolicy(warn_blocks=("1.1",)), GatePolicy(max_evidence_age_hours=1)]))
    now = NOW + timedelta(seconds=data.draw(st.integers(-(10**8), 10**8)))
    assert decide(complete_inputs(policy, now)).outcome is Outcome.OPEN
