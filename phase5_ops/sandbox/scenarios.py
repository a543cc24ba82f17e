"""Named states of the sandbox platform, each declaring exactly which rows it turns, and into what.

A scenario is a small change to the healthy blueprint. `turns` names every row and extra check whose verdict then differs from
PASS, with the finding code that must be among its findings; all others stay PASS. The acceptance tests run every scenario.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase5_ops.sandbox import blueprint as bp
from phase5_ops.sandbox.blueprint import Blueprint, Point, Traffic
from phase5_ops.settings import ConfigurationError
from phase5_ops.verdict import Verdict

Change = Callable[[Blueprint], None]
Turns = Mapping[str, tuple[Verdict, str]]

WARN, INCONCLUSIVE, FAIL, ERROR = Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR

#: Rows and extra checks that the healthy scenario passes.
JUDGED = (
    "1.1",
    "1.2",
    "1.3",
    "2.1",
    "2.2",
    "tool_slo_met",
    "error_budget_not_burning",
    "no_slo_alarm_firing",
)

NOTE, TASK, CRM = "internal.create_note", "internal.create_task", "crm.create_task"


@dataclass(frozen=True)
class Scenario:
    """A named state of the platform."""

    name: str
    description: str
    turns: Turns
    change: Change

    def blueprint(self, now: datetime, region: str) -> Blueprint:
        """The platform's state at `now`."""
        state = bp.empty(now) if self.name == EMPTY else bp.healthy(now, region)
        self.change(state)
        return state


EMPTY = "empty"
_SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, description: str, turns: Turns) -> Callable[[Change], Change]:
    """Registers the decorated change as a scenario."""

    def register(change: Change) -> Change:
        if name in _SCENARIOS:
            raise ValueError(f"scenario {name} declared twice")
        _SCENARIOS[name] = Scenario(name, description, dict(turns), change)
        return change

    return register


