"""What the state table says of a signature counts for nothing; what the trusted keys say does."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import WAIVER_TYPE, pae
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.attestation.waiver import waiver_payload
from phase5_ops.gate.decision.signature_rules import sign_off_problems
from phase5_ops.gate.decision.waivers import problem_of
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.records import Waiver
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs, verified_waivers
from phase5_ops.gate.state.items import StoredSignOff, StoredStatement, StoredWaiver
from phase5_ops.policy import GatePolicy
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE, readiness_payload

PAYLOAD = readiness_payload()
OLDER = readiness_payload(replace(RELEASE, digest="sha256:" + "0" * 64))


def stored(signers, role, by=None, payload=PAYLOAD, **changes) -> StoredSignOff:
    key_id, signature = signers.sign(by or role, payload)
    made = StoredSignOff(
        "r1", role, DIGEST, 1, sha256_of(payload), key_id, "arn", signature, f"{role}@example.com", "arn:sts", "r1", NOW
    )
    return replace(made, **changes)


def codes(sign_offs, role="ops-sre", now=NOW):
    found = sign_off_problems(
        sign_offs,
        statement_digest=facts_of(PAYLOAD).statement_digest,
        release=RELEASE,
        void=(),
        policy=GatePolicy(),
        now=now,
    )
    return [code for code, _ in found[role]]


def test_a_signature_of_the_roles_own_key_counts(signers):
    assert codes(verified_sign_offs([stored(signers, "ops-sre")], [PAYLOAD], signers.keys())) == []


def test_three_signatures_by_one_roles_key_are_one_role(signers):
    roles = ("eng-reliability", "ops-sre", "security-compliance")
    offs = verified_sign_offs([stored(signers, role, by="ops-sre") for role in roles], [PAYLOAD], signers.keys())
    assert [off.key_role for off in offs] == ["ops-sre"] * 3
    assert codes(offs) == []
    assert codes(offs, "eng-reliability") == [SignOffReason.SIGNATURE_OF_ANOTHER_ROLE]
    assert codes(offs, "security-compliance") == [SignOffReason.SIGNATURE_OF_ANOTHER_ROLE]


def test_a_signature_of_an_older_release_does_not_count_under_the_new_statements_digest(signers):
    replayed = stored(signers, "ops-sre", payload=OLDER, statement_digest=sha256_of(PAYLOAD))
    assert codes(verified_sign_offs([replayed], [PAYLOAD, OLDER], signers.keys())) == [SignOffReason.SIGNATURE_INVALID]


def test_a_signature_of_an_older_release_is_named_as_such_whatever_the_table_says(signers):
    replayed = stored(signers, "ops-sre", payload=OLDER, release_digest=DIGEST)
    assert codes(verified_sign_offs([replayed], [PAYLOAD, OLDER], signers.keys())) == [
        SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE,
        SignOffReason.SIGNATURE_OF_ANOTHER_STATEMENT,
    ]


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", b"0" * 70])
def test_bytes_that_are_no_signature_do_not_count(signers, signature):
    offs = verified_sign_offs([stored(signers, "ops-sre", signature=signature)], [PAYLOAD], signers.keys())
    assert codes(offs) == [SignOffReason.SIGNATURE_INVALID]


def test_an_unknown_key_or_a_key_named_by_another_id_does_not_count(signers):
    stranger = type(signers).fresh()
    other_id = signers.sign("security-compliance", PAYLOAD)[0]
    offs = [stored(stranger, "ops-sre"), stored(signers, "ops-sre", key_id=other_id)]
    assert set(codes(verified_sign_offs(offs, [PAYLOAD], signers.keys()))) == {SignOffReason.SIGNATURE_INVALID}


def test_a_statement_that_was_never_frozen_has_no_signatures(signers):
    assert SignOffReason.SIGNATURE_INVALID in codes(verified_sign_offs([stored(signers, "ops-sre")], [], signers.keys()))


@pytest.mark.parametrize("revoked_after", [timedelta(0), timedelta(days=1)])
def test_a_signature_by_a_key_that_was_revoked_counts_only_where_its_time_is_proved(signers, revoked_after):
    """When it was signed is the table's word: whoever holds the revoked key can have written it."""
    keys = signers.keys(ops_sre=NOW + revoked_after)
    (off,) = verified_sign_offs([stored(signers, "ops-sre", signed_at=NOW - timedelta(days=1))], [PAYLOAD], keys)
    assert SignOffReason.SIGNATURE_KEY_REVOKED in codes([off])
    (off,) = verified_sign_offs([stored(signers, "ops-sre")], [PAYLOAD], keys)
    assert codes([off]) == [SignOffReason.SIGNATURE_KEY_REVOKED]
    assert codes([replace(off, proved_at=NOW + revoked_after)]) == [SignOffReason.SIGNATURE_KEY_REVOKED]
    assert codes([replace(off, proved_at=NOW + revoked_after - timedelta(milliseconds=1))]) == []


