"""Segments of time and the statistics asked for."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.policy import SloPolicy
from phase5_ops.sections.slo.summary.plan import count_segments, percentile_segments, plan
from phase5_ops_tests.sections.slo.summary.gathering import NOW

moments = st.integers(0, 10**7).map(lambda seconds: NOW - timedelta(seconds=seconds))


@settings(max_examples=60, deadline=None)
@given(now=moments, later=st.integers(0, 400 * 86_400))
def test_segments_follow_each_other_on_boundaries_of_their_periods(now, later):
    """No gap and no overlap, whatever the time and however long ago it was; the period is one that is still kept."""
    read_at = now + timedelta(seconds=later)
    segments = count_segments(now, read_at)
    for before, after in pairwise(segments):
        assert before.end == after.start
    for segment in segments:
        assert segment.start.timestamp() % segment.period == 0
        assert segment.end.timestamp() % segment.period == 0
        kept = 15 if segment.period == 60 else 63 if segment.period == 300 else 455
        assert read_at - segment.start < timedelta(days=kept)
    assert timedelta(days=30) <= now - segments[0].start < timedelta(days=30, hours=1)
    assert segments[-1].end < now + timedelta(minutes=1)


def test_periods_at_wall_time_are_hour_five_minutes_and_minute():
    assert [segment.period for segment in count_segments(NOW, NOW)] == [3600, 300, 60]


def test_percentiles_never_reach_past_now():
    segments = percentile_segments(NOW, NOW, 24)
    assert [segment.period for segment in segments] == [3600, 300]
    assert segments[-1].end <= NOW


def test_nothing_is_asked_twice():
    sets = [MetricSet.of(name, {"tool_name": "x"}) for name in ("tool_latency_ms", "tool_success", "tool_error", "other")]
    queries = plan(sets, SloPolicy(), now=NOW, read_at=NOW)
    assert len(set(queries)) == len(queries) == 3 * 2 + 3 + 3 + 3 * 2
    assert "TC(:5000)" in {query.stat for query in queries}
