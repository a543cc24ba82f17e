"""Thresholds and rules of judgement, as frozen models with the platform's contract figures as defaults.

Every field here can change a verdict, so all of it goes into the policy digest. One file, so that every threshold is found in one
place. Durations name their unit. Sources: CCNative's Phase 5 plan (5 failures in 60 s, cooldown 30 s, state TTL 7-30 d; p99 or
p95 of tool_latency_ms above 5000 ms, errors above 1 %, over 5-15 min); the SRE workbook's multiwindow burn-rate pairs. Pure.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from phase5_ops.checklist import ALL_CHECKS, EXTRA_CHECKS


class Stricter(StrEnum):
    """Which direction makes a setting stricter than shipped; part of its type, read by `gate/approval/disclosures.py`."""

    LESS = "less"  # limits on how much, late, wrong or often; of a list of what is excused: fewer entries
    MORE = "more"  # what must be reached, how far back is looked; of a list of what is judged: more entries; a name: any
    NEITHER = "neither"  # any other value may be looser
    JUDGES_NOTHING = "judges nothing"  # who, where and when, which each environment sets for itself, and the pace of requests


T = TypeVar("T")
#: The type of a setting, with its stricter direction: `Less[float]`.
Less = Annotated[T, Stricter.LESS]
More = Annotated[T, Stricter.MORE]
Neither = Annotated[T, Stricter.NEITHER]
JudgesNothing = Annotated[T, Stricter.JUDGES_NOTHING]

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:/_-]{1,2048}$")]


#: The environment where no setting names another.
DEFAULT_ENVIRONMENT = "production"


class Policy(BaseModel):
    """Base of the policy models: immutable, and no unknown field is accepted."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: Statuses of a tenant that is no longer served: what the platform writes (suspended, deleted), and what operators write.
#: Any other status, and none, is that of an active tenant.
INACTIVE_TENANT_STATUSES = (
    "inactive",
    "suspended",
    "deleted",
    "disabled",
    "archived",
    "closed",
    "deactivated",
    "terminated",
)


class ToolSetting(Policy):
    """A tool that must be there although the action type registry may not name it, or whose traffic is known to be rare."""

    name: Name
    connector: Name | None = Field(None, description="canonical connector; default: derived from the tool's prefix")
    traffic: Literal["steady", "rare"] = Field("steady", description="rare: few samples or old data are WARN")


class BurnWindow(Policy):
    """One pair of burn-rate windows: both must exceed `factor`."""

    factor: float = Field(gt=0, allow_inf_nan=False)
    long_hours: float = Field(gt=0, le=72, description="fine-grained metrics are read for three days")
    short_minutes: int = Field(gt=0, multiple_of=5, le=24 * 60)

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short_minutes >= self.long_hours * 60:
            raise ValueError("short_minutes must be shorter than long_hours")
        return self


WORKBOOK_WINDOWS = (
    BurnWindow(factor=14.4, long_hours=1, short_minutes=5),
    BurnWindow(factor=6, long_hours=6, short_minutes=30),
    BurnWindow(factor=3, long_hours=24, short_minutes=120),
    BurnWindow(factor=1, long_hours=72, short_minutes=360),
)


class SloPolicy(Policy):
    """Row 1.1 and the checks tool_slo_met and error_budget_not_burning."""

    latency_threshold_ms: Less[float] = Field(
        5000, gt=0, allow_inf_nan=False, description="a call is within the SLO at or under this"
    )
    latency_target: More[float] = Field(0.99, gt=0, lt=1, description="share of calls that must be within the threshold")
    error_rate_max: Less[float] = Field(0.01, gt=0, lt=1, description="largest share of failed calls that meets the SLO")
    lookback_hours: Neither[int] = Field(24, ge=1, le=72, description="the window every figure is judged on")
    current_window_minutes: Neither[int] = Field(15, ge=5, le=60, multiple_of=5, description="the window judged as 'now'")
    min_samples: Neither[int] = Field(30, ge=1, description="fewer calls than this decide nothing")
    min_window_samples: Neither[int] = Field(
        10, ge=1, description="fewer calls than this in a 5-minute or current window are not judged alone"
    )
    max_bad_window_share: Less[Share] = Field(0.05, description="share of judged 5-minute windows that may be bad")
    max_datapoint_age_minutes: Less[int] = Field(60, ge=1, description="data older than this is stale")
    budget_days: Neither[int] = Field(30, ge=7, le=30, description="days the error budget covers")
    burn_windows: Neither[tuple[BurnWindow, ...]] = Field(
        WORKBOOK_WINDOWS, min_length=1, description="pairs of burn-rate windows; both of a pair must exceed the factor"
    )
    burn_min_requests: Neither[int] = Field(10, ge=1, description="requests in the short window for a burn to be certain")
    burn_min_errors: Neither[int] = Field(3, ge=1, description="bad calls in the short window for a burn to be certain")

    @model_validator(mode="after")
    def _factors_reachable(self) -> Self:
        for window in self.burn_windows:
            for budget, name in ((1 - self.latency_target, "latency_target"), (self.error_rate_max, "error_rate_max")):
                if window.factor * budget > 1:
                    raise ValueError(
                        f"burn factor {window.factor} cannot be reached with {name} (budget {budget:.4g}): "
                        f"it would need more than 100 % bad calls; use a factor of at most {1 / budget:.4g}"
                    )
        return self


