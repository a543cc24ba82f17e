"""Every probe of row 4.1: each route of the Control Center and the decision API, asked in every way. Pure.

The plan is a product of declared dimensions: the route, who asks (`probing.forge`), the channel that names a tenant or an account
besides the token (`probing.channel`), and the way to the route (method, override, trailing slash, keys in the body). It is
pruned, but the tests check that every route is asked with every kind of token and through every tenant channel, that every kind
of token and every channel is the only deviation of some request, and that every way is paired with every group of tokens.

A request names the tenant through many channels at once where no channel can hide that the platform trusts another. Beside a
token that lets nobody in, all of them name the tenant that it claims. Beside a token of A, one group of channels after the other
names B, since the platform may check one group and trust another. Test tenant B also has data under the account id of A's user,
so that the refusal of a foreign account cannot hide a tenant that was taken from the request.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from phase5_ops.probing.channel import ACCOUNT_CHANNELS, CHANNELS, TENANT_CHANNELS, Channel, Form, Medium, Subject
from phase5_ops.probing.forge import ODD_CLAIMS, TokenKind, WhoGroup, group_of
from phase5_ops.probing.guard import OVERRIDE_FIELD, OVERRIDE_HEADERS
from phase5_ops.probing.request import Request
from phase5_ops.sections.isolation.harness.probe_plan import FIRST_NUMBER, CrossProbe, CrossTargets, ExpectedAnswer
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES, Asked, Route

_OF_LEDGER = "ledger_explanation"
#: Ways to come to a route besides its own method and path.
WAYS = ("plain", "trailing_slash", "method_override", "get_override", "get", "other_method", "key")


def build_cross_plan(
    targets: CrossTargets, kinds: Collection[TokenKind] = tuple(TokenKind), *, scoped: bool = True, b_scoped: bool = True
) -> tuple[CrossProbe, ...]:
    """Every probe: reads first, then writes that must be refused, then those that may act on the caller's own tenant.

    Args:
        targets: what probes may name.
        kinds: the kinds of token that this run has.
        scoped: whether A's token limits it to its account.
        b_scoped: whether B's token does.
    """
    planner = _Planner(targets, frozenset(kinds), scoped, b_scoped)
    probes = [probe for route in ROUTES for probe in planner.of_route(route)]
    asked = partial(targets.asked, of_b=False, account="")
    before = asked(number=_PLACEHOLDER)
    numbered = [
        # no read names a mark or a period
        replace(probe, mark=targets.mark_of(number)) if probe.reads else _numbered(probe, before, asked(number=number))
        for number, probe in enumerate(probes, start=FIRST_NUMBER)
    ]
    return tuple(sorted(numbered, key=lambda probe: (not probe.reads, probe.expect is not ExpectedAnswer.REFUSED)))


def combinations() -> int:
    """How many combinations of route, kind of token, channel and way the plan is chosen from."""
    return len(ROUTES) * len(TokenKind) * (len(CHANNELS) + 1) * len(WAYS)


_PLACEHOLDER = 0


def _numbered(draft: CrossProbe, before: Asked, after: Asked) -> CrossProbe:
    """The probe with its own mark and period in place of the placeholders."""
    texts = ((before.mark, after.mark), *zip(before.period, after.period, strict=True))

    def filled(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str):
            for old, new in texts:
                if old in value and (value.endswith(old) or old in value.split('"')):
                    value = value.replace(old, new)
            return value
        if isinstance(value, Mapping):
            return {filled(name): filled(entry) for name, entry in value.items()}
        return [filled(entry) for entry in value] if isinstance(value, list) else value

    body = None if draft.body is None else [(name, filled(value)) for name, value in draft.body]
    query = [(name, filled(value)) for name, value in draft.query]
    return replace(draft, body=body, query=query, mark=after.mark)


_REROUTING = ("forwarded_host", "original_url", "rewrite_url")
_BOTH_SPELLINGS = ("query", "body")  # each spelling of these is a channel of its own


def _names(*media: Medium, forms: Collection[Form], without: Collection[str] = ()) -> tuple[str, ...]:
    """The channels of a tenant in these parts of a request and these forms."""
    left_out = {*_REROUTING, *_BOTH_SPELLINGS, *without}
    return tuple(
        channel.name
        for channel in TENANT_CHANNELS
        if channel.medium in media and channel.form in forms and channel.name not in left_out
    )


_ONCE = (Form.PLAIN, Form.TOKEN, Form.CLAIMS)
_ARRAY = ("query_array",)
_SPELLINGS = ("header", "header_title_case", "header_upper_case")
_OF_HEADERS = (Medium.HEADER, Medium.PROXY_HEADER, Medium.COOKIE)
_QUERY, _BODY = _names(Medium.QUERY, forms=_ONCE), _names(Medium.BODY, forms=_ONCE)
_HEADERS = _names(*_OF_HEADERS, forms=_ONCE, without=_SPELLINGS)
_BESIDE_BODY = (*_QUERY, *_ARRAY, *_SPELLINGS, *_HEADERS)
#: Channels that can all name the same tenant in one request. Not the path: it changes which route is reached.
_ALL = (*_BESIDE_BODY, *_BODY)
_TWICE = (*_names(Medium.QUERY, *_OF_HEADERS, Medium.BODY, forms=(Form.OWN_FIRST,)), *_ARRAY)
#: Channels that name B beside a token of A, group by group.
_CONTRADICTIONS = (
    ("query_tenant_id", "query_tenantId", "query_tenant"),
    ("query_own_first", "header_own_first"),
    ("query_own_last", "header_own_last", "query_array"),
    *((name,) for name in _SPELLINGS),
    _HEADERS,
    ("path",),
    ("body_tenant_id", "body_tenantId", "body_tenant", "body_claim"),
    ("body_own_first",),
    ("body_own_last",),
)
_ACCOUNT_HEADERS = tuple(channel.name for channel in ACCOUNT_CHANNELS if channel.medium in (Medium.HEADER, Medium.COOKIE))
_ACCOUNT_ELSEWHERE = (
    _ACCOUNT_HEADERS,
    ("account_query", "account_query_accountId", "account_query_short"),
    ("account_query_own_first",),
    ("account_query_own_last",),
    ("account_query_array",),
    ("account_path",),
    ("account_body_accountId", "account_body_short"),
    ("account_body_own_first",),
    ("account_body_own_last",),
)


def _in_turn(channels: Sequence[Channel], groups: Collection[tuple[str, ...]], routes: Sequence[Route]) -> dict[str, str]:
    """The route that tries each channel alone, for channels that are no group by themselves; the routes take turns."""
    alone = [channel for channel in channels if (channel.name,) not in groups]
    writing = [route for route in routes if not route.reads]
    turns = ((channel, writing if channel.medium is Medium.BODY else routes) for channel in alone)
    return {channel.name: among[at % len(among)].name for at, (channel, among) in enumerate(turns)}


_ROUTE_OF_CHANNEL = _in_turn(TENANT_CHANNELS, _CONTRADICTIONS, ROUTES)
_ROUTE_OF_ACCOUNT = _in_turn(
    ACCOUNT_CHANNELS,
    _ACCOUNT_ELSEWHERE,
    [route for route in ROUTES if route.by_account and not route.starts_work and route.name != _OF_LEDGER],
)
#: Other spellings of a forgery: tried through every channel on one route only, as the forgery itself is tried on all of them.
SPELLINGS = frozenset(
    {
        TokenKind.ALG_NONE_TITLE,
        TokenKind.ALG_NONE_UPPER,
        TokenKind.ALG_NONE_MIXED,
        TokenKind.HS256_DER,
        TokenKind.HS256_JWK,
    }
)
_READING = [route for route in ROUTES if route.reads]
_ROUTE_OF_KIND = {kind: _READING[at % len(_READING)].name for at, kind in enumerate(TokenKind)}
_KINDS_OF_WAYS = (TokenKind.NONE, TokenKind.SELF_SIGNED, TokenKind.UNCLAIMED, TokenKind.VALID)


class _NamedTenant(NamedTuple):
    """What a request names: `value` through the channels, and what it asks for; `own_account` is the account of who asks."""

    channels: tuple[str, ...]
    value: str
    own_account: str
    of_b: bool
    account: str


@dataclass(frozen=True, slots=True)
class _Planner:
    targets: CrossTargets
    kinds: frozenset[TokenKind]
    scoped: bool
    b_scoped: bool
    #: Every request that was worked out, by its route and what it names: many kinds of token are sent with the same one.
    requests: dict[tuple[str, _NamedTenant], Request] = field(default_factory=dict)

    def of_route(self, route: Route) -> Iterator[CrossProbe]:
        """The probes of one route."""
        for kind in TokenKind:
            if kind in self.kinds and (group_of(kind) is not WhoGroup.CLAIMED or kind in ODD_CLAIMS):
                yield from self._outsider(route, kind)
        yield from self._contradicting(route)
        if route.by_account:
            yield from self._accounts(route)
        if route.by_object:
            yield from self._objects(route)
        yield from self._ways(route)
        if route.role in ("autonomy_config", "autonomy_budget_state", "tenants"):
            yield from self._keys(route)

    def _probe(
        self,
        route: Route,
        name: str,
        who: TokenKind,
        *,
        channels: Sequence[str] = (),
        names: str = "",
        of_b: bool = False,
        account: str | None = None,
        expect: ExpectedAnswer = ExpectedAnswer.OWN_ONLY,
    ) -> CrossProbe:
        """A probe of a route: who asks, and through which channels; `names` is the tenant or account that they name."""
        targets = self.targets
        own = targets.account_b if who is TokenKind.VALID_B else targets.account_a
        named = _NamedTenant(tuple(channels), names, own, of_b, targets.account_a if account is None else account)
        if (route.name, named) not in self.requests:
            self.requests[route.name, named] = self._request(route, named)
        request = self.requests[route.name, named]
        own_scope = who is TokenKind.VALID and self.scoped
        return CrossProbe(
            f"{route.name}+{name}",
            route,
            request.method,
            request.path,
            request.query_pairs,
            None if request.body is None else request.body_pairs,
            request.header_pairs,
            who,
            tuple(channels),
            expect,
            shown_marks=(targets.marker, targets.scope_marker) if own_scope else (targets.marker,),
            foreign_ids=(targets.intent_b, *([targets.intent_out] if own_scope else [])),
            harmless=route.reads or expect is ExpectedAnswer.REFUSED,
        )

    def _request(self, route: Route, named: _NamedTenant) -> Request:
        """The request without its token."""
        targets = self.targets
        asked = targets.asked(of_b=named.of_b, account=named.account, number=_PLACEHOLDER)
        if named.of_b and route.name == "execution_status":
            asked = replace(asked, intent=targets.intent_b)  # an intent that only the ledger knows has no status
        body = route.body_of(asked)
        request = Request(route.method, route.path_of(asked), list(route.query_of(asked).items()), [], body)
        for channel in (CHANNELS[each] for each in named.channels):
            if channel.medium is not Medium.BODY or body is not None:
                own = named.own_account if channel.subject is Subject.ACCOUNT else targets.tenant_a
                request = channel.put(request, named.value, own)
        return request

    # Tokens that let nobody in, or name no tenant

    def _outsider(self, route: Route, kind: TokenKind) -> Iterator[CrossProbe]:
        """Requests with one such token, through each set of channels of `_named_by`."""
        for name, channels in self._named_by(route, kind).items():
            if route.reads and name.startswith("body"):
                continue
            full = f"{kind}+{name}" if name else str(kind)
            yield self._odd(route, full, kind, channels) if kind in ODD_CLAIMS else self._refused(route, full, kind, channels)

    @staticmethod
    def _named_by(route: Route, kind: TokenKind) -> dict[str, tuple[str, ...]]:
        """The sets of channels through which a token names a tenant, by name.

        A forgery that differs in spelling names a tenant on its own route only. On other routes a token that claims a tenant is
        sent with no tenant named only if the route writes: there an unknown field may be refused before the token is checked.
        """
        named: dict[str, tuple[str, ...]] = {"": (), "all": _ALL, "path": ("path",)}
        unnamed, own_route = group_of(kind) in (WhoGroup.NOBODY, WhoGroup.UNCLAIMED), _ROUTE_OF_KIND[kind] == route.name
        if kind in SPELLINGS and not own_route:
            return {"": ()}
        if route.reads and not unnamed and not own_route:
            named.pop("")
        if unnamed or kind in ODD_CLAIMS:
            named["twice"] = _TWICE
        if kind in (TokenKind.NONE, TokenKind.UNCLAIMED):
            named |= {name: (name,) for name in ("query_tenant_id", "header", "body_tenant_id")}
        return named

    def _refused(self, route: Route, name: str, kind: TokenKind, channels: Sequence[str]) -> CrossProbe:
        of_b = kind is TokenKind.TAMPERED
        tenant = self.targets.tenant_b if of_b else self.targets.tenant_a
        return self._probe(route, name, kind, channels=channels, names=tenant, of_b=of_b, expect=ExpectedAnswer.REFUSED)

    def _odd(self, route: Route, name: str, kind: TokenKind, channels: Sequence[str]) -> CrossProbe:
        """A claim that only looks like A's: the platform may take it for another tenant, which has no data, but not for A."""
        targets = self.targets
        asks = route.reads or route.by_object  # for existing data
        expect = ExpectedAnswer.OWN_ONLY if asks else ExpectedAnswer.REFUSED
        probe = self._probe(route, name, kind, channels=channels, names=targets.tenant_a, expect=expect)
        return replace(
            probe,
            shown_marks=(targets.marker, targets.own_marker),
            foreign_ids=(targets.intent_b, *([targets.canary] if targets.canary else [])),
            only_b=route.by_object or route.name == "kill_switches",
            harmless=True,
            once_refused=not asks,
        )

    # A's token, with something else named

    def _contradicting(self, route: Route) -> Iterator[CrossProbe]:
        """A's token with tenant B named elsewhere; also B's token with A named, and an unscoped token."""
        alone = [(name,) for name, turn in _ROUTE_OF_CHANNEL.items() if turn == route.name]
        for channels in dict.fromkeys((*_CONTRADICTIONS, *alone)):
            if not (route.reads and CHANNELS[channels[0]].medium is Medium.BODY):
                yield self._as_b(route, TokenKind.VALID, channels)
        if TokenKind.VALID_B in self.kinds and route.reads:
            yield self._as_b(route, TokenKind.VALID_B, _BESIDE_BODY)
        if TokenKind.UNSCOPED in self.kinds and (route.by_object or not route.starts_work):
            yield self._as_b(route, TokenKind.UNSCOPED, _BESIDE_BODY)
            if not route.reads:
                yield self._as_b(route, TokenKind.UNSCOPED, _BODY)

    def _as_b(self, route: Route, who: TokenKind, channels: Sequence[str]) -> CrossProbe:
        """A probe that names the other tenant. Routes that start work are asked for what only B has: faulty ones start it."""
        targets, by_b = self.targets, who is TokenKind.VALID_B
        of_b, foreign_account = route.by_object and not by_b, route.name == "evaluate"
        refused = (of_b and not route.reads) or (foreign_account and who is TokenKind.VALID and self.scoped)
        probe = self._probe(
            route,
            f"{who}+{_label(channels)}",
            who,
            channels=channels,
            names=targets.tenant_a if by_b else targets.tenant_b,
            of_b=of_b,
            account=targets.account_b if foreign_account else targets.account_a,
            expect=ExpectedAnswer.REFUSED if refused else ExpectedAnswer.OWN_ONLY,
        )
        if route.name == "create_export":  # without it A's own export would be made; this account is not A's
            refused = self.scoped and who is TokenKind.VALID
            probe = replace(probe, body=[*(probe.body or ()), ("account_id", targets.account_b)])
            probe = replace(probe, expect=ExpectedAnswer.REFUSED if refused else probe.expect, harmless=refused)
        if by_b:
            ids = (targets.canary,) if targets.canary else ()
            probe = replace(probe, shown_marks=(targets.own_marker, targets.scope_marker), foreign_ids=ids)
        return replace(probe, only_b=route.by_object)

    def _accounts(self, route: Route) -> Iterator[CrossProbe]:
        """A's token with an account that it may not name: in the route's own place for the account, and elsewhere."""
        targets = self.targets
        expect = ExpectedAnswer.REFUSED if self.scoped else ExpectedAnswer.OWN_ONLY
        for account, name in ((targets.account_b, "foreign_account"), (targets.account_out, "account_out_of_scope")):
            if account and (self.scoped or name == "foreign_account"):
                probe = self._probe(route, name, TokenKind.VALID, account=account, expect=expect)
                yield replace(probe, out_of_scope=self.scoped)
        of_ledger = route.name == _OF_LEDGER
        if of_ledger and self.b_scoped and TokenKind.VALID_B in self.kinds:
            yield self._told_of_another(route, (), targets.account_a)
        alone = [(name,) for name, turn in _ROUTE_OF_ACCOUNT.items() if turn == route.name]
        for channels in (*_ACCOUNT_ELSEWHERE, *alone):
            if route.reads and channels[0].startswith("account_body"):
                continue
            if of_ledger and self.b_scoped and TokenKind.VALID_B in self.kinds:
                yield self._told_of_another(route, channels, targets.account_b)
            elif not of_ledger and self.scoped:
                yield from self._account_elsewhere(route, channels)

    def _told_of_another(self, route: Route, channels: Sequence[str], account: str) -> CrossProbe:
        """B's token asks for a ledger entry under an account that B's user may not name; nothing is planted in A's ledger."""
        targets, who = self.targets, TokenKind.VALID_B
        name = f"{who}+{_label(channels) if channels else 'foreign_account'}"
        probe = self._probe(
            route,
            name,
            who,
            channels=channels,
            names=targets.account_a,
            of_b=True,
            account=account,
            expect=ExpectedAnswer.REFUSED,
        )
        return replace(probe, shown_marks=(), foreign_ids=(), out_of_scope=True)

    def _account_elsewhere(self, route: Route, channels: Sequence[str]) -> Iterator[CrossProbe]:
        """A's own account in the route's own place, another account elsewhere; asks for what only the other account has."""
        targets, beside = self.targets, self.targets.account_beside
        if route.starts_work:  # A's own account would start work: its place holds the other account or none
            if channels[0] in ("account_body_own_first", "account_body_own_last"):
                return
            probe = self._probe(
                route,
                _label(channels),
                TokenKind.VALID,
                channels=channels,
                names=beside,
                account=beside,
                expect=ExpectedAnswer.REFUSED,
            )
            yield replace(probe, out_of_scope=True)
            if not channels[0].startswith("account_body"):
                without = [pair for pair in probe.body or () if pair[0] != "account_id"]
                yield replace(probe, name=f"{probe.name}+alone", body=without, out_of_scope=True)
            return
        expect = ExpectedAnswer.REFUSED if route.by_object else ExpectedAnswer.OWN_ONLY
        probe = self._probe(route, _label(channels), TokenKind.VALID, channels=channels, names=beside, expect=expect)
        if route.by_object:
            path = probe.path.replace(targets.canary or targets.intent_b, targets.intent_out)
            probe = replace(probe, path=path, out_of_scope=True)
        yield probe

    def _objects(self, route: Route) -> Iterator[CrossProbe]:
        """A's token asks for what only B has, with no tenant named: a platform that looks it up by id alone shows it."""
        accounts = {"of_b": self.targets.account_a, "of_b_and_its_account": self.targets.account_b}
        for name, account in accounts.items():
            if route.by_account or account == self.targets.account_a:
                probe = self._probe(route, name, TokenKind.VALID, of_b=True, account=account, expect=ExpectedAnswer.REFUSED)
                yield replace(probe, only_b=True)

    # Other ways to a route

    def _ways(self, route: Route) -> Iterator[CrossProbe]:
        """Other ways to the route: without a token, with tokens that let nobody in or name no tenant, and with B named."""
        for kind in (kind for kind in _KINDS_OF_WAYS if kind in self.kinds):
            if kind is not TokenKind.VALID:
                yield from self._ways_of(route, self._refused(route, str(kind), kind, _ALL))
                continue
            yield from self._ways_of(route, self._as_b(route, kind, _BESIDE_BODY))
            if not route.reads:
                yield from self._ways_of(route, self._as_b(route, kind, _BODY))

    def _ways_of(self, route: Route, base: CrossProbe) -> Iterator[CrossProbe]:
        def way(name: str, **changes: Any) -> CrossProbe:  # noqa: ANN401 - fields of CrossProbe
            return replace(base, name=f"{base.name}+{name}", **changes)

        yield way("trailing_slash", path=f"{base.path}/")
        if base.who is TokenKind.NONE:
            for method in ("HEAD", "POST") if route.reads else ("PATCH", _other(route)):
                yield way(f"as_{method.lower()}", method=method)
        if route.reads:
            return
        overridden = [*base.headers, *((name, route.method) for name in OVERRIDE_HEADERS)]
        of_get = (
            ExpectedAnswer.OWN_ONLY if base.who is TokenKind.VALID else base.expect
        )  # a GET with A's token may return A's own data
        yield way("method_override", method=_other(route), headers=overridden, harmless=True)
        named = [*base.query, (OVERRIDE_FIELD, route.method)]
        yield way("get_override", method="GET", headers=overridden, query=named, expect=of_get, harmless=True)
        fields = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in base.body or () if name.isidentifier()
        }
        kept = [pair for pair in base.query if pair[0] not in fields]
        yield way("get", method="GET", query=[*kept, *fields.items()], body=None, expect=of_get, harmless=True)

    def _keys(self, route: Route) -> Iterator[CrossProbe]:
        """The item's key in the body, with and without the fields that name the tenant."""
        targets = self.targets
        partition = f"TENANT#{targets.tenant_b}" + (f"#ACCOUNT#{targets.account_b}" if route.by_account else "")
        mark = targets.asked(of_b=False, account="", number=_PLACEHOLDER).mark
        sort = "BUDGET#CONFIG" if route.by_account else f"AUTONOMY#{mark}"
        key = {"tenantId": targets.tenant_b} if route.role == "tenants" else {"pk": partition, "sk": sort}
        tenant = {"tenant_id": targets.tenant_b, "tenantId": targets.tenant_b}
        for name, fields in (("key", key), ("key_and_tenant", {**key, **tenant})):
            probe = self._probe(route, name, TokenKind.VALID)
            kept = [pair for pair in probe.body or () if pair[0] not in fields]
            yield replace(probe, body=[*kept, *fields.items()])


def _other(route: Route) -> str:
    """The other of the two methods that write."""
    return "PUT" if route.method == "POST" else "POST"


def _label(channels: Sequence[str]) -> str:
    """The channels in the name of a probe: the first, and how many others."""
    return f"{channels[0]}+{len(channels) - 1}" if len(channels) > 1 else channels[0]
