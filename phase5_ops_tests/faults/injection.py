"""Faults between the code and the sandbox, drawn at random with a seed: below botocore, and below the Control Center's client.

It strikes where bytes are sent and read: an answer is cut off after some of its bytes, a connection breaks before or after the
request was acted on, and an answer that comes too late is one that the service has given. Of requests to AWS those of the product
are struck (see `USER_AGENT`). A draw depends on the seed, on what is asked and how often it was asked before, not on the order of
threads; only which requests come after credentials have expired, or are struck in any case, does.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from http.client import RemoteDisconnected
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse
from urllib3.exceptions import ReadTimeoutError as LateAnswer

from phase5_ops.aws.reader import USER_AGENT
from phase5_ops.probing import client as control_center
from phase5_ops.sandbox.aws import faults as aws_faults


class Kind(StrEnum):
    """What happens to a request or its answer."""

    LATENCY = "latency"  # the answer comes later, in time
    TIMEOUT = "timeout"  # it comes too late
    THROTTLED = "throttled"
    THROUGHPUT = "throughput"  # DynamoDB's own throttling
    RESET_BEFORE = "reset before the request was sent"
    RESET_AFTER = "reset after the request was acted on"
    TRUNCATED = "truncated body"
    ERROR_500 = "error 500"
    ERROR_500_DONE = "error 500 of a request that was acted on"
    GATEWAY = "a gateway's HTML page"
    SKEWED = "signature of another time refused"
    DATE = "Date of another time"
    EXPIRED = "credentials expired in the middle"


CONTROL_CENTER = "control-center"
_ONE_BY_ONE = tuple(kind for kind in Kind if kind is not Kind.EXPIRED)
ANSWERED = {  # with what the service, in its own shape, answers
    Kind.THROTTLED: "throttle",
    Kind.THROUGHPUT: "throughput",
    Kind.ERROR_500: "error500",
    Kind.ERROR_500_DONE: "error500",
    Kind.GATEWAY: "html",
    Kind.SKEWED: "skewed",
    Kind.EXPIRED: "expired",
}
STATUS = {  # of the Control Center
    Kind.THROTTLED: (429, b'{"message":"Too Many Requests"}'),
    Kind.THROUGHPUT: (429, b'{"message":"Limit Exceeded"}'),
    Kind.ERROR_500: (500, b'{"message":"Internal server error"}'),
    Kind.ERROR_500_DONE: (500, b'{"message":"Internal server error"}'),
    Kind.GATEWAY: (502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    Kind.SKEWED: (403, b'{"message":"Signature expired"}'),
    Kind.EXPIRED: (401, b'{"message":"The incoming token has expired"}'),
}
DONE = {Kind.RESET_AFTER, Kind.TRUNCATED, Kind.ERROR_500_DONE, Kind.DATE, Kind.LATENCY}


@dataclass
class Plan:
    """What strikes the requests of one run or tick.

    Attributes:
        seed: what everything is drawn from.
        share: of requests that are struck.
        kinds: that strike.
        services: whose requests are struck ("control-center" among them); None for all.
        certain: the request, by number, that is struck in any case.
        expires_after: requests after which credentials have expired; None for never.
        injected: how often each kind struck.
    """

    seed: str
    share: float
    kinds: tuple[Kind, ...]
    services: frozenset[str] | None = None
    certain: int = 1
    expires_after: int | None = None
    injected: Counter[Kind] = field(default_factory=Counter)
    requests: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def drawn(cls, seed: str, longest: int) -> "Plan":
        """A plan for some `longest` requests: a few faults of all kinds, many of one, or an outage of one service."""
        random = Random(seed)
        kinds = _ONE_BY_ONE if random.random() < 0.4 else tuple(random.sample(_ONE_BY_ONE, random.randint(1, 3)))
        services = frozenset(random.sample(SERVICES, random.randint(1, 3))) if random.random() < 0.3 else None
        share = random.choice((0.01, 0.02, 0.05, 0.1, 0.3) if services is None else (0.05, 0.2, 0.5, 1.0))
        expires = random.randint(1, longest) if random.random() < 0.15 else None
        return cls(seed, share, kinds, services, random.randint(2, longest // 2), expires)

    def strike(self, service: str, what: str) -> "tuple[Kind | None, Random]":
        """What happens to a request, and what its details are drawn from."""
        with self._lock:
            self.requests += 1
            expired = self.expires_after is not None and self.requests > self.expires_after
            self._asked[what] += 1
            random = Random(f"{self.seed}/{what}/{self._asked[what]}")
            kind = None
            if expired:
                kind = Kind.EXPIRED
            elif self.requests == self.certain or (self._concerns(service) and random.random() < self.share):
                kind = random.choice(self.kinds)
            if kind is not None:
                self.injected[kind] += 1
            return kind, random

    def _concerns(self, service: str) -> bool:
        return self.services is None or service in self.services

    def __str__(self) -> str:
        where = "all services" if self.services is None else ", ".join(sorted(self.services))
        expiring = "" if self.expires_after is None else f"; credentials expire after {self.expires_after} requests"
        return f"{self.share:.1%} of requests to {where}: {', '.join(self.kinds)}{expiring}"


#: As their signatures name them.
SERVICES = (
    "dynamodb", "monitoring", "logs", "lambda", "events", "ce", "iam", "sns", "sts", "kms", "cognito-idp", "ssm", "budgets",
    "cloudtrail", "s3", CONTROL_CENTER,
)  # fmt: skip


@contextmanager
def injected(plan: Plan) -> Iterator[Plan]:
    """In this block the product's requests are struck, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        send = URLLib3Session.send
        patch.setattr(URLLib3Session, "send", lambda session, request: _sent(plan, send, session, request))
        patch.setattr(control_center, "HTTPConnection", _struck_connection(plan, control_center.HTTPConnection))
        yield plan


