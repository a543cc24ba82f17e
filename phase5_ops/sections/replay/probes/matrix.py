"""The matrix of rows 3.1 and 3.3: who asks x what a channel names x which route the request takes. Pure.

It has four parts. Each is a product of dimensions, and every pair of values that the rules allow is tried. The parts are kept
apart because a deviation that alone leads to a refusal (another method, a path that does not exist) would hide what another one
does:

* who x channel of a tenant. One asker of each group is tried with every channel by itself. The others are tried with bundles:
  several channels that name the same tenant and do not hide each other, so that every kind of token meets every channel;
* several channels of a tenant at once, which may contradict each other;
* channels of an account, alone and together with one of a tenant;
* methods, spellings of the path and overrides, without and with a tenant named.

A platform with that fault finds the probe's intent where it would look: under the tenant and account that the request names.
"""

from dataclasses import dataclass, replace

from phase5_ops.probing.canary_intent import CanaryPlace
from phase5_ops.probing.channel import ACCOUNT_CHANNELS, CHANNELS, TENANT_CHANNELS, Channel, Form, Medium, medium_of
from phase5_ops.probing.covering import Case, Dimension, Rule, combinations, covering
from phase5_ops.probing.forge import WHO, TokenKind, WhoGroup, group_of
from phase5_ops.probing.guard import METHODS, OVERRIDE_FIELD, OVERRIDE_HEADERS, REPLAY_PATHS
from phase5_ops.sections.replay.probes.plan import (
    AUTHORIZATION_ROW,
    NOWHERE,
    PERMISSION_ROW,
    Expect,
    Named,
    NewId,
    Probe,
    ProbeMaker,
    ReplayRoute,
    Targets,
    permission_probes,
)


@dataclass(frozen=True, slots=True)
class ProbeBundle:
    """Channels of a tenant that one request uses at once; `name` is part of the names of its probes."""

    name: str
    channels: tuple[str, ...]


_PROXIES = tuple(channel.name for channel in TENANT_CHANNELS if channel.medium is Medium.PROXY_HEADER)
_HEADERS = ("header", "header_underscores", "header_camel", "header_short", "header_plain", "header_claim")
_COOKIES = ("cookie", "cookie_tenantId", "cookie_tenant")

_NOTHING = ProbeBundle(NOWHERE, ())
_SINGLE = tuple(ProbeBundle(channel.name, (channel.name,)) for channel in TENANT_CHANNELS)
#: Each channel is in one bundle. Spellings of one header, and a name that is given twice, are in different bundles.
_BUNDLES = (
    ProbeBundle("any_query", ("query_tenant_id", "query_tenantId", "query_tenant")),
    ProbeBundle("any_header", _HEADERS),
    ProbeBundle("any_body", ("header_upper_case", "body_tenant_id", "body_tenantId", "body_tenant", "body_claim")),
    ProbeBundle("any_other", ("query_array", "header_title_case", *_PROXIES, *_COOKIES, "body_key")),
    ProbeBundle("any_path", ("path",)),
)
#: For genuine tokens alone: the API might check one of the two values and act on the other.
_TWICE = (
    ProbeBundle("twice_own_first", ("query_own_first", "header_own_first", "body_own_first")),
    ProbeBundle("twice_own_last", ("query_own_last", "header_own_last", "body_own_last")),
    ProbeBundle("array_and_path_end", ("body_array", "path_end")),
)
#: One asker of each group.
_ASKERS = (TokenKind.VALID, TokenKind.NONE, TokenKind.UNCLAIMED, TokenKind.SELF_SIGNED)

