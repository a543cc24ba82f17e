"""One alarm as DescribeAlarms gives it, and what belongs to it, in the columns of the evidence table `slo_alarms`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from math import isfinite
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.clock import iso, parse_iso
from phase5_ops.cloudwatch.alarm_answers import Subscription, Topic
from phase5_ops.cloudwatch.metrics_insights import InsightsError, InsightsQuery, is_insights_query, parse_query

_MOST = 10**7  # seconds, or periods: more than CloudWatch takes of either
_LONGEST = 200  # of what is said of figures that cannot be read


def is_topic(arn: str) -> bool:
    """Whether an action publishes to SNS."""
    return arn.split(":")[2:3] == ["sns"]


def acts_on_machines(arn: str) -> bool:
    """Whether an action does something to EC2 instances, or scales: nobody hears of that."""
    return arn.split(":")[2:3] in (["automate"], ["swf"], ["autoscaling"])


def queries_of(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An alarm's queries in one shape, whether it watches one metric or a list of queries."""
    if not raw.get("Metrics"):
        stat = raw.get("ExtendedStatistic") or raw.get("Statistic")
        source = {"Metric": raw, "Stat": stat, "Period": raw.get("Period"), "Unit": raw.get("Unit")}
        return [_query({"Id": "m1", "MetricStat": source})]
    return [_query(query) for query in raw["Metrics"] if isinstance(query, Mapping)]


def account_of(raw: Mapping[str, Any]) -> str | None:
    """The account that an alarm lives in; None where its ARN does not say."""
    return (str(raw.get("AlarmArn") or "").split(":") + [""] * 5)[4] or None


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    source = query.get("MetricStat") or {}
    metric = source.get("Metric") or {}
    expression = query.get("Expression")
    insights = _insights(expression)
    return {
        "id": str(query.get("Id")),
        "metric": insights.metric_name if insights else metric.get("MetricName"),
        "namespace": insights.namespace if insights else metric.get("Namespace"),
        "dimensions": {str(entry.get("Name")): str(entry.get("Value")) for entry in metric.get("Dimensions") or []},
        "stat": insights.statistic if insights else source.get("Stat"),
        "unit": source.get("Unit"),
        "account": query.get("AccountId"),
        "expression": expression,
        "returned": query.get("ReturnData", True) is not False,
        "period": source.get("Period") or query.get("Period"),
    }


def _insights(expression: object) -> InsightsQuery | None:
    """The Metrics Insights query of an expression, or None where it is not one or cannot be read (the judge says so then)."""
    try:
        return parse_query(expression) if isinstance(expression, str) and is_insights_query(expression) else None
    except InsightsError:
        return None


def alarm_columns(  # noqa: PLR0917 - everything that is known of an alarm
    raw: Mapping[str, Any],
    queries: Sequence[Mapping[str, Any]],
    parents: Sequence[Mapping[str, Any]],
    topics: Mapping[str, Topic],
    mute_rules: Sequence[Mapping[str, Any]],
    links: ConsoleLinks,
) -> dict[str, Any]:
    """The columns of one alarm: definition, state, ways to people.

    Args:
        raw: of DescribeAlarms.
        queries: of `queries_of`.
        parents: the composites above it.
        topics: by ARN, as they were read.
        mute_rules: all of the region.
        links: console URLs of the region.
    """
    name, arn = str(raw.get("AlarmName")), str(raw.get("AlarmArn") or "")
    actions = names_in(raw.get("AlarmActions"))
    used = sorted({arn for arn in (*actions, *(arn for parent in parents for arn in parent["actions"])) if is_topic(arn)})
    returned = next((query for query in queries if query["returned"]), queries[0] if queries else {})
    columns = {
        "alarm": name,
        "namespace": _joined(query["namespace"] for query in queries),
        "metric": _joined(query["metric"] for query in queries),
        "statistic": _joined(query["stat"] for query in queries),
        "expression": returned.get("expression"),
        "queries": queries,
        "treat_missing": raw.get("TreatMissingData") or "missing",
        "low_sample": raw.get("EvaluateLowSampleCountPercentile"),
        "account": account_of(raw),
        "region": (arn.split(":") + [""] * 4)[3] or links.region,
        "arn": arn or None,
        "comparison": raw.get("ComparisonOperator"),
        "actions_enabled": raw.get("ActionsEnabled") is not False,
        "alarm_actions": actions,
        "topics": {arn: _topic_columns(topics.get(arn)) for arn in used},
        "parents": parents,
        "mute_rules": _mutes({name, *(parent["alarm"] for parent in parents)}, mute_rules),
        "state": raw.get("StateValue"),
        "state_reason": raw.get("StateReason"),
        "evaluation_state": raw.get("EvaluationState"),
        "description": raw.get("AlarmDescription"),
        "url": links.alarm(name),
    }
    return columns | _figures(raw, queries)


