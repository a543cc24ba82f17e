"""The checklist as data: the table of contents of the whole project.

One `Row` a line of the Phase 5 exit checklist: what must hold, which asset is its evidence, which check judges it, who owns it,
how old its evidence may be and whether it may be waived. `EXTRA_CHECKS` go beyond the checklist and block as rows do, unless
the setting `gate.extra_checks_warn_only` names them. The README's table is generated from here. Pure data.
"""

from dataclasses import dataclass

#: Increased whenever a row's meaning changes; part of the policy digest, so that results of another version do not count.
CHECKLIST_VERSION = "1"


@dataclass(frozen=True, slots=True)
class ChecklistSection:
    """A section of the checklist: its title, and the group of its assets in Dagster, short enough to be shown whole."""

    title: str
    group: str


SECTIONS = {
    "1": ChecklistSection("Dashboards & Alarms", "1_dashboards"),
    "2": ChecklistSection("Circuit Breaker State View", "2_breakers"),
    "3": ChecklistSection("Replay Permission & Audit", "3_replay"),
    "4": ChecklistSection("Tenant Isolation Harness", "4_isolation"),
    "5": ChecklistSection("Budget & Cost per Tenant", "5_costs"),
    "E": ChecklistSection("Executions", "executions"),
    "S": ChecklistSection("Sign-off", "release"),
}

#: Age at which evidence is stale, long enough to collect signatures; rows whose subject changes by the minute have shorter ones.
DEFAULT_MAX_AGE_HOURS = 72.0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the checklist, or an extra check (whose id is its check name)."""

    id: str
    title: str
    requirement: str
    check: str
    asset: str
    owner: str
    runbook_anchor: str | None = None
    max_age_hours: float = DEFAULT_MAX_AGE_HOURS
    waivable: bool = True

    @property
    def section(self) -> str:
        """The section's title."""
        return SECTIONS[self.section_number].title

    @property
    def section_number(self) -> str:
        """Key of `SECTIONS`: what the id begins with; an extra check belongs to the section of its asset."""
        return self.id[0] if self.id[0] in SECTIONS and "." in self.id else _SECTION_OF_ASSET[self.asset]

    @property
    def is_sign_off(self) -> bool:
        """True for S.1 to S.3, which are judged from the state table when the gate decides, never by the readiness run."""
        return self.section_number == "S"


ROLES = ("eng-reliability", "ops-sre", "security-compliance")

_ALARM_ANCHOR = "slo-alarms-tool_latency_ms-tool_error"
_BREAKER_ANCHOR = "circuit-breaker-open"
_REPLAY_ANCHOR = "replay-safely"

ROWS: tuple[Row, ...] = (
    Row(
        "1.1",
        "Tool SLO metrics visible",
        "Every registered tool shows tool_latency_ms, tool_success and (where errors happened) tool_error with the required"
        " dimensions and fresh data; a dashboard shows them.",
        "tool_slo_metrics_visible",
        "tool_slo_summary",
        "eng-reliability",
        _ALARM_ANCHOR,
    ),
    Row(
        "1.2",
        "Alarms defined",
        "Every tool has a latency alarm (p99 or p95 over the threshold) and an error-rate alarm, evaluated over 5-15 min, that"
        " can really fire on the metrics as emitted, with an action.",
        "slo_alarms_defined",
        "slo_alarms",
        "eng-reliability",
        _ALARM_ANCHOR,
    ),
    Row(
        "1.3",
        "Alarm runbook",
        "The runbook exists, its alarm section resolves, and every SLO alarm points to it.",
        "alarm_runbook_linked",
        "runbook",
        "ops-sre",
        _ALARM_ANCHOR,
    ),
    Row(
        "2.1",
        "Breaker state observable",
        "Every known connector has a readable, valid, current breaker state.",
        "breaker_state_observable",
        "breaker_snapshot",
        "eng-reliability",
        _BREAKER_ANCHOR,
    ),
    Row(
        "2.2",
        "OPEN -> operator action",
        "The runbook section exists; no breaker is open or stuck without its operator action; none was closed by hand.",
        "open_breaker_has_operator_action",
        "breaker_snapshot",
        "ops-sre",
        _BREAKER_ANCHOR,
    ),
    Row(
        "3.1",
        "Replay API authZ",
        "The tenant comes from the JWT claim custom:tenant_id only; forged, expired or missing tokens and tenant ids in query,"
        " header or body never get in.",
        "replay_api_authorization",
        "replay_probe",
        "security-compliance",
        _REPLAY_ANCHOR,
        waivable=False,
    ),
    Row(
        "3.2",
        "Replay audit trail",
        "Every replay has REQUESTED -> STARTED -> COMPLETED or FAILED in order, in time, with reason and requester.",
        "replay_audit_trail_complete",
        "replay_audit",
        "eng-reliability",
        _REPLAY_ANCHOR,
    ),
    Row(
        "3.3",
        "Permission tests",
        "Own tenant and account: accepted; any other: refused; missing intent: 404.",
        "replay_permission_tests",
        "replay_probe",
        "security-compliance",
        _REPLAY_ANCHOR,
        waivable=False,
    ),
    Row(
        "4.1",
        "Harness exists",
        "One real execution for tenant A touched only tenant A's keys.",
        "isolation_harness_passes",
        "isolation_harness",
        "security-compliance",
        waivable=False,
    ),
    Row(
        "4.2",
        "Log scan",
        "No log line of one tenant's trace names another tenant.",
        "no_foreign_tenant_in_logs",
        "tenant_log_scan",
        "security-compliance",
        waivable=False,
    ),
    Row(
        "4.3",
        "Gate",
        "Every way a row can fail was tried on the gate, and the gate stayed closed.",
        "gate_blocks_on_failure",
        "gate_drill",
        "security-compliance",
        waivable=False,
    ),
    Row(
        "5.1",
        "Autonomy budget visibility",
        "Per tenant and account: configuration, consumption, and the two agree.",
        "autonomy_budget_visible",
        "autonomy_budget",
        "ops-sre",
    ),
    Row(
        "5.2",
        "Cost reports",
        "Every active tenant has a cost line; the unallocated rest is shown and small.",
        "cost_reported_per_tenant",
        "tenant_cost_report",
        "ops-sre",
    ),
    *(  # sign-offs: the three differ in their role alone
        Row(id, title, "A valid signature of that role over this evidence.", check, "sign_offs", role, waivable=False)
        for id, title, check, role in (
            ("S.1", "Eng (reliability)", "eng_reliability_signed_off", "eng-reliability"),
            ("S.2", "Ops / SRE", "ops_sre_signed_off", "ops-sre"),
            ("S.3", "Security / Compliance", "security_compliance_signed_off", "security-compliance"),
        )
    ),
)