def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario, in order of declaration."""
    return tuple(_SCENARIOS.values())


def named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in _SCENARIOS:
        raise ConfigurationError(f"no scenario {name!r}; `phase5 sandbox --list` shows them all")
    return _SCENARIOS[name]


def as_table() -> str:
    """The scenarios as text: name, what it is, what it turns."""
    lines = []
    for each in _SCENARIOS.values():
        turned = (
            ", ".join(f"{row} {verdict} ({code})" for row, (verdict, code) in each.turns.items())
            or "nothing: every judged row passes"
        )
        lines += [f"{each.name}", f"    {each.description}", f"    turns: {turned}"]
    faults = sum(1 for each in _SCENARIOS.values() if each.turns)
    return "\n".join([*lines, f"{len(_SCENARIOS)} scenarios, {faults} of them faults"])


@scenario("healthy", "The platform as its own plan wants it.", {})
def _healthy(_state: Blueprint) -> None:
    pass


@scenario(
    EMPTY,
    "All tables and nothing in them; load a captured platform into it.",
    {
        "1.1": (INCONCLUSIVE, "no_tool_registered"),
        "1.2": (INCONCLUSIVE, "nothing_judged"),
        "1.3": (FAIL, "no_alarm_to_link"),
        "2.1": (INCONCLUSIVE, "nothing_judged"),
        "2.2": (INCONCLUSIVE, "nothing_judged"),
        "tool_slo_met": (INCONCLUSIVE, "no_tool_registered"),
        "error_budget_not_burning": (INCONCLUSIVE, "no_tool_registered"),
        "no_slo_alarm_firing": (INCONCLUSIVE, "no_slo_alarm"),
    },
)
def _empty(_state: Blueprint) -> None:
    pass


# Section 1: metrics


@scenario(
    "tool-silent",
    "A registered tool has never emitted a metric.",
    {
        "1.1": (FAIL, "tool_without_metrics"),
        "1.2": (FAIL, "alarm_cannot_fire"),
        "tool_slo_met": (INCONCLUSIVE, "too_few_samples"),
        "error_budget_not_burning": (INCONCLUSIVE, "too_few_samples"),
    },
)
def _tool_silent(state: Blueprint) -> None:
    state.traffic.remove(state.traffic_of(NOTE))


@scenario(
    "success-metric-missing",
    "A tool emits no tool_success, so that by its metrics every call fails.",
    {
        "1.1": (FAIL, "metric_missing"),
        "tool_slo_met": (FAIL, "error_slo_missed"),
        "error_budget_not_burning": (FAIL, "error_budget_burning"),
        "no_slo_alarm_firing": (FAIL, "slo_alarm_firing"),
    },
)
def _success_missing(state: Blueprint) -> None:
    note = state.traffic_of(NOTE)
    note.omit, note.error_every_minutes = frozenset({"tool_success"}), 5


@scenario("error-metric-missing", "Calls fail, and no tool_error is emitted.", {"1.1": (FAIL, "metric_missing")})
def _error_missing(state: Blueprint) -> None:
    state.traffic_of(NOTE).omit = frozenset({"tool_error"})


@scenario(
    "latency-metric-missing",
    "A tool emits no tool_latency_ms.",
    {
        "1.1": (FAIL, "metric_missing"),
        "1.2": (FAIL, "alarm_cannot_fire"),
        "tool_slo_met": (INCONCLUSIVE, "too_few_samples"),
        "error_budget_not_burning": (INCONCLUSIVE, "too_few_samples"),
    },
)
def _latency_missing(state: Blueprint) -> None:
    state.traffic_of(NOTE).omit = frozenset({"tool_latency_ms"})


@scenario("error-without-tenant", "Errors are emitted without tenant_id.", {"1.1": (FAIL, "dimension_missing")})
def _error_without_tenant(state: Blueprint) -> None:
    state.traffic_of(NOTE).tenant_on_errors = False


@scenario("connector-dimension-missing", "Some data points carry no connector_id.", {"1.1": (FAIL, "dimension_missing")})
def _connector_dimension_missing(state: Blueprint) -> None:
    state.points.append(Point("tool_success", {"tool_name": NOTE}, 1.0))


@scenario(
    "metrics-stale",
    "A tool's newest data point is three hours old.",
    {
        "1.1": (INCONCLUSIVE, "metrics_stale"),
        "1.2": (FAIL, "alarm_insufficient_data"),
        "no_slo_alarm_firing": (INCONCLUSIVE, "alarm_insufficient_data"),
    },
)
def _metrics_stale(state: Blueprint) -> None:
    state.traffic_of(NOTE).until_minutes = 180


@scenario("unknown-tool", "A tool appears in the metrics that nobody registered.", {"1.1": (WARN, "tool_not_registered")})
def _unknown_tool(state: Blueprint) -> None:
    state.traffic.append(Traffic("calendar.create_event", "calendar"))


@scenario(
    "gateway-tool-name",
    "A tool is also emitted under its gateway form, where its error alarm does not look.",
    {"1.1": (FAIL, "tool_name_not_canonical"), "1.2": (FAIL, "error_alarm_misses_tenants")},
)
def _gateway_tool_name(state: Blueprint) -> None:
    state.traffic.append(Traffic(f"internal-create-note___{NOTE}", "internal"))


@scenario(
    "gateway-connector-name",
    "A tool's connector is emitted under its gateway form.",
    {"1.1": (FAIL, "connector_not_canonical")},
)
def _gateway_connector_name(state: Blueprint) -> None:
    state.traffic.append(Traffic(NOTE, "internal-create-note___internal", error_every_minutes=0))


@scenario(
    "too-few-samples",
    "A tool made twenty calls in thirty days.",
    {
        "1.1": (INCONCLUSIVE, "too_few_samples"),
        "tool_slo_met": (INCONCLUSIVE, "too_few_samples"),
    },
)
def _too_few_samples(state: Blueprint) -> None:
    rare = state.traffic_of(NOTE)
    rare.calls_per_minute, rare.from_minutes, rare.error_every_minutes = 1, 21, 0


@scenario(
    "rare-tool",
    "A tool made twenty calls in thirty days, and the settings say that its traffic is rare.",
    {"1.1": (WARN, "too_few_samples"), "tool_slo_met": (WARN, "too_few_samples")},
)
def _rare_tool(state: Blueprint) -> None:
    _too_few_samples(state)
    state.settings["PHASE5_TOOLS"] = f'[{{"name": "{NOTE}", "traffic": "rare"}}]'


@scenario("dashboard-missing", "There is no dashboard.", {"1.1": (FAIL, "dashboard_missing")})
def _dashboard_missing(state: Blueprint) -> None:
    state.dashboards = {}


@scenario("dashboard-incomplete", "The dashboard shows two of three tools.", {"1.1": (FAIL, "dashboard_incomplete")})
def _dashboard_incomplete(state: Blueprint) -> None:
    content = next(iter(state.dashboards.values()))
    content["widgets"].pop()


# Section 1: the SLO itself


@scenario(
    "errors-burning",
    "A tool fails one call in four for twenty minutes: its SLO is missed now, the budget burns, its alarm fires.",
    {
        "tool_slo_met": (FAIL, "current_window_bad"),
        "error_budget_not_burning": (FAIL, "error_budget_burning"),
        "no_slo_alarm_firing": (FAIL, "slo_alarm_firing"),
    },
)
def _errors_burning(state: Blueprint) -> None:
    crm = state.traffic_of(CRM)
    crm.burst, crm.burst_minutes = 10, 70


@scenario(
    "latency-slow",
    "A tenth of a tool's calls takes nine seconds for the last hour.",
    {
        "tool_slo_met": (FAIL, "current_window_bad"),
        "no_slo_alarm_firing": (FAIL, "slo_alarm_firing"),
    },
)
def _latency_slow(state: Blueprint) -> None:
    crm = state.traffic_of(CRM)
    crm.slow_share, crm.slow_minutes = 0.1, 60


# Section 1: alarms


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


# Section 2: breakers


def _set_breaker(state: Blueprint, item: dict[str, Any]) -> None:
    state.breakers = [b for b in state.breakers if (b["pk"], b["sk"]) != (item["pk"], item["sk"])] + [item]


@scenario("breaker-open", "A breaker opened ten seconds ago.", {"2.2": (WARN, "breaker_open")})
def _breaker_open(state: Blueprint) -> None:
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=10))


@scenario("breaker-open-idle", "A breaker is past its deadline, and nobody calls.", {"2.2": (WARN, "open_idle")})
def _breaker_open_idle(state: Blueprint) -> None:
    crm = state.traffic_of(CRM)
    crm.until_minutes = 12
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=11 * 60))


@scenario(
    "breaker-open-under-traffic",
    "A breaker has been open for eleven minutes while calls go on, and no kill switch is set.",
    {"2.2": (FAIL, "open_breaker_without_operator_action")},
)
def _breaker_open_under_traffic(state: Blueprint) -> None:
    _set_breaker(state, bp.opened(state, "crm_salesforce", seconds_ago=11 * 60))


@scenario(
    "breaker-open-disabled",
    "A breaker is open, and every tenant's kill switch covers its action types.",
    {"2.2": (WARN, "breaker_open")},
)
def _breaker_open_disabled(state: Blueprint) -> None:
    _breaker_open_under_traffic(state)
    for tenant in state.tenants:
        tenant["disabled_action_types"] = ["CREATE_CRM_TASK"]


@scenario("breaker-half-open", "A breaker's probe is under way.", {})
def _breaker_half_open(state: Blueprint) -> None:
    _set_breaker(state, bp.half_open(state, "crm_salesforce", seconds_ago=5))


@scenario("breaker-half-open-stuck", "A probe has been in flight for ten minutes.", {"2.2": (FAIL, "half_open_stuck")})
def _breaker_half_open_stuck(state: Blueprint) -> None:
    _set_breaker(state, bp.half_open(state, "crm_salesforce", seconds_ago=600))


@scenario(
    "breaker-state-invalid",
    "A breaker's state is none of the three.",
    {"2.1": (FAIL, "breaker_state_invalid"), "2.2": (FAIL, "breaker_state_invalid")},
)
def _breaker_state_invalid(state: Blueprint) -> None:
    state.breaker("crm_salesforce")["state"] = "BROKEN"


@scenario(
    "breaker-record-malformed",
    "A breaker's count is not a number.",
    {"2.1": (ERROR, "breaker_record_malformed"), "2.2": (ERROR, "breaker_record_malformed")},
)
def _breaker_record_malformed(state: Blueprint) -> None:
    state.breaker("crm_salesforce")["failure_count"] = "many"


@scenario("breaker-ttl-missing", "A breaker's state never expires.", {"2.1": (FAIL, "breaker_ttl_missing")})
def _breaker_ttl_missing(state: Blueprint) -> None:
    del state.breaker("crm_salesforce")["ttl_epoch_sec"]


@scenario("breaker-ttl-short", "A breaker's state expires after a day.", {"2.1": (FAIL, "breaker_ttl_out_of_range")})
def _breaker_ttl_short(state: Blueprint) -> None:
    item = state.breaker("crm_salesforce")
    item["ttl_epoch_sec"] = item["window_start_epoch_sec"] + bp.DAY


@scenario(
    "breaker-without-deadline",
    "A breaker is open without a deadline.",
    {"2.1": (FAIL, "open_without_deadline"), "2.2": (WARN, "open_idle")},
)
def _breaker_without_deadline(state: Blueprint) -> None:
    _breaker_open(state)
    del state.breaker("crm_salesforce")["open_until_epoch_sec"]


@scenario("connector-unknown", "The table has a breaker of a connector that nobody knows.", {"2.1": (FAIL, "connector_unknown")})
def _connector_unknown(state: Blueprint) -> None:
    _set_breaker(state, bp.closed(state, "billing", seconds_ago=60))


@scenario(
    "connector-gateway-form",
    "The table has a breaker under a gateway name.",
    {"2.1": (FAIL, "connector_not_canonical")},
)
def _connector_gateway_form(state: Blueprint) -> None:
    _set_breaker(state, bp.closed(state, "internal-create-note___internal", seconds_ago=60))


@scenario("connector-not-observed", "A registered connector has neither item.", {"2.1": (INCONCLUSIVE, "breaker_not_observed")})
def _connector_not_observed(state: Blueprint) -> None:
    state.breakers = [b for b in state.breakers if b["pk"] != "CONNECTOR#internal"]


@scenario(
    "slot-leaked", "A connector's slot is taken, and it has had no call for twenty minutes.", {"2.2": (FAIL, "slot_leaked")}
)
def _slot_leaked(state: Blueprint) -> None:
    state.traffic_of(CRM).until_minutes = 20
    state.breaker("crm_salesforce", "CONCURRENCY")["in_flight_count"] = 1


@scenario("slots-over-limit", "More slots are taken than a connector has.", {"2.2": (FAIL, "slot_leaked")})
def _slots_over_limit(state: Blueprint) -> None:
    state.breaker("crm_salesforce", "CONCURRENCY")["in_flight_count"] = 21


# Faults of the reading itself


@scenario(
    "metrics-denied",
    "GetMetricData is denied.",
    {
        "1.1": (ERROR, "read_failed"),
        "1.2": (ERROR, "read_failed"),
        "2.2": (ERROR, "read_failed"),
        "tool_slo_met": (ERROR, "read_failed"),
        "error_budget_not_burning": (ERROR, "read_failed"),
    },
)
def _metrics_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "GetMetricData", "kind": "denied"})


@scenario(
    "alarms-throttled",
    "DescribeAlarms is throttled.",
    {"1.2": (ERROR, "read_failed"), "1.3": (ERROR, "read_failed"), "no_slo_alarm_firing": (ERROR, "read_failed")},
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
    "metrics-partial",
    "GetMetricData answers with partial data.",
    {
        "1.1": (INCONCLUSIVE, "partial_data"),
        "1.2": (INCONCLUSIVE, "partial_data"),
        "2.2": (INCONCLUSIVE, "partial_data"),
        "tool_slo_met": (INCONCLUSIVE, "partial_data"),
        "error_budget_not_burning": (INCONCLUSIVE, "partial_data"),
    },
)
def _metrics_partial(state: Blueprint) -> None:
    state.faults.append({"operation": "GetMetricData", "kind": "partial"})
