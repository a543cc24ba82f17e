"""The gate drill passes on this gate, and tells every kind of broken gate from a sound one."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import (
    GATE_DRILL,
    ROW_FAULTS,
    SIGNATURE_FAULTS,
    WAIVER_FAULTS,
    GateDrill,
    _fresh_cases,
    _tried,
    blocking_rows,
    complete_inputs,
    drill,
    required_cases,
)
from phase5_ops.gate.drill.fresh_cases import ALARM_FAULTS, DEPLOYED_FAULTS, FRESH_CONTROLS
from phase5_ops.gate.drill.judge import judge_gate_drill
from phase5_ops.gate.reasons import BY_NAME
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Reason
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import run
from phase5_ops_tests.evidence.kept_tables import assert_kept

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = GatePolicy()
ABOUT_FRESH_READS = frozenset((*DEPLOYED_FAULTS, *ALARM_FAULTS, *FRESH_CONTROLS))


def judged(table: GateDrill, policy: GatePolicy = POLICY, *, reads: bool = True):
    if reads:
        table = table.with_reads([Read("phase5:Decide", "gate", ReadStatus.OK, None, 1, "", "")], NOW)
    return judge_gate_drill(table, policy=policy)


@cache
def sound() -> tuple[GateDrill, tuple[Decision, ...]]:
    """The drill of this gate under the default policy, held once, and its decisions in the order of the cases."""
    decisions: list[Decision] = []

    def noting(inputs: GateInputs) -> Decision:
        decisions.append(decide(inputs))
        return decisions[-1]

    return drill(POLICY, NOW, gate=noting), tuple(decisions)


@pytest.fixture(scope="module", autouse=True)
def _held_before_a_rule_is_broken() -> None:
    sound()


def drilled_but(**changes: object) -> GateDrill:
    """The drill of a gate that decides as this one, with these changes of each decision."""
    decisions = iter(sound()[1])
    return drill(POLICY, NOW, gate=lambda _: replace(next(decisions), **changes))


def drilled_anew() -> GateDrill:
    """The drill of this gate as its rules on fresh reads are now; cases that these do not reach are as they were."""
    complete = complete_inputs(POLICY, NOW)
    fresh = {case.name: _tried(case, decide) for case in _fresh_cases(complete)}
    assert len(fresh) == len(ABOUT_FRESH_READS)
    return GATE_DRILL.gathered([fresh.get(row.case, row) for row in sound()[0].rows], NoFacts())


def codes(judgement) -> set[str]:
    return {finding.code for finding in judgement.findings}


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        GatePolicy(warn_blocks=("1.1", "2.2", "tool_slo_met")),
        GatePolicy(extra_checks_warn_only=("tool_slo_met", "no_slo_alarm_firing")),
        GatePolicy(warn_blocks=tuple(row.id for row in ALL_CHECKS if not row.is_sign_off)),
        GatePolicy(max_evidence_age_hours=1, sign_off_days=0.1, waiver_days=0.5, clock_skew_seconds=0),
    ],
    ids=["default", "warnings block", "extra checks only shown", "every warning blocks", "strict"],
)
def test_this_gate_passes_its_drill_under_any_policy(policy: GatePolicy):
    judgement = judged(sound()[0] if policy == POLICY else drill(policy, NOW), policy)
    assert judgement.findings == ()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["cases"] == len(required_cases(policy))


def test_a_gate_that_always_opens_fails_every_fault():
    judgement = judged(drilled_but(outcome=Outcome.OPEN))
    assert judgement.verdict is Verdict.FAIL
    assert codes(judgement) == {"gate_opened_when_it_should_not"}
    assert len(judgement.findings) == judgement.facts["faults"]


def test_a_gate_that_lets_people_sign_an_unfit_candidate_fails():
    assert codes(judged(drilled_but(outcome=Outcome.READY_TO_SIGN))) == {
        "gate_opened_when_it_should_not",
        "gate_closed_for_complete_set",
    }


def test_a_gate_that_never_opens_shows_nothing():
    assert codes(judged(drilled_but(outcome=Outcome.BLOCKED))) == {"gate_closed_for_complete_set"}


def test_a_gate_that_does_not_say_why_fails():
    assert codes(judged(drilled_but(reasons=()))) == {"gate_gave_another_reason"}


def test_a_gate_that_raises_is_an_error_of_that_case_alone():
    decisions = iter(sound()[1])

    def fragile(inputs):
        decision = next(decisions)
        if inputs.bundle is None:
            raise RuntimeError("no bundle")
        return decision

    judgement = judged(drill(POLICY, NOW, gate=fragile))
    assert judgement.verdict is Verdict.ERROR
    assert [(f.code, f.subject, f.seen) for f in judgement.findings] == [
        ("drill_case_failed", "release no stored evidence", "RuntimeError: no bundle")
    ]


def test_a_drill_that_was_not_held_is_an_error():
    empty = GATE_DRILL.gathered([], NoFacts())
    judgement = judged(empty)
    assert judgement.verdict is Verdict.ERROR
    assert codes(judgement) == {"drill_incomplete"}


def test_a_drill_that_left_a_case_out_is_an_error():
    cases = [case for case in sound()[0].rows if case.case != "4.2 stale"]
    assert codes(judged(GATE_DRILL.gathered(cases, NoFacts()))) == {"drill_incomplete"}


def test_a_drill_under_another_policy_leaves_cases_out():
    table = drill(GatePolicy(extra_checks_warn_only=("tool_slo_met",)), NOW)
    assert codes(judged(table)) == {"drill_incomplete"}


def test_a_table_that_does_not_say_how_it_came_about_is_an_error():
    assert codes(judged(sound()[0], reads=False)) == {"reads_missing"}


def test_every_row_is_drilled_with_every_fault():
    rows = blocking_rows(POLICY)
    assert [row.id for row in rows] == [row.id for row in ALL_CHECKS if not row.is_sign_off]
    assert len(ROW_FAULTS) >= 20
    assert len(SIGNATURE_FAULTS) >= 15
    assert len(WAIVER_FAULTS) >= 10


FRESH_RULES = {  # rule -> how many cases it decides alone
    "phase5_ops.gate.drill.fresh_cases.recorded_problems": 10,
    "phase5_ops.gate.drill.fresh_cases.present_problems": 4,
    "phase5_ops.gate.drill.fresh_cases.alarm_problems": 7,
    "phase5_ops.gate.decision.deployed_rules.differences": 6,
    "phase5_ops.gate.decision.deployed_rules._about_candidate": 2,
    "phase5_ops.gate.decision.alarm_rules._against": 4,
}


@pytest.mark.parametrize("rule", FRESH_RULES)
def test_a_rule_of_the_fresh_reads_that_finds_nothing_fails_the_row(rule, monkeypatch):
    monkeypatch.setattr(rule, lambda *_: ())
    judgement = judged(drilled_anew())
    assert judgement.verdict is Verdict.FAIL
    assert [finding.code for finding in judgement.findings] == ["gate_opened_when_it_should_not"] * FRESH_RULES[rule]


@pytest.mark.parametrize("rule", FRESH_RULES)
def test_a_rule_of_the_fresh_reads_that_raises_is_an_error_of_its_cases_alone(rule, monkeypatch):
    monkeypatch.setattr(rule, lambda *_: 1 / 0)
    judgement = judged(drilled_anew())
    assert judgement.verdict is Verdict.ERROR
    assert {(finding.code, finding.seen) for finding in judgement.findings} == {
        ("drill_case_failed", "ZeroDivisionError: division by zero")
    }
    assert FRESH_RULES[rule] <= len(judgement.findings) <= len(ABOUT_FRESH_READS)


def test_rules_of_the_fresh_reads_that_raise_reach_no_other_case(monkeypatch):
    for rule in FRESH_RULES:
        monkeypatch.setattr(rule, lambda *_: 1 / 0)
    table = drill(POLICY, NOW)
    assert {case.fault for case in table.rows if case.problem} <= ABOUT_FRESH_READS
    others = [case for case in table.rows if not case.problem]
    assert others == [case for case in sound()[0].rows if case.case in {each.case for each in others}]


def test_rules_of_the_fresh_reads_that_always_close_fail_the_row(monkeypatch):
    always = (Reason("release", "FAIL", "always", "x", "y"),)
    monkeypatch.setattr("phase5_ops.gate.drill.fresh_cases.present_problems", lambda *_: always)
    assert "gate_closed_for_complete_set" in codes(judged(drilled_anew()))


def test_alarms_are_drilled_as_the_policy_has_them():
    shown = GatePolicy(extra_checks_warn_only=("no_slo_alarm_firing",))
    table = drill(shown, NOW)
    assert {case.outcome for case in table.rows if case.fault in ALARM_FAULTS} == {"OPEN"}
    assert judged(table, shown).verdict is Verdict.PASS


def test_every_reason_of_the_gate_is_produced_by_some_case():
    seen = {code for case in sound()[0].rows for code in case.codes.split()}
    not_of_the_gate = {code for code in BY_NAME if code.startswith("override_")} | {"attestation_invalid"}
    assert BY_NAME.keys() - not_of_the_gate <= seen


def test_the_complete_set_opens_on_its_digests():
    inputs = complete_inputs(POLICY, NOW)
    decision = decide(inputs)
    assert decision.outcome is Outcome.OPEN
    assert decision.opened_on is not None
    assert decision.opened_on.evidence_digest == inputs.bundle.digest
    assert decision.reasons == ()


def test_the_table_survives_parquet(tmp_path):
    table = drill(POLICY, NOW, gate=lambda inputs: 1 / 0)
    assert_kept(table, tmp_path)


def test_row_4_3_passes_whatever_the_platform_is_like(start):
    start("empty")
    document = run(rows=["4.3"])
    (row,) = document.rows
    assert (row.id, row.verdict, row.findings) == ("4.3", Verdict.PASS, [])
    assert document.exit_code == 0


def test_a_gate_that_cannot_be_drilled_makes_row_4_3_an_error_with_the_cause(start, monkeypatch):
    start("empty")

    def broken(*_):
        raise RuntimeError("no case can be made")

    monkeypatch.setattr("phase5_ops.gate.defs.drill_assets.drill", broken)
    document = run(rows=["4.3"])
    (row,) = document.rows
    assert (row.id, row.verdict) == ("4.3", Verdict.ERROR)
    seen = {finding.code: finding.seen for finding in row.findings}
    assert seen.keys() == {"read_failed", "drill_incomplete"}
    assert "RuntimeError: no case can be made" in seen["read_failed"]
    assert document.exit_code == 2


def test_a_drill_whose_asset_fails_makes_row_4_3_an_error_with_the_cause(start, monkeypatch):
    start("empty")

    def broken(*_):
        raise RuntimeError("the asset itself")

    monkeypatch.setattr("phase5_ops.gate.defs.drill_assets.Read", broken)
    (row,) = run(rows=["4.3"]).rows
    assert (row.id, row.verdict) == ("4.3", Verdict.ERROR)
    assert [finding.code for finding in row.findings] == ["check_not_evaluated"]
    assert "RuntimeError: the asset itself" in row.findings[0].seen
