"""The time series of a Metrics Insights query that groups: when it returns each, and what becomes of the alarm by them. Pure.

Each is a contributor of the alarm with a state of its own. It exists only while it has data in the range that is looked at, is in
ALARM or OK and never in INSUFFICIENT_DATA, and a topic is told of each that goes into ALARM. What an alarm is without any, the
guide does not say: here it is not in ALARM then.

Where there are more than the query returns and no ORDER BY, CloudWatch goes on with those that it got (PARTIAL_DATA). Which these
are nobody can say: the alarm's state is known where it is the same whichever they are.

Source: CloudWatch User Guide, "Acting on alarm changes"; "Metrics Insights query components and syntax" (ORDER BY); "Metrics
Insights quotas"; "Limits" of alarms.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import add

from phase5_ops.cloudwatch.alarm_evaluation import ALARM, INSUFFICIENT_DATA, OK
from phase5_ops.cloudwatch.metric_math import Points
from phase5_ops.cloudwatch.metrics_insights import InsightsQuery
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import Values
from phase5_ops.sections.slo.alarm_replay.timeline import Span, StateSpan, Timeline, merged
from phase5_ops.sections.slo.alarms.model import AlarmError

GONE = ""
"""Stands for the state of a time series that the query does not return."""

ANY = "?"
"""Stands for the state of an alarm that rests on which time series the query returns."""


class AnySeriesError(AlarmError):
    """There are more time series than a query returns, and it does not say which."""

    def __init__(self, query: InsightsQuery) -> None:
        super().__init__(f"{query.text} finds more than the {query.most_series} time series that it returns, and has no ORDER BY")


def returned_lines(query: InsightsQuery, lines: Sequence[Points]) -> list[Points]:
    """The time series that a query returns of one range.

    Raises:
        AnySeriesError: there are more than it returns, and it does not say which.
    """
    if _any(query, sum(map(bool, lines))):
        raise AnySeriesError(query)
    return query.returned(lines, lambda points: points.values())


def returned_at_each(
    query: InsightsQuery, groups: Sequence[Values], starts: range, looked_at: int
) -> list[set[int] | None] | None:
    """For the newest period of each evaluation the numbers of the groups that the query returns; None where all that have data.

    An evaluation has None where there are more than it returns, and it does not say which.
    """
    if len(groups) <= query.most_series:
        return None
    found: list[set[int] | None] = []
    for last in range(len(starts)):
        range_ = starts[max(last - looked_at + 1, 0) : last + 1]
        values = {
            number: held for number, group in enumerate(groups) if (held := [group[start] for start in range_ if start in group])
        }
        found.append(None if _any(query, len(values)) else set(query.returned(values, values.__getitem__)))
    return found


def _any(query: InsightsQuery, there: int) -> bool:
    return query.order_by is None and there > query.most_series


def state_of_any(query: InsightsQuery, evaluated: Iterable[tuple[str | None, int]]) -> str:
    """The state of an alarm by whichever time series the query returns: ALARM, OK, or ANY where that depends on them.

    Args:
        query: returns fewer than there are.
        evaluated: what the range of a time series gives an alarm, None where that keeps a state, and of how many that is so.
    """
    numbers: Counter[str | None] = Counter()
    for state, count in evaluated:
        numbers[state] += count
    if numbers.total() - numbers[ALARM] < query.most_series:
        return ALARM  # the others are too few to be all that is returned
    return ANY if numbers[ALARM] or numbers[None] else OK


def state_of_contributor(evaluated: str | None, before: str | None) -> str | None:
    """The state of a time series that is there.

    Args:
        evaluated: what its range gives an alarm; None where that keeps the state that it has.
        before: its state at the evaluation before, or GONE; None where that is not known.
    """
    if evaluated is None:
        return OK if before == GONE else before
    return OK if evaluated == INSUFFICIENT_DATA else evaluated


@dataclass
class ContributorStates:
    """When time series of an alarm are in ALARM, in OK, and in a state that they kept from before and that is not known.

    Attributes:
        of_any: (from, until, state) of the alarm while nobody can say which time series are returned; none has a state then.
    """

    treatment: str
    alarm: list[Span] = field(default_factory=list)
    ok: list[Span] = field(default_factory=list)
    kept: list[Span] = field(default_factory=list)
    of_any: Sequence[tuple[int, int, str]] = ()

    @property
    def unsure(self) -> list[Span]:
        """When some of those that may be returned are in ALARM, so that nobody can say of which people are told."""
        return merged((start, end) for start, end, state in self.of_any if state != OK)

    def _of_any(self, state: str) -> list[Span]:
        return [(start, end) for start, end, found in self.of_any if found == state]

    @property
    def further(self) -> list[Span]:
        """When one more is in ALARM, which went into it while another was."""
        first = {start for start, _ in merged([*self.alarm, *self._of_any(ALARM)])} | {end for _, end in self.unsure}
        ends: dict[int, int] = {}
        for start, end in self.alarm:
            if start not in first:
                ends[start] = max(end, ends.get(start, end))
        return sorted(ends.items())

    def pieces(self, span: Span) -> Iterator[tuple[int, int, str | None]]:
        """(from, until, state) of the alarm in a span, None where it is not known which state time series kept; it may be ANY."""
        of_any = (self._of_any(state) for state in (ALARM, ANY, OK))
        alarm, any_, ok = map(_timeline, map(add, (self.alarm, [], self.ok), of_any))
        kept = _timeline(self.kept)
        edges = sorted({*span, *(edge for each in (alarm, any_, kept, ok) for spans in each.known for edge in spans)})
        for start, end in pairwise(edges):
            if alarm.at(start):
                yield start, end, ALARM
            elif any_.at(start):
                yield start, end, ANY
            elif kept.at(start):
                yield start, end, None
            else:
                yield start, end, OK if ok.at(start) or self.treatment == "notBreaching" else INSUFFICIENT_DATA


def states_of_contributors(spans: Iterable[tuple[int, int, str | None]], treatment: str) -> ContributorStates:
    """The states of an alarm by those of its time series, (from, until, state), None where a state that was kept is not known."""
    found = ContributorStates(treatment)
    for start, end, state in spans:
        {ALARM: found.alarm, OK: found.ok}.get(state or "", found.kept).append((start, end))
    return found


def _timeline(spans: Sequence[Span]) -> Timeline:
    return Timeline([StateSpan(start, end, ALARM) for start, end in merged(spans)])
