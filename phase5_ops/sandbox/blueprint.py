"""A platform's state as plain data, and the healthy one. Scenarios are small changes to it; `seed.py` puts it into the sandbox.

Nothing here talks to AWS. The healthy platform is what CCNative would look like if its operations followed its own plan: three
registered tools with steady traffic, errors well under 1 %, alarms that can fire, a dashboard, closed breakers, a runbook.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.ccnative.recommended_alarms import recommended_alarms
from phase5_ops.clock import iso
from phase5_ops.policy import RunbookPolicy, SloPolicy
from phase5_ops.sandbox.autonomy_state import add_autonomy
from phase5_ops.sandbox.function_roles import healthy_roles
from phase5_ops.sandbox.holes import Hole
from phase5_ops.sandbox.ordinary_logs import LEDGER_TABLE, LogLine, execution_logs, ledger_items, ordinary_executions
from phase5_ops.sandbox.past_executions import past_executions
from phase5_ops.sandbox.platform_records import ACCOUNTS, Item
from phase5_ops.sandbox.probe_tenants import PROBE_TENANTS

ACCOUNT = "123456789012"
NAMESPACE = "CCNative/Execution"
RUNBOOK_ADDRESS = "https://github.com/rpaturu/cc-native/blob/main/docs/runbooks/phase_5_7_reliability.md"
ALARM_SECTION = f"{RUNBOOK_ADDRESS}#{RunbookPolicy().alarm_anchor}"
ALERT_TOPIC = "cc-native-slo-alerts"
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


@dataclass
class Point:
    """One extra data point, `minutes_ago` before the platform's present."""

    metric: str
    dimensions: dict[str, str]
    value: float
    minutes_ago: float = 1.0


@dataclass
class BillingLine:
    """What one resource costs, every day alike but for a small weekly pattern.

    Attributes:
        service: as Cost Explorer names it.
        daily: cost a day, decimal text; negative for a credit.
        tags: cost allocation tags of the resource.
        account: linked account.
        record_type: Usage, Credit, Refund, Tax, ...
        currency: billing currency.
        amortized: amortized cost a day where it differs.
        from_days, until_days: first and last day that cost anything, so many days before the platform's today.
        grouped_only: cost that the total leaves out, as a bill that does not add up.
        total_only: cost that the grouped answer leaves out.
    """

    service: str
    daily: str
    tags: dict[str, str] = field(default_factory=dict)
    account: str = ACCOUNT
    record_type: str = "Usage"
    currency: str = "USD"
    amortized: str | None = None
    from_days: int = 70
    until_days: int = 0
    grouped_only: bool = False
    total_only: bool = False


@dataclass
class Blueprint:
    """Everything the sandbox puts into AWS before it serves, and what its platform then does wrong.

    Attributes:
        now: the platform's present.
        items: further items, as plain values, by table.
        raw_items: further items in DynamoDB JSON, by table; for what no serializer would write.
        holes: faults of the Control Center and the executor.
        global_stop: GLOBAL_EXECUTION_STOP of the platform's functions.
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
    holes: set[Hole] = field(default_factory=set)
    global_stop: bool = False
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


def empty(now: datetime) -> Blueprint:
    """The platform's tables and runbook with nothing in them."""
    return Blueprint(now=now, action_types={}, serving=False)


def healthy(now: datetime, region: str) -> Blueprint:
    """A platform on which every row that is judged passes."""
    blueprint = Blueprint(now=now)
    blueprint.tenants = [
        {"tenantId": name, "name": name.title(), "status": "active", "config": {}, "metadata": {}}
        for name in (*TENANTS, *(tenant.tenant_id for tenant in PROBE_TENANTS))
    ]
    for execution in ordinary_executions([tenant["tenantId"] for tenant in blueprint.tenants], blueprint.now_ms):
        blueprint.logs += execution_logs(execution)
        blueprint.raw_items += [(LEDGER_TABLE, item) for item in ledger_items(execution)]
    blueprint.roles = healthy_roles()
    topic_arn = f"arn:aws:sns:{region}:{ACCOUNT}:{ALERT_TOPIC}"
    blueprint.topics = {ALERT_TOPIC: ["sre@example.com"]}
    for tool in blueprint.tools():
        connector = connector_of_tool(tool)
        blueprint.traffic.append(Traffic(tool, connector, latency_ms=420.0 if connector == "crm_salesforce" else 120.0))
        blueprint.alarms += recommended_alarms(
            tool, connector, namespace=NAMESPACE, topic_arn=topic_arn, runbook_url=ALARM_SECTION, slo=SloPolicy()
        )
    blueprint.dashboards = {"cc-native-tool-slo": dashboard(blueprint.tools(), region)}
    blueprint.breakers = [
        {"pk": f"CONNECTOR#{connector}", "sk": "CONCURRENCY", "in_flight_count": 0}
        for connector in ("calendar", "crm_salesforce", "internal")
    ]
    blueprint.breakers.append(closed(blueprint, "crm_salesforce", seconds_ago=40))
    add_autonomy(blueprint)
    for table, item in (*past_executions(now), *_accounts()):
        blueprint.add(table, item)
    _add_costs(blueprint)
    return blueprint


