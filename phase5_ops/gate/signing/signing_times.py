"""When a signature by a revoked key was made, asked of CloudTrail: the only proof of it from outside the state table. Reads only.

The table's time is the word of whoever wrote the item. So where a key was revoked, KMS's own record of the request is looked up,
as `phase5 audit-signatures` does; without one that matches, the signature does not count. Nothing is asked for other signatures.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from phase5_ops.aws.pace import Pace
from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.said_by_decision import made_too_early
from phase5_ops.gate.records import SignOff
from phase5_ops.gate.signing.audit import Audited, Claim, Match, Period, judge, period_of, region_of
from phase5_ops.gate.signing.cloudtrail import REQUESTS_A_SECOND, read_sign_events
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.gate.state.items import StoredSignOff


def claim_of(stored: StoredSignOff, verified: SignOff, keys: KeySet) -> Claim:
    """What the state table and the bytes say of a signature."""
    key = keys.keys.get(stored.key_id)
    return Claim(
        role=stored.role,
        kms_key=stored.kms_key,
        session=stored.session,
        identity=stored.identity,
        request_id=stored.request_id,
        signed_at=stored.signed_at,
        key_role=verified.key_role,
        key_arn=key.kms_key if key else None,
    )


def audited(reader: AwsReader, claim: Claim, pace: Pace, *, trusted_roles: Sequence[str], now: datetime) -> Audited:
    """One signature compared with CloudTrail's record of the call that made it.

    Args:
        reader: bounds and counts the calls.
        claim: the signature.
        pace: shared by all lookups of a command.
        trusted_roles: as for signing, see `identity.identify`.
        now: the present moment.
    """
    period = period_of(claim, now)
    if not isinstance(period, Period):
        return judge(claim, (), None, trusted_roles=trusted_roles, now=now)
    answer = read_sign_events(reader, region_of(claim.kms_key), period, pace)
    return judge(claim, answer.items("Events"), answer.read, trusted_roles=trusted_roles, now=now)


def counted_sign_offs(
    reader: AwsReader,
    stored: Sequence[StoredSignOff],
    payloads: Iterable[bytes],
    keys: KeySet,
    *,
    trusted_roles: Sequence[str],
    now: datetime,
) -> tuple[SignOff, ...]:
    """The signatures as every decision takes them: verified, those by revoked keys with the time that KMS's record proves.

    Args:
        reader: reads CloudTrail, where there is a signature by a revoked key.
        stored: as the table holds them.
        payloads: the bytes that they may be over, see `stored_signatures.verified_sign_offs`.
        keys: the trusted keys.
        trusted_roles: as for signing.
        now: evaluation time.

    Returns:
        One for each stored signature; `unproved` says why KMS's record proves nothing.
    """
    verified = verified_sign_offs(stored, payloads, keys)
    pace = Pace(REQUESTS_A_SECOND)
    named = Counter(request for request, _ in {(each.request_id, each.signature) for each in stored})
    found = []
    for each, off in zip(stored, verified, strict=True):
        if off.key_revoked_at is None:
            found.append(off)
        elif named[each.request_id] > 1:  # one call makes one signature
            found.append(replace(off, unproved=f"{named[each.request_id]} signatures name the request {each.request_id}"))
        else:
            seen = audited(reader, claim_of(each, off, keys), pace, trusted_roles=trusted_roles, now=now)
            found.append(_with_proof(off, seen))
    return tuple(found)


def _with_proof(off: SignOff, seen: Audited) -> SignOff:
    if seen.match is not Match.MATCHED or seen.called_at is None:
        return replace(off, unproved="; ".join((f"CloudTrail: {seen.match}", *seen.why)))
    if off.frozen_at is None or made_too_early(seen.called_at, off.frozen_at):
        return replace(off, unproved=f"CloudTrail: the call of {iso(seen.called_at)} is older than what is signed")
    return replace(off, proved_at=seen.called_at)
