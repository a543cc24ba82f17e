"""Scenarios of section 1: alarms, and the runbook they link to."""

from typing import Any

from phase5_ops.sandbox.scenarios.registry import CRM, FAIL, INCONCLUSIVE, scenario
from phase5_ops.sandbox.state import blueprint as bp
from phase5_ops.sandbox.state.blueprint import Blueprint


def _drop_alarm(state: Blueprint, tool: str, signal: str) -> dict[str, Any]:
    alarm = state.alarm(tool, signal)
    state.alarms.remove(alarm)
    return alarm


@scenario("latency-alarm-missing", "A tool has no latency alarm.", {"1.2": (FAIL, "latency_alarm_missing")})
def _latency_alarm_missing(state: Blueprint) -> None:
    _drop_alarm(state, CRM, "latency")


@scenario("error-alarm-missing", "A tool has no error alarm.", {"1.2": (FAIL, "error_alarm_missing")})
def _error_alarm_missing(state: Blueprint) -> None:
    _drop_alarm(state, CRM, "error")


@scenario("alarm-threshold-lax", "A latency alarm waits for 30 s.", {"1.2": (FAIL, "alarm_threshold_too_lax")})
def _alarm_threshold_lax(state: Blueprint) -> None:
    state.alarm(CRM, "latency")["Threshold"] = 30_000.0


@scenario("alarm-window-long", "A latency alarm looks at an hour.", {"1.2": (FAIL, "alarm_window_out_of_range")})
def _alarm_window_long(state: Blueprint) -> None:
    state.alarm(CRM, "latency").update(Period=300, EvaluationPeriods=12, DatapointsToAlarm=3)


@scenario(
    "alarm-without-actions", "An alarm tells nobody; its OK action does not count.", {"1.2": (FAIL, "alarm_actions_missing")}
)
def _alarm_without_actions(state: Blueprint) -> None:
    alarm = state.alarm(CRM, "error")
    alarm["OKActions"] = alarm.pop("AlarmActions")


@scenario("alarm-actions-disabled", "An alarm's actions are switched off.", {"1.2": (FAIL, "alarm_actions_disabled")})
def _alarm_actions_disabled(state: Blueprint) -> None:
    state.alarm(CRM, "error")["ActionsEnabled"] = False


@scenario("alarm-topic-deleted", "The alarms' topic does not exist.", {"1.2": (FAIL, "alarm_action_goes_nowhere")})
def _alarm_topic_deleted(state: Blueprint) -> None:
    state.topics = {}


@scenario("alarm-topic-unsubscribed", "The alarms' topic has no subscriber.", {"1.2": (FAIL, "alarm_action_goes_nowhere")})
def _alarm_topic_unsubscribed(state: Blueprint) -> None:
    state.topics = {name: [] for name in state.topics}


@scenario(
    "alarm-topic-key-of-aws",
    "The alarms' topic is encrypted with the key that AWS manages for SNS, which CloudWatch cannot use.",
    {"1.2": (FAIL, "alarm_action_goes_nowhere")},
)
def _alarm_topic_key_of_aws(state: Blueprint) -> None:
    state.topic_attributes = {name: {"KmsMasterKeyId": "alias/aws/sns"} for name in state.topics}


@scenario(
    "alarm-composite-always-on",
    "An alarm tells people only through a composite alarm that is in ALARM whatever happens.",
    {"1.2": (FAIL, "alarm_way_open_before")},
)
def _alarm_composite_always_on(state: Blueprint) -> None:
    alarm = state.alarm(CRM, "latency")
    rule = f'NOT FALSE OR ALARM("{alarm["AlarmName"]}")'
    state.composites.append({"AlarmName": "any tool", "AlarmRule": rule, "AlarmActions": alarm.pop("AlarmActions")})


@scenario(
    "error-alarm-on-base-set",
    "An error alarm watches {tool_name, connector_id}, where the platform never puts an error.",
    {"1.2": (FAIL, "alarm_cannot_fire")},
)
def _error_alarm_on_base_set(state: Blueprint) -> None:
    broken = _drop_alarm(state, CRM, "error")
    state.alarms.append(
        {
            **{key: value for key, value in broken.items() if key != "Metrics"},
            "Namespace": bp.NAMESPACE,
            "MetricName": "tool_error",
            "Dimensions": [{"Name": "tool_name", "Value": CRM}, {"Name": "connector_id", "Value": "crm_salesforce"}],
            "Statistic": "Sum",
            "Period": 300,
            "Threshold": 0.0,
        }
    )


@scenario(
    "latency-alarm-wrong-connector",
    "A latency alarm watches a connector that the tool does not use.",
    {"1.2": (FAIL, "alarm_cannot_fire")},
)
def _latency_alarm_wrong_connector(state: Blueprint) -> None:
    state.alarm(CRM, "latency")["Dimensions"] = [
        {"Name": "tool_name", "Value": CRM},
        {"Name": "connector_id", "Value": "salesforce"},
    ]


