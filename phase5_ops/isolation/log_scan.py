"""The engine of the log scan: bytes in, hits out. Every place where a block of log lines names a tenant, or says whose it is.

A hit is an id with no letter, digit, `_` or `-` on either side; an id inside a longer id that is there too is not a hit. Ids may
have any shape: what stands between the separators of an id is looked up as whole tokens, so that the cost of a byte does not
depend on the number of ids nor on their shape. All steps are numpy operations on whole blocks that release the interpreter
lock: blocks are scanned by several threads. Candidates are compared by a 64-bit hash of all their bytes, with multipliers that
are drawn anew in every process, so that nobody can prepare two texts of one hash; who reports a hit compares its bytes first
(`spellings`).

Not seen: an id in other letter case, in base64, encrypted or compressed, or broken up by other characters inside it.

What lives here: the dictionary of ids, finding them, finding the fields that name traces, intents, requests and tenants.
What must not: whose a line is (`log_attribution`), where lines come from (`log_archives`, `aws.logs`), verdicts.
"""

import json
import random
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.log_lines import (
    NO_VALUE,
    REQUEST_FIELDS,
    SIGNAL_FIELDS,
    SIGNAL_PREFIX,
    STRUCTURED_PREFIXES,
    TENANT_FIELDS,
    WORK_FIELDS,
)

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

NEWLINE, BACKSLASH, TAB, PERCENT = 10, 92, 9, 37
WORD = 8  # bytes compared at once
MAX_ID_BYTES = 512
#: Bytes that a scan may look at before and after the part it reports on: contexts, the longest id, the longest trace id.
LOOKBEHIND, LOOKAHEAD = MAX_ID_BYTES + 64, MAX_ID_BYTES + 256
_LEAD = WORD  # zeros before the first byte of a block
_PADDING = LOOKAHEAD + WORD  # zeros after the last one
_UUID_LENGTH = 36
_MAX_KEY_BYTES = 256
_MAX_KEY_PARTS = 8
_MAX_INTENT_BYTES = 48
_MAX_GAP = 12
_LONGEST_NO_VALUE = max(map(len, NO_VALUE))
_FIRST_NON_ASCII = 128

NO_FIELD, TENANT_FIELD, WORK_FIELD, REQUEST_FIELD, SIGNAL_FIELD = 0, 1, 2, 3, 4

