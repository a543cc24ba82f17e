"""Which thresholds are looser than the shipped ones: `policy_loosened`, shown to whoever signs. Pure.

For a figure it is known which way is looser. Whatever differs from the shipped value and is not known to be stricter is listed,
so that a new setting is shown rather than passed over. Names, addresses and bounds of reading are no thresholds; they are in the
policy digest all the same.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from phase5_ops.policy import Policy
from phase5_ops.settings import Settings
from phase5_ops.verdict import FindingCode, Verdict

#: Figures of which less is stricter: how much, how late, how wrong, how often.
_LESS_IS_STRICTER = frozenset(
    {
        "slo.latency_threshold_ms",
        "slo.error_rate_max",
        "slo.max_bad_window_share",
        "slo.max_datapoint_age_minutes",
        "alarms.window_max_seconds",
        "breakers.call_timeout_seconds",
        "breakers.clock_skew_seconds",
        "breakers.max_in_flight",
        "breakers.max_open_share",
        "breakers.max_openings",
        "breakers.max_reopenings",
        "breakers.open_max_minutes",
        "breakers.recurrence_hours",
        "breakers.slot_idle_minutes",
        "breakers.ttl_max_days",
        "isolation.outcome_seconds",
        "replay.start_deadline_minutes",
        "replay.finish_deadline_minutes",
        "replay.max_replays_per_intent",
        "replay.clock_skew_ms",
        "replay.entry_id_tolerance_seconds",
        "replay.future_tolerance_seconds",
        "logs.unattributed_max_share",
        "logs.min_free_text_length",
        "budget.clock_skew_seconds",
        "budget.settle_seconds",
        "costs.max_unallocated_share",
        "costs.grace_hours",
        "costs.max_lag_days",
        "gate.max_evidence_age_hours",
        "gate.sign_off_days",
        "gate.waiver_days",
        "gate.clock_skew_seconds",
    }
)

#: Figures of which more is stricter: what must be reached, how far back is looked.
_MORE_IS_STRICTER = frozenset(
    {
        "slo.latency_target",
        "alarms.min_percentile",
        "breakers.hand_closing_hours",
        "breakers.recovery_hours",
        "breakers.ttl_min_days",
        "isolation.iam_blocks",
        "isolation.trail_wait_seconds",
        "replay.window_days",
        "logs.window_hours",
        "logs.lead_in_minutes",
        "logs.sample_share",
        "budget.lookback_days",
        "gate.warn_blocks",
    }
)

#: What is no threshold: who, where and what, which every environment sets for itself; and the pace of asking.
_NO_THRESHOLDS = frozenset(
    {
        "signing",
        "flow",
        "overrides",
        "notifications",
        "retention",
        "probes",
        "runbook_policy",
        "isolation.production_environments",
        "isolation.trail_s3_uri",
        "isolation.trail_functions",
        "isolation.event_log_group",
        "isolation.iam_template",
        "logs.archives",
        "logs.requests_per_second",
        "costs.tenant_tag",
        "costs.connector_tag",
    }
)


POLICY_LOOSENED = FindingCode(
    "policy_loosened",
    Verdict.WARN,
    "A threshold is, or may be, looser than the shipped one; the statement that people sign lists it.",
    "Set the threshold back, or sign knowing it.",
)


def loosened(settings: Settings) -> tuple[str, ...]:
    """Every threshold that is, or may be, looser than the shipped one, in words, by name."""
    return tuple(sorted(_of(settings)))


def _of(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Policy) and name not in _NO_THRESHOLDS:
            yield from _differing(name, value)
    for tool in settings.tools:
        if tool.traffic != "steady":
            yield f"tools: {tool.name} is {tool.traffic}, shipped steady"
    if settings.probe_mode != Settings.model_fields["probe_mode"].default:
        yield f"probe_mode is {settings.probe_mode}, shipped {Settings.model_fields['probe_mode'].default}"


def _differing(prefix: str, policy: BaseModel) -> Iterator[str]:
    for field_name, field in type(policy).model_fields.items():
        name, value = f"{prefix}.{field_name}", getattr(policy, field_name)
        shipped = field.get_default(call_default_factory=True)
        if name not in _NO_THRESHOLDS and value != shipped and not _stricter(name, value, shipped):
            yield f"{name} is {_shown(value)}, shipped {_shown(shipped)}"


def _stricter(name: str, value: Any, shipped: Any) -> bool:  # noqa: ANN401 - of any setting
    if isinstance(value, tuple) and isinstance(shipped, tuple):
        return name in _MORE_IS_STRICTER and set(value) >= set(shipped)
    if not isinstance(value, (int, float)) or not isinstance(shipped, (int, float)):
        return False
    return (name in _LESS_IS_STRICTER and value < shipped) or (name in _MORE_IS_STRICTER and value > shipped)


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return str(value)
