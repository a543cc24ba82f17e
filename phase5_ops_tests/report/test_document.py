"""The document: exit codes, blockers, schema, and what is shown of rows without a result."""

import json
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from phase5_ops.checklist import ALL_CHECKS, EXTRA_CHECKS, ROW_OF_CHECK, ROWS
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.policy import GatePolicy
from phase5_ops.report import markdown, terminal
from phase5_ops.report.document import (
    ReadinessDocument,
    Reading,
    exit_code,
    headline,
    json_schema,
    readiness_document,
)
from phase5_ops.verdict import Verdict

pytestmark = pytest.mark.slow

DIGEST = "sha256:" + "0" * 64
NOW = "2026-11-23T12:00:00.000Z"


def entry(check: str, verdict: Verdict, code: str = "breaker_open") -> RowEntry:
    row = ROW_OF_CHECK[check]
    found = [] if verdict is Verdict.PASS else [FindingEntry(code=code, verdict=verdict, subject="x", expected="y", seen="z|[a]")]
    return RowEntry(
        id=row.id,
        section=row.section,
        title=row.title,
        check=check,
        asset=row.asset,
        verdict=verdict,
        summary="s",
        observed_at=NOW,
        findings=found,
    )


def document(verdicts: dict[str, Verdict], gate: GatePolicy | None = None, chosen: list[str] | None = None) -> ReadinessDocument:
    return readiness_document(
        environment="test",
        run_id="r",
        evaluated_at=NOW,
        evidence_digest=DIGEST,
        policy_digest=DIGEST,
        entries={check: entry(check, verdict) for check, verdict in verdicts.items()},
        gate=gate or GatePolicy(),
        reading=Reading(),
        chosen=chosen,
    )


@pytest.mark.parametrize(
    ("verdicts", "unsigned", "expected"),
    [
        (["PASS", "PASS"], False, 0),
        (["PASS", "WARN"], False, 0),
        (["PASS", "PASS"], True, 1),
        (["PASS", "FAIL"], False, 1),
        (["FAIL", "ERROR"], False, 1),
        (["PASS", "ERROR"], False, 2),
        (["INCONCLUSIVE", "PASS"], False, 2),
        (["INCONCLUSIVE"], True, 2),
        ([], False, 2),
    ],
)
def test_exit_code_follows_the_contract(verdicts: list[str], unsigned: bool, expected: int):
    by_row = {str(index): Verdict(verdict) for index, verdict in enumerate(verdicts)}
    assert exit_code(by_row, unsigned=unsigned, gate=GatePolicy()) == expected


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.sampled_from(Verdict)), st.booleans())
def test_exit_code_zero_means_that_everything_passed(verdicts: dict[str, Verdict], unsigned: bool):
    code = exit_code(verdicts, unsigned=unsigned, gate=GatePolicy())
    opened = bool(verdicts) and not unsigned and all(verdict in (Verdict.PASS, Verdict.WARN) for verdict in verdicts.values())
    assert (code == 0) == opened


@given(st.dictionaries(st.sampled_from([row.check for row in ALL_CHECKS]), st.sampled_from(Verdict)))
def test_without_signatures_the_decision_is_never_open(verdicts: dict[str, Verdict]):
    result = document(verdicts)
    assert result.decision == "BLOCKED"
    assert result.exit_code != 0
    assert result.blockers


def test_a_warning_does_not_open_where_the_policy_says_so():
    verdicts = {"open_breaker_has_operator_action": Verdict.WARN}
    assert document(verdicts, chosen=["2.2"]).exit_code == 0
    strict = document(verdicts, GatePolicy(warn_blocks=("2.2",)), chosen=["2.2"])
    assert strict.exit_code == 1
    assert strict.blockers == ["2.2 WARN breaker_open x: z|[a]"]


def test_extra_checks_block_unless_the_policy_makes_them_warn():
    verdicts = {"tool_slo_met": Verdict.FAIL}
    assert document(verdicts, chosen=["tool_slo_met"]).exit_code == 1
    lenient = GatePolicy(extra_checks_warn_only=("tool_slo_met",))
    with_row = {**verdicts, "breaker_state_observable": Verdict.PASS}
    assert document(with_row, lenient, chosen=["2.1", "tool_slo_met"]).exit_code == 0


def test_chosen_rows_alone_decide_the_exit_code_and_nothing_is_decided():
    result = document({"breaker_state_observable": Verdict.PASS}, chosen=["2.1"])
    assert (result.exit_code, result.decision, [row.id for row in result.rows]) == (0, "NOT_DECIDED", ["2.1"])
    assert (result.covers, headline(result)) == (["2.1"], "NOT DECIDED, 2.1 only")
    assert document({}).covers is None
    assert document({}, chosen=["3.1"]).exit_code == 2


def test_rows_that_nobody_judges_are_listed_as_error_in_checklist_order():
    result = document({"tool_slo_metrics_visible": Verdict.PASS})
    assert [row.id for row in result.rows] == [row.id for row in ROWS]
    assert [row.id for row in result.extra_checks] == [row.id for row in EXTRA_CHECKS]
    judged_later = {row.id for row in ROWS if row.is_sign_off}
    assert {row.findings[0].code for row in result.rows if row.id not in {"1.1", *judged_later}} == {"not_implemented"}
    sign_offs = [row for row in result.rows if row.id in judged_later]
    assert {(row.verdict, row.summary, row.findings[0].code) for row in sign_offs} == {
        ("FAIL", "no release to sign", "no_release")
    }
    assert [(s.role, s.done) for s in result.sign_offs] == [
        ("eng-reliability", False), ("ops-sre", False), ("security-compliance", False),
    ]  # fmt: skip


def test_the_document_satisfies_its_published_schema():
    jsonschema.Draft202012Validator.check_schema(schema := json_schema())
    published = jsonschema.Draft202012Validator(schema)

    @given(st.dictionaries(st.sampled_from([row.check for row in ALL_CHECKS]), st.sampled_from(Verdict)))
    def satisfies(verdicts: dict[str, Verdict]) -> None:
        published.validate(json.loads(json.dumps(document(verdicts).to_json())))

    satisfies()


def test_markdown_escapes_what_would_break_its_tables():
    text = markdown.render(document({"breaker_state_observable": Verdict.FAIL}))
    assert "z\\|\\[a]" in text
    assert "| 2.1 | Breaker state observable | ❌ FAIL | s |" in text
    assert "☐" in text


def test_terminal_shows_findings_literally(tmp_path: Path):
    console = Console(record=True, width=140, file=(tmp_path / "out").open("w", encoding="utf-8"))
    terminal.render(document({"breaker_state_observable": Verdict.FAIL}), console)
    text = console.export_text()
    assert "seen      z|[a]" in text
    assert "BLOCKED (exit code 1)" in text


def test_sign_offs_are_a_table_of_their_own_unless_they_were_left_out():
    for chosen, shown in ((None, True), ([row.id for row in ROWS if not row.is_sign_off], False)):
        console = Console(width=150, file=StringIO())
        terminal.render(document({}, chosen=chosen), console)
        text = console.file.getvalue()
        assert ("Sign-off" in text and "security-compliance" in text) is shown
