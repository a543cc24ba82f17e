"""Takes a request as a Control Center with a planted fault does: whether it slips through, and for which tenant it then acts.

What must not be here: the routes' own handlers, and what follows from an effect (`routes.py`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map
from werkzeug.wrappers import Request

from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.control_center.authorizer import TENANT_HEADER, Authorizer, ControlCenterCaller
from phase5_ops.sandbox.control_center.call import ControlCenterCall
from phase5_ops.sandbox.control_center.named_tenant import owner_of_named
from phase5_ops.sandbox.control_center.planted_faults import Effect, PlantedFault, TenantSource, Who

RAW_HEADERS = "phase5.raw_headers"
"""WSGI key under which the server puts the headers as sent, since WSGI itself forgets their case."""

ACCOUNT_HEADERS = ("x-account-id",)
PROXY_HEADERS = (
    "x-amzn-oidc-identity",
    "x-forwarded-user",
    "x-auth-request-user",
    "remote-user",
    "x-consumer-custom-id",
    "x-authenticated-userid",
    "x-ms-client-principal-id",
)
_UNDERSCORED = "x_tenant_id"
_OVERRIDES = ("x-http-method-override", "x-http-method", "x-method-override")
_COOKIES = ("tenant_id", "tenantId", "tenant")
_PREFIX = "tenants"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One request as it came.

    Attributes:
        request: of werkzeug.
        raw: its body.
    """

    request: Request
    raw: bytes

    def header(self, *names: str, any_case: bool = True) -> str | None:
        """The value of the first header of one of these names that has one."""
        for name, value in sent_headers(self.request):
            if value and (name.lower() if any_case else name) in names:
                return value
        return None

    @property
    def pairs(self) -> Sequence[tuple[str, Any]]:
        """The fields of the body's JSON object in their order, a repeated one as often as it is there."""
        try:
            found = json.loads(self.raw, object_pairs_hook=_Object)
        except ValueError:
            return ()
        return [(name, _plain(value)) for name, value in found] if isinstance(found, _Object) else ()

    @property
    def prefix(self) -> str | None:
        """The tenant that stands before the route's own path: /tenants/<id>/..."""
        parts = self.request.path.split("/")
        return parts[2] if len(parts) > 3 and parts[1] == _PREFIX else None  # noqa: PLR2004 - "", tenants, id, the rest


def sent_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """All headers as sent, in order; their names in lower case where the server did not keep them."""
    return request.environ.get(RAW_HEADERS) or tuple((name.lower(), value) for name, value in request.headers)


class _Object(list[tuple[str, Any]]):
    """The fields of a JSON object in their order."""


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A value as JSON parsers give it: of a field that is there twice the last one counts."""
    if isinstance(value, _Object):
        return {name: _plain(each) for name, each in value}
    return [_plain(each) for each in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that slipped through a fault, and the call that is made of it."""

    fault: PlantedFault
    call: ControlCenterCall
    refused: bool = False  # the fault ignores the claim, and the request names no tenant where the fault looks


def take(
    platform_faults: Iterable[object], asked: RawRequest, routes: Map, authorizer: Authorizer, aws: InsideAws
) -> Taken | None:
    """The call that the first fitting fault makes of a request; None if the request slips through none."""
    planted = sorted(fault for fault in platform_faults if isinstance(fault, PlantedFault))
    if not planted:
        return None
    authorization = asked.request.headers.get("Authorization")
    token = authorizer.kind_of(authorization)
    late = None
    for fault in planted:
        path = _path_of(fault, asked, routes)
        if path is None or fault.who is not token.who:
            continue
        taken = _taken(fault, asked, path, ControlCenterCaller(token.tenant, token.accounts, token.identities), aws)
        if taken is not None and not taken.refused:
            return taken
        late = late or taken
    return late


def _path_of(fault: PlantedFault, asked: RawRequest, routes: Map) -> Mapping[str, str] | None:
    """The values in the path if the request reaches the fault's route in the way that the fault leaves open; else None."""
    request, effect = asked.request, fault.effect
    path = request.path
    if fault.channel is TenantSource.PATH:
        if asked.prefix is None:
            return None
        path = "/" + path.split("/", 3)[3]
    if effect is Effect.TRAILING_SLASH and not (path.endswith("/") and len(path) > 1):
        return None
    if effect is Effect.METHOD_OVERRIDE:
        methods = [asked.header(*_OVERRIDES) or ""]
    elif effect is Effect.GET_ACTS:
        methods = ["POST", "PUT"] if request.method == "GET" else []
    else:
        methods = [request.method]
    for method in methods:
        try:
            endpoint, values = routes.bind("localhost").match(path, method=method.upper())
        except HTTPException:
            continue
        if endpoint == fault.route and not (effect is Effect.METHOD_OVERRIDE and method.upper() == request.method):
            return {str(name): str(value) for name, value in values.items()}
    return None


