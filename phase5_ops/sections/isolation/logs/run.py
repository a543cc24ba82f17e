"""One scan of logs: it scans blocks of any source on several threads, and attributes their hits in order.

Bounded: at most a few blocks wait for their turn, whatever the size of the logs. Pure: the caller opens files and asks AWS.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

import numpy as np

from phase5_ops.input_files.archives import BLOCK_BYTES, Block, Readable
from phase5_ops.input_files.log_documents import Event, Events
from phase5_ops.input_files.log_parts import EVENT_NEWLINE, LogParts
from phase5_ops.policy import LogException
from phase5_ops.sections.isolation.logs.attribution import Attribution, BlockLines, ForeignHit, Totals
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.edits import Layer
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops.sections.isolation.logs.layers import LOOK_AROUND
from phase5_ops.sections.isolation.logs.scan import Hits
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY, HashKey, Ints

MAX_THREADS = 4
MOST_HELD_EVENTS = 5_000
_TEXT = ("", "")  # the stream of lines of text
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class LogScan:
    """What a scan found: totals by group, the first foreign hits, how many owners were forgotten, the layers decoded."""

    totals: Mapping[str, Totals]
    foreign: Sequence[ForeignHit]
    forgotten: int
    layers: Layer


@dataclass
class _Waiting:
    block: Block
    lines: BlockLines
    hits: "Future[tuple[Hits, Ints]]"


class LogRun:
    """A scan in progress: use as a context manager, call `archive` and `events`, then `finish`.

    Attributes:
        unfinished: the file whose answer says that more events follow, if no later file continues it; else "".
    """

    def __init__(
        self,
        dictionary: TenantDictionary,
        *,
        ledger: Mapping[str, str] | None = None,
        canaries: frozenset[str] = frozenset(),
        probes: Sequence[str] = (),
        exceptions: Sequence[LogException] = (),
        base64: bool = False,
        any_case: bool = False,
        threads: int | None = None,
        key: HashKey = OWN_KEY,
    ) -> None:
        self._scanner = LayeredScanner(dictionary, base64=base64, any_case=any_case, key=key)
        self._attribution = Attribution(dictionary.ids, ledger=ledger, canaries=canaries, probes=probes, key=key)
        self._exceptions = exceptions
        threads = threads or max(1, min(MAX_THREADS, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="log-scan")
        self._queue: deque[_Waiting] = deque()
        self._depth = 12 * threads  # while a batch is attributed, the scanning goes on
        self._streams: dict[str, dict[tuple[str, str], int]] = {}
        self._line: dict[tuple[str, str], int] = {}
        self.unfinished = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def archive(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        """Scans one file: its lines, and the events of the documents in it.

        Raises:
            FileUnreadable: it broke off, or a part of it is not understood (NotUnderstood); the rest is scanned.
        """
        done, held = 0, Events("", [])
        parts = LogParts(stream, lookbehind=LOOK_AROUND, lookahead=LOOK_AROUND)
        try:
            for part in parts:
                if isinstance(part, Events):
                    held, before = self._joined(name, held, part)
                    done += before
                else:
                    done += self._events_of_file(name, held)
                    held = Events("", [])
                    self._submit(part, BlockLines(name))
                    done += part.stop - part.begin
                if progress:
                    progress(name, done)
        finally:
            self._events_of_file(name, held)
        if parts.more is not None:
            self.unfinished = name if parts.more else ""

    def events(self, group: str, events: Sequence[Event], *, judged_from: int = 0) -> None:
        """Scans events of one group, those of a stream in order; events before `judged_from` (ms) only help to find owners."""
        if not events:
            return
        raw = _one_a_line(events)
        times = np.array([event.time for event in events], np.int64)
        lines = self._lines(group, "live", [event.stream for event in events])
        lines = replace(lines, serial=True, times=times, context=times < judged_from)
        self._submit(Block(raw, 0, len(raw), ends_line=True), lines)

    def _joined(self, name: str, held: Events, part: Events) -> tuple[Events, int]:
        """The held events joined with this part, so that small documents are scanned together; and the bytes scanned now."""
        if (held.group, held.of_streams) == (part.group, part.of_streams) and len(held.events) < MOST_HELD_EVENTS:
            held.events += part.events
            return held, 0
        return Events(part.group, list(part.events), part.of_streams), self._events_of_file(name, held)

    def _events_of_file(self, name: str, part: Events) -> int:
        """Scans events that a document of this file holds. Returns their bytes."""
        group, size = part.group or name, 0
        for events in _batches(part.events):
            raw = _one_a_line(events)
            lines = self._lines(group, "file", [event.stream for event in events])
            if not part.group and not part.of_streams:
                lines = BlockLines(group)
            elif part.group:
                names = {number: f"{stream} in {name}".strip() for number, stream in lines.stream_names.items()}
                lines = replace(lines, source=name, stream_names=names)
            times = np.array([event.time for event in events], np.int64)
            self._submit(Block(raw, 0, len(raw), ends_line=True), replace(lines, serial=part.of_streams, times=times))
            size += len(raw)
        return size

    def _lines(self, group: str, origin: str, streams: Sequence[str]) -> BlockLines:
        numbers = self._streams.setdefault(group, {_TEXT: 0})
        given = [numbers.setdefault((origin, stream), len(numbers)) for stream in streams]
        return BlockLines(
            group, np.array(given, np.int64), {number: stream for (of, stream), number in numbers.items() if of == origin}
        )

    def finish(self) -> LogScan:
        """Waits for the blocks under way and judges the rest."""
        while self._queue:
            self._take()
        self._attribution.finish()
        attributed = self._attribution
        return LogScan(attributed.totals, attributed.foreign, attributed.forgotten, self._scanner.looked_through)

    def _submit(self, block: Block, lines: BlockLines) -> None:
        marks = [exception.message.encode() for exception in self._exceptions if fnmatchcase(lines.group, exception.log_group)]
        self._queue.append(_Waiting(block, lines, self._pool.submit(self._scan, block, marks)))
        while len(self._queue) > self._depth:
            self._take()

    def _scan(self, block: Block, marks: Sequence[bytes]) -> tuple[Hits, Ints]:
        hits = self._scanner.scan(block.raw, begin=block.begin, stop=block.stop)
        return hits, _lines_with(block, marks) if marks else np.empty(0, np.int64)

    def _take(self) -> None:
        waiting = self._queue.popleft()
        hits, set_aside = waiting.hits.result()
        source = waiting.lines.group, waiting.lines.source
        first = self._line.get(source, 1)
        block = waiting.block
        unended = block.ends_line and not block.raw.endswith(b"\n")  # the last line is cut off
        self._line[source] = first + hits.lines + unended + block.joined
        self._attribution.add(
            block.raw,
            hits,
            replace(waiting.lines, set_aside=set_aside, first_line=first),
            begin=block.begin,
            size=block.stop - block.begin,
            ends_line=block.ends_line,
        )


def _one_a_line(events: Sequence[Event]) -> bytes:
    """The messages, one a line."""
    texts = [event.message.rstrip("\r\n").encode("utf-8", "surrogatepass") for event in events]
    return b"\n".join(text.replace(b"\n", EVENT_NEWLINE) for text in texts) + b"\n"


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
