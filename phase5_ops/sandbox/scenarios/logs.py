"""Scenarios of row 4.2: log lines that name a tenant they should not, and logs that cannot be read."""

from collections.abc import Mapping
from typing import Any

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, INCONCLUSIVE, WARN, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.execution_trail import add_records
from phase5_ops.sandbox.state.ordinary_logs import LogLine, Said, invocation, ordinary_executions

_LEAK = {"4.2": (FAIL, "foreign_tenant_in_log")}


def _leak(state: Blueprint, message: str, fields: Mapping[str, Any], *, level: str = "ERROR", victim: int = 1) -> None:
    """One more invocation of the first tenant's last execution whose second line names the tenant `victim`."""
    tenants = [tenant["tenantId"] for tenant in state.tenants]
    execution = ordinary_executions(tenants, state.now_ms)[0]
    filled = {name: value.format(tenants[victim]) if isinstance(value, str) else value for name, value in fields.items()}
    lines: list[Said] = [
        ("INFO", "Tool invoker invoked", {"action_intent_id": execution.intent, "trace_id": execution.trace}),
        (level, message.format(tenants[victim]), filled),
    ]
    state.logs += invocation(execution, 20, "tool-invoker", lines)


@scenario("log-foreign-tenant-field", "A line of one tenant's execution has another tenant's id in its tenant field.", _LEAK)
def _foreign_field(state: Blueprint) -> None:
    _leak(state, "Cached connector used", {"tenant_id": "{}"}, level="INFO")


@scenario("log-foreign-tenant-in-message", "An error text names another tenant, on a line without any id.", _LEAK)
def _foreign_message(state: Blueprint) -> None:
    _leak(state, "Connector of tenant {} is rate limited", {})


@scenario("log-foreign-tenant-in-stack", "A stack trace names another tenant right after an escaped line break.", _LEAK)
def _foreign_stack(state: Blueprint) -> None:
    _leak(state, "Tool failed", {"stack": "Error: conflict\n{}/acct-1 exists\n    at handler (/var/task/index.js:1:1)"})


@scenario("log-foreign-tenant-in-key", "A DynamoDB key of another tenant is logged.", _LEAK)
def _foreign_key(state: Blueprint) -> None:
    _leak(state, "Conditional check failed", {"pk": "TENANT#{}#ACCOUNT#acct-9", "sk": "BUDGET#CONFIG"})


@scenario("log-foreign-tenant-in-s3-key", "The S3 key of another tenant's export is logged.", _LEAK)
def _foreign_s3_key(state: Blueprint) -> None:
    _leak(state, "Object written", {"s3_key": "audit-exports/{}/exp-1.json"}, level="INFO")


@scenario("log-foreign-tenant-nested", "JSON inside JSON names another tenant.", _LEAK)
def _foreign_nested(state: Blueprint) -> None:
    _leak(state, "Gateway answered", {"body": '{{"items":[{{"tenantId":"{}"}}]}}'}, level="INFO")


@scenario("log-foreign-tenant-in-address", "A percent-encoded address names another tenant.", _LEAK)
def _foreign_address(state: Blueprint) -> None:
    _leak(state, "Request sent", {"url": "https://gateway/items?key=TENANT%23{}"}, level="INFO")


@scenario("log-foreign-prefix-tenant", "Tenant acme's execution names tenant acme-eu, whose id begins with its own.", _LEAK)
def _foreign_prefix(state: Blueprint) -> None:
    state.add_tenant("acme-eu")
    _leak(state, "Cached connector used", {"tenantId": "{}"}, level="INFO", victim=len(state.tenants) - 1)


@scenario("log-own-prefix-tenant", "Tenant acme-eu logs its own id beside tenant acme, whose id begins the same.", {})
def _own_prefix(state: Blueprint) -> None:
    state.add_tenant("acme-eu")
    execution = ordinary_executions(["acme-eu"], state.now_ms - 500)[0]
    scope = {"tenant_id": "acme-eu", "trace_id": execution.trace}
    state.logs += invocation(execution, 0, "tool-mapper", [("INFO", "Tool mapper invoked", scope)])
    add_records(state, execution)


@scenario("log-lines-without-owner", "Lines name tenants and carry no id.", {"4.2": (INCONCLUSIVE, "unattributed_share")})
def _without_owner(state: Blueprint) -> None:
    state.logs += [
        LogLine("crm-adapter-handler", "stream", 60_000 - n, f"[INFO] [CrmAdapterHandler] Task of tenant globex created {{}} {n}")
        for n in range(9)
    ]


@scenario("logs-empty", "No function has logged anything.", {"4.2": (INCONCLUSIVE, "no_log_lines")})
def _no_lines(state: Blueprint) -> None:
    state.logs.clear()


@scenario("log-group-denied", "One log group may not be read.", {"4.2": (ERROR, "log_group_unreadable")})
def _group_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "FilterLogEvents", "kind": "denied", "match": "cc-native-tool-mapper"})


@scenario("log-tenant-named-null", "A tenant is called null.", {"4.2": (WARN, "tenant_id_not_scannable")})
def _tenant_null(state: Blueprint) -> None:
    state.add_tenant("null")
