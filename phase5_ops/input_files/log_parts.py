"""What a file of logs is made of: lines of text, and JSON documents that hold events; every byte is in one or the other. Pure.

A document is looked for where a file begins, where another document ends, and at the beginning of a line; the last only in shapes
that no function would log (`log_documents`). An unknown document over several lines is scanned as lines and reported as not
understood, since its lines are no events. A document is read element by element, so that memory stays bounded.
"""

import codecs
import io
import re
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from phase5_ops.input_files.archives import Block, blocks
from phase5_ops.input_files.files import FileUnreadable, NotUnderstood, Readable, chunks_of, contents
from phase5_ops.input_files.json_cursor import MOST_CHARACTERS, JsonCursor, NotJson
from phase5_ops.input_files.late_module import BYTE_LOOPS
from phase5_ops.input_files.log_documents import (
    EVENT_NEWLINE,
    LISTS,
    EventLines,
    Events,
    Where,
    compact_envelope,
    document_of,
    envelope_lines,
    table_of,
)
from phase5_ops.input_files.packed_text import packed_in

CHUNK_BYTES = 2 << 20
KEPT_CHARACTERS = 4 << 20  # of a document, until what came of it is handed on
_MOST_NAMED = 5
_PERMISSION_CHECK = b"Permission Check Successful"  # `aws-logs-write-test`, which an export leaves in its bucket

NEWLINE, BRACKET, BRACE = 10, ord("["), ord("{")
_BEGINS = object()
_NAME_OF_EVENTS, _NAMED_WITHIN = '"logEvents"', 4096
_BROKEN = re.compile(r'\s*(?:\{\s*"[^"]*"\s*:|\[\s*["{\[])')  # what only JSON begins with
_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?((?:\[\s*)*\{\s*)"([^"\n]*)"\s*:')
#: The first line of a query's rows as a table of which one column is the message.
_TABLE = re.compile(rb'(?:\xef\xbb\xbf)?(?=[^\r\n]*,)(?:[^\r\n{]*,)?"?@message"?(?:,[^\r\n{]*)?\r?\n')
_MARKED = re.compile(rb"\n(?=\xef\xbb\xbf[\[{])")  # a file with a byte order mark that was joined to another
_LONGEST_HEAD = 256
_FIRST_MEMBERS = frozenset(
    {b"messageType", b"owner", b"logGroup", b"logStream", b"subscriptionFilters", b"logEvents"}
    | {b"awslogs", b"Records", b"records", b"invocationId"}
    | {b"events", b"searchedLogStreams", b"nextToken", b"nextForwardToken", b"nextBackwardToken"}
)
_SECOND = np.zeros(256, np.bool_)
_SECOND[[*b'"{[ \t\r\n\xbb']] = True


#: Lines of text, or events.
Part = Block | Events | EventLines


