"""Makes the cross-tenant probes of row 4.1: plants data for test tenant B, asks for it with A's token, puts everything back.

Before the first change, what both test tenants have is saved in phase5's own state table. So the next run, whoever starts it, can
undo a run that was killed (`undo`). Every request passes the guard.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from phase5_ops.aws.pace import side_by_side
from phase5_ops.ccnative.keys import plain_item
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.probing import canary
from phase5_ops.probing.canary_intent import CanaryPlace
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.probing.dynamo import change_items, delete_items, put_items, query_partition
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import ForbiddenTarget, Ground, check_cross_tenant
from phase5_ops.probing.lease import ProbesPartition
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness.evidence import AccessKind, HarnessRow, Result, shown_key
from phase5_ops.sections.isolation.harness.probe_asking import Asking
from phase5_ops.sections.isolation.harness.probe_data import (
    Item,
    Watched,
    late_mark,
    outcomes,
    planted,
    planted_for_a,
    told_entry,
    watched,
)
from phase5_ops.sections.isolation.harness.probe_effects import (
    DECIDED,
    Effects,
    JudgedProbe,
    Snapshot,
    Told,
    key_of,
    late_decisions,
    late_row,
    of_planted,
    unproven_of,
    without_mark,
)
from phase5_ops.sections.isolation.harness.probe_matrix import build_cross_plan, combinations
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe, CrossTargets, own_requests

IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:Query", "dynamodb:BatchWriteItem")

#: Sort keys in the partition of the probes: of the saved items, and of the note how far the last run has read the ledgers.
SAVED, TOLD = "ISOLATION", "RUNS#ISOLATION"
_MOST_SAVED = 350_000  # characters; an item of DynamoDB holds 400 KB
_LEDGER_SKEW = timedelta(minutes=5)
_READERS = 4  # partitions read at once


def new_mark() -> str:
    """A new unique text in the form of an action type."""
    return f"PHASE5_{secrets.token_hex(8).upper()}"


#: An intent that only B's ledger knows; the same entry for all runs, since nothing is deleted there.
TOLD_INTENT = "ai_1_phase5told"


def tell_once(run: RunContext, targets: CrossTargets, stamp: str) -> list[Read]:
    """Puts B's entry into the ledger, unless an earlier run did."""
    table = run.settings.tables.ledger
    known, read = query_partition(run.reader, table, f"TRACE#trace-{targets.told_b}", key="gsi1pk", index="gsi1-index")
    if known or read.status is not ReadStatus.OK:
        return [read]
    return [read, *put_items(run.reader, table, [told_entry(targets, stamp)])]


