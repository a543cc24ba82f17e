"""What a probe sends and what comes back, as plain values. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the Control Center; `path` is below its URL. The headers may hold a token and are not shown.

    `raw` is a body that is no JSON, sent instead of `body`.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = None
    raw: str | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.raw is not None:
            return self.raw.encode()
        return None if self.body is None else json.dumps(self.body).encode()


class Problem(StrEnum):
    """Why an answer says nothing about the request."""

    DOWN = "down"  # no connection, or one that broke off
    TIMEOUT = "timeout"
    TLS = "tls"  # the server's certificate was not accepted
    REDIRECT = "redirect"
    HTML = "html"  # a page, not the API's answer
    TOO_LARGE = "too_large"
    SERVER_ERROR = "server_error"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """How an exchange ended.

    Attributes:
        status: the status code; None where none came.
        problem: why the status says nothing about the request; None if it does.
        detail: what happened, for a problem.
        body: the beginning of the body, redacted.
        latency_ms: from before the connection to the end of the body.
    """

    status: int | None
    problem: Problem | None
    detail: str
    body: str
    latency_ms: float
