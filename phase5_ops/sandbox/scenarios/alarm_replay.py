"""Scenarios of the check alarms_would_have_fired: breaches of the past, and alarms that pass row 1.2 and would miss them."""

from collections.abc import Iterable
from typing import Any

from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.sandbox.scenarios.registry import CRM, ERROR, FAIL, INCONCLUSIVE, WARN, scenario
from phase5_ops.sandbox.state.blueprint import TENANTS, AlarmHistory, Blueprint, Point

_CHECK = "alarms_would_have_fired"
_DAY = 24 * 60  # minutes
_LONG_AGO = 29 * _DAY
_OUTAGE = 5 * _DAY  # minutes ago: before all that other checks judge by itself


def _failing(state: Blueprint, minutes_ago: Iterable[int], *, failed: int, of: int | None = None) -> None:
    """In each of these minutes so many calls of the CRM tool fail, of so many (all, if nothing is said)."""
    base = {"tool_name": CRM, "connector_id": connector_of_tool(CRM)}
    for ago in minutes_ago:
        for metric, dimensions, count in (
            ("tool_error", {**base, "tenant_id": TENANTS[0]}, failed),
            ("tool_success", base, (failed if of is None else of) - failed),
        ):
            if count:
                latency = Point("tool_latency_ms", dimensions, 400.0, ago - 0.5, count)
                state.points += [Point(metric, dimensions, 1.0, ago - 0.5, count), latency]


def _by_minutes(alarm: dict[str, Any], *, of: int, to_alarm: int) -> None:
    """Lets an error alarm look at so many minutes, and fire if so many of them breach."""
    alarm |= {"EvaluationPeriods": of, "DatapointsToAlarm": to_alarm}
    for query in alarm["Metrics"]:
        if "Period" in query:
            query["Period"] = 60
        if "MetricStat" in query:
            query["MetricStat"]["Period"] = 60


@scenario(
    "breach-not-caught",
    "A tool failed once every five minutes for twenty-five minutes, and its alarm waits for five bad minutes of five.",
    {_CHECK: (FAIL, "breach_not_caught")},
)
def _breach_not_caught(state: Blueprint) -> None:
    _by_minutes(state.alarm(CRM, "error"), of=5, to_alarm=5)
    _failing(state, range(_OUTAGE, _OUTAGE - 25, -5), failed=12)


@scenario(
    "breach-caught-late",
    "A tool failed for half an hour, and its alarm, which waits for fifteen bad minutes of fifteen, began to count anew.",
    {_CHECK: (WARN, "breach_caught_late")},
)
def _breach_caught_late(state: Blueprint) -> None:
    _by_minutes(state.alarm(CRM, "error"), of=15, to_alarm=15)
    _failing(state, set(range(_OUTAGE - 29, _OUTAGE + 1)) - {_OUTAGE - 4}, failed=4)


@scenario(
    "breach-not-replayable",
    "A tool failed for half an hour twenty days ago, and its alarm is by the minute: CloudWatch keeps minutes for 15 days.",
    {_CHECK: (INCONCLUSIVE, "breach_not_replayed")},
)
def _breach_not_replayable(state: Blueprint) -> None:
    _by_minutes(state.alarm(CRM, "error"), of=5, to_alarm=3)
    _failing(state, range(20 * _DAY - 29, 20 * _DAY + 1), failed=4)


@scenario(
    "alarm-not-replayable",
    "A second latency alarm of a tool puts minutes and five minutes together, which nobody can replay by one period.",
    {_CHECK: (WARN, "alarm_not_replayed")},
)
def _alarm_not_replayable(state: Blueprint) -> None:
    usual = state.alarm(CRM, "latency")
    metric = {key: usual[key] for key in ("Namespace", "MetricName", "Dimensions")}
    queries = [
        {"Id": key, "MetricStat": {"Metric": metric, "Period": period, "Stat": "p99"}, "ReturnData": False}
        for key, period in (("minute", 60), ("minutes", 300))
    ]
    kept = ("AlarmActions", "AlarmDescription", "EvaluationPeriods", "ComparisonOperator", "Threshold", "TreatMissingData")
    state.alarms.append(
        {
            **{key: usual[key] for key in kept},
            "AlarmName": "CRM slow for long",
            "Metrics": [{"Id": "both", "Expression": "MIN([minute, minutes])", "ReturnData": True}, *queries],
        }
    )


@scenario(
    "false-alarms",
    "A tool's error alarm is stricter than its SLO, and would have fired on six days without a breach.",
    {_CHECK: (WARN, "false_alarms")},
)
def _false_alarms(state: Blueprint) -> None:
    state.alarm(CRM, "error")["Threshold"] = 0.55
    _failing(state, (_OUTAGE + day * _DAY for day in range(6)), failed=6, of=1000)


@scenario(
    "alarm-flaps",
    "A tool's error alarm fires for each bad minute and forgets it after five: it would have fired five times in an hour.",
    {_CHECK: (WARN, "alarm_flaps")},
)
def _alarm_flaps(state: Blueprint) -> None:
    _by_minutes(state.alarm(CRM, "error"), of=5, to_alarm=1)
    state.traffic_of(CRM).error_every_minutes = 0  # it would fire for each of these as well
    _failing(state, range(_OUTAGE, _OUTAGE - 50, -10), failed=5)


@scenario(
    "alarm-did-not-fire",
    "A tool failed for half an hour, its alarm should have fired, and CloudWatch's own history says that it did not.",
    {_CHECK: (FAIL, "did_not_fire")},
)
def _alarm_did_not_fire(state: Blueprint) -> None:
    _failing(state, range(_OUTAGE - 29, _OUTAGE + 1), failed=4)
    state.alarm_histories[state.alarm(CRM, "error")["AlarmName"]] = AlarmHistory(_LONG_AGO, [(_LONG_AGO, "OK")])


@scenario(
    "alarm-fired-without-reason",
    "CloudWatch's history says that an alarm was in ALARM for ten minutes in which nothing was wrong.",
    {_CHECK: (WARN, "fired_without_reason")},
)
def _alarm_fired_without_reason(state: Blueprint) -> None:
    states = [(float(_LONG_AGO), "OK"), (float(_DAY), "ALARM"), (_DAY - 10.0, "OK")]
    state.alarm_histories[state.alarm(CRM, "error")["AlarmName"]] = AlarmHistory(_LONG_AGO, states)


@scenario("alarm-history-denied", "The history of the alarms cannot be read.", {_CHECK: (ERROR, "read_failed")})
def _alarm_history_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "DescribeAlarmHistory", "kind": "denied"})
