"""What the gate saw deployed after a promotion: appended after the fact, signed, never changed. Pure.

An observation is JSON, `phase5.observation/v1`, signed with the gate's key under a type of its own. Those of an environment are
numbered without a gap, and each names the digest of the one before. It closes nothing and opens nothing: it says what ran.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, StrictInt, TypeAdapter, with_config

from phase5_ops.clock import Moment, iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import canonical_json, strict_json
from phase5_ops.gate.attestation.keys import GATE, KeySet, revocation_problem
from phase5_ops.gate.records import Release
from phase5_ops.text import Text

SCHEMA = "phase5.observation/v1"

#: The payload type of an observation, so that its signature cannot pass for that of a statement.
OBSERVATION_TYPE = "application/vnd.phase5.observation+json"


class Agreement(StrEnum):
    """Whether what is deployed is what was promoted."""

    AGREES = "AGREES"
    DIFFERENT = "DIFFERENT"
    UNKNOWN = "UNKNOWN"  # not readable, or nothing names the digest of what is deployed


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Observation:
    """One look at what is deployed.

    Attributes:
        release, series, override: the publication that was the last one; `override` is "" where the gate was open.
        observed_at: evaluation time.
        agreement: of `digest` with the release's.
        digest: what the parameter of `PHASE5_DEPLOYED__DIGEST_PARAMETER` held; "" where it was not read.
        how: by what it was found out, in words; where it was not, why not.
        deployed: kind, name, version and code of everything that ran; empty where reading failed.
    """

    release: Release
    series: StrictInt
    override: Text
    observed_at: Moment
    agreement: Agreement
    digest: Text
    how: Text
    deployed: tuple[tuple[Text, Text, Text, Text], ...]

    def same_as(self, other: "Observation") -> bool:
        """Whether it says nothing new: the same publication, the same things that ran."""
        return replace(self, observed_at=other.observed_at, how=other.how) == other

    def __str__(self) -> str:
        """In one line."""
        return f"deployed {self.agreement} at {iso(self.observed_at)}: {self.how}"


_OBSERVATION = TypeAdapter(Observation)


@dataclass(frozen=True, slots=True)
class RecordedObservation:
    """An observation as it was read, with the signed bytes; nothing of it is trusted before `problem` is None.

    Attributes:
        number: counts from 1 in its environment.
        previous: digest of the one before; empty for the first.
        payload: its bytes.
        key_id, signature: of the gate's key.
    """

    seen: Observation
    number: int
    previous: str
    payload: bytes
    key_id: str
    signature: bytes

    @property
    def digest(self) -> str:
        """What the next one names."""
        return sha256_of(self.payload)

    def problem(self, keys: KeySet) -> str | None:
        """Why it is not the gate's word; None if it is."""
        key = keys.keys.get(self.key_id)
        if key is None or key.role != GATE or not key.verifies(self.payload, self.signature, OBSERVATION_TYPE):
            return f"observation {self.number} is not signed by the gate's key"
        revoked = revocation_problem(key.revoked_at, self.seen.observed_at)
        return f"observation {self.number}: the gate's key {revoked}" if revoked else None


def observation_payload(seen: Observation, number: int, previous: str) -> bytes:
    """The bytes that are signed."""
    return canonical_json({**_OBSERVATION.dump_python(seen), "schema": SCHEMA, "number": number, "previous": previous})


def observation_of(payload: bytes, key_id: str, signature: bytes) -> RecordedObservation:
    """The observation in these bytes, not yet known to be signed by anybody.

    Raises:
        ValueError: it is not one.
    """
    try:
        content: Any = strict_json(payload)
        schema, number, previous = content.pop("schema"), int(content.pop("number")), str(content.pop("previous"))
        seen = _OBSERVATION.validate_python(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not an observation: {error}") from error
    if schema != SCHEMA:
        raise ValueError(f"not an observation: schema {schema!r}")
    return RecordedObservation(seen, number, previous, payload, key_id, signature)
