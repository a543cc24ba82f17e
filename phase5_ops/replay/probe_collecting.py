"""Collects what the probes of rows 3.1 and 3.3 left behind: two searches of the ledger, the canary replay followed to its end.

Then it cleans up: the canary intents of this run and what came of them, except of replays still under way, which the next run
that holds the lease removes. Nothing is deleted from the ledger. At last the lease is given back.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from phase5_ops.ccnative.ledger import TERMINAL
from phase5_ops.platform import Platform
from phase5_ops.probing import canary, lease
from phase5_ops.probing.canary_intent import Place
from phase5_ops.probing.codes import CANARY_NOT_REMOVED, LEASE_NOT_RELEASED, Obstacle
from phase5_ops.probing.dynamo import query_partition
from phase5_ops.probing.iam import NOBODY
from phase5_ops.reads import Read, ReadStatus, attach, reads_of
from phase5_ops.replay.probe_evidence import CONTEXT, LeftEntry, Sent, attribute_entries, probe_table, sent_rows
from phase5_ops.replay.probe_sending import LEASE_USER

_FIRST_PAUSE, _LONGEST_PAUSE, _PAUSE_GROWTH = 0.05, 2.0, 1.5


def collect_probes(
    platform: Platform,
    sent: pd.DataFrame,
    *,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> pd.DataFrame:
    """The table `replay_probe`.

    Args:
        platform: of this run.
        sent: the table `replay_probes_sent`.
        wall: epoch seconds.
        sleep: waits.
    """
    rows, context = sent_rows(sent), sent.attrs.get(CONTEXT, {})
    collecting = _Collecting(platform, rows, context, wall, sleep)
    if context.get("written"):
        try:
            if any(row.not_tried is None for row in rows):
                collecting.watch()
            collecting.clean_up()
        finally:
            collecting.give_back_lease()
    table = probe_table(sent, list(collecting.entries.values()), collecting.obstacles)
    return attach(table, [*reads_of(sent), *collecting.reads], platform.now())


@dataclass
class _Collecting:
    platform: Platform
    rows: Sequence[Sent]
    context: Mapping[str, Any]
    wall: Callable[[], float]
    sleep: Callable[[float], None]
    entries: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)

    def watch(self) -> None:
        """Waits the settle time, searches, follows the accepted replays, and searches again."""
        policy = self.platform.settings.probes
        # A clock that was set back meanwhile must not make this longer than it can be.
        self._wait(min(policy.settle_seconds, float(self.context["sent_at"]) + policy.settle_seconds - self.wall()))
        whole = self._search(keep=True)
        ends, pause = time.monotonic() + policy.follow_seconds, _FIRST_PAUSE
        while whole and self._unfinished() and time.monotonic() < ends:
            self._wait(pause)
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)
            whole = self._search(keep=False)
        self._search(keep=True, others=True)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)

    def _search(self, *, keep: bool, others: bool = False) -> bool:
        """Adds what the ledger holds since the probes began; whether it was read whole. Failed reads are always kept.

        With `others`, also where a platform would record a request whose tenant it does not know, or whose user it takes for one.
        """
        whole = True
        for tenant in (*self.context["tenants"], *((*NOBODY, *self.context["requesters"]) if others else ())):
            items, read = query_partition(
                self.platform.reader,
                self.platform.settings.tables.ledger,
                f"TENANT#{tenant}",
                since=f"ENTRY#{self.context['since']}",
            )
            for item in items:
                key = (str(item.get("pk")), str(item.get("sk")))
                self.entries[key] = (str(tenant), item)
            failed = read.status is not ReadStatus.OK
            whole = whole and not failed
            if keep or failed:
                self.reads.append(read)
        return whole

    def _left(self) -> Mapping[str, list[LeftEntry]]:
        return attribute_entries(self.rows, self.entries.values())[0]

    def _unfinished(self) -> list[str]:
        """Names of the probes that were accepted, or recorded, and whose replay has not ended."""
        left = self._left()
        running = []
        for row in self.rows:
            events = {entry.event for entry in left.get(row.name, [])}
            accepted = row.problem is None and row.status is not None and 200 <= row.status < 300  # noqa: PLR2004 - HTTP's own
            if accepted and not events & TERMINAL:
                running.append(row.name)
        return running

    def give_back_lease(self) -> None:
        """Gives the lease back; where that fails, the next run has to wait for its end."""
        table = self.platform.settings.tables.readiness
        read = lease.release(self.platform.reader, table, str(self.context["run_id"]), user=LEASE_USER)
        if read.status is not ReadStatus.OK:
            seen = f"{read.operation}: {read.status}: {read.error}"
            self.obstacles.append(Obstacle(LEASE_NOT_RELEASED.code, table, expected="the lease given back", seen=seen))

    def clean_up(self) -> None:
        """Removes this run's canary intents and what came of them."""
        reader, tables = self.platform.reader, self.platform.settings.tables
        left, running = self._left(), set(self._unfinished())
        over = [row for row in self.rows if row.intent_tenant and row.intent_account and row.name not in running]
        intents = [(Place(str(row.intent_tenant), str(row.intent_account)), row.intent) for row in over]
        reads = canary.remove(reader, tables, intents, [row.intent for row in over if left.get(row.name)])
        failed = [read for read in reads if read.status is not ReadStatus.OK]
        if failed:
            seen = f"{failed[0].operation}: {failed[0].status}: {failed[0].error}"
            self.obstacles.append(
                Obstacle(CANARY_NOT_REMOVED.code, failed[0].resource, expected="canary intents removed", seen=seen)
            )
