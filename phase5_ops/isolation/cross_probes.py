"""Makes the cross-tenant probes of row 4.1: plants data for test tenant B, asks for it with A's token, puts everything back.

What both test tenants have is saved in phase5's own state table before the first change, so that a run that is killed is undone
by the next one (`undo`), whoever runs it. Every request passes the guard.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from phase5_ops.ccnative.keys import plain_item
from phase5_ops.isolation.footprint_evidence import HarnessRow, Kind, ProbeAnswer, Result, probe_row, shown_key
from phase5_ops.isolation.probe_plan import (
    CrossProbe,
    CrossTargets,
    Watched,
    build_cross_plan,
    own_requests,
    planted,
    told_entry,
    watched,
)
from phase5_ops.platform import Platform
from phase5_ops.probing import canary
from phase5_ops.probing.canary_intent import Place
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.codes import PROBE_STATE_UNAVAILABLE, PROBE_TENANT_REFUSED, Obstructed
from phase5_ops.probing.dynamo import delete_items, put_items, query_partition
from phase5_ops.probing.guard import ForbiddenTarget, Ground, check_cross_tenant
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:BatchWriteItem")

#: Where the saved items are in phase5's own state table.
SAVED_KEY = {"pk": {"S": "PROBES"}, "sk": {"S": "ISOLATION"}}
_MOST_SAVED = 350_000  # characters; an item of DynamoDB holds 400 KB

Item = dict[str, Any]
Snapshot = dict[Watched, list[Item]]
_DECIDES = (None, Problem.SERVER_ERROR, Problem.TOO_LARGE)


def new_mark() -> str:
    """A text that nothing else has, in the form of an action type."""
    return f"PHASE5_{secrets.token_hex(8).upper()}"


#: An intent that only B's ledger knows; one entry for good, since nothing is deleted there.
TOLD_INTENT = "ai_1_phase5told"


def tell_once(platform: Platform, targets: CrossTargets, stamp: str) -> list[Read]:
    """Puts B's entry into the ledger, unless it is there from an earlier run."""
    table = platform.settings.tables.ledger
    known, read = query_partition(platform.reader, table, f"TRACE#trace-{targets.told_b}", key="gsi1pk", index="gsi1-index")
    if known or read.status is not ReadStatus.OK:
        return [read]
    return [read, *put_items(platform.reader, table, [told_entry(targets, stamp)])]


