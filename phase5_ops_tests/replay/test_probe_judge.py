"""Rows 3.1 and 3.3 on tables of their own: what passes is exactly what was sent, answered and left as it must be."""

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from phase5_ops.links import ConsoleLinks
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.probing.codes import PROBE_LEASE_HELD, Obstacle
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.replay.probe_codes import CONTROL_CENTER
from phase5_ops.replay.probe_evidence import probe_table, probed_rows, sent_row, sent_table
from phase5_ops.replay.probe_judge import judge_authorization, judge_permissions
from phase5_ops.replay.probe_plan import Expect, Targets, build_plan
from phase5_ops.verdict import Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
A, B, USER = "phase5-a", "phase5-b", "probe@example.com"
PLAN = build_plan(
    Targets.of(ProbePolicy(), run_id="run-1", tenant_a=A, tenant_b=B, requester=USER), new_intent_id, other_client=True
)
PROBES = {probe.name: probe for probe in PLAN}
#: One probe of each kind: what stands beside a token differs only in where it stands.
KINDS = [probe for probe in PLAN if "+" not in probe.name or probe.name.startswith("no_token")]
STATUS = {
    Expect.REFUSED: 401,
    Expect.FOREIGN_TENANT: 404,
    Expect.OWN_TENANT_ONLY: 403,
    Expect.ACCEPTED: 202,
    Expect.REQUESTER: 202,
    Expect.NOT_ALLOWED: 403,
    Expect.NOT_FOUND: 404,
    Expect.BAD_REQUEST: 400,
    Expect.CLIENT_ERROR: 400,
}
REPLAY = ("REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED")
READ = Read("dynamodb:Query", "cc-native-ledger", ReadStatus.OK, None, 1, "", "")


def entries(name: str, *events: str, tenant: str = A, requester: str = USER):
    probe = PROBES[name]
    data = {"action_intent_id": probe.intent, "replay_reason": probe.reason, "requested_by": requester}
    inner = {key: {"S": value} for key, value in data.items()}
    return [(tenant, {"eventType": {"S": event}, "data": {"M": inner}}) for event in events]


HEALTHY = [*entries("own_replay", *REPLAY), *entries("requester_claimed_in_body", *REPLAY)]


def table(statuses=None, *, problems=None, not_tried=None, left=HEALTHY, obstacles=(), reads=(READ,)) -> pd.DataFrame:
    statuses, problems, not_tried = statuses or {}, problems or {}, not_tried or {}
    rows = []
    for probe in PLAN:
        problem = problems.get(probe.name)
        status = None if problem else statuses.get(probe.name, STATUS[probe.expect])
        answer = HttpAnswer(status, problem, f"{problem}" if problem else "", "{}", 5.0)
        reason = not_tried.get(probe.name)
        rows.append(sent_row(probe, None if reason else answer, reason))
    sent = sent_table(rows, [], {"requesters": [USER], "mode": "full"})
    return attach(probe_table(sent, left, obstacles), reads, NOW)


def judge(table: pd.DataFrame):
    links = ConsoleLinks("us-west-2")
    return [each(table, links=links, ledger_table="cc-native-ledger") for each in (judge_authorization, judge_permissions)]


def codes(judgement) -> set[str]:
    return {finding.code for finding in judgement.findings}


def test_all_as_expected_passes_and_survives_parquet(tmp_path):
    path = tmp_path / "probe.parquet"
    table().to_parquet(path, index=False)
    stored = pd.read_parquet(path)
    assert [judgement.verdict for judgement in judge(stored)] == [Verdict.PASS, Verdict.PASS]
    assert probed_rows(stored) == probed_rows(table())


@pytest.mark.parametrize("name", [probe.name for probe in KINDS if probe.expect not in (Expect.ACCEPTED, Expect.REQUESTER)])
def test_a_2xx_to_what_must_be_refused_never_passes(name):
    judgement = judge(table({name: 202}))[0 if PROBES[name].row == "3.1" else 1]
    assert judgement.verdict is (Verdict.WARN if name == "other_client" else Verdict.FAIL)
    assert name in {finding.subject for finding in judgement.findings}


@pytest.mark.parametrize("name", ["no_token", "alg_none+query", "expired", "access_token+body"])
@pytest.mark.parametrize("status", [404, 400, 422])
def test_an_answer_from_behind_authentication_is_no_refusal_of_a_token(name, status):
    assert judge(table({name: status}))[0].verdict is Verdict.FAIL


def test_without_a_valid_token_accepted_such_an_answer_decides_nothing():
    statuses = {probe.name: 404 for probe in PLAN}
    authorization, permissions = judge(table(statuses, left=[]))
    assert authorization.verdict is Verdict.INCONCLUSIVE
    assert {"positive_control_failed", "refusal_unclear"} <= codes(authorization)
    assert "own_replay_refused" in codes(permissions)


