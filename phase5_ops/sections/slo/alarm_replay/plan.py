"""What is read beyond the SLO summary's counts, so that alarms can be replayed; nothing twice. Pure.

First what few sets need: the counts of sets without a tenant by five minutes, and the values that an alarm on a single metric
compares. Then, where a breach cannot be excluded, the sets with a tenant by five minutes, and what Metrics Insights queries
make of them beyond counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.metrics import ERROR
from phase5_ops.cloudwatch.alarm_evaluation import EXTRA_PERIODS
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet
from phase5_ops.cloudwatch.statistics import StatisticKind
from phase5_ops.policy import SloPolicy
from phase5_ops.sections.slo.alarm_replay.calls import METRICS_OF, possible_hours, signal_calls
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import Range, RecordedMetrics, Values, has_tenant
from phase5_ops.sections.slo.alarm_replay.timeline import Span, merged
from phase5_ops.sections.slo.alarms.evidence import SloAlarm, spec_of
from phase5_ops.sections.slo.alarms.model import AlarmError, AlarmSpec, Leaf
from phase5_ops.sections.slo.summary.plan import (
    FIVE_MINUTES,
    HISTORY_DAYS,
    HOUR,
    MINUTE,
    SAMPLES,
    SUM,
    count_segments,
    counting_stats,
    kept_days,
)

TOLD_EARLY = 6 * HOUR
"""So long before a breach the time in ALARM of an alarm that is stricter than the SLO may begin, and tell of it."""

_ONE_READING = 24 * HOUR  # spans that are closer are read together: calls are dearer than data points
_KEPT_LESS = HOUR  # of what CloudWatch keeps at a period, since it goes on while it is read

#: Statistic of a Metrics Insights query -> those of single metrics that it is made of.
PARTS_OF = {
    StatisticKind.SUM: (SUM,),
    StatisticKind.SAMPLE_COUNT: (SAMPLES,),
    StatisticKind.AVERAGE: (SUM, SAMPLES),
    StatisticKind.MINIMUM: ("Minimum",),
    StatisticKind.MAXIMUM: ("Maximum",),
}


def replayed_range(now: datetime, days_covered: int = HISTORY_DAYS) -> Range:
    """The thirty days before `now`, of which the dimension sets are complete for so many.

    Their recent part is what the SLO summary read by five minutes or less.
    """
    segments = count_segments(now, now)
    fine = next(segment.start for segment in segments if segment.period <= FIVE_MINUTES)
    first, end = int(segments[0].start.timestamp()), int(now.timestamp())
    complete_from = first if days_covered >= HISTORY_DAYS else end - days_covered * 24 * HOUR
    return Range(first, int(fine.timestamp()), complete_from, end)


def kept_since(range_: Range, periods: Iterable[int]) -> dict[int, int]:
    """Since when CloudWatch keeps data points of these periods (seconds), in epoch seconds."""
    return {period: range_.end - int(timedelta(days=kept_days(period)).total_seconds()) + _KEPT_LESS for period in set(periods)}


#: Set, statistic, period, start and end in epoch seconds.
_Wanted = tuple[MetricSet, str, int, int, int]


@dataclass(frozen=True, slots=True)
class MetricsAsked:
    """What is asked for: counts, which add up over periods, and what alarms compare, by their own periods."""

    counts: Sequence[MetricQuery]
    values: Sequence[MetricQuery]

    def __len__(self) -> int:
        return len(self.counts) + len(self.values)


@dataclass(frozen=True, slots=True)
class Watching:
    """An alarm that watches a tool: its row of `slo_alarms`, and its spec; `error` says why it has none."""

    row: SloAlarm
    spec: AlarmSpec | None
    error: str = ""


def watching(rows: Iterable[SloAlarm]) -> dict[str, Watching]:
    """The alarms that watch a tool, by name."""
    found: dict[str, Watching] = {}
    for row in rows:
        if row.tool is None or row.signal is None or row.alarm is None or row.alarm in found:
            continue
        if row.unreadable:
            found[row.alarm] = Watching(row, None, row.unreadable)
        elif (row.period or MINUTE) % MINUTE:
            found[row.alarm] = Watching(row, None, f"CloudWatch keeps data points by {row.period} s for three hours")
        elif row.threshold is None:
            found[row.alarm] = Watching(row, None, "it compares with an anomaly detection band, whose past models are not kept")
        else:
            try:
                found[row.alarm] = Watching(row, spec_of(row))
            except AlarmError as error:
                found[row.alarm] = Watching(row, None, str(error))
    return found


def first_queries(
    sets: Iterable[MetricSet],
    hourly: Mapping[tuple[MetricSet, str], Values],
    alarms: Iterable[Watching],
    *,
    range_: Range,
    policy: SloPolicy,
    namespace: str,
) -> MetricsAsked:
    """Counts of the sets without a tenant that had any, and what alarms on single metrics compare."""
    counts = {
        (one, stat, FIVE_MINUTES, range_.first, range_.fine_from)
        for one in sets
        if not has_tenant(one)
        for stat in counting_stats(one.metric, policy)
        if (one, stat) in hourly
    }
    values = set()
    for each in alarms:
        for leaf in each.spec.leaves.values() if each.spec else ():
            if leaf.insights is None and each.spec and leaf.obstacle(namespace) is None:
                one, period = MetricSet.of(leaf.metric, leaf.dimensions), each.spec.period
                low = [SAMPLES] if each.row.low_sample == "ignore" and leaf.statistic.low_sample_count else []
                for stat in (leaf.statistic.text, *low):
                    if not _counted(one, stat, period, policy) or has_tenant(one):
                        since = max(range_.first, kept_since(range_, [period])[period])
                        values.add((one, stat, period, since, range_.end))
    return MetricsAsked(_queries(counts), _queries(values))


def spans_to_read(
    tools: Iterable[Sequence[MetricSet]],
    hourly: Mapping[tuple[MetricSet, str], Values],
    recorded: RecordedMetrics,
    alarms: Iterable[Watching],
    policy: SloPolicy,
) -> dict[str, list[Span]]:
    """For each signal, when sets with a tenant must be known by five minutes: around each hour in which a breach is possible.

    Before it as long as a time in ALARM that tells of it may last, and then what the alarm looks at as that begins.
    """
    after = HOUR
    for each in alarms:
        if each.spec is not None:
            looks_back = each.spec.period * ((each.row.evaluation_periods or 1) + EXTRA_PERIODS)
            after = max(after, -(-looks_back // HOUR) * HOUR)
    before = TOLD_EARLY + after + HOUR
    found = {}
    for signal in METRICS_OF:
        hours: list[Span] = []
        for sets in tools:
            fine = signal_calls(signal, [one for one in sets if not has_tenant(one)], recorded, policy)
            hours += possible_hours(signal, fine, hourly, [one for one in sets if has_tenant(one)], policy)
        wide = ((max(start - before, recorded.range.first), min(end + after, recorded.range.fine_from)) for start, end in hours)
        found[signal] = merged(wide, _ONE_READING)
    return found


def second_queries(
    sets: Iterable[MetricSet],
    hourly: Mapping[tuple[MetricSet, str], Values],
    spans: Mapping[str, Sequence[Span]],
    alarms: Iterable[Watching],
    *,
    range_: Range,
    policy: SloPolicy,
    namespace: str,
) -> MetricsAsked:
    """Counts of the sets with a tenant that had any in these spans, and what Metrics Insights queries need beyond counts."""
    sets = list(sets)
    fine = fine_spans(spans)
    counts = {
        (one, stat, FIVE_MINUTES, *span)
        for one in sets
        if has_tenant(one)
        for stat in counting_stats(one.metric, policy)
        for span in fine.get(one.metric, ())
        if any(span[0] <= hour < span[1] for hour in hourly.get((one, stat), ()))
    }
    values: set[_Wanted] = set()
    for each in alarms:
        for leaf in each.spec.leaves.values() if each.spec else ():
            if leaf.insights is not None and each.spec and leaf.obstacle(namespace) is None:
                period = each.spec.period
                since = kept_since(range_, [period])[period]
                for span in merged([*fine.get(leaf.metric, ()), (range_.fine_from, range_.end)]):
                    begin = max(span[0], since)
                    if begin < span[1]:
                        values |= {
                            (one, stat, period, begin, span[1])
                            for one in sets_of(leaf, sets)
                            for stat in PARTS_OF[leaf.statistic.kind]
                            if not _counted(one, stat, period, policy)
                        }
    return MetricsAsked(_queries(counts), _queries(values))


def fine_spans(spans: Mapping[str, Sequence[Span]]) -> dict[str, Sequence[Span]]:
    """The spans of each signal as those of its metrics; errors are known wherever the latency of failed calls is."""
    found = {metric: spans[signal] for signal, metrics in METRICS_OF.items() for metric in metrics}
    return found | {ERROR: merged([*spans["error"], *spans["latency"]])}


def sets_of(leaf: Leaf, sets: Iterable[MetricSet]) -> list[MetricSet]:
    """The sets that a Metrics Insights query reads."""
    return [one for one in sets if one.metric == leaf.metric and leaf.names(dict(one.dimensions))]


def _counted(one: MetricSet, stat: str, period: int, policy: SloPolicy) -> bool:
    """Whether a statistic comes of the counts by five minutes."""
    return period % FIVE_MINUTES == 0 and stat in counting_stats(one.metric, policy)


def _queries(wanted: Iterable[_Wanted]) -> list[MetricQuery]:
    """Queries from (set, statistic, period, start, end), over whole periods within start and end."""
    found = []
    for one, stat, period, start, end in sorted(wanted):
        first, last = -(-start // period) * period, end // period * period
        if first < last:
            found.append(MetricQuery(one, stat, period, datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)))
    return found
