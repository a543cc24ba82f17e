"""Recorded metrics in which little happens, and alarms to replay on them; minutes are counted back from NOW."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet, Series
from phase5_ops.policy import AlarmPolicy, AlarmReplayPolicy, SloPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.alarm_replay.evidence import ReplayFacts, alarm_replay_table, iso_of
from phase5_ops.sections.slo.alarm_replay.judge import judge_alarm_replay
from phase5_ops.sections.slo.alarm_replay.plan import kept_since, replayed_range, watching
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import RecordedMetrics
from phase5_ops.sections.slo.alarm_replay.recorded_states import by_alarm, recorded_states
from phase5_ops.sections.slo.alarm_replay.replay import replay
from phase5_ops.sections.slo.alarm_replay.timeline import Timeline
from phase5_ops.sections.slo.summary.plan import SAMPLES, SUM, within_stat
from phase5_ops_tests.sections.slo.alarms.alarm_platform import BASE, LINKS, NAMESPACE, NOW, evidence, read

SLO = SloPolicy()
TENANT = {**BASE, "tenant_id": "t1"}
NOW_S = int(NOW.timestamp())
RANGE = replayed_range(NOW)
WITHIN = within_stat(SLO)


def ago(minutes: float) -> int:
    """Epoch seconds, so many minutes before NOW."""
    return NOW_S - round(60 * minutes)


@dataclass
class Recording:
    """What was recorded of so many days; by default nothing.

    `fine_days`: of how many the sets with a tenant are known; `covered_days`: of how many no set is missing.
    """

    days: float = 2
    fine_days: float = 30
    covered_days: int = 30

    values: dict[tuple[str, tuple[tuple[str, str], ...], str, int], dict[int, float]] = field(default_factory=dict)

    def put(self, metric: str, dimensions: Mapping[str, str], stat: str, period: int, points: Mapping[int, float]) -> "Recording":
        """Values of a statistic, by the start of their period."""
        self.values.setdefault((metric, tuple(sorted(dimensions.items())), stat, period), {}).update(points)
        return self

    def calls(self, minutes: Iterable[float], good: int = 200, failed: int = 0, late: int = 0, p99: float = 400.0) -> "Recording":
        """In each five minutes that begin so long ago: calls that succeed, fail, and of the good ones take too long."""
        for start in map(ago, minutes):
            for metric, dimensions, stat, value in (
                (SUCCESS, BASE, SUM, good),
                (LATENCY, BASE, SAMPLES, good),
                (LATENCY, BASE, WITHIN, good - late),
                (LATENCY, BASE, "p99", 9000.0 if late > 0.01 * good else p99),
                (ERROR, TENANT, SUM, failed),
                (LATENCY, TENANT, SAMPLES, failed),
                (LATENCY, TENANT, WITHIN, failed),
            ):
                if value:
                    self.put(metric, dimensions, stat, 300, {start: value})
        return self

    def usual(self, good: int = 200) -> "Recording":
        """Good calls in all five minutes."""
        return self.calls(range(5, round(self.days * 24 * 60) + 1, 5), good)

    @property
    def sets(self) -> list[MetricSet]:
        """Every dimension set."""
        return sorted({MetricSet(metric, dimensions) for metric, dimensions, _, _ in self.values})

    def recorded(self, periods: Sequence[int] = (60, 300)) -> RecordedMetrics:
        """As the replay takes it."""
        range_ = replace(
            replayed_range(NOW, self.covered_days), first=max(RANGE.first, NOW_S - round(self.days * 86_400)), fine_from=NOW_S
        )
        found = RecordedMetrics(range_, kept_since(range_, periods))
        since = max(range_.first, NOW_S - round(self.fine_days * 86_400))
        found.fine = {metric: [(since, NOW_S)] for metric in (LATENCY, SUCCESS, ERROR)}
        for (metric, dimensions, stat, period), points in self.values.items():
            query = MetricQuery(MetricSet(metric, dimensions), stat, period, NOW - timedelta(days=30), NOW)
            series = Series(query, list(points), list(points.values()), whole=True)
            counted = stat in (SAMPLES, WITHIN) if metric == LATENCY else stat == SUM
            (found.add_counts if counted and period == 300 else found.add_values)([series])
        return found


def replayed(alarm, month: Recording, history: Timeline | None = None):
    """The replay of one alarm in DescribeAlarms' words."""
    (found,) = watching(evidence(alarm).rows).values()
    return replay(found, month.sets, month.recorded([found.row.period or 300]), NAMESPACE, history)


def firing(alarm, month: Recording, history: Timeline | None = None) -> list[tuple[float, float]]:
    """When it is in ALARM: from and until how many minutes ago."""
    found = replayed(alarm, month, history)
    assert not found.problem
    return [((NOW_S - start) / 60, (NOW_S - end) / 60) for start, end in found.timeline.firing]


def state_update(alarm: str, minutes: float, old: str, new: str):
    """An item of DescribeAlarmHistory."""
    data = f'{{"version":"1.0","oldState":{{"stateValue":"{old}"}},"newState":{{"stateValue":"{new}"}}}}'
    at = datetime.fromtimestamp(ago(minutes), UTC)
    return {"AlarmName": alarm, "Timestamp": at, "HistoryItemType": "StateUpdate", "HistoryData": data}


def table(month: Recording, *alarms, items: Sequence[Mapping] | None = None, reads=(), **given):
    """The table `alarm_replay`; `items`: of the alarms' history, None for no history that could be compared."""
    slo_alarms = evidence(*alarms, **given)
    found = watching(slo_alarms.rows)
    periods = [alarm.spec.period for alarm in found.values() if alarm.spec]
    states = {}
    if items is not None:
        histories = by_alarm(items)
        for name, alarm in found.items():
            row = alarm.row
            told = recorded_states(histories.get(name, []), configured_at=row.configured_at, state=row.state, now=NOW)
            states |= {name: told} if told else {}
    recorded = month.recorded([300, *periods])
    return alarm_replay_table(
        slo_alarms,
        found,
        month.sets,
        recorded,
        states,
        policy=SLO,
        facts=ReplayFacts(iso_of(RANGE.first), iso_of(RANGE.end), iso_of(recorded.range.complete_from), metrics_requested=7),
        reads=[*slo_alarms.reads, read("cloudwatch:DescribeAlarmHistory"), *reads],
        observed_at=NOW,
    )


def judge(replays, **policy):
    return judge_alarm_replay(replays, policy=AlarmReplayPolicy(**policy), alarms=AlarmPolicy(), links=LINKS)


def codes(judgement) -> dict[str, str]:
    """Verdict by code."""
    return {finding.code: str(finding.verdict) for finding in judgement.findings}


#: When the outage begins, in minutes ago.
OUTAGE = 16 * 60


def outage() -> Recording:
    """A third of the calls of half an hour failed."""
    return Recording().usual().calls(range(OUTAGE, OUTAGE - 30, -5), failed=100)


def seen(operation: str, status: ReadStatus = ReadStatus.DENIED):
    """A read that ended so."""
    return read(operation, status, "no")
