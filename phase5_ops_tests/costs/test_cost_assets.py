"""The cost report as a run makes it: paid once a day, kept, refreshed on demand, stored with the evidence."""

import json
from pathlib import Path
from urllib.request import url2pathname

import pytest

from phase5_ops import cli
from phase5_ops.costs import cost_assets
from phase5_ops.costs.cost_evidence import rows_of
from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.settings import load_settings
from phase5_ops_tests.conftest import run


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch):
    monkeypatch.setattr("phase5_ops.costs.cost_assets.plot_costs", lambda _: b"")  # its own tests draw it


def cost_row(document):
    return next(row for row in document.rows if row.id == "5.2")


def requests(document):
    return document.reading.calls.get("ce:GetCostAndUsage", 0)


def test_a_day_is_paid_once_and_again_when_asked_for(start):
    start("healthy")
    first, second = run(rows=["5.2"]), run(rows=["5.2"])
    assert (requests(first), first.reading.cost_usd >= 0.03) == (2, True)
    assert (requests(second), second.reading.calls.get("ce:ListCostAllocationTags", 0)) == (0, 0)
    assert cost_row(first).verdict == cost_row(second).verdict == "PASS"
    assert cost_row(second).facts["costs_read_at"] == cost_row(first).facts["costs_read_at"]
    assert requests(run(load_settings(refresh_costs=True), rows=["5.2"])) == 2


def test_both_rows_read_tenants_and_outcomes_once_and_say_when(start):
    start("healthy")
    document = run(rows=["5.1", "5.2"])
    store = EvidenceStore(load_settings().state_dir / "evidence")
    budget, cost = (
        {each["resource"]: each for each in store.read_table(document.run_id, name).attrs["reads"] if "Scan" in each["operation"]}
        for name in ("autonomy_budget", "tenant_cost_report")
    )
    assert set(cost) == {"cc-native-tenants", "cc-native-execution-outcomes"}
    assert all(budget[table] == read for table, read in cost.items())
    assert document.reading.calls["dynamodb:Scan"] == len(budget)
    alone = run(rows=["5.2"])
    assert alone.reading.calls["dynamodb:Scan"] == len(cost)
    assert cost_row(alone).facts["executions"] == cost_row(document).facts["executions"] > 0


def test_a_kept_pull_that_is_broken_or_of_another_question_is_paid_for_again(start, monkeypatch):
    start("healthy")
    run(rows=["5.2"])
    (kept,) = (load_settings().state_dir / cost_assets.CACHE_FOLDER).glob("*.parquet")
    kept.write_bytes(b"nonsense")
    assert requests(run(rows=["5.2"])) == 2
    monkeypatch.setenv("PHASE5_COSTS__SERVICES", '["AWS Lambda"]')
    narrowed = run(rows=["5.2"])
    assert requests(narrowed) == 2
    assert cost_row(narrowed).facts["shared_cost"] == "0.00"


def test_another_sandbox_in_the_same_state_folder_gets_its_own_costs(start):
    start("healthy").stop()
    start("healthy")
    run(rows=["5.2"])
    start("cost-unallocated")
    assert cost_row(run(rows=["5.2"])).verdict == "FAIL"


def test_a_pull_that_failed_is_not_kept(start):
    sandbox = start("cost-denied")
    assert cost_row(run(rows=["5.2"])).verdict == "ERROR"
    sandbox.faults.clear()
    assert cost_row(run(rows=["5.2"])).verdict == "PASS"


def test_the_report_is_stored_linked_and_digested(start):
    start("healthy")
    document = run(rows=["5.2"])
    link = next(link.url for link in cost_row(document).evidence if link.label == "Stored cost report")
    page = Path(url2pathname(link.removeprefix("file://")))
    assert "acme" in page.read_text(encoding="utf-8")
    store = EvidenceStore(load_settings().state_dir / "evidence")
    assert f"reports/{page.name}" in store.manifest(document.run_id)
    assert {row.tenant for row in rows_of(store.read_table(document.run_id, "tenant_cost_report"))} == {
        "", "acme", "globex", "initech",
    }  # fmt: skip


def test_the_option_refresh_reaches_the_settings(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert cli._settings(refresh_costs=True).refresh_costs
    assert not cli._settings().refresh_costs


def test_refreshing_changes_no_policy(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    digests = {load_settings(refresh_costs=again).policy_digest(checklist_version="1", account="1") for again in (True, False)}
    assert len(digests) == 1


def test_metadata_tells_price_time_and_report(start):
    start("healthy")
    describe = cost_assets.describe_cost_report
    evidence = cost_assets.EVIDENCE[0]
    assert evidence.describe is describe
    document = run(rows=["5.2"])
    store = EvidenceStore(load_settings().state_dir / "evidence")
    described = describe(store.read_table(document.run_id, "tenant_cost_report"))
    assert described["cost_explorer_requests"].value == 3
    assert described["cost_explorer_price_usd"].value == 0.03
    assert "| acme | active |" in described["report"].value
    assert json.dumps(cost_row(document).facts)
