"""Dropping or adding any one record turns the check exactly where it bears on the outcome."""

import hypothesis
import hypothesis.strategies as st

from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, Recording, codes, judge, outage, state_update, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, errors, latency

NAME = errors()["AlarmName"]
OLD = {"AlarmConfigurationUpdatedTimestamp": NOW.replace(day=1)}
HISTORY = (
    state_update(NAME, 2 * 24 * 60, "INSUFFICIENT_DATA", "OK"),
    state_update(NAME, OUTAGE - 5, "OK", "ALARM"),
    state_update(NAME, OUTAGE - 45, "ALARM", "OK"),
)


@hypothesis.given(dropped=st.sets(st.integers(0, 2)))
@hypothesis.settings(max_examples=8, deadline=None)
def test_dropping_the_record_of_a_firing_says_that_it_did_not_fire(dropped):
    """Where one of its two items is there and the one before it, another is missing, and nothing is compared.

    Without both it did not fire; where its end is the oldest item, it was in ALARM for weeks before.
    """
    items = [item for number, item in enumerate(HISTORY) if number not in dropped]
    found = codes(judge(table(outage(), latency(), errors(**OLD), items=items)))
    did_not = {"did_not_fire": "FAIL"} if {1, 2} <= dropped or dropped == {0, 1} else {}
    assert found == did_not | ({"fired_without_reason": "WARN"} if dropped == {0, 1} else {})


@hypothesis.given(minute=st.integers(25, 30 * 60), lasts=st.integers(1, 30))
@hypothesis.settings(max_examples=8, deadline=None)
def test_adding_the_record_of_a_firing_must_have_its_reason(minute, lasts):
    hypothesis.assume({minute, minute + lasts}.isdisjoint({OUTAGE - 5, OUTAGE - 45}))
    items = [*HISTORY, state_update(NAME, minute + lasts, "OK", "ALARM"), state_update(NAME, minute, "ALARM", "OK")]
    found = codes(judge(table(outage(), latency(), errors(**OLD), items=items)))
    slack = 25  # minutes: the range of periods that it looks at
    within = minute + lasts <= OUTAGE - 5 + slack and OUTAGE - 45 - slack <= minute
    contradictory = any(minute < OUTAGE - change < minute + lasts for change in (5, 45))
    assert found == ({} if within or contradictory else {"fired_without_reason": "WARN"})


@hypothesis.given(windows=st.sets(st.integers(0, 5), min_size=1))
@hypothesis.settings(max_examples=8, deadline=None)
def test_a_breach_fails_the_check_exactly_where_it_outlasts_the_window_of_a_deaf_alarm(windows):
    recording = Recording().usual().calls([OUTAGE - 5 * number for number in windows], failed=100)
    longest = run = 0
    for number in range(6):
        run = run + 1 if number in windows else 0
        longest = max(longest, run)
    deaf = judge(table(recording, latency(), errors(Threshold=99.9)))
    assert codes(deaf) == ({"breach_not_caught": "FAIL"} if longest > 3 else {})
    assert judge(table(recording, latency(), errors())).verdict is Verdict.PASS
    assert "breach_not_caught" not in codes(judge(table(recording, errors(), errors(AlarmName="deaf", Threshold=99.9))))
