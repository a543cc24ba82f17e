"""A Control Center on tables that are Python dictionaries, and an AWS reader of the same tables: no server, no moto.

For tests that put many requests to many Control Centers. It serves what the Control Center and the probes ask of DynamoDB and no
more; what it does not know raises.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from phase5_ops.aws.reader import Answer
from phase5_ops.probing.request import HttpAnswer, Problem, Request
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.aws.inside import from_item, to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.ccnative.ledger_writer import LedgerWriter
from phase5_ops.sandbox.control_center.authorizer import Authorizer
from phase5_ops.sandbox.control_center.planted_calls import RAW_HEADERS
from phase5_ops.sandbox.control_center.routes import ControlCenter
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS, A, ProbeTenant

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_KEYS = {
    "cc-native-tenants": ("tenantId",),
    "cc-native-accounts": ("tenantId", "accountId"),
    "cc-native-signals": ("tenantId", "signalId"),
}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = {**json.loads(RSAAlgorithm.to_jwk(_KEY.public_key())), "kid": "pool-key", "alg": "RS256", "use": "sig"}
CLIENT, OTHER_CLIENT = "web-client", "reporting-client"


class MemoryTables:
    """The tables: DynamoDB JSON by table and key."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}

    def key(self, table: str, item: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(item[name]["S"] for name in _KEYS.get(table, ("pk", "sk")))

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        self.tables.setdefault(table, {})[self.key(table, item)] = dict(item)

    def get(self, table: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        return self.tables.get(table, {}).get(self.key(table, key))

    def delete(self, table: str, key: Mapping[str, Any]) -> None:
        self.tables.get(table, {}).pop(self.key(table, key), None)

    def query(self, table: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
        first, _, second = condition.partition(" AND ")
        attribute, _, place = first.partition(" = ")
        wanted = values[place]["S"]
        found = [
            item
            for item in self.tables.get(table, {}).values()
            if item.get(names.get(attribute, attribute), {}).get("S") == wanted
        ]
        if second:
            at = values[":sk"]["S"]
            begins = second.startswith("begins_with")
            found = [item for item in found if (item["sk"]["S"].startswith(at) if begins else item["sk"]["S"] >= at)]
        return sorted(found, key=lambda item: item.get("sk", {}).get("S", ""))


def _meets(item: Mapping[str, Any], condition: str, values: Mapping[str, Any], names: Mapping[str, str]) -> bool:
    """Whether an item meets `a.b = :c` or `a.b IN (:c, :d)`; what is neither raises."""
    path, operator, places = condition.partition(" IN " if " IN " in condition else " = ")
    if not operator or not re.fullmatch(r":\w+|\(:\w+(, :\w+)*\)", places):
        raise NotImplementedError(condition)
    *parents, last = (names.get(name, name) for name in path.split("."))
    for parent in parents:
        item = item.get(parent, {}).get("M", {})
    return item.get(last) in [values[place] for place in places.strip("()").split(", ")]


class MemoryAws:
    """Stands for `InsideAws`."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables, self.events = tables, []
        self.dynamodb = self

    def get(self, table: str, **key: str) -> dict[str, Any] | None:
        item = self._tables.get(table, to_item(key))
        return from_item(item) if item else None

    def indexed(self, table: str, _index: str, attribute: str, value: str) -> dict[str, Any] | None:
        found = self._tables.query(table, f"{attribute} = :value", to_item({":value": value}), {})
        return from_item(found[0]) if found else None

    def put(self, table: str, item: Mapping[str, Any], *, once_by: str | None = None) -> bool:
        self._tables.put(table, to_item(item))
        return True

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        self.events.append((source, detail_type, detail))

    def query(self, *, TableName: str, KeyConditionExpression: str, ExpressionAttributeValues: Any, **more: Any) -> Any:
        names, only = more.get("ExpressionAttributeNames", {}), more.get("FilterExpression")
        found = self._tables.query(TableName, KeyConditionExpression, ExpressionAttributeValues, names)
        return {"Items": [item for item in found if only is None or _meets(item, only, ExpressionAttributeValues, names)]}

    def get_paginator(self, operation: str) -> Any:
        def pages(**parameters: Any) -> list[Any]:
            if operation == "query":
                return [self.query(**parameters)]
            only, values = parameters["FilterExpression"], parameters["ExpressionAttributeValues"]
            items = self._tables.tables.get(parameters["TableName"], {}).values()
            return [{"Items": [item for item in items if _meets(item, only, values, {})]}]

        return SimpleNamespace(paginate=pages)


class MemoryReader:
    """Stands for the `AwsReader` of the probes."""

    region = "us-west-2"

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def paginate(self, service: str, operation: str, resource: str, **parameters: Any) -> Answer:
        return self.call(service, operation, resource, **parameters)

    def call(self, service: str, operation: str, resource: str, **parameters: Any) -> Answer:
        page = getattr(self, f"_{operation}")(**parameters)
        stamp = "2026-11-23T12:00:00Z"
        return Answer([page], Read(f"{service}:{operation}", resource, ReadStatus.OK, None, 1, stamp, stamp))

    def _query(self, **p: Any) -> Any:
        names, values = p.get("ExpressionAttributeNames", {}), p["ExpressionAttributeValues"]
        return {"Items": self._tables.query(p["TableName"], p["KeyConditionExpression"], values, names)}

    def _get_item(self, **p: Any) -> Any:
        item = self._tables.get(p["TableName"], p["Key"])
        return {"Item": item} if item else {}

    def _put_item(self, **p: Any) -> Any:
        self._tables.put(p["TableName"], p["Item"])
        return {}

    def _delete_item(self, **p: Any) -> Any:
        self._tables.delete(p["TableName"], p["Key"])
        return {}

    def _batch_write_item(self, *, RequestItems: Any) -> Any:
        for table, requests in RequestItems.items():
            for request in requests:
                if "PutRequest" in request:
                    self._tables.put(table, request["PutRequest"]["Item"])
                else:
                    self._tables.delete(table, request["DeleteRequest"]["Key"])
        return {}


class MemoryPool:
    """Stands for the `UserPool`: one key, the two probe users and as many odd ones as are asked for."""

    issuer = "https://cognito-idp.us-west-2.amazonaws.com/pool"
    client_id = CLIENT
    keys: Mapping[str, Any] = {"keys": [JWK]}

    def attributes_of(self, username: str) -> dict[str, str]:
        return {user.username: {"custom:tenant_id": user.tenant_id} for user in PROBE_TENANTS}.get(username, {})

    def token(self, user: ProbeTenant = A, **changes: Any) -> str:
        """A token that the pool's key signed; a change to None takes the claim out."""
        now = datetime.now(UTC)
        claims: dict[str, Any] = {
            "sub": f"sub-{user.letter}",
            "cognito:username": user.username,
            "email": user.email,
            "iss": self.issuer,
            "aud": CLIENT,
            "token_use": "id",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=1)).timestamp()),
            "custom:tenant_id": user.tenant_id,
            "custom:account_ids": ",".join(user.scope),
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, _KEY, algorithm="RS256", headers={"kid": "pool-key"})


