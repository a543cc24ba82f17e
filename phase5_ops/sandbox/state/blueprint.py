"""A platform's state as plain data. Scenarios make small changes to the healthy one (`healthy.py`); `seed.py` puts it into AWS.

Nothing here talks to AWS.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from phase5_ops.sandbox.aws.bill import BillingLine
from phase5_ops.sandbox.state.ordinary_logs import LogLine
from phase5_ops.sandbox.state.platform_faults import PlatformFault

if TYPE_CHECKING:
    from phase5_ops.sandbox.aws.inside import InsideAws

NAMESPACE = "CCNative/Execution"
RUNBOOK_ADDRESS = "https://github.com/rpaturu/cc-native/blob/main/docs/runbooks/phase_5_7_reliability.md"
TENANTS = ("acme", "globex", "initech")
DAY = 86_400

#: The action types that the platform's own script registers.
ACTION_TYPES = {
    "CREATE_CRM_TASK": "crm.create_task",
    "CREATE_INTERNAL_NOTE": "internal.create_note",
    "CREATE_INTERNAL_TASK": "internal.create_task",
}

RUNBOOK = """# Phase 5.7 runbook: reliability

## Circuit breaker OPEN

Do not close a breaker by hand: it closes itself when its probe succeeds. If the connector stays down, disable it (see below).

## Disable a connector

Set the kill switch of every tenant: `PUT /kill-switches` with the connector's action types.

## Replay safely

Replay only with a reason and a requester; watch the ledger until REPLAY_COMPLETED or REPLAY_FAILED.

## SLO alarms (`tool_latency_ms`, `tool_error`)

Look at the dashboard, find the tool and connector, compare with the breaker's state, then page the connector's owner.
"""


@dataclass
class Traffic:
    """Steady traffic of one tool as the platform's wrapper emits it.

    Attributes:
        tool, connector: the dimension values as emitted.
        calls_per_minute: successful and failed calls together.
        error_every_minutes: one failed call that often, on a tenant dimension set; 0 for none.
        burst: failed calls a minute during the last `burst_minutes`.
        latency_ms: typical latency; a hundredth of the calls takes three times as long.
        slow_share: share of calls that take 9,000 ms during the last `slow_minutes`.
        from_minutes, until_minutes: traffic from that long ago until that long ago.
        omit: metrics that are not emitted.
        tenant_on_errors: False leaves tenant_id off the errors, against the contract.
        tenants: those whose calls they are.
        failed_minutes_ago: single calls, each with the tenant that it failed for, that so long ago failed beside those.
    """

    tool: str
    connector: str
    calls_per_minute: int = 40
    error_every_minutes: int = 30
    burst: int = 0
    burst_minutes: int = 0
    latency_ms: float = 180.0
    slow_share: float = 0.0
    slow_minutes: int = 0
    from_minutes: int = 30 * 24 * 60
    until_minutes: int = 0
    omit: frozenset[str] = frozenset()
    tenant_on_errors: bool = True
    tenants: tuple[str, ...] = TENANTS
    failed_minutes_ago: tuple[tuple[float, str], ...] = ()

    def again(self, *, from_minutes: int) -> "Traffic":
        """The same traffic, from that long ago until now."""
        return replace(self, from_minutes=from_minutes, until_minutes=0, failed_minutes_ago=())


@dataclass
class Point:
    """An extra data point, `minutes_ago` before the platform's present, `count` times."""

    metric: str
    dimensions: dict[str, str]
    value: float
    minutes_ago: float = 1.0
    count: int = 1


