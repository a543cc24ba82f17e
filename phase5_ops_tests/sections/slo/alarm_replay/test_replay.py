"""One alarm over time: hand-computed cases, what cannot be replayed, and every alarm beside a second, slow evaluation."""

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.cloudwatch.alarm_evaluation import ALARM, OK
from phase5_ops.sections.slo.alarm_replay.timeline import StateSpan, Timeline
from phase5_ops_tests.cloudwatch.test_alarm_evaluation import slow
from phase5_ops_tests.sections.slo.alarm_replay.support import NOW_S, TENANT, Recording, ago, firing, replayed
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    BASE,
    NAMESPACE,
    TOOL,
    errors,
    insights,
    latency,
    math,
    metric_stat,
)

DAY = 24 * 60
END = -1 / 60  # minutes: the evaluation at NOW is the last one


def p99(*values: float | None, begin: int = DAY) -> Recording:
    """One p99 each five minutes from `begin` minutes ago on, None for no data point; calm before and after."""
    month = Recording().usual()
    for number, value in enumerate(values):
        key = "tool_latency_ms", tuple(sorted(BASE.items())), "p99", 300
        month.values[key].pop(ago(begin - 5 * number))
        if value is not None:
            month.put("tool_latency_ms", BASE, "p99", 300, {ago(begin - 5 * number): value})
    return month


SLOW, FAST = 9000.0, 400.0


def m_of_n(to_alarm: int, of: int, **changes):
    return latency(EvaluationPeriods=of, DatapointsToAlarm=to_alarm, **changes)


@pytest.mark.parametrize(
    ("alarm", "values", "expected"),
    [
        # told at the end of the first bad period, until the bad one has left the newest three
        (m_of_n(1, 3), [SLOW], [(DAY - 5, DAY - 20)]),
        (m_of_n(1, 1), [SLOW], [(DAY - 5, DAY - 10)]),
        (m_of_n(2, 3), [SLOW], []),
        (m_of_n(2, 3), [SLOW, FAST, SLOW], [(DAY - 15, DAY - 20)]),
        (m_of_n(2, 3), [SLOW, FAST, FAST, SLOW], []),
        (m_of_n(3, 3), [SLOW, SLOW, SLOW], [(DAY - 15, DAY - 20)]),
        (m_of_n(3, 3), [SLOW, SLOW, FAST, SLOW, SLOW], []),
        # the range is longer than N: a missing period is filled by an older one
        (m_of_n(2, 3), [SLOW, None, SLOW], [(DAY - 15, DAY - 25)]),
        (m_of_n(3, 3, TreatMissingData="notBreaching"), [SLOW, None, SLOW, None, SLOW], [(DAY - 25, DAY - 30)]),
        (m_of_n(3, 3, TreatMissingData="breaching"), [None, None, None], []),
        # with five missing periods nothing real is left to look at
        (m_of_n(3, 3, TreatMissingData="breaching"), [None] * 5, [(DAY - 25, DAY - 30)]),
        # one bad period, as old as the range is long, and nothing since: the guide's "X - - - -"
        (m_of_n(3, 3, TreatMissingData="missing"), [SLOW, *[None] * 4], [(DAY - 25, DAY - 30)]),
        (m_of_n(1, 3, TreatMissingData="ignore"), [SLOW, *[None] * 6], [(DAY - 5, DAY - 40)]),
        (m_of_n(1, 3, TreatMissingData="missing"), [SLOW, *[None] * 6], [(DAY - 5, DAY - 30)]),
    ],
)
def test_m_of_n_and_missing_data_over_time(alarm, values, expected):
    assert firing(alarm, p99(*values)) == expected


def test_few_samples_keep_the_state_where_the_alarm_is_to_ignore_them():
    """p99 needs 1,000 samples a period."""
    alarm = m_of_n(1, 1, EvaluateLowSampleCountPercentile="ignore")
    few, enough = Recording().usual(good=999), Recording().usual(good=1000)
    for month in (few, enough):
        month.put("tool_latency_ms", BASE, "p99", 300, {ago(60): SLOW})
    assert firing(alarm, few) == []
    assert replayed(alarm, few).timeline.known == []
    assert firing(alarm, enough) == [(55, 50)]
    assert firing(m_of_n(1, 1), few) == [(55, 50)]


