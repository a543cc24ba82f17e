"""Whatever comes back over HTTP: answers of the Control Center and the decision API, and key sets of the user pool."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue

from phase5_ops.probing.client import MAX_BODY_BYTES, SHOWN_BODY, HttpClient
from phase5_ops.probing.forge import OTHER_CLAIMS, Forger
from phase5_ops.probing.identity import KeySetClient
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import HttpAnswer, Request
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sandbox.control_center.memory_platform import JWK, MemoryPool

READS = "HTTP answers of the Control Center, the decision API and the pool's key set (`probing/client`, `identity`, `forge`)"
MALFORMED = "an answer with a problem, which says nothing about the request, or `ValueError`: no token is forged with such a key"

SECRET = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlc2lnbmF0dXJl"
SECONDS = 3.0
PIECES = (
    "\r\n",
    "\n\n",
    "\r\n\r\n",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 99999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Location: //[x\r\n",
    "Content-Type: text/html\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
    "a: " + "b" * 70_000,
    "x: y\r\n" * 200,
    f"Bearer {SECRET}",
)


class _Server:
    """Answers each connection's request with the bytes that it was given, and closes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.answers: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="raw answers").start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (some := connection.recv(4096)):
                    request += some
                try:
                    connection.sendall(self.answers.get())
                except OSError:
                    continue  # the client has seen enough


@cache
def _server() -> _Server:
    return _Server()


@contextmanager
def _answering(content: bytes) -> Iterator[str]:
    server = _server()
    server.answers.put(content)
    yield f"http://127.0.0.1:{server.port}"


def _raw(source: Source, body: str) -> bytes:
    """An answer as it goes over the wire, with a few places changed."""
    status = source.one_of((200, 202, 204, 299, 301, 304, 400, 401, 404, 429, 500, 100, 999))
    content = body.encode("utf-8", "surrogatepass")
    if source.chance(4):
        length = f"Transfer-Encoding: chunked\r\n\r\n{len(content):x}\r\n".encode() + content + b"\r\n0\r\n\r\n"
    else:
        said = len(content) + (source.number(200) - 100 if source.chance(4) else 0)
        length = f"Content-Length: {said}\r\n\r\n".encode() + content
    head = (
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nLocation: {source.one_of(('', '/next', '//[x', 'x:%'))}\r\n"
    )
    whole = head.encode() + length
    if not source.chance(2):
        return whole
    text = source.spliced(whole.decode("latin-1"), PIECES)
    return text.encode("latin-1", "replace")


def fuzz(data: bytes) -> None:
    """Reads an altered answer, and forges tokens with the key of an altered key set."""
    source = Source(data)
    body = source.json_text(source.changed({"message": f"Bearer {SECRET}", "items": [1, {"tenant": "b"}]}))
    if source.chance(12):
        body = body * (MAX_BODY_BYTES // max(len(body), 1) + 2)
    raw = _raw(source, body)
    began = time.monotonic()
    with _answering(raw) as url:
        client = HttpClient(url, timeout_seconds=SECONDS, user_agent="fuzz", redactor=Redactor(SECRET))
        answer = client.send(Request("GET", "/x"))
    assert time.monotonic() - began < SECONDS + 1, "the exchange has no end"
    _is_told(answer)
    assert data or (answer.status, answer.problem) == (200, None), f"the sound answer is refused: {answer}"
    _keys(source, fits=not data)


def _is_told(answer: HttpAnswer) -> None:
    """Holds for every answer, whatever came."""
    assert (answer.status is None) <= (answer.problem is not None), "no status and no problem"
    assert len(answer.body) <= SHOWN_BODY, "too much of a body is kept"
    assert len(answer.detail) <= SHOWN_BODY, "too much is said of a problem"
    assert SECRET not in answer.body + answer.detail, "a secret is kept"
    said_yes = answer.status is not None and answer.status < 300 and answer.problem is None
    assert not said_yes or answer.status >= 200, "an answer that is none yet says yes"


def _keys(source: Source, *, fits: bool) -> None:
    """Forges with what an altered key set says."""
    keys = source.changed({"keys": [{"kid": "other", "kty": "EC"}, JWK]})
    raw = _raw(source, source.json_text(keys))
    token = MemoryPool().token()
    with _answering(raw) as url:
        try:
            jwk = KeySetClient(url, "pool-1", SECONDS, "fuzz").signing_key(token)
            forger = Forger(token, jwk, "tenant-b")
            forged = {kind: forger.token(kind) for kind in (*forger.kinds, *OTHER_CLAIMS)}
        except ValueError as error:
            assert not fits, f"the sound key set is refused: {error}"
            assert str(error), "does not say why"
        else:
            assert token not in forged.values(), "a genuine token counts as a forged one"
            json.dumps(forged).encode()
