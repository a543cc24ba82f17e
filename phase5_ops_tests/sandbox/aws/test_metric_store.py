"""Statistics over data points, against CloudWatch's definitions and against numpy."""

import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from phase5_ops.cloudwatch.statistics import parse_statistic
from phase5_ops.sandbox.aws.metric_store import MetricRow, MetricStore, timestamps

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DIMENSIONS = {"tool_name": "t", "connector_id": "c"}


def put(store, values, at=NOW - timedelta(minutes=10), counts=None, dimensions=DIMENSIONS):
    counts = counts or [1] * len(values)
    rows = [MetricRow(int(at.timestamp()), n, v * n, v, v) for v, n in zip(values, counts, strict=True)]
    store.put("NS", "m", dimensions, rows)


def put_set(store, count, total, low, high, *, at=NOW - timedelta(minutes=10)):
    store.put("NS", "m", DIMENSIONS, [MetricRow(int(at.timestamp()), count, total, low, high)])


def ask(store, statistic, *, start=NOW - timedelta(hours=1), end=NOW, period=60, now=NOW, dimensions=DIMENSIONS, unit=None):
    series = store.get("NS", "m", dimensions)
    stamps, values = store.statistics(series, parse_statistic(statistic), start=start, end=end, period=period, now=now, unit=unit)
    return [(datetime.fromtimestamp(at, UTC), value) for at, value in zip(stamps.tolist(), values.tolist(), strict=True)]


def one(store, statistic, **options):
    answer = ask(store, statistic, **options)
    assert len(answer) <= 1
    return answer[0][1] if answer else None


@pytest.fixture
def store():
    return MetricStore()


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("SampleCount", 100),
        ("Sum", 1380),
        ("Average", 13.8),
        ("Minimum", 10),
        ("Maximum", 300),
        ("p50", 10),
        ("p99", 22.8),
        ("p100", 300),
    ],
)
def test_values_with_counts(store, statistic, expected):
    put(store, [10, 20, 300], counts=[90, 9, 1])
    assert one(store, statistic) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("TC(150:1000)", 2),  # 150 is left out, 1000 is kept, 1001 is left out
        ("TS(150:1000)", 1151),
        ("TM(150:1000)", 575.5),
        ("TC(:150)", 2),
        ("TC(1000:)", 1),
        ("TM(5000:)", None),
        ("TC(5000:)", None),
        ("TS(:10)", None),
        ("PR(:150)", 40),
        ("PR(150:1000)", 40),
        ("PR(5000:)", 0),
        ("WM(150:1000)", (150 + 150 + 151 + 1000 + 1000) / 5),
    ],
)
def test_absolute_bounds_are_exclusive_below_and_inclusive_above(store, statistic, expected):
    put(store, [100, 150, 151, 1000, 1001])
    assert one(store, statistic) == expected


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("tm90", np.mean(range(1, 91))),
        ("TM(10%:90%)", np.mean(range(11, 91))),
        ("TM(2%:98%)", np.mean(range(3, 99))),
        ("IQM", np.mean(range(26, 76))),
        ("tc90", 90),
        ("TC(10%:)", 90),
        ("ts90", sum(range(1, 91))),
        ("TS(80%:)", sum(range(81, 101))),
        ("wm98", (sum(range(1, 99)) + 2 * 98) / 100),
        ("WM(10%:90%)", (10 * 11 + sum(range(11, 91)) + 10 * 90) / 100),
        ("WM(10%:)", (10 * 11 + sum(range(11, 101))) / 100),
    ],
)
def test_percentage_bounds_cut_off_shares_of_the_samples(store, statistic, expected):
    put(store, list(range(100, 0, -1)))
    assert one(store, statistic) == pytest.approx(expected)


@pytest.mark.parametrize("percentile", [0, 10, 50, 95, 99, 99.9, 100])
def test_percentiles_are_interpolated_between_ranks(store, percentile):
    random = np.random.default_rng(7)
    values, counts = random.lognormal(5, 1, 300).round(), random.integers(1, 5, 300)
    put(store, values.tolist(), counts=counts.tolist())
    assert one(store, f"p{percentile}") == pytest.approx(np.percentile(np.repeat(values, counts), percentile))


@pytest.mark.parametrize("statistic", ["p99", "tm90", "TC(:10)", "TS(:10)", "WM(:10)", "PR(:10)"])
def test_statistic_sets_hide_raw_values(store, statistic):
    put_set(store, 10, 50, 1, 9)
    put(store, [5])
    assert one(store, statistic) is None
    assert one(store, "Average") == pytest.approx(5)


@pytest.mark.parametrize("put_one", [lambda store: put_set(store, 1, 7, 7, 7), lambda store: put_set(store, 10, 70, 7, 7)])
def test_a_statistic_set_of_one_value_is_raw(store, put_one):
    """SampleCount 1, or minimum equal to maximum."""
    put_one(store)
    assert one(store, "p99") == 7
    assert one(store, "PR(:7)") == 100


def test_negative_values_have_no_percentiles(store):
    put(store, [-1, 5])
    assert one(store, "p50") is None
    assert one(store, "TC(:5)") is None
    assert one(store, "Minimum") == -1


def test_a_bad_period_does_not_spoil_the_others(store):
    put(store, [-1])
    put(store, [5, 6], at=NOW - timedelta(minutes=5))
    put_set(store, 2, 8, 3, 5, at=NOW - timedelta(minutes=3))
    assert ask(store, "p100") == [(NOW - timedelta(minutes=5), 6.0)]


