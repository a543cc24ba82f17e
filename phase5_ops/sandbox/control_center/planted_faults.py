"""Faults of the Control Center that are generated from their parts, so that no combination is forgotten. Plain data.

The parts: the route, the kind of token that slips through, the part of the request from which the tenant or account is taken, and
what the request then does. `planted_calls.py` lets requests through them; the faults that are declared one by
one are in `state/platform_faults.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product


class ApiRoute(StrEnum):
    """A route of the Control Center or of the decision API, by its endpoint."""

    REPLAY = "replay"
    READ_KILL_SWITCHES = "read_kill_switches"
    WRITE_KILL_SWITCHES = "write_kill_switches"
    EXPLANATION = "explanation"
    REQUEST_EXPORT = "request_export"
    READ_EXPORT = "read_export"
    READ_CONFIG = "read_config"
    WRITE_CONFIG = "write_config"
    READ_BUDGET = "read_budget"
    READ_BUDGET_STATE = "read_budget_state"
    WRITE_BUDGET = "write_budget"
    EXECUTION_STATUS = "execution_status"
    EXECUTIONS = "executions"
    EVALUATE_DECISION = "evaluate_decision"
    DECISION_STATUS = "decision_status"
    DECISIONS = "decisions"
    APPROVE_ACTION = "approve_action"
    REJECT_ACTION = "reject_action"

    @property
    def changes(self) -> bool:
        """Whether it is there to change something."""
        return self in _CHANGING


_CHANGING = frozenset(
    {
        ApiRoute.REPLAY,
        ApiRoute.WRITE_KILL_SWITCHES,
        ApiRoute.REQUEST_EXPORT,
        ApiRoute.WRITE_CONFIG,
        ApiRoute.WRITE_BUDGET,
        ApiRoute.EVALUATE_DECISION,
        ApiRoute.APPROVE_ACTION,
        ApiRoute.REJECT_ACTION,
    }
)


class Who(StrEnum):
    """Whose requests slip through: the kind of token in their Authorization header."""

    ANONYMOUS = "no_token"
    EMPTY = "empty_token"
    GARBAGE = "garbage"
    ALG_NONE = "alg_none"
    HS256 = "hs256"
    TAMPERED = "tampered_payload"
    SELF_SIGNED = "self_signed"
    UNKNOWN_KID = "unknown_kid"
    EMBEDDED_JWK = "embedded_jwk"
    JKU = "foreign_jku"
    EXPIRED = "expired"
    OTHER_CLIENT = "other_client"
    ACCESS = "access_token"
    UNCLAIMED = "unclaimed"  # a genuine id token without custom:tenant_id
    CLAIM_LIST = "claim_list"
    CLAIM_EMPTY = "claim_empty"
    CLAIM_BLANK = "claim_blank"  # blanks around the tenant's id, or nothing else
    CLAIM_CASE = "claim_case"  # the tenant's id in another case
    CLAIMED = "claimed"  # a genuine id token of one of the pool's tenants

    @property
    def genuine(self) -> bool:
        """A current id token of the pool for the right client, whatever it claims."""
        return self in _GENUINE


_GENUINE = frozenset({Who.UNCLAIMED, Who.CLAIM_LIST, Who.CLAIM_EMPTY, Who.CLAIM_BLANK, Who.CLAIM_CASE, Who.CLAIMED})
_NAMES_NOBODY = frozenset({Who.ANONYMOUS, Who.EMPTY, Who.GARBAGE, Who.ACCESS, Who.UNCLAIMED, Who.CLAIM_EMPTY})


class TenantSource(StrEnum):
    """Where such a fault takes the tenant, or the account, from."""

    CLAIM = "claim"  # what the token says, whether or not it counts
    OWNER = "owner"  # whose the account, intent, decision or export is that the request names
    QUERY_SNAKE = "query-tenant_id"
    QUERY_CAMEL = "query-tenantId"
    QUERY_SHORT = "query-tenant"
    QUERY_FIRST = "query-repeated-first"
    QUERY_LAST = "query-repeated-last"
    QUERY_ARRAY = "query-array"
    HEADER_LOWER = "header-lower"
    HEADER_CANONICAL = "header-canonical"
    HEADER_UPPER = "header-upper"
    HEADER_ANY = "header-any-case"
    HEADER_UNDERSCORE = "header-underscore"
    PROXY = "header-of-proxies"
    COOKIE = "cookie"
    PATH = "path"
    BODY_SNAKE = "body-tenant_id"
    BODY_CAMEL = "body-tenantId"
    BODY_FIRST = "body-duplicate-first"
    ACCOUNT_QUERY = "account-query"
    ACCOUNT_HEADER = "account-header"
    ACCOUNT_BODY = "account-body"

    @property
    def of_account(self) -> bool:
        """Whether it is the account, unchecked, that comes from there."""
        return self.value.startswith("account-")

    @property
    def of_body(self) -> bool:
        """Whether it is part of the body."""
        return self.value.startswith("body-") or self is TenantSource.ACCOUNT_BODY


class Effect(StrEnum):
    """What a request that slips through does."""

    ACTS = "acts"
    ACTS_LATE = "acts-late"  # refused, and done some seconds later
    DESPITE_REFUSAL = "acts-despite-refusal"
    UNDER_CALLER = "under-caller"  # the other tenant's intent, recorded under the caller
    KEYS_FROM_BODY = "keys-from-body"
    METHOD_OVERRIDE = "method-override"  # only where a header names the method
    TRAILING_SLASH = "trailing-slash"  # only where the path ends with one
    GET_ACTS = "get-acts"  # a GET with the fields in its query does what another method is for
    FOREIGN_ACTION = "foreign-action"  # what is named is looked up by its id alone
    CLAIM_IGNORED = "claim-ignored"  # acts, and refuses whoever does not use the channel


@dataclass(frozen=True, slots=True, order=True)
class PlantedFault:
    """One fault of the Control Center."""

    route: ApiRoute
    who: Who
    channel: TenantSource
    effect: Effect = Effect.ACTS

    @property
    def name(self) -> str:
        """Its name, by which a sandbox can be told to have it."""
        return "/".join((self.route, self.who, self.channel, self.effect))

    @property
    def row(self) -> str:
        """The row of the checklist that must find it."""
        if self.route is not ApiRoute.REPLAY:
            return "4.1"
        return "3.3" if self.channel.of_account else "3.1"

    @classmethod
    def named(cls, name: str) -> "PlantedFault":
        """The fault of that name.

        Raises:
            ValueError: there is none.
        """
        route, who, channel, effect = name.split("/")
        return cls(ApiRoute(route), Who(who), TenantSource(channel), Effect(effect))


#: Routes that name an account, and in which parts of the request it may stand besides the path.
_ACCOUNT_ROUTES = frozenset(ApiRoute) - {
    ApiRoute.READ_KILL_SWITCHES,
    ApiRoute.WRITE_KILL_SWITCHES,
    ApiRoute.READ_CONFIG,
    ApiRoute.WRITE_CONFIG,
    ApiRoute.READ_EXPORT,
    ApiRoute.REQUEST_EXPORT,
    ApiRoute.DECISION_STATUS,
    ApiRoute.APPROVE_ACTION,
    ApiRoute.REJECT_ACTION,
}
_DECIDED = (ApiRoute.DECISION_STATUS, ApiRoute.APPROVE_ACTION, ApiRoute.REJECT_ACTION)
_KEYED = (ApiRoute.WRITE_CONFIG, ApiRoute.WRITE_BUDGET)
_NAMES_NO_OWNER = frozenset(
    {ApiRoute.READ_KILL_SWITCHES, ApiRoute.WRITE_KILL_SWITCHES, ApiRoute.READ_CONFIG, ApiRoute.WRITE_CONFIG}
)


def sensible(fault: PlantedFault) -> bool:
    """Whether a Control Center could have this fault, and something would slip through it."""
    route, who, channel, effect = fault.route, fault.who, fault.channel, fault.effect
    if channel is TenantSource.CLAIM and (who in _NAMES_NOBODY or (who is Who.CLAIMED and effect is not Effect.KEYS_FROM_BODY)):
        return False
    if channel.of_body and not route.changes:
        return False
    if channel is TenantSource.OWNER and (route in _NAMES_NO_OWNER or route is ApiRoute.REQUEST_EXPORT):
        return False
    if channel.of_account and (route not in _ACCOUNT_ROUTES or who is not Who.CLAIMED):
        return False
    if channel is TenantSource.ACCOUNT_BODY and not route.changes:
        return False
    if channel is TenantSource.ACCOUNT_QUERY and route.changes and effect is not Effect.ACTS:
        return False
    if channel in (TenantSource.QUERY_FIRST, TenantSource.QUERY_LAST, TenantSource.BODY_FIRST) and not who.genuine:
        return False  # those are about a check of one and an act on the other
    return _possible(route, who, channel, effect)


def _possible(route: ApiRoute, who: Who, channel: TenantSource, effect: Effect) -> bool:
    """Whether the effect is one of that route, with that way in."""
    match effect:
        case Effect.ACTS:
            return True
        case Effect.ACTS_LATE:  # a decision that a probe named is gone by then
            return route.changes and not channel.of_account and route not in _DECIDED
        case Effect.DESPITE_REFUSAL:
            return route.changes and not channel.of_account
        case Effect.UNDER_CALLER:
            return route is ApiRoute.REPLAY and who is Who.CLAIMED and not channel.of_account
        case Effect.KEYS_FROM_BODY:
            return route in _KEYED and channel is TenantSource.CLAIM and who is Who.CLAIMED
        case Effect.FOREIGN_ACTION:
            return route in _DECIDED and channel is TenantSource.OWNER and who is Who.CLAIMED
        case Effect.GET_ACTS:
            return route.changes and not channel.of_body and not channel.of_account
        case Effect.METHOD_OVERRIDE:
            return route.changes and not channel.of_account
        case Effect.TRAILING_SLASH:
            return not channel.of_account
        case _:
            return False


def family() -> tuple[PlantedFault, ...]:
    """Faults that together have every sensible pair of route, token, channel and effect, in a stable order."""
    return tuple(sorted({*_pairs(), *_ways()}))


def _pairs() -> Iterator[PlantedFault]:
    """For each route every channel with one kind of token and every kind of token with one channel, in turn."""
    for number, route in enumerate(ApiRoute):
        for first, second in ((Who, TenantSource), (TenantSource, Who)):
            for at, one in enumerate(first):
                others = list(second)
                for step in range(len(others)):
                    other = others[(at + number + step) % len(others)]
                    who, channel = (one, other) if first is Who else (other, one)
                    fault = PlantedFault(route, Who(who), TenantSource(channel))
                    if sensible(fault):
                        yield fault
                        break


def _ways() -> Iterator[PlantedFault]:
    """For each route every other effect, with the tokens and channels that matter most."""
    chosen = (
        (Who.ANONYMOUS, (TenantSource.QUERY_SNAKE, TenantSource.OWNER)),
        (Who.UNCLAIMED, (TenantSource.HEADER_LOWER, TenantSource.QUERY_SNAKE)),
        (Who.CLAIMED, (TenantSource.HEADER_ANY, TenantSource.BODY_SNAKE, TenantSource.CLAIM, TenantSource.OWNER)),
    )
    for route, effect, (who, channels) in product(ApiRoute, Effect, chosen):
        if effect is Effect.ACTS:
            continue
        for channel in channels:
            fault = PlantedFault(route, who, channel, effect)
            if sensible(fault):
                yield fault
                break
