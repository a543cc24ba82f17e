"""Remedies as a Bash script of AWS CLI lines, which a person reads before running it. Pure.

Whatever comes from the platform stands in JSON of plain ASCII inside single quotes, so that no name can be taken as shell.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Any

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
    RunbookText,
)
from phase5_ops.remedies.values import parameters_in, with_placeholders, words_of
from phase5_ops.remedies.words import about, by_hand, named
from phase5_ops.text import printable

#: Gives an alarm that exists some other parameters, and keeps all that PutMetricAlarm knows of the rest.
_CHANGE_ALARM = """\
# change_alarm WHICH CHANGE: reads the alarm and writes it again with the change; everything else stays as it is
change_alarm() {
  local changed
  changed="$(aws cloudwatch describe-alarms --output json --cli-input-json "$1" | python3 -c '
import json, sys
alarm = json.load(sys.stdin)["MetricAlarms"][0]
kept = ("AlarmName ActionsEnabled OKActions AlarmActions InsufficientDataActions MetricName Namespace Statistic"
    " ExtendedStatistic Dimensions Period Unit EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator"
    " TreatMissingData EvaluateLowSampleCountPercentile Metrics ThresholdMetricId EvaluationWindow WarmUpConfiguration"
    " EvaluationCriteria EvaluationInterval ActionConfiguration").split()
json.dump({name: alarm[name] for name in kept if alarm.get(name) is not None} | json.loads(sys.argv[1]), sys.stdout)
' "$2")"
  aws cloudwatch put-metric-alarm --cli-input-json "$changed"
}"""


def render(plan: RemedyPlan) -> str:
    """The script; one that has nothing to apply holds comments alone."""
    made = plan.remedies()
    lines = [
        "#!/usr/bin/env bash",
        _comment(plan.headline),
        "# Printed by phase5 remedy, which applies nothing. Read it, then run it with the AWS CLI (version 2) and python3.",
        *(_comment(f"NOTICE: {notice}") for notice in plan.notices),
        "set -euo pipefail",
    ]
    if any(not isinstance(remedy.resource, RunbookText) for _, remedy in made):
        lines += _setting(plan)
    needed = [each for _, remedy in made for each in parameters_of(remedy.resource)]
    lines += [_required(each) for each in dict.fromkeys(needed)]
    if any(isinstance(remedy.resource, AlarmDescription) for _, remedy in made):
        lines += ["", _CHANGE_ALARM]
    for row in plan.rows:
        lines += ["", _comment(row.outcome), *(f"#   {line}" for line in by_hand(row))]
        for _, remedy in [pair for pair in made if pair[0] is row]:
            lines += ["", _comment(named(remedy.resource)), *(f"# {line}" for line in about(remedy))]
            lines += _written(remedy.resource, plan)
    return "\n".join(lines)


def parameters_of(resource: Resource) -> list[RemedyParameter]:
    """The parameters that a resource needs."""
    match resource:
        case NewAlarm():
            return parameters_in(resource.request)
        case NewBudget():
            return parameters_in([resource.amount, resource.currency, resource.address])
        case _:
            return []


def variable(parameter: RemedyParameter) -> str:
    """The shell variable of a parameter: `ALERT_TOPIC_ARN`."""
    return "_".join(words_of(parameter.name)).upper()


def _setting(plan: RemedyPlan) -> Iterator[str]:
    """The region that was judged, and a stop where the credentials are those of another account."""
    if plan.region:
        region = shlex.quote(plan.region)
        yield f"export AWS_REGION={region} AWS_DEFAULT_REGION={region}"
    if re.fullmatch(r"[0-9]{12}", plan.account):
        yield (
            f'[ "$(aws sts get-caller-identity --query Account --output text)" = {plan.account} ]'
            f" || {{ echo 'these are not credentials of account {plan.account}, which was judged' >&2; exit 1; }}"
        )


def _required(parameter: RemedyParameter) -> str:
    # the description is ours: no quote, brace or dollar is in it
    return f': "${{{variable(parameter)}:?set it to the {parameter.description.rstrip(".")}}}"'


def _written(resource: Resource, plan: RemedyPlan) -> Iterator[str]:
    match resource:
        case NewAlarm():
            yield _call("cloudwatch put-metric-alarm", resource.request)
        case AlarmDescription():
            which = _quoted({"AlarmNames": [resource.alarm], "AlarmTypes": ["MetricAlarm"]})
            yield f"change_alarm {which} {_quoted({'AlarmDescription': resource.description})}"
        case NewDashboard():
            body = {"DashboardName": resource.name, "DashboardBody": _json(resource.body)}
            yield _call("cloudwatch put-dashboard", body)
        case NewBudget():
            yield _call("budgets create-budget", _budget(resource, plan.account))
        case ActiveCostTag():
            status = [{"TagKey": resource.key, "Status": "Active"}]
            yield _call("ce update-cost-allocation-tags-status", {"CostAllocationTagsStatus": status})
        case RolePolicy():
            document = _json(resource.document)
            content = {"RoleName": resource.role, "PolicyName": resource.name, "PolicyDocument": document}
            yield _call("iam put-role-policy", content)
        case RunbookText():
            yield _comment(f"Put this {resource.place} of the runbook {resource.runbook}; running it prints it:")
            yield f"cat <<'END_OF_TEXT'\n{resource.markdown}\nEND_OF_TEXT"


def _budget(budget: NewBudget, account: str) -> dict[str, Any]:
    return {
        "AccountId": account,
        "Budget": {
            "BudgetName": budget.name,
            "BudgetLimit": {"Amount": budget.amount, "Unit": budget.currency},
            "TimeUnit": "MONTHLY",
            "BudgetType": "COST",
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


def _call(operation: str, content: Any) -> str:  # noqa: ANN401 - any JSON value, perhaps with parameters
    return f"aws {operation} --cli-input-json {_quoted(content)}"


def _quoted(content: Any) -> str:  # noqa: ANN401 - see `_call`
    """JSON as one word of the shell; parameters are variables."""
    return "".join(
        shlex.quote(part) if isinstance(part, str) else f'"${{{variable(part)}}}"' for part in with_placeholders(content)
    )


def _json(content: Any) -> str:  # noqa: ANN401 - any JSON value
    return "".join(str(part) for part in with_placeholders(content))


def _comment(text: str) -> str:
    return f"# {printable(text)}"
