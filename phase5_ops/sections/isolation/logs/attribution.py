"""Which tenant a log line belongs to: lines belong to invocations, invocations to the tenant that owns their trace or intent.

`Attribution` takes the hits of one block after the other, in order, and keeps what it needs to judge the next: owners of traces,
intents and requests, the invocation that each stream is in, and lines that cannot be judged yet. All of it is bounded. It is one
file because every step reads and writes this one state.

The ledger says who owns a trace or intent. Without a ledger, it is the tenant in the tenant field of its first line that has one.
A line without ids must not name another tenant than its own first tenant field does; it counts as without a known owner all the
same.
A request belongs to the owner of the first trace or intent on its lines. A line whose ids have two owners is judged against both:
a line must not name another tenant just because it also names one of that tenant's traces.

A hit is reported only if its bytes are those of the id. Traces, intents and requests are compared by a 64-bit hash alone: two of
ten million share a hash once in 400,000 scans, and then a line may get the wrong owner. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.log_lines import REQUEST_FIELDS, TENANT_FIELDS, WORK_FIELDS, LineHead, line_head
from phase5_ops.sections.isolation.logs.dictionary import lower_case, spellings
from phase5_ops.sections.isolation.logs.edits import Layer, names_of
from phase5_ops.sections.isolation.logs.scan import Hits
from phase5_ops.sections.isolation.logs.tokens import LOOPS, OWN_KEY, SPREAD, Flags, Hashes, HashKey, Ints, key_hashes

UNKNOWN, SET_ASIDE = -1, -2
MAX_DETAILED = 1000  # hits that are described; others are only counted
MAX_PENDING_LINES = 500_000
MAX_PENDING_DETAILED = 20_000  # hits described before their owner is known
MAX_OWNERS = 8_000_000
BATCH_BYTES = 8 << 20
_STREAM_BITS = np.int64(40)
_EXCERPT_RADIUS = 60
_READABLE = frozenset(
    (*TENANT_FIELDS, *WORK_FIELDS, *REQUEST_FIELDS, "TENANT", "ACCOUNT", "error", "message", "stack", "pk", "sk")
)
_WORDS = re.compile(r"[\w-]+")
_LONGEST_WRITTEN = 160  # bytes of an id as it was written that are shown
_NOT_KEPT = "owner known only later in the log; the line was not kept"

Owners = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ForeignHit:
    """A line of one tenant's invocation that names another tenant. `excerpt` shows only known field names of the line.

    `written` is the id as the line has it, and `layers` the encodings that hid it; both "" where it is not encoded.
    """

    group: str
    stream: str
    line: int
    time: str
    request: str
    owner: str
    foreign: str
    excerpt: str
    written: str = ""
    layers: str = ""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a hit shows of its line beside its place; `time` and `request` as the line itself names them. See `ForeignHit`."""

    time: str
    request: str
    excerpt: str
    written: str = ""
    layers: str = ""


@dataclass(frozen=True, slots=True)
class UnreadWording:
    """The wording of a hit whose text is no longer there: which part of the input to read again, and which hit of it is meant."""

    part: int
    block: int
    position: int


#: Reads parts of the input again for the wordings of these hits.
ReadAgain = Callable[[Sequence[UnreadWording]], Mapping[UnreadWording, Wording]]


class BlockText(Protocol):
    """What attribution asks of the text of a block, whether its bytes are still there or not."""

    @property
    def size(self) -> int:
        """Its bytes, with those around it that only help to read it."""
        ...

    @property
    def unended(self) -> bool:
        """Whether its last line has no end in it."""
        ...

    def spells(self, position: int, name: str) -> bool:
        """Whether the text of this hit is that id: hits are found by hash only."""
        ...

    def wording(self, position: int) -> Wording | UnreadWording:
        """What this hit shows of its line."""
        ...


