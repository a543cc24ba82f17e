"""The copy of the evidence in S3 is read like the folder, and a bucket that does not answer is an error, never an empty past."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.inputs.evidence_copy import EvidenceCopy
from phase5_ops.report.past_runs import PastRuns
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.report.documents import ENVIRONMENT, document

pytestmark = pytest.mark.slow


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    with own_aws(), mock_aws():
        yield boto3.Session("test", "test", region_name="us-east-1")


@pytest.fixture
def bucket(session: boto3.Session):
    made = session.resource("s3").Bucket("kept")
    made.create()
    return made


def reader(session: boto3.Session) -> AwsReader:
    return AwsReader(ReadingSettings(max_attempts=1), session=session)


@pytest.mark.parametrize(("location", "prefix"), [("s3://kept/ready/phase5/", "ready/phase5/"), ("s3://kept", "")])
def test_runs_are_found_below_the_prefix_and_no_others(session, bucket, location: str, prefix: str):
    for number, run_id in enumerate(("b", "a")):
        content = json.dumps(document(run_id, at=f"2026-11-0{number + 1}T00:00:00Z").to_json())
        bucket.put_object(Key=f"{prefix}{run_id}/readiness.json", Body=content.encode())
        bucket.put_object(Key=f"{prefix}{run_id}/verdicts/check.json", Body=b"{}")
    if prefix:
        bucket.put_object(Key="other/c/readiness.json", Body=b"{}")
    copy = EvidenceCopy(reader(session), location)
    assert list(copy.run_ids()) == ["a", "b"]
    assert [(past.run_id, past.problem) for past in PastRuns(copy, ENVIRONMENT)] == [("a", ""), ("b", "")]


def test_a_file_that_is_not_there_is_told_from_one_that_cannot_be_read(session, bucket):
    copy = EvidenceCopy(reader(session), "s3://kept")
    with pytest.raises(FileNotFoundError, match="s3:GetObject"):
        copy.read("r", "readiness.json")
    late = AwsReader(ReadingSettings(deadline_seconds=1), session=session, monotonic=iter([0.0, 5.0]).__next__)
    with pytest.raises(OSError, match="reading took longer") as caught:
        EvidenceCopy(late, "s3://kept").read("r", "readiness.json")
    assert not isinstance(caught.value, FileNotFoundError)


def test_a_bucket_that_cannot_be_listed_is_an_error(session):
    with pytest.raises(OSError, match="s3:ListObjectsV2: not_found: NoSuchBucket"):
        EvidenceCopy(reader(session), "s3://missing/prefix").run_ids()
