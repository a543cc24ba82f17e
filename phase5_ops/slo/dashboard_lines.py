"""The lines that a CloudWatch dashboard draws: of metrics by name, searches, queries, and through expressions. Pure.

Source: CloudWatch API reference, "Dashboard body structure and syntax". Within a widget `.` repeats the part of the line above,
`...` repeats as many as are left out; a line with `visible: false` is not drawn, and an expression may draw it under its id.
A widget without size, or whose time range has a fixed end in the past, draws nothing of the present.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.metric_math import Array, Binary, Call, Expression, MathError, Name, Node, Number
from phase5_ops.aws.metric_math import parse as parse_math
from phase5_ops.aws.metric_query import MetricSet
from phase5_ops.aws.metrics_insights import InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.aws.search_expression import Search, SearchError, parse_search_text
from phase5_ops.aws.statistics import Kind, Statistic, StatisticError, parse_statistic
from phase5_ops.ccnative.metrics import LATENCY, TENANT_DIMENSION, TOOL_DIMENSION

ANY_TENANT = "?"
"""Stands for the tenant of an error that has not happened yet."""

LONGEST_PERIOD = 24 * 3600
"""Seconds of a data point beyond which a line shows nothing of the day that is judged."""

_DEFAULT_SIZE, _DEFAULT_PERIOD, _DEFAULT_STATISTIC = 6, 300, "Average"
_KEEP_LINES = frozenset({"FILL", "REMOVE_EMPTY", "SORT"})
_ADD_UP = frozenset({"SUM", "AVG", "MAX"})
_SORT_ARGUMENTS = 3  # a fourth one limits the number of lines
_MEDIAN = 50
_SECONDS = re.compile(r"-?P(?=.)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?")

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Whose metrics are looked for: the namespace, the region, and the account where it is known."""

    namespace: str
    region: str
    account: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Metrics that a line is drawn of: one by name, or those that a search or query finds."""

    found: MetricSet | Search | InsightsQuery
    namespace: str
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
        if isinstance(self.found, InsightsQuery):
            return self.found.metric_name == needed.metric and self.found.matches(self.namespace, dimensions)
        if isinstance(self.found, Search):
            return self.found.matches(self.namespace, needed.metric, dimensions)
        return needed in self.keys

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
    """

    sources: tuple[Source, ...]
    separate: bool = True
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The value of an expression: what it is drawn of, and whether it is a list of time series."""

    line: Line
    many: bool


def _tells(metric: str, statistic: Statistic) -> bool:
    """Whether a statistic says something: of latency not how many calls nor the fastest, of counts how many there are."""
    if metric != LATENCY:
        return statistic.kind in (Kind.SUM, Kind.SAMPLE_COUNT, Kind.AVERAGE)
    if statistic.kind in (Kind.SAMPLE_COUNT, Kind.TRIMMED_COUNT, Kind.MINIMUM):
        return False
    return not statistic.percent or statistic.upper is None or statistic.upper >= _MEDIAN


def lines_of(body: str, place: Place, now: datetime | None) -> list[Line] | None:
    """The lines of a dashboard body (JSON text); None if it is not one.

    Args:
        body: of GetDashboard.
        place: whose metrics are looked for; lines of other regions and accounts are left out.
        now: tells a time range of the past from one that is still running; None: any fixed end counts as past.
    """
    try:
        content = json.loads(body)
    except ValueError:
        return None
    widgets = content.get("widgets", []) if isinstance(content, dict) else None
    if not isinstance(widgets, list):
        return None
    return [line for properties in _live_widgets(content, widgets, now) for line in _Widget(properties, place).lines()]


def _live_widgets(content: Options, widgets: Iterable[Any], now: datetime | None) -> Iterator[Options]:
    """The properties of the metric widgets that have a size and show the present."""
    for widget in widgets:
        if not isinstance(widget, dict) or widget.get("type") != "metric" or not isinstance(widget.get("properties"), dict):
            continue
        properties = widget["properties"]
        own_range = any(properties.get(key) is not None for key in ("start", "end"))
        sized = all(_positive(widget.get(key, _DEFAULT_SIZE)) for key in ("width", "height"))
        if sized and _live(properties if own_range else content, now):
            yield properties


def _positive(size: object) -> bool:
    return isinstance(size, int | float) and not isinstance(size, bool) and size >= 1


def _live(scope: Options, now: datetime | None) -> bool:
    """Whether a time range reaches the present: it has no end, or one that is not over."""
    start, end = scope.get("start"), scope.get("end")
    if not (start is None or _relative(start) or _begun(start, now)):
        return False
    if end is None or (_relative(end) and not re.search("[1-9]", str(end))):
        return start is None or not _relative(start) or re.search("[1-9]", str(start)) is not None
    moment = _moment(end)
    return moment is not None and now is not None and moment > now


def _relative(text: object) -> bool:
    return isinstance(text, str) and _SECONDS.fullmatch(text) is not None


def _begun(text: object, now: datetime | None) -> bool:
    moment = _moment(text)
    return moment is not None and (now is None or moment <= now)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Widget:
    """One metric widget."""

    def __init__(self, properties: Options, place: Place) -> None:
        self._properties = properties
        self._place = place
        self._entries = list(_entries(properties.get("metrics")))
        self._by_id = {str(options["id"]): (fields, options) for fields, options in self._entries if options.get("id")}

    def lines(self) -> Iterator[Line]:
        for fields, options in self._entries:
            if _visible(options.get("visible", True)) and (drawing := self._drawn(fields, options, frozenset())):
                yield drawing.line

    def _drawn(self, fields: Sequence[str], options: Options, above: frozenset[str]) -> _Drawing | None:
        """What an entry draws; None for nothing that can be told, or what belongs to another region or account."""
        if not self._own(options):
            return None
        if fields:
            source = self._metric(fields, options)
            return _Drawing(Line((source,)), many=False) if source else None
        return self._expression(str(options.get("expression", "")), options, above)

    def _own(self, options: Options) -> bool:
        """Whether an entry is about the region and account that are looked for, which it is where it names none."""
        if options.get("region", self._properties.get("region", self._place.region)) != self._place.region:
            return False
        named, account = options.get("accountId", self._properties.get("accountId")), self._place.account
        return named is None or (account is not None and account.isdigit() and str(named) == account)

    def _metric(self, fields: Sequence[str], options: Options) -> Source | None:
        """The metric of `namespace, name, dimension, value, ...`."""
        name, dimensions = fields[1:2], fields[2:]
        if not name or len(dimensions) % 2 or fields[0] != self._place.namespace:
            return None
        metric_set = MetricSet.of(name[0], dict(zip(dimensions[::2], dimensions[1::2], strict=True)))
        try:
            statistic = parse_statistic(str(self._option(options, "stat", _DEFAULT_STATISTIC)))
        except StatisticError:
            return None
        return Source(metric_set, self._place.namespace, statistic, self._period(options))

    def _option(self, options: Options, key: str, default: object) -> Any:  # noqa: ANN401 - JSON
        return options.get(key, self._properties.get(key, default))

    def _period(self, options: Options) -> float:
        """Seconds; 0 for what is no number."""
        try:
            period = float(self._option(options, "period", _DEFAULT_PERIOD))
        except (TypeError, ValueError):
            return 0
        return period if math.isfinite(period) else 0

    def _expression(self, text: str, options: Options, above: frozenset[str]) -> _Drawing | None:
        try:
            if is_insights_query(text):
                query = parse_query(text)
                source = Source(query, self._place.namespace, parse_statistic(query.statistic), self._period(options))
                return _Drawing(Line((source,), TOOL_DIMENSION in query.group_by, query.limit), many=bool(query.group_by))
            return self._value(parse_math(text).root, options, above)
        except (InsightsError, MathError, SearchError):
            return None

    def _value(self, node: Node, options: Options, above: frozenset[str]) -> _Drawing | None:
        """What a part of an expression draws; None where it does not show the metrics behind it."""
        if isinstance(node, Name):
            if node.id in above or node.id not in self._by_id:
                return None
            return self._drawn(*self._by_id[node.id], above | {node.id})
        if isinstance(node, Array):
            return _joined([self._value(item, options, above) for item in node.items])
        if isinstance(node, Binary):
            return self._scaled(node, options, above)
        if not isinstance(node, Call):
            return None
        if node.function == "SEARCH":
            return self._search(node, options)
        if node.function == "METRICS":
            return self._metrics(node)
        if not node.arguments or (node.function == "SORT" and len(node.arguments) > _SORT_ARGUMENTS):
            return None
        drawing = self._value(node.arguments[0], options, above) if node.function in _KEEP_LINES | _ADD_UP else None
        if drawing is None or node.function in _KEEP_LINES:
            return drawing
        # Of one time series SUM is a number, which is no line.
        return _Drawing(replace(drawing.line, separate=False), many=False) if drawing.many else None

    def _scaled(self, node: Binary, options: Options, above: frozenset[str]) -> _Drawing | None:
        """A line times or by a number: the same line in another unit."""
        if node.operator == "*" and isinstance(node.left, Number):
            node = Binary("*", node.right, node.left)
        if node.operator not in ("*", "/") or not isinstance(node.right, Number) or node.right.value <= 0:
            return None
        return self._value(node.left, options, above)

    def _search(self, call: Call, options: Options) -> _Drawing:
        ((text, statistic, period),) = Expression("", call).searches
        search = parse_search_text(text, statistic, period)
        seconds = self._period(options) if period is None else float(period)
        return _Drawing(Line((Source(search, self._place.namespace, search.statistic, seconds),)), many=True)

    def _metrics(self, call: Call) -> _Drawing | None:
        """METRICS(): every metric of the widget by name; METRICS('e'): those with e in their ids."""
        (wanted,) = Expression("", call).metric_filters
        named = [(fields, options) for key, (fields, options) in self._by_id.items() if fields and wanted in key]
        drawings = [self._drawn(fields, options, frozenset()) for fields, options in named]
        return _joined([drawing for drawing in drawings if drawing])


def _joined(drawings: Sequence[_Drawing | None]) -> _Drawing | None:
    """Several drawings as one list; None where one of them shows nothing, or puts metrics together already."""
    known = [drawing for drawing in drawings if drawing and drawing.line.separate and drawing.line.limit is None]
    if not known or len(known) < len(drawings):
        return None
    return _Drawing(Line(tuple(source for drawing in known for source in drawing.line.sources)), many=True)


def _visible(value: object) -> bool:
    """Only what is plainly visible counts: `false`, "false", 0 and null hide a line."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _entries(metrics: object) -> Iterator[tuple[list[str], Options]]:
    """Fields (namespace, name, dimension names and values; none for an expression) and options of each entry."""
    above: list[str] = []
    for line in metrics if isinstance(metrics, list) else ():
        if not isinstance(line, list) or not line:
            continue
        options = line[-1] if isinstance(line[-1], dict) else {}
        fields = _spelled_out([part for part in line if isinstance(part, str)], above)
        above = fields or above
        yield fields, options


def _spelled_out(parts: Sequence[str], above: Sequence[str]) -> list[str]:
    """The fields of a line with `.` and `...` replaced by those of the line above."""
    if "..." in parts:
        at = parts.index("...")
        rest = parts[at + 1 :]
        parts = [*parts[:at], *above[at : len(above) - len(rest)], *rest]
    return [above[at] if part == "." and at < len(above) else part for at, part in enumerate(parts)]
