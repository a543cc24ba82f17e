"""The tool SLO summary of rows 1.1 and the SLO checks as tools grow, beside pandas adding up the same data points."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.targets import linear

if TYPE_CHECKING:
    from phase5_ops.ccnative.registry import Registry
    from phase5_ops.cloudwatch.metric_query import Series

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
TENANTS = 5  # that each tool's errors, and one in a hundred successes, are split by
QUIET = 0.5  # share of the bins without a call


def registry(tools: int) -> "Registry":
    """A register with this many tools."""
    from phase5_ops.ccnative.registry import registered_tools
    from phase5_ops.reads import Read, ReadStatus

    items = [
        {
            "pk": {"S": f"ACTION_TYPE#CRM_DO_{number:05}"},
            "sk": {"S": "REGISTRY_VERSION#1"},
            "action_type": {"S": f"CRM_DO_{number:05}"},
            "tool_name": {"S": f"crm.do_{number:05}"},
            "registry_version": {"N": "1"},
        }
        for number in range(tools)
    ]
    read = Read("dynamodb:Scan", "registry", ReadStatus.OK, None, 1, "", "")
    return registered_tools(items, read, (), observed_at=NOW)


def all_series(registered: "Registry") -> "list[Series]":
    """What CloudWatch answers for every dimension set of the tools: thirty days, half of the bins without a call."""
    from phase5_ops.ccnative.metrics import (
        CONNECTOR_DIMENSION,
        ERROR,
        LATENCY,
        SUCCESS,
        TENANT_DIMENSION,
        TOOL_DIMENSION,
    )
    from phase5_ops.cloudwatch.metric_query import MetricSet, Series
    from phase5_ops.policy import SloPolicy
    from phase5_ops.sections.slo.summary.plan import plan

    sets = []
    for tool in registered.rows:
        base = {TOOL_DIMENSION: tool.tool, CONNECTOR_DIMENSION: tool.connector}
        of_tenants = [{**base, TENANT_DIMENSION: f"tenant-{number}"} for number in range(TENANTS)]
        sets += [MetricSet.of(metric, base) for metric in (LATENCY, SUCCESS)]
        sets += [MetricSet.of(metric, each) for metric in (LATENCY, SUCCESS, ERROR) for each in of_tenants]
    chance = random.Random(11)
    found = []
    for query in plan(sets, SloPolicy(), now=NOW, read_at=NOW):
        first = int(query.start.timestamp())
        starts = [first + place * query.period for place in range(query.points) if chance.random() > QUIET]
        most = 1 if query.metric_set.metric == ERROR else 1000
        found.append(Series(query, starts, [float(chance.randrange(most, 2 * most)) for _ in starts], whole=True))
    return found


@contextmanager
def summary(tools: int, _folder: Path) -> Iterator[Work]:
    """The table, its three judges, and its picture."""
    from phase5_ops.aws.links import ConsoleLinks
    from phase5_ops.policy import SloPolicy
    from phase5_ops.reads import Read, ReadStatus
    from phase5_ops.sections.slo.summary.dashboards import DashboardCoverage
    from phase5_ops.sections.slo.summary.evidence import tool_slo_summary
    from phase5_ops.sections.slo.summary.judges.burn import judge_budget_not_burning
    from phase5_ops.sections.slo.summary.judges.met import judge_slo_met
    from phase5_ops.sections.slo.summary.judges.visible import MetricsCase, judge_metrics_visible
    from phase5_ops.sections.slo.summary.plot import plot_summary
    from phase5_ops.sections.slo.summary.set_history import KnownSets

    registered = registry(tools)
    series = all_series(registered)
    known = KnownSets(tuple({one.query.metric_set for one in series}), 30)
    read = Read("cloudwatch:GetMetricData", "metrics", ReadStatus.OK, None, 1, "", "")
    policy = SloPolicy()

    def work() -> Counts:
        table = tool_slo_summary(
            series,
            known,
            registered.rows,
            DashboardCoverage((), (), {}),
            policy=policy,
            canary_tenants=frozenset(),
            now=NOW,
            reads=[read],
        )
        case = MetricsCase(table, registered, policy, NOW, ConsoleLinks("us-west-2"), "CCNative/Execution")
        judged = [judge(case) for judge in (judge_metrics_visible, judge_slo_met, judge_budget_not_burning)]
        plot_summary(table)
        return {"data points": _points(series), "rows": len(table.rows), "findings": sum(len(each.findings) for each in judged)}

    yield work


def _points(series: "list[Series]") -> int:
    return sum(len(one.starts) for one in series)


@contextmanager
def with_pandas(tools: int, _folder: Path) -> Iterator[Work]:
    """Nothing but the sums: every data point as a row of one table, added up by tool, metric, statistic and hour."""
    import pandas as pd

    series = all_series(registry(tools))

    def work() -> Counts:
        frames = [
            pd.DataFrame({"start": one.starts, "value": one.values}).assign(
                tool=dict(one.query.metric_set.dimensions)["tool_name"], metric=one.query.metric_set.metric, stat=one.query.stat
            )
            for one in series
        ]
        whole = pd.concat(frames)
        whole.groupby(["tool", "metric", "stat", whole["start"] // 3600])["value"].sum()
        return {"data points": len(whole)}

    yield work


FIGURES = (
    Figure(
        name="slo-summary",
        title="SLO summary",
        measures="""
            The tool SLO summary of thirty days from CloudWatch's answers to the verdicts of its three rows: adding up the
            dimension sets of each tool (17 a tool: five tenants beside the whole), five-minute windows, percentiles, error budget
            and burn rates, judging, the picture. pandas makes one table of the same data points and adds them up by tool, metric,
            statistic and hour, and does nothing else. Asking CloudWatch is not measured.""",
        unit="tools",
        sizes=(10, 50, 200),
        small=2,
        sides=(Side("SLO summary", summary),),
        reference=Side("pandas sums", with_pandas),
        rounds=3,
        targets=(linear(1.2),),
    ),
)
