"""Whether CloudTrail's record of a Sign call agrees with what the state table says of a signature. Pure.

The signature itself proves which key signed which bytes. Who the person was, in which session and when, stands only in the table,
written by the process that signed; the record of the Sign call, which carries the same request id, tells it from KMS's side.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, strict_json
from phase5_ops.gate.signing.identity import Refusal, SessionIdentity, identify
from phase5_ops.reads import Read, ReadStatus

#: How long CloudTrail's event history goes back, and within which time a record is usually there.
HISTORY, DELIVERY = timedelta(days=90), timedelta(minutes=15)

#: How far the call may be from the moment the table names: clocks differ (AWS takes at most 5 minutes), and signing takes time.
_BEFORE, _AFTER = timedelta(minutes=10), timedelta(minutes=20)

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+")
_SOURCE, _NAME, _ALGORITHM = "kms.amazonaws.com", "Sign", "ECDSA_SHA_256"


class Match(StrEnum):
    """Whether CloudTrail agrees with a signature."""

    MATCHED = "MATCHED"
    DIFFERENT = "DIFFERENT"
    NOT_FOUND = "NOT_FOUND"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What the state table says of a signature, and what its bytes say.

    Attributes:
        role, kms_key, session, identity, request_id, signed_at: as the table has them.
        key_role: the role whose trusted key verifies it over a statement of the release; None if none does.
        key_arn: where the trusted key is in KMS, if the keys say.
    """

    role: str
    kms_key: str
    session: str
    identity: str
    request_id: str
    signed_at: datetime
    key_role: str | None
    key_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """One signature and what was found of it.

    Attributes:
        claim: the signature.
        match: whether CloudTrail agrees with it.
        settled: looking again later would not change it.
        why: differences, or why nothing was found.
        event_id: of CloudTrail's record, if it was found.
        called_at: when the call was made, as that record says; None where it does not.
    """

    claim: Claim
    match: Match
    settled: bool
    why: tuple[str, ...] = ()
    event_id: str | None = None
    called_at: datetime | None = None


def exit_code(found: Sequence[Audited]) -> int:
    """0 if there are signatures and all match; 1 if one differs, or has no record although it must; else 2: not known."""
    if any(each.settled and each.match in (Match.DIFFERENT, Match.NOT_FOUND) for each in found):
        return 1
    return 0 if found and all(each.match is Match.MATCHED for each in found) else 2


def region_of(kms_key: str) -> str | None:
    """The region in which a key's calls are recorded; None where it is not the ARN of a key."""
    arn = _KEY_ARN.fullmatch(kms_key)
    return arn["region"] if arn else None


def period_of(claim: Claim, now: datetime) -> Period | str:
    """When the call must have been made; or why looking for it is useless."""
    period = Period(claim.signed_at - _BEFORE, min(claim.signed_at + _AFTER, now))
    if period.start < now - HISTORY:
        return f"CloudTrail's event history goes back {HISTORY.days} days; look in the trail's own files"
    if period.start >= period.end:
        return "the state table says that the signature is from the future"
    return period


def judge(claim: Claim, records: Iterable[Any], read: Read | None, *, trusted_roles: Sequence[str], now: datetime) -> Audited:
    """What CloudTrail says of one signature.

    Args:
        claim: the signature.
        records: the entries of LookupEvents.
        read: how they were read; None where it was of no use to look (see `period_of`).
        trusted_roles: as for signing, see `identity.identify`.
        now: the present moment.
    """
    if own := tuple(_own_problems(claim)):
        return Audited(claim, Match.DIFFERENT, settled=True, why=own)
    if claim.key_arn is None:
        return Audited(
            claim,
            Match.UNREADABLE,
            settled=False,
            why=("keys.json does not say which KMS key made the signature; run phase5 init",),
        )
    if not claim.request_id:
        return Audited(claim, Match.NOT_FOUND, settled=True, why=("the state table has no KMS request id of the signature",))
    events, odd = _events(records)
    mine = [event for event in events if event.get("requestID") == claim.request_id]
    if mine:  # a call into another account is recorded in both
        best = min(mine, key=lambda each: (tuple(_differences(claim, each, trusted_roles)), str(each.get("eventID"))))
        why = tuple(_differences(claim, best, trusted_roles))
        match, event_id = Match.DIFFERENT if why else Match.MATCHED, str(best.get("eventID"))
        return Audited(claim, match, settled=True, why=why, event_id=event_id, called_at=_called_at(best))
    if read is not None and read.status is not ReadStatus.OK:
        return Audited(claim, Match.UNREADABLE, settled=False, why=(str(read),))
    if odd:
        return Audited(claim, Match.UNREADABLE, settled=False, why=(f"{odd} records cannot be read",))
    return _not_found(claim, now)


