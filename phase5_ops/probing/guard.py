"""Refuses every request that could name anything but the two dedicated test tenants. Pure.

On a faulty platform a probe really acts, so a probe that names a customer would act on that customer. Whatever is not known to be
ours is refused: an unknown header, query or body field, another tenant, account or intent, a token of another tenant. The refusal
is a `ConfigurationError`, because a foreign name can only come from settings (or a change of this code).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jwt.utils import base64url_decode

from phase5_ops.input_files.json_text import json_value
from phase5_ops.probing.channel import CHANNELS, TENANT_CLAIM, Channel, Medium, Subject
from phase5_ops.probing.request import Request
from phase5_ops.settings import ConfigurationError

#: Marks everything a probe makes: intent ids carry it after their time stamp.
INTENT_MARK = "phase5"
REASON_PREFIX = "phase5 probe "
CLAIMED_REQUESTER = "phase5-somebody-else"

TENANT_FIELDS = ("tenant_id", "tenantId")
TENANT_HEADER = "x-tenant-id"
ALLOWED_HEADERS = frozenset({"authorization", "content-type", "accept", TENANT_HEADER})
#: Ways to say that a request is of another method than it seems; the values are those of METHODS.
OVERRIDE_HEADERS = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
OVERRIDE_FIELD = "_method"
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")
#: Other spellings of the path of /replay that a router may take for it.
REPLAY_PATHS = ("/replay", "/replay/", "//replay", "/REPLAY", "/replay/.", "/replay;phase5")
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
    tenants: frozenset[str] = field(init=False, repr=False)  # the two test tenants
    replay_paths: frozenset[str] = field(init=False, repr=False)  # every path of a probe of /replay
    #: Names and values of headers that were found to be allowed here: many requests have the same.
    allowed_headers: set[tuple[str, str]] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tenants", frozenset((self.tenant_a, self.tenant_b)))
        object.__setattr__(self, "replay_paths", _replay_paths(self.tenants, self.accounts))


def check(request: Request, ground: Ground) -> None:
    """Returns if every name in `request` is allowed.

    Raises:
        ForbiddenTarget: otherwise; the message names the field and never a token.
    """
    _check_tenants(ground)
    if request.method not in METHODS or request.path not in ground.replay_paths:
        raise ForbiddenTarget(f"no probe sends {request.method} {request.path[:80]}")
    for name, value in request.query_pairs:
        _check_replay_field(_QUERY, name, value, ground)
    _check_headers(request, ground)
    if request.raw is not None:
        _allow("body", request.raw, MALFORMED_BODIES)
        return
    for name, value in request.body_pairs:
        _check_replay_field(_BODY, name, value, ground)
    if not any(name in _MARKED for name, _ in (*request.query_pairs, *request.body_pairs)):
        raise ForbiddenTarget("a request names neither an intent of this run nor the reason of a probe")


#: Fields that hold only what this run made up, so that effects of the request are known to be ours.
_MARKED = frozenset({"action_intent_id", "replay_reason"})


def _replay_paths(tenants: frozenset[str], accounts: frozenset[str]) -> frozenset[str]:
    """The spellings of its path, alone and with a test tenant or account in them."""
    named = [
        (channel.keys[0], tenants if channel.subject is Subject.TENANT else accounts)
        for channel in CHANNELS.values()
        if channel.medium is Medium.PATH
    ]
    templates = [template.format(path="/replay", value=value) for template, values in named for value in values]
    return frozenset((*REPLAY_PATHS, *templates))


def _check_tenants(ground: Ground) -> None:
    if not ground.tenant_a or not ground.tenant_b or ground.tenant_a == ground.tenant_b:
        raise ForbiddenTarget("probes need two different test tenants: PHASE5_PROBE_USERS__A__TENANT_ID and __B__TENANT_ID")


#: Paths that cross-tenant probes use; a part that is `*` is a name, which is checked.
_CROSS_PATHS = frozenset(
    {
        "/ledger/explanation",
        "/budget",
        "/budget/state",
        "/config",
        "/kill-switches",
        "/audit/exports",
        "/audit/exports/*",
        "/executions/*/status",
        "/accounts/*/executions",
        "/accounts/*/decisions",
        "/decisions/evaluate",
        "/decisions/*/status",
        "/actions/*/approve",
        "/actions/*/reject",
    }
)
_CROSS_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH"})
#: Fields of a body, or of the query of a request that has its fields there; their values are checked like those of a body.
_CROSS_FIELDS = frozenset(
    {"mode", "action_type", "max_autonomous_per_day", "max_per_action_type", "execution_enabled", "disabled_action_types"}
    | {"from", "to", "format", "trigger_type", "decision_id", "reason", "pk", "sk"}
)
_PLAIN_VALUES = frozenset({"PROPOSE_ONLY", "json", "EXPLICIT_USER_REQUEST", "BUDGET#CONFIG"})


def check_cross_tenant(request: Request, ground: Ground) -> None:
    """Returns if a cross-tenant probe names only the test tenants, their accounts, and what this run made up.

    Raises:
        ForbiddenTarget: otherwise.
    """
    _check_tenants(ground)
    path, names = _cross_path(request.path, ground)
    if request.method not in _CROSS_METHODS or path not in _CROSS_PATHS or request.raw is not None:
        raise ForbiddenTarget(f"no cross-tenant probe sends {request.method} {request.path[:80]}")
    for name in names:
        if not _is_made_up(name, ground):
            _allow("path", name, ground.tenants | ground.accounts | ground.intents)
    for name, value in request.query_pairs:
        if name == OVERRIDE_FIELD:
            _allow(f"query {name}", value, METHODS)
        elif not (_check_named(_QUERY, name, value, ground) or _check_channel(_QUERY, name, value, ground)):
            if name not in _CROSS_FIELDS:
                raise ForbiddenTarget(f"query field {name!r} is not one that probes send")
            _check_values("query", {name: _of_query(value)}, ground)
    _check_headers(request, ground)
    for name, value in request.body_pairs:  # one by one: a name may be given twice
        of_channel = name not in ("pk", "account_id") and _check_channel(_BODY, name, value, ground)
        if not (of_channel or _check_named(_BODY, name, value, ground)):
            _check_values("body", {name: value}, ground)


def _check_named(part: str, name: str, value: object, ground: Ground) -> bool:
    """Whether a field is one that names an account or an intent.

    Raises:
        ForbiddenTarget: it is, and the value is none of ours.
    """
    allowed = {"account_id": ground.accounts, "action_intent_id": ground.intents}.get(name)
    if allowed is None:
        return False
    for each in value if isinstance(value, list) else [value]:
        _allow(f"{part} {name}", each, allowed)
    return True


def _of_query(value: str) -> Any:  # noqa: ANN401 - any JSON
    """What a field of the query stands for: JSON where it looks like it."""
    try:
        return json_value(value) if value[:1] in ("[", "{") or value.isdigit() or value == "true" else value
    except ValueError:
        return value


def _is_made_up(text: str, ground: Ground) -> bool:
    """Whether a text is one that this run made up, alone or with a number behind it."""
    stem, _, number = text.rpartition("_")
    return text in ground.marks or (stem in ground.marks and number.isascii() and number.isdigit())


_FREE_PARTS = frozenset(part for path in _CROSS_PATHS for part in path.split("/")[1:] if part != "*")


def _cross_path(path: str, ground: Ground) -> tuple[str, list[str]]:
    """The path with `*` for every part that is a name, and those names; a test tenant or account around it is left out."""
    parts = path.strip("/").split("/")
    candidates = [parts]
    if parts[:1] == ["tenants"] and parts[1:2] and parts[1] in ground.tenants:
        candidates.append(parts[2:])
    if parts[:1] == ["accounts"] and parts[1:2] and parts[1] in ground.accounts:
        candidates.append(parts[2:])
    if parts[-1] in ground.tenants:
        candidates.append(parts[:-1])
    found = [_shape_of(each) for each in candidates]
    return next((each for each in found if each[0] in _CROSS_PATHS), found[0])


def _shape_of(parts: Sequence[str]) -> tuple[str, list[str]]:
    names = [part for part in parts if part not in _FREE_PARTS]
    return "/" + "/".join("*" if part in names else part for part in parts), names


_MOST = 1  # the largest number: a budget that a probe sets must stay harmless


def _check_values(path: str, value: object, ground: Ground) -> None:
    """Every text of a body is an allowed one or a timestamp, every key a plain name or a mark, every number small."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if not str(name).replace("_", "").isalpha() and not _is_made_up(str(name), ground):
                raise ForbiddenTarget(f"{path} field {str(name)[:80]!r} is not one that probes send")
            _check_values(f"{path}.{name}", entry, ground)
    elif isinstance(value, list):
        for entry in value:
            _check_values(path, entry, ground)
    elif isinstance(value, str):
        _check_text(path, value, ground)
    elif isinstance(value, int) and not 0 <= value <= _MOST:
        raise ForbiddenTarget(f"{path} is larger than a probe may ask for")


