"""One request to the sandbox's Control Center once it is read, and what the routes' handlers have in common.

What must not be here: a route, or the way from a request to its caller (`routes.py`, `authorizer.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder

from phase5_ops.sandbox.aws.inside import from_item, to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.control_center.authorizer import TENANT_PARAMETERS, ControlCenterCaller
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import ACCOUNTS, INTENTS, Item, account_key

Answer = tuple[int, Mapping[str, Any]]

_MAX_LIST, _DEFAULT_LIST = 100, 50


class RefusedCall(Exception):
    """An answer other than success: its status and what it says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class ControlCenterCall:
    """One request, read and with its caller known.

    Attributes:
        caller: who asks.
        query: the query parameters.
        body: the body's JSON object; empty without one.
        path: the values of the path.
        trusted: a fault let it in, so that the tenant and the account that it names are not checked.
        finds_foreign: a fault looks up a decision by its id alone, whichever tenant owns it.
        keys_from_body: a fault writes under the key that the body names.
        recorded_for: the tenant under which a fault records what is done; None: the one that it is done for.
    """

    caller: ControlCenterCaller
    query: Mapping[str, str]
    body: Mapping[str, Any]
    path: Mapping[str, str]
    trusted: bool = False
    finds_foreign: bool = False
    keys_from_body: bool = False
    recorded_for: str | None = None

    @property
    def tenant(self) -> str:
        """The tenant it acts for.

        Raises:
            RefusedCall: there is none.
        """
        if self.caller.tenant is None:
            raise RefusedCall(401, "tenant_id required (from auth)")
        return self.caller.tenant


class Routes:
    """What the handlers of all routes use: the platform's tables, and checks of the tenant and account that a request names."""

    def __init__(self, context: PlatformContext) -> None:
        self._aws, self._clock, self._logs, self._ledger = context.aws, context.clock, context.logs, context.ledger
        self._faults, self._endpoint = context.platform_faults, context.endpoint

    def _check_body_tenant(self, call: ControlCenterCall) -> None:
        named = named_tenant(call.body)
        platform_faults = {PlatformFault.TENANT_FROM_BODY, PlatformFault.TENANT_FALLBACK_BODY} & self._faults
        if call.trusted or platform_faults or named is None or call.caller.tenant is None:
            return
        if named != call.caller.tenant:
            raise RefusedCall(403, "Forbidden")

    def _check_account(self, call: ControlCenterCall, account: str) -> None:
        """An account outside the caller's scope is refused, whether or not it exists."""
        scope = call.caller.accounts
        if call.trusted or scope is None or account in scope:
            return
        own = call.caller.tenant is not None and self._aws.get(ACCOUNTS, tenantId=call.caller.tenant, accountId=account)
        accepted = PlatformFault.ACCOUNT_SCOPE_NOT_ENFORCED if own else PlatformFault.FOREIGN_ACCOUNT_ACCEPTED
        if accepted not in self._faults:
            raise RefusedCall(403, "Account not in scope")

    def _account(self, call: ControlCenterCall, values: Mapping[str, Any]) -> str:
        """The account that a request names, once it may."""
        account = text_of(values.get("account_id"))
        if account is None:
            raise RefusedCall(400, "account_id required")
        self._check_account(call, account)
        return account

    def _intent_by_id(self, intent_id: str) -> Item | None:
        """An intent by its id, through the index that knows no tenant."""
        return self._aws.indexed(INTENTS, "action-intent-id-index", "action_intent_id", intent_id)

    def _newest(self, call: ControlCenterCall, table: str, kind: str, by: str) -> list[Item]:
        """The items of one kind (`OUTCOME#`) in the account of the path, newest first by an attribute, as many as `limit`."""
        account, limit = call.path["account"], call.query.get("limit", str(_DEFAULT_LIST))
        self._check_account(call, account)
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MAX_LIST:
            raise RefusedCall(400, f"limit must be 1 to {_MAX_LIST}")
        items = [item for item in self._items(table, account_key(call.tenant, account)) if item["sk"].startswith(kind)]
        return sorted(items, key=lambda item: str(item.get(by, "")), reverse=True)[: int(limit)]

    def _items(self, table: str, pk: str, only: ConditionBase | None = None) -> list[Item]:
        """Every item of one partition; with a condition, those that meet it."""
        values, filtered = {":pk": pk}, {}
        if only is not None:
            built = ConditionExpressionBuilder().build_expression(only)
            values |= built.attribute_value_placeholders
            filtered = {
                "FilterExpression": built.condition_expression,
                "ExpressionAttributeNames": built.attribute_name_placeholders,
            }
        pages = self._aws.dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item(values),
            ConsistentRead=True,
            **filtered,
        )
        return [from_item(item) for page in pages for item in page["Items"]]


def named_tenant(values: Mapping[str, Any]) -> str | None:
    """The tenant that a query or a body names, in either spelling."""
    return next((text for name in TENANT_PARAMETERS if (text := text_of(values.get(name)))), None)


def text_of(value: object) -> str | None:
    """A text that holds more than blanks; None for anything else."""
    return value if isinstance(value, str) and value.strip() else None


def moment_of(text: str) -> datetime | None:
    """A moment in ISO-8601; None for any other text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
