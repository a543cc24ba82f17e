"""The next step of a candidate: a table of cases."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from phase5_ops.gate.candidates.next_step import Step, in_order, in_turn, named_first, next_action
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.reasons import RELEASE, GateReason
from phase5_ops.gate.records import ReadinessRun, Reason, Release, RunFacts, RunState
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.policy import FlowPolicy, GatePolicy
from phase5_ops_tests.gate.own_aws import DIGEST, NOW

POLICY = FlowPolicy()


def attempt(run_id: str, number: int, state: RunState, ended_at: datetime | None) -> ReadinessRun:
    return ReadinessRun(RunFacts(run_id, "a_job", state), "drill", 1, number, ended_at, None)


OVER = attempt("run-1", 1, RunState.FINISHED, NOW - timedelta(hours=1))
COMPLETE = complete_inputs(GatePolicy(), NOW)
CANDIDATE = Candidate(COMPLETE.release, 1, Fate.PENDING, NOW - timedelta(hours=2), NOW + timedelta(days=7), "pipeline")
SIGNING = replace(CANDIDATE, fate=Fate.READY_TO_SIGN)


def step(candidate=CANDIDATE, inputs=COMPLETE, runs=(OVER,), *, promotions=(), now=NOW, policy=POLICY, **known):
    decision = decide(inputs) if inputs else None
    given = {"promotions": promotions, "inputs": inputs, "decision": decision, "policy": policy, "now": now, **known}
    return next_action(candidate, runs=runs, **given)


def without(check: str):
    return replace(COMPLETE, results={name: result for name, result in COMPLETE.results.items() if name != check})


CLOSED_INPUTS = without("gate_blocks_on_failure")


def test_a_new_candidate_gets_a_run():
    action = step(inputs=None, runs=())
    assert (action.step, action.attempt) == (Step.START_RUN, 1)


def test_nothing_is_started_while_a_run_is_under_way():
    under_way = attempt("run-2", 2, RunState.RUNNING, None)
    assert step(runs=(OVER, under_way)).step is Step.WAIT
    assert step(promotions=(under_way,)).step is Step.WAIT


def test_an_open_candidate_is_promoted_even_at_its_deadline():
    assert step(SIGNING).step is Step.PROMOTE
    assert step(SIGNING, now=CANDIDATE.deadline).step is Step.PROMOTE


def test_a_promotion_that_is_recorded_is_finished_although_the_gate_has_closed_since():
    late = {"inputs": CLOSED_INPUTS, "now": CANDIDATE.deadline}
    assert step(SIGNING, **late).step is Step.REJECT
    assert step(SIGNING, **late, recorded=True).step is Step.PROMOTE


def test_a_promotion_that_was_begun_and_not_recorded_is_said_with_the_rejection():
    action = step(SIGNING, inputs=CLOSED_INPUTS, now=CANDIDATE.deadline, begun=("run p-1 began to promote",))
    assert (action.step, action.reasons[1]) == (Step.REJECT, "run p-1 began to promote")


def test_a_number_that_somebody_tagged_does_not_use_up_the_numbers_of_attempts():
    tagged = replace(OVER, attempt=999_999)
    assert step(inputs=CLOSED_INPUTS, runs=(OVER, tagged)).attempt == 2


def test_a_promotion_that_failed_is_tried_again_later_under_another_number():
    failed = attempt("p-1", 1, RunState.FINISHED, NOW - timedelta(minutes=1))
    assert step(SIGNING, promotions=(failed,)).step is Step.WAIT
    action = step(SIGNING, promotions=(failed,), now=NOW + timedelta(hours=1))
    assert (action.step, action.attempt) == (Step.PROMOTE, 2)


def test_a_closed_candidate_is_tried_again_after_the_interval_and_says_why():
    early = replace(OVER, ended_at=NOW - timedelta(minutes=29))
    waiting = step(inputs=CLOSED_INPUTS, runs=(early,))
    assert waiting.step is Step.WAIT
    assert any("result_missing" in reason for reason in waiting.reasons)
    action = step(inputs=CLOSED_INPUTS, runs=(OVER,))
    assert (action.step, action.attempt) == (Step.START_RUN, 2)


def test_what_is_signed_while_something_else_runs_gets_a_confirmation_run_at_the_interval_and_is_never_promoted():
    changed = replace(COMPLETE, closing=(GateReason.PLATFORM_CHANGED_SINCE_EVIDENCE.closes(RELEASE, "cc-native-a", "version 2"),))
    waiting = step(SIGNING, inputs=changed, runs=(replace(OVER, ended_at=NOW - timedelta(minutes=29)),))
    assert waiting.step is Step.WAIT
    assert any("platform_changed_since_evidence" in reason for reason in waiting.reasons)
    action = step(SIGNING, inputs=changed)
    assert (action.step, action.attempt, action.reasons) == (Step.START_RUN, 2, waiting.reasons)


def test_a_number_tagged_by_hand_is_never_used_again():
    assert step(inputs=CLOSED_INPUTS, runs=(replace(OVER, attempt=0), replace(OVER, attempt=41))).attempt == 42


def test_a_closed_candidate_is_rejected_at_its_deadline_with_the_reasons():
    action = step(inputs=CLOSED_INPUTS, now=CANDIDATE.deadline)
    assert action.step is Step.REJECT
    assert any("result_missing" in reason for reason in action.reasons)


def test_what_only_lacks_signatures_is_frozen_once_and_then_waits_without_runs():
    unsigned = replace(COMPLETE, sign_offs=(), statement=None)
    assert step(inputs=unsigned).step is Step.FREEZE
    frozen = replace(COMPLETE, sign_offs=())
    assert step(inputs=frozen).step is Step.FREEZE  # frozen, and the candidate does not say so yet
    waiting = step(SIGNING, inputs=frozen, now=NOW + timedelta(days=1))
    assert waiting.step is Step.WAIT
    assert all("signature_missing" in reason for reason in waiting.reasons)


def test_evidence_that_grew_stale_while_people_sign_gets_a_confirmation_run():
    later = NOW + timedelta(hours=100)
    action = step(SIGNING, inputs=replace(COMPLETE, now=later), now=later)
    assert (action.step, action.attempt) == (Step.START_RUN, 2)
    assert any("evidence_stale" in reason for reason in action.reasons)


def test_a_statement_that_no_longer_holds_is_renewed_with_the_difference_named():
    signed = COMPLETE.statement
    rows = {name: facts for name, facts in signed.rows.items() if name != "1.1"}
    action = step(SIGNING, inputs=replace(COMPLETE, statement=replace(signed, rows=rows), sign_offs=()))
    assert action.step is Step.RENEW
    assert any("row 1.1" in reason for reason in action.reasons)


def test_whoever_cuts_the_reasons_short_still_names_every_row_and_code():
    def reason(row: str, code: str, subject: str) -> Reason:
        return Reason(row, "FAIL", code, subject, "seen")

    many = [reason("1.1", "a", str(n)) for n in range(3)] + [reason("1.1", "b", "x"), reason("2.1", "a", "y")]
    assert [(each.row, each.code, each.subject) for each in named_first(many)] == [
        ("1.1", "a", "0"),
        ("1.1", "b", "x"),
        ("2.1", "a", "y"),
        ("1.1", "a", "1"),
        ("1.1", "a", "2"),
    ]


# --- order -------------------------------------------------------------------------------------------------------------------


def candidate(name: str, hour: int, fate: Fate = Fate.PENDING, **context: str) -> Candidate:
    at = NOW + timedelta(hours=hour)
    return Candidate(Release(name, DIGEST, "production"), 1, fate, at, at + timedelta(days=7), "p", context=context)


def names(found) -> list[str]:
    return [each.release.name for each in found]


def test_a_newer_candidate_takes_the_place_of_older_pending_ones():
    queue = in_order([candidate("b", 2), candidate("a", 1), candidate("c", 3)], POLICY)
    assert names(queue.active) == ["c"]
    assert [(older.release.name, newer.release.name) for older, newer in queue.superseded] == [("a", "c"), ("b", "c")]


def test_what_is_being_signed_gives_way_only_where_that_was_asked_for():
    signing = candidate("a", 1, Fate.READY_TO_SIGN)
    assert names(in_order([signing, candidate("b", 2)], POLICY).active) == ["a", "b"]
    asked = in_order([signing, candidate("b", 2, supersede="true")], POLICY)
    assert (names(asked.active), len(asked.superseded)) == (["b"], 1)


def test_a_queue_works_on_the_oldest_alone():
    queue = in_order([candidate("b", 2), candidate("a", 1)], FlowPolicy(newer_candidate="queue"))
    assert (names(queue.active), names(queue.waiting), queue.superseded) == (["a"], ["b"], ())


def test_of_many_candidates_a_tick_works_on_some_and_the_turn_of_each_comes():
    many = [candidate(f"r-{number}", number, Fate.READY_TO_SIGN) for number in range(30)]
    assert in_turn(many[:10], 10, NOW) == tuple(many[:10])
    turns = [in_turn(many, 10, NOW + timedelta(seconds=30 * tick)) for tick in range(60)]
    assert {len(turn) for turn in turns} == {10}
    assert {each.release.name for turn in turns for each in turn} == {each.release.name for each in many}


def test_of_a_hundred_candidates_each_is_looked_at_before_any_is_looked_at_again():
    many = [candidate(f"r-{number}", number % 20, Fate.READY_TO_SIGN) for number in range(100)]
    looked_at, turns = {}, []
    for tick in range(20):
        now = NOW + timedelta(seconds=30 * tick)
        turns.append(in_turn(many, 10, now, looked_at))
        looked_at |= {each.release.name: now for each in turns[-1]}
    for half in (turns[:10], turns[10:]):
        assert len({each.release.name for turn in half for each in turn}) == 100


@pytest.mark.parametrize("fate", [Fate.PROMOTED, Fate.BREAK_GLASS])
@pytest.mark.parametrize("policy", ["supersede", "queue"])
def test_nothing_older_than_what_went_to_production_is_ever_promoted_after_it(policy, fate):
    open_ones = [candidate("a", 1, Fate.READY_TO_SIGN), candidate("b", 2)]
    queue = in_order([*open_ones, candidate("c", 3, fate)], FlowPolicy(newer_candidate=policy))
    assert (queue.active, len(queue.superseded), names(queue.closed)) == ((), 2, ["c"])


@pytest.mark.parametrize("fate", [Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED])
def test_a_closed_candidate_supersedes_nobody(fate):
    assert names(in_order([candidate("a", 1), candidate("b", 2, fate)], POLICY).active) == ["a"]
