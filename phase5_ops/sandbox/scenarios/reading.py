"""Scenarios in which the reading itself fails."""

from phase5_ops.sandbox.scenarios.registry import ERROR, INCONCLUSIVE, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint

#: What is judged by the tools' metrics.
_BY_METRICS = (
    *("1.1", "1.2", "2.2", "tool_slo_met", "error_budget_not_burning"),
    *("alarms_would_have_fired", "calls_are_measured"),
)


@scenario("metrics-denied", "GetMetricData is denied.", dict.fromkeys(_BY_METRICS, (ERROR, "read_failed")))
def _metrics_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "GetMetricData", "kind": "denied"})


@scenario(
    "alarms-throttled",
    "DescribeAlarms is throttled.",
    dict.fromkeys(("1.2", "1.3", "no_slo_alarm_firing", "alarms_would_have_fired"), (ERROR, "read_failed")),
)
def _alarms_throttled(state: Blueprint) -> None:
    state.faults.append({"operation": "DescribeAlarms", "kind": "throttle"})


@scenario(
    "dashboards-denied",
    "ListDashboards is denied.",
    {"1.1": (ERROR, "read_failed")},
)
def _dashboards_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "ListDashboards", "kind": "denied"})


@scenario(
    "resilience-table-missing",
    "The breakers' table does not exist.",
    {"2.1": (ERROR, "read_failed"), "2.2": (ERROR, "read_failed")},
)
def _resilience_table_missing(state: Blueprint) -> None:
    state.missing_tables.add("cc-native-resilience")


@scenario(
    "topics-denied",
    "The alarms' topic cannot be read.",
    {"1.2": (ERROR, "read_failed")},
)
def _topics_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "ListSubscriptionsByTopic", "kind": "denied"})


@scenario(
    "metrics-partial", "GetMetricData answers with partial data.", dict.fromkeys(_BY_METRICS, (INCONCLUSIVE, "partial_data"))
)
def _metrics_partial(state: Blueprint) -> None:
    state.faults.append({"operation": "GetMetricData", "kind": "partial"})