@dataclass
class CrossProbing:
    """One run's cross-tenant probes.

    Attributes:
        context: of the run.
        targets: what the probes name.
        client: client of the Control Center.
        tokens: by kind; None sends no token.
        may_write: False in probe mode `refusals`: probes that may be taken as a write for A's own tenant are not sent.
        scoped: whether A's token limits it to its account.
        b_scoped: whether B's does.
        decisions: client of the decision API, where it has another address.
        sleep: waits.
    """

    context: RunContext
    targets: CrossTargets
    client: HttpClient
    tokens: Mapping[TokenKind, str | None] = field(repr=False)
    may_write: bool = True
    scoped: bool = True
    b_scoped: bool = True
    decisions: HttpClient | None = None
    sleep: Callable[[float], None] = time.sleep
    reads: list[Read] = field(default_factory=list)
    seconds: float = 0.0
    _newest: dict[str, str] = field(default_factory=dict)

    def run(self) -> list[HarnessRow]:
        """Sends every probe and puts back what changed. Returns the row of each.

        Raises:
            Obstructed: the test tenants' items could not be saved, so nothing was changed or asked.
        """
        began = time.monotonic()
        plan = self.plan()
        ground = self.targets.ground
        own = own_requests(self.targets)
        for probe in (*plan, *own.values()):
            self._check(probe, ground)
        saved, late = self._without_late(self._snapshot())
        late += self._late_decisions()
        self._save(saved)
        told = self._told()
        settings = self.context.settings
        asking = Asking(
            plan,
            tuple(own.values()),
            self._send,
            settings.isolation,
            settings.probes.parallel_requests,
            may_write=self.may_write,
            sleep=self.sleep,
        )
        try:
            seen = [self._plant(saved)]
            if reached := asking.reached():
                asking.ask(asking.reads())
                for wave in asking.writes():
                    asking.ask(wave)
                    seen.append(self._snapshot())
                asking.ask_own_again()
            effects = Effects(self.targets, plan, asking.answers).of(seen, told, self._told())
            self._keep_newest()
        finally:
            undone = [*undo(self.context, self.targets), *self._remove_approved(told)]
            self.reads += undone
        self.seconds = time.monotonic() - began
        put_back = all(read.status is ReadStatus.OK for read in undone)
        both = {probe.name: (asking.answers.get(probe.name), asking.after.get(probe.name)) for probe in own.values()}
        unproven = {family: unproven_of(both[probe.name], probe) for family, probe in own.items()}
        judged = JudgedProbe(self.targets, unproven, effects, put_back=put_back, elsewhere=self.decisions is not None)
        rows = [self._row(judged, probe, asking) if reached else judged.unanswered(probe) for probe in plan]
        return [*late, *judged.absences(), *rows, self._cost(plan, asking)]

    def plan(self) -> tuple[CrossProbe, ...]:
        """The probes of this run, as many as the settings allow."""
        return build_cross_plan(self.targets, self.tokens.keys(), scoped=self.scoped, b_scoped=self.b_scoped)

    def _row(self, judged: JudgedProbe, probe: CrossProbe, asking: Asking) -> HarnessRow:
        if probe.name in asking.answers:
            return judged.row(probe, asking.answers[probe.name])
        if not self.may_write and not probe.harmless:
            return not_tried(probe, "PHASE5_PROBE_MODE=refusals: the platform may take the probe for a write for A's own tenant")
        if probe.once_refused and not asking.kept_out(probe.who):
            reason = "not sent: the platform takes such a token for one of a tenant of its own, for whom it would write"
            return HarnessRow(AccessKind.PROBE, probe.shown, probe.name, Result.LISTED, reason, operation="write")
        policy = self.context.settings.isolation
        return not_tried(probe, f"not sent within {policy.probe_requests} requests and {policy.probe_seconds:g} s")

    def _cost(self, plan: Sequence[CrossProbe], asking: Asking) -> HarnessRow:
        absent = sorted(kind.value for kind in TokenKind if kind not in self.tokens)
        reason = (
            f"{len(plan)} probes, chosen from {combinations()} combinations; {asking.requests} requests in {self.seconds:.1f} s"
            + (f"; no token of these kinds: {', '.join(absent)}" if absent else "")
        )
        return HarnessRow(AccessKind.RUN, "probes", "", Result.LISTED, reason, operation="cost")

    def _check(self, probe: CrossProbe, ground: Ground) -> None:
        try:
            check_cross_tenant(probe.request(self.tokens.get(probe.who)), ground)
        except ForbiddenTarget as refusal:
            raise Obstructed(
                ProbingCode.PROBE_TENANT_REFUSED, "probe", expected="only the test tenants named", seen=str(refusal)
            ) from None

    # Saving, planting, comparing

    def _snapshot(self) -> Snapshot:
        snapshot, reads = _read(self.context, watched(self.targets))
        self.reads += reads
        _require(reads)
        return snapshot

    def _told(self) -> Told:
        """The ledger's entries of the last minutes about decisions, by tenant and sort key."""
        since = f"ENTRY#{iso(self.targets.now - _LEDGER_SKEW)}"
        return self._told_since({self.targets.tenant_a: since, self.targets.tenant_b: since})

    def _told_since(self, since: Mapping[str, str]) -> Told:
        """The same, from a given sort key on for each tenant; keeps the newest key of each."""
        told: Told = {}
        for tenant, key in since.items():
            entries, read = query_partition(
                self.context.reader, self.context.settings.tables.ledger, f"TENANT#{tenant}", since=key
            )
            self.reads.append(read)
            _require([read])
            for entry in map(plain_item, entries):
                self._newest[tenant] = max(self._newest.get(tenant, key), str(entry["sk"]))
                if str(entry.get("eventType")) in DECIDED:
                    told[tenant, str(entry["sk"])] = entry
            self._newest.setdefault(tenant, key)
        return told

    def _late_decisions(self) -> list[HarnessRow]:
        """The rows of decisions made after the last run had read the ledger."""
        place = ProbesPartition.of(self.context.settings)
        key, table = place.key(TOLD), place.table
        answer = self.context.reader.call("dynamodb", "get_item", table, TableName=table, Key=key, ConsistentRead=True)
        self.reads.append(answer.read)
        _require([answer.read])
        item = plain_item(answer.pages[0].get("Item") or {}) if answer.pages else {}
        last = {tenant: str(item[tenant]) for tenant in (self.targets.tenant_a, self.targets.tenant_b) if tenant in item}
        return late_decisions({place: entry for place, entry in self._told_since(last).items() if place[1] != last[place[0]]})

    def _keep_newest(self) -> None:
        """Notes how far this run has read the ledger."""
        place = ProbesPartition.of(self.context.settings)
        item, table = place.key(TOLD) | {tenant: {"S": key} for tenant, key in self._newest.items()}, place.table
        self.reads.append(self.context.reader.call("dynamodb", "put_item", table, TableName=table, Item=item).read)

    def _save(self, snapshot: Snapshot) -> None:
        content = json.dumps(
            [[place.role, place.partition, place.tenant, items] for place, items in snapshot.items()], default=repr
        )
        place = ProbesPartition.of(self.context.settings)
        table = place.table
        problem = f"{len(content)} characters, too many for one item" if len(content) > _MOST_SAVED else None
        if problem is None:
            answer = self.context.reader.call(
                "dynamodb",
                "put_item",
                table,
                TableName=table,
                Item={
                    **place.key(SAVED),
                    "run": {"S": self.context.run_id},
                    "content": {"S": content},
                    "intent": {"S": f"{self.targets.intent_b} {self.targets.intent_out}"},
                },
            )
            self.reads.append(answer.read)
            problem = None if answer.read.status is ReadStatus.OK else f"{answer.read.status}: {answer.read.error}"
        if problem is not None:
            raise Obstructed(ProbingCode.PROBE_STATE_UNAVAILABLE, table, expected="the test tenants' items saved", seen=problem)

    def _without_late(self, saved: Snapshot) -> tuple[Snapshot, list[HarnessRow]]:
        """Removes what earlier runs' probes left. Returns the snapshot without it, and a row for each such item.

        Every run puts back its changes before it ends, so an item that holds a mark now was written later. A budget that was
        overwritten is removed, since nobody knows its former content.
        """
        rows: list[HarnessRow] = []
        clean: Snapshot = {}
        for place, items in saved.items():
            table = getattr(self.context.settings.tables, place.role)
            marked = {id(item): mark for item in items if (mark := late_mark(item))}
            clean[place] = [kept for item in items if (kept := without_mark(place.role, item)) is not None]
            gone = [key_of(place, item) for item in items if without_mark(place.role, item) is None]
            changed = [item for item in clean[place] if item not in items]
            reads = [*delete_items(self.context.reader, table, gone), *put_items(self.context.reader, table, changed)]
            self.reads += reads
            done = all(read.status is ReadStatus.OK for read in reads) and place.role != "autonomy_budget_state"
            rows += [
                late_row(f"{place.role} {shown_key(list(key_of(place, item)), plain_item(item))}", marked[id(item)], done)
                for item in items
                if id(item) in marked
            ]
        return clean, rows

    def _plant(self, saved: Snapshot) -> Snapshot:
        """Writes the test data. Returns what the watched partitions hold then."""
        tables, before = self.context.settings.tables, {place: list(items) for place, items in saved.items()}
        items: dict[str, list[Item]] = {}
        for role, item in (*planted(self.targets), *planted_for_a(self.targets)):
            items.setdefault(role, []).append(item)
        for switches in _switches_of(saved, self.targets.tenant_b):
            disabled = [*switches.get("disabled_action_types", {}).get("L", []), {"S": self.targets.marker}]
            items["tenants"] = [{**switches, "disabled_action_types": {"L": disabled}}]
        written: dict[str, list[Item]] = {}
        for role, chosen in items.items():
            written.setdefault(getattr(tables, role), []).extend(chosen)  # two roles may name one table
        self.reads += change_items(self.context.reader, removed={}, written=written)
        for role, chosen in items.items():
            for item in chosen:
                for place, known in before.items():
                    if place.role == role and item[place.attribute]["S"] == place.partition:
                        known[:] = [*(each for each in known if key_of(place, each) != key_of(place, item)), item]
        return before

    def _remove_approved(self, told: Told) -> list[Read]:
        """Removes the intents that approvals of planted decisions made, with everything that these caused."""
        made = {
            (tenant, str(entry.get("accountId")), str(entry["data"].get("action_intent_id")))
            for (tenant, key), entry in self._told().items()
            if (tenant, key) not in told and entry["eventType"] == "ACTION_APPROVED" and of_planted(self.targets, entry)
        }
        reads: list[Read] = []
        for tenant, account, intent in sorted(made):
            reads += canary.remove_made(self.context.reader, self.context.settings.tables, CanaryPlace(tenant, account), intent)
        return reads

    def _send(self, probe: CrossProbe) -> HttpAnswer:
        client = self.decisions if self.decisions is not None and probe.route.of_decisions else self.client
        return client.send(probe.request(self.tokens.get(probe.who)))


