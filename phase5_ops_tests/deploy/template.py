"""deploy/template.yaml, with values for its parameters, and the part of it that moto can be given."""

import json
from typing import Any

import boto3
from cfnlint.decode import cfn_yaml

from phase5_ops_tests.places import ROOT

PATH = ROOT / "deploy" / "template.yaml"
TEMPLATE: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(PATH))))
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
ACCOUNT = "123456789012"

GIVEN = {
    "Environment": "production",
    "ImageUri": f"{ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/phase5@sha256:{'0' * 64}",
    "SettingsFileArn": "arn:aws:s3:::phase5-deploy/phase5.env",
    "EvidenceBucketName": "phase5-evidence",
    "EvidenceYears": 7,
    "UserPoolId": "us-west-2_pool",
    "TenantA": "phase5-canary-a",
    "TenantB": "phase5-canary-b",
    "EngReliabilitySignerArn": f"arn:aws:iam::{ACCOUNT}:role/phase5-signer-eng-reliability",
    "OpsSreSignerArn": f"arn:aws:iam::{ACCOUNT}:role/phase5-signer-ops-sre",
    "SecurityComplianceSignerArn": f"arn:aws:iam::{ACCOUNT}:role/phase5-signer-security-compliance",
    "VpcId": "vpc-1",
    "SubnetA": "subnet-a",
    "SubnetB": "subnet-b",
    "ClientSecurityGroupId": "sg-1",
    "AlarmEmail": "sre@example.com",
    "AWS::Partition": "aws",
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": "us-west-2",
    "AWS::StackName": "phase5",
    "EvidenceBucket": "phase5-evidence",
    "EvidenceBucket.Arn": "arn:aws:s3:::phase5-evidence",
}


def resolved(value: Any) -> Any:
    """The value with parameters put in; of a resource that is not made here, its name stands for it."""
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"Ref"}:
        return GIVEN.get(value["Ref"], value["Ref"])
    if value.keys() == {"Fn::GetAtt"}:
        named = value["Fn::GetAtt"]
        name, attribute = named.split(".", 1) if isinstance(named, str) else named
        if RESOURCES[name]["Type"] == "AWS::IAM::Role" and attribute == "Arn":
            return f"arn:aws:iam::{ACCOUNT}:role/{name}"
        return GIVEN.get(f"{name}.{attribute}", f"{name}.{attribute}")
    if value.keys() == {"Fn::Sub"}:
        text = value["Fn::Sub"]
        for name, given in GIVEN.items():
            text = text.replace(f"${{{name}}}", str(given))
        return text
    return {key: resolved(each) for key, each in value.items()}


def properties(name: str) -> dict[str, Any]:
    return resolved(RESOURCES[name]["Properties"])


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: properties(name) for name, each in RESOURCES.items() if each["Type"] == kind}


def apply(session: boto3.Session) -> None:
    """Makes the state table, the evidence bucket and the signing keys, as CloudFormation does, by the template's properties."""
    dynamodb, s3, kms = (session.client(name) for name in ("dynamodb", "s3", "kms"))
    table = properties("StateTable")
    name = table["TableName"]
    recovery, expiry = table.pop("PointInTimeRecoverySpecification"), table.pop("TimeToLiveSpecification")
    table["SSESpecification"] = {"Enabled": table["SSESpecification"]["SSEEnabled"]}
    dynamodb.create_table(**table)
    dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)

    bucket = properties("EvidenceBucket")
    named = {"Bucket": bucket["BucketName"]}
    where = {"LocationConstraint": session.region_name}
    s3.create_bucket(**named, ObjectLockEnabledForBucket=bucket["ObjectLockEnabled"], CreateBucketConfiguration=where)
    s3.put_bucket_versioning(**named, VersioningConfiguration=bucket["VersioningConfiguration"])
    s3.put_object_lock_configuration(**named, ObjectLockConfiguration=bucket["ObjectLockConfiguration"])
    rules = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(**named, ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_public_access_block(**named, PublicAccessBlockConfiguration=bucket["PublicAccessBlockConfiguration"])
    s3.put_bucket_policy(**named, Policy=json.dumps(properties("EvidenceBucketPolicy")["PolicyDocument"]))

    made = {}
    for name, key in of_type("AWS::KMS::Key").items():
        answer = kms.create_key(KeySpec=key["KeySpec"], KeyUsage=key["KeyUsage"], Policy=json.dumps(key["KeyPolicy"]))
        made[name] = answer["KeyMetadata"]["KeyId"]
    for alias in of_type("AWS::KMS::Alias").values():
        kms.create_alias(AliasName=alias["AliasName"], TargetKeyId=made[alias["TargetKeyId"]])
