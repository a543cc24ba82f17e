"""What was found in a part of the logs (a file, an hour of a group), kept without the lines, to be attributed elsewhere. Pure.

A part knows neither the ledger nor other parts, so it is the same whoever merges it. It holds numbers and hashes, names of groups
and streams, and no text of any line: that would bring tenants' data into the place where parts are kept. The few lines of which a
finding shows something are read again.

Kept as lengths and Arrow streams; reading them runs no code of their writer.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from phase5_ops.input_files.archives import BLOCK_BYTES
from phase5_ops.input_files.files import Readable
from phase5_ops.input_files.json_text import json_value
from phase5_ops.input_files.log_documents import Event
from phase5_ops.sections.isolation.logs.attribution import RawText, UnreadWording, Wording
from phase5_ops.sections.isolation.logs.pieces import FilePieces, LineOrigin, Piece, Progress, Scanned, Scanning, live_piece
from phase5_ops.sections.isolation.logs.scan import Hits
from phase5_ops.sections.isolation.logs.tokens import Flags, Ints

#: Raised when the format or the meaning of what is kept changes.
VERSION = 1
_NOT_AGAIN = "the line was not found again where it had been read"
_LENGTH_BYTES = 8
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")
_COLUMNS = {
    "hits": ("line", "tenant", "in_field", "spelt"),
    "keys": ("line", "key", "is_request"),
    "scopes": ("line", "key", "opens"),
    "aside": ("line",),
    "events": ("stream", "time"),
}
_NARROW = {"line": np.int32, "tenant": np.int32, "stream": np.int32, "time": np.int64, "key": np.uint64}


Column = npt.NDArray[Any]
#: What tells the hits of one scan of a block from those of another.
HitsDigest = bytes


def digest_of(hits: Hits) -> HitsDigest:
    """The digest of a block's hits: their lines and tenants."""
    numbers = np.concatenate([hits.line, hits.tenant]).astype(np.int64)
    return hashlib.blake2b(numbers.tobytes(), digest_size=16).digest()


def _narrow(hits: Hits) -> Hits:
    """The hits in a third of the memory: as they are kept, and without the bytes that they are at."""
    nowhere = np.zeros(1, np.int64)
    return replace(
        hits,
        line=hits.line.astype(np.int32),
        tenant=hits.tenant.astype(np.int32),
        start=np.broadcast_to(nowhere, len(hits.line)),
        end=np.broadcast_to(nowhere, len(hits.line)),
        key_line=hits.key_line.astype(np.int32),
        key_start=np.broadcast_to(nowhere, len(hits.key_line)),
        decoded={},
    )


def widened(hits: Hits) -> Hits:
    """The hits of a part as attribution takes them."""
    return replace(
        hits,
        line=hits.line.astype(np.int64),
        tenant=hits.tenant.astype(np.int64),
        key_line=hits.key_line.astype(np.int64),
        scope_line=hits.scope_line.astype(np.int64),
    )


