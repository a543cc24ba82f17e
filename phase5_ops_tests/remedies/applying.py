"""Applies what `phase5 remedy` prints, in each of its formats, through boto3.

The script runs in a real Bash, whose `aws` hands its arguments to this process; templates and configurations are read as
CloudFormation and Terraform read them, as far as remedies go.
"""

import json
import os
import re
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import jmespath

#: What whoever applies a remedy knows, by the name of the parameter in CloudFormation.
GIVEN = {
    "AlertTopicArn": "arn:aws:sns:us-west-2:123456789012:cc-native-slo-alerts",
    "MonthlyBudgetAmount": 1500,
    "BudgetCurrency": "USD",
    "BudgetAlertEmail": "sre@example.com",
}

Call = tuple[str, str, dict[str, Any]]  # service, method of boto3, its arguments

_AWS = """\
#!{python} -S
import json, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    asked.sendall(json.dumps(sys.argv[1:]).encode())
    asked.shutdown(socket.SHUT_WR)
    code, _, text = b"".join(iter(lambda: asked.recv(65536), b"")).decode().partition(" ")
print(text)
sys.exit(int(code))
"""


def made(call: Call) -> Any:
    """What AWS answers to a call."""
    service, method, arguments = call
    return getattr(boto3.client(service), method)(**arguments)


def _parsed(argv: list[str]) -> tuple[Call, dict[str, str]]:
    """A call of the AWS CLI, with its other options; an option that is not known here is refused."""
    service, operation, *rest = argv
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    arguments = json.loads(options.pop("--cli-input-json", "{}"))
    unknown = options.keys() - {"--output", "--query"}
    assert not unknown, unknown
    return (service, operation.replace("-", "_"), arguments), options


@contextmanager
def aws_cli(folder: Path) -> Iterator[tuple[Path, list[Call]]]:
    """A folder with the command `aws`, which makes its calls in this process; and the calls, as they are made."""
    address, calls = str(folder / "asked"), []

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            call, options = _parsed(json.loads(self.rfile.read()))
            calls.append(call)
            answer = made(call)
            answer.pop("ResponseMetadata")
            shown = jmespath.search(options["--query"], answer) if "--query" in options else answer
            text = shown if options.get("--output") == "text" else json.dumps(shown, default=str)
            self.wfile.write(f"0 {text}".encode())

    (folder / "aws").write_text(_AWS.format(python=sys.executable, address=address), encoding="utf-8")
    (folder / "aws").chmod(0o755)
    with socketserver.UnixStreamServer(address, Asked) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield folder, calls
        finally:
            server.shutdown()
            serving.join()


