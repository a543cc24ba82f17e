"""Section 1 as Dagster sees it: its evidence (tools, SLO summary, alarms, runbook) and checks. Thin: reads, calls, reports."""

from collections.abc import Callable
from datetime import datetime

from phase5_ops.aws.alarms import read_alarms, read_topics
from phase5_ops.aws.dashboards import read_dashboards
from phase5_ops.aws.iam import alarms_read, dashboards_read, metrics_read, runbook_read, tables_read
from phase5_ops.aws.metrics import list_metric_sets, read_metric_data
from phase5_ops.aws.runbook_source import read_runbook
from phase5_ops.aws.tables import scan_items_once
from phase5_ops.aws.topic_delivery import read_delivery
from phase5_ops.ccnative.metrics import TOOL_METRICS
from phase5_ops.ccnative.registry import REGISTERED_TOOLS, Registry, malformed_reads, registered_tools
from phase5_ops.ccnative.runbook import RUNBOOK, Runbook, RunbookCode, runbook_table
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import RUN
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judge, Judging, Source
from phase5_ops.reads import ReadCode, ReadStatus
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.evidence import SLO_ALARMS, SloAlarms, slo_alarms_table, topics_to_read
from phase5_ops.sections.slo.alarms.judge import judge_no_slo_alarm_firing, judge_slo_alarms
from phase5_ops.sections.slo.alarms.notification_path import DeliveryCode
from phase5_ops.sections.slo.alarms.preview import PREVIEW as ALARMS_PREVIEW
from phase5_ops.sections.slo.alarms.remedy import mend_alarms
from phase5_ops.sections.slo.previews import REGISTERED_TOOLS_PREVIEW, RUNBOOK_PREVIEW
from phase5_ops.sections.slo.runbook.judge import RunbookLinkCode, judge_alarm_runbook
from phase5_ops.sections.slo.runbook.remedy import mend_alarm_runbook
from phase5_ops.sections.slo.summary.counts import keep_counts
from phase5_ops.sections.slo.summary.dashboards import dashboard_coverage
from phase5_ops.sections.slo.summary.evidence import TOOL_SLO_SUMMARY, Summary, error_sets, tool_slo_summary
from phase5_ops.sections.slo.summary.judges.burn import BurnCode, judge_budget_not_burning
from phase5_ops.sections.slo.summary.judges.met import SloCode, judge_slo_met
from phase5_ops.sections.slo.summary.judges.visible import MetricCode, MetricsCase, judge_metrics_visible
from phase5_ops.sections.slo.summary.plan import plan
from phase5_ops.sections.slo.summary.preview import PREVIEW as SUMMARY_PREVIEW
from phase5_ops.sections.slo.summary.remedy import mend_dashboard
from phase5_ops.sections.slo.summary.set_history import known_sets
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("cloudwatch/tool_metrics", "Metrics that the platform's resilience wrapper emits.", frozenset({"cloudwatch"})),
    Source("cloudwatch/alarms", "Metric alarms, composite alarms and mute rules.", frozenset({"cloudwatch"})),
    Source("cloudwatch/dashboards", "Dashboards of the platform.", frozenset({"cloudwatch"})),
    Source("sns/alarm_topics", "Topics that alarms publish to, with their subscriptions.", frozenset({"sns"})),
    Source("dynamodb/action_type_registry", "Action types and the tools that carry them out.", frozenset({"dynamodb"})),
    Source("docs/runbook", "The reliability runbook.", frozenset({"markdown"})),
)


def gather_registered_tools(run: RunContext, _tables: Tables) -> Registry:
    """The tools that must be there, from the registry table and the settings."""
    settings, observed_at = run.settings, run.now()
    items, read = scan_items_once(run.reader, settings.tables.action_type_registry)
    return registered_tools(items, read, settings.tools, observed_at=observed_at)


def gather_tool_slo_summary(run: RunContext, tables: Tables) -> Summary:
    """Metrics of every tool over all dimension sets, with the dashboards that show them."""
    settings, reader, now = run.settings, run.reader, run.metrics_end
    listed, list_read = list_metric_sets(reader, settings.metrics_namespace, TOOL_METRICS)
    known = known_sets(run.history, run.metrics_scope, listed, now=now, whole=list_read.status is ReadStatus.OK)
    queries = plan(known.metric_sets, settings.slo, now=now, read_at=now)
    series, data_reads = read_metric_data(reader, settings.metrics_namespace, queries) if queries else ([], [])
    keep_counts(run, series)
    bodies, dashboard_reads = read_dashboards(reader)
    registry: Registry = tables["registered_tools"]
    coverage = dashboard_coverage(
        bodies,
        registry.rows,
        error_sets(series),
        namespace=settings.metrics_namespace,
        region=reader.region,
        account=run.account,
        now=now,
        listed=listed,
    )
    return tool_slo_summary(
        series,
        known,
        registry.rows,
        coverage,
        policy=settings.slo,
        canary_tenants=settings.canary_tenants,
        now=now,
        reads=[list_read, *data_reads, *dashboard_reads],
    )


def gather_slo_alarms(run: RunContext, tables: Tables) -> SloAlarms:
    """The alarms that every tool needs, beside those that exist."""
    settings, observed_at = run.settings, run.now()
    alarms = read_alarms(run.reader)
    listed, topic_reads = read_topics(run.reader, topics_to_read(alarms, settings.metrics_namespace), run.account)
    topics, delivery_reads = read_delivery(run.reader, listed, run.account)
    return slo_alarms_table(
        tables["registered_tools"],
        tables["tool_slo_summary"],
        alarms,
        topics,
        topic_reads=[*topic_reads, *delivery_reads, *malformed_reads(tables["registered_tools"])],
        namespace=settings.metrics_namespace,
        links=run.links,
        observed_at=observed_at,
    )


