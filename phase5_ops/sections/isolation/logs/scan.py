"""The engine of the log scan: bytes in, hits out. Finds where lines name a tenant, or an id that tells whose line it is.

A hit is an id with no letter, digit, `_` or `-` on either side; an id inside a longer id that is also a hit does not count. Ids
may have any shape: the text between the separators of an id is looked up as whole tokens, so the cost of a byte depends neither
on the number of ids nor on their shape. A scan begins with numpy operations on whole blocks; once it is large enough to be worth
loading a compiler, a loop over the tokens does the same (`compiled`). Both release the interpreter lock, so several threads scan
blocks at once. Candidates are compared by a 64-bit hash of all their bytes; `attribution` compares the bytes themselves
(`dictionary.spellings`) before it reports a hit.

What lives here: finding ids and the fields that name traces, intents, requests and tenants, in text as it stands.
What must not: encoded text (`layers` decodes it, `layered` scans it), the owner of a line (`attribution`), where lines come from
(`input_files`, `aws.logs`), verdicts.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.log_lines import NO_VALUE, STRUCTURED_PREFIXES
from phase5_ops.sections.isolation.logs.dictionary import (
    NO_FIELD,
    REQUEST_FIELD,
    SIGNAL_FIELD,
    TENANT_FIELD,
    WORK_FIELD,
    Shape,
    TenantDictionary,
    TokenTable,
    entries_of,
    shape_of,
)
from phase5_ops.sections.isolation.logs.fields import (
    LEAD,
    FieldValues,
    SeenInBlock,
    Tokens,
    intents_of_signals,
    platform_events,
    scopes,
    values_of,
)
from phase5_ops.sections.isolation.logs.tokens import (
    LOOPS,
    MAX_ID_BYTES,
    MAX_KEY_BYTES,
    OWN_KEY,
    PADDING,
    WORD,
    Bytes,
    Flags,
    Hashes,
    HashKey,
    Ints,
    TokenWords,
    anchor_slots,
    key_hash,
    span_hashes,
    token_bytes,
)

if TYPE_CHECKING:
    from phase5_ops.sections.isolation.logs.compiled import CompiledTables

NEWLINE, BACKSLASH, TAB, PERCENT = 10, 92, 9, 37
_UUID_LENGTH = 36
_LONGEST_NO_VALUE = max(map(len, NO_VALUE))

_ESCAPES = np.zeros(256, np.bool_)
_ESCAPES[[ord(c) for c in "nrtbfv"]] = True
_HEX = np.zeros(256, np.bool_)
_HEX[[ord(c) for c in "0123456789abcdefABCDEF"]] = True


class Decoded(NamedTuple):
    """A hit in encoded text: the decoded text that was found, and the layers of its line (`edits.Layer`)."""

    text: bytes
    layers: int


@dataclass(slots=True)
class Hits:
    """What was found in a block: tenant ids, work and request ids, beginnings and ends of invocations.

    Line 0 is the one in which the reported part begins. The arrays of one group (hits, keys, scopes) have one length.

    Attributes:
        line, start, end, tenant: a tenant id, its bytes [start, end) in the block's data; ordered by start.
        in_field: the id is the value of a tenant field.
        key_line, key, key_start, key_is_request: the hash of a trace, intent or request id of a line, and its first byte.
        scope_line, scope_key, scope_opens: Lambda's START (opens) and END or REPORT lines.
        lines: number of line ends in the reported part.
        decoded: the hits, by index, that an encoding hid; their bytes in the block are the id as it was written.
        too_deep: number of lines that still held encodings after the last layer was taken off.
    """

    line: Ints
    start: Ints
    end: Ints
    tenant: Ints
    in_field: Flags
    key_line: Ints
    key: Hashes
    key_start: Ints
    key_is_request: Flags
    scope_line: Ints
    scope_key: Hashes
    scope_opens: Flags
    lines: int
    decoded: Mapping[int, Decoded] = field(default_factory=dict)
    too_deep: int = 0


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


class LineScanner:
    """Finds the ids of a dictionary in blocks of lines; safe to use from several threads."""

    def __init__(self, dictionary: TenantDictionary, key: HashKey = OWN_KEY) -> None:
        entries = entries_of(dictionary.ids)
        shapes: dict[Shape, list[int]] = {}
        for number, entry in enumerate(entries):
            shapes.setdefault(shape_of(entry.text), []).append(number)
        self._odd = [(entries[n].text, n) for shape, numbers in shapes.items() if not shape.tokens for n in numbers]
        self._tables = [
            TokenTable.of(shape, [entries[n] for n in numbers], numbers, key)
            for shape, numbers in sorted(shapes.items())
            if shape.tokens
        ]
        self._nested = len(shapes) > 1
        self._tenant_of = np.array([entry.tenant for entry in entries], np.int64)
        self._kind_of = np.array([entry.field_kind for entry in entries], np.int64)
        self._structured_only = np.zeros(len(dictionary.ids) + 1, np.bool_)
        self._structured_only[list(dictionary.structured_only)] = True
        self._local = threading.local()
        self._key = key
        self._compiled: CompiledTables | None = None
        self._ignored = np.array(sorted(key_hash(value, key) for value in NO_VALUE), np.uint64)

    def scan(self, raw: bytes, *, begin: int = 0, stop: int | None = None) -> Hits:
        """The hits of a block whose match begins in [begin, stop).

        Args:
            raw: bytes of the log; those before `begin` and after `stop` are only context.
            begin: first byte to report on: the beginning of a line, or a byte with `LOOKBEHIND` bytes of its line before it.
            stop: end of the reported part; default: all. Where it is not the end of a line, `LOOKAHEAD` bytes follow.
        """
        stop = len(raw) if stop is None else stop
        size = LEAD + len(raw) + PADDING
        scratch = self._scratch(size)
        data, rows = scratch[0, :size], scratch[1:, :size]
        data[:LEAD] = 0
        data[LEAD : LEAD + len(raw)] = np.frombuffer(raw, np.uint8)
        data[LEAD + len(raw) :] = 0
        words, reported = TokenWords(data, self._key), (begin + LEAD, stop + LEAD)
        tables = self._compiled_tables(len(raw))
        marked = tables.mark(data, rows, reported) if tables else None
        flags = token_bytes(data, rows) if marked is None else rows[0].view(np.bool_)
        escaped = _starts_after_escapes(raw, data, flags)
        seen = tables.see(data, words, flags, marked, escaped=escaped, reported=reported) if tables and marked else None
        if seen is None:
            spare = rows[1].view(np.bool_)
            seen = self._seen(data, flags, words, escaped=escaped, reported=reported, scratch=spare)
        return self._hits(raw, data, words, seen, odd=list(self._find_odd(raw, flags)), reported=reported)

    def _compiled_tables(self, size: int) -> "CompiledTables | None":
        """The tables for the compiled loops, once these are there."""
        loops = LOOPS.after(size)
        if self._compiled is None and loops and 0 < len(self._tables) <= loops.MOST_TABLES:
            self._compiled = loops.CompiledTables(
                self._tables, self._tenant_of, self._kind_of, self._ignored, self._key.multipliers
            )
        return self._compiled

    def _seen(
        self,
        data: Bytes,
        flags: Flags,
        words: TokenWords,
        *,
        escaped: Ints,
        reported: tuple[int, int],
        scratch: Flags,
    ) -> SeenInBlock:
        """What is in a block, found by operations on whole arrays."""
        edges = np.flatnonzero(np.not_equal(flags[1:], flags[:-1], out=scratch[:-1]))
        edges += 1
        tokens = Tokens(edges[0::2], edges[1::2])
        newlines = np.flatnonzero(data[slice(*reported)] == NEWLINE) + reported[0]
        found = self._find(data, flags, words, tokens=tokens, escaped=escaped)
        kinds = self._kind_of[found.entry]
        named = np.flatnonzero(kinds > NO_FIELD)
        values = values_of(data, words, tokens, found.token[named])
        values = values.only((values.names >= reported[0]) & (values.names < reported[1]))
        kind_of_value = kinds[named][values.of]
        fields, is_request = values.starts[kind_of_value == TENANT_FIELD], kind_of_value == REQUEST_FIELD
        requests = values.only(is_request)
        signals = kind_of_value == SIGNAL_FIELD
        if signals.any():
            values, signals = intents_of_signals(data, values, signals)
            kind_of_value = np.where(signals, WORK_FIELD, kind_of_value)
        chosen = (kind_of_value == WORK_FIELD) | is_request
        key_at, keys, is_request = self._keys(
            data, words, tokens, values.only(chosen), is_request=is_request[chosen], reported=reported
        )
        is_tenant = self._tenant_of[found.entry] >= 0
        start, end, tenant = found.start[is_tenant], found.end[is_tenant], self._tenant_of[found.entry[is_tenant]]
        return SeenInBlock(
            start, end, tenant, fields, requests, np.searchsorted(newlines, key_at), keys, key_at, is_request, newlines
        )

    def _scratch(self, size: int) -> npt.NDArray[np.uint8]:
        """Four rows of memory that this thread uses again for its next block: new memory costs as much as scanning it."""
        rows: npt.NDArray[np.uint8] | None = getattr(self._local, "rows", None)
        if rows is None or rows.shape[1] < size:
            rows = self._local.rows = np.empty((4, (size + size // 8) // WORD * WORD + WORD), np.uint8)
        return rows

    def _find(self, data: Bytes, flags: Flags, words: TokenWords, *, tokens: Tokens, escaped: Ints) -> _Found:
        lengths = tokens.ends - tokens.starts
        np.minimum(lengths, MAX_ID_BYTES + 1, out=lengths)
        parts = []
        parents = np.searchsorted(tokens.starts, escaped, side="right") - 1
        for table in self._tables:
            chosen = np.flatnonzero(table.anchor_lengths_ok[lengths])
            starts = tokens.starts[chosen]
            match = anchor_slots(words, starts, lengths[chosen], table.bits)
            keep = np.flatnonzero(table.anchor_bits[match])
            parts.append(self._verify(table, data, flags, words=words, tokens=tokens, anchors=starts[keep], first=chosen[keep]))
            if len(escaped) and not table.shape.lead:
                again = self._verify(table, data, flags, words=words, tokens=tokens, anchors=escaped, first=parents)
                parts.append(again._replace(token=np.full(len(again.token), -1, np.int64)))
        if not parts:
            return _Found.none()
        return _Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _verify(
        self, table: TokenTable, data: Bytes, flags: Flags, *, words: TokenWords, tokens: Tokens, anchors: Ints, first: Ints
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
            keep &= starts >= LEAD
            keep[keep] = ~flags[starts[keep] - 1]
        if shape.trail:
            keep &= ends <= len(data) - PADDING
            keep[keep] = ~flags[ends[keep]]
        kept = np.flatnonzero(keep)
        if not len(kept):
            return _Found.none()
        starts, lengths, first = starts[kept], lengths[kept], first[kept]
        hashes = span_hashes(words, starts, lengths)
        place = table.place(hashes)
        same = np.flatnonzero(table.hashes[place] == hashes)
        starts, lengths, first, entry = starts[same], lengths[same], first[same], table.indexes[place[same]]
        return _Found(entry, starts, starts + lengths, first)

    def _find_odd(self, raw: bytes, flags: Flags) -> Iterable[tuple[Ints, Ints, Ints]]:
        """Ids without any letter or digit, which have no token to look up: start, end, tenant."""
        for wanted, number in self._odd:
            at, starts = raw.find(wanted), []
            while at >= 0:
                begin = at + LEAD
                if not flags[begin - 1] and not flags[begin + len(wanted)]:
                    starts.append(begin)
                at = raw.find(wanted, at + 1)
            where = np.array(starts, np.int64)
            yield where, where + len(wanted), np.full(len(where), self._tenant_of[number], np.int64)

    def _hits(
        self,
        raw: bytes,
        data: Bytes,
        words: TokenWords,
        seen: SeenInBlock,
        *,
        odd: list[tuple[Ints, Ints, Ints]],
        reported: tuple[int, int],
    ) -> Hits:
        start, end, tenant = seen.start, seen.end, seen.tenant
        if odd:
            start, end, tenant = (np.concatenate(parts) for parts in zip((start, end, tenant), *odd, strict=True))
        order = np.argsort(start, kind="stable")
        start, end, tenant = start[order], end[order], tenant[order]
        if self._nested:
            outer = _not_inside_another(start, end)
            start, end, tenant = start[outer], end[outer], tenant[outer]
        inside = (start >= reported[0]) & (start < reported[1])  # only now: an id may be part of a longer one that begins earlier
        if not inside.all():
            start, end, tenant = start[inside], end[inside], tenant[inside]
        fields = np.append(seen.fields, len(data))  # in order, and one after the last
        in_field = fields[np.searchsorted(fields, start)] == start
        restricted = self._structured_only[tenant] & ~in_field
        if restricted.any():
            keep = ~restricted
            keep[restricted] = _after_structured_prefix(data, start[restricted])
            start, end, tenant, in_field = start[keep], end[keep], tenant[keep], in_field[keep]
        events = platform_events(raw, data, seen.requests, seen.newlines)
        scope_at, scope_keys, opens = scopes(words, seen.requests, *events)
        return Hits(
            line=np.searchsorted(seen.newlines, start),
            start=start - LEAD,
            end=end - LEAD,
            tenant=tenant,
            in_field=in_field,
            key_line=seen.key_line,
            key=seen.key,
            key_start=seen.key_start - LEAD,
            key_is_request=seen.key_is_request,
            scope_line=np.searchsorted(seen.newlines, scope_at),
            scope_key=scope_keys,
            scope_opens=opens,
            lines=len(seen.newlines),
        )

    def _keys(
        self, data: Bytes, words: TokenWords, tokens: Tokens, values: FieldValues, *, is_request: Flags, reported: tuple[int, int]
    ) -> tuple[Ints, Hashes, Flags]:
        """Position, hash and kind of the trace, intent and request ids that lines carry."""
        starts, ends = values.starts, values.ends
        prefix = np.flatnonzero(tokens.ends - tokens.starts == _UUID_LENGTH)  # <ISO>\t<request id>\t<LEVEL>\t
        prefix = prefix[(data[tokens.starts[prefix] - 1] == TAB) & (data[tokens.ends[prefix]] == TAB)]
        prefix = prefix[(tokens.starts[prefix] >= reported[0]) & (tokens.starts[prefix] < reported[1])]
        starts = np.concatenate([starts, tokens.starts[prefix]])
        ends = np.concatenate([ends, tokens.ends[prefix]])
        is_request = np.concatenate([is_request, np.ones(len(prefix), np.bool_)])
        fits = ends - starts <= MAX_KEY_BYTES
        starts, ends, is_request = starts[fits], ends[fits], is_request[fits]
        keys = span_hashes(words, starts, ends - starts) if len(starts) else np.empty(0, np.uint64)
        short = np.flatnonzero(ends - starts <= _LONGEST_NO_VALUE)
        if len(short):
            said = np.ones(len(keys), np.bool_)
            said[short[np.isin(keys[short], self._ignored)]] = False
            return starts[said], keys[said], is_request[said]
        return starts, keys, is_request


def _starts_after_escapes(raw: bytes, data: Bytes, flags: Flags) -> Ints:
    r"""Where a token begins inside a run of token bytes: after `\n`, `\t`, ... and `\u0022` in JSON texts, `%2F` in addresses."""
    found = []
    if b"\\" in raw:
        at = np.flatnonzero(data[: LEAD + len(raw)] == BACKSLASH)
        found.append(at[_ESCAPES[data[at + 1]]] + 2)
        unicode = at[data[at + 1] == ord("u")]
        for offset in range(2, 6):
            unicode = unicode[_HEX[data[unicode + offset]]]
        found.append(unicode + 6)
    if b"%" in raw:
        at = np.flatnonzero(data[: LEAD + len(raw)] == PERCENT)
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
    """Whether an id stands right after one of the structured prefixes."""
    found = np.zeros(len(starts), np.bool_)
    for prefix in STRUCTURED_PREFIXES:
        wanted = np.frombuffer(prefix.encode(), np.uint8)
        fits = starts > len(wanted)
        for offset in range(1, len(wanted) + 1):
            fits[fits] = data[starts[fits] - offset] == wanted[-offset]
        found |= fits
    return found
