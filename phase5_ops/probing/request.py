"""What a probe sends and what comes back, as plain values. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

JSON = "application/json"


Pairs = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the Control Center; `path` is below its URL. The headers may hold a token and are not shown.

    Query, headers and body are mappings, or pairs where a name is given more than once. Header names are sent as spelled here.
    `raw` is a body that is no JSON object, sent instead of `body`.
    """

    method: str
    path: str
    query: Mapping[str, str] | Pairs = field(default_factory=dict)
    headers: Mapping[str, str] | Pairs = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | Pairs | None = None
    raw: str | None = None

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query_pairs)}" if self.query else self.path

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.raw is not None:
            return self.raw.encode()
        if self.body is None or isinstance(self.body, Mapping):
            return None if self.body is None else json.dumps(self.body).encode()
        return f"{{{', '.join(f'{json.dumps(name)}: {json.dumps(value)}' for name, value in self.body)}}}".encode()

    @property
    def query_pairs(self) -> list[tuple[str, Any]]:
        """Every field of the query, in order."""
        return pairs_of(self.query)

    @property
    def header_pairs(self) -> list[tuple[str, Any]]:
        """Every header, in order."""
        return pairs_of(self.headers)

    @property
    def body_pairs(self) -> list[tuple[str, Any]]:
        """Every field of the body's JSON object, in order; none without such a body."""
        return pairs_of(self.body or {})


def pairs_of(fields: Mapping[str, Any] | Pairs) -> list[tuple[str, Any]]:
    """The fields as pairs, in order."""
    return list(fields.items()) if isinstance(fields, Mapping) else list(fields)


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