def _check_text(path: str, text: str, ground: Ground) -> None:
    if path.endswith((".from", ".to")) and _is_moment(text):
        return
    own = text.removeprefix("AUTONOMY#") if path.endswith(".sk") else text
    if not _is_made_up(own, ground):
        keys = {f"TENANT#{tenant}" for tenant in ground.tenants}
        keys |= {f"{key}#ACCOUNT#{account}" for key in keys for account in ground.accounts}
        _allow(path, own, ground.tenants | ground.accounts | ground.intents | _PLAIN_VALUES | keys)


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _check_headers(request: Request, ground: Ground) -> None:
    for header in request.header_pairs:
        if header not in ground.allowed_headers:
            _check_header(*header, ground)
            ground.allowed_headers.add(header)


def _check_header(name: str, value: str, ground: Ground) -> None:
    lowered = name.lower()
    if "\r" in value or "\n" in value:
        raise ForbiddenTarget(f"header {name} holds a line break")
    if lowered == "cookie":
        _check_cookies(value, ground)
    elif lowered in _OVERRIDES:
        _allow(f"header {name}", value, METHODS)
    elif lowered not in ALLOWED_HEADERS or lowered == TENANT_HEADER:
        if not _check_channel(_HEADER, lowered, value, ground):
            raise ForbiddenTarget(f"header {name!r} is not one that probes send")
    elif lowered == "authorization":
        alike = {tenant.casefold() for tenant in ground.tenants}
        for tenant in tenants_of_token(value):
            _allow(
                f"claim {TENANT_CLAIM} of the token", tenant, ground.tenants | ({tenant} if tenant.casefold() in alike else set())
            )


