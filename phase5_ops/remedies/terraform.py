"""Remedies as Terraform in JSON syntax (`*.tf.json`), with resources of the provider hashicorp/aws. Pure.

An alarm that exists is imported, and everything but its description is left as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from phase5_ops.remedies.commands import parameters_of
from phase5_ops.remedies.model import (
    ActiveCostTag,
    AlarmDescription,
    NewAlarm,
    NewBudget,
    NewDashboard,
    RemedyParameter,
    RemedyPlan,
    Resource,
    RolePolicy,
)
from phase5_ops.remedies.values import NotInThisFormat, identifier, mapped, words_of
from phase5_ops.remedies.words import about, named, said
from phase5_ops.text import printable

_ALARM = "aws_cloudwatch_metric_alarm"
#: Every argument of an alarm but its description, with that of PutMetricAlarm.
_ARGUMENTS = {
    "alarm_name": "AlarmName",
    "actions_enabled": "ActionsEnabled",
    "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions",
    "insufficient_data_actions": "InsufficientDataActions",
    "comparison_operator": "ComparisonOperator",
    "evaluation_periods": "EvaluationPeriods",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "threshold": "Threshold",
    "threshold_metric_id": "ThresholdMetricId",
    "treat_missing_data": "TreatMissingData",
    "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
    "period": "Period",
    "unit": "Unit",
}


def render(plan: RemedyPlan) -> tuple[str, list[str]]:
    """The configuration, "" where it would have no resource; and what it leaves out, a line each."""
    resources: dict[str, dict[str, Any]] = {}
    variables: dict[str, Any] = {}
    imports: list[dict[str, str]] = []
    left_out: list[str] = []
    for row, remedy in plan.remedies():
        resource = remedy.resource
        try:
            kind, arguments = _resource(resource)
        except NotInThisFormat as error:
            left_out.append(printable(f"left out: {named(resource)}: {error}"))
            continue
        name = identifier("r", named(resource)).lower()
        resources.setdefault(kind, {})[name] = {"//": [f"row {row.id}", *about(remedy)], **arguments}
        if isinstance(resource, AlarmDescription):
            imports.append({"to": f"{kind}.{name}", "id": _text(resource.alarm)})
        for each in parameters_of(resource):
            variables["_".join(words_of(each.name))] = _declared(each)
    if not resources:
        return "", left_out
    configuration = {
        "//": [
            "Printed by phase5 remedy. Give each output a folder of its own: a later one would destroy what it does not have.",
            *said(plan),
            *left_out,
        ],
        "terraform": {
            "required_version": ">= 1.5",
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": ">= 5.0"}},
        },
        "provider": {"aws": _provider(plan)},
        **({"variable": variables} if variables else {}),
        **({"import": imports} if imports else {}),
        "resource": resources,
    }
    return json.dumps(configuration, indent=2), left_out


def _provider(plan: RemedyPlan) -> dict[str, Any]:
    """The region and account that were judged, so that nothing is applied elsewhere."""
    known = {"region": _text(plan.region)} if plan.region else {}
    return known | ({"allowed_account_ids": [_text(plan.account)]} if plan.account else {})


def _declared(parameter: RemedyParameter) -> dict[str, Any]:
    return {"type": "number" if parameter.number else "string", "description": parameter.description}


def _text(text: str) -> str:
    """A literal text: Terraform evaluates ${ and %{ in every string of an argument."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _value(value: str | RemedyParameter) -> str:
    return f"${{var.{'_'.join(words_of(value.name))}}}" if isinstance(value, RemedyParameter) else _text(value)


def _resource(resource: Resource) -> tuple[str, Mapping[str, Any]]:
    """Type and arguments."""
    match resource:
        case NewAlarm():
            return _ALARM, _alarm(resource.request)
        case AlarmDescription():
            others = [name for name in _ARGUMENTS if name != "alarm_name"]
            kept = {"ignore_changes": [*others, "dimensions", "metric_query", "tags", "tags_all"]}
            return _ALARM, {**_alarm({**resource.known, "AlarmDescription": resource.description}), "lifecycle": kept}
        case NewDashboard():
            body = _text(json.dumps(resource.body))
            return "aws_cloudwatch_dashboard", {"dashboard_name": _text(resource.name), "dashboard_body": body}
        case NewBudget():
            return "aws_budgets_budget", {
                "name": _text(resource.name),
                "budget_type": "COST",
                "time_unit": "MONTHLY",
                "limit_amount": _value(resource.amount),
                "limit_unit": _value(resource.currency),
                "notification": [
                    {
                        "notification_type": "ACTUAL",
                        "comparison_operator": "GREATER_THAN",
                        "threshold": resource.percent,
                        "threshold_type": "PERCENTAGE",
                        "subscriber_email_addresses": [_value(resource.address)],
                    }
                ],
            }
        case ActiveCostTag():
            return "aws_ce_cost_allocation_tag", {"tag_key": _text(resource.key), "status": "Active"}
        case RolePolicy():
            document = _text(json.dumps(resource.document))
            return "aws_iam_role_policy", {"role": _text(resource.role), "name": _text(resource.name), "policy": document}
        case _:
            raise NotInThisFormat("a text is no resource; --format commands prints it")


def _alarm(request: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an alarm."""
    arguments = {name: request[theirs] for name, theirs in _ARGUMENTS.items() if request.get(theirs) is not None}
    arguments["alarm_description"] = request["AlarmDescription"]
    if "Dimensions" in request:
        arguments["dimensions"] = _dimensions(request["Dimensions"])
    if "Metrics" in request:
        arguments["metric_query"] = [_query(each) for each in request["Metrics"]]
    changed: dict[str, Any] = mapped(arguments, _value)
    return changed


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    names = {"id": "Id", "expression": "Expression", "label": "Label", "return_data": "ReturnData", "period": "Period"}
    found = {name: query[theirs] for name, theirs in names.items() if query.get(theirs) is not None}
    if "MetricStat" in query:
        source = query["MetricStat"]
        found["metric"] = [
            {
                "namespace": source["Metric"]["Namespace"],
                "metric_name": source["Metric"]["MetricName"],
                "dimensions": _dimensions(source["Metric"]["Dimensions"]),
                "period": source["Period"],
                "stat": source["Stat"],
            }
        ]
    return found


def _dimensions(dimensions: list[Mapping[str, str]]) -> dict[str, str]:
    return {_text(each["Name"]): each["Value"] for each in dimensions}
