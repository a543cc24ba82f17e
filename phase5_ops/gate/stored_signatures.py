"""From what the state table holds to what the gate decides from: every signature is verified here. Reads nothing.

The table is not believed: who can write to it can write any role, digest or name. So the role of a signature is that of the
key that verifies it, and the release is the one that the signed bytes name. Who the person was and when it was signed stand
only in the table; CloudTrail's record of the Sign call, which carries the same request id, tells the same from KMS's side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from phase5_ops.digest import sha256_of
from phase5_ops.gate.envelopes import WAIVER_TYPE, MalformedEnvelope
from phase5_ops.gate.keys import KeySet, TrustedKey
from phase5_ops.gate.records import Release, SignOff
from phase5_ops.gate.signature_rules import newest_counting
from phase5_ops.gate.state import StoredSignOff, StoredWaiver, waiver_payload
from phase5_ops.gate.statements import read_statement
from phase5_ops.gate.waivers import Waiver
from phase5_ops.policy import GatePolicy


def verified_sign_offs(stored: Iterable[StoredSignOff], payloads: Iterable[bytes], keys: KeySet) -> tuple[SignOff, ...]:
    """The signatures of a release for the decision, each with the role whose key really made it.

    Args:
        stored: as the table holds them.
        payloads: the bytes of every readiness statement that was frozen for the release.
        keys: the keys that are believed.

    Returns:
        One for each stored signature. `key_role` is None where no believed key verifies it over one of the statements.
    """
    known = {sha256_of(payload): payload for payload in payloads}
    return tuple(_sign_off(each, known.get(each.statement_digest), keys) for each in stored)


def _sign_off(stored: StoredSignOff, payload: bytes | None, keys: KeySet) -> SignOff:
    key: TrustedKey | None = keys.keys.get(stored.key_id)
    if payload is None or key is None or not key.verifies(payload, stored.signature):
        key = None
    return SignOff(
        role=stored.role,
        key_role=key.role if key else None,
        key_id=stored.key_id,
        identity=stored.identity,
        statement_digest=stored.statement_digest,
        release_digest=_release_digest(payload) if payload is not None else stored.release_digest,
        signed_at=stored.signed_at,
        key_revoked_at=key.revoked_at if key else None,
    )


def _release_digest(payload: bytes) -> str:
    try:
        return read_statement(payload).digest
    except MalformedEnvelope:
        return "none: the statement cannot be read"


def counting_signatures(
    stored: Sequence[StoredSignOff],
    verified: Sequence[SignOff],
    roles: Iterable[str],
    *,
    statement_digest: str,
    release: Release,
    policy: GatePolicy,
    now: datetime,
) -> dict[str, bytes]:
    """Of each of the roles the newest signature that counts, as key id -> DER: what goes into an envelope.

    Args:
        stored: as the table holds them.
        verified: the same, as `verified_sign_offs` tells.
        roles: whose signatures are wanted.
        statement_digest: of the bytes that they must have signed.
        release: for which.
        policy: the rules of signatures.
        now: evaluation time.
    """
    found: dict[str, bytes] = {}
    for role in roles:
        counting = newest_counting(verified, role, statement_digest=statement_digest, release=release, policy=policy, now=now)
        for each, off in zip(stored, verified, strict=True):
            if off is counting:
                found[each.key_id] = each.signature
    return found


def verified_waivers(stored: Iterable[StoredWaiver], keys: KeySet) -> tuple[Waiver, ...]:
    """The waivers of a release for the decision; `signed_by` is the role whose key really signed it, else None."""
    return tuple(replace(each.waiver, signed_by=_signed_by(each, keys)) for each in stored)


def _signed_by(stored: StoredWaiver, keys: KeySet) -> str | None:
    key = keys.keys.get(stored.key_id)
    if key is None or not key.verifies(waiver_payload(stored.waiver), stored.signature, WAIVER_TYPE):
        return None
    if key.revoked_at is not None and stored.waiver.issued_at >= key.revoked_at:
        return None
    return key.role
