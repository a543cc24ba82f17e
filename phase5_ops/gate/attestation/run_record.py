"""The record of a readiness run in the state table: what the run sealed, what it found, where histories stood. Pure.

A record is JSON, `phase5.run-record/v1`, and may carry a signature of the gate's key over these bytes. Records of an environment
are numbered without a gap, and each names the digest of the one before, so that a missing or exchanged record is noticed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, StrictBool, TypeAdapter

from phase5_ops.clock import Moment
from phase5_ops.evidence.histories import Standing
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import canonical_json, strict_json
from phase5_ops.gate.attestation.keys import GATE, KeySet, TrustedKey
from phase5_ops.verdict import Verdict

SCHEMA = "phase5.run-record/v1"

#: The payload type of a record, so that its signature cannot pass for that of a statement.
RECORD_TYPE = "application/vnd.phase5.run-record+json"


@dataclass(frozen=True, slots=True)
class RunFound:
    """What a readiness run leaves behind.

    Attributes:
        environment, run_id: of the run.
        ended_at: wall clock.
        fixed_now: it ran under PHASE5_NOW.
        assets: those that were chosen; None for all of the job.
        release_digest: of the candidate that it was made for; None for a run without one.
        manifest: the evidence digest, `sha256:...` over the sealed manifest.
        verdicts: check -> verdict of every check that was judged.
        standing: where histories stood.
    """

    environment: str
    run_id: str
    ended_at: Moment
    fixed_now: StrictBool
    assets: tuple[str, ...] | None
    release_digest: str | None
    manifest: str
    verdicts: Mapping[str, Verdict]
    standing: Annotated[Standing, PlainValidator(Standing.of_json), PlainSerializer(Standing.as_json)]


_FOUND = TypeAdapter(RunFound)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A record as it was read, with the signed bytes; `signed_by_gate` tells whether the signature holds.

    Attributes:
        seq: counts from 1 in its environment.
        previous: digest of the record before; empty for the first.
        payload: its bytes.
        key_id, signature: of the gate's key; empty where the run could not sign.
    """

    found: RunFound
    seq: int
    previous: str
    payload: bytes
    key_id: str = ""
    signature: bytes = b""
    _tried: list[tuple[TrustedKey, bool]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """What the next record names."""
        return sha256_of(self.payload)

    def signed_by_gate(self, keys: KeySet) -> bool:
        """Whether a key of the gate that is not revoked signed these bytes."""
        key = keys.keys.get(self.key_id)
        if key is None or key.role != GATE or key.revoked_at is not None:
            return False
        for tried, holds in self._tried:  # every older candidate of a tick asks this of a record
            if tried is key:
                return holds
        holds = key.verifies(self.payload, self.signature, RECORD_TYPE)
        self._tried.append((key, holds))
        return holds


def record_payload(found: RunFound, seq: int, previous: str) -> bytes:
    """The bytes of a record."""
    return canonical_json({**_FOUND.dump_python(found), "schema": SCHEMA, "seq": seq, "previous": previous})


def record_of(payload: bytes, key_id: str = "", signature: bytes = b"") -> RunRecord:
    """The record in these bytes.

    Raises:
        ValueError: it is not one.
    """
    try:
        content: Any = strict_json(payload)
        schema, found = content["schema"], _FOUND.validate_python(content)
        record = RunRecord(found, int(content["seq"]), str(content["previous"]), payload, key_id, signature)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a record of a run: {error!r}") from error
    if schema != SCHEMA:
        raise ValueError(f"not a record of a run: schema {schema!r}")
    return record