def gather_runbook(run: RunContext, _tables: Tables) -> Runbook:
    """The runbook's headings and anchors."""
    settings, observed_at = run.settings, run.now()
    text, read = read_runbook(settings.runbook, run.reader, timeout_seconds=settings.reading.read_timeout_seconds)
    return runbook_table(text, read, location=settings.runbook, url=settings.runbook_address, observed_at=observed_at)


def _of_summary(judge: Callable[[MetricsCase], Judgement]) -> Judge:
    """The judge of a check on `tool_slo_summary`."""

    def judged(run: RunContext, tables: Tables, now: datetime) -> Judgement:
        summary, registered = tables["tool_slo_summary"], tables["registered_tools"]
        return judge(MetricsCase(summary, registered, run.settings.slo, now, run.links, run.settings.metrics_namespace))

    return judged


def _judge_alarms(run: RunContext, tables: Tables, now: datetime) -> Judgement:
    settings = run.settings
    return judge_slo_alarms(tables["slo_alarms"], slo=settings.slo, alarms=settings.alarms, now=now, links=run.links)


def _judge_firing(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_no_slo_alarm_firing(tables["slo_alarms"], links=run.links)


def _judge_runbook(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_alarm_runbook(tables["runbook"], tables["slo_alarms"], policy=run.settings.runbook_policy)


EVIDENCE = (
    Evidence(
        name="registered_tools",
        section="1",
        description="Tools that must be there, their connectors and action types: the registry's and the settings'.",
        gather=gather_registered_tools,
        owner="eng-reliability",
        kinds=frozenset({"dynamodb", "table"}),
        sources=("dynamodb/action_type_registry",),
        iam=lambda settings: tables_read(settings.tables.action_type_registry),
        preview=REGISTERED_TOOLS_PREVIEW,
        table=REGISTERED_TOOLS,
    ),
    Evidence(
        name="tool_slo_summary",
        section="1",
        description="One row per tool and connector, over all dimension sets: requests, errors, latency, windows, budget, burn.",
        gather=gather_tool_slo_summary,
        owner="eng-reliability",
        kinds=frozenset({"cloudwatch", "table"}),
        needs=("registered_tools",),
        sources=("cloudwatch/tool_metrics", "cloudwatch/dashboards"),
        iam=lambda _: (*metrics_read(), *dashboards_read()),
        preview=SUMMARY_PREVIEW,
        table=TOOL_SLO_SUMMARY,
    ),
    Evidence(
        name="slo_alarms",
        section="1",
        description="What every tool needs (a latency and an error alarm) beside the alarms that exist and what becomes of them.",
        gather=gather_slo_alarms,
        owner="eng-reliability",
        kinds=frozenset({"cloudwatch", "sns", "table"}),
        needs=("registered_tools", "tool_slo_summary"),
        sources=("cloudwatch/alarms", "sns/alarm_topics"),
        iam=lambda _: (*metrics_read(), *alarms_read()),
        preview=ALARMS_PREVIEW,
        table=SLO_ALARMS,
    ),
    Evidence(
        name="runbook",
        section="1",
        description="Headings and anchors of the runbook.",
        gather=gather_runbook,
        owner="ops-sre",
        kinds=frozenset({"markdown", "table"}),
        sources=("docs/runbook",),
        iam=runbook_read,
        preview=RUNBOOK_PREVIEW,
        table=RUNBOOK,
    ),
)

#: Codes of every check on `tool_slo_summary`.
_OF_EVERY_CHECK = (ReadCode, MetricCode.NO_TOOL_REGISTERED, MetricCode.REGISTRY_RECORD_MALFORMED, MetricCode.TOO_FEW_SAMPLES)

JUDGING = (
    Judging(
        "tool_slo_summary",
        {
            "tool_slo_metrics_visible": _of_summary(judge_metrics_visible),
            "tool_slo_met": _of_summary(judge_slo_met),
            "error_budget_not_burning": _of_summary(judge_budget_not_burning),
        },
        also=("registered_tools",),
        mends={"tool_slo_metrics_visible": mend_dashboard},
        rests_on={"error_budget_not_burning": (RUN,)},  # sets of dimensions that ListMetrics no longer shows
        codes=(
            CodeChapter("1.1 Tool SLO metrics visible", (ReadCode, MetricCode), "1.1"),
            CodeChapter("Tool SLO met", (*_OF_EVERY_CHECK, SloCode), "1.1", ("tool_slo_met",)),
            CodeChapter("Error budget not burning", (*_OF_EVERY_CHECK, BurnCode), "1.1", ("error_budget_not_burning",)),
        ),
    ),
    Judging(
        "slo_alarms",
        {"slo_alarms_defined": _judge_alarms, "no_slo_alarm_firing": _judge_firing},
        mends={"slo_alarms_defined": mend_alarms},
        codes=(
            CodeChapter(
                "1.2 Alarms defined, no SLO alarm firing", (AlarmCode, DeliveryCode), "1.2", ("1.2", "no_slo_alarm_firing")
            ),
        ),
    ),
    Judging(
        "runbook",
        {"alarm_runbook_linked": _judge_runbook},
        also=("slo_alarms",),
        mends={"alarm_runbook_linked": mend_alarm_runbook},
        codes=(
            CodeChapter(
                "1.3 Alarm runbook, and the runbook section of 2.2", (RunbookCode, RunbookLinkCode), "1.3", ("1.3", "2.2")
            ),
        ),
    ),
)
