"""JUnit as CI systems count it."""

from xml.etree import ElementTree

from hypothesis import given, settings
from junit2htmlreport.parser import Junit

from phase5_ops.report.document import EXIT_OPEN, ReadinessDocument
from phase5_ops.report.formats import Format, RenderContext, render
from phase5_ops_tests.report.formats.sample import CONTEXT, closed, document, documents


def results(shown: ReadinessDocument) -> dict[str, str]:
    """Test -> failure, error, skipped or passed, as an XML reader sees it."""
    root = ElementTree.fromstring(render(shown, Format.junit, CONTEXT))
    return {
        case.attrib["name"].split(" ")[0]: next((e.tag for e in case if e.tag in ("failure", "error", "skipped")), "passed")
        for case in root.iter("testcase")
    }


def test_failing_and_closing_rows_are_failures_undecided_ones_are_errors_and_a_waived_one_passes():
    found = results(closed())
    assert {row: result for row, result in found.items() if result != "passed"} == {
        "2.2": "failure",
        "3.2": "error",
        "4.2": "failure",
        "5.1": "error",
        "S.2": "failure",
        "The": "failure",
    }
    assert found["1.2"] == found["2.1"] == "passed"
    assert len(found) == len(closed().rows) + 1 + len({row.title.split(" ")[0] for row in closed().extra_checks})


def test_another_reader_counts_the_same():
    report = Junit(xmlstring=render(closed(), Format.junit, CONTEXT))
    cases = [case for suite in report.suites for group in suite.classes.values() for case in group.cases]
    outcomes = [case.outcome() for case in cases]
    assert len(cases) == len(closed().rows) + len(closed().extra_checks) + 1
    assert "skipped" not in outcomes
    assert sum(outcome in ("failed", "error") for outcome in outcomes) == 6
    assert "remedy: Create the alarm." in report.html()


@settings(max_examples=25, deadline=None)
@given(documents())
def test_all_tests_pass_only_where_the_gate_is_open_and_none_is_skipped(shown: ReadinessDocument):
    root = ElementTree.fromstring(render(shown, Format.junit, RenderContext()))
    red = [case for case in root.iter("testcase") if case.find("failure") is not None or case.find("error") is not None]
    assert root.find(".//skipped") is None
    assert int(root.attrib["failures"]) + int(root.attrib["errors"]) == len(red)
    if shown.exit_code != EXIT_OPEN:
        assert red


def test_an_open_gate_is_all_green():
    assert set(results(document()).values()) == {"passed"}