@pytest.mark.parametrize("status", [401, 403])
def test_an_api_that_refuses_everybody_passes_nothing(status):
    authorization, permissions = judge(table({probe.name: status for probe in PLAN}, left=[]))
    assert (authorization.verdict, permissions.verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    assert codes(authorization) == {"positive_control_failed"}
    assert {"own_replay_refused", "missing_intent_not_404"} <= codes(permissions)


@pytest.mark.parametrize("problem", list(Problem))
def test_an_answer_that_says_nothing_is_inconclusive_for_one_probe_and_an_error_for_all(problem):
    code = CONTROL_CENTER[problem].code
    one = judge(table(problems={"garbage": problem}))[0]
    assert (one.verdict, codes(one)) == (Verdict.INCONCLUSIVE, {code})
    for judgement in judge(table(problems={probe.name: problem for probe in PLAN}, left=[])):
        assert judgement.verdict is Verdict.ERROR
        assert code in codes(judgement)


@pytest.mark.parametrize("name", [probe.name for probe in KINDS if probe.expect not in (Expect.ACCEPTED, Expect.REQUESTER)])
def test_a_refused_request_in_the_ledger_fails(name):
    left = [*HEALTHY, *entries(name, "REPLAY_REQUESTED")]
    judgement = judge(table(left=left))[0 if PROBES[name].row == "3.1" else 1]
    assert (judgement.verdict, codes(judgement)) == (Verdict.FAIL, {"refused_but_recorded"})
    assert judgement.findings[0].subject == name


def test_a_request_that_was_not_answered_and_is_in_the_ledger_fails():
    left = [*HEALTHY, *entries("garbage", "REPLAY_REQUESTED")]
    assert judge(table(problems={"garbage": Problem.TIMEOUT}, left=left))[0].verdict is Verdict.FAIL


@pytest.mark.parametrize("source", ["query", "header", "body"])
def test_an_own_intent_beside_a_foreign_tenant_may_be_accepted_for_the_own_tenant_alone(source):
    name = f"tenant_b_in_{source}_own_intent"
    own, foreign = entries(name, *REPLAY), entries(name, *REPLAY, tenant=B)
    assert judge(table({name: 202}, left=[*HEALTHY, *own]))[0].verdict is Verdict.PASS
    for left in ([], foreign, own + foreign):
        judgement = judge(table({name: 202}, left=[*HEALTHY, *left]))[0]
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
    left = [*entries("own_replay", *events), *entries("requester_claimed_in_body", *REPLAY)]
    judgement = judge(table(left=left))[1]
    assert judgement.verdict is Verdict.FAIL
    assert code in codes(judgement)


@pytest.mark.parametrize("requester", ["phase5-somebody-else", "", "ops@example.com"])
def test_the_requester_in_the_ledger_must_be_the_tokens_user(requester):
    left = [*entries("own_replay", *REPLAY), *entries("requester_claimed_in_body", *REPLAY, requester=requester)]
    assert codes(judge(table(left=left))[1]) == {"requester_not_authenticated"}


def test_a_requester_who_lies_may_be_refused():
    left = entries("own_replay", *REPLAY)
    assert judge(table({"requester_claimed_in_body": 403}, left=left))[1].verdict is Verdict.PASS


@pytest.mark.parametrize("name", [probe.name for probe in KINDS])
def test_what_was_not_tried_does_not_pass(name):
    judgement = judge(table(not_tried={name: "a reason"}))[0 if PROBES[name].row == "3.1" else 1]
    assert judgement.verdict.blocks
    assert "probe_not_tried" in codes(judgement)


def test_an_obstacle_says_why_nothing_was_sent():
    held = Obstacle(PROBE_LEASE_HELD.code, "table", "free", "held")
    for judgement in judge(table(not_tried=dict.fromkeys(PROBES, "probe_lease_held"), obstacles=[held], left=[], reads=())):
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert codes(judgement) == {"probe_lease_held", "probe_not_tried"}


def test_a_ledger_that_could_not_be_searched_is_an_error():
    for judgement in judge(table(reads=(replace(READ, status=ReadStatus.DENIED, error="no"),))):
        assert (judgement.verdict, codes(judgement)) == (Verdict.ERROR, {"read_failed"})


def test_a_table_that_does_not_say_how_it_was_read_is_an_error():
    assert [judgement.verdict for judgement in judge(table(reads=()))] == [Verdict.ERROR, Verdict.ERROR]


def test_a_replay_request_that_no_probe_explains_decides_nothing():
    stray = [(B, {"eventType": {"S": "REPLAY_REQUESTED"}, "data": {"M": {}}})]
    for judgement in judge(table(left=[*HEALTHY, *stray])):
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
    judgement = judge(table({name: status}))[1]
    assert (judgement.verdict, codes(judgement)) == (verdict, {code})


def test_an_empty_table_passes_nothing():
    sent = sent_table([], [], {})
    for judgement in judge(attach(probe_table(sent, [], []), [READ], NOW)):
        assert judgement.verdict.blocks