class AlarmPolicy(Policy):
    """Row 1.2 and the check no_slo_alarm_firing."""

    min_percentile: More[float] = Field(95, ge=50, lt=100, description="lowest latency percentile an alarm may watch (p95)")
    window_min_seconds: Neither[int] = Field(300, gt=0, description="shortest period x evaluation periods")
    window_max_seconds: Less[int] = Field(900, gt=0, description="longest period x evaluation periods")

    @model_validator(mode="after")
    def _window_ordered(self) -> Self:
        if self.window_min_seconds > self.window_max_seconds:
            raise ValueError("window_min_seconds must not exceed window_max_seconds")
        return self


class AlarmReplayPolicy(Policy):
    """The check alarms_would_have_fired."""

    max_detection_minutes: Less[int] = Field(15, ge=1, description="how long after a breach began people are told, at the latest")
    max_false_alarms_a_week: Less[float] = Field(
        1,
        ge=0,
        allow_inf_nan=False,
        description="how often an alarm may fire a week while its tools meet their SLO; a whole day of it counts again",
    )
    max_metrics_read_again: More[int] = Field(
        10_000, ge=0, description="metrics with a tenant that are read by five minutes, at most, where a breach is possible"
    )
    max_firings_an_hour: Less[int] = Field(3, ge=1, description="how often an alarm may go into ALARM within an hour")


class RunbookPolicy(Policy):
    """Rows 1.3 and 2.2: the anchors that must resolve."""

    alarm_anchor: Neither[Name] = Field("slo-alarms-tool_latency_ms-tool_error", description="section that alarms point to")
    breaker_anchor: Neither[Name] = Field("circuit-breaker-open", description="section on an open breaker")


class BreakerPolicy(Policy):
    """Rows 2.1 and 2.2."""

    cooldown_seconds: Neither[int] = Field(30, gt=0, description="how long a breaker stays open before its probe")
    call_timeout_seconds: Less[int] = Field(300, gt=0, description="longest a wrapped call may take (execution policy)")
    state_ttl_days: Neither[int] = Field(14, gt=0, description="ttl_epoch_sec is last write plus this")
    ttl_min_days: More[int] = Field(7, gt=0, description="shortest life of a breaker's state")
    ttl_max_days: Less[int] = Field(30, gt=0, description="longest life of a breaker's state")
    failure_threshold: Neither[int] = Field(5, gt=0, description="failures at which a breaker opens; a CLOSED one has fewer")
    hand_closing_hours: More[int] = Field(
        24, gt=0, description="how long a breaker closed by hand keeps its row failing; then WARN"
    )
    max_in_flight: Less[int] = Field(20, gt=0, description="slots a connector has")
    open_max_minutes: Less[int] = Field(
        10, gt=0, description="a breaker open longer than this under traffic needs its operator action"
    )
    max_reopenings: Less[int] = Field(3, ge=1, description="re-openings in a row that need the operator action")
    recurrence_days: Neither[int] = Field(
        7, ge=1, le=30, description="over how many days openings are counted, whatever lies between the runs (history keeps 30)"
    )
    max_openings: Less[int] = Field(6, ge=1, description="openings seen within recurrence_days that need the operator action")
    max_open_share: Less[Share] = Field(
        0.5,
        description="share of the runs of recurrence_days that may find a breaker not closed, once max_reopenings openings were"
        " seen in it",
    )
    recurrence_hours: Less[float] = Field(
        1, ge=0, le=24, allow_inf_nan=False, description="runs closer together than this are one look, whose share says nothing"
    )
    recovery_hours: More[float] = Field(
        36,
        ge=0,
        allow_inf_nan=False,
        description="how long a breaker that opened again and again must have been found closed; a daily run's last look counts",
    )
    slot_idle_minutes: Less[int] = Field(15, gt=0, description="a slot in use without any data point for this long is leaked")
    clock_skew_seconds: Less[int] = Field(300, ge=0, description="how far ahead of evaluation time a platform timestamp may be")
    inactive_tenant_statuses: Less[tuple[str, ...]] = Field(
        INACTIVE_TENANT_STATUSES, description="tenants that a kill switch need not cover; any other status is active"
    )

    @model_validator(mode="after")
    def _ttl_ordered(self) -> Self:
        if self.ttl_min_days > self.ttl_max_days:
            raise ValueError("ttl_min_days must not exceed ttl_max_days")
        return self


