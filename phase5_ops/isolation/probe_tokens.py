"""The tokens of row 4.1's probes, one of each kind that can be had. What cannot be had is told by rows 3.1 and 3.3."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from phase5_ops.platform import Platform
from phase5_ops.probing import kept_token
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.forge import Forger, TokenKind
from phase5_ops.probing.identity import Identity, KeySetClient, Pool
from phase5_ops.reads import Read

Tokens = Mapping[TokenKind, str | None]


def tokens_of(platform: Platform, pool: Pool, user: Identity, *, wall: Callable[[], float]) -> tuple[Tokens, list[Read]]:
    """The tokens by kind, and how they were read.

    Args:
        platform: of this run.
        pool: the user pool.
        user: user A, signed in.
        wall: epoch seconds.
    """
    settings = platform.settings
    tokens: dict[TokenKind, str | None] = {
        TokenKind.NONE: None,
        TokenKind.EMPTY: "",
        TokenKind.VALID: user.id_token,
        TokenKind.ACCESS: user.access_token,
    }
    reads: list[Read] = []
    tokens |= _of_key(platform, pool, user, wall)
    if (other := settings.probes.other_client_id) is not None:
        with suppress(Obstructed):  # rows 3.1 and 3.3 say so
            stranger, made = pool.sign_in("A", settings.probe_users.a, client_id=other)
            tokens[TokenKind.OTHER_CLIENT] = stranger.id_token
            reads += made
    pool.redactor.add(*(token for token in tokens.values() if token))
    return tokens, reads


def _of_key(platform: Platform, pool: Pool, user: Identity, wall: Callable[[], float]) -> Mapping[TokenKind, str]:
    """What can be made with, or checked against, the key that signed the user's token."""
    probes, reader, users = platform.settings.probes, platform.reader, platform.settings.probe_users
    key_set = KeySetClient(
        reader.client("cognito-idp").meta.endpoint_url, pool.pool_id, probes.request_timeout_seconds, probes.user_agent
    )
    try:
        jwk = pool.signing_key(user.id_token, key_set)
        forger = Forger(user.id_token, jwk, str(users.b.tenant_id))
        tokens = {kind: forger.token(kind) for kind in forger.kinds}
    except ValueError:
        return {TokenKind.GARBAGE: "phase5.probe.garbage"}
    issue = kept_token.Issue(str(user.claims.get("iss")), pool.client_id, str(users.a.tenant_id), jwk)
    kept = platform.settings.state_dir / kept_token.FILE_NAME
    with suppress(kept_token.NoExpiredToken):  # rows 3.1 and 3.3 say so
        tokens[TokenKind.EXPIRED] = kept_token.expired_token(kept, probes.expired_token_file, issue, wall=wall)
    return tokens
