"""Which settings are looser than the shipped ones: `policy_loosened`, shown to whoever signs. Pure.

Every setting says here which way is stricter, those that judge nothing included; a test holds the list to the settings. What
nobody classified is listed wherever it differs, so that a new setting is shown rather than passed over. All that can change a
verdict is in the policy digest as well.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from phase5_ops.settings import Settings
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class Stricter(StrEnum):
    """Which way of a setting is stricter than the shipped value."""

    LESS = "less"  # how much, how late, how wrong, how often; of a list, what is excused: fewer entries
    MORE = "more"  # what must be reached, how far back is looked; of a list, what is looked at: more entries; a name: one at all
    NEITHER = "neither"  # any other value may be looser
    JUDGES_NOTHING = "judges nothing"  # who, where and when, which every environment sets for itself, and the pace of asking


_NAMES: dict[Stricter, dict[str, str]] = {
    Stricter.LESS: {
        "": "non_production_environments",
        "slo": "latency_threshold_ms error_rate_max max_bad_window_share max_datapoint_age_minutes",
        "alarms": "window_max_seconds",
        "breakers": "call_timeout_seconds clock_skew_seconds inactive_tenant_statuses max_in_flight max_open_share"
        " max_openings max_reopenings open_max_minutes recurrence_hours slot_idle_minutes ttl_max_days",
        "isolation": "iam_exceptions outcome_seconds",
        "probes": "follow_seconds",
        "replay": "clock_skew_ms entry_id_tolerance_seconds finish_deadline_minutes future_tolerance_seconds"
        " max_replays_per_intent start_deadline_minutes",
        "logs": "common_words exceptions min_free_text_length unattributed_max_share",
        "budget": "clock_skew_seconds settle_seconds",
        "costs": "grace_hours inactive_tenant_statuses max_lag_days max_unallocated_share",
        "gate": "clock_skew_seconds extra_checks_warn_only max_evidence_age_hours sign_off_days waiver_days",
        "overrides": "break_glass_hours rollback_minutes",
        "signing": "trusted_roles",
    },
    Stricter.MORE: {
        "": "connectors",
        "slo": "latency_target",
        "alarms": "min_percentile",
        "breakers": "hand_closing_hours recovery_hours ttl_min_days",
        "isolation": "compare_item_limit event_log_group iam_blocks iam_roles iam_tables trail_exclusive trail_functions"
        " trail_s3_uri trail_wait_seconds",
        "probes": "expired_token_file late_effect_days other_client_id settle_seconds",
        "replay": "ledger_tenants window_days",
        "logs": "any_letter_case archives base64 group_prefixes lead_in_minutes sample_share window_hours",
        "budget": "lookback_days",
        "deployed": "digest_parameter function_prefixes must_be_candidate",
        "gate": "warn_blocks",
    },
    Stricter.NEITHER: {
        "": "event_bus metrics_namespace probe_mode tools",
        "tables": "account_posture_state accounts action_intent action_type_registry audit_export autonomy_budget_state"
        " autonomy_config connector_config decision_budget decision_proposal execution_attempts execution_outcomes"
        " external_write_dedupe internal_notes internal_tasks ledger readiness resilience signals tenants",
        "slo": "budget_days burn_min_errors burn_min_requests burn_windows current_window_minutes lookback_hours min_samples"
        " min_window_samples",
        "alarms": "window_min_seconds",
        "runbook_policy": "alarm_anchor breaker_anchor",
        "breakers": "cooldown_seconds failure_threshold recurrence_days state_ttl_days",
        "isolation": "iam_template table_prefix",
        "probes": "stop_functions",
        "logs": "ledger_margin_hours",
        "budget": "naming_seconds",
        "costs": "accounts anomaly_factor anomaly_min_increase connector_tag days metric services tenant_tag",
    },
    Stricter.JUDGES_NOTHING: {
        "": "control_center_url dagster_url decision_api_key decision_api_url environment evidence_s3_uri now refresh_costs"
        " runbook runbook_url state_dir user_pool_client_id user_pool_id",
        "probe_users.a": "client_secret password secret_id tenant_id username",
        "probe_users.b": "client_secret password secret_id tenant_id username",
        **{
            f"probe_users.{user}": "client_secret password secret_id username"
            for user in ("claim_blanks", "claim_case", "claim_empty", "claim_list", "unclaimed", "unscoped")
        },
        "isolation": "probe_requests probe_requests_per_second probe_seconds probe_tries",
        "probes": "account_a account_a_out_of_scope account_b action_type lease_seconds max_requests parallel_requests"
        " request_timeout_seconds requests_per_second runs_per_hour send_seconds"
        " stopped_action_type test_tenant_prefix tries user_agent",
        "logs": "requests_per_second",
        "flow": "attempt_minutes deadline_hours newer_candidate tick_seconds",
        "signing": "eng_reliability_key gate_key ops_sre_key security_compliance_key",
        "promotion": "event_bus pipeline pipeline_action pipeline_stage ssm_parameter state_machine_arn target"
        " webhook_timeout_seconds webhook_url",
        "overrides": "retry_seconds",
        "notifications": "sns_topic_arn",
        "reading": "connect_timeout_seconds deadline_seconds max_attempts read_timeout_seconds",
        "retention": "newest_runs release_days run_days",
        "schedule": "hour minute timezone",
    },
}

#: (name of a setting with dots, what is stricter), each as often as it is written above.
CLASSIFIED: tuple[tuple[str, Stricter], ...] = tuple(
    (f"{section}.{name}" if section else name, stricter)
    for stricter, sections in _NAMES.items()
    for section, names in sections.items()
    for name in names.split()
)
_STRICTER = dict(CLASSIFIED)


class PolicyCode(FindingCodes):
    """What is said of the settings that a statement was made with."""

    POLICY_LOOSENED = FindingCode(
        Verdict.WARN,
        "A setting is, or may be, looser than the shipped one; the statement that people sign lists it.",
        "Set it back, or sign knowing it.",
    )


def loosened(settings: Settings) -> tuple[str, ...]:
    """Every setting that is, or may be, looser than the shipped one, in words, by name."""
    return tuple(sorted(_of(settings)))


def _of(settings: Settings) -> Iterator[str]:
    for name, value, shipped in fields_of(settings):
        if name == "tools":
            yield from (f"tools: {tool.name} is {tool.traffic}, shipped steady" for tool in value if tool.traffic != "steady")
        elif value != shipped and not _no_looser(_STRICTER.get(name, Stricter.NEITHER), value, shipped):
            yield f"{name} is {_shown(value)}, shipped {_shown(shipped)}"


def fields_of(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every setting below a model, nested ones with dots: name, value, shipped value."""
    for field_name, field in type(model).model_fields.items():
        value, name = getattr(model, field_name), prefix + field_name
        if isinstance(value, BaseModel):
            yield from fields_of(value, f"{name}.")
        else:
            yield name, value, field.get_default(call_default_factory=True)


def _no_looser(stricter: Stricter, value: Any, shipped: Any) -> bool:  # noqa: ANN401 - of any setting
    if stricter in (Stricter.JUDGES_NOTHING, Stricter.NEITHER):
        return stricter is Stricter.JUDGES_NOTHING
    if isinstance(value, tuple) and isinstance(shipped, tuple):
        less, more = (value, shipped) if stricter is Stricter.LESS else (shipped, value)
        return all(entry in more for entry in less)
    if isinstance(value, (int, float)) and isinstance(shipped, (int, float)):
        return value < shipped if stricter is Stricter.LESS else value > shipped
    return stricter is Stricter.MORE and shipped is None


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return str(value)
