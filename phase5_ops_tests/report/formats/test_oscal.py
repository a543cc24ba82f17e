"""OSCAL assessment results as compliance-trestle loads them from a file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from trestle.core.duplicates_validator import DuplicatesValidator
from trestle.core.refs_validator import RefsValidator
from trestle.oscal.assessment_results import AssessmentResults, Result

from phase5_ops.report.document import EXIT_OPEN, ReadinessDocument
from phase5_ops.report.formats import Format, render
from phase5_ops_tests.report.formats.sample import CONTEXT, closed, document, documents


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oscal") / "readiness.oscal.json"


def loaded(shown: ReadinessDocument, path: Path) -> AssessmentResults:
    path.write_text(render(shown, Format.oscal, CONTEXT), "utf-8")
    read = AssessmentResults.oscal_read(path)
    assert isinstance(read, AssessmentResults)
    assert DuplicatesValidator().model_is_valid(read, True)
    assert RefsValidator().model_is_valid(read, True)
    return read


def states(result: Result) -> dict[str, tuple[str, str]]:
    return {found.target.target_id: (found.target.status.state.value, found.target.status.reason) for found in result.findings}


def test_rows_are_satisfied_by_what_was_seen_and_not_by_what_was_waived(path: Path):
    (result,) = loaded(closed(), path).results
    found = states(result)
    assert {row: state for row, state in found.items() if state != ("satisfied", "pass")} == {
        "row-1.2": ("not-satisfied", "fail"),
        "row-2.1": ("satisfied", "other"),
        "row-2.2": ("not-satisfied", "other"),
        "row-3.2": ("not-satisfied", "other"),
        "row-4.2": ("not-satisfied", "fail"),
        "row-5.1": ("not-satisfied", "other"),
        "row-S.2": ("not-satisfied", "fail"),
        "row-gate": ("not-satisfied", "fail"),
    }


def test_a_waiver_is_an_approved_deviation_of_its_row(path: Path):
    (result,) = loaded(closed(), path).results
    (risk,) = result.risks
    assert risk.deadline.isoformat() == "2026-11-30T12:00:00+00:00"
    (row,) = (found for found in result.findings if found.related_risks)
    assert (row.target.target_id, row.related_risks[0].risk_uuid) == ("row-1.2", risk.uuid)


def test_observations_carry_findings_evidence_and_who_signed(path: Path):
    read = loaded(closed(), path)
    (result,) = read.results
    assert len(result.observations) == len(result.findings) + sum(len(row.findings) for row in closed().rows) + 1
    related = {each.observation_uuid for found in result.findings for each in found.related_observations}
    assert related == {each.uuid for each in result.observations}
    assert result.observations[0].relevant_evidence[0].href == "https://example.com/runbook.md#a"
    assert result.observations[0].relevant_evidence[1].href is None  # a file of the machine that made it
    assert read.metadata.parties[0].name == "arn:aws:iam::1:user/ann"


def test_the_same_document_is_always_the_same_text():
    assert render(closed(), Format.oscal, CONTEXT) == render(closed(), Format.oscal, CONTEXT)


@settings(max_examples=25, deadline=None)
@given(shown=documents())
def test_every_document_loads_and_a_closed_gate_has_what_is_not_satisfied(path: Path, shown: ReadinessDocument):
    (result,) = loaded(shown, path).results
    if shown.exit_code != EXIT_OPEN:
        assert any(state != "satisfied" for state, _reason in states(result).values()) or any(row.waived for row in shown.rows)


def test_a_row_without_a_moment_says_so(path: Path):
    untimed = document().rows[0].model_copy(update={"observed_at": "yesterday"})
    (result,) = loaded(document(untimed), path).results
    assert result.observations[0].remarks == "The row does not say when it was observed: yesterday"
