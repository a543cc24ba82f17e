"""Row 4.1: PASS is earned by an execution that was seen whole; whatever was not seen is said."""

import pytest

from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.evidence.table import NoFacts
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness import controls
from phase5_ops.sections.isolation.harness.controls import control_rows
from phase5_ops.sections.isolation.harness.evidence import (
    ISOLATION_HARNESS,
    AccessKind,
    FootprintOutcome,
    HarnessRow,
    ProbeAnswer,
    Result,
    probe_row,
)
from phase5_ops.sections.isolation.harness.judge import DETECTORS, HarnessCode, judge_harness
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.isolation.harness.support import LINKS, NOW, READ, A, B, codes, judged, scope, written


def row(code, kind=AccessKind.READ, result=Result.VIOLATION, **more):
    return HarnessRow(kind, "cc-native-ledger", "key", result, "reason", codes=(code,), **more)


def test_a_whole_and_clean_execution_passes():
    judgement = judged()
    assert judgement.verdict is Verdict.PASS, codes(judgement)
    assert judgement.facts["keys_written"] > 10
    assert judgement.facts["detectors_shown"] == len(DETECTORS)


@pytest.mark.parametrize("code", [code.code for code in HarnessCode.all() if code.code != "detector_blind"])
def test_every_code_of_a_row_becomes_a_finding_of_its_verdict(code):
    judgement = judged(row(code))
    (declared,) = [one for one in HarnessCode.all() if one.code == code]
    verdict = Verdict.INCONCLUSIVE if code == "reads_not_judged" else declared.verdict
    assert codes(judgement) == {(str(verdict), code)}
    assert judgement.verdict is verdict


def test_unjudged_reads_keep_the_row_closed_in_production_and_warn_elsewhere():
    unread = row("reads_not_judged", AccessKind.TRAIL, Result.NOT_JUDGED)
    assert judged(unread).verdict is Verdict.INCONCLUSIVE
    assert judged(unread, production=False).verdict is Verdict.WARN


def test_nothing_written_is_not_a_pass():
    assert judged(after={}).verdict is Verdict.INCONCLUSIVE
    assert ("INCONCLUSIVE", "canary_not_executed") in codes(judged(after={}))


def test_a_run_that_could_not_be_made_says_why_and_is_error_where_it_failed():
    stopped = row("canary_not_executed", AccessKind.RUN, Result.NOT_JUDGED)
    failed = row("canary_not_executed", AccessKind.RUN, Result.NOT_JUDGED, operation="error")
    assert judged(stopped, after={}).verdict is Verdict.INCONCLUSIVE
    assert judged(failed, after={}).verdict is Verdict.ERROR


def test_no_outcome_fails_and_a_failed_canary_decides_nothing():
    assert judged(outcome=FootprintOutcome(None, (), 60)).verdict is Verdict.FAIL
    failed = FootprintOutcome("FAILED", ("EXECUTION_STARTED", "ACTION_FAILED"), 1, "AUTH")
    assert judged(outcome=failed).verdict is Verdict.INCONCLUSIVE


def test_a_denied_read_is_an_error_never_a_pass():
    denied = Read("dynamodb:Query", "cc-native-ledger", ReadStatus.DENIED, "no", 0, READ.start, READ.end)
    assert judged(reads=(denied,)).verdict is Verdict.ERROR
    assert judged(reads=()).verdict is Verdict.ERROR


def test_an_empty_table_is_never_a_pass():
    table = ISOLATION_HARNESS.gathered([], NoFacts()).with_reads([READ], NOW)
    judgement = judge_harness(table, production=False, links=LINKS)
    assert judgement.verdict is Verdict.ERROR
    assert {finding.code for finding in judgement.findings} == {"detector_blind"}


def test_evidence_without_controls_is_blind():
    assert {code for _, code in codes(judged(controls=False))} == {"detector_blind"}


def test_a_detector_that_misses_its_planted_violation_is_blind(monkeypatch):
    monkeypatch.setattr(controls, "footprint", lambda *_, **__: [])
    blind = {one.table for one in control_rows(scope(), B) if one.result is Result.BLIND}
    assert blind == {"foreign_key_written", "foreign_tenant_attribute", "key_without_tenant", "key_attribute_mismatch"}


def test_a_detector_that_always_reports_is_blind_too(monkeypatch):
    always = HarnessRow(AccessKind.WRITE, "t", "k", Result.VIOLATION, "r", codes=("foreign_key_written",))
    monkeypatch.setattr(controls, "footprint", lambda *_, **__: [always])
    assert {one.reason for one in control_rows(scope(), B) if one.table == "foreign_key_written"} == {
        "reports a violation where none is planted"
    }


def test_a_detector_that_breaks_is_blind(monkeypatch):
    monkeypatch.setattr(controls, "probe_row", lambda _: 1 / 0)
    blind = {one.table: one.reason for one in control_rows(scope(), B) if one.result is Result.BLIND}
    assert set(blind) == {"foreign_data_readable", "foreign_data_writable"}
    assert "ZeroDivisionError" in blind["foreign_data_readable"]


NAMES = [
    (A, B),
    ("a", "null"),
    ("acme", "acme-eu"),
    ("acme-eu", "acme"),
    ("TENANT", "ACCOUNT"),
    ("{b}", "{a}"),
    ("münchen", "a@b.co"),
]


@pytest.mark.parametrize(("own", "other"), NAMES)
def test_the_controls_work_whatever_the_test_tenants_are_called(own, other):
    of = ExecutionScope(own, other_tenants=frozenset({other, "zeta"}), foreign_markers=frozenset({other}))
    assert {one.result for one in control_rows(of, other)} == {Result.DETECTED}


def test_many_findings_of_one_code_are_cut_with_a_count():
    judgement = judged(*(row("foreign_key_read", operation="GetItem") for _ in range(60)))
    assert len(judgement.findings) == 51
    assert judgement.findings[0].subject in ("10 more", "cc-native-ledger key")
    assert any(finding.subject == "10 more" for finding in judgement.findings)


def test_a_leak_found_through_a_probe_fails_the_row_and_names_the_route():
    judgement = judged(probe_row(ProbeAnswer("foreign budget", "GET /budget", True, 200, shown=("budget of phase5-canary-b",))))
    (finding,) = judgement.findings
    assert (finding.code, finding.verdict) == ("foreign_data_readable", Verdict.FAIL)
    assert "GET /budget" in finding.subject


def test_a_leak_in_the_footprint_names_table_and_key():
    after = written()
    after["cc-native-internal-notes"][0]["pk"] = f"TENANT#{B}#ACCOUNT#canary-b-1"
    finding = judged(after=after).findings[0]
    assert "cc-native-internal-notes" in finding.subject
    assert B in finding.subject
    assert finding.link
