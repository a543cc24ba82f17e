"""One metric alarm over the recorded metrics, evaluated at the end of each of its periods: the states it would have had. Pure.

Where a Metrics Insights query groups and its time series are compared, each has states of its own (`contributors`).

The alarm is taken as it is defined today. CloudWatch evaluates an alarm each minute over periods that end then; here the
periods are those of its recorded data points, which begin at multiples of their length, so that a moment is known to within one
period. Where a period in its range is not known, neither is its state.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from operator import add

from phase5_ops.cloudwatch.alarm_evaluation import (
    COMPARISONS,
    EXTRA_PERIODS,
    INSIGHTS_SECONDS,
    Breaching,
    evaluate_range,
    state_of_series,
)
from phase5_ops.cloudwatch.metric_math import Array, Call, Expression, Keyword, Points
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.cloudwatch.metrics_insights import ACCOUNT, InsightsQuery
from phase5_ops.cloudwatch.statistics import StatisticKind
from phase5_ops.evidence.table import filled
from phase5_ops.sections.slo.alarm_replay.contributors import (
    ANY,
    GONE,
    AnySeriesError,
    returned_at_each,
    returned_lines,
    state_of_any,
    state_of_contributor,
    states_of_contributors,
)
from phase5_ops.sections.slo.alarm_replay.plan import PARTS_OF, Watching, sets_of
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import RecordedMetrics, Values
from phase5_ops.sections.slo.alarm_replay.timeline import Span, StateSpan, Timeline, in_common, merged, pieced, unbroken
from phase5_ops.sections.slo.alarms.model import AlarmError, AlarmSpec, Leaf
from phase5_ops.sections.slo.summary.plan import SAMPLES, SUM

#: Functions whose result at a period rests on that period alone, whatever else is looked at.
_POINT_BY_POINT = frozenset(
    {"ABS", "CEIL", "FLOOR", "LOG", "LOG10", "IF", "FILL", "MINUTE", "HOUR", "DAY", "DATE", "MONTH", "YEAR", "EPOCH", "PERIOD"}
)
_OF_ARRAYS = frozenset({"SUM", "AVG", "MIN", "MAX", "STDDEV", "METRICS"})  # of one time series they rest on all of it
_MOST_METRICS = 10_000  # that a Metrics Insights query processes


@dataclass(frozen=True, slots=True)
class ReplayedStates:
    """What an alarm would have done.

    Attributes:
        timeline: its states.
        kept: the spans in which it kept a state that it had before, and nothing says which.
        further: when one more of its time series is in ALARM, which went into it while another already was.
        unsure: when the query finds more time series than it returns, and of which people are told, or its state, rests on which.
        problem: why nothing of that is known.
    """

    timeline: Timeline = field(default_factory=Timeline)
    kept: Sequence[Span] = ()
    further: Sequence[Span] = ()
    unsure: Sequence[Span] = ()
    problem: str = ""


def replay(
    alarm: Watching, sets: Sequence[MetricSet], recorded: RecordedMetrics, namespace: str, history: Timeline | None = None
) -> ReplayedStates:
    """The states that an alarm would have had.

    Args:
        alarm: as it is defined.
        sets: every dimension set of the tool metrics.
        recorded: their values.
        namespace: that they are in.
        history: what CloudWatch's own history says, for a state that it kept from before.
    """
    if alarm.spec is None:
        return ReplayedStates(problem=alarm.error)
    try:
        return _Replaying(alarm, alarm.spec, sets, recorded, namespace).states(history or Timeline())
    except AlarmError as error:
        return ReplayedStates(problem=str(error))


class _Replaying:
    """One alarm on its way through time."""

    def __init__(
        self, alarm: Watching, spec: AlarmSpec, sets: Sequence[MetricSet], recorded: RecordedMetrics, namespace: str
    ) -> None:
        self._row, self._spec, self._sets, self._recorded, self._namespace = alarm.row, spec, sets, recorded, namespace
        self._n, self._m = filled(alarm.row.evaluation_periods), filled(alarm.row.datapoints_to_alarm)
        self._looked_at = self._n + EXTRA_PERIODS
        if any(leaf.insights for leaf in spec.leaves.values()):
            self._looked_at = min(self._looked_at, max(INSIGHTS_SECONDS // spec.period, 1))
        compare, threshold = COMPARISONS.get(spec.comparison), spec.threshold
        if compare is None or threshold is None:
            raise AlarmError(f"no fixed threshold to compare with ({spec.comparison})")
        self._breaches, self._threshold = compare, threshold
        self._read: dict[str, list[Values]] = {}
        self._further: list[Span] = []
        self._unsure: list[Span] = []
        self._check()

    def _check(self) -> None:
        """Refuses what the recorded metrics cannot tell.

        Raises:
            AlarmError: the alarm cannot be replayed.
        """
        periods = {int(query["period"]) for query in filled(self._row.queries) if query["period"]}
        if len(periods) > 1:
            raise AlarmError(f"its queries have different periods ({', '.join(map(str, sorted(periods)))} s)")
        for leaf in self._spec.leaves.values():
            if leaf.namespace != self._namespace or leaf.account not in (None, leaf.own_account):
                raise AlarmError(f"it reads metrics that were not read here: {leaf.obstacle(self._namespace)}")
            if leaf.insights is None:
                continue
            if any((leaf.metric, stat, self._spec.period) in self._recorded.left_out for stat in PARTS_OF[leaf.statistic.kind]):
                raise AlarmError(f"{leaf.label} reads more metrics than PHASE5_ALARM_REPLAY__MAX_METRICS_READ_AGAIN allows")
            if len(sets_of(leaf, self._sets)) > _MOST_METRICS:
                raise AlarmError(f"{leaf.label} finds more than {_MOST_METRICS:,} metrics, and CloudWatch takes some of them")
        others = {account for one in self._sets for account in self._spec.other_accounts(dict(one.dimensions))}
        if others:
            raise AlarmError(f"it adds up metrics of other accounts: {', '.join(sorted(others))}")

    def states(self, history: Timeline) -> ReplayedStates:
        """The states, from the end of the first range of periods that is known.

        Raises:
            AnySeriesError: none is known, since they all rest on which time series a query returns.
        """
        pieces: list[tuple[int, int, str]] = []
        kept: list[Span] = []
        for start, end, state in (piece for span in self._spans() for piece in self._evaluated(span)):
            if state == ANY:
                self._unsure.append((start, end))
                continue
            held = history.first_within((start, end)) if state is None else StateSpan(start, end, state)
            known_from = max(start, held.start) if held else end
            kept.append((start, known_from))
            if held:
                pieces.append((known_from, end, held.state))
        if self._unsure and not pieces:
            raise next(AnySeriesError(leaf.insights) for leaf in self._spec.leaves.values() if leaf.insights is not None)
        return ReplayedStates(pieced(pieces), merged(kept), self._further, merged(self._unsure))

    def _spans(self) -> list[Span]:
        """The spans in which every query is known."""
        whole: list[Span] = [(self._recorded.range.first, self._recorded.range.end)]
        for leaf in self._spec.leaves.values():
            of_tenants = leaf.insights is not None
            whole = in_common(whole, self._recorded.known(leaf.metric, self._spec.period, of_tenants=of_tenants))
        return whole

    def _evaluated(self, span: Span) -> Iterator[tuple[int, int, str | None]]:
        """(from, until, state) of what the evaluations in a span give, each until the state changes.

        None: until one gives a state of its own, they keep what it had before the span, or after ANY.
        """
        period = self._spec.period
        starts = range(-(-span[0] // period) * period, span[1] // period * period, period)
        # an alarm of shorter periods would otherwise be known for a shorter time
        end = min(starts.stop + period, self._recorded.range.end + 1)
        if self._grouped and len(starts) >= self._looked_at:
            query, groups = filled(self._grouped.insights), self._leaf(self._grouped)
            returned = returned_at_each(query, groups, starts, self._looked_at)
            lines = [self._breaching(values, starts) for values in groups]
            states = states_of_contributors(self._by_contributor(lines, returned, starts, end), self._spec.treat_missing)
            if returned is not None and None in returned:
                states.of_any = list(self._of_any(query, lines, returned, starts, end))
            self._further += states.further
            self._unsure += states.unsure
            yield from states.pieces((starts[self._looked_at - 1] + period, end))
        elif not self._grouped:
            yield from self._as_one(starts, end)

    def _as_one(self, starts: range, end: int) -> Iterator[tuple[int, int, str | None]]:
        """The same of an alarm whose time series have one state together."""
        few = self._few_samples(starts)

        def evaluated() -> Iterator[tuple[int, str | None]]:
            state: str | None = None
            for last, lines in self._ranges(starts, few):
                if lines is None:
                    state = None
                    yield starts[last] + starts.step, ANY
                    continue
                low_samples = bool(few) and not few.isdisjoint(starts[last - self._looked_at + 1 : last + 1])
                state = self._state(low_samples, lines) or state
                yield starts[last] + starts.step, state

        return unbroken(evaluated(), end)

    @property
    def _grouped(self) -> Leaf | None:
        """The Metrics Insights query whose time series are compared, if it returns several."""
        leaf = self._spec.leaves.get(self._spec.returned)
        return leaf if leaf is not None and leaf.insights is not None and leaf.insights.group_by else None

    def _by_contributor(
        self, lines: Sequence[Breaching], returned: Sequence[set[int] | None] | None, starts: range, end: int
    ) -> Iterator[tuple[int, int, str | None]]:
        """(from, until, state) of each time series that the query surely returns, as long as it does."""
        for number, line in enumerate(lines):
            there = None if returned is None else [None if numbers is None else number in numbers for numbers in returned]
            for piece in unbroken(self._contributor(line, there, starts), end):
                if piece[2] != GONE:
                    yield piece

    def _of_any(
        self, query: InsightsQuery, lines: Sequence[Breaching], returned: Sequence[set[int] | None], starts: range, end: int
    ) -> Iterator[tuple[int, int, str]]:
        """(from, until, state) of the alarm while there are more time series than are returned, and nobody can say which."""

        def evaluated() -> Iterator[tuple[int, str]]:
            for last in range(self._looked_at - 1, len(starts)):
                state = GONE
                if returned[last] is None:
                    ranges = Counter(line[last - self._looked_at + 1 : last + 1] for line in lines)
                    there = ((each, count) for each, count in ranges.items() if any(breaches is not None for breaches in each))
                    state = state_of_any(query, ((self._state_of(each), count) for each, count in there))
                yield starts[last] + starts.step, state

        for since, until, state in unbroken(evaluated(), end):
            if state:
                yield since, until, state

    def _contributor(
        self, line: Breaching, there: Sequence[bool | None] | None, starts: range
    ) -> Iterator[tuple[int, str | None]]:
        """The moments of evaluations, and the state of one time series from each on, or GONE.

        `there`: whether it is returned; None where nobody can say, and then a state that it keeps is not known either.
        """
        state: str | None = None
        for last in self._at_changes([line] if there is None else [line, there]):
            looked_at = line[last - self._looked_at + 1 : last + 1]
            gone = not (there is None or there[last]) or all(breaches is None for breaches in looked_at)
            state = GONE if gone else state_of_contributor(self._state_of(looked_at), state)
            yield starts[last] + starts.step, state
            if there is not None and there[last] is None:
                state = None

    def _state(self, low_samples: bool, lines: Sequence[Breaching]) -> str | None:
        """The state that an evaluation gives; None where it keeps the one before."""
        if len(lines) == 1:
            return self._state_of(lines[0], low_samples)
        return state_of_series([self._state_of(line, low_samples) for line in lines])

    def _state_of(self, line: Breaching, low_samples: bool = False) -> str | None:
        return evaluate_range(line, self._n, self._m, self._spec.treat_missing, low_samples)

    def _ranges(self, starts: range, few: Collection[int]) -> Iterator[tuple[int, list[Breaching] | None]]:
        """For each evaluation the number of its newest period, and the range of periods of each time series.

        None where metric math is given some of more time series, and nobody can say which.

        Those that look at the same as the one before are left out where that is easily seen, as most are of quiet periods.
        """
        first = self._looked_at - 1
        several = any(leaf.insights is not None and leaf.insights.group_by for leaf in self._spec.leaves.values())
        if not several and all(_point_by_point(expression) for expression in self._spec.expressions.values()):
            lines = [self._breaching(values, starts) for values in self._compared(starts)]
            for last in self._at_changes([*lines, [start in few for start in starts]]):
                yield last, [line[last - first : last + 1] for line in lines]
        else:
            for last in range(first, len(starts)):
                looked_at = starts[last - first : last + 1]
                try:
                    compared = self._compared(looked_at)
                except AnySeriesError:
                    yield last, None
                else:
                    yield last, [self._breaching(values, looked_at) for values in compared]

    def _at_changes(self, lines: Sequence[Sequence[bool | None]]) -> Iterator[int]:
        """The first evaluation, and each that does not look at the same in every line as the one before."""
        changes = {at for line in lines for at, (before, now) in enumerate(pairwise(line), start=1) if before != now}
        until = self._looked_at
        for last in range(len(lines[0])):
            until = last + self._looked_at if last in changes else until
            if self._looked_at - 1 <= last < until:
                yield last

    def _breaching(self, values: Values, starts: range) -> Breaching:
        """Whether each period breaches, None where it has no value."""
        found = map(values.get, starts)
        return tuple(None if value is None else self._breaches(value, self._threshold) for value in found)

    def _few_samples(self, starts: range) -> set[int]:
        """The periods with too few samples for the percentile of an alarm that is to ignore those."""
        leaf = next(iter(self._spec.leaves.values()))
        limit = leaf.statistic.low_sample_count
        if self._row.low_sample != "ignore" or limit is None or leaf.insights is not None or self._spec.expressions:
            return set()
        counts = self._recorded.values(MetricSet.of(leaf.metric, leaf.dimensions), SAMPLES, self._spec.period)
        return {start for start in starts if 0 < counts.get(start, 0) < limit}

    def _compared(self, starts: range) -> list[Values]:
        """The time series that are compared with the threshold, over these periods."""
        if not self._spec.expressions:
            lines, few = self._leaf(self._spec.leaves[self._spec.returned]), self._few_samples(starts)
            return [{start: value for start, value in line.items() if start not in few} for line in lines] if few else lines
        stamps = [datetime.fromtimestamp(start, UTC) for start in starts]
        read: dict[str, Points | list[Points]] = {}
        for key, leaf in self._spec.leaves.items():
            points: list[Points] = [
                {at: values[start] for start, at in zip(starts, stamps, strict=True) if start in values}
                for values in self._leaf(leaf)
            ]
            several = leaf.insights is not None and leaf.insights.group_by
            read[key] = returned_lines(filled(leaf.insights), points) if several else points[0]
        return [_by_start(points) for points in self._spec.compared(read, stamps)] or [{}]

    def _leaf(self, leaf: Leaf) -> list[Values]:
        """The time series of one query: one, or one a group, whether or not the query returns it."""
        if leaf.id not in self._read:
            self._read[leaf.id] = self._lines(leaf) or [{}]
        return self._read[leaf.id]

    def _lines(self, leaf: Leaf) -> list[Values]:
        if leaf.obstacle(self._namespace) is not None:
            return []
        if leaf.insights is None:
            one = MetricSet.of(leaf.metric, leaf.dimensions)
            return [self._recorded.values(one, leaf.statistic.text, self._spec.period)]
        groups: dict[tuple[str, ...], list[MetricSet]] = {}
        for one in sets_of(leaf, self._sets):
            labels = {ACCOUNT: leaf.own_account or "", **dict(one.dimensions)}
            groups.setdefault(tuple(labels[key] for key in leaf.insights.group_by), []).append(one)
        return [self._together(leaf, members) for members in groups.values()]

    def _together(self, leaf: Leaf, members: Sequence[MetricSet]) -> Values:
        """What a Metrics Insights query makes of the values of several sets."""

        def over_sets(stat: str, combine: Callable[[float, float], float] = add) -> Values:
            found: Values = {}
            for one in members:
                for start, value in self._recorded.values(one, stat, self._spec.period).items():
                    found[start] = combine(found[start], value) if start in found else value
            return found

        kind = leaf.statistic.kind
        if kind is StatisticKind.AVERAGE:
            counts = over_sets(SAMPLES)
            return {start: value / counts[start] for start, value in over_sets(SUM).items() if counts.get(start)}
        if kind in (StatisticKind.MINIMUM, StatisticKind.MAXIMUM):
            return over_sets(leaf.statistic.text, min if kind is StatisticKind.MINIMUM else max)
        return over_sets(leaf.statistic.text)


def _by_start(points: Points) -> Values:
    return {int(at.timestamp()): value for at, value in points.items()}


def _point_by_point(expression: Expression) -> bool:
    """Whether the result at each period rests on that period alone."""
    for node in expression.walk():
        if not isinstance(node, Call):
            continue
        of_array = node.function in _OF_ARRAYS and (
            node.function == "METRICS" or any(isinstance(each, Array) or _metrics(each) for each in node.arguments)
        )
        filled_by_others = node.function == "FILL" and any(isinstance(each, Keyword) for each in node.arguments)
        if filled_by_others or not (of_array or node.function in _POINT_BY_POINT):
            return False
    return True


def _metrics(node: object) -> bool:
    return isinstance(node, Call) and node.function == "METRICS"
