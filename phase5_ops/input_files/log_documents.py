"""JSON documents that hold log events: which shapes are known, and the events of each with group, stream and time. Pure.

Known:
- a subscription's envelope (`messageType`, `logGroup`, `logStream`, `logEvents`), as Firehose and Kinesis deliver it;
- the answer of filter-log-events or get-log-events (`events`), whole or its events as a list;
- the answer of get-query-results (`results`) whose rows have `@message`, and such rows as the console saves them (list or CSV);
- what Lambda's Telemetry API sends (`time`, `type`, `record`), as a list;
- a list of messages, of collectors' records (`message`, `log` or `event`), and a list of any of these;
- what a subscription invokes a function with (`awslogs`, `Records` of Kinesis, `records` of Firehose), still packed, and the
  answer of Kinesis' get-records.
Any other document is not guessed at. Unknown members are scanned with the event that has them.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from phase5_ops.input_files.late_module import BYTE_LOOPS

#: Members of a document whose lists may be too long for memory.
LISTS = frozenset({"logEvents", "events"})

_OF_ENVELOPE = frozenset({"messageType", "owner", "logGroup", "logStream", "subscriptionFilters", "logEvents", "policyLevel"})
_OF_EVENT = frozenset({"id", "eventId", "timestamp", "ingestionTime", "message", "logStreamName"})
_OF_ANSWERED = frozenset({"logStreamName", "ingestionTime"})
_OF_ANSWER = frozenset(
    {"events", "searchedLogStreams", "nextToken", "NextToken", "nextForwardToken", "nextBackwardToken"}
    | {"ResponseMetadata", "$metadata"}
)
_OF_QUERY = frozenset({"results", "statistics", "status", "queryLanguage", "encryptionKey", "nextToken", "ResponseMetadata"})
_OF_RECORDS = frozenset({"Records", "NextShardIterator", "MillisBehindLatest", "ChildShards", "ResponseMetadata", "$metadata"})
_ROW_FIELDS = frozenset({"@message", "@timestamp", "@ingestionTime", "@logStream", "@log", "@ptr"})
_OF_RECORD = ("message", "log", "event")
_TELEMETRY = frozenset({"time", "type", "record"})
_QUERY_DONE = "Complete"
_BEGIN_PACKED = (b"\x1f\x8b", b'{"messageType"')


_NAME_OF_EVENTS = b'"logEvents":['
_LEAST_EVENT = len('{"id":"","timestamp":0,"message":""}')

EVENT_NEWLINE = b"\x0b"  # replaces a line break inside one log event: no letter, and no end of a line
NOT_TOLD = -1
csv.field_size_limit(64 << 20)  # a message may be long


class Event(NamedTuple):
    """One log event: its stream, epoch milliseconds (`NOT_TOLD` where nothing says), and the message."""

    stream: str
    time: int
    message: str


@dataclass
class Events:
    """Events of one log group ("" where the document does not name it), those of a stream in order.

    Attributes:
        of_streams: the document names each event's stream, or all are of one; else streams may be mixed.
    """

    group: str
    events: list[Event]
    of_streams: bool = True


class EventLines(NamedTuple):
    """Events of one stream, in order, as lines.

    Attributes:
        group: log group.
        stream: log stream.
        times: epoch milliseconds of each.
        lines: the messages, each ended by a line break; those in it are `EVENT_NEWLINE`, those at its end left out.
    """

    group: str
    stream: str
    times: npt.NDArray[np.int64]
    lines: bytes


@dataclass
class Document:
    """What a document holds.

    Attributes:
        events: the events, by group.
        packed: packed documents in it.
        more: whether the document says that more events follow in another one; None if its kind never says so.
        unfinished: why the document is incomplete, if it is.
    """

    events: list[Events] = field(default_factory=list)
    packed: list[bytes] = field(default_factory=list)
    more: bool | None = None
    unfinished: str = ""


class Where(Enum):
    """Where a document stands: the less likely a function printed it there, the more shapes are accepted."""

    BEGINNING = "where a file or another document ends"
    OVER_LINES = "after text, over several lines"
    ON_A_LINE = "after text, on a line"


def document_of(value: object, where: Where) -> Document | None:
    """What a JSON value holds, or one with part of its list (`LISTS`); None where no such shape is known where it stands."""
    if isinstance(value, Mapping):
        return _of_object(value, where)
    return _of_list(value, where) if isinstance(value, list) and value else None


def compact_envelope(text: bytes) -> Events | None:
    """The events of a subscription's envelope in compact JSON, as CloudWatch Logs writes it; None for any other text.

    Several times as fast as `document_of`. A text is taken only where it is exactly what is written of what was read from it:
    then no member of it stands twice, and nothing was read otherwise than it is written.
    """
    value = _compact(text)
    return None if value is None else _envelope(value)


def _compact(text: bytes) -> Mapping[str, Any] | None:
    """The subscription's envelope that a text is, if it is exactly what is written of what was read from it."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and is_envelope(value) and orjson.dumps(value) == text else None