@dataclass(frozen=True, slots=True)
class RawText:
    """The text of a block by its bytes."""

    raw: bytes
    hits: Hits

    @property
    def size(self) -> int:
        """See `BlockText`."""
        return len(self.raw)

    @property
    def unended(self) -> bool:
        """See `BlockText`."""
        return not self.raw.endswith(b"\n")

    def spells(self, position: int, name: str) -> bool:
        """See `BlockText`. The bytes are decoded if they were encoded."""
        decoded = self.hits.decoded.get(position)
        if decoded is None:
            return self.raw[int(self.hits.start[position]) : int(self.hits.end[position])] in _spellings(name)
        return decoded.text in (_lower_spellings(name) if decoded.layers & Layer.CASE else _spellings(name))

    def wording(self, position: int) -> Wording:
        """See `BlockText`. The excerpt is redacted."""
        start, end = int(self.hits.start[position]), int(self.hits.end[position])
        left, right = self.raw.rfind(b"\n", 0, start) + 1, self.raw.find(b"\n", end)
        text = self.raw[left : right if right >= 0 else len(self.raw)][:100_000]
        head = line_head(text.decode("utf-8", "replace"))
        decoded, written = self.hits.decoded.get(position), self.raw[start:end]
        shown = written if decoded is None else decoded.text
        return Wording(
            time=head.time,
            request=head.request,
            excerpt=redacted(self.raw[left:start], shown, self.raw[end : end + _EXCERPT_RADIUS], head),
            written="" if decoded is None else ascii(written[:_LONGEST_WRITTEN].decode("utf-8", "replace"))[1:-1],
            layers="" if decoded is None else ", ".join(names_of(decoded.layers)),
        )


@dataclass(frozen=True)
class BlockLines:
    """What is known about the lines of a block besides their bytes.

    Attributes:
        group: log group, or the file's name.
        stream: number of each line's stream, or one number for all.
        stream_names: the names of the streams, by number.
        serial: a stream holds the lines of one process in order, so that a line without ids continues the line before it.
        times: epoch milliseconds of each line, if known; less than 0 for a line without a known time.
        context: lines before the window, read only to find the owners of others.
        set_aside: lines that the allow-list names.
        first_line: number of the block's first line in its source, from 1.
        source: the file that holds the lines, where it is not the group itself.
    """

    group: str
    stream: int | Ints = 0
    stream_names: Mapping[int, str] = field(default_factory=dict)
    serial: bool = False
    times: Ints | None = None
    context: Flags | None = None
    set_aside: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    first_line: int = 1
    source: str = ""


@dataclass
class Totals:
    """What was counted over one log group or file."""

    lines: int = 0
    bytes: int = 0
    naming: int = 0
    unattributed: int = 0
    foreign: int = 0
    probes_set_aside: int = 0
    listed_set_aside: int = 0
    too_deep: int = 0


