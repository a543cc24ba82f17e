"""Envelopes that follow each other are read whole where that is safe, and say the same as when read element by element."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.input_files import log_parts
from phase5_ops.input_files.archives import Block
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.input_files.log_documents import Events, compact_envelope

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
        patch.setattr(log_parts, "compact_envelope", lambda _: None)
        slowly = parts(content)
    assert parts(content) == slowly


ENVELOPE = b'{"logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":5,"message":"tenant-a"}]}'


@pytest.mark.parametrize("between", [b"", b"\n"])
def test_all_but_the_last_of_a_file_are_read_whole(monkeypatch, between):
    whole: list[bytes] = []
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
