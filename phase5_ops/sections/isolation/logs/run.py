"""One scan of logs: it scans blocks of any source on several threads, and attributes their hits in order.

Bounded: at most a few blocks wait for their turn, whatever the size of the logs. Parts of the input that were scanned elsewhere
(`parts`) are attributed in their turn like those that are scanned here. Pure: the caller opens files and asks AWS.
"""

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from phase5_ops.input_files.ahead import MadeAhead
from phase5_ops.input_files.files import Readable
from phase5_ops.input_files.log_documents import Event
from phase5_ops.policy import LogException
from phase5_ops.sections.isolation.logs.attribution import (
    Attribution,
    BlockLines,
    BlockText,
    ForeignHit,
    RawText,
    Totals,
    UnreadWording,
    Wording,
)
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.edits import Layer
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops.sections.isolation.logs.parts import (
    Again,
    HitsDigest,
    KeptText,
    PartRecorder,
    ScannedPart,
    digest_of,
    read_again,
    widened,
)
from phase5_ops.sections.isolation.logs.pieces import (
    LIVE,
    FilePieces,
    LineOrigin,
    Piece,
    Progress,
    Scanned,
    Scanning,
    live_piece,
)
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY, HashKey

MAX_THREADS = 4
READ_AHEAD = 4  # pieces of a file that are cut while earlier ones are attributed
WAITING = 8  # pieces for each thread, so that the scanning goes on while a batch is attributed
_TEXT = ("", "")  # the stream of lines of text


@dataclass(frozen=True)
class LogScan:
    """What a scan found: totals by group, the first foreign hits, how many owners were forgotten, the layers decoded."""

    totals: Mapping[str, Totals]
    foreign: Sequence[ForeignHit]
    forgotten: int
    layers: Layer


@dataclass
class _Waiting:
    name: str
    what: str
    piece: Piece
    lines: BlockLines
    scanned: "Future[Scanned]"
    recorder: PartRecorder | None


#: Takes what was found in a part of the input, to keep it.
Keep = Callable[[ScannedPart], None]


class _Merged(NamedTuple):
    """What is kept of a part once it is merged: enough to read it again."""

    name: str
    again: Again
    blocks: Sequence[HitsDigest]


