"""A person's acceptance that a history does not continue: what is signed, written and read here. Pure.

An acceptance is JSON, `phase5.history-acceptance/v1`, signed with a role's KMS key under a type of its own. It names exactly the
breaks that the record of a run shows (what was lost, and the head of what is there in its place): any other break, before or
after, is not covered.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config

from phase5_ops.clock import Moment, iso
from phase5_ops.evidence.histories import Break
from phase5_ops.gate.attestation.envelopes import canonical_json, strict_json
from phase5_ops.text import Text

SCHEMA = "phase5.history-acceptance/v1"

#: The payload type of an acceptance, so that its signature cannot pass for that of a statement or a waiver.
ACCEPTANCE_TYPE = "application/vnd.phase5.history-acceptance+json"


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person's acceptance of breaks; `role` is the one whose key signed it."""

    id: Text
    environment: Text
    run_id: Text
    breaks: tuple[Break, ...]
    role: Text
    identity: Text
    reason: Text
    ticket: Text
    at: Moment

    def __str__(self) -> str:
        return f"accepted by {self.identity} for {self.role} at {iso(self.at)}: {self.reason} ({self.ticket})"


_ACCEPTANCE = TypeAdapter(Acceptance)


def acceptance_payload(acceptance: Acceptance) -> bytes:
    """The bytes that are signed."""
    return canonical_json({**_ACCEPTANCE.dump_python(acceptance), "schema": SCHEMA})


def acceptance_of(payload: bytes) -> Acceptance:
    """The acceptance in these bytes, not yet known to be signed by anybody.

    Raises:
        ValueError: it is not one.
    """
    try:
        content: Any = strict_json(payload)
        schema, found = content.pop("schema"), _ACCEPTANCE.validate_python(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not an acceptance of histories: {error}") from error
    if schema != SCHEMA:
        raise ValueError(f"not an acceptance of histories: schema {schema!r}")
    return found
