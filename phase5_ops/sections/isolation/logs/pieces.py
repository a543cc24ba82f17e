"""What is scanned at a time: a block of lines and where they come from, cut from a file or from events; and its scan. Pure.

A piece knows nothing of other files, so that it can be scanned anywhere: which number its streams and lines have in the whole
scan, and whose they are, is found out later (`run`, `attribution`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from phase5_ops.input_files.archives import BLOCK_BYTES, Block
from phase5_ops.input_files.files import Readable
from phase5_ops.input_files.log_documents import EVENT_NEWLINE, Event, EventLines, Events
from phase5_ops.input_files.log_parts import LogParts, Part
from phase5_ops.policy import LogException
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops.sections.isolation.logs.layers import LOOK_AROUND
from phase5_ops.sections.isolation.logs.scan import Hits
from phase5_ops.sections.isolation.logs.tokens import Ints

_EVENT_NEWLINE = EVENT_NEWLINE.decode()
MOST_HELD_EVENTS = 5_000
#: Kinds of origins: lines of text, events of a file, events read from CloudWatch.
TEXT, FILE, LIVE = "", "file", "live"
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class LineOrigin:
    """Where the lines of a block come from.

    Attributes:
        group: log group, or the file's name.
        kind: TEXT, FILE or LIVE.
        source: the file that holds the lines, where it is not the group itself.
        streams: the names of streams, and for each line the index of its stream among them; None where the lines have none.
        serial: a stream holds the lines of one process in order.
        times: epoch milliseconds of each line, if known; less than 0 for a line without a known time.
    """

    group: str
    kind: str = TEXT
    source: str = ""
    streams: tuple[tuple[str, ...], Ints] | None = None
    serial: bool = False
    times: Ints | None = None


class Piece(NamedTuple):
    """A block and where its lines come from."""

    block: Block
    origin: LineOrigin


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in a piece, and what is known of its lines.

    Attributes:
        origin: of its lines.
        hits: of the ids.
        set_aside: lines that the allow-list names.
        size: bytes that count as scanned.
        ends_line, joined: see `Block`.
    """

    origin: LineOrigin
    hits: Hits
    set_aside: Ints
    size: int
    ends_line: bool
    joined: int


@dataclass(frozen=True, slots=True)
class Scanning:
    """How pieces are scanned; safe to use from several threads."""

    scanner: LayeredScanner
    exceptions: tuple[LogException, ...] = ()

    def scan(self, piece: Piece) -> Scanned:
        """What is in a piece."""
        block, origin = piece
        hits = self.scanner.scan(block.raw, begin=block.begin, stop=block.stop)
        marks = [each.message.encode() for each in self.exceptions if fnmatchcase(origin.group, each.log_group)]
        set_aside = _lines_with(block, marks) if marks else np.empty(0, np.int64)
        return Scanned(origin, hits, set_aside, block.stop - block.begin, block.ends_line, block.joined)


