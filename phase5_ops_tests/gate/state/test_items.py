"""What is not exactly an item of the state table is malformed."""

import pytest

from phase5_ops.gate.state.items import Lock, MalformedItem, PinnedKeys, StoredStatement, StoredWaiver, promotion_in, read

LOCK = {"pk": "p", "sk": "LOCK#000001", "holder": "run", "taken_at": "2026-11-23T12:00:00.000Z", "idempotency_key": "k"}


@pytest.mark.parametrize(
    "changed",
    [
        {"holder": None},
        {"holder": 7},
        {"taken_at": "noon"},
        {"taken_at": "2026-11-23T12:00:00"},
        {"taken_at": 5},
        {"idempotency_key": b"k"},
    ],
)
def test_an_attribute_of_another_kind_makes_an_item_malformed(changed):
    assert read(Lock, {**LOCK, "more": "is passed over"}).holder == "run"
    with pytest.raises(MalformedItem, match=f"LOCK#000001: .*{next(iter(changed))}"):
        read(Lock, {**LOCK, **changed})


@pytest.mark.parametrize("name", ["holder", "taken_at", "idempotency_key"])
def test_an_attribute_that_is_missing_makes_an_item_malformed(name):
    with pytest.raises(MalformedItem, match=name):
        read(Lock, {key: value for key, value in LOCK.items() if key != name})


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (StoredStatement, {"payload": "text", "gate_signature": b"s", "gate_key_id": "k"}),
        (PinnedKeys, {"present": {}, "pinned_at": LOCK["taken_at"]}),
        (StoredWaiver, {"waiver": "{}", "key_id": "k", "signature": b"s"}),
        (StoredWaiver, {"waiver": "[", "key_id": "k", "signature": b"s"}),
        (StoredWaiver, {"waiver": 7, "key_id": "k", "signature": b"s"}),
    ],
)
def test_what_holds_something_else_is_malformed(kind, item):
    with pytest.raises(MalformedItem):
        read(kind, item)


def test_a_record_of_a_promotion_that_says_little_proves_nothing_and_is_read():
    assert promotion_in({"promoted_at": LOCK["taken_at"]}).signature == ""
    with pytest.raises(MalformedItem):
        promotion_in({"holder": "run"})
