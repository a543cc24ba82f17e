"""One AWS endpoint for several sandboxes, as AWS itself is one for several accounts: the role that was assumed tells which.

An AssumeRole goes to the sandbox of the role that it names; the access key that it gives leads there from then on, and the
address of a user pool's keys, which anybody may read, to the sandbox that has the pool. A call with other credentials is refused,
so that a process which forgot its environment's role reaches no platform at all.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from phase5_ops.sandbox.ports import HOST

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_KEY = re.compile(r"Credential=([^/]+)/")
_GIVEN = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")


@contextmanager
def aws_by_role(sandboxes: Mapping[str, str], pools: Mapping[str, str]) -> Iterator[str]:
    """Yields the endpoint; behind it are the endpoints of sandboxes, by the ARN of the role and by the id of the user pool."""
    handler = type("Handler", (_Handler,), {"sandboxes": dict(sandboxes), "keys": {}, "pools": dict(pools)})
    server = ThreadingHTTPServer((HOST, 0), handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sandboxes: ClassVar[dict[str, str]]
    keys: ClassVar[dict[str, str]]
    pools: ClassVar[dict[str, str]]

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        role = parse_qs(body.decode("latin-1")).get("RoleArn", [""])[0] if b"Action=AssumeRole&" in body else None
        if role is not None:
            target = self.sandboxes.get(role)
        elif found := _KEY.search(self.headers.get("Authorization", "")):
            target = self.keys.get(found.group(1))
        else:
            target = self.pools.get(self.path.split("/")[1])
        if target is None:
            self._answer(
                HTTPStatus.FORBIDDEN, [], b"<Error><Code>AccessDenied</Code><Message>no such role here</Message></Error>"
            )
            return
        answer, said = self._pass_on(target, body)
        if role is not None and (given := _GIVEN.search(said)):
            self.keys[given.group(1).decode()] = target
        self._answer(answer.status, [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP], said)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _exchange

    def _pass_on(self, target: str, body: bytes) -> tuple[HTTPResponse, bytes]:
        behind = urlsplit(target)
        connection = HTTPConnection(str(behind.hostname), behind.port, timeout=60)
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

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""
