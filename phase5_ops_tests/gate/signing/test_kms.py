"""KMS signs a digest, so that a statement of any length verifies offline; what cannot be signed says why."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from moto.kms.responses import KmsResponse

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.envelopes import WAIVER_TYPE, envelope_bytes, pae
from phase5_ops.gate.attestation.keys import GATE, SIGNERS, keys_document, parse_keys
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.signing.identity import SessionIdentity, identify
from phase5_ops.gate.signing.kms import IAM_ACTIONS, SigningError, load_key, load_keys, sign
from phase5_ops.policy import SigningPolicy
from phase5_ops.sandbox.aws import kms as moto_kms
from phase5_ops.sandbox.seed import _seed_signing_keys
from phase5_ops.settings import ReadingSettings, load_settings
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, decision_payload, readiness_payload

POLICY = SigningPolicy()
ES256 = "ECDSA_SHA_256"


@pytest.fixture
def kms(aws):
    return aws.client("kms")


@pytest.fixture
def seeded(kms):
    """The sandbox's keys; other tests may have seeded them before, in the same process."""
    for alias in kms.list_aliases()["Aliases"]:
        if alias["AliasName"].startswith("alias/phase5-"):
            kms.delete_alias(AliasName=alias["AliasName"])
    _seed_signing_keys(kms)
    return kms


@pytest.fixture
def p256(kms):
    return kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]


