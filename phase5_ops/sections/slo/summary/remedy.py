"""What code can mend of row 1.1: a dashboard that shows every registered tool. Pure.

It is printed only if the reading of dashboards that row 1.1 rests on finds every metric of every tool on it.
"""

import json
from collections.abc import Iterator

from phase5_ops.ccnative.metrics import ERROR, TOOL_METRICS
from phase5_ops.ccnative.recommended_dashboard import MOST_WIDGETS, tool_dashboard
from phase5_ops.ccnative.registry import Registry
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.remedies.model import CannotMend, MendingCase, NewDashboard, Remedy, answering
from phase5_ops.sections.slo.summary.dashboards import dashboard_coverage
from phase5_ops.sections.slo.summary.evidence import Summary
from phase5_ops.text import first_few

_NAME = "cc-native-tool-slo"


def mend_dashboard(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """One more dashboard, beside those that exist, where none shows every tool."""
    answers = answering(case.of("dashboard_missing", "dashboard_incomplete"))
    if not answers:
        return
    registry: Registry = case.tables["registered_tools"]
    summary: Summary = case.tables["tool_slo_summary"]
    namespace = case.settings.metrics_namespace
    connectors = {row.tool: row.connector for row in registry.rows}
    if len(connectors) > MOST_WIDGETS:
        yield CannotMend(answers, f"{len(connectors)} tools do not fit on one dashboard, which takes {MOST_WIDGETS} widgets")
        return
    body = tool_dashboard(connectors, namespace=namespace, region=case.region)
    coverage = dashboard_coverage(
        {_NAME: json.dumps(body)},
        registry.rows,
        _error_sets(summary),
        namespace=namespace,
        region=case.region,
        account=case.account or None,
        now=case.now,
    )
    lacking = [
        f"{tool} {metric}"
        for tool in connectors
        for metric in TOOL_METRICS
        if metric not in coverage.shown.get((_NAME, tool), ())
    ]
    if lacking:
        yield CannotMend(answers, f"a dashboard made here would not show {first_few(lacking)}")
        return
    taken = set(summary.facts.dashboards)
    name = next(name for number in range(len(taken) + 1) if (name := f"{_NAME}-{number}" if number else _NAME) not in taken)
    yield Remedy(answers, NewDashboard(name, body))


def _error_sets(summary: Summary) -> list[MetricSet]:
    """The dimension sets of errors that had data."""
    sets = [entry for row in summary.rows for entry in row.dimension_sets]
    return [MetricSet.of(ERROR, entry["dimensions"]) for entry in sets if entry["metric"] == ERROR and entry["samples"]]
