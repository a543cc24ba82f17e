"""The ledger's window: read by whichever asset of a run needs it first, and what it tells of executions, kept for the others.

Row 3.2 reads the window for its replays and offers the executions in it (`offer_trails`); `trails_of` takes these, or reads the
window itself where row 3.2 is not of the run. What must not live here: what a replay or an execution should look like.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.aws.ledger import ReadPlan, Take, plan_reading, read_window
from phase5_ops.aws.pricing import cost_usd
from phase5_ops.aws.reader import CallMeter
from phase5_ops.aws.tables import describe_table_once, scan_items_once
from phase5_ops.ccnative.executions.trails import ExecutionTrails
from phase5_ops.ccnative.ledger import PARTITION_PREFIX, SORT_PREFIX, epoch_ms, stamp_of
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.reads import Read, ReadStatus

_TRAILS = "run_reads/trails"  # key in `run.shared`


@dataclass(frozen=True, slots=True)
class LedgerRead:
    """How the window was read; `partitions` is None if all were."""

    reads: list[Read]
    partitions: list[str] | None
    how: str

    @property
    def whole(self) -> bool:
        """True if every read gave its whole answer."""
        return all(read.status is ReadStatus.OK for read in self.reads)


def read_ledger_window(run: RunContext, *, since: int, earlier: Iterable[str], take: Take) -> LedgerRead:
    """Passes every entry from `since` (epoch ms) on to `take`, read by query or scan.

    Queries cover the tenants of the tenants table, of the settings, and the partitions of `earlier`; a tenant that is in none of
    them is seen by scans only. Where not all tenants are known, the table is scanned.
    """
    settings, reader = run.settings, run.reader
    described = describe_table_once(reader, settings.tables.ledger)
    description: Mapping[str, Any] = described.pages[0].get("Table", {}) if described.pages else {}
    items, tenants_read = scan_items_once(reader, settings.tables.tenants)
    listed = [item.get("tenantId", {}).get("S") for item in items]
    named = {pk.removeprefix(PARTITION_PREFIX) for pk in earlier if pk.startswith(PARTITION_PREFIX)}
    tenants = sorted({*settings.canary_tenants, *settings.replay.ledger_tenants, *named, *(name for name in listed if name)})
    told = tenants_read.status is ReadStatus.OK and all(listed) and bool(listed)
    days = settings.replay.window_days
    plan = plan_reading(description, tenants=len(tenants) if told else 0, window_days=days, now=datetime.now(UTC))
    reads, units = read_window(
        reader, settings.tables.ledger, plan=plan, tenants=tenants, since=SORT_PREFIX + stamp_of(since), take=take
    )
    queried = plan.method == "query"
    return LedgerRead(
        [*reads, tenants_read] if queried else reads,  # a scan needs no tenant
        [PARTITION_PREFIX + tenant for tenant in tenants] if queried else None,
        _how(plan, len(tenants), units),
    )


def _how(plan: ReadPlan, tenants: int, units: float) -> str:
    meter = CallMeter()
    operation = "dynamodb:Query" if plan.method == "query" else "dynamodb:Scan"
    meter.add(operation, calls=1, units=units)
    return f"{plan.describe(tenants)}; used {units:.1f} units, {cost_usd(meter):.8f} USD"


def latest_entry(run: RunContext) -> int:
    """Epoch ms after which no entry can have been written yet; a fixed evaluation time may lie behind the platform's clock."""
    tolerance = timedelta(seconds=run.settings.replay.future_tolerance_seconds)
    latest = datetime.now(UTC) + tolerance
    if run.settings.now is not None:
        latest = max(latest, run.now() + timedelta(days=1))
    return epoch_ms(iso(latest))


def new_trails(run: RunContext) -> ExecutionTrails:
    """What is to take the window's entries."""
    tolerance = timedelta(seconds=run.settings.replay.entry_id_tolerance_seconds)
    return ExecutionTrails(run.settings.tables.ledger, tolerance, latest_entry(run))


def offer_trails(run: RunContext, trails: ExecutionTrails, read: LedgerRead, since: int) -> None:
    """Keeps what the window, read from `since` on, tells of executions, for `trails_of`; unless not all of it could be read."""
    if read.whole:
        run.shared[_TRAILS] = (trails, read, since)


def trails_of(run: RunContext, *, since: int, tenants: Collection[str]) -> tuple[ExecutionTrails, LedgerRead]:
    """The executions of the window, and how it was read: by an earlier asset of the run, else now.

    Args:
        run: the run.
        since: epoch ms from which entries are wanted.
        tenants: those that other tables name; a partition of theirs that was not among those read is read now.
    """
    trails, read, offered_since = run.shared.pop(_TRAILS, (None, None, None))
    partitions = {PARTITION_PREFIX + tenant for tenant in tenants}
    if trails is None or offered_since > since:
        trails = new_trails(run)
        return trails, read_ledger_window(run, since=since, earlier=partitions, take=trails.take)
    left = partitions.difference(read.partitions or partitions)
    if not left:
        return trails, read
    further, units = read_window(
        run.reader,
        run.settings.tables.ledger,
        plan=ReadPlan("query", 0, 0, 1),
        tenants=sorted(partition.removeprefix(PARTITION_PREFIX) for partition in left),
        since=SORT_PREFIX + stamp_of(since),
        take=trails.take,
    )
    how = f"{read.how}; {len(left)} more partitions, {units:.1f} units"
    return trails, replace(read, reads=[*read.reads, *further], partitions=[*read.partitions, *sorted(left)], how=how)
