"""JSON documents that hold ledger items: which shapes are known, and every member of a document accounted for. Pure.

Known: a bare item; `{"Item": ...}` (a line of an export, a get-item answer); a scan or query answer; a batch-get, transact-get
or batch-execute-statement answer; put requests as batch-write takes them, with or without `RequestItems`; a list of any of the
items. A document comes alone, over many lines, one a line, or joined to the next. Anything else in a document is refused by
name (`NotALedger`, or a malformed line), so that an unfamiliar shape never reads as "no entries". Arrays of items are streamed.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import ijson
import numpy as np
import orjson

from phase5_ops.ccnative.attributes import shown
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.replay.audit.line_layouts import LineLayouts
from phase5_ops.sections.replay.audit.usual_entries import REPLAYS, QuickLedger
from phase5_ops.text import first_few

LINE_BYTES = 8 * 1024 * 1024  # a longer line is no item; it may be a whole scan answer on one line
_READ_BYTES = 1 << 20
_BLOCK_BYTES = 4 << 20  # of lines that are looked at together
_DEEPEST = 100  # DynamoDB nests values 32 levels deep, and its JSON form names the type at each
_MOST_MEMBERS = 100_000  # of an array that is held rather than streamed; no item has so many
_NAMED = 8  # members that a message names

_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"})
_OF_AN_ITEM = frozenset({"pk", "sk", "eventType", "entryId"})
_BY_TABLE = ("Responses", "RequestItems")
#: Members of an answer beside its items that hold no items themselves.
_ABOUT_THE_ANSWER = frozenset(
    {"Count", "ScannedCount", "LastEvaluatedKey", "NextToken", "ConsumedCapacity", "ResponseMetadata", "$metadata", "TableName"}
    | {"UnprocessedKeys", "UnprocessedItems", "ItemCollectionMetrics", "StartingToken"}
)
#: Members by which a known document without a table's items is recognised, and what it is.
_REFUSED = {
    **dict.fromkeys(("NewImage", "OldImage", "Keys"), "a change of an incremental export; give the folder with its manifests"),
    "Records": "stream or notification records, which are changes of a table and not its items",
    "Table": "a table's description",
    "exportArn": "an export's manifest",
    "Attributes": "the answer of an update or a deletion",
}


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        raise ValueError("a member is given twice")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct)


def _written_plainly(line: bytes) -> dict[str, Any] | None:
    """The object on a line that holds nothing else; None where `_DECODER` has to read it.

    orjson is several times as fast, but takes the last of two equal members. A line that is, byte for byte, what orjson makes
    of the value (with the blanks of Python's `json.dumps` or without any) can hold no member twice, and nothing that the two
    parsers read differently.
    """
    try:
        value = orjson.loads(line)
        written = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return None
    if type(value) is not dict:
        return None
    if not line.startswith(written):
        line = line.replace(b'": ', b'":').replace(b', "', b',"').replace(b", {", b",{")
        if not line.startswith(written):
            return None
    return value if line[len(written) :] in _LINE_ENDS else None


_LINE_ENDS = (b"\n", b"", b"\r\n")


class NotALedger(Exception):
    """A document that cannot be taken as ledger items: the status of its read, and why."""

    def __init__(self, status: ReadStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class EmptyFile(NotALedger):
    """A text without any document."""


@dataclass(slots=True)
class Pages:
    """Scan and query answers met so far, and how many of them say that more follows."""

    answers: int = 0
    unfinished: int = 0


@dataclass(slots=True)
class LedgerDocuments:
    """Takes the items of documents.

    Attributes:
        take: is given each item.
        refuse: is given the number of a line that holds no item, and why.
        pages: of all documents.
        record: is given number and value of each line instead, where the lines are the records of an incremental export.
        quick: may take an item by its texts alone; None if every item goes to `take`.
    """

    take: Callable[[object], None]
    refuse: Callable[[int, str], None]
    pages: Pages = field(default_factory=Pages)
    record: Callable[[int, object], None] | None = None
    quick: QuickLedger | None = None

    def read(self, stream: BinaryIO) -> None:
        """Every item of a text.

        Raises:
            EmptyFile: it holds nothing.
        NotALedger: it is no JSON of a known shape, or the answer says that it is not whole; items before that were taken.
        """
        number, line = _first_line(stream)
        if not line:
            raise EmptyFile(ReadStatus.INVALID, "nothing but blank lines" if number else "the file is empty")
        if _begins_document(line):
            self._documents(cast("BinaryIO", _Chained(line, stream)))
        else:
            self._lines(stream, number, line)

    def _lines(self, stream: BinaryIO, number: int, line: bytes) -> None:
        """Documents as lines, beginning with the one already read."""
        if b"\0" in line:
            raise NotALedger(ReadStatus.INVALID, "not text: no JSON")
        if line.startswith(b"$ion_1_0"):
            raise NotALedger(ReadStatus.INVALID, "Amazon Ion; only DynamoDB JSON is read")
        if self.record is None and self.quick is not None:
            self._take_line(number, line)
            self._blocks(stream, number + 1, self.quick)
            return
        while line:
            self._take_line(number, line)
            line, number = stream.readline(LINE_BYTES), number + 1

    def _take_line(self, number: int, line: bytes) -> None:
        if len(line) >= LINE_BYTES and not line.endswith(b"\n"):
            raise NotALedger(ReadStatus.INVALID, f"line {number} is longer than {LINE_BYTES} bytes")
        if line.strip():
            self._line(number, line)

    def _blocks(self, stream: BinaryIO, number: int, quick: QuickLedger) -> None:
        """The lines of the rest of the text; those in which nothing is odd are taken many at once."""
        layouts = LineLayouts(_DECODER.decode)
        for block in filter(None, _blocks_of_lines(stream)):
            whole = block.rfind(b"\n") + 1
            number += self._block(block if whole == len(block) else block[:whole], layouts, number, quick)
            if whole < len(block):
                self._take_line(number, _of_bounded_length(block[whole:]))

    def _block(self, block: bytes, layouts: LineLayouts, number: int, quick: QuickLedger) -> int:
        """The lines of a block, `number` being that of the first; returns how many there are."""
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
        begins = np.concatenate(([0], ends[:-1]))
        taken = [usual for alike in layouts.alike(block, begins, ends) if (usual := quick.usual(alike)) is not None]
        odd = np.ones(len(ends), bool)
        for usual in taken:
            odd[usual.rows] = False

        def take(rows: Iterable[int]) -> None:
            for row in rows:
                self._take_line(number + row, _of_bounded_length(block[begins[row] : ends[row]]))

        for row in np.flatnonzero(odd).tolist():
            try:
                take([row])
            except NotALedger:
                take(np.flatnonzero(~odd[:row]).tolist())  # those before it count
                raise
        for usual in sorted(taken, key=lambda usual: usual.kind != REPLAYS):  # first, since the others are packed by them
            quick.take_usual(usual)
        return len(ends)

    def _line(self, number: int, line: bytes) -> None:
        """The documents of a line, which may be joined without anything between them."""
        if (plain := _written_plainly(line)) is not None:
            item = plain.get("Item")
            if type(item) is dict and len(plain) == 1 and self.record is None:
                self.take(item)
            else:
                self._value(number, plain)
            return
        try:
            text = line.decode("utf-8").strip()
            at = 0
            while at < len(text):
                value, at = _DECODER.raw_decode(text, at)
                self._value(number, value)
                while at < len(text) and text[at].isspace():
                    at += 1
        except (ValueError, RecursionError) as error:
            self.refuse(number, f"not JSON: {shown(str(error))}")

    def _value(self, number: int, value: object) -> None:
        if self.record is not None:
            self.record(number, value)
            return
        if isinstance(value, list):
            for element in value:
                self._value(number, element)
            return
        if not isinstance(value, dict) or _OF_AN_ITEM & value.keys():
            self.take(value)
            return
        document = _Document(self)
        for name, member in value.items():
            by_table = name in _BY_TABLE and isinstance(member, dict)
            for part, inner in member.items() if by_table else ((name, member),):
                if isinstance(inner, list):
                    document.begin(part, by_table=by_table)
                    for element in inner:
                        document.element(part, element, by_table=by_table)
                else:
                    document.member(part, inner, by_table=by_table)
        if refused := document.refused():
            raise NotALedger(ReadStatus.INVALID, refused)
        if problem := document.unknown():
            self.refuse(number, problem)
        else:
            document.end()

    def _documents(self, stream: BinaryIO) -> None:
        """JSON documents over many lines, or too long for one, one after the other."""
        try:
            for document in _parsed(stream, self):
                if problem := document.refused() or document.unknown():
                    raise NotALedger(ReadStatus.INVALID, problem)
                document.end()
        except ijson.JSONError as error:
            raise NotALedger(ReadStatus.INVALID, f"not whole JSON: {shown(str(error))}") from error


@dataclass(slots=True)
class _Document:
    """One JSON object that is no bare item, member by member."""

    to: LedgerDocuments
    members: dict[str, Any] = field(default_factory=dict)
    holds: set[str] = field(default_factory=set)  # where arrays of items were
    items: int = 0
    problems: list[str] = field(default_factory=list)

    def begin(self, name: str, *, by_table: bool) -> None:
        """An array of that name begins."""
        if by_table or name in ("Items", "Responses"):
            self.holds.add("by table" if by_table else name)
        else:
            self.members[name] = []

    def element(self, name: str, value: object, *, by_table: bool) -> None:
        """An element of the array that began."""
        if by_table or name in ("Items", "Responses"):
            self._answered(value)
        elif isinstance(value, dict) and value.keys() & {"PutRequest", "DeleteRequest"}:
            self.members.pop(name, None)
            self.holds.add("by table")
            self._answered(value)
        else:
            held = self.members.setdefault(name, [])
            if len(held) >= _MOST_MEMBERS:
                raise NotALedger(ReadStatus.INVALID, f"an array {shown(name)} of more than {_MOST_MEMBERS} elements")
            held.append(value)

    def member(self, name: str, value: object, *, by_table: bool) -> None:
        """A member that is no array."""
        if by_table:
            self.problems.append(f"{shown(name)} holds no list of items")
        elif name in self.members:
            self.problems.append(f"{shown(name)} is given twice")
        else:
            self.members[name] = value

    def _answered(self, value: object) -> None:
        if isinstance(value, dict) and "DeleteRequest" in value:
            self.problems.append("a deletion, which is no item")
        elif isinstance(value, dict) and "Error" in value and "Item" not in value:
            self.problems.append("a statement that failed")
        elif value != {}:  # of a transact-get: there is no such item
            self.items += 1
            self.to.take(_unwrapped(value))

    def refused(self) -> str | None:
        """What the document is, if it is of a known kind that holds no table's items (`_REFUSED`); else None."""
        known = not self.holds and not self._is_item() and self._carried() is None
        return next((what for name, what in _REFUSED.items() if name in self.members), None) if known else None

    def unknown(self) -> str | None:
        """The part of the document that is not understood; None if all is understood."""
        if self.problems:
            return f"{self.problems[0]}, and {len(self.problems) - 1} more" if self.problems[1:] else self.problems[0]
        if self.holds:
            odd = {
                name
                for name, value in self.members.items()
                if name not in _ABOUT_THE_ANSWER and isinstance(value, (dict, list)) and value
            }
            return f"beside the items {_names(odd)}, which is not understood" if odd else None
        if self._is_item() or self._carried() is not None:
            return None
        return f"an object with {_names(self.members)}: neither a ledger item nor an answer that holds items"

    def end(self) -> None:
        """Takes the item of a document without arrays; otherwise checks that the answer is whole.

        Raises:
            NotALedger: the answer says that it is not whole.
        """
        if not self.holds:
            carried = self._carried()
            self.to.take(self.members if carried is None else carried)
            return
        if left := [name for name in ("UnprocessedKeys", "UnprocessedItems") if self.members.get(name)]:
            raise NotALedger(ReadStatus.PARTIAL, f"the answer has {left[0]}: not all that was asked for came")
        if "Items" in self.holds:
            self.to.pages.answers += 1
            if self.members.get("LastEvaluatedKey") or self.members.get("NextToken"):
                self.to.pages.unfinished += 1
            count = self.members.get("Count")
            if isinstance(count, int) and count != self.items:
                raise NotALedger(ReadStatus.PARTIAL, f"the answer says Count {count} and holds {self.items} items")

    def _carried(self) -> object | None:
        """The item of a get-item answer, a line of an export, or a put request."""
        rest = self.members.keys() - _ABOUT_THE_ANSWER
        if rest == {"Item"}:
            return cast("object", self.members["Item"])
        if rest == {"PutRequest"} and isinstance(self.members["PutRequest"], dict):
            return _unwrapped(self.members)
        return None

    def _is_item(self) -> bool:
        typed = [isinstance(value, dict) and len(value) == 1 and value.keys() <= _TYPES for value in self.members.values()]
        return bool(_OF_AN_ITEM & self.members.keys()) or (bool(typed) and all(typed)) or not self.members


def _unwrapped(value: object) -> object:
    """The item that an element of an answer carries, beside its table's name; the element itself where it is the item."""
    for carrier in ("PutRequest", "Item"):
        if isinstance(value, dict) and value.keys() - {"TableName"} == {carrier}:
            value = value[carrier]
    return value


def _names(names: Mapping[str, Any] | set[str]) -> str:
    return first_few([shown(name) for name in sorted(names)], _NAMED)


def _parsed(stream: BinaryIO, to: LedgerDocuments) -> Iterator[_Document]:
    """Each object of a text of JSON documents, once it ends; the elements of lists are taken as items on the way."""
    events = _events(stream)
    for event, value in events:
        if event == "start_array":
            for number, element in enumerate(_elements(events), 1):
                to._value(number, element)
        elif event == "start_map":
            document = _Document(to)
            for _, name in _keys(events):
                _member(events, document, name)
            yield document
        else:
            to.take(value)


def _member(events: Iterator[tuple[str, Any]], document: _Document, name: str, *, by_table: bool = False) -> None:
    event, value = next(events)
    if event == "start_array":
        document.begin(name, by_table=by_table)
        for element in _elements(events):
            document.element(name, element, by_table=by_table)
    elif event == "start_map" and name in _BY_TABLE and not by_table:
        for _, table in _keys(events):
            _member(events, document, table, by_table=True)
    else:
        document.member(name, _built(events, event, value), by_table=by_table)


def _keys(events: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """The keys of the object that began, up to its end; the caller takes each value before it asks for the next key."""
    for event, value in events:
        if event == "end_map":
            return
        yield event, value


def _elements(events: Iterator[tuple[str, Any]]) -> Iterator[Any]:
    """The elements of the array that began, up to its end."""
    for event, value in events:
        if event == "end_array":
            return
        yield _built(events, event, value)


def _built(events: Iterator[tuple[str, Any]], event: str, value: object) -> Any:  # noqa: ANN401 - a JSON value
    """The value that begins with this event."""
    builder = ijson.ObjectBuilder()
    builder.event(event, value)
    depth = int(event.startswith("start_"))
    while depth:
        event, value = next(events)
        depth += event.startswith("start_") - event.startswith("end_")
        builder.event(event, value)
    return builder.value


def _events(stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    """The parser's events.

    Raises:
        NotALedger: nested deeper than any item can be; a parser's memory would grow with every level.
    """
    depth = 0
    for event, value in ijson.basic_parse(stream, use_float=True, multiple_values=True):
        depth += event.startswith("start_") - event.startswith("end_")
        if depth > _DEEPEST:
            raise NotALedger(ReadStatus.INVALID, f"nested deeper than {_DEEPEST} levels: no ledger item")
        yield event, value


def _first_line(stream: BinaryIO) -> tuple[int, bytes]:
    """Number and text of the first line that is not blank; the number of lines and b"" where all are."""
    number = 0
    while line := stream.readline(LINE_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            return number, line
    return number, b""


def _blocks_of_lines(stream: BinaryIO) -> Iterator[bytes]:
    """What a stream holds, in blocks of about `_BLOCK_BYTES` that end with a line feed, but for the last.

    Whole lines that came before an error are given before it is raised; nothing is read behind a line that is too long.
    """
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    held: list[bytes] = []
    size = of_a_line = 0
    try:
        while of_a_line < LINE_BYTES and (chunk := read(_READ_BYTES)):
            whole = chunk.rfind(b"\n") + 1
            of_a_line = len(chunk) - whole if whole else of_a_line + len(chunk)
            if whole and size + whole >= _BLOCK_BYTES:
                yield b"".join([*held, memoryview(chunk)[:whole]])
                held, size, chunk = [], 0, chunk[whole:]
            held.append(chunk)
            size += len(chunk)
    except Exception:
        yield (left := b"".join(held))[: left.rfind(b"\n") + 1]
        raise
    yield b"".join(held)


def _of_bounded_length(line: bytes) -> bytes:
    """The line, as if it had been read with a bound on its length."""
    return line if len(line) <= LINE_BYTES else line[:LINE_BYTES]


def _begins_document(line: bytes) -> bool:
    """True if the first line begins a document of many lines: it ends where such a document breaks its lines, or is very long."""
    text = line.strip()
    return text.startswith((b"{", b"[")) and (text.endswith((b"{", b"[", b",")) or len(line) >= LINE_BYTES)


class _Chained(io.RawIOBase):
    """A stream from which a line was read already."""

    def __init__(self, line: bytes, rest: BinaryIO) -> None:
        self._line, self._rest = line, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk, self._line = self._line[: len(buffer)], self._line[len(buffer) :]
        chunk = chunk or self._rest.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
