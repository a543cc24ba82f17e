"""What a target is told, and what it answers. Pure.

An order carries one idempotency key for a series of a release (or for one override), however often it is sent: a receiver that
gets the key twice has got one promotion. What must not live here: talking to a target, deciding.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import canonical_json, strict_json
from phase5_ops.gate.records import Release

SCHEMA = "phase5.promotion/v1"


class OrderKind(StrEnum):
    """By which right a release is promoted."""

    OPEN = "OPEN"  # the gate was open
    ROLLBACK = "ROLLBACK"  # it was promoted before, and ops-sre takes production back to it
    BREAK_GLASS = "BREAK_GLASS"  # two people went past the closed gate


class Publication(StrEnum):
    """How giving an order ended."""

    PUBLISHED = "PUBLISHED"  # the target took it now
    ALREADY = "ALREADY"  # the target has had this very order before
    TAKEN = "TAKEN"  # somebody else's decision stands there; ours has no effect and is not tried again by itself
    REFUSED = "REFUSED"  # the target said no: there is no effect
    UNKNOWN = "UNKNOWN"  # no clear answer: perhaps there is an effect; repeat with the same key


#: The order has taken effect.
EFFECTIVE = frozenset({Publication.PUBLISHED, Publication.ALREADY})


@dataclass(frozen=True, slots=True)
class Published:
    """How giving an order ended, and what the target said (an event id, a version, an ARN, or why not)."""

    publication: Publication
    answer: str

    @property
    def effective(self) -> bool:
        """Whether the order has taken effect."""
        return self.publication in EFFECTIVE


@dataclass(frozen=True, slots=True)
class Order:
    """What is published.

    Attributes:
        release: what goes to production.
        series: of the candidate.
        key: the idempotency key.
        decided_at: when the gate decided.
        kind: by which right.
        decision_envelope: the signed decision, by which a receiver can tell the order from a forged one.
        context: what the release pipeline passed on when it registered, e.g. `pipeline_execution_id`.
    """

    release: Release
    series: int
    key: str
    decided_at: datetime
    kind: OrderKind
    decision_envelope: bytes
    context: Mapping[str, str] = field(default_factory=dict)


def idempotency_key(release: Release, series: int, override: str = "") -> str:
    """The key of the one promotion of a series, or of one override: 64 hex digits, the same from every process."""
    content = {"environment": release.environment, "name": release.name, "digest": release.digest, "series": series}
    return hashlib.sha256(canonical_json({**content, **({"override": override} if override else {})})).hexdigest()


def message(order: Order) -> bytes:
    """The order as a target receives it: small (under 1 kB), equal orders in equal bytes."""
    return canonical_json(
        {
            "schema": SCHEMA,
            "idempotency_key": order.key,
            "environment": order.release.environment,
            "release": order.release.name,
            "digest": order.release.digest,
            "series": order.series,
            "kind": str(order.kind),
            "decided_at": iso(order.decided_at),
            "decision": sha256_of(order.decision_envelope),
        }
    )


def key_in(text: object) -> str | None:
    """The idempotency key of a message that was read back; None if it is no message of ours."""
    try:
        content = strict_json(str(text).encode("utf-8"))
    except ValueError:
        return None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        return None
    return str(content.get("idempotency_key"))