def _require(reads: Sequence[Read]) -> None:
    if failed := [read for read in reads if read.status is not ReadStatus.OK]:
        raise Obstructed(
            ProbingCode.PROBE_STATE_UNAVAILABLE,
            failed[0].resource,
            expected="every item of the test tenants, before and after the probes",
            seen=f"{failed[0].operation}: {failed[0].status}: {failed[0].error}",
        )


def not_tried(probe: CrossProbe, reason: str) -> HarnessRow:
    """The row of a probe that was not sent."""
    return HarnessRow(
        AccessKind.PROBE,
        probe.shown,
        probe.name,
        Result.NOT_JUDGED,
        reason,
        operation="read" if probe.reads else "write",
        codes=("probe_not_tried",),
        expected=probe.expect.words,
    )


# The state of the test tenants


def _read(run: RunContext, places: Sequence[Watched]) -> tuple[Snapshot, list[Read]]:
    def one(place: Watched) -> tuple[list[Item], Read]:
        table = getattr(run.settings.tables, place.role)
        return query_partition(run.reader, table, place.partition, key=place.attribute)

    found = side_by_side(one, places, _READERS, "cross-probes")
    return {place: items for place, (items, _) in zip(places, found, strict=True)}, [read for _, read in found]


def _switches_of(snapshot: Snapshot, tenant: str) -> list[Item]:
    """The item of a tenant that holds its kill switches."""
    return [item for place, items in snapshot.items() if place.role == "tenants" and place.tenant == tenant for item in items]


