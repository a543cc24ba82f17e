"""Reads the runbook from a path, an http(s) URL or an s3:// location; bounded in time and size.

Never raises for what a file system, a web server or S3 does: the failure becomes the `Read`. NOT_FOUND means that the runbook is
not there (missing file, 404, NoSuchKey); everything else means that it could not be read, which says nothing about the runbook.
"""

import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from phase5_ops.aws.reader import USER_AGENT, AwsReader, describe_failure
from phase5_ops.clock import iso
from phase5_ops.reads import Read, ReadStatus

#: What reading the runbook from S3 needs. Without ListBucket S3 answers 403 instead of 404 for a missing key.
IAM_ACTIONS = ("s3:GetObject", "s3:ListBucket")

MAX_BYTES = 4 * 1024 * 1024

_HTTP_STATUS = {
    401: ReadStatus.DENIED,
    403: ReadStatus.DENIED,
    404: ReadStatus.NOT_FOUND,
    407: ReadStatus.DENIED,
    410: ReadStatus.NOT_FOUND,
    429: ReadStatus.THROTTLED,
}


class _NotARunbook(Exception):
    """An answer came, and it cannot be a Markdown file."""


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to web addresses only, and never from https to http."""

    def redirect_request(  # noqa: PLR0917 - the signature of the base class
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme != "http" or urlsplit(req.full_url).scheme == "https"):
            raise _NotARunbook(f"refused the redirect to {newurl[:200]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _web_opener() -> urllib.request.OpenerDirector:
    """An opener that knows http and https (TLS verified) and nothing else: no file:, ftp: or data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _WebRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def read_runbook(location: str, reader: AwsReader, *, timeout_seconds: float = 20) -> tuple[str | None, Read]:
    """The Markdown text, or None, and how it was read.

    Args:
        location: a path, an http(s) URL or `s3://bucket/key`.
        reader: bounds the read with the run's deadline, and reads S3.
        timeout_seconds: longest wait for one answer of a web server.
    """
    started = iso(datetime.now(UTC))
    scheme = urlsplit(location).scheme
    if scheme == "s3":
        operation, load = "s3:GetObject", _from_s3(location, reader)
    elif scheme in ("http", "https"):
        operation, load = f"{scheme}:GET", _from_web(location, timeout_seconds)
    else:
        operation, load = "file:read", _from_file(location)
    text, status, message = None, ReadStatus.OK, None
    try:
        text = _as_markdown(reader.bounded(load))
    except Exception as error:  # noqa: BLE001 - the border: whatever the source does becomes the read's status
        status, message = _describe(error)
    return text, Read(operation, location, status, message, int(text is not None), started, iso(datetime.now(UTC)))


def _from_file(location: str) -> Callable[[], bytes]:
    def load() -> bytes:
        with Path(location).expanduser().open("rb") as file:
            return file.read(MAX_BYTES + 1)

    return load


def _from_web(location: str, timeout_seconds: float) -> Callable[[], bytes]:
    def load() -> bytes:
        request = urllib.request.Request(location, headers={"User-Agent": USER_AGENT, "Accept": "text/markdown, text/plain, */*"})  # noqa: S310 - the opener knows web schemes only
        response: HTTPResponse
        with closing(_web_opener().open(request, timeout=timeout_seconds)) as response:
            if response.headers.get_content_type() == "text/html":
                raise _NotARunbook("the address answers with an HTML page, not with Markdown; use the address of the raw file")
            return response.read(MAX_BYTES + 1)

    return load


def _from_s3(location: str, reader: AwsReader) -> Callable[[], bytes]:
    def load() -> bytes:
        bucket, _, key = location.partition("://")[2].partition("/")
        key = key.lstrip("/")
        if not bucket or not key:
            raise _NotARunbook("expected s3://bucket/key, with the bucket's name and the file's key")
        with closing(reader.client("s3").get_object(Bucket=bucket, Key=key)["Body"]) as body:
            content: bytes = body.read(MAX_BYTES + 1)
            return content

    return load


def _as_markdown(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _NotARunbook(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _NotARunbook(f"the file is not UTF-8 text ({error.reason} at byte {error.start})") from error
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise _NotARunbook("the file is an HTML page, not Markdown; use the address of the raw file")
    return text


def _describe(error: Exception) -> tuple[ReadStatus, str]:
    """Status and message of a failed read."""
    if isinstance(error, _NotARunbook):
        return ReadStatus.INVALID, str(error)
    if isinstance(error, urllib.error.HTTPError):
        with closing(error):
            redirect = 300 <= error.code < 400  # noqa: PLR2004 - a redirect that was not followed: to another scheme, or in a circle
            status = ReadStatus.INVALID if redirect else _HTTP_STATUS.get(error.code, ReadStatus.FAILED)
            return status, f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        if isinstance(error.reason, TimeoutError):
            return ReadStatus.TIMEOUT, str(error.reason)
        return ReadStatus.UNREACHABLE, str(error.reason)[:300]
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return ReadStatus.NOT_FOUND, "no such file"
    if isinstance(error, PermissionError):
        return ReadStatus.DENIED, "permission denied"
    return describe_failure(error)
