"""How the probes are sent: again where no answer came, within bounds, and nothing is read as guilt that was not read at all."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from phase5_ops.aws.reader import Answer
from phase5_ops.policy import IsolationPolicy
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.request import HttpAnswer, Problem, Request
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.harness import cross_probes
from phase5_ops.sections.isolation.harness.cross_probes import CrossProbing
from phase5_ops.sections.isolation.harness.evidence import AccessKind, HarnessRow, Result
from phase5_ops.sections.isolation.harness.probe_asking import Asking
from phase5_ops.sections.isolation.harness.probe_data import Watched
from phase5_ops_tests.sandbox.control_center.memory_platform import MemoryPlatform, MemoryReader
from phase5_ops_tests.sections.isolation.harness.test_planted_faults import PLAN, TOKENS, Probed, findings, targets

pytestmark = pytest.mark.slow

NOBODY = [probe for probe in PLAN if probe.who is TokenKind.NONE and probe.route.name == "budget"]
REFUSED = HttpAnswer(401, None, "", "{}", 1.0)


def asking(send, *, plan=NOBODY, may_write=True, **policy) -> Asking:
    chosen = IsolationPolicy(probe_requests_per_second=1000, **policy)
    return Asking(plan, (), send, chosen, 4, may_write=may_write, sleep=lambda _: None)


@pytest.mark.parametrize("problem", [Problem.DOWN, Problem.TIMEOUT, Problem.THROTTLED])
def test_a_probe_without_an_answer_is_sent_again_within_its_bound(problem):
    tries: Counter[str] = Counter()

    def send(probe):
        tries[probe.name] += 1
        return REFUSED if tries[probe.name] == 3 else HttpAnswer(None, problem, "", "", 1.0)

    once = asking(send, probe_tries=3)
    once.ask(once.reads())
    assert set(tries.values()) == {3}
    assert {answer.status for answer in once.answers.values()} == {401}
    assert once.requests == 3 * len(NOBODY)
    tries.clear()
    again = asking(send, probe_tries=2)
    again.ask(again.reads())
    assert set(tries.values()) == {2}
    assert {answer.problem for answer in again.answers.values()} == {problem}


@pytest.mark.parametrize("problem", [Problem.SERVER_ERROR, Problem.HTML, Problem.REDIRECT, Problem.TLS])
def test_an_answer_is_not_asked_for_again(problem):
    tries: Counter[str] = Counter()

    def send(probe):
        tries[probe.name] += 1
        return HttpAnswer(500, problem, "", "", 1.0)

    once = asking(send, probe_tries=5)
    once.ask(once.reads())
    assert set(tries.values()) == {1}


@pytest.mark.parametrize("problem", list(Problem))
def test_where_nothing_answers_only_the_own_requests_are_sent_and_nothing_is_judged(problem):
    probed = Probed()
    sent: list[Request] = []
    before = probed.everything()

    def send(request: Request) -> HttpAnswer:
        sent.append(request)
        return HttpAnswer(None, problem, "nobody there", "", 1.0)

    probing = CrossProbing(probed.context, targets(), SimpleNamespace(send=send), TOKENS, sleep=lambda _: None)
    rows = [row for row in probing.run() if row.kind is AccessKind.PROBE]
    assert {code for row in rows for code in row.codes} == {"probe_not_answered"}
    assert len(rows) == len(PLAN)
    assert len(sent) < 30
    assert probed.everything() == before


def test_what_may_start_work_is_sent_once():
    own = [probe for probe in PLAN if probe.route.starts_work and not probe.reads][:1]
    tries: Counter[str] = Counter()

    def send(probe):
        tries[probe.name] += 1
        return HttpAnswer(None, Problem.DOWN, "", "", 1.0)

    once = asking(send, plan=[replace(own[0], harmless=False)], probe_tries=3)
    for wave in once.writes():
        once.ask(wave)
    assert list(tries.values()) == [1]


def test_number_and_seconds_are_bounded():
    few = asking(lambda _: REFUSED, plan=PLAN, probe_requests=100)
    assert len(few.reads()) + sum(len(wave) for wave in few.writes()) <= 100
    over = asking(lambda _: REFUSED, probe_seconds=1e-9)
    over.ask(over.reads())
    assert over.answers == {}


def test_refusals_mode_sends_all_that_starts_and_writes_nothing():
    whole, refusals = asking(lambda _: REFUSED, plan=PLAN), asking(lambda _: REFUSED, plan=PLAN, may_write=False)
    assert refusals.reads() == whole.reads()
    sent = {probe.name for wave in refusals.writes() for probe in wave}
    harmless = {probe.name for probe in PLAN if probe.harmless and not probe.reads and not probe.once_refused}
    assert sent == harmless
    assert len(sent) > 500


@pytest.mark.parametrize(("status", "sent"), [(401, True), (403, True), (404, False), (200, False), (None, False)])
def test_a_token_that_is_taken_for_a_tenant_of_its_own_writes_nothing(status, sent):
    odd = [probe for probe in PLAN if probe.who is TokenKind.CLAIM_BLANKS]
    once = asking(lambda _: HttpAnswer(status, None if status else Problem.DOWN, "", "{}", 1.0), plan=odd)
    once.ask(once.reads())
    assert any(probe.once_refused for wave in once.writes() for probe in wave) is sent


class Flaky(MemoryPlatform):
    """Breaks off the first answer to each request, or every answer."""

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.always = always

    def send(self, request: Request) -> HttpAnswer:
        key = repr((request.method, request.target, request.header_pairs, request.content))
        self.seen[key] += 1
        if "Authorization" not in dict(request.header_pairs) and (self.always or self.seen[key] == 1):
            return HttpAnswer(None, Problem.DOWN, "connection reset", "", 1.0)
        return super().send(request)


@pytest.mark.parametrize(("always", "codes"), [(False, set()), (True, {"probe_not_answered"})])
def test_a_reset_is_inconclusive_only_when_it_stays(always, codes):
    probed = Probed()
    flaky = Flaky(always=always)
    flaky.application, flaky.tables = probed.platform.application, probed.platform.tables
    probed.platform = flaky
    rows = probed.run("config")
    assert {finding.code for finding in findings(rows)} == codes
    assert {row.result for row in rows if row.kind is AccessKind.PROBE} == {
        Result.REFUSED,
        *([Result.NOT_JUDGED] if always else []),
    }


def test_a_platform_that_blocks_the_caller_after_some_refusals_is_not_closed():
    probed = Probed()
    served = 0

    def send(request: Request) -> HttpAnswer:
        nonlocal served
        served += 1
        return probed.platform.send(request) if served < 40 else blocked

    blocked = HttpAnswer(403, None, "", "{}", 1.0)
    probing = CrossProbing(probed.context, targets(), SimpleNamespace(send=send), TOKENS, sleep=lambda _: None)
    probing.plan = lambda: tuple(probe for probe in PLAN if probe.route.name == "config")
    rows = [row for row in probing.run() if row.kind is AccessKind.PROBE]
    assert {code for row in rows for code in row.codes} == {"probe_not_answered"}
    assert not any(row.result is Result.REFUSED for row in rows)


class Unreadable(MemoryReader):
    """Reads of one table fail after some."""

    def __init__(self, tables, table: str, after: int) -> None:
        super().__init__(tables)
        self.left, self.table = after, table

    def call(self, service: str, operation: str, resource: str, **parameters) -> Answer:
        answer = super().call(service, operation, resource, **parameters)
        if resource == self.table and operation == "query":
            self.left -= 1
            if self.left < 0:
                return Answer([], replace(answer.read, status=ReadStatus.FAILED, error="throttled"))
        return answer


@pytest.mark.parametrize("table", ["cc-native-autonomy-config", "cc-native-ledger", "cc-native-tenants"])
@pytest.mark.parametrize("after", [0, 2, 6])
def test_what_could_not_be_read_is_no_finding_and_what_was_written_is_put_back(table, after):
    probed = Probed()
    before = probed.everything()
    whole = probed.context.reader
    probed.context.reader = Unreadable(probed.platform.tables, table, after)
    rows: list[HarnessRow] = []
    with suppress(Obstructed):
        rows = probed.run("config", "write_config", "kill_switches")
    assert all(row.result is not Result.VIOLATION for row in rows)
    probed.context.reader = whole
    assert findings(probed.run("config")) == []
    assert probed.everything() == before


def test_what_two_roles_of_one_table_hold_is_put_back_once(monkeypatch):
    kept, new = ({"pk": {"S": "TENANT#b"}, "sk": {"S": name}} for name in ("kept", "new"))
    changes = []
    monkeypatch.setattr(cross_probes, "_read", lambda _run, wanted: ({place: [new] for place in wanted}, []))
    monkeypatch.setattr(
        cross_probes, "change_items", lambda _reader, *, removed, written: changes.append((removed, written)) or []
    )
    tables = SimpleNamespace(decision_budget="one", autonomy_budget_state="one")
    run = SimpleNamespace(reader=None, settings=SimpleNamespace(tables=tables))
    cross_probes.restore(run, {Watched(role, "TENANT#b", "b"): [kept] for role in vars(tables)})
    assert changes == [({"one": [new]}, {"one": [kept]})]
