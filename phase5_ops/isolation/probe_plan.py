"""The probes of row 4.1 as data: every route of the Control Center and the decision API, asked in every way. Pure.

The plan is a product of declared dimensions: route, who asks (`probing.forge`), through which channel a tenant or an account is
named beside the token (`probing.channel`), and in which way the route is come to (method, override, trailing slash, keys in the
body). It is pruned: every route is paired with every kind of token and with every kind of channel, every channel is also tried
alone, and what must be refused in any case names all channels at once. So that a refused account cannot hide a tenant that was
taken from the request, test tenant B has data under the account id of A's user too.

What an answer shows of B is recognised by a marker made for this run, or, where only B has what is asked for, by its being
answered at all. A route counts as closed only if A's own data came through it.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.isolation.probe_routes import ROUTES, Asked, Route
from phase5_ops.probing.channel import CHANNELS, TENANT_CHANNELS, Form, Medium
from phase5_ops.probing.forge import ODD_CLAIMS, TokenKind, WhoGroup, group_of
from phase5_ops.probing.guard import OVERRIDE_HEADERS, Ground
from phase5_ops.probing.request import JSON, Request

#: The number of the first probe: in the marks of what probes would write.
FIRST_NUMBER = 1000
_PERIOD_EPOCH = datetime(1971, 1, 1, tzinfo=UTC)  # nobody else asks for an export of those years


class Expect(StrEnum):
    """What must come of a probe."""

    REFUSED = "refused"
    OWN_ONLY = "own_only"  # refused, or acting on the token's own tenant alone

    @property
    def words(self) -> str:
        """As a finding says it."""
        return "refused, and nothing done" if self is Expect.REFUSED else "refused, or acting on the caller's own tenant only"


@dataclass(frozen=True, slots=True)
class CrossTargets:
    """What the probes name.

    Attributes:
        tenant_a, tenant_b: the test tenants.
        account_a, account_b: an account in the scope of A's user, and B's.
        marker: in all that is planted for B.
        written: in all that the writing probes try to write.
        intent_b: an intent that only B has an outcome of.
        told_b: an intent that only the ledger of B tells of.
        export_b: an export that only B has.
        canary: A's own executed intent; None if there is none.
        now: the platform's time.
        account_out: an account of A outside the scope of A's user; "" if none is known.
        action_type: of the actions that the planted decisions propose; harmless.
    """

    tenant_a: str
    tenant_b: str
    account_a: str
    account_b: str
    marker: str
    written: str
    intent_b: str
    told_b: str
    export_b: str
    canary: str | None
    now: datetime
    account_out: str = ""
    action_type: str = "CREATE_INTERNAL_NOTE"

    @property
    def export_a(self) -> str:
        """An export that only A has."""
        return f"{self.export_b}_1"

    @property
    def decisions(self) -> tuple[str, str]:
        """The decisions that only A and only B have."""
        return f"{self.written}_1", f"{self.written}_2"

    @property
    def actions(self) -> tuple[str, str]:
        """The actions that those decisions propose."""
        return f"{self.written}_3", f"{self.written}_4"

    @property
    def scope_marker(self) -> str:
        """In what is planted for A under accounts that A's user may not name."""
        return f"{self.written}_7"

    @property
    def own_marker(self) -> str:
        """In what is planted for A itself."""
        return f"{self.written}_8"

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account that is named, each once."""
        return tuple(dict.fromkeys(name for name in (self.account_a, self.account_out, self.account_b) if name))

    @property
    def ground(self) -> Ground:
        """All that a probe may name."""
        intents = {self.intent_b, self.told_b, *([self.canary] if self.canary else [])}
        marks = {self.marker, self.written, self.export_b}
        return Ground(self.tenant_a, self.tenant_b, frozenset(self.accounts), frozenset(intents), marks=frozenset(marks))

    def asked(self, *, of_b: bool, account: str, number: int) -> Asked:
        """What the probe of that number names."""
        seconds = int(self.written[-7:], 16) if self.written[-7:].isalnum() else 0
        begin = _PERIOD_EPOCH + timedelta(seconds=seconds, milliseconds=number)
        return Asked(
            account,
            self.told_b if of_b else self.canary or self.intent_b,
            self.export_b if of_b else self.export_a,
            self.decisions[of_b],
            self.actions[of_b],
            f"{self.written}_{number}",
            (iso(begin), iso(begin + timedelta(seconds=1))),
        )


@dataclass(frozen=True, slots=True)
class CrossProbe:
    """One request.

    Attributes:
        name: stable name.
        route: which it is of.
        method, path, query, body: the request, without its headers.
        headers: what it names in headers; the token is not among them.
        who: what stands in its Authorization header.
        expect: what must come of it.
        mark: in what it would write.
        only_b: only B has what is asked for, so any success shows it.
        out_of_scope: it names an account that the caller may not name.
        shown_marks: texts that an answer must not hold.
        harmless: a healthy platform starts and changes nothing for it.
    """

    name: str
    route: Route
    method: str
    path: str
    query: Sequence[tuple[str, Any]] = ()
    body: Sequence[tuple[str, Any]] | None = None
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    who: TokenKind = TokenKind.VALID
    expect: Expect = Expect.OWN_ONLY
    mark: str = ""
    only_b: bool = False
    out_of_scope: bool = False
    shown_marks: tuple[str, ...] = ()
    harmless: bool = True

    @property
    def family(self) -> str:
        """The probes that an own request of that name vouches for."""
        return self.route.family

    @property
    def role(self) -> str:
        """Setting of the table that it would change; "" for a read."""
        return self.route.role

    @property
    def reads(self) -> bool:
        """True for a request for data."""
        return self.route.reads

    @property
    def shown(self) -> str:
        """Method and route for people."""
        return f"{self.method} {self.path}"

    def request(self, token: str | None, _tenant_b: str = "") -> Request:
        """The request as it is sent; None sends no Authorization header."""
        headers: list[tuple[str, str]] = [("Accept", JSON)]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        if self.body is not None:
            headers.append(("Content-Type", JSON))
        body = None if self.body is None else list(self.body)
        return Request(self.method, self.path, list(self.query), [*headers, *self.headers], body)


def own_requests(targets: CrossTargets) -> dict[str, CrossProbe]:
    """For each family a request for A's own data, which has to succeed; else a refusal of B's data shows nothing."""
    asked = targets.asked(of_b=False, account=targets.account_a, number=FIRST_NUMBER - 1)
    chosen = {route.family: route for route in ROUTES if route.reads and route.name != "budget_state"}
    chosen["status"] = next(route for route in ROUTES if route.name == "execution_status")
    chosen["decisions"] = next(route for route in ROUTES if route.name == "decision_status")
    return {
        family: CrossProbe(f"own_{family}", route, route.method, route.path_of(asked), tuple(route.query_of(asked).items()))
        for family, route in chosen.items()
    }


def build_cross_plan(
    targets: CrossTargets, kinds: Collection[TokenKind] = tuple(TokenKind), *, scoped: bool = True
) -> tuple[CrossProbe, ...]:
    """Every probe: reads first.

    Args:
        targets: what may be named.
        kinds: the kinds of token that there are.
        scoped: whether A's token limits it to its account.
    """
    planner = _Planner(targets, frozenset(kinds), scoped)
    probes = [probe for index, route in enumerate(ROUTES) for probe in planner.of_route(route, index)]
    numbered = [_numbered(probe, targets, FIRST_NUMBER + at) for at, probe in enumerate(probes)]
    return tuple(sorted(numbered, key=lambda probe: not probe.reads))


def combinations() -> int:
    """How many combinations of route, kind of token, channel and way there are, of which the plan is chosen."""
    return len(ROUTES) * len(TokenKind) * (len(CHANNELS) + 1) * len(_WAYS)


_PLACEHOLDER = 0


def _numbered(draft: CrossProbe, targets: CrossTargets, number: int) -> CrossProbe:
    """The probe with a mark and a period of its own."""
    before = targets.asked(of_b=False, account="", number=_PLACEHOLDER)
    after = targets.asked(of_b=False, account="", number=number)
    texts = ((before.mark, after.mark), *zip(before.period, after.period, strict=True))

    def filled(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str):
            for old, new in texts:
                value = value.replace(old, new) if value.endswith(old) or old in value.split('"') else value
            return value
        if isinstance(value, Mapping):
            return {filled(name): filled(entry) for name, entry in value.items()}
        return [filled(entry) for entry in value] if isinstance(value, list) else value

    body = None if draft.body is None else [(name, filled(value)) for name, value in draft.body]
    query = [(name, filled(value)) for name, value in draft.query]
    return replace(draft, body=body, query=query, mark=after.mark)


_ALG_NONE = (TokenKind.ALG_NONE, TokenKind.ALG_NONE_UPPER, TokenKind.ALG_NONE_TITLE, TokenKind.ALG_NONE_MIXED)
_HS256 = (TokenKind.HS256_PEM, TokenKind.HS256_DER, TokenKind.HS256_JWK)
_FORGED_CLAIMS = (TokenKind.FORGED_UNCLAIMED, TokenKind.FORGED_EMPTY, TokenKind.FORGED_LIST)
#: Kinds of which one is chosen for each route in turn: they differ in spelling alone.
_IN_TURN = (_ALG_NONE, _HS256, _FORGED_CLAIMS)

#: Named all at once where every channel names the caller's own tenant. Left out is what changes how a request is routed.
_TOGETHER = tuple(
    channel
    for channel in TENANT_CHANNELS
    if channel.medium is not Medium.PATH
    and channel.form in (Form.PLAIN, Form.TOKEN, Form.CLAIMS)
    and channel.name not in ("query", "body", "forwarded_host")
)
_TWICE = tuple(
    channel
    for channel in TENANT_CHANNELS
    if channel.form in (Form.OWN_FIRST, Form.ARRAY) and channel.medium is not Medium.PATH and channel.name != "body_array"
)
_HEADERS = tuple(
    channel.name
    for channel in TENANT_CHANNELS
    if channel.medium in (Medium.HEADER, Medium.PROXY_HEADER, Medium.COOKIE)
    and channel.form in (Form.PLAIN, Form.TOKEN, Form.CLAIMS)
    and channel.name not in ("header", "header_title_case", "header_upper_case", "forwarded_host")
)
#: What a token of A contradicts, group by group: a check of one group must not hide that another is believed.
_CONTRADICTIONS = (
    ("query", "query_tenant"),
    ("query_own_first", "header_own_first"),
    ("query_own_last", "header_own_last", "query_array"),
    ("header",),
    ("header_title_case",),
    ("header_upper_case",),
    _HEADERS,
    ("path",),
    ("body", "body_tenant", "body_claim"),
    ("body_own_first",),
    ("body_own_last",),
)
#: Each channel alone, on the routes in turn, where no group above is that channel.
_ALONE = tuple(channel.name for channel in TENANT_CHANNELS if (channel.name,) not in _CONTRADICTIONS)
_ACCOUNT_ELSEWHERE = (
    ("account_header", "account_header_title_case", "account_header_camel", "account_header_underscores", "account_cookie"),
    ("account_query", "account_query_accountId", "account_query_short"),
    ("account_query_own_first",),
    ("account_query_own_last",),
    ("account_body_accountId", "account_body_short"),
    ("account_body_own_first",),
    ("account_body_own_last",),
)
#: Ways to come to a route besides its own method and path.
_WAYS = ("plain", "trailing_slash", "method_override", "get", "key")


@dataclass(frozen=True, slots=True)
class _Planner:
    targets: CrossTargets
    kinds: frozenset[TokenKind]
    scoped: bool

    def of_route(self, route: Route, index: int) -> Iterator[CrossProbe]:
        """The probes of one route, the `index`-th."""
        yield from self._without_a_tenant(route, index)
        yield from self._contradicting(route, index)
        if route.by_account:
            yield from self._accounts(route)
        if route.by_object:
            yield from self._objects(route)
        yield from self._ways(route)

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
        expect: Expect = Expect.OWN_ONLY,
    ) -> CrossProbe:
        """A probe of a route: who asks, what is named through which channels; `names` is a tenant or an account."""
        targets = self.targets
        account = targets.account_a if account is None else account
        asked = targets.asked(of_b=of_b, account=account, number=_PLACEHOLDER)
        body = route.body_of(asked)
        request = Request(
            route.method, route.path_of(asked), list(route.query_of(asked).items()), [], None if body is None else body
        )
        for channel in (CHANNELS[each] for each in channels):
            if channel.medium is Medium.BODY and body is None:
                continue
            own = targets.account_a if channel.name.startswith("account_") else targets.tenant_a
            request = channel.put(request, names, own)
        marks = (targets.marker, targets.scope_marker) if who is TokenKind.VALID else (targets.marker,)
        own_write = not route.reads and expect is Expect.OWN_ONLY
        return CrossProbe(
            f"{route.name}+{name}",
            route,
            request.method,
            request.path,
            request.query_pairs,
            None if request.body is None else request.body_pairs,
            request.header_pairs,
            who,
            expect,
            shown_marks=marks,
            harmless=not own_write,
        )

    def _without_a_tenant(self, route: Route, index: int) -> Iterator[CrossProbe]:
        """Requests whose token lets nobody in, or names no tenant: every channel names the tenant whose data is asked for."""
        turns = {kind for group in _IN_TURN for kind in group if kind is not group[index % len(group)]}
        together = [channel.name for channel in _TOGETHER]
        for kind in TokenKind:
            group = group_of(kind)
            if kind not in self.kinds or kind in turns or (group is WhoGroup.CLAIMED and kind not in ODD_CLAIMS):
                continue
            own = self.targets.tenant_b if kind is TokenKind.TAMPERED else self.targets.tenant_a
            if kind in ODD_CLAIMS:
                yield from self._odd_claim(route, kind, together)
                continue
            yield self._probe(route, f"{kind}+all", kind, channels=together, names=own, expect=Expect.REFUSED)
            if kind in (TokenKind.NONE, TokenKind.UNCLAIMED):
                yield self._probe(route, kind, kind, expect=Expect.REFUSED)
                twice = [channel.name for channel in _TWICE]
                yield self._probe(route, f"{kind}+twice", kind, channels=twice, names=own, expect=Expect.REFUSED)
                yield self._probe(route, f"{kind}+path", kind, channels=["path"], names=own, expect=Expect.REFUSED)

    def _odd_claim(self, route: Route, kind: TokenKind, together: Sequence[str]) -> Iterator[CrossProbe]:
        """A claim that only looks like A's: it may be taken as a tenant of its own, of which there is nothing, but not as A.

        What would be written for such a tenant nobody could find again, so routes that write without naming what there is are
        not asked.
        """
        if not (route.reads or route.by_object):
            return
        targets = self.targets
        probe = self._probe(route, f"{kind}+all", kind, channels=together, names=targets.tenant_a)
        marks = (targets.marker, targets.own_marker, *([targets.canary] if route.name == "executions" and targets.canary else []))
        only_a = route.by_object or route.name == "kill_switches"
        yield replace(probe, shown_marks=marks, only_b=only_a, harmless=True)

    def _contradicting(self, route: Route, index: int) -> Iterator[CrossProbe]:
        """A's token with tenant B named elsewhere."""
        groups = [group for group in _CONTRADICTIONS if not (route.reads and group[0].startswith("body"))]
        alone = [name for at, name in enumerate(_ALONE) if at % len(ROUTES) == index]
        named = [*groups, *((name,) for name in alone if not (route.reads and CHANNELS[name].medium is Medium.BODY))]
        for channels in dict.fromkeys(named):
            yield self._as_b(route, TokenKind.VALID, channels)
        for kind in (TokenKind.UNSCOPED, TokenKind.VALID_B):
            if kind in self.kinds and not (kind is TokenKind.VALID_B and not route.reads):
                yield self._as_b(route, kind, [channel.name for channel in _TOGETHER])

    def _as_b(self, route: Route, who: TokenKind, channels: Sequence[str]) -> CrossProbe:
        """With the other tenant named: what starts work names what only that tenant has, so that only a hole starts it."""
        other = self.targets.tenant_a if who is TokenKind.VALID_B else self.targets.tenant_b
        name = f"{who}+{'+'.join(channels[:2])}" if len(channels) <= 2 else f"{who}+{channels[0]}+{len(channels) - 1}"  # noqa: PLR2004
        only_b = route.by_object
        account = self.targets.account_b if route.name == "evaluate" else self.targets.account_a
        of_b = only_b and who is not TokenKind.VALID_B
        names_account = route.name == "evaluate"
        refused = (of_b and not route.reads) or (names_account and who is TokenKind.VALID and self.scoped)
        probe = self._probe(
            route,
            name,
            who,
            channels=channels,
            names=other,
            of_b=of_b,
            account=account,
            expect=Expect.REFUSED if refused else Expect.OWN_ONLY,
        )
        if route.name == "create_export" and probe.body is not None:  # A's own would be made; this account is not A's
            probe = replace(probe, body=[*probe.body, ("account_id", self.targets.account_b)])
            probe = replace(probe, expect=Expect.REFUSED if self.scoped and who is TokenKind.VALID else probe.expect)
        if route.name in ("execution_status",) and of_b:
            probe = self._of_outcome(probe)
        marks = (self.targets.marker,) if who is not TokenKind.VALID_B else (self.targets.own_marker,)
        refuses = probe.expect is Expect.REFUSED
        return replace(
            probe, only_b=of_b or (who is TokenKind.VALID_B and only_b), shown_marks=marks, harmless=refuses or route.reads
        )

    def _of_outcome(self, probe: CrossProbe) -> CrossProbe:
        """Execution status is asked for the intent that only B has an outcome of."""
        return replace(probe, path=probe.path.replace(self.targets.told_b, self.targets.intent_b))

    def _accounts(self, route: Route) -> Iterator[CrossProbe]:
        """A's token with an account that it may not name: where the route takes it from, and elsewhere."""
        targets = self.targets
        expect = Expect.REFUSED if self.scoped else Expect.OWN_ONLY
        for account, name in ((targets.account_b, "foreign_account"), (targets.account_out, "account_out_of_scope")):
            if not account or (name == "account_out_of_scope" and not self.scoped):
                continue
            probe = self._probe(route, name, TokenKind.VALID, account=account, expect=expect)
            yield replace(probe, out_of_scope=self.scoped)
            if name == "foreign_account":
                for channels in _ACCOUNT_ELSEWHERE:
                    if route.reads and channels[0].startswith("account_body"):
                        continue
                    if route.starts_work:
                        continue  # it would start A's own
                    yield self._probe(route, channels[0], TokenKind.VALID, channels=channels, names=account)

    def _objects(self, route: Route) -> Iterator[CrossProbe]:
        """A's token and what only B has, with no tenant named: it may be looked up by its id alone."""
        accounts = (self.targets.account_a, self.targets.account_b) if route.by_account else (self.targets.account_a,)
        for account in accounts:
            name = "of_b" if account == self.targets.account_a else "of_b_and_its_account"
            probe = self._probe(route, name, TokenKind.VALID, of_b=True, account=account, expect=Expect.REFUSED)
            probe = self._of_outcome(probe) if route.name == "execution_status" else probe
            yield replace(probe, only_b=True)

    def _ways(self, route: Route) -> Iterator[CrossProbe]:
        """The route come to in other ways, by nobody, by a token without a tenant, and as B."""
        together = [channel.name for channel in _TOGETHER]
        for kind in (TokenKind.NONE, TokenKind.UNCLAIMED, TokenKind.VALID):
            if kind not in self.kinds:
                continue
            if kind is TokenKind.VALID:
                base = self._as_b(route, kind, together)
            else:
                base = self._probe(route, kind, kind, channels=together, names=self.targets.tenant_a, expect=Expect.REFUSED)
            yield replace(base, name=f"{route.name}+{kind}+trailing_slash", path=f"{base.path}/")
            if not route.reads:
                overridden = [*base.headers, *((name, route.method) for name in OVERRIDE_HEADERS)]
                other = "PUT" if route.method == "POST" else "POST"
                way = replace(base, harmless=True)
                yield replace(way, name=f"{route.name}+{kind}+method_override", method=other, headers=overridden)
                yield replace(
                    way, name=f"{route.name}+{kind}+get_override", method="GET", headers=overridden, expect=self._of_get(base)
                )
                fields = [
                    (name, value if isinstance(value, str) else json.dumps(value))
                    for name, value in base.body or ()
                    if name.isidentifier()
                ]
                kept = [pair for pair in base.query if pair[0] not in {name for name, _ in fields}]
                yield replace(
                    way,
                    name=f"{route.name}+{kind}+get",
                    method="GET",
                    query=[*kept, *fields],
                    body=None,
                    expect=self._of_get(base),
                )
        if route.role in ("autonomy_config", "autonomy_budget_state", "tenants"):
            yield from self._keys(route)

    @staticmethod
    def _of_get(base: CrossProbe) -> Expect:
        """A GET of A's may be one of A's own data."""
        return Expect.OWN_ONLY if base.who is TokenKind.VALID else base.expect

    def _keys(self, route: Route) -> Iterator[CrossProbe]:
        """The key of the item in the body, with and without the tenant's own fields."""
        targets = self.targets
        partition = f"TENANT#{targets.tenant_b}" + (f"#ACCOUNT#{targets.account_b}" if route.by_account else "")
        mark = targets.asked(of_b=False, account="", number=_PLACEHOLDER).mark
        sort = "BUDGET#CONFIG" if route.by_account else f"AUTONOMY#{mark}"
        key = [("tenantId", targets.tenant_b)] if route.role == "tenants" else [("pk", partition), ("sk", sort)]
        both = [("tenant_id", targets.tenant_b), ("tenantId", targets.tenant_b)]
        for name, fields in (("key", key), ("key_and_tenant", [*key, *both])):
            probe = self._probe(route, name, TokenKind.VALID)
            kept = [pair for pair in probe.body or () if pair[0] not in dict(fields)]
            yield replace(probe, body=[*kept, *dict(fields).items()])
