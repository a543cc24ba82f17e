"""The healthy platform as plain data, and the empty one. What must not live here: the form of such data (`blueprint.py`).

The healthy platform is what CCNative would look like if its operations followed its own plan: three registered tools with steady
traffic, errors well under 1 %, alarms that can fire, a dashboard, closed breakers, a runbook.
"""

from datetime import datetime, timedelta

from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.ccnative.recommended_alarms import error_alarm, latency_alarm
from phase5_ops.ccnative.recommended_dashboard import tool_dashboard
from phase5_ops.policy import RunbookPolicy, SloPolicy
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.bill import BillingLine
from phase5_ops.sandbox.state.autonomy import add_autonomy
from phase5_ops.sandbox.state.blueprint import NAMESPACE, RUNBOOK_ADDRESS, TENANTS, Blueprint, Traffic, closed
from phase5_ops.sandbox.state.execution_trail import add_execution, add_records
from phase5_ops.sandbox.state.function_roles import healthy_roles
from phase5_ops.sandbox.state.ordinary_logs import execution_logs, ordinary_executions
from phase5_ops.sandbox.state.past_executions import PAST, past_executions
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS, A
from phase5_ops.sandbox.state.records import ACCOUNTS, LEDGER, Item, milliseconds, outcome
from phase5_ops.sections.isolation.exports.filler import filler_entries

ALARM_SECTION = f"{RUNBOOK_ADDRESS}#{RunbookPolicy().alarm_anchor}"
ALERT_TOPIC = "cc-native-slo-alerts"


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
        add_records(blueprint, execution)
    blueprint.roles = healthy_roles()
    blueprint.topics = {ALERT_TOPIC: ["sre@example.com"]}
    for tool in blueprint.tools():
        connector = connector_of_tool(tool)
        failed = tuple((60 * past.hours_ago, past.tenant) for past in PAST if past.fails and past.tool == tool)
        latency = 420.0 if connector == "crm_salesforce" else 120.0
        add_tool(blueprint, Traffic(tool, connector, latency_ms=latency, failed_minutes_ago=failed), region)
    add_dashboard(blueprint, region)
    blueprint.breakers = [
        {"pk": f"CONNECTOR#{connector}", "sk": "CONCURRENCY", "in_flight_count": 0}
        for connector in ("calendar", "crm_salesforce", "internal")
    ]
    blueprint.breakers.append(closed(blueprint, "crm_salesforce", seconds_ago=40))
    add_autonomy(blueprint)
    for table, item in (*past_executions(now), *_accounts()):
        blueprint.add(table, item)
    _add_costs(blueprint)
    # what an earlier run wrote, so that an audit export has more than one page
    blueprint.raw_items += [(LEDGER, entry) for entry in filler_entries(A.tenant_id, "earlier", now - timedelta(days=9))]
    return blueprint


def add_tool(blueprint: Blueprint, traffic: Traffic, region: str) -> None:
    """The traffic of a registered tool, and its latency and error alarms."""
    topic_arn = f"arn:aws:sns:{region}:{ACCOUNT}:{ALERT_TOPIC}"
    blueprint.traffic.append(traffic)
    blueprint.alarms += [
        alarm(
            traffic.tool,
            traffic.connector,
            namespace=NAMESPACE,
            topic_arn=topic_arn,
            runbook_url=ALARM_SECTION,
            slo=SloPolicy(),
        )
        for alarm in (latency_alarm, error_alarm)
    ]


def add_dashboard(blueprint: Blueprint, region: str) -> None:
    """The dashboard that shows every registered tool."""
    connectors = {tool: connector_of_tool(tool) for tool in blueprint.tools()}
    blueprint.dashboards = {"cc-native-tool-slo": tool_dashboard(connectors, namespace=NAMESPACE, region=region)}


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
                add_execution(blueprint, executed(blueprint, tenant, tool, days_ago=days_ago))


def executed(blueprint: Blueprint, tenant: str, tool: str, *, days_ago: int) -> Item:
    """The outcome of an execution that a person approved, so that no budget is concerned."""
    completed = blueprint.now - timedelta(days=days_ago)
    millis, name = milliseconds(completed), tool.replace(".", "-").replace("_", "-")
    intent = {"tenant_id": tenant, "account_id": f"acct-{tenant}-1", "action_intent_id": f"ai_{millis}_{tool[0]}{tool[-4:]}"}
    return outcome(
        intent,
        status="SUCCEEDED",
        trace_id=f"trace-{millis}-{tenant}-{name}",
        started_at=completed - timedelta(milliseconds=120),
        at=completed,
        count=1,
        tool=tool,
        approval={"approval_source": "HUMAN", "auto_executed": False},
    )
