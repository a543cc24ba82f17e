"""What an alarm would do: its queries, the traffic of a tool, and the alarm's answer to hypothetical traffic. Pure.

An alarm is judged by trying it. `Trial` gives the alarm one period of made-up traffic, laid out over the dimension sets in which
the platform really emits (successes on {tool_name, connector_id} and 1 % of them with tenant_id; errors only with tenant_id), and
says whether that period would breach. A query sees only the sets that it names: CloudWatch adds no dimension sets up.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from statistics import median
from typing import Any

from phase5_ops.aws.metric_math import Call, Expression, MathError, Name, Points, evaluate
from phase5_ops.aws.metric_math import parse as parse_math
from phase5_ops.aws.metrics_insights import ACCOUNT, InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.aws.statistics import Kind, Statistic, StatisticError, parse_statistic
from phase5_ops.ccnative.metrics import (
    CONNECTOR_DIMENSION,
    ERROR,
    LATENCY,
    SUCCESS,
    TENANT_DIMENSION,
    TOOL_DIMENSION,
    TOOL_METRICS,
)
from phase5_ops.ccnative.names import canonical_tool

WINDOW_SECONDS = 300  # of the request windows that the metrics evidence carries
SAMPLED_SHARE = 0.01  # successes that carry tenant_id
DEFAULT_REQUESTS = 1000.0  # a period, where no traffic was observed
UNITS = {LATENCY: "Milliseconds", SUCCESS: "Count", ERROR: "Count"}

_START = datetime(2000, 1, 1, tzinfo=UTC)
_CALENDAR = frozenset({"MINUTE", "HOUR", "DAY", "DATE", "MONTH", "YEAR", "EPOCH"})
_OVER_A_WEEK = [timedelta(hours=6, minutes=13) * step for step in range(28)]  # never the same hour and minute twice
_OVER_A_YEAR = [timedelta(days=28, hours=5) * step for step in range(1, 14)]
_BREACH: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

Dimensions = Mapping[str, str]


class AlarmError(ValueError):
    """The alarm's definition cannot work or cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric with one dimension set in one period: values with how often each occurs."""

    metric: str
    dimensions: Dimensions
    values: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Leaf:
    """A query of an alarm that reads metrics: one metric with one dimension set, or a Metrics Insights query."""

    id: str
    metric: str
    namespace: str
    statistic: Statistic
    dimensions: Dimensions = field(default_factory=dict)
    unit: str | None = None
    account: str | None = None
    insights: InsightsQuery | None = None
    own_account: str | None = None

    def names(self, dimensions: Dimensions) -> bool:
        """Whether the query asks for this dimension set of the alarm's own account, in whatever namespace."""
        if self.insights is not None:
            return self.insights.matches(self.insights.namespace, dimensions, account=self.own_account)
        return dict(self.dimensions) == dict(dimensions)

    def other_accounts(self, dimensions: Dimensions) -> list[str]:
        """The accounts whose metrics the query puts together with the own one's, as far as it names them."""
        if self.insights is None or ACCOUNT in self.insights.group_by or not self.names(dimensions):
            return []
        others = self.insights.finds_others(dimensions, self.own_account)
        return sorted(self.insights.accounts - {self.own_account}) if others else []

    def obstacle(self, namespace: str) -> str | None:
        """Why the query receives nothing whatever its dimensions are, or None."""
        if self.namespace != namespace:
            return f"reads namespace {self.namespace!r}, the platform emits to {namespace!r}"
        if self.unit and self.metric in UNITS and self.unit != UNITS[self.metric]:
            return f"asks for unit {self.unit}, {self.metric} is emitted in {UNITS[self.metric]}"
        if self.account and self.account != self.own_account:
            return f"reads account {self.account}, the alarm lives in {self.own_account or 'one that is not known'}"
        return None

    @property
    def label(self) -> str:
        """How people read it: `p99 of tool_latency_ms{connector_id=..., tool_name=...}`."""
        if self.insights is not None:
            return self.insights.text
        dimensions = ", ".join(f"{key}={value}" for key, value in sorted(self.dimensions.items()))
        return f"{self.statistic.text} of {self.metric}{{{dimensions}}}"


