"""What a refused probe does after its run is a finding of the next one, whenever that is, and of one run only."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.clock import iso
from phase5_ops.evidence.history import History
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.ccnative.ledger_writer import LedgerWriter
from phase5_ops.sandbox.state.probe_tenants import A, B
from phase5_ops.sections.replay.probes import collecting as probe_collecting
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.evidence import REPLAY_PROBES_SENT, SentFacts, sent_row
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.sections.replay.probes.matrix import build_plan
from phase5_ops.sections.replay.probes.plan import Targets
from phase5_ops.settings import Tables
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sandbox.control_center.memory_platform import NOW, MemoryAws, MemoryReader, MemoryTables

READ = Read("dynamodb:Query", "cc-native-ledger", ReadStatus.OK, None, 1, "", "")


class World:
    """A ledger, a history and a clock; runs whose probes were all refused."""

    def __init__(self, folder) -> None:
        self.now, self.tables = NOW, MemoryTables()
        self.ledger = LedgerWriter(MemoryAws(self.tables), SimpleNamespace(now=lambda: self.now))
        self.history = History(folder / "history.sqlite")

    def run(self, name: str, **more):
        """The plan of a run, and its table; `more` is what is written to the ledger before it looks."""
        targets = Targets.of(ProbePolicy(), run_id=name, tenant_a=A.tenant_id, tenant_b=B.tenant_id, requester=A.email)
        plan = {probe.name: probe for probe in build_plan(targets, new_intent_id, other_client=True)}
        rows = [sent_row(probe, HttpAnswer(403, None, "", "{}", 1.0), None) for probe in plan.values()]
        for event, probe in more.items():
            self.write(event, plan[probe])
        context = {"run_id": name, "since": iso(self.now - timedelta(minutes=5)), "tenants": [A.tenant_id, B.tenant_id]}
        sent = REPLAY_PROBES_SENT.gathered(
            rows, SentFacts(context={**context, "requesters": [A.email], "written": True, "sent_at": 0})
        )
        settings = SimpleNamespace(
            probes=ProbePolicy(settle_seconds=0), tables=Tables(), environment="production", probe_mode="full"
        )
        platform = SimpleNamespace(
            settings=settings,
            reader=MemoryReader(self.tables),
            history=self.history,
            account="111122223333",
            run_id=name,
            at_end={},
            now=lambda: self.now,
        )
        return plan, collect_probes(platform, sent.with_reads([READ], self.now), sleep=lambda _: None)

    def write(self, event: str, probe, tenant: str = B.tenant_id) -> None:
        data = {"action_intent_id": probe.intent, "replay_reason": probe.reason, "requested_by": A.email}
        self.ledger.append(event, tenant=tenant, account="canary-b-1", trace_id=f"trace-{probe.intent}", data=data)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    monkeypatch.setattr(probe_collecting._ProbeCollecting, "give_back_lease", lambda _: None)
    return World(tmp_path)


def late(table) -> set[str]:
    return {entry.intents[0] for entry in table.facts.late}


@pytest.mark.parametrize("after", [timedelta(seconds=15), timedelta(hours=3), timedelta(days=5)])
def test_a_foreign_intent_that_is_replayed_after_its_refusal_fails_the_next_run(after, world):
    plan, table = world.run("run-1")
    assert late(table) == set()
    world.now += after
    for event in ("REPLAY_REQUESTED", "REPLAY_STARTED", "ACTION_EXECUTED"):
        world.write(event, plan["foreign_intent"])
    world.now += timedelta(minutes=1)
    _, table = world.run("run-2")
    assert late(table) == {plan["foreign_intent"].intent}
    links = ConsoleLinks("us-west-2")
    for judge in (judge_authorization, judge_permissions):
        judgement = judge(table, links=links, ledger_table="cc-native-ledger")
        assert judgement.verdict is Verdict.FAIL
        assert "refused_probe_acted_on_later" in {finding.code for finding in judgement.findings}
    world.now += timedelta(minutes=1)
    assert late(world.run("run-3")[1]) == set()  # it was reported


def test_it_is_found_by_whichever_run_comes_after_it(world):
    plan, _ = world.run("run-1")
    for name in ("run-2", "run-3"):
        world.now += timedelta(hours=1)
        assert late(world.run(name)[1]) == set()
    world.now += timedelta(hours=1)
    world.write("REPLAY_REQUESTED", plan["no_token"])
    assert late(world.run("run-4")[1]) == {plan["no_token"].intent}


def test_an_own_intent_that_was_refused_may_not_be_replayed_later_either(world):
    plan, _ = world.run("run-1")
    world.now += timedelta(seconds=15)
    world.write("REPLAY_REQUESTED", plan["tenant_b_in_query_own_intent"], A.tenant_id)
    assert late(world.run("run-2")[1]) == {plan["tenant_b_in_query_own_intent"].intent}


def test_what_a_run_found_itself_is_not_told_again_by_the_next(world):
    _, table = world.run("run-1", REPLAY_REQUESTED="foreign_intent")
    assert late(table) == set()
    assert "REPLAY_REQUESTED" in {entry.event for row in table.rows for entry in row.left_behind}
    world.now += timedelta(minutes=1)
    assert late(world.run("run-2")[1]) == set()


def test_what_a_run_could_not_look_for_is_found_by_the_next_and_told_once(world, monkeypatch):
    """A platform that records what it refuses fails both rows of the next run, too: nobody has reported it yet."""
    query = probe_collecting.query_partition
    failed = replace(READ, status=ReadStatus.FAILED, error="reset")
    monkeypatch.setattr(probe_collecting, "query_partition", lambda *_, **__: ([], failed))
    plan, table = world.run("run-1", REPLAY_REQUESTED="no_token")
    assert late(table) == set()
    monkeypatch.setattr(probe_collecting, "query_partition", query)
    world.now += timedelta(minutes=1)
    _, table = world.run("run-2")
    assert late(table) == {plan["no_token"].intent}
    judgement = judge_permissions(table, links=ConsoleLinks("us-west-2"), ledger_table="cc-native-ledger")
    assert "refused_probe_acted_on_later" in {finding.code for finding in judgement.findings}
    world.now += timedelta(minutes=1)
    assert late(world.run("run-3")[1]) == set()


def test_without_a_memory_the_ledger_is_searched_as_far_back_as_the_settings_say(world, tmp_path):
    plan, _ = world.run("run-1")
    world.write("REPLAY_REQUESTED", plan["foreign_intent"])
    world.history = History(tmp_path / "another.sqlite")
    days = ProbePolicy().late_effect_days
    world.now += timedelta(days=days - 1)
    assert late(world.run("run-2")[1]) == {plan["foreign_intent"].intent}
