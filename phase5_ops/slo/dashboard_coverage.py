"""Which metric of which tool a CloudWatch dashboard shows: by name, by SEARCH, or by Metrics Insights. Pure.

Source: CloudWatch API reference, "Dashboard body structure and syntax". Within a widget `.` repeats the part of the line
above, `...` repeats as many as are left out; a line with `visible: false` is not shown. CloudWatch does not add dimension
sets up: latency and success need the set {tool_name, connector_id}, and errors, which always carry tenant_id, need the sets
with it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from phase5_ops.aws.metric_math import Call, MathError
from phase5_ops.aws.metric_math import parse as parse_math
from phase5_ops.aws.metric_query import MetricSet
from phase5_ops.aws.metrics_insights import InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.aws.search_expression import Search, SearchError, parse_search_text
from phase5_ops.ccnative.metrics import (
    CONNECTOR_DIMENSION,
    ERROR,
    LATENCY,
    SUCCESS,
    TENANT_DIMENSION,
    TOOL_DIMENSION,
    TOOL_METRICS,
)

_ANY_TENANT = "?"  # stands for the tenant of an error that has not happened yet
_LINE_BY_LINE = {"SEARCH", "FILL", "REMOVE_EMPTY", "SORT", "RATE", "TIME_SERIES"}  # functions that keep one line a metric


@dataclass(frozen=True, slots=True)
class DashboardCoverage:
    """What the dashboards show.

    Attributes:
        names: all dashboards that were read.
        malformed: those whose body is not a dashboard.
        shown: metrics (in the order latency, success, error) by dashboard and tool.
    """

    names: tuple[str, ...]
    malformed: tuple[str, ...]
    shown: Mapping[tuple[str, str], Sequence[str]]

    def of_tool(self, tool: str) -> list[dict[str, object]]:
        """`{dashboard, metrics}` of each dashboard that shows something of the tool."""
        return [{"dashboard": name, "metrics": list(metrics)} for (name, of), metrics in sorted(self.shown.items()) if of == tool]


def dashboard_coverage(
    bodies: Mapping[str, str],
    registered_tools: pd.DataFrame,
    error_sets: Iterable[MetricSet],
    *,
    namespace: str,
    region: str,
    account: str | None,
) -> DashboardCoverage:
    """What the dashboards show of the registered tools.

    Args:
        bodies: JSON bodies by dashboard name.
        registered_tools: the table of that name.
        error_sets: the sets of tool_error that have data, all of which have to be shown; where a tool has none, it is enough that
            a tenant's errors would be shown.
        namespace: the metrics' namespace.
        region: the region of the metrics; a widget of another region shows other metrics.
        account: the account of the metrics; a line that names another `accountId` shows other metrics, and so may any that names
            one where the account is not known (None, `unknown`).
    """
    required = _required(registered_tools, error_sets)
    shown: dict[tuple[str, str], Sequence[str]] = {}
    malformed = []
    for name, body in sorted(bodies.items()):
        widgets = _widgets(body)
        if widgets is None:
            malformed.append(name)
            continue
        lines = _Lines.of(widgets, namespace, region, account)
        for tool in required:
            if metrics := [metric for metric in TOOL_METRICS if lines.show(tool, metric, required)]:
                shown[name, tool] = metrics
    return DashboardCoverage(tuple(sorted(bodies)), tuple(malformed), shown)


_Required = Mapping[str, Mapping[str, Sequence[MetricSet]]]


def _required(registered_tools: pd.DataFrame, error_sets: Iterable[MetricSet]) -> _Required:
    """The sets that have to be shown, by tool and metric."""
    base = {
        str(tool): {TOOL_DIMENSION: str(tool), CONNECTOR_DIMENSION: str(connector)}
        for tool, connector in zip(registered_tools["tool"], registered_tools["connector"], strict=True)
    }
    errors: dict[str, list[MetricSet]] = {tool: [] for tool in base}
    for metric_set in error_sets:
        dimensions = dict(metric_set.dimensions)
        tool = dimensions.get(TOOL_DIMENSION, "")
        if tool in base and TENANT_DIMENSION in dimensions and base[tool].items() < dimensions.items():
            errors[tool].append(metric_set)
    return {
        tool: {
            LATENCY: [MetricSet.of(LATENCY, dimensions)],
            SUCCESS: [MetricSet.of(SUCCESS, dimensions)],
            ERROR: errors[tool] or [MetricSet.of(ERROR, dimensions | {TENANT_DIMENSION: _ANY_TENANT})],
        }
        for tool, dimensions in base.items()
    }


@dataclass(frozen=True, slots=True)
class _Finder:
    """A visible expression: what it finds, whether it draws a line of its own for every tool, and how many lines at most."""

    found: Search | InsightsQuery
    namespace: str
    line_per_tool: bool
    limit: int | None = None

    def finds(self, metric_set: MetricSet) -> bool:
        dimensions = dict(metric_set.dimensions)
        if isinstance(self.found, InsightsQuery):
            return self.found.metric_name == metric_set.metric and self.found.matches(self.namespace, dimensions)
        return self.found.matches(self.namespace, metric_set.metric, dimensions)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Everything that a dashboard draws: metrics by name, and expressions."""

    named: frozenset[MetricSet]
    finders: tuple[_Finder, ...]

    @classmethod
    def of(cls, widgets: Iterable[Any], namespace: str, region: str, account: str | None) -> "_Lines":
        named: set[MetricSet] = set()
        finders: list[_Finder] = []
        for properties in _metric_widgets(widgets):
            for fields, options in _visible_lines(properties.get("metrics")):
                if options.get("region", properties.get("region", region)) != region:
                    continue
                if not _own_account(options.get("accountId", properties.get("accountId")), account):
                    continue
                if fields and fields[0] == namespace and (metric_set := _named(fields)):
                    named.add(metric_set)
                elif not fields:
                    finders += _finders(str(options.get("expression", "")), namespace)
        return cls(frozenset(named), tuple(finders))

    def show(self, tool: str, metric: str, required: _Required) -> bool:
        """True if every set of the tool's metric that has to be shown is shown."""
        finders = [
            finder
            for finder in self.finders
            if (finder.limit is None or finder.limit >= len(required))
            and (finder.line_per_tool or not self._mixes(finder, tool, metric, required))
        ]
        return all(self._named(needed) or any(finder.finds(needed) for finder in finders) for needed in required[tool][metric])

    @staticmethod
    def _mixes(finder: _Finder, tool: str, metric: str, required: _Required) -> bool:
        """True if the expression puts other tools into the same line."""
        return any(finder.finds(needed) for other, metrics in required.items() if other != tool for needed in metrics[metric])

    def _named(self, needed: MetricSet) -> bool:
        """True if the set is drawn by name; for a tool without errors the set of any tenant will do."""
        if (TENANT_DIMENSION, _ANY_TENANT) not in needed.dimensions:
            return needed in self.named
        others = [entry for entry in needed.dimensions if entry[0] != TENANT_DIMENSION]
        return any(
            one.metric == needed.metric
            and [entry for entry in one.dimensions if entry[0] != TENANT_DIMENSION] == others
            and len(one.dimensions) == len(needed.dimensions)
            for one in self.named
        )