def test_a_state_that_was_kept_from_before_is_what_cloudwatchs_history_says_or_not_known():
    """Nothing is recorded but one slow period: before it the alarm kept what it was."""
    month = Recording(1).put("tool_latency_ms", BASE, "p99", 300, {ago(60): SLOW})
    alarm = m_of_n(1, 1, TreatMissingData="ignore")
    known = [((NOW_S - start) / 60, (NOW_S - end) / 60) for start, end in replayed(alarm, month).timeline.known]
    assert known == [(55, END)]
    assert replayed(alarm, month).kept == [(ago(DAY - 15), ago(55))]
    history = Timeline([StateSpan(ago(600), NOW_S, OK)])
    assert firing(alarm, month) == firing(alarm, month, history) == [(55, END)]
    assert replayed(alarm, month, history).timeline.known == [(ago(600), NOW_S + 1)]
    assert replayed(alarm, month, history).kept == [(ago(DAY - 15), ago(600))]
    assert firing(alarm, month, Timeline([StateSpan(ago(2 * DAY), NOW_S, ALARM)])) == [(DAY - 15, END)]


def test_the_share_of_errors_adds_all_tenants_up_and_a_silent_period_is_none():
    """3 of 203 calls are 1.48 %, from two tenants; 2 of 202 are 0.99 %."""
    month = Recording().usual().calls([60], good=200, failed=2).calls([120], good=200, failed=2)
    month.put("tool_error", {**BASE, "tenant_id": "t2"}, "Sum", 300, {ago(60): 1})
    assert firing(errors(DatapointsToAlarm=1, EvaluationPeriods=1), month) == [(55, 50)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f'SELECT MAX(tool_error) FROM "{NAMESPACE}"', [(55, 40)]),
        (f'SELECT AVG(tool_error) FROM "{NAMESPACE}"', []),
        (f'SELECT MIN(tool_error) FROM "{NAMESPACE}"', []),
        (f'SELECT COUNT(tool_error) FROM "{NAMESPACE}"', [(55, 40)]),
        (f'SELECT SUM(tool_error) FROM "{NAMESPACE}" GROUP BY tenant_id', [(55, 40)]),
        (f'SELECT SUM(tool_error) FROM "{NAMESPACE}" GROUP BY tenant_id ORDER BY SUM() ASC LIMIT 1', []),
        (f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tenant_id != 't1'", []),
    ],
)
def test_metrics_insights_as_it_adds_and_groups(query, expected):
    """t1 has eight errors in one period, t2 two; the range is of three periods, and nothing newer than these is in it."""
    month = Recording().usual()
    for tenant, failed in (("t1", 8.0), ("t2", 2.0)):
        for stat, value in (("Sum", failed), ("SampleCount", failed), ("Minimum", 1.0), ("Maximum", failed)):
            month.put("tool_error", {**BASE, "tenant_id": tenant}, stat, 300, {ago(60): value})
    alarm = errors(Metrics=[insights("q", query, returned=True)], Threshold=5, EvaluationPeriods=1, DatapointsToAlarm=1)
    assert firing(alarm, month) == expected