def restore(run: RunContext, wanted: Snapshot) -> list[Read]:
    """Restores the watched partitions: removes new items, writes those that changed or are gone."""
    current, reads = _read(run, list(wanted))
    removed: dict[str, list[Item]] = {}
    written: dict[str, list[Item]] = {}
    for place, items in wanted.items():
        table = getattr(run.settings.tables, place.role)
        keep = {json.dumps(key_of(place, item)) for item in items}
        new = [key_of(place, item) for item in current[place] if json.dumps(key_of(place, item)) not in keep]
        changed = [item for item in items if item not in current[place]]
        for found, chosen in ((removed, new), (written, changed)):
            of_table = found.setdefault(table, [])
            of_table += [each for each in chosen if each not in of_table]  # two roles may name one table
    return reads + change_items(run.reader, removed=removed, written=written)


def undo(run: RunContext, targets: CrossTargets | None, places: Sequence[CanaryPlace] = ()) -> list[Read]:
    """Puts back what the last probing saved, in this run or in one that was killed, and then deletes the saved items.

    Without `targets`, the planted outcomes are looked for in all of `places`.
    """
    place = ProbesPartition.of(run.settings)
    key, table = place.key(SAVED), place.table
    answer = run.reader.call("dynamodb", "get_item", table, TableName=table, Key=key, ConsistentRead=True)
    reads = [answer.read]
    item = answer.pages[0].get("Item") if answer.pages else None
    if not item:
        return reads
    content = json.loads(item["content"]["S"])
    wanted: Snapshot = {Watched(role, partition, tenant): items for role, partition, tenant, items in content}
    reads += restore(run, wanted)
    intents = item["intent"]["S"].split()
    planted_at = outcomes(targets) if targets else [(place, intent) for place in places for intent in intents]
    reads += canary.remove(run.reader, run.settings.tables, planted_at, intents)
    if all(read.status is ReadStatus.OK for read in reads):
        reads.append(run.reader.call("dynamodb", "delete_item", table, TableName=table, Key=key).read)
    return reads