@scenario(
    "latency-alarm-ignores-low-samples",
    "A percentile alarm ignores periods with few samples, and the tool never has enough.",
    {"1.2": (FAIL, "alarm_cannot_fire"), "no_slo_alarm_firing": (INCONCLUSIVE, "alarm_insufficient_data")},
)
def _latency_alarm_ignores_low_samples(state: Blueprint) -> None:
    state.alarm(CRM, "latency")["EvaluateLowSampleCountPercentile"] = "ignore"


@scenario("alarm-muted", "A mute rule silences an alarm.", {"1.2": (FAIL, "alarm_muted")})
def _alarm_muted(state: Blueprint) -> None:
    state.mute_rules.append(
        {
            "Name": "maintenance",
            "Rule": {"Schedule": {"Expression": "cron(* * * * *)", "Duration": "PT24H", "Timezone": "UTC"}},
            "MuteTargets": {"AlarmNames": [state.alarm(CRM, "error")["AlarmName"]]},
        }
    )


@scenario(
    "alarm-firing",
    "An SLO alarm is in ALARM.",
    {"no_slo_alarm_firing": (FAIL, "slo_alarm_firing")},
)
def _alarm_firing(state: Blueprint) -> None:
    state.alarm_states[state.alarm(CRM, "error")["AlarmName"]] = "ALARM"


@scenario(
    "alarm-insufficient-data",
    "An alarm has INSUFFICIENT_DATA although its metrics have data.",
    {"1.2": (FAIL, "alarm_insufficient_data"), "no_slo_alarm_firing": (INCONCLUSIVE, "alarm_insufficient_data")},
)
def _alarm_insufficient_data(state: Blueprint) -> None:
    state.alarm_states[state.alarm(CRM, "latency")["AlarmName"]] = "INSUFFICIENT_DATA"


@scenario(
    "alarm-without-runbook-link",
    "An alarm's description does not name the runbook.",
    {"1.3": (FAIL, "alarm_without_runbook_link")},
)
def _alarm_without_runbook_link(state: Blueprint) -> None:
    state.alarm(CRM, "latency")["AlarmDescription"] = "CRM is slow"


# Section 1: the runbook


@scenario(
    "runbook-missing",
    "The runbook does not exist.",
    {"1.3": (FAIL, "runbook_unreadable"), "2.2": (FAIL, "runbook_unreadable")},
)
def _runbook_missing(state: Blueprint) -> None:
    state.runbook = None


@scenario("runbook-alarm-section-renamed", "The runbook's alarm section was renamed.", {"1.3": (FAIL, "runbook_anchor_missing")})
def _runbook_alarm_section_renamed(state: Blueprint) -> None:
    state.runbook = bp.RUNBOOK.replace("## SLO alarms (`tool_latency_ms`, `tool_error`)", "## Alarms")


@scenario(
    "runbook-breaker-section-missing",
    "The runbook does not say what to do about an open breaker.",
    {"2.2": (FAIL, "runbook_anchor_missing")},
)
def _runbook_breaker_section_missing(state: Blueprint) -> None:
    state.runbook = bp.RUNBOOK.replace("## Circuit breaker OPEN", "## Breakers")


@scenario(
    "runbook-section-empty", "The runbook's alarm section has a heading and no text.", {"1.3": (FAIL, "runbook_section_empty")}
)
def _runbook_section_empty(state: Blueprint) -> None:
    head, heading, _ = bp.RUNBOOK.partition("## SLO alarms (`tool_latency_ms`, `tool_error`)\n")
    state.runbook = head + heading


@scenario(
    "runbook-section-postponed",
    "The breaker's section only says that it will be written.",
    {"2.2": (FAIL, "runbook_section_empty")},
)
def _runbook_section_postponed(state: Blueprint) -> None:
    head, heading, rest = bp.RUNBOOK.partition("## Circuit breaker OPEN\n")
    _, following, others = rest.partition("## Disable a connector\n")
    state.runbook = f"{head}{heading}\n\U0001f6a7 TO\u200bDO: describe the steps\n\n{following}{others}"


@scenario(
    "runbook-section-disowned",
    "The runbook's alarm section says that it must not be used.",
    {"1.3": (FAIL, "runbook_section_disowned")},
)
def _runbook_section_disowned(state: Blueprint) -> None:
    state.runbook = bp.RUNBOOK.replace(
        "Look at the dashboard, find", "DO NOT USE\u2060: deprecated.\n\nLook at the dashboard, find"
    )


@scenario(
    "alarm-link-disowned",
    "An alarm's description says that its runbook is yet to be written.",
    {"1.3": (FAIL, "alarm_runbook_link_disowned")},
)
def _alarm_link_disowned(state: Blueprint) -> None:
    alarm = state.alarm(CRM, "latency")
    alarm["AlarmDescription"] = f"TODO: {alarm['AlarmDescription']}"
