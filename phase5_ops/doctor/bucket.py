"""The bucket that keeps the copy of the evidence: versions, object lock, encryption, TLS only, nothing public."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from phase5_ops.aws.reader import AwsReader
from phase5_ops.doctor.examination import Installation, note, ok, problem, unknown
from phase5_ops.gate.inputs.install_check import Checked
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = (
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
)

_REMEDY = "set it as deploy/template.yaml does"
_DAYS_OF_YEAR = 365
#: What S3 answers where a bucket has no such configuration.
_ABSENT = (
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def look_at_bucket(installation: Installation) -> Iterator[Checked]:
    """What the bucket of PHASE5_EVIDENCE_S3_URI is set to."""
    settings = installation.settings
    if settings.evidence_s3_uri is None:
        yield note("no copy of the evidence is kept: PHASE5_EVIDENCE_S3_URI is not set")
        return
    bucket, reader = urlsplit(settings.evidence_s3_uri).netloc, installation.session().reader
    for operation, what, holds in (
        ("get_bucket_versioning", "keeps every version", _versioned),
        (
            "get_object_lock_configuration",
            f"locks objects for {settings.retention.release_days} days at least (PHASE5_RETENTION__RELEASE_DAYS)",
            lambda answer: _locked_days(answer) >= settings.retention.release_days,
        ),
        ("get_bucket_encryption", "encrypts what is put into it", _encrypted),
        ("get_bucket_policy", "denies every request without TLS", lambda answer: _tls_only(answer, bucket)),
        ("get_public_access_block", "lets nothing be public", _private),
    ):
        found = _held(reader, bucket, operation, what, holds)
        yield found
        if found.text == _gone(bucket):
            return


def _held(reader: AwsReader, bucket: str, operation: str, what: str, holds: Callable[[Mapping[str, Any]], bool]) -> Checked:
    read_of = reader.call("s3", operation, bucket, Bucket=bucket)
    read = read_of.read
    if read.status is ReadStatus.NOT_FOUND:
        return problem(_gone(bucket), "create it as deploy/template.yaml does, or name another")
    if str(read.error).startswith(_ABSENT):
        return problem(f"this does not hold: bucket {bucket} {what}", _REMEDY)
    if read.status is not ReadStatus.OK:
        return unknown(f"{read.operation} {bucket}: {read.status}: {read.error}")
    if not holds(read_of.pages[0]):
        return problem(f"this does not hold: bucket {bucket} {what}", _REMEDY)
    return ok(f"bucket {bucket} {what}")


def _gone(bucket: str) -> str:
    return f"bucket {bucket} is not there"


def _versioned(answer: Mapping[str, Any]) -> bool:
    return answer.get("Status") == "Enabled"


def _locked_days(answer: Mapping[str, Any]) -> int:
    """For how long an object is locked by default; 0 where none is."""
    lock = answer.get("ObjectLockConfiguration") or {}
    rule = (lock.get("Rule") or {}).get("DefaultRetention") or {}
    if lock.get("ObjectLockEnabled") != "Enabled":
        return 0
    return int(rule.get("Days") or 0) + _DAYS_OF_YEAR * int(rule.get("Years") or 0)


def _encrypted(answer: Mapping[str, Any]) -> bool:
    rules = (answer.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or []
    return any((rule.get("ApplyServerSideEncryptionByDefault") or {}).get("SSEAlgorithm") for rule in rules)


def _tls_only(answer: Mapping[str, Any], bucket: str) -> bool:
    """Whether one statement denies everything in the bucket to everybody who does not use TLS, under no further condition."""
    statements = json.loads(str(answer["Policy"]))["Statement"]
    return any(
        each.get("Effect") == "Deny"
        and each.get("Principal") in ("*", {"AWS": "*"})
        and each.get("Action") in ("s3:*", "*", ["s3:*"], ["*"])
        and {name.rpartition(":")[2] for name in _listed(each.get("Resource"))} >= {bucket, f"{bucket}/*"}
        and each.get("Condition") in ({"Bool": {"aws:SecureTransport": wanted}} for wanted in ("false", ["false"], False))
        for each in (statements if isinstance(statements, list) else [statements])
    )


def _listed(resource: object) -> list[str]:
    return [str(each) for each in resource] if isinstance(resource, list) else [str(resource)]


def _private(answer: Mapping[str, Any]) -> bool:
    block = answer.get("PublicAccessBlockConfiguration") or {}
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return all(block.get(name) is True for name in wanted)