def test_a_statement_longer_than_kms_takes_is_signed_and_verifies_offline(seeded, reader):
    payload = readiness_payload(not_tried=tuple(f"probe {number} was not sent" for number in range(400)))
    assert len(payload) > 4096
    made = sign(reader, load_key(reader, POLICY, "ops-sre"), payload)
    public = load_pem_public_key(load_key(reader, POLICY, "ops-sre").key.keyval["public"].encode())
    public.verify(made.signature, pae(payload), ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(made.signature, pae(payload + b" "), ec.ECDSA(SHA256()))
    assert made.kms_key.startswith("arn:aws:kms:us-west-2:")


def test_everything_signed_in_the_sandbox_verifies_as_a_whole(seeded, reader):
    keys = load_keys(reader, POLICY, SIGNERS)
    payload = readiness_payload()
    signatures = [sign(reader, keys.present(role), payload) for role in SIGNERS]
    readiness = envelope_bytes(payload, {each.key_id: each.signature for each in signatures})
    decision = decision_payload(readiness)
    by_gate = sign(reader, keys.present(GATE), decision)
    files = {"r": readiness, "d": envelope_bytes(decision, {by_gate.key_id: by_gate.signature})}
    believed = parse_keys(keys_document(keys))
    assert (
        verify(files, digest=DIGEST, keys=believed, now=NOW, max_age=timedelta(days=1), environment="production").problems == ()
    )


def test_signing_is_counted_and_its_request_id_kept(seeded, reader):
    key = load_key(reader, POLICY, GATE)
    made = sign(reader, key, b"{}")
    assert reader.meter.calls == {"kms:GetPublicKey": 1, "kms:Sign": 1}
    assert made.request_id
    assert set(IAM_ACTIONS) == {"kms:GetPublicKey", "kms:Sign"}


def test_a_waivers_signature_is_none_of_a_statement(seeded, reader):
    key = load_key(reader, POLICY, "ops-sre")
    made = sign(reader, key, b"{}", WAIVER_TYPE)
    assert key.verifies(b"{}", made.signature, WAIVER_TYPE)
    assert not key.verifies(b"{}", made.signature)


def test_an_alias_that_moves_after_the_key_was_loaded_does_not_change_who_signs(seeded, reader, p256):
    key = load_key(reader, POLICY, "ops-sre")
    seeded.update_alias(AliasName=POLICY.ops_sre_key, TargetKeyId=p256)
    assert key.verifies(b"{}", sign(reader, key, b"{}").signature)


def test_a_key_that_is_not_there_says_so(seeded, reader):
    with pytest.raises(SigningError, match=r"kms:GetPublicKey alias/none: not_found.*PHASE5_SIGNING"):
        load_key(reader, replace_key("alias/none"), GATE)


def replace_key(name: str) -> SigningPolicy:
    return POLICY.model_copy(update={"gate_key": name})


@pytest.mark.parametrize(
    ("spec", "usage", "said"),
    [
        ("ECC_NIST_P384", "SIGN_VERIFY", "P-256"),
        ("RSA_2048", "SIGN_VERIFY", "P-256"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    ],
)
def test_a_key_of_another_kind_is_refused(kms, reader, spec, usage, said):
    key = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    with pytest.raises(SigningError, match=said):
        load_key(reader, replace_key(key), GATE)


def test_one_key_behind_two_aliases_is_refused(seeded, reader):
    twice = POLICY.model_copy(update={"gate_key": POLICY.ops_sre_key})
    with pytest.raises(SigningError, match="have one key"):
        load_keys(reader, twice, SIGNERS)
    with pytest.raises(ValueError, match="one key is named twice"):
        SigningPolicy(gate_key="alias/phase5-ops-sre")


def test_a_signature_that_does_not_verify_is_no_signature(seeded, reader):
    key = load_key(reader, POLICY, "ops-sre")
    mixed = replace(key, kms_key=load_key(reader, POLICY, GATE).kms_key)
    with pytest.raises(SigningError, match="does not verify"):
        sign(reader, mixed, b"{}")


def test_a_revoked_key_does_not_sign(seeded, reader):
    with pytest.raises(SigningError, match="revoked"):
        sign(reader, replace(load_key(reader, POLICY, GATE), revoked_at=NOW), b"{}")


def test_no_signature_is_made_after_the_deadline(seeded, aws, reader):
    key = load_key(reader, POLICY, GATE)
    late = AwsReader(ReadingSettings(deadline_seconds=1), session=aws, monotonic=iter([0.0, *range(10, 100)]).__next__)
    with pytest.raises(SigningError, match="timeout"):
        sign(late, key, b"{}")


# --- the sandbox's KMS -------------------------------------------------------------------------------------------------------


def digest_signature(kms, key: str, message: bytes) -> bytes:
    digest = hashlib.sha256(message).digest()
    return kms.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm=ES256)["Signature"]


def verifies(kms, key: str, message: bytes, kind: str, signature: bytes) -> bool:
    request = {"KeyId": key, "Message": message, "MessageType": kind, "SigningAlgorithm": ES256, "Signature": signature}
    return kms.verify(**request)["SignatureValid"]


def test_a_digest_signed_in_the_sandbox_is_the_signature_of_its_message(kms, p256):
    signature = digest_signature(kms, p256, b"hello")
    assert verifies(kms, p256, b"hello", "RAW", signature)
    assert verifies(kms, p256, hashlib.sha256(b"hello").digest(), "DIGEST", signature)
    raw = kms.sign(KeyId=p256, Message=b"hello", SigningAlgorithm=ES256)["Signature"]
    assert verifies(kms, p256, hashlib.sha256(b"hello").digest(), "DIGEST", raw)
    with pytest.raises(ClientError, match="KMSInvalidSignatureException"):
        verifies(kms, p256, hashlib.sha256(b"other").digest(), "DIGEST", signature)


def test_moto_itself_still_hashes_a_digest_again(kms, p256):
    """When this fails, moto does it right, and sandbox/aws/kms.py can go."""
    with patch.multiple(KmsResponse, **moto_kms.MOTOS_OWN):
        signature = digest_signature(kms, p256, b"hello")
    with pytest.raises(ClientError, match="KMSInvalidSignatureException"):
        verifies(kms, p256, hashlib.sha256(b"hello").digest(), "DIGEST", signature)


@pytest.mark.parametrize("kind", ["RAW", "DIGEST"])
def test_a_dry_run_signs_nothing_and_moto_itself_still_signs(kms, p256, kind):
    asked = {"KeyId": p256, "Message": b"x" * 32, "MessageType": kind, "SigningAlgorithm": ES256, "DryRun": True}
    with pytest.raises(ClientError, match="DryRunOperationException"):
        kms.sign(**asked)
    with pytest.raises(ClientError, match="ValidationException"):
        kms.sign(**{**asked, "Message": b"x" * 5000})
    with patch.multiple(KmsResponse, **moto_kms.MOTOS_OWN):
        assert kms.sign(**asked)["Signature"]


def test_a_public_key_is_answered_with_the_arn_of_its_key_and_moto_itself_still_answers_the_id(kms, p256):
    arn = kms.describe_key(KeyId=p256)["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/of-the-arn", TargetKeyId=p256)
    for name in (p256, arn, "alias/of-the-arn"):
        assert kms.get_public_key(KeyId=name)["KeyId"] == arn
    kms.delete_alias(AliasName="alias/of-the-arn")
    with patch.multiple(KmsResponse, **moto_kms.MOTOS_OWN):
        assert kms.get_public_key(KeyId=p256)["KeyId"] == p256


@pytest.mark.parametrize(
    "request_of",
    [
        {"Message": b"x" * 4097, "MessageType": "RAW", "SigningAlgorithm": ES256},
        {"Message": b"x" * 31, "MessageType": "DIGEST", "SigningAlgorithm": ES256},
        {"Message": b"x" * 33, "MessageType": "DIGEST", "SigningAlgorithm": ES256},
        {"Message": b"x" * 32, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_384"},
        {"Message": b"x", "MessageType": "OTHER", "SigningAlgorithm": ES256},
    ],
)
def test_the_sandbox_refuses_what_kms_refuses(kms, p256, request_of):
    with pytest.raises(ClientError, match="ValidationException"):
        kms.sign(KeyId=p256, **request_of)
    assert kms.sign(KeyId=p256, Message=b"x" * 4096, SigningAlgorithm=ES256)["Signature"]


def test_people_of_the_sandbox_sign_in_and_sign(start):
    sandbox = start("empty")
    settings = load_settings()
    assert settings.tables.readiness == "phase5-readiness"
    sts = sandbox.session().client("sts")
    role = "arn:aws:iam::123456789012:role/phase5-signer-ops-sre"
    given = sts.assume_role(RoleArn=role, RoleSessionName="alice@example.com")["Credentials"]
    alice = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=sandbox.region)
    reader = AwsReader(settings.reading, session=alice)
    identity = identify(
        reader.call("sts", "get_caller_identity", "caller").pages[0], trusted_roles=settings.signing.trusted_roles
    )
    assert isinstance(identity, SessionIdentity)
    assert identity.person == "alice@example.com"
    payload = readiness_payload()
    key = load_key(reader, settings.signing, "ops-sre")
    assert key.verifies(payload, sign(reader, key, payload).signature)
