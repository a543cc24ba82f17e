"""Makes moto's DynamoDB answer faster, with the same answers.

moto goes through the service's description for each value of a request and of an answer, sorts the whole table for each query of
one partition, and copies every item that it gives: most of what a request to the sandbox costs. Here a request's body is JSON and
nothing more, a query looks at its own partition, and items are written directly. The platform's own requests take the short way
to moto's handler too.
"""

import base64
import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from inspect import signature
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlparse, urlsplit

import orjson
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.utils import parse_to_aware_datetime
from moto.core.botocore_stubber import MockRawResponse
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.core.serialize import TimestampSerializer
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
#: Operations that may change an item in place, as the handler names them.
_CHANGING = ("update_item", "transact_write_items", "execute_statement", "execute_transaction", "batch_execute_statement")
#: Operations whose answers hold nothing that their description leaves out.
_WRITTEN_PLAINLY = _OF_ITEMS | {"DescribeTable"}
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
        (DynamoType, "__init__", _make_value),
        (DynamoType, "size", _size),
        (Item, "__init__", _make_item),
        (Item, "project", _project),
        (Item, "size", _size_of_item),
        *((DynamoHandler, name, _changing(getattr(DynamoHandler, name))) for name in _CHANGING),
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
    status, headers, body = _handled(target, urlsplit(request.url).netloc, request.body)
    return AWSResponse(request.url, int(status), headers, MockRawResponse(body))


def short_request(operation: str, parameters: Mapping[str, Any]) -> bytes | None:
    """The body of a request for items, as botocore makes it; None for a call that goes botocore's own way.

    Args:
        operation: as the API names it.
        parameters: of the call.
    """
    if operation not in _OF_ITEMS:
        return None
    try:
        body = json.dumps(parameters).encode()
    except TypeError:  # binary values, which botocore encodes
        return None
    return None if b'"B"' in body or b'"BS"' in body else body


def called_inside(client: Any, operation: str, body: bytes) -> dict[str, Any]:  # noqa: ANN401
    """What a client of this process is given for a call on items, past all that botocore does for one.

    Args:
        client: boto3's, which has the address and the exceptions.
        operation: as the API names it.
        body: of `short_request`.

    Raises:
        ClientError: of the class that the client raises, with code and message.
    """
    status, _, answer = _handled(_TARGET + operation, urlsplit(client.meta.endpoint_url).netloc, body)
    content: dict[str, Any] = json.loads(answer, object_hook=_with_binary if '"B' in answer else None)
    metadata = {"ResponseMetadata": {"HTTPStatusCode": int(status)}}
    if int(status) == HTTPStatus.OK:
        return content | metadata
    code = content.pop("__type").rsplit("#", 1)[-1]
    said = [content.pop(name, "") for name in ("message", "Message")]
    error = {"Code": code, "Message": said[0] or said[1]}
    raise client.exceptions.from_code(code)({**content, "Error": error, **metadata}, operation)


