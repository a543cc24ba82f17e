"""When a tool missed its SLO, and in which hours that cannot be excluded by the counts of an hour."""

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.sections.slo.alarm_replay.calls import possible_hours, signal_calls
from phase5_ops.sections.slo.alarm_replay.plan import fine_spans
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import has_tenant
from phase5_ops.sections.slo.summary.plan import SAMPLES, SUM
from phase5_ops_tests.sections.slo.alarm_replay.support import SLO, TENANT, WITHIN, Recording, ago
from phase5_ops_tests.sections.slo.alarms.alarm_platform import BASE

LEAST = SLO.min_window_samples


def breaches(recording, signal="error", least=LEAST):
    """From and until how many minutes ago, with bad and all calls."""
    recorded = recording.recorded()
    calls = signal_calls(signal, recording.sets, recorded, SLO)
    found, end = calls.breaches(calls.missed(least)), recorded.range.end
    return [((end - each.start) / 60, (end - each.end) / 60, each.bad, each.calls) for each in found]


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        ([2], []),  # 2 of 202 are 0.99 %
        ([3], [(60, 55, 3, 203)]),  # 3 of 203 are 1.48 %
        ([3, 3], [(60, 50, 6, 406)]),
        ([3, 0, 3], [(60, 55, 3, 203), (50, 45, 3, 203)]),
    ],
)
def test_windows_next_to_each_other_are_one_breach(failed, expected):
    recording = Recording(1).usual()
    for number, count in enumerate(failed):
        recording.calls([60 - 5 * number], failed=count)
    assert breaches(recording) == expected


def test_a_call_is_late_beyond_the_threshold_and_few_calls_are_not_judged():
    assert breaches(Recording(1).calls([60], good=200, late=2), "latency") == []
    assert breaches(Recording(1).calls([60], good=200, late=3), "latency") == [(60, 55, 3, 200)]
    assert breaches(Recording(1).calls([60], good=8, failed=1)) == []
    assert breaches(Recording(1).calls([60], good=8, failed=1), least=1) == [(60, 55, 1, 9)]
    assert breaches(Recording(1).calls([60], good=9, failed=1)) == [(60, 55, 1, 10)]


def test_errors_are_known_wherever_the_latency_of_failed_calls_is():
    found = fine_spans({"latency": [(0, 3600)], "error": [(3600, 7200)]})
    assert found == {LATENCY: [(0, 3600)], SUCCESS: [(3600, 7200)], ERROR: [(0, 7200)]}


COUNTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 12)), min_size=36, max_size=36)


@hypothesis.given(slots=COUNTS, signal=st.sampled_from(["error", "latency"]), busy=st.booleans())
@hypothesis.settings(max_examples=40, deadline=None)
def test_no_breach_is_in_an_hour_that_was_excluded(slots, signal, busy):
    """In all other hours what is known by five minutes alone says what all calls together say."""
    good_of, bad_of = (LATENCY, LATENCY) if signal == "latency" else (SUCCESS, ERROR)
    whole, known = Recording(1), Recording(1)
    hourly: dict = {}
    for number, (calls, bad, of_tenants) in enumerate(slots):
        start, count = ago(20 * 60 - 5 * number), calls + (1000 if busy else 0)
        points = [(BASE, good_of, SAMPLES if signal == "latency" else SUM, count)]
        if signal == "latency":
            points += [
                (BASE, LATENCY, WITHIN, count),
                (TENANT, LATENCY, SAMPLES, of_tenants + bad),
                (TENANT, LATENCY, WITHIN, of_tenants),
            ]
        else:
            points += [(TENANT, bad_of, SUM, bad), (TENANT, SUCCESS, SUM, of_tenants)]
        for dimensions, metric, stat, value in points:
            if value:
                whole.put(metric, dimensions, stat, 300, {start: value})
                if dimensions is BASE:
                    known.put(metric, dimensions, stat, 300, {start: value})
                else:
                    of_hour = hourly.setdefault((MetricSet.of(metric, dimensions), stat), {})
                    hour = start // 3600 * 3600
                    of_hour[hour] = of_hour.get(hour, 0) + value
    sets = whole.sets
    fine = signal_calls(signal, [one for one in sets if not has_tenant(one)], known.recorded(), SLO)
    possible = possible_hours(signal, fine, hourly, [one for one in sets if has_tenant(one)], SLO)

    def elsewhere(calls):
        windows = [(each.start, each.end) for each in calls.breaches(calls.missed(LEAST))]
        slots = {at for start, end in windows for at in range(start, end, 300)}
        return {at for at in slots if not any(start <= at < end for start, end in possible)}

    assert elsewhere(fine) == elsewhere(signal_calls(signal, sets, whole.recorded(), SLO)) == set()
    if busy and signal == "error" and not any(bad for _, bad, _ in slots):
        assert possible == []
