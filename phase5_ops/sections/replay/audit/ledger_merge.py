"""Puts the parts of a ledger together: what came twice, what differs between exports, what belongs to a replay. Pure.

An entry that came twice with one content counts once. One key with two contents is malformed, unless two exports of different
times hold them: then the ledger was rewritten in between, and the later content counts. An entry that an earlier export holds,
and the latest full export or a deletion after it does not, is gone from the ledger. Nothing here depends on how a file was cut
into parts, or on which process read it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.ledger import MALFORMED_KEPT, REPLAY_REQUESTED, Ledger, LedgerEntry
from phase5_ops.sections.replay.audit.ledger_part import (
    CHANGED,
    DELETED,
    Change,
    Digests,
    LedgerPart,
    PackedBlock,
    content_digests,
    trace_digest,
)
from phase5_ops.sections.replay.audit.usual_entries import REPLAYS

Rows = npt.NDArray[np.int64]
_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class FileParts:
    """The parts of one file, in order.

    Attributes:
        parts: what was read of it.
        state_ms: epoch milliseconds of the state of the table that its export shows; None where no export says.
        full: whether it belongs to a full export.
    """

    parts: Sequence[LedgerPart]
    state_ms: int | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class MergedLedger:
    """All files as one ledger.

    Attributes:
        ledger: its `entries` are those that can belong to a replay; its counts are of everything.
        repeats: entries that came twice.
        changes: entries rewritten or deleted, as far as the exports show it; `changes_count` counts all.
        unchanged: entries written again with the same content.
        answers, unfinished: scan and query answers, and how many say that more follows.
    """

    ledger: Ledger
    repeats: int = 0
    changes: Sequence[Change] = ()
    changes_count: int = 0
    unchanged: int = 0
    answers: int = 0
    unfinished: int = 0


def merged(files: Sequence[FileParts], name: str, *, whole: bool = True) -> MergedLedger:
    """The ledger of these files.

    Args:
        files: in the order in which their malformed records are to be named.
        name: as the ledger is called in malformed records.
        whole: whether every file was read whole; otherwise an entry that a later export lacks may be in what was not read.
    """
    ledger = Ledger(name)
    parts = [part for file in files for part in file.parts]
    for part in parts:
        ledger.items += part.items
        ledger.malformed_count += part.malformed_count
        ledger.malformed += part.malformed[: MALFORMED_KEPT - len(ledger.malformed)]
        if part.newest is not None and (ledger.newest is None or part.newest > ledger.newest):
            ledger.newest = part.newest
    entries = _MergedEntries(files)
    changes = _Changes(parts)
    repeats = entries.drop_repeats()
    entries.settle_conflicts(ledger, changes)
    entries.drop_deleted(files)
    if whole:
        entries.drop_vanished(files, changes)
    ledger.entries = entries.of_replays()
    return MergedLedger(
        ledger,
        repeats,
        changes.listed(),
        changes.count,
        sum(part.unchanged for part in parts),
        sum(part.answers for part in parts),
        sum(part.unfinished for part in parts),
    )


class _Changes:
    """Changed and deleted entries, each named once."""

    def __init__(self, parts: Iterable[LedgerPart]) -> None:
        self.found: dict[tuple[str, ...], Change] = {}
        self.count = 0
        for part in parts:
            for change in part.changes:
                self.add(change)
            self.count += part.changes_count - len(part.changes)

    def add(self, change: Change) -> None:
        if change[:3] not in self.found:
            self.found[change[:3]] = change
            self.count += 1

    def listed(self) -> list[Change]:
        return sorted(self.found.values(), key=lambda change: change[:3])


class _MergedEntries:
    """The packed entries of all parts; `kept` tells which of them count."""

    def __init__(self, files: Sequence[FileParts]) -> None:
        parts = [(file, part) for file in files for part in file.parts]
        self.keys = _joined([part.keys for _, part in parts])
        self.traces = _joined([part.traces for _, part in parts])
        self.times = np.repeat(
            np.array([_NO_TIME if file.state_ms is None else file.state_ms for file, _ in parts], np.int64),
            [len(part.keys) for _, part in parts],
        )
        self.kept = np.ones(len(self.keys), bool)
        self._blocks: list[PackedBlock] = [block for _, part in parts for block in part.blocks]
        self._begin = np.cumsum([0, *(block.rows for block in self._blocks)])
        if int(self._begin[-1]) != len(self.keys):
            raise ValueError("a part of a ledger whose digests are not those of its entries")

    def drop_repeats(self) -> int:
        """Keeps the first of the entries with one key and one content, as of the latest time that any of them shows."""
        rows = self._sharing_a_key(np.arange(len(self.keys)))
        if not len(rows):
            return 0
        contents = content_digests(entry for _, entry in self._unpacked(rows))
        order = np.lexsort((contents, self.keys[rows]))
        rows, contents = rows[order], contents[order]
        same = (self.keys[rows[1:]] == self.keys[rows[:-1]]) & (contents[1:] == contents[:-1])
        group = np.concatenate(([0], np.cumsum(~same)))
        latest = np.full(int(group[-1]) + 1, _NO_TIME, np.int64)
        np.maximum.at(latest, group, self.times[rows])
        self.times[rows] = latest[group]
        self.kept[rows[1:][same]] = False
        return int(same.sum())

    def _sharing_a_key(self, rows: Rows) -> Rows:
        """Those of these rows whose key another of them has too, ascending."""
        keys = self.keys[rows]
        ordered = np.sort(keys)
        return rows[_among(keys, ordered[1:][ordered[1:] == ordered[:-1]])]

    def settle_conflicts(self, ledger: Ledger, changes: _Changes) -> None:
        """One key with several contents: the latest counts where exports tell the time; otherwise each is malformed."""
        suspects = self._sharing_a_key(np.flatnonzero(self.kept))
        by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row, entry in self._unpacked(suspects):
            by_key[entry.pk, entry.sk].append(row)
        for (pk, sk), found in sorted(by_key.items()):
            times = self.times[found]
            if len(set(times.tolist())) < len(found) or _NO_TIME in times:
                for _ in found[1:]:
                    ledger.refuse(f"{pk} / {sk}", "item", "the input holds this key twice, with different content")
                continue
            latest = int(times.max())
            self.kept[[row for row in found if self.times[row] < latest]] = False
            if len(found) > 1:
                changes.add(Change(CHANGED, pk, sk, None))

    def drop_deleted(self, files: Sequence[FileParts]) -> None:
        """Leaves out entries that an incremental export shows as deleted after the time they are known from."""
        for file in files:
            deleted = _joined([part.deleted for part in file.parts])
            if len(deleted) and file.state_ms is not None:
                self.kept &= ~((self.times < file.state_ms) & _among(self.keys, np.sort(deleted)))

    def drop_vanished(self, files: Sequence[FileParts], changes: _Changes) -> None:
        """Leaves out entries of earlier exports that the latest full export no longer holds."""
        full = [file.state_ms for file in files if file.full and file.state_ms is not None]
        if not full:
            return
        gone = self.kept & (self.times < max(full)) & (self.times != _NO_TIME)
        for _, entry in self._unpacked(np.flatnonzero(gone)):
            changes.add(Change(DELETED, entry.pk, entry.sk, None))
        self.kept &= ~gone

    def of_replays(self) -> list[LedgerEntry]:
        """The entries that only replays have, and those that share a trace with one that is no request."""
        replay = np.repeat(np.array([block.kind == REPLAYS for block in self._blocks], bool), np.diff(self._begin))
        found = dict(self._unpacked(np.flatnonzero(self.kept & replay)))
        wanted = {trace_digest(entry.trace) for entry in found.values() if entry.event != REPLAY_REQUESTED}
        others = self.kept & ~replay & _among(self.traces, np.sort(np.fromiter(wanted, np.uint64, len(wanted))))
        found.update(self._unpacked(np.flatnonzero(others)))
        return [found[row] for row in sorted(found)]

    def _unpacked(self, rows: Rows) -> Iterator[tuple[int, LedgerEntry]]:
        """These rows (ascending) with their entries."""
        blocks = np.searchsorted(self._begin, rows, side="right") - 1
        for wanted in np.split(rows, np.flatnonzero(np.diff(blocks)) + 1):
            if len(wanted):
                number = int(np.searchsorted(self._begin, wanted[0], side="right")) - 1
                offsets = (wanted - self._begin[number]).tolist()
                yield from zip(wanted.tolist(), self._blocks[number].entries(offsets), strict=True)


def _among(digests: Digests, wanted: Digests) -> npt.NDArray[np.bool_]:
    """Which digests are among those wanted, which are in order; `np.isin` would sort both."""
    if not len(wanted):
        return np.zeros(len(digests), bool)
    found: npt.NDArray[np.bool_] = wanted[np.searchsorted(wanted, digests).clip(max=len(wanted) - 1)] == digests
    return found


def _joined(arrays: Sequence[Digests]) -> Digests:
    return np.concatenate(arrays) if arrays else np.empty(0, np.uint64)
