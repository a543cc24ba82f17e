"""The lines that a CloudWatch dashboard draws: of metrics by name, searches, queries, and through expressions. Pure.

A line with `visible: false` is not drawn, but an expression may draw it by its id. In a monitoring account a line may name the
account whose metrics it draws (`accountId`, `:aws.AccountId`, `AWS.AccountId`): metrics of other accounts do not count.

Source: CloudWatch API reference, "Dashboard body structure and syntax".
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from phase5_ops.ccnative.metrics import LATENCY, TENANT_DIMENSION, TOOL_DIMENSION
from phase5_ops.cloudwatch.metric_math import Array, Binary, Call, Expression, Keyword, MathError, Name, Negative, Node, Number
from phase5_ops.cloudwatch.metric_math import parse as parse_math
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.cloudwatch.metrics_insights import ACCOUNT, InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.cloudwatch.search_expression import Search, SearchError, parse_search_text
from phase5_ops.cloudwatch.statistics import Statistic, StatisticError, StatisticKind, parse_statistic
from phase5_ops.sections.slo.summary.dashboard_variables import Found, opened
from phase5_ops.sections.slo.summary.dashboard_widgets import Entry, Options, Widget, live_widgets

ANY_TENANT = "?"
"""Stands for the tenant of an error that has not happened yet."""

LONGEST_PERIOD = 24 * 3600
"""Seconds: a line with longer periods shows nothing of the day that is judged."""

_DEFAULT_PERIOD, _DEFAULT_STATISTIC = 300, "Average"
_KEEP_LINES = frozenset({"ABS", "REMOVE_EMPTY"})
_ADD_UP = frozenset({"SUM", "AVG", "MAX"})
_FILL_ARGUMENTS, _SORT_ARGUMENTS = 2, 3
_MEDIAN = 50
_MOST_LEVELS = 100  # of what stands within each other, in one expression and in those that it names


@dataclass(frozen=True, slots=True)
class Place:
    """Whose metrics are looked for: the namespace, the region, and the account, None where its number is not known."""

    namespace: str
    region: str
    account: str | None

    def __post_init__(self) -> None:
        if self.account is not None and not self.account.isdigit():
            object.__setattr__(self, "account", None)


@dataclass(frozen=True, slots=True)
class LineSource:
    """Metrics that a line is drawn of: one by name, or those that a search or query finds."""

    found: MetricSet | Search | InsightsQuery
    place: Place
    statistic: Statistic
    period: float

    @property
    def keys(self) -> tuple[MetricSet, ...]:
        """The metric by name, and with any tenant in place of its own; none for a search or a query."""
        if not isinstance(self.found, MetricSet):
            return ()
        own = dict(self.found.dimensions)
        anyone = MetricSet.of(self.found.metric, {**own, TENANT_DIMENSION: ANY_TENANT}) if TENANT_DIMENSION in own else self.found
        return tuple(dict.fromkeys((self.found, anyone)))

    def finds(self, needed: MetricSet) -> bool:
        """Whether this metric is among them; for a tool without errors the set of any tenant will do."""
        dimensions = dict(needed.dimensions)
        namespace, account = self.place.namespace, self.place.account
        if isinstance(self.found, InsightsQuery):
            return self.found.metric_name == needed.metric and self.found.matches(namespace, dimensions, account=account)
        if isinstance(self.found, Search):
            return self.found.matches(namespace, needed.metric, dimensions, account=account)
        return needed in self.keys

    def finds_others(self, needed: MetricSet) -> bool:
        """Whether this metric of another account, which the source names, is among them."""
        dimensions, account = dict(needed.dimensions), self.place.account
        if isinstance(self.found, InsightsQuery):
            return self.found.finds_others(dimensions, account)
        return isinstance(self.found, Search) and self.found.finds_others(
            self.place.namespace, needed.metric, dimensions, account
        )

    def unfit(self, metric: str) -> str | None:
        """Why the line says nothing useful of this metric, or None."""
        if not 0 < self.period <= LONGEST_PERIOD:
            return f"{metric} with a period of {self.period:.10g} s"
        return None if _tells(metric, self.statistic) else f"{metric} as {self.statistic.text}"


@dataclass(frozen=True, slots=True)
class Line:
    """What one visible entry draws.

    Attributes:
        sources: the metrics behind it.
        separate: each metric has a line of its own; otherwise they are put together into one.
        limit: how many lines at most.
        accounts_together: metrics of several accounts are put together into one line.
        groups: labels that each line of a query is of; empty for what is no query.
    """

    sources: tuple[LineSource, ...]
    separate: bool = True
    limit: int | None = None
    accounts_together: bool = False
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The value of an expression: what it is drawn of, whether it is a list of time series, and whether all of them are known."""

    line: Line
    many: bool
    whole: bool = True


