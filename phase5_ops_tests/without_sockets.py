"""Requests to a sandbox of this process are answered in it, by the same handler and application, with no connection between.

Most of what a request costs is the way: connections, the server's threads, heads that are written and read. What the request,
its answer and the platform's state are stays as it is. Over sockets as ever: what another process asks, what has another address
than a sandbox that serves in this one, what goes to a proxy, a body that is a stream, and everything while a fault is in force
that takes time or breaks connections off. Tests of HTTP itself are marked `over_sockets`.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPMessage, RemoteDisconnected
from io import BufferedReader, BytesIO
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest
from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.compat import get_current_datetime
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from werkzeug.serving import BaseWSGIServer

from phase5_ops.probing.client import _describe, _Line
from phase5_ops.probing.request import Request
from phase5_ops.sandbox.aws.faults import FaultableMotoServer
from phase5_ops.sandbox.aws.kept_open import KeptOpenHandler
from phase5_ops.sandbox.control_center.server import ControlCenterServer
from phase5_ops.sandbox.state.platform_faults import PlatformFault

_OF_CONNECTIONS = {PlatformFault.DOWN, PlatformFault.SLOW, PlatformFault.DRIP}
_PLAIN = re.compile(r"[A-Za-z0-9/._~?=&-]*")  # targets that are sent as they are
_CLIENT = "phase5_ops.probing.client.HTTPConnection"

_send, _add_auth = URLLib3Session.send, SigV4Auth.add_auth
_start, _exchange = _Line.start, _Line.exchange


class _Answering(KeptOpenHandler):
    """A handler whose request and answer are in memory; `of` makes it one of a server."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self.server, self.client_address, self.connection = server, ("127.0.0.1", 0), None
        self.rfile, self.wfile = BytesIO(), BytesIO()
        self.close_connection = False
        self.status: int | None = None
        self.sent: list[tuple[str, str]] = []

    @staticmethod
    def of(server: BaseWSGIServer) -> type["_Answering"]:
        """The server's own handler, in memory."""
        return type("Answering", (_Answering, server.RequestHandlerClass), {})

    def answer(self, method: str, target: str, headers: HTTPMessage, body: bytes) -> HTTPResponse:
        """The answer to a request."""
        self.command, self.path, self.headers = method, target, headers
        self.request_version = "HTTP/1.1"
        self.rfile = BytesIO(body)
        self.run_wsgi()
        return self._answered(enforce_content_length=False)

    def answer_to(self, written: bytes) -> HTTPResponse:
        """The answer to a request as it is written on a connection."""
        self.rfile = BufferedReader(BytesIO(written))
        self.raw_requestline = self.rfile.readline()
        if self.parse_request():
            self.run_wsgi()
        return self._answered(enforce_content_length=True)

    def _answered(self, *, enforce_content_length: bool) -> HTTPResponse:
        """As a client gets it.

        Raises:
            RemoteDisconnected: the application broke the connection off.
        """
        if self.status is None:
            raise RemoteDisconnected("Remote end closed connection without response")
        return HTTPResponse(
            BytesIO(self.wfile.getvalue()),
            self.sent,
            self.status,
            preload_content=False,
            decode_content=False,
            enforce_content_length=enforce_content_length,
            request_method=self.command,
        )

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begins the answer."""
        self.status = code
        self.sent = [("Server", self.version_string()), ("Date", self.date_time_string())]

    def send_header(self, keyword: str, value: str) -> None:
        """Adds to it."""
        self.sent.append((keyword, str(value)))

    def end_headers(self) -> None:
        """Nothing: the head is not written."""


class _Served:
    """A server of this process: its handler, and whether what it answers now depends on connections."""

    def __init__(self, server: BaseWSGIServer, by_connection: Callable[[], bool]) -> None:
        self._server, self._handler = server, _Answering.of(server)
        self.by_connection = by_connection

    def handler(self) -> _Answering:
        return self._handler(self._server)


_served: dict[tuple[str, int], _Served] = {}
os.register_at_fork(after_in_child=_served.clear)  # a copy of the platform is not the one that serves


@contextmanager
def without_sockets() -> Iterator[None]:
    """In this block servers that begin are asked so."""
    with pytest.MonkeyPatch.context() as patch:
        _note(patch, FaultableMotoServer, lambda server: any(fault["kind"] == "slow" for fault in server._faults.list()))
        _note(patch, ControlCenterServer, lambda server: bool(_OF_CONNECTIONS & server._faults))
        patch.setattr(URLLib3Session, "send", _answered)
        patch.setattr(SigV4Auth, "add_auth", _signed)
        patch.setattr(_CLIENT, _Connection)
        patch.setattr(_Line, "start", _noted)
        patch.setattr(_Line, "exchange", _exchanged)
        yield


@contextmanager
def over_sockets() -> Iterator[None]:
    """In this block every request goes over a socket again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", _send)
        patch.setattr(SigV4Auth, "add_auth", _add_auth)
        patch.setattr(_CLIENT, HTTPConnection)
        patch.setattr(_Line, "start", _start)
        patch.setattr(_Line, "exchange", _exchanged_by_thread)
        yield


