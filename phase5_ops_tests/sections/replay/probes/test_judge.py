"""Rows 3.1 and 3.3 on tables of their own: what passes is exactly what was sent, answered and left as it must be."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.probing.codes import Obstacle, ProbingCode
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.probes.case import Case
from phase5_ops.sections.replay.probes.codes import CONTROL_CENTER
from phase5_ops.sections.replay.probes.evidence import (
    REPLAY_PROBE,
    REPLAY_PROBES_SENT,
    ProbeFacts,
    SentFacts,
    attribute_entries,
    probe_table,
    probed,
    sent_row,
)
from phase5_ops.sections.replay.probes.judge import authorization_of, judge_authorization, judge_permissions, permissions_of
from phase5_ops.sections.replay.probes.matrix import COMBINATIONS, build_plan
from phase5_ops.sections.replay.probes.plan import Expect, Targets
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
A, B, USER = "phase5-a", "phase5-b", "probe@example.com"
PLAN = build_plan(
    Targets.of(ProbePolicy(), run_id="run-1", tenant_a=A, tenant_b=B, requester=USER), new_intent_id, other_client=True
)
PROBES = {probe.name: probe for probe in PLAN}
#: One probe of each kind: what stands beside a token differs only in where it stands.
KINDS = [probe for probe in PLAN if "+" not in probe.name or probe.name.startswith(("no_token", "own_replay"))]
MAY_WORK = (Expect.ACCEPTED, Expect.REQUESTER, Expect.REPEATED, Expect.EXPIRED, Expect.STOPPED)
STATUS = {
    Expect.REFUSED: 401,
    Expect.NOT_LET_IN: 401,
    Expect.FOREIGN_TENANT: 404,
    Expect.FOREIGN_ACCOUNT: 404,
    Expect.REPEATED: 202,
    Expect.EXPIRED: 202,
    Expect.STOPPED: 202,
    Expect.OWN_TENANT_ONLY: 403,
    Expect.ACCEPTED: 202,
    Expect.REQUESTER: 202,
    Expect.NOT_ALLOWED: 403,
    Expect.NOT_FOUND: 404,
    Expect.BAD_REQUEST: 400,
    Expect.CLIENT_ERROR: 400,
}
REPLAY = ("REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED")
COST = ("combinations", "requests", "send_seconds")
READ = Read("dynamodb:Query", "cc-native-ledger", ReadStatus.OK, None, 1, "", "")


def entries(name: str, *events: str, tenant: str = A, requester: str = USER, trace: str = ""):
    probe = PROBES[name]
    data = {"action_intent_id": probe.intent, "replay_reason": probe.reason, "requested_by": requester}
    inner = {key: {"S": value} for key, value in data.items()}
    shared = {"traceId": {"S": trace or f"trace-{name}"}, "data": {"M": inner}}
    return [(tenant, {"eventType": {"S": event}, **shared}) for event in events]


REPEATS = [*entries("own_replay+at_once", *REPLAY), *entries("own_replay+repeated", *REPLAY)]
FAILED = ("REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_FAILED", "REPLAY_FAILED")
OTHERS = [*REPEATS, *entries("own_replay+expired", *FAILED), *entries("own_replay+kill_switch", *FAILED)]
HEALTHY = [*entries("own_replay", *REPLAY), *entries("requester_claimed_in_body", *REPLAY), *OTHERS]


def sent(statuses=None, *, problems=None, not_tried=None):
    statuses, problems, not_tried = statuses or {}, problems or {}, not_tried or {}
    changed = {*statuses, *problems, *not_tried}
    return [row_of(probe, statuses, problems, not_tried) if probe.name in changed else EXPECTED[probe.name] for probe in PLAN]


def row_of(probe, statuses, problems, not_tried):
    problem = problems.get(probe.name)
    status = statuses.get(probe.name, None if problem else STATUS[probe.expect])
    answer = HttpAnswer(status, problem, f"{problem}" if problem else "", "{}", 5.0)
    reason = not_tried.get(probe.name)
    return sent_row(probe, None if reason else answer, reason)


EXPECTED = {probe.name: row_of(probe, {}, {}, {}) for probe in PLAN}


def evidence(statuses=None, *, left=HEALTHY, obstacles=(), reads=(READ,), **more):
    """The rows, and what the table carries beside them."""
    context = {name: more.pop(name) for name in ("acted_on", *COST) if name in more}
    rows = sent(statuses, **more)
    found = attribute_entries(rows, left)
    facts = ProbeFacts(
        tuple(obstacles), {"requesters": [USER], "mode": "full", **context}, tuple(found.unexplained), tuple(found.late)
    )
    table = GatheredTable(REPLAY_PROBE, pd.DataFrame(), facts, reads, NOW)
    return table, [probed(row, found.left.get(row.name, ())) for row in rows]


def judge(evidence):
    table, rows = evidence
    return [authorization_of(Case(table, "3.1", "link", rows)), permissions_of(Case(table, "3.3", "link", rows))]


def codes(judgement) -> set[str]:
    return {finding.code for finding in judgement.findings}


def test_all_as_expected_passes_and_survives_parquet(tmp_path):
    links, rows = ConsoleLinks("us-west-2"), sent()
    was_sent = REPLAY_PROBES_SENT.gathered(rows, SentFacts(context={"requesters": [USER], "mode": "full"}))
    stored = assert_kept(probe_table(was_sent, attribute_entries(rows, HEALTHY), []).with_reads([READ], NOW), tmp_path)
    judged = [each(stored, links=links, ledger_table="cc-native-ledger") for each in (judge_authorization, judge_permissions)]
    assert [judgement.verdict for judgement in (*judged, *judge(evidence()))] == [Verdict.PASS] * 4
    assert stored.rows == evidence()[1]


@pytest.mark.parametrize("name", [probe.name for probe in KINDS if probe.expect not in MAY_WORK])
def test_a_2xx_to_what_must_be_refused_never_passes(name):
    judgement = judge(evidence({name: 202}))[0 if PROBES[name].row == "3.1" else 1]
    assert judgement.verdict is (Verdict.WARN if name == "other_client" else Verdict.FAIL)
    assert name in {finding.subject for finding in judgement.findings}


@pytest.mark.parametrize("name", ["no_token", "alg_none+any_query", "expired", "access_token+any_body"])
@pytest.mark.parametrize("status", [404, 400, 422])
def test_an_answer_from_behind_authentication_is_no_refusal_of_a_token(name, status):
    assert judge(evidence({name: status}))[0].verdict is Verdict.FAIL


def test_without_a_valid_token_accepted_such_an_answer_decides_nothing():
    statuses = {probe.name: 404 for probe in PLAN}
    authorization, permissions = judge(evidence(statuses, left=[]))
    assert authorization.verdict is Verdict.INCONCLUSIVE
    assert {"positive_control_failed", "refusal_unclear"} <= codes(authorization)
    assert "own_replay_refused" in codes(permissions)


@pytest.mark.parametrize("status", [401, 403])
def test_an_api_that_refuses_everybody_passes_nothing(status):
    authorization, permissions = judge(evidence({probe.name: status for probe in PLAN}, left=[]))
    assert (authorization.verdict, permissions.verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    assert codes(authorization) == {"positive_control_failed"}
    assert {"own_replay_refused", "missing_intent_not_404"} <= codes(permissions)


@pytest.mark.parametrize("problem", list(Problem))
def test_an_answer_that_says_nothing_is_inconclusive_for_one_probe_and_an_error_for_all(problem):
    code = CONTROL_CENTER[problem].code
    one = judge(evidence(problems={"garbage": problem}))[0]
    assert (one.verdict, codes(one)) == (Verdict.INCONCLUSIVE, {code})
    for judgement in judge(evidence(problems={probe.name: problem for probe in PLAN}, left=[])):
        assert judgement.verdict is Verdict.ERROR
        assert code in codes(judgement)


@pytest.mark.parametrize("name", [probe.name for probe in KINDS if probe.expect not in MAY_WORK])
def test_a_refused_request_in_the_ledger_fails(name):
    left = [*HEALTHY, *entries(name, "REPLAY_REQUESTED")]
    judgement = judge(evidence(left=left))[0 if PROBES[name].row == "3.1" else 1]
    assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"refused_but_recorded"})
    assert judgement.findings[0].subject == name


def test_a_request_that_was_not_answered_and_is_in_the_ledger_fails():
    left = [*HEALTHY, *entries("garbage", "REPLAY_REQUESTED")]
    assert judge(evidence(problems={"garbage": Problem.TIMEOUT}, left=left))[0].verdict is Verdict.FAIL


@pytest.mark.parametrize("source", ["query", "header", "body"])
def test_an_own_intent_beside_a_foreign_tenant_may_be_accepted_for_the_own_tenant_alone(source):
    name = f"tenant_b_in_{source}_own_intent"
    own, foreign = entries(name, *REPLAY), entries(name, *REPLAY, tenant=B)
    assert judge(evidence({name: 202}, left=[*HEALTHY, *own]))[0].verdict is Verdict.PASS
    for left in ([], foreign, own + foreign):
        judgement = judge(evidence({name: 202}, left=[*HEALTHY, *left]))[0]
        assert codes(judgement) == {f"tenant_taken_from_{source}"}


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((), "own_replay_not_recorded"),
        (REPLAY[:1], "canary_replay_not_finished"),
        (REPLAY[:4], "canary_replay_not_finished"),
        ((*REPLAY[:4], "REPLAY_FAILED"), "canary_replay_failed"),
    ],
)
def test_the_canary_must_come_to_its_good_end(events, code):
    left = [*entries("own_replay", *events), *entries("requester_claimed_in_body", *REPLAY), *OTHERS]
    judgement = judge(evidence(left=left))[1]
    assert judgement.verdict is Verdict.FAIL
    assert code in codes(judgement)


@pytest.mark.parametrize("requester", ["phase5-somebody-else", "", "ops@example.com"])
def test_the_requester_in_the_ledger_must_be_the_tokens_user(requester):
    left = [*entries("own_replay", *REPLAY), *entries("requester_claimed_in_body", *REPLAY, requester=requester), *OTHERS]
    assert codes(judge(evidence(left=left))[1]) == {"requester_not_authenticated"}


def test_a_requester_who_lies_may_be_refused():
    left = [*entries("own_replay", *REPLAY), *OTHERS]
    assert judge(evidence({"requester_claimed_in_body": 403}, left=left))[1].verdict is Verdict.PASS


@pytest.mark.parametrize("name", [probe.name for probe in KINDS])
def test_what_was_not_tried_does_not_pass(name):
    judgement = judge(evidence(not_tried={name: "a reason"}))[0 if PROBES[name].row == "3.1" else 1]
    assert judgement.verdict.blocks
    assert "probe_not_tried" in codes(judgement)


def test_an_obstacle_says_why_nothing_was_sent():
    held = Obstacle(ProbingCode.PROBE_LEASE_HELD.code, "table", "free", "held")
    for judgement in judge(evidence(not_tried=dict.fromkeys(PROBES, "probe_lease_held"), obstacles=[held], left=[], reads=())):
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert codes(judgement) == {"probe_lease_held", "probe_not_tried"}


def test_a_ledger_that_could_not_be_searched_is_an_error():
    for judgement in judge(evidence(reads=(replace(READ, status=ReadStatus.DENIED, error="no"),))):
        assert (judgement.verdict, codes(judgement)) == (Verdict.ERROR, {"read_failed"})


def test_a_table_that_does_not_say_how_it_was_read_is_an_error():
    assert [judgement.verdict for judgement in judge(evidence(reads=()))] == [Verdict.ERROR, Verdict.ERROR]


def test_a_replay_request_that_no_probe_explains_decides_nothing():
    stray = [(B, {"eventType": {"S": "REPLAY_REQUESTED"}, "data": {"M": {}}})]
    for judgement in judge(evidence(left=[*HEALTHY, *stray])):
        assert (judgement.verdict, codes(judgement)) == (Verdict.INCONCLUSIVE, {"replay_request_unexplained"})


@pytest.mark.parametrize(
    ("name", "status", "verdict", "code"),
    [
        ("own_replay", 200, Verdict.WARN, "own_replay_not_202"),
        ("missing_intent", 400, Verdict.FAIL, "missing_intent_not_404"),
        ("without_account_id", 422, Verdict.WARN, "required_field_not_400"),
        ("malformed_json_1", 200, Verdict.FAIL, "malformed_json_accepted"),
    ],
)
def test_other_answers_than_the_documented_ones(name, status, verdict, code):
    judgement = judge(evidence({name: status}))[1]
    assert (judgement.verdict, codes(judgement)) == (verdict, {code})


def test_an_empty_table_passes_nothing():
    table = probe_table(REPLAY_PROBES_SENT.gathered([], SentFacts()), attribute_entries([], []), []).with_reads([READ], NOW)
    for each in (judge_authorization, judge_permissions):
        assert each(table, links=ConsoleLinks("us-west-2"), ledger_table="cc-native-ledger").verdict.blocks


# What the contract says of repeats, of expired intents, and under a kill switch


@pytest.mark.parametrize("name", ["own_replay+at_once", "own_replay+repeated"])
def test_a_repeat_may_be_refused_and_what_is_accepted_is_done_under_a_trace_of_its_own(name):
    left = [entry for entry in HEALTHY if entry not in entries(name, *REPLAY)]
    assert judge(evidence({name: 409}, left=left))[1].verdict is Verdict.PASS
    for events in ((), REPLAY[:1], REPLAY[:4]):
        judgement = judge(evidence(left=[*left, *entries(name, *events)]))[1]
        assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"repeated_replay_lost"})
    judgement = judge(evidence(left=[*left, *entries(name, *REPLAY, trace="trace-own_replay")]))[1]
    assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"repeated_replay_shares_trace"})
    assert codes(judge(evidence({name: 409}, left=[*left, *entries(name, *REPLAY)]))[1]) == {"refused_but_recorded"}


@pytest.mark.parametrize(
    ("name", "code"),
    [("own_replay+expired", "expired_intent_executed"), ("own_replay+kill_switch", "stopped_intent_executed")],
)
def test_an_intent_that_has_expired_or_is_stopped_may_be_refused_and_is_never_executed(name, code):
    left = [entry for entry in HEALTHY if entry not in entries(name, *FAILED)]
    assert judge(evidence({name: 404}, left=left))[1].verdict is Verdict.PASS
    for status in (202, 404):
        judgement = judge(evidence({name: status}, left=[*left, *entries(name, *REPLAY)]))[1]
        assert codes(judgement) == {code}


# What is accepted is a finding, whoever it is recorded for


@pytest.mark.parametrize("recorded", [(), (A,), (B,), (A, B)])
@pytest.mark.parametrize("source", ["query", "header", "cookie", "path", "body"])
def test_an_intent_that_is_not_the_callers_may_not_be_accepted_whoever_it_is_recorded_for(source, recorded):
    name = f"tenant_b_in_{source}"
    left = [*HEALTHY, *(entry for tenant in recorded for entry in entries(name, *REPLAY, tenant=tenant))]
    judgement = judge(evidence({name: 202}, left=left))[0]
    assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {f"tenant_taken_from_{source}"})


def test_a_token_without_a_tenant_is_told_from_a_tenant_that_is_taken_from_elsewhere():
    alone, named = "without_tenant_claim", "without_tenant_claim+query"
    assert codes(judge(evidence({alone: 202}))[0]) == {"token_without_tenant_accepted"}
    assert codes(judge(evidence({named: 202}))[0]) == {"tenant_taken_from_query"}
    assert codes(judge(evidence({alone: 202, named: 202}))[0]) == {"token_without_tenant_accepted"}


def test_of_several_channels_the_one_that_works_alone_is_named():
    both = next(probe for probe in PLAN if probe.token == "valid" and {"header", "cookie"} <= set(probe.placement.split("+")))
    judgement = judge(evidence({both.name: 202, "tenant_b_in_cookie": 202}))[0]
    assert codes(judgement) == {"tenant_taken_from_cookie"}
    first = both.named[0].channel.medium.source
    assert codes(judge(evidence({both.name: 202}))[0]) == {f"tenant_taken_from_{first}"}


def test_an_account_that_is_named_elsewhere_is_row_3_3s():
    authorization, permissions = judge(evidence({"valid+account_header": 202}))
    assert authorization.verdict is Verdict.PASS
    assert codes(permissions) == {"account_taken_from_elsewhere"}


@pytest.mark.parametrize("name", ["valid+path1", "valid+get", "valid+get_override0"])
def test_another_way_to_replays_is_one_too_many(name):
    judgement = judge(evidence({name: 200}))[0]
    assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"replay_by_other_route"})


@pytest.mark.parametrize(("problem", "status"), [(Problem.HTML, 404), (Problem.REDIRECT, 308), (Problem.HTML, 405)])
def test_a_router_may_refuse_another_way_with_a_page_or_a_redirect_and_nothing_else_may(problem, status):
    assert judge(evidence(problems={"no_token+get": problem}, statuses={"no_token+get": status}))[0].verdict is Verdict.PASS
    assert judge(evidence(problems={"no_token": problem}, statuses={"no_token": status}))[0].verdict is Verdict.INCONCLUSIVE
    assert judge(evidence(problems={"no_token+get": problem}, statuses={"no_token+get": 200}))[0].verdict is Verdict.INCONCLUSIVE


# A search that found nothing is no guilt


def test_a_search_that_found_nothing_of_anything_decides_nothing():
    accepted = {f"tenant_b_in_{source}_own_intent": 202 for source in ("query", "header", "body")}
    for judgement in judge(evidence(accepted, left=[])):
        assert (judgement.verdict, codes(judgement)) == (Verdict.INCONCLUSIVE, {"ledger_search_empty"})


def test_a_search_that_failed_is_an_error_and_names_nobody():
    accepted = {f"tenant_b_in_{source}_own_intent": 202 for source in ("query", "header", "body")}
    for judgement in judge(evidence(accepted, left=[], reads=(replace(READ, status=ReadStatus.TIMEOUT, error="late"),))):
        assert (judgement.verdict, codes(judgement)) == (Verdict.ERROR, {"read_failed"})


# What earlier runs' refused probes do later


def test_what_an_earlier_run_was_refused_and_is_done_now_fails_both_rows():
    earlier = build_plan(
        Targets.of(ProbePolicy(), run_id="run-0", tenant_a=A, tenant_b=B, requester=USER), new_intent_id, other_client=True
    )
    foreign = next(probe for probe in earlier if probe.name == "foreign_intent")
    own = next(probe for probe in earlier if probe.name == "own_replay")
    data = {"action_intent_id": foreign.intent, "replay_reason": foreign.reason, "requested_by": USER}
    shapes = [
        {"eventType": {"S": "REPLAY_REQUESTED"}, "data": {"M": {name: {"S": value} for name, value in data.items()}}},
        {"eventType": {"S": "ACTION_EXECUTED"}, "data": {"M": {"action_intent_id": {"S": foreign.intent}}}},
        {"eventType": {"S": "SIGNAL"}, "evidenceRefs": {"S": f"execution://{B}/canary-b-1/{foreign.intent}"}},
        {"eventType": {"S": "REPLAY_STARTED"}, "traceId": {"S": f"replay-request-1-{foreign.intent}"}},
    ]
    for shape in shapes:
        for judgement in judge(evidence(left=[*HEALTHY, (B, shape)])):
            assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"refused_probe_acted_on_later"})
            assert judgement.findings[0].subject == foreign.intent
    ours = {"eventType": {"S": "REPLAY_REQUESTED"}, "data": {"M": {"action_intent_id": {"S": own.intent}}}}
    assert [judgement.verdict for judgement in judge(evidence(left=[*HEALTHY, (A, ours)]))] == [Verdict.PASS, Verdict.PASS]


def test_what_only_an_execution_leaves_shows_a_late_effect_too():
    refused = new_intent_id(refused=True)
    for judgement in judge(evidence(acted_on=[f"EXECUTION#{refused}"])):
        assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"refused_probe_acted_on_later"})


def test_a_platform_that_lets_everybody_in_is_told_in_few_words():
    judgement = judge(evidence({probe.name: 202 for probe in PLAN if probe.row == "3.1"}))[0]
    assert judgement.verdict is Verdict.FAIL
    assert len(judgement.findings) < 150


def test_the_plan_says_what_it_was_chosen_of():
    names = [probe.name for probe in PLAN]
    assert len(names) == len(set(names)) < COMBINATIONS
    assert len(PLAN) <= ProbePolicy().max_requests
    judgement = judge(evidence(combinations=COMBINATIONS, requests=len(PLAN), send_seconds=3.5))[0]
    assert judgement.facts["combinations"] == COMBINATIONS
    assert judgement.facts["requests"] == len(PLAN)
    assert judgement.facts["send_seconds"] == 3.5
