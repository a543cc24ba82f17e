"""Makes moto's DynamoDB answer faster, with the same answers.

moto goes through the service's description for each value of a request and of an answer, sorts the whole table for each query of
one partition, and copies every item that it gives: most of what a request to the sandbox costs. Here a request's body is JSON and
nothing more, a query looks at its own partition, and items are written directly. The platform's own requests take the short way
to moto's handler too.
"""

import base64
import copy
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import signature
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlparse, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import MockRawResponse
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models import table as moto_table
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.models.utilities import bytesize, dynamo_to_dict
from moto.dynamodb.responses import DynamoHandler, DynamoResult
from moto.iam.models import mark_account_as_visited
from moto.moto_server.werkzeug_app import BackendRequest
from moto.utilities.utils import get_partition
from werkzeug.http import http_date

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

#: Operations on items: their answers hold nothing but items, names and numbers.
_OF_ITEMS = frozenset(
    {"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
)
_TARGET = "DynamoDB_20120810."
_JSON = "application/x-amz-json-1.0"
_LARGEST_ITEM = 405_000  # bytes, as moto measures


@contextmanager
def installed() -> Iterator[None]:
    """In this block moto's DynamoDB answers so."""
    changes: tuple[tuple[Any, str, Any], ...] = (
        (DynamoHandler, "setup_class", _set_up),
        (DynamoHandler, "parse_parameters", _parse_parameters),
        (DynamoHandler, "serialized", _serialized),
        (DynamoResult, "__init__", ActionResult.__init__),  # the items as they are, which `_serialized` writes
        (DynamoType, "cast_value", property(_cast_value)),
        (DynamoType, "size", _size),
        (Item, "__init__", _make_item),
        (Table, "query", _query),
        (Table, "all_items", _all_items),
        (moto_table, "copy", SimpleNamespace(deepcopy=_copied, copy=copy.copy)),
    )
    with ExitStack() as patches:
        for owner, name, value in changes:
            patches.enter_context(patch.object(owner, name, value))
        yield


def served_directly(app: WsgiApp) -> WsgiApp:
    """The application, past which requests to DynamoDB go straight to moto's handler: Flask takes longer than most answers."""

    def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith(_TARGET):
            return app(environ, start_response)
        status, headers, body = DynamoHandler.dispatch(BackendRequest(environ))
        content = body if isinstance(body, bytes) else body.encode()
        sent = {"Content-Type": _JSON, **headers, "Content-Length": str(len(content))}
        start_response(f"{status} {'OK' if int(status) < 400 else 'Error'}", [*sent.items()])  # noqa: PLR2004 - HTTP's own border
        return [content]

    return serve


def answered_inside(request: AWSPreparedRequest) -> AWSResponse | None:
    """The answer to a request of a client in this process; None to a request of another service."""
    target = request.headers.get("X-Amz-Target", "")
    target = target.decode() if isinstance(target, bytes) else target  # as botocore prepares it
    if not target.startswith(_TARGET):
        return None
    host = urlsplit(request.url).netloc
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": "/",
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(request.body),
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": _JSON,
        "HTTP_HOST": host,
        "HTTP_X_AMZ_TARGET": target,
    }
    status, headers, body = DynamoHandler.dispatch(Request(environ))
    return AWSResponse(request.url, int(status), headers, MockRawResponse(body))


# --- requests and answers ----------------------------------------------------------------------------------------------------

_set_up_any = DynamoHandler.setup_class
_parse_by_description, _serialize_by_description = DynamoHandler.parse_parameters, DynamoHandler.serialized


def _set_up(self: DynamoHandler, request: Request, full_url: str | None = None, *more: Any) -> None:  # noqa: ANN401
    """What an operation looks at: moto goes through forms, files and queries first, which no request to DynamoDB has."""
    target = request.headers.get("X-Amz-Target", "")
    if not target.startswith(_TARGET) or "Content-Encoding" in request.headers:
        _set_up_any(self, request, full_url, *more)
        return
    self.is_werkzeug_request, self.normalized_request = request.from_wsgi_server, request
    self.headers, self.method, self.path = request.headers, request.method, request.path
    self.raw_path = request.path
    self.uri = full_url or f"{request.scheme}://{request.headers.get('Host', '')}{request.path}"
    self.parsed_url = urlparse(self.uri)
    self.raw_body = request.get_data()
    self.body = self.raw_body.decode()
    self.querystring, self.data, self.form_data, self.uri_match = {}, {}, {}, {}
    self.region = self.get_region_from_url(request, self.uri)
    self.partition = get_partition(self.region)
    self.response_headers = {"server": "amazon.com"}
    if not self.is_werkzeug_request:
        self.response_headers["date"] = http_date(utcnow())
    self.parse_parameters(request)
    self.access_key = self.get_access_key()
    self.current_account = self.get_current_account()
    mark_account_as_visited(self.current_account, self.access_key, self.service_name, self.region)


