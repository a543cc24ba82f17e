"""Only a session that names its person without that person's doing can sign, and nobody signs for two roles."""

import pytest

from phase5_ops.gate.signing.identity import Refusal, SessionIdentity, identify, repeated_role

TRUSTED = ("123456789012/AWSReservedSSO_Signers*", "123456789012/Federated")


def caller(role="AWSReservedSSO_Signers_1a2b", session="Alice@example.com", account="123456789012", **changes):
    answer = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "Account": account,
        "UserId": f"AROAEXAMPLE:{session}",
    }
    return {**answer, **changes}


@pytest.mark.parametrize("role", ["AWSReservedSSO_Signers_1a2b", "Federated"])
def test_a_session_of_a_trusted_role_names_its_person(role):
    identity = identify(caller(role), trusted_roles=TRUSTED)
    assert identity == SessionIdentity("alice@example.com", caller(role)["Arn"], f"session of {role}")


def test_a_source_identity_goes_before_the_session_name_and_needs_no_trusted_role():
    identity = identify(caller("Anything", "chosen-by-me"), trusted_roles=(), source_identity="Bob")
    assert (identity.person, identity.source) == ("bob", "source identity")


@pytest.mark.parametrize(
    "answer",
    [
        caller("Admin"),
        caller("Federated2"),
        caller(account="999999999999"),
        {"Arn": "arn:aws:iam::123456789012:user/alice", "Account": "123456789012", "UserId": "AIDAEXAMPLE"},
        {"Arn": "arn:aws:iam::123456789012:root", "Account": "123456789012", "UserId": "123456789012"},
        {"Arn": "arn:aws:sts::123456789012:federated-user/alice", "Account": "123456789012", "UserId": "123456789012:alice"},
        caller(Account="210987654321"),
        caller(UserId="AROAEXAMPLE:mallory"),
        caller(session="a/b"),
        {},
    ],
    ids=lambda answer: str(answer.get("Arn")),
)
def test_everybody_else_is_refused(answer):
    refusal = identify(answer, trusted_roles=TRUSTED)
    assert isinstance(refusal, Refusal)
    assert refusal.reason


def test_no_role_is_trusted_by_default():
    assert isinstance(identify(caller(), trusted_roles=()), Refusal)
    assert isinstance(identify(caller(), trusted_roles=("123456789012/*", "123456789012/")), Refusal)


@pytest.mark.parametrize("name", ["", " ", "a", "x" * 65, "a b"])
def test_an_odd_source_identity_is_refused_rather_than_overlooked(name):
    assert isinstance(identify(caller(), trusted_roles=TRUSTED, source_identity=name), Refusal)


def test_other_partitions_are_read():
    answer = caller(Arn="arn:aws-us-gov:sts::123456789012:assumed-role/Federated/al", UserId="AROA:al")
    assert isinstance(identify(answer, trusted_roles=TRUSTED), SessionIdentity)


def test_the_same_person_for_another_role_is_found_whatever_the_case():
    signed = [("ops-sre", "Alice@example.com")]
    assert repeated_role("alice@example.com", "eng-reliability", signed) == "ops-sre"
    assert repeated_role("alice@example.com", "ops-sre", signed) is None
    assert repeated_role("bob", "eng-reliability", signed) is None
