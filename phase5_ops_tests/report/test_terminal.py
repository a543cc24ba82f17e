"""The table: it fits its width, keeps indents and addresses, and says under a row what was found and what to do."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.result import EvidenceEntry, FindingEntry, RowEntry
from phase5_ops.report import terminal
from phase5_ops.report.document import ReadinessDocument, SignOffEntry
from phase5_ops.report.findings import stored_explanations
from phase5_ops.report.formats import Detail
from phase5_ops.report.wrapping import hanging, labelled, wrapped
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import document, row

WIDTHS = (60, 80, 120, 200)
RUNBOOK = (
    "https://github.com/example/platform/blob/main/docs/runbooks/phase_5_7_reliability.md#slo-alarms-tool_latency_ms-tool_error"
)
HOSTILE = "<script>alert(1)</script>\x1b[2J\nrm " + "x" * 300


def too_wide_or_steering(text: str, width: int) -> list[str]:
    """The lines that are wider than the width without holding an address, or that could steer a terminal."""
    lines = text.split("\n")
    return [line for line in lines if (cell_len(line) > width and "https://" not in line) or not line.isprintable()]


def missing_alarm(subject: str) -> FindingEntry:
    return FindingEntry(
        code="latency_alarm_missing",
        verdict=Verdict.FAIL,
        subject=subject,
        expected="a latency alarm on p99 or p95, evaluated over 5 to 15 minutes, that has an action",
        seen="no alarm on tool_latency_ms of this tool",
        link=RUNBOOK,
    )


def with_summary(entry: RowEntry, summary: str, **changes: object) -> RowEntry:
    return entry.model_copy(update={"summary": summary, **changes})


@pytest.fixture
def found() -> ReadinessDocument:
    """A run with a row that has many findings, a warning, what could not be read, a waived row and text that would do harm."""
    unread = FindingEntry(
        code="read_failed", verdict=Verdict.ERROR, subject="dynamodb:Scan cc-native-ledger", expected="OK", seen="DENIED"
    )
    link = EvidenceEntry(
        label="Ledger", url="https://us-west-2.console.aws.amazon.com/dynamodbv2/home?region=us-west-2#table?name=cc"
    )
    rows = [
        with_summary(
            row("1.2", *(missing_alarm(f"tool.number_{n}") for n in range(11)), tools_required=11),
            "0 of 11 registered tools have a working latency alarm, 11 of 11 a working error alarm.",
        ),
        with_summary(
            row("2.1", FindingEntry(code="breaker_open", verdict=Verdict.WARN, subject="crm", expected="CLOSED", seen="OPEN")),
            "1 open",
        ),
        with_summary(row("3.2", unread), "Not judged: dynamodb:Scan cc-native-ledger (read_failed): DENIED", evidence=[link]),
        with_summary(row("4.2", missing_alarm(HOSTILE)), f"{HOSTILE} is named", waived=True),
    ]
    made = document("2b57038c-920d-4a7a-ae48-335576d549d3", *rows)
    offs = [
        SignOffEntry(role="ops-sre", done=True, by="ana", date="2026-11-23"),
        SignOffEntry(role="security-compliance", done=False),
    ]
    return made.model_copy(update={"sign_offs": offs, "notices": [f"something to know, see {RUNBOOK}"]})


def shown(about: ReadinessDocument, width: int, detail: Detail = Detail.normal) -> str:
    console = Console(width=width, file=StringIO())
    terminal.render(about, console, detail)
    return console.file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_at_usual_widths(width: int, found: ReadinessDocument, snapshot: SnapshotAssertion):
    assert shown(found, width) == snapshot


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("width", [40, *WIDTHS])
def test_no_line_is_wider_than_the_width_but_one_that_holds_an_address(width: int, detail: Detail, found: ReadinessDocument):
    assert too_wide_or_steering(shown(found, width, detail), width) == []


def test_addresses_are_whole_at_every_width(found: ReadinessDocument):
    for width in WIDTHS:
        assert RUNBOOK in shown(found, width).split()


def test_how_much_is_shown_under_the_rows(found: ReadinessDocument):
    quiet, normal, verbose = (
        " ".join(shown(found, 120, detail).split()) for detail in (Detail.quiet, Detail.normal, Detail.verbose)
    )
    assert "latency_alarm_missing" not in quiet
    assert normal.count("FAIL latency_alarm_missing tool.number_") == 8
    assert "and 3 more (3 FAIL latency_alarm_missing): --verbose shows all" in normal
    assert verbose.count("FAIL latency_alarm_missing tool.number_") == 11
    assert "more (" not in verbose
    assert "figures tools_required 11" in verbose
    assert "figures" not in normal
    for text in (quiet, normal, verbose):
        assert "BLOCKED (exit code 1)" in text
        assert "0 of 11 registered tools" in text


def test_the_remedy_stands_once_under_the_findings_of_a_code_and_the_evidence_where_no_finding_has_a_link(
    found: ReadinessDocument,
):
    text = " ".join(shown(found, 200).split())
    catalogue = stored_explanations().catalogue
    remedy = catalogue.meaning("latency_alarm_missing", "1.2").remedy
    assert text.count(f"remedy {remedy}") == 2  # of row 1.2, and of 4.2
    assert f"remedy {catalogue.meaning('read_failed', '3.2').remedy} evidence Ledger https://" in text


def test_a_row_that_passes_shows_no_finding():
    text = shown(document("r"), 80)
    assert "remedy" not in text
    assert all(f"{each.id}" in text or f"({each.check})" in text for each in ALL_CHECKS)


@given(st.text(), st.integers(min_value=8, max_value=200))
def test_wrapping_loses_no_word_and_breaks_only_what_is_too_long(text: str, width: int):
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width or "://" in line for line in lines)


def test_lines_after_the_first_stand_under_the_text():
    assert labelled("seen", "one two three", 20, indent=2, label_width=8) == ["  seen      one two", "            three"]


def test_no_line_of_a_hanging_text_looks_like_the_next_entry():
    assert hanging("one two three four", 14, indent=2) == ["  one two", "      three", "      four"]
