"""The Control Center of the sandbox's platform: the HTTP routes that operators and probes use, on the platform's real tables.

A healthy one takes the tenant from the token's claim alone, refuses what its caller may not name, and records who asked by the
token's identity. `control_center_auth.py` verifies tokens, `control_center_server.py` serves; the rest of what a hole changes is
here, beside the step it leaves out.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from werkzeug.exceptions import HTTPException, abort
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from phase5_ops.sandbox.access_trail import Actor, acting_as
from phase5_ops.sandbox.audit_export import EXPORTS, presigned_url
from phase5_ops.sandbox.control_center_auth import TENANT_PARAMETERS, Authorizer, Caller, Hints, Unauthorized
from phase5_ops.sandbox.holes import Hole
from phase5_ops.sandbox.inside_aws import from_item, to_item
from phase5_ops.sandbox.named_tenant import HOLE_OF_ROUTE, owner_of_named
from phase5_ops.sandbox.platform_context import PlatformContext
from phase5_ops.sandbox.platform_records import (
    ACCOUNTS,
    ATTEMPTS,
    INTENTS,
    LEDGER,
    OUTCOMES,
    TENANTS,
    Item,
    account_key,
    iso,
    milliseconds,
    tenant_key,
)
from phase5_ops.sandbox.probe_tenants import A, other_tenant

CONFIG = "cc-native-autonomy-config"
BUDGETS = "cc-native-autonomy-budget-state"
RAW_HEADERS = "phase5.raw_headers"
"""WSGI key under which the server puts the headers as sent, since WSGI itself forgets their case."""

_REPLAY_FIELDS = ("action_intent_id", "account_id", "replay_reason", "requested_by")
_MAX_BODY = 1_000_000
_MAX_LIST, _DEFAULT_LIST = 100, 50

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Type,Authorization,X-Api-Key,X-Tenant-Id",
    "Access-Control-Allow-Methods": "GET,PUT,POST,OPTIONS",
}

_ROUTES = Map(
    [
        Rule("/replay", methods=["POST"], endpoint="replay"),
        Rule("/kill-switches", methods=["GET"], endpoint="read_kill_switches"),
        Rule("/kill-switches", methods=["PUT"], endpoint="write_kill_switches"),
        Rule("/ledger/explanation", methods=["GET"], endpoint="explanation"),
        Rule("/audit/exports", methods=["POST"], endpoint="request_export"),
        Rule("/audit/exports/<export_id>", methods=["GET"], endpoint="read_export"),
        Rule("/config", methods=["GET"], endpoint="read_config"),
        Rule("/config", methods=["PUT"], endpoint="write_config"),
        Rule("/budget", methods=["GET"], endpoint="read_budget"),
        Rule("/budget", methods=["PUT"], endpoint="write_budget"),
        Rule("/budget/state", methods=["GET"], endpoint="read_budget_state"),
        Rule("/executions/<intent_id>/status", methods=["GET"], endpoint="execution_status"),
        Rule("/accounts/<account>/executions", methods=["GET"], endpoint="executions"),
    ],
    redirect_defaults=False,
    strict_slashes=False,
)


class Refusal(Exception):
    """An answer other than success: its status and what it says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and with its caller known.

    Attributes:
        caller: who asks.
        query: the query parameters.
        body: the body's JSON object; empty without one.
        path: the values of the path.
    """

    caller: Caller
    query: Mapping[str, str]
    body: Mapping[str, Any]
    path: Mapping[str, str]

    @property
    def tenant(self) -> str:
        """The tenant it acts for.

        Raises:
            Refusal: there is none.
        """
        if self.caller.tenant is None:
            raise Refusal(401, "tenant_id required (from auth)")
        return self.caller.tenant


Answer = tuple[int, Mapping[str, Any]]


class ControlCenter:
    """The WSGI application."""

    def __init__(self, context: PlatformContext, authorizer: Authorizer) -> None:
        self._aws, self._clock, self._logs, self._ledger = context.aws, context.clock, context.logs, context.ledger
        self._authorizer, self._holes = authorizer, context.holes

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:  # noqa: ANN401 - the types of WSGI
        """Answers one request."""
        with acting_as(Actor("cc-native-autonomy-admin-api")):
            status, content = self._answer(Request(environ))
        body = b"" if status == 204 else json.dumps(content, default=_number).encode()  # noqa: PLR2004 - HTTP's own
        return Response(body, status, _CORS, content_type="application/json")(environ, start_response)

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return 204, {}
        try:
            endpoint, path = _ROUTES.bind_to_environ(request.environ).match()
            if (request.content_length or 0) > _MAX_BODY:
                abort(413)
            raw = request.get_data()
        except HTTPException as error:
            return (413, {"error": "Too large"}) if error.code == 413 else (404, {"error": "Not found"})  # noqa: PLR2004
        try:
            caller = self._authorizer.caller(request.headers.get("Authorization"), _hints(request, _lenient(raw)))
        except Unauthorized as error:
            self._record_refused(endpoint, _hints(request, _lenient(raw)), _lenient(raw))
            return 401, {"error": str(error)}
        try:
            call = Call(caller, request.args.to_dict(), self._body(raw), path)
            if HOLE_OF_ROUTE.get(endpoint) in self._holes:
                call = self._for_named(call, _hints(request, call.body))
            route: Callable[[Call], Answer] = getattr(self, f"_{endpoint}")
            return route(call)
        except Refusal as refusal:
            return refusal.status, {"error": str(refusal)}

    def _body(self, raw: bytes) -> Mapping[str, Any]:
        if not raw.strip():
            return {}
        try:
            body = json.loads(raw)
        except ValueError as error:
            if Hole.MALFORMED_JSON_500 in self._holes:
                with self._logs.invocation("autonomy-admin-api") as lines:
                    lines.error("Autonomy admin API error", error={})
                raise Refusal(500, "Internal server error") from error
            raise Refusal(400, "Malformed JSON") from error
        if not isinstance(body, dict):
            raise Refusal(400, "A JSON object is required")
        return body

    def _for_named(self, call: Call, hints: Hints) -> Call:
        """The call as a route with a hole takes it: made by the tenant that it names, whose accounts are all open to it."""
        tenant = hints.query or hints.body or hints.header(any_case=True)
        tenant = tenant or owner_of_named(self._aws, {**call.body, **call.query, **call.path})
        return replace(call, caller=replace(call.caller, tenant=tenant, accounts=None)) if tenant else call

    # POST /replay

    def _replay(self, call: Call) -> Answer:
        body = call.body
        missing = [name for name in _REPLAY_FIELDS if not (isinstance(body.get(name), str) and body[name].strip())]
        optional = Hole.REQUIRED_FIELD_OPTIONAL in self._holes
        if missing and (not optional or "action_intent_id" in missing):
            raise Refusal(400, f"{', '.join(_REPLAY_FIELDS)} required")
        intent_id, account = str(body["action_intent_id"]), _text(body.get("account_id"))
        self._check_body_tenant(call)
        if account is not None:
            self._check_account(call, account)
        intent = self._intent(call, intent_id, account)
        if intent is None and Hole.MISSING_INTENT_ACCEPTED not in self._holes:
            raise Refusal(404, "Intent not found")
        tenant = str(intent["tenant_id"]) if intent else call.tenant
        where = str(intent["account_id"]) if intent else account or ""
        self._request_replay(tenant, where, intent_id, _text(body.get("replay_reason")) or "", self._requester(call))
        return 202, {"status": "replay_requested", "action_intent_id": intent_id}

    def _intent(self, call: Call, intent_id: str, account: str | None) -> Item | None:
        """The caller's intent; with a hole, whichever has that id, through the index that knows no tenant."""
        if call.caller.tenant is not None and account is not None:
            key = {"pk": account_key(call.caller.tenant, account), "sk": f"ACTION_INTENT#{intent_id}"}
            if found := self._aws.get(INTENTS, **key):
                return found
        anonymous = call.caller.tenant is None or account is None
        foreign = {Hole.FOREIGN_INTENT_ACCEPTED, Hole.FOREIGN_ACCOUNT_ACCEPTED} & self._holes
        found = self._intent_by_id(intent_id) if anonymous or foreign else None
        if found is None or call.caller.tenant is None:
            return found
        mine, there = found["tenant_id"] == call.caller.tenant, found["account_id"] == account
        if Hole.FOREIGN_INTENT_ACCEPTED in self._holes and not mine:
            return found
        if Hole.FOREIGN_ACCOUNT_ACCEPTED in self._holes and (mine or there):
            return found
        return found if mine and account is None else None

    def _intent_by_id(self, intent_id: str) -> Item | None:
        found = self._aws.dynamodb.query(
            TableName=INTENTS,
            IndexName="action-intent-id-index",
            KeyConditionExpression="action_intent_id = :id",
            ExpressionAttributeValues=to_item({":id": intent_id}),
        )["Items"]
        return from_item(found[0]) if found else None

    def _requester(self, call: Call) -> str:
        """Who is recorded: the token's identity, which the body may only repeat."""
        claimed = _text(call.body.get("requested_by"))
        if Hole.REQUESTER_FROM_BODY in self._holes or not call.caller.identities:
            return claimed or ""
        return claimed if claimed in call.caller.identities else call.caller.identities[0]

    def _request_replay(self, tenant: str, account: str, intent_id: str, reason: str, requested_by: str) -> None:
        elsewhere = Hole.OWN_REPLAY_RECORDED_ELSEWHERE in self._holes
        self._record_request(other_tenant(tenant) if elsewhere else tenant, account, intent_id, reason, requested_by)
        detail = {"action_intent_id": intent_id, "tenant_id": tenant, "account_id": account}
        self._aws.put_event(
            "cc-native", "REPLAY_REQUESTED", {"data": {**detail, "replay_reason": reason, "requested_by": requested_by}}
        )

    def _record_request(self, tenant: str, account: str, intent_id: str, reason: str, requested_by: str) -> None:
        self._ledger.append(
            "REPLAY_REQUESTED",
            tenant=tenant,
            account=account,
            trace_id=f"replay-request-{milliseconds(self._ledger.moment())}-{intent_id}",
            data={"action_intent_id": intent_id, "replay_reason": reason, "requested_by": requested_by},
        )

    def _record_refused(self, endpoint: str, hints: Hints, body: Mapping[str, Any]) -> None:
        """With a hole, a request is recorded before it is refused: under the intent's tenant, else the one it named."""
        intent_id = _text(body.get("action_intent_id"))
        if endpoint != "replay" or Hole.REFUSED_BUT_RECORDED not in self._holes or intent_id is None:
            return
        intent = self._intent_by_id(intent_id) or {}
        tenant = str(intent.get("tenant_id") or hints.body or hints.query or hints.header(any_case=True) or A.tenant_id)
        account = str(body.get("account_id") or intent.get("account_id") or "")
        self._record_request(
            tenant, account, intent_id, str(body.get("replay_reason") or ""), str(body.get("requested_by") or "")
        )

    # Whom a request may name

    def _check_body_tenant(self, call: Call) -> None:
        named = _named_tenant(call.body)
        holes = {Hole.TENANT_FROM_BODY, Hole.TENANT_FALLBACK_BODY} & self._holes
        if named is not None and call.caller.tenant is not None and named != call.caller.tenant and not holes:
            raise Refusal(403, "Forbidden")

    def _check_account(self, call: Call, account: str) -> None:
        """An account outside the caller's scope is refused, whether or not it exists."""
        scope = call.caller.accounts
        if scope is None or account in scope:
            return
        own = call.caller.tenant is not None and self._aws.get(ACCOUNTS, tenantId=call.caller.tenant, accountId=account)
        accepted = Hole.ACCOUNT_SCOPE_NOT_ENFORCED if own else Hole.FOREIGN_ACCOUNT_ACCEPTED
        if accepted not in self._holes:
            raise Refusal(403, "Account not in scope")

    def _account(self, call: Call, values: Mapping[str, Any]) -> str:
        """The account that a request names, once it may."""
        account = _text(values.get("account_id"))
        if account is None:
            raise Refusal(400, "account_id required")
        self._check_account(call, account)
        return account

    # Kill switches, configuration, budgets

    def _read_kill_switches(self, call: Call) -> Answer:
        tenant = self._aws.get(TENANTS, tenantId=call.tenant)
        if tenant is None:
            raise Refusal(404, "Tenant not found")
        return 200, {
            "tenant_id": call.tenant,
            "execution_enabled": tenant.get("execution_enabled", True),
            "disabled_action_types": tenant.get("disabled_action_types", []),
        }

    def _write_kill_switches(self, call: Call) -> Answer:
        self._check_body_tenant(call)
        enabled, disabled = call.body.get("execution_enabled"), call.body.get("disabled_action_types")
        if not isinstance(enabled, bool | None) or not isinstance(disabled, list | None):
            raise Refusal(400, "execution_enabled is a boolean, disabled_action_types a list")
        tenant = self._aws.get(TENANTS, tenantId=call.tenant)
        if tenant is None:
            raise Refusal(404, "Tenant not found")
        given = {"execution_enabled": enabled, "disabled_action_types": disabled}
        tenant |= {name: value for name, value in given.items() if value is not None} | {"updated_at": iso(self._clock.now())}
        self._aws.put(TENANTS, tenant)
        return self._read_kill_switches(call)

    def _read_config(self, call: Call) -> Answer:
        return 200, {"items": self._items(CONFIG, tenant_key(call.tenant))}

    def _write_config(self, call: Call) -> Answer:
        chosen = {name: text for name in ("pk", "sk") if (text := _text(call.body.get(name)))}
        if Hole.CONFIG_KEY_FROM_BODY not in self._holes or not chosen:
            self._check_body_tenant(call)
            if {"pk", "sk"} & call.body.keys():
                raise Refusal(400, "pk and sk are not for the caller to choose")
        mode = call.body.get("mode")
        if mode not in ("PROPOSE_ONLY", "APPROVAL_REQUIRED", "AUTO_EXECUTE", "DISABLED"):
            raise Refusal(400, "mode required")
        account = self._account(call, call.body) if "account_id" in call.body else None
        action_type = _text(call.body.get("action_type"))
        item = {
            "pk": account_key(call.tenant, account) if account else tenant_key(call.tenant),
            "sk": f"AUTONOMY#{action_type or 'DEFAULT'}",
            "tenant_id": call.tenant,
            **({"account_id": account} if account else {}),
            **({"action_type": action_type} if action_type else {}),
            "mode": mode,
            "updated_at": iso(self._clock.now()),
            "updated_by": (call.caller.identities or ("unknown",))[0],
            "policy_version": "v1",
            **chosen,
        }
        self._aws.put(CONFIG, item)
        return 200, item

    def _read_budget(self, call: Call) -> Answer:
        pk = account_key(call.tenant, self._account(call, call.query))
        config = self._aws.get(BUDGETS, pk=pk, sk="BUDGET#CONFIG")
        used = (self._aws.get(BUDGETS, pk=pk, sk=f"BUDGET_STATE#{self._clock.now():%Y-%m-%d}") or {}).get("total", 0)
        return 200, {
            "config": config,
            "remaining_today": max(0, int(config["max_autonomous_per_day"]) - int(used)) if config else 0,
        }

    def _read_budget_state(self, call: Call) -> Answer:
        pk = account_key(call.tenant, self._account(call, call.query))
        return 200, {"state": self._aws.get(BUDGETS, pk=pk, sk=f"BUDGET_STATE#{self._clock.now():%Y-%m-%d}")}

    def _write_budget(self, call: Call) -> Answer:
        self._check_body_tenant(call)
        account, limit = self._account(call, call.body), call.body.get("max_autonomous_per_day")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            raise Refusal(400, "max_autonomous_per_day required")
        each = call.body.get("max_per_action_type")
        item = {
            "pk": account_key(call.tenant, account),
            "sk": "BUDGET#CONFIG",
            "tenant_id": call.tenant,
            "account_id": account,
            "max_autonomous_per_day": limit,
            **({"max_per_action_type": each} if isinstance(each, dict) else {}),
            "updated_at": iso(self._clock.now()),
        }
        self._aws.put(BUDGETS, item)
        return 200, item

    # Ledger, exports, executions

    def _explanation(self, call: Call) -> Answer:
        intent_id = call.query.get("action_intent_id") or call.query.get("execution_id")
        if not intent_id:
            raise Refusal(400, "execution_id or action_intent_id required")
        account = self._account(call, call.query)
        entries = self._items(LEDGER, tenant_key(call.tenant))
        mine = [entry for entry in entries if entry.get("data", {}).get("action_intent_id") == intent_id]
        traces = {entry["traceId"] for entry in mine}
        told = [entry for entry in entries if entry["traceId"] in traces and entry.get("accountId") == account]
        if not told:
            raise Refusal(404, "Not found")
        return 200, {"execution_id": intent_id, "account_id": account, "entries": told}

    def _request_export(self, call: Call) -> Answer:
        self._check_body_tenant(call)
        begin, end = _text(call.body.get("from")), _text(call.body.get("to"))
        if begin is None or end is None or _moment(begin) is None or _moment(end) is None:
            raise Refusal(400, "from and to required")
        account = self._account(call, call.body) if "account_id" in call.body else None
        export_id, kind = f"exp-{str(uuid.uuid4())[:12]}", "csv" if call.body.get("format") == "csv" else "json"
        detail = {
            "export_id": export_id,
            "tenant_id": call.tenant,
            **({"account_id": account} if account else {}),
            "from": begin,
            "to": end,
            "format": kind,
        }
        item = {"pk": tenant_key(call.tenant), "sk": f"EXPORT#{export_id}", **detail}
        self._aws.put(EXPORTS, item | {"status": "PENDING", "created_at": iso(self._clock.now())})
        self._aws.put_event("cc-native.autonomy", "AuditExportRequested", detail)
        return 202, {"export_id": export_id, "status": "PENDING"}

    def _read_export(self, call: Call) -> Answer:
        item = self._aws.get(EXPORTS, pk=tenant_key(call.tenant), sk=f"EXPORT#{call.path['export_id']}")
        if item is None:
            raise Refusal(404, "Not found")
        link = presigned_url(self._aws, item, self._clock.now()) if item["status"] == "COMPLETED" else {}
        return 200, {"export_id": item["export_id"], "status": item["status"], **link}

    def _execution_status(self, call: Call) -> Answer:
        with self._logs.invocation("execution-status-api") as lines:
            route, intent_id = "/executions/{action_intent_id}/status", call.path["intent_id"]
            lines.info(
                "Execution status API request received",
                httpMethod="GET",
                route=route,
                resource=route,
                path=f"/executions/{intent_id}/status",
            )
        account = self._account(call, call.query)
        pk = account_key(call.tenant, account)
        outcome = self._aws.get(OUTCOMES, pk=pk, sk=f"OUTCOME#{intent_id}")
        attempt = self._aws.get(ATTEMPTS, pk=pk, sk=f"EXECUTION#{intent_id}")
        if outcome is None and attempt is None:
            raise Refusal(404, "Execution not found")
        shown = outcome or attempt or {}
        names = ("status", "started_at", "completed_at", "external_object_refs", "error_message", "error_class", "attempt_count")
        return 200, {"action_intent_id": intent_id, **{name: shown[name] for name in names if name in shown}}

    def _executions(self, call: Call) -> Answer:
        account, limit = call.path["account"], call.query.get("limit", str(_DEFAULT_LIST))
        self._check_account(call, account)
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MAX_LIST:
            raise Refusal(400, f"limit must be 1 to {_MAX_LIST}")
        items = [item for item in self._items(OUTCOMES, account_key(call.tenant, account)) if item["sk"].startswith("OUTCOME#")]
        newest = sorted(items, key=lambda item: str(item["completed_at"]), reverse=True)[: int(limit)]
        names = ("action_intent_id", "status", "started_at", "completed_at", "attempt_count")
        return 200, {"executions": [{name: item.get(name) for name in names} for item in newest]}

    def _items(self, table: str, pk: str) -> list[Item]:
        """Every item of one partition."""
        pages = self._aws.dynamodb.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": pk}),
            ConsistentRead=True,
        )
        return [from_item(item) for page in pages for item in page["Items"]]


def _hints(request: Request, body: Mapping[str, Any]) -> Hints:
    headers = request.environ.get(RAW_HEADERS) or tuple((name.lower(), value) for name, value in request.headers)
    return Hints(_named_tenant(request.args), tuple(headers), _named_tenant(body))


def _named_tenant(values: Mapping[str, Any]) -> str | None:
    """The tenant that a query or a body names, in either spelling."""
    return next((text for name in TENANT_PARAMETERS if (text := _text(values.get(name)))), None)


def _lenient(raw: bytes) -> Mapping[str, Any]:
    """The body's object where it has one."""
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _number(value: object) -> int | float | str:
    """Decimals of DynamoDB as JSON numbers."""
    number = float(str(value))
    return int(number) if number.is_integer() else number