def _accounts() -> list[tuple[str, Item]]:
    """The accounts of every tenant; a test tenant's are those that its user may or may not name."""
    accounts = {tenant.tenant_id: tenant.accounts for tenant in PROBE_TENANTS}
    accounts |= {tenant: tuple(f"{tenant}-{number}" for number in (1, 2)) for tenant in TENANTS}
    return [
        (ACCOUNTS, {"tenantId": tenant, "accountId": account, "status": "active"})
        for tenant, owned in accounts.items()
        for account in owned
    ]


#: What the tagged resources of the healthy tenants cost a day: with the CRM connector, with the internal one, with neither.
_TENANT_COSTS = {"acme": ("6.40", "3.1275", "0.40"), "globex": ("4.10", "2.05", "0.40"), "initech": ("2.2518", "1.33", "0.40")}

#: What all tenants share a day: no tenant tag, and a connector tag only where the resource serves one connector.
_SHARED_COSTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Amazon DynamoDB", "1.8537", {}),
    ("AmazonCloudWatch", "0.9012", {}),
    ("AWS Step Functions", "0.4444", {}),
    ("Amazon API Gateway", "0.30", {"connector": "internal"}),
)


def _add_costs(blueprint: Blueprint) -> None:
    """A bill on which every tenant has its own resources, a shared rest that measured usage divides, and a budget's alert."""
    for tenant, (crm, internal, secret) in _TENANT_COSTS.items():
        blueprint.billing += [
            BillingLine("AWS Lambda", crm, {"tenant": tenant, "connector": "crm_salesforce"}),
            BillingLine("AWS Lambda", internal, {"tenant": tenant, "connector": "internal"}),
            BillingLine("AWS Secrets Manager", secret, {"tenant": tenant}),
        ]
    blueprint.billing += [BillingLine(service, daily, dict(tags)) for service, daily, tags in _SHARED_COSTS]
    blueprint.cost_tags = {"tenant": "Active", "connector": "Active"}
    blueprint.cost_budgets = {"cc-native-monthly": ["sre@example.com"]}
    for number, tenant in enumerate(TENANTS):
        for tool in blueprint.tools():
            for days_ago in range(2 + number, 29, 9 + 4 * number):
                blueprint.raw_items.append(("cc-native-execution-outcomes", executed(blueprint, tenant, tool, days_ago=days_ago)))


def executed(blueprint: Blueprint, tenant: str, tool: str, *, days_ago: int) -> dict[str, Any]:
    """The outcome (DynamoDB JSON) of an execution that a person approved, so that no budget is concerned."""
    completed = blueprint.now - timedelta(days=days_ago)
    stamp, account = iso(completed), f"acct-{tenant}-1"
    millis = int(completed.timestamp() * 1000)
    intent = f"ai_{millis}_{tool[0]}{tool[-4:]}"
    trace = f"trace-{millis}-{tenant}-{tool.replace('.', '-').replace('_', '-')}"
    name = f"{tool.replace('.', '-').replace('_', '-')}___{tool}"
    texts = {
        "pk": f"TENANT#{tenant}#ACCOUNT#{account}",
        "sk": f"OUTCOME#{intent}",
        "gsi1pk": f"ACTION_INTENT#{intent}",
        "gsi1sk": f"COMPLETED_AT#{stamp}",
        "gsi2pk": f"TENANT#{tenant}",
        "gsi2sk": f"COMPLETED_AT#{stamp}",
        "action_intent_id": intent,
        "status": "SUCCEEDED",
        "tool_name": name,
        "tool_schema_version": "v1.0",
        "tool_run_ref": f"toolrun/{trace}/1/{name}",
        "started_at": iso(completed - timedelta(milliseconds=120)),
        "completed_at": stamp,
        "compensation_status": "NONE",
        "tenant_id": tenant,
        "account_id": account,
        "trace_id": trace,
        "approval_source": "HUMAN",
    }
    numbers = {"attempt_count": 1, "registry_version": 1, "ttl": int(completed.timestamp()) + 90 * DAY}
    return {
        **{key: {"S": value} for key, value in texts.items()},
        **{key: {"N": str(value)} for key, value in numbers.items()},
        "external_object_refs": {"L": []},
        "auto_executed": {"BOOL": False},
    }


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


def dashboard(tools: list[str], region: str) -> dict[str, Any]:
    """A dashboard that shows every tool's three metrics: two by name, errors by SEARCH (they always carry tenant_id)."""
    widgets = []
    for row, tool in enumerate(tools):
        base = ["tool_name", tool, "connector_id", connector_of_tool(tool)]
        schema = f"{{{NAMESPACE},tool_name,connector_id,tenant_id}}"
        errors = f"SEARCH('{schema} MetricName=\"tool_error\" tool_name=\"{tool}\"', 'Sum', 300)"
        widgets.append(
            {
                "type": "metric",
                "x": 0,
                "y": 6 * row,
                "width": 24,
                "height": 6,
                "properties": {
                    "title": tool,
                    "region": region,
                    "view": "timeSeries",
                    "period": 300,
                    "metrics": [
                        [NAMESPACE, "tool_latency_ms", *base, {"stat": "p99"}],
                        [".", "tool_success", ".", ".", ".", ".", {"stat": "Sum"}],
                        [{"expression": errors, "id": f"e{row}"}],
                    ],
                },
            }
        )
    return {"widgets": widgets}


def dashboard_body(content: dict[str, Any]) -> str:
    """The JSON text that PutDashboard takes."""
    return json.dumps(content)
