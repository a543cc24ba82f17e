"""The inner loops of the log scan as machine code: finding ids and fields' values in a block, hashes, owners of ids. Pure.

The results are those of `scan`, `fields`, `tokens` and `attribution`, which do the same by operations on whole arrays and take
these once a scan is large enough (`tokens.LOOPS`). How they are compiled, and what to know of numba: `input_files.loops`.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import int64, uint8, uint64

from phase5_ops.ccnative.log_lines import NO_VALUE, SIGNAL_PREFIX
from phase5_ops.input_files.loops import compiled, inlined
from phase5_ops.sections.isolation.logs.dictionary import (
    NO_FIELD,
    REQUEST_FIELD,
    SIGNAL_FIELD,
    TENANT_FIELD,
    DictionaryEntry,
    TokenTable,
    shape_of,
)
from phase5_ops.sections.isolation.logs.fields import (
    END_OF_VALUE,
    GAP,
    LEAD,
    MAX_GAP,
    MAX_INTENT_BYTES,
    MAX_KEY_PARTS,
    FieldValues,
    SeenInBlock,
)
from phase5_ops.sections.isolation.logs.tokens import (
    MASKS,
    MAX_ID_BYTES,
    MAX_KEY_BYTES,
    OWN_KEY,
    PADDING,
    SPREAD,
    WORD,
    Bytes,
    Flags,
    Hashes,
    Ints,
    TokenWords,
    token_bytes,
)

Narrow = npt.NDArray[np.int32]

MOST_TABLES = 63
_FILTER_BITS = 18  # a filter of 32 KB stays in the nearest cache
_DE_BRUIJN = 0x03F79D71B4CB0A89  # its 64 runs of six bits are all different
_PLACE_OF_BIT = np.zeros(64, np.int32)
_PLACE_OF_BIT[[(_DE_BRUIJN << place & (1 << 64) - 1) >> 58 for place in range(64)]] = np.arange(64)
_LOW_BITS, _HIGH_BITS = 0x0101010101010101, 0x8080808080808080  # of eight bytes
_GATHERED = 0x0102040810204080  # times eight bytes that are 0 or 1: these as the highest eight bits
_STRIP = 1 << 10  # words; what is done with a strip stays in the nearest cache
_UUID_LENGTH, _TAB, _NEWLINE, _COLON, _EQUALS, _DASH, _UNDERSCORE = 36, 9, 10, ord(":"), ord("="), ord("-"), ord("_")
_SIGNAL = np.frombuffer(SIGNAL_PREFIX.encode(), np.uint8).copy()
LONGEST_NO_VALUE = max(map(len, NO_VALUE))
_LONGEST = MAX_ID_BYTES + 1  # stands for all greater lengths
_LEAD, _TOKENS, _TRAIL, _SHIFT_OF_FILTER, _FILTER, _SHIFT_OF_SLOT, _SLOTS, _FROM, _TO = range(
    9
)  # columns of `_FlatTables.shapes`
_ELSEWHERE, _AFTER_NAME, _IN_VALUE = range(3)


class _FlatTables(NamedTuple):
    """The tables of a dictionary, of all shapes one after the other.

    Attributes:
        shapes: for each table, its shape and where its part of the other arrays is.
        of_length: by length of a token, the tables in which one of that length may begin an entry, as bits.
        filters: bits by the hash of a token's first word and length.
        slots: by the first bits of a hash, where it would be in `hashes`.
        hashes, entries: of the entries, sorted in each table; and their numbers.
        lengths_ok: for each table, by length of the span.
        tenants, kinds: by number of an entry, the tenant, or -1; and what field it is the name of.
        ignored: hashes of values that say "none".
        masks, multipliers: see `tokens`.
    """

    shapes: Ints
    of_length: Ints
    filters: Bytes
    slots: Narrow
    hashes: Hashes
    entries: Ints
    lengths_ok: Flags
    tenants: Ints
    kinds: Ints
    ignored: Hashes
    masks: Hashes
    multipliers: Hashes


class _BlockArrays(NamedTuple):
    """A block: its bytes, its words, which bytes belong to tokens, starts and ends of the tokens, and line ends to report on."""

    data: Bytes
    words: Hashes
    flags: Flags
    edges: Narrow
    newlines: Narrow


class _Marks(NamedTuple):
    """What is marked in a block: which bytes belong to tokens, starts and ends of the tokens, line ends to report on."""

    flags: Bytes
    edges: Narrow
    newlines: Narrow


class _Room(NamedTuple):
    """Memory for what is found, a column each.

    Attributes:
        hits: start, end, tenant.
        fields: starts of values of tenant fields.
        requests: start and end of a request id after a field's name, and start of the name.
        places, keys: line, start, and whether it is a request, of each key; and the key.
    """

    hits: Narrow
    fields: Narrow
    requests: Narrow
    places: Narrow
    keys: Hashes


@inlined
def _hash(words: Hashes, start: int, length: int, masks: Hashes, multipliers: Hashes) -> Any:  # noqa: ANN401
    """`tokens.span_hashes` of one span."""
    mixed = ((words[start] & masks[min(length, WORD)]) ^ (uint64(length) * multipliers[-1])) * multipliers[0]
    mixed ^= mixed >> uint64(29)
    offset = WORD
    while length > offset:
        mixed = (words[start + min(offset, length - WORD)] ^ mixed) * multipliers[offset // WORD]
        mixed ^= mixed >> uint64(29)
        offset += WORD
    return mixed


@compiled
def _hashes(words: Hashes, starts: Ints, lengths: Ints, masks: Hashes, multipliers: Hashes) -> Hashes:
    found = np.empty(len(starts), np.uint64)
    for at in range(len(starts)):
        found[at] = _hash(words, starts[at], lengths[at], masks, multipliers)
    return found


@compiled
def _mark(data: Bytes, marks: _Marks, begin: int, stop: int, marked: bool) -> Any:  # noqa: ANN401 - by place
    """Fills the arrays of `marks`; only the last two where `marked`. The last word of `data` is zeros.

    Returns how many edges and line ends there are; -1 for the first where there are bytes other than ASCII, and not `marked`.
    """
    flags, edges, newlines = marks
    whole = len(data) // WORD
    data_words, flag_words = data[: WORD * whole].view(np.uint64), flags[: WORD * whole].view(np.uint64)
    edge, newline, last = 0, 0, uint64(0)
    for strip in range(0, whole, _STRIP):
        end = min(strip + _STRIP, whole)
        if not marked:
            seen = uint64(0)
            for at in range(strip, end):
                seen |= data_words[at]
            if seen & uint64(_HIGH_BITS):
                return -1, 0
            for at in range(WORD * strip, WORD * end):  # so simple that many bytes are compared at once
                byte = data[at]
                letter, digit = uint8((byte | uint8(32)) - uint8(97)), uint8(byte - uint8(48))
                other = (byte == uint8(_UNDERSCORE)) | (byte == uint8(_DASH))
                flags[at] = uint8((letter < uint8(26)) | (digit < uint8(10)) | other)
        for at in range(strip, end):
            changed = flag_words[at] ^ ((flag_words[at] << uint64(8)) | last)
            last = flag_words[at] >> uint64(56)
            left = (changed * uint64(_GATHERED)) >> uint64(56)
            while left:
                lowest = left & (~left + uint64(1))
                edges[edge] = WORD * at + _PLACE_OF_BIT[int64((lowest * uint64(_DE_BRUIJN)) >> uint64(58))]
                edge += 1
                left ^= lowest
            unlike = data_words[at] ^ uint64(_NEWLINE * _LOW_BITS)
            if (unlike - uint64(_LOW_BITS)) & ~unlike & uint64(_HIGH_BITS):
                for place in range(WORD * at, WORD * at + WORD):
                    if data[place] == _NEWLINE and begin <= place < stop:
                        newlines[newline] = place
                        newline += 1
    flags[WORD * whole :] = 0
    return edge, newline


@inlined
def _entry_at(  # noqa: PLR0917 - arrays each by itself: taking them out of a tuple here would count references
    words: Hashes,
    flags: Flags,
    edges: Narrow,
    shapes: Ints,
    slots: Narrow,
    hashes: Hashes,
    lengths_ok: Flags,
    masks: Hashes,
    multipliers: Hashes,
    table: int,
    begin: int,
    token: int,
) -> Any:  # noqa: ANN401
    """The place of the entry of a table that begins at `begin`, in the token of this number, and its span; -1 for none."""
    last = 2 * (token + shapes[table, _TOKENS]) - 1
    if last >= len(edges):
        return -1, 0, 0
    begin -= shapes[table, _LEAD]
    end = int64(edges[last]) + shapes[table, _TRAIL]
    if not lengths_ok[table, min(end - begin, _LONGEST)]:
        return -1, 0, 0
    if shapes[table, _LEAD] and (begin < LEAD or flags[begin - 1]):
        return -1, 0, 0
    if shapes[table, _TRAIL] and (end > len(flags) - PADDING or flags[end]):
        return -1, 0, 0
    wanted = _hash(words, begin, end - begin, masks, multipliers)
    place = shapes[table, _FROM] + int64(slots[shapes[table, _SLOTS] + int64(wanted >> uint64(shapes[table, _SHIFT_OF_SLOT]))])
    while place < shapes[table, _TO] and hashes[place] < wanted:
        place += 1
    if place < shapes[table, _TO] and hashes[place] == wanted:
        return place, begin, end
    return -1, 0, 0


@inlined
def _intent(data: Bytes, start: int, end: int) -> Any:  # noqa: ANN401
    """The span of the intent in a signal's id; an empty one if there is none."""
    for offset in range(len(_SIGNAL)):
        if data[start + offset] != _SIGNAL[offset]:
            return start, start
    start += len(_SIGNAL)
    for at in range(start, min(start + MAX_INTENT_BYTES, end)):
        if data[at] == _DASH:
            return start, at
    return start, end