class LogPartUnreadable(Exception):
    """What was kept of a part cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class ScannedBlock:
    """One block of a part.

    Attributes:
        scanned: what was found in it; `hits` without the bytes that each is at.
        spelt: for each hit, whether its text is the id.
        size: bytes of the block, with those that only help to read it.
        unended: its last line has no end in it.
    """

    scanned: Scanned
    spelt: Flags
    size: int
    unended: bool


@dataclass(slots=True)
class ScannedPart:
    """What was found in one part.

    Attributes:
        name: of the part, for messages.
        blocks: in their order.
        goes_on: (file, whether its last answer says that more events follow in another file), of files with such answers.
    """

    name: str
    blocks: list[ScannedBlock] = field(default_factory=list)
    goes_on: list[tuple[str, bool]] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The part as it is kept."""
        columns: dict[tuple[str, str], list[Column]] = {(table, name): [] for table, names in _COLUMNS.items() for name in names}
        described = []
        for block in self.blocks:
            scanned, origin, hits = block.scanned, block.scanned.origin, block.scanned.hits
            names, stream = origin.streams if origin.streams is not None else (None, np.empty(0, np.int64))
            tables = {
                "hits": (hits.line, hits.tenant, hits.in_field, block.spelt),
                "keys": (hits.key_line, hits.key, hits.key_is_request),
                "scopes": (hits.scope_line, hits.scope_key, hits.scope_opens),
                "aside": (scanned.set_aside,),
                "events": _events(stream, origin.times),
            }
            for table, values in tables.items():
                for name, array in zip(_COLUMNS[table], values, strict=True):
                    columns[table, name].append(array)
            described.append(
                {
                    "origin": [origin.group, origin.kind, origin.source, origin.serial],
                    "streams": names,
                    "timed": origin.times is not None,
                    "rows": [len(values[0]) for values in tables.values()],
                    "lines": [hits.lines, hits.too_deep, scanned.joined],
                    "size": [scanned.size, block.size],
                    "ends": [scanned.ends_line, block.unended],
                }
            )
        head = {"version": VERSION, "name": self.name, "blocks": described, "goes_on": self.goes_on}
        frames = [json.dumps(head).encode("utf-8", "surrogatepass")]
        for table, names in _COLUMNS.items():
            arrays = {name: _joined(columns[table, name], _NARROW.get(name, np.bool_)) for name in names}
            sink = pa.BufferOutputStream()
            made = pa.table(arrays)
            with pa.ipc.new_stream(sink, made.schema, options=_COMPRESSED) as writer:
                writer.write_table(made)
            frames.append(sink.getvalue().to_pybytes())
        return b"".join(len(frame).to_bytes(_LENGTH_BYTES, "big") + frame for frame in frames)

    @classmethod
    def from_bytes(cls, kept: bytes, *, tenants: int) -> Self:
        """The part that was kept. `tenants` is the number of ids that were searched for.

        Raises:
            LogPartUnreadable: it is not whole, of another version, or names lines, streams or ids that there are not.
        """
        try:
            frames = list(_frames(kept))
            said = json_value(frames[0].decode("utf-8", "surrogatepass"))
            _same_version(said["version"])
            head = _Head.model_validate(said)
            tables = {name: _table(name, frame) for name, frame in zip(_COLUMNS, frames[1:], strict=True)}
            blocks = list(_blocks(head.blocks, tables, tenants))
            return cls(head.name, blocks, head.goes_on)
        except LogPartUnreadable:
            raise
        except (ValueError, KeyError, TypeError, IndexError, OSError, pa.ArrowException) as error:
            raise LogPartUnreadable(f"not whole: {type(error).__name__}: {error}"[:200]) from error


_Text = InstanceOf[str]  # a file's name may hold halves of surrogate pairs, which pydantic's `str` refuses
_Count = Annotated[int, Field(ge=0, le=2**48)]


class _BlockHead(BaseModel):
    """What the head of a kept part says of a block; see `ScannedPart.to_bytes`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: tuple[_Text, _Text, _Text, bool]
    streams: list[_Text] | None
    timed: bool
    rows: Annotated[list[_Count], Field(min_length=len(_COLUMNS), max_length=len(_COLUMNS))]
    lines: tuple[_Count, _Count, _Count]
    size: tuple[_Count, _Count]
    ends: tuple[bool, bool]


class _Head(BaseModel):
    """The head of a kept part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    name: _Text
    blocks: list[_BlockHead]
    goes_on: list[tuple[_Text, bool]]


def _same_version(version: object) -> None:
    if version != VERSION:
        raise LogPartUnreadable(f"version {version!r} of kept parts; this one reads {VERSION}")


def _events(stream: Ints, times: Ints | None) -> tuple[Ints, Ints]:
    """Stream and time of each line, one of which may not be known."""
    if times is None:
        return stream, np.zeros(len(stream), np.int64)
    return (stream if len(stream) else np.zeros(len(times), np.int64)), times


def _joined(arrays: Sequence[Column], kind: Any) -> Column:  # noqa: ANN401 - a type of numpy
    return np.concatenate(arrays).astype(kind) if arrays else np.empty(0, kind)


