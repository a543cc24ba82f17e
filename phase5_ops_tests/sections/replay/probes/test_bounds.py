"""How probes are sent: again where no answer came, within the bounds, and never twice where they may start work."""

from collections import Counter
from types import SimpleNamespace

import pytest

from phase5_ops.aws.pace import Pace
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.sections.replay.probes import sending as probe_sending
from phase5_ops.sections.replay.probes.matrix import build_plan
from phase5_ops.sections.replay.probes.plan import MISSING_INTENT, Expect, Targets, request_of
from phase5_ops.sections.replay.probes.sending import _Outgoing, _Sender

TARGETS = Targets.of(ProbePolicy(), run_id="run-1", tenant_a="phase5-a", tenant_b="phase5-b", requester="probe@example.com")
PLAN = build_plan(TARGETS, new_intent_id, other_client=True)
OUTGOING = [_Outgoing(probe, request_of(probe, None), None) for probe in PLAN]
REFUSED = HttpAnswer(401, None, "", "{}", 1.0)
LEASE = SimpleNamespace(remaining=lambda: 900)


class Client:
    """Breaks off the first exchanges of each intent."""

    def __init__(self, problem: Problem, times: int) -> None:
        self.problem, self.times, self.sent = problem, times, []

    def send(self, request) -> HttpAnswer:
        self.sent.append(request)
        tries = sum(each == request for each in self.sent)
        return HttpAnswer(None, self.problem, "no answer", "", 1.0) if tries <= self.times else REFUSED


def sent(client, policy, *, lease=LEASE):
    pace = Pace(policy.requests_per_second, policy.send_seconds, most=policy.max_requests, sleep=lambda _: None)
    return {row.name: row for row in _Sender(client, lease, pace, policy).send(OUTGOING)}, pace


@pytest.mark.parametrize("problem", [Problem.DOWN, Problem.TIMEOUT, Problem.THROTTLED])
def test_a_refusal_probe_without_an_answer_is_sent_again_and_one_that_may_start_work_is_not(problem):
    policy = ProbePolicy(requests_per_second=1000, max_requests=5000)
    rows, _ = sent(Client(problem, 1), policy)
    work = [probe.name for probe in PLAN if probe.starts_work]
    assert {rows[name].problem for name in work} == {problem}
    assert {(row.status, row.tries) for name, row in rows.items() if name not in work} == {(401, 2)}
    assert {rows[name].tries for name in work} == {1}


def test_a_refusal_probe_is_sent_no_more_often_than_the_settings_say():
    policy = ProbePolicy(requests_per_second=1000, max_requests=5000, tries=3)
    rows, _ = sent(Client(Problem.DOWN, 9), policy)
    assert (rows[MISSING_INTENT].tries, rows[MISSING_INTENT].problem) == (3, Problem.DOWN)
    others = [row for name, row in rows.items() if name != MISSING_INTENT]
    assert {row.not_tried for row in others} == {"the first request was not answered by the API: down"}


def test_an_answer_that_says_nothing_is_not_asked_for_again():
    rows, _ = sent(Client(Problem.SERVER_ERROR, 1), ProbePolicy(requests_per_second=1000, max_requests=5000))
    assert {row.tries for row in rows.values()} == {1}


def test_what_is_beyond_the_bounds_is_not_tried():
    rows, pace = sent(Client(Problem.DOWN, 0), ProbePolicy(requests_per_second=1000, max_requests=50))
    tried = [row for row in rows.values() if row.not_tried is None]
    assert len(tried) == pace.sent == 50
    assert all("max_requests" in row.not_tried for row in rows.values() if row.not_tried)
    rows, pace = sent(Client(Problem.DOWN, 0), ProbePolicy(requests_per_second=1000), lease=SimpleNamespace(remaining=lambda: 1))
    assert {row.not_tried for row in rows.values()} == {"the lease is about to end"}
    assert pace.sent == 0


def test_requests_go_out_no_faster_than_the_settings_say():
    waits = []
    pace = Pace(10, 100, sleep=waits.append)
    assert all(pace.wait() for _ in range(5))
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.05)


def test_refusals_mode_has_all_that_start_no_work():
    held_back = [probe for probe in PLAN if probe.starts_work]
    assert {probe.expect for probe in held_back} == {
        Expect.OWN_TENANT_ONLY,
        Expect.ACCEPTED,
        Expect.REQUESTER,
        Expect.REPEATED,
        Expect.EXPIRED,
        Expect.STOPPED,
    }
    assert len(held_back) < 10


def test_a_platform_that_lets_a_token_in_is_not_made_to_act_without_end():
    everybody = SimpleNamespace(send=lambda _: HttpAnswer(202, None, "", "{}", 1.0))
    rows, _ = sent(everybody, ProbePolicy(requests_per_second=1000, max_requests=5000, parallel_requests=1))
    let_in = Counter(
        row.token for row in rows.values() if row.row == "3.1" and row.status == 202 and "own_intent" not in row.name
    )
    assert max(let_in.values()) == 10
    assert all("were let in" in row.not_tried for row in rows.values() if row.not_tried)
    assert all(row.not_tried is None for row in rows.values() if row.row == "3.3")


def test_the_own_replay_is_asked_for_again_while_it_is_under_way(monkeypatch):
    monkeypatch.setattr(probe_sending, "_REPEAT_PAUSE", 0)
    intent = next(probe.intent for probe in PLAN if probe.name == "own_replay")
    answers = iter((202, 409, 409, 409, 202))

    def answer(request):
        own = request.body is not None and dict(request.body).get("action_intent_id") == intent
        return HttpAnswer(next(answers) if own else 404, None, "", "{}", 1.0)

    rows, _ = sent(SimpleNamespace(send=answer), ProbePolicy(requests_per_second=1000))
    assert [rows[name].status for name in ("own_replay", "own_replay+at_once", "own_replay+repeated")] == [202, 409, 202]
