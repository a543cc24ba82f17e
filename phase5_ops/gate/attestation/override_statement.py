"""The override statement: a signed order to promote a release although the gate is not open. Written and read here. Pure.

What the kinds of order mean, and whether an order is valid, is in `decision/override_rules.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ConfigDict, StrictInt, TypeAdapter, with_config
from pydantic.alias_generators import to_camel

from phase5_ops.clock import Moment
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.statement import OVERRIDE, read_as, read_statement, statement_bytes
from phase5_ops.gate.records import Release
from phase5_ops.text import Text

ROLLBACK_ROLE = "ops-sre"
#: How many roles must sign.
SIGNERS = {OrderKind.ROLLBACK: 1, OrderKind.BREAK_GLASS: 2}


@with_config(ConfigDict(alias_generator=to_camel, serialize_by_alias=True))
@dataclass(frozen=True, slots=True)
class Override:
    """One order, as it is signed.

    Attributes:
        id: unique; part of the idempotency key.
        kind: ROLLBACK or BREAK_GLASS.
        release: name, digest, environment.
        series: of the candidate.
        reason, ticket: why, and where that is followed up.
        requested_by: the person who asked first.
        requested_at, until: it is valid from the first until just before the second.
        rests_on: `sha256:...` of the envelopes of the promotion that a rollback goes back to: readiness, decision.
        goes_past: what kept the gate closed when the glass was broken, in words.
        context: for the target, e.g. `pipeline_execution_id`.
    """

    id: Text
    kind: OrderKind
    release: Release
    series: StrictInt
    reason: Text
    ticket: Text
    requested_by: Text
    requested_at: Moment
    until: Moment
    rests_on: tuple[Text, ...] = ()
    goes_past: tuple[Text, ...] = ()
    context: Mapping[Text, Text] = field(default_factory=dict)

    @property
    def payload(self) -> bytes:
        """The bytes that are signed; equal orders give equal bytes."""
        predicate = _OVERRIDE.dump_python(self, by_alias=True, exclude={"release"})
        return statement_bytes(self.release, OVERRIDE, {**predicate, "environment": self.release.environment})

    @property
    def digest(self) -> str:
        """`sha256:...` of these bytes."""
        return sha256_of(self.payload)


_OVERRIDE = TypeAdapter(Override)


def override_of(payload: bytes) -> Override:
    """The override in a payload; not yet known to be signed by anybody.

    Raises:
        MalformedEnvelope: it is none, or not in the one form in which overrides are written.
    """
    statement = read_statement(payload)
    if statement.predicate_type != OVERRIDE:
        raise MalformedEnvelope(f"not an override: {statement.predicate_type}")
    about = {**statement.predicate, "name": statement.name, "digest": statement.digest}
    found = read_as(_OVERRIDE, {**statement.predicate, "release": about})
    if found.kind not in SIGNERS or found.payload != payload:
        raise MalformedEnvelope("not an override in the form in which they are written")
    return found


def stored_order(name: str, payload: bytes) -> Override | None:
    """The order stored under this id; None where the payload is no order of this id, so that nobody signs or follows it."""
    try:
        override = override_of(payload)
    except MalformedEnvelope:
        return None
    return override if override.id == name else None