@dataclass
class AlarmHistory:
    """What CloudWatch has recorded of an alarm: when it was put, and its states since then, each from so long ago."""

    put_minutes_ago: float
    states: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Blueprint:
    """Everything the sandbox puts into AWS before it serves, and what its platform then does wrong.

    Attributes:
        now: the platform's present.
        items: further items, as plain values, by table.
        raw_items: further items in DynamoDB JSON, by table; for what no serializer would write.
        platform_faults: faults of the Control Center and the executor.
        global_stop: GLOBAL_EXECUTION_STOP of the platform's functions.
        afterwards: what is done in the sandbox's AWS once all else is there.
        serving: whether there is a working platform at all: Control Center, executor, test tenants, event rules.
    """

    now: datetime
    action_types: dict[str, str] = field(default_factory=lambda: dict(ACTION_TYPES))
    tenants: list[dict[str, Any]] = field(default_factory=list)
    breakers: list[dict[str, Any]] = field(default_factory=list)
    raw_items: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    items: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # plain items by table, written in batches
    missing_tables: set[str] = field(default_factory=set)
    traffic: list[Traffic] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    alarm_states: dict[str, str] = field(default_factory=dict)
    alarm_histories: dict[str, AlarmHistory] = field(default_factory=dict)
    composites: list[dict[str, Any]] = field(default_factory=list)
    mute_rules: list[dict[str, Any]] = field(default_factory=list)
    topics: dict[str, list[str]] = field(default_factory=dict)
    topic_attributes: dict[str, dict[str, str]] = field(default_factory=dict)  # by topic, as CreateTopic takes them
    roles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    billing: list[BillingLine] = field(default_factory=list)
    cost_tags: dict[str, str] = field(default_factory=dict)
    cost_tags_updated: str = "2026-01-15T00:00:00Z"
    cost_budgets: dict[str, list[str]] = field(default_factory=dict)
    runbook: str | None = RUNBOOK
    faults: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    platform_faults: set[PlatformFault] = field(default_factory=set)
    global_stop: bool = False
    afterwards: list[Callable[["InsideAws"], None]] = field(default_factory=list)
    serving: bool = True

    @property
    def epoch(self) -> int:
        """The platform's present in epoch seconds."""
        return int(self.now.timestamp())

    @property
    def now_ms(self) -> int:
        """The platform's present in epoch milliseconds."""
        return int(self.now.timestamp() * 1000)

    def tools(self) -> list[str]:
        """The registered tools."""
        return sorted(set(self.action_types.values()))

    def add(self, table: str, item: dict[str, Any]) -> None:
        """Puts a plain item into a table."""
        self.items.setdefault(table, []).append(item)

    def item(self, table: str, pk: str, sk: str) -> dict[str, Any]:
        """A plain item of a table, to be changed."""
        return next(item for item in self.items[table] if (item["pk"], item["sk"]) == (pk, sk))

    def add_tenant(self, tenant_id: str) -> None:
        """One more active tenant, with a cost of its own."""
        self.tenants.append({"tenantId": tenant_id, "name": tenant_id.title(), "status": "active", "config": {}, "metadata": {}})
        self.billing.append(BillingLine("AWS Lambda", "0.50", {"tenant": tenant_id, "connector": "internal"}))

    def traffic_of(self, tool: str) -> Traffic:
        """The traffic of one tool."""
        return next(traffic for traffic in self.traffic if traffic.tool == tool)

    def alarm(self, tool: str, signal: str) -> dict[str, Any]:
        """The alarm of one tool: signal `latency` or `error`."""
        return next(alarm for alarm in self.alarms if tool in alarm["AlarmName"] and signal in alarm["AlarmName"])

    def breaker(self, connector: str, sk: str = "STATE") -> dict[str, Any]:
        """One item of the resilience table."""
        return next(item for item in self.breakers if item["pk"] == f"CONNECTOR#{connector}" and item["sk"] == sk)


def closed(blueprint: Blueprint, connector: str, *, seconds_ago: int, failures: int = 0) -> dict[str, Any]:
    """A CLOSED breaker last written `seconds_ago`."""
    start = blueprint.epoch - seconds_ago
    return _state(connector, "CLOSED", start, ttl=start + 14 * DAY, failure_count=failures)


def opened(blueprint: Blueprint, connector: str, *, seconds_ago: int, cooldown: int = 30) -> dict[str, Any]:
    """A breaker that opened `seconds_ago`; its deadline is ahead if that is less than the cooldown."""
    start = blueprint.epoch - seconds_ago
    return _state(connector, "OPEN", start, ttl=start + 14 * DAY, failure_count=5, open_until_epoch_sec=start + cooldown)


def half_open(blueprint: Blueprint, connector: str, *, seconds_ago: int, probe: bool = True) -> dict[str, Any]:
    """A breaker that went HALF_OPEN `seconds_ago`, 40 s after it opened."""
    written = blueprint.epoch - seconds_ago
    return _state(connector, "HALF_OPEN", written - 40, ttl=written + 14 * DAY, failure_count=5, half_open_probe_in_flight=probe)


def _state(connector: str, state: str, start: int, *, ttl: int, failure_count: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "pk": f"CONNECTOR#{connector}",
        "sk": "STATE",
        "state": state,
        "failure_count": failure_count,
        "window_start_epoch_sec": start,
        "ttl_epoch_sec": ttl,
        **more,
    }