class FilePieces:
    """The pieces of one file, in order; `progress` is told after each how many bytes of the file are done.

    Attributes:
        more: whether the last answer in it says that more events follow in another file; None where it holds none.
    """

    def __init__(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        self._progress = progress
        self._name, self._parts = name, LogParts(stream, lookbehind=LOOK_AROUND, lookahead=LOOK_AROUND)
        self.more: bool | None = None

    def __iter__(self) -> Iterator[Piece]:
        """The pieces.

        Raises:
            FileUnreadable: it broke off, or a part of it is not understood (NotUnderstood); the rest was given.
        """
        done = 0
        for piece in self._cut():
            yield piece
            done += piece.block.stop - piece.block.begin
            if self._progress:
                self._progress(self._name, done)

    def _cut(self) -> Iterator[Piece]:
        held, failure = _HeldDocuments(), None
        try:
            for part in self._parts:
                if not held.takes(part):
                    yield from self._of_documents(held.given())
                if isinstance(part, Block):
                    yield Piece(part, LineOrigin(self._name))
                else:
                    held.add(part)
        except Exception as error:  # noqa: BLE001 - raised again after what was held
            failure = error
        yield from self._of_documents(held.given())
        if failure is not None:
            raise failure
        self.more = self._parts.more

    def _of_documents(self, parts: Sequence[Events | EventLines]) -> Iterator[Piece]:
        """The pieces of documents of one kind and group, which this file holds one after the other."""
        lines = [part for part in parts if isinstance(part, EventLines)]
        events = [part for part in parts if isinstance(part, Events)]
        if lines:
            raw = b"".join(part.lines for part in lines)
            streams = _numbered([part.stream for part in lines], [len(part.times) for part in lines])
            times = np.concatenate([part.times for part in lines])
            yield Piece(Block(raw, 0, len(raw), ends_line=True), self._origin(lines[0].group, times, streams, serial=True))
        if events:
            yield from self._of_events(events[0], [event for part in events for event in part.events])

    def _of_events(self, kind: Events, found: Sequence[Event]) -> Iterator[Piece]:
        for events in _batches(found):
            times = np.array([event.time for event in events], np.int64)
            streams = _streams(events) if kind.group or kind.of_streams else None
            yield Piece(_block(events), self._origin(kind.group, times, streams, serial=kind.of_streams))

    def _origin(self, group: str, times: Ints, streams: tuple[tuple[str, ...], Ints] | None, *, serial: bool) -> LineOrigin:
        """Where events of a document of this file come from; a group without a name is the file."""
        source = self._name if group and streams is not None else ""
        return LineOrigin(group or self._name, FILE, source, streams, serial, times)


class _HeldDocuments:
    """Small documents that are scanned together: of one kind and group."""

    def __init__(self) -> None:
        self._parts: list[Events | EventLines] = []
        self._size = 0.0  # of a piece that is large enough

    def takes(self, part: Part) -> bool:
        """Whether a part can be scanned together with those that are held; also where none are."""
        if not self._parts:
            return True
        return self._size < 1 and _kind_of(self._parts[0]) == _kind_of(part)

    def add(self, part: Events | EventLines) -> None:
        """Holds a document, too."""
        self._parts.append(part)
        self._size += len(part.lines) / BLOCK_BYTES if isinstance(part, EventLines) else len(part.events) / MOST_HELD_EVENTS

    def given(self) -> list[Events | EventLines]:
        """What was held; nothing is, afterwards."""
        parts, self._parts, self._size = self._parts, [], 0.0
        return parts


def _kind_of(part: Part) -> tuple[type, str, bool]:
    """What documents that are scanned together have in common; no block of lines has it."""
    if isinstance(part, Block):
        return Block, "", False
    return type(part), part.group, isinstance(part, EventLines) or part.of_streams


def live_piece(group: str, events: Sequence[Event]) -> Piece:
    """Events of one log group, those of a stream in order, as one piece."""
    times = np.array([event.time for event in events], np.int64)
    return Piece(_block(events), LineOrigin(group, LIVE, streams=_streams(events), serial=True, times=times))


def _streams(events: Sequence[Event]) -> tuple[tuple[str, ...], Ints]:
    return _numbered([event.stream for event in events])


def _numbered(streams: Sequence[str], lines: int | Sequence[int] = 1) -> tuple[tuple[str, ...], Ints]:
    """The names of streams, and for each line the index of its stream among them; each has so many lines."""
    numbers: dict[str, int] = {}
    index = [numbers.setdefault(stream, len(numbers)) for stream in streams]
    return tuple(numbers), np.repeat(np.array(index, np.int64), lines)


def _block(events: Sequence[Event]) -> Block:
    """The messages, one a line."""
    texts = [event.message.rstrip("\r\n") for event in events]
    joined = "\n".join(texts)
    if joined.count("\n") >= len(texts):
        joined = "\n".join(text.replace("\n", _EVENT_NEWLINE) for text in texts)
    raw = joined.encode("utf-8", "surrogatepass") + b"\n"
    return Block(raw, 0, len(raw), ends_line=True)


def _batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in runs of about a block each."""
    begin, size = 0, 0
    for number, event in enumerate(events, 1):
        size += len(event.message)
        if size >= BLOCK_BYTES or number == len(events):
            yield events[begin:number]
            begin, size = number, 0


def _lines_with(block: Block, marks: Sequence[bytes]) -> Ints:
    """The lines of a block that hold one of the texts."""
    found: set[int] = set()
    for mark in marks:
        at, line, counted = block.raw.find(mark, block.begin, block.stop), 0, block.begin
        while at >= 0:
            line += block.raw.count(b"\n", counted, at)
            counted = at
            found.add(line)
            at = block.raw.find(mark, at + 1, block.stop)
    return np.array(sorted(found), np.int64)