@dataclass
class CrossProbing:
    """One run's cross-tenant probes.

    Attributes:
        platform: of the run.
        targets: what they name.
        client: to the Control Center.
        token: A's.
        may_write: False in probe mode `refusals`: a write may be taken as one for A's own tenant.
    """

    platform: Platform
    targets: CrossTargets
    client: HttpClient
    token: str = field(repr=False)
    may_write: bool = True
    reads: list[Read] = field(default_factory=list)

    def run(self) -> list[HarnessRow]:
        """Every probe with what came of it; what was changed is put back.

        Raises:
            Obstructed: the test tenants' items could not be saved, so nothing was changed or asked.
        """
        plan = build_cross_plan(self.targets)
        ground = self._ground()
        for probe in (*plan, *own_requests(self.targets).values()):
            self._check(probe, ground)
        saved = self._save()
        try:
            before = self._plant(saved)
            answers = self._ask(plan)
            changes = self._changes(before, self._snapshot()) if self.may_write else {}
        finally:
            undone = undo(self.platform, self.targets)
            self.reads += undone
        put_back = all(read.status is ReadStatus.OK for read in undone)
        return self._rows(plan, answers, changes, put_back=put_back)

    def _ground(self) -> Ground:
        targets = self.targets
        intents = {targets.intent_b, targets.told_b, *([targets.canary] if targets.canary else [])}
        marks = {targets.marker, targets.written, targets.export_b}
        accounts = frozenset((targets.account_a, targets.account_b))
        return Ground(targets.tenant_a, targets.tenant_b, accounts, frozenset(intents), marks=frozenset(marks))

    def _check(self, probe: CrossProbe, ground: Ground) -> None:
        try:
            check_cross_tenant(probe.request(self.token, self.targets.tenant_b), ground)
        except ForbiddenTarget as refusal:
            raise Obstructed(PROBE_TENANT_REFUSED, "probe", expected="only the test tenants named", seen=str(refusal)) from None

    # Saving, planting, comparing

    def _snapshot(self) -> Snapshot:
        snapshot, reads = read_watched(self.platform, self.targets)
        self.reads += reads
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            raise Obstructed(
                PROBE_STATE_UNAVAILABLE,
                failed[0].resource,
                expected="what the test tenants have, before and after the probes",
                seen=f"{failed[0].operation}: {failed[0].status}: {failed[0].error}",
            )
        return snapshot

    def _save(self) -> Snapshot:
        snapshot = self._snapshot()
        content = json.dumps(
            [[place.role, place.partition, place.tenant, items] for place, items in snapshot.items()], default=repr
        )
        table = self.platform.settings.tables.readiness
        problem = f"{len(content)} characters, too many for one item" if len(content) > _MOST_SAVED else None
        if problem is None:
            answer = self.platform.reader.call(
                "dynamodb",
                "put_item",
                table,
                TableName=table,
                Item={
                    **SAVED_KEY,
                    "run": {"S": self.platform.run_id},
                    "content": {"S": content},
                    "intent": {"S": self.targets.intent_b},
                },
            )
            self.reads.append(answer.read)
            problem = None if answer.read.status is ReadStatus.OK else f"{answer.read.status}: {answer.read.error}"
        if problem is not None:
            raise Obstructed(PROBE_STATE_UNAVAILABLE, table, expected="the test tenants' items saved", seen=problem)
        return snapshot

    def _plant(self, saved: Snapshot) -> Snapshot:
        """Writes B's test data; what the watched partitions hold then."""
        tables, before = self.platform.settings.tables, {place: list(items) for place, items in saved.items()}
        items: dict[str, list[Item]] = {}
        for role, item in planted(self.targets):
            items.setdefault(role, []).append(item)
        for switches in _switches_of(saved, self.targets.tenant_b):
            disabled = [*switches.get("disabled_action_types", {}).get("L", []), {"S": self.targets.marker}]
            items["tenants"] = [{**switches, "disabled_action_types": {"L": disabled}}]
        for role, chosen in items.items():
            self.reads += put_items(self.platform.reader, getattr(tables, role), chosen)
            for item in chosen:
                for place, known in before.items():
                    if place.role == role and item[place.attribute]["S"] == place.partition:
                        known[:] = [*(each for each in known if _key_of(place, each) != _key_of(place, item)), item]
        return before

    # Asking

    def _ask(self, plan: Sequence[CrossProbe]) -> Mapping[str, HttpAnswer]:
        """The answers by probe: reads and own requests side by side, then the writes one after the other."""
        reading = [*own_requests(self.targets).values(), *(probe for probe in plan if probe.reads)]
        with ThreadPoolExecutor(self.platform.settings.probes.parallel_requests, thread_name_prefix="cross-probes") as workers:
            answers = dict(zip((probe.name for probe in reading), workers.map(self._send, reading), strict=True))
        if self.may_write:
            answers |= {probe.name: self._send(probe) for probe in plan if not probe.reads}
        return answers

    def _send(self, probe: CrossProbe) -> HttpAnswer:
        return self.client.send(probe.request(self.token, self.targets.tenant_b))

    def _rows(
        self,
        plan: Sequence[CrossProbe],
        answers: Mapping[str, HttpAnswer],
        changes: Mapping[str, Sequence[str]],
        *,
        put_back: bool,
    ) -> list[HarnessRow]:
        unproven = {family: _unproven(answers[probe.name], probe) for family, probe in own_requests(self.targets).items()}
        rows = []
        for probe in plan:
            if probe.reads:
                rows.append(self._read_row(probe, answers[probe.name], unproven[probe.family]))
            elif not self.may_write:
                rows.append(not_tried(probe, "PHASE5_PROBE_MODE=refusals: it may be taken as a write for A's own tenant"))
            else:
                changed = tuple(changes.get(probe.name, ()))
                reason = unproven[probe.family] if not changed else ""
                rows.append(_probe_row(probe, answers[probe.name], reason, changed=changed, put_back=put_back))
        return rows

    def _read_row(self, probe: CrossProbe, answer: HttpAnswer, unproven: str) -> HarnessRow:
        succeeded = answer.status is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES and answer.problem in _DECIDES
        shown = []
        if self.targets.marker in answer.body or (succeeded and self.targets.intent_b in answer.body and not probe.only_b):
            shown.append("the marker of this run in B's data")
        elif probe.only_b and succeeded:
            shown.append("what only B has")
        return _probe_row(probe, answer, unproven if not shown else "", shown=tuple(shown))

    def _changes(self, before: Snapshot, after: Snapshot) -> Mapping[str, list[str]]:
        """B's keys that changed, by the probe that wrote them; which of several, its account or key tells, else all of them."""
        found: dict[str, list[str]] = {}
        writes = [probe for probe in build_cross_plan(self.targets) if not probe.reads]
        for place, items in after.items():
            if place.tenant != self.targets.tenant_b:
                continue
            for key, item in _differences(place, before[place], items):
                blamed = [probe for probe in writes if probe.role == place.role and self._may_be_of(probe, item)]
                for probe in blamed or [probe for probe in writes if probe.role == place.role]:
                    found.setdefault(probe.name, []).append(f"{place.role} {key}")
        return found

    def _may_be_of(self, probe: CrossProbe, item: Item) -> bool:
        account = (probe.body or {}).get("account_id")
        return account is None or account in json.dumps(item, default=repr)


