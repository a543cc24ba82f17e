"""How far events were applied, by Dagster's cursor and by the state table's: what either does not know is applied again."""

import pytest

from phase5_ops.gate.inputs.candidate_events import CandidateEvent, EventCursor, are_all, forgotten
from phase5_ops_tests.gate.own_aws import NOW

READABLE, UNREADABLE = CandidateEvent(1, "r-1", {}, NOW), CandidateEvent(2, None, {}, None, "ValueError")


@pytest.mark.parametrize(
    ("dagster", "table", "both"),
    [
        ("7", "7", "7"),
        ("7 9", "7 9", "7 9"),
        ("9", "7", "7"),
        ("9", "7 9", "7 9"),
        ("9 12 14", "7 8 12 13", "7 8 12"),
        ("", "9", "0"),
        ("9", "", "0"),
        ("0 3 5", "4", "0 3"),
    ],
)
def test_what_both_cursors_know_is_applied(dagster, table, both):
    one, other = EventCursor.read(dagster), EventCursor.read(table)
    assert str(one.and_also(other)) == str(other.and_also(one)) == both
    known = {each for each in range(1, 20) if one.knows(each) and other.knows(each)}
    assert known == {each for each in range(1, 20) if EventCursor.read(both).knows(each)}


@pytest.mark.parametrize(
    ("dagster", "table", "is_forgotten"),
    [
        ("7 9", "7 9", False),
        ("7", "9 12", False),  # a tick was killed after the table had noted its events
        (None, "9", False),  # the cursor was reset
        ("7", None, False),  # nothing was noted yet
        ("9", "7", True),
        ("7 9", "7", True),
        ("9", 5, True),  # what is noted is no cursor
    ],
)
def test_a_table_that_knows_less_than_dagsters_cursor_was_put_back(dagster, table, is_forgotten):
    assert forgotten(dagster, table) is is_forgotten


@pytest.mark.parametrize(
    ("found", "whole"),
    [([], True), ([READABLE] * 99, True), ([READABLE] * 100, False), ([UNREADABLE] * 9, True), ([UNREADABLE] * 10, False)],
)
def test_events_are_all_where_neither_the_limit_nor_that_of_unreadable_ones_is_reached(found, whole):
    assert are_all(found, 100) is whole