# --- AWS ---------------------------------------------------------------------------------------------------------------------


def _sent(plan: Plan, send: Any, session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
    if USER_AGENT not in _text(request.headers.get("User-Agent", "")):
        return send(session, request)
    asked = _asked(request)
    kind, random = plan.strike(asked.service or "", f"{asked.service}:{asked.operation}:{of_table(asked.text)}")
    if kind is Kind.RESET_BEFORE:
        raise ConnectionClosedError(error=ConnectionResetError(104, "reset"), request=request, endpoint_url=request.url)
    if kind is Kind.LATENCY:
        time.sleep(random.uniform(0.001, 0.1))
    if kind is Kind.TIMEOUT:
        if random.random() < 0.5:
            send(session, request)
        time.sleep(_read_timeout(session))
        raise ReadTimeoutError(endpoint_url=request.url, error=TimeoutError("timed out"))
    answer = send(session, request) if kind is None or kind in DONE else None
    if kind is Kind.RESET_AFTER:
        raise ConnectionClosedError(error=RemoteDisconnected("closed"), request=request, endpoint_url=request.url)
    if kind is Kind.TRUNCATED:
        return _cut(request, answer, random)
    if kind is Kind.DATE:
        answer.headers["Date"] = format_datetime(
            datetime.now(UTC) + timedelta(hours=random.choice((-30, -6, 6, 30))), usegmt=True
        )
    if kind in ANSWERED:
        status, content, headers, body = aws_faults._answer(ANSWERED[kind], asked)
        return _answer(request, status, [("Content-Type", content), ("Content-Length", str(len(body))), *headers], body)
    return answer


def _asked(request: AWSPreparedRequest) -> Any:
    url = urlsplit(request.url)
    environ = {
        "HTTP_X_AMZ_TARGET": _text(request.headers.get("X-Amz-Target", "")),
        "HTTP_AUTHORIZATION": _text(request.headers.get("Authorization", "")),
        "PATH_INFO": url.path,
        "QUERY_STRING": url.query,
    }
    body = request.body
    return aws_faults._read(environ, body.encode() if isinstance(body, str) else bytes(body or b""))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def of_table(text: str) -> str:
    """The table that a request is about, since threads read several at once."""
    return text.partition('"TableName"')[2][:60].split('"')[1] if '"TableName"' in text else ""


def _read_timeout(session: URLLib3Session) -> float:
    timeout = session._timeout
    return float(getattr(timeout, "read_timeout", timeout))


def _cut(request: AWSPreparedRequest, answer: AWSResponse, random: Random) -> AWSResponse:
    """The answer with a part of its body: none, some, or all but the last byte."""
    content = answer.raw.read() if request.stream_output else answer.content
    if not content:
        raise ConnectionClosedError(error=RemoteDisconnected("closed"), request=request, endpoint_url=request.url)
    kept = random.choice((0, random.randrange(len(content)), len(content) - 1))
    headers = [(name, value) for name, value in answer.headers.items() if name.lower() != "content-length"]
    return _answer(request, answer.status_code, [*headers, ("Content-Length", str(len(content)))], content[:kept])


def _answer(request: AWSPreparedRequest, status: int, headers: list[tuple[str, str]], body: bytes) -> AWSResponse:
    raw = HTTPResponse(
        BytesIO(body), headers, status, preload_content=False, decode_content=False, enforce_content_length=False
    )  # as botocore reads: it does not compare lengths
    answer = AWSResponse(request.url, status, raw.headers, raw)
    if not request.stream_output:
        _ = answer.content
    return answer


# --- the Control Center ------------------------------------------------------------------------------------------------------


def _struck_connection(plan: Plan, connection: type[Any]) -> type[Any]:
    class Struck(connection):
        """A connection of the product's own client."""

        def request(self, method: str, url: str, **given: Any) -> None:
            self.struck, self.random = plan.strike(CONTROL_CENTER, f"{method} {url.partition('?')[0]}")
            if self.struck is Kind.RESET_BEFORE:
                raise ConnectionResetError(104, "reset")
            super().request(method, url, **given)

        def getresponse(self) -> Any:
            kind, random = self.struck, self.random
            if kind is Kind.LATENCY:
                time.sleep(random.uniform(0.001, 0.1))
            if kind in STATUS and kind not in DONE:
                return _response(*STATUS[kind])
            answer = super().getresponse()
            if kind is Kind.TIMEOUT:
                time.sleep(0.2)
                raise LateAnswer(None, None, "timed out")
            if kind is Kind.RESET_AFTER:
                raise RemoteDisconnected("closed")
            if kind is Kind.ERROR_500_DONE:
                return _response(*STATUS[kind])
            if kind is Kind.TRUNCATED:
                body = answer.read()
                return _response(answer.status, body[: random.randrange(len(body)) if body else 0], len(body) + (not body))
            return answer

    return Struck


def _response(status: int, body: bytes, length: int | None = None) -> HTTPResponse:
    kind = "text/html" if body[:1] == b"<" else "application/json"
    headers = {"Content-Type": kind, "Content-Length": str(len(body) if length is None else length)}
    return HTTPResponse(BytesIO(body), headers, status, preload_content=False, decode_content=False, enforce_content_length=True)