def test_a_signature_dated_before_its_statement_was_frozen_does_not_count(signers):
    for early in (timedelta(milliseconds=1), timedelta(minutes=4), timedelta(days=300)):
        offs = verified_sign_offs([stored(signers, "ops-sre", signed_at=NOW - early)], [PAYLOAD], signers.keys())
        assert SignOffReason.SIGNATURE_BEFORE_STATEMENT in codes(offs)


def test_a_signature_over_the_same_release_of_another_environment_does_not_count(signers):
    elsewhere = readiness_payload(replace(RELEASE, environment="staging"))
    offs = verified_sign_offs([stored(signers, "ops-sre", payload=elsewhere)], [PAYLOAD, elsewhere], signers.keys())
    assert codes(offs) == [SignOffReason.SIGNATURE_OF_ANOTHER_ENVIRONMENT, SignOffReason.SIGNATURE_OF_ANOTHER_STATEMENT]


WAIVER = Waiver(
    "w-1", "1.2", DIGEST, frozenset({("c", "s")}), "why", "T-1", NOW, NOW + timedelta(days=1), None, "carol", "production"
)


def waiver(signers, role, waived=WAIVER, kind=WAIVER_TYPE) -> StoredWaiver:
    signature = signers.private[role].sign(pae(waiver_payload(waived), kind), ec.ECDSA(SHA256()))
    return StoredWaiver(waived, signers.trusted(role).key_id, signature)


def kept_of(given, keys, statements=(), environment=RELEASE.environment):
    return verified_waivers(given, keys, statements, environment=environment)


@pytest.mark.parametrize("named", ["staging", "Production", ""])
def test_a_waiver_that_was_given_for_another_environment_or_none_is_in_force_nowhere_else(signers, named):
    given = [waiver(signers, "ops-sre", replace(WAIVER, environment=named))]
    (kept,) = kept_of(given, signers.keys())
    assert (kept.signed_by, "not for production" in kept.unsigned) == (None, True)
    relabelled = [replace(given[0], waiver=WAIVER)]  # in the table, by who can write there
    assert [w.unsigned for w in kept_of(relabelled, signers.keys())] == ["no trusted key made its signature"]


def test_a_waiver_is_signed_by_the_role_whose_key_made_it(signers):
    assert [w.signed_by for w in kept_of([waiver(signers, "ops-sre")], signers.keys())] == ["ops-sre"]


def test_a_waiver_that_was_changed_or_signed_as_something_else_is_signed_by_nobody(signers):
    changed = replace(waiver(signers, "ops-sre"), waiver=replace(WAIVER, until=NOW + timedelta(days=9)))
    as_statement = waiver(signers, "ops-sre", kind="application/vnd.in-toto+json")
    by_stranger = waiver(type(signers).fresh(), "ops-sre")
    assert [w.signed_by for w in kept_of([changed, as_statement, by_stranger], signers.keys())] == [None] * 3


def frozen(signers, waived: Waiver, at=NOW, by=GATE) -> StoredStatement:
    """A statement of the gate that shows a waiver."""
    payload = readiness_payload(now=at, waivers=(replace(waived, signed_by="ops-sre"),))
    key_id, signature = signers.sign(by, payload)
    return StoredStatement(payload, signature, key_id)


def test_a_waiver_by_a_key_that_was_revoked_counts_where_a_statement_of_before_shows_it(signers):
    given, keys = [waiver(signers, "ops-sre")], signers.keys(ops_sre=NOW + timedelta(hours=1))
    (kept,) = kept_of(given, keys, [frozen(signers, WAIVER)])
    assert (kept.signed_by, kept.unsigned) == ("ops-sre", "")
    for statements in (
        [],  # when it was issued, it says itself
        [frozen(signers, WAIVER, at=NOW + timedelta(hours=1))],
        [frozen(signers, replace(WAIVER, reason="another"))],
        [frozen(signers, WAIVER, by="ops-sre")],
        [replace(frozen(signers, WAIVER), gate_signature=b"x")],
    ):
        (kept,) = kept_of(given, keys, statements)
        assert kept.signed_by is None
        assert "the key of ops-sre was revoked at 2026-11-23T13:00:00.000Z" in kept.unsigned
        problem = problem_of(kept, release_digest=DIGEST, policy=GatePolicy(), now=NOW)
        assert problem.startswith("no role's key has signed it: the key of ops-sre was revoked at")