class _Logs:
    @contextmanager
    def invocation(self, _name: str) -> Iterator[Any]:
        yield SimpleNamespace(info=lambda *_, **__: None, error=lambda *_, **__: None)


class MemoryPlatform:
    """A platform with the two test tenants, and its Control Center.

    Attributes:
        tables: its tables.
        platform_faults: its faults; may change.
        ledger: writes to its ledger.
        authorizer: tells its callers apart.
        application: the Control Center.
    """

    def __init__(self) -> None:
        self.tables, self.platform_faults = MemoryTables(), set()
        self.aws, self.pool = MemoryAws(self.tables), MemoryPool()
        clock = SimpleNamespace(now=lambda: NOW)
        self.ledger = LedgerWriter(self.aws, clock)
        context = PlatformContext(self.aws, clock, _Logs(), self.ledger, "us-west-2", self.platform_faults)
        self.authorizer = Authorizer(self.pool, self.platform_faults)
        self.application = ControlCenter(context, self.authorizer)
        for user in PROBE_TENANTS:
            self.aws.put("cc-native-tenants", {"tenantId": user.tenant_id, "status": "active"})
            for account in user.accounts:
                self.aws.put("cc-native-accounts", {"tenantId": user.tenant_id, "accountId": account})
                key = {"pk": f"TENANT#{user.tenant_id}#ACCOUNT#{account}", "sk": "BUDGET"}
                self.aws.put("cc-native-decision-budget", {**key, "daily_decisions_remaining": 10_000})

    def send(self, request: Request) -> HttpAnswer:
        """The answer to one request, past HTTP."""
        path, content = request.path, request.content or b""
        headers = [(name, str(value)) for name, value in request.header_pairs]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote(path),
            "QUERY_STRING": urlencode(request.query_pairs),
            "CONTENT_LENGTH": str(len(content)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(content),
            RAW_HEADERS: tuple(headers),
        }
        for name, value in headers:
            key = re.sub(r"[^A-Z0-9]", "_", name.upper())
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        seen: list[str] = []
        start: Callable[..., Any] = lambda status, _headers, *_: seen.append(status)  # noqa: E731
        body = b"".join(self.application(environ, start)).decode()
        status = int(seen[0].split()[0])
        return HttpAnswer(status, Problem.SERVER_ERROR if status >= 500 else None, f"HTTP {status}", body, 1.0)
