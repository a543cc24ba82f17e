"""From what the state table holds to what the gate decides from: every signature is verified here. Reads nothing.

The table alone is not trusted: whoever can write to it can write any role, digest or name. So the role of a signature is that of
the key that verifies it, and release, environment and moment are those that the signed bytes name. Who the person was and when it
was signed stand only in the table; CloudTrail's record of the Sign call, which carries the same request id, tells the same from
KMS's side (`signing_times.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import WAIVER_TYPE, MalformedEnvelope
from phase5_ops.gate.attestation.keys import GATE, KeySet, TrustedKey, revocation_problem
from phase5_ops.gate.attestation.override_statement import override_of
from phase5_ops.gate.attestation.readiness_statement import readiness_facts, shows_waiver
from phase5_ops.gate.attestation.statement import OVERRIDE, read_statement
from phase5_ops.gate.attestation.waiver import waiver_payload
from phase5_ops.gate.records import Release, SignOff, Waiver
from phase5_ops.gate.state.items import StoredSignOff, StoredStatement, StoredWaiver


def verified_sign_offs(stored: Iterable[StoredSignOff], payloads: Iterable[bytes], keys: KeySet) -> tuple[SignOff, ...]:
    """The signatures of a release for the decision, each with the role whose key really made it.

    Args:
        stored: as the table holds them.
        payloads: the bytes of every readiness statement that was frozen for the release; or those of an override.
        keys: the trusted keys.

    Returns:
        One for each stored signature. `key_role` is None where no trusted key verifies it over one of the statements.
    """
    known = {sha256_of(payload): (payload, *_named_by(payload)) for payload in payloads}
    return tuple(_sign_off(each, known.get(each.statement_digest), keys) for each in stored)


#: Signed bytes, what they are about, and since when they exist.
_Signed = tuple[bytes, Release | None, datetime | None]


def _sign_off(stored: StoredSignOff, signed: _Signed | None, keys: KeySet) -> SignOff:
    payload, release, frozen_at = signed or (None, None, None)
    key: TrustedKey | None = keys.keys.get(stored.key_id)
    if payload is None or key is None or not key.verifies(payload, stored.signature):
        key = None
    return SignOff(
        role=stored.role,
        key_role=key.role if key else None,
        key_id=stored.key_id,
        identity=stored.identity,
        statement_digest=stored.statement_digest,
        release=release,
        signed_at=stored.signed_at,
        frozen_at=frozen_at,
        key_revoked_at=key.revoked_at if key else None,
        signature=stored.signature,
        session=stored.session,
        request_id=stored.request_id,
    )


def _named_by(payload: bytes) -> tuple[Release | None, datetime | None]:
    """What signed bytes are about, and since when they exist; (None, None) where they are no statement or override."""
    try:
        statement = read_statement(payload)
        if statement.predicate_type == OVERRIDE:
            override = override_of(payload)
            return override.release, override.requested_at
        said = readiness_facts(statement)
    except MalformedEnvelope:
        return None, None
    return Release(said.name, said.digest, said.environment), said.evaluated_at


def verified_waivers(
    stored: Iterable[StoredWaiver], keys: KeySet, statements: Sequence[StoredStatement] = (), *, environment: str
) -> tuple[Waiver, ...]:
    """The waivers of a release for the decision; `signed_by` is the role whose key really signed it, else None with the reason.

    Args:
        stored: as the table holds them.
        keys: the trusted keys.
        statements: those that the gate froze for the release: one that shows a waiver proves that it was signed by then, which is
            what a waiver by a revoked key needs.
        environment: where they are to be in force: one that was given for staging does not count for production, even with the
            same keys.
    """
    return tuple(_waiver(each, keys, statements, environment) for each in stored)


def _waiver(stored: StoredWaiver, keys: KeySet, statements: Sequence[StoredStatement], environment: str) -> Waiver:
    key = keys.keys.get(stored.key_id)
    if key is None or not key.verifies(waiver_payload(stored.waiver), stored.signature, WAIVER_TYPE):
        return replace(stored.waiver, signed_by=None, unsigned="no trusted key made its signature")
    if stored.waiver.environment != environment:
        given = f"it was given for {stored.waiver.environment or 'no environment'}, not for {environment}"
        return replace(stored.waiver, signed_by=None, unsigned=given)
    shown = [_shown_at(stored.waiver, key.role, each, keys) for each in statements] if key.revoked_at is not None else []
    proved_at = min((moment for moment in shown if moment is not None), default=None)
    if problem := revocation_problem(key.revoked_at, proved_at):
        return replace(stored.waiver, signed_by=None, unsigned=f"the key of {key.role} {problem}")
    return replace(stored.waiver, signed_by=key.role)


def _shown_at(waiver: Waiver, role: str, frozen: StoredStatement, keys: KeySet) -> datetime | None:
    """The moment of a statement, if it shows this very waiver and the gate signed it; else None."""
    key = keys.keys.get(frozen.gate_key_id)
    if key is None or key.role != GATE or not key.verifies(frozen.payload, frozen.gate_signature):
        return None
    try:
        said = readiness_facts(read_statement(frozen.payload))
        if said.digest != waiver.release_digest or not shows_waiver(said, waiver, role):
            return None
    except MalformedEnvelope:
        return None
    return said.evaluated_at if revocation_problem(key.revoked_at, said.evaluated_at) is None else None
