"""Scales, round numbers and moments of axes, and legends that fit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import LegendEntry, Panel, legend_lines, moments, number_text, round_numbers

NOW = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)


def test_values_stand_between_the_edges():
    panel = Panel(Drawing("one", 100, 100), 10, 20, 50, 40, (0, 10), (4, 0))
    assert (panel.x(0), panel.x(5), panel.x(10)) == (10, 35, 60)
    assert (panel.y(0), panel.y(1), panel.y(4)) == (60, 50, 20)


@given(first=st.floats(-1e9, 1e9), span=st.floats(1e-6, 1e9), most=st.integers(3, 8), whole=st.booleans())
def test_round_numbers_lie_between_the_ends_and_are_few(first: float, span: float, most: int, whole: bool):
    last = first + span
    found = round_numbers(first, last, most, whole=whole)
    slack = 1e-6 * max(abs(first), abs(last), 1)
    assert len(found) <= most
    assert all(first - slack <= number <= last + slack for number in found)
    if whole:
        assert all(number == round(number) for number in found) or last == first


@pytest.mark.parametrize(
    ("first", "last", "most", "numbers"),
    [(0, 25, 5, ["0", "10", "20"]), (-30, 100, 6, ["-25", "0", "25", "50", "75", "100"]), (0, 0, 5, ["0"])],
)
def test_round_numbers_read_as_people_would_choose_them(first: float, last: float, most: int, numbers: list[str]):
    assert [number_text(number) for number in round_numbers(first, last, most)] == numbers


@given(span=st.timedeltas(timedelta(minutes=7), timedelta(days=9000)), most=st.integers(3, 8))
def test_moments_are_few_and_round(span: timedelta, most: int):
    found = moments(NOW - span, NOW, most)
    assert len(found) <= most
    assert all(NOW - span <= at <= NOW and at.second == 0 for at, _ in found)


@pytest.mark.parametrize(
    ("span", "texts"),
    [
        (timedelta(hours=24), ["18:00", "Nov 23", "06:00", "12:00"]),
        (timedelta(hours=1), ["13:10", "13:20", "13:30", "13:40", "13:50", "14:00"]),
        (timedelta(days=20), ["Nov 7", "Nov 11", "Nov 15", "Nov 19", "Nov 23"]),
        (timedelta(days=600), ["2025-07-07", "2025-10-27", "2026-02-16", "2026-06-08", "2026-09-28"]),
    ],
)
def test_moments_read_as_people_would_choose_them(span: timedelta, texts: list[str]):
    assert [text for _, text in moments(NOW - span, NOW, 6)] == texts


def test_a_legend_takes_another_line_where_its_width_ends():
    entries = [LegendEntry("x" * 20, Fill("#000000"))] * 3
    assert [len(line) for line in legend_lines(entries, 250, 8)] == [2, 1]
    assert [len(line) for line in legend_lines(entries, 10, 8)] == [1, 1, 1]
