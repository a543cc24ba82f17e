"""The tokens of the probes, one of each kind that is available, and why the others are not.

The genuine ones come from the user pool: of user A, of user B, and of the further users whose tokens name no tenant exactly. The
others are forged from user A's own.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from phase5_ops.context import RunContext
from phase5_ops.probing import kept_token
from phase5_ops.probing.codes import Obstacle, Obstructed, ProbingCode
from phase5_ops.probing.forge import FURTHER_USERS, GARBAGE, OTHER_CLAIMS, Forger, TokenKind, claims_of
from phase5_ops.probing.identity import Identity, KeySetClient, Pool, why_unfit
from phase5_ops.probing.redact import Redactor
from phase5_ops.reads import Read
from phase5_ops.settings import PoolUser
from phase5_ops.verdict import FindingCode

Tokens = Mapping[TokenKind, str | None]

_GENUINE_OF_OTHERS = (TokenKind.VALID_B, *FURTHER_USERS)
_GENUINE = (TokenKind.VALID, TokenKind.ACCESS, TokenKind.OTHER_CLIENT, *_GENUINE_OF_OTHERS)
#: Under which name a run has its tokens.
_TOKENS_OF_RUN = "probe tokens"
#: Tokens that need no key; sent as they are.
_PLAIN: Tokens = {TokenKind.NONE: None, TokenKind.EMPTY: "", TokenKind.GARBAGE: GARBAGE}


@dataclass(slots=True)
class Supply:
    """The tokens that are available.

    Attributes:
        tokens: by kind; None for no Authorization header at all.
        missing: kind -> the code of the obstacle, for kinds without a token.
        obstacles: the same for people.
        reads: how the pool was read.
    """

    tokens: dict[TokenKind, str | None] = field(repr=False)
    missing: dict[TokenKind, str] = field(default_factory=dict)
    obstacles: list[Obstacle] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)

    def lacks(self, kinds: Iterable[TokenKind], obstacle: Obstacle) -> None:
        """Notes that there is no token of these kinds."""
        self.missing |= dict.fromkeys(kinds, obstacle.code)
        self.obstacles.append(obstacle)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """User A signed in, and the tokens of a run; `redactor` knows all of them, `reads` tell how they were got."""

    user: Identity
    supply: Supply
    redactor: Redactor
    reads: tuple[Read, ...]

    def lasts(self, seconds: float) -> bool:
        """Whether every genuine token is still valid after so many seconds."""
        genuine = [token for kind in _GENUINE if (token := self.supply.tokens.get(kind))]
        return all(float(claims_of(token).get("exp") or 0) >= time.time() + seconds for token in genuine)


def tokens_of_run(run: RunContext, pool: Pool, *, seconds: float) -> SignedIn:
    """The tokens that an earlier part of the run has, where they last so many seconds; else those of a new sign-in.

    Raises:
        Obstructed: user A cannot sign in.
    """
    known = run.shared.get(_TOKENS_OF_RUN)
    if isinstance(known, SignedIn) and known.lasts(seconds):
        return known
    user, reads = pool.sign_in("A", run.settings.probe_users.a)
    supply = supply_of(run, pool, user)
    return SignedIn(user, supply, pool.redactor, (*reads, *supply.reads))


def keep_for_run(run: RunContext, signed_in: SignedIn) -> None:
    """Lets later parts of the run use these tokens; where some could not be had, they try again."""
    if not signed_in.supply.obstacles:
        run.shared[_TOKENS_OF_RUN] = signed_in


def supply_of(
    run: RunContext, pool: Pool, user: Identity, *, keep: bool = False, wall: Callable[[], float] = time.time
) -> Supply:
    """The tokens of a run.

    Args:
        run: of this run.
        pool: the user pool; what it makes is given to its redactor.
        user: user A, signed in.
        keep: whether user A's token is kept until it has expired, for the probe of a later run.
        wall: epoch seconds.
    """
    supply = Supply({**_PLAIN, TokenKind.VALID: user.id_token, TokenKind.ACCESS: user.access_token})
    _add_forged(supply, run, pool, user, keep=keep, wall=wall)
    _add_other_client(supply, run, pool)
    _add_other_users(supply, run, pool)
    pool.redactor.add(*(token for token in supply.tokens.values() if token))
    return supply


def _add_forged(supply: Supply, run: RunContext, pool: Pool, user: Identity, *, keep: bool, wall: Callable[[], float]) -> None:
    """Adds what is made with, or checked against, the key that signed the user's token."""
    settings, probes = run.settings, run.settings.probes
    endpoint = run.reader.client("cognito-idp").meta.endpoint_url
    key_set = KeySetClient(endpoint, pool.pool_id, probes.request_timeout_seconds, probes.user_agent)
    try:
        jwk = key_set.signing_key(user.id_token)
        forger = Forger(user.id_token, jwk, str(settings.probe_users.b.tenant_id))
        supply.tokens |= {kind: forger.token(kind) for kind in (*forger.kinds, *OTHER_CLAIMS)}
    except ValueError as error:
        kinds = [kind for kind in TokenKind if kind not in (*supply.tokens, *_GENUINE_OF_OTHERS, TokenKind.OTHER_CLIENT)]
        supply.lacks(
            kinds, _obstacle(ProbingCode.PUBLIC_KEY_UNAVAILABLE, pool.pool_id, "the key that signed user A's token", str(error))
        )
        return
    issue = kept_token.Issue(str(user.claims.get("iss")), pool.client_id, str(settings.probe_users.a.tenant_id), jwk)
    kept = settings.own_folder / kept_token.FILE_NAME
    try:
        supply.tokens[TokenKind.EXPIRED] = kept_token.expired_token(kept, probes.expired_token_file, issue, wall=wall)
    except kept_token.NoExpiredToken as reason:
        wanted = "a genuine token that has expired"
        supply.lacks([TokenKind.EXPIRED], _obstacle(ProbingCode.EXPIRED_TOKEN_UNAVAILABLE, "expired token", wanted, str(reason)))
    if keep:
        kept_token.keep(kept, user.id_token, issue, wall=wall)


