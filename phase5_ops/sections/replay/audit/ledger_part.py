"""What one file says of the ledger, small enough to be kept, sent and merged: the map side of the audit over files. Pure.

Most entries of the types that a replay is made of belong to ordinary executions, and whether one does is known only when all
files were read. So a part keeps every entry packed (compressed JSON), beside two digests: of its key and of its trace. The merge
finds by the digests alone what came twice, what differs and what belongs to a replay, and unpacks only that: blocks of entries,
so those whose trace was met in a replay of the same part are packed apart from the rest.

A part can be written as bytes and read back (Arrow IPC, no pickle): parts come from other processes, machines and buckets.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, compress, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.ledger import MALFORMED_KEPT, REPLAY_TYPES, Ledger, LedgerEntry, Oddity
from phase5_ops.reads import Read
from phase5_ops.sections.replay.audit.line_layouts import AlikeLines
from phase5_ops.sections.replay.audit.usual_entries import OTHERS, REPLAYS, TEXTS, UsualEntries, entry_of, usual_entries

#: Goes with what `LedgerPart.to_bytes` writes; a part of another version is refused.
PART_VERSION = 2

Digests = npt.NDArray[np.uint64]

_BLOCK_ENTRIES = 4096
_DIGEST_BYTES = 8
_CODEC = "zstd"


class PartUnreadable(Exception):
    """Bytes that are no part of this version, or not a whole one."""


class Change(NamedTuple):
    """An entry that an incremental export shows as rewritten or deleted.

    Attributes:
        kind: `changed` or `deleted`.
        pk, sk: its key.
        micros: when it was written, epoch microseconds; None where the export does not say.
    """

    kind: str
    pk: str
    sk: str
    micros: int | None


class PackedBlock(NamedTuple):
    """Entries packed together; `kind` as of `usual_entries`."""

    kind: str
    rows: int
    size: int  # bytes once unpacked
    packed: bytes | memoryview

    def entries(self, rows: Sequence[int]) -> list[LedgerEntry]:
        """The entries in these rows."""
        records = pa.decompress(self.packed, self.size, codec=_CODEC, asbytes=True).split(b"\n")
        return [entry_of(records[row]) if self.kind == TEXTS else _unpacked(records[row]) for row in rows]


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """What was read of one file, or of a piece of it.

    Attributes:
        items: items and refused lines.
        newest: epoch ms of the newest entry that is not ahead of the clock.
        malformed: the first of the malformed records; `malformed_count` counts all.
        blocks, keys, traces: the entries of the relevant types; the digests in the order of the blocks.
        changes, changes_count: the first of the rewritten and deleted entries, and how many there are.
        unchanged: how many entries were written again with the same content.
        deleted: digests of the keys that are no longer there.
        answers, unfinished: see `Pages`.
        read: how the file was read; None in a piece that others follow.
        empty: whether it was read whole and holds no item, where it should hold some.
    """

    items: int = 0
    newest: int | None = None
    malformed: tuple[MalformedRecord, ...] = ()
    malformed_count: int = 0
    blocks: tuple[PackedBlock, ...] = ()
    keys: Digests = field(default_factory=lambda: np.empty(0, np.uint64))
    traces: Digests = field(default_factory=lambda: np.empty(0, np.uint64))
    changes: tuple[Change, ...] = ()
    changes_count: int = 0
    unchanged: int = 0
    deleted: Digests = field(default_factory=lambda: np.empty(0, np.uint64))
    answers: int = 0
    unfinished: int = 0
    read: Read | None = None
    empty: bool = False

    def to_bytes(self) -> bytes:
        """The part as Arrow IPC: digests, packed entries and deleted keys; the rest as JSON in the first schema's metadata."""
        packed = b"".join(block.packed for block in self.blocks)
        header = {
            "version": PART_VERSION,
            "items": self.items,
            "newest": self.newest,
            "malformed": [(each.table, each.key, each.attribute, each.problem) for each in self.malformed],
            "malformed_count": self.malformed_count,
            "changes": self.changes,
            "changes_count": self.changes_count,
            "unchanged": self.unchanged,
            "answers": self.answers,
            "unfinished": self.unfinished,
            "read": self.read.as_entry() if self.read else None,
            "empty": self.empty,
            "blocks": [(block.kind, block.rows, block.size, len(block.packed)) for block in self.blocks],
            "rows": [len(self.keys), len(packed), len(self.deleted)],
        }
        digests = _batch(key=self.keys, trace=self.traces)
        blocks = _batch(packed=np.frombuffer(packed, np.uint8))
        deleted = _batch(deleted=self.deleted)
        sink = pa.BufferOutputStream()
        metadata = {b"part": json.dumps(header).encode("utf-8", "surrogatepass")}
        for batch in (digests.replace_schema_metadata(metadata), blocks, deleted):
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
        return bytes(sink.getvalue())

    @classmethod
    def from_bytes(cls, data: bytes) -> "LedgerPart":
        """The inverse of `to_bytes`.

        Raises:
            PartUnreadable: another version, cut off, or no part at all.
        """
        try:
            source = pa.BufferReader(data)
            digests, blocks, deleted = (_one_batch(source) for _ in range(3))
            header = json.loads(digests.schema.metadata[b"part"])
            if header["version"] != PART_VERSION:
                raise PartUnreadable(f"a part of version {header['version']}, not {PART_VERSION}")
            if header["rows"] != [digests.num_rows, blocks.num_rows, deleted.num_rows]:
                raise PartUnreadable("the part is cut off")
            ends = list(accumulate((size for *_, size in header["blocks"]), initial=0))
            packed = _column(blocks, "packed", np.uint8).data[: ends[-1]]
            if len(packed) != ends[-1]:
                raise PartUnreadable("a block of the part is cut off")
            return cls(
                items=header["items"],
                newest=header["newest"],
                malformed=tuple(MalformedRecord(*each) for each in header["malformed"]),
                malformed_count=header["malformed_count"],
                blocks=tuple(
                    PackedBlock(kind, rows, size, packed[begin:end])
                    for (kind, rows, size, _), (begin, end) in zip(header["blocks"], pairwise(ends), strict=True)
                ),
                keys=_column(digests, "key", np.uint64),
                traces=_column(digests, "trace", np.uint64),
                changes=tuple(Change(*each) for each in header["changes"]),
                changes_count=header["changes_count"],
                unchanged=header["unchanged"],
                deleted=_column(deleted, "deleted", np.uint64),
                answers=header["answers"],
                unfinished=header["unfinished"],
                read=Read.from_entry(header["read"]) if header["read"] else None,
                empty=header["empty"],
            )
        except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise PartUnreadable(f"no part of a ledger: {type(error).__name__}") from error


