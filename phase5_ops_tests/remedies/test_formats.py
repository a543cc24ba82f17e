"""What each format makes of resources: names that mean something to a shell or a template, parameters, and what is left out."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phase5_ops.remedies import cloudformation, commands, terraform
from phase5_ops.remedies.model import (
    ALERT_TOPIC,
    ActiveCostTag,
    AlarmDescription,
    ByHand,
    NewAlarm,
    NewBudget,
    NewDashboard,
    Remedy,
    RemedyParameter,
    RemedyPlan,
    Resource,
    RolePolicy,
    RowRemedies,
    RunbookText,
)
from phase5_ops.remedies.values import mapped, with_placeholders
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.remedies import applying

AMOUNT = RemedyParameter("MonthlyBudgetAmount", "What it may cost.", "[0-9]+", number=True)
CURRENCY = RemedyParameter("BudgetCurrency", "Of the bill.", "[A-Z]{3}")
ADDRESS = RemedyParameter("BudgetAlertEmail", "Who is told.", r"[^@\s]+@[^@\s]+")

NASTY = [
    'it\'s "quoted" \\ and more',
    "$(touch pwned) `touch pwned` ${HOME} $HOME ; touch pwned #",
    "line\nEND_OF_TEXT\ntouch pwned\n",
    "\x1b[31mred\x00 \u2028 \u202e ende",
    "${aws:username} %{if true}%{endif} ${var.x} $${y}",
    "<0:AlertTopicArn> -- @@ '\"'\"'",
    "!Ref x, Fn::Sub, {{not:resolved}}",
    "x" * 300,
]


def alarm(name: str) -> NewAlarm:
    return NewAlarm(
        {
            "AlarmName": f"cc-native {name} latency",
            "AlarmDescription": f"Of {name}",
            "AlarmActions": [ALERT_TOPIC],
            "ActionsEnabled": True,
            "EvaluationPeriods": 3,
            "ComparisonOperator": "GreaterThanThreshold",
            "Namespace": "CCNative/Execution",
            "MetricName": "tool_latency_ms",
            "Dimensions": [{"Name": "tool_name", "Value": name}],
            "ExtendedStatistic": "p99",
            "Period": 300,
            "Threshold": 5000,
        }
    )


def resources(name: str) -> list[Resource]:
    statement = {"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": f"arn:aws:dynamodb:*:*:table/{name}"}
    return [
        alarm(name),
        NewDashboard("cc-native-tool-slo", {"widgets": [{"type": "text", "properties": {"markdown": name}}]}),
        NewBudget("phase5-monthly-cost", AMOUNT, CURRENCY, ADDRESS),
        RolePolicy("cc-native-role", "phase5-tenant-scope", {"Version": "2012-10-17", "Statement": [statement]}),
    ]


def plan_of(*made: Resource, name: str = "x") -> RemedyPlan:
    by_hand = (ByHand(Finding("judge_crashed", Verdict.ERROR, name, "a verdict", f"seen {name}"), f"look at {name}"),)
    remedies = tuple(Remedy((("some_code", name),), each, (f"beware of {name}",)) for each in made)
    rows = (RowRemedies("1.2", "Alarms defined", "FAIL", "", remedies, by_hand),)
    return RemedyPlan("run-1", "sandbox", "2026-11-23T12:00:00.000Z", "123456789012", "us-west-2", rows, (f"notice {name}",))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[applying.Call]:
    """The calls that the script makes; none is sent."""
    calls: list[applying.Call] = []

    def answered(call: applying.Call) -> dict[str, Any]:
        calls.append(call)
        return {"Account": "123456789012", "ResponseMetadata": {}}

    monkeypatch.setattr(applying, "made", answered)
    return calls


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_no_name_is_taken_as_shell(name: str, asked: list[applying.Call], tmp_path: Path):
    script = commands.render(plan_of(*resources(name), ActiveCostTag(name), name=name))
    assert not re.search(r"[^\x20-\x7e\n\u0080-\U0010ffff]", script)
    assert all(each.isprintable() or each == "\n" for each in script)
    calls, _ = applying.run_script(script, tmp_path)
    assert not list(tmp_path.glob("pwned*"))
    made = {(service, method): arguments for service, method, arguments in calls}
    assert made["cloudwatch", "put_metric_alarm"]["AlarmName"] == f"cc-native {name} latency"
    assert made["cloudwatch", "put_metric_alarm"]["AlarmActions"] == [applying.GIVEN["AlertTopicArn"]]
    assert json.loads(made["cloudwatch", "put_dashboard"]["DashboardBody"])["widgets"][0]["properties"]["markdown"] == name
    assert made["budgets", "create_budget"]["Budget"]["BudgetLimit"] == {"Amount": "1500", "Unit": "USD"}
    assert json.loads(made["iam", "put_role_policy"]["PolicyDocument"])["Statement"][0]["Resource"].endswith(name)
    assert made["ce", "update_cost_allocation_tags_status"]["CostAllocationTagsStatus"][0]["TagKey"] == name
    assert len(asked) == len(calls) + 1  # the account is asked for first


def test_other_credentials_stop_the_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    calls: list[applying.Call] = []

    def answered(call: applying.Call) -> dict[str, Any]:
        calls.append(call)
        return {"Account": "999999999999", "ResponseMetadata": {}}

    monkeypatch.setattr(applying, "made", answered)
    with pytest.raises(AssertionError, match="these are not credentials of account 123456789012"):
        applying.run_script(commands.render(plan_of(alarm("crm"))), tmp_path)
    assert [method for _, method, _ in calls] == ["get_caller_identity"]


def test_a_script_without_its_parameter_says_which_one(tmp_path: Path, asked: list[applying.Call]):
    with pytest.raises(AssertionError, match="ALERT_TOPIC_ARN: set it to the ARN of an SNS topic"):
        applying.run_script(commands.render(plan_of(alarm("crm"))), tmp_path, {})
    assert all(method == "get_caller_identity" for _, method, _ in asked)


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_templates_and_configurations_hold_every_name_as_it_is(name: str):
    plan = plan_of(*resources(name), name=name)
    template, configuration = cloudformation.render(plan), terraform.render(plan)
    assert template[1] == configuration[1] == []
    for text, calls_of in ((template[0], applying.calls_of_template), (configuration[0], applying.calls_of_configuration)):
        assert text.isascii()
        made = {method: arguments for _, method, arguments in calls_of(text)}
        assert made["put_metric_alarm"]["Dimensions"] == [{"Name": "tool_name", "Value": name}]
        assert json.loads(made["put_dashboard"]["DashboardBody"])["widgets"][0]["properties"]["markdown"] == name
        assert json.loads(made["put_role_policy"]["PolicyDocument"])["Statement"][0]["Resource"].endswith(name)


def test_cloudformation_resolves_no_secret_for_a_name():
    name = "{{resolve:secretsmanager:prod:SecretString}}"
    text, left_out = cloudformation.render(plan_of(*resources(name), name=name))
    assert text == ""
    assert len(left_out) == len(resources(name))
    assert all("CloudFormation would resolve" in line for line in left_out)


def test_what_a_format_cannot_write_is_left_out_and_said():
    description = AlarmDescription("CRM slow", "Runbook: x", {"AlarmName": "CRM slow", "EvaluationPeriods": 1})
    text = RunbookText("runbook.md", "at the end", "## Section")
    plan = plan_of(alarm("crm"), description, ActiveCostTag("tenant"), text)
    template, left_out = cloudformation.render(plan)
    assert [each.split(":")[1].strip() for each in left_out] == [
        'description of the alarm "CRM slow"',
        'cost allocation tag "tenant"',
        "text at the end of the runbook runbook.md",
    ]
    assert left_out == json.loads(template)["Metadata"]["Phase5"]["Said"][-3:]
    configuration, left_out = terraform.render(plan)
    assert left_out == ["left out: text at the end of the runbook runbook.md: a text is no resource; --format commands prints it"]
    alarms = list(json.loads(configuration)["resource"]["aws_cloudwatch_metric_alarm"])
    assert json.loads(configuration)["import"] == [{"to": f"aws_cloudwatch_metric_alarm.{alarms[1]}", "id": "CRM slow"}]


def test_a_resource_that_mends_two_rows_is_written_once():
    plan = plan_of(alarm("crm"))
    twice = replace(plan, rows=(plan.rows[0], replace(plan.rows[0], id="1.3")))
    assert commands.render(twice).count("put-metric-alarm") == 1
    assert len(json.loads(cloudformation.render(twice)[0])["Resources"]) == 1


def test_an_account_that_is_not_known_is_not_asked_for():
    script = commands.render(replace(plan_of(alarm("crm")), account="", region=""))
    assert "sts" not in script
    assert "AWS_REGION" not in script
    configuration = json.loads(terraform.render(replace(plan_of(alarm("crm")), account="", region=""))[0])
    assert configuration["provider"] == {"aws": {}}


@pytest.mark.parametrize("value", [*NASTY, ALERT_TOPIC, [ALERT_TOPIC, {"<0:": [AMOUNT, "<1:AlertTopicArn>"]}], 5, []], ids=repr)
def test_placeholders_stand_where_the_parameter_was(value: object):
    filled = "".join(part if isinstance(part, str) else "GIVEN" for part in with_placeholders(value))
    assert json.loads(filled) == mapped(value, lambda each: each if isinstance(each, str) else "GIVEN")


SCHEMA = json.loads((Path(__file__).parent / "terraform_aws_5.100.0.json").read_text(encoding="utf-8"))["resources"]


def fits(arguments: dict[str, Any], block: dict[str, Any], where: str) -> None:
    """Every argument is one that the provider takes, and none that it needs is missing."""
    attributes, blocks = block["attributes"], block.get("block_types", {})
    for name, value in arguments.items():
        if name in ("//", "lifecycle"):  # of Terraform itself
            continue
        if name in blocks:
            for each in value:
                fits(each, blocks[name]["block"], f"{where}.{name}")
            continue
        assert attributes[name].get("required") or attributes[name].get("optional"), f"{where}.{name}"
    needed = {name for name, each in attributes.items() if each.get("required")}
    assert needed <= arguments.keys(), where


def test_the_provider_of_terraform_knows_every_argument():
    known = {"AlarmName": "CRM slow", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Metrics": [QUERY]}
    made = [*resources("crm"), ActiveCostTag("tenant"), AlarmDescription("CRM slow", "Runbook: x", known)]
    configuration = json.loads(terraform.render(plan_of(*made))[0])
    assert configuration["resource"].keys() == SCHEMA.keys()
    for kind, named in configuration["resource"].items():
        for arguments in named.values():
            fits(arguments, SCHEMA[kind], kind)
            assert {*arguments.get("lifecycle", {}).get("ignore_changes", ())} <= {
                *SCHEMA[kind]["attributes"],
                *SCHEMA[kind].get("block_types", {}),
            }


QUERY = {
    "Id": "m1",
    "ReturnData": True,
    "MetricStat": {
        "Metric": {"Namespace": "CCNative/Execution", "MetricName": "tool_error", "Dimensions": [{"Name": "a", "Value": "b"}]},
        "Period": 300,
        "Stat": "Sum",
    },
}


@pytest.mark.slow
def test_cfn_lint_is_clean(tmp_path: Path):
    names = [name for name in ("crm.create_task", *NASTY) if "\n" not in name and len(name) < 200]  # which no section lets pass
    for number, name in enumerate(names):
        text, _ = cloudformation.render(plan_of(*resources(name), name=name))
        (tmp_path / f"{number}.json").write_text(text, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "cfn-lint"), *map(str, tmp_path.glob("*.json"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
