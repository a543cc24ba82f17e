"""Section 2 as Dagster sees it: the breaker snapshot and the checks on it. Thin: reads, calls, reports."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import dagster as dg

from phase5_ops.aws.iam import tables_read
from phase5_ops.aws.tables import scan_items, scan_items_once, table_identity
from phase5_ops.ccnative.registry import malformed_reads
from phase5_ops.cloudwatch.metric_query import DASHBOARD_READS
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import RESILIENCE_TABLE, RUN
from phase5_ops.evidence.history import Snapshot
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.sections.breakers.evidence import BREAKER_SNAPSHOT, HISTORY_STREAM, Snapshots, breaker_snapshot, snapshot_payloads
from phase5_ops.sections.breakers.judge import judge_operator_action, judge_state_observable
from phase5_ops.sections.breakers.preview import PREVIEW
from phase5_ops.sections.breakers.remedy import mend_operator_action
from phase5_ops.sections.breakers.timeline import timeline
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("dynamodb/resilience", "Breaker states and concurrency slots of every connector.", frozenset({"dynamodb"})),
    Source("dynamodb/tenants", "Tenants and their kill switches.", frozenset({"dynamodb"})),
)


def gather_breaker_snapshot(run: RunContext, tables: Tables) -> Snapshots:
    """The state of every connector beside what earlier runs saw; the snapshot is added to the history."""
    settings, reader, now = run.settings, run.reader, run.now()
    identity, identity_read = table_identity(reader, settings.tables.resilience)
    history = run.history.snapshots(HISTORY_STREAM, identity, until=now) if identity else []
    items, read = scan_items(reader, settings.tables.resilience)
    tenants, tenants_read = scan_items_once(reader, settings.tables.tenants)
    upstream = [read for name in ("registered_tools", "tool_slo_summary") for read in tables[name].reads]
    metric_reads = [read for read in upstream if read.operation not in DASHBOARD_READS]
    table = breaker_snapshot(
        items=items,
        tenants=tenants,
        registered_tools=tables["registered_tools"].rows,
        tool_slo_summary=tables["tool_slo_summary"].frame,
        connectors=settings.connectors,
        history=history,
        now=now,
        policy=settings.breakers,
        table_name=settings.tables.resilience,
        tenants_table=settings.tables.tenants,
    ).with_reads([identity_read, read, tenants_read, *metric_reads, *malformed_reads(tables["registered_tools"])], now)
    payloads = snapshot_payloads(table)
    if identity:
        run.history.append(HISTORY_STREAM, identity, run.run_id, now, payloads)
    present = [Snapshot(connector, run.run_id, now, payload) for connector, payload in payloads.items()]
    return replace(table, facts=replace(table.facts, timeline=timeline([*history, *present])))


def describe_snapshot(table: Snapshots) -> Mapping[str, dg.MetadataValue]:
    """The timeline of states as Markdown."""
    return {"timeline": dg.MetadataValue.md(table.facts.timeline or "")}


def _judge_observable(run: RunContext, tables: Tables, now: datetime) -> Judgement:
    settings = run.settings
    return judge_state_observable(
        tables["breaker_snapshot"],
        policy=settings.breakers,
        now=now,
        links=run.links,
        tenants_table=settings.tables.tenants,
    )


def _judge_operator_action(run: RunContext, tables: Tables, now: datetime) -> Judgement:
    settings = run.settings
    return judge_operator_action(
        tables["breaker_snapshot"],
        tables["runbook"],
        policy=settings.breakers,
        runbook_policy=settings.runbook_policy,
        now=now,
        links=run.links,
    )


EVIDENCE = (
    Evidence(
        name="breaker_snapshot",
        section="2",
        description="One row per connector: breaker state, slots, operator action, and what earlier snapshots saw.",
        gather=gather_breaker_snapshot,
        owner="ops-sre",
        kinds=frozenset({"dynamodb", "table"}),
        needs=("registered_tools", "tool_slo_summary"),
        sources=("dynamodb/resilience", "dynamodb/tenants"),
        iam=lambda settings: tables_read(settings.tables.resilience, settings.tables.tenants),
        describe=describe_snapshot,
        preview=PREVIEW,
        table=BREAKER_SNAPSHOT,
    ),
)

JUDGING = (
    Judging(
        "breaker_snapshot",
        {
            "breaker_state_observable": _judge_observable,
            "open_breaker_has_operator_action": _judge_operator_action,
        },
        also=("runbook",),
        mends={"open_breaker_has_operator_action": mend_operator_action},
        rests_on={
            "breaker_state_observable": (RUN, RESILIENCE_TABLE),
            "open_breaker_has_operator_action": (RUN, RESILIENCE_TABLE),
        },
        codes=(CodeChapter("2.1 and 2.2 Circuit breakers", (BreakerCode,), "2.2", ("2.1", "2.2")),),
    ),
)
