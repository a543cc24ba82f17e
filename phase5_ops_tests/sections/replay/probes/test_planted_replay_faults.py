"""Every planted fault of /replay is found by its row, whatever token, channel and effect; a healthy platform passes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

import pandas as pd
import pytest

from phase5_ops.evidence.table import GatheredTable
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import CanaryPlace, intent_item, mentioned, new_intent_id
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.control_center.planted_faults import ApiRoute, Effect, PlantedFault, TenantSource, Who, family, sensible
from phase5_ops.sandbox.state.probe_tenants import A, B
from phase5_ops.sections.replay.probes.case import Case
from phase5_ops.sections.replay.probes.evidence import REPLAY_PROBE, ProbeFacts, Sent, attribute_entries, probed, sent_row
from phase5_ops.sections.replay.probes.judge import authorization_of, permissions_of
from phase5_ops.sections.replay.probes.matrix import build_plan
from phase5_ops.sections.replay.probes.plan import Probe, Targets, intents_of, request_of
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.sandbox.control_center.memory_platform import NOW, MemoryPlatform
from phase5_ops_tests.sections.isolation.harness.test_planted_faults import TOKENS, WHO

pytestmark = pytest.mark.slow

LEDGER, INTENTS = "cc-native-ledger", "cc-native-action-intent"
READ = Read("dynamodb:Query", LEDGER, ReadStatus.OK, None, 1, "", "")
DONE = ("EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED")
FAILED = ("EXECUTION_STARTED", "ACTION_FAILED", "REPLAY_FAILED")
#: Every way in alone, with every token that could use it; and the family's, which do something else than act at once.
FAULTS = sorted(
    {
        *(fault for fault in family() if fault.route is ApiRoute.REPLAY),
        *(fault for who, channel in product(Who, TenantSource) if sensible(fault := PlantedFault(ApiRoute.REPLAY, who, channel))),
    }
)


def plan_of(run_id: str) -> tuple[Probe, ...]:
    targets = Targets.of(ProbePolicy(), run_id=run_id, tenant_a=A.tenant_id, tenant_b=B.tenant_id, requester=A.email)
    return build_plan(targets, new_intent_id, other_client=True)


PLAN, NEXT_PLAN = plan_of("run-1"), plan_of("run-2")


@cache
def written(place: CanaryPlace, intent: str, *, expired: bool) -> Mapping[str, Any]:
    """An intent, which each of these platforms has."""
    return intent_item(place, intent, run_id="run", action_type="X", now=NOW, expired=expired)


def answers_of(platform: MemoryPlatform, asked: Sequence[Probe]) -> Iterator[tuple[Probe, HttpAnswer]]:
    """The platform's answer to one probe after the other, once the intents of all are written."""
    expired = {probe.intent for probe in asked if probe.expired}
    for place, intent in intents_of(asked):
        platform.tables.put(INTENTS, written(place, intent, expired=intent in expired))
    for probe in asked:
        yield probe, platform.send(request_of(probe, TOKENS[probe.token]))


class Probed:
    """A platform in memory with the probes of a plan before it, and what executes a replay that it was asked for."""

    def __init__(self, *faults: PlantedFault, plan: Iterable[Probe] = PLAN, who: Who | None = None) -> None:
        self.platform = MemoryPlatform()
        self.platform.platform_faults.update(faults)
        self.asked = [probe for probe in plan if who is None or WHO[probe.token] is who]
        self.rows = [sent_row(probe, answer, None) for probe, answer in answers_of(self.platform, self.asked)]
        self._execute({probe.intent for probe in self.asked if probe.expired or probe.stopped})

    def _execute(self, held_back: set[str]) -> None:
        for number, (_, detail_type, detail) in enumerate(self.platform.aws.events):
            data = detail["data"]
            assert detail_type == "REPLAY_REQUESTED"
            for event in ("REPLAY_STARTED", *(FAILED if data["action_intent_id"] in held_back else DONE)):
                self.platform.ledger.append(
                    event,
                    tenant=data["tenant_id"],
                    account=data["account_id"],
                    trace_id=f"trace-{number}-{data['action_intent_id']}",
                    data={name: data[name] for name in ("action_intent_id", "replay_reason", "requested_by")},
                )

    @property
    def entries(self) -> list[tuple[str, dict]]:
        items = self.platform.tables.tables.get(LEDGER, {}).values()
        return [(item["pk"]["S"].removeprefix("TENANT#"), item) for item in items]


