"""Writes the items in the answers of moto's DynamoDB faster than moto does, and to the same text.

moto goes through the service's description for each value of an item and tries every type that the value might have, which takes
more than half of the time of a scan. Here a value is written directly.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.utilities import dynamo_to_dict


@contextmanager
def installed() -> Iterator[None]:
    """In this block moto's answers with items are written so; other answers as before."""
    theirs = BaseJSONSerializer._serialize_type_map

    def serialize_map(self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:  # noqa: ANN401
        if shape.value.name == "AttributeValue":
            self._default_serialize(serialized, {name: _written(each) for name, each in value.items()}, shape, key)
        else:
            theirs(self, serialized, value, shape, key)

    with patch.object(BaseJSONSerializer, "_serialize_type_map", serialize_map):
        yield


def _written(value: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's type, or its plain form
    """One attribute value in DynamoDB's JSON."""
    plain = value if isinstance(value, Mapping) else dynamo_to_dict(value)
    ((kind, content),) = plain.items()
    match kind:
        case "S" | "N":
            return {kind: str(content)}
        case "B":
            return {kind: _base64(content)}
        case "SS" | "NS":
            return {kind: [str(each) for each in content]}
        case "BS":
            return {kind: [_base64(each) for each in content]}
        case "L":
            return {kind: [_written(each) for each in content]}
        case "M":
            return {kind: {name: _written(each) for name, each in content.items()}}
    return {kind: content}  # BOOL, NULL


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