def _batch(**columns: npt.NDArray[Any]) -> pa.RecordBatch:
    """Columns of numbers; `pa.array` imports pandas first, a second in each process that reads."""
    arrays = [
        pa.Array.from_buffers(pa.from_numpy_dtype(each.dtype), len(each), [None, pa.py_buffer(np.ascontiguousarray(each))])
        for each in columns.values()
    ]
    return pa.record_batch(arrays, names=list(columns))


def _column(batch: pa.RecordBatch, name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    """A column of numbers, not copied; `to_numpy` imports pandas first."""
    column = batch.column(name)
    if column.type != pa.from_numpy_dtype(kind) or column.null_count:
        raise ValueError(f"{name} is {column.type}")
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * np.dtype(kind).itemsize)


def _one_batch(source: Any) -> pa.RecordBatch:  # noqa: ANN401 - an Arrow file
    with pa.ipc.open_stream(source) as reader:
        batch = reader.read_next_batch()
        if any(True for _ in reader):
            raise ValueError("more than one batch")
    return batch


class PartLedger(Ledger):
    """A ledger that packs what it reads, and hands it on in parts of bounded size.

    Args:
        name: the table or file, for the malformed records.
        latest: as of a `Ledger`.
        emit: is given each part; the last one by `end`.
        most: entries, changes and deletions after which a part is handed on.
    """

    def __init__(
        self, name: str, latest: int | None, emit: Callable[[LedgerPart], None], most: int = 32 * _BLOCK_ENTRIES
    ) -> None:
        super().__init__(name, latest)
        self._emit, self._most = emit, most
        self._packers = {kind: _Packer(kind) for kind in (REPLAYS, OTHERS, TEXTS)}
        self._likely = _Packer(TEXTS)  # those that share a trace with a replay
        self._begin()

    def _begin(self) -> None:
        for packer in (*self._packers.values(), self._likely):
            packer.clear()
        self._replayed: set[bytes] = set()  # traces of what is packed as REPLAYS
        self._sent_items, self._sent_malformed, self._sent_kept = self.items, self.malformed_count, len(self.malformed)
        self.changes: list[Change] = []
        self.changes_count = self.unchanged = 0
        self._deleted: list[int] = []
        self._waiting = 0

    def keep(self, entry: LedgerEntry) -> None:
        """Packs an entry."""
        kind = REPLAYS if entry.event in REPLAY_TYPES else OTHERS
        self._pack(kind, [orjson.dumps(tuple(entry))], [f"{entry.pk}\0{entry.sk}".encode()], [entry.trace.encode()])

    def _pack(self, kind: str, records: Sequence[bytes], keys: Sequence[bytes], traces: Sequence[bytes]) -> None:
        if kind == REPLAYS:
            self._replayed.update(traces)
        elif kind == TEXTS:
            likely = list(map(self._replayed.__contains__, traces))
            if any(likely):
                self._likely.add(*(list(compress(each, likely)) for each in (records, keys, traces)))
                rest = [not each for each in likely]
                records, keys, traces = (list(compress(each, rest)) for each in (records, keys, traces))
        self._packers[kind].add(records, keys, traces)
        self._count(len(traces))

    def usual(self, lines: AlikeLines) -> UsualEntries | None:
        """See `QuickLedger`."""
        return usual_entries(lines, self._latest)

    def take_usual(self, entries: UsualEntries) -> None:
        """Packs usual entries."""
        self.items += len(entries.rows)
        if self.newest is None or entries.newest > self.newest:
            self.newest = entries.newest
        if entries.kind is not None:
            self._pack(entries.kind, entries.records, entries.keys, entries.traces)

    def note_change(self, change: Change) -> None:
        """Notes a rewritten or a deleted entry."""
        self.changes_count += 1
        if len(self.changes) < MALFORMED_KEPT:
            self.changes.append(change)
        if change.kind == DELETED:
            self._deleted.append(key_digest(change.pk, change.sk))
        self._count()

    def _count(self, added: int = 1) -> None:
        self._waiting += added
        if self._waiting >= self._most:
            self._emit(self._part())
            self._begin()

    def _part(self) -> LedgerPart:
        packers = [*self._packers.values(), self._likely]
        for packer in packers:
            packer.flush()
        return LedgerPart(
            items=self.items - self._sent_items,
            newest=self.newest,
            malformed=tuple(self.malformed[self._sent_kept :]),
            malformed_count=self.malformed_count - self._sent_malformed,
            blocks=tuple(block for packer in packers for block in packer.blocks),
            keys=_numbers(each for packer in packers for each in packer.keys),
            traces=_numbers(each for packer in packers for each in packer.traces),
            changes=tuple(self.changes),
            changes_count=self.changes_count,
            unchanged=self.unchanged,
            deleted=np.array(self._deleted, np.uint64),
        )

    def end(self, read: Read, *, answers: int, unfinished: int, empty: bool) -> None:
        """Hands on the last part."""
        self._emit(replace(self._part(), read=read, answers=answers, unfinished=unfinished, empty=empty))
        self._begin()


