"""How items of the state table are read and written: consistently, under conditions, and many at a time.

A write whose answer was lost is tried again by botocore and then meets its own item: so after a refused condition the item is
read back, and one with the same content is a success. What must not live here: which items there are.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.gate.state.items import VERSION_ATTRIBUTE, ItemTooLarge, StateError, Written, newer_version
from phase5_ops.gate.state.large_items import LARGEST, packed, size, unpacked
from phase5_ops.reads import ReadStatus

Key = tuple[str, str]  #: pk and sk of an item
Ahead = dict[Key, dict[str, Any] | None]  #: items that were read ahead; None of one that is not there

BATCH = 100  # keys that one BatchGetItem takes
_CONDITION_FAILED = "ConditionalCheckFailedException"
_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


class ItemTable:
    """The items of the table by their keys. Every method but `read_ahead` raises StateError where AWS does not answer.

    Args:
        reader: calls AWS.
        table: its name.
        ahead: where parts of the table that work together keep what is read ahead; None for one of its own.
    """

    def __init__(self, reader: AwsReader, table: str, ahead: Ahead | None = None) -> None:
        self._reader = reader
        self._table = table
        self._ahead: Ahead = {} if ahead is None else ahead

    def read_ahead(self, keys: Iterable[Key]) -> None:
        """Reads items now, a hundred in a call, that are about to be asked for one by one.

        Each answers the next read of its item, and that one alone: whoever reads it twice, or writes it in between, has it read
        again. What does not come is read when it is asked for, which says how that ended.
        """
        left = list(dict.fromkeys(keys))
        while len(left) > 1:  # one alone is read when it is asked for
            batch, left = left[:BATCH], left[BATCH:]
            typed = [_typed({"pk": pk, "sk": sk}) for pk, sk in batch]
            request = {self._table: {"Keys": typed, "ConsistentRead": True}}
            answer = self._reader.call("dynamodb", "batch_get_item", self._table, RequestItems=request)
            if answer.read.status is not ReadStatus.OK:
                return
            (page,) = answer.pages
            unprocessed = [_key(key) for part in page.get("UnprocessedKeys", {}).values() for key in part["Keys"]]
            self._ahead |= dict.fromkeys(set(batch).difference(unprocessed))
            self._ahead |= {_key(item): _read_item(item) for items in page.get("Responses", {}).values() for item in items}
            if len(unprocessed) == len(batch):
                return
            left = unprocessed + left

    def _put(
        self,
        item: Mapping[str, Any],
        condition: str,
        values: Mapping[str, Any] | None = None,
        *,
        same: tuple[str, ...] | None = None,
    ) -> Written:
        """PutItem under a condition. `same` names the attributes that tell our own item from another's; default: all of them."""
        self._ahead.pop((str(item["pk"]), str(item["sk"])), None)
        written = packed(item)
        if (large := size(written)) > LARGEST:
            raise ItemTooLarge(item, large)
        answer = self._reader.call(
            "dynamodb", "put_item", self._table, TableName=self._table, Item=_typed(written), **_condition(condition, values)
        )
        if self._done(answer):
            return Written.DONE
        there = self._get(str(item["pk"]), str(item["sk"]))
        return Written.DONE if there is not None and _equal(there, item, same) else Written.REFUSED

    def _put_new(self, pk: str, sk: str, content: Mapping[str, Any], *, same: tuple[str, ...] | None = None) -> Written:
        """PutItem where there is none of these keys; `same` as in `_put`."""
        return self._put({"pk": pk, "sk": sk, **content}, "attribute_not_exists(pk)", same=same)

    def _update(self, pk: str, sk: str, changes: Mapping[str, Any], condition: str, was: Mapping[str, Any]) -> Written:
        self._ahead.pop((pk, sk), None)
        names = {**_names(condition), **{f"#{name}": name for name in changes}}
        answer = self._reader.call(
            "dynamodb",
            "update_item",
            self._table,
            TableName=self._table,
            Key=_typed({"pk": pk, "sk": sk}),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{name}": _serialize(value) for name, value in {**changes, **was}.items()},
        )
        if self._done(answer):
            return Written.DONE
        there = self._get(pk, sk)
        unchanged = {name.removeprefix("was_"): value for name, value in was.items()}
        return Written.DONE if there is not None and _equal(there, {**unchanged, **changes}, None) else Written.REFUSED

    def _done(self, answer: Answer) -> bool:
        """True if it was written, False if the condition did not hold; anything else raises."""
        if answer.read.status is ReadStatus.OK:
            return True
        if (answer.read.error or "").startswith(_CONDITION_FAILED):
            return False
        raise StateError(answer.read)

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        if (pk, sk) in self._ahead:
            return self._ahead.pop((pk, sk))
        key = _typed({"pk": pk, "sk": sk})
        called = self._reader.call("dynamodb", "get_item", self._table, TableName=self._table, Key=key, ConsistentRead=True)
        item = _answered(called).pages[0].get("Item")
        return None if item is None else _read_item(item)

    def _query(self, pk: str, prefix: str) -> list[dict[str, Any]]:
        answer = self._reader.paginate("dynamodb", "query", self._table, **self._of_prefix(pk, prefix))
        return [_read_item(item) for item in _answered(answer).items("Items")]

    def everything(self) -> list[dict[str, Any]]:
        """Every item of the table, of all environments."""
        answer = self._reader.paginate("dynamodb", "scan", self._table, TableName=self._table, ConsistentRead=True)
        return [_read_item(item) for item in _answered(answer).items("Items")]

    def _newest_page(
        self, pk: str, prefix: str, most: int, after: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any] | None]:
        """At most so many items of a partition, newest sort key first, and from where the next page goes on."""
        wanted = {**self._of_prefix(pk, prefix), "ScanIndexForward": False, "Limit": most, **after}
        answer = _answered(self._reader.call("dynamodb", "query", self._table, **wanted))
        return [_read_item(item) for item in answer.items("Items")], answer.pages[0].get("LastEvaluatedKey")

    def _of_prefix(self, pk: str, prefix: str) -> dict[str, Any]:
        """The parameters of a query for the items of a partition whose sort keys begin so."""
        return {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": _serialize(pk), ":prefix": _serialize(prefix)},
        }


def _answered(answer: Answer) -> Answer:
    """The answer, if the service gave a whole one; else raises StateError."""
    if answer.read.status is not ReadStatus.OK:
        raise StateError(answer.read)
    return answer


def _key(item: Mapping[str, Any]) -> Key:
    return str(_deserialize(item["pk"])), str(_deserialize(item["sk"]))


def _typed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _deserialize(value) for name, value in item.items()}
    return {name: value.value if isinstance(value, Binary) else value for name, value in found.items()}


def _read_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of the table, unpacked where it was too large; one that cannot be unpacked lacks attributes: it is malformed.

    So does one of another version, so that nobody takes a part of it for the whole.
    """
    plain = _plain(item)
    if newer_version(plain) is not None:
        return {name: plain[name] for name in ("pk", "sk", VERSION_ATTRIBUTE)}
    with suppress(ValueError):
        return unpacked(plain)
    return plain


def _equal(there: Mapping[str, Any], mine: Mapping[str, Any], names: tuple[str, ...] | None) -> bool:
    ours = _plain(_typed(mine))
    return all(there.get(name) == ours[name] for name in (names or ours))


def _names(condition: str) -> dict[str, str]:
    return {f"#{name}": name for name in re.findall(r"#(\w+)", condition)}


def _condition(condition: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    names = _names(condition)
    return {
        "ConditionExpression": condition,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": {f":{name}": _serialize(value) for name, value in values.items()}} if values else {}),
    }
