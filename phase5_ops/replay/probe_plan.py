"""The probes of rows 3.1 and 3.3 as data: what each sends, what must come back, where its canary intent lives. Pure.

Each probe has an intent and a replay reason of its own, so that whatever it leaves in the ledger names it. A probe that must be
refused names an intent that exists where a platform with that hole would look, under an account in the caller's scope: otherwise
"not found" or "not in scope" would hide that the token, or the foreign tenant, had been taken. So test tenant B also has intents
under an account id that is A's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import Place
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import CLAIMED_REQUESTER, MALFORMED_BODIES, REASON_PREFIX, TENANT_FIELDS, TENANT_HEADER
from phase5_ops.probing.request import JSON, Request

AUTHORIZATION_ROW, PERMISSION_ROW = "3.1", "3.3"
OWN_REPLAY, MISSING_INTENT = "own_replay", "missing_intent"
FOREIGN_INTENT_SAME_ACCOUNT = "foreign_intent_same_account"
REQUIRED_FIELDS = ("action_intent_id", "account_id", "replay_reason", "requested_by")


class Expect(StrEnum):
    """What must come back, and what may be left behind."""

    REFUSED = "refused"
    FOREIGN_TENANT = "foreign_tenant"
    OWN_TENANT_ONLY = "own_tenant_only"
    ACCEPTED = "accepted"
    REQUESTER = "requester"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CLIENT_ERROR = "client_error"

    @property
    def words(self) -> str:
        """As a finding says it."""
        return _WORDS[self]


_WORDS = {
    Expect.REFUSED: "401 or 403, and nothing in the ledger",
    Expect.FOREIGN_TENANT: "refused (4xx), and nothing in the ledger of the tenant it names",
    Expect.OWN_TENANT_ONLY: "refused, or acting on the token's own tenant alone",
    Expect.ACCEPTED: "202, and the replay completes",
    Expect.REQUESTER: "refused, or recorded under the token's own user",
    Expect.NOT_ALLOWED: "403 or 404, and nothing in the ledger",
    Expect.NOT_FOUND: "404, and nothing in the ledger",
    Expect.BAD_REQUEST: "400, and nothing in the ledger",
    Expect.CLIENT_ERROR: "4xx, and nothing in the ledger",
}


class Placement(StrEnum):
    """Where a probe names a tenant besides its token."""

    NOWHERE = "nowhere"
    QUERY = "query"
    HEADER = "header"
    HEADER_TITLE = "header_title_case"
    HEADER_UPPER = "header_upper_case"
    BODY = "body"

    @property
    def source(self) -> str:
        """query, header or body."""
        return self.value.split("_", 1)[0]


_HEADER_NAMES = {
    Placement.HEADER: TENANT_HEADER,
    Placement.HEADER_TITLE: "X-Tenant-Id",
    Placement.HEADER_UPPER: "X-TENANT-ID",
}
_NAMED = tuple(placement for placement in Placement if placement is not Placement.NOWHERE)


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to `POST /replay` and what must come of it.

    Attributes:
        name: stable name; part of the replay reason.
        row: of the checklist.
        token: what stands in the Authorization header.
        expect: what must come back.
        home: where its canary intent is written; None if the intent must not exist.
        account: `account_id` of the body.
        intent: id of its intent.
        reason: `replay_reason` of the body, unique to this probe.
        requester: `requested_by` of the body.
        placement, tenant: where it names which tenant besides the token.
        omit: the required field that is left out.
        raw: a body that is no JSON object, instead of all fields.
        starts_work: a platform without any hole starts a replay for it.
    """

    name: str
    row: str
    token: TokenKind
    expect: Expect
    home: Place | None
    account: str
    intent: str
    reason: str
    requester: str
    placement: Placement = Placement.NOWHERE
    tenant: str | None = None
    omit: str | None = None
    raw: str | None = None
    starts_work: bool = False


