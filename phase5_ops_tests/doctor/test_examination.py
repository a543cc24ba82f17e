"""Whatever becomes of one part, there is something of each, and what was found before is kept."""

import threading

import pytest

from phase5_ops.doctor.examination import AwsCaller, Installation, Part, examine, note, ok, problem
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.settings import load_settings


def nothing(_installation):
    yield from ()


def fails(_installation):
    yield ok("the first thing")
    raise RuntimeError("of\nthe second")


@pytest.fixture
def stuck():
    """A look that never ends by itself."""
    released = threading.Event()

    def look(_installation):
        yield ok("the first thing")
        released.wait(60)
        yield ok("too late")

    yield look
    released.set()


CALLER = AwsCaller("1", "arn")


def page(*parts, caller=CALLER, seconds=30.0):
    found = examine([Part(*each) for each in parts], Installation(load_settings(), caller, seconds=seconds))
    return [(each.part, each.checked.outcome, each.checked.text, each.checked.remedy) for each in found]


def test_a_part_that_fails_keeps_what_it_found_and_stops_no_other():
    assert page(("a", fails, "mend a"), ("b", lambda _: iter([problem("x"), problem("y", "own")]), "mend b")) == [
        ("a", InstallOutcome.OK, "the first thing", ""),
        ("a", InstallOutcome.UNKNOWN, "RuntimeError: of the second", "mend a"),
        ("b", InstallOutcome.PROBLEM, "x", "mend b"),
        ("b", InstallOutcome.PROBLEM, "y", "own"),
    ]


def test_a_part_that_does_not_end_is_given_up_in_its_time(stuck):
    assert page(("slow", stuck, "wait"), ("b", lambda _: iter([note("n")]), "r"), seconds=0.2) == [
        ("slow", InstallOutcome.OK, "the first thing", ""),
        ("slow", InstallOutcome.UNKNOWN, "this was given up after 0.2 s", "wait"),
        ("b", InstallOutcome.NOTE, "n", ""),
    ]


def test_an_error_is_cut_short():
    def long(_installation):
        raise ValueError("stack " * 1000)
        yield

    assert len(page(("a", long, "r"))[0][2]) < 330


def test_a_part_of_which_nothing_is_found_out_is_not_well():
    assert page(("a", nothing, "r")) == [("a", InstallOutcome.UNKNOWN, "nothing was found out", "r")]


def test_without_a_caller_aws_is_not_asked_and_the_machine_is_still_looked_at():
    asked, here = page(("a", fails, "r"), ("b", lambda _: iter([ok("y")]), "r", False), caller=None)
    assert asked[1:3] == (InstallOutcome.UNKNOWN, "not looked at, since AWS did not identify the caller")
    assert here[1:3] == (InstallOutcome.OK, "y")
