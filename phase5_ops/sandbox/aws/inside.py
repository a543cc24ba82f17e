"""AWS as the platform inside the sandbox reaches it: boto3 clients whose requests go into moto directly.

Their requests pass neither HTTP nor the faults of `faults.py`: those are for the programs that read the platform, and not for the
platform itself. Every call is recorded in the access trail. Since these calls and those of the server come from many threads,
DynamoDB is served one request at a time: moto's tables are plain dictionaries, and a conditional write must be one step.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore import UNSIGNED
from botocore.config import Config
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.responses import DynamoHandler
from moto.events.models import events_backends

from phase5_ops.sandbox.aws.access_trail import AccessTrail
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.direct_requests import answered_inside
from phase5_ops.sandbox.aws.dynamodb import called_inside, short_request

EVENT_BUS = "cc-native-events"

_serializer, _deserializer = TypeSerializer(), TypeDeserializer()


def to_item(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A plain item as DynamoDB JSON; numbers must be int or Decimal."""
    return {name: _serializer.serialize(value) for name, value in plain.items()}


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB JSON as a plain item; numbers become Decimal."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}


class _IntoMoto(BotocoreStubber):  # type: ignore[misc]  # moto is not typed
    """Answers the requests to a service from moto, and never lets them out."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.enabled, self._service = True, service

    def __call__(self, event_name: str, request: Any, **more: Any) -> Any:  # noqa: ANN401 - botocore's types
        answer = answered_inside(self._service, request) or super().__call__(event_name, request, **more)
        if answer is None:
            raise RuntimeError(f"the sandbox does not serve {request.url}")
        return answer


class InsideAws:
    """Clients of one region. Making one is slow (its model is read), so that they are kept.

    Attributes:
        trail: records the calls.
    """

    def __init__(self, session: boto3.Session, trail: AccessTrail) -> None:
        self._session = session
        self.trail = trail
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 clients have no static type
        """The client of a service; safe to share between threads."""
        with self._lock:
            if service not in self._clients:
                config = Config(
                    retries={"total_max_attempts": 1},
                    parameter_validation=False,
                    s3={"addressing_style": "path"},
                    ignore_configured_endpoint_urls=True,  # moto tells services apart by the address that AWS has
                    signature_version=None if service == "s3" else UNSIGNED,  # nobody checks it, but S3 gives signed addresses
                )
                client = self._session.client(service, config=config)
                client.meta.events.register("before-send", _IntoMoto(client.meta.service_model.signing_name))
                client.meta.events.register(f"provide-client-params.{service}", self._record)
                if service == "dynamodb":
                    client._make_api_call = partial(self._call, client, client._make_api_call)
                self._clients[service] = client
            return self._clients[service]

    @property
    def dynamodb(self) -> Any:  # noqa: ANN401
        """The DynamoDB client."""
        return self.client("dynamodb")

    def get(self, table: str, **key: str) -> dict[str, Any] | None:
        """One plain item by its key, read consistently; None if it is not there."""
        item = self.dynamodb.get_item(TableName=table, Key=to_item(key), ConsistentRead=True).get("Item")
        return from_item(item) if item else None

    def indexed(self, table: str, index: str, attribute: str, value: str) -> dict[str, Any] | None:
        """The first plain item with that value of an index's key attribute; None if there is none."""
        found = self.dynamodb.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression=f"{attribute} = :value",
            ExpressionAttributeValues=to_item({":value": value}),
        )["Items"]
        return from_item(found[0]) if found else None

    def put(self, table: str, item: Mapping[str, Any], *, once_by: str | None = None) -> bool:
        """Puts a plain item.

        Args:
            table: where.
            item: the whole item.
            once_by: an attribute that must not exist yet, for a write that happens once.

        Returns:
            False if the item was there and `once_by` kept it.
        """
        condition = {"ConditionExpression": f"attribute_not_exists({once_by})"} if once_by else {}
        try:
            self.dynamodb.put_item(TableName=table, Item=to_item(item), **condition)
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Puts one event on the platform's bus; without the bus it is lost."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": EVENT_BUS}
        self.trail.record("events", "PutEvents", {"Entries": [entry]})
        backend = events_backends[ACCOUNT][self._session.region_name]
        if EVENT_BUS in backend.event_buses:
            backend.put_events([entry])

    def _call(self, client: Any, otherwise: Callable[..., Any], operation: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """A call of DynamoDB's client: on items the short way, else botocore's."""
        body = short_request(operation, parameters)
        if body is None:
            return otherwise(operation, parameters)
        self.trail.record("dynamodb", operation, parameters)
        return called_inside(client, operation, body)

    def _record(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:  # noqa: ANN401
        self.trail.record(model.service_model.service_name, model.name, params)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """In this block moto's DynamoDB answers one request after the other."""
    original, lock = DynamoHandler.call_action, threading.RLock()

    def call_action(self: Any) -> Any:  # noqa: ANN401 - moto is not typed
        with lock:
            return original(self)

    with patch.object(DynamoHandler, "call_action", call_action):
        yield
