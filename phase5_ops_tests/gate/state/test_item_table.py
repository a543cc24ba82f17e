"""What is read ahead answers one read of each item: never a second one, never one after a write, and unknown is read again."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from phase5_ops.aws.reader import Answer
from phase5_ops.gate.state.item_table import ItemTable, Key
from phase5_ops.gate.state.items import StateError, Written
from phase5_ops.reads import Read, ReadStatus


class Table:
    """DynamoDB as far as `ItemTable` calls it; `most` is how many items one BatchGetItem gives."""

    def __init__(self, *keys: Key, most: int = 100, fails: str = "") -> None:
        self.items = {key: {"pk": {"S": key[0]}, "sk": {"S": key[1]}} for key in keys}
        self.calls: Counter[str] = Counter()
        self._most, self._fails = most, fails

    def call(self, service: str, operation: str, resource: str, **params: Any) -> Answer:
        self.calls[operation] += 1
        status = ReadStatus.FAILED if operation == self._fails else ReadStatus.OK
        page: Mapping[str, Any] = getattr(self, f"_{operation}")(**params)
        return Answer(
            [page] if status is ReadStatus.OK else [], Read(f"{service}:{operation}", resource, status, None, 1, "", "")
        )

    def _batch_get_item(self, RequestItems: Mapping[str, Any]) -> Mapping[str, Any]:
        request = RequestItems["t"]
        assert request["ConsistentRead"]
        assert len({str(key) for key in request["Keys"]}) == len(request["Keys"]) <= 100
        answered, left = request["Keys"][: self._most], request["Keys"][self._most :]
        found = [self.items[key] for each in answered if (key := (each["pk"]["S"], each["sk"]["S"])) in self.items]
        return {"Responses": {"t": found}, "UnprocessedKeys": {"t": {"Keys": left}} if left else {}}

    def _get_item(self, Key: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        return {"Item": found} if (found := self.items.get((Key["pk"]["S"], Key["sk"]["S"]))) else {}

    def _put_item(self, Item: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        self.items[Item["pk"]["S"], Item["sk"]["S"]] = dict(Item)
        return {}


KEYS = [("p", f"{number:03d}") for number in range(150)]


def test_a_hundred_items_are_read_in_a_call_and_each_answers_one_read():
    aws = Table(*KEYS[1:])
    table = ItemTable(aws, "t")
    table.read_ahead([*KEYS, *KEYS])
    assert aws.calls == {"batch_get_item": 2}
    assert [table._get(*key) for key in KEYS] == [None, *({"pk": pk, "sk": sk} for pk, sk in KEYS[1:])]
    assert aws.calls == {"batch_get_item": 2}
    aws.items[KEYS[0]] = {"pk": {"S": "p"}, "sk": {"S": "000"}}
    assert table._get(*KEYS[0]) == {"pk": "p", "sk": "000"}
    assert aws.calls["get_item"] == 1


def test_what_is_written_is_not_read_as_it_was_before():
    table = ItemTable(Table(), "t")
    table.read_ahead(KEYS[:2])
    assert table._put_new(*KEYS[0], {"word": "new"}) is Written.DONE
    assert table._get(*KEYS[0]) == {"pk": "p", "sk": "000", "word": "new"}


@pytest.mark.parametrize(("most", "batches", "single"), [(60, 3, 0), (0, 1, 150)])
def test_what_dynamodb_left_for_later_is_asked_for_again_until_it_gives_nothing(most, batches, single):
    aws = Table(*KEYS, most=most)
    table = ItemTable(aws, "t")
    table.read_ahead(KEYS)
    assert all(table._get(*key) for key in KEYS)
    assert aws.calls == {"batch_get_item": batches} | ({"get_item": single} if single else {})


def test_what_could_not_be_read_ahead_is_never_taken_for_missing():
    aws = Table(KEYS[0], fails="batch_get_item")
    table = ItemTable(aws, "t")
    table.read_ahead(KEYS)
    assert table._get(*KEYS[0]) is not None
    broken = ItemTable(Table(KEYS[0], fails="get_item"), "t")
    with pytest.raises(StateError):
        broken._get(*KEYS[0])
