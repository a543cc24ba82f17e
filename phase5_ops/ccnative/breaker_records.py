"""The items of the resilience table: breaker state and slots in use, one pair a connector. Pure.

`CONNECTOR#<id>` / `STATE`: state, failure_count, window_start_epoch_sec, open_until_epoch_sec (only while OPEN),
half_open_probe_in_flight (only while HALF_OPEN), ttl_epoch_sec. `CONNECTOR#<id>` / `CONCURRENCY`: in_flight_count, no TTL.
A connector that never failed has no STATE. Values are read strictly: anything else than the platform writes is `MalformedRecord`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from phase5_ops.ccnative.attributes import (
    AttributeProblem,
    MalformedRecord,
    as_item,
    flag,
    key_text,
    required,
    shown,
    text,
    whole_number,
)

KEY_PREFIX = "CONNECTOR#"
STATE_KEY = "STATE"
CONCURRENCY_KEY = "CONCURRENCY"

CLOSED, OPEN, HALF_OPEN = "CLOSED", "OPEN", "HALF_OPEN"
STATES = (CLOSED, OPEN, HALF_OPEN)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A STATE item; `state` as written, which need not be one of STATES. Times are epoch seconds."""

    connector: str
    state: str
    failure_count: int
    window_start: int
    open_until: int | None
    ttl: int | None
    probe_in_flight: bool | None


@dataclass(frozen=True, slots=True)
class Concurrency:
    """A CONCURRENCY item: calls of the connector in flight."""

    connector: str
    in_flight: int


@dataclass(slots=True)
class ResilienceRecords:
    """The whole table, by connector; malformed items stand under the connector they name, under "" if they name none."""

    states: dict[str, BreakerState] = field(default_factory=dict)
    concurrency: dict[str, Concurrency] = field(default_factory=dict)
    malformed: dict[str, list[MalformedRecord]] = field(default_factory=dict)

    @property
    def connectors(self) -> set[str]:
        """Every connector the table names, and "" if items name none."""
        return {*self.states, *self.concurrency, *self.malformed}

    def unreadable(self, connector: str, sort_key: str) -> bool:
        """True if the connector has an item of this sort key that could not be read."""
        return connector != "" and any(
            record.key == item_key(connector, sort_key) for record in self.malformed.get(connector, ())
        )


def item_key(connector: str, sort_key: str) -> str:
    """The key of a connector's item the way findings show it."""
    return f"{KEY_PREFIX}{connector} / {sort_key}"


def parse_records(items: Iterable[object], table: str) -> ResilienceRecords:
    """The records of a scan of the resilience table.

    Args:
        items: items in DynamoDB JSON.
        table: the table's name, for the malformed records.
    """
    records = ResilienceRecords()
    for entry in items:
        connector, key = "", shown(entry)
        try:
            item = as_item(entry)
            key = f"{key_text(item, 'pk')} / {key_text(item, 'sk')}"
            connector = _connector(item)
            _add(records, connector, item)
        except AttributeProblem as problem:
            records.malformed.setdefault(connector, []).append(MalformedRecord(table, key, problem.attribute, problem.problem))
    return records


def _connector(item: Mapping[str, Any]) -> str:
    key = required(text(item, "pk"), "pk")
    connector = key.removeprefix(KEY_PREFIX)
    if not key.startswith(KEY_PREFIX) or not connector.strip():
        raise AttributeProblem("pk", f"expected {KEY_PREFIX}<connector>, found {shown(key)}")
    return connector


def _add(records: ResilienceRecords, connector: str, item: Mapping[str, Any]) -> None:
    sort_key = required(text(item, "sk"), "sk")
    if sort_key == STATE_KEY:
        _refuse_twice(connector in records.states)
        records.states[connector] = BreakerState(
            connector,
            required(text(item, "state"), "state"),
            required(whole_number(item, "failure_count"), "failure_count"),
            required(whole_number(item, "window_start_epoch_sec"), "window_start_epoch_sec"),
            whole_number(item, "open_until_epoch_sec"),
            whole_number(item, "ttl_epoch_sec"),
            flag(item, "half_open_probe_in_flight"),
        )
    elif sort_key == CONCURRENCY_KEY:
        _refuse_twice(connector in records.concurrency)
        records.concurrency[connector] = Concurrency(
            connector, required(whole_number(item, "in_flight_count"), "in_flight_count")
        )
    else:
        raise AttributeProblem("sk", f"expected {STATE_KEY} or {CONCURRENCY_KEY}, found {shown(sort_key)}")


def _refuse_twice(seen: bool) -> None:
    if seen:
        raise AttributeProblem("sk", "the answer holds this key twice")
