"""Executions as Dagster sees them: the asset `execution_outcomes` and its checks. Thin: reads, calls, reports."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import dagster as dg

from phase5_ops.aws.iam import items_read, ledger_read, tables_read
from phase5_ops.aws.iam_statements import Statement
from phase5_ops.ccnative.ledger import epoch_ms
from phase5_ops.ccnative.ledger_window import Window, read_from
from phase5_ops.clock import iso, parse_iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import listed, wide
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.run_reads.executions import attempts_of, older_outcomes, outcomes_of
from phase5_ops.run_reads.ledger import trails_of
from phase5_ops.sections.executions.codes import CallCode, ExecutionCode
from phase5_ops.sections.executions.demand import Calls, CallSpan
from phase5_ops.sections.executions.evidence import (
    EXECUTION_OUTCOMES,
    Executions,
    Records,
    Span,
    execution_outcomes,
    without_outcome,
)
from phase5_ops.sections.executions.judges.calls import Measured, judge_calls_measured
from phase5_ops.sections.executions.judges.ends import judge_executions_end
from phase5_ops.sections.executions.preview import PREVIEW
from phase5_ops.settings import Settings
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES: tuple[Source, ...] = ()

#: Gathered after all else, so that it finds what other assets of the run have read.
_LAST = -1000


def gather_execution_outcomes(run: RunContext, _tables: Tables) -> Executions:
    """What the ledger, outcomes and attempts say of each execution; read by other assets of the run, else now."""
    settings, now = run.settings, run.now()
    window = Window.before(now, settings.replay)
    since = read_from(window, settings.replay)
    outcomes, outcomes_read = outcomes_of(run)
    attempts, attempts_read = attempts_of(run)
    named = {tenant for stored in (outcomes, attempts) for tenant, _, _ in stored.by_intent}
    trails, ledger_read_ = trails_of(run, since=since, tenants=named)
    records = Records(trails, outcomes, attempts)
    span = Span.of(run.began, window.start, since, settings.executions)
    reads = [outcomes_read, attempts_read, *ledger_read_.reads]
    if keys := without_outcome(records, span, settings.canary_tenants):
        older, older_reads = older_outcomes(run, keys)
        records, reads = replace(records, older=older), [*reads, *older_reads]
    calls_since = run.metrics_end - timedelta(hours=settings.slo.lookback_hours)
    table = execution_outcomes(
        records,
        span=span,
        policy=settings.executions,
        clock_skew_ms=settings.replay.clock_skew_ms,
        test_tenants=settings.canary_tenants,
        calls_since=epoch_ms(iso(calls_since)),
    )
    tables = {**table.facts.tables, "ledger": settings.tables.ledger}
    facts = replace(table.facts, read_by=ledger_read_.how, tables=tables)
    return replace(table, facts=facts).with_reads(reads, now)


def describe_executions(table: Executions) -> Mapping[str, dg.MetadataValue]:
    """How many executions there were, and which calls of tools the metrics must show."""
    facts = table.facts
    counted = {"executions": facts.executions, "whole": facts.whole, "of_test_tenants": facts.test_executions}
    return {"counted": listed(counted), "calls_by_tool": wide(_by_tool(facts.calls))}


def _by_tool(calls: Calls) -> str:
    """Markdown: how often executions called each tool in the time that metrics are compared for."""
    if not calls.by_tool and not calls.unnamed:
        return "No execution of that time is known to have called a tool."
    lines = ["| tool | executions | reported a failure |", "|---|---|---|"]
    for tool, spans in calls.by_tool.items():
        name = tool.replace("|", "\\|").replace("`", "'")
        lines.append(_of_spans(f"`{name}`", spans))
    if calls.unnamed:
        lines.append(_of_spans("not named", calls.unnamed))
    return "\n".join(lines)


def _of_spans(name: str, spans: Iterable[CallSpan]) -> str:
    counted = [(span.calls, span.failed) for span in spans]
    return f"| {name} | {sum(calls for calls, _ in counted)} | {sum(failed for _, failed in counted)} |"


def _judge_ends(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_executions_end(tables["execution_outcomes"], policy=run.settings.executions, links=run.links)


def _judge_calls(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    settings, summary = run.settings, tables["tool_slo_summary"]
    return judge_calls_measured(
        tables["execution_outcomes"],
        Measured(summary.rows, summary.reads, parse_iso(summary.facts.lookback_start), summary.observed_at or run.now()),
        policy=settings.executions,
        slo=settings.slo,
        namespace=settings.metrics_namespace,
        links=run.links,
    )


def _iam(settings: Settings) -> Iterable[Statement]:
    names = settings.tables
    return (
        *tables_read(names.tenants, names.execution_outcomes, names.execution_attempts),
        *ledger_read(names.ledger),
        *items_read(names.execution_outcomes),
    )


EVIDENCE = (
    Evidence(
        name="execution_outcomes",
        section="E",
        description="One row per execution that is not plainly whole: what the ledger, its outcome and its attempt say of it.",
        gather=gather_execution_outcomes,
        owner="eng-reliability",
        kinds=frozenset({"dynamodb", "table"}),
        sources=("dynamodb/ledger", "dynamodb/executions", "dynamodb/tenants"),
        priority=_LAST,
        iam=_iam,
        describe=describe_executions,
        preview=PREVIEW,
        table=EXECUTION_OUTCOMES,
    ),
)

_MALFORMED = ExecutionCode.EXECUTION_RECORD_MALFORMED  # of both checks
JUDGING = (
    Judging(
        "execution_outcomes",
        {"executions_end": _judge_ends, "calls_are_measured": _judge_calls},
        also=("tool_slo_summary",),
        codes=(
            CodeChapter("Every execution ends", (ExecutionCode,), "executions_end"),
            CodeChapter("Every call is measured", (CallCode, _MALFORMED), "calls_are_measured"),
        ),
    ),
)
