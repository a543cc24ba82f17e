"""Collects what the probes of rows 3.1 and 3.3 left behind: searches the ledger twice and follows the canary replay to its end.

Then it removes this run's canary intents and what came of them; those of replays still under way are removed by the next run
that holds the lease. Nothing is deleted from the ledger. Last, it gives the lease back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from phase5_ops.aws.pace import growing_pauses
from phase5_ops.ccnative.ledger import TERMINAL
from phase5_ops.clock import iso, parse_iso
from phase5_ops.context import RunContext
from phase5_ops.probing import canary, lease
from phase5_ops.probing.canary_intent import CanaryPlace
from phase5_ops.probing.codes import Obstacle, ProbingCode
from phase5_ops.probing.dynamo import query_partition
from phase5_ops.probing.iam import NOBODY
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.probes.evidence import EffectAttribution, Probes, Sent, SentProbes, attribute_entries, probe_table
from phase5_ops.sections.replay.probes.late_effects import Memory, recall, remember
from phase5_ops.sections.replay.probes.sending import LEASE_USER, LEDGER_SKEW

#: How far back the ledger is searched where nothing of this run was found in it: the platform's clock may be off.
_FAR_BEHIND = timedelta(days=1)


def collect_probes(
    run: RunContext,
    sent: SentProbes,
    *,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Probes:
    """The table `replay_probe`.

    Args:
        run: of this run.
        sent: the table `replay_probes_sent`.
        wall: epoch seconds.
        sleep: waits.
    """
    rows, context = sent.rows, sent.facts.context
    collecting = _ProbeCollecting(run, rows, context, wall, sleep)
    if context.get("written"):
        if any(row.not_tried is None for row in rows):
            collecting.watch()
        collecting.clean_up()
        collecting.give_back_lease()
    run.at_end.pop(LEASE_USER, None)  # a run that does not get here gives back canaries and lease at its end
    table = probe_table(sent, collecting.found(), collecting.obstacles)
    return table.with_reads([*sent.reads, *collecting.reads], run.now())


@dataclass
class _ProbeCollecting:
    run: RunContext
    rows: Sequence[Sent]
    context: Mapping[str, Any]
    wall: Callable[[], float]
    sleep: Callable[[float], None]
    entries: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = recall(self.run, skew=LEDGER_SKEW)

    def watch(self) -> None:
        """Waits the settle time, searches, follows the accepted replays, and searches again, also for what earlier runs left.

        If probes were accepted but left nothing, it searches one day further back: the platform's clock may be far behind.
        """
        policy = self.run.settings.probes
        # A clock that was set back meanwhile must not make the wait longer than the settle time.
        self._wait(min(policy.settle_seconds, float(self.context["sent_at"]) + policy.settle_seconds - self.wall()))
        whole = self._search(keep=True)
        ends, pauses = time.monotonic() + policy.follow_seconds, growing_pauses()
        while whole and self._unfinished() and time.monotonic() < ends:
            self._wait(next(pauses))
            whole = self._search(keep=False)
        since = min(iso(self.memory.since), str(self.context["since"]))
        whole = self._search(keep=True, others=True, since=since)
        if any(row.accepted for row in self.rows) and not self.found().left:
            whole = self._search(keep=True, since=iso(parse_iso(str(self.context["since"])) - _FAR_BEHIND)) and whole
        if whole:
            remember(self.run, self.rows, self.found())

    def found(self) -> EffectAttribution:
        """Which probe left which of the entries found so far."""
        return attribute_entries(
            self.rows,
            self.entries.values(),
            since=f"ENTRY#{self.context.get('since', '')}",
            refused=self.memory.refused,
            reported=self.memory.reported,
        )

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)

    def _search(self, *, keep: bool, others: bool = False, since: str | None = None) -> bool:
        """Adds what the ledger holds since the probes began, or `since`; returns whether all was read. Failed reads are kept.

        With `others`, also where a platform would record a request of an unknown tenant, or under its user taken for a tenant.
        """
        whole = True
        for tenant in (*self.context["tenants"], *((*NOBODY, *self.context["requesters"]) if others else ())):
            items, read = query_partition(
                self.run.reader,
                self.run.settings.tables.ledger,
                f"TENANT#{tenant}",
                since=f"ENTRY#{since or self.context['since']}",
            )
            for item in items:
                key = (str(item.get("pk")), str(item.get("sk")))
                self.entries[key] = (str(tenant), item)
            failed = read.status is not ReadStatus.OK
            whole = whole and not failed
            if keep or failed:
                self.reads.append(read)
        return whole

    def _unfinished(self) -> list[Sent]:
        """The probes that were accepted and whose replay has not ended."""
        left = self.found().left
        return [row for row in self.rows if row.accepted and not {entry.event for entry in left.get(row.name, [])} & TERMINAL]

    def give_back_lease(self) -> None:
        """Gives the lease back; where that fails, the next run has to wait for its end."""
        place = lease.ProbesPartition.of(self.run.settings)
        read = lease.release(self.run.reader, place, str(self.context["run_id"]), user=LEASE_USER)
        if read.status is not ReadStatus.OK:
            self.obstacles.append(Obstacle.of_read(ProbingCode.PROBE_LEASE_NOT_RELEASED, read, expected="the lease given back"))

    def clean_up(self) -> None:
        """Removes this run's canary intents and what came of them."""
        reader, tables = self.run.reader, self.run.settings.tables
        left, running = self.found().left, {row.intent for row in self._unfinished()}
        over = [row for row in self.rows if row.intent_tenant and row.intent_account and row.intent not in running]
        intents = dict.fromkeys((CanaryPlace(str(row.intent_tenant), str(row.intent_account)), row.intent) for row in over)
        reads = canary.remove(reader, tables, intents, {row.intent for row in over if left.get(row.name)})
        failed = [read for read in reads if read.status is not ReadStatus.OK]
        if failed:
            self.obstacles.append(Obstacle.of_read(ProbingCode.CANARY_NOT_REMOVED, failed[0], expected="canary intents removed"))
