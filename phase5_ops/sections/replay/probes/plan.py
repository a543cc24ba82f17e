"""The probes of rows 3.1 and 3.3 as data: what each sends, what must come back, where its canary intent lives. Pure.

Each probe has an intent and a replay reason of its own, so that whatever it leaves in the ledger names it. A probe that must be
refused names an intent that exists where a platform with that fault would look, under an account in the caller's scope:
otherwise "not found" or "not in scope" would hide that the token, or the foreign tenant, had been accepted. So test tenant B
also has intents under an account id that is A's. `matrix` combines who asks with what is named where.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from typing import Protocol, Self

from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import CanaryPlace
from phase5_ops.probing.channel import Channel, Subject
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import CLAIMED_REQUESTER, MALFORMED_BODIES, REASON_PREFIX
from phase5_ops.probing.request import JSON, Request

AUTHORIZATION_ROW, PERMISSION_ROW = "3.1", "3.3"
OWN_REPLAY, MISSING_INTENT = "own_replay", "missing_intent"
FOREIGN_INTENT_SAME_ACCOUNT = "foreign_intent_same_account"
INTENT_OF_OTHER_ACCOUNT = "foreign_account_of_intent"
#: The same intent asked for again: while its replay may still run, and at the end of the sending.
REPLAY_AT_ONCE, REPEATED_REPLAY = "own_replay+at_once", "own_replay+repeated"
EXPIRED_INTENT, STOPPED_INTENT = "own_replay+expired", "own_replay+kill_switch"
#: `placement` of a probe that names nothing besides its token.
NOWHERE = "nowhere"
REQUIRED_FIELDS = ("action_intent_id", "account_id", "replay_reason", "requested_by")


class Expect(StrEnum):
    """What must come back, and what may be left behind; `words` is how a finding says it."""

    words: str

    REFUSED = "refused", "401 or 403, and nothing in the ledger"
    NOT_LET_IN = "not_let_in", "refused (4xx), and nothing in the ledger"
    FOREIGN_TENANT = "foreign_tenant", "refused (4xx), and nothing in the ledger"
    FOREIGN_ACCOUNT = "foreign_account", "refused (4xx), and nothing in the ledger"
    OWN_TENANT_ONLY = "own_tenant_only", "refused, or acting on the token's own tenant alone"
    ACCEPTED = "accepted", "202, and the replay completes"
    REQUESTER = "requester", "refused, or recorded under the token's own user"
    REPEATED = "repeated", "refused, or one more replay of the intent, under a trace of its own, that completes"
    EXPIRED = "expired", "refused, or recorded as a failed replay; not executed"
    STOPPED = "stopped", "refused, or recorded as a failed replay; not executed"
    NOT_ALLOWED = "not_allowed", "403 or 404, and nothing in the ledger"
    NOT_FOUND = "not_found", "404, and nothing in the ledger"
    BAD_REQUEST = "bad_request", "400, and nothing in the ledger"
    CLIENT_ERROR = "client_error", "4xx, and nothing in the ledger"

    def __new__(cls, value: str, words: str = "") -> Self:
        """The member of this value."""
        member = str.__new__(cls, value)
        member._value_, member.words = value, words
        return member

    @property
    def starts_work(self) -> bool:
        """Whether a platform without any fault may start a replay for such a probe."""
        return self in _STARTS_WORK


_STARTS_WORK = (Expect.OWN_TENANT_ONLY, Expect.ACCEPTED, Expect.REQUESTER, Expect.REPEATED, Expect.EXPIRED, Expect.STOPPED)


@dataclass(frozen=True, slots=True)
class ReplayRoute:
    """How the request reaches the API, where that is not POST /replay.

    Attributes:
        name: stable; part of the probe's name.
        method, path: as sent.
        header: a further header with its value.
        query: a further field of the query with its value.
        fields_in_query: the fields stand in the query, since the method has no body.
    """

    name: str
    method: str = "POST"
    path: str = "/replay"
    header: tuple[str, str] | None = None
    query: tuple[str, str] | None = None
    fields_in_query: bool = False


POST_REPLAY = ReplayRoute("")


@dataclass(frozen=True, slots=True)
class Named:
    """A tenant or an account that a probe names besides its token; `own` is the caller's, for channels that give both."""

    channel: Channel
    value: str
    own: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to the replay API and what must come of it.

    Attributes:
        name: stable name; part of the replay reason.
        row: of the checklist.
        token: who asks.
        expect: what must come back.
        home: where its canary intent is written; None if the intent must not exist.
        account: `account_id` of the body.
        intent: id of its intent; only repeats of a replay share one.
        reason: `replay_reason` of the body, unique to this probe.
        requester: `requested_by` of the body.
        named: what it names besides the token, and through which channels.
        route: method and path.
        omit: the required field that is left out.
        raw: a body that is no JSON object, instead of all fields.
        expired: its intent has expired.
        stopped: its action type is switched off for the tenant while it is sent and carried out.
    """

    name: str
    row: str
    token: TokenKind
    expect: Expect
    home: CanaryPlace | None
    account: str
    intent: str
    reason: str
    requester: str
    named: tuple[Named, ...] = ()
    route: ReplayRoute = field(default=POST_REPLAY)
    omit: str | None = None
    raw: str | None = None
    expired: bool = False
    stopped: bool = False

    @property
    def starts_work(self) -> bool:
        """A platform without any fault may start a replay for it."""
        return self.expect.starts_work

    @property
    def tenant(self) -> str | None:
        """The tenant that it names besides the token."""
        return next((each.value for each in self.named if each.channel.subject is Subject.TENANT), None)

    @property
    def placement(self) -> str:
        """The names of its channels with `+` between them; "nowhere" without one."""
        return "+".join(each.channel.name for each in self.named) or NOWHERE


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
    def places(self) -> tuple[CanaryPlace, ...]:
        """Every place where a canary intent may live."""
        accounts = (self.account_a, self.account_a_out_of_scope, self.account_b)
        return tuple(CanaryPlace(tenant, account) for tenant, account in product((self.tenant_a, self.tenant_b), accounts))


class NewId(Protocol):
    """Makes the id of a new canary intent; `refused`: every request for it must be refused."""

    def __call__(self, *, refused: bool = False) -> str:
        """The id."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeMaker:
    """Makes the probes of one run: each with an intent and a reason of its own."""

    targets: Targets
    new_intent_id: NewId

    def probe(
        self, name: str, row: str, token: TokenKind, expect: Expect, home: CanaryPlace | None, *, intent: str | None = None
    ) -> Probe:
        """A probe without anything named besides its token; with a new intent, unless it repeats another probe's."""
        targets = self.targets
        intent = intent or self.new_intent_id(refused=not expect.starts_work)
        return Probe(
            name=name,
            row=row,
            token=token,
            expect=expect,
            home=home,
            account=home.account if home else targets.account_a,
            intent=intent,
            reason=f"{REASON_PREFIX}{targets.run_id} {name} {intent}",
            requester=targets.requester,
        )