def test_an_alarm_on_metrics_insights_sees_three_hours_and_no_more():
    """Of forty periods of five minutes, 36 are within three hours: 40 of 40 never breach, 36 of 40 do."""
    month = Recording().usual().calls(range(8 * 60, 60, -5), good=200, failed=20)
    query = [insights("q", f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'", returned=True)]

    def waits_for(periods: int):
        return errors(Metrics=query, Threshold=5, EvaluationPeriods=40, DatapointsToAlarm=periods)

    assert firing(waits_for(40), month) == []
    assert firing(waits_for(36), month) == [(5 * 60, 55)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILL(m, 0) / 2", [(DAY - 5, DAY - 10)]),
        ("IF(HOUR(m) > 23, m, 0)", []),
        # what rests on the whole range: here of three periods, one and two more
        ("m - AVG(m)", [(DAY - 5, DAY - 10)]),
        ("RUNNING_SUM(m) - 8000", [(DAY - 5, DAY - 20)]),
        ("FILL(m, REPEAT)", [(DAY - 5, DAY - 10)]),
    ],
)
def test_metric_math_is_evaluated_on_what_the_alarm_looks_at(expression, expected):
    """RUNNING_SUM keeps the slow period for as long as it is in the range."""
    queries = [math("r", expression), metric_stat("m", "tool_latency_ms", "p99")]
    alarm = latency(Metrics=queries, MetricName=None, ExtendedStatistic=None, Dimensions=None, Namespace=None, Period=None)
    alarm |= {"EvaluationPeriods": 1, "DatapointsToAlarm": 1, "Threshold": 1000.0}
    assert firing(alarm, p99(SLOW)) == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Threshold": None, "ThresholdMetricId": "band"}, "anomaly detection band"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "no fixed threshold"),
        ({"Namespace": "Other"}, "was not read here|were not read here"),
        ({"EvaluationPeriods": "three"}, "ValueError"),
        ({"Period": 10}, "for three hours"),
    ],
)
def test_what_the_recorded_metrics_cannot_tell_is_not_replayed(changes, why):
    found = replayed(latency(**changes), Recording().usual())
    assert any(part in found.problem for part in why.split("|"))
    assert found.timeline.pieces == ()


def test_accounts_that_were_not_read_and_periods_that_differ_are_not_replayed():
    text = f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE AWS.AccountId IN ('123456789012', '999999999999')"
    month = Recording().usual().calls([60], failed=1)
    assert "999999999999" in replayed(errors(Metrics=[insights("q", text, returned=True)]), month).problem
    queries = [
        math("r", "a + b"),
        metric_stat("a", "tool_latency_ms", "p99"),
        metric_stat("b", "tool_latency_ms", "p99", period=60),
    ]
    assert "different periods" in replayed(errors(Metrics=queries), month).problem


def test_minutes_are_kept_for_fifteen_days_and_five_minutes_for_longer():
    month = Recording(30).put("tool_latency_ms", BASE, "p99", 300, {ago(60): FAST})
    by_minutes = replayed(latency(Period=60), month).timeline.known
    by_five = replayed(latency(), month).timeline.known
    assert [round((NOW_S - start) / 86_400) for start, _ in (*by_minutes, *by_five)] == [15, 30]


def test_metrics_of_tenants_are_replayed_where_they_are_known():
    month = Recording(30, fine_days=10).usual()
    month.put("tool_error", TENANT, "Sum", 300, {ago(20 * DAY): 150.0, ago(5 * DAY): 150.0})
    known = replayed(errors(), month).timeline.known
    assert round((NOW_S - known[0][0]) / 86_400) == 10
    assert firing(errors(DatapointsToAlarm=1, EvaluationPeriods=1), month) == [(5 * DAY - 5, 5 * DAY - 10)]


@hypothesis.given(
    points=st.lists(st.sampled_from("X0-"), min_size=1, max_size=25),
    of=st.integers(1, 4),
    to_alarm=st.integers(1, 4),
    treatment=st.sampled_from(["missing", "ignore", "breaching", "notBreaching"]),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_an_alarm_is_what_the_slow_evaluation_says_period_by_period(points, of, to_alarm, treatment):
    to_alarm = min(to_alarm, of)
    values = {"X": SLOW, "0": FAST}
    starts = [ago(5 * (len(points) - number)) for number in range(len(points))]
    month = Recording(0.25).put("tool_latency_ms", BASE, "p99", 300, {ago(6 * 60): FAST})
    month.put(
        "tool_latency_ms", BASE, "p99", 300, {at: values[each] for at, each in zip(starts, points, strict=True) if each != "-"}
    )
    timeline = replayed(m_of_n(to_alarm, of, TreatMissingData=treatment), month).timeline
    state = timeline.at(starts[0])
    for number, at in enumerate(starts):
        looked_at = ("-" * (of + 2) + "".join(points[: number + 1]))[-(of + 2) :]
        state = slow(looked_at, of, to_alarm, treatment) or state
        assert timeline.at(at + 300) == state
