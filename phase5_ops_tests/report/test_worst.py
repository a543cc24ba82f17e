"""What people look at stays short where a row has ten thousand findings: the worst, how many more, and where they are."""

import json
from xml.etree import ElementTree

import pytest

from phase5_ops.evidence.result import FindingEntry
from phase5_ops.report import markdown
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import FORMATS, Format, render, sarif
from phase5_ops.report.formats.junit import render as junit
from phase5_ops.report.worst import SHOWN, first_lines, more, worst_findings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.formats.sample import RenderContext, document, entry, finding

MANY = 10_000
CHECK = "cost_reported_per_tenant"
FURTHER = f"see verdicts/{CHECK}.json in the run's evidence folder"
ALL_ROWS = ("1.1", "1.2", "1.3", "2.1", "2.2", "3.1", "3.2", "3.3", "4.1", "4.2", "5.1", "5.2")
LIMITS = {  # bytes
    Format.markdown: 65_536,  # characters of a comment on GitHub; the summary of a step may have 1 MiB
    Format.html: 1024**2,  # what a browser opens at once; nobody's limit
    Format.junit: 1024**2,
    Format.sarif: 25 * 1024**2,  # GitHub takes 10 MB as gzip; this is unpacked
}


def many(seen: str = "nothing") -> list[FindingEntry]:
    """One warning that would come last, and one error among the others."""
    fails = [finding("cost_missing", Verdict.FAIL, f"tenant-{n:05}", seen) for n in range(MANY - 2)]
    return [
        finding("read_failed", Verdict.ERROR, "a page", seen),
        *fails,
        finding("breaker_half_open", Verdict.WARN, "a connector", seen),
    ]


@pytest.fixture(scope="module")
def large() -> ReadinessDocument:
    found = entry("5.2", *many())
    return document(found, blockers=[f"5.2 {each.verdict} {each.code} {each.subject}: {each.seen}" for each in found.findings])


def test_the_worst_come_first_and_every_code_is_named():
    findings = many()
    shown = worst_findings(reversed(findings), 4)
    assert [each.subject for each in shown] == ["a page", "tenant-00000", "tenant-00001", "a connector"]
    assert worst_findings(findings, MANY) == findings
    assert more(entry("5.2", *findings), len(shown)) == f"and 9,996 more: {FURTHER}"
    assert more(entry("5.2", *findings[:4]), 4) == ""


def test_findings_that_a_document_of_the_gate_left_out_are_counted():
    stated = entry("5.2", *many()[:60]).model_copy(update={"facts": {"findings_left_out": 9_940}})
    assert more(stated, SHOWN) == f"and 9,950 more: {FURTHER}"


def test_other_lists_are_cut_too():
    assert first_lines(["a", "b"], 2) == ["a", "b"]
    assert first_lines(["a", "b", "c"], 2) == ["a", "b", "and 1 more: --format json has all"]


@pytest.mark.parametrize("shown_as", [Format.markdown, Format.html, Format.junit])
def test_a_page_shows_the_worst_and_says_how_many_more(large, shown_as):
    text = render(large, shown_as, RenderContext())
    assert len(text) <= LIMITS[shown_as]
    rows = [f"tenant-{n:05}" in text for n in range(100)]
    assert rows == [True] * (SHOWN - 2) + [False] * (100 - SHOWN + 2)
    for each in ("read_failed", "breaker_half_open", "and 9,950 more: see "):
        assert each in text
    assert f"{CHECK}.json" in text


def test_junit_names_the_file_of_the_rest(large):
    failed = ElementTree.fromstring(junit(large, RenderContext())).find(f".//testcase[@classname='phase5.{CHECK}']/*")
    assert f"and 9,950 more: {FURTHER}" in failed.text.splitlines()


def test_a_page_of_many_rows_shows_fewer_findings_of_each_and_fits_into_a_comment():
    rows = [entry(row, *(finding("cost_missing", Verdict.FAIL, f"t-{n}", "s" * 300) for n in range(60))) for row in ALL_ROWS]
    text = markdown.render(document(*rows))
    assert 30_000 < len(text) <= markdown.LARGEST == LIMITS[Format.markdown]
    assert text.count("and 50 more") == len(ALL_ROWS)


def test_a_page_of_long_texts_leaves_out_whole_rows_the_mildest_first_and_says_which():
    rows = [
        entry(
            row,
            *(finding("cost_missing", Verdict.ERROR if row == "5.2" else Verdict.FAIL, f"t-{n}", "s" * 4_000) for n in range(60)),
        )
        for row in ALL_ROWS
    ]
    text = markdown.render(document(*rows))
    assert 40_000 < len(text) <= markdown.LARGEST
    shown = [row for row in ALL_ROWS if f"\n### {row} " in text.split("## Findings")[1]]
    left = [row for row in ALL_ROWS if row not in shown]
    assert "5.2" in shown
    assert 1 < len(shown) < len(ALL_ROWS)
    assert text.count("and 57 more") == len(shown)
    said = f"the findings of {len(left)} rows, {len(left) * 60} in all ({', '.join(left)}): `--format json` has all."
    assert said in text
    assert text.rstrip().splitlines()[-1].startswith("Evidence ")


def test_a_page_that_is_too_long_without_any_finding_ends_with_a_whole_line_and_says_so():
    notices = ["n" * 30_000] * 4
    whole = markdown._tail(document(notices=notices), 3)
    text = markdown.render(document(entry("5.2"), notices=notices))
    assert len(text) <= markdown.LARGEST
    *page, _, last, _ = text.split("\n")
    assert page[-1] == whole[2] == f"- {'n' * 30_000}"
    assert last.startswith("The page ends here, ")
    assert last.endswith(" lines early: `--format json` has all.")


def test_code_scanning_gets_no_more_results_than_it_shows(large, monkeypatch):
    assert sarif.MOST_RESULTS == 5_000  # GitHub keeps the first 5,000 by severity, and refuses a file with more than 25,000
    monkeypatch.setattr(sarif, "MOST_RESULTS", 500)  # here, a test is quicker with fewer
    text = FORMATS[Format.sarif].render(large, RenderContext(before=large))
    assert len(text.encode()) / 500 < LIMITS[Format.sarif] / 5_000
    (run,) = json.loads(text)["runs"]
    assert len(run["results"]) == 500
    assert {each["ruleId"] for each in run["results"]} == {"read_failed", "cost_missing", "breaker_half_open"}
    assert {each["baselineState"] for each in run["results"]} == {"unchanged"}
    assert (run["properties"]["findingsLeftOut"], run["properties"]["gone"]) == (MANY - 500, [])
    assert "9,500 more findings" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


@pytest.mark.parametrize("complete", [Format.json, Format.csv])
def test_what_programs_take_apart_has_every_finding(large, complete):
    text = render(large, complete, RenderContext())
    assert all(f"tenant-{n:05}" in text for n in (0, MANY // 2, MANY - 3))