class LogParts:
    """The parts of one file, in order.

    Attributes:
        more: whether the last answer in it says that more events follow in another one; None where it holds none.
    """

    def __init__(self, stream: Readable, *, lookbehind: int, lookahead: int) -> None:
        self._read = chunks_of(stream)
        self._failure: Exception | None = None
        self._around = {"lookbehind": lookbehind, "lookahead": lookahead}
        self._held = b""  # read and not given yet
        self._line_start = True  # whether a line begins with the next byte
        self._passed = False  # a document that begins with the next byte was examined and is text
        self._ended = False
        self._broken: list[str] = []
        self._not_understood: list[str] = []
        self._scratch = np.empty((2, 0), np.bool_)
        self.more: bool | None = None

    def __iter__(self) -> Iterator[Part]:
        """The parts.

        Raises:
            FileUnreadable: the file broke off; all else was given.
            NotUnderstood: it holds documents whose shape is not known; they were given as text.
        """
        if self._is_permission_check():
            return
        if _TABLE.match(self._held):
            yield from self._table()
            return
        after_text = False
        while not self._ended:
            yield from self._documents(after_text=after_text)
            yield from self._text()
            after_text = True
        self._name_what_was_not_read()

    def _name_what_was_not_read(self) -> None:
        if self._not_understood:
            raise NotUnderstood(_named(self._not_understood + self._broken))
        if self._broken:
            raise FileUnreadable(_named(self._broken))

    def _table(self) -> Iterator[Part]:
        """The events of a table of rows; it is read whole, as the console saves no more than some thousands.

        Raises:
            FileUnreadable: it is longer than `MOST_CHARACTERS`, or no such table.
        """
        whole = b""
        while chunk := self._next():
            whole += chunk
            if len(whole) > MOST_CHARACTERS:
                raise FileUnreadable(f"a table of more than {MOST_CHARACTERS} bytes")
        try:
            document = table_of(whole.decode("utf-8-sig", "surrogateescape"))
        except ValueError as error:
            raise FileUnreadable(f"a table of rows that is not whole: {error}") from error
        yield from self._given(document.events if document else ())
        self._name_what_was_not_read()

    def _text(self) -> Iterator[Part]:
        """The text up to the next document, and after each piece of it the events that are packed in its lines."""
        packed = list[bytes]()
        for block in blocks(self, **self._around):
            yield block
            packed += packed_in(block.raw[block.begin : block.stop])
            if block.ends_line:
                yield from self._unpacked(packed)
                packed.clear()

    def _unpacked(self, packed: Iterable[bytes]) -> Iterator[Events | EventLines]:
        """The events in packed data from text; data that is no document of events is reported, since nobody could read it."""
        for data in packed:
            for part in self._inner(data):
                if isinstance(part, Block):
                    self._not_understood.append("a line holds packed data that is no document of log events")
                    break
                yield part

    def _given(self, found: Iterable[Events | EventLines]) -> Iterator[Events | EventLines]:
        """These events, and after them the events that are packed in their messages."""
        for events in found:
            yield events
            if isinstance(events, EventLines):
                messages = events.lines
            else:
                messages = "\n".join(event.message for event in events.events).encode("utf-8", "replace")
            yield from self._unpacked(packed_in(messages))

    def _inner(self, data: bytes) -> Iterator[Part]:
        """The parts of packed data."""
        try:
            for content in contents("", partial(io.BytesIO, data)):
                yield from LogParts(content.stream, **self._around)
        except FileUnreadable as error:
            (self._not_understood if isinstance(error, NotUnderstood) else self._broken).append(f"packed in it: {error}")

    def _is_permission_check(self) -> bool:
        self._held = self._next()
        return self._held.strip() == _PERMISSION_CHECK and self._failure is None

    def _next(self) -> bytes:
        """The next bytes; what came before the stream broke off comes first."""
        chunk, self._held = self._held, b""
        if chunk:
            return chunk
        if self._failure is not None:
            raise self._failure
        parts, count = list[bytes](), 0
        try:
            while count < CHUNK_BYTES and (more := self._read(CHUNK_BYTES - count)):
                parts.append(more)
                count += len(more)
        except Exception as error:
            if not parts:
                raise
            self._failure = error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next_or_none(self) -> bytes:
        """The next bytes; none if the stream broke off, which is raised after what came before was given."""
        try:
            return self._next()
        except Exception as error:  # noqa: BLE001 - kept, and raised by the next call of `_next`
            self._failure = error
            return b""

    def read(self, size: int, /) -> bytes:
        """The next bytes of text, about `size` of them; none at the end, and where a document begins."""
        chunk = self._next()
        chunk, self._held = chunk[:size], chunk[size:]
        while chunk:
            at = self._beginning(chunk)
            if at is None:
                self._line_start, self._passed = chunk.endswith(b"\n"), False
                return chunk
            if at:
                self._line_start, self._passed = True, False
                self._held = chunk[at:] + self._held
                return chunk[:at]
            if len(chunk) >= _LONGEST_HEAD or not (more := self._next()):
                if not self._is_head(chunk, 0):
                    self._passed = True
                    continue
                self._held = chunk + self._held
                return b""
            chunk += more
        self._ended = True
        return b""

    def _beginning(self, chunk: bytes) -> int | None:
        """The offset of the first line in a chunk that may begin a document; None if no line may."""
        data = np.frombuffer(chunk, np.uint8)
        loops = BYTE_LOOPS.loaded
        starts = self._starts(data) if loops is None or loops.line_begins_document(data) else np.empty(0, np.int64)
        if codecs.BOM_UTF8[0] in chunk:
            starts = np.union1d(starts, np.array([match.end() for match in _MARKED.finditer(chunk)], np.int64))
        if self._line_start and not self._passed and chunk.startswith((b"{", b"[", codecs.BOM_UTF8)):
            starts = np.append(0, starts)
        last = len(data) - 1
        starts = starts[_SECOND[data[np.minimum(starts + 1, last)]] | (starts == last)]
        for at in starts.tolist():
            if len(chunk) - at < _LONGEST_HEAD or self._is_head(chunk, at):
                return int(at)
        return None

    def _starts(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Where a line begins with a bracket or brace, after a line end."""
        if self._scratch.shape[1] < len(data):  # kept, since fresh memory costs more than what is done with it
            self._scratch = np.empty((2, len(data)), np.bool_)
        ends = np.equal(data, NEWLINE, out=self._scratch[0, : len(data)])
        lower = np.bitwise_or(data, BRACKET ^ BRACE, out=self._scratch[1, : len(data)].view(np.uint8))
        ends[:-1] &= np.equal(lower, BRACE, out=lower.view(np.bool_))[1:]  # true for [ and {
        return np.flatnonzero(ends[:-1]) + 1 if ends[:-1].any() else np.empty(0, np.int64)

    @staticmethod
    def _is_head(chunk: bytes, at: int) -> bool:
        head = _HEAD.match(chunk, at)
        return head is not None and (head[2] in _FIRST_MEMBERS or b"\n" in head[1])

    def _documents(self, *, after_text: bool) -> Iterator[Part]:
        """The events of the documents that follow each other here; what follows the last is kept as text.

        With text before them (`after_text`), only documents that no function prints count.
        """
        cursor = JsonCursor(self._next_or_none)
        cursor.mark()
        while cursor.peek() in ("{", "["):
            if not after_text and (envelope := _whole_envelope(cursor)):
                yield from self._given([envelope])
            elif not (yield from self._document(cursor, after_text=after_text)):
                self._passed = True
                break
            after_text = False
            cursor.peek()
            cursor.mark()
        cursor.back()
        self._held = cursor.rest()
        self._line_start = True

    def _document(self, cursor: JsonCursor, *, after_text: bool) -> Generator[Part, None, bool]:
        """Yields the document's events; returns whether it was one. If not, the cursor can go back to what was not given."""
        first, released = cursor.place, False
        members: dict[str, Any] = {}
        elements: list[Any] = []
        try:
            for name, value in _members(cursor):
                if name in LISTS and value is _BEGINS:
                    elements = members[name] = []
                elif name in LISTS or not name:
                    elements.append(value)
                else:
                    members[name] = value
                if cursor.place - first <= KEPT_CHARACTERS:
                    continue
                if elements:
                    yield from self._events(members or elements, cursor, after_text=after_text)
                    elements.clear()
                    cursor.mark()
                    first, released = cursor.place, True
                elif cursor.place - first > MOST_CHARACTERS:
                    self._not_understood.append(f"a JSON document of more than {MOST_CHARACTERS} characters ({_shown(members)})")
                    return False
            if elements or members or not released:
                yield from self._events(members or elements, cursor, after_text=after_text)
        except _UnknownShape:
            if released:
                self._not_understood.append(
                    f"a JSON document that goes on in a shape that is not known ({_shown(members or elements)})"
                )
                return False
            return (yield from self._one_event(cursor, members or elements, after_text=after_text))
        except NotJson as error:
            begins_so = _BROKEN.match(cursor.ahead(_LONGEST_HEAD)) is not None
            if released or (error.unfinished and begins_so) or _NAME_OF_EVENTS in cursor.ahead(_NAMED_WITHIN):
                self._broken.append(f"a JSON document at character {first} is not whole: {error}")
            return False
        return True

    def _events(self, value: Any, cursor: JsonCursor, *, after_text: bool) -> Iterator[Part]:  # noqa: ANN401 - JSON
        """The events of a document, or of what was read of it.

        Raises:
            _UnknownShape: it is none that is known where it stands.
        """
        document = document_of(value, self._where(cursor, after_text=after_text))
        if document is None:
            raise _UnknownShape
        self.more = self.more if document.more is None else document.more
        if document.unfinished:
            self._broken.append(document.unfinished)
        yield from self._given(document.events)
        for data in document.packed:
            yield from self._inner(data)

    @staticmethod
    def _where(cursor: JsonCursor, *, after_text: bool) -> Where:
        if not after_text:
            return Where.BEGINNING
        return Where.OVER_LINES if "\n" in cursor.since_mark().strip() else Where.ON_A_LINE

    def _one_event(
        self, cursor: JsonCursor, value: dict[str, Any] | list[Any], *, after_text: bool
    ) -> Generator[Block, None, bool]:
        """An unknown document as one line, if it has several lines or shares one with the next; else it stays text.

        After text, a function printed it; elsewhere it may hold events and is reported as not understood.
        """
        text = cursor.since_mark().strip()
        lines = text.count("\n")
        if "logEvents" in value or (lines and not after_text):
            self._not_understood.append(f"a JSON document whose shape is not known ({_shown(value)})")
        if not lines and (after_text or cursor.follows() != "{"):
            return False
        raw = text.encode("utf-8", "surrogateescape").replace(b"\n", EVENT_NEWLINE) + b"\n"
        yield Block(raw, 0, len(raw), ends_line=True, joined=lines)
        return True


def _whole_envelope(cursor: JsonCursor) -> Events | EventLines | None:
    """Goes past a subscription's envelope that another document follows, and gives its events; None where none stands here."""
    if _NAME_OF_EVENTS not in cursor.ahead(_NAMED_WITHIN):
        return None
    text = cursor.to_next_object(KEPT_CHARACTERS)
    content = text.encode("utf-8", "surrogateescape")
    events = envelope_lines(content) or compact_envelope(content)
    if events:
        cursor.go_past(text)
    return events


class _UnknownShape(Exception):
    """A JSON value that is no document of events."""


def _members(cursor: JsonCursor) -> Iterator[tuple[str, Any]]:
    """The members of the object here; for one in `LISTS`, `_BEGINS` and then each element; a list's elements have no name.

    Raises:
        NotJson: it is none, or has a member twice.
    """
    if cursor.peek() == "[":
        yield from (("", value) for value in _elements(cursor))
        return
    cursor.take("{")
    seen: set[str] = set()
    while cursor.peek() != "}":
        if seen:
            cursor.take(",")
        name = cursor.value()
        if not isinstance(name, str) or name in seen:
            raise NotJson("no name of a member, or a member given twice")
        seen.add(name)
        cursor.take(":")
        if name in LISTS and cursor.peek() == "[":
            yield name, _BEGINS
            yield from ((name, value) for value in _elements(cursor))
        else:
            yield name or " ", cursor.value()
    cursor.take("}")


def _elements(cursor: JsonCursor) -> Iterator[Any]:
    cursor.take("[")
    begun = False
    while cursor.peek() != "]":
        if begun:
            cursor.take(",")
        begun = True
        yield cursor.value()
    cursor.take("]")


def _named(problems: list[str]) -> str:
    more = len(problems) - _MOST_NAMED
    return "; ".join(problems[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _shown(value: object) -> str:
    """The kind of a document, without its content."""
    if isinstance(value, dict):
        names = [name for name in value if name.isidentifier()][:_MOST_NAMED]
        return f"an object with {', '.join(names) or 'other members'}"
    return "a list"
