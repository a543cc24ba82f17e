"""Row 3.2 as Dagster sees it: the ledger's window, paired, and compared with what earlier runs saw. Thin: reads, calls."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from phase5_ops.aws.iam import items_read, ledger_read, tables_read
from phase5_ops.aws.ledger import ReadPlan, get_items, nothing_to_read, plan_reading, read_window
from phase5_ops.aws.pricing import cost_usd
from phase5_ops.aws.reader import CallMeter
from phase5_ops.aws.tables import describe_table_once, identity_of, scan_items_once
from phase5_ops.ccnative.execution_records import (
    ATTEMPT_PREFIX,
    OUTCOME_PREFIX,
    ExecutionRecords,
    parse_execution_records,
    partition_key,
)
from phase5_ops.ccnative.ledger import PARTITION_PREFIX, SORT_PREFIX, Ledger, epoch_ms, stamp_of
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import LEDGER, LEDGER_HISTORY, LEDGER_TABLE, RUN
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import listed, wide
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.audit.evidence import (
    REPLAY_AUDIT,
    ReplayAudit,
    Window,
    ends,
    read_from,
    replay_audit,
    replays_within,
    timeline,
)
from phase5_ops.sections.replay.audit.file_codes import LedgerFileCode
from phase5_ops.sections.replay.audit.history import LedgerHistory, Seen
from phase5_ops.sections.replay.audit.judge import AuditCode, judge_replay_audit
from phase5_ops.sections.replay.audit.pairing import Replay
from phase5_ops.sections.replay.audit.preview import PREVIEW
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("dynamodb/ledger", "The platform's append-only ledger of decisions and executions.", frozenset({"dynamodb"})),
    Source("dynamodb/executions", "Attempts and outcomes of executions, one of each per intent.", frozenset({"dynamodb"})),
)

_KEPT_DAYS = 30  # beyond the window, for which the history keeps entries that no run compares any more


@dataclass(frozen=True, slots=True)
class _LedgerRead:
    """The window as it was read; `partitions` is None if all were read."""

    ledger: Ledger
    seen: Seen
    reads: list[Read]
    partitions: list[str] | None
    how: str

    @property
    def whole(self) -> bool:
        return all(read.status is ReadStatus.OK for read in self.reads)


def gather_replay_audit(run: RunContext, _tables: Tables) -> ReplayAudit:
    """Every replay of the window, beside its outcome and attempt, and what became of the entries that earlier runs saw.

    The canary replay is in the ledger by now: this asset comes after the one that waits for its end.
    """
    settings, reader, now = run.settings, run.reader, run.now()
    policy, ledger_table = settings.replay, settings.tables.ledger
    window = Window.before(now, policy)
    since = SORT_PREFIX + stamp_of(read_from(window, policy))
    described = describe_table_once(reader, ledger_table)
    description = described.pages[0].get("Table", {}) if described.pages else {}
    identity = identity_of(description)
    history = LedgerHistory(settings.own_folder / LEDGER_HISTORY, run.history, identity) if identity else None
    read = _read_ledger(run, description, since=since, earlier=history.partitions() if history else ())
    replays = replays_within(read.ledger, window, policy)
    outcomes, outcome_reads = _records(run, settings.tables.execution_outcomes, OUTCOME_PREFIX, replays)
    attempts, attempt_reads = _records(run, settings.tables.execution_attempts, ATTEMPT_PREFIX, replays)
    table = replay_audit(replays, ledger=read.ledger, window=window, outcomes=outcomes, attempts=attempts)
    facts = replace(table.facts, read_by=read.how, timeline=timeline(table))
    if history is not None and read.whole:
        compared = history.compare_and_add(
            read.seen,
            since=since,
            drop_before=SORT_PREFIX + stamp_of(_drop_before(now, window, run)),
            partitions=read.partitions,
            run_id=run.run_id,
            now=now,
        )
        facts = replace(facts, history=asdict(compared))
    return replace(table, facts=facts).with_reads([described.read, *read.reads, *outcome_reads, *attempt_reads], now)


def _read_ledger(run: RunContext, description: Mapping[str, Any], *, since: str, earlier: Iterable[str]) -> _LedgerRead:
    """The ledger from `since` on, by query or scan.

    Queries cover the tenants of the tenants table, of the settings, and those whose entries an earlier run saw; a tenant that
    is in none of them is seen by scans only. Where not all tenants are known, the table is scanned.
    """
    settings, reader = run.settings, run.reader
    items, tenants_read = scan_items_once(reader, settings.tables.tenants)
    listed = [item.get("tenantId", {}).get("S") for item in items]
    named = {pk.removeprefix(PARTITION_PREFIX) for pk in earlier if pk.startswith(PARTITION_PREFIX)}
    tenants = sorted({*settings.canary_tenants, *settings.replay.ledger_tenants, *named, *(name for name in listed if name)})
    told = tenants_read.status is ReadStatus.OK and all(listed) and bool(listed)
    days = settings.replay.window_days
    plan = plan_reading(description, tenants=len(tenants) if told else 0, window_days=days, now=datetime.now(UTC))
    ledger, seen = Ledger(settings.tables.ledger, latest=_latest(run)), Seen()

    def take(item: Mapping[str, Any]) -> None:
        ledger.add(item)
        seen.add(item)

    reads, units = read_window(reader, settings.tables.ledger, plan=plan, tenants=tenants, since=since, take=take)
    queried = plan.method == "query"
    return _LedgerRead(
        ledger,
        seen,
        [*reads, tenants_read] if queried else reads,  # a scan needs no tenant
        [PARTITION_PREFIX + tenant for tenant in tenants] if queried else None,
        _how(plan, len(tenants), units),
    )


def _how(plan: ReadPlan, tenants: int, units: float) -> str:
    meter = CallMeter()
    operation = "dynamodb:Query" if plan.method == "query" else "dynamodb:Scan"
    meter.add(operation, calls=1, units=units)
    return f"{plan.describe(tenants)}; used {units:.1f} units, {cost_usd(meter):.8f} USD"


def _latest(run: RunContext) -> int:
    """Epoch ms after which no entry can have been written yet; a fixed evaluation time may lie behind the platform's clock."""
    tolerance = timedelta(seconds=run.settings.replay.future_tolerance_seconds)
    latest = datetime.now(UTC) + tolerance
    if run.settings.now is not None:
        latest = max(latest, run.now() + timedelta(days=1))
    return epoch_ms(iso(latest))


