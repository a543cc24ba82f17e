"""Remedies as a CloudFormation template (JSON): a stack of its own, beside what exists. Pure.

What exists already cannot be changed by a new stack; the template says of each such resource that it leaves it out, and why.
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
from phase5_ops.remedies.values import NotInThisFormat, identifier, mapped
from phase5_ops.remedies.words import about, named, said
from phase5_ops.text import printable

_MOST_RESOURCES = 500  # of a template, a quota of CloudFormation
_DESCRIPTION = "Printed by phase5 remedy. Make a new stack of it: a later output would delete what it does not have any more."
_DYNAMIC = "{{resolve:"  # CloudFormation puts a secret or parameter in its place, and has no way to write it literally


def render(plan: RemedyPlan) -> tuple[str, list[str]]:
    """The template, "" where it would have no resource; and what it leaves out, a line each."""
    resources: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    left_out: list[str] = []
    for row, remedy in plan.remedies():
        try:
            kind, properties = _resource(remedy.resource, room=len(resources) < _MOST_RESOURCES)
            metadata = {"Row": row.id, "Why": [_literal(line) for line in about(remedy)]}
            content = {"Type": kind, "Metadata": metadata, "Properties": mapped(properties, _value)}
        except NotInThisFormat as error:
            left_out.append(printable(f"left out: {named(remedy.resource)}: {error}"))
            continue
        resources[identifier(kind.rpartition("::")[2], named(remedy.resource))] = content
        for each in parameters_of(remedy.resource):
            parameters[each.name] = _declared(each)
    if not resources:
        return "", left_out
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": _DESCRIPTION,
        "Metadata": {"Phase5": {"Said": [line.replace(_DYNAMIC, "{ {resolve:") for line in (*said(plan), *left_out)]}},
        **({"Parameters": parameters} if parameters else {}),
        "Resources": resources,
    }
    return json.dumps(template, indent=2), left_out


def _declared(parameter: RemedyParameter) -> dict[str, Any]:
    kind = {"Type": "Number"} if parameter.number else {"Type": "String", "AllowedPattern": f"^{parameter.pattern}$"}
    return {**kind, "Description": parameter.description}


def _literal(text: str) -> str:
    if _DYNAMIC in text:
        raise NotInThisFormat(f"CloudFormation would resolve {_DYNAMIC}...}}}} in its text; use --format commands")
    return text


def _value(value: str | RemedyParameter) -> Any:  # noqa: ANN401 - a text or an intrinsic function
    return {"Ref": value.name} if isinstance(value, RemedyParameter) else _literal(value)


def _resource(resource: Resource, *, room: bool) -> tuple[str, Mapping[str, Any]]:
    """Type and properties."""
    if not room:
        raise NotInThisFormat(f"a template takes {_MOST_RESOURCES} resources; give fewer rows, or use --format commands")
    match resource:
        case NewAlarm():
            return "AWS::CloudWatch::Alarm", resource.request
        case NewDashboard():
            body = json.dumps(resource.body)
            return "AWS::CloudWatch::Dashboard", {"DashboardName": resource.name, "DashboardBody": body}
        case NewBudget():
            return "AWS::Budgets::Budget", _budget(resource)
        case RolePolicy():
            return "AWS::IAM::RolePolicy", {
                "RoleName": resource.role,
                "PolicyName": resource.name,
                "PolicyDocument": resource.document,
            }
        case AlarmDescription():
            raise NotInThisFormat("a new stack cannot change an alarm that exists; use --format commands or terraform-json")
        case ActiveCostTag():
            raise NotInThisFormat("CloudFormation has no such resource; use --format commands or terraform-json")
        case _:
            raise NotInThisFormat("a text is no resource; --format commands prints it")


def _budget(budget: NewBudget) -> dict[str, Any]:
    return {
        "Budget": {
            "BudgetName": budget.name,
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": budget.amount, "Unit": budget.currency},
        },
        "NotificationsWithSubscribers": [
            {
                "Notification": {
                    "NotificationType": "ACTUAL",
                    "ComparisonOperator": "GREATER_THAN",
                    "Threshold": budget.percent,
                    "ThresholdType": "PERCENTAGE",
                },
                "Subscribers": [{"SubscriptionType": "EMAIL", "Address": budget.address}],
            }
        ],
    }
