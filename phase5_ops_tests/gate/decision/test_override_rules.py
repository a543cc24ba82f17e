"""An override stands only as its kind demands, says what was signed and nothing else, and is never taken for an open gate."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.checklist import ROLES
from phase5_ops.gate.attestation.decision_statement import decision_statement
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, canonical_json, envelope_bytes
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import OrderKind, idempotency_key
from phase5_ops.gate.attestation.override_statement import SIGNERS, Override, override_of
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.decision.override_rules import problems
from phase5_ops.gate.records import SignOff
from phase5_ops.policy import GatePolicy, OverridePolicy
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE, Signers, decision_payload, readiness_payload

POLICY, GATE_POLICY = OverridePolicy(), GatePolicy()
GLASS = Override(
    id="break-glass-1",
    kind=OrderKind.BREAK_GLASS,
    release=RELEASE,
    series=1,
    reason="customers cannot log in",
    ticket="INC-1",
    requested_by="alice",
    requested_at=NOW,
    until=NOW + timedelta(hours=4),
    goes_past=("1.1 FAIL metrics_missing crm: none",),
    context={"pipeline_execution_id": "x-1"},
)
BACK = replace(
    GLASS,
    id="rollback-1",
    kind=OrderKind.ROLLBACK,
    until=NOW + timedelta(minutes=60),
    rests_on=("sha256:" + "1" * 64, "sha256:" + "2" * 64),
    goes_past=(),
)
OVERRIDES = [GLASS, BACK]
NAMES = {"eng-reliability": "alice", "ops-sre": "bob", "security-compliance": "carol"}


def off(override: Override, role: str, **changes) -> SignOff:
    good = SignOff(role, role, f"key-{role}", NAMES[role], override.digest, override.release, NOW, frozen_at=NOW)
    return replace(good, **changes)


def codes(override: Override, *offs: SignOff, now: datetime = NOW) -> set[str]:
    return {each.code for each in problems(override, offs, policy=POLICY, gate=GATE_POLICY, now=now)}


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
def test_what_is_signed_is_read_back_as_it_was(override):
    assert override_of(override.payload) == override
    odd = replace(override, reason="bytes of an argument that are no text: \udc80")
    assert override_of(odd.payload) == odd


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.pop("until"),
        lambda p: p.update(more="x"),
        lambda p: p.update(kind="OPEN"),
        lambda p: p.update(kind="ANY"),
        lambda p: p.update(series=True),
        lambda p: p.update(series="1"),
        lambda p: p.update(until="tomorrow"),
        lambda p: p.update(until="2026-11-23T16:00:00+00:00"),  # not the one form in which it is written
        lambda p: p.update(reason=None),
        lambda p: p.update(restsOn="sha256:" + "1" * 64),
        lambda p: p.update(goesPast=[1]),
        lambda p: p.update(context=["x"]),
        lambda p: p.update(context={"x": 1}),
    ],
)
def test_what_is_not_exactly_an_override_is_none(override, change):
    content = json.loads(override.payload)
    change(content["predicate"])
    with pytest.raises(MalformedEnvelope):
        override_of(canonical_json(content))


def test_a_readiness_statement_is_no_override_and_an_override_no_readiness_statement(signers):
    with pytest.raises(MalformedEnvelope):
        override_of(readiness_payload())
    files = {"o": signers.envelope(GLASS.payload)}
    assert not verify(files, digest=DIGEST, keys=signers.keys(), now=NOW, max_age=timedelta(days=7), environment="production").ok


def test_a_rollback_needs_ops_sre_and_broken_glass_any_two_roles():
    assert codes(BACK, off(BACK, "ops-sre")) == set()
    for role in set(ROLES) - {"ops-sre"}:
        assert codes(BACK, off(BACK, role)) == {"override_not_signed"}
    for role in ROLES:
        assert codes(GLASS, off(GLASS, role)) == {"override_not_signed"}
        assert codes(GLASS, *(off(GLASS, other) for other in ROLES if other != role)) == set()
    assert codes(GLASS) == codes(BACK) == {"override_not_signed"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key_role": None}, "signature_invalid"),
        ({"key_role": "eng-reliability"}, "signature_of_another_role"),
        ({"release": replace(RELEASE, digest="sha256:" + "0" * 64)}, "signature_of_another_release"),
        ({"release": replace(RELEASE, environment="staging")}, "signature_of_another_environment"),
        ({"release": None, "frozen_at": None}, "signature_of_another_release"),
        ({"statement_digest": BACK.digest}, "signature_of_another_statement"),
        ({"signed_at": NOW + timedelta(hours=1)}, "signature_from_the_future"),
        ({"signed_at": NOW - timedelta(milliseconds=1)}, "signature_before_statement"),
        ({"key_revoked_at": NOW}, "signature_key_revoked"),
        ({"key_revoked_at": NOW + timedelta(hours=1)}, "signature_key_revoked"),
        ({"key_revoked_at": NOW, "proved_at": NOW}, "signature_key_revoked"),
        ({"identity": " "}, "signer_unknown"),
        ({"identity": "ALICE"}, "signer_repeated"),
        ({"key_id": "key-eng-reliability"}, "signer_repeated"),
    ],
)
def test_glass_is_not_broken_with_a_signature_that_does_not_count(changes, code):
    found = codes(GLASS, off(GLASS, "eng-reliability"), off(GLASS, "ops-sre", **changes))
    assert {"override_not_signed", code} <= found


def test_a_key_that_was_revoked_since_breaks_glass_where_its_time_is_proved():
    proved = {"key_revoked_at": NOW + timedelta(hours=1), "proved_at": NOW}
    assert codes(GLASS, off(GLASS, "eng-reliability"), off(GLASS, "ops-sre", **proved)) == set()


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    ("changes", "now", "code"),
    [
        ({"reason": " "}, NOW, "override_without_reason"),
        ({"reason": "x" * 1001}, NOW, "override_without_reason"),
        ({"ticket": ""}, NOW, "override_without_reason"),
        ({"until": NOW + timedelta(hours=4, seconds=1)}, NOW, "override_too_long"),
        ({}, NOW + timedelta(hours=4), "override_expired"),
        ({"requested_at": NOW + timedelta(minutes=6)}, NOW, "override_from_the_future"),
    ],
)
def test_an_override_that_does_not_stand_says_why_whoever_signed_it(override, changes, now, code):
    changed = replace(override, **changes)
    assert code in codes(changed, *(off(changed, role) for role in ROLES), now=now)


@given(
    kind=st.sampled_from([OrderKind.ROLLBACK, OrderKind.BREAK_GLASS]),
    signed=st.lists(
        st.tuples(
            st.sampled_from(ROLES), st.sampled_from([None, *ROLES]), st.sampled_from(["a", "b", "A", ""]), st.integers(-60, 600)
        ),
        max_size=5,
    ),
    minutes=st.integers(-10, 400),
    life=st.integers(1, 300),
)
def test_an_override_that_takes_effect_has_everything_that_its_kind_demands(kind, signed, minutes, life):
    override = replace(BACK if kind is OrderKind.ROLLBACK else GLASS, until=NOW + timedelta(minutes=life))
    now = NOW + timedelta(minutes=minutes)
    offs = [
        off(override, role, key_role=key, key_id=f"key-{key}", identity=who, signed_at=NOW + timedelta(minutes=at))
        for role, key, who, at in signed
    ]
    if not codes(override, *offs, now=now):
        good = [each for each in offs if each.role == each.key_role and each.identity]
        assert len({each.role for each in good}) >= SIGNERS[kind]
        assert kind is not OrderKind.ROLLBACK or any(each.role == "ops-sre" for each in good)
        assert kind is not OrderKind.BREAK_GLASS or len({each.identity.casefold() for each in good}) > 1
        assert now < override.until
        assert life <= (60 if kind is OrderKind.ROLLBACK else 240)


def test_each_override_has_an_idempotency_key_of_its_own():
    keys = {
        idempotency_key(RELEASE, 1),
        *(idempotency_key(RELEASE, 1, each.id) for each in OVERRIDES),
        idempotency_key(RELEASE, 2),
    }
    assert len(keys) == 4


# --- verified offline --------------------------------------------------------------------------------------------------------

ON_SOMETHING_ELSE = {each.kind: replace(each, rests_on=("sha256:" + "9" * 64,)) for each in OVERRIDES}
ROLES_OF = {OrderKind.ROLLBACK: ("ops-sre",), OrderKind.BREAK_GLASS: ("ops-sre", "eng-reliability")}


def files_of(signers: Signers, override: Override, roles=None, at: datetime = NOW, **changes) -> dict[str, bytes]:
    envelope = signers.envelope(override.payload, roles or ROLES_OF[override.kind])
    given = {
        "release": override.release,
        "override": override,
        "envelope": envelope,
        "policy_digest": "sha256:" + "a" * 64,
        "time_verified": at,
        "version": "0.1.0",
        **changes,
    }
    return {"override": envelope, "decision": signers.envelope(decision_statement(**given), (GATE,))}


def verdict(signers: Signers, files, accept=tuple(SIGNERS), now: datetime = NOW, digest: str = DIGEST, **keys):
    return verify(
        files,
        digest=digest,
        keys=signers.keys(**keys),
        now=now,
        max_age=timedelta(days=7),
        environment="production",
        accept=accept,
    )


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
def test_an_override_verifies_only_for_who_accepts_it(signers, override):
    files = files_of(signers, override)
    found = verdict(signers, files)
    assert found.problems == ()
    assert found.facts["promoted by"] == override.kind
    others = [kind for kind in SIGNERS if kind is not override.kind]
    for accept in ((), others):
        assert any("the gate was not open" in problem for problem in verdict(signers, files, accept).problems)
    levels = json.loads(override_statement(files))["predicate"]
    assert "PHASE5_OPEN" not in levels["verifiedLevels"]
    assert (levels["verificationResult"] == "PASSED") is (override.kind is OrderKind.ROLLBACK)


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
def test_an_override_for_another_environment_is_not_verified(signers, override):
    staging = replace(override, release=replace(RELEASE, environment="staging"))
    problems_there = verdict(signers, files_of(signers, staging)).problems
    assert any(each.startswith("another environment: not for production") for each in problems_there)


def test_a_revoked_key_counts_for_an_override_where_its_decision_says_so(signers):
    files = files_of(signers, GLASS)
    assert verdict(signers, files, eng_reliability=NOW + timedelta(seconds=1), ops_sre=NOW + timedelta(seconds=1)).ok
    for revoked in (NOW, NOW - timedelta(hours=1)):
        found = verdict(signers, files, **{role.replace("-", "_"): revoked for role in ROLES_OF[GLASS.kind]})
        assert any("was revoked at" in each for each in found.problems)


def override_statement(files: dict[str, bytes]) -> bytes:
    from phase5_ops.gate.attestation.envelopes import read_envelope

    return read_envelope(files["decision"]).payload


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda s, o: files_of(s, o, ("security-compliance",)), "too few signatures"),
        (lambda s, o: files_of(s, o, (*ROLES_OF[o.kind], GATE)), "gate must not sign this file"),
        (lambda s, o: files_of(s, o, at=o.until), "not within the life"),
        (lambda s, o: files_of(s, o, at=NOW - timedelta(hours=1)), "not within the life"),
        (lambda s, o: files_of(s, o, envelope=b"another"), "the decision rests on"),
        (
            lambda s, o: {**files_of(s, o), "decision": files_of(s, ON_SOMETHING_ELSE[o.kind])["decision"]},
            "the decision rests on",
        ),
        (lambda s, o: {"override": files_of(s, o)["override"]}, "no decision statement"),
        (lambda s, o: {**files_of(s, o), "r": s.envelope(readiness_payload())}, "does not belong to an override"),
        (lambda s, o: {**files_of(s, o), "o": files_of(s, o)["override"]}, "more than one override"),
        (lambda s, o: {**files_of(s, o), "decision": s.envelope(decision_payload(b"x"), (GATE,))}, "the decision is not of"),
        (
            lambda s, o: {**files_of(s, o), "decision": envelope_bytes(override_statement(files_of(s, o)), {})},
            "gate has not signed",
        ),
    ],
)
def test_what_is_not_the_complete_set_of_an_override_is_not_verified(signers, override, changed, said):
    found = verdict(signers, changed(signers, override), now=NOW + timedelta(hours=5))
    assert any(said in problem for problem in found.problems), found.problems


def test_an_override_of_another_digest_or_with_a_key_revoked_before_is_not_verified(signers):
    files = files_of(signers, BACK)
    assert any("another digest" in each for each in verdict(signers, files, digest="sha256:" + "0" * 64).problems)
    assert any("was revoked" in each for each in verdict(signers, files, ops_sre=NOW).problems)
    assert verdict(signers, files, now=NOW + timedelta(hours=1), ops_sre=NOW + timedelta(minutes=1)).ok
