"""A platform with more metrics than may be read again: what is not read is not known, and no alarm fails by it."""

from types import SimpleNamespace

import pytest

from phase5_ops.ccnative.metrics import ERROR, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet, Series
from phase5_ops.policy import AlarmReplayPolicy
from phase5_ops.sections.slo.alarm_replay import assets
from phase5_ops.sections.slo.alarm_replay.evidence import alarm_replay_table
from phase5_ops.sections.slo.alarm_replay.plan import watching
from phase5_ops.sections.slo.summary.plan import HOUR, SUM, count_segments
from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, RANGE, SLO, ago, codes, judge
from phase5_ops_tests.sections.slo.alarms.alarm_platform import BASE, NAMESPACE, NOW, errors, evidence, insights, read

LIMIT = 20
FAILED = MetricSet.of(ERROR, {**BASE, "tenant_id": "t0"})
SETS = sorted([MetricSet.of(SUCCESS, BASE), *(MetricSet.of(ERROR, {**BASE, "tenant_id": f"t{i}"}) for i in range(LIMIT + 1))])


def by_period(period, **changes):
    query = {**insights("q", f'SELECT SUM(tool_error) FROM "{NAMESPACE}"', returned=True), "Period": period}
    return errors(Metrics=[query], Threshold=5, EvaluationPeriods=1, DatapointsToAlarm=1, **changes)


def counts(old_errors):
    """Good calls for thirty days, an outage of an hour that is known by five minutes, and errors of an hour long ago."""
    bad, hour = [ago(OUTAGE - 5 * number) for number in range(12)], ago(20 * 24 * 60) // HOUR * HOUR
    for segment in count_segments(NOW, NOW):
        starts = range(int(segment.start.timestamp()), int(segment.end.timestamp()), segment.period)
        failed = {start: 100.0 for start in starts if segment.period == 300 and start in bad}
        failed |= {start: 300.0 for start in starts if segment.period == HOUR and start == hour and old_errors}
        for one, values in ((MetricSet.of(SUCCESS, BASE), dict.fromkeys(starts, segment.period / 1.5)), (FAILED, failed)):
            query = MetricQuery(one, SUM, segment.period, segment.start, segment.end)
            yield Series(query, list(values), list(values.values()), whole=True)


@pytest.mark.parametrize(
    ("alarms", "old_errors", "expected"),
    [
        ([by_period(60)], False, {"alarm_not_replayed": "INCONCLUSIVE", "breach_not_replayed": "INCONCLUSIVE"}),
        ([by_period(60), by_period(300, AlarmName="five")], False, {"alarm_not_replayed": "WARN"}),
        ([by_period(300)], False, {}),
        (
            [by_period(60), by_period(300, AlarmName="five")],
            True,
            {"alarm_not_replayed": "WARN", "hours_not_read": "INCONCLUSIVE"},
        ),
    ],
)
def test_what_is_not_read_again_is_not_known(monkeypatch, alarms, old_errors, expected):
    asked = []

    def read_metric_data(_reader, _namespace, queries):
        asked.extend(queries)
        return [Series(query, [], [], whole=True) for query in queries], []

    monkeypatch.setattr(assets, "read_metric_data", read_metric_data)
    settings = SimpleNamespace(alarm_replay=AlarmReplayPolicy(max_metrics_read_again=LIMIT), slo=SLO, metrics_namespace=NAMESPACE)
    slo_alarms = evidence(*alarms)
    recorded, facts, _ = assets._recorded(
        SimpleNamespace(settings=settings, reader=None), slo_alarms, SETS, list(counts(old_errors)), RANGE
    )
    assert not any("tenant_id" in dict(query.metric_set.dimensions) for query in asked)
    table = alarm_replay_table(
        slo_alarms,
        watching(slo_alarms.rows),
        SETS,
        recorded,
        {},
        policy=SLO,
        facts=facts,
        reads=[read("cloudwatch:GetMetricData")],
        observed_at=NOW,
    )
    found = judge(table)
    assert codes(found) == expected
    named = [finding.seen for finding in found.findings if finding.code == "alarm_not_replayed"]
    assert all("PHASE5_ALARM_REPLAY__MAX_METRICS_READ_AGAIN" in seen for seen in named)
