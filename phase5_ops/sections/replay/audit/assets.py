"""Row 3.2 as Dagster sees it: the ledger's window, paired, and compared with what earlier runs saw. Thin: reads, calls."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from phase5_ops.aws.iam import items_read, ledger_read, tables_read
from phase5_ops.aws.ledger import get_items, nothing_to_read
from phase5_ops.aws.tables import describe_table_once, identity_of
from phase5_ops.ccnative.executions.records import (
    ATTEMPT_PREFIX,
    OUTCOME_PREFIX,
    ExecutionRecords,
    parse_execution_records,
    partition_key,
)
from phase5_ops.ccnative.ledger import SORT_PREFIX, Ledger, stamp_of
from phase5_ops.ccnative.ledger_window import Window, read_from
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import LEDGER, LEDGER_HISTORY, LEDGER_TABLE, RUN
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import listed, wide
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read
from phase5_ops.run_reads.ledger import latest_entry, new_trails, offer_trails, read_ledger_window
from phase5_ops.sections.replay.audit.evidence import (
    REPLAY_AUDIT,
    ReplayAudit,
    ends,
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


def gather_replay_audit(run: RunContext, _tables: Tables) -> ReplayAudit:
    """Every replay of the window, beside its outcome and attempt, and what became of the entries that earlier runs saw.

    The canary replay is in the ledger by now: this asset comes after the one that waits for its end.
    """
    settings, reader, now = run.settings, run.reader, run.now()
    policy, ledger_table = settings.replay, settings.tables.ledger
    window = Window.before(now, policy)
    since = read_from(window, policy)
    described = describe_table_once(reader, ledger_table)
    description = described.pages[0].get("Table", {}) if described.pages else {}
    identity = identity_of(description)
    history = LedgerHistory(settings.own_folder / LEDGER_HISTORY, run.history, identity) if identity else None
    ledger, seen, trails = Ledger(ledger_table, latest=latest_entry(run)), Seen(), new_trails(run)

    def take(item: Mapping[str, Any]) -> None:
        ledger.add(item)
        seen.add(item)
        trails.take(item)

    read = read_ledger_window(run, since=since, earlier=history.partitions() if history else (), take=take)
    offer_trails(run, trails, read, since)
    replays = replays_within(ledger, window, policy)
    outcomes, outcome_reads = _records(run, settings.tables.execution_outcomes, OUTCOME_PREFIX, replays)
    attempts, attempt_reads = _records(run, settings.tables.execution_attempts, ATTEMPT_PREFIX, replays)
    table = replay_audit(replays, ledger=ledger, window=window, outcomes=outcomes, attempts=attempts)
    facts = replace(table.facts, read_by=read.how, timeline=timeline(table))
    if history is not None and read.whole:
        compared = history.compare_and_add(
            seen,
            since=SORT_PREFIX + stamp_of(since),
            drop_before=SORT_PREFIX + stamp_of(_drop_before(now, window, run)),
            partitions=read.partitions,
            run_id=run.run_id,
            now=now,
        )
        facts = replace(facts, history=asdict(compared))
    return replace(table, facts=facts).with_reads([described.read, *read.reads, *outcome_reads, *attempt_reads], now)


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
