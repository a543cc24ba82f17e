"""Each remedy, applied to a platform that has the fault, makes the row PASS, and no row beside it worse.

One healthy sandbox: a test plants the fault of the scenario of that name, and what the remedy mends is healthy again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from phase5_ops.ccnative.recommended_alarms import error_alarm, latency_alarm
from phase5_ops.commands.remedy import remedy_plan
from phase5_ops.context import open_run
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.remedies import cloudformation, commands, terraform
from phase5_ops.remedies.model import RemedyPlan
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.scenarios.registry import CRM
from phase5_ops.sandbox.server import DEFAULT_REGION, Sandbox
from phase5_ops.sandbox.state.blueprint import NAMESPACE, RUNBOOK
from phase5_ops.sandbox.state.function_roles import EXECUTION_ROLE, OWN_KEYS, TENANT, healthy_roles, statement
from phase5_ops.sandbox.state.healthy import ALARM_SECTION, ALERT_TOPIC
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.remedies.applying import calls_of_configuration, calls_of_template, made, run_script
from phase5_ops_tests.remedies.left_behind import readiness_run
from phase5_ops_tests.without_dagster import gathered

TOPIC = f"arn:aws:sns:{DEFAULT_REGION}:{ACCOUNT}:{ALERT_TOPIC}"

Measured = Mapping[str, GatheredTable[Any, Any]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as sandbox:
            yield sandbox


@pytest.fixture(scope="module")
def measured(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The tools and their metrics, which no alarm, runbook text or breaker changes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        patch.setenv("PHASE5_STATE_DIR", str(tmp_path_factory.mktemp("measured")))
        return gathered(open_run(load_settings(), "measured"), ["registered_tools", "tool_slo_summary"])


@dataclass
class Platform:
    """The sandbox's platform, with what is needed to break and mend it."""

    runbook: Path
    measured: Measured
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def judged(self, rows: list[str]) -> dict[str, tuple[Verdict, list[str]]]:
        """Verdict and finding codes of each row; each time in a state folder of its own."""
        self.monkeypatch.setenv("PHASE5_STATE_DIR", str(self.folder / f"state{len(list(self.folder.iterdir()))}"))
        found = readiness_run(load_settings(), rows, None if "1.1" in rows else self.measured)
        return {row: (each.verdict, [finding.code for finding in each.findings]) for row, each in found.items()}

    def alarm(self, signal: str) -> dict[str, object]:
        """An alarm of the CRM's tool, as PutMetricAlarm takes it."""
        client = boto3.client("cloudwatch")
        members = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        (alarm,) = client.describe_alarms(AlarmNames=[f"cc-native {CRM} {signal}"])["MetricAlarms"]
        return {name: value for name, value in alarm.items() if name in members and value not in (None, [])}


