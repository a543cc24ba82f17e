"""Faults of the Control Center's routes, one a route: with it the route acts for whichever tenant the request names.

Such a route takes the tenant from the request (query, header or body), or looks up who owns the account, the execution or the
export that the request names, and checks nothing further.
"""

from collections.abc import Mapping
from typing import Any

from phase5_ops.sandbox.aws.inside import InsideAws, from_item, to_item
from phase5_ops.sandbox.ccnative.audit_export import EXPORTS
from phase5_ops.sandbox.control_center.decisions import DECISIONS
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import ACCOUNTS, INTENTS, OUTCOMES, tenant_key

#: The fault of each route, by its endpoint.
FAULT_OF_ROUTE = {
    "explanation": PlatformFault.FOREIGN_EXPLANATION_READABLE,
    "read_budget": PlatformFault.FOREIGN_BUDGET_READABLE,
    "read_budget_state": PlatformFault.FOREIGN_BUDGET_STATE_READABLE,
    "read_config": PlatformFault.FOREIGN_CONFIG_READABLE,
    "read_kill_switches": PlatformFault.FOREIGN_KILL_SWITCHES_READABLE,
    "read_export": PlatformFault.FOREIGN_EXPORT_READABLE,
    "execution_status": PlatformFault.FOREIGN_EXECUTION_STATUS_READABLE,
    "executions": PlatformFault.FOREIGN_EXECUTIONS_READABLE,
    "write_budget": PlatformFault.FOREIGN_BUDGET_WRITABLE,
    "write_config": PlatformFault.FOREIGN_CONFIG_WRITABLE,
    "write_kill_switches": PlatformFault.FOREIGN_KILL_SWITCHES_WRITABLE,
    "request_export": PlatformFault.FOREIGN_EXPORT_WRITABLE,
}


def owner_of_named(aws: InsideAws, values: Mapping[str, Any]) -> str | None:
    """The tenant that owns what a request names: its account, else its intent, its export, its decision.

    Args:
        aws: the platform's tables.
        values: the path's, query's and body's values together.
    """
    if account := values.get("account") or values.get("account_id"):
        return _found(aws, ACCOUNTS, "accountId = :value", str(account))
    if intent := values.get("intent_id") or values.get("action_intent_id") or values.get("execution_id"):
        found = aws.indexed(INTENTS, "action-intent-id-index", "action_intent_id", str(intent))
        return _tenant(found) or _tenant(aws.indexed(OUTCOMES, "gsi1-index", "gsi1pk", f"ACTION_INTENT#{intent}"))
    if export := values.get("export_id"):
        return _found(aws, EXPORTS, "export_id = :value", str(export))
    if decision := values.get("decision_id"):
        return _tenant(aws.indexed(DECISIONS, "decision-id-index", "decision_id", str(decision)))
    return None


def _found(aws: InsideAws, table: str, condition: str, value: str) -> str | None:
    pages = aws.dynamodb.get_paginator("scan").paginate(
        TableName=table, FilterExpression=condition, ExpressionAttributeValues=to_item({":value": value})
    )
    return next((_tenant(from_item(item)) for page in pages for item in page["Items"]), None)


def _tenant(item: Mapping[str, Any] | None) -> str | None:
    if item is None:
        return None
    found = item.get("tenantId") or item.get("tenant_id") or str(item.get("pk", "")).removeprefix(tenant_key("")).split("#", 1)[0]
    return str(found) if found else None
