"""A bounded HTTP client for the Control Center and Dagster: no redirects, no proxies, TLS verified, and every exchange ends.

urllib3 bounds each wait on a socket; a server that sends a byte a second never makes one of those waits too long. So each
connection has its own thread. When the time of an exchange is up, the thread is abandoned with its connection and ends at the
next byte. A request that was given up before its connection was established is not sent any more: nobody would look for its
effects. Nothing is retried: a request that was perhaps acted on must not be sent twice. A connection is used again only a moment
after its last exchange, since the other side may close an idle one just as a request goes out.
"""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTP_PORT, HTTPS_PORT
from queue import Empty, SimpleQueue
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from phase5_ops.input_files.json_text import json_value
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import HttpAnswer, Problem, Request
from phase5_ops.settings import LOOPBACK_HOSTS, ConfigurationError

MAX_BODY_BYTES = 64 * 1024
SHOWN_BODY = 400

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_CHUNK = 4096
_REUSED_WITHIN = 1.0  # seconds


class HttpClient:
    """Sends requests below one URL. Safe to use from several threads.

    `shown_body` is how many characters of a body are kept, redacted; None keeps all of it (up to `MAX_BODY_BYTES`) unredacted,
    for bodies that are parsed and not shown: a key's digits may look like a token. `plain_http` allows http where nothing secret
    is sent. `api_key` goes with every request as x-api-key: it names the program that asks, never the user. A body of more than
    `max_bytes` is an answer's problem.

    Raises:
        ConfigurationError: the URL is neither https nor of this machine.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        user_agent: str,
        redactor: Redactor,
        shown_body: int | None = SHOWN_BODY,
        plain_http: bool = False,
        api_key: str | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
        if parts.scheme != "https" and not (parts.scheme == "http" and (plain_http or host in LOOPBACK_HOSTS)):
            raise ConfigurationError("PHASE5_CONTROL_CENTER_URL: needs https:// (http:// is taken for a loopback address only)")
        self._url = parts
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout = timeout_seconds
        self._headers = {"User-Agent": user_agent, **({"x-api-key": api_key} if api_key else {})}
        self._redact = redactor
        self._shown = shown_body
        self._most = max_bytes
        self._idle: deque[_Line] = deque()

    def send(self, request: Request) -> HttpAnswer:
        """The answer to one request, or why there is none. Never raises for what the network or the server does."""
        started = time.perf_counter()
        line = self._line()
        result = line.exchange(request)
        if result is not None:
            self._idle.append(line)
        status, problem, detail, body = result or (None, Problem.TIMEOUT, f"no whole answer within {self._timeout:g} s", b"")
        latency = (time.perf_counter() - started) * 1000
        text = body.decode("utf-8", "replace")
        shown = text if self._shown is None else self._redact(text)[: self._shown]
        return HttpAnswer(status, problem, self._redact(detail)[:SHOWN_BODY], shown, round(latency, 1))

    def _line(self) -> "_Line":
        """An idle line, else a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            line = _Line(self._url, self._timeout, self._headers, self._context, self._most)
            line.start(self._idle)
            return line


_Result = tuple[int | None, Problem | None, str, bytes]


class _Line:
    """A connection, and the thread that makes one exchange after the other over it."""

    def __init__(
        self, url: SplitResult, timeout: float, headers: Mapping[str, str], context: ssl.SSLContext | None, most: int
    ) -> None:
        self._url, self._timeout, self._headers, self._context, self._most = url, timeout, headers, context, most
        self._connection: HTTPConnection | None = None
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._results: SimpleQueue[_Result] = SimpleQueue()
        self._given_up = False

    def start(self, idle: deque["_Line"]) -> None:
        """Begins to wait for requests; between two of them the line is in `idle`, and it ends if none comes."""
        threading.Thread(target=self._run, args=(idle,), daemon=True, name="probe").start()

    def exchange(self, request: Request) -> _Result | None:
        """The answer, or what went wrong; None if it did not come in time: the line is then unusable."""
        self._requests.put(request)
        try:
            return self._results.get(timeout=self._timeout)
        except Empty:
            self._given_up = True
            return None

    def _run(self, idle: deque["_Line"]) -> None:
        while not self._given_up:
            try:
                request = self._requests.get(timeout=_REUSED_WITHIN)
            except Empty:
                with suppress(ValueError):  # another thread has just taken the line: a request will come
                    idle.remove(self)
                    break
                continue
            try:
                result = self._exchange(request)
            except Exception as error:  # noqa: BLE001 - the border: whatever the network does becomes the answer's problem
                result = (None, *_describe(error), b"")
                self._close()
            self._results.put(result)
        self._close()

    def _exchange(self, request: Request) -> _Result:
        headers = urllib3.HTTPHeaderDict(self._headers)
        for name, value in request.header_pairs:
            headers.add(name, value)
        connection = self._connected()
        if self._given_up:  # a handshake can take long
            raise TimeoutError("given up before the connection was established")
        connection.request(
            request.method,
            self._url.path.rstrip("/") + request.target,
            body=request.content,
            headers=headers,
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        body = self._body(response)
        if not response.closed:  # unread bytes would begin the next answer
            self._close()
        return (response.status, *_classify(response, body, self._most), body[: self._most])

    def _connected(self) -> HTTPConnection:
        """The connection of the last exchange where it still stands, else a new one."""
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        self._close()
        host, port = str(self._url.hostname), self._url.port
        if self._context is None:
            self._connection = HTTPConnection(host, port or HTTP_PORT, timeout=self._timeout)
        else:
            self._connection = HTTPSConnection(host, port or HTTPS_PORT, timeout=self._timeout, ssl_context=self._context)
        self._connection.connect()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """The body as it comes, at most one chunk beyond the limit; `read` would wait for a whole chunk."""
        body = bytearray()
        while len(body) <= self._most and not self._given_up and (chunk := response.read1(_CHUNK)):
            body += chunk
        return bytes(body)


def _classify(response: urllib3.BaseHTTPResponse, body: bytes, most: int) -> tuple[Problem | None, str]:
    """Whether the answer says anything about the request; a refusal does, whatever its body looks like."""
    status = response.status
    if status in _REFUSALS:
        return None, ""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = urlsplit(response.headers.get("Location", ""))._replace(query="", fragment="")
        return Problem.REDIRECT, f"HTTP {status} to {target.geturl() or 'nowhere'}, which was not followed"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Problem.THROTTLED, "HTTP 429"
    if "html" in response.headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<":
        return Problem.HTML, f"HTTP {status} with an HTML page instead of JSON"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Problem.SERVER_ERROR, f"HTTP {status}"
    if len(body) > most:
        return Problem.TOO_LARGE, f"HTTP {status} with a body of more than {most} bytes"
    return None, ""


def _describe(error: Exception) -> tuple[Problem, str]:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ssl.SSLError):
        return Problem.TLS, text
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return Problem.TIMEOUT, text
    if isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError)):
        return Problem.TIMEOUT, text
    return Problem.DOWN, text


def json_of(client: Callable[[Request], HttpAnswer], request: Request) -> object:
    """The JSON of a 200 answer.

    Raises:
        ValueError: any other answer.
    """
    answer = client(request)
    if answer.status != HTTPStatus.OK or answer.problem is not None:
        raise ValueError(answer.detail or f"HTTP {answer.status}")
    return json_value(answer.body)
