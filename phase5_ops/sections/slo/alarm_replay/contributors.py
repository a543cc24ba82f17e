"""The time series of a Metrics Insights query that groups: when it returns each, and what becomes of the alarm by them. Pure.

Each is a contributor of the alarm with a state of its own. It exists only while it has data in the range that is looked at, is in
ALARM or OK and never in INSUFFICIENT_DATA, and a topic is told of each that goes into ALARM. What an alarm is without any, the
guide does not say: here it is not in ALARM then.

Source: CloudWatch User Guide, "Acting on alarm changes"; "Metrics Insights query components and syntax" (ORDER BY); "Metrics
Insights quotas".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from phase5_ops.cloudwatch.alarm_evaluation import ALARM, INSUFFICIENT_DATA, OK
from phase5_ops.cloudwatch.metric_math import Points
from phase5_ops.cloudwatch.metrics_insights import InsightsQuery
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import Values
from phase5_ops.sections.slo.alarm_replay.timeline import Span, StateSpan, Timeline, merged
from phase5_ops.sections.slo.alarms.model import AlarmError

GONE = ""
"""Stands for the state of a time series that the query does not return."""


def returned_lines(query: InsightsQuery, lines: Sequence[Points]) -> list[Points]:
    """The time series that a query returns of one range.

    Raises:
        AlarmError: there are more than it returns, and it does not say which.
    """
    _refuse_any(query, sum(map(bool, lines)))
    return query.returned(lines, lambda points: points.values())


def returned_at_each(query: InsightsQuery, groups: Sequence[Values], starts: range, looked_at: int) -> list[set[int]] | None:
    """For the newest period of each evaluation the numbers of the groups that the query returns; None where all that have data.

    Raises:
        AlarmError: there are more than it returns, and it does not say which.
    """
    if len(groups) <= query.most_series:
        return None
    found: list[set[int]] = []
    for last in range(len(starts)):
        range_ = starts[max(last - looked_at + 1, 0) : last + 1]
        values = {
            number: held for number, group in enumerate(groups) if (held := [group[start] for start in range_ if start in group])
        }
        _refuse_any(query, len(values))
        found.append(set(query.returned(values, values.__getitem__)))
    return found


def _refuse_any(query: InsightsQuery, there: int) -> None:
    if query.order_by is None and there > query.most_series:
        raise AlarmError(f"{query.text} returns {query.most_series} of {there} time series, and does not say by ORDER BY which")


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
    """When time series of an alarm are in ALARM, in OK, and in a state that they kept from before and that is not known."""

    treatment: str
    alarm: list[Span] = field(default_factory=list)
    ok: list[Span] = field(default_factory=list)
    kept: list[Span] = field(default_factory=list)

    @property
    def further(self) -> list[Span]:
        """When one more is in ALARM, which went into it while another was."""
        first = {start for start, _ in merged(self.alarm)}
        ends: dict[int, int] = {}
        for start, end in self.alarm:
            if start not in first:
                ends[start] = max(end, ends.get(start, end))
        return sorted(ends.items())

    def pieces(self, span: Span) -> Iterator[tuple[int, int, str | None]]:
        """(from, until, state) of the alarm in a span, None where it is not known which state time series kept."""
        alarm, kept, ok = (_timeline(spans) for spans in (self.alarm, self.kept, self.ok))
        edges = sorted({*span, *(edge for each in (alarm, kept, ok) for spans in each.known for edge in spans)})
        for start, end in pairwise(edges):
            if alarm.at(start):
                yield start, end, ALARM
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
