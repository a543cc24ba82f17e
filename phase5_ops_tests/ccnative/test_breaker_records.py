"""Items of the resilience table become records or malformed records."""

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.breaker_records import BreakerState, Concurrency, parse_records

CALENDAR = {"pk": {"S": "CONNECTOR#calendar"}}
STATE = {
    **CALENDAR,
    "sk": {"S": "STATE"},
    "state": {"S": "OPEN"},
    "failure_count": {"N": "5"},
    "window_start_epoch_sec": {"N": "1795424359"},
    "open_until_epoch_sec": {"N": "1795424389"},
    "ttl_epoch_sec": {"N": "1796633959"},
}
SLOTS = {**CALENDAR, "sk": {"S": "CONCURRENCY"}, "in_flight_count": {"N": "0"}}


def test_the_platforms_own_items_are_read():
    records = parse_records([STATE, SLOTS], "t")
    assert records.states == {"calendar": BreakerState("calendar", "OPEN", 5, 1795424359, 1795424389, 1796633959, None)}
    assert records.concurrency == {"calendar": Concurrency("calendar", 0)}
    assert records.malformed == {}


def test_a_malformed_item_names_table_key_and_attribute():
    records = parse_records([{**STATE, "ttl_epoch_sec": {"S": "soon"}}], "t")
    (record,) = records.malformed["calendar"]
    assert record == MalformedRecord(
        "t", "CONNECTOR#calendar / STATE", "ttl_epoch_sec", "expected DynamoDB type N, found {'S': 'soon'}"
    )
    assert records.unreadable("calendar", "STATE")
    assert not records.unreadable("calendar", "CONCURRENCY")


def test_a_key_that_comes_twice_is_malformed():
    assert parse_records([SLOTS, SLOTS], "t").malformed["calendar"][0].problem == "the answer holds this key twice"


def test_an_item_that_names_no_connector_stands_under_no_name():
    records = parse_records([{**SLOTS, "pk": {"S": "TENANT#x"}}, {**SLOTS, "pk": {"S": "CONNECTOR# "}}, 5], "t")
    assert [record.attribute for record in records.malformed[""]] == ["pk", "pk", "item"]
    assert records.connectors == {""}
