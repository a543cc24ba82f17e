"""Metric math, against the tables of CloudWatch's "Using metric math"."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from phase5_ops.cloudwatch.metric_math import MathError, evaluate, parse

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
GRID = [START + timedelta(minutes=minute) for minute in range(5)]


def series(*values):
    """A series on the grid; None is a missing point."""
    return {at: value for at, value in zip(GRID, values, strict=False) if value is not None}


def row(points, length=None):
    return [points.get(at) for at in GRID[:length]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(metric1 < metric2)", [0, 0, 1, 0]),
        ("(metric1 >= 30)", [1, 0, 0, 0]),
        ("(metric1 > 15 AND metric2 > 15)", [1, 0, 0, 0]),
        ("(metric1 > 15 && metric2 > 15)", [1, 0, 0, 0]),
        ("metric1 > 15 OR metric2 > 15", [1, 1, 1, 0]),
        ("metric1 > 25 || metric2 == 20", [1, 0, 1, 0]),
    ],
)
def test_comparisons_as_the_guide_tabulates_them(expression, expected):
    """Two series of which one has no value: the missing one is 0."""
    result = evaluate(expression, {"metric1": series(30, 20, 0, 0), "metric2": series(20, None, 20, None)})
    assert row(result, 4) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(m1, m2, m3)", [30, 0, 20, None, None]),
        ("IF(m1, 5, m3)", [5, 5, 20, None, None]),
        ("IF(m1, m2, 5)", [30, 0, 5, 5, None]),
        ("IF(m1, m2)", [30, 0, None, None, None]),
        ("IF(1 > 0, m2, m3)", [30, None, 0, 0, 30]),
        ("IF(0, m2)", [None] * 5),
    ],
)
def test_if_as_the_guide_tabulates_it(expression, expected):
    given = {"m1": series(1, 1, 0, 0, None), "m2": series(30, None, 0, 0, 30), "m3": series(0, 0, 20, None, 20)}
    assert row(evaluate(expression, given)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 + 3 * m1 ^ 2", [14, 29]),
        ("-m1 ^ 2", [-4, -9]),
        ("(m1 + 1) / 2 - 1", [0.5, 1]),
        ("10 - 2 - m1", [6, 5]),
        ("ABS(-m1)", [2, 3]),
        ("CEIL(m1 / 2) + FLOOR(m1 / 2)", [2, 3]),
        ("m1 - AVG(m1)", [-0.5, 0.5]),
        ("m1 / MAX(m1) * 3", [2, 3]),
        ("m1 * SUM(m1) / MIN(m1)", [5, 7.5]),
        ("RUNNING_SUM(m1)", [2, 5]),
        ("DIFF(m1)", [None, 1]),
        ("RATE(m1) * PERIOD(m1)", [None, 1]),
        ("DIFF_TIME(m1)", [None, 60]),
        ("TIME_SERIES(DATAPOINT_COUNT(m1))", [2, 2]),
        ("1e1 * m1 + .5", [20.5, 30.5]),
        ("HOUR(m1) + DAY(m1)", [10, 10]),
    ],
)
def test_arithmetic_and_functions(expression, expected):
    assert row(evaluate(expression, {"m1": series(2, 3)}, periods={"m1": 60}), 2) == expected


def test_division_by_zero_has_no_data_point():
    assert row(evaluate("m1 / m2", {"m1": series(1, 2), "m2": series(0, 2)}), 2) == [None, 1]
    assert evaluate("m1 / SUM(m2)", {"m1": series(1, 2), "m2": {}}) == {}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("FILL(m1, AVG(none))", [1, 2, None]),
        ("IF(m1, 1 / 0)", [None] * 3),
        ("IF(AVG(none), m1)", [None] * 3),
        ("AVG(none) > 1", None),
        ("m1 + (AVG(none) > 1)", [None] * 3),
        ("m1 > AVG(none)", [None] * 3),
        ("TIME_SERIES(1 / 0)", [None] * 3),
        ("SUM([m1 * 1e308, m1 * 1e308])", [None] * 3),
        ("AVG([m1 * 1e308, m1 * 1e308])", [None] * 3),
        ("m1 + SUM(m1 * 8e307)", [None] * 3),
        ("RUNNING_SUM(m1 * 8e307)", [8e307, None, None]),
        ("DIFF(IF(m1 == 1, -1.7e308, 1.7e308))", [None] * 3),
        ("FIRST(SORT([m1 * 8e307, m1], SUM, DESC))", [1, 2, None]),
    ],
)
def test_a_number_that_is_none_is_never_a_value(expression, expected):
    given = {"m1": series(1, 2), "none": {}}
    if expected is None:
        with pytest.raises(MathError, match="is a number"):
            evaluate(expression, given, timestamps=GRID)
    else:
        assert row(evaluate(expression, given, timestamps=GRID), 3) == expected


def test_an_expression_may_have_as_many_operands_as_fit_into_it():
    assert row(evaluate("+".join(["m"] * 1024), {"m": series(2)}), 1) == [2048]


def test_a_missing_point_counts_as_zero_beside_one_that_is_there():
    given = {"errors": series(1, None, None), "calls": series(9, 4, None)}
    assert row(evaluate("100 * errors / (errors + calls)", given), 3) == [10, 0, None]


def test_a_cautious_reader_can_have_missing_points_dropped():
    given = {"errors": series(1, None, None), "calls": series(9, 4, None)}
    assert row(evaluate("100 * errors / (errors + calls)", given, missing="drop"), 3) == [10, None, None]


def test_one_hypothetical_point_and_a_series_without_any():
    """What the alarm judge asks: only an error, and no success at all."""
    given = {"errors": series(1), "calls": {}}
    assert evaluate("100 * FILL(errors, 0) / (FILL(errors, 0) + FILL(calls, 0))", given) == {GRID[0]: 100.0}


@pytest.mark.parametrize(
    ("filler", "expected"),
    [
        ("0", [0, 4, 0, 8, 0]),
        ("REPEAT", [None, 4, 4, 8, 8]),
        ("LINEAR", [None, 4, 6, 8, None]),
        ("m2", [7, 4, None, 8, None]),
        ("MIN(m1)", [4, 4, 4, 8, 4]),
    ],
)
def test_fill(filler, expected):
    given = {"m1": series(None, 4, None, 8, None), "m2": series(7)}
    assert row(evaluate(f"FILL(m1, {filler})", given, timestamps=GRID)) == expected


def test_fill_without_a_request_uses_every_timestamp_that_occurs():
    assert evaluate("FILL(m1, 0)", {"m1": {}, "m2": series(None, 3)}) == {GRID[1]: 0.0}


def test_aggregates_of_an_array_go_point_by_point():
    given = {"m1": series(1, 2), "m2": series(3, None)}
    assert row(evaluate("SUM([m1, m2])", given), 2) == [4, 2]
    assert row(evaluate("MAX(METRICS())", given), 2) == [3, 2]
    assert row(evaluate("MIN([m1, m2])", given), 2) == [1, 2]
    assert row(evaluate("AVG([m1, m2])", given), 2) == [2, 1]  # missing values are treated as 0


def test_metrics_means_metrics_and_not_expressions():
    given = {"errors_a": series(1), "errors_b": series(2), "calls": series(10), "e1": series(100)}
    metrics = {"errors_a", "errors_b", "calls"}
    result = evaluate('SUM(METRICS("errors")) / SUM(METRICS()) * 13', given, metrics=metrics)
    assert row(result, 1) == [3]


def test_an_array_result_stays_an_array():
    result = evaluate("METRICS() * 100", {"m1": series(1), "m2": series(2)})
    assert [row(points, 1) for points in result] == [[100], [200]]


def test_sort_slice_first_last_and_remove_empty():
    given = {"m1": series(1), "m2": series(3), "m3": {}}
    assert [row(p, 1) for p in evaluate("SORT(REMOVE_EMPTY(METRICS()), AVG, DESC)", given)] == [[3], [1]]
    assert [row(p, 1) for p in evaluate("SLICE(SORT(METRICS(), MAX, DESC, 2), 1)", given)] == [[1]]
    assert row(evaluate("FIRST([m1, m2]) + LAST([m1, m2])", given), 1) == [4]
    assert row(evaluate("m1 / METRIC_COUNT(METRICS())", given), 1) == [pytest.approx(1 / 3)]


def test_search_is_resolved_by_the_caller():
    asked = []

    def search(text, statistic, period):
        asked.append((text, statistic, period))
        return [series(1), series(2)]

    expression = parse("""SUM(SEARCH('{NS,tool} MetricName="x"', 'Sum', 300)) + m1""")
    assert expression.searches == (('{NS,tool} MetricName="x"', "Sum", 300),)
    assert row(evaluate(expression, {"m1": series(4)}, search=search), 1) == [7]
    assert asked == [('{NS,tool} MetricName="x"', "Sum", 300)]


def test_pandas_series_are_time_series():
    result = evaluate("m1 * 2", {"m1": pd.Series([1.0, float("nan")], index=GRID[:2])})
    assert list(result.values()) == [2.0]


def test_an_expression_says_what_it_refers_to():
    expression = parse('IF(FILL(errors, 0) + calls > 30, 100 * errors / calls, 0) + SUM(METRICS("tool_"))')
    assert expression.names == {"errors", "calls"}
    assert expression.functions == {"IF", "FILL", "SUM", "METRICS"}
    assert expression.metric_filters == {"tool_"}
    assert parse("SUM(METRICS())").metric_filters == {""}
    assert parse("m1").metric_filters == frozenset()


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "m1 +",
        "(m1",
        "M1 + 1",
        "SUM m1",
        "NOPE(m1)",
        "[m1, ]",
        "m1 m2",
        "m1 $ 2",
        "SEARCH('x')",
        "SEARCH('x', 'Sum', 1e999)",
        "METRICS(m1)",
        "(" * 500,
        "-" * 500,
        "m1 + " * 500 + "m1",
    ],
)
def test_what_is_not_an_expression_is_refused_with_a_reason(expression):
    with pytest.raises(MathError):
        parse(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "unknown + 1",
        "SUM(m1)",
        "5",
        "FILL(m1)",
        "FILL(m1, [m1, m2])",
        "IF([m1], 1, 0)",
        "PERIOD(m9) * m1",
        "[m1, m2] + [m1]",
        "ABS(2) * m1",
        "ANOMALY_DETECTION_BAND(m1)",
        "SEARCH('x', 'Sum')",
        "FIRST(REMOVE_EMPTY([m3]))",
        "REPEAT + m1",
        "SORT(METRICS(), LINEAR, ASC)",
        "SLICE(METRICS(), AVG(m3))",
        "SORT(METRICS(), AVG, ASC, 1 / 0)",
    ],
)
def test_what_cannot_be_computed_is_refused_with_a_reason(expression):
    with pytest.raises(MathError):
        evaluate(expression, {"m1": series(1), "m2": series(2), "m3": {}})