_BY_CHANNEL = (Dimension("who", WHO), Dimension("tenant", (_NOTHING, *_SINGLE, *_BUNDLES, *_TWICE)))
_CHANNEL_RULES = (
    Rule(("who", "tenant"), lambda who, tenant: tenant not in _SINGLE or who in _ASKERS),
    Rule(("who", "tenant"), lambda who, tenant: tenant not in (*_BUNDLES, *_TWICE) or who not in _ASKERS),
    Rule(("who", "tenant"), lambda who, tenant: tenant not in _TWICE or group_of(who) in (WhoGroup.CLAIMED, WhoGroup.UNCLAIMED)),
)
_SEVERAL = (
    Dimension("who", _ASKERS),
    Dimension("query", ("query", "query_own_last", None)),
    Dimension("header", ("header", "header_title_case", None)),
    Dimension("proxy", (None, "request_context", "forwarded_user")),
    Dimension("cookie", (None, "cookie")),
    Dimension("body", (None, "body", "body_own_first")),
)
_ACCOUNTS = (
    Dimension("who", (TokenKind.VALID, TokenKind.UNSCOPED), lambda _kind: "genuine"),
    Dimension("account", tuple(channel.name for channel in ACCOUNT_CHANNELS), lambda name: medium_of(CHANNELS[name])),
    Dimension("tenant", (None, "query", "header", "cookie", "body")),
)
_ACCOUNT_RULES = (  # both through the same part of the request, from which such a platform would take them
    Rule(("account", "tenant"), lambda account, tenant: tenant is None or CHANNELS[account].medium is CHANNELS[tenant].medium),
    Rule(("account", "tenant"), lambda account, tenant: tenant is None or CHANNELS[account].form is Form.PLAIN),
    Rule(("who", "tenant"), lambda who, tenant: tenant is None or who is TokenKind.VALID),
)
_ROUTES = (
    *(ReplayRoute(f"path{index}", path=path) for index, path in enumerate(REPLAY_PATHS[1:], start=1)),
    *(ReplayRoute(f"{method.lower()}", method, fields_in_query=method in ("GET", "DELETE")) for method in METHODS[1:]),
    *(
        ReplayRoute(f"get_override{index}", "GET", header=(name, "POST"), fields_in_query=True)
        for index, name in enumerate(OVERRIDE_HEADERS)
    ),
    ReplayRoute("put_override", "PUT", header=(OVERRIDE_HEADERS[0], "POST")),
    ReplayRoute("post_override", header=(OVERRIDE_HEADERS[0], "GET")),
    ReplayRoute("get_override_field", "GET", query=(OVERRIDE_FIELD, "POST"), fields_in_query=True),
)
_NAMED_BY_ROUTE = ProbeBundle("query+header", ("query", "header"))
#: Who asks, and whether a tenant is named: every route is tried with each of these.
_WAYS_IN = tuple((kind, named) for kind in _ASKERS[:3] for named in (_NOTHING, _NAMED_BY_ROUTE))
_BY_ROUTE = (Dimension("way_in", _WAYS_IN), Dimension("route", _ROUTES))
_PARTS = (_BY_CHANNEL, _SEVERAL, _ACCOUNTS, _BY_ROUTE)

#: How many cases the parts have before they are pruned.
COMBINATIONS = sum(combinations(part) for part in _PARTS)


def build_plan(targets: Targets, new_intent_id: NewId, *, other_client: bool) -> tuple[Probe, ...]:
    """Every probe of a run, in a stable order.

    Args:
        targets: what may be named.
        new_intent_id: makes a new canary intent's id.
        other_client: whether the settings name another client of the pool.
    """
    make = ProbeMaker(targets, new_intent_id)
    matrix = _Matrix(make)
    probes = [
        *(matrix.by_channel(case) for case in covering(_BY_CHANNEL, _CHANNEL_RULES)),
        *matrix.own_intents(),
        matrix.of_other_client(),
        *(matrix.several(case) for case in covering(_SEVERAL)),
        *(matrix.account(case) for case in covering(_ACCOUNTS, _ACCOUNT_RULES)),
        *(matrix.by_route(case) for case in covering(_BY_ROUTE)),
    ]
    wanted = [probe for probe in probes if probe is not None and (other_client or probe.token is not TokenKind.OTHER_CLIENT)]
    return (*wanted, *permission_probes(make))


