"""What servers have in common that stand before a sandbox: a request is read whole, and may be passed on and answered."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult

from phase5_ops.sandbox.ports import HOST

#: Headers of one connection, which the next one has of its own.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serves on a thread; yields host and port."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Forwarding(BaseHTTPRequestHandler):
    """A handler that can pass a request on, and answer it."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        """The request's."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def pass_on(self, target: SplitResult, body: bytes, seconds: float) -> tuple[int, list[tuple[str, str]], bytes]:
        """What is at an address answers: status, headers as they are passed back, body."""
        connection = HTTPConnection(str(target.hostname), target.port, timeout=seconds)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP], said
        finally:
            connection.close()

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes, kept: int | None = None) -> None:
        """Answers; `kept`: of the body only so many bytes are sent."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:kept])

    def log_message(self, *_: object) -> None:
        """Says nothing."""