class IamException(Policy):
    """A role that may reach DynamoDB beyond one tenant, with the reason that somebody answers for."""

    role: str = Field(min_length=1, description="role name, or its logical id in the template; `*` and `?` as in IAM")
    table: str = Field("*", min_length=1, description="table name; `*` and `?` as in IAM")
    actions: tuple[str, ...] = Field(("*",), min_length=1, description="actions without the prefix dynamodb:, e.g. Scan, Get*")
    justification: str = Field(min_length=20, description="why this role may; shown by the report")


class IsolationPolicy(Policy):
    """Row 4.1 and the check iam_is_tenant_scoped."""

    table_prefix: Neither[Name] = Field(
        "cc-native-", description="tables of the account that belong to the platform begin with this"
    )
    outcome_seconds: Less[float] = Field(60, gt=0, le=900, description="longest wait for the canary execution's outcome")
    compare_item_limit: More[int] = Field(
        100_000, ge=0, description="tables with more items than this are read by keys and indexes only, never whole"
    )
    trail_s3_uri: More[str | None] = Field(
        None,
        pattern=r"^s3://[a-z0-9.-]{3,63}(/.*)?$",
        description="where CloudTrail delivers DynamoDB data events: s3://bucket/prefix/AWSLogs/<account>/CloudTrail/<region>",
    )
    trail_wait_seconds: More[float] = Field(0, ge=0, le=1800, description="how long to wait for the trail to be delivered")
    trail_functions: More[tuple[Name, ...]] = Field(
        (
            "cc-native-execution-*",
            "cc-native-tool-*",
            "cc-native-compensation-handler",
            "cc-native-*-adapter-handler",
        ),
        min_length=1,
        description="whose calls are the execution's, by session name: functions, and sessions of roles that they assume",
    )
    trail_exclusive: More[bool] = Field(
        False,
        description="nothing but test executions runs while the canary does, so every call of these in its window is judged",
    )
    event_log_group: More[str | None] = Field(
        None, min_length=1, description="log group that a rule of the platform's event bus delivers its events to"
    )
    probe_requests: JudgesNothing[int] = Field(
        3000, ge=100, le=10_000, description="most probes of one run beside those of /replay; the rest is not tried"
    )
    probe_seconds: JudgesNothing[float] = Field(
        60, gt=0, le=600, description="longest that sending those probes may take; the rest is not tried"
    )
    probe_requests_per_second: JudgesNothing[float] = Field(
        500, gt=0, le=10_000, description="most requests of those probes in one second"
    )
    probe_tries: JudgesNothing[int] = Field(
        2, ge=1, le=5, description="how often such a probe is sent where a connection breaks, no answer comes in time, or a 429"
    )
    iam_roles: More[tuple[Name, ...]] = Field(
        ("cc-native-*", "CCNative*"), min_length=1, description="names of the roles of the platform's functions"
    )
    iam_template: Neither[str | None] = Field(
        None, min_length=1, description="CloudFormation or SAM template to judge instead of the deployed roles: a path"
    )
    iam_tables: More[tuple[Name, ...]] = Field(
        ("cc-native-*",), min_length=1, description="tables that hold tenants' data, as in IAM; others are not looked at"
    )
    iam_exceptions: Less[tuple[IamException, ...]] = Field((), description="roles that may reach beyond one tenant, and why")
    iam_blocks: More[bool] = Field(False, description="findings of iam_is_tenant_scoped are FAIL instead of WARN")


class ExportPolicy(Policy):
    """audit_export_is_whole: an audit export of test tenant A."""

    days: More[int] = Field(60, ge=1, le=90, description="the period of the export: so many days up to the run")
    min_pages: More[int] = Field(
        2, ge=1, le=10, description="pages of DynamoDB (1 MB) that the period's entries must fill; phase5 writes what is missing"
    )
    seconds: Less[float] = Field(60, gt=0, le=900, description="longest wait for the export to be completed")
    max_megabytes: Neither[int] = Field(64, ge=2, le=1024, description="a larger file is not fetched")
    fetch_seconds: Neither[float] = Field(60, gt=0, le=900, description="longest time that fetching the file may take")