#: Assets of extra checks that are no row's own are named here.
_SECTION_OF_ASSET = {row.asset: row.id[0] for row in ROWS} | {
    "alarm_replay": "1",
    "role_access": "4",
    "audit_export": "4",
    "autonomy_changes": "5",
    "execution_outcomes": "E",
}

EXTRA_CHECKS: tuple[Row, ...] = (
    Row(
        "tool_slo_met",
        "Tool SLO met",
        "Every tool meets its latency and error SLO over the lookback, now, and in nearly every 5-minute window.",
        "tool_slo_met",
        "tool_slo_summary",
        "eng-reliability",
        _ALARM_ANCHOR,
    ),
    Row(
        "error_budget_not_burning",
        "Error budget not burning",
        "No multiwindow burn rate of the SRE workbook is exceeded.",
        "error_budget_not_burning",
        "tool_slo_summary",
        "eng-reliability",
        _ALARM_ANCHOR,
    ),
    Row(
        "no_slo_alarm_firing",
        "No SLO alarm firing",
        "No alarm on the tool SLO metrics is in ALARM.",
        "no_slo_alarm_firing",
        "slo_alarms",
        "ops-sre",
        _ALARM_ANCHOR,
    ),
    Row(
        "alarms_would_have_fired",
        "Alarms would have fired",
        "Replayed on thirty days of recorded metrics, the alarms tell people of every breach of an SLO, in time, and seldom of"
        " anything else.",
        "alarms_would_have_fired",
        "alarm_replay",
        "ops-sre",
        _ALARM_ANCHOR,
    ),
    Row(
        "iam_is_tenant_scoped",
        "Function roles bound to the tenant",
        "No role of the platform's functions reaches items beyond its caller's tenant, unless it is excepted with a reason.",
        "iam_is_tenant_scoped",
        "role_access",
        "security-compliance",
    ),
    Row(
        "changes_are_audited",
        "Changes of autonomy audited",
        "Every change of modes, allowlists, budgets and kill switches has its ledger entry, which says who made it and why.",
        "changes_are_audited",
        "autonomy_changes",
        "security-compliance",
    ),
    Row(
        "audit_export_is_whole",
        "Audit export whole",
        "An audit export of a test tenant, longer than one page, holds every entry of its ledger once, unaltered, and no other.",
        "audit_export_is_whole",
        "audit_export",
        "security-compliance",
    ),
    Row(
        "executions_end",
        "Every execution ends",
        "Every execution has one start and one end in the ledger, its outcome and its attempt, and all of them agree.",
        "executions_end",
        "execution_outcomes",
        "eng-reliability",
    ),
    Row(
        "calls_are_measured",
        "Every call is measured",
        "The metrics show every call of a tool that executions made, and count the failures among them as errors.",
        "calls_are_measured",
        "execution_outcomes",
        "eng-reliability",
        _ALARM_ANCHOR,
    ),
)

ALL_CHECKS = (*ROWS, *EXTRA_CHECKS)
ROW_OF_CHECK = {row.check: row for row in ALL_CHECKS}
ROW_OF_ID = {row.id: row for row in ALL_CHECKS}