def _taken(
    fault: PlantedFault, asked: RawRequest, path: Mapping[str, str], caller: ControlCenterCaller, aws: InsideAws
) -> Taken | None:
    query = asked.request.args.to_dict()
    body: dict[str, Any] = dict(asked.pairs)
    if fault.effect is Effect.GET_ACTS:
        body = {**query, **body}
        body |= {name: json.loads(value) for name, value in query.items() if value[:1] in ("[", "{") or value in _WORDS}
    if fault.channel.of_account:
        return _with_account(fault, asked, ControlCenterCall(caller, query, body, path))
    if fault.effect is Effect.KEYS_FROM_BODY:
        keyed = {"pk", "sk"} & body.keys()
        return Taken(fault, ControlCenterCall(caller, query, body, path, trusted=True, keys_from_body=True)) if keyed else None
    if fault.effect is Effect.FOREIGN_ACTION:
        return Taken(fault, ControlCenterCall(caller, query, body, path, trusted=True, finds_foreign=True))
    tenant = caller.tenant if fault.channel is TenantSource.CLAIM else _tenant_in(fault.channel, asked)
    if fault.channel is TenantSource.OWNER:
        tenant = owner_of_named(aws, {**body, **query, **path})
    under = caller.tenant if fault.effect is Effect.UNDER_CALLER else None
    call = ControlCenterCall(replace(caller, tenant=tenant, accounts=None), query, body, path, trusted=True, recorded_for=under)
    if tenant is None or (fault.who is Who.CLAIMED and tenant == caller.tenant):
        return Taken(fault, call, refused=True) if tenant is None and fault.effect is Effect.CLAIM_IGNORED else None
    return Taken(fault, call)


_WORDS = ("true", "false", "null", "0", "1")


def _with_account(fault: PlantedFault, asked: RawRequest, call: ControlCenterCall) -> Taken | None:
    """The call on the account that the request names, which is not checked against the caller's scope."""
    account = {
        TenantSource.ACCOUNT_QUERY: asked.request.args.get("account_id") or asked.request.args.get("accountId"),
        TenantSource.ACCOUNT_HEADER: asked.header(*ACCOUNT_HEADERS),
        TenantSource.ACCOUNT_BODY: call.body.get("account_id") or call.body.get("accountId"),
    }[fault.channel]
    if not isinstance(account, str) or not account or call.caller.tenant is None:
        return None
    named = {"account_id": account}
    path = {**call.path, "account": account} if "account" in call.path else call.path
    return Taken(fault, ControlCenterCall(call.caller, {**call.query, **named}, {**call.body, **named}, path, trusted=True))


def _tenant_in(channel: TenantSource, asked: RawRequest) -> str | None:
    """The tenant that one part of a request names."""
    found: object = None
    if channel.value.startswith("query-"):
        found = _in_query(channel, asked)
    elif channel.value.startswith("body-"):
        found = _in_body(channel, asked)
    elif channel.value.startswith("header-"):
        found = _in_headers(channel, asked)
    elif channel is TenantSource.PATH:
        found = asked.prefix
    elif channel is TenantSource.COOKIE:
        found = _in_cookie(asked)
    return found if isinstance(found, str) and found.strip() else None


def _in_query(channel: TenantSource, asked: RawRequest) -> object:
    args = asked.request.args
    repeated = args.getlist("tenant_id")
    if channel in (TenantSource.QUERY_FIRST, TenantSource.QUERY_LAST):
        return repeated[0 if channel is TenantSource.QUERY_FIRST else -1] if len(repeated) > 1 else None
    if channel is TenantSource.QUERY_ARRAY:
        return next((args[name] for name in ("tenant_id[]", "tenant_id[0]") if name in args), None)
    if len(set(repeated)) > 1:
        return None  # which of them counts is another fault
    return args.get({TenantSource.QUERY_SNAKE: "tenant_id", TenantSource.QUERY_CAMEL: "tenantId"}.get(channel, "tenant"))


def _in_body(channel: TenantSource, asked: RawRequest) -> object:
    name = "tenantId" if channel is TenantSource.BODY_CAMEL else "tenant_id"
    values = [value for field, value in asked.pairs if field == name]
    if channel is TenantSource.BODY_FIRST:
        return values[0] if len(values) > 1 else None
    return values[0] if len({str(value) for value in values}) == 1 else None


def _in_headers(channel: TenantSource, asked: RawRequest) -> object:
    exact = {
        TenantSource.HEADER_LOWER: TENANT_HEADER,
        TenantSource.HEADER_CANONICAL: "X-Tenant-Id",
        TenantSource.HEADER_UPPER: "X-TENANT-ID",
        TenantSource.HEADER_UNDERSCORE: _UNDERSCORED,
    }
    if channel in exact:
        return asked.header(exact[channel], any_case=False)
    return asked.header(*(PROXY_HEADERS if channel is TenantSource.PROXY else (TENANT_HEADER,)))


def _in_cookie(asked: RawRequest) -> object:
    try:
        cookies = SimpleCookie(asked.header("cookie") or "")
    except CookieError:
        return None
    return next((cookies[name].value for name in _COOKIES if name in cookies), None)
