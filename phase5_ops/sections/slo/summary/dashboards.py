"""Which metrics of which tools a CloudWatch dashboard shows, in a way that says something of them. Pure.

CloudWatch does not add dimension sets up: latency and success need the set {tool_name, connector_id}, and errors, which always
carry tenant_id, need the sets with it. `dashboard_lines` reads what a dashboard draws.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from phase5_ops.ccnative.metrics import (
    CONNECTOR_DIMENSION,
    ERROR,
    LATENCY,
    SUCCESS,
    TENANT_DIMENSION,
    TOOL_DIMENSION,
    TOOL_METRICS,
)
from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.cloudwatch.search_expression import SearchError, parse_search_text
from phase5_ops.sections.slo.summary.dashboard_lines import ANY_TENANT, Line, LineSource, Place, lines_of


@dataclass(frozen=True, slots=True)
class DashboardCoverage:
    """What the dashboards show.

    Attributes:
        names: all dashboards that were read.
        malformed: those whose body is not a dashboard.
        shown: metrics (in the order latency, success, error) by dashboard and tool.
        unfit: by dashboard what it draws in a way that says nothing (`crm.create_task tool_latency_ms as Minimum`).
        not_understood: by dashboard the parts that are not understood, so that they show nothing.
    """

    names: tuple[str, ...]
    malformed: tuple[str, ...]
    shown: Mapping[tuple[str, str], Sequence[str]]
    unfit: Mapping[str, Sequence[str]] = field(default_factory=dict)
    not_understood: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of_tool(self, tool: str) -> list[dict[str, object]]:
        """`{dashboard, metrics}` of each dashboard that shows something of the tool."""
        return [{"dashboard": name, "metrics": list(metrics)} for (name, of), metrics in sorted(self.shown.items()) if of == tool]


def dashboard_coverage(
    bodies: Mapping[str, str],
    registered_tools: Sequence[RegisteredTool],
    error_sets: Iterable[MetricSet],
    *,
    namespace: str,
    region: str,
    account: str | None,
    now: datetime | None = None,
    listed: Iterable[MetricSet] = (),
) -> DashboardCoverage:
    """What the dashboards show of the registered tools.

    Args:
        bodies: JSON bodies by dashboard name.
        registered_tools: the rows of the table of that name.
        error_sets: the sets of tool_error that have data, all of which have to be shown; where a tool has none, it is enough that
            a tenant's errors would be shown.
        namespace: the metrics' namespace.
        region: the region of the metrics; a widget of another region shows other metrics.
        account: the account of the metrics; a line that names another `accountId` shows other metrics; if the account is not
            known (None, `unknown`), any line that names one may.
        now: tells a fixed time range of the past from one that is still running; None: any fixed end counts as past.
        listed: the sets of the metrics that CloudWatch has, of tools that are not registered too: they take up lines of a graph.
    """
    required = _required(registered_tools, error_sets)
    shown: dict[tuple[str, str], Sequence[str]] = {}
    unfit: dict[str, list[str]] = {}
    not_understood: dict[str, list[str]] = {}
    malformed = []
    place = Place(namespace, region, account)
    others = frozenset(listed)
    known = {needed for metrics in required.values() for sets in metrics.values() for needed in sets}
    for name, body in sorted(bodies.items()):
        read = lines_of(body, place, now, partial(_found, known, place))
        if read is None:
            malformed.append(name)
            continue
        lines, unread = read
        if unread:
            not_understood[name] = unread
        drawn = _Drawn(lines, required, others)
        for tool in required:
            answers = {metric: drawn.shows(tool, metric) for metric in TOOL_METRICS}
            if metrics := [metric for metric, (whole, _) in answers.items() if whole]:
                shown[name, tool] = metrics
            if reasons := [reason for _, found in answers.values() for reason in found]:
                unfit.setdefault(name, []).extend(dict.fromkeys(reasons))
    return DashboardCoverage(tuple(sorted(bodies)), tuple(malformed), shown, unfit, not_understood)


def _found(known: Collection[MetricSet], place: Place, search: str, dimension: str, value: str) -> bool:
    """Whether a search finds a metric that has this value of this dimension, among those that a dashboard has to show."""
    try:
        parsed = parse_search_text(search, "Sum")
    except SearchError:
        return False
    return any(
        (dimension, value) in metric.dimensions
        and parsed.matches(place.namespace, metric.metric, dict(metric.dimensions), account=place.account)
        for metric in known
    )


_Required = Mapping[str, Mapping[str, Sequence[MetricSet]]]


def _required(registered_tools: Sequence[RegisteredTool], error_sets: Iterable[MetricSet]) -> _Required:
    """The sets that have to be shown, by tool and metric."""
    base = {each.tool: {TOOL_DIMENSION: each.tool, CONNECTOR_DIMENSION: each.connector} for each in registered_tools}
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
            ERROR: errors[tool] or [MetricSet.of(ERROR, dimensions | {TENANT_DIMENSION: ANY_TENANT})],
        }
        for tool, dimensions in base.items()
    }


#: Lines that CloudWatch draws in one graph; so many time series a query gives at most, too.
MOST_LINES = 500


class _Drawn:
    """What a dashboard draws, with an index of the metrics by name: there may be thousands of lines and metrics."""

    def __init__(self, lines: Sequence[Line], required: _Required, listed: frozenset[MetricSet]) -> None:
        self._required = required
        self._drawable = listed.union(needed for metrics in required.values() for sets in metrics.values() for needed in sets)
        self._lines: dict[Line, bool] = {}
        self._by_name: dict[MetricSet, list[tuple[Line, LineSource]]] = {}
        self._others: list[tuple[Line, LineSource]] = []
        for line in lines:
            for source in line.sources:
                for key in source.keys:
                    self._by_name.setdefault(key, []).append((line, source))
                if not source.keys:
                    self._others.append((line, source))

    def shows(self, tool: str, metric: str) -> tuple[bool, list[str]]:
        """Whether every required set of the tool's metric is shown; and why lines that draw one do not count."""
        unfit: list[str] = []
        whole = True
        for needed in self._required[tool][metric]:
            reasons = [
                source.unfit(metric)
                for line, source in self._finding(needed)
                if self._all_lines(line)
                and (line.separate or not _mixes(line, tool, metric, self._required))
                and not (line.accounts_together and source.finds_others(needed))
            ]
            if None not in reasons:
                whole = False
                unfit += [f"{tool} {reason}" for reason in reasons if reason]
        return whole, unfit

    def _all_lines(self, line: Line) -> bool:
        """Whether CloudWatch draws every line that comes of this one, of all tools and tenants; else it is not known which."""
        if line not in self._lines:
            most = min(line.limit if line.limit is not None else MOST_LINES, MOST_LINES)
            drawn: set[object] = set()
            for metric in self._drawable if line.separate or line.limit is not None else ():
                if any(source.finds(metric) for source in line.sources):
                    dimensions = dict(metric.dimensions)
                    drawn.add(tuple(map(dimensions.get, line.groups)) if line.groups else metric)
            self._lines[line] = len(drawn) <= most
        return self._lines[line]

    def _finding(self, needed: MetricSet) -> list[tuple[Line, LineSource]]:
        return [*self._by_name.get(needed, ()), *((line, source) for line, source in self._others if source.finds(needed))]


def _mixes(line: Line, tool: str, metric: str, required: _Required) -> bool:
    """True if a line puts other tools, or other metrics, together with this one."""
    return any(
        source.finds(needed)
        for other, metrics in required.items()
        for name, sets in metrics.items()
        if (other, name) != (tool, metric)
        for needed in sets
        for source in line.sources
    )
