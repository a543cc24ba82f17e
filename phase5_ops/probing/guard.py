"""Refuses every request that could name anything but the two dedicated test tenants. Pure.

On a platform with a hole a probe really acts, so a probe that names a customer would act on that customer. What is not known to
be ours is refused: an unknown header, query or body field, another tenant, account or intent, a token of another tenant. The
refusal is a `ConfigurationError`, because only settings (or a change of this code) can bring a foreign name in.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from jwt.utils import base64url_decode

from phase5_ops.probing.request import Request
from phase5_ops.settings import ConfigurationError

#: Marks everything a probe makes: intent ids carry it after their time stamp.
INTENT_MARK = "phase5"
REASON_PREFIX = "phase5 probe "
CLAIMED_REQUESTER = "phase5-somebody-else"

TENANT_CLAIM, ACCOUNTS_CLAIM = "custom:tenant_id", "custom:account_ids"
TENANT_FIELDS = ("tenant_id", "tenantId")
TENANT_HEADER = "x-tenant-id"
ALLOWED_HEADERS = frozenset({"authorization", "content-type", "accept", TENANT_HEADER})
#: Bodies that are no JSON object; they name nothing.
MALFORMED_BODIES = frozenset({'{"action_intent_id": ', "[]", '"phase5"'})


class ForbiddenTarget(ConfigurationError):
    """A request names something that is not known to belong to the test tenants; it was not sent."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What probes may name: the two test tenants, their accounts, intents made by this run, and the probe users' own names."""

    tenant_a: str
    tenant_b: str
    accounts: frozenset[str]
    intents: frozenset[str] = frozenset()
    requesters: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()  # texts that this run made up, as names of what it plants and tries to write

    @property
    def tenants(self) -> frozenset[str]:
        """The two test tenants."""
        return frozenset((self.tenant_a, self.tenant_b))


def check(request: Request, ground: Ground) -> None:
    """Nothing, if every name in `request` is allowed.

    Raises:
        ForbiddenTarget: otherwise; the message names the field and never a token.
    """
    _check_tenants(ground)
    if request.method != "POST" or request.path != "/replay":
        raise ForbiddenTarget(f"no probe is made of {request.method} {request.path}")
    for name, value in request.query.items():
        if name not in TENANT_FIELDS:
            raise ForbiddenTarget(f"query field {name!r} is not one that probes send")
        _allow(f"query field {name}", value, ground.tenants)
    for name, value in request.headers.items():
        _check_header(name, value, ground)
    if request.raw is not None:
        _allow("body", request.raw, MALFORMED_BODIES)
    elif request.body is not None:
        _check_body(request.body, ground)


def _check_tenants(ground: Ground) -> None:
    if not ground.tenant_a or not ground.tenant_b or ground.tenant_a == ground.tenant_b:
        raise ForbiddenTarget("probes need two different test tenants: PHASE5_PROBE_USERS__A__TENANT_ID and __B__TENANT_ID")


#: Routes that cross-tenant probes use, by method; the last part of a path may be a name that is checked.
_CROSS_ROUTES = frozenset(
    {
        "GET /ledger/explanation",
        "GET /budget",
        "GET /budget/state",
        "GET /config",
        "GET /kill-switches",
        "GET /audit/exports/*",
        "GET /executions/*/status",
        "GET /accounts/*/executions",
        "PUT /budget",
        "PUT /config",
        "PUT /kill-switches",
        "POST /audit/exports",
    }
)
_PLAIN_VALUES = frozenset({"PROPOSE_ONLY", "json"})


