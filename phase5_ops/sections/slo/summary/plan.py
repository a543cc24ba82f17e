"""Which statistics of which dimension sets are asked for, over which segments of time. Pure.

Thirty days are cut into segments that do not overlap, so that nothing is read twice and nothing counts twice: hours up to
three days ago, five minutes up to one hour ago, minutes up to now. Every boundary is a multiple of the period before it, so
that it does not matter how CloudWatch aligns bins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet
from phase5_ops.policy import SloPolicy

MINUTE, FIVE_MINUTES, HOUR = 60, 300, 3600
HISTORY_DAYS = 30
_FINE_DAYS = 3  # burn-rate windows reach back 72 h
_RETENTION_DAYS = ((15, MINUTE), (63, FIVE_MINUTES), (455, HOUR))  # CloudWatch user guide: how long each resolution is kept

SAMPLES, SUM = "SampleCount", "Sum"
PERCENTILES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Segment:
    """Bins of `period` seconds in [start, end)."""

    start: datetime
    end: datetime
    period: int


def floor_to(moment: datetime, period: int) -> datetime:
    """The last multiple of `period` seconds at or before `moment`."""
    return datetime.fromtimestamp(int(moment.timestamp()) // period * period, UTC)


def count_segments(now: datetime, read_at: datetime) -> list[Segment]:
    """The segments of the thirty days before `now`.

    Args:
        now: evaluation time. The last bin is the minute that contains it, since CloudWatch keeps tool metrics by the minute;
            where minutes are not kept any more, it is the last whole bin before it, so that nothing after `now` counts.
        read_at: time of the reading, which decides what CloudWatch still keeps.
    """
    begins = [
        (now - timedelta(days=HISTORY_DAYS), HOUR),
        (now - timedelta(days=_FINE_DAYS), FIVE_MINUTES),
        (now - timedelta(hours=1), MINUTE),
    ]
    periods = [max(period, _finest_kept(read_at - begin)) for begin, period in begins]
    edges = [
        floor_to(begins[0][0], periods[0]),
        floor_to(begins[1][0], periods[0]),
        floor_to(begins[2][0], periods[1]),
        floor_to(now, periods[2]),
    ]
    if periods[2] == MINUTE and edges[3] < now:
        edges[3] += timedelta(seconds=MINUTE)
    segments = (Segment(start, end, period) for start, end, period in zip(edges, edges[1:], periods, strict=False))
    return [segment for segment in segments if segment.start < segment.end]


def percentile_segments(now: datetime, read_at: datetime, lookback_hours: int) -> list[Segment]:
    """Hours over the lookback, and five minutes within the hour that has begun, which has no end yet."""
    start, hour = floor_to(now - timedelta(hours=lookback_hours), HOUR), floor_to(now, HOUR)
    fine = max(FIVE_MINUTES, _finest_kept(read_at - hour))
    segments = [Segment(start, hour, HOUR), Segment(hour, floor_to(now, fine), fine)]
    return [segment for segment in segments if segment.start < segment.end]


def kept_days(period: int) -> int:
    """For how many days CloudWatch answers by this period: later it keeps multiples of a longer one alone."""
    return max(days for days, coarsest in _RETENTION_DAYS if period % coarsest == 0 or coarsest == MINUTE)


def _finest_kept(age: timedelta) -> int:
    """The shortest period that CloudWatch still keeps for data of this age, with an hour to spare."""
    for days, period in _RETENTION_DAYS:
        if age + timedelta(hours=1) < timedelta(days=days):
            return period
    return HOUR


def within_stat(policy: SloPolicy) -> str:
    """The statistic that counts the calls at or under the latency threshold: `TC(:5000)`."""
    return f"TC(:{policy.latency_threshold_ms:.10g})"


def counting_stats(metric: str, policy: SloPolicy) -> tuple[str, ...]:
    """The statistics by which the calls of a metric's sets are counted; they add up over sets and periods."""
    return {LATENCY: (SAMPLES, within_stat(policy)), SUCCESS: (SUM,), ERROR: (SUM,)}.get(metric, ())


def count_queries(metric_sets: Iterable[MetricSet], policy: SloPolicy, *, now: datetime, read_at: datetime) -> list[MetricQuery]:
    """The counts of these dimension sets over thirty days."""
    counts = count_segments(now, read_at)
    return [
        query for metric_set in metric_sets for query in _queries(metric_set, counting_stats(metric_set.metric, policy), counts)
    ]


def plan(metric_sets: Iterable[MetricSet], policy: SloPolicy, *, now: datetime, read_at: datetime) -> list[MetricQuery]:
    """Every statistic that the summary needs of these dimension sets; none twice."""
    metric_sets = list(metric_sets)
    percentiles = percentile_segments(now, read_at, policy.lookback_hours)
    queries = count_queries(metric_sets, policy, now=now, read_at=read_at)
    for metric_set in metric_sets:
        if metric_set.metric == LATENCY:
            queries += _queries(metric_set, PERCENTILES, percentiles)
    return queries


def _queries(metric_set: MetricSet, stats: Iterable[str], segments: Iterable[Segment]) -> Iterator[MetricQuery]:
    segments = list(segments)
    for stat in stats:
        for segment in segments:
            yield MetricQuery(metric_set, stat, segment.period, segment.start, segment.end)