def permission_probes(make: ProbeMaker) -> Iterator[Probe]:
    """What user A may do, and what not."""
    targets = make.targets
    own = CanaryPlace(targets.tenant_a, targets.account_a)

    def valid(name: str, expect: Expect, home: CanaryPlace | None) -> Probe:
        return make.probe(name, PERMISSION_ROW, TokenKind.VALID, expect, home)

    replay = valid(OWN_REPLAY, Expect.ACCEPTED, own)
    yield replay
    for again in (REPLAY_AT_ONCE, REPEATED_REPLAY):
        yield make.probe(again, PERMISSION_ROW, TokenKind.VALID, Expect.REPEATED, own, intent=replay.intent)
    yield replace(valid("requester_claimed_in_body", Expect.REQUESTER, own), requester=CLAIMED_REQUESTER)
    yield replace(valid(EXPIRED_INTENT, Expect.EXPIRED, own), expired=True)
    yield replace(valid(STOPPED_INTENT, Expect.STOPPED, own), stopped=True)
    foreign = CanaryPlace(targets.tenant_b, targets.account_b)
    yield replace(valid("foreign_intent", Expect.NOT_ALLOWED, foreign), account=targets.account_a)
    yield valid(FOREIGN_INTENT_SAME_ACCOUNT, Expect.NOT_ALLOWED, CanaryPlace(targets.tenant_b, targets.account_a))
    yield valid("foreign_account_and_intent", Expect.NOT_ALLOWED, foreign)
    yield valid("foreign_account", Expect.NOT_ALLOWED, CanaryPlace(targets.tenant_a, targets.account_b))
    yield replace(valid("foreign_account_own_intent", Expect.NOT_ALLOWED, own), account=targets.account_b)
    elsewhere = valid(INTENT_OF_OTHER_ACCOUNT, Expect.NOT_ALLOWED, CanaryPlace(targets.tenant_a, targets.account_b))
    yield replace(elsewhere, account=targets.account_a)
    out_of_scope = CanaryPlace(targets.tenant_a, targets.account_a_out_of_scope)
    yield valid("account_out_of_scope", Expect.NOT_ALLOWED, out_of_scope)
    yield valid(MISSING_INTENT, Expect.NOT_FOUND, None)
    for name in REQUIRED_FIELDS:
        yield replace(valid(f"without_{name}", Expect.BAD_REQUEST, own), omit=name)
    for index, raw in enumerate(sorted(MALFORMED_BODIES)):
        yield replace(valid(f"malformed_json_{index + 1}", Expect.CLIENT_ERROR, None), raw=raw)


def request_of(probe: Probe, token: str | None) -> Request:
    """The request of a probe.

    Args:
        probe: what to send.
        token: for the Authorization header; None sends no such header.
    """
    route = probe.route
    headers = [("Content-Type", JSON), ("Accept", JSON)]
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    if route.header is not None:
        headers.append(route.header)
    query = [route.query] if route.query is not None else []
    if probe.raw is not None:
        return Request(route.method, route.path, query, headers, raw=probe.raw)
    fields = {
        "action_intent_id": probe.intent,
        "account_id": probe.account,
        "replay_reason": probe.reason,
        "requested_by": probe.requester,
    }
    fields.pop(probe.omit or "", None)
    if route.fields_in_query:
        request = Request(route.method, route.path, [*fields.items(), *query], headers)
    else:
        request = Request(route.method, route.path, query, headers, fields)
    for each in probe.named:
        request = each.channel.put(request, each.value, each.own)
    return request


def intents_of(plan: Sequence[Probe]) -> list[tuple[CanaryPlace, str]]:
    """The canary intents that a plan needs, each once, with the place where it must be written."""
    return list(dict.fromkeys((probe.home, probe.intent) for probe in plan if probe.home is not None))
