"""What is scanned at a time: a block of lines and where they come from, cut from a file or from events; and its scan. Pure.

A piece knows nothing of other files, so that it can be scanned anywhere: which number its streams and lines have in the whole
scan, and whose they are, is found out later (`run`, `attribution`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from phase5_ops.input_files.archives import BLOCK_BYTES, Block
from phase5_ops.input_files.files import Readable
from phase5_ops.input_files.log_documents import Event, Events
from phase5_ops.input_files.log_parts import EVENT_NEWLINE, LogParts
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
        held, failure = Events("", []), None
        try:
            for part in self._parts:
                if not isinstance(part, Events):
                    yield from self._of_events(held)
                    held = Events("", [])
                    yield Piece(part, LineOrigin(self._name))
                elif _go_together(held, part):
                    held.events += part.events
                else:
                    yield from self._of_events(held)
                    held = Events(part.group, list(part.events), part.of_streams)
        except Exception as error:  # noqa: BLE001 - raised again after what was held
            failure = error
        yield from self._of_events(held)
        if failure is not None:
            raise failure
        self.more = self._parts.more

    def _of_events(self, part: Events) -> Iterator[Piece]:
        """The pieces of events that a document of this file holds."""
        group = part.group or self._name
        for events in _batches(part.events):
            times = np.array([event.time for event in events], np.int64)
            origin = LineOrigin(group, FILE, serial=part.of_streams, times=times)
            if part.group or part.of_streams:
                origin = replace(origin, source=self._name if part.group else "", streams=_streams(events))
            yield Piece(_block(events), origin)


def live_piece(group: str, events: Sequence[Event]) -> Piece:
    """Events of one log group, those of a stream in order, as one piece."""
    times = np.array([event.time for event in events], np.int64)
    return Piece(_block(events), LineOrigin(group, LIVE, streams=_streams(events), serial=True, times=times))


def _go_together(held: Events, part: Events) -> bool:
    """Whether small documents are scanned together."""
    return (held.group, held.of_streams) == (part.group, part.of_streams) and len(held.events) < MOST_HELD_EVENTS


def _streams(events: Sequence[Event]) -> tuple[tuple[str, ...], Ints]:
    numbers: dict[str, int] = {}
    index = [numbers.setdefault(event.stream, len(numbers)) for event in events]
    return tuple(numbers), np.array(index, np.int64)


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