@pytest.fixture
def platform(running: Sandbox, measured: Measured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Platform:
    for name, value in running.exports().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHASE5_ISOLATION__IAM_TABLES", '["cc-native-ledger", "cc-native-re*"]')  # each costs seconds
    (tmp_path / "states").mkdir()
    return Platform(Path(running.exports()["PHASE5_RUNBOOK"]), measured, tmp_path / "states", monkeypatch)


Plant = Callable[[Platform], None]


def alarms_of_crm(*, without: str = "", **changes: dict[str, object]) -> Plant:
    """The two alarms as the healthy platform has them, but for one that is missing, and for changes by signal."""

    def plant(_platform: Platform) -> None:
        client, slo = boto3.client("cloudwatch"), load_settings().slo
        there = client.describe_alarms(AlarmNamePrefix=f"cc-native {CRM}")["MetricAlarms"]
        client.delete_alarms(AlarmNames=[each["AlarmName"] for each in there])
        for signal, alarm in (("latency", latency_alarm), ("errors", error_alarm)):
            if signal != without:
                healthy = alarm(CRM, "crm_salesforce", namespace=NAMESPACE, topic_arn=TOPIC, runbook_url=ALARM_SECTION, slo=slo)
                client.put_metric_alarm(**{**healthy, **changes.get(signal, {})})

    return plant


def no_dashboard(_platform: Platform) -> None:
    client = boto3.client("cloudwatch")
    names = [each["DashboardName"] for each in client.list_dashboards()["DashboardEntries"]]
    client.delete_dashboards(DashboardNames=names)


def part_of_a_dashboard(platform: Platform) -> None:
    client = boto3.client("cloudwatch")
    name = client.list_dashboards()["DashboardEntries"][0]["DashboardName"]
    body = json.loads(client.get_dashboard(DashboardName=name)["DashboardBody"])
    body["widgets"].pop()
    no_dashboard(platform)
    client.put_dashboard(DashboardName="cc-native-tool-slo", DashboardBody=json.dumps(body))


def role_with(*more: dict[str, object]) -> Plant:
    def plant(_platform: Platform) -> None:
        iam = boto3.client("iam")
        for name in iam.list_role_policies(RoleName=EXECUTION_ROLE)["PolicyNames"]:
            iam.delete_role_policy(RoleName=EXECUTION_ROLE, PolicyName=name)
        document = {"Version": "2012-10-17", "Statement": [*healthy_roles()[EXECUTION_ROLE], *more]}
        iam.put_role_policy(RoleName=EXECUTION_ROLE, PolicyName="data", PolicyDocument=json.dumps(document))

    return plant


def budget_without_alert(_platform: Platform) -> None:
    client = boto3.client("budgets")
    for budget in client.describe_budgets(AccountId=ACCOUNT)["Budgets"]:
        client.delete_budget(AccountId=ACCOUNT, BudgetName=budget["BudgetName"])
    limit = {"Amount": "1500", "Unit": "USD"}
    budget = {"BudgetName": "cc-native-monthly", "BudgetLimit": limit, "TimeUnit": "MONTHLY", "BudgetType": "COST"}
    client.create_budget(AccountId=ACCOUNT, Budget=budget)


def inactive_tag(_platform: Platform) -> None:
    status = [{"TagKey": "tenant", "Status": "Inactive"}]
    boto3.client("ce").update_cost_allocation_tags_status(CostAllocationTagsStatus=status)


@dataclass(frozen=True)
class Fault:
    """A fault: how it is planted, what it turns the first row into, and by which format it is mended."""

    name: str
    plant: Plant
    rows: list[str]
    code: str
    by: str


ALARM_ROWS = ["1.2", "1.3", "no_slo_alarm_firing"]
FAULTS = [
    Fault("latency-alarm-missing", alarms_of_crm(without="latency"), ALARM_ROWS, "latency_alarm_missing", "cloudformation"),
    Fault("error-alarm-missing", alarms_of_crm(without="errors"), ALARM_ROWS, "error_alarm_missing", "commands"),
    Fault("alarm-threshold-lax", alarms_of_crm(latency={"Threshold": 3e4}), ALARM_ROWS, "alarm_threshold_too_lax", "terraform"),
    Fault(
        "alarm-without-runbook-link",
        alarms_of_crm(latency={"AlarmDescription": "CRM is slow"}),
        ["1.3", "1.2"],
        "alarm_without_runbook_link",
        "commands",
    ),
    Fault(
        "alarm-link-disowned",
        alarms_of_crm(errors={"AlarmDescription": f"TODO: {ALARM_SECTION}"}),
        ["1.3", "1.2"],
        "alarm_runbook_link_disowned",
        "terraform",
    ),
    Fault("dashboard-missing", no_dashboard, ["1.1"], "dashboard_missing", "cloudformation"),
    Fault("dashboard-incomplete", part_of_a_dashboard, ["1.1"], "dashboard_incomplete", "terraform"),
    Fault(
        "role-unscoped",
        role_with(statement(["GetItem"], None)),
        ["iam_is_tenant_scoped"],
        "iam_access_unscoped",
        "cloudformation",
    ),
    Fault(
        "role-may-scan",
        role_with(
            statement(["Scan", "PartiQLSelect"], OWN_KEYS),
            statement(["Query"], [f"TENANT#{TENANT}*"]),
            statement(["BatchGetItem"], OWN_KEYS, "ForAnyValue:StringLike"),
            statement(["GetItem"], ["TENANT#${aws:PrincipalTag/tenant_id, 'globex'}"]),
        ),
        ["iam_is_tenant_scoped"],
        "iam_keyless_access",
        "commands",
    ),
    Fault("cost-budget-missing", budget_without_alert, ["5.2"], "budget_alarm_missing", "terraform"),
    Fault("cost-tag-inactive", inactive_tag, ["5.2"], "tag_not_active", "commands"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_printed_remedy_mends_the_row(fault: Fault, platform: Platform, tmp_path: Path):
    fault.plant(platform)
    before = platform.judged(fault.rows)
    assert before[fault.rows[0]][0] is not Verdict.PASS
    assert fault.code in before[fault.rows[0]][1]
    plan = remedy_plan(load_settings(), fault.rows, None)
    assert not plan.rows[0].by_hand
    made_by_hand_of_each_format_agree(plan)
    if fault.by == "commands":
        run_script(commands.render(plan), tmp_path)
    else:
        text, left_out = (cloudformation if fault.by == "cloudformation" else terraform).render(plan)
        assert not left_out
        for call in (calls_of_template if fault.by == "cloudformation" else calls_of_configuration)(text):
            made(call)
    after = platform.judged(fault.rows)
    assert after[fault.rows[0]] == (Verdict.PASS, [])
    assert all(after[row][0].severity <= before[row][0].severity for row in fault.rows)
    assert all(row.outcome.endswith("nothing to mend") for row in remedy_plan(load_settings(), fault.rows, None).rows)


def made_by_hand_of_each_format_agree(plan: RemedyPlan) -> None:
    """What one format creates another creates too, where both can."""
    template, _ = cloudformation.render(plan)
    configuration, _ = terraform.render(plan)
    if template:
        assert _plain(calls_of_template(template)) == _plain(calls_of_configuration(configuration))


def _plain(calls: list[tuple[str, str, dict[str, object]]]) -> list[tuple[str, str, str]]:
    """Calls that can be compared: documents within documents are values, too."""
    return sorted((service, method, _canonical(arguments)) for service, method, arguments in calls)


def _canonical(value: object) -> str:
    if isinstance(value, dict):
        opened = {
            name: json.loads(each) if name in ("DashboardBody", "PolicyDocument") and isinstance(each, str) else each
            for name, each in value.items()
        }
        return json.dumps(opened, sort_keys=True)
    return json.dumps(value)


ALARM_HEADING = "## SLO alarms (`tool_latency_ms`, `tool_error`)"


@pytest.mark.parametrize(
    ("row", "code", "broken"),
    [
        ("1.3", "runbook_anchor_missing", RUNBOOK.replace(ALARM_HEADING, "## Alarms")),
        ("2.2", "runbook_anchor_missing", RUNBOOK.replace("## Circuit breaker OPEN", "## Breakers")),
        ("1.3", "runbook_section_empty", f"{RUNBOOK.partition(ALARM_HEADING)[0]}{ALARM_HEADING}\n"),
    ],
    ids=["runbook-alarm-section-renamed", "runbook-breaker-section-missing", "runbook-section-empty"],
)
def test_the_printed_markdown_mends_the_runbook(row: str, code: str, broken: str, platform: Platform, tmp_path: Path):
    platform.runbook.write_text(broken, encoding="utf-8")
    try:
        verdict, codes = platform.judged([row])[row]
        assert (verdict, codes) == (Verdict.FAIL, [code])
        plan = remedy_plan(load_settings(), [row], None)
        calls, printed = run_script(commands.render(plan), tmp_path)
        assert not calls
        with platform.runbook.open("a", encoding="utf-8") as file:
            file.write(f"\n{printed}")
        assert platform.judged([row])[row] == (Verdict.PASS, [])
        for other in (cloudformation, terraform):
            text, left_out = other.render(plan)
            assert text == ""
            assert "--format commands prints it" in left_out[0]
    finally:
        platform.runbook.write_text(RUNBOOK, encoding="utf-8")


def test_what_the_alarm_had_beside_its_description_is_kept(platform: Platform, tmp_path: Path):
    alarms_of_crm(latency={"AlarmDescription": "CRM is slow", "OKActions": [TOPIC]})(platform)
    before = platform.alarm("latency")
    platform.judged(["1.3"])
    run_script(commands.render(remedy_plan(load_settings(), ["1.3"], None)), tmp_path)
    after = platform.alarm("latency")
    assert after.pop("AlarmDescription").startswith("CRM is slow Runbook: https://")
    assert before.pop("AlarmDescription") == "CRM is slow"
    assert after == before
