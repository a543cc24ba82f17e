"""Begins row 4.1: asks whether it may, cleans up after killed runs, reads every table, writes the canary intent and announces it.

It checks settings, stops and lease before it does anything that acts. Whatever prevents the canary becomes an obstacle in the
table, never an exception and never silence. `collecting.py` follows the canary to its end.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.probing import canary, own_work, stops
from phase5_ops.probing import lease as leases
from phase5_ops.probing.canary_intent import CanaryPlace, intent_item, new_intent_id, places_of
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.probing.configured import Configured, require_settings
from phase5_ops.probing.giving_back import give_back
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness.cross_probes import TOLD_INTENT, new_mark, tell_once, undo
from phase5_ops.sections.isolation.harness.probe_plan import CrossTargets
from phase5_ops.sections.isolation.harness.tables import (
    ISOLATION_CANARY_STARTED,
    CanaryStarted,
    Partitions,
    PlatformTable,
    SeenItem,
    StartedFacts,
    find_tables,
    read_items,
    seen_items,
)

IAM_ACTIONS = ("events:PutEvents",)

#: The name under which row 4.1 uses the lease of its run.
LEASE_USER = "isolation"
#: How far a record's time may be behind evaluation time and still be of this run.
SKEW = timedelta(minutes=5)


def start_harness(run: RunContext, *, wall: Callable[[], float] = time.time) -> CanaryStarted:
    """The table `isolation_canary_started`: a digest of every item before the canary, and in its facts what was begun.

    Args:
        run: of this run.
        wall: epoch seconds, for lease and ids.
    """
    starting = _Starting(run, wall)
    context = starting.context
    try:
        starting.start()
    except Obstructed as stop:
        context["obstacle"] = asdict(stop.obstacle)
    return ISOLATION_CANARY_STARTED.gathered(starting.rows, StartedFacts(context)).with_reads(starting.reads, run.now())


@dataclass
class _Starting:
    run: RunContext
    wall: Callable[[], float]
    reads: list[Read] = field(default_factory=list)
    rows: list[SeenItem] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Does all of it.

        Raises:
            Obstructed: there is no canary.
        """
        run, settings = self.run, self.run.settings
        self.context |= {"run_id": run.run_id, "since": iso(run.now() - SKEW), "mode": settings.probe_mode}
        configured = require_settings(settings)
        self.reads += stops.require_no_stop(run.reader, settings, [configured.tenant_a, configured.tenant_b])
        place = leases.ProbesPartition.of(settings)
        # set before the lease is taken: an interrupt or a lost answer may come in between; only a held lease is given back
        run.at_end[LEASE_USER] = partial(give_back, settings, run.run_id)
        lease, reads = leases.acquire(run.reader, place, run.run_id, settings.probes, user=LEASE_USER, wall=self.wall)
        self.reads += reads
        try:
            self._run_leased(configured, joined=lease.joined)
            self.context["leased"] = True
        except Obstructed:
            self.reads.append(lease.release())
            run.at_end.pop(LEASE_USER)
            raise

    def _run_leased(self, configured: Configured, *, joined: bool) -> None:
        run = self.run
        # earlier runs are over, as this run holds the lease; what cannot be removed, the next run tries again
        places = places_of((configured.tenant_a, configured.tenant_b), run.settings.probes.accounts)
        self.reads += undo(run, None, places)
        if not (joined and run.shared.get(canary.NOTHING_LEFT_OVER)):
            self.reads += canary.remove_leftovers(run.reader, run.settings.tables, places, living=run.run_id)
        targets = self._targets(configured)
        self.context["targets"] = asdict(targets) | {"now": iso(targets.now)}
        own_work.note(run, sorted(targets.ground.intents))
        self.reads += tell_once(run, targets, iso(run.now()))
        if targets.canary is None:
            return
        self._read_before(configured)
        self._write_canary(targets, targets.canary)

    def _targets(self, configured: Configured) -> CrossTargets:
        probes = self.run.settings.probes
        mark = new_mark()
        return CrossTargets(
            tenant_a=configured.tenant_a,
            tenant_b=configured.tenant_b,
            account_a=probes.account_a,
            account_b=probes.account_b,
            marker=new_mark(),
            written=mark,
            intent_b=new_intent_id(wall=self.wall),
            told_b=TOLD_INTENT,
            export_b=f"exp-{mark.removeprefix('PHASE5_')[:12].lower()}",
            account_out=probes.account_a_out_of_scope,
            action_type=probes.action_type,
            canary=new_intent_id(wall=self.wall) if configured.mode == "full" else None,
            now=self.run.now(),
        )

    def _read_before(self, configured: Configured) -> None:
        run = self.run
        tables, reads = find_tables(run.reader, run.settings)
        self.reads += reads
        tenants = (configured.tenant_a, configured.tenant_b)
        items, reads = read_items(run.reader, tables, Partitions(tenants, run.settings.probes.accounts), shared=True)
        self.reads += reads
        self.rows = list(seen_items(tables, items, tenants))
        self.context["tables"] = [_table_entry(table, len(items[table.name])) for table in tables]
        known = items.get(run.settings.tables.tenants, [])
        self.context["known_tenants"] = sorted({str(item.get("tenantId", {}).get("S", "")) for item in known} - {""})

    def _write_canary(self, targets: CrossTargets, intent: str) -> None:
        run, settings = self.run, self.run.settings
        place = CanaryPlace(targets.tenant_a, targets.account_a)
        item = intent_item(place, intent, run_id=run.run_id, action_type=settings.probes.action_type, now=run.now())
        reads = canary.put(run.reader, settings.tables, [item])
        self.reads += reads
        self._require(reads, "the canary intent written", settings.tables.action_intent)
        detail = {"data": {"action_intent_id": intent, "tenant_id": place.tenant, "account_id": place.account}}
        entry = {
            "Source": "cc-native",
            "DetailType": "ACTION_APPROVED",
            "Detail": json.dumps(detail),
            "EventBusName": settings.event_bus,
        }
        self.context["announced_at"] = self.wall()
        answer = run.reader.call("events", "put_events", settings.event_bus, Entries=[entry])
        self.reads.append(answer.read)
        failed = next((each for page in answer.pages for each in page.get("Entries") or [] if each.get("ErrorCode")), None)
        if failed is not None:
            self._obstruct(settings.event_bus, "the canary announced", f"{failed['ErrorCode']}: {failed.get('ErrorMessage')}")
        self._require([answer.read], "the canary announced", settings.event_bus)

    def _require(self, reads: list[Read], expected: str, subject: str) -> None:
        if failed := [read for read in reads if read.status is not ReadStatus.OK]:
            self._obstruct(subject, expected, f"{failed[0].operation}: {failed[0].status}: {failed[0].error}")

    def _obstruct(self, subject: str, expected: str, seen: str) -> None:
        raise Obstructed(ProbingCode.CANARY_NOT_WRITTEN, subject, expected=expected, seen=seen)


def _table_entry(table: PlatformTable, items: int) -> dict[str, Any]:
    keys = table.keys
    indexes = {name: list(names) for name, names in keys.indexes.items()}
    return {
        "name": table.name,
        "literal": keys.name,
        "key": list(keys.key),
        "indexes": indexes,
        "whole": table.whole,
        "items": items,
    }
