"""A TCP proxy between the code and a sandbox that strikes at real connections: the same plans as `injection`, on sockets.

It stands before one address. Each connection carries one exchange after the other; a request is read whole, struck or passed on,
and its answer is passed back, cut off after some of its bytes, late, reset, or replaced by what the service would answer.
"""

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import urlsplit

from phase5_ops.aws.reader import USER_AGENT
from phase5_ops.sandbox.aws import faults as aws_faults
from phase5_ops.sandbox.ports import HOST
from phase5_ops_tests.faults.injection import ANSWERED, CONTROL_CENTER, DONE, STATUS, Kind, Plan, of_table

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_LATE = 2.0  # seconds, more than any reading waits


@contextmanager
def proxy(target: str, plan: Plan) -> Iterator[str]:
    """Stands before an address; yields the address to be used in its place."""
    behind = urlsplit(target)
    server = _Server((HOST, 0), type("Handler", (_Handler,), {"plan": plan, "behind": behind}))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield behind._replace(netloc=f"{HOST}:{server.server_address[1]}").geturl()
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says what failed, unless it is a connection that who asked gave up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plan: Plan
    behind: object

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, random, asked = self._struck(body)
        if kind is Kind.RESET_BEFORE:
            return self._reset()
        if kind is Kind.LATENCY:
            time.sleep(random.uniform(0.001, 0.1))
        if asked is not None and kind in ANSWERED:
            status, content, headers, said = aws_faults._answer(ANSWERED[kind], asked)
            if kind in DONE:
                self._pass_on(body)
            return self._answer(status, [("Content-Type", content), *headers], said)
        if asked is None and kind in STATUS:
            if kind in DONE:
                self._pass_on(body)
            status, said = STATUS[kind]
            return self._answer(status, [("Content-Type", "text/html" if said[:1] == b"<" else "application/json")], said)
        answer, said = self._pass_on(body)
        if kind is Kind.TIMEOUT:
            time.sleep(_LATE)
        if kind is Kind.RESET_AFTER:
            return self._reset()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        if kind is Kind.DATE:
            moved = format_datetime(datetime.now(UTC) + timedelta(hours=random.choice((-30, 6))), usegmt=True)
            headers = [(name, moved if name.lower() == "date" else value) for name, value in headers]
        kept = random.randrange(len(said)) if kind is Kind.TRUNCATED and said else None
        return self._answer(answer.status, headers, said, kept)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _exchange

    def _struck(self, body: bytes) -> tuple[Kind | None, Random, aws_faults._Request | None]:
        """What happens to this request, and how AWS would read it; None for the Control Center's."""
        path, _, query = self.path.partition("?")
        signed = self.headers.get("Authorization", "").startswith("AWS4") or "X-Amz-Target" in self.headers
        if not signed:
            return *self.plan.strike(CONTROL_CENTER, f"{self.command} {path}"), None
        environ = {
            "HTTP_X_AMZ_TARGET": self.headers.get("X-Amz-Target", ""),
            "HTTP_AUTHORIZATION": self.headers.get("Authorization", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
        }
        asked = aws_faults._read(environ, body)
        if USER_AGENT not in self.headers.get("User-Agent", ""):
            return None, Random(0), asked
        what = f"{asked.service}:{asked.operation}:{of_table(asked.text)}"
        return *self.plan.strike(asked.service or "", what), asked

    def _pass_on(self, body: bytes) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self.behind.hostname, self.behind.port, timeout=30)  # type: ignore[attr-defined]
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, kept: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # who asked has given up
            self.wfile.write(body if kept is None else body[:kept])
            self.wfile.flush()
        if kept is not None:
            self._reset()

    def _reset(self) -> None:
        """Breaks the connection off: the other side gets RST."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
