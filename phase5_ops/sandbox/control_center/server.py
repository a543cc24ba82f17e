"""Serves the sandbox's Control Center over HTTP on 127.0.0.1, and the ways in which it can fail to answer.

The transport faults are of the server rather than of the application: nothing listens, nothing answers in time, or what answers
is no Control Center.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from phase5_ops.sandbox.aws.kept_open import KeptOpenHandler
from phase5_ops.sandbox.control_center.planted_calls import RAW_HEADERS
from phase5_ops.sandbox.ports import HOST
from phase5_ops.sandbox.state.platform_faults import PlatformFault

SLOW_SECONDS = 30.0
"""How long a slow Control Center takes to answer."""
DRIP_SECONDS = 1.0
"""How long a dripping one takes for each byte."""
ELSEWHERE = "http://elsewhere.example/replay"
"""Where a redirecting one sends its callers."""

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_PAGE = b"<!doctype html><html><body><h1>Sign in</h1></body></html>"


class ControlCenterServer:
    """A threaded HTTP server on a free port, which ends with `stop()`."""

    def __init__(self, app: WsgiApp, platform_faults: set[PlatformFault]) -> None:
        self._app, self._faults = app, platform_faults
        self._ended = threading.Event()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Its address; where it is down, one at which nothing listens."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Listens, unless it is down."""
        if PlatformFault.DOWN in self._faults:
            with socket.socket() as free:
                free.bind((HOST, 0))
                self._port = free.getsockname()[1]
            return
        self._server = make_server(HOST, 0, self._serve, threaded=True, request_handler=_ControlCenterHandler)
        self._server.daemon_threads = True  # a slow answer holds nobody up at the end
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the server and whatever it is still answering."""
        self._ended.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - the types of WSGI
        if PlatformFault.DOWN in self._faults:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)  # read in any case: an answer before that would reset the connection
        if PlatformFault.SLOW in self._faults:
            self._ended.wait(SLOW_SECONDS)
        if PlatformFault.HTML in self._faults:
            return _fixed(start_response, "200 OK", "text/html", _PAGE)
        if PlatformFault.ERROR_500 in self._faults:
            return _fixed(start_response, "500 Internal Server Error", "application/json", b'{"error":"Internal server error"}')
        if PlatformFault.REDIRECT_ELSEWHERE in self._faults:
            return _fixed(start_response, "302 Found", "text/plain", b"", ("Location", ELSEWHERE))
        if PlatformFault.DRIP in self._faults:
            answer = b'{"status":"replay_requested","action_intent_id":"none"}'
            _fixed(start_response, "202 Accepted", "application/json", answer)
            return self._drops(answer)
        return self._app(environ, start_response)

    def _drops(self, body: bytes) -> Iterable[bytes]:
        for at in range(len(body)):
            if self._ended.wait(DRIP_SECONDS):
                return
            yield body[at : at + 1]


def _fixed(start_response: Any, status: str, content: str, body: bytes, *headers: tuple[str, str]) -> Iterable[bytes]:  # noqa: ANN401
    start_response(status, [("Content-Type", content), ("Content-Length", str(len(body))), *headers])
    return [body]


class _ControlCenterHandler(KeptOpenHandler):
    """Keeps the headers as sent."""

    def make_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().make_environ()
        environ[RAW_HEADERS] = tuple(self.headers.items())
        return environ
