"""Faults that the sandbox's AWS can be told to show: throttling, refusals, server errors, HTML, slowness, bad pages.

`wrap` is WSGI middleware around the whole endpoint, so that a fault works for any service; it knows a request by its
`X-Amz-Target` header, its `Action` form field or its signature. Statuses inside a GetMetricData answer and of an alarm's
evaluation are looked up here by the sandbox's CloudWatch.

A sandbox in another process takes faults over HTTP, at `/phase5-sandbox/faults`: POST a JSON object with the arguments of
`Faults.add`, GET to list them, DELETE to remove them all.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from phase5_ops.sandbox.aws.direct_requests import served_directly
from phase5_ops.sandbox.aws.dynamodb import StartResponse, WsgiApp
from phase5_ops.sandbox.aws.kept_open import KeptOpenHandler

PATH = "/phase5-sandbox/faults"

HTTP_KINDS = frozenset({"throttle", "throughput", "denied", "expired", "skewed", "error500", "html", "slow", "bad_page"})
"""Faults of a whole call: `bad_page` fails calls for a further page (error 500) and lets first pages through; `throughput` is
DynamoDB's own throttling, `expired` refuses credentials whose time is over, and `skewed` signatures of another time.
"""
CLOUDWATCH_KINDS = frozenset({"partial", "internal_error", "forbidden", "message"})
"""Faults inside an answer: of GetMetricData (status of a result, a message) or, with operation EvaluateAlarm, of an alarm."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        kind: of HTTP_KINDS or CLOUDWATCH_KINDS.
        operation: the API operation (`GetMetricData`, `Scan`), or None for every one.
        service: the service as its signature names it (`monitoring`, `dynamodb`, `s3`), or None for every one.
        match: a text that must occur in the request's body or path (a table's name), or in the query or alarm; None for any.
        after_page: pages of a listing that are answered before the fault begins.
        times: how often it happens; None for always.
        seconds: how long `slow` waits before the true answer.
        hits: how often it has happened.
    """

    kind: str
    operation: str | None = None
    service: str | None = None
    match: str | None = None
    after_page: int = 0
    times: int | None = None
    seconds: float = 30.0
    hits: int = 0
    page: int = 0

    def concerns(self, operation: str | None, service: str | None, text: str) -> bool:
        """Whether a request, query or alarm is of the kind this fault strikes."""
        return (
            self.operation in (None, operation)
            and self.service in (None, service)
            and (self.match is None or self.match in text)
            and (self.times is None or self.hits < self.times)
        )


class Faults:
    """The faults in force. Safe to use from several threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        kind: str,
        *,
        operation: str | None = None,
        service: str | None = None,
        match: str | None = None,
        after_page: int | None = None,
        times: int | None = None,
        seconds: float = 30.0,
    ) -> Fault:
        """Puts a fault in force; see `Fault` for the arguments. `after_page` is 1 for bad_page unless said otherwise.

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in HTTP_KINDS | CLOUDWATCH_KINDS:
            raise ValueError(f"unknown fault {kind!r}; one of {', '.join(sorted(HTTP_KINDS | CLOUDWATCH_KINDS))}")
        pages = after_page if after_page is not None else int(kind == "bad_page")
        fault = Fault(kind, operation, service, match, pages, times, seconds)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Ends all faults."""
        with self._lock:
            self._faults.clear()

    def list(self) -> list[dict[str, Any]]:
        """The faults in force, with their hits."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def strike(
        self,
        kinds: frozenset[str],
        operation: str | None,
        *,
        service: str | None = None,
        text: str = "",
        further_page: bool = False,
    ) -> Fault | None:
        """The first fault of `kinds` that strikes now; its hits are counted."""
        with self._lock:
            for fault in self._faults:
                if fault.kind not in kinds or not fault.concerns(operation, service, text):
                    continue
                fault.page = fault.page + 1 if further_page else 1
                if fault.page > fault.after_page:
                    fault.hits += 1
                    return fault
        return None


@dataclass(frozen=True, slots=True)
class _Request:
    operation: str | None
    service: str | None
    protocol: str  # json, query, rest-xml, rest-json
    text: str
    further_page: bool


_TOKEN = re.compile(r'"?(?:[Nn]extToken|ExclusiveStartKey|[Mm]arker|nextForwardToken)"?\s*[:=]\s*[^,}&\s]')
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")
_CBOR_PATH = re.compile(r"/service/[^/]+/operation/(?P<operation>\w+)")


def _read(environ: Mapping[str, Any], body: bytes) -> _Request:
    text = body.decode("utf-8", "replace")
    scope = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope["service"] if scope else None
    path = f"{environ.get('PATH_INFO', '')}?{environ.get('QUERY_STRING', '')}"
    further = bool(_TOKEN.search(text) or _TOKEN.search(path))
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return _Request(target.split(".")[-1], service, "json", text, further)
    if cbor := _CBOR_PATH.match(environ.get("PATH_INFO", "")):
        return _Request(cbor["operation"], service, "json", text, further)
    if action := parse_qs(text).get("Action") or parse_qs(environ.get("QUERY_STRING", "")).get("Action"):
        return _Request(action[0], service, "query", text, further)
    return _Request(None, service, "rest-xml" if service == "s3" else "rest-json", text + path, further)


_CODES = {  # kind -> status, code of query protocols and CloudWatch, code of JSON protocols, code of S3
    "throttle": (400, "Throttling", "ThrottlingException", "SlowDown"),
    "throughput": (400, "Throttling", "ProvisionedThroughputExceededException", "SlowDown"),
    "denied": (403, "AccessDenied", "AccessDeniedException", "AccessDenied"),
    "expired": (403, "ExpiredToken", "ExpiredTokenException", "ExpiredToken"),
    "skewed": (403, "SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed"),
    "error500": (500, "InternalFailure", "InternalServerError", "InternalError"),
    "bad_page": (500, "InternalFailure", "InternalServerError", "InternalError"),
}
_REASONS = {400: "Bad Request", 403: "Forbidden", 500: "Internal Server Error", 502: "Bad Gateway"}
_MESSAGES = {
    "throttle": "Rate exceeded",
    "throughput": "The level of configured provisioned throughput for the table was exceeded.",
    "expired": "The security token included in the request is expired",
    "skewed": "Signature expired: 20261123T060000Z is now earlier than 20261123T115500Z (20261123T120000Z - 5 min.)",
    "denied": "User is not authorized to perform this action because no identity-based policy allows it",
    "error500": "The request processing has failed because of an unknown error, exception or failure.",
    "bad_page": "The request processing has failed because of an unknown error, exception or failure.",
}


def _answer(kind: str, request: _Request) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """Status, content type, headers and body of a fault, in the shape of the request's protocol."""
    if kind == "html":
        return 502, "text/html", [], b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    status, query_code, json_code, s3_code = _CODES[kind]
    message = _MESSAGES[kind]
    if request.protocol == "query":
        sender = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own border
        body = (
            f"<ErrorResponse><Error><Type>{sender}</Type><Code>{query_code}</Code><Message>{escape(message)}</Message></Error>"
            "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )
        return status, "text/xml", [], body.encode()
    if request.protocol == "rest-xml":
        status = 503 if kind == "throttle" else status
        body = f"<Error><Code>{s3_code}</Code><Message>{escape(message)}</Message></Error>"
        return status, "application/xml", [], body.encode()
    code = query_code if request.service == "monitoring" else json_code
    if status == 403 and request.protocol == "json" and request.service != "monitoring":  # noqa: PLR2004 - HTTP's own
        status = 400
    content = "application/x-amz-json-1.0" if request.protocol == "json" else "application/json"
    body_json = json.dumps({"__type": code, "message": message, "Message": message})
    return status, content, [("x-amzn-ErrorType", code)], body_json.encode()


def wrap(app: WsgiApp, faults: Faults, before: Callable[[], None] = lambda: None) -> WsgiApp:
    """The application, with `faults` in front of it; `before` is called ahead of each request."""

    def faulty(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        if environ.get("PATH_INFO") == PATH:
            return _control(faults, environ["REQUEST_METHOD"], body, start_response)
        before()
        request = _read(environ, body)
        fault = faults.strike(
            HTTP_KINDS, request.operation, service=request.service, text=request.text, further_page=request.further_page
        )
        if fault is None:
            return app(environ, start_response)
        if fault.kind == "slow":
            time.sleep(fault.seconds)
            return app(environ, start_response)
        status, content, headers, answer = _answer(fault.kind, request)
        return _respond(start_response, status, content, answer, headers)

    return faulty


def _respond(
    start_response: StartResponse, status: int, content: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    reason = _REASONS.get(status, "OK" if status < 400 else "Error")  # noqa: PLR2004 - HTTP's own border
    start_response(f"{status} {reason}", [("Content-Type", content), ("Content-Length", str(len(body))), *headers])
    return [body]


def _control(faults: Faults, method: str, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
    """The HTTP interface of the registry."""
    if method == "DELETE":
        faults.clear()
    if method == "POST":
        try:
            faults.add(**json.loads(body))
        except (TypeError, ValueError) as error:
            return _respond(start_response, 400, "application/json", json.dumps({"error": str(error)}).encode())
    return _respond(start_response, 200, "application/json", json.dumps({"faults": faults.list()}).encode())


class _MotoHandler(KeptOpenHandler, MotoRequestHandler):  # type: ignore[misc]  # moto is not typed
    """Reads headers as moto does, and keeps connections open."""


_LOOKS_FOR_ITS_END_SECONDS = 0.02


class FaultableMotoServer(ThreadedMotoServer):  # type: ignore[misc]  # moto is not typed
    """moto's threaded server with faults in front of it.

    Attributes:
        before: called ahead of each request; may change while it serves.
    """

    def __init__(self, faults: Faults, ip_address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(ip_address, port, verbose=False)
        self._faults = faults
        self.before: Callable[[], None] = lambda: None

    def _server_entry(self) -> None:
        def before() -> None:
            self.before()

        app = wrap(served_directly(DomainDispatcherApplication(create_backend_app)), self._faults, before)
        self._server = make_server(self._ip_address, self._port, app, True, request_handler=_MotoHandler)
        self._server_ready_event.set()
        self._server.serve_forever(poll_interval=_LOOKS_FOR_ITS_END_SECONDS)

    @property
    def endpoint(self) -> str:
        """The server's URL, once it is started."""
        host, port = self.get_host_and_port()
        return f"http://{host}:{port}"
