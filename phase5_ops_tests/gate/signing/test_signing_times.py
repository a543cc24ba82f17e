"""A signature by a key that was revoked since counts only by CloudTrail's record of the call; the table's word is none."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.decision.signature_rules import counting, proved_times, sign_off_problems
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.signing.signing_times import counted_sign_offs
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, readiness_payload
from phase5_ops_tests.gate.people import TRUSTED
from phase5_ops_tests.gate.signing.test_audit import CLAIM, KEY, SESSION, entries, event
from phase5_ops_tests.gate.signing.test_stored_signatures import stored

FROZEN, SIGNED, REVOKED = NOW, NOW + timedelta(minutes=2), NOW + timedelta(minutes=10)
LATER = NOW + timedelta(hours=2)
PAYLOAD = readiness_payload()
MADE = {"kms_key": KEY, "session": SESSION, "identity": "alice", "request_id": CLAIM.request_id, "signed_at": SIGNED}


class Trail(AwsReader):
    """Answers LookupEvents with these records."""

    def __init__(self, *records, status=ReadStatus.OK):
        super().__init__(ReadingSettings())
        self.records, self.status, self.asked = records, status, 0

    def paginate(self, service, operation, resource, **params):
        assert (service, operation) == ("cloudtrail", "lookup_events")
        self.asked += 1
        read = Read("cloudtrail:LookupEvents", "Sign", self.status, "why", 1, "", "")
        return Answer([{"Events": entries(*self.records)}], read)


def called(at=SIGNED, **changes) -> dict:
    return event(**{"eventTime": iso(at.replace(microsecond=0)), **changes})


def keys_of(signers, revoked_at=REVOKED):
    keys = signers.keys(ops_sre=revoked_at) if revoked_at else signers.keys()
    arns = {"ops-sre": KEY}
    return replace(keys, keys={name: replace(key, kms_key=arns.get(key.role)) for name, key in keys.keys.items()})


def counted(signers, trail, *offs, keys=None, now=LATER):
    given = offs or (stored(signers, "ops-sre", **MADE),)
    return counted_sign_offs(trail, given, [PAYLOAD], keys or keys_of(signers), trusted_roles=(TRUSTED,), now=now)


def codes(off) -> list:
    rules = {"statement_digest": off.statement_digest, "release": RELEASE, "policy": GatePolicy(), "now": LATER}
    found = [code for code, _ in sign_off_problems([off], void=(), **rules)["ops-sre"]]
    assert bool(counting([off], ["ops-sre"], **rules)) is (not found)
    return found


def test_the_record_of_a_call_before_the_revocation_proves_it_and_the_decision_states_the_time(signers):
    (off,) = counted(signers, Trail(called()))
    assert (off.proved_at, off.unproved, codes(off)) == (SIGNED, "", [])
    assert proved_times([off]) == {off.key_id: SIGNED}


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([], "NOT_FOUND; there is no Sign call of request"),
        ([called(requestID="another")], "NOT_FOUND"),
        ([called(eventName="Verify")], "DIFFERENT"),
        ([called(errorCode="AccessDenied")], "DIFFERENT"),
        ([called(userIdentity=None)], "DIFFERENT"),
        ([called(FROZEN - timedelta(minutes=1))], "is older than what is signed"),
        ([called(FROZEN - timedelta(seconds=1))], "is older than what is signed"),
        ([called(eventTime=None)], "MATCHED"),
    ],
    ids=["none", "another call", "no signing", "refused", "nobody", "before it was frozen", "a second before", "without a time"],
)
def test_without_a_record_that_fits_it_does_not_count_and_the_reason_is_said(signers, records, why):
    (off,) = counted(signers, Trail(*records))
    assert (off.proved_at, codes(off)) == (None, [SignOffReason.SIGNATURE_KEY_REVOKED])
    assert why in off.unproved
    (_, seen) = sign_off_problems(
        [off], statement_digest=off.statement_digest, release=RELEASE, void=(), policy=GatePolicy(), now=LATER
    )["ops-sre"][0]
    assert "nothing proves that the signature was made before (CloudTrail: " in seen


@pytest.mark.parametrize("at", [REVOKED, REVOKED + timedelta(minutes=5)])
def test_a_call_after_the_revocation_proves_that_it_does_not_count(signers, at):
    """The table says a moment before."""
    (off,) = counted(signers, Trail(called(at)))
    assert (off.proved_at, codes(off)) == (at, [SignOffReason.SIGNATURE_KEY_REVOKED])


@pytest.mark.parametrize("status", [ReadStatus.DENIED, ReadStatus.THROTTLED, ReadStatus.TIMEOUT])
def test_a_trail_that_does_not_answer_proves_nothing(signers, status):
    (off,) = counted(signers, Trail(status=status))
    assert codes(off) == [SignOffReason.SIGNATURE_KEY_REVOKED]
    assert f"CloudTrail: UNREADABLE; cloudtrail:LookupEvents Sign: {status}" in off.unproved


def test_a_call_proves_one_signature_and_not_another_that_names_it(signers):
    two = [stored(signers, "ops-sre", id=name, **MADE) for name in ("r1", "r2")]
    assert two[0].signature != two[1].signature
    for off in counted(signers, Trail(called()), *two):
        assert codes(off) == [SignOffReason.SIGNATURE_KEY_REVOKED]
        assert "2 signatures name the request" in off.unproved
    same = replace(two[0], id="r2")  # the very signature, entered twice
    assert [codes(off) for off in counted(signers, Trail(called()), two[0], same)] == [[], []]


def test_another_key_of_kms_than_the_believed_one_proves_nothing(signers):
    keys = keys_of(signers)
    elsewhere = replace(keys, keys={name: replace(key, kms_key=KEY[:-1] + "2") for name, key in keys.keys.items()})
    (off,) = counted(signers, Trail(called()), keys=elsewhere)
    assert codes(off) == [SignOffReason.SIGNATURE_KEY_REVOKED]


def test_nothing_is_asked_where_no_key_was_revoked(signers):
    trail = Trail()
    (off,) = counted(signers, trail, keys=keys_of(signers, None))
    assert (trail.asked, codes(off), proved_times([off])) == (0, [], {})
