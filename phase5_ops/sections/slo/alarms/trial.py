"""Trying an alarm: its answer to one period of made-up traffic. Pure.

`Trial` lays the traffic out over the dimension sets in which the platform really emits (successes on {tool_name, connector_id}
and 1 % of them with tenant_id; errors only with tenant_id), and says whether that period would breach.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TENANT_DIMENSION
from phase5_ops.cloudwatch.alarm_evaluation import COMPARISONS
from phase5_ops.cloudwatch.metric_math import CALENDAR_FUNCTIONS, Points
from phase5_ops.cloudwatch.metrics_insights import ACCOUNT
from phase5_ops.cloudwatch.statistics import Statistic, StatisticKind
from phase5_ops.sections.slo.alarms.model import DEFAULT_REQUESTS, AlarmError, AlarmSpec, Dimensions, Leaf, ToolTraffic

SAMPLED_SHARE = 0.01  # successes that carry tenant_id

_START = datetime(2000, 1, 1, tzinfo=UTC)
_OVER_A_WEEK = [timedelta(hours=6, minutes=13) * step for step in range(28)]  # never the same hour and minute twice
_OVER_A_YEAR = [timedelta(days=28, hours=5) * step for step in range(1, 14)]
_HOURS_OF_A_YEAR, _MINUTES_OF_A_WEEK = 366 * 24, 7 * 24 * 60
_HOUR = timedelta(hours=1)
_MOST_STEPS = 500_000  # of an expression, over all moments: a few seconds


@dataclass(frozen=True, slots=True)
class TrialSeries:
    """One metric with one dimension set in one period: values with how often each occurs."""

    metric: str
    dimensions: Dimensions
    values: Sequence[tuple[float, float]]


@dataclass
class Trial:
    """An alarm on one tool, among the traffic of all tools it reads, ready to be tried.

    The other tools are healthy in every trial: no errors, calls of `healthy_ms`. An alarm that depends on the calendar is tried
    at many moments: bad traffic must breach at all of them, and healthy traffic at none.

    Attributes:
        requests: of the tool, a period.
        healthy_ms: how long a call takes that is not slow.
        start: the first moment that is tried.
        moments: when it is tried; default: `start`, and where the alarm depends on the calendar some of the week and the year.
    """

    spec: AlarmSpec
    tool: ToolTraffic
    others: Sequence[ToolTraffic]
    namespace: str
    requests: float
    healthy_ms: float
    start: datetime = _START
    moments: Sequence[datetime] = ()
    _matches: dict[tuple[str, int], bool] = field(default_factory=dict)
    _reads: dict[tuple[str, tuple[int, ...]], list[Dimensions]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.moments:
            later = [*_OVER_A_WEEK, *_OVER_A_YEAR] if self.spec.calendar_functions else [timedelta()]
            self.moments = [self.start + shift for shift in later]

    def at_every_time(self) -> "Trial":
        """The same alarm at every time that is another one to the calendar functions that it calls.

        Raises:
            AlarmError: that would take too long.
        """
        moments = _times_told_apart(self.spec.calendar_functions, self.start)
        if not self.spec.moment_by_moment and self.spec.nodes * len(moments) > _MOST_STEPS:
            raise AlarmError("its expressions are too long to be tried at every time of day, week and year")
        return replace(self, moments=moments)

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
            world += [TrialSeries(ERROR, dims, [(1.0, each)]) for dims in self._read(ERROR, sets)]
            world += [TrialSeries(LATENCY, dims, [(self.healthy_ms, each)]) for dims in self._read(LATENCY, sets)]
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
                world.append(TrialSeries(LATENCY, series.dimensions, [pair for pair in values if pair[1] > 0]))
            else:
                world.append(series)
        return self._breaches(world, healthy=slow_share == 0)

    def sees(self, dimensions: Dimensions) -> frozenset[str]:
        """The ids of the queries that read this dimension set."""
        return frozenset(key for key, leaf in self.spec.leaves.items() if self._sees(leaf, dimensions))

    def _healthy(self, tool: ToolTraffic, requests: float) -> list[TrialSeries]:
        """The series of successful calls that the alarm reads."""
        world: list[TrialSeries] = []
        if requests <= 0:
            return world
        for sets, count in ((tool.base_sets, requests * (1 - SAMPLED_SHARE)), (tool.tenant_sets, requests * SAMPLED_SHARE)):
            each = count / len(sets)
            for metric, value in ((SUCCESS, 1.0), (LATENCY, self.healthy_ms)):
                world += [TrialSeries(metric, dims, [(value, each)]) for dims in self._read(metric, sets)]
        return world

    def _read(self, metric: str, sets: Sequence[Dimensions]) -> list[Dimensions]:
        """Those of the dimension sets in which a query of the alarm reads the metric."""
        key = (metric, tuple(map(id, sets)))
        if key not in self._reads:
            leaves = [leaf for leaf in self.spec.leaves.values() if leaf.metric == metric]
            self._reads[key] = [dims for dims in sets if any(self._sees(leaf, dims) for leaf in leaves)]
        return self._reads[key]

    def _breaches(self, world: list[TrialSeries], *, healthy: bool) -> bool:
        for other in self.others:
            world = world + self._healthy(other, other.requests(self.spec.period) or DEFAULT_REQUESTS)
        read = {key: self._leaf_values(leaf, world) for key, leaf in self.spec.leaves.items()}
        outcomes = map(self._breaches_with, self._values(read))
        return any(outcomes) if healthy else all(outcomes)

    def _breaches_with(self, values: Sequence[float]) -> bool:
        if not values:
            return self.spec.treat_missing == "breaching"
        compare = COMPARISONS.get(self.spec.comparison)
        if compare is None or self.spec.threshold is None:
            raise AlarmError(f"no fixed threshold to compare with ({self.spec.comparison})")
        threshold = self.spec.threshold
        return any(compare(value, threshold) for value in values)

    def _values(self, read: Mapping[str, Sequence[float]]) -> Iterator[list[float]]:
        """The values that the alarm compares at each moment: one a time series returned, none where there is no data.

        Args:
            read: the values that each query gives in every period.
        """
        if self.spec.moment_by_moment:
            compared = self._compared(read, self.moments)
            yield from ([points[moment] for points in compared if moment in points] for moment in self.moments)
            return
        for moment in self.moments:
            stamps = [moment - timedelta(seconds=self.spec.period * before) for before in (2, 1, 0)]
            yield [points[moment] for points in self._compared(read, stamps) if moment in points]

    def _compared(self, read: Mapping[str, Sequence[float]], stamps: Sequence[datetime]) -> list[Points]:
        series = {
            key: _repeat(read[key], stamps, many=leaf.insights is not None and bool(leaf.insights.group_by))
            for key, leaf in self.spec.leaves.items()
        }
        return self.spec.compared(series, stamps)

    def _leaf_values(self, leaf: Leaf, world: Sequence[TrialSeries]) -> list[float]:
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


def _times_told_apart(functions: Collection[str], start: datetime) -> list[datetime]:
    """Times of the year from `start` on that differ in what these calendar functions give.

    Every hour of the year at some minute, and where MINUTE is called every minute of the week; EPOCH counts by the hour.
    """
    hour = start.replace(minute=0, second=0, microsecond=0)
    tried = [hour + _HOUR * step + timedelta(minutes=7 * step % 60) for step in range(_HOURS_OF_A_YEAR)]
    if "MINUTE" in functions:
        tried += [hour + timedelta(minutes=step) for step in range(_MINUTES_OF_A_WEEK)]
    apart: dict[tuple[float, ...], datetime] = {}
    for moment in tried:
        told = (moment.timestamp() // 3600 if name == "EPOCH" else CALENDAR_FUNCTIONS[name](moment) for name in functions)
        apart.setdefault(tuple(told), moment)
    return list(apart.values())


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
    basic = {StatisticKind.SAMPLE_COUNT: total, StatisticKind.SUM: weighted, StatisticKind.AVERAGE: weighted / total}
    basic |= {StatisticKind.MINIMUM: min(values), StatisticKind.MAXIMUM: max(values)}
    if statistic.kind in basic:
        return basic[statistic.kind]
    if statistic.percentile is not None:
        return _percentile(pairs, total * statistic.percentile / 100)
    if statistic.percent or statistic.kind not in (StatisticKind.PERCENTILE_RANK, StatisticKind.TRIMMED_COUNT):
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


def silent_after(breaches: Callable[[float], bool], ladder: Sequence[float]) -> float | None:
    """The first value of the (rising) ladder at which `breaches` does not hold although it does at a smaller one, or None."""
    held = False
    for value in ladder:
        holds = breaches(value)
        if held and not holds:
            return value
        held = held or holds
    return None