def run_script(script: str, folder: Path, given: Mapping[str, object] = GIVEN) -> tuple[list[Call], str]:
    """Runs the commands; the calls that change something, and what the script printed."""
    with aws_cli(folder) as (path, calls):
        variables = {"_".join(re.findall(r"[A-Z][a-z]*", name)).upper(): str(value) for name, value in given.items()}
        environment = {**os.environ, **variables, "PATH": f"{path}:{Path(sys.executable).parent}:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=folder
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [call for call in calls if not call[1].startswith(("describe_", "get_"))], done.stdout


def calls_of_template(text: str, given: Mapping[str, object] = GIVEN) -> list[Call]:
    """The calls by which CloudFormation would create the template's resources."""
    template = json.loads(text)
    for name, parameter in template.get("Parameters", {}).items():
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(given[name]))

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"Ref"}:
                return given[value["Ref"]]
            if value.keys() == {"Fn::Join"}:
                return value["Fn::Join"][0].join(value["Fn::Join"][1])
            return {name: resolved(each) for name, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    return [_created(each["Type"], resolved(each["Properties"])) for each in template["Resources"].values()]


def _created(kind: str, properties: dict[str, Any]) -> Call:
    match kind:
        case "AWS::CloudWatch::Alarm":
            return "cloudwatch", "put_metric_alarm", properties
        case "AWS::CloudWatch::Dashboard":
            return "cloudwatch", "put_dashboard", properties
        case "AWS::IAM::RolePolicy":
            return "iam", "put_role_policy", {**properties, "PolicyDocument": json.dumps(properties["PolicyDocument"])}
        case "AWS::Budgets::Budget":
            budget = properties["Budget"]
            limit = {**budget["BudgetLimit"], "Amount": str(budget["BudgetLimit"]["Amount"])}
            return (
                "budgets",
                "create_budget",
                {"AccountId": "123456789012", **properties, "Budget": {**budget, "BudgetLimit": limit}},
            )
    raise AssertionError(f"no remedy makes {kind}")


_ALARM_ARGUMENTS = {
    "alarm_name": "AlarmName",
    "alarm_description": "AlarmDescription",
    "actions_enabled": "ActionsEnabled",
    "alarm_actions": "AlarmActions",
    "comparison_operator": "ComparisonOperator",
    "evaluation_periods": "EvaluationPeriods",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "threshold": "Threshold",
    "treat_missing_data": "TreatMissingData",
    "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
    "period": "Period",
}


def calls_of_configuration(text: str, given: Mapping[str, object] = GIVEN) -> list[Call]:
    """The calls by which Terraform would create the resources, or change those that it imports."""
    configuration = json.loads(text)
    variables = {"_".join(re.findall(r"[A-Z][a-z]*", name)).lower(): value for name, value in given.items()}
    assert configuration.get("variable", {}).keys() <= variables.keys()

    def evaluated(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: evaluated(each) for name, each in value.items()}
        if isinstance(value, list):
            return [evaluated(each) for each in value]
        if not isinstance(value, str):
            return value
        if variable := re.fullmatch(r"\$\{var\.([a-z_]+)\}", value):
            return variables[variable[1]]
        assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", value), value  # Terraform would evaluate it
        return value.replace("$${", "${").replace("%%{", "%{")

    imported = {each["to"]: evaluated(each["id"]) for each in configuration.get("import", [])}
    calls = []
    for kind, resources in configuration["resource"].items():
        for name, arguments in resources.items():
            asked = evaluated({key: value for key, value in arguments.items() if key != "//"})
            calls.append(_applied(kind, asked, imported.get(f"{kind}.{name}")))
    return calls


def _applied(kind: str, arguments: dict[str, Any], imported: str | None) -> Call:
    match kind:
        case "aws_cloudwatch_metric_alarm":
            return "cloudwatch", "put_metric_alarm", _alarm(arguments, imported)
        case "aws_cloudwatch_dashboard":
            names = {"dashboard_name": "DashboardName", "dashboard_body": "DashboardBody"}
            return "cloudwatch", "put_dashboard", {names[name]: value for name, value in arguments.items()}
        case "aws_iam_role_policy":
            names = {"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"}
            return "iam", "put_role_policy", {names[name]: value for name, value in arguments.items()}
        case "aws_ce_cost_allocation_tag":
            status = [{"TagKey": arguments["tag_key"], "Status": arguments["status"]}]
            return "ce", "update_cost_allocation_tags_status", {"CostAllocationTagsStatus": status}
        case "aws_budgets_budget":
            return "budgets", "create_budget", _budget(arguments)
    raise AssertionError(f"no remedy makes {kind}")


def _alarm(arguments: dict[str, Any], imported: str | None) -> dict[str, Any]:
    ignored = arguments.pop("lifecycle", {}).get("ignore_changes", [])
    asked = {theirs: arguments[name] for name, theirs in _ALARM_ARGUMENTS.items() if name in arguments and name not in ignored}
    if "dimensions" in arguments and "dimensions" not in ignored:
        asked["Dimensions"] = _dimensions(arguments["dimensions"])
    if "metric_query" in arguments and "metric_query" not in ignored:
        asked["Metrics"] = [_query(each) for each in arguments["metric_query"]]
    if imported is None:
        return asked
    (there,) = boto3.client("cloudwatch").describe_alarms(AlarmNames=[imported])["MetricAlarms"]
    members = boto3.client("cloudwatch").meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    return {name: value for name, value in there.items() if name in members} | asked


def _query(query: dict[str, Any]) -> dict[str, Any]:
    names = {"id": "Id", "expression": "Expression", "label": "Label", "return_data": "ReturnData", "period": "Period"}
    found = {names[name]: value for name, value in query.items() if name in names}
    for metric in query.get("metric", []):
        named = {"Namespace": metric["namespace"], "MetricName": metric["metric_name"]}
        named["Dimensions"] = _dimensions(metric["dimensions"])
        found["MetricStat"] = {"Metric": named, "Period": metric["period"], "Stat": metric["stat"]}
    return found


def _dimensions(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def _budget(arguments: dict[str, Any]) -> dict[str, Any]:
    (alert,) = arguments["notification"]
    return {
        "AccountId": "123456789012",
        "Budget": {
            "BudgetName": arguments["name"],
            "BudgetType": arguments["budget_type"],
            "TimeUnit": arguments["time_unit"],
            "BudgetLimit": {"Amount": str(arguments["limit_amount"]), "Unit": arguments["limit_unit"]},
        },
        "NotificationsWithSubscribers": [
            {
                "Notification": {
                    "NotificationType": alert["notification_type"],
                    "ComparisonOperator": alert["comparison_operator"],
                    "Threshold": alert["threshold"],
                    "ThresholdType": alert["threshold_type"],
                },
                "Subscribers": [
                    {"SubscriptionType": "EMAIL", "Address": address} for address in alert["subscriber_email_addresses"]
                ],
            }
        ],
    }
