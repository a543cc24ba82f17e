"""What one file says of the ledger, small enough to be kept, sent and merged: the map side of the audit over files. Pure.

Most entries of the types that a replay is made of belong to ordinary executions, and whether one does is known only when all
files were read. So a part keeps every entry packed (compressed JSON, about a fifth of the item), beside two digests: of its
key and of its trace. The merge finds by the digests alone what came twice, what differs and what
belongs to a replay, and unpacks only that.

A part can be written as bytes and read back (Arrow IPC, no pickle): parts come from other processes, machines and buckets.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.ledger import MALFORMED_KEPT, REPLAY_TYPES, Ledger, LedgerEntry, Oddity
from phase5_ops.reads import Read
from phase5_ops.sections.replay.audit.line_layouts import OrdinaryLine

#: Goes with what `LedgerPart.to_bytes` writes; a part of another version is refused.
PART_VERSION = 1

Digests = npt.NDArray[np.uint64]

_BLOCK_ENTRIES = 4096
_DIGEST_BYTES = 8
_CODEC = "zstd"
_BYTES = pa.schema([("kind", pa.string()), ("rows", pa.uint64()), ("size", pa.uint64()), ("packed", pa.binary())])
_DIGESTS = pa.schema([("key", pa.uint64()), ("trace", pa.uint64())])


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


#: What a block holds: entries of the types that only replays have, other entries, or lines of other entries.
REPLAYS, OTHERS, LINES = "replays", "others", "lines"


class PackedBlock(NamedTuple):
    """Entries packed together."""

    kind: str
    rows: int
    size: int  # bytes once unpacked
    packed: bytes

    def entries(self, rows: Sequence[int]) -> list[LedgerEntry]:
        """The entries in these rows."""
        lines = pa.decompress(self.packed, self.size, codec=_CODEC, asbytes=True).split(b"\n")
        return [_of_line(lines[row]) if self.kind == LINES else _unpacked(lines[row]) for row in rows]


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
        """The part as Arrow IPC: the digests, the blocks, the deleted keys; the rest as JSON in the first schema's metadata."""
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
            "rows": [len(self.keys), len(self.blocks), len(self.deleted)],
        }
        digests = pa.record_batch([_array(each) for each in (self.keys, self.traces)], schema=_DIGESTS)
        blocks = pa.record_batch(
            [
                pa.array([block.kind for block in self.blocks], pa.string()),
                pa.array([block.rows for block in self.blocks], pa.uint64()),
                pa.array([block.size for block in self.blocks], pa.uint64()),
                pa.array([block.packed for block in self.blocks], pa.binary()),
            ],
            schema=_BYTES,
        )
        deleted = pa.record_batch([_array(self.deleted)], names=["deleted"])
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
            return cls(
                items=header["items"],
                newest=header["newest"],
                malformed=tuple(MalformedRecord(*each) for each in header["malformed"]),
                malformed_count=header["malformed_count"],
                blocks=tuple(PackedBlock(*row.values()) for row in blocks.to_pylist()),
                keys=digests.column("key").to_numpy(),
                traces=digests.column("trace").to_numpy(),
                changes=tuple(Change(*each) for each in header["changes"]),
                changes_count=header["changes_count"],
                unchanged=header["unchanged"],
                deleted=deleted.column("deleted").to_numpy(),
                answers=header["answers"],
                unfinished=header["unfinished"],
                read=Read.from_entry(header["read"]) if header["read"] else None,
                empty=header["empty"],
            )
        except (pa.ArrowException, OSError, EOFError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise PartUnreadable(f"no part of a ledger: {type(error).__name__}") from error


def _array(digests: Digests) -> pa.Array:
    """As `pa.array`, which imports pandas first: seconds, in each process that reads."""
    return pa.Array.from_buffers(pa.uint64(), len(digests), [None, pa.py_buffer(np.ascontiguousarray(digests, np.uint64))])


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
        self._packers = {kind: _Packer(kind) for kind in (REPLAYS, OTHERS, LINES)}
        self._begin()

    def _begin(self) -> None:
        for packer in self._packers.values():
            packer.clear()
        self._sent_items, self._sent_malformed, self._sent_kept = self.items, self.malformed_count, len(self.malformed)
        self.changes: list[Change] = []
        self.changes_count = self.unchanged = 0
        self._deleted: list[int] = []
        self._waiting = 0

    def keep(self, entry: LedgerEntry) -> None:
        """Packs an entry."""
        packer = self._packers[REPLAYS if entry.event in REPLAY_TYPES else OTHERS]
        packer.add(orjson.dumps(tuple(entry)), entry.pk, entry.sk, entry.trace)
        self._count()

    def took_line(self, entry: OrdinaryLine, line: bytes) -> bool:
        """Packs an entry of an execution as its line; False where it has to be looked at."""
        if self._latest is not None and entry.at > self._latest:
            return False
        self.items += 1
        if self.newest is None or entry.at > self.newest:
            self.newest = entry.at
        self._packers[LINES].add(line, entry.pk, entry.sk, entry.trace)
        self._count()
        return True

    def note_change(self, change: Change) -> None:
        """Notes a rewritten or a deleted entry."""
        self.changes_count += 1
        if len(self.changes) < MALFORMED_KEPT:
            self.changes.append(change)
        if change.kind == DELETED:
            self._deleted.append(key_digest(change.pk, change.sk))
        self._count()

    def _count(self) -> None:
        self._waiting += 1
        if self._waiting >= self._most:
            self._emit(self._part())
            self._begin()

    def _part(self) -> LedgerPart:
        packers = list(self._packers.values())
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
        self._lines: list[bytes] = []
        self._known: dict[str, bytes] = {}  # digests of traces: several entries share one

    def add(self, line: bytes, pk: str, sk: str, trace: str) -> None:
        self._lines.append(line)
        self.keys.append(_digest(f"{pk}\0{sk}"))
        digest = self._known.get(trace)
        if digest is None:
            digest = self._known[trace] = _digest(trace)
        self.traces.append(digest)
        if len(self._lines) >= _BLOCK_ENTRIES:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            whole = b"\n".join(self._lines)
            packed = pa.compress(whole, codec=_CODEC, asbytes=True)
            self.blocks.append(PackedBlock(self._kind, len(self._lines), len(whole), packed))
            self._lines = []


def _unpacked(line: bytes) -> LedgerEntry:
    *values, oddities = orjson.loads(line)
    return LedgerEntry._make([*values, tuple((Oddity(kind), text) for kind, text in oddities)])


def _of_line(line: bytes) -> LedgerEntry:
    """The entry of a line that was found to be as the platform writes it."""
    value = orjson.loads(line)
    ledger = Ledger("")
    ledger.add(value["Item"] if value.keys() == {"Item"} else value)
    (entry,) = ledger.entries
    return entry


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


def _numbers(digests: Iterable[bytes]) -> Digests:
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def key_digest(pk: str, sk: str) -> int:
    """The digest by which entries of one key find each other; what is found is compared by the key itself."""
    return int(_numbers([_digest(f"{pk}\0{sk}")])[0])


def trace_digest(trace: str) -> int:
    """The same of a trace id."""
    return int(_numbers([_digest(trace)])[0])


def content_digests(entries: Iterable[LedgerEntry]) -> Digests:
    """Digests of what was read of entries: those that are equal have one content."""
    return _numbers(hashlib.blake2b(orjson.dumps(tuple(entry)), digest_size=_DIGEST_BYTES).digest() for entry in entries)
