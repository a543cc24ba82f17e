"""The runbook is read from a path, the web or S3, and every way it can fail keeps its meaning."""

import http.server
import threading
from io import BytesIO

import pytest
from botocore.exceptions import ClientError

from phase5_ops.aws import runbook_source
from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.runbook_source import read_runbook
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings, Settings

TEXT = "# Runbook\n\n## Circuit breaker open\nAct.\n"


@pytest.fixture
def reader():
    return AwsReader(ReadingSettings(deadline_seconds=5))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/runbook.md":
            return self._answer(200, TEXT.encode(), "text/plain; charset=utf-8")
        if self.path == "/page":
            return self._answer(200, b"<html>", "text/html")
        if self.path == "/login":
            return self._answer(200, b"<!DOCTYPE html><p>sign in", "text/plain")
        if self.path == "/moved":
            return self._answer(302, b"", "text/plain", Location="/runbook.md")
        if self.path == "/file":
            return self._answer(302, b"", "text/plain", Location="file:///etc/hostname")
        if self.path == "/big":
            return self._answer(200, b"x" * 200, "text/plain")
        return self._answer(int(self.path[1:]), b"", "text/plain")

    def _answer(self, status, body, kind, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_reads_a_path(reader, tmp_path):
    path = tmp_path / "runbook.md"
    path.write_text(TEXT, encoding="utf-8")
    text, read = read_runbook(str(path), reader)
    assert (text, read.status, read.operation, read.resource) == (TEXT, ReadStatus.OK, "file:read", str(path))


def test_a_missing_file_is_not_found(reader, tmp_path):
    assert read_runbook(str(tmp_path / "none.md"), reader)[1].status is ReadStatus.NOT_FOUND


def test_a_folder_is_a_failure_to_read(reader, tmp_path):
    text, read = read_runbook(str(tmp_path), reader)
    assert (text, read.status) == (None, ReadStatus.FAILED)


def test_permission_denied_is_denied(reader, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert read_runbook("runbook.md", reader)[1].status is ReadStatus.DENIED


def test_bytes_that_are_not_utf8_are_invalid(reader, tmp_path):
    path = tmp_path / "runbook.md"
    path.write_bytes(b"\xff\xfe\x00")
    assert read_runbook(str(path), reader)[1].status is ReadStatus.INVALID


def test_reads_the_web_and_follows_a_redirect(reader, web):
    assert read_runbook(f"{web}/runbook.md", reader)[0] == TEXT
    assert read_runbook(f"{web}/moved", reader)[0] == TEXT


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("404", ReadStatus.NOT_FOUND),
        ("410", ReadStatus.NOT_FOUND),
        ("401", ReadStatus.DENIED),
        ("403", ReadStatus.DENIED),
        ("429", ReadStatus.THROTTLED),
        ("500", ReadStatus.FAILED),
        ("page", ReadStatus.INVALID),
        ("login", ReadStatus.INVALID),
        ("file", ReadStatus.INVALID),
    ],
)
def test_each_answer_of_a_web_server_keeps_its_meaning(reader, web, path, status):
    text, read = read_runbook(f"{web}/{path}", reader)
    assert (text, read.status) == (None, status)
    assert read.error


def test_too_large_is_invalid(reader, web, monkeypatch):
    monkeypatch.setattr(runbook_source, "MAX_BYTES", 100)
    assert read_runbook(f"{web}/big", reader)[1].status is ReadStatus.INVALID


def test_nobody_listening_is_unreachable(reader):
    assert read_runbook("http://127.0.0.1:9/runbook.md", reader)[1].status is ReadStatus.UNREACHABLE


def test_a_used_up_deadline_is_a_timeout(tmp_path):
    late = iter([0.0, 100.0])
    reader = AwsReader(ReadingSettings(deadline_seconds=5), monotonic=lambda: next(late))
    assert read_runbook(str(tmp_path / "x"), reader)[1].status is ReadStatus.TIMEOUT


class FakeS3:
    def __init__(self, code=None):
        self.code = code
        self.asked = None

    def get_object(self, **kwargs):
        self.asked = kwargs
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "m"}}, "GetObject")
        return {"Body": BytesIO(TEXT.encode())}


def test_reads_s3_with_any_key(reader, monkeypatch):
    s3 = FakeS3()
    monkeypatch.setattr(reader, "client", lambda _service: s3)
    assert read_runbook("s3://docs-bucket/run books/phase#5.md", reader)[0] == TEXT
    assert s3.asked == {"Bucket": "docs-bucket", "Key": "run books/phase#5.md"}


@pytest.mark.parametrize(("code", "status"), [("NoSuchKey", ReadStatus.NOT_FOUND), ("AccessDenied", ReadStatus.DENIED)])
def test_s3_failures_keep_their_meaning(reader, monkeypatch, code, status):
    monkeypatch.setattr(reader, "client", lambda _service: FakeS3(code))
    assert read_runbook("s3://bucket/key.md", reader)[1].status is status


@pytest.mark.parametrize("location", ["s3://", "s3:///", "s3://bucket", "s3://bucket/", "s3:///key", "s3:bucket/key"])
def test_an_incomplete_s3_location_is_invalid_and_says_what_is_expected(reader, location):
    _, read = read_runbook(location, reader)
    assert (read.status, read.error) == (
        ReadStatus.INVALID,
        "expected s3://bucket/key, with the bucket's name and the file's key",
    )


def test_the_address_people_open():
    assert Settings(runbook="https://git.example/r.md").runbook_address == "https://git.example/r.md"
    assert Settings(runbook="docs/r.md").runbook_address is None
    assert Settings(runbook="docs/r.md", runbook_url="https://wiki.example/r").runbook_address == "https://wiki.example/r"