def _frames(kept: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(kept):
        size = int.from_bytes(kept[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        if at + size > len(kept):
            raise LogPartUnreadable("it breaks off")
        yield kept[at : at + size]
        at += size


def _table(name: str, frame: bytes) -> dict[str, Column]:
    with pa.ipc.open_stream(frame) as reader:
        table = reader.read_all()
    columns = {column: table.column(column).to_numpy() for column in _COLUMNS[name]}
    for column, values in columns.items():
        if values.dtype != _NARROW.get(column, np.bool_):
            raise LogPartUnreadable(f"{column} of its {name} is {values.dtype}")
    return columns


def _blocks(described: Sequence[_BlockHead], tables: Mapping[str, Mapping[str, Column]], tenants: int) -> Iterator[ScannedBlock]:
    """The blocks that the head describes, each with its rows of the tables."""
    ends = dict.fromkeys(_COLUMNS, 0)
    for block in described:
        rows: dict[str, dict[str, Column]] = {}
        for table, count in zip(_COLUMNS, block.rows, strict=True):
            begin = ends[table]
            ends[table] = begin + count
            rows[table] = {name: array[begin : begin + count] for name, array in tables[table].items()}
            if any(len(array) != count for array in rows[table].values()):
                raise LogPartUnreadable(f"it has fewer {table} than it says")
        _require_known(block, rows, tenants)
        group, kind, source, serial = block.origin
        origin = LineOrigin(
            group,
            kind,
            source,
            (tuple(block.streams), rows["events"]["stream"].astype(np.int64)) if block.streams is not None else None,
            serial,
            rows["events"]["time"] if block.timed else None,
        )
        lines, too_deep, joined = block.lines
        nowhere = np.broadcast_to(np.zeros(1, np.int64), len(rows["hits"]["line"]))
        hits = Hits(
            line=rows["hits"]["line"],
            start=nowhere,
            end=nowhere,
            tenant=rows["hits"]["tenant"],
            in_field=rows["hits"]["in_field"],
            key_line=rows["keys"]["line"],
            key=rows["keys"]["key"],
            key_start=np.broadcast_to(np.zeros(1, np.int64), len(rows["keys"]["line"])),
            key_is_request=rows["keys"]["is_request"],
            scope_line=rows["scopes"]["line"],
            scope_key=rows["scopes"]["key"],
            scope_opens=rows["scopes"]["opens"],
            lines=lines,
            too_deep=too_deep,
        )
        scanned = Scanned(origin, hits, rows["aside"]["line"].astype(np.int64), block.size[0], block.ends[0], joined)
        yield ScannedBlock(scanned, rows["hits"]["spelt"], block.size[1], block.ends[1])
    if any(ends[table] != len(next(iter(columns.values()))) for table, columns in tables.items()):
        raise LogPartUnreadable("it has more rows than its blocks")


def _require_known(block: _BlockHead, rows: Mapping[str, Mapping[str, Column]], tenants: int) -> None:
    """Refuses a block that names a line, a stream or an id that there is not."""
    told = len(rows["events"]["stream"])
    of_streams, of_lines = block.streams is not None, block.streams is not None or block.timed
    last = min(block.lines[0], told - 1) if of_lines else block.lines[0]
    bounds = [(rows[table]["line"], last + 1) for table in ("hits", "keys", "scopes", "aside")]
    bounds += [(rows["hits"]["tenant"], tenants), (rows["events"]["stream"], len(block.streams or ()) if of_streams else 1)]
    if any(len(values) and (values.min() < 0 or values.max() >= most) for values, most in bounds):
        raise LogPartUnreadable("it names a line, a stream or an id that there is not")


@dataclass(frozen=True, slots=True)
class KeptText:
    """The text of a block that was scanned elsewhere: what was noted of it."""

    block: ScannedBlock
    part: int
    number: int

    @property
    def size(self) -> int:
        """See `BlockText`."""
        return self.block.size

    @property
    def unended(self) -> bool:
        """See `BlockText`."""
        return self.block.unended

    def spells(self, position: int, name: str) -> bool:
        """See `BlockText`."""
        del name  # it was compared when the block was scanned
        return bool(self.block.spelt[position])

    def wording(self, position: int) -> UnreadWording:
        """See `BlockText`."""
        return UnreadWording(self.part, self.number, position)


class _Literals:
    """The ids as they are written."""

    def __init__(self, ids: Sequence[str]) -> None:
        texts = [name.encode("utf-8", "surrogatepass") for name in ids]
        self._sizes = np.array([len(text) for text in texts], np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._bytes = np.frombuffer(b"".join(texts), np.uint8)

    def same(self, raw: bytes, hits: Hits) -> Flags:
        """Which hits' bytes in the block are those of the id, letter by letter."""
        data = np.frombuffer(raw, np.uint8)
        same: Flags = hits.end - hits.start == self._sizes[hits.tenant]
        same[list(hits.decoded)] = False  # what they stand for is the id
        left = np.flatnonzero(same)
        offset = 0
        while len(left):
            tenant = hits.tenant[left]
            equal = data[hits.start[left] + offset] == self._bytes[self._starts[tenant] + offset]
            same[left[~equal]] = False
            offset += 1
            left = left[equal & (self._sizes[tenant] > offset)]
        return same


class PartRecorder:
    """Puts a part together from its scanned blocks, in their order.

    Attributes:
        part: the blocks so far.
        whole: no block of it is missing.
    """

    def __init__(self, name: str, ids: Sequence[str]) -> None:
        self.part, self.whole = ScannedPart(name), True
        self._ids, self._literals = ids, _Literals(ids)

    def add(self, scanned: Scanned, text: RawText) -> None:
        """Adds the next block."""
        spelt, hits = self._literals.same(text.raw, scanned.hits), scanned.hits
        for position in np.flatnonzero(~spelt).tolist():  # those that are written as the id is were compared all at once
            spelt[position] = text.spells(position, self._ids[int(hits.tenant[position])])
        self.part.blocks.append(ScannedBlock(replace(scanned, hits=_narrow(hits)), spelt, text.size, text.unended))


class PartRun:
    """Scans one part, on this thread: call `archive` or `events`, then `finish`."""

    def __init__(self, name: str, scanning: Scanning, ids: Sequence[str]) -> None:
        self._scanning, self._recorder = scanning, PartRecorder(name, ids)
        self._group, self._held, self._held_bytes = "", list[Event](), 0

    def archive(self, name: str, stream: Readable, progress: Progress | None = None) -> None:
        """As `LogRun.archive`."""
        pieces = FilePieces(name, stream, progress)
        for piece in pieces:
            self._take(piece)
        if pieces.more is not None:
            self._recorder.part.goes_on.append((name, pieces.more))

    def events(self, group: str, events: Sequence[Event]) -> None:
        """Takes events of one group, those of a stream in order; into which pages they are divided makes no difference."""
        if group != self._group:
            self._scan_held()
            self._group = group
        for event in events:
            self._held.append(event)
            self._held_bytes += len(event.message)
            if self._held_bytes >= BLOCK_BYTES:
                self._scan_held()

    def finish(self) -> ScannedPart:
        """What was found."""
        self._scan_held()
        return self._recorder.part

    def _scan_held(self) -> None:
        if self._held:
            self._take(live_piece(self._group, self._held))
        self._held, self._held_bytes = [], 0

    def _take(self, piece: Piece) -> None:
        scanned = self._scanning.scan(piece)
        self._recorder.add(scanned, RawText(piece.block.raw, scanned.hits))


#: Gives a part's input to a run, as it was given when the part was scanned first. Returns why not, if it could not.
Again = Callable[[PartRun], str | None]


class _SecondLook(PartRun):
    """Reads a part again and notes the wording of some hits; of other blocks nothing is scanned."""

    def __init__(self, name: str, first: Sequence[HitsDigest], scanning: Scanning, wanted: Sequence[tuple[int, int]]) -> None:
        super().__init__(name, scanning, ())
        self._first, self._number = first, 0
        self._wanted: dict[int, list[int]] = {}
        for block, position in wanted:
            self._wanted.setdefault(block, []).append(position)
        self.found: dict[tuple[int, int], Wording] = {}

    def _take(self, piece: Piece) -> None:
        number, self._number = self._number, self._number + 1
        if number not in self._wanted or number >= len(self._first):
            return
        hits = self._scanning.scan(piece).hits
        if digest_of(hits) == self._first[number]:
            text = RawText(piece.block.raw, hits)
            self.found |= {(number, position): text.wording(position) for position in self._wanted[number]}


def read_again(
    name: str, first: Sequence[HitsDigest], again: Again, scanning: Scanning, wanted: Sequence[tuple[int, int]]
) -> tuple[dict[tuple[int, int], Wording], str | None]:
    """The wording of some hits of a part, by block and position in it; and why some could not be read, if so.

    A hit that could not be read again is still a hit; its wording says so. `first` is what the first scan found in each block.
    """
    look = _SecondLook(name, first, scanning, wanted)
    problem = again(look)
    look.finish()
    missing = [each for each in wanted if each not in look.found]
    if missing and problem is None:
        problem = f"{len(missing)} lines that name a foreign tenant were not there when it was read again"
    return look.found | dict.fromkeys(missing, Wording("", "", _NOT_AGAIN)), problem if missing else None