def _not_found(claim: Claim, now: datetime) -> Audited:
    period = period_of(claim, now)
    if isinstance(period, str):
        return Audited(claim, Match.NOT_FOUND, settled=claim.signed_at > now, why=(period,))
    if now - claim.signed_at < _AFTER + DELIVERY:
        minutes = int(DELIVERY.total_seconds() / 60)
        return Audited(
            claim,
            Match.NOT_FOUND,
            settled=False,
            why=(f"CloudTrail delivers records within about {minutes} minutes; run the command again then",),
        )
    where = f"of request {claim.request_id} in {region_of(claim.kms_key)} around that moment"
    return Audited(claim, Match.NOT_FOUND, settled=True, why=(f"there is no Sign call {where}",))


def _own_problems(claim: Claim) -> Iterator[str]:
    """What stands against the signature whatever CloudTrail says."""
    if claim.key_role != claim.role:
        made_by = f"the key of {claim.key_role} made it" if claim.key_role else "no trusted key made it"
        yield f"{made_by} over a statement of the release"
    if claim.key_arn is not None and claim.key_arn != claim.kms_key:
        yield f"the key is {claim.key_arn}, the table says {claim.kms_key}"
    if region_of(claim.kms_key) is None:
        yield f"not the ARN of a key: {claim.kms_key}"


def _events(entries: Iterable[Any]) -> tuple[list[Mapping[str, Any]], int]:
    """The records in LookupEvents' entries, and how many could not be read."""
    read = [event_in(entry) for entry in entries]
    found = [event for event in read if event is not None]
    return found, len(read) - len(found)


def event_in(entry: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - what CloudTrail answers
    """CloudTrail's record of a call, in an entry of LookupEvents; None where it cannot be read."""
    try:
        event = strict_json(str(mapping(entry).get("CloudTrailEvent")).encode("utf-8", "surrogatepass"))
    except MalformedEnvelope:
        return None
    return event if isinstance(event, dict) else None


def _differences(claim: Claim, event: Mapping[str, Any], trusted_roles: Sequence[str]) -> Iterator[str]:
    asked, who = mapping(event.get("requestParameters")), mapping(event.get("userIdentity"))
    call = (event.get("eventSource"), event.get("eventName"))
    if call != (_SOURCE, _NAME):
        yield f"the call is {call[1]} of {call[0]}"
    if event.get("errorCode"):
        yield f"the call failed: {event['errorCode']}"
    if (used := _key_of(event, asked)) not in (claim.kms_key, claim.kms_key.rpartition("/")[2]):
        yield f"the call used the key {used}, the table says {claim.kms_key}"
    if (algorithm := asked.get("signingAlgorithm")) != _ALGORITHM:
        yield f"the call signed with {algorithm}, not {_ALGORITHM}"
    if who.get("arn") != claim.session:
        yield f"the call was made by {who.get('arn')}, the table says {claim.session}"
    yield from _another_person(claim, who, trusted_roles)


def _called_at(event: Mapping[str, Any]) -> datetime | None:
    try:
        return parse_iso(str(event.get("eventTime")))
    except ValueError:
        return None


def _key_of(event: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The key that signed: the ARN among the record's resources; else what was asked for."""
    resources = event.get("resources")
    arns = [mapping(each).get("ARN") for each in resources] if isinstance(resources, list) else []
    keys = [str(arn) for arn in arns if _KEY_ARN.fullmatch(str(arn))]
    return ", ".join(keys) or str(asked.get("keyId"))


def _another_person(claim: Claim, who: Mapping[str, Any], trusted_roles: Sequence[str]) -> Iterator[str]:
    """How the person in the table is not the one whom the session names: by its source identity, or by a trusted session name."""
    caller = {"Arn": who.get("arn"), "Account": who.get("accountId"), "UserId": who.get("principalId")}
    source = mapping(who.get("sessionContext")).get("sourceIdentity")
    named = [identify(caller, trusted_roles=trusted_roles)]
    if source is not None:
        named.append(identify(caller, trusted_roles=trusted_roles, source_identity=str(source)))
    people = [each.person for each in named if isinstance(each, SessionIdentity)]
    if claim.identity in people:
        return
    refused = "; ".join(each.reason for each in named if isinstance(each, Refusal))
    yield f"the call was made by {' or '.join(people) or f'nobody known ({refused})'}, the table says {claim.identity}"


def mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON value
    """The value, if it is a JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}
