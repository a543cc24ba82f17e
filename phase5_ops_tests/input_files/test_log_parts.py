"""Envelopes that follow each other are read whole where that is safe, and say the same as when read element by element."""

import io
import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.input_files import log_documents, log_parts
from phase5_ops.input_files.archives import Block
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.input_files.log_documents import EVENT_NEWLINE, EventLines, Events, compact_envelope, envelope_lines

TEXTS = st.text(max_size=8) | st.sampled_from(["ends with }{", '"}{"', "two\nlines\r\n", "\u00e9\u4e2d", "\x0b\x00", "H4sIAAAA"])
NUMBERS = st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.booleans()
EVENTS = st.fixed_dictionaries(
    {"id": TEXTS, "timestamp": st.integers(0, 2**41), "message": TEXTS},
    optional={"ingestionTime": NUMBERS, "more": TEXTS | NUMBERS | st.lists(TEXTS, max_size=2)},
) | st.fixed_dictionaries({}, optional={"timestamp": NUMBERS | TEXTS, "message": NUMBERS | st.none()})
ENVELOPES = st.fixed_dictionaries(
    {"messageType": TEXTS, "logGroup": TEXTS | st.just(7), "logStream": TEXTS, "logEvents": st.lists(EVENTS, max_size=4)},
    optional={"owner": TEXTS, "unknown": NUMBERS},
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Documents as writers of several kinds put them behind each other; now and then with a name twice, or cut off."""
    written = []
    for envelope in draw(st.lists(ENVELOPES, min_size=1, max_size=4)):
        spaces = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
        text = json.dumps(envelope, separators=spaces, ensure_ascii=draw(st.booleans()))
        if draw(st.integers(0, 5)) == 0:
            text = text.replace('{"', draw(st.sampled_from(['{"message":"first","', '{"logGroup":"first","'])), 1)
        written.append(text)
    whole = draw(st.sampled_from(["", "\n", "\r\n", "\n\n"])).join(written).encode("utf-8", "surrogatepass")
    return whole[: draw(st.sampled_from([None, -1, len(whole) // 2]))]


def parts(content: bytes) -> tuple[list[Block | Events], str]:
    found: list[Block | Events] = []
    try:
        found += log_parts.LogParts(io.BytesIO(content), lookbehind=8, lookahead=8)
    except FileUnreadable as error:
        return found, str(error)
    return found, ""


@given(documents())
def test_read_whole_or_element_by_element_it_says_the_same(content):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_parts, "envelope_lines", lambda _: None)
        whole = parts(content)
        patch.setattr(log_parts, "compact_envelope", lambda _: None)
        assert whole == parts(content)


ENVELOPE = b'{"logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":5,"message":"tenant-a"}]}'


@pytest.mark.parametrize("between", [b"", b"\n"])
def test_all_but_the_last_of_a_file_are_read_whole(monkeypatch, between):
    whole: list[bytes] = []
    monkeypatch.setattr(log_parts, "envelope_lines", lambda _: None)
    monkeypatch.setattr(log_parts, "compact_envelope", lambda text: whole.append(text) or compact_envelope(text))
    found, problem = parts(between.join([ENVELOPE] * 4))
    assert (whole, len(found), problem) == ([ENVELOPE] * 3 + [b""], 4, "")


@pytest.mark.parametrize(
    "text",
    [
        ENVELOPE.replace(b'{"id"', b'{"message":"tenant-b","id"'),  # twice in an event
        ENVELOPE.replace(b'{"logGroup"', b'{"logEvents":[],"logGroup"'),
        ENVELOPE.replace(b"5", b"5.0e0"),
        ENVELOPE.replace(b"tenant-a", b"tenant\\u002da"),
        ENVELOPE.replace(b":5", b": 5"),
        ENVELOPE + b" ",
        ENVELOPE[:-1],
        b"",
        b"[]",
        b'{"logEvents":[]}',
    ],
)
def test_what_might_be_read_otherwise_than_it_is_written_is_left_to_the_slow_way(text):
    assert compact_envelope(ENVELOPE) is not None
    assert compact_envelope(text) is None


@pytest.fixture(scope="module")
def loops():
    """The loops over bytes, loaded for the tests of this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        late = log_documents.BYTE_LOOPS
        patch.setattr(late, "loaded", late.loaded)
        late.load()
        assert late.loaded is not None
        yield


def as_lines(events: Events) -> EventLines:
    """The same as lines, message by message."""
    stripped = [event.message.rstrip("\r\n").replace("\n", EVENT_NEWLINE.decode()) for event in events.events]
    text = "".join(f"{message}\n" for message in stripped).encode()
    return EventLines(events.group, events.events[0].stream, np.array([event.time for event in events.events]), text)


def plain(lines: EventLines | None) -> object:
    return lines and (lines.group, lines.stream, lines.times.tolist(), lines.lines)


MESSAGES = st.text(max_size=8) | st.sampled_from(
    [
        "",
        "\r\n",
        "a\r\n\n",
        "two\nlines",
        "a\x0b",
        "\x0b",
        "\x1b[31m",
        "\x00\x1f\x0c\x08",
        '"}]}',
        "\\",
        '\\"',
        "\u00e9\u4e2d",
        "\x7f",
        "}{",
    ]
)
ONLY_THE_THREE = st.fixed_dictionaries({"id": TEXTS, "timestamp": st.integers(0, 2**41) | NUMBERS, "message": MESSAGES})
AS_WRITTEN_BY_CLOUDWATCH = st.fixed_dictionaries(
    {"messageType": TEXTS, "logGroup": TEXTS, "logStream": TEXTS, "logEvents": st.lists(ONLY_THE_THREE, min_size=1, max_size=4)}
)


@given(AS_WRITTEN_BY_CLOUDWATCH, st.data())
def test_lines_of_an_envelope_are_its_events_or_it_is_left_to_the_slower_way(loops, envelope, data):
    try:
        text = orjson.dumps(envelope)
    except TypeError:  # a number that orjson does not write
        text = json.dumps(envelope, separators=(",", ":")).encode()
    if data.draw(st.integers(0, 3)) == 0:  # a byte is another one, missing, or there twice
        at, other = data.draw(st.integers(0, len(text) - 1)), data.draw(st.binary(max_size=2))
        text = text[:at] + other + text[at + data.draw(st.integers(0, 2)) :]
    slower = compact_envelope(text)
    lines = envelope_lines(text)
    if lines is not None:
        assert slower is not None
        assert plain(lines) == plain(as_lines(slower))


PLAIN = {"id": "7", "timestamp": 1_764_000_000_000}


@pytest.mark.parametrize(
    "message", ["tenant-a", "", "two\nlines\r\n\n", "a\tb\x1b[0m", "\u00e9\u4e2d", '{"a":"}{"}', "\\n", "\x0c\x08"]
)
def test_what_cloudwatch_writes_is_read_as_lines(loops, message):
    events = [{**PLAIN, "message": message}, {**PLAIN, "message": "the next"}]
    text = orjson.dumps({"messageType": "DATA_MESSAGE", "logGroup": "g", "logStream": "s", "logEvents": events})
    events_of = compact_envelope(text)
    assert events_of is not None
    assert plain(envelope_lines(text)) == plain(as_lines(events_of))


@pytest.mark.parametrize(
    "text",
    [
        ENVELOPE.replace(b'"message":"tenant-a"', b'"message":"tenant-a","more":1'),
        ENVELOPE.replace(b'"logEvents"', b'"more":1,"logEvents"'),
        ENVELOPE.replace(b"]}", b'],"more":1}'),
        ENVELOPE.replace(b"tenant-a", b"\\u002d"),
        ENVELOPE.replace(b"tenant-a", b"\\u000b"),
        ENVELOPE.replace(b"tenant-a", b"\\u001B"),
        ENVELOPE.replace(b"tenant-a", b"\\u000a"),
        ENVELOPE.replace(b"tenant-a", b"\\/"),
        ENVELOPE.replace(b"tenant-a", b"\xff"),
        ENVELOPE.replace(b"tenant-a", b"a\x00b"),
        ENVELOPE.replace(b":5", b":05"),
        ENVELOPE.replace(b":5", b":-5"),
        ENVELOPE.replace(b":5", b":"),
        ENVELOPE.replace(b":5", b":" + b"9" * 19),
        ENVELOPE.replace(b'"1"', b'"\\n"'),
        ENVELOPE.replace(b"]}", b",]}"),
        *(ENVELOPE[:cut] for cut in range(len(ENVELOPE))),
    ],
)
def test_what_is_written_otherwise_is_not_read_as_lines(loops, text):
    assert plain(envelope_lines(ENVELOPE)) == ("g", "s", [5], b"tenant-a\n")
    assert envelope_lines(text) is None