class ProbePolicy(Policy):
    """Rows 3.1 and 3.3: how the replay API is probed, and what a probe may name."""

    settle_seconds: More[float] = Field(
        10, ge=0, le=300, description="time between the last probe and the first search of the ledger for what it left behind"
    )
    request_timeout_seconds: JudgesNothing[float] = Field(
        10, gt=0, le=60, description="longest one request to the Control Center may take in all"
    )
    send_seconds: JudgesNothing[float] = Field(
        60, gt=0, le=600, description="longest that sending all probes may take; the rest is not tried"
    )
    follow_seconds: Less[float] = Field(60, gt=0, le=900, description="how long the canary replay is followed to its end")
    parallel_requests: JudgesNothing[int] = Field(8, ge=1, le=16, description="requests under way at once")
    requests_per_second: JudgesNothing[float] = Field(100, gt=0, le=10_000, description="how fast requests are sent at most")
    max_requests: JudgesNothing[int] = Field(
        800, ge=1, le=5000, description="requests to /replay that one run may send; the rest is not tried"
    )
    tries: JudgesNothing[int] = Field(
        2, ge=1, le=5, description="how often a probe that starts no work is sent where the connection broke off or timed out"
    )
    stopped_action_type: JudgesNothing[str] = Field(
        "CREATE_INTERNAL_TASK",
        pattern=r"^[A-Z][A-Z0-9_]{1,63}$",
        description="harmless action type, not action_type, that is switched off for test tenant A while one replay is sent",
    )
    late_effect_days: More[int] = Field(
        7, ge=1, le=30, description="how far back the ledger is searched for what refused probes of earlier runs left, at most"
    )
    runs_per_hour: JudgesNothing[int] = Field(20, ge=1, le=1000, description="readiness runs that may probe in one clock hour")
    lease_seconds: JudgesNothing[int] = Field(
        900, ge=60, le=7200, description="how long one run may probe before another may take over; must outlast a run"
    )
    expired_token_file: More[Path | None] = Field(
        None, description="file with a genuinely signed id token of user A that has expired; default: one kept by an earlier run"
    )
    other_client_id: More[str | None] = Field(
        None, min_length=1, description="another client of the user pool, whose tokens the Control Center should not take"
    )
    user_agent: JudgesNothing[Name] = Field(
        "phase5-ops-probe/1.0 (authorized readiness probe)", description="how the probes show themselves"
    )
    test_tenant_prefix: JudgesNothing[str] = Field(
        "phase5-", min_length=1, description="a test tenant's id starts with this, or its tenants item is marked"
    )
    account_a: JudgesNothing[Name] = Field(
        "canary-a-1", description="account of test tenant A within user A's custom:account_ids"
    )
    account_a_out_of_scope: JudgesNothing[Name] = Field(
        "canary-a-2", description="account of test tenant A outside custom:account_ids"
    )
    account_b: JudgesNothing[Name] = Field("canary-b-1", description="account of test tenant B")
    action_type: JudgesNothing[Name] = Field(
        "CREATE_INTERNAL_NOTE", description="action type of the canary intents; must be harmless"
    )
    stop_functions: Neither[tuple[Name, ...]] = Field(
        ("cc-native-execution-starter", "cc-native-execution-validator"),
        min_length=1,
        description="functions whose GLOBAL_EXECUTION_STOP is the platform's global stop",
    )

    @property
    def accounts(self) -> tuple[str, str, str]:
        """The accounts of the test tenants."""
        return self.account_a, self.account_a_out_of_scope, self.account_b

    @model_validator(mode="after")
    def _accounts_differ(self) -> Self:
        if len(set(self.accounts)) < len(self.accounts):
            raise ValueError("account_a, account_a_out_of_scope and account_b must be three different accounts")
        if self.lease_seconds <= self.send_seconds + self.settle_seconds + self.follow_seconds:
            raise ValueError("lease_seconds must be longer than send_seconds, settle_seconds and follow_seconds together")
        return self


class ReplayPolicy(Policy):
    """Row 3.2: what a complete replay is, and how far back the ledger is read."""

    window_days: More[int] = Field(7, ge=1, le=366, description="replays requested in these last days are judged")
    start_deadline_minutes: Less[float] = Field(
        5, gt=0, le=24 * 60, description="a request must have its REPLAY_STARTED within this: one event and one start lie between"
    )
    finish_deadline_minutes: Less[float] = Field(
        60, gt=0, le=24 * 60, description="a started replay must end within this: the platform's own execution time limit"
    )
    max_replays_per_intent: Less[int] = Field(3, ge=1, description="replays of one intent within the window; more are WARN")
    clock_skew_ms: Less[int] = Field(
        10,
        ge=0,
        le=5000,
        description="how far the clocks of two functions may differ; entries of one function are not allowed any",
    )
    entry_id_tolerance_seconds: Less[float] = Field(
        300,
        ge=0,
        le=3600,
        description="how far an entry's timestamp may be from the time in its entry id; one call writes both",
    )
    future_tolerance_seconds: Less[int] = Field(
        300, ge=0, le=3600, description="how far ahead of the clock an entry may be stamped"
    )
    ledger_tenants: More[tuple[Name, ...]] = Field(
        (), description="tenants whose ledger partitions are read although the tenants table does not name them"
    )


class LogException(Policy):
    """An administrative or batch invocation that names several tenants by its nature: one of its lines holds `message`."""

    log_group: Name = Field(description="log group (or file) as a pattern: /aws/lambda/cc-native-audit-export-worker")
    message: str = Field(min_length=8, max_length=256, description="text of the line, exactly as logged")
    justification: str = Field(min_length=10, max_length=500, description="why this may name several tenants")