def _note(patch: pytest.MonkeyPatch, kind: type[Any], by_connection: Callable[[Any], bool]) -> None:
    """Servers of this kind are known from their start to their end."""
    begin, end = kind.start, kind.stop

    def start(self: Any) -> None:
        begin(self)
        if self._server is not None:  # the Control Center has none where it is down
            _served[self._server.server_address[:2]] = _Served(self._server, lambda: by_connection(self))

    def stop(self: Any) -> None:
        if self._server is not None:
            _served.pop(self._server.server_address[:2], None)
        end(self)

    patch.setattr(kind, "start", start)
    patch.setattr(kind, "stop", stop)


def answers_in_the_callers_thread(host: str | None, port: int | None) -> bool:
    """Whether what is asked of this address is answered by this process, and nothing that it serves takes its time."""
    return (
        (host, port) in _served
        and URLLib3Session.send is _answered
        and not any(served.by_connection() for served in _served.values())
    )


def _serving(host: str | None, port: int | None) -> _Served | None:
    served = _served.get((host or "", port or 0))
    return None if served is None or served.by_connection() else served


def _answered(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    """botocore's `send`."""
    url, body = urlsplit(request.url), request.body
    served = _serving(url.hostname, url.port)
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    if (
        served is None
        or not (body is None or isinstance(body, str | bytes | bytearray))
        or "Transfer-Encoding" in request.headers
        or not _PLAIN.fullmatch(target)
        or session._proxy_config.proxy_url_for(request.url)
    ):
        return _send(session, request)
    headers = HTTPMessage()
    headers["Host"] = url.netloc
    headers["Accept-Encoding"] = "identity"
    for name, value in request.headers.items():
        headers[name] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    try:
        raw = served.handler().answer(request.method, target, headers, content)
    except RemoteDisconnected as error:
        raise ConnectionClosedError(error=error, request=request, endpoint_url=request.url) from error
    answer = AWSResponse(request.url, raw.status, raw.headers, raw)
    if not request.stream_output:
        _ = answer.content  # as botocore reads it at once
    return answer


def _signed(auth: SigV4Auth, request: AWSRequest) -> None:
    """Who asks, of what and when, with a signature that nothing in the sandbox checks; an address to give away is signed."""
    url = urlsplit(request.url)
    if type(auth) not in (SigV4Auth, S3SigV4Auth) or auth.credentials is None or _serving(url.hostname, url.port) is None:
        _add_auth(auth, request)
        return
    request.context["timestamp"] = get_current_datetime().strftime(SIGV4_TIMESTAMP)
    auth._modify_request_before_signing(request)
    auth._inject_signature_to_request(request, "0" * 64)


_waiting: WeakKeyDictionary[_Line, deque[_Line]] = WeakKeyDictionary()  # lines whose thread has not been started


def _noted(line: _Line, idle: deque[_Line]) -> None:
    """Starts a line's thread once there is something to bound."""
    _waiting[line] = idle


def _exchanged(line: _Line, request: Request) -> Any:
    """An exchange of the product's own client; with a server of this process in the caller's own thread."""
    if _serving(line._url.hostname, line._url.port) is None:
        return _exchanged_by_thread(line, request)
    try:
        return line._exchange(request)
    except Exception as error:  # noqa: BLE001 - as the line's own thread does it
        line._close()
        return (None, *_describe(error), b"")


def _exchanged_by_thread(line: _Line, request: Request) -> Any:
    """As the product makes it."""
    if (idle := _waiting.pop(line, None)) is not None:
        _start(line, idle)
    return _exchange(line, request)


class _Connection(HTTPConnection):
    """A connection of the product's own client, which connects with no server of this process."""

    _served: _Served | None = None

    def connect(self) -> None:
        """Connects where another process, or nobody, answers."""
        self._served = _serving(self.host, self.port)
        if self._served is None:
            super().connect()
        else:
            self.sock = _Written()

    @property
    def is_connected(self) -> bool:
        """Whether the next request may go over it: where nothing is opened, each has its own."""
        return self._served is None and super().is_connected

    def getresponse(self) -> HTTPResponse:
        """The answer to what was written."""
        if self._served is None:
            return super().getresponse()
        return self._served.handler().answer_to(bytes(self.sock.content))


class _Written:
    """What is sent to a server of this process."""

    def __init__(self) -> None:
        self.content = bytearray()

    def sendall(self, content: bytes) -> None:
        self.content += content

    def settimeout(self, _seconds: float | None) -> None:
        """No wait to bound: what takes time by a fault is asked over a connection."""

    def close(self) -> None:
        """Nothing is open."""
