"""Dimension sets that earlier runs saw."""

from datetime import timedelta

from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.evidence.history import History
from phase5_ops.sections.slo.summary.set_history import known_sets
from phase5_ops_tests.sections.slo.summary.gathering import NOW

OLD, NEW = MetricSet.of("tool_error", {"tool_name": "old"}), MetricSet.of("tool_error", {"tool_name": "new"})


def test_sets_of_earlier_runs_are_asked_for_again(tmp_path):
    history = History(tmp_path / "h.db")
    known_sets(history, "s", [OLD], now=NOW - timedelta(days=20), whole=True)
    assert known_sets(history, "s", [NEW], now=NOW, whole=True).metric_sets == (NEW, OLD)
    assert known_sets(history, "another platform", [NEW], now=NOW, whole=True).metric_sets == (NEW,)


def test_sets_forgotten_after_45_days(tmp_path):
    history = History(tmp_path / "h.db")
    known_sets(history, "s", [OLD], now=NOW - timedelta(days=46), whole=True)
    assert known_sets(history, "s", [], now=NOW, whole=True).metric_sets == ()


def test_days_covered_grow_with_own_listings_and_not_over_a_gap(tmp_path):
    """A listing reaches 14 days back; listings that overlap add up, and a longer gap between them ends the coverage."""
    history = History(tmp_path / "h.db")
    assert known_sets(history, "s", [], now=NOW, whole=True).days_covered == 14
    later = NOW + timedelta(days=10)
    assert known_sets(history, "s", [], now=later, whole=True).days_covered == 23
    assert known_sets(history, "s", [], now=later + timedelta(days=10), whole=True).days_covered == 33
    assert known_sets(history, "s", [], now=later + timedelta(days=30), whole=True).days_covered == 14


def test_listing_that_broke_off_covers_nothing(tmp_path):
    history = History(tmp_path / "h.db")
    assert known_sets(history, "s", [NEW], now=NOW, whole=False).days_covered == 0
    assert known_sets(history, "s", [], now=NOW + timedelta(days=10), whole=True).days_covered == 14
