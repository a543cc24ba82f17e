"""A probe of row 4.1: what it names, how it is sent and which answer it must get. Pure. `probe_matrix.py` makes all probes.

Data of B in an answer is recognised by a marker made for this run; if only B has what a probe asks for, any success shows it. A
route counts as closed only if A's own data came through it, before the probes and after them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import Ground
from phase5_ops.probing.request import JSON, Request
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES, Asked, Route

#: The number of the first probe; the number is part of the mark that a probe writes.
FIRST_NUMBER = 1000
_PERIOD_EPOCH = datetime(1971, 1, 1, tzinfo=UTC)  # nobody else asks for an export of those years


class ExpectedAnswer(StrEnum):
    """How the platform must answer a probe."""

    REFUSED = "refused"
    OWN_ONLY = "own_only"  # refused, or acting on the token's own tenant alone

    @property
    def words(self) -> str:
        """The text for findings."""
        return (
            "refused, and nothing done"
            if self is ExpectedAnswer.REFUSED
            else "refused, or acting on the caller's own tenant only"
        )


@dataclass(frozen=True, slots=True)
class CrossTargets:
    """What the probes name.

    Attributes:
        tenant_a, tenant_b: the test tenants.
        account_a, account_b: an account in the scope of A's user, and B's.
        marker: a text in all that is planted for B.
        written: a text in all that the writing probes try to write.
        intent_b: an intent of which only B has an outcome.
        told_b: an intent that only B's ledger has, under the id of A's account.
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
    def listed(self) -> tuple[str, str]:
        """Decisions that no probe names: one of A outside its user's account, one of B under the id of A's account."""
        return f"{self.written}_5", f"{self.written}_6"

    @property
    def intent_out(self) -> str:
        """An intent of which A has an outcome, under an account that A's user may not name."""
        return f"{self.intent_b}f"

    @property
    def account_beside(self) -> str:
        """An account that A's user may not name: A's own if one is known, else the id of B's."""
        return self.account_out or self.account_b

    @property
    def scope_marker(self) -> str:
        """A text in what is planted for A under accounts that A's user may not name."""
        return f"{self.written}_7"

    @property
    def own_marker(self) -> str:
        """A text in what is planted for A under its user's account."""
        return f"{self.written}_8"

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account that is named, each once."""
        return tuple(dict.fromkeys(name for name in (self.account_a, self.account_out, self.account_b) if name))

    @property
    def ground(self) -> Ground:
        """All that a probe may name."""
        intents = {self.intent_b, self.told_b, self.intent_out, *([self.canary] if self.canary else [])}
        marks = {self.marker, self.written, self.export_b}
        return Ground(self.tenant_a, self.tenant_b, frozenset(self.accounts), frozenset(intents), marks=frozenset(marks))

    def mark_of(self, number: int) -> str:
        """The text in what the probe of that number would write."""
        return f"{self.written}_{number}"

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
            self.mark_of(number),
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
        channels: through which a tenant or an account is named besides the token.
        expect: how the platform must answer.
        mark: a text in what it would write.
        only_b: only B has what is asked for, so any success shows it.
        out_of_scope: it names an account that the caller may not name.
        shown_marks: texts that an answer must not hold.
        foreign_ids: ids that a success must not hold, unless the request names them.
        harmless: a healthy platform starts and changes nothing for it.
        once_refused: it is sent only if the platform refuses that token on every route that reads; if the platform took it for
            another tenant's, the probe would write where this run does not look.
    """

    name: str
    route: Route
    method: str
    path: str
    query: Sequence[tuple[str, Any]] = ()
    body: Sequence[tuple[str, Any]] | None = None
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    who: TokenKind = TokenKind.VALID
    channels: tuple[str, ...] = ()
    expect: ExpectedAnswer = ExpectedAnswer.OWN_ONLY
    mark: str = ""
    only_b: bool = False
    out_of_scope: bool = False
    shown_marks: tuple[str, ...] = ()
    foreign_ids: tuple[str, ...] = ()
    harmless: bool = True
    once_refused: bool = False

    @property
    def family(self) -> str:
        """The family of its route, whose refusals count only if one request for A's own data succeeds."""
        return self.route.family

    @property
    def role(self) -> str:
        """Setting of the table that the probe would change; "" for a read."""
        return self.route.role

    @property
    def reads(self) -> bool:
        """True for a request for data."""
        return self.route.reads

    @property
    def shown(self) -> str:
        """Method and route for people."""
        return f"{self.method} {self.path}"

    @property
    def elsewhere(self) -> bool:
        """Whether its path is not the route's own, so that a platform without a fault may know nothing of it."""
        return not self.route.is_path(self.path)

    @property
    def asked_ids(self) -> tuple[str, ...]:
        """The foreign ids that the request does not name itself."""
        named = repr((self.path, self.query, self.body))
        return tuple(each for each in self.foreign_ids if each not in named)

    def request(self, token: str | None) -> Request:
        """The request as it is sent; None sends no Authorization header."""
        headers: list[tuple[str, str]] = [("Accept", JSON)]
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        if self.body is not None:
            headers.append(("Content-Type", JSON))
        body = None if self.body is None else list(self.body)
        return Request(self.method, self.path, list(self.query), [*headers, *self.headers], body)


def own_requests(targets: CrossTargets) -> dict[str, CrossProbe]:
    """For each family a request for A's own data. It has to succeed, else a refusal of B's data shows nothing."""
    asked = targets.asked(of_b=False, account=targets.account_a, number=FIRST_NUMBER - 1)
    chosen = {route.family: route for route in ROUTES if route.reads and route.name != "budget_state"}
    chosen["status"] = next(route for route in ROUTES if route.name == "execution_status")
    chosen["decisions"] = next(route for route in ROUTES if route.name == "decision_status")
    return {
        family: CrossProbe(f"own_{family}", route, route.method, route.path_of(asked), tuple(route.query_of(asked).items()))
        for family, route in chosen.items()
    }