@cache
def healthy(plan: tuple[Probe, ...]) -> Probed:
    return Probed(plan=plan)


def judged(rows: Sequence[Sent], entries: Iterable[tuple[str, dict]]) -> dict[str, Judgement]:
    found = attribute_entries(rows, entries)
    facts = ProbeFacts(context={"requesters": [A.email, A.username]}, late=tuple(found.late))
    table = GatheredTable(REPLAY_PROBE, pd.DataFrame(), facts, [READ], NOW)
    everything = [probed(row, found.left.get(row.name, ())) for row in rows]
    return {
        row: judge(Case(table, row, "link", everything)) for row, judge in (("3.1", authorization_of), ("3.3", permissions_of))
    }


def with_fault(fault: PlantedFault) -> tuple[dict[str, Judgement], dict[str, Judgement]]:
    """The rows of the run that meets the fault, and of the next one.

    A fault looks at the token first, so requests with others are answered, and leave behind, what they do on a healthy platform.
    """
    well, ill = healthy(PLAN), Probed(fault, who=fault.who)
    asked = {row.name: row for row in ill.rows}
    rows = [asked.get(row.name, row) for row in well.rows]
    untouched = {row.intent for row in well.rows if row.name not in asked}
    entries = [entry for entry in well.entries if untouched.intersection(mentioned(str(entry)))]
    now = judged(rows, [*entries, *ill.entries])
    if fault.effect is not Effect.ACTS_LATE:
        return now, {}
    seen = {str(item["sk"]) for _, item in ill.entries}
    ill.platform.application.act_late()
    late = [(tenant, item) for tenant, item in ill.entries if str(item["sk"]) not in seen]
    after = healthy(NEXT_PLAN)
    return now, judged(after.rows, [*after.entries, *late])


def test_a_healthy_platform_passes_both_rows():
    probed = healthy(PLAN)
    rows = judged(probed.rows, probed.entries)
    assert {row: (judgement.verdict, judgement.findings) for row, judgement in rows.items()} == {
        "3.1": (Verdict.PASS, ()),
        "3.3": (Verdict.PASS, ()),
    }
    accepted = {row.name for row in probed.rows if row.status == 202}
    assert "own_replay" in accepted
    assert all(
        row.expect in ("accepted", "own_tenant_only", "requester", "expired", "stopped")
        for row in probed.rows
        if row.name in accepted
    )


@pytest.mark.parametrize("who", list(Who))
def test_every_planted_hole_is_found_by_its_row(who: Who):
    missed = []
    for fault in (each for each in FAULTS if each.who is who):
        now, after = with_fault(fault)
        late = fault.effect is Effect.ACTS_LATE
        found = (after if late else now)[fault.row]
        for_itself = fault.who is Who.OTHER_CLIENT and fault.channel is TenantSource.CLAIM  # taken for the tenant that it claims
        wanted = Verdict.WARN if for_itself else Verdict.FAIL
        if late and now[fault.row].verdict is not Verdict.PASS:
            missed.append((fault.name, "seen before it was done"))
        if found.verdict is not wanted:
            missed.append((fault.name, found.verdict, [(one.code, one.seen) for one in found.findings][:3]))
    assert not missed


def test_there_are_more_than_enough_distinct_faults():
    assert len(FAULTS) == len(set(FAULTS)) >= 120
    assert {fault.who for fault in FAULTS} == set(Who)
    assert {fault.channel for fault in FAULTS} == set(TenantSource)