def _unproven(answer: HttpAnswer, probe: CrossProbe) -> str:
    """Why refusals of a family show nothing; "" where A's own data came."""
    if answer.status is not None and answer.status < HTTPStatus.MULTIPLE_CHOICES and answer.problem in _DECIDES:
        return ""
    seen = f"HTTP {answer.status}" if answer.problem is None else answer.detail or str(answer.problem)
    return f"A's own {probe.shown} was not answered either ({seen}), so a refusal shows nothing"


def _probe_row(
    probe: CrossProbe,
    answer: HttpAnswer,
    unproven: str,
    *,
    shown: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
    put_back: bool = True,
) -> HarnessRow:
    status = None if unproven or answer.problem not in _DECIDES else answer.status
    problem = unproven or answer.detail
    return probe_row(ProbeAnswer(probe.name, probe.shown, probe.reads, status, shown, changed, put_back, problem))


def not_tried(probe: CrossProbe, reason: str) -> HarnessRow:
    """The row of a probe that was not sent."""
    return HarnessRow(
        Kind.PROBE,
        probe.shown,
        probe.name,
        Result.NOT_JUDGED,
        reason,
        operation="read" if probe.reads else "write",
        codes=("probe_not_tried",),
        expected="a request with A's token",
    )


# The state of the test tenants


def read_watched(platform: Platform, targets: CrossTargets) -> tuple[Snapshot, list[Read]]:
    """What the test tenants have in the partitions that probes could change."""
    return _read(platform, watched(targets))


def _read(platform: Platform, places: Sequence[Watched]) -> tuple[Snapshot, list[Read]]:
    snapshot: Snapshot = {}
    reads = []
    for place in places:
        table = getattr(platform.settings.tables, place.role)
        snapshot[place], read = query_partition(platform.reader, table, place.partition, key=place.attribute)
        reads.append(read)
    return snapshot, reads


def _switches_of(snapshot: Snapshot, tenant: str) -> list[Item]:
    """The item of a tenant that holds its kill switches."""
    return [item for place, items in snapshot.items() if place.role == "tenants" and place.tenant == tenant for item in items]


def _key_of(place: Watched, item: Item) -> dict[str, Any]:
    return {name: item[name] for name in (("tenantId",) if place.role == "tenants" else ("pk", "sk"))}


def _differences(place: Watched, before: Sequence[Item], after: Sequence[Item]) -> list[tuple[str, Item]]:
    old = {json.dumps(_key_of(place, item)): item for item in before}
    new = {json.dumps(_key_of(place, item)): item for item in after}
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    return [
        (shown_key(list(_key_of(place, item)), plain_item(item)), item) for item in (new.get(key) or old[key] for key in changed)
    ]


def restore(platform: Platform, wanted: Snapshot) -> list[Read]:
    """Makes the watched partitions what they were: removes what is new, writes what changed or is gone."""
    current, reads = _read(platform, list(wanted))
    for place, items in wanted.items():
        table = getattr(platform.settings.tables, place.role)
        keep = {json.dumps(_key_of(place, item)) for item in items}
        new = [_key_of(place, item) for item in current[place] if json.dumps(_key_of(place, item)) not in keep]
        changed = [item for item in items if item not in current[place]]
        reads += delete_items(platform.reader, table, new)
        reads += put_items(platform.reader, table, changed)
    return reads


def undo(platform: Platform, targets: CrossTargets | None, *, accounts: Callable[[], Sequence[Place]] = tuple) -> list[Read]:
    """Puts back what the last probing saved, of this run or of one that was killed, and then forgets it."""
    table = platform.settings.tables.readiness
    answer = platform.reader.call("dynamodb", "get_item", table, TableName=table, Key=SAVED_KEY, ConsistentRead=True)
    reads = [answer.read]
    item = answer.pages[0].get("Item") if answer.pages else None
    if not item:
        return reads
    content = json.loads(item["content"]["S"])
    wanted: Snapshot = {Watched(role, partition, tenant): items for role, partition, tenant, items in content}
    reads += restore(platform, wanted)
    places = [Place(targets.tenant_b, account) for account in (targets.account_a, targets.account_b)] if targets else accounts()
    intent = item["intent"]["S"]
    reads += canary.remove(platform.reader, platform.settings.tables, [(place, intent) for place in places], [intent])
    if all(read.status is ReadStatus.OK for read in reads):
        reads.append(platform.reader.call("dynamodb", "delete_item", table, TableName=table, Key=SAVED_KEY).read)
    return reads