@compiled
def _find(text: _BlockArrays, tables: _FlatTables, begin: int, stop: int, out: _Room) -> Any:  # noqa: ANN401, PLR0915 - one loop is the point
    """Fills the columns of `out`. Returns how many columns of each of its arrays; -1 for the first where they do not suffice."""
    data, words, flags, edges, newlines = text
    shapes, of_length, filters, slots, hashes, entries, lengths_ok, tenants, kinds, ignored, masks, multipliers = tables
    hits, fields, requests, places, keys = out
    most = min(hits.shape[1], fields.shape[0], requests.shape[1], places.shape[1]) - MOST_TABLES
    hit, of_tenant, request, key, late, line = 0, 0, 0, 0, 0, 0
    kind, name, after_name, value, value_end, parts, state = 0, 0, 0, 0, 0, 0, _ELSEWHERE
    for token in range(len(edges) // 2 + 1):
        last_one = token == len(edges) // 2
        start, end = (len(data), len(data)) if last_one else (int64(edges[2 * token]), int64(edges[2 * token + 1]))
        if hit >= most or of_tenant >= most or request >= most or key + late >= most:
            return -1, 0, 0, 0, 0
        done = False  # a value ends before this token
        if state == _IN_VALUE:
            if not last_one and parts < MAX_KEY_PARTS and start == value_end + 1 and not END_OF_VALUE[data[value_end]]:
                value_end = end
                parts += 1
            else:
                done = True
        elif state == _AFTER_NAME:
            state = _ELSEWHERE
            if start - after_name <= MAX_GAP and not last_one:
                fine, assigned = True, False
                for between in range(after_name, start):
                    byte = data[between]
                    fine = fine and GAP[byte]
                    assigned = assigned or byte == _COLON or byte == _EQUALS  # noqa: PLR1714 - compares faster
                if fine and assigned:
                    value, value_end, parts, state = start, end, 0, _IN_VALUE
        length = end - start
        short = min(length, _LONGEST)
        left = of_length[short]
        mixed = uint64(0)
        if left:
            mixed = ((words[start] & masks[min(length, WORD)]) ^ (uint64(short) * multipliers[-1])) * multipliers[0]
        next_name, next_kind, table = -1, 0, 0
        while left:
            if left & 1:
                bit = int64(mixed >> uint64(shapes[table, _SHIFT_OF_FILTER]))
                if (filters[shapes[table, _FILTER] + (bit >> 3)] << (bit & 7)) & 128:
                    place, first, last = _entry_at(
                        words, flags, edges, shapes, slots, hashes, lengths_ok, masks, multipliers, table, start, token
                    )
                    if place >= 0:
                        entry = entries[place]
                        if tenants[entry] >= 0:
                            hits[0, hit], hits[1, hit], hits[2, hit] = first, last, tenants[entry]
                            hit += 1
                        if kinds[entry] != NO_FIELD:
                            next_name, next_kind = start, kinds[entry]
            left >>= 1
            table += 1
        if next_name >= 0 and state == _IN_VALUE and not done:  # the value of a field is itself the name of one
            after = token + 1
            while parts < MAX_KEY_PARTS and not END_OF_VALUE[data[value_end]] and flags[value_end + 1]:
                value_end = int64(edges[2 * after + 1])
                parts += 1
                after += 1
            done = True
        if done:
            state = _ELSEWHERE
            if begin <= name < stop:
                if kind == TENANT_FIELD:
                    fields[of_tenant] = value
                    of_tenant += 1
                else:
                    if kind == REQUEST_FIELD:
                        requests[0, request], requests[1, request], requests[2, request] = value, value_end, name
                        request += 1
                    if kind == SIGNAL_FIELD:
                        value, value_end = _intent(data, value, value_end)
                    size = value_end - value
                    if 0 < size <= MAX_KEY_BYTES:
                        found = _hash(words, value, size, masks, multipliers)
                        said = True
                        if size <= LONGEST_NO_VALUE:
                            for number in range(len(ignored)):
                                said = said and ignored[number] != found
                        if said:
                            while line < len(newlines) and newlines[line] < value:
                                line += 1
                            places[0, key], places[1, key], places[2, key] = line, value, kind == REQUEST_FIELD
                            keys[key] = found
                            key += 1
        if next_name >= 0:
            state, name, kind, after_name = _AFTER_NAME, next_name, next_kind, end
        if length == _UUID_LENGTH and data[start - 1] == _TAB and data[end] == _TAB and begin <= start < stop:
            late += 1  # kept at the end of the arrays, until all others are there
            places[1, -late] = start
            keys[-late] = _hash(words, start, length, masks, multipliers)
    line = 0
    for number in range(late):
        at = places[1, -number - 1]
        while line < len(newlines) and newlines[line] < at:
            line += 1
        places[0, key], places[1, key], places[2, key] = line, at, 1
        keys[key] = keys[-number - 1]
        key += 1
    return hit, of_tenant, request, key, late


@compiled
def _find_inside(text: _BlockArrays, tables: _FlatTables, starts: Ints, parents: Ints, hits: Narrow) -> int:
    """Fills the columns of `hits` with the ids that begin at these bytes inside tokens. Returns how many."""
    _, words, flags, edges, _ = text
    shapes, _, _, slots, hashes, entries, lengths_ok, tenants, _, _, masks, multipliers = tables
    count = 0
    for at in range(len(starts)):
        for table in range(len(shapes)):
            if not shapes[table, _LEAD]:
                place, first, last = _entry_at(
                    words, flags, edges, shapes, slots, hashes, lengths_ok, masks, multipliers, table, starts[at], parents[at]
                )
                if place >= 0 and tenants[entries[place]] >= 0:
                    hits[0, count], hits[1, count], hits[2, count] = first, last, tenants[entries[place]]
                    count += 1
    return count


@compiled
def look_up(  # noqa: PLR0917
    keys: Hashes,
    of_slot: Hashes,
    owners: Narrow,
    shift: Any,  # noqa: ANN401
    mask: Any,  # noqa: ANN401
    unknown: int,
) -> Narrow:
    """See `attribution.OwnerTable.get`."""
    found = np.empty(len(keys), np.int32)
    for at in range(len(keys)):
        key = keys[at]
        slot = int64((key * SPREAD) >> shift)
        while of_slot[slot] != key and of_slot[slot] != uint64(0):
            slot = (slot + 1) & mask
        found[at] = owners[slot] if of_slot[slot] == key else unknown
    return found


@compiled
def put(  # noqa: PLR0917 - numba takes arguments by their place
    keys: Hashes,
    owners: Narrow,
    ages: Narrow,
    of_slot: Hashes,
    owner_of_slot: Narrow,
    age_of_slot: Narrow,
    shift: Any,  # noqa: ANN401
    mask: Any,  # noqa: ANN401
) -> None:
    """See `attribution.OwnerTable`: adds the keys that are not there yet; of equal keys the first one."""
    for at in range(len(keys)):
        slot = int64((keys[at] * SPREAD) >> shift)
        while of_slot[slot] != keys[at] and of_slot[slot] != uint64(0):
            slot = (slot + 1) & mask
        if of_slot[slot] == uint64(0):
            of_slot[slot], owner_of_slot[slot], age_of_slot[slot] = keys[at], owners[at], ages[at]


class CompiledTables:
    """The tables of a dictionary in the form that the loops read; safe to use from several threads."""

    def __init__(self, tables: Sequence[TokenTable], tenants: Ints, kinds: Ints, ignored: Hashes, multipliers: Hashes) -> None:
        of_length, shapes = np.zeros(MAX_ID_BYTES + 2, np.int64), np.zeros((len(tables), 9), np.int64)
        filters, slots, begin = list[Bytes](), list[Narrow](), 0
        for number, table in enumerate(tables):
            of_length |= table.anchor_lengths_ok.astype(np.int64) << number
            bits = min(table.bits, _FILTER_BITS)
            slot_bits = max(4, (4 * len(table.hashes)).bit_length())
            of_hash = (table.hashes >> np.uint64(64 - slot_bits)).astype(np.int64)
            places = (64 - bits, sum(map(len, filters)), 64 - slot_bits, sum(map(len, slots)), begin, begin + len(table.hashes))
            shapes[number] = (*table.shape, *places)
            filters.append(np.packbits(table.anchor_bits.reshape(1 << bits, -1).any(axis=1)))
            slots.append(np.searchsorted(of_hash, np.arange(1 << slot_bits)).astype(np.int32))
            begin += len(table.hashes)
        self._tables = _FlatTables(
            shapes,
            of_length,
            np.concatenate(filters),
            np.concatenate(slots),
            np.concatenate([table.hashes for table in tables]),
            np.concatenate([table.indexes for table in tables]),
            np.stack([table.lengths_ok for table in tables]),
            tenants,
            kinds,
            ignored,
            MASKS,
            multipliers,
        )
        self._local = threading.local()

    def mark(self, data: Bytes, flags: Bytes, reported: tuple[int, int]) -> tuple[Narrow, Narrow]:
        """Marks in `flags` which bytes of a block belong to tokens. Returns the starts and ends of tokens, and the line ends.

        Args:
            data: the block, with zeros around it.
            flags: two more rows of as much memory lie after the first, which is marked.
            reported: bounds of the line ends.
        """
        _, edges, newlines = self._memory(len(data) // 8 + MOST_TABLES, len(data))
        marks = _Marks(flags[0], edges, newlines)
        edge, newline = _mark(data, marks, *reported, False)
        if edge < 0:
            token_bytes(data, flags)
            edge, newline = _mark(data, marks, *reported, True)
        return edges[:edge], newlines[:newline]

    def see(
        self,
        data: Bytes,
        words: TokenWords,
        flags: Flags,
        found: tuple[Narrow, Narrow],
        *,
        escaped: Ints,
        reported: tuple[int, int],
    ) -> SeenInBlock | None:
        """What is in a block; None if there is more than memory was set aside for.

        Args:
            data: the block, with zeros around it.
            words: of the block.
            flags: which of its bytes belong to tokens.
            found: what `mark` gave.
            escaped: where tokens begin inside runs of token bytes, after escape sequences.
            reported: bounds of what is reported on.
        """
        edges, newlines = found
        most = max(len(data) // 8, len(escaped) * len(self._tables.shapes)) + MOST_TABLES
        room, *_ = self._memory(most, len(data))
        text = _BlockArrays(data, words.view, flags, edges, newlines)
        hit, of_tenant, request, key, _ = _find(text, self._tables, *reported, room)
        if hit < 0:
            return None
        start, end, tenant = room.hits[:, :hit].astype(np.int64)
        line, key_start, is_request = room.places[:, :key].astype(np.int64)
        request_start, request_end, request_name = room.requests[:, :request].astype(np.int64)
        fields, keys = room.fields[:of_tenant].astype(np.int64), room.keys[:key].copy()
        if len(escaped):
            parents = np.searchsorted(edges[0::2], escaped, side="right") - 1
            count = _find_inside(text, self._tables, escaped, parents, room.hits)
            more = room.hits[:, :count]
            start, end, tenant = (np.concatenate(parts) for parts in zip((start, end, tenant), more, strict=True))
        values = FieldValues(request_start, request_end, request_name, np.arange(request))
        return SeenInBlock(
            start, end, tenant, fields, values, line, keys, key_start, is_request.astype(np.bool_), newlines.astype(np.int64)
        )

    def _memory(self, size: int, count: int) -> tuple[_Room, Narrow, Narrow]:
        """Memory for what is found, which this thread uses again for its next block."""
        kept: tuple[_Room, Narrow, Narrow] | None = getattr(self._local, "kept", None)
        if kept is None or kept[0].hits.shape[1] < size or len(kept[1]) < count:
            size, count = size + size // 8, count + count // 8
            of_three = [np.empty((3, size), np.int32) for _ in range(3)]
            room = _Room(of_three[0], np.empty(size, np.int32), of_three[1], of_three[2], np.empty(size, np.uint64))
            kept = self._local.kept = room, np.empty(count, np.int32), np.empty(count, np.int32)
        return kept


def span_hashes(words: TokenWords, starts: Ints, lengths: Ints) -> Hashes:
    """As `tokens.span_hashes`."""
    found: Hashes = _hashes(words.view, starts, lengths, MASKS, words.multipliers)
    return found


def prepare() -> None:
    """Compiles what is not compiled yet, for the types that a scan has."""
    table = TokenTable.of(shape_of(b"acme"), [DictionaryEntry(b"acme", 0)], [0], OWN_KEY)
    data, none, narrow = np.zeros(LEAD + 16 + PADDING, np.uint8), np.zeros(1, np.int64), np.zeros(4, np.int32)
    words, flags, places = TokenWords(data), token_bytes(data), np.array([LEAD + 2])
    flags[LEAD : LEAD + 8] = True
    tables = CompiledTables([table], none, none, table.hashes, words.multipliers)
    rows, reported = np.zeros((3, len(data)), np.uint8), (LEAD, LEAD + 8)
    tables.see(data, words, flags, tables.mark(data, rows, reported), escaped=places, reported=reported)
    keys = span_hashes(words, places, places)
    of_slot, shift, mask = np.zeros(4, np.uint64), np.uint64(62), np.int64(3)
    put(keys, narrow, narrow, of_slot, narrow.copy(), narrow.copy(), shift, mask)
    look_up(keys, of_slot, narrow, shift, mask, -1)