def _tells(metric: str, statistic: Statistic) -> bool:
    """Whether a statistic says something: for latency not a number of calls or the fastest, for counts how many there are.

    CloudWatch's default, the average, is taken for counts: whoever opens the dashboard sees that there are some.
    """
    if metric != LATENCY:
        return statistic.kind in (StatisticKind.SUM, StatisticKind.SAMPLE_COUNT, StatisticKind.AVERAGE)
    if statistic.kind in (StatisticKind.SAMPLE_COUNT, StatisticKind.TRIMMED_COUNT, StatisticKind.MINIMUM):
        return False
    if statistic.upper is None or statistic.is_percentile_rank:
        return True
    return statistic.percent and statistic.upper >= _MEDIAN  # an upper bound in milliseconds leaves the slow calls out


def lines_of(body: str, place: Place, now: datetime | None, found: Found) -> tuple[list[Line], list[str]] | None:
    """The lines of a dashboard body (JSON text) as it is when it is opened, and its parts that are not understood.

    None if the text is no dashboard.

    Args:
        body: of GetDashboard.
        place: whose metrics are looked for; lines of other regions and accounts are left out.
        now: tells a time range of the past from one that is still running; None: any fixed end counts as past.
        found: looks metrics up, for variables whose values come from a search.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.setdefault("widgets", []), list):
        return None
    unread: list[str] = []
    widgets = live_widgets(opened(content, found, unread), now, unread)
    lines = [line for widget in widgets for line in _DrawnLines(widget, place, unread).lines()]
    return lines, list(dict.fromkeys(unread))


class _DrawnLines:
    """One metric widget while its lines are read."""

    def __init__(self, widget: Widget, place: Place, unread: list[str]) -> None:
        self._widget = widget
        self._place = place
        self._unread = unread
        self._named_drawings: dict[str, _Drawing | None] = {}
        self._by_id = {str(entry.options["id"]): entry for entry in widget.entries if entry.options.get("id")}

    def lines(self) -> Iterator[Line]:
        for entry in self._widget.entries:
            if _visible(entry.options.get("visible", True)) and (drawing := self._drawing(entry, 0)):
                yield drawing.line

    def _drawing(self, entry: Entry, level: int) -> _Drawing | None:
        """What an entry draws; None if that cannot be told, or belongs to another region or account."""
        if not self._own(entry.options):
            return None
        if entry.fields:
            source = self._metric(entry)
            return _Drawing(Line((source,)), many=False) if source else None
        return self._expression(str(entry.options.get("expression", "")), entry.options, level)

    def _own(self, options: Options) -> bool:
        """Whether an entry is about the region and account that are looked for; one that names none is."""
        region, account = self._named(options, "region"), self._named(options, "accountId")
        return region in (None, self._place.region) and (account is None or str(account) == self._place.account)

    def _named(self, options: Options, key: str) -> Any:  # noqa: ANN401 - JSON
        own = options.get(key)
        return self._widget.properties.get(key) if own is None else own

    def _metric(self, entry: Entry) -> LineSource | None:
        """The metric of `namespace, name, dimension, value, ...`."""
        name, dimensions = entry.fields[1:2], entry.fields[2:]
        if entry.fields[0] != self._place.namespace:
            return None
        if not name or len(dimensions) % 2:
            self._not_understood(f"the metric {' '.join(entry.fields)}")
            return None
        metric_set = MetricSet.of(name[0], dict(zip(dimensions[::2], dimensions[1::2], strict=True)))
        text = str(self._option(entry.options, "stat", _DEFAULT_STATISTIC))
        try:
            return LineSource(metric_set, self._place, parse_statistic(text), self._period(entry.options))
        except StatisticError:
            self._not_understood(f"the statistic {text}")
            return None

    def _not_understood(self, what: str) -> None:
        self._unread.append(f"{what} in {self._widget.name}")

    def _option(self, options: Options, key: str, default: object) -> Any:  # noqa: ANN401 - JSON
        return options.get(key, self._widget.properties.get(key, default))

    def _period(self, options: Options) -> float:
        """Seconds; 0 if it is not a number."""
        try:
            period = float(self._option(options, "period", _DEFAULT_PERIOD))
        except (TypeError, ValueError, OverflowError):
            return 0
        return period if math.isfinite(period) else 0

    def _expression(self, text: str, options: Options, level: int) -> _Drawing | None:
        try:
            if not is_insights_query(text):
                return self._value(parse_math(text).root, options, level)
            query = parse_query(text)
            source = LineSource(query, self._place, parse_statistic(query.statistic), self._period(options))
            groups = query.group_by
            line = Line((source,), TOOL_DIMENSION in groups, query.limit, ACCOUNT not in groups, tuple(groups))
            return _Drawing(line, many=bool(groups))
        except (InsightsError, MathError, SearchError) as error:
            self._not_understood(f"{text} ({error})")
            return None

    def _value(self, node: Node, options: Options, level: int) -> _Drawing | None:
        """What a part of an expression draws; None where it does not show the metrics behind it."""
        if level >= _MOST_LEVELS:
            return None
        if isinstance(node, Name):
            return self._named_drawing(node.id, level + 1)
        if isinstance(node, Array):
            return _joined([self._value(item, options, level + 1) for item in node.items])
        if isinstance(node, Binary):
            scaled: Node | None = node
            while isinstance(scaled, Binary):
                scaled = _scaled(scaled)
            return self._value(scaled, options, level + 1) if scaled else None
        if not isinstance(node, Call):
            return None
        if node.function == "SEARCH":
            return self._search(node, options)
        if node.function == "METRICS":
            return self._metrics(node)
        keeps, adds = _keeps_lines(node), node.function in _ADD_UP
        drawing = self._value(node.arguments[0], options, level + 1) if (keeps or adds) and node.arguments else None
        if drawing is None or keeps:
            return drawing
        # SUM of one time series is a number, which is no line; a sum with unknown lines says nothing.
        added = replace(drawing.line, separate=False, accounts_together=True)
        return _Drawing(added, many=False) if drawing.many and drawing.whole else None

    def _named_drawing(self, key: str, level: int) -> _Drawing | None:
        """What an entry draws, by its id; worked out once, since each of many may name another twice."""
        if key not in self._named_drawings:
            self._named_drawings[key] = None  # what refers to itself
            entry = self._by_id.get(key)
            if entry is not None:
                self._named_drawings[key] = self._drawing(entry, level)
        return self._named_drawings[key]

    def _search(self, call: Call, options: Options) -> _Drawing:
        ((text, statistic, period),) = Expression("", call).searches
        search = parse_search_text(text, statistic, period)
        seconds = self._period(options) if period is None else float(period)
        return _Drawing(Line((LineSource(search, self._place, search.statistic, seconds),)), many=True)

    def _metrics(self, call: Call) -> _Drawing | None:
        """METRICS(): every metric of the widget by name; METRICS('e'): those with e in their ids."""
        (wanted,) = Expression("", call).metric_filters
        named = [entry for key, entry in self._by_id.items() if entry.fields and wanted in key]
        drawings = [drawing for entry in named if (drawing := self._drawing(entry, 0))]
        joined = _joined(drawings)
        return joined and replace(joined, whole=len(drawings) == len(named))


def _keeps_lines(call: Call) -> bool:
    """Whether a function draws the lines that it is given, all of them and as they are where they have data."""
    if call.function == "FILL":
        return len(call.arguments) == _FILL_ARGUMENTS and isinstance(call.arguments[1], Number | Negative | Keyword)
    if call.function == "SORT":
        return len(call.arguments) == _SORT_ARGUMENTS  # a fourth one limits the number of lines
    return call.function in _KEEP_LINES and len(call.arguments) == 1


def _scaled(node: Binary) -> Node | None:
    """The line that is multiplied or divided by a positive number: the same line in another unit."""
    if node.operator == "*" and _positive(node.left):
        return node.right
    return node.left if node.operator in ("*", "/") and _positive(node.right) else None


def _positive(node: Node) -> bool:
    if isinstance(node, Call):
        return node.function == "PERIOD"
    return isinstance(node, Number) and node.value > 0


def _joined(drawings: Sequence[_Drawing | None]) -> _Drawing | None:
    """Several drawings as one list; None where one of them shows nothing, or puts metrics together already."""
    known = [drawing for drawing in drawings if drawing and drawing.line.separate and drawing.line.limit is None]
    if not known or len(known) < len(drawings):
        return None
    sources = tuple(dict.fromkeys(source for drawing in known for source in drawing.line.sources))
    together = any(drawing.line.accounts_together for drawing in known)
    return _Drawing(Line(sources, accounts_together=together), many=True, whole=all(drawing.whole for drawing in known))


def _visible(value: object) -> bool:
    """Only what is plainly visible counts: `false`, "false", 0 and null hide a line."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