def _handled(target: str, host: str, body: bytes) -> tuple[Any, dict[str, Any], str]:
    """What moto answers: status, headers and body."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": _JSON,
        "HTTP_HOST": host,
        "HTTP_X_AMZ_TARGET": target,
    }
    answer: tuple[Any, dict[str, Any], str] = DynamoHandler.dispatch(Request(environ))
    return answer


def _with_binary(value: dict[str, Any]) -> dict[str, Any]:
    """An object of an answer, whose binary values are sent as base64: attributes of that name hold an object and no text."""
    if isinstance(value.get("B"), str):
        return {"B": base64.b64decode(value["B"])}
    if isinstance(value.get("BS"), list):
        return {"BS": [base64.b64decode(each) for each in value["BS"]]}
    return value


# --- requests and answers ----------------------------------------------------------------------------------------------------

_seconds_of = TimestampSerializer._timestamp_unixtimestamp
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
    if self._get_action() not in _WRITTEN_PLAINLY or not isinstance(content, dict):
        return _serialize_by_description(self, ActionResult(dynamo_to_dict(content)))
    said = {name: _plain(value) for name, value in content.items() if value is not None}
    return 200, {"Content-Type": _JSON, **self.response_headers}, orjson.dumps(said).decode()


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
    if type(value) is LimitedSizeDict:
        return _plain_item(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return _base64(value)
    if isinstance(value, datetime):
        return _seconds_of(parse_to_aware_datetime(value))
    return _plain(dynamo_to_dict(value)) if hasattr(value, "to_json") else value


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


# --- items and tables --------------------------------------------------------------------------------------------------------

_cast, _query_table, _measure = DynamoType.cast_value.fget, Table.query, DynamoType.size
_project_any = Item.project
_to_dynamo, _from_dynamo = TypeSerializer(), TypeDeserializer()
_INDEX_NAME = [*signature(Table.query).parameters].index("index_name") - 2  # its place after the table and the key


def _cast_value(self: DynamoType) -> Any:  # noqa: ANN401 - as Python has it
    """A text as it is: moto looks for five other types first, for each comparison of two keys."""
    return self.value if self.type == "S" else _cast(self)


def _make_value(self: DynamoType, given: DynamoType | dict[str, Any]) -> None:
    """A value of what a request holds: looked at once, and not by a function for each type that it may have."""
    kind: str
    content: Any
    kind, content = next(iter(given.items())) if isinstance(given, dict) else (given.type, given.value)
    if kind == "M":
        content = {name: DynamoType(each) for name, each in content.items()}
    elif kind == "L":
        content = [DynamoType(each) for each in content]
    self.type, self.value = kind, content


def _size(self: DynamoType) -> int:
    kind: str = self.type
    content: Any = self.value
    if kind == "S" and type(content) is str:
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return len(str(content))
    if kind == "M":
        return sum(bytesize(name) + _size(each) for name, each in content.items())
    return int(_measure(self))


class _Kept:
    """What is known of items until an operation may change one in place; others put a new item in an old one's place."""

    since = object()  # another one after each change; an item that was copied or stored knows of none


def _changing(operation: Callable[[DynamoHandler], Any]) -> Callable[[DynamoHandler], Any]:
    """The operation, after which nothing is known of any item."""

    @wraps(operation)
    def change(self: DynamoHandler) -> Any:  # noqa: ANN401 - as moto answers
        try:
            return operation(self)
        finally:
            _Kept.since = object()

    return change


def _size_of_item(self: Item) -> int:
    """What is measured for each item of a page, twice."""
    since, size = self.__dict__.get("measured", (None, 0))
    if since is not _Kept.since:
        size = sum(bytesize(name) + value.size() for name, value in self.attrs.items())
        self.measured = (_Kept.since, size)
    return int(size)


def _plain_item(attributes: LimitedSizeDict) -> Any:  # noqa: ANN401 - a part of an answer
    since, plain = attributes.__dict__.get("written", (None, None))
    if since is not _Kept.since:
        plain = {name: _plain(each) for name, each in attributes.items()}
        attributes.written = (_Kept.since, plain)
    return plain


def _project(self: Item, expressions: list[list[str]]) -> Item:
    """The item with these attributes alone; moto makes plain values of the whole item first, once for each of them."""
    if any(len(path) > 1 or "[" in path[0] for path in expressions):
        return _project_any(self, expressions)
    named = (path[0] for path in expressions)
    return Item(self.hash_key, self.range_key, {name: _as_projected(self.attrs[name]) for name in named if name in self.attrs})


def _as_projected(value: DynamoType) -> dict[str, Any]:
    """A value as it comes out of moto's plain values."""
    if value.type in ("S", "BOOL", "NULL"):
        return {value.type: value.value}
    if value.type == "M":
        return {"M": {name: _as_projected(each) for name, each in value.value.items()}}
    if value.type == "L":
        return {"L": [_as_projected(each) for each in value.value]}
    made: dict[str, Any] = _to_dynamo.serialize(_from_dynamo.deserialize(value.to_regular_json()))
    return made


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
    by_index = named.get("index_name") or any(conditions[_INDEX_NAME : _INDEX_NAME + 1])
    if by_index or hash_key is None:
        return _query_table(self, hash_key, *conditions, **named)
    partition = copy.copy(self)
    partition.items = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
    return _query_table(partition, hash_key, *conditions, **named)


def _copied(value: Any) -> Any:  # noqa: ANN401
    """A copy, but not of items that are only given: they are written into the answer before the next request is served."""
    given = isinstance(value, Item) or (isinstance(value, list) and all(isinstance(each, Item) for each in value))
    return value if given else copy.deepcopy(value)
