"""Statistic names, against the examples of CloudWatch's statistics definitions."""

import pytest

from phase5_ops.cloudwatch.statistics import StatisticError, StatisticKind, parse_statistic


@pytest.mark.parametrize("name", ["SampleCount", "Sum", "Average", "Minimum", "Maximum"])
def test_basic_statistics_need_no_raw_values(name):
    statistic = parse_statistic(name)
    assert statistic.kind == name
    assert statistic.is_basic
    assert statistic.percentile is None


@pytest.mark.parametrize(
    ("name", "kind", "lower", "upper", "percent"),
    [
        ("tm90", StatisticKind.TRIMMED_MEAN, None, 90, True),
        ("TM(2%:98%)", StatisticKind.TRIMMED_MEAN, 2, 98, True),
        ("TM(150:1000)", StatisticKind.TRIMMED_MEAN, 150, 1000, False),
        ("TM(:95%)", StatisticKind.TRIMMED_MEAN, None, 95, True),
        ("TM(5%:)", StatisticKind.TRIMMED_MEAN, 5, None, True),
        ("IQM", StatisticKind.TRIMMED_MEAN, 25, 75, True),
        ("wm98", StatisticKind.WINSORIZED_MEAN, None, 98, True),
        ("WM(80%:)", StatisticKind.WINSORIZED_MEAN, 80, None, True),
        ("tc90", StatisticKind.TRIMMED_COUNT, None, 90, True),
        ("TC(0.005:0.030)", StatisticKind.TRIMMED_COUNT, 0.005, 0.03, False),
        ("TC(:5000)", StatisticKind.TRIMMED_COUNT, None, 5000, False),
        ("TS(80%:)", StatisticKind.TRIMMED_SUM, 80, None, True),
        ("PR(:300)", StatisticKind.PERCENTILE_RANK, None, 300, False),
        ("PR(100:2000)", StatisticKind.PERCENTILE_RANK, 100, 2000, False),
        ("p99.9", StatisticKind.PERCENTILE, None, 99.9, True),
    ],
)
def test_bounds_are_read(name, kind, lower, upper, percent):
    statistic = parse_statistic(name)
    assert (statistic.kind, statistic.lower, statistic.upper, statistic.percent) == (kind, lower, upper, percent)
    assert not statistic.is_basic
    assert statistic.is_percentile_rank == (kind is StatisticKind.PERCENTILE_RANK)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "average",
        "P99",
        "p101",
        "p",
        "p99%",
        "PR(1%:2%)",
        "PR()",
        "TM(:)",
        "TM(10%:90)",
        "TM(90:10)",
        "TM(5:101%)",
        "TM(1%:101%)",
        "q9",
    ],
)
def test_what_is_not_a_statistic_is_refused(name):
    with pytest.raises(StatisticError):
        parse_statistic(name)


@pytest.mark.parametrize(("name", "samples"), [("p99", 1000), ("p95", 200), ("p50", 20), ("p10", 100), ("p100", float("inf"))])
def test_low_sample_count_is_ten_over_the_tail(name, samples):
    """The guide: fewer than 10/(1-percentile) points, fewer than 1000 for p99."""
    assert parse_statistic(name).low_sample_count == samples


def test_only_percentiles_have_a_low_sample_count():
    assert parse_statistic("PR(:300)").low_sample_count is None
