"""Keys that do not sign, and a bucket that does not keep: each fault gives its line."""

import json

import pytest
from moto.kms.responses import KmsResponse

from phase5_ops.doctor.bucket import look_at_bucket
from phase5_ops.doctor.keys import keys_of
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.sandbox.aws.kms import MOTOS_OWN
from phase5_ops_tests.doctor.conftest import given, said

OK, NOTE, UNKNOWN, PROBLEM = InstallOutcome.OK, InstallOutcome.NOTE, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM

TLS_ONLY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
LOCK = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 7}}}
BLOCKED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def test_keys_that_are_pinned_and_sign_are_well(installation, desk):
    session = installation.session()
    pin_keys(session.reader, desk.settings, session.state, session.now)
    found = said(keys_of(["gate"])(installation))
    assert set(found) == {OK, NOTE}
    assert "the keys are enabled, ECC_NIST_P256 for SIGN_VERIFY" in found[OK]
    assert "the caller may sign as gate (dry run of kms:Sign)" in found[OK]


def test_keys_that_are_not_pinned_or_disabled_are_named(installation, desk):
    kms = desk.session.client("kms")
    kms.disable_key(KeyId=kms.describe_key(KeyId="alias/phase5-ops-sre")["KeyMetadata"]["KeyId"])
    wrong = said(keys_of([])(installation))[PROBLEM]
    assert any("the keys are not pinned" in text for text in wrong)
    assert any("the key of ops-sre (alias/phase5-ops-sre) is Disabled" in text for text in wrong)


def test_a_key_of_another_kind_is_named(installation, desk):
    kms = desk.session.client("kms")
    other = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName="alias/phase5-ops-sre", TargetKeyId=other)
    assert any("is RSA_2048 for ENCRYPT_DECRYPT" in text for text in said(keys_of([])(installation))[PROBLEM])


def test_a_kms_that_signs_in_a_dry_run_tells_nothing(installation, desk, monkeypatch):
    monkeypatch.setattr(KmsResponse, "sign", MOTOS_OWN["sign"])
    assert any("knows no dry run" in text for text in said(keys_of(["gate"])(installation))[UNKNOWN])


def test_a_caller_that_may_not_sign_or_not_look_is_told(installation, desk, aws_faults):
    aws_faults.add("denied", service="kms", operation="Sign")
    found = [each for each in keys_of(["gate", "ops-sre"])(installation) if "may not sign" in each.text]
    assert [each.outcome for each in found] == [PROBLEM] * 2
    assert [each.remedy.partition("--for ")[2].split("`")[0] for each in found] == ["gate", "signer --role ops-sre"]
    aws_faults.clear()
    aws_faults.add("denied", service="kms", operation="DescribeKey")
    assert sum("kms:DescribeKey" in text for text in said(keys_of([])(installation))[UNKNOWN]) == 4


@pytest.fixture
def bucket(installation, desk):
    s3 = desk.session.client("s3")
    where = {"LocationConstraint": "us-west-2"}
    s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where)
    s3.put_object_lock_configuration(Bucket="kept", ObjectLockConfiguration=LOCK)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="kept", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps({"Statement": [TLS_ONLY]}))
    s3.put_public_access_block(Bucket="kept", PublicAccessBlockConfiguration=BLOCKED)
    return given(installation, evidence_s3_uri="s3://kept/phase5")


def lock_for(**rule):
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", **rule}}}


FAULTS = {
    "keeps every version": lambda s3: s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Suspended"}),
    "locks objects for 400 days": lambda s3: s3.put_object_lock_configuration(
        Bucket="kept", ObjectLockConfiguration=lock_for(Days=399)
    ),
    "denies every request without TLS": lambda s3: s3.delete_bucket_policy(Bucket="kept"),
    "lets nothing be public": lambda s3: s3.put_public_access_block(
        Bucket="kept", PublicAccessBlockConfiguration=BLOCKED | {"BlockPublicPolicy": False}
    ),
}


def test_a_bucket_as_the_template_makes_it_is_well(bucket):
    found = said(look_at_bucket(bucket))
    assert {outcome: len(texts) for outcome, texts in found.items()} == {OK: 5}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_bucket_gives_its_line(bucket, desk, fault):
    FAULTS[fault](desk.session.client("s3"))
    (wrong,) = said(look_at_bucket(bucket))[PROBLEM]
    assert f"this does not hold: bucket kept {fault}" in wrong


def test_a_policy_that_denies_less_is_not_tls_only(bucket, desk):
    for change in (
        {"Action": "s3:GetObject"},
        {"Principal": {"AWS": "arn:aws:iam::1:root"}},
        {"Condition": {}},
        {"Condition": TLS_ONLY["Condition"] | {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Resource": "arn:aws:s3:::kept/*"},
        {"Resource": ["arn:aws:s3:::kept", "arn:aws:s3:::kept/other/*"]},
        {"Effect": "Allow"},
    ):
        policy = json.dumps({"Statement": [TLS_ONLY | change]})
        desk.session.client("s3").put_bucket_policy(Bucket="kept", Policy=policy)
        assert len(said(look_at_bucket(bucket))[PROBLEM]) == 1


def test_a_bucket_without_anything_that_is_not_there_or_not_shown(installation, desk, aws_faults):
    where = {"LocationConstraint": "us-west-2"}
    desk.session.client("s3").create_bucket(Bucket="bare", CreateBucketConfiguration=where)
    bare = said(look_at_bucket(given(installation, evidence_s3_uri="s3://bare")))
    assert len(bare[PROBLEM]) >= 4  # moto, as S3 does since 2023, encrypts a new bucket
    assert UNKNOWN not in bare
    gone = said(look_at_bucket(given(installation, evidence_s3_uri="s3://gone")))
    assert gone == {PROBLEM: ["bucket gone is not there"]}
    aws_faults.add("denied", service="s3")
    assert set(said(look_at_bucket(given(installation, evidence_s3_uri="s3://bare")))) == {UNKNOWN}
    assert set(said(look_at_bucket(installation))) == {NOTE}