class LogScanPolicy(Policy):
    """Row 4.2: which lines are read, and when a line counts as judged."""

    group_prefixes: More[tuple[Name, ...]] = Field(
        ("/aws/lambda/cc-native-",), min_length=1, description="log groups that are read"
    )
    window_hours: More[float] = Field(24, gt=0, le=24 * 14, description="how far back log lines are judged")
    lead_in_minutes: More[int] = Field(
        15, ge=0, le=60, description="read before the window too, for invocations that began there"
    )
    ledger_margin_hours: Neither[float] = Field(
        24 * 7, gt=0, le=24 * 90, description="how long before the window an execution may have begun whose lines are in it"
    )
    archives: More[tuple[str, ...]] = Field((), description="folders, files or s3:// prefixes of archived logs, scanned as well")
    sample_share: More[Share] = Field(1, gt=0, description="share of the window that is read; less than 1 is reported")
    requests_per_second: JudgesNothing[float] = Field(
        5, gt=0, le=50, description="FilterLogEvents calls a second (AWS allows 5 to 10)"
    )
    unattributed_max_share: Less[Share] = Field(0.01, description="share of lines naming a tenant whose owner may be unknown")
    min_free_text_length: Less[int] = Field(3, ge=1, le=16, description="shorter ids are judged in structured places only")
    common_words: Less[tuple[Name, ...]] = Field((), description="further words that are tenant ids and too common for free text")
    base64: More[bool] = Field(False, description="ids are looked for in base64 too (about a fifth of the speed)")
    any_letter_case: More[bool] = Field(
        False, description="ids are looked for in any letter case too (ids are told apart by case)"
    )
    exceptions: Less[tuple[LogException, ...]] = Field((), description="invocations that may name several tenants, and why")


class BudgetPolicy(Policy):
    """Row 5.1: autonomy budgets."""

    lookback_days: More[int] = Field(7, ge=1, le=30, description="UTC days that are judged, today included")
    clock_skew_seconds: Less[int] = Field(300, ge=0, le=3600, description="how far a budget's timestamp may be off its day")
    settle_seconds: Less[int] = Field(
        5, ge=0, le=300, description="approvals younger than this may be seen in one table and not yet in another"
    )
    naming_seconds: Neither[float] = Field(
        30, gt=0, le=3600, description="longest reading of one table that only names accounts (signals, ledger, ...)"
    )


#: Names of machines and of roles that anybody may have.
_NOBODY = (
    *("system", "admin", "administrator", "root", "user", "operator", "service", "automation", "script", "default", "test"),
    *("api", "lambda", "cli", "console"),
)
_CONFIGURATION_EVENTS = ("AUTONOMY_CONFIG_CHANGED", "AUTONOMY_CONFIG_UPDATED")


class ChangePolicy(Policy):
    """changes_are_audited: changes of modes, allowlists, budgets and kill switches, and their entries in the ledger."""

    lookback_days: More[int] = Field(30, ge=1, le=366, description="changes of these last days need their ledger entry")
    entry_seconds: Less[float] = Field(
        60, gt=0, le=3600, description="how far the entry's time may be from the time of the change, either way"
    )
    nobody: More[tuple[Name, ...]] = Field(
        _NOBODY,
        description="names, in any letter case, by which nobody can be asked, beside those that say nothing (unknown, n/a, ...)",
    )
    mode_events: Less[tuple[Name, ...]] = Field(
        (*_CONFIGURATION_EVENTS, "AUTONOMY_MODE_CHANGED", "AUTONOMY_MODE_UPDATED"),
        description="types of ledger entries that tell of a changed mode",
    )
    allowlist_events: Less[tuple[Name, ...]] = Field(
        (*_CONFIGURATION_EVENTS, "AUTONOMY_ALLOWLIST_CHANGED", "AUTONOMY_ALLOWLIST_UPDATED", "ALLOWLIST_CHANGED"),
        description="types of ledger entries that tell of a changed allowlist",
    )
    budget_events: Less[tuple[Name, ...]] = Field(
        (
            *("AUTONOMY_BUDGET_CHANGED", "AUTONOMY_BUDGET_UPDATED", "BUDGET_CHANGED", "BUDGET_UPDATED"),
            *("BUDGET_CONFIG_CHANGED", "BUDGET_CONFIG_UPDATED"),
        ),
        description="types of ledger entries that tell of a changed budget",
    )
    kill_switch_events: Less[tuple[Name, ...]] = Field(
        ("KILL_SWITCH_CHANGED", "KILL_SWITCH_UPDATED", "KILL_SWITCHES_CHANGED", "KILL_SWITCHES_UPDATED"),
        description="types of ledger entries that tell of changed kill switches",
    )


