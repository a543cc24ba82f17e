"""The two alarms that row 1.2 asks for, as parameters of CloudWatch's PutMetricAlarm. Pure.

They work on the metrics as the platform emits them: successes on {tool_name, connector_id} (1 % of them with tenant_id), errors
with tenant_id only. An alarm cannot sum over dimension sets, so the errors of all tenants come from a Metrics Insights query (an
alarm may have only one).
"""

from typing import Any

from phase5_ops.ccnative.metrics import CONNECTOR_DIMENSION, ERROR, LATENCY, SUCCESS, TOOL_DIMENSION
from phase5_ops.policy import SloPolicy
from phase5_ops.text import quoted

# One bad five minutes out of the last fifteen: fires also for a tool called once an hour, and does not flap between calls.
PERIOD_SECONDS = 300
EVALUATION_PERIODS = 3
DATAPOINTS_TO_ALARM = 1


def latency_alarm(
    tool: str, connector: str, *, namespace: str, topic_arn: str, runbook_url: str, slo: SloPolicy
) -> dict[str, Any]:
    """p99 of tool_latency_ms above the SLO's threshold; silence is INSUFFICIENT_DATA, not OK.

    Args:
        tool: canonical tool name.
        connector: the connector id that the tool's metrics carry.
        namespace: the namespace that the platform emits to.
        topic_arn: an SNS topic with a confirmed subscription.
        runbook_url: the runbook's section on SLO alarms, with its anchor.
        slo: the limits.
    """
    return {
        **_common(f"{tool} latency", topic_arn),
        "AlarmDescription": f"p99 latency of {tool} above {slo.latency_threshold_ms:g} ms. Runbook: {runbook_url}",
        "Namespace": namespace,
        "MetricName": LATENCY,
        "Dimensions": _dimensions(tool, connector),
        "ExtendedStatistic": "p99",
        "Period": PERIOD_SECONDS,
        "Threshold": slo.latency_threshold_ms,
        "TreatMissingData": "missing",
        "EvaluateLowSampleCountPercentile": "evaluate",
    }


def error_alarm(tool: str, connector: str, *, namespace: str, topic_arn: str, runbook_url: str, slo: SloPolicy) -> dict[str, Any]:
    """Share of failed calls of all tenants above the SLO's limit, in percent; no calls and no errors are not breaching.

    The arguments are those of `latency_alarm`.
    """
    source, value = quoted(namespace, '"'), quoted(tool, "'")
    errors = f"SELECT SUM({ERROR}) FROM {source} WHERE {TOOL_DIMENSION} = {value}"  # noqa: S608 - a metrics query
    metric = {"Namespace": namespace, "MetricName": SUCCESS, "Dimensions": _dimensions(tool, connector)}
    return {
        **_common(f"{tool} errors", topic_arn),
        "AlarmDescription": f"More than {100 * slo.error_rate_max:g} % of the calls of {tool} fail. Runbook: {runbook_url}",
        "Metrics": [
            {
                "Id": "share",
                "Expression": "100 * FILL(errors, 0) / (FILL(errors, 0) + FILL(successes, 0))",
                "Label": "failed calls in percent",
                "ReturnData": True,
            },
            {"Id": "errors", "Expression": errors, "Period": PERIOD_SECONDS, "ReturnData": False},
            {
                "Id": "successes",
                "MetricStat": {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": "Sum"},
                "ReturnData": False,
            },
        ],
        "Threshold": 100 * slo.error_rate_max,
        "TreatMissingData": "notBreaching",
    }


def _common(name: str, topic_arn: str) -> dict[str, Any]:
    return {
        "AlarmName": f"cc-native {name}",
        "ActionsEnabled": True,
        "AlarmActions": [topic_arn],
        "EvaluationPeriods": EVALUATION_PERIODS,
        "DatapointsToAlarm": DATAPOINTS_TO_ALARM,
        "ComparisonOperator": "GreaterThanThreshold",
    }


def _dimensions(tool: str, connector: str) -> list[dict[str, str]]:
    return [{"Name": TOOL_DIMENSION, "Value": tool}, {"Name": CONNECTOR_DIMENSION, "Value": connector}]
