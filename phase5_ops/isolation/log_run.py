"""One scan of logs: blocks of any source through the engine, on several threads, and their hits through attribution, in order.

Bounded: at most a few blocks wait for their turn, whatever the size of the logs. Pure: who calls it opens files and asks AWS.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

import numpy as np

from phase5_ops.isolation.log_attribution import Attribution, BlockLines, ForeignHit, Totals
from phase5_ops.isolation.log_dictionary import TenantDictionary
from phase5_ops.isolation.log_edits import Layer
from phase5_ops.isolation.log_layered import LayeredScanner
from phase5_ops.isolation.log_layers import LOOK_AROUND
from phase5_ops.isolation.log_scan import Hits
from phase5_ops.isolation.log_tokens import Ints
from phase5_ops.log_archives import Block, Readable, blocks
from phase5_ops.policy import LogException

MAX_THREADS = 4
EVENT_NEWLINE = b"\x0b"  # what stands for a line break inside one log event: no letter, and no end of a line
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Event:
    """One log event of a group: its stream, epoch milliseconds, and the message."""

    stream: str
    time: int
    message: str


@dataclass(frozen=True)
class LogScan:
    """What a scan found: totals by group, foreign hits (the first in detail), owners that were forgotten, what was decoded."""

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
    """A scan in progress: use as a context manager, call `archive` and `events`, then `finish`."""

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
    ) -> None:
        self._scanner = LayeredScanner(dictionary, base64=base64, any_case=any_case)
        self._attribution = Attribution(dictionary.ids, ledger=ledger, canaries=canaries, probes=probes)
        self._exceptions = exceptions
        threads = threads or max(1, min(MAX_THREADS, os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="log-scan")
        self._queue: deque[_Waiting] = deque()
        self._depth = 12 * threads  # while a batch is attributed, the scanning goes on
        self._streams: dict[str, dict[str, int]] = {}
        self._line: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def archive(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        """Scans one file of lines.

        Raises:
            FileUnreadable: it broke off; what came before is scanned.
        """
        done = 0
        for block in blocks(stream, lookbehind=LOOK_AROUND, lookahead=LOOK_AROUND):
            self._submit(block, BlockLines(name))
            done += block.stop - block.begin
            if progress:
                progress(name, done)

    def events(self, group: str, events: Sequence[Event], *, judged_from: int = 0) -> None:
        """Scans events of one group, those of a stream in order; those before `judged_from` (ms) only say whose others are."""
        if not events:
            return
        numbers = self._streams.setdefault(group, {})
        raw = b"\n".join(event.message.encode("utf-8", "surrogatepass").replace(b"\n", EVENT_NEWLINE) for event in events) + b"\n"
        times = np.array([event.time for event in events], np.int64)
        lines = BlockLines(
            group,
            stream=np.array([numbers.setdefault(event.stream, len(numbers)) for event in events], np.int64),
            stream_names={number: name for name, number in numbers.items()},
            serial=True,
            times=times,
            context=times < judged_from,
        )
        self._submit(Block(raw, 0, len(raw), ends_line=True), lines)

    def finish(self) -> LogScan:
        """Waits for what is under way and judges the rest."""
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
        group = waiting.lines.group
        first = self._line.get(group, 1)
        block = waiting.block
        unended = block.ends_line and not block.raw.endswith(b"\n")  # a line that is left off in the middle
        self._line[group] = first + hits.lines + unended
        self._attribution.add(
            block.raw,
            hits,
            replace(waiting.lines, set_aside=set_aside, first_line=first),
            begin=block.begin,
            size=block.stop - block.begin,
            ends_line=block.ends_line,
        )


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
