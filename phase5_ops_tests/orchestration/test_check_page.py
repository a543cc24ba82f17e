"""The page of a check reads like the checklist, of bounded size, whatever was found; what the gate reads comes last."""

from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import pytest

from phase5_ops.build import JUDGING
from phase5_ops.checklist import ALL_CHECKS, ROW_OF_CHECK
from phase5_ops.evidence.result import RowEntry
from phase5_ops.gate.defs.sign_off_assets import JUDGING as SIGN_OFF_JUDGING
from phase5_ops.gate.inputs.dagster_records import _METADATA
from phase5_ops.orchestration.check_page import check_description, check_metadata, check_spec, remedies
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.wiring import _check_result
from phase5_ops.verdict import EvidenceLink, Finding, Verdict, conclude

ROW = ROW_OF_CHECK["open_breaker_has_operator_action"]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def finding(verdict: Verdict = Verdict.FAIL, subject: str = "crm", link: str | None = "https://example.org/x|y z") -> Finding:
    return Finding("open_breaker_without_operator_action", verdict, subject, "no traffic", "traffic", link)


def result(*findings: Finding, verdict_of: int = 1, problem: str | None = None) -> dg.AssetCheckResult:
    judgement = conclude(
        judged=verdict_of,
        summary="1 breaker",
        findings=findings,
        facts={"open": 1, "currency": "USD", "whole": True},
        evidence=[EvidenceLink("Table", "https://example.org/t")],
    )
    run = SimpleNamespace(
        store=SimpleNamespace(write_verdict=lambda *_: "sha256:0"),
        run_id="run",
        policy_digest="sha256:1",
        settings=SimpleNamespace(runbook_address="https://example.org/runbook", shares_instance=False),
        now=lambda: NOW,
    )
    tables = {ROW.asset: SimpleNamespace(digest="sha256:2", observed_at=NOW)}
    (judging,) = (each for each in JUDGING if ROW.check in each.judges)
    return _check_result(ROW, judgement, run, tables, problem, what_to_do=remedies(judging.codes))


@pytest.mark.parametrize(
    ("verdict", "severity"),
    [
        (Verdict.WARN, dg.AssetCheckSeverity.WARN),
        (Verdict.INCONCLUSIVE, dg.AssetCheckSeverity.ERROR),
        (Verdict.FAIL, dg.AssetCheckSeverity.ERROR),
        (Verdict.ERROR, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_a_warning_is_amber_and_the_others_red_each_with_its_meaning(verdict, severity):
    found = result(finding(verdict))
    assert (found.passed, found.severity) == (False, severity)
    assert found.description.startswith(f"**{verdict}**: it ")
    meanings = {result(finding(each)).description.partition(".")[0] for each in Verdict if each is not Verdict.PASS}
    assert len(meanings) == 4
    assert result().passed


def test_what_was_found_is_one_table_with_what_to_do_and_a_link():
    table = result(finding(), finding(Verdict.WARN, "calendar", None)).description.splitlines()[2:]
    assert table[0] == "| verdict | about | expected | seen | what to do |"
    assert table[2].startswith("| **FAIL** | [crm](<https://example.org/x%7Cy%20z>) | no traffic | traffic | ")
    assert len(table[2].rstrip(" |").rpartition("| ")[2]) > 20  # the remedy
    assert table[3].startswith("| **WARN** | calendar | no traffic | traffic | ")


def test_the_row_comes_first_and_what_the_gate_reads_last():
    labels = sorted(result(finding(), problem="Traceback").metadata)  # Dagster sorts them
    gates = {"result", "verdict_file", *_METADATA.values()}
    assert labels[:3] == ["Checklist row", "Conclusion", "Findings by code"]
    assert set(labels[-len(gates) :]) == gates
    assert labels[3:-5] == ["Link: Table", "Measured: open", "Noted: currency", "Noted: whole", "Runbook", "Traceback"]


def test_ten_thousand_findings_of_hostile_tenants_show_the_worst_and_say_how_many_more():
    hostile = "<script>alert(1)</script>\n| [x](javascript:alert(1)) `" + "y" * 300
    many = [finding(Verdict.WARN, f"t{number}") for number in range(9_999)]
    judgement = conclude(judged=1, summary=hostile, findings=[*many, finding(Verdict.FAIL, hostile, "javascript:alert(1)")])
    entry = RowEntry.of(ROW, judgement, "2026-11-23T12:00:00.000Z")
    description = check_description(entry, {})
    rows = [line for line in description.splitlines() if line.startswith("| **")]
    assert len(rows) == 50
    assert rows[0].startswith(r"| **FAIL** | \<script\>alert\(1\)\</script\> \| \[x\]\(javascript\:alert\(1\)\) \`")
    assert "](<javascript:" not in description
    assert description.splitlines()[-1] == "9,950 more findings; these are the worst 50 of 10,000."
    assert len(description) < 50_000
    metadata = check_metadata(ROW, entry, None)
    code = "open_breaker_without_operator_action"
    assert metadata["Findings by code"] == f"1 FAIL {code}, 9,999 WARN {code}"


@pytest.mark.parametrize("row", ALL_CHECKS, ids=lambda row: row.check)
def test_the_list_of_checks_names_row_and_title_and_says_what_non_blocking_means(row):
    spec = check_spec(row, [], DagsterNames())
    title = row.title if row.id == row.check else f"{row.id} {row.title}"
    assert spec.description.startswith(f"**{title}**")
    assert row.requirement in spec.description
    assert "non-blocking because" in spec.description
    assert spec.metadata["phase5/row"] == row.id


def test_each_code_that_a_check_can_give_has_something_to_do():
    for judging in (*JUDGING, SIGN_OFF_JUDGING):
        assert all(remedies(judging.codes).values())
