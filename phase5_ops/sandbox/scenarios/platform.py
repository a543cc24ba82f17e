"""The two scenarios without a fault of their own: the healthy platform, and the one with nothing in it."""

from phase5_ops.sandbox.scenarios.registry import EMPTY, FAIL, INCONCLUSIVE, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint


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
        "3.1": (INCONCLUSIVE, "probe_setting_missing"),
        "3.2": (INCONCLUSIVE, "no_replay_in_window"),
        "3.3": (INCONCLUSIVE, "probe_setting_missing"),
        "4.1": (INCONCLUSIVE, "canary_not_executed"),
        "4.2": (INCONCLUSIVE, "no_log_lines"),
        "5.1": (INCONCLUSIVE, "nothing_judged"),
        "5.2": (FAIL, "cost_data_stale"),
        "tool_slo_met": (INCONCLUSIVE, "no_tool_registered"),
        "error_budget_not_burning": (INCONCLUSIVE, "no_tool_registered"),
        "no_slo_alarm_firing": (INCONCLUSIVE, "no_slo_alarm"),
        "alarms_would_have_fired": (INCONCLUSIVE, "nothing_judged"),
        "iam_is_tenant_scoped": (INCONCLUSIVE, "nothing_judged"),
        "changes_are_audited": (INCONCLUSIVE, "nothing_judged"),
        "audit_export_is_whole": (INCONCLUSIVE, "probe_setting_missing"),
        "executions_end": (INCONCLUSIVE, "no_execution_in_window"),
        "calls_are_measured": (INCONCLUSIVE, "no_call_in_window"),
    },
)
def _empty(_state: Blueprint) -> None:
    pass
