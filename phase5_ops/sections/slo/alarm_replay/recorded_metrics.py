"""What CloudWatch has recorded of the tool metrics over thirty days, by the period, and of which periods that is known. Pure.

Dimension sets without a tenant are few and have nearly all calls: they are read by five minutes from end to end. Those with a
tenant may be thousands: they are known by the hour, and by five minutes for the last three days and where a breach cannot be
excluded (`calls.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from phase5_ops.ccnative.metrics import TENANT_DIMENSION
from phase5_ops.cloudwatch.metric_query import MetricSet, Series
from phase5_ops.sections.slo.alarm_replay.timeline import Span, merged
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HOUR

Values = dict[int, float]
"""Value by the start of its period (epoch seconds)."""


def has_tenant(metric_set: MetricSet) -> bool:
    """Whether a set is one of many: it names a tenant."""
    return any(name == TENANT_DIMENSION for name, _ in metric_set.dimensions)


@dataclass(frozen=True, slots=True)
class Range:
    """The time that is replayed, in epoch seconds.

    Attributes:
        first: its beginning, thirty days before its end, at a full hour.
        fine_from: from here on every set was read by five minutes or less.
        complete_from: from here on no set is missing. ListMetrics leaves out one without data for two weeks, which is known only
            if an earlier run saw it.
        end: evaluation time.
    """

    first: int
    fine_from: int
    complete_from: int
    end: int


@dataclass
class RecordedMetrics:
    """The recorded values.

    Attributes:
        range: what is replayed.
        kept: since when periods of so many seconds are kept by CloudWatch.
        fine: the spans in which sets with a tenant are known by five minutes, by metric.
        left_out: metric, statistic and period of the values that were not read, since with them too many metrics would have been.
    """

    range: Range
    kept: Mapping[int, int] = field(default_factory=dict)
    fine: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    left_out: frozenset[tuple[str, str, int]] = frozenset()
    _values: dict[tuple[MetricSet, str, int], Values] = field(default_factory=lambda: defaultdict(dict))
    _counts: dict[tuple[MetricSet, str], Values] = field(default_factory=lambda: defaultdict(dict))

    def add_counts(self, series: Iterable[Series]) -> None:
        """Takes counts, which add up over periods; those by more than five minutes are left out."""
        for one in series:
            if one.query.period <= FIVE_MINUTES:
                held = self._counts[one.query.metric_set, one.query.stat]
                for start, value in zip(one.starts, one.values, strict=True):
                    slot = start // FIVE_MINUTES * FIVE_MINUTES
                    held[slot] = held.get(slot, 0.0) + value

    def add_values(self, series: Iterable[Series]) -> None:
        """Takes what alarms compare, by their own periods."""
        for one in series:
            held = self._values[one.query.metric_set, one.query.stat, one.query.period]
            held.update(zip(one.starts, one.values, strict=True))

    def counted(self, metric_set: MetricSet, stat: str) -> Values:
        """A statistic that adds up, by five minutes, where it is known."""
        return self._counts.get((metric_set, stat), {})

    def values(self, metric_set: MetricSet, stat: str, period: int) -> Values:
        """A statistic over each period that has data; of counts, periods of five minutes are added up."""
        own = self._values.get((metric_set, stat, period))
        if own is not None:
            return own
        summed: Values = {}
        for slot, value in self.counted(metric_set, stat).items():
            at = slot // period * period
            summed[at] = summed.get(at, 0.0) + value
        return summed

    def known(self, metric: str, period: int, *, of_tenants: bool) -> list[Span]:
        """The spans in which the periods of a metric are known; `of_tenants`: also those of sets with a tenant."""
        first = max(self.range.first, self.kept.get(period, self.range.first))
        spans = [*self.fine.get(metric, ()), (self.range.fine_from, self.range.end)] if of_tenants else [(first, self.range.end)]
        return merged((max(start, first), end) for start, end in spans if end > first)


def hours_with_data(series: Iterable[Series]) -> dict[tuple[MetricSet, str], Values]:
    """The counts by the hour of each set and statistic, where they are above zero."""
    found: dict[tuple[MetricSet, str], Values] = {}
    for one in series:
        if one.query.period == HOUR:
            held = {start: value for start, value in zip(one.starts, one.values, strict=True) if value > 0}
            if held:
                found.setdefault((one.query.metric_set, one.query.stat), {}).update(held)
    return found
