"""A genuine token of an earlier run, kept until it has expired, for the probe with an expired token.

    <state folder>/probe_tokens.json, mode 0600: {"expired": token or null, "waiting": token or null}

Only a token that the configured pool really signed for the configured client and test tenant is of use: any other would be
refused for a reason other than its age.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from phase5_ops.files import write_whole
from phase5_ops.input_files.json_text import json_value
from phase5_ops.probing.channel import TENANT_CLAIM
from phase5_ops.probing.forge import public_key_of

FILE_NAME = "probe_tokens.json"
_SLOTS = ("expired", "waiting")


class NoExpiredToken(Exception):
    """There is no expired token that would be accepted but for its age; the message says why."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What makes a token one of this pool, client and tenant."""

    issuer: str
    client_id: str
    tenant: str
    jwk: Mapping[str, Any]


def expired_token(kept: Path, named: Path | None, issue: Issue, *, wall: Callable[[], float] = time.time) -> str:
    """A genuine, expired token: that of the file that the settings name, else one kept by an earlier run.

    Raises:
        NoExpiredToken: there is none.
    """
    if named is not None:
        try:
            token = named.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoExpiredToken(f"PHASE5_PROBES__EXPIRED_TOKEN_FILE cannot be read: {type(error).__name__}") from None
        if problem := why_not(token, issue, wall()):
            raise NoExpiredToken(f"the token of PHASE5_PROBES__EXPIRED_TOKEN_FILE {problem}")
        return token
    reasons = []
    for token in _load(kept).values():
        problem = why_not(token, issue, wall())
        if problem is None:
            return token
        reasons.append(f"the token kept by an earlier run {problem}")
    raise NoExpiredToken("; ".join(reasons) or "no earlier run has kept a token; this run keeps one, which a later run can use")


def why_not(token: str, issue: Issue, now: float) -> str | None:
    """Why `token` is not a genuine expired one; None if it is."""
    try:
        claims = jwt.decode(
            token,
            public_key_of(issue.jwk),
            algorithms=["RS256"],
            audience=issue.client_id,
            issuer=issue.issuer,
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "iss", "aud"]},
        )
    except (jwt.PyJWTError, ValueError) as error:
        return f"is not one of this pool and client ({type(error).__name__})"
    if claims.get(TENANT_CLAIM) != issue.tenant or claims.get("token_use") != "id":
        return "is not an id token of test tenant A"
    if not isinstance(claims["exp"], (int, float)) or claims["exp"] >= now:
        return "has not expired yet"
    return None


def keep(kept: Path, fresh: str, issue: Issue, *, wall: Callable[[], float] = time.time) -> None:
    """Keeps `fresh` for later runs, unless one is waiting already; a waiting one that has expired moves to `expired`."""
    slots = _load(kept)
    waiting = slots.get("waiting")
    if waiting is not None and why_not(waiting, issue, wall()) is None:
        slots["expired"], waiting = waiting, None
    if waiting is None or why_not(waiting, issue, wall()) != "has not expired yet":
        slots["waiting"] = fresh
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(slots).encode(), mode=0o600)


def _load(kept: Path) -> dict[str, str]:
    try:
        content = json_value(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {slot: content[slot] for slot in _SLOTS if isinstance(content.get(slot), str)}
