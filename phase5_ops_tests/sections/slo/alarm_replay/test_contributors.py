"""Alarms on a Metrics Insights query that groups: each time series has a state of its own, and people are told of each."""

from itertools import combinations

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops_tests.cloudwatch.test_alarm_evaluation import slow
from phase5_ops_tests.sections.slo.alarm_replay.support import (
    NOW_S,
    OUTAGE,
    Recording,
    ago,
    codes,
    firing,
    judge,
    replayed,
    table,
)
from phase5_ops_tests.sections.slo.alarm_replay.test_notified import mute
from phase5_ops_tests.sections.slo.alarms.alarm_platform import BASE, NAMESPACE, errors, insights, math

EARLIER = 30 * 60  # minutes ago
GROUPED = f'SELECT SUM(tool_error) FROM "{NAMESPACE}" GROUP BY tenant_id'


def alarm(text=GROUPED, *more, **changes):
    changes = {"EvaluationPeriods": 1, "DatapointsToAlarm": 1, "TreatMissingData": "notBreaching", "Threshold": 5, **changes}
    return errors(Metrics=[insights("q", text, returned=not more), *more], **changes)


def failing(month, tenant, minutes, count):
    return month.put("tool_error", {**BASE, "tenant_id": tenant}, "Sum", 300, {ago(minute): float(count) for minute in minutes})


def two_outages():
    """A large one of t1, and a smaller one of t2, half a day later."""
    month = Recording().usual().calls(range(EARLIER, EARLIER - 30, -5), failed=100)
    return failing(month, "t2", range(OUTAGE, OUTAGE - 30, -5), 50)


def one_within_another():
    """Six errors of a thousand calls for hours, of t1, which meet the SLO; within them an outage of t2."""
    month = failing(Recording().usual(1000), "t1", range(EARLIER, OUTAGE - 300, -5), 6)
    return failing(month, "t2", range(OUTAGE, OUTAGE - 30, -5), 500)


@pytest.mark.parametrize(
    ("month", "watching", "given", "expected"),
    [
        (two_outages, alarm(), {}, {}),
        # the order is that of the range that is looked at, in which only one tenant has errors
        (two_outages, alarm(f"{GROUPED} ORDER BY SUM() DESC LIMIT 1"), {}, {}),
        (two_outages, alarm(f"{GROUPED} ORDER BY SUM() ASC LIMIT 1"), {}, {}),
        (one_within_another, alarm(f"{GROUPED} ORDER BY MAX() DESC LIMIT 1"), {}, {}),
        (one_within_another, alarm(f"{GROUPED} ORDER BY MIN() ASC LIMIT 1"), {}, {"breach_not_caught": "FAIL"}),
        # a tenant that falls silent is no time series any more, however missing data are treated
        *((two_outages, alarm(TreatMissingData=treatment), {}, {}) for treatment in ("ignore", "breaching", "missing")),
        # people are told of the second tenant while the first is in ALARM, unless a mute rule says no
        (one_within_another, alarm(), {}, {}),
        (one_within_another, alarm(), {"mutes": [mute(OUTAGE + 60, 5, alarm()["AlarmName"])]}, {"breach_not_caught": "FAIL"}),
        # metric math puts them together, and has one state
        (one_within_another, alarm(GROUPED, math("e", "MAX(q)")), {}, {"breach_not_caught": "FAIL"}),
        (two_outages, alarm(f"{GROUPED} ORDER BY SUM() DESC LIMIT 1", math("e", "MAX(q)")), {}, {}),
    ],
)
def test_outages_of_two_tenants(month, watching, given, expected):
    assert codes(judge(table(month(), watching, **given))) == expected


def of_tenants(tenants: int, failing_: int):
    """An outage of half an hour in which so many tenants have errors, of which so many have many."""
    month = Recording(0.9).usual(1000).calls(range(OUTAGE, OUTAGE - 30, -5), good=1000, failed=500)
    for number in range(tenants - 1):
        failing(month, f"x{number}", range(OUTAGE, OUTAGE - 30, -5), 10 if number < failing_ - 1 else 1)
    return month


@pytest.mark.parametrize(
    ("tenants", "failing_", "expected"),
    [
        (3, 1, {}),
        (4, 2, {}),  # of three that are returned one is surely in ALARM
        (4, 1, {"breach_not_replayed": "INCONCLUSIVE"}),
        (6, 3, {"breach_not_replayed": "INCONCLUSIVE"}),
        (6, 4, {}),
    ],
)
def test_of_more_time_series_than_are_returned_it_matters_how_many_breach(tenants, failing_, expected):
    """Without an order nobody can say which of them CloudWatch takes."""
    watching = alarm(f"{GROUPED} LIMIT 3")
    judgement = judge(table(of_tenants(tenants, failing_), watching))
    assert codes(judgement) == expected
    assert all(finding.seen.endswith("and does not say by ORDER BY which") for finding in judgement.findings)


def test_an_alarm_that_fires_for_none_of_too_many_time_series_missed_the_breach():
    assert codes(judge(table(of_tenants(4, 4), alarm(f"{GROUPED} LIMIT 3", Threshold=9999)))) == {"breach_not_caught": "FAIL"}


