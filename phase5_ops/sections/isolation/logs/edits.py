"""What decoding does to a text, as arrays: edits, each of which replaces some bytes, and the layers they belong to. Pure.

An edit says that the bytes [at, end) stand for other bytes, never more of them. One edit is one layer of one encoding.
"""

from collections.abc import Iterable, Sequence
from enum import IntFlag
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phase5_ops.sections.isolation.logs.tokens import Bytes, Flags, Ints

NUL, ESC, NEWLINE, RETURN, BACKSLASH, PERCENT = 0, 27, 10, 13, 92, 37
LONGEST_EDIT = 12  # bytes of most edits

#: Letters and digits of ASCII.
NAME_BYTES = np.zeros(256, np.bool_)
NAME_BYTES[[*range(ord("0"), ord("9") + 1), *range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = True


class Layer(IntFlag):
    """Kinds of encodings, as bits."""

    TERMINAL = 1
    NUL = 2
    INVISIBLE = 4
    PERCENT = 8
    BACKSLASH = 16
    ENTITY = 32
    COMPOSED = 64
    BASE64 = 128
    CASE = 256


LAYER_NAMES = {
    Layer.TERMINAL: "terminal colours",
    Layer.NUL: "NUL bytes",
    Layer.INVISIBLE: "invisible characters",
    Layer.PERCENT: "percent codes",
    Layer.BACKSLASH: "backslash escapes",
    Layer.ENTITY: "HTML entities",
    Layer.COMPOSED: "letters with separate accents",
    Layer.BASE64: "base64",
    Layer.CASE: "letter case",
}


def names_of(layers: Layer | int) -> list[str]:
    """The layers in words."""
    return [LAYER_NAMES[layer] for layer in Layer if layer & layers]


class Edits(NamedTuple):
    """Edits of a text, one entry of each array per edit: [at, end) becomes the first `sizes` bytes of a row of `values`.

    `matters` is False where the scan finds the same ids without the edit: it makes a separator that is in no id.
    """

    at: Ints
    ends: Ints
    values: Bytes  # two-dimensional
    sizes: Ints
    layers: npt.NDArray[np.int32]
    matters: Flags

    def only(self, chosen: Flags | Ints) -> "Edits":
        """The chosen ones."""
        at, ends, values, sizes, layers, matters = self
        return Edits(at[chosen], ends[chosen], values[chosen], sizes[chosen], layers[chosen], matters[chosen])


def no_edits() -> Edits:
    """An empty set of edits."""
    empty = np.empty(0, np.int64)
    return Edits(empty, empty, np.empty((0, LONGEST_EDIT), np.uint8), empty, np.empty(0, np.int32), np.empty(0, np.bool_))


def edits_of(at: Ints, ends: Ints, values: Ints, layer: Layer, matters: Flags | bool = True) -> Edits:
    """Edits that put one byte each."""
    if not len(at):
        return no_edits()
    texts = np.zeros((len(at), LONGEST_EDIT), np.uint8)
    texts[:, 0] = values
    return Edits(
        at.astype(np.int64),
        np.broadcast_to(ends, at.shape).astype(np.int64),
        texts,
        np.ones(len(at), np.int64),
        np.full(len(at), layer, np.int32),
        np.broadcast_to(np.asarray(matters), at.shape).copy(),
    )


def character_edits(at: Ints, ends: Ints, points: Ints, layer: Layer) -> Edits:
    """Edits that put one character each; invalid code points (lone surrogates, beyond Unicode) are left out."""
    if not len(at):
        return no_edits()
    valid = ((points < 0xD800) | (points > 0xDFFF)) & (points <= 0x10FFFF)
    at, ends, points = at[valid], ends[valid], points[valid]
    edits = edits_of(at, ends, quiet(points), layer)
    wide = np.flatnonzero(points >= 0x80)
    for size, low, high in ((2, 0x80, 0x7FF), (3, 0x800, 0xFFFF), (4, 0x10000, 0x10FFFF)):
        chosen = wide[(points[wide] >= low) & (points[wide] <= high)]
        rest = points[chosen]
        for offset in range(size - 1, 0, -1):
            edits.values[chosen, offset] = 0x80 | (rest & 0x3F)
            rest = rest >> 6
        edits.values[chosen, 0] = ((0xF00 >> size) & 0xFF) | rest
        edits.sizes[chosen] = size
    return edits


def quiet(values: Ints) -> Ints:
    """The values with line ends as carriage returns, since a decoded line end does not end a line of the log."""
    return np.where(values == NEWLINE, RETURN, values)


def text_edits(found: Iterable[tuple[int, int, bytes]], layer: Layer) -> Edits:
    """Edits from (start, end, new bytes); those longer than what they replace are left out."""
    rows = [row for row in found if len(row[2]) <= row[1] - row[0]]
    if not rows:
        return no_edits()
    width = max(LONGEST_EDIT, *(len(text) for _, _, text in rows))
    values = np.frombuffer(b"".join(text.ljust(width, b"\0") for _, _, text in rows), np.uint8).reshape(len(rows), width).copy()
    values[values == NEWLINE] = RETURN
    return Edits(
        np.array([start for start, _, _ in rows], np.int64),
        np.array([end for _, end, _ in rows], np.int64),
        values,
        np.array([len(text) for _, _, text in rows], np.int64),
        np.full(len(rows), layer, np.int32),
        np.ones(len(rows), np.bool_),
    )


_HEX_VALUE = np.full(256, -1, np.int64)
for _digit in "0123456789abcdefABCDEF":
    _HEX_VALUE[ord(_digit)] = int(_digit, 16)


class View:
    """A text that may be read beyond its end, where every byte is a line end."""

    def __init__(self, data: Bytes) -> None:
        self.data = data
        self._last = len(data) - 1

    def at(self, positions: Ints) -> Bytes:
        """The bytes at these positions."""
        found = self.data[np.minimum(positions, self._last)]
        beyond = positions > self._last
        return np.where(beyond, np.uint8(NEWLINE), found) if beyond.any() else found

    def number(self, at: Ints, digits: int) -> Ints:
        """The hexadecimal number of `digits` digits at each position; -1 where there is none."""
        value = np.zeros(len(at), np.int64)
        for offset in range(digits):
            digit = _HEX_VALUE[self.at(at + offset)]
            value = np.where((value < 0) | (digit < 0), -1, value * 16 + digit)
        return value


def in_order(found: Sequence[Edits]) -> Edits:
    """All edits as one, ordered. Where two overlap, the earlier one stays; at one place, the longer one."""
    if not found:
        return no_edits()
    width = max(edits.values.shape[1] for edits in found)
    padded = [edits if edits.values.shape[1] == width else _widened(edits, width) for edits in found]
    edits = Edits(*(np.concatenate(column) for column in zip(*padded, strict=True)))
    edits = edits.only(np.lexsort((-edits.ends, edits.at)))
    if (np.maximum.accumulate(edits.ends)[:-1] > edits.at[1:]).any():
        edits = edits.only(_apart(edits.at.tolist(), edits.ends.tolist()))
    return edits


def _widened(edits: Edits, width: int) -> Edits:
    return edits._replace(values=np.pad(edits.values, ((0, 0), (0, width - edits.values.shape[1]))))


def _apart(starts: list[int], ends: list[int]) -> Ints:
    """Indexes of the ordered spans that overlap no earlier kept one."""
    kept, reach = [], 0
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if start >= reach:
            kept.append(index)
            reach = end
    return np.array(kept, np.int64)