@dataclass(frozen=True)
class ToolTraffic:
    """Where a tool's data points are, and how many requests its 5-minute windows had.

    Attributes:
        sets: (metric, dimensions) with data in the lookback; all known ones where none has data; empty where nothing is known.
        windows: requests of consecutive 5-minute windows, oldest first.
    """

    tool: str
    connector: str
    sets: Sequence[tuple[str, Dimensions]] = ()
    windows: Sequence[float] = ()

    @cached_property
    def base_sets(self) -> list[Dimensions]:
        """Where successes are emitted: the observed sets without tenant_id, else {tool_name, connector_id} by contract."""
        bare = [{key: value for key, value in dims.items() if key != TENANT_DIMENSION} for _, dims in self.sets]
        return _distinct(bare) or [{TOOL_DIMENSION: self.tool, CONNECTOR_DIMENSION: self.connector}]

    @cached_property
    def tenant_sets(self) -> list[Dimensions]:
        """The observed sets with tenant_id; one of an unknown tenant where none was seen."""
        seen = _distinct(dims for _, dims in self.sets if TENANT_DIMENSION in dims)
        return seen or [{**self.base_sets[0], TENANT_DIMENSION: "(a tenant)"}]

    @cached_property
    def error_sets(self) -> list[Dimensions]:
        """Where errors are, or would be, emitted."""
        return _distinct([*self.tenant_sets, *(dims for metric, dims in self.sets if metric == ERROR)])

    def receives(self, metric: str, leaf: Leaf) -> bool:
        """Whether data points of `metric` can arrive in a set that the query names."""
        sets = self.error_sets if metric == ERROR else [*self.base_sets, *self.tenant_sets]
        return any(leaf.names(dims) for dims in sets)

    def requests(self, period: int) -> float | None:
        """Median requests an alarm period, over the windows that had any; None where no window had any."""
        busy = [count for count in self.windows if count > 0]
        return median(busy) * period / WINDOW_SECONDS if busy else None

    def most_periods_with_data(self, period: int, periods: int) -> int | None:
        """Upper bound of the periods with data among `periods` consecutive ones; None where no window had any request."""
        if not any(self.windows):
            return None
        if period <= WINDOW_SECONDS:
            fits = max(1, WINDOW_SECONDS // period)
            filled, span = [min(fits, count) for count in self.windows], -(-periods // fits) + 1
        else:
            width = period // WINDOW_SECONDS
            chunks = [self.windows[at : at + width] for at in range(0, len(self.windows), width)]
            filled, span = [min(1, sum(chunk)) for chunk in chunks], periods + 1
        best = max(sum(filled[at : at + span]) for at in range(max(1, len(filled) - span + 1)))
        return min(periods, int(best))


def _distinct(sets: Iterable[Dimensions]) -> list[Dimensions]:
    return list({json.dumps(dict(dims), sort_keys=True): dims for dims in sets}.values())


@dataclass(frozen=True)
class AlarmSpec:
    """What decides whether an alarm breaches.

    Attributes:
        leaves: the queries that read metrics, by id.
        expressions: metric math, by id.
        returned: the id whose value is compared.
        threshold: None for an alarm on an anomaly band.
    """

    leaves: Mapping[str, Leaf]
    expressions: Mapping[str, Expression]
    returned: str
    period: int
    threshold: float | None
    comparison: str
    treat_missing: str
    account: str | None = None

    @classmethod
    def of(cls, queries: Sequence[Mapping[str, Any]], **rest: Any) -> "AlarmSpec":  # noqa: ANN401 - the fields of the class
        """A spec from normalized queries (see `alarm_evidence`).

        Raises:
            AlarmError: a query cannot be read, or cannot be part of an alarm.
        """
        leaves, expressions = {}, {}
        try:
            for query in queries:
                text = query.get("expression")
                if text and not is_insights_query(text):
                    expressions[query["id"]] = parse_math(text)
                else:
                    leaves[query["id"]] = _leaf(query, text, rest.get("account"))
        except (MathError, InsightsError, StatisticError) as error:
            raise AlarmError(str(error)) from error
        if any("SEARCH" in expression.functions for expression in expressions.values()):
            raise AlarmError("an alarm cannot use SEARCH")
        returned = [query["id"] for query in queries if query.get("returned")]
        if len(returned) != 1:
            raise AlarmError(f"{len(returned)} of its queries return data, an alarm compares exactly one")
        return cls(leaves, expressions, returned[0], **rest)

    def flipped(self) -> "AlarmSpec":
        """The same alarm with the comparison in the other direction."""
        swap = {"Greater": "Less", "Less": "Greater"}
        head = "Greater" if self.comparison.startswith("Greater") else "Less"
        comparison = self.comparison.replace(head, swap[head], 1)
        return AlarmSpec(
            self.leaves,
            self.expressions,
            self.returned,
            self.period,
            self.threshold,
            comparison,
            self.treat_missing,
            self.account,
        )

    @cached_property
    def by_calendar(self) -> bool:
        """Whether its answer depends on the time of day, the weekday or the date."""
        return any(expression.functions & _CALENDAR for expression in self.expressions.values())

    @cached_property
    def filled(self) -> frozenset[str]:
        """Ids that stand inside FILL with a number or a series, so that their silence is not missing data."""
        nodes = [node for expression in self.expressions.values() for node in expression.walk()]
        fills = [node.arguments[0] for node in nodes if isinstance(node, Call) and node.function == "FILL" and node.arguments]
        return frozenset(target.id for target in fills if isinstance(target, Name))


def _leaf(query: Mapping[str, Any], text: str | None, own_account: str | None) -> Leaf:
    if text:
        insights = parse_query(text)
        return Leaf(
            query["id"],
            insights.metric_name,
            insights.namespace,
            parse_statistic(insights.statistic),
            account=query.get("account"),
            insights=insights,
            own_account=own_account,
        )
    return Leaf(
        query["id"],
        query["metric"],
        query["namespace"],
        parse_statistic(str(query["stat"])),
        query["dimensions"],
        query.get("unit"),
        query.get("account"),
        own_account=own_account,
    )


def tools_of(leaves: Iterable[Leaf], traffic: Mapping[str, ToolTraffic]) -> list[str]:
    """The tools that an alarm is about, among those of `traffic`: named by a dimension, or seen by a Metrics Insights query."""
    found = set()
    for leaf in leaves:
        if leaf.metric not in TOOL_METRICS:
            continue
        if leaf.insights is None:
            found.add(canonical_tool(leaf.dimensions.get(TOOL_DIMENSION, "")))
        else:
            found.update(
                tool for tool, seen in traffic.items() if seen.receives(leaf.metric, leaf) or f"'{tool}'" in leaf.insights.text
            )
    return sorted(found & traffic.keys())


def signal_of(leaves: Iterable[Leaf]) -> str | None:
    """`latency` or `error` by the metrics that an alarm reads; None if it reads none of the platform's."""
    read = list(leaves)
    metrics = {leaf.metric for leaf in read}
    ranks = {Kind.PERCENTILE, Kind.PERCENTILE_RANK, Kind.TRIMMED_COUNT}
    if ERROR in metrics:
        return "error"
    if any(leaf.metric == LATENCY and leaf.statistic.kind in ranks for leaf in read):
        return "latency"
    if SUCCESS in metrics:
        return "error"
    return "latency" if LATENCY in metrics else None


@dataclass
class Trial:
    """An alarm on one tool, among the traffic of all tools it reads, ready to be tried.

    The other tools are healthy in every trial: no errors, calls of `healthy_ms`. An alarm that depends on the calendar is tried
    at many moments: bad traffic must breach at all of them, and healthy traffic at none.

    Attributes:
        requests: of the tool, a period.
        healthy_ms: how long a call takes that is not slow.
        start: the first moment that is tried.
    """

    spec: AlarmSpec
    tool: ToolTraffic
    others: Sequence[ToolTraffic]
    namespace: str
    requests: float
    healthy_ms: float
    start: datetime = _START
    _matches: dict[tuple[str, int], bool] = field(default_factory=dict)

    def breaches_on_errors(self, share: float, error_sets: Sequence[Dimensions] | None = None, *, scale: float = 1) -> bool:
        """Whether a period with this share of failed calls breaches.

        Args:
            share: failed calls / calls, 0-1.
            error_sets: where the errors are emitted, evenly; default: all of the tool's error sets.
            scale: of the usual number of requests.
        """
        requests = self.requests * scale
        sets = self.tool.error_sets if error_sets is None else error_sets
        errors = requests * share
        world = self._healthy(self.tool, requests - errors)
        if errors > 0:
            each = errors / len(sets)
            for dims in sets:
                world += [Series(ERROR, dims, [(1.0, each)]), Series(LATENCY, dims, [(self.healthy_ms, each)])]
        return self._breaches(world, healthy=share == 0)

    def breaches_on_latency(self, latency_ms: float, slow_share: float, *, everywhere: bool = False) -> bool:
        """Whether a period breaches in which `slow_share` of the calls take `latency_ms`, and the others `healthy_ms`.

        Args:
            latency_ms: of the slow calls.
            slow_share: 0-1.
            everywhere: the slow calls also show in the sets with tenant_id; by default only in those that hold 99 % of the calls.
        """
        world = []
        for series in self._healthy(self.tool, self.requests):
            slow = series.metric == LATENCY and (everywhere or TENANT_DIMENSION not in series.dimensions)
            if slow and slow_share > 0:
                count = sum(weight for _, weight in series.values)
                values = [(self.healthy_ms, count * (1 - slow_share)), (latency_ms, count * slow_share)]
                world.append(Series(LATENCY, series.dimensions, [pair for pair in values if pair[1] > 0]))
            else:
                world.append(series)
        return self._breaches(world, healthy=slow_share == 0)

    def sees(self, dimensions: Dimensions) -> frozenset[str]:
        """The ids of the queries that read this dimension set."""
        return frozenset(key for key, leaf in self.spec.leaves.items() if self._sees(leaf, dimensions))

    def _healthy(self, tool: ToolTraffic, requests: float) -> list[Series]:
        world = []
        placed = [(tool.base_sets, requests * (1 - SAMPLED_SHARE)), (tool.tenant_sets, requests * SAMPLED_SHARE)]
        for sets, count in placed:
            for dims in sets if count > 0 else []:
                each = count / len(sets)
                world += [Series(SUCCESS, dims, [(1.0, each)]), Series(LATENCY, dims, [(self.healthy_ms, each)])]
        return world

    def _breaches(self, world: list[Series], *, healthy: bool) -> bool:
        for other in self.others:
            world = world + self._healthy(other, other.requests(self.spec.period) or DEFAULT_REQUESTS)
        later = [*_OVER_A_WEEK, *_OVER_A_YEAR] if self.spec.by_calendar else [timedelta()]
        outcomes = (self._breaches_at(world, self.start + shift) for shift in later)
        return any(outcomes) if healthy else all(outcomes)

    def _breaches_at(self, world: list[Series], moment: datetime) -> bool:
        values = self._values(world, moment)
        if not values:
            return self.spec.treat_missing == "breaching"
        compare = _BREACH.get(self.spec.comparison)
        if compare is None or self.spec.threshold is None:
            raise AlarmError(f"no fixed threshold to compare with ({self.spec.comparison})")
        threshold = self.spec.threshold
        return any(compare(value, threshold) for value in values)

    def _values(self, world: Sequence[Series], moment: datetime) -> list[float]:
        """The values that the alarm compares: one a time series returned, none where there is no data."""
        stamps = [moment + timedelta(seconds=self.spec.period * index) for index in range(3)]
        known: dict[str, Any] = {
            key: _repeat(self._leaf_values(leaf, world), stamps, many=leaf.insights is not None and bool(leaf.insights.group_by))
            for key, leaf in self.spec.leaves.items()
        }
        self._compute(self.spec.returned, known, stamps, frozenset())
        result = known[self.spec.returned]
        series: list[Points] = result if isinstance(result, list) else [result]
        return [points[stamps[-1]] for points in series if stamps[-1] in points]

    def _compute(self, key: str, known: dict[str, Any], stamps: Sequence[datetime], above: frozenset[str]) -> None:
        if key in known:
            return
        if key not in self.spec.expressions or key in above:
            raise AlarmError(f"no metric or expression has the id {key!r}" if key not in above else f"{key!r} refers to itself")
        expression = self.spec.expressions[key]
        for name in sorted(expression.names):
            self._compute(name, known, stamps, above | {key})
        periods = dict.fromkeys(self.spec.leaves, float(self.spec.period))
        try:
            known[key] = evaluate(expression, known, timestamps=stamps, metrics=list(self.spec.leaves), periods=periods)
        except MathError as error:
            raise AlarmError(str(error)) from error

    def _leaf_values(self, leaf: Leaf, world: Sequence[Series]) -> list[float]:
        """One value a contributor (one in all without GROUP BY), in the query's order; none without data."""
        groups: dict[tuple[str, ...], list[tuple[float, float]]] = {}
        keys = leaf.insights.group_by if leaf.insights else ()
        for series in world:
            if series.metric == leaf.metric and self._sees(leaf, series.dimensions):
                labels = {ACCOUNT: leaf.own_account or "", **series.dimensions}
                groups.setdefault(tuple(labels[key] for key in keys), []).extend(series.values)
        values = [value for pairs in groups.values() if (value := compute(leaf.statistic, pairs)) is not None]
        if leaf.insights and leaf.insights.order_by:
            values.sort(reverse=leaf.insights.descending)
        return values[: leaf.insights.limit] if leaf.insights else values

    def _sees(self, leaf: Leaf, dimensions: Dimensions) -> bool:
        key = (leaf.id, id(dimensions))  # the tools keep their dimension sets, so that identity lasts as long as the trial
        if key not in self._matches:
            self._matches[key] = leaf.obstacle(self.namespace) is None and leaf.names(dimensions)
        return self._matches[key]


def _repeat(values: Sequence[float], stamps: Sequence[datetime], *, many: bool) -> Points | list[Points]:
    series = [dict.fromkeys(stamps, value) for value in values]
    if many:
        return series
    return series[0] if series else {}


def compute(statistic: Statistic, pairs: Sequence[tuple[float, float]]) -> float | None:
    """A statistic over values with their counts; None without data, and for statistics that no SLO alarm can be built on."""
    total = math.fsum(weight for _, weight in pairs)
    if total <= 0:
        return None
    values = [value for value, _ in pairs]
    weighted = math.fsum(value * weight for value, weight in pairs)
    basic = {Kind.SAMPLE_COUNT: total, Kind.SUM: weighted, Kind.AVERAGE: weighted / total}
    basic |= {Kind.MINIMUM: min(values), Kind.MAXIMUM: max(values)}
    if statistic.kind in basic:
        return basic[statistic.kind]
    if statistic.percentile is not None:
        return _percentile(pairs, total * statistic.percentile / 100)
    if statistic.percent or statistic.kind not in (Kind.PERCENTILE_RANK, Kind.TRIMMED_COUNT):
        return None
    lower, upper = statistic.lower, statistic.upper
    inside = math.fsum(
        weight for value, weight in pairs if (lower is None or value > lower) and (upper is None or value <= upper)
    )
    return 100 * inside / total if statistic.is_percentile_rank else inside


def _percentile(pairs: Sequence[tuple[float, float]], rank: float) -> float:
    seen = 0.0
    ordered = sorted(pairs)
    for value, weight in ordered:
        seen += weight
        if seen >= rank * (1 - 1e-12):
            return value
    return ordered[-1][0]


def least_that_breaches(breaches: Callable[[float], bool], ladder: Sequence[float]) -> float | None:
    """The smallest value from which on `breaches` holds, within 0.5 %; None if it holds nowhere on the (rising) ladder."""
    for index, value in enumerate(ladder):
        if not breaches(value):
            continue
        low, high = (ladder[index - 1] if index else value), value
        while high - low > 0.005 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if breaches(middle) else (middle, high)
        return high
    return None
