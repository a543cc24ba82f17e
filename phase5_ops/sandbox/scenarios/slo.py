"""Scenarios of section 1: metrics, dashboards and the SLO itself."""

from phase5_ops.sandbox.scenarios.registry import CRM, FAIL, INCONCLUSIVE, NOTE, WARN, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint, Point, Traffic


@scenario(
    "tool-silent",
    "A registered tool has never emitted a metric.",
    {
        "1.1": (FAIL, "tool_without_metrics"),
        "1.2": (FAIL, "alarm_cannot_fire"),
        "tool_slo_met": (INCONCLUSIVE, "too_few_samples"),
        "error_budget_not_burning": (INCONCLUSIVE, "too_few_samples"),
        "calls_are_measured": (FAIL, "execution_not_measured"),
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


@scenario(
    "error-metric-missing",
    "Calls fail, and no tool_error is emitted.",
    {"1.1": (FAIL, "metric_missing"), "calls_are_measured": (FAIL, "failure_measured_as_success")},
)
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
        "calls_are_measured": (FAIL, "execution_not_measured"),
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
        "calls_are_measured": (FAIL, "execution_not_measured"),
    },
)
def _too_few_samples(state: Blueprint) -> None:
    rare = state.traffic_of(NOTE)
    rare.calls_per_minute, rare.from_minutes, rare.error_every_minutes = 1, 21, 0


@scenario(
    "rare-tool",
    "A tool made twenty calls in thirty days, and the settings say that its traffic is rare.",
    {
        "1.1": (WARN, "too_few_samples"),
        "tool_slo_met": (WARN, "too_few_samples"),
        "calls_are_measured": (FAIL, "execution_not_measured"),
    },
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


@scenario(
    "dashboard-of-the-past",
    "The dashboard shows a fixed time range that is over.",
    {"1.1": (FAIL, "dashboard_missing")},
)
def _dashboard_of_the_past(state: Blueprint) -> None:
    for content in state.dashboards.values():
        content |= {"start": "2020-01-01T00:00:00Z", "end": "2020-01-08T00:00:00Z"}


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