CHANGED, DELETED = "changed", "deleted"


class _Packer:
    """Packs entries into blocks."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.clear()

    def clear(self) -> None:
        self.blocks: list[PackedBlock] = []
        self.keys: list[bytes] = []
        self.traces: list[bytes] = []
        self._records: list[bytes] = []
        self._known: dict[bytes, bytes] = {}  # digests of traces: several entries share one

    def add(self, records: Sequence[bytes], keys: Sequence[bytes], traces: Sequence[bytes]) -> None:
        """Adds entries."""
        self._records += records
        self.keys += map(_digest, keys)
        for trace in traces:
            digest = self._known.get(trace)
            if digest is None:
                digest = self._known[trace] = _digest(trace)
            self.traces.append(digest)
        if len(self._records) >= _BLOCK_ENTRIES:
            self.flush()

    def flush(self) -> None:
        if self._records:
            whole = b"\n".join(self._records)
            packed = pa.compress(whole, codec=_CODEC, asbytes=True)
            self.blocks.append(PackedBlock(self._kind, len(self._records), len(whole), packed))
            self._records = []


def _unpacked(record: bytes) -> LedgerEntry:
    *values, oddities = orjson.loads(record)
    return LedgerEntry._make([*values, tuple((Oddity(kind), text) for kind, text in oddities)])


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()


def _numbers(digests: Iterable[bytes]) -> Digests:
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def key_digest(pk: str, sk: str) -> int:
    """The digest by which entries of one key find each other; what is found is compared by the key itself."""
    return int(_numbers([_digest(f"{pk}\0{sk}".encode())])[0])


def trace_digest(trace: str) -> int:
    """The same of a trace id."""
    return int(_numbers([_digest(trace.encode())])[0])


def content_digests(entries: Iterable[LedgerEntry]) -> Digests:
    """Digests of what was read of entries: those that are equal have one content."""
    return _numbers(_digest(orjson.dumps(tuple(entry))) for entry in entries)