class CostPolicy(Policy):
    """Row 5.2: what is asked of Cost Explorer, and what of the answer is right."""

    tenant_tag: Neither[Name] = Field("tenant", description="cost allocation tag that names the tenant")
    connector_tag: Neither[Name] = Field("connector", description="cost allocation tag that names the connector")
    days: Neither[int] = Field(
        30, ge=1, le=180, description="days the report covers; as many before them are the previous period"
    )
    metric: Neither[Literal["UnblendedCost", "AmortizedCost"]] = Field(
        "UnblendedCost", description="the cost that is judged and shown; both are stored"
    )
    accounts: Neither[tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...]] = Field(
        (), description="linked accounts in scope; default: the account that is read"
    )
    services: Neither[tuple[Name, ...]] = Field((), description="services in scope, as Cost Explorer names them; default: all")
    max_unallocated_share: Less[Share] = Field(0.10, description="largest share of the cost that no tenant may account for")
    grace_hours: Less[int] = Field(72, ge=0, le=720, description="a tenant or tag younger than this may have no cost yet")
    max_lag_days: Less[int] = Field(2, ge=0, le=14, description="whole days that Cost Explorer may be behind")
    anomaly_factor: Neither[float] = Field(
        3, gt=1, allow_inf_nan=False, description="a day above this many times the tenant's median day stands out"
    )
    anomaly_min_increase: Neither[float] = Field(
        5, ge=0, allow_inf_nan=False, description="smallest increase over the median day that stands out, in the bill's currency"
    )
    inactive_tenant_statuses: Less[tuple[str, ...]] = Field(
        INACTIVE_TENANT_STATUSES, description="tenants that need not have a cost; any other status is active"
    )


def _known(names: tuple[str, ...], known: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; use {', '.join(known)}")
    return names


class GatePolicy(Policy):
    """Which WARN rows open, how old evidence may be, and which extra checks block."""

    warn_blocks: More[tuple[str, ...]] = Field((), description='row ids whose WARN does not open, e.g. ["2.2"]')
    extra_checks_warn_only: Less[tuple[str, ...]] = Field(
        (), description='extra checks that are shown but do not block, e.g. ["tool_slo_met"]'
    )

    @field_validator("warn_blocks")
    @classmethod
    def _known_rows(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, [row.id for row in ALL_CHECKS])

    @field_validator("extra_checks_warn_only")
    @classmethod
    def _known_extra_checks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _known(value, [row.check for row in EXTRA_CHECKS])

    max_evidence_age_hours: Less[float] = Field(
        72,
        gt=0,
        le=720,
        allow_inf_nan=False,
        description="age at which evidence is stale, for every row that has no shorter one of its own",
    )
    sign_off_days: Less[float] = Field(7, gt=0, le=30, allow_inf_nan=False, description="how long a signature stands")
    waiver_days: Less[float] = Field(14, gt=0, le=14, allow_inf_nan=False, description="longest life of a waiver")
    clock_skew_seconds: Less[int] = Field(300, ge=0, le=3600, description="how far ahead of the gate's clock a timestamp may be")


class DeployedPolicy(Policy):
    """What runs on the platform, and whether it must be the candidate that runs while it is judged."""

    function_prefixes: More[tuple[Name, ...]] = Field(
        ("cc-native-",), min_length=1, description="what the names of the platform's functions begin with"
    )
    digest_parameter: More[Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,1011}$")] | None] = Field(
        None, description="SSM parameter that holds the digest (sha256:...) of what is deployed"
    )
    must_be_candidate: More[bool] = Field(False, description="the parameter must hold the candidate's digest while it is judged")

    @model_validator(mode="after")
    def _digest_is_somewhere(self) -> Self:
        if self.must_be_candidate and self.digest_parameter is None:
            raise ValueError("must_be_candidate needs digest_parameter, where the deployed digest stands")
        return self


class PromotionPolicy(Policy):
    """Where a promotion takes effect. The default leaves it at the record in the state table."""

    target: JudgesNothing[Literal["record", "eventbridge", "ssm", "codepipeline", "stepfunctions", "webhook"]] = Field(
        "record", description="what is told of a promotion; `record`: only the state table"
    )
    event_bus: JudgesNothing[Name] = Field("default", description="name or ARN of the bus, for target eventbridge")
    ssm_parameter: JudgesNothing[Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,1011}$")] | None] = Field(
        None, description="name of the parameter that holds the promoted release, for target ssm"
    )
    pipeline: JudgesNothing[Name | None] = Field(None, description="CodePipeline pipeline, for target codepipeline")
    pipeline_stage: JudgesNothing[Name | None] = Field(None, description="its stage with the manual approval")
    pipeline_action: JudgesNothing[Name | None] = Field(None, description="the manual approval action")
    state_machine_arn: JudgesNothing[
        (Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:stateMachine:[A-Za-z0-9_-]{1,80}$")] | None)
    ] = Field(None, description="STANDARD state machine, for target stepfunctions")
    webhook_url: JudgesNothing[str | None] = Field(
        None, pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])[^@\s]+$", description="https address, for target webhook"
    )
    webhook_timeout_seconds: JudgesNothing[float] = Field(20, gt=0, le=120, description="longest wait for the webhook's answer")

    @model_validator(mode="after")
    def _target_is_named(self) -> Self:
        needed = {
            "ssm": ("ssm_parameter",),
            "codepipeline": ("pipeline", "pipeline_stage", "pipeline_action"),
            "stepfunctions": ("state_machine_arn",),
            "webhook": ("webhook_url",),
        }.get(self.target, ())
        if missing := [name for name in needed if getattr(self, name) is None]:
            raise ValueError(f"target {self.target} needs {', '.join(missing)}")
        return self