@pytest.mark.parametrize("watching", [alarm(f"{GROUPED} LIMIT 1"), alarm(f"{GROUPED} LIMIT 1", math("e", "MAX(q)"))])
def test_which_of_too_many_time_series_are_returned_is_not_known_without_an_order(watching):
    assert replayed(watching, two_outages()).unsure == []  # never more than one at a time
    found = replayed(watching, one_within_another())
    assert (found.problem, [found.timeline.at(ago(OUTAGE - minute)) for minute in (0, 60)]) == ("", ["ALARM", "ALARM"])
    if len(watching["Metrics"]) > 1:
        assert found.timeline.at(ago(OUTAGE - 10)) is None  # what the function is given nobody can say
    always = failing(failing(Recording(0.25), "t1", range(5, 361, 5), 9), "t2", range(5, 361, 5), 1)
    found = replayed(watching, always)
    assert found.timeline.known == []
    assert "returns, and has no ORDER BY" in found.problem


def test_a_state_that_a_time_series_kept_from_before_is_not_known():
    """Two of two must breach, and of the range that is known first only one period has data."""
    month = failing(Recording(0.25), "t1", [350], 9)
    found = replayed(alarm(EvaluationPeriods=2, DatapointsToAlarm=2, TreatMissingData="ignore"), month)
    assert found.kept == [(ago(340), ago(325))]
    assert found.timeline.known == [(ago(325), NOW_S + 1)]
    assert firing(alarm(EvaluationPeriods=2, DatapointsToAlarm=2, TreatMissingData="ignore"), month) == []


@hypothesis.given(
    lines=st.lists(st.text("X0-", min_size=20, max_size=20), min_size=1, max_size=3),
    of=st.integers(1, 3),
    to_alarm=st.integers(1, 3),
    treatment=st.sampled_from(["missing", "ignore", "breaching", "notBreaching"]),
    limit=st.integers(1, 3),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_time_series_are_what_the_slow_evaluation_says_period_by_period(lines, of, to_alarm, treatment, limit):
    to_alarm = min(to_alarm, of)
    month = Recording(0.25)
    for number, line in enumerate(lines):
        values = {"X": 10.0 + number, "0": 1.0 + number / 10}
        for at, point in enumerate(line):
            if point != "-":
                failing(month, f"t{number}", [100 - 5 * at], values[point])
    text = f"{GROUPED} ORDER BY MAX() DESC LIMIT {limit}"
    found = replayed(alarm(text, EvaluationPeriods=of, DatapointsToAlarm=to_alarm, TreatMissingData=treatment), month)
    states: dict[int, str] = {}
    told = []
    for newest in range(20):
        ranges = {number: ("-" * (of + 2) + line[: newest + 1])[-(of + 2) :] for number, line in enumerate(lines)}
        there = [number for number, points in ranges.items() if points.strip("-")]
        there.sort(key=lambda number: ("X" in ranges[number], number), reverse=True)
        now = {number: slow(ranges[number], of, to_alarm, treatment) or states.get(number, "OK") for number in there[:limit]}
        begun = [number for number, state in now.items() if state == "ALARM" != states.get(number)]
        states, moment = now, ago(95 - 5 * newest)
        if begun:
            told.append(moment)
        assert (found.timeline.at(moment) == "ALARM") == ("ALARM" in states.values())
    assert sorted({*(start for start, _ in found.timeline.firing), *(start for start, _ in found.further)}) == told


@hypothesis.given(
    lines=st.lists(st.text("X0-", min_size=12, max_size=12), min_size=2, max_size=4),
    of=st.integers(1, 3),
    treatment=st.sampled_from(["missing", "breaching", "notBreaching"]),
    limit=st.integers(1, 3),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_without_an_order_is_known_what_holds_whichever_time_series_are_returned(lines, of, treatment, limit):
    month = Recording(0.25)
    for number, line in enumerate(lines):
        for at, point in enumerate(line):
            if point != "-":
                failing(month, f"t{number}", [100 - 5 * at], {"X": 10, "0": 1}[point])
    found = replayed(
        alarm(f"{GROUPED} LIMIT {limit}", EvaluationPeriods=of, DatapointsToAlarm=of, TreatMissingData=treatment), month
    )
    begun = {start for start, _ in (*found.timeline.firing, *found.further)} - {start for start, _ in found.timeline.known}
    before: list[set[int]] = [set()]
    for newest in range(12):
        ranges = [("-" * (of + 2) + line[: newest + 1])[-(of + 2) :] for line in lines]
        there = [number for number, points in enumerate(ranges) if points.strip("-")]
        firing_now = {number for number in there if slow(ranges[number], of, of, treatment) == "ALARM"}
        now = [firing_now.intersection(chosen) for chosen in combinations(there, min(limit, len(there)))]
        in_alarm, moment = {bool(each) for each in now}, ago(95 - 5 * newest)
        state = found.timeline.at(moment)
        assert state is None if len(in_alarm) > 1 else (state == "ALARM") in in_alarm
        if moment in begun:
            assert all(each - earlier for each in now for earlier in before)
        before = now
