"""The scan of a block in all its readings: as it stands, and decoded layer by layer (`layers.py`). Pure.

Which hits of several readings count:
- An id inside a longer one is no hit, in whichever readings the two are found: `acme%2Deu` names only the tenant acme-eu.
- The decoded text beside an id decides whether it is a whole word: `acme%2Dx` does not name acme, as `acme-x` does not.
- Invisible text (colours, NUL, zero width) may separate words or stand inside one: an id counts by either reading.
- An id that several readings have at one place counts once, by the reading with the fewest layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary, lower_case, token_spans, told_by_case
from phase5_ops.sections.isolation.logs.edits import Layer
from phase5_ops.sections.isolation.logs.layers import LayeredText, LayerReading, Layers
from phase5_ops.sections.isolation.logs.scan import NEWLINE, Decoded, Hits, LineScanner
from phase5_ops.sections.isolation.logs.tokens import FIRST_NON_ASCII, OWN_KEY, Bytes, Flags, Hashes, HashKey, Ints, token_bytes


@dataclass
class _NamedReading:
    """Tenant ids found in readings: the bytes [start, end) of the block, and [begin, stop) of the text of that reading."""

    start: Ints
    end: Ints
    tenant: Ints
    in_field: Flags
    reading: Ints
    begin: Ints
    stop: Ints

    @classmethod
    def joined(cls, parts: "Sequence[_NamedReading]") -> "_NamedReading":
        """All of them, one after the other."""
        return cls(*(np.concatenate(columns) for columns in zip(*(tuple(vars(part).values()) for part in parts), strict=True)))

    def only(self, chosen: Flags | Ints) -> "_NamedReading":
        """The chosen ones."""
        return _NamedReading(*(part[chosen] for part in vars(self).values()))


class LayeredScanner:
    """Finds the ids of a dictionary in blocks of lines, also in encoded text; safe to use from several threads.

    Attributes:
        looked_through: the layers that are taken off.
    """

    def __init__(
        self, dictionary: TenantDictionary, *, base64: bool = False, any_case: bool = False, key: HashKey = OWN_KEY
    ) -> None:
        """With `base64`, base64 is taken off too; with `any_case`, ids that differ by more than case count in any letter case."""
        self._exact = LineScanner(dictionary, key)
        self._folded = LineScanner(replace(dictionary, ids=told_by_case(dictionary.ids)), key) if any_case else None
        self._layers = Layers(_separators(dictionary.ids), base64=base64, all_lines=any_case)
        asked = (Layer.BASE64 if base64 else Layer(0)) | (Layer.CASE if any_case else Layer(0))
        self.looked_through = ~(Layer.BASE64 | Layer.CASE) | asked

    def scan(self, raw: bytes, *, begin: int = 0, stop: int | None = None) -> Hits:
        """The hits of a block whose match begins in [begin, stop); see `LineScanner.scan`.

        The text before `begin` and after `stop` on the same lines is read too, for words and codes that cross these borders.
        """
        stop = len(raw) if stop is None else stop
        plain = self._exact.scan(raw, begin=begin, stop=stop)
        scanned = _Readings(raw, self._exact, self._folded)
        too_deep = 0
        for reading in self._layers.readings(raw):
            if isinstance(reading, int):
                too_deep = reading
            else:
                scanned.add(reading)
        return scanned.merged(plain, begin, stop, too_deep) if scanned.texts else plain


class _Scanned(NamedTuple):
    """One text that was scanned: its layers taken off, and whether it is in lower case."""

    text: LayeredText
    depth: int
    folded: bool


class _Readings:
    """The readings of one block, and what was found in them."""

    def __init__(self, raw: bytes, exact: LineScanner, folded: LineScanner | None) -> None:
        self._raw, self._exact, self._folded = raw, exact, folded
        self.texts: list[_Scanned] = []
        self._named: list[_NamedReading] = []
        self._keys: list[tuple[Ints, Hashes, Flags, Ints]] = []  # place in the block, key, is_request, depth

    def add(self, reading: LayerReading) -> None:
        """Scans one reading."""
        text = reading.text
        if reading.depth and reading.boundaries:
            self._named = [_apart(named, text) for named in self._named]
        self._scan(text, self._exact, reading.depth, folded=False)
        if self._folded is not None:
            self._scan(text._replace(data=_lower(text.data)), self._folded, reading.depth, folded=True)

    def _scan(self, text: LayeredText, scanner: LineScanner, depth: int, *, folded: bool) -> None:
        hits = scanner.scan(text.data.tobytes())
        number = len(self.texts)
        self.texts.append(_Scanned(text, depth, folded))
        self._named.append(
            _NamedReading(
                start=text.first[hits.start].astype(np.int64),
                end=text.last[hits.end - 1].astype(np.int64),
                tenant=hits.tenant,
                in_field=hits.in_field,
                reading=np.full(len(hits.start), number, np.int64),
                begin=hits.start,
                stop=hits.end,
            )
        )
        if not folded:
            places = text.first[hits.key_start].astype(np.int64)
            self._keys.append((places, hits.key, hits.key_is_request, np.full(len(places), depth, np.int64)))

    def merged(self, plain: Hits, begin: int, stop: int, too_deep: int) -> Hits:
        """The hits of the lines that have readings, and those of `plain` on the other lines."""
        newlines = np.flatnonzero(np.frombuffer(self._raw, np.uint8) == NEWLINE)
        reported = newlines[(newlines >= begin) & (newlines < stop)]
        depth = self._depths(newlines)
        named = _merged(_NamedReading.joined(self._named))
        named = named.only((named.start >= begin) & (named.start < stop))
        others = depth[np.searchsorted(newlines, plain.start)] < 0
        count = int(others.sum())
        nothing = np.full(count, -1, np.int64)
        whole = _NamedReading.joined(
            [
                _NamedReading(
                    start=plain.start[others],
                    end=plain.end[others],
                    tenant=plain.tenant[others],
                    in_field=plain.in_field[others],
                    reading=nothing,
                    begin=nothing,
                    stop=nothing,
                ),
                named,
            ]
        )
        whole = whole.only(np.argsort(whole.start, kind="stable"))
        places, keys, is_request, depths = (np.concatenate(column) for column in zip(*self._keys, strict=True))
        deepest = (depths == depth[np.searchsorted(newlines, places)]) & (places >= begin) & (places < stop)
        kept = depth[np.searchsorted(newlines, plain.key_start)] < 0
        places = np.concatenate([plain.key_start[kept], places[deepest]])
        decoded = self._decoded(whole)
        return replace(
            plain,
            line=np.searchsorted(reported, whole.start),
            start=whole.start,
            end=whole.end,
            tenant=whole.tenant,
            in_field=whole.in_field,
            key_line=np.searchsorted(reported, places),
            key=np.concatenate([plain.key[kept], keys[deepest]]),
            key_start=places,
            key_is_request=np.concatenate([plain.key_is_request[kept], is_request[deepest]]),
            decoded=decoded,
            too_deep=too_deep,
        )

    def _depths(self, newlines: Ints) -> Ints:
        """For each line of the block, how many layers were taken off; -1 for a line without readings."""
        depths = np.full(len(newlines) + 1, -1, np.int64)
        for text, depth, _ in self.texts:
            depths[np.searchsorted(newlines, text.first[text.line_ends() - 1])] = depth
        return depths

    def _decoded(self, named: _NamedReading) -> dict[int, Decoded]:
        """The hits found in a decoded or lower-case text, by index."""
        found: dict[int, Decoded] = {}
        for number in np.unique(named.reading[named.reading > 0]).tolist():
            text, _, folded = self.texts[number]
            chosen = np.flatnonzero(named.reading == number)
            line = np.searchsorted(text.line_ends(), named.begin[chosen], side="right")
            layers = text.layers[line] | np.int32(Layer.CASE if folded else 0)
            raw = text.data.tobytes()
            places = zip(chosen.tolist(), named.begin[chosen].tolist(), named.stop[chosen].tolist(), layers.tolist(), strict=True)
            found.update({index: Decoded(raw[begin:stop], of_line) for index, begin, stop, of_line in places})
        return found


def _apart(named: _NamedReading, text: LayeredText) -> _NamedReading:
    """The ids without those that are part of a longer word in this text, which has one layer less."""
    if not len(named.start):
        return named
    flags, last = token_bytes(text.data), len(text.data) - 1
    single = text.last - text.first == 1  # not decoded: the same as in the reading before
    after = np.minimum(np.searchsorted(text.first, named.end), last)
    joined = (text.first[after] == named.end) & flags[after] & ~single[after]
    across = np.maximum(after - 1, 0)  # a code that begins in the id and ends after it, such as a letter and its accent
    joined |= (
        (text.first[across] >= named.start) & (text.first[across] < named.end) & (text.last[across] > named.end) & flags[across]
    )
    before = np.maximum(np.searchsorted(text.first, named.start) - 1, 0)
    joined |= (text.last[before] == named.start) & flags[before] & ~single[before]
    return named.only(~joined)


def _merged(named: _NamedReading) -> _NamedReading:
    """The ids of all readings: each place once, by the reading with the fewest layers, and none inside a longer one."""
    named = named.only(np.lexsort((named.reading, -named.end, named.start)))
    if not len(named.start):
        return named
    new = np.append(True, (named.start[1:] != named.start[:-1]) | (named.end[1:] != named.end[:-1]))
    group, first = np.cumsum(new) - 1, np.flatnonzero(new)
    in_field = np.zeros(len(first), np.bool_)
    np.logical_or.at(in_field, group, named.in_field & (named.tenant == named.tenant[first][group]))
    named = replace(named.only(first), in_field=in_field)
    reach = np.maximum.accumulate(named.end)
    return named.only(np.append(True, named.end[1:] > reach[:-1]))


def _separators(ids: Sequence[str]) -> frozenset[int]:
    """The ASCII bytes of the ids that are no letter, digit, `_` or `-`; all bytes, where an id begins or ends with one."""
    found: set[int] = set()
    for name in ids:
        text = name.encode("utf-8", "surrogatepass")
        spans = token_spans(text)
        if not spans or spans[0][0] or spans[-1][1] < len(text):
            return frozenset(range(FIRST_NON_ASCII))
        for (_, end), (start, _) in pairwise(spans):
            found.update(text[end:start])
    return frozenset(byte for byte in found if byte < FIRST_NON_ASCII)


def _lower(data: Bytes) -> Bytes:
    return np.frombuffer(lower_case(data.tobytes()), np.uint8)