def _figures(raw: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers and timestamps of an alarm, null where they cannot be read, with the reason in `unreadable`."""
    try:
        periods = [int(query["period"]) for query in queries if query["period"] is not None]
        evaluation = int(raw["EvaluationPeriods"])
        needed = int(raw.get("DatapointsToAlarm") or evaluation)
        threshold = None if raw.get("Threshold") is None else float(raw["Threshold"])
        if not all(1 <= number <= _MOST for number in (evaluation, needed, *periods)) or not isfinite(threshold or 0):
            said = f"period {periods} s, {needed} of {evaluation} evaluation periods, threshold {threshold}"
            raise ValueError(said[:_LONGEST])  # noqa: TRY301 - joins what int() refuses
        return {
            "period": max(periods) if periods else 300 if raw.get("Metrics") else None,
            "evaluation_periods": evaluation,
            "datapoints_to_alarm": needed,
            "threshold": threshold,
            "state_updated_at": _stamp(raw.get("StateUpdatedTimestamp")),
            "configured_at": _stamp(raw.get("AlarmConfigurationUpdatedTimestamp")),
            "unreadable": None,
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return {"unreadable": f"{type(error).__name__}: {error}"}


def _stamp(value: object) -> str | None:
    if value is None:
        return None
    return iso(value) if isinstance(value, datetime) else iso(parse_iso(str(value)))


def _stamp_or_text(value: object) -> str | None:
    """A moment as it is written in evidence; what is none that the calendar has in UTC, as it was given."""
    try:
        return _stamp(value)
    except (ValueError, OverflowError):
        return str(value)


def _topic_columns(topic: Topic | None) -> dict[str, Any]:
    """The columns of a topic, without addresses of people."""
    if topic is None:
        return {"exists": None, "confirmed": None, "pending": None, "error": "not read"}
    return {
        "exists": topic.exists,
        "confirmed": topic.confirmed,
        "pending": topic.pending,
        "error": topic.error,
        "policy": topic.policy,
        "key": asdict(topic.key) if topic.key else None,
        "withheld": topic.withheld,
        "subscriptions": [_subscription_columns(subscription) for subscription in topic.subscriptions],
    }


def _subscription_columns(subscription: Subscription) -> dict[str, Any]:
    attributes = subscription.attributes or {}
    return {
        "protocol": subscription.protocol,
        "target": subscription.endpoint if subscription.protocol in ("sqs", "lambda") else None,
        "read": subscription.attributes is not None,
        "filter_policy": attributes.get("FilterPolicy"),
        "filter_scope": attributes.get("FilterPolicyScope"),
        "missing": subscription.missing,
        "target_policy": subscription.target_policy,
        "target_key": asdict(subscription.target_key) if subscription.target_key else None,
        "withheld": subscription.withheld,
    }


def _mutes(names: set[str], rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The mute rules, active or scheduled, on any of these alarms."""
    found = []
    for rule in rules:
        schedule = (rule.get("Rule") or {}).get("Schedule") or {}
        for alarm in sorted(names & set(names_in((rule.get("MuteTargets") or {}).get("AlarmNames")))):
            found.append(
                {
                    "alarm": alarm,
                    "name": rule.get("Name"),
                    "status": rule.get("Status"),
                    "expression": schedule.get("Expression"),
                    "duration": schedule.get("Duration"),
                    "timezone": schedule.get("Timezone"),
                    "starts": _stamp_or_text(rule.get("StartDate")),
                    "expires": _stamp_or_text(rule.get("ExpireDate")),
                }
            )
    return found


def names_in(value: object) -> list[str]:
    """The items of a list as texts; [] for anything else."""
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _joined(values: Iterable[object]) -> str | None:
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or None
