"""Strict reading of DynamoDB attributes."""

import pytest

from phase5_ops.ccnative.attributes import AttributeProblem, flag, number, required, shown, text, texts, whole_number


def test_each_kind_is_read():
    item = {"s": {"S": "x"}, "n": {"N": "1795424359"}, "b": {"BOOL": False}, "l": {"L": [{"S": "a"}]}, "ss": {"SS": ["b"]}}
    assert (text(item, "s"), whole_number(item, "n"), flag(item, "b")) == ("x", 1795424359, False)
    assert (texts(item, "l"), texts(item, "ss")) == (("a",), ("b",))


def test_absence_is_none_and_a_problem_only_where_it_is_required():
    assert (text({}, "a"), whole_number({}, "a"), flag({}, "a"), texts({}, "a")) == (None, None, None, None)
    with pytest.raises(AttributeProblem, match="a: missing"):
        required(None, "a")


@pytest.mark.parametrize("value", ["-1", "1.5", "NaN", "Infinity", "1E+999999999", "", "x", None, 3, "9007199254740993"])
def test_a_number_that_is_no_count_and_no_epoch_second_is_a_problem(value):
    with pytest.raises(AttributeProblem):
        whole_number({"n": {"N": value}}, "n")


def test_a_whole_number_may_be_written_with_a_fraction_of_zero():
    assert whole_number({"n": {"N": "5.0"}}, "n") == 5


@pytest.mark.parametrize("value", [{"S": "x", "N": "1"}, {}, "x", None, {"BOOL": "true"}, {"S": True}])
def test_a_wrong_type_is_a_problem_that_shows_what_was_found(value):
    with pytest.raises(AttributeProblem, match="expected"):
        flag({"b": value}, "b")


def test_what_is_shown_is_one_short_line():
    assert shown("a\n" * 100) == repr("a\n" * 100)[:77] + "..."


@pytest.mark.parametrize("value", ["1e309", "-1e999999999", "NaN", "sNaN", "Infinity", "x", ""])
def test_a_number_beyond_every_float_is_a_problem(value):
    with pytest.raises(AttributeProblem, match="expected a number"):
        number({"n": {"N": value}}, "n")