class FlowPolicy(Policy):
    """How the gate's sensor works on candidates. Changes no verdict and opens nothing."""

    newer_candidate: JudgesNothing[Literal["supersede", "queue"]] = Field(
        "supersede", description="whether a newer candidate takes the place of an older pending one, or waits behind it"
    )
    attempt_minutes: JudgesNothing[float] = Field(
        30, gt=0, le=1440, allow_inf_nan=False, description="after how long a closed candidate is tried again"
    )
    deadline_hours: JudgesNothing[float] = Field(
        168, gt=0, le=720, allow_inf_nan=False, description="after how long a candidate that is still closed is rejected"
    )
    tick_seconds: JudgesNothing[int] = Field(30, ge=5, le=3600, description="how often the sensor looks")


class RetentionPolicy(Policy):
    """How long the state folder keeps readiness runs: their evidence and Dagster's record of them. Changes no verdict.

    Whatever is set, what the gate may still read stays: see `evidence/retention.py`.
    """

    run_days: JudgesNothing[float] = Field(
        30,
        gt=0,
        le=3650,
        allow_inf_nan=False,
        description="how long a readiness run without a release is kept in the state folder",
    )
    release_days: JudgesNothing[float] = Field(
        400,
        gt=0,
        le=3650,
        allow_inf_nan=False,
        description="how long one that was made for a release is kept: an auditor may come a year later",
    )
    newest_runs: JudgesNothing[int] = Field(
        20, ge=1, le=100_000, description="newest runs of the environment that are kept whatever their age"
    )


class SparkPolicy(Policy):
    """How Spark jobs are started on EMR Serverless. Changes no verdict."""

    application_id: JudgesNothing[str | None] = Field(
        None, pattern=r"^[0-9a-z]{1,64}$", description="EMR Serverless application (Spark) that jobs run on"
    )
    role_arn: JudgesNothing[str | None] = Field(None, pattern=r"^arn:.+:role/.+$", description="execution role of the jobs")
    entry_point: JudgesNothing[str | None] = Field(
        None, pattern=r"^s3://.+\.py$", description="s3:// location of phase5_ops/spark/job.py"
    )
    environment: JudgesNothing[str | None] = Field(
        None, pattern=r"^s3://.+\.tar\.gz$", description="s3:// location of the packed virtual environment with phase5_ops in it"
    )
    parameters: JudgesNothing[str] = Field(
        "", description="further parameters of spark-submit, e.g. --conf spark.executor.cores=4"
    )
    minutes: JudgesNothing[int] = Field(60, ge=5, le=720, description="longest a job may take, its waiting for a start included")
    poll_seconds: JudgesNothing[float] = Field(5, gt=0, le=300, description="how often a job is asked for its state")


class EnginePolicy(Policy):
    """Which engine makes the heavy scans (docs/scaling.md). The result is the same, so it changes no verdict."""

    log_scan: JudgesNothing[Literal["embedded", "dagster", "spark"]] = Field(
        "embedded", description="what scans for row 4.2: the run; for log groups Dagster's partitions; for archives a Spark job"
    )
    ledger_exports: JudgesNothing[tuple[str, ...]] = Field(
        (), description="s3:// exports that the asset ledger_export_audit has a Spark job audit; none: there is no such asset"
    )
    partials: JudgesNothing[str | None] = Field(
        None, min_length=1, description="folder or s3:// prefix for partial results; default: `partials` in the state folder"
    )
    settle_minutes: JudgesNothing[int] = Field(
        15, ge=0, le=55, description="how long after its end an hour is scanned: log lines may come late"
    )
    spark: SparkPolicy = SparkPolicy()

    @property
    def uses_spark(self) -> bool:
        """Whether Spark jobs are started."""
        return self.log_scan == "spark" or bool(self.ledger_exports)

    @model_validator(mode="after")
    def _spark_is_set_up(self) -> Self:
        if self.uses_spark:
            missing = [f"spark.{name}" for name in ("application_id", "role_arn", "entry_point") if not getattr(self.spark, name)]
            missing += [] if (self.partials or "").startswith("s3://") else ["partials (an s3:// prefix)"]
            if missing:
                raise ValueError(f"Spark jobs need {', '.join(missing)}; see docs/scaling.md")
        return self