def envelope_lines(text: bytes) -> EventLines | None:
    """The same as lines, of an envelope whose events have an id, a timestamp and a message and nothing else, in this order.

    Several times as fast as `compact_envelope`, and takes no text that it refuses. None for any other text, and as long as there
    are too few for it to be worth its start.
    """
    loops, begins = BYTE_LOOPS.loaded, text.find(_NAME_OF_EVENTS) + len(_NAME_OF_EVENTS)
    if loops is None or begins < len(_NAME_OF_EVENTS) or not _is_utf8(text):
        return None
    frame = _compact(text[:begins] + b"]}")
    if frame is None or not frame.keys() <= _OF_ENVELOPE:
        return None
    lines, times = np.empty(len(text), np.uint8), np.empty(len(text) // _LEAST_EVENT + 1, np.int64)
    count, size = loops.event_lines(np.frombuffer(text, np.uint8), begins, lines, times)
    return EventLines(frame["logGroup"], frame["logStream"], times[:count], lines[:size].tobytes()) if count else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def table_of(text: str) -> Document | None:
    """The events of a query's rows as the console saves them in CSV, latest first; None where it has no rows.

    Raises:
        ValueError: it is no CSV, or a row has not the columns that the first line names.
    """
    try:
        names, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        cells = [dict(zip(names, row, strict=True)) for row in rows if row]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return document_of(cells, Where.BEGINNING)


def _of_object(value: Mapping[str, Any], where: Where) -> Document | None:
    printable = where is not Where.ON_A_LINE
    if is_envelope(value):
        return Document([_envelope(value)])
    if isinstance(value.get("events"), list) and value.keys() <= _OF_ANSWER and all(map(_is_event, value["events"])):
        if not printable and not all("ingestionTime" in event for event in value["events"]):
            return None
        return Document([_events("", value["events"])], more=bool(value.get("nextToken") or value.get("NextToken")))
    if printable and isinstance(value.get("results"), list) and value.keys() <= _OF_QUERY and all(map(_is_row, value["results"])):
        status = value.get("status", _QUERY_DONE)
        return Document(_rows(value["results"]), unfinished="" if status == _QUERY_DONE else f"the query was {status}")
    if _is_event(value) and value.keys() >= _OF_ANSWERED:
        return Document([_events("", [value])])
    packed = _packed(value, printable=printable)
    return None if packed is None else Document(packed=packed)


def _of_list(value: Sequence[object], where: Where) -> Document | None:
    if where is Where.BEGINNING and all(isinstance(each, str) for each in value):
        return Document([Events("", [Event("", NOT_TOLD, str(each)) for each in value], of_streams=False)])
    if where is not Where.ON_A_LINE and all(map(_is_event, value)):
        return Document([_events("", value)])
    if where is not Where.ON_A_LINE and all(isinstance(each, Mapping) and each.keys() == _TELEMETRY for each in value):
        return Document([Events("", [_telemetry(each) for each in value if isinstance(each, Mapping)])])
    saved = [each for each in value if isinstance(each, Mapping) and "@message" in each]
    if where is not Where.ON_A_LINE and len(saved) == len(value):
        return Document(_rows([[{"field": name, "value": _shown(cell)} for name, cell in each.items()] for each in saved]))
    if where is not Where.ON_A_LINE and all(map(_is_record, value)):
        return Document([Events("", [Event("", NOT_TOLD, _json(each)) for each in value], of_streams=False)])
    whole = Document()
    for each in value:
        inner = _of_object(each, where) if isinstance(each, Mapping) else None
        if inner is None:
            return None
        whole.events += inner.events
        whole.packed += inner.packed
        whole.more, whole.unfinished = inner.more, inner.unfinished or whole.unfinished
    return whole


def is_envelope(value: Mapping[str, Any]) -> bool:
    """Whether this is a subscription's envelope, with all of its events or the first of them."""
    return (
        isinstance(value.get("logEvents"), list)
        and isinstance(value.get("logGroup"), str)
        and isinstance(value.get("logStream"), str)
        and all(isinstance(event, Mapping) for event in value["logEvents"])
    )


def _envelope(value: Mapping[str, Any]) -> Events:
    events = [_event(event, value["logStream"]) for event in value["logEvents"]]
    if rest := _unknown(value, _OF_ENVELOPE):
        events.append(Event(value["logStream"], NOT_TOLD, rest))
    return Events(value["logGroup"], events)


def _is_event(value: object) -> bool:
    return isinstance(value, Mapping) and "message" in value and isinstance(value.get("timestamp"), int)


def _events(group: str, events: Iterable[Any]) -> Events:
    return Events(group, [_event(event, str(event.get("logStreamName", ""))) for event in events])


def _event(event: Mapping[str, Any], stream: str) -> Event:
    """The event; a message that is no text, and unknown members, are added to its message as JSON."""
    message, moment = event.get("message", ""), event.get("timestamp")
    if not isinstance(moment, int):
        moment = NOT_TOLD
    if isinstance(message, str) and event.keys() <= _OF_EVENT:
        return Event(stream, moment, message)
    return Event(stream, moment, "\n".join(filter(None, [_shown(message), _unknown(event, _OF_EVENT)])))


def _unknown(value: Mapping[str, Any], known: frozenset[str]) -> str:
    rest = {name: each for name, each in value.items() if name not in known}
    return _json(rest) if rest else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_row(row: object) -> bool:
    if not isinstance(row, list) or not all(isinstance(cell, Mapping) and {"field", "value"} == cell.keys() for cell in row):
        return False
    return any(cell["field"] == "@message" for cell in row)


def _is_record(value: object) -> bool:
    """Whether this is a collector's record of a line."""
    return isinstance(value, Mapping) and any(isinstance(value.get(name), str) for name in _OF_RECORD) and not is_envelope(value)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _rows(rows: Iterable[Sequence[Mapping[str, str]]]) -> list[Events]:
    """Rows of a query, in order of time: the latest comes first unless the query says otherwise."""
    groups: dict[str, Events] = {}
    for row in rows:
        cells = {str(cell["field"]): str(cell["value"]) for cell in row}
        texts = [cells["@message"], _unknown(cells, _ROW_FIELDS)]
        group = cells.get("@log", "").partition(":")[2] or cells.get("@log", "")
        event = Event(cells.get("@logStream", ""), _milliseconds(cells.get("@timestamp", "")), "\n".join(filter(None, texts)))
        groups.setdefault(group, Events(group, [])).events.append(event)
    for found in groups.values():
        if found.events[0].time > found.events[-1].time:
            found.events.reverse()
        found.events.sort(key=lambda event: event.time)
        found.of_streams = all(event.stream for event in found.events)
    return list(groups.values())


def _telemetry(value: Mapping[str, Any]) -> Event:
    record = value["record"]
    return Event("", _milliseconds(str(value["time"])), record if isinstance(record, str) else _json(value))


def _milliseconds(moment: str) -> int:
    try:
        return int(datetime.fromisoformat(moment).timestamp() * 1000)
    except ValueError:
        return NOT_TOLD


def _data_of(record: object) -> Any:  # noqa: ANN401 - JSON
    """What a Kinesis record holds: as a function is given it, or as get-records answers."""
    if not isinstance(record, Mapping):
        return None
    inner = record.get("kinesis")
    return inner.get("data") if isinstance(inner, Mapping) else record.get("Data")


def _packed(value: Mapping[str, Any], *, printable: bool) -> list[bytes] | None:
    """The packed data that a subscription invokes a function with; on a line after text only documents are accepted."""
    if value.keys() == {"awslogs"} and isinstance(value["awslogs"], Mapping):
        texts = [value["awslogs"].get("data")]
    elif value.keys() >= {"Records"} and value.keys() <= _OF_RECORDS and isinstance(value["Records"], list):
        texts = [_data_of(each) for each in value["Records"]]
    elif "records" in value and isinstance(value["records"], list):
        texts = [each.get("data") if isinstance(each, Mapping) else None for each in value["records"]]
    else:
        return None
    try:
        packed = [base64.b64decode(text or "", validate=True) for text in texts]
    except (TypeError, ValueError, binascii.Error):
        return None
    return packed if packed and all(data and (printable or data.startswith(_BEGIN_PACKED)) for data in packed) else None