class LogRun:
    """A scan in progress: use as a context manager, call `archive`, `events` and `merge`, then `finish`.

    Attributes:
        unfinished: the file whose answer says that more events follow, if no later file continues it; else "".
        not_scanned: names of files and groups of which a piece could not be scanned, with which piece was the first, and why.
        not_read_again: names of parts that hold a foreign hit and did not read the second time as the first time, with why.
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
        scanner = LayeredScanner(dictionary, base64=base64, any_case=any_case, key=key)
        self._layers = scanner.looked_through
        self._scanning = Scanning(scanner, tuple(exceptions))
        self._attribution = Attribution(dictionary.ids, ledger=ledger, canaries=canaries, probes=probes, key=key)
        threads = threads or max(1, min(MAX_THREADS, len(os.sched_getaffinity(0))))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="log-scan")
        self._queue: deque[_Waiting | Callable[[], None]] = deque()
        self._recorder: PartRecorder | None = None
        self._ids = dictionary.ids
        self._depth = WAITING * threads
        self._most_not_kept = 2 * threads
        self._ahead = READ_AHEAD if threads > 1 else 0
        self._streams: dict[str, dict[tuple[str, str], int]] = {}
        self._line: dict[tuple[str, str], int] = {}
        self._merged: list[_Merged] = []
        self.unfinished = ""
        self.not_scanned: dict[str, str] = {}
        self.not_read_again: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def archive(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        """Scans one file: its lines, and the events of the documents in it.

        Raises:
            FileUnreadable: it broke off, or a part of it is not understood (NotUnderstood); the rest is scanned.
        """
        pieces, done = FilePieces(name, stream, progress), 0
        with MadeAhead(iter(pieces), self._ahead) as made:
            for piece in made:
                size = piece.block.stop - piece.block.begin
                self._submit(piece, name, f"bytes {done} to {done + size} of its text")
                done += size
        self._goes_on(name, more=pieces.more)
        if self._recorder and pieces.more is not None:
            self._recorder.part.goes_on.append((name, pieces.more))

    def begin_part(self, name: str) -> None:
        """What is scanned from here on, to `end_part`, is noted as a part that can be kept."""
        self._recorder = PartRecorder(name, self._ids)

    def end_part(self, keep: Keep | None) -> None:
        """Has the part kept once all of it is scanned; None where it is not worth keeping."""
        recorder, self._recorder = self._recorder, None
        if recorder and keep:
            self._queue.append(lambda: keep(recorder.part) if recorder.whole else None)
            self._take_what_is_done()
            while sum(map(callable, self._queue)) > self._most_not_kept:  # so many files a killed scan scans again
                self._take()

    def _goes_on(self, name: str, *, more: bool | None) -> None:
        if more is not None:
            self.unfinished = name if more else ""

    def events(self, group: str, events: Sequence[Event], *, judged_from: int = 0) -> None:
        """Scans events of one group, those of a stream in order; events before `judged_from` (ms) only help to find owners."""
        if events:
            self._submit(live_piece(group, events), group, f"{len(events)} events", judged_from)

    def merge(self, part: ScannedPart, again: Again, *, judged_from: int = 0) -> None:
        """Attributes what was found in a part of the input that was scanned elsewhere, as if it were scanned now.

        Args:
            part: what was found, with the hash key of this run.
            again: scans the part again, for the few lines that have to be shown.
            judged_from: as for `events`; holds for events that were read from CloudWatch only.
        """
        while self._queue:
            self._take()
        number = len(self._merged)
        self._merged.append(_Merged(part.name, again, [digest_of(block.scanned.hits) for block in part.blocks]))
        for index, block in enumerate(part.blocks):
            lines = self._lines(block.scanned.origin, judged_from)
            scanned = replace(block.scanned, hits=widened(block.scanned.hits))
            self._attribute(scanned, lines, KeptText(block, number, index))
        for name, more in part.goes_on:
            self._goes_on(name, more=more)

    def _lines(self, origin: LineOrigin, judged_from: int) -> BlockLines:
        """What is known of the lines of a block, with the numbers that their streams have in this scan."""
        if origin.streams is None:
            return BlockLines(origin.group, times=origin.times)
        numbers = self._streams.setdefault(origin.group, {_TEXT: 0})
        names, index = origin.streams
        given = [numbers.setdefault((origin.kind, name), len(numbers)) for name in names]
        shown = {number: name for (kind, name), number in numbers.items() if kind == origin.kind}
        if origin.source:
            shown = {number: f"{name} in {origin.source}".strip() for number, name in shown.items()}
        return BlockLines(
            origin.group,
            np.array(given, np.int64)[index],
            shown,
            serial=origin.serial,
            times=origin.times,
            context=origin.times < judged_from if origin.kind == LIVE and origin.times is not None else None,
            source=origin.source,
        )

    def finish(self) -> LogScan:
        """Waits for the blocks under way and judges the rest."""
        while self._queue:
            self._take()
        foreign = self._attribution.finish(self._read_again)
        attributed = self._attribution
        return LogScan(attributed.totals, foreign, attributed.forgotten, self._layers)

    def _read_again(self, wanted: Sequence[UnreadWording]) -> Mapping[UnreadWording, Wording]:
        """The wordings of hits in parts that were scanned elsewhere; a part is read once for all of its hits."""
        found: dict[UnreadWording, Wording] = {}
        for number in sorted({each.part for each in wanted}):
            part = self._merged[number]
            mine = [each for each in wanted if each.part == number]
            places = [(each.block, each.position) for each in mine]
            wordings, problem = read_again(part.name, part.blocks, part.again, self._scanning, places)
            found |= {each: wordings[each.block, each.position] for each in mine}
            if problem:
                self.not_read_again[part.name] = problem
        return found

    def _submit(self, piece: Piece, name: str, what: str, judged_from: int = 0) -> None:
        lines = self._lines(piece.origin, judged_from)
        self._queue.append(_Waiting(name, what, piece, lines, self._pool.submit(self._scanning.scan, piece), self._recorder))
        while len(self._queue) > self._depth:
            self._take()

    def _take_what_is_done(self) -> None:
        while self._queue and (callable(first := self._queue[0]) or first.scanned.done()):
            self._take()

    def _take(self) -> None:
        waiting = self._queue.popleft()
        if callable(waiting):
            waiting()
            return
        try:
            scanned = waiting.scanned.result()
        except Exception as error:  # noqa: BLE001 - the border of a thread: whatever it is, it is reported, and the rest is scanned
            if waiting.recorder:
                waiting.recorder.whole = False
            self.not_scanned.setdefault(waiting.name, f"{waiting.what} could not be scanned: {type(error).__name__}: {error}")
            return
        text = RawText(waiting.piece.block.raw, scanned.hits)
        self._attribute(scanned, waiting.lines, text)
        if waiting.recorder:
            waiting.recorder.add(scanned, text)

    def _attribute(self, scanned: Scanned, lines: BlockLines, text: BlockText) -> None:
        source = lines.group, lines.source
        first = self._line.get(source, 1)
        unended = scanned.ends_line and text.unended  # the last line is cut off
        self._line[source] = first + scanned.hits.lines + unended + scanned.joined
        lines = replace(lines, set_aside=scanned.set_aside, first_line=first)
        self._attribution.add(text, scanned.hits, lines, size=scanned.size, ends_line=scanned.ends_line)