class ExecutionPolicy(Policy):
    """The checks executions_end and calls_are_measured."""

    time_limit_minutes: Less[float] = Field(
        60,
        gt=0,
        le=24 * 60,
        description="longest an execution may take: the time limit of the platform's state machine; its attempt is kept longer",
    )
    settle_seconds: Less[int] = Field(
        60,
        ge=0,
        le=900,
        description="records younger than this when a run begins may be in one table and not yet in another",
    )
    edge_seconds: Less[int] = Field(
        60, ge=0, le=900, description="how far a call's data points may lie before its execution's start or after its end"
    )
    max_unmeasured_share: Less[Share] = Field(
        0.001,
        description="share of a tool's executions whose data point may be lost: a failed PutMetricData is only logged",
    )
    max_hidden_failure_share: Less[Share] = Field(
        0,
        description="share of a tool's executions that may report a failure which the metrics do not count as an error, "
        "beside those whose data point may be lost",
    )
    max_refused_share: Less[Share] = Field(
        0.01, description="share of executions that open breakers may refuse before it is FAIL: the SLO's own share of errors"
    )

    @property
    def time_limit_ms(self) -> int:
        """The time limit in milliseconds."""
        return int(self.time_limit_minutes * 60_000)


class OverridePolicy(Policy):
    """Promoting without an open gate: rollback and break-glass. Changes no verdict and opens nothing."""

    rollback_minutes: Less[float] = Field(
        60, gt=0, le=1440, allow_inf_nan=False, description="how long a signed order to roll back stands"
    )
    break_glass_hours: Less[float] = Field(
        4, gt=0, le=24, allow_inf_nan=False, description="longest life of an order to promote past a closed gate"
    )
    retry_seconds: JudgesNothing[float] = Field(
        60, ge=0, le=3600, allow_inf_nan=False, description="after how long an order that did not take effect is tried again"
    )


_WEBHOOK = re.compile(r"(https://[^@\s/]+|http://127\.0\.0\.1(:\d+)?)(/\S*)?")


class NotificationPolicy(Policy):
    """Whom the gate tells of changes. Without a channel nobody is told, and without a topic break-glass is not possible."""

    sns_topic_arn: JudgesNothing[
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$")] | None
    ] = Field(
        None,
        description="standard SNS topic that is told of each change, and of rollbacks and break-glass promotions before them",
    )
    webhook_url: JudgesNothing[SecretStr | None] = Field(
        None, description="https address that each change is posted to; it is never shown"
    )
    webhook_format: JudgesNothing[Literal["json", "slack"]] = Field(
        "json", description="what is posted: json (phase5.notification/v1), or slack for an incoming webhook of Slack"
    )
    webhook_secret_variable: JudgesNothing[Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,127}$")] | None] = Field(
        None, description="environment variable that holds the secret which signs what is posted; format json needs one"
    )
    webhook_timeout_seconds: JudgesNothing[float] = Field(5, gt=0, le=10, description="longest wait for the webhook's answer")

    @field_validator("webhook_url")
    @classmethod
    def _encrypted(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _WEBHOOK.fullmatch(value.get_secret_value()):
            raise ValueError("needs https:// without a user (http:// is taken for 127.0.0.1 only)")
        return value

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.webhook_url is not None and self.webhook_format == "json" and self.webhook_secret_variable is None:
            raise ValueError("webhook_url with format json needs webhook_secret_variable, whose secret signs what is posted")
        if (self.webhook_secret_variable or "").startswith("PHASE5_"):
            raise ValueError("webhook_secret_variable: a name that begins with PHASE5_ would be taken for a setting")
        return self


class SigningPolicy(Policy):
    """Rows S.1 to S.3: the keys that sign (KMS key id, ARN or alias), and the roles whose session names are trusted."""

    gate_key: JudgesNothing[KeyName] = Field("alias/phase5-gate", description="KMS key of the gate itself")
    eng_reliability_key: JudgesNothing[KeyName] = Field(
        "alias/phase5-eng-reliability", description="KMS key of the role eng-reliability"
    )
    ops_sre_key: JudgesNothing[KeyName] = Field("alias/phase5-ops-sre", description="KMS key of the role ops-sre")
    security_compliance_key: JudgesNothing[KeyName] = Field(
        "alias/phase5-security-compliance", description="KMS key of the role security-compliance"
    )
    trusted_roles: Less[tuple[Annotated[str, Field(pattern=r"^\d{12}/[A-Za-z0-9_+=,.@-]+\*?$")], ...]] = Field(
        (),
        description="roles whose session name is set by the identity provider rather than by the caller, as ACCOUNT/NAME, the"
        ' name perhaps with a * at its end, e.g. ["123456789012/AWSReservedSSO_Phase5*"]; sessions of other roles cannot sign',
    )

    @model_validator(mode="after")
    def _a_key_each(self) -> Self:
        keys = [self.gate_key, self.eng_reliability_key, self.ops_sre_key, self.security_compliance_key]
        if len(set(keys)) < len(keys):
            raise ValueError("the gate and the three roles need a key each; one key is named twice")
        return self

    def key_of(self, role: str) -> str:
        """The KMS key of `gate` or of one of the three roles.

        Raises:
            KeyError: there is no such role.
        """
        return {
            "gate": self.gate_key,
            "eng-reliability": self.eng_reliability_key,
            "ops-sre": self.ops_sre_key,
            "security-compliance": self.security_compliance_key,
        }[role]