_random = random.SystemRandom()
_MULTIPLIERS = np.array([_random.getrandbits(64) | 1 for _ in range((MAX_ID_BYTES + _MAX_KEY_BYTES) // WORD + 2)], np.uint64)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(WORD)] + [(1 << 64) - 1], np.uint64)  # the first n bytes of a word
_SHIFT = np.uint64(29)

#: Between a field's name and its value: quotes, escaped quotes, colon or equals sign, blanks.
_ONE_TOKEN = re.compile(rb"[A-Za-z0-9_-]+")
_UNESCAPED = re.compile(r"[ !#-\[\]-~]*")  # what JSON leaves as it is
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")  # what an address leaves as it is
_GAP = np.zeros(256, np.bool_)
_GAP[[ord(c) for c in "\\\"':= "]] = True
#: What ends a value.
_END_OF_VALUE = np.zeros(256, np.bool_)
_END_OF_VALUE[[0, *(ord(c) for c in "\"'\\ ,;}])>&\t\r\n")]] = True
_ESCAPES = np.zeros(256, np.bool_)
_ESCAPES[[ord(c) for c in "nrtbfv"]] = True
_HEX = np.zeros(256, np.bool_)
_HEX[[ord(c) for c in "0123456789abcdefABCDEF"]] = True


def token_bytes(data: Bytes, scratch: npt.NDArray[np.uint8] | None = None) -> Flags:
    """For every byte, whether it belongs to a letter, digit, `_` or `-`; letters and digits of any script, as UTF-8.

    Bytes that are no UTF-8 separate tokens. `scratch` is three rows of memory as long as `data`; the answer is in the first.
    """
    rows = np.empty((3, len(data)), np.uint8) if scratch is None else scratch
    flags, other, work = rows[0].view(np.bool_), rows[1].view(np.bool_), rows[2]
    np.bitwise_or(data, np.uint8(32), out=work)
    np.subtract(work, np.uint8(97), out=work)
    np.less(work, np.uint8(26), out=flags)
    np.subtract(data, np.uint8(48), out=work)
    flags |= np.less(work, np.uint8(10), out=other)
    flags |= np.equal(data, np.uint8(ord("_")), out=other)
    flags |= np.equal(data, np.uint8(ord("-")), out=other)
    if len(data) and data.max() >= _FIRST_NON_ASCII:
        _mark_other_scripts(data, flags)
    answer: Flags = flags
    return answer


def _mark_other_scripts(data: Bytes, flags: Flags) -> None:
    """Sets the flags of the bytes of letters and digits beyond ASCII."""
    for lead_low, lead_high, size in ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF4, 4)):
        at = np.flatnonzero((data >= lead_low) & (data <= lead_high))
        at = at[at <= len(data) - size]
        point = data[at].astype(np.uint32) & np.uint32(0x7F >> size)
        valid = np.ones(len(at), np.bool_)
        for offset in range(1, size):
            follower = data[at + offset]
            valid &= (follower & np.uint8(0xC0)) == np.uint8(0x80)
            point = (point << np.uint32(6)) | (follower & np.uint8(0x3F))
        valid &= point >= np.uint32((0x80, 0x800, 0x10000)[size - 2])
        valid &= point <= np.uint32(0x10FFFF)
        distinct, inverse = np.unique(point[valid], return_inverse=True)
        letter = np.array([chr(value).isalnum() for value in distinct.tolist()], np.bool_)
        if letter.any():
            chosen = at[valid][letter[inverse]]
            for offset in range(size):
                flags[chosen + offset] = True


class _Words:
    """Eight bytes at any position of a block, without copying the block; needs `_PADDING` bytes after the last position."""

    def __init__(self, data: Bytes) -> None:
        self._view: Hashes = np.ndarray((len(data) - WORD + 1,), "<u8", data, 0, (1,))

    def at(self, positions: Ints) -> Hashes:
        return self._view[positions]


def _span_hashes(words: _Words, starts: Ints, lengths: Ints) -> Hashes:
    """A 64-bit hash of the bytes [start, start + length) of each span: its first word, its last word, and those between."""
    first = words.at(starts)
    first &= _MASKS[np.minimum(lengths, WORD)]
    first ^= lengths.astype(np.uint64) * _MULTIPLIERS[-1]
    hashes = _mixed(first, 0)
    active = _where(lengths > WORD)
    offset = 0
    while active is not None:
        spans, sizes = starts[active], lengths[active]
        offset += WORD
        word = words.at(spans + np.minimum(offset, sizes - WORD))  # the last word overlaps the one before it
        word ^= hashes[active]
        hashes[active] = _mixed(word, offset // WORD)
        active = _where(lengths > offset + WORD)
    return hashes


def _mixed(word: Hashes, step: int) -> Hashes:
    word *= _MULTIPLIERS[step]
    word ^= word >> _SHIFT
    return word


def _where(flags: Flags) -> Ints | slice | None:
    """Index of the true ones: None for none, a slice (which copies nothing) for all."""
    count = np.count_nonzero(flags)
    return None if not count else slice(None) if count == len(flags) else np.flatnonzero(flags)


@dataclass
class _Entry:
    """What an id or field name stands for."""

    text: bytes
    tenant: int = -1
    field_kind: int = NO_FIELD


class _Shape(NamedTuple):
    """How an id is made: separator bytes before its first token, number of tokens, separator bytes after the last."""

    lead: int
    tokens: int
    trail: int


@dataclass(frozen=True)
class TenantDictionary:
    """The tenant ids to look for, by index.

    Attributes:
        ids: the ids, as given.
        structured_only: indexes of ids that are too short or too common for free text; they count only in structured places.
    """

    ids: tuple[str, ...]
    structured_only: frozenset[int] = frozenset()


@dataclass
class _Table:
    """The entries of one shape, ready for lookup: allowed lengths, a filter on the first word, hashes, and the bytes."""

    shape: _Shape
    indexes: Ints  # numbers of the entries, in the order of `hashes`
    hashes: Hashes  # sorted
    slots: npt.NDArray[np.int32]  # by the first bits of a hash: where it would be in `hashes`
    crowded: bool  # two hashes share a slot
    lengths_ok: Flags  # by length of the span
    anchor_lengths_ok: Flags  # by length of the first token
    anchor_bits: Flags  # by hash of the first token's length and first word

    @classmethod
    def of(cls, shape: _Shape, entries: list[_Entry], numbers: Sequence[int]) -> "_Table":
        lengths = np.array([len(entry.text) for entry in entries], np.int64)
        joined = b"".join(entry.text for entry in entries) + bytes(_PADDING)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        data = np.frombuffer(joined, np.uint8)
        words = _Words(data)
        hashes = _span_hashes(words, starts, lengths)
        order = np.argsort(hashes, kind="stable")
        anchor_starts = starts + shape.lead
        anchor_lengths = np.array([_first_token(entry.text, shape.lead) for entry in entries], np.int64)
        bits = max(12, min(20, int(np.ceil(np.log2(len(entries) * 64)))))
        anchor_bits = np.zeros(1 << bits, np.bool_)
        anchor_bits[_anchor_slots(words, anchor_starts, anchor_lengths, bits)] = True
        slots = np.zeros(1 << bits, np.int32)
        slot_of = (hashes[order] >> np.uint64(64 - bits)).astype(np.int64)
        slots[slot_of[::-1]] = np.arange(len(order), dtype=np.int32)[::-1]  # the first of those that share a slot
        return cls(
            shape,
            np.array(numbers, np.int64)[order],
            hashes[order],
            slots,
            bool((np.diff(slot_of) == 0).any()),
            _allowed(lengths),
            _allowed(anchor_lengths),
            anchor_bits,
        )

    @property
    def bits(self) -> int:
        return int(self.anchor_bits.size).bit_length() - 1

    def place(self, hashes: Hashes) -> Ints:
        """Where each hash would be in `self.hashes`; a place whose hash is another means that it is not there."""
        place = self.slots[(hashes >> np.uint64(64 - self.bits)).astype(np.int64)].astype(np.int64)
        if self.crowded:
            elsewhere = np.flatnonzero(self.hashes[place] != hashes)
            sorted_place = np.searchsorted(self.hashes, hashes[elsewhere])
            place[elsewhere] = np.minimum(sorted_place, len(self.hashes) - 1)
        return place


def _allowed(lengths: Ints) -> Flags:
    """By length, whether an entry has it; the last place stands for everything longer."""
    allowed = np.zeros(MAX_ID_BYTES + 2, np.bool_)
    allowed[lengths] = True
    return allowed


def _anchor_slots(words: _Words, starts: Ints, lengths: Ints, bits: int) -> Ints:
    first = words.at(starts) & _MASKS[np.minimum(lengths, WORD)]
    mixed = (first ^ (lengths.astype(np.uint64) * _MULTIPLIERS[-1])) * _MULTIPLIERS[0]
    slots: Ints = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    return slots


def _first_token(text: bytes, lead: int) -> int:
    if _ONE_TOKEN.fullmatch(text):
        return len(text)
    flags = token_bytes(np.frombuffer(text, np.uint8))[lead:]
    ends = np.flatnonzero(~flags)
    return int(ends[0]) if len(ends) else len(flags)


def _shape_of(text: bytes) -> _Shape:
    if _ONE_TOKEN.fullmatch(text):
        return _Shape(0, 1, 0)
    flags = np.concatenate([[False], token_bytes(np.frombuffer(text, np.uint8)), [False]])
    edges = np.flatnonzero(flags[1:] != flags[:-1])
    if not len(edges):
        return _Shape(len(text), 0, 0)
    return _Shape(int(edges[0]), len(edges) // 2, len(text) - int(edges[-1]))


@dataclass(slots=True)
class Hits:
    """What a block says: names of tenants, work and request ids, beginnings and ends of invocations.

    Lines count from 0, the one that the reported part begins in. Arrays of one group have one length.

    Attributes:
        line, start, end, tenant: a tenant id, its bytes [start, end) in the block's data; ordered by start.
        in_field: the id is the value of a tenant field.
        key_line, key, key_is_request: the hash of a trace, intent or request id that a line carries.
        scope_line, scope_key, scope_opens: Lambda's START (opens) and END or REPORT lines.
        lines: number of line ends in the reported part.
    """

    line: Ints
    start: Ints
    end: Ints
    tenant: Ints
    in_field: Flags
    key_line: Ints
    key: Hashes
    key_is_request: Flags
    scope_line: Ints
    scope_key: Hashes
    scope_opens: Flags
    lines: int


class _Tokens(NamedTuple):
    """The tokens of a block: starts, ends, and where their names of entries are looked up."""

    starts: Ints
    ends: Ints


class _Found(NamedTuple):
    """Entries found: their number, the span, and the index of the (first) token; -1 for one inside an escape sequence."""

    entry: Ints
    start: Ints
    end: Ints
    token: Ints

    @classmethod
    def none(cls) -> "_Found":
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty, empty)


@dataclass
class LineScanner:
    """Finds the ids of a dictionary in blocks of lines; safe to use from several threads."""

    dictionary: TenantDictionary
    _tables: list[_Table] = field(init=False)
    _tenant_of: Ints = field(init=False)
    _kind_of: Ints = field(init=False)
    _odd: list[tuple[bytes, int]] = field(init=False)
    _structured_only: Flags = field(init=False)
    _ignored: Hashes = field(init=False)
    _nested: bool = field(init=False)
    _local: threading.local = field(init=False, default_factory=threading.local)

    def __post_init__(self) -> None:
        entries = _entries(self.dictionary.ids)
        shapes: dict[_Shape, list[int]] = {}
        for number, entry in enumerate(entries):
            shapes.setdefault(_shape_of(entry.text), []).append(number)
        self._odd = [(entries[n].text, n) for shape, numbers in shapes.items() if not shape.tokens for n in numbers]
        self._tables = [
            _Table.of(shape, [entries[n] for n in numbers], numbers) for shape, numbers in sorted(shapes.items()) if shape.tokens
        ]
        self._nested = len(shapes) > 1
        self._tenant_of = np.array([entry.tenant for entry in entries], np.int64)
        self._kind_of = np.array([entry.field_kind for entry in entries], np.int64)
        self._structured_only = np.zeros(len(self.dictionary.ids) + 1, np.bool_)
        self._structured_only[list(self.dictionary.structured_only)] = True
        self._ignored = np.array(sorted(key_hash(value) for value in NO_VALUE), np.uint64)

    def scan(self, raw: bytes, *, begin: int = 0, stop: int | None = None) -> Hits:
        """The hits of a block whose match begins in [begin, stop).

        Args:
            raw: bytes of the log; what is before `begin` and after `stop` is only looked at.
            begin: first byte to report on: the beginning of a line, or with `LOOKBEHIND` bytes of its line before it.
            stop: end of what is reported on; default: all. Where it is not the end of a line, `LOOKAHEAD` bytes follow.
        """
        stop = len(raw) if stop is None else stop
        size = _LEAD + len(raw) + _PADDING
        scratch = self._scratch(size)
        data = scratch[0, :size]
        data[:_LEAD] = 0
        data[_LEAD : _LEAD + len(raw)] = np.frombuffer(raw, np.uint8)
        data[_LEAD + len(raw) :] = 0
        flags = token_bytes(data, scratch[1:4, :size])
        edges = np.flatnonzero(np.not_equal(flags[1:], flags[:-1], out=scratch[2, : size - 1].view(np.bool_)))
        edges += 1
        tokens = _Tokens(edges[0::2], edges[1::2])
        words = _Words(data)
        found = self._find(raw, data, flags, words, tokens)
        reported = begin + _LEAD, stop + _LEAD
        of_lines = scratch[2, : stop - begin].view(np.bool_)
        newlines = np.flatnonzero(np.equal(data[slice(*reported)], np.uint8(NEWLINE), out=of_lines))
        newlines += reported[0]
        return self._hits(data, words, tokens, found=found, newlines=newlines, reported=reported)

    def _scratch(self, size: int) -> npt.NDArray[np.uint8]:
        """Four rows of memory that this thread's next block uses again: fresh memory costs as much as the scan of it."""
        rows: npt.NDArray[np.uint8] | None = getattr(self._local, "rows", None)
        if rows is None or rows.shape[1] < size:
            rows = self._local.rows = np.empty((4, size + size // 8), np.uint8)
        return rows

    def _find(self, raw: bytes, data: Bytes, flags: Flags, words: _Words, tokens: _Tokens) -> _Found:
        lengths = tokens.ends - tokens.starts
        np.minimum(lengths, MAX_ID_BYTES + 1, out=lengths)
        parts = []
        escaped = _starts_after_escapes(raw, data, flags)
        parents = np.searchsorted(tokens.starts, escaped, side="right") - 1
        for table in self._tables:
            chosen = np.flatnonzero(table.anchor_lengths_ok[lengths])
            starts = tokens.starts[chosen]
            match = _anchor_slots(words, starts, lengths[chosen], table.bits)
            keep = np.flatnonzero(table.anchor_bits[match])
            parts.append(self._verify(table, data, flags, words=words, tokens=tokens, anchors=starts[keep], first=chosen[keep]))
            if len(escaped) and not table.shape.lead:
                again = self._verify(table, data, flags, words=words, tokens=tokens, anchors=escaped, first=parents)
                parts.append(again._replace(token=np.full(len(again.token), -1, np.int64)))
        parts += [_Found(*part) for part in self._find_odd(raw, flags)]
        if not parts:
            return _Found.none()
        return _Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _verify(
        self, table: _Table, data: Bytes, flags: Flags, *, words: _Words, tokens: _Tokens, anchors: Ints, first: Ints
    ) -> _Found:
        """The entries of one shape among spans that begin with the tokens `first`, or inside them at `anchors`."""
        shape = table.shape
        last = first + shape.tokens - 1
        if shape != (0, 1, 0):
            there = last < len(tokens.ends)
            anchors, first, last = anchors[there], first[there], last[there]
        starts, ends = anchors - shape.lead, tokens.ends[last] + shape.trail
        lengths = ends - starts
        keep = table.lengths_ok[np.minimum(lengths, MAX_ID_BYTES + 1)]
        if shape.lead:
            keep &= starts >= _LEAD
            keep[keep] = ~flags[starts[keep] - 1]
        if shape.trail:
            keep &= ends <= len(data) - _PADDING
            keep[keep] = ~flags[ends[keep]]
        kept = np.flatnonzero(keep)
        if not len(kept):
            return _Found.none()
        starts, lengths, first = starts[kept], lengths[kept], first[kept]
        hashes = _span_hashes(words, starts, lengths)
        place = table.place(hashes)
        same = np.flatnonzero(table.hashes[place] == hashes)
        starts, lengths, first, entry = starts[same], lengths[same], first[same], table.indexes[place[same]]
        return _Found(entry, starts, starts + lengths, first)

    def _find_odd(self, raw: bytes, flags: Flags) -> Iterable[_Found]:
        """Ids without any letter or digit: no token to look up."""
        for wanted, number in self._odd:
            at, starts = raw.find(wanted), []
            while at >= 0:
                begin = at + _LEAD
                if not flags[begin - 1] and not flags[begin + len(wanted)]:
                    starts.append(begin)
                at = raw.find(wanted, at + 1)
            where = np.array(starts, np.int64)
            yield _Found(np.full(len(where), number, np.int64), where, where + len(wanted), np.full(len(where), -1, np.int64))

    def _hits(
        self,
        data: Bytes,
        words: _Words,
        tokens: _Tokens,
        *,
        found: _Found,
        newlines: Ints,
        reported: tuple[int, int],
    ) -> Hits:
        kinds = self._kind_of[found.entry]
        named = np.flatnonzero(kinds > NO_FIELD)
        values = _values(data, words, tokens, found.token[named])
        values = values.only((values.names >= reported[0]) & (values.names < reported[1]))
        kind_of_value = kinds[named][values.of]
        is_tenant = self._tenant_of[found.entry] >= 0
        start, end, tenant = found.start[is_tenant], found.end[is_tenant], self._tenant_of[found.entry[is_tenant]]
        order = np.argsort(start, kind="stable")
        start, end, tenant = start[order], end[order], tenant[order]
        if self._nested:
            outer = _not_inside_another(start, end)
            start, end, tenant = start[outer], end[outer], tenant[outer]
        inside = (start >= reported[0]) & (start < reported[1])  # only now: an id may be part of a longer one that begins before
        if not inside.all():
            start, end, tenant = start[inside], end[inside], tenant[inside]
        is_value = np.zeros(len(data), np.bool_)
        is_value[values.starts[kind_of_value == TENANT_FIELD]] = True
        in_field = is_value[start]
        restricted = self._structured_only[tenant] & ~in_field
        if restricted.any():
            keep = ~restricted
            keep[restricted] = _after_structured_prefix(data, start[restricted])
            start, end, tenant, in_field = start[keep], end[keep], tenant[keep], in_field[keep]
        is_request = kind_of_value == REQUEST_FIELD
        scope_at, scope_keys, opens = _scopes(words, values.only(is_request))
        signals = kind_of_value == SIGNAL_FIELD
        if signals.any():
            values, signals = _intents_of_signals(data, values, signals)
            kind_of_value = np.where(signals, WORK_FIELD, kind_of_value)
        chosen = (kind_of_value == WORK_FIELD) | is_request
        key_at, keys, is_request = self._keys(
            data, words, tokens, values.only(chosen), is_request=is_request[chosen], reported=reported
        )
        return Hits(
            line=np.searchsorted(newlines, start),
            start=start - _LEAD,
            end=end - _LEAD,
            tenant=tenant,
            in_field=in_field,
            key_line=np.searchsorted(newlines, key_at),
            key=keys,
            key_is_request=is_request,
            scope_line=np.searchsorted(newlines, scope_at),
            scope_key=scope_keys,
            scope_opens=opens,
            lines=len(newlines),
        )

    def _keys(
        self, data: Bytes, words: _Words, tokens: _Tokens, values: "_Values", *, is_request: Flags, reported: tuple[int, int]
    ) -> tuple[Ints, Hashes, Flags]:
        """Position, hash and kind of the trace, intent and request ids that lines carry."""
        starts, ends = values.starts, values.ends
        prefix = np.flatnonzero(tokens.ends - tokens.starts == _UUID_LENGTH)  # <ISO>\t<request id>\t<LEVEL>\t
        prefix = prefix[(data[tokens.starts[prefix] - 1] == TAB) & (data[tokens.ends[prefix]] == TAB)]
        prefix = prefix[(tokens.starts[prefix] >= reported[0]) & (tokens.starts[prefix] < reported[1])]
        starts = np.concatenate([starts, tokens.starts[prefix]])
        ends = np.concatenate([ends, tokens.ends[prefix]])
        is_request = np.concatenate([is_request, np.ones(len(prefix), np.bool_)])
        fits = ends - starts <= _MAX_KEY_BYTES
        starts, ends, is_request = starts[fits], ends[fits], is_request[fits]
        keys = _span_hashes(words, starts, ends - starts) if len(starts) else np.empty(0, np.uint64)
        short = np.flatnonzero(ends - starts <= _LONGEST_NO_VALUE)
        if len(short):
            said = np.ones(len(keys), np.bool_)
            said[short[np.isin(keys[short], self._ignored)]] = False
            return starts[said], keys[said], is_request[said]
        return starts, keys, is_request


def key_hash(value: str) -> int:
    """The hash under which `Hits.key` has a trace, intent or request id."""
    raw = value.encode("utf-8", "surrogatepass")
    data = np.frombuffer(raw + bytes(_PADDING), np.uint8)
    return int(_span_hashes(_Words(data), np.zeros(1, np.int64), np.array([len(raw)], np.int64))[0])


def key_hashes(values: Sequence[str]) -> Hashes:
    """`key_hash` of many values at once; values longer than any key is read are left as they are hashed."""
    raws = [value.encode("utf-8", "surrogatepass")[:_MAX_KEY_BYTES] for value in values]
    if not raws:
        return np.empty(0, np.uint64)
    lengths = np.array([len(raw) for raw in raws], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    return _span_hashes(_Words(np.frombuffer(b"".join(raws) + bytes(_PADDING), np.uint8)), starts, lengths)


def _entries(ids: Sequence[str]) -> list[_Entry]:
    """Every text to look up: the ids, the ids as JSON escapes them, the names of fields."""
    entries: dict[bytes, _Entry] = {}
    for kind, names in (
        (TENANT_FIELD, TENANT_FIELDS),
        (WORK_FIELD, WORK_FIELDS),
        (REQUEST_FIELD, REQUEST_FIELDS),
        (SIGNAL_FIELD, SIGNAL_FIELDS),
    ):
        for name in names:
            entries[name.encode()] = _Entry(name.encode(), field_kind=kind)
    forms = [(number, raw) for number, name in enumerate(ids) for raw in spellings(name)]
    literal = {name.encode("utf-8", "surrogatepass"): number for number, name in reversed(list(enumerate(ids)))}
    for number, raw in forms:
        if not raw or len(raw) > MAX_ID_BYTES:
            continue
        entry = entries.setdefault(raw, _Entry(raw))
        if entry.tenant < 0:
            entry.tenant = literal.get(raw, number)  # what is an id as it stands is no other id's spelling
    return list(entries.values())


def spellings(name: str) -> tuple[bytes, ...]:
    """The bytes that an id is written with: as it is, as JSON escapes it, as an address (RFC 3986) does."""
    texts = [name]
    if not _UNESCAPED.fullmatch(name):
        texts += [json.dumps(name, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
    raws = [text.encode("utf-8", "surrogatepass") for text in texts]
    if not _UNRESERVED.fullmatch(name):
        raws.append(quote(raws[0], safe="").encode())
    return tuple(dict.fromkeys(raws))


def _starts_after_escapes(raw: bytes, data: Bytes, flags: Flags) -> Ints:
    r"""Where a token begins inside a run of token bytes: after `\n`, `\t`, ... and `\u0022` in JSON texts, `%2F` in addresses."""
    found = []
    if b"\\" in raw:
        at = np.flatnonzero(data[: _LEAD + len(raw)] == BACKSLASH)
        found.append(at[_ESCAPES[data[at + 1]]] + 2)
        unicode = at[data[at + 1] == ord("u")]
        for offset in range(2, 6):
            unicode = unicode[_HEX[data[unicode + offset]]]
        found.append(unicode + 6)
    if b"%" in raw:
        at = np.flatnonzero(data[: _LEAD + len(raw)] == PERCENT)
        found.append(at[_HEX[data[at + 1]] & _HEX[data[at + 2]]] + 3)
    if not found:
        return np.empty(0, np.int64)
    starts = np.concatenate(found)
    return starts[flags[starts] & flags[starts - 1]]


def _not_inside_another(start: Ints, end: Ints) -> Flags:
    """Which spans, ordered by start, are not part of a longer one."""
    order = np.lexsort((-end, start))
    reach = np.maximum.accumulate(end[order])
    outer = np.ones(len(start), np.bool_)
    outer[order[1:]] = end[order][1:] > reach[:-1]
    return outer


def _after_structured_prefix(data: Bytes, starts: Ints) -> Flags:
    """Whether an id stands right after one of the structured prefixes, or as a whole segment of a key that begins with one."""
    found = np.zeros(len(starts), np.bool_)
    for prefix in STRUCTURED_PREFIXES:
        wanted = np.frombuffer(prefix.encode(), np.uint8)
        fits = starts > len(wanted)
        for offset in range(1, len(wanted) + 1):
            fits[fits] = data[starts[fits] - offset] == wanted[-offset]
        found |= fits
    return found


class _Values(NamedTuple):
    """Values of fields: start and end, where the field's name begins, and which of the names each belongs to."""

    starts: Ints
    ends: Ints
    names: Ints
    of: Ints

    def only(self, chosen: Flags) -> "_Values":
        return _Values(*(part[chosen] for part in self))


def _values(data: Bytes, words: _Words, tokens: _Tokens, names: Ints) -> _Values:
    r"""The values after the field names at these tokens.

    A value follows after quotes, colon or equals sign, escaped or not: `"trace_id":"T"`, `\\"trace_id\\": \\"T\\"`, `trace_id=T`.
    """
    of = np.flatnonzero((names >= 0) & (names + 1 < len(tokens.starts)))
    after = names[of] + 1
    ends, starts = tokens.ends[names[of]], tokens.starts[after]
    gap = starts - ends
    plain = (gap == 3) & ((words.at(ends) & _MASKS[3]) == np.uint64(int.from_bytes(b'":"', "little")))  # noqa: PLR2004
    other = np.flatnonzero(~plain & (gap <= _MAX_GAP) & (gap > 0))
    if len(other):
        fine, assigned = np.ones(len(other), np.bool_), np.zeros(len(other), np.bool_)
        for offset in range(_MAX_GAP):
            within = gap[other] > offset
            byte = data[ends[other] + offset]
            fine &= ~within | _GAP[byte]
            assigned |= within & ((byte == ord(":")) | (byte == ord("=")))
        plain[other] = fine & assigned
    of, after, starts = of[plain], after[plain], starts[plain]
    value_ends = tokens.ends[after]
    for _ in range(_MAX_KEY_PARTS):  # a value with separators of its own, `a.b:c`
        more = np.flatnonzero(~_END_OF_VALUE[data[value_ends]] & (after + 1 < len(tokens.starts)))
        more = more[tokens.starts[after[more] + 1] == value_ends[more] + 1]
        if not len(more):
            break
        after[more] += 1
        value_ends[more] = tokens.ends[after[more]]
    return _Values(starts, value_ends, tokens.starts[names[of]], of)


def _intents_of_signals(data: Bytes, values: _Values, signals: Flags) -> tuple[_Values, Flags]:
    """The values with those of signals cut to the intent in them, and which of the signals have one."""
    starts, ends = values.starts.copy(), values.ends.copy()
    at = np.flatnonzero(signals)
    for offset, wanted in enumerate(SIGNAL_PREFIX.encode()):
        at = at[data[starts[at] + offset] == wanted]
    starts[at] += len(SIGNAL_PREFIX)
    is_dash = data[starts[at][:, None] + np.arange(_MAX_INTENT_BYTES)] == ord("-")
    ends[at] = np.where(is_dash.any(axis=1), np.minimum(starts[at] + is_dash.argmax(axis=1), ends[at]), ends[at])
    found = np.zeros(len(signals), np.bool_)
    found[at[ends[at] > starts[at]]] = True
    return values._replace(starts=starts, ends=ends), found


def _scopes(words: _Words, values: _Values) -> tuple[Ints, Hashes, Flags]:
    """Lambda's `START RequestId: <id>`, `END RequestId: <id>` and `REPORT RequestId: <id>`: position, key, whether it opens."""
    starts, ends, before = values.starts, values.ends, values.names
    word = words.at(before - WORD)
    opens = (word >> np.uint64(16)) == np.uint64(int.from_bytes(b"START ", "little"))
    closes = (word >> np.uint64(32)) == np.uint64(int.from_bytes(b"END ", "little"))
    closes |= (word >> np.uint64(8)) == np.uint64(int.from_bytes(b"REPORT ", "little"))
    chosen = opens | closes
    starts, ends, opens = starts[chosen], ends[chosen], opens[chosen]
    keys = _span_hashes(words, starts, ends - starts) if len(starts) else np.empty(0, np.uint64)
    order = np.argsort(starts, kind="stable")
    return starts[order], keys[order], opens[order]


def as_rows(hits: Hits) -> list[tuple[Any, ...]]:
    """The tenant hits as tuples (line, start, end, tenant), for tests and debugging."""
    return list(zip(*(part.tolist() for part in (hits.line, hits.start, hits.end, hits.tenant)), strict=True))