def check_cross_tenant(request: Request, ground: Ground) -> None:
    """Nothing, if a cross-tenant probe names only the test tenants, their accounts, and what this run made up.

    Raises:
        ForbiddenTarget: otherwise.
    """
    _check_tenants(ground)
    route, names = _route(request)
    if route not in _CROSS_ROUTES or request.raw is not None:
        raise ForbiddenTarget(f"no cross-tenant probe is made of {request.method} {request.path}")
    known = ground.tenants | ground.accounts | ground.intents | ground.marks
    for name in names:
        _allow("path", name, known)
    for name, value in request.query.items():
        allowed: Mapping[str, Collection[str]] = {
            **dict.fromkeys(TENANT_FIELDS, ground.tenants),
            "account_id": ground.accounts,
            "action_intent_id": ground.intents,
        }
        if name not in allowed:
            raise ForbiddenTarget(f"query field {name!r} is not one that probes send")
        _allow(f"query field {name}", value, allowed[name])
    for name, value in request.headers.items():
        _check_header(name, value, ground)
    _check_values("body", request.body or {}, known | _PLAIN_VALUES | {f"TENANT#{tenant}" for tenant in ground.tenants})


_FREE_PARTS = frozenset(part for route in _CROSS_ROUTES for part in route.split("/")[1:] if part != "*")


def _route(request: Request) -> tuple[str, list[str]]:
    """The route with `*` for every part of the path that is a name, and those names."""
    parts = request.path.strip("/").split("/")
    names = [part for part in parts if part not in _FREE_PARTS]
    return f"{request.method} /" + "/".join("*" if part in names else part for part in parts), names


_MOST = 1  # of a number: a budget that a probe names must stay harmless


def _check_values(path: str, value: object, allowed: Collection[str]) -> None:
    """Every text of a body is an allowed one or a timestamp, every key a plain name or a mark, every number small."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if not str(name).replace("_", "").isalpha() and name not in allowed:
                raise ForbiddenTarget(f"{path} field {str(name)[:80]!r} is not one that probes send")
            _check_values(f"{path}.{name}", entry, allowed)
    elif isinstance(value, list):
        for entry in value:
            _check_values(path, entry, allowed)
    elif isinstance(value, str):
        if not (path.endswith((".from", ".to")) and _is_moment(value)):
            _allow(path, value.removeprefix("AUTONOMY#") if path.endswith(".sk") else value, allowed)
    elif isinstance(value, int) and not 0 <= value <= _MOST:
        raise ForbiddenTarget(f"{path} is larger than a probe may ask for")


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _check_header(name: str, value: str, ground: Ground) -> None:
    lowered = name.lower()
    if lowered not in ALLOWED_HEADERS:
        raise ForbiddenTarget(f"header {name!r} is not one that probes send")
    if "\r" in value or "\n" in value:
        raise ForbiddenTarget(f"header {name} holds a line break")
    if lowered == TENANT_HEADER:
        _allow(f"header {name}", value, ground.tenants)
    if lowered == "authorization" and (tenant := tenant_of_token(value)) is not None:
        _allow(f"claim {TENANT_CLAIM} of the token", tenant, ground.tenants)


def _check_body(body: Mapping[str, str], ground: Ground) -> None:
    allowed: dict[str, Collection[str]] = {
        **dict.fromkeys(TENANT_FIELDS, ground.tenants),
        "account_id": ground.accounts,
        "action_intent_id": ground.intents,
        "requested_by": {*ground.requesters, CLAIMED_REQUESTER},
    }
    for name, value in body.items():
        if name == "replay_reason":
            if not value.startswith(REASON_PREFIX):
                raise ForbiddenTarget("body field replay_reason does not say that it is a probe")
        elif name in allowed:
            _allow(f"body field {name}", value, allowed[name])
        else:
            raise ForbiddenTarget(f"body field {name!r} is not one that probes send")


def _allow(what: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ForbiddenTarget(f"a probe would name something that is not of the two test tenants: {what} ({value[:80]!r})")


def tenant_of_token(authorization: str) -> str | None:
    """The tenant that a token claims, read without any check of the token; None if it claims none."""
    parts = authorization.rsplit(" ", 1)[-1].split(".")
    if len(parts) < 2:  # noqa: PLR2004 - header and payload
        return None
    try:
        claims = json.loads(base64url_decode(parts[1]))
    except ValueError:
        return None
    tenant = claims.get(TENANT_CLAIM) if isinstance(claims, dict) else None
    return None if tenant is None else str(tenant)
