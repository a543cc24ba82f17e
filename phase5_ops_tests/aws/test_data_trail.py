"""CloudTrail's data events from S3: which records come, how far the trail has got, and what a broken file does."""

import gzip
import io
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from phase5_ops.aws.data_trail import read_data_trail
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

NOW = datetime(2026, 11, 23, 9, 16, tzinfo=UTC)
START, END = NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)
PREFIX = "AWSLogs/111122223333/CloudTrail/us-west-2"


@pytest.fixture
def stubbed():
    """A reader and the stubber of its S3 client."""
    reader = AwsReader(ReadingSettings(), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("s3")) as stubber:
        yield reader, stubber


def event(at, source="dynamodb.amazonaws.com", **more):
    return {"eventSource": source, "eventName": "GetItem", "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", **more}


def packed(*records):
    return gzip.compress(json.dumps({"Records": records}).encode())


def deliver(stubber, *files, day="2026/11/23", prefix=PREFIX):
    names = [f"{prefix}/{day}/{number}.json.gz" for number in range(len(files))]
    listed = {"Contents": [{"Key": name} for name in names]} if names else {}
    stubber.add_response("list_objects_v2", listed, {"Bucket": "trail", "Prefix": f"{prefix}/{day}/".lstrip("/")})
    for name, content in zip(names, files, strict=True):
        body = StreamingBody(io.BytesIO(content), len(content))
        stubber.add_response("get_object", {"Body": body}, {"Bucket": "trail", "Key": name})


def read(reader, location=f"s3://trail/{PREFIX}", start=START, now=NOW):
    return read_data_trail(reader, location, start, END, now=now)


def test_the_second_in_which_the_window_begins_belongs_to_it(stubbed):
    reader, stubber = stubbed
    deliver(stubber, packed(event(START), event(START - timedelta(seconds=1))))
    found = read(reader, start=START + timedelta(milliseconds=700)).records
    assert [record["eventTime"] for record in found] == [f"{START:%Y-%m-%dT%H:%M:%SZ}"]


def test_records_of_the_window_come_from_all_files(stubbed):
    reader, stubber = stubbed
    inside, before, after = START + timedelta(seconds=5), START - timedelta(seconds=5), END + timedelta(seconds=5)
    deliver(stubber, packed(event(inside), event(before)), packed(event(after), event(inside, "s3.amazonaws.com")))
    trail = read(reader)
    assert [record["eventTime"] for record in trail.records] == [f"{inside:%Y-%m-%dT%H:%M:%SZ}"]
    assert (trail.files, trail.newest) == (2, after)
    assert trail.delivered(END)
    assert {one.status for one in trail.reads} == {ReadStatus.OK}


def test_a_trail_that_has_not_got_there_yet_says_so(stubbed):
    reader, stubber = stubbed
    deliver(stubber, packed(event(START)))
    assert not read(reader).delivered(END)


def test_an_empty_trail_is_not_delivered(stubbed):
    reader, stubber = stubbed
    deliver(stubber)
    trail = read(reader)
    assert (trail.records, trail.newest, trail.delivered(END)) == ([], None, False)


def test_every_day_of_the_window_is_looked_at(stubbed):
    reader, stubber = stubbed
    deliver(stubber, day="2026/11/22")
    deliver(stubber, packed(event(START)))
    assert read(reader, start=START - timedelta(days=1)).files == 1


def test_the_bucket_may_be_the_whole_location(stubbed):
    reader, stubber = stubbed
    deliver(stubber, prefix="")
    assert read(reader, "s3://trail").files == 0


@pytest.mark.parametrize(
    "content",
    [b"not json", gzip.compress(b"[1]"), packed(event(START))[:-12], gzip.compress(b'{"Records": 1}')],
    ids=["no gzip", "a list", "cut off", "no records"],
)
def test_a_broken_file_is_said_and_the_others_are_read(stubbed, content):
    reader, stubber = stubbed
    deliver(stubber, content, packed(event(START)))
    trail = read(reader)
    assert len(trail.records) == 1
    assert trail.reads[-1].status is ReadStatus.INVALID


def test_a_record_without_a_time_is_handed_on(stubbed):
    reader, stubber = stubbed
    deliver(stubber, packed(event(START) | {"eventTime": "?"}, "no record"))
    assert len(read(reader).records) == 1


def test_a_denied_bucket_is_a_failed_read(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("list_objects_v2", "AccessDenied", "no")
    trail = read(reader)
    assert trail.reads[0].status is ReadStatus.DENIED


def test_a_denied_file_is_a_failed_read(stubbed):
    reader, stubber = stubbed
    stubber.add_response("list_objects_v2", {"Contents": [{"Key": f"{PREFIX}/1.json.gz"}]})
    stubber.add_client_error("get_object", "AccessDenied", "no")
    assert read(reader).reads[-1].status is ReadStatus.DENIED
