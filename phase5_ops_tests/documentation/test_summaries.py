"""What is undecided never sounds like success: over all checks and all codes, the summary says what was not judged."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import phase5_ops
from phase5_ops.build import CATALOGUE
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.report.document import ReportCode, missing_entry
from phase5_ops.verdict import FindingCode, Verdict, conclude

PACKAGE = Path(phase5_ops.__file__).parent
UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.ERROR)
FIGURES = "3 of 3 tools are fine."
ALL_CODES = [code for codes in CATALOGUE.by_name.values() for code in codes]
UNDECIDED_CODES = [(code, verdict) for code in ALL_CODES for verdict in (code.verdict, *code.also) if verdict in UNDECIDED]


def says_what_was_not_judged(summary: str) -> bool:
    return summary.startswith(("Nothing was judged: ", "Not judged: "))


@pytest.mark.parametrize(("code", "verdict"), UNDECIDED_CODES, ids=lambda each: getattr(each, "code", each))
def test_every_code_that_leaves_a_check_undecided_is_told_in_its_summary(code: FindingCode, verdict: Verdict):
    finding = code.at("the subject", expected="a", seen="what was seen", verdict=verdict)
    some, none = (conclude(judged=judged, summary=FIGURES, findings=[finding]) for judged in (3, 0))
    assert some.summary == f"Not judged: the subject ({code.code}): what was seen. Of the rest: {FIGURES}"
    assert none.summary == f"Nothing was judged: the subject ({code.code}): what was seen"


@given(
    verdicts=st.lists(st.sampled_from(Verdict), max_size=8),
    judged=st.integers(-1, 3),
    figures=st.sampled_from(["0 of 0 probes sent, 0 accepted.", "no SLO missed on the whole", FIGURES]),
)
def test_whatever_is_found_an_undecided_summary_names_it_and_any_other_one_is_the_figures(verdicts, judged, figures):
    codes = {verdict: FindingCode(verdict, "Meaning.", "Remedy.", code=f"is_{verdict.lower()}") for verdict in Verdict}
    findings = [codes[verdict].at(f"subject {at}", expected="a", seen="b") for at, verdict in enumerate(verdicts)]
    judgement = conclude(judged=judged, summary=figures, findings=findings)
    undecided = [finding for finding in judgement.findings if finding.verdict in UNDECIDED]
    if judgement.verdict not in UNDECIDED:
        assert judgement.summary == figures
        return
    assert says_what_was_not_judged(judgement.summary)
    assert all(f"{finding.subject} ({finding.code})" in judgement.summary for finding in undecided[:3])
    assert (f"and {len(undecided) - 3} more" in judgement.summary) is (len(undecided) > 3)
    assert (figures in judgement.summary) is (judged > 0)


@pytest.mark.parametrize("row", ALL_CHECKS, ids=lambda row: row.check)
def test_a_check_without_a_result_says_that_nothing_was_judged(row):
    for code in (ReportCode.CHECK_NOT_EVALUATED, ReportCode.NOT_IMPLEMENTED):
        entry = missing_entry(row, code, "the run ended early", "2026-11-23T09:00:00Z")
        assert entry.verdict in UNDECIDED
        assert entry.summary == f"Nothing was judged: {row.check} ({code.code}): the run ended early"


def test_there_is_no_other_way_to_a_summary():
    """A judgement is made by `conclude` alone, and an entry of a report of one, or by one function that says it too."""
    made = {"Judgement": set(), "RowEntry": set()}
    for path in PACKAGE.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in made:
                    made[node.func.id].add(f"{path.relative_to(PACKAGE)}:{function.name}")
    assert made == {
        "Judgement": {"verdict.py:conclude"},
        "RowEntry": {"report/release.py:_plain", "report/formats/outcomes.py:_gate"},
    }
