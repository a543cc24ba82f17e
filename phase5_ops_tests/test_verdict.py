"""The vocabulary of judging: order, codes, and conclusions that start at FAIL."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.verdict import FindingCode, Verdict, conclude, worst

CODES = {verdict: FindingCode(verdict, "Meaning.", "Remedy.", code=f"is_{verdict.lower()}") for verdict in Verdict}


def finding(verdict, subject="x", seen="b"):
    return CODES[verdict].at(subject, expected="a", seen=seen)


def test_the_order_of_verdicts():
    assert [v.severity for v in (Verdict.PASS, Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR)] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert [v for v in Verdict if v.blocks] == [Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR]


def test_no_verdict_at_all_is_a_fail():
    assert worst([]) is Verdict.FAIL


def test_a_code_carries_its_default_or_one_of_its_other_verdicts():
    code = FindingCode(Verdict.FAIL, "Meaning.", "Remedy.", also=(Verdict.WARN,))
    assert code.at("x", expected="a", seen="b").verdict is Verdict.FAIL
    assert code.at("x", expected="a", seen="b", verdict=Verdict.WARN).verdict is Verdict.WARN
    with pytest.raises(ValueError, match="may not be"):
        code.at("x", expected="a", seen="b", verdict=Verdict.PASS)


def test_pass_needs_a_subject_and_no_finding():
    assert conclude(judged=1, summary="", findings=[]).verdict is Verdict.PASS
    nothing = conclude(judged=0, summary="", findings=[])
    assert (nothing.verdict, nothing.findings[0].code) == (Verdict.INCONCLUSIVE, "nothing_judged")


def test_warnings_about_nothing_are_still_nothing():
    judgement = conclude(judged=0, summary="", findings=[finding(Verdict.WARN)])
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_a_blocking_finding_explains_why_nothing_was_judged():
    assert [f.code for f in conclude(judged=0, summary="", findings=[finding(Verdict.ERROR)]).findings] == ["is_error"]


@given(verdicts=st.lists(st.sampled_from(Verdict), min_size=1), judged=st.integers(1, 5))
def test_the_worst_finding_is_the_verdict(verdicts, judged):
    assert conclude(judged=judged, summary="", findings=[finding(v) for v in verdicts]).verdict is worst(verdicts)


@given(verdicts=st.lists(st.sampled_from(Verdict), max_size=4), added=st.sampled_from(Verdict), judged=st.integers(-1, 2))
def test_another_finding_never_improves_the_verdict(verdicts, added, judged):
    before = conclude(judged=judged, summary="", findings=[finding(v) for v in verdicts]).verdict
    after = conclude(judged=judged, summary="", findings=[finding(v) for v in (*verdicts, added)]).verdict
    assert worst([before, after]) is after


def test_equal_evidence_gives_equal_output_in_any_order():
    findings = [finding(Verdict.WARN, "b"), finding(Verdict.FAIL, "a"), finding(Verdict.FAIL, "a", seen="a")]
    judgements = {conclude(judged=1, summary="", findings=order).findings for order in itertools.permutations(findings)}
    assert len(judgements) == 1
    assert [f.verdict for f in judgements.pop()] == [Verdict.FAIL, Verdict.FAIL, Verdict.WARN]