def test_periods_are_aligned_and_the_end_is_exclusive(store):
    for minute in (0, 3, 5, 9, 10):
        put(store, [1], at=NOW - timedelta(hours=1) + timedelta(minutes=minute, seconds=30))
    start = NOW - timedelta(hours=1)
    assert ask(store, "Sum", start=start, end=start + timedelta(minutes=10), period=300) == [
        (start, 2.0),
        (start + timedelta(minutes=5), 2.0),
    ]
    assert ask(store, "Sum", start=start + timedelta(minutes=7), end=start + timedelta(minutes=8), period=300) == [
        (start + timedelta(minutes=5), 2.0)
    ]


def test_a_point_at_the_start_is_in_and_one_at_the_end_is_out(store):
    put(store, [1], at=NOW - timedelta(minutes=10))
    put(store, [2], at=NOW - timedelta(minutes=5))
    assert ask(store, "Sum", start=NOW - timedelta(minutes=10), end=NOW - timedelta(minutes=5)) == [
        (NOW - timedelta(minutes=10), 1.0)
    ]


def test_identity_is_the_set_of_dimensions_in_any_order(store):
    put(store, [1], dimensions={"a": "1", "b": "2"})
    put(store, [2], dimensions={"b": "2", "a": "1"})
    put(store, [4], dimensions={"a": "1"})
    put(store, [8], dimensions={})
    assert one(store, "Sum", dimensions={"b": "2", "a": "1"}) == 3
    assert one(store, "Sum", dimensions={}) == 8
    assert one(store, "Sum", dimensions={"b": "2"}) is None


def test_several_series_are_computed_together(store):
    put(store, [1, 2], dimensions={"a": "1"})
    put(store, [6], dimensions={"a": "2"}, at=NOW - timedelta(minutes=10, seconds=-5))
    stamps, values = store.statistics(
        store.find("NS", "m"), parse_statistic("Average"), start=NOW - timedelta(hours=1), end=NOW, period=60, now=NOW
    )
    assert values.tolist() == [3]
    assert len(stamps) == 1


def test_units_are_told_apart_only_when_asked(store):
    at = int(NOW.timestamp()) - 60
    store.put("NS", "m", DIMENSIONS, [MetricRow(at, 1, 1, 1, 1, "Seconds"), MetricRow(at, 1, 2, 2, 2, "Milliseconds")])
    assert one(store, "Sum") == 3
    assert one(store, "Sum", unit="Seconds") == 1
    assert one(store, "Sum", unit="Bytes") is None
    assert store.unit(store.get("NS", "m", DIMENSIONS)) == "None"


@pytest.mark.parametrize(
    ("days", "period", "there"),
    [(14, 60, True), (16, 60, False), (16, 300, True), (62, 300, True), (64, 300, False), (64, 3600, True), (456, 3600, False)],
)
def test_points_age_out_by_period(store, days, period, there):
    put(store, [1], at=NOW - timedelta(days=days))
    assert bool(ask(store, "Sum", start=NOW - timedelta(days=days + 1), period=period)) == there


def test_the_grid_of_a_request_has_every_period():
    assert timestamps(NOW, NOW + timedelta(minutes=12), 300) == [NOW, NOW + timedelta(minutes=5), NOW + timedelta(minutes=10)]


def test_find_lists_series_once_in_a_stable_order(store):
    put(store, [1])
    put(store, [1])
    put(store, [1], dimensions={})
    store.put("Other", "n", {}, [MetricRow(1, 1, 1, 1, 1)])
    assert [(series.namespace, dict(series.dimensions)) for series in store.find()] == [
        ("NS", {}),
        ("NS", DIMENSIONS),
        ("Other", {}),
    ]
    assert [series.name for series in store.find(namespace="Other")] == ["n"]
    assert [series.newest for series in store.find(name="n")] == [1]


def test_series_that_have_a_value_of_a_dimension_are_those_that_looking_at_each_would_find(store):
    def put(number: int) -> None:
        dimensions = {"tool": f"t{number % 7}", "tenant": f"x{number % 5}"} if number % 3 else {"tenant": f"x{number}"}
        store.put("NS", "m", dimensions, [MetricRow(0, 1, 1, 1, 1)])

    for number in range(40):
        put(number)
    for more in (None, 41):  # a new series is found, too
        if more is not None:
            put(more)
        every = store.find("NS", "m")
        assert store.find_having("NS", "m", None) == every
        for key, values in (("tool", {"t1", "t6", "none"}), ("tenant", {"x2"}), ("colour", {"red"}), ("tool", set())):
            wanted = [series for series in every if dict(series.dimensions).get(key) in values]
            assert store.find_having("NS", "m", (key, frozenset(values))) == wanted


def test_threads_lose_nothing(store):
    threads = [threading.Thread(target=lambda: [(put(store, [1]), ask(store, "Sum")) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one(store, "Sum") == 200


def test_many_queries_over_many_points_are_fast(store):
    """200 queries of 3 h at 60 s over 450,000 points; a generous limit for slow machines (about 0.1 s when alone)."""
    begin = int(NOW.timestamp()) - 3 * 3600
    stamps = np.arange(45_000) * 3 * 3600 // 45_000 + begin
    values = np.random.default_rng(1).lognormal(5, 1, 45_000)
    rows = [MetricRow(at, 1, value, value, value) for at, value in zip(stamps, values, strict=True)]
    for number in range(10):
        store.put("NS", "m", {"n": str(number)}, rows)
    ask(store, "Sum", dimensions={"n": "0"})
    started = time.perf_counter()
    for number in range(200):
        assert len(ask(store, "p99", start=NOW - timedelta(hours=3), dimensions={"n": str(number % 10)})) == 180
    assert time.perf_counter() - started < 30  # about 0.3 s alone; a busy machine must not fail it
