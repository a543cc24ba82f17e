"""Archived logs in S3: order, compression, empty and broken objects, and a bucket that cannot be listed."""

import gzip
import io

import boto3
import pyarrow as pa
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.s3.log_objects import s3_archives
from phase5_ops.input_files.files import FileUnreadable, contents
from phase5_ops.settings import ReadingSettings

LINES = b"one\ntwo\n" * 1_000


@pytest.fixture
def stubbed():
    """A reader and the stubber of its S3 client."""
    reader = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("s3")) as stubber:
        yield reader, stubber


def listing(stubber, **sizes):
    contents = [{"Key": f"logs/{name}", "Size": size} for name, size in sizes.items()]
    stubber.add_response("list_objects_v2", {"Contents": contents}, {"Bucket": "kept", "Prefix": "logs/"})


def deliver(stubber, name, content, claimed=None):
    body = StreamingBody(io.BytesIO(content), claimed or len(content))
    stubber.add_response("get_object", {"Body": body}, {"Bucket": "kept", "Key": f"logs/{name}"})


def text(archive):
    return b"".join(content.stream.read() for content in contents(archive.name, archive.open))


def test_objects_come_in_order_of_their_keys_and_empty_ones_are_left_out(stubbed):
    reader, stubber = stubbed
    listing(stubber, b=3, a=3, folder=0)
    assert [one.name for one in s3_archives(reader, "s3://kept/logs/")] == ["s3://kept/logs/a", "s3://kept/logs/b"]


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda data: pa.Codec("zstd").compress(data, asbytes=True)], ids=["plain", "gzip", "zstd"]
)
def test_an_object_is_read_whatever_it_is_packed_with(stubbed, pack):
    reader, stubber = stubbed
    listing(stubber, a=1)
    deliver(stubber, "a", pack(LINES))
    (archive,) = s3_archives(reader, "s3://kept/logs/")
    assert text(archive) == LINES


def test_a_truncated_object_and_a_body_that_ends_early_are_no_whole_archives(stubbed):
    reader, stubber = stubbed
    listing(stubber, a=1, b=1)
    deliver(stubber, "a", gzip.compress(LINES)[:-9])
    deliver(stubber, "b", LINES, claimed=len(LINES) + 1)
    for archive in s3_archives(reader, "s3://kept/logs/"):
        with pytest.raises(Exception, match=r"breaks off|IncompleteRead|bytes"):
            text(archive)


def test_a_bucket_that_cannot_be_listed_is_unreadable(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("list_objects_v2", "AccessDenied")
    with pytest.raises(FileUnreadable, match="AccessDenied"):
        s3_archives(reader, "s3://kept/logs/")