@dataclass(frozen=True, slots=True)
class Targets:
    """What a plan is made for: the test tenants, their accounts, and how user A is called."""

    run_id: str
    tenant_a: str
    tenant_b: str
    account_a: str
    account_a_out_of_scope: str
    account_b: str
    requester: str

    @classmethod
    def of(cls, policy: ProbePolicy, *, run_id: str, tenant_a: str, tenant_b: str, requester: str) -> "Targets":
        """The targets that the settings name."""
        return cls(run_id, tenant_a, tenant_b, policy.account_a, policy.account_a_out_of_scope, policy.account_b, requester)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place where a canary intent may live."""
        accounts = (self.account_a, self.account_a_out_of_scope, self.account_b)
        return tuple(Place(tenant, account) for tenant, account in product((self.tenant_a, self.tenant_b), accounts))


#: Kinds that are tried without and with a tenant named in the query, each spelling of the header, and the body.
_EVERYWHERE = (
    TokenKind.NONE,
    TokenKind.GARBAGE,
    TokenKind.ALG_NONE,
    TokenKind.HS256_PEM,
    TokenKind.TAMPERED,
    TokenKind.SELF_SIGNED,
    TokenKind.UNKNOWN_KID,
    TokenKind.EMBEDDED_JWK,
    TokenKind.EXPIRED,
    TokenKind.OTHER_CLIENT,
    TokenKind.ACCESS,
)
#: Variants of those, tried on their own.
_ALONE = (
    TokenKind.EMPTY,
    TokenKind.ALG_NONE_TITLE,
    TokenKind.ALG_NONE_UPPER,
    TokenKind.ALG_NONE_MIXED,
    TokenKind.HS256_DER,
    TokenKind.HS256_JWK,
    TokenKind.JKU,
)


def build_plan(targets: Targets, new_intent_id: Callable[[], str], *, other_client: bool) -> tuple[Probe, ...]:
    """Every probe of a run, in a stable order.

    Args:
        targets: what may be named.
        new_intent_id: makes a new canary intent's id.
        other_client: whether the settings name another client of the pool.
    """
    plan = _Planner(targets, new_intent_id)
    probes = [*plan.authorization(other_client=other_client), *plan.foreign_tenants(), *plan.permissions()]
    return tuple(probes)


@dataclass(frozen=True, slots=True)
class _Planner:
    targets: Targets
    new_intent_id: Callable[[], str]

    def _probe(self, name: str, row: str, token: TokenKind, expect: Expect, home: Place | None) -> Probe:
        targets = self.targets
        return Probe(
            name=name,
            row=row,
            token=token,
            expect=expect,
            home=home,
            account=home.account if home else targets.account_a,
            intent=self.new_intent_id(),
            reason=f"{REASON_PREFIX}{targets.run_id} {name}",
            requester=targets.requester,
        )

    def authorization(self, *, other_client: bool) -> Iterator[Probe]:
        """Tokens that must not get in, alone and beside a tenant named elsewhere."""
        kinds = [kind for kind in _EVERYWHERE if other_client or kind is not TokenKind.OTHER_CLIENT]
        for kind in (*kinds, *_ALONE):
            tenant = self.targets.tenant_b if kind is TokenKind.TAMPERED else self.targets.tenant_a
            home = Place(tenant, self.targets.account_a)
            for placement in (Placement.NOWHERE, *(_NAMED if kind in kinds else ())):
                name = kind.value if placement is Placement.NOWHERE else f"{kind.value}+{placement.value}"
                probe = self._probe(name, AUTHORIZATION_ROW, kind, Expect.REFUSED, home)
                yield probe if placement is Placement.NOWHERE else replace(probe, placement=placement, tenant=tenant)

    def foreign_tenants(self) -> Iterator[Probe]:
        """A valid token of A with tenant B named elsewhere: on an intent that only B has, and on one that only A has."""
        targets = self.targets
        for placement in _NAMED:
            name = f"tenant_b_in_{placement.value}"
            home = Place(targets.tenant_b, targets.account_a)
            probe = self._probe(name, AUTHORIZATION_ROW, TokenKind.VALID, Expect.FOREIGN_TENANT, home)
            yield replace(probe, placement=placement, tenant=targets.tenant_b)
        for placement in (Placement.QUERY, Placement.HEADER, Placement.BODY):
            name = f"tenant_b_in_{placement.value}_own_intent"
            home = Place(targets.tenant_a, targets.account_a)
            probe = self._probe(name, AUTHORIZATION_ROW, TokenKind.VALID, Expect.OWN_TENANT_ONLY, home)
            yield replace(probe, placement=placement, tenant=targets.tenant_b, starts_work=True)

    def permissions(self) -> Iterator[Probe]:
        """What user A may do, and what not."""
        targets = self.targets
        own = Place(targets.tenant_a, targets.account_a)

        def valid(name: str, expect: Expect, home: Place | None) -> Probe:
            return self._probe(name, PERMISSION_ROW, TokenKind.VALID, expect, home)

        yield replace(valid(OWN_REPLAY, Expect.ACCEPTED, own), starts_work=True)
        claimed = valid("requester_claimed_in_body", Expect.REQUESTER, own)
        yield replace(claimed, requester=CLAIMED_REQUESTER, starts_work=True)
        foreign = Place(targets.tenant_b, targets.account_b)
        yield replace(valid("foreign_intent", Expect.NOT_ALLOWED, foreign), account=targets.account_a)
        yield valid(FOREIGN_INTENT_SAME_ACCOUNT, Expect.NOT_ALLOWED, Place(targets.tenant_b, targets.account_a))
        yield valid("foreign_account_and_intent", Expect.NOT_ALLOWED, foreign)
        yield valid("foreign_account", Expect.NOT_ALLOWED, Place(targets.tenant_a, targets.account_b))
        yield replace(valid("foreign_account_own_intent", Expect.NOT_ALLOWED, own), account=targets.account_b)
        out_of_scope = Place(targets.tenant_a, targets.account_a_out_of_scope)
        yield valid("account_out_of_scope", Expect.NOT_ALLOWED, out_of_scope)
        yield valid(MISSING_INTENT, Expect.NOT_FOUND, None)
        for field in REQUIRED_FIELDS:
            yield replace(valid(f"without_{field}", Expect.BAD_REQUEST, own), omit=field)
        for index, raw in enumerate(sorted(MALFORMED_BODIES)):
            yield replace(valid(f"malformed_json_{index + 1}", Expect.CLIENT_ERROR, None), raw=raw)


def request_of(probe: Probe, token: str | None) -> Request:
    """The request of a probe.

    Args:
        probe: what to send.
        token: for the Authorization header; None sends no such header.
    """
    headers = {"Content-Type": JSON, "Accept": JSON}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if probe.tenant is not None and probe.placement in _HEADER_NAMES:
        headers[_HEADER_NAMES[probe.placement]] = probe.tenant
    named = dict.fromkeys(TENANT_FIELDS, probe.tenant) if probe.tenant is not None else {}
    query = {name: tenant for name, tenant in named.items() if probe.placement is Placement.QUERY}
    if probe.raw is not None:
        return Request("POST", "/replay", query, headers, raw=probe.raw)
    body = {
        "action_intent_id": probe.intent,
        "account_id": probe.account,
        "replay_reason": probe.reason,
        "requested_by": probe.requester,
        **(named if probe.placement is Placement.BODY else {}),
    }
    body.pop(probe.omit or "", None)
    return Request("POST", "/replay", query, headers, body)


def intents_of(plan: Sequence[Probe]) -> list[tuple[Place, str]]:
    """Where which canary intents must be written for a plan."""
    return [(probe.home, probe.intent) for probe in plan if probe.home is not None]