@dataclass(frozen=True, slots=True)
class _Matrix:
    make: ProbeMaker

    @property
    def _targets(self) -> Targets:
        return self.make.targets

    def by_channel(self, case: Case) -> Probe | None:
        """Who asks, and one channel or bundle; None for A's own token alone, which `permission_probes` has."""
        kind: TokenKind = case["who"]
        bundle: ProbeBundle = case["tenant"]
        if kind is TokenKind.VALID:
            return self._naming(f"tenant_b_in_{bundle.name}", kind, bundle) if bundle.channels else None
        return self._naming(f"{kind.value}+{bundle.name}" if bundle.channels else kind.value, kind, bundle)

    def several(self, case: Case) -> Probe | None:
        """Several channels of the same tenant at once; None for fewer than two, which `by_channel` tries."""
        chosen = tuple(case[part] for part in ("query", "header", "proxy", "cookie", "body") if case[part])
        if len(chosen) < 2:  # noqa: PLR2004 - several
            return None
        return self._naming("+".join((case["who"].value, *chosen)), case["who"], ProbeBundle("", chosen))

    def _naming(self, name: str, kind: TokenKind, bundle: ProbeBundle) -> Probe:
        """A probe whose channels all name one tenant, with an intent that only that tenant has."""
        tenant = self._tenant_for(kind)
        genuine = group_of(kind) in (WhoGroup.UNCLAIMED, WhoGroup.CLAIMED) or kind is TokenKind.OTHER_CLIENT
        if genuine and (bundle.channels or kind in (TokenKind.VALID_B, TokenKind.UNSCOPED)):
            tenant = self._other(tenant)  # contradicts what the token claims, or would have to claim
        account = self._targets.account_b if kind in (TokenKind.VALID_B, TokenKind.UNSCOPED) else self._targets.account_a
        channels = [CHANNELS[each] for each in bundle.channels]
        probe = self.make.probe(name, AUTHORIZATION_ROW, kind, _expected(kind, channels), CanaryPlace(tenant, account))
        return replace(probe, named=tuple(Named(channel, tenant, self._other(tenant)) for channel in channels))

    def _tenant_for(self, kind: TokenKind) -> str:
        """The tenant that a token claims; tenant A if it claims none."""
        targets = self._targets
        claim_b = kind in (TokenKind.TAMPERED, TokenKind.FORGED_LIST, TokenKind.VALID_B)
        return targets.tenant_b if claim_b else targets.tenant_a

    def _other(self, tenant: str) -> str:
        targets = self._targets
        return targets.tenant_a if tenant == targets.tenant_b else targets.tenant_b

    def own_intents(self) -> list[Probe]:
        """A's valid token with tenant B named elsewhere, on an intent that only A has: it may start work, for A."""
        targets, found = self._targets, []
        home = CanaryPlace(targets.tenant_a, targets.account_a)
        for name in ("query", "header", "body"):
            shown = f"tenant_b_in_{name}_own_intent"
            probe = self.make.probe(shown, AUTHORIZATION_ROW, TokenKind.VALID, Expect.OWN_TENANT_ONLY, home)
            found.append(replace(probe, named=(Named(CHANNELS[name], targets.tenant_b, targets.tenant_a),)))
        return found

    def of_other_client(self) -> Probe:
        """A's user with another client's token, on what only tenant B has: getting in, and acting for B, are two faults."""
        home = CanaryPlace(self._targets.tenant_b, self._targets.account_b)
        return self.make.probe("other_client+foreign", AUTHORIZATION_ROW, TokenKind.OTHER_CLIENT, Expect.REFUSED, home)

    def account(self, case: Case) -> Probe:
        """The body names A's account; a channel names another one, which has the intent; a second channel may name tenant B."""
        targets, kind, channel = self._targets, case["who"], CHANNELS[case["account"]]
        named = [Named(channel, targets.account_b, targets.account_a)]
        tenant = targets.tenant_a
        if case["tenant"]:
            tenant = targets.tenant_b
            named.append(Named(CHANNELS[case["tenant"]], tenant, targets.tenant_a))
        elif kind is TokenKind.UNSCOPED:
            tenant = targets.tenant_b  # all accounts of its own tenant are open to it
        name = "+".join((kind.value, *(each.channel.name for each in named)))
        expect, row = Expect.FOREIGN_ACCOUNT, PERMISSION_ROW
        if case["tenant"]:
            expect, row = Expect.FOREIGN_TENANT, AUTHORIZATION_ROW
        probe = self.make.probe(name, row, kind, expect, CanaryPlace(tenant, targets.account_b))
        return replace(probe, account=targets.account_a, named=tuple(named))

    def by_route(self, case: Case) -> Probe:
        """Another method, spelling of the path or override: what must be refused at POST /replay must be refused there."""
        route: ReplayRoute = case["route"]
        kind, bundle = case["way_in"]
        name = "+".join((kind.value, route.name, *bundle.channels))
        probe = replace(self._naming(name, kind, bundle), expect=Expect.NOT_LET_IN, route=route)
        if kind is not TokenKind.VALID or bundle.channels:
            return probe
        return replace(probe, home=CanaryPlace(self._targets.tenant_b, self._targets.account_a))


def _expected(kind: TokenKind, channels: list[Channel]) -> Expect:
    """401 or 403 where the authorizer decides; any refusal where a router, a proxy or the function may come before it."""
    if kind in (TokenKind.VALID, TokenKind.VALID_B, TokenKind.UNSCOPED):
        return Expect.FOREIGN_TENANT
    plain = all(each.form is Form.PLAIN and each.medium in (Medium.QUERY, Medium.HEADER, Medium.BODY) for each in channels)
    by_authorizer = group_of(kind) in (WhoGroup.NOBODY, WhoGroup.INVALID)
    return Expect.REFUSED if by_authorizer and plain else Expect.NOT_LET_IN