def _own_account(account_id: object, account: str | None) -> bool:
    """True if a line shows metrics of the account itself, which it does where it names none."""
    return account_id is None or (account is not None and account.isdigit() and str(account_id) == account)


def _widgets(body: str) -> list[Any] | None:
    """The widgets of a dashboard body; None if it is not one."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    widgets = content.get("widgets", []) if isinstance(content, dict) else None
    return widgets if isinstance(widgets, list) else None


def _metric_widgets(widgets: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """The properties of the metric widgets."""
    for widget in widgets:
        if isinstance(widget, dict) and widget.get("type") == "metric" and isinstance(widget.get("properties"), dict):
            yield widget["properties"]


def _visible_lines(metrics: Any) -> Iterator[tuple[list[str], Mapping[str, Any]]]:  # noqa: ANN401 - JSON
    """Fields (namespace, name, dimension names and values; none for an expression) and options of each visible line."""
    above: list[str] = []
    for line in metrics if isinstance(metrics, list) else ():
        if not isinstance(line, list) or not line:
            continue
        options = line[-1] if isinstance(line[-1], dict) else {}
        fields = _spelled_out([part for part in line if isinstance(part, str)], above)
        above = fields or above
        if options.get("visible", True) is not False:
            yield fields, options


def _spelled_out(parts: Sequence[str], above: Sequence[str]) -> list[str]:
    """The fields of a line with `.` and `...` replaced by those of the line above."""
    if "..." in parts:
        at = parts.index("...")
        rest = parts[at + 1 :]
        parts = [*parts[:at], *above[at : len(above) - len(rest)], *rest]
    return [above[at] if part == "." and at < len(above) else part for at, part in enumerate(parts)]


def _named(fields: Sequence[str]) -> MetricSet | None:
    """The metric of `namespace, name, dimension, value, ...`."""
    name, dimensions = fields[1:2], fields[2:]
    if not name or len(dimensions) % 2:
        return None
    return MetricSet.of(name[0], dict(zip(dimensions[::2], dimensions[1::2], strict=True)))


def _finders(expression: str, namespace: str) -> Iterator[_Finder]:
    """What an expression finds; nothing if CloudWatch would not understand it, or if it hides some of its lines."""
    try:
        if is_insights_query(expression):
            query = parse_query(expression)
            yield _Finder(query, namespace, TOOL_DIMENSION in query.group_by, query.limit)
            return
        parsed = parse_math(expression)
        calls = [node for node in parsed.walk() if isinstance(node, Call)]
        if any(call.function == "SLICE" or (call.function == "SORT" and len(call.arguments) > 3) for call in calls):  # noqa: PLR2004
            return
        separate = {call.function for call in calls} <= _LINE_BY_LINE
        for text, statistic, period in parsed.searches:
            yield _Finder(parse_search_text(text, statistic, period), namespace, separate)
    except (InsightsError, MathError, SearchError):
        return