def _parse_parameters(self: DynamoHandler, request: Any) -> None:  # noqa: ANN401 - moto's request
    """The body as JSON, which it is but for binary values: those are sent as base64."""
    body = request.get_data()
    if b'"B"' in body or b'"BS"' in body or not body:
        _parse_by_description(self, request)
    else:
        self.params = json.loads(body)


def _serialized(self: DynamoHandler, action_result: ActionResult) -> Any:  # noqa: ANN401 - status, headers, body
    if not isinstance(action_result, DynamoResult):
        return _serialize_by_description(self, action_result)
    content = action_result.result
    if self._get_action() not in _OF_ITEMS or not isinstance(content, dict):
        return _serialize_by_description(self, ActionResult(dynamo_to_dict(content)))
    said = {name: _plain(value) for name, value in content.items() if value is not None}
    return 200, {"Content-Type": _JSON, **self.response_headers}, json.dumps(said)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a part of an answer
    """A part of an answer as JSON values, attributes in DynamoDB's own form."""
    if type(value) is DynamoType:
        kind, content = value.type, value.value
        if kind in ("S", "N"):
            return {kind: str(content)}
        if kind == "B":
            return {kind: _base64(content)}
        if kind in ("SS", "NS"):
            return {kind: [str(each) for each in content]}
        if kind == "BS":
            return {kind: [_base64(each) for each in content]}
        return {kind: _plain(content)}
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return _base64(value)
    return _plain(dynamo_to_dict(value)) if hasattr(value, "to_json") else value


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


# --- items and tables --------------------------------------------------------------------------------------------------------

_cast, _query_table, _measure = DynamoType.cast_value.fget, Table.query, DynamoType.size
_QUERY = signature(Table.query)


def _cast_value(self: DynamoType) -> Any:  # noqa: ANN401 - as Python has it
    """A text as it is: moto looks for five other types first, for each comparison of two keys."""
    return self.value if self.type == "S" else _cast(self)


def _size(self: DynamoType) -> int:
    return len(self.value.encode()) if self.type == "S" and isinstance(self.value, str) else _measure(self)


def _make_item(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
    """An item that is measured once, and not anew for each attribute that is put into it."""
    self.hash_key, self.range_key = hash_key, range_key
    self.attrs = LimitedSizeDict()
    made = {name: DynamoType(value) for name, value in attrs.items()}
    if sum(bytesize(name) + value.size() for name, value in made.items()) > _LARGEST_ITEM:
        raise ItemSizeTooLarge
    dict.update(self.attrs, made)


def _all_items(self: Table) -> list[Item]:
    """The items in the order of their keys."""
    parts = self.items.values()
    found = [item for part in parts for item in part.values()] if self.range_key_attr else list(parts)
    if all(item.hash_key.type == "S" and (item.range_key is None or item.range_key.type == "S") for item in found):
        return sorted(found, key=lambda item: (item.hash_key.value, item.range_key.value if item.range_key else ""))
    return sorted(found, key=lambda item: (item.hash_key, item.range_key) if item.range_key else item.hash_key)


def _query(self: Table, hash_key: DynamoType | None, *conditions: Any, **named: Any) -> Any:  # noqa: ANN401 - as moto answers
    asked = _QUERY.bind(self, hash_key, *conditions, **named).arguments
    if asked.get("index_name") or hash_key is None:
        return _query_table(self, hash_key, *conditions, **named)
    partition = copy.copy(self)
    partition.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
    return _query_table(partition, hash_key, *conditions, **named)


def _copied(value: Any) -> Any:  # noqa: ANN401
    """A copy, but not of items that are only given: they are written into the answer before the next request is served."""
    given = isinstance(value, Item) or (isinstance(value, list) and all(isinstance(each, Item) for each in value))
    return value if given else copy.deepcopy(value)