def _add_other_client(supply: Supply, run: RunContext, pool: Pool) -> None:
    settings = run.settings
    if (other := settings.probes.other_client_id) is None:
        return
    try:
        stranger, reads = pool.sign_in("A", settings.probe_users.a, client_id=other)
    except Obstructed as stop:
        supply.lacks([TokenKind.OTHER_CLIENT], replace(stop.obstacle, subject=f"{stop.obstacle.subject}, client {other}"))
        return
    supply.tokens[TokenKind.OTHER_CLIENT] = stranger.id_token
    supply.reads += reads


def _add_other_users(supply: Supply, run: RunContext, pool: Pool) -> None:
    """The tokens of user B and of the further users; users that the settings do not name make one obstacle."""
    users = run.settings.probe_users
    wanted = {TokenKind.VALID_B: ("b", users.b)} | {kind: (name, getattr(users, name)) for kind, name in FURTHER_USERS.items()}
    absent = [kind for kind, (_, user) in wanted.items() if not user.username and not user.secret_id]
    if absent:
        names = ", ".join(f"PHASE5_PROBE_USERS__{wanted[kind][0].upper()}__USERNAME" for kind in absent)
        supply.lacks(absent, _obstacle(ProbingCode.PROBE_USER_MISSING, names, "a user for each kind of token", "not set"))
    present = {kind: each for kind, each in wanted.items() if kind not in absent}
    with ThreadPoolExecutor(max(1, len(present)), thread_name_prefix="sign-in") as workers:
        signed_in = workers.map(lambda each: _signed_in(pool, *each), present.values())
        for (kind, (name, _)), found in zip(present.items(), signed_in, strict=True):
            if isinstance(found, Obstacle):
                supply.lacks([kind], found)
                continue
            identity, reads = found
            supply.reads += reads
            if problem := why_unfit(kind, identity.claims, str(users.a.tenant_id), str(users.b.tenant_id)):
                supply.lacks(
                    [kind], _obstacle(ProbingCode.PROBE_USER_UNFIT, f"probe user {name}", f"a token {kind.value}", problem)
                )
            else:
                supply.tokens[kind] = identity.id_token


def _signed_in(pool: Pool, name: str, user: PoolUser) -> tuple[Identity, list[Read]] | Obstacle:
    try:
        return pool.authenticate(name.upper(), user)
    except Obstructed as stop:
        return _obstacle(ProbingCode.PROBE_USER_UNFIT, f"probe user {name}", stop.obstacle.expected, stop.obstacle.seen)


def _obstacle(code: FindingCode, subject: str, expected: str, seen: str) -> Obstacle:
    return Obstacle(code.code, subject, expected, seen)
