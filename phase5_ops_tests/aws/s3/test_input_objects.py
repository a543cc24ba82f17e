"""Objects that people name: what lies below a prefix, streams that go on where they broke off, and what may not be read."""

import io
from functools import cache

import boto3
import pytest
from botocore.exceptions import ResponseStreamingError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.s3 import input_objects
from phase5_ops.aws.s3.input_objects import S3Location
from phase5_ops.cli import app as cli
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.input_files.locations import InputSource, LocationUnreadable
from phase5_ops.policy import ReplayPolicy
from phase5_ops.sections.replay.audit.files import audit_files
from phase5_ops.settings import ReadingSettings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.replay.audit.exports import record, write_export
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, dynamodb, replay

READING = ReadingSettings(max_attempts=3)


@pytest.fixture
def stubbed(monkeypatch):
    """The stubber of the S3 client of this process."""
    reader = AwsReader(READING, session=boto3.Session("test", "test", region_name="us-west-2"))
    monkeypatch.setattr(input_objects, "reader_for", cache(lambda _: reader))
    with Stubber(reader.client("s3")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def listing(stubber, prefix, *keys, **more):
    contents = [{"Key": key, "Size": len(key)} for key in keys]
    stubber.add_response("list_objects_v2", {"Contents": contents, **more}, {"Bucket": "kept", "Prefix": prefix})


class Breaking(io.BytesIO):
    """A body whose connection breaks at its end."""

    def read(self, size=-1):
        chunk = super().read(size)
        if not chunk:
            raise ResponseStreamingError(error="reset")
        return chunk


def deliver(stubber, key, content, *, whole=None, body=io.BytesIO, **params):
    stream = StreamingBody(body(content), None)
    answer = {"Body": stream, "ETag": '"e"', "ContentLength": len(content) if whole is None else whole}
    stubber.add_response("get_object", answer, {"Bucket": "kept", "Key": key, **params})


def source(key="x/a"):
    return S3Location(f"s3://kept/{key}", READING).beside("")


@pytest.mark.parametrize(("address", "prefix"), [("x", "x"), ("x/", "x/"), ("", "")])
def test_everything_below_a_prefix_is_listed_and_nothing_beside_it(stubbed, address, prefix):
    listing(stubbed, prefix, "x/b", "x/a/c", "x/.hidden", "x/folder/", *(["xy/other"] if address == "x" else []))
    found = S3Location(f"s3://kept/{address}", READING).files()
    below = "" if address else "x/"
    assert list(found) == [f"{below}a/c", f"{below}b"]
    assert found[f"{below}b"].name == "s3://kept/x/b"


def test_an_object_is_itself(stubbed):
    listing(stubbed, "x/a", "x/a", "x/a2")
    found = S3Location("s3://kept/x/a", READING).files()
    assert isinstance(found, InputSource)
    assert (found.name, found.size) == ("s3://kept/x/a", 3)


def test_a_list_of_several_pages_is_read_whole(stubbed):
    listing(stubbed, "x/", "x/a", IsTruncated=True, NextContinuationToken="more")
    contents = {"Contents": [{"Key": "x/b", "Size": 1}]}
    stubbed.add_response("list_objects_v2", contents, {"Bucket": "kept", "Prefix": "x/", "ContinuationToken": "more"})
    assert list(S3Location("s3://kept/x/", READING).files()) == ["a", "b"]


def test_a_bucket_that_cannot_be_listed_is_no_empty_folder(stubbed):
    stubbed.add_client_error("list_objects_v2", "AccessDenied")
    with pytest.raises(LocationUnreadable, match="s3:ListBucket"):
        S3Location("s3://kept/x", READING).files()


def test_what_lies_beside_a_folder(stubbed):
    assert S3Location("s3://kept/x/ID/", READING).beside("../data/a").name == "s3://kept/x/data/a"


def test_an_object_is_read_in_one_call(stubbed):
    deliver(stubbed, "x/a", b"0123456789")
    with source().open() as stream:
        assert stream.read() == b"0123456789"


def test_a_broken_stream_goes_on_at_the_next_byte_of_the_same_version(stubbed):
    deliver(stubbed, "x/a", b"0123", whole=10, body=Breaking)
    deliver(stubbed, "x/a", b"45", body=io.BytesIO, Range="bytes=4-", IfMatch='"e"')
    deliver(stubbed, "x/a", b"6789", Range="bytes=6-", IfMatch='"e"')
    with source().open() as stream:
        assert stream.read() == b"0123456789"


def test_an_object_that_changed_meanwhile_is_not_read_on(stubbed):
    deliver(stubbed, "x/a", b"0123", whole=10)
    stubbed.add_client_error("get_object", "PreconditionFailed")
    with source().open() as stream, pytest.raises(FileUnreadable, match="PreconditionFailed"):
        stream.read()


def test_a_stream_that_keeps_breaking_is_an_error(stubbed):
    deliver(stubbed, "x/a", b"0123", whole=10)
    for _ in range(2):
        deliver(stubbed, "x/a", b"", Range="bytes=4-", IfMatch='"e"')
    with source().open() as stream, pytest.raises(FileUnreadable, match="ended after 4 of 10 bytes"):
        stream.read()


@pytest.mark.parametrize(
    ("code", "error"), [("NoSuchKey", FileNotFoundError), ("AccessDenied", PermissionError), ("SlowDown", FileUnreadable)]
)
def test_an_object_that_does_not_open(stubbed, code, error):
    stubbed.add_client_error("get_object", code)
    with pytest.raises(error):
        source().open()


ONE, LATER = ([dynamodb(item) for item in replay(name=name, minutes_ago=ago)] for name, ago in (("one", 60), ("later", 20)))


def test_an_export_in_a_bucket_is_audited_like_one_on_disk_and_each_object_is_read_once(stubbed, tmp_path):
    write_export(tmp_path, [ONE[:2], ONE[2:]], "1-a", exportTime="2026-11-23T11:30:00.000Z")
    changes = {"exportFromTime": "2026-11-23T11:30:00.000Z", "exportToTime": "2026-11-23T12:00:00.000Z"}
    write_export(tmp_path, [[record(item) for item in LATER]], "2-b", incremental=True, **changes)
    files = {f"p/{path.relative_to(tmp_path).as_posix()}": path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for folder in ("1-a", "2-b"):
        prefix = f"p/AWSDynamoDB/{folder}/"
        listing(stubbed, prefix, *(key for key in files if key.startswith(prefix)))
        for name in ("manifest-files.json", "manifest-files.md5", "manifest-summary.json", "manifest-summary.md5"):
            deliver(stubbed, prefix + name, files[prefix + name])
    for name in ("1-a/data/1-a-0", "1-a/data/1-a-1", "data/2-b-0"):
        key = f"p/AWSDynamoDB/{name}.json.gz"
        deliver(stubbed, key, files[key])
    locations = [S3Location(f"s3://kept/p/AWSDynamoDB/{folder}/", READING) for folder in ("1-a", "2-b")]
    found = audit_files(locations, policy=ReplayPolicy(), now=NOW, table="cc-native-ledger")
    assert (found.verdict, found.facts["completed"], found.facts["files"]) == (Verdict.PASS, 2, 3)


def test_a_part_that_is_missing_in_the_bucket_is_an_error_that_names_it(stubbed, tmp_path):
    write_export(tmp_path, [ONE], "1-a")
    files = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    prefix = "AWSDynamoDB/1-a/"
    listing(stubbed, prefix, *(key for key in files if "/data/" not in key))
    for name in ("manifest-files.json", "manifest-files.md5", "manifest-summary.json", "manifest-summary.md5"):
        deliver(stubbed, prefix + name, files[prefix + name])
    stubbed.add_client_error("get_object", "NoSuchKey")
    found = audit_files([S3Location("s3://kept/AWSDynamoDB/1-a/", READING)], policy=ReplayPolicy(), now=NOW)
    assert found.verdict is Verdict.ERROR
    (finding,) = found.findings
    assert finding.subject.endswith("s3://kept/AWSDynamoDB/1-a/data/1-a-0.json.gz")
    assert "named by the manifest" in finding.seen


def test_the_command_takes_an_address(stubbed, monkeypatch, capsys):
    listing(stubbed, "none/")
    monkeypatch.setattr("sys.argv", ["phase5", "audit-ledger", "s3://kept/none/", "--format", "json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code, "a folder without files" in capsys.readouterr().out) == (2, True)
