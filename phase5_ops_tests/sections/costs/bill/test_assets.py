"""The cost report as a run makes it: paid once a day, kept, refreshed on demand, stored with the evidence."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.request import url2pathname

import pytest
from typer.testing import CliRunner

from phase5_ops.cli import app as cli
from phase5_ops.cli.options import settings_of_environment
from phase5_ops.context import open_run
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sections.costs.bill import assets as cost_assets
from phase5_ops.sections.costs.bill.cache import CostCache
from phase5_ops.sections.costs.bill.evidence import TENANT_COST_REPORT, CostReport
from phase5_ops.sections.costs.budgets.evidence import AUTONOMY_BUDGET
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import run

pytestmark = pytest.mark.slow


def cost_row(document):
    return next(row for row in document.rows if row.id == "5.2")


@dataclass(frozen=True)
class Gathered:
    """A cost report as one run gathers it, without the rest of the run."""

    calls: dict[str, int]
    table: CostReport
    judgement: Judgement

    @property
    def requests(self):
        return self.calls.get("ce:GetCostAndUsage", 0)


def gather(settings=None):
    platform = open_run(settings or load_settings(), "run")
    table = cost_assets.gather_cost_report(platform, {})
    judgement = cost_assets.JUDGING[0].judges["cost_reported_per_tenant"](platform, {cost_assets.ASSET: table}, platform.now())
    return Gathered(platform.reader.meter.calls, table, judgement)


def kept_files():
    return list((load_settings().state_dir / cost_assets.CACHE_FOLDER).glob("*.parquet"))


def test_a_day_is_paid_once_and_again_when_asked_for(start):
    start("healthy")
    first, second = gather(), gather()
    assert (first.requests, first.calls["ce:ListCostAllocationTags"]) == (2, 1)
    assert [name for name in second.calls if name.startswith("ce:")] == []
    assert first.judgement.verdict is second.judgement.verdict is Verdict.PASS
    assert second.judgement.facts["costs_read_at"] == first.judgement.facts["costs_read_at"]
    describe = cost_assets.describe_cost_report
    prices = [describe(each.table)["cost_explorer_price_usd"].value for each in (first, second)]
    assert prices == [0.03, 0]
    assert "kept from an earlier run" in describe(second.table)["report"].value
    assert gather(load_settings(refresh_costs=True)).requests == 2


def test_both_rows_read_tenants_and_outcomes_once_and_say_when(start):
    start("healthy")
    document = run(rows=["5.1", "5.2"])
    store = EvidenceStore(load_settings().state_dir / "evidence")
    budget, cost = (
        {each.resource: each for each in store.read_table(document.run_id, name, table).reads if "Scan" in each.operation}
        for name, table in (("autonomy_budget", AUTONOMY_BUDGET), ("tenant_cost_report", TENANT_COST_REPORT))
    )
    assert set(cost) == {"cc-native-tenants", "cc-native-execution-outcomes"}
    assert all(budget[table] == read for table, read in cost.items())
    assert document.reading.calls["dynamodb:Scan"] == sum(each.pages for each in budget.values())
    alone = gather()
    assert alone.calls["dynamodb:Scan"] == len(cost)
    assert alone.judgement.facts["executions"] == cost_row(document).facts["executions"] > 0


def test_a_kept_pull_that_is_broken_or_of_another_question_is_paid_for_again(start, monkeypatch):
    start("healthy")
    gather()
    (kept,) = kept_files()
    kept.write_bytes(b"nonsense")
    assert gather().requests == 2
    monkeypatch.setenv("PHASE5_COSTS__SERVICES", '["AWS Lambda"]')
    narrowed = gather()
    assert narrowed.requests == 2
    assert narrowed.judgement.facts["shared_cost"] == "0.00"


def test_an_answer_that_cannot_be_kept_is_used_all_the_same(start, monkeypatch):
    start("healthy")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CostCache, "keep", full)
    assert gather().judgement.verdict is Verdict.PASS


def test_another_sandbox_in_the_same_state_folder_gets_its_own_costs(start):
    start("healthy")
    gather()
    start("cost-unallocated")
    assert gather().judgement.verdict is Verdict.FAIL


def test_a_pull_that_failed_is_not_kept(start):
    sandbox = start("cost-denied")
    assert gather().judgement.verdict is Verdict.ERROR
    sandbox.faults.clear()
    assert gather().judgement.verdict is Verdict.PASS


def test_two_runs_at_once_pay_for_one_pull(start):
    start("healthy")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: gather(), range(2)))
    assert sorted(each.requests for each in both) == [0, 2]
    assert {each.judgement.verdict for each in both} == {Verdict.PASS}


def test_the_report_is_stored_linked_and_digested(start):
    start("healthy")
    document = run(rows=["5.2"])
    assert cost_assets.EVIDENCE[0].describe is cost_assets.describe_cost_report
    assert json.dumps(cost_row(document).facts)
    link = next(link.url for link in cost_row(document).evidence if link.label == "Stored cost report")
    page = Path(url2pathname(link.removeprefix("file://")))
    assert "acme" in page.read_text(encoding="utf-8")
    store = EvidenceStore(load_settings().state_dir / "evidence")
    assert f"reports/{page.name}" in store.manifest(document.run_id)
    assert {row.tenant for row in store.read_table(document.run_id, "tenant_cost_report", TENANT_COST_REPORT).rows} == {
        "", "acme", "globex", "initech",
    }  # fmt: skip


def test_the_option_refresh_reaches_the_settings(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert settings_of_environment(refresh_costs=True).refresh_costs
    assert not settings_of_environment().refresh_costs


def test_refreshing_changes_no_policy(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    digests = {load_settings(refresh_costs=again).policy_digest(checklist_version="1", account="1") for again in (True, False)}
    assert len(digests) == 1


def test_the_help_of_check_tells_what_refresh_costs():
    shown = CliRunner().invoke(cli.app, ["check", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "--refresh" in shown.output
    assert "Ask Cost Explorer again ($0.01 a page) although today's answer is kept." in " ".join(shown.output.split())


def test_the_policy_of_a_run_allows_all_that_costs_need(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    settings = load_settings()
    statements = policy_for(Purpose.readiness, settings)["Statement"]
    for action in ("ce:GetCostAndUsage", "ce:ListCostAllocationTags", "budgets:ViewBudget"):
        assert any(action in each["Action"] and "*" in each["Resource"] for each in statements), action
    for table in ("tenants", "execution_outcomes"):
        name = getattr(settings.tables, table)
        assert any(
            {"dynamodb:Scan", "dynamodb:DescribeTable"} <= set(each["Action"])
            and any(resource.endswith(f"table/{name}") for resource in each["Resource"])
            for each in statements
        )
