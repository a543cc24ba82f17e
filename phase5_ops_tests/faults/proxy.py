"""A TCP proxy between the code and a sandbox that strikes at real connections: the same plans as `injection`, on sockets.

It stands before one address. Each connection carries one exchange after the other; a request is read whole, struck or passed on,
and its answer is passed back, cut off after some of its bytes, late, reset, or replaced by what the service would answer.
"""

import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import ThreadingHTTPServer
from random import Random
from urllib.parse import SplitResult, urlsplit

from phase5_ops.aws.reader import USER_AGENT
from phase5_ops.sandbox.aws import faults as aws_faults
from phase5_ops.sandbox.ports import HOST
from phase5_ops_tests.faults.injection import ANSWERED, CONTROL_CENTER, DONE, STATUS, Kind, Plan, of_table
from phase5_ops_tests.forwarding import Forwarding, serving

_SECONDS = 30.0
_LATE = 2.0  # seconds, more than any reading waits


@contextmanager
def proxy(target: str, plan: Plan) -> Iterator[str]:
    """Stands before an address; yields the address to be used in its place."""
    behind = urlsplit(target)
    server = _Server((HOST, 0), type("Handler", (_Handler,), {"plan": plan, "behind": behind}))
    with serving(server) as address:
        yield behind._replace(netloc=address).geturl()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says what failed, unless it is a connection that who asked gave up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(Forwarding):
    plan: Plan
    behind: SplitResult

    def _exchange(self) -> None:
        body = self.body()
        kind, random, asked = self._struck(body)
        if kind is Kind.RESET_BEFORE:
            return self._reset()
        if kind is Kind.LATENCY:
            time.sleep(random.uniform(0.001, 0.1))
        if asked is not None and kind in ANSWERED:
            status, content, headers, said = aws_faults._answer(ANSWERED[kind], asked)
            if kind in DONE:
                self.pass_on(self.behind, body, _SECONDS)
            return self._answer(status, [("Content-Type", content), *headers], said)
        if asked is None and kind in STATUS:
            if kind in DONE:
                self.pass_on(self.behind, body, _SECONDS)
            status, said = STATUS[kind]
            return self._answer(status, [("Content-Type", "text/html" if said[:1] == b"<" else "application/json")], said)
        status, headers, said = self.pass_on(self.behind, body, _SECONDS)
        if kind is Kind.TIMEOUT:
            time.sleep(_LATE)
        if kind is Kind.RESET_AFTER:
            return self._reset()
        if kind is Kind.DATE:
            moved = format_datetime(datetime.now(UTC) + timedelta(hours=random.choice((-30, 6))), usegmt=True)
            headers = [(name, moved if name.lower() == "date" else value) for name, value in headers]
        kept = random.randrange(len(said)) if kind is Kind.TRUNCATED and said else None
        return self._answer(status, headers, said, kept)

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

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, kept: int | None = None) -> None:
        with suppress(OSError):  # who asked has given up
            self.answer(status, headers, body, kept)
            self.wfile.flush()
        if kept is not None:
            self._reset()

    def _reset(self) -> None:
        """Breaks the connection off: the other side gets RST."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