_OVERRIDES = frozenset(name.lower() for name in OVERRIDE_HEADERS)


def _check_cookies(value: str, ground: Ground) -> None:
    for each in value.split("; "):
        name, _, named = each.partition("=")
        if not _check_channel(_COOKIE, name, named, ground):
            raise ForbiddenTarget(f"cookie {name[:80]!r} is not one that probes send")


_QUERY, _HEADER, _COOKIE, _BODY = "query field", "header", "cookie", "body field"
_PARTS = {
    Medium.QUERY: _QUERY,
    Medium.HEADER: _HEADER,
    Medium.PROXY_HEADER: _HEADER,
    Medium.COOKIE: _COOKIE,
    Medium.BODY: _BODY,
}


def _channels_by_field() -> dict[tuple[str, str], list[Channel]]:
    found: dict[tuple[str, str], list[Channel]] = defaultdict(list)
    for channel in CHANNELS.values():
        for name in channel.keys if channel.medium is Medium.COOKIE else channel.names:
            part = _PARTS[channel.medium]
            found[part, name.lower() if part is _HEADER else name].append(channel)
    return dict(found)


_BY_FIELD = _channels_by_field()


def _check_channel(part: str, name: str, value: object, ground: Ground) -> bool:
    """Whether a field is one of a channel.

    Raises:
        ForbiddenTarget: it is, and its value names anything but the test tenants (or their accounts, for one of an account).
    """
    channels = _BY_FIELD.get((part, name), [])
    if channels and not any(_names_ours(channel, value, ground) for channel in channels):
        seen = repr(value)[:80]
        raise ForbiddenTarget(f"a probe would name something that is not of the two test tenants: {part} {name} ({seen})")
    return bool(channels)


def _names_ours(channel: Channel, value: object, ground: Ground) -> bool:
    allowed = ground.tenants if channel.subject is Subject.TENANT else ground.accounts
    try:
        carried = channel.carried(value)
    except (ValueError, LookupError, AttributeError, TypeError):  # of another form: not what this channel would send
        return False
    return all(each in allowed for each in carried)


def _check_replay_field(part: str, name: str, value: Any, ground: Ground) -> None:  # noqa: ANN401 - any JSON
    """A field of /replay itself, in the body or (for other methods) in the query; or one of a channel."""
    allowed: dict[str, Collection[str]] = {
        "account_id": ground.accounts,
        "action_intent_id": ground.intents,
        "requested_by": {*ground.requesters, CLAIMED_REQUESTER},
        **({OVERRIDE_FIELD: METHODS} if part is _QUERY else {}),
    }
    if name == "replay_reason":
        if not isinstance(value, str) or not value.startswith(REASON_PREFIX):
            raise ForbiddenTarget(f"{part} replay_reason does not begin with {REASON_PREFIX!r}")
    elif name in allowed:
        _allow(f"{part} {name}", value, allowed[name])
    elif not _check_channel(part, name, value, ground):
        raise ForbiddenTarget(f"{part} {name!r} is not one that probes send")


def _allow(what: str, value: object, allowed: Collection[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        shown = str(value)[:80]
        raise ForbiddenTarget(f"a probe would name something that is not of the two test tenants: {what} ({shown!r})")


def tenants_of_token(authorization: str) -> list[str]:
    """Every tenant that a token's claim can be read as; the token itself is not checked."""
    return tenants_claimed(_claims_of(authorization).get(TENANT_CLAIM))


def tenants_claimed(claim: object) -> list[str]:
    """Every tenant that a claim can be read as: without blanks around it, each entry of a list."""
    if isinstance(claim, str) and claim.strip().startswith("["):
        try:
            claim = json_value(claim)
        except ValueError:
            return [str(claim)]
    named = claim if isinstance(claim, list) else [claim]
    return [str(each).strip() for each in named if each not in (None, "")]


def _claims_of(authorization: str) -> dict[str, Any]:
    parts = authorization.rsplit(" ", 1)[-1].split(".")
    if len(parts) < 2:  # noqa: PLR2004 - header and payload
        return {}
    try:
        claims = json_value(base64url_decode(parts[1]))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