def _drop_before(now: datetime, window: Window, run: RunContext) -> int:
    """Epoch ms before which entries are dropped; a run with an evaluation time in the future must not drop present ones."""
    ahead = max(timedelta(0), now - datetime.now(UTC))
    return read_from(window, run.settings.replay) - (timedelta(days=_KEPT_DAYS) + ahead) // timedelta(milliseconds=1)


def _records(run: RunContext, table: str, prefix: str, replays: Iterable[Replay]) -> tuple[ExecutionRecords, list[Read]]:
    """The outcomes or attempts of the replayed intents."""
    started = (replay.execution for replay in replays if replay.execution is not None)
    entries = [(execution.starts or execution.terminals)[0] for execution in started]
    keys = {(partition_key(entry.tenant, entry.account), f"{prefix}{entry.intent}") for entry in entries}
    items, reads = get_items(run.reader, table, keys, ("trace_id", "status", "ttl"))
    return parse_execution_records(items, table, prefix), reads or [nothing_to_read("dynamodb:BatchGetItem", table)]


def describe_audit(table: ReplayAudit) -> Mapping[str, dg.MetadataValue]:
    """The replays with their times, how they ended, how the ledger was read, and what the history says."""
    return {
        "timeline": wide(table.facts.timeline or ""),
        "ends": dg.MetadataValue.json(dict(sorted(ends(table.rows).items()))),
        "ledger_read_by": dg.MetadataValue.text(table.facts.read_by or ""),
        "ledger_history": listed(table.facts.history or {}),
    }


def _judge_audit(run: RunContext, tables: Tables, now: datetime) -> Judgement:
    return judge_replay_audit(tables["replay_audit"], policy=run.settings.replay, now=now, links=run.links)


EVIDENCE = (
    Evidence(
        name="replay_audit",
        section="3",
        description="One row per replay request, and one per start or end that belongs to none: its times, counts, outcome.",
        gather=gather_replay_audit,
        owner="eng-reliability",
        kinds=frozenset({"dynamodb", "table"}),
        needs=("replay_probe",),
        sources=("dynamodb/ledger", "dynamodb/executions", "dynamodb/tenants"),
        iam=lambda settings: (
            *tables_read(settings.tables.tenants),
            *ledger_read(settings.tables.ledger),
            *items_read(settings.tables.execution_attempts, settings.tables.execution_outcomes),
        ),
        describe=describe_audit,
        preview=PREVIEW,
        table=REPLAY_AUDIT,
    ),
)

_CHECK = "replay_audit_trail_complete"
JUDGING = (
    Judging(
        "replay_audit",
        {_CHECK: _judge_audit},
        rests_on={_CHECK: (RUN, LEDGER, LEDGER_TABLE)},
        codes=(CodeChapter("3.2 Replay audit trail", (AuditCode, LedgerFileCode), "3.2"),),
    ),
)