class OwnerTable:
    """Owner of each key (a 64-bit hash); a key keeps its first owner. Beyond `limit` keys the oldest are forgotten.

    A hash table with linear probing in numpy arrays: 16 bytes a slot, at most three quarters full, a million look-ups in 20 ms.
    """

    def __init__(self, limit: int = MAX_OWNERS) -> None:
        self._limit = limit
        self._count = self._age = self.forgotten = 0
        self._allocate(16)

    def __len__(self) -> int:
        return self._count

    def _allocate(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._mask = np.int64((1 << bits) - 1)
        self._keys = np.zeros(1 << bits, np.uint64)  # 0 is an empty slot: a key of 0 is kept as 1
        self._owners = np.zeros(1 << bits, np.int32)
        self._ages = np.zeros(1 << bits, np.int32)

    def _slots(self, keys: Hashes) -> Ints:
        return ((keys * SPREAD) >> self._shift).astype(np.int64)

    def get(self, keys: Hashes) -> Owners:
        """The owner of each key; UNKNOWN where there is none."""
        owners = np.full(len(keys), UNKNOWN, np.int32)
        if not self._count:
            return owners
        keys = np.maximum(keys, np.uint64(1))
        if loops := LOOPS.loaded:
            found: Owners = loops.look_up(keys, self._keys, self._owners, self._shift, self._mask, UNKNOWN)
            return found
        left = np.arange(len(keys))
        slots = self._slots(keys)
        while len(left):
            there = self._keys[slots]
            same = there == keys
            owners[left[same]] = self._owners[slots[same]]
            on = np.flatnonzero(~same & (there != 0))
            left, keys, slots = left[on], keys[on], (slots[on] + 1) & self._mask
        return owners

    def add(self, keys: Hashes, owners: npt.NDArray[np.signedinteger]) -> None:
        """Adds the keys that are not there yet; of equal keys the first one."""
        new = self.get(keys) == UNKNOWN
        keys, owners = np.maximum(keys[new], np.uint64(1)), owners[new].astype(np.int32)
        if not len(keys):
            return
        self._age += 1
        if self._count + len(keys) > self._limit:
            self._forget_the_older_half()
        while (self._count + len(keys)) * 4 > len(self._keys) * 3:
            self._rebuild(np.ones(len(self._keys), np.bool_), grow=True)
        self._insert(keys, owners, np.full(len(keys), self._age, np.int32))

    def _insert(self, keys: Hashes, owners: Owners, ages: Owners) -> None:
        if loops := LOOPS.loaded:
            loops.put(keys, owners, ages, self._keys, self._owners, self._ages, self._shift, self._mask)
        else:
            self._insert_by_arrays(keys, owners, ages)
        self._count = int(np.count_nonzero(self._keys))

    def _insert_by_arrays(self, keys: Hashes, owners: Owners, ages: Owners) -> None:
        keys, owners, ages = keys[::-1], owners[::-1], ages[::-1]  # the last of several written to one slot stays
        slots = self._slots(keys)
        while len(keys):
            free = self._keys[slots] == 0
            taken = slots[free]
            self._keys[taken] = keys[free]
            mine = self._keys[slots] == keys
            self._owners[slots[mine]] = owners[mine]
            self._ages[slots[mine]] = ages[mine]
            on = np.flatnonzero(~mine)
            keys, owners, ages, slots = keys[on], owners[on], ages[on], (slots[on] + 1) & self._mask

    def _forget_the_older_half(self) -> None:
        there = self._keys != 0
        keep = there & (self._ages > np.median(self._ages[there]))
        self.forgotten += int(there.sum() - keep.sum())
        self._rebuild(keep, grow=False)

    def _rebuild(self, keep: Flags, *, grow: bool) -> None:
        keep = keep & (self._keys != 0)
        keys, owners, ages = self._keys[keep], self._owners[keep], self._ages[keep]
        self._allocate(len(self._keys).bit_length() - 1 + (1 if grow else 0))
        self._count = 0
        self._insert(keys, owners, ages)


@dataclass
class _Held:
    """One block of the batch: its text and hits, and the number of its first line in the scan."""

    text: BlockText
    hits: Hits
    lines: BlockLines
    base: int


class _Named(NamedTuple):
    """Hits of a batch: line in the scan, tenant, block, position in that block's hits."""

    line: Ints
    tenant: Ints
    block: Ints
    position: Ints


class _Detailed(NamedTuple):
    """A hit to report: its line in the scan, its place, and what it shows of its line."""

    line: int
    hit: ForeignHit
    wording: Wording | UnreadWording


@dataclass
class _Pending:
    """Lines that name a tenant and carry ids whose owner is not known yet."""

    hits: list[tuple[Ints, Ints]] = field(default_factory=list)  # line, tenant
    details: list[_Detailed] = field(default_factory=list)  # of the first of `hits`, without the owner
    keys: list[tuple[Ints, Hashes]] = field(default_factory=list)  # line, key
    groups: list[tuple[int, str]] = field(default_factory=list)  # first line of each batch's groups
    count: int = 0


def _said_by_fields(batch: Sequence[_Held], lines: Ints) -> tuple[Flags, Ints]:
    """Which of these lines, in order, have a tenant field; and the tenant in the first one of each that has."""
    line = np.concatenate([held.hits.line[held.hits.in_field] + held.base for held in batch])
    tenant = np.concatenate([held.hits.tenant[held.hits.in_field] for held in batch])
    if not len(line):
        return np.zeros(len(lines), np.bool_), tenant
    first = np.flatnonzero(np.append(True, line[1:] != line[:-1]))
    place = np.minimum(np.searchsorted(line[first], lines), len(first) - 1)
    said = line[first][place] == lines
    return said, tenant[first][place[said]]


class Attribution:
    """Judges the lines of a scan, in order. Call `add` for each block, `finish` once, then read the totals and hits."""

    def __init__(
        self,
        ids: Sequence[str],
        *,
        ledger: Mapping[str, str] | None = None,
        canaries: frozenset[str] = frozenset(),
        probes: Sequence[str] = (),
        key: HashKey = OWN_KEY,
    ) -> None:
        """Begins a scan.

        Args:
            ids: the tenant ids, by index.
            ledger: trace or intent id -> tenant id; None if there is no ledger.
            canaries: the dedicated test tenants.
            probes: traces, intents and requests of our own probes.
            key: of the hashes in the hits that will be added.
        """
        self.totals: dict[str, Totals] = {}
        self._detailed: list[_Detailed] = []
        self._ids = list(ids)
        self._by_ledger = ledger is not None
        self._owners, self._requests = OwnerTable(), OwnerTable()
        self._probes = np.unique(key_hashes(list(probes), key))
        self._canary = np.array([tenant in canaries for tenant in ids] + [False], np.bool_)
        self._batch: list[_Held] = []
        self._bytes = 0
        self._next_line = 0
        self._streams: dict[tuple[str, int], int] = {}
        self._open: dict[int, tuple[np.uint64, bool]] = {}  # stream -> the invocation it is in, whether one is open
        self._interleaved: set[int] = set()
        self._scoped: set[int] = set()  # streams with START lines
        self._pending = _Pending()
        if ledger is not None:
            index = {tenant: number for number, tenant in enumerate(ids)}
            known = [(name, index.get(tenant, len(index))) for name, tenant in ledger.items()]
            self._owners.add(key_hashes([name for name, _ in known], key), np.array([owner for _, owner in known], np.int64))
            self._ids.append("a tenant that is not in the dictionary")

    @property
    def forgotten(self) -> int:
        """Owners that were forgotten to keep memory bounded."""
        return self._owners.forgotten + self._requests.forgotten

    def add(self, text: BlockText, hits: Hits, lines: BlockLines, *, size: int, ends_line: bool = True) -> None:
        """Takes the next block: its text, its hits, and what is known of its lines; `size` is the bytes to count for it."""
        totals = self.totals.setdefault(lines.group, Totals())
        totals.bytes += size
        count = hits.lines + (1 if ends_line and text.unended else 0)
        totals.lines += count
        totals.too_deep += hits.too_deep
        self._batch.append(_Held(text, hits, lines, self._next_line))
        self._next_line += count
        self._bytes += text.size
        if self._bytes >= BATCH_BYTES and ends_line:
            self._judge_batch()

    def finish(self, read_again: ReadAgain | None = None) -> list[ForeignHit]:
        """Judges what is left, and the lines whose owner became known later. Returns the first hits, in order of their lines.

        Args:
            read_again: for the hits of blocks whose text is no longer there.
        """
        self._judge_batch()
        self._judge_pending()
        chosen = sorted(self._detailed, key=lambda each: each.line)[:MAX_DETAILED]  # whatever the batches were
        unread = [each.wording for each in chosen if isinstance(each.wording, UnreadWording)]
        read = read_again(unread) if unread and read_again else {}
        return [_worded(hit, read[how] if isinstance(how, UnreadWording) else how) for _, hit, how in chosen]

    def _judge_batch(self) -> None:
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        named = _named(batch)
        key_line = np.concatenate([held.hits.key_line + held.base for held in batch])
        keys = np.concatenate([held.hits.key for held in batch])
        is_request = np.concatenate([held.hits.key_is_request for held in batch])
        if (key_line[1:] < key_line[:-1]).any():
            order = np.argsort(key_line, kind="stable")
            key_line, keys, is_request = key_line[order], keys[order], is_request[order]
        invoked = self._invocations(batch, key_line, keys, named.line)
        if not self._by_ledger:
            self._bind_by_fields(batch, key_line[~is_request], keys[~is_request])
        request_line = np.concatenate([key_line[is_request], invoked[0]])
        request = np.concatenate([keys[is_request], invoked[1]])
        order = np.argsort(request_line, kind="stable")
        request_line, request = request_line[order], request[order]
        work = key_line[~is_request], keys[~is_request]
        self._bind_requests(batch, work, (request_line, request))
        self._judge(batch, named, work, (request_line, request))

    def _invocations(self, batch: Sequence[_Held], key_line: Ints, keys: Hashes, named: Ints) -> tuple[Ints, Hashes]:
        """Line and request of each line that the order of its stream places in an invocation."""
        events = self._scope_events(batch, key_line, keys)
        if events is None:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        at, key, opens = events
        lines = np.unique(np.concatenate([named, key_line]))
        where = self._stream_of(batch, lines)
        before = np.searchsorted(at, (where << _STREAM_BITS) | lines, side="right") - 1
        inside = (before >= 0) & (at[before] >> _STREAM_BITS == where) & opens[before]
        if self._interleaved:
            inside &= ~np.isin(where, list(self._interleaved))
        return lines[inside], key[before[inside]]

    def _scope_events(self, batch: Sequence[_Held], key_line: Ints, keys: Hashes) -> tuple[Ints, Hashes, Flags] | None:
        """Beginnings and ends of invocations: (stream, line) as one number, request, whether it begins; ordered."""
        line = np.concatenate([held.hits.scope_line + held.base for held in batch])
        key = np.concatenate([held.hits.scope_key for held in batch])
        opens = np.concatenate([held.hits.scope_opens for held in batch])
        stream = self._stream_of(batch, line)
        self._scoped.update(np.unique(stream).tolist())
        serial = np.zeros(len(key_line), np.bool_)
        for held in batch:
            if held.lines.serial:
                inside = slice(*np.searchsorted(key_line, [held.base, held.base + held.hits.lines + 1]))
                serial[inside] = True
        if serial.any():  # in a stream of one process without START lines, a line without ids continues the last line with ids
            more = key_line[serial]
            of = self._stream_of(batch, more)
            unscoped = ~np.isin(of, list(self._scoped))
            first = np.unique(more[unscoped], return_index=True)[1]
            line = np.concatenate([line, more[unscoped][first]])
            key = np.concatenate([key, keys[serial][unscoped][first]])
            opens = np.concatenate([opens, np.ones(len(first), np.bool_)])
            stream = np.concatenate([stream, of[unscoped][first]])
        if not len(line) and not self._open:
            return None
        carried = list(self._open.items())
        at = np.concatenate([(stream << _STREAM_BITS) | line, np.array([s << 40 for s, _ in carried], np.int64)])
        key = np.concatenate([key, np.array([k for _, (k, _) in carried], np.uint64)])
        opens = np.concatenate([opens, np.array([o for _, (_, o) in carried], np.bool_)])
        order = np.argsort(at, kind="stable")
        at, key, opens = at[order], key[order], opens[order]
        of = at >> _STREAM_BITS
        twice = opens[1:] & opens[:-1] & (of[1:] == of[:-1]) & (key[1:] != key[:-1])
        self._interleaved.update(int(s) for s in np.unique(of[1:][twice]) if int(s) in self._scoped)
        last = np.flatnonzero(np.append(of[1:] != of[:-1], True))
        self._open = {int(of[n]): (key[n], bool(opens[n])) for n in last}
        return at, key, opens

    def _stream_of(self, batch: Sequence[_Held], lines: Ints) -> Ints:
        """The number of the stream of each line, over all groups."""
        streams = np.zeros(len(lines), np.int64)
        block = np.searchsorted([held.base for held in batch], lines, side="right") - 1
        for number in np.unique(block).tolist():
            held, chosen = batch[number], block == number
            local = held.lines.stream
            if isinstance(local, int):
                streams[chosen] = self._stream_number(held.lines.group, local)
            else:
                within = local[lines[chosen] - held.base]
                distinct, inverse = np.unique(within, return_inverse=True)
                numbers = np.array([self._stream_number(held.lines.group, int(s)) for s in distinct], np.int64)
                streams[chosen] = numbers[inverse]
        return streams

    def _stream_number(self, group: str, local: int) -> int:
        return self._streams.setdefault((group, local), len(self._streams) + 1)

    def _bind_by_fields(self, batch: Sequence[_Held], key_line: Ints, keys: Hashes) -> None:
        """Gives traces and intents without an owner the tenant in the first tenant field on their first line with one."""
        if len(keys):
            bound, tenant = _said_by_fields(batch, key_line)
            self._owners.add(keys[bound], tenant)

    def _bind_requests(self, batch: Sequence[_Held], work: tuple[Ints, Hashes], requests: tuple[Ints, Hashes]) -> None:
        """Gives requests the owner of the first trace or intent on their lines; SET_ASIDE if the allow-list names a line."""
        request_line, request = requests
        if not len(request):
            return
        listed = np.concatenate([held.lines.set_aside + held.base for held in batch])
        if len(listed):
            chosen = request[np.isin(request_line, listed)]
            self._requests.add(chosen, np.full(len(chosen), SET_ASIDE))
        work_line, key = work
        owner = self._owners.get(key)
        known = owner != UNKNOWN
        line, first = np.unique(work_line[known], return_index=True)
        if len(line):
            place = np.minimum(np.searchsorted(line, request_line), len(line) - 1)
            bound = line[place] == request_line
            self._requests.add(request[bound], owner[known][first][place[bound]])
        if len(self._probes):
            of_probe = np.unique(work_line[np.isin(key, self._probes)])
            self._probes = np.union1d(self._probes, request[np.isin(request_line, of_probe)])

    def _judge(self, batch: Sequence[_Held], named: _Named, work: tuple[Ints, Hashes], requests: tuple[Ints, Hashes]) -> None:
        lines = _distinct(named.line)
        low, high, keyed = self._owners_of(lines, work, requests)
        listed = np.concatenate([held.lines.set_aside + held.base for held in batch])
        aside = (low == SET_ASIDE) | np.isin(lines, listed)
        place = np.cumsum(np.append(0, named.line[1:] != named.line[:-1])) if len(lines) else np.empty(0, np.int64)
        unknown_line = (low == UNKNOWN) & ~aside
        wait = unknown_line & keyed
        self._wait(batch, lines[wait], named, work, requests)
        group_of = np.searchsorted([held.base for held in batch], lines, side="right") - 1
        for number, held in enumerate(batch):
            totals, mine = self.totals[held.lines.group], group_of == number
            totals.naming += int(mine.sum())
            totals.unattributed += int((unknown_line & ~keyed & mine).sum())
            totals.listed_set_aside += int((aside & mine).sum())
        alone = np.flatnonzero(unknown_line & ~keyed)  # counted as without an owner, though its tenant field may say one
        bound, said = _said_by_fields(batch, lines[alone])
        low[alone[bound]] = high[alone[bound]] = said
        by_field = np.zeros(len(lines), np.bool_)
        by_field[alone[bound]] = True
        unknown_line &= ~by_field
        foreign = np.flatnonzero(
            ~aside[place] & ~unknown_line[place] & ((named.tenant != low[place]) | (named.tenant != high[place]))
        )
        owner = np.where(named.tenant[foreign] != low[place[foreign]], low[place[foreign]], high[place[foreign]])
        probe = self._of_probe(named.line[foreign], work, requests) | by_field[place[foreign]]
        probe &= self._canary[named.tenant[foreign]] & self._canary[owner]
        for index, at in enumerate(foreign.tolist()):
            held = batch[int(named.block[at])]
            totals = self.totals[held.lines.group]
            if probe[index]:
                totals.probes_set_aside += 1
            elif self._is_spelt(held, position := int(named.position[at])):
                totals.foreign += 1
                if len(self._detailed) < MAX_DETAILED:
                    self._detailed.append(self._described(held, position, self._ids[int(owner[index])]))

    def _owners_of(
        self, lines: Ints, work: tuple[Ints, Hashes], requests: tuple[Ints, Hashes]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Flags]:
        """Least and greatest owner of each line's ids (UNKNOWN if none is known), and whether the line has ids at all."""
        low, high = np.full(len(lines), np.iinfo(np.int64).max), np.full(len(lines), UNKNOWN, np.int64)
        keyed, aside = np.zeros(len(lines), np.bool_), np.zeros(len(lines), np.bool_)
        if not len(lines):
            return low, high, keyed
        for (line, key), table in ((work, self._owners), (requests, self._requests)):
            place = np.minimum(np.searchsorted(lines, line), len(lines) - 1)
            mine = lines[place] == line
            place, owner = place[mine], table.get(key[mine]).astype(np.int64)
            keyed[place] = True
            aside[place[owner == SET_ASIDE]] = True
            known = owner >= 0
            np.minimum.at(low, place[known], owner[known])
            np.maximum.at(high, place[known], owner[known])
        low[high == UNKNOWN] = UNKNOWN
        low[aside] = SET_ASIDE
        return low, high, keyed

    def _of_probe(self, lines: Ints, work: tuple[Ints, Hashes], requests: tuple[Ints, Hashes]) -> Flags:
        if not len(self._probes) or not len(lines):
            return np.zeros(len(lines), np.bool_)
        of_probe = np.concatenate([line[np.isin(key, self._probes)] for line, key in (work, requests)])
        return np.isin(lines, of_probe)

    def _wait(
        self, batch: Sequence[_Held], waiting: Ints, named: _Named, work: tuple[Ints, Hashes], requests: tuple[Ints, Hashes]
    ) -> None:
        """Keeps lines for the end of the scan; lines beyond the limit count as not attributed."""
        if not len(waiting):
            return
        room = MAX_PENDING_LINES - self._pending.count
        for line in waiting[max(room, 0) :].tolist():
            block = int(np.searchsorted([held.base for held in batch], line, side="right")) - 1
            self.totals[batch[block].lines.group].unattributed += 1
        waiting = waiting[: max(room, 0)]
        chosen = np.flatnonzero(np.isin(named.line, waiting))
        self._pending.count += len(waiting)
        spelt = [self._is_spelt(batch[b], p) for b, p in zip(named.block[chosen], named.position[chosen], strict=True)]
        chosen = chosen[np.array(spelt, np.bool_)]
        self._pending.hits.append((named.line[chosen], named.tenant[chosen]))
        for at in chosen[: MAX_PENDING_DETAILED - len(self._pending.details)].tolist():
            self._pending.details.append(self._described(batch[int(named.block[at])], int(named.position[at]), ""))
        for line, key in (work, requests):
            mine = np.isin(line, waiting)
            self._pending.keys.append((line[mine], key[mine]))
        self._pending.groups += [(held.base, held.lines.group) for held in batch]

    def _judge_pending(self) -> None:
        if not self._pending.hits:
            return
        line, tenant = (np.concatenate(part) for part in zip(*self._pending.hits, strict=True))
        key_line, key = (np.concatenate(part) for part in zip(*self._pending.keys, strict=True))
        lines = np.unique(line)
        low, high, _ = self._owners_of(lines, (key_line, key), (key_line, key))
        place = np.searchsorted(lines, line)
        bases, groups = zip(*self._pending.groups, strict=True)
        group_of = np.searchsorted(bases, lines, side="right") - 1
        for at in np.flatnonzero(low == UNKNOWN).tolist():
            self.totals[groups[group_of[at]]].unattributed += 1
        for at in np.flatnonzero(low == SET_ASIDE).tolist():
            self.totals[groups[group_of[at]]].listed_set_aside += 1
        foreign = np.flatnonzero((low[place] >= 0) & ((tenant != low[place]) | (tenant != high[place])))
        probe = self._of_probe(line[foreign], (key_line, key), (key_line, key))
        most = len(self._detailed) + MAX_DETAILED
        for index, at in enumerate(foreign.tolist()):
            where = place[at]
            owner = int(low[where] if tenant[at] != low[where] else high[where])
            totals = self.totals[groups[group_of[where]]]
            if probe[index] and self._canary[tenant[at]] and self._canary[owner]:
                totals.probes_set_aside += 1
                continue
            totals.foreign += 1
            if len(self._detailed) < most:
                details = self._pending.details
                if at < len(details):
                    found = details[at]
                else:
                    place_only = ForeignHit(groups[group_of[where]], "", 0, "", "", "", self._ids[int(tenant[at])], "")
                    found = _Detailed(int(line[at]), place_only, Wording("", "", _NOT_KEPT))
                self._detailed.append(found._replace(hit=replace(found.hit, owner=self._ids[owner])))

    def _is_spelt(self, held: _Held, position: int) -> bool:
        return held.text.spells(position, self._ids[int(held.hits.tenant[position])])

    def _described(self, held: _Held, position: int, owner: str) -> _Detailed:
        """A hit with its place, and what it shows of its line."""
        hits, lines = held.hits, held.lines
        line = int(hits.line[position])
        stream = lines.stream if isinstance(lines.stream, int) else int(lines.stream[line])
        hit = ForeignHit(
            group=lines.group,
            stream=lines.stream_names.get(stream, ""),
            line=lines.first_line + line,
            time=_iso(int(lines.times[line])) if lines.times is not None and lines.times[line] >= 0 else "",
            request="",
            owner=owner,
            foreign=self._ids[int(hits.tenant[position])],
            excerpt="",
        )
        return _Detailed(held.base + line, hit, held.text.wording(position))


def _worded(hit: ForeignHit, wording: Wording) -> ForeignHit:
    return replace(
        hit,
        time=hit.time or wording.time,
        request=wording.request,
        excerpt=wording.excerpt,
        written=wording.written,
        layers=wording.layers,
    )


@lru_cache(maxsize=4096)
def _spellings(name: str) -> frozenset[bytes]:
    return frozenset(spellings(name))


@lru_cache(maxsize=4096)
def _lower_spellings(name: str) -> frozenset[bytes]:
    return frozenset(spellings(lower_case(name.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")))


def _named(batch: Sequence[_Held]) -> _Named:
    """The hits of a batch, without those on context lines."""
    lines, tenants, blocks, positions = [], [], [], []
    for number, held in enumerate(batch):
        hits = held.hits
        position = np.arange(len(hits.line))
        if held.lines.context is not None:
            position = position[~held.lines.context[hits.line]]
        lines.append(hits.line[position] + held.base)
        tenants.append(hits.tenant[position])
        blocks.append(np.full(len(position), number))
        positions.append(position)
    return _Named(*(np.concatenate(part) for part in (lines, tenants, blocks, positions)))


def _distinct(lines: Ints) -> Ints:
    """The different numbers of an ordered array."""
    return lines[np.append(True, lines[1:] != lines[:-1])] if len(lines) else lines


def redacted(before: bytes, name: bytes, after: bytes, head: LineHead) -> str:
    """The part of a line that may be shown: level, service, the id and known field names; `*` for every other word."""

    def masked(text: str) -> str:
        return _WORDS.sub(lambda word: word[0] if word[0] in _READABLE else "*", text)

    left = before[-_EXCERPT_RADIUS:].decode("utf-8", "replace")
    right = after.split(b"\n", 1)[0].decode("utf-8", "replace")
    where = " ".join(f"[{part}]" for part in (head.level, head.service) if part)
    return f"{where} ...{masked(left)}{name.decode('utf-8', 'replace')}{masked(right)}...".strip()


def _iso(milliseconds: int) -> str:
    return str(np.datetime64(milliseconds, "ms")) + "Z"
