"""Decodes the text of a log layer by layer, and keeps for each byte its place in the block. Pure.

Only lines that hold an encoding are decoded, all of them at once; the next layer takes those that still hold one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from phase5_ops.sections.isolation.logs.edits import NEWLINE, NUL, Edits, Layer
from phase5_ops.sections.isolation.logs.escapes import find_edits
from phase5_ops.sections.isolation.logs.tokens import Bytes, Flags, Ints
from phase5_ops.sections.isolation.logs.unseen import unseen

#: How many layers are taken off. Text in more layers is reported (`log_encoded_too_deep`) and not decoded further.
MAX_LAYERS = 8
#: Bytes read before and after a piece of a long line that comes in pieces: an id of 64 bytes in 8 layers is no longer.
LOOK_AROUND = 8192

Places = npt.NDArray[np.int32]


class LayeredText(NamedTuple):
    """Whole lines, each with its line end, and where their bytes are in the block.

    Attributes:
        data: the bytes.
        first, last: for each byte, the bytes [first, last) of the block that it was decoded from.
        layers: for each line, the kinds of encodings that were taken off it.
    """

    data: Bytes
    first: Places
    last: Places
    layers: npt.NDArray[np.int32]

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """The text of a block as it stands."""
        data = np.frombuffer(raw if raw.endswith(b"\n") else raw + b"\n", np.uint8)
        first = np.arange(len(data), dtype=np.int32)
        return cls(data, first, first + np.int32(1), np.zeros(int(np.count_nonzero(data == NEWLINE)), np.int32))

    def line_ends(self) -> Ints:
        """The position after each line."""
        return np.flatnonzero(self.data == NEWLINE) + 1

    def lines(self, chosen: Flags, ends: Ints) -> Self:
        """The chosen lines."""
        if chosen.all():
            return self
        sizes = np.diff(ends, prepend=0)
        keep = np.repeat(chosen, sizes)
        return type(self)(self.data[keep], self.first[keep], self.last[keep], self.layers[chosen])

    def without_nul(self) -> Self:
        """The text without NUL bytes, which stand for invisible text."""
        keep = self.data != NUL
        return type(self)(self.data[keep], self.first[keep], self.last[keep], self.layers)

    def edited(self, edits: Edits) -> Self:
        """The text with the edits made."""
        ends = self.line_ends()
        layers = self.layers.copy()
        np.bitwise_or.at(layers, np.searchsorted(ends, edits.at, side="right"), edits.layers)
        data, first, last = self.data.copy(), self.first.copy(), self.last.copy()
        begin, end = self.first[edits.at], self.last[edits.ends - 1]
        for offset in range(int(edits.sizes.max())):
            chosen = np.flatnonzero(edits.sizes > offset)
            at = edits.at[chosen] + offset
            data[at] = edits.values[chosen, offset]
            first[at], last[at] = begin[chosen], end[chosen]
        change = np.zeros(len(data) + 1, np.int8)
        gone = edits.at + edits.sizes < edits.ends
        change[(edits.at + edits.sizes)[gone]] += 1
        change[edits.ends[gone]] -= 1
        keep = np.cumsum(change[:-1], dtype=np.int8) == 0
        return type(self)(data[keep], first[keep], last[keep], layers)


class LayerReading(NamedTuple):
    """One way to read some lines of a block.

    Attributes:
        text: the lines.
        depth: layers taken off.
        boundaries: whether the text beside an id decides if the id is a whole word, also for earlier readings.
    """

    text: LayeredText
    depth: int
    boundaries: bool


@dataclass(frozen=True)
class Layers:
    """How blocks are decoded.

    Attributes:
        separators: ASCII bytes of ids that are no letter, digit, `_` or `-`.
        base64: base64 is a layer too.
        all_lines: every line is read again, whether it holds an encoding or not.
    """

    separators: frozenset[int]
    base64: bool = False
    all_lines: bool = False

    def readings(self, raw: bytes) -> Iterator[LayerReading | int]:
        """The readings of the lines of a block that hold an encoding, by depth, first undecoded; none where no line does.

        Last, if there are any, the number of lines that still hold an encoding after `MAX_LAYERS`.
        """
        data = np.frombuffer(raw, np.uint8)
        edits = find_edits(data, separators=self.separators, with_base64=self.base64, raw=raw)
        places = edits.at[edits.matters]
        if NUL in raw:
            places = np.concatenate([places, np.flatnonzero(data == NUL)])
        if not len(places) and not self.all_lines:
            return
        text = LayeredText.of(raw)
        if not self.all_lines:
            text = self._lines_with(text, places)
        nul = np.flatnonzero(text.data == NUL)
        np.bitwise_or.at(text.layers, np.searchsorted(text.line_ends(), nul, side="right"), np.int32(Layer.NUL))
        shown: LayeredText | None = text
        hidden: LayeredText | None = None  # as a person sees it: invisible text is removed before each layer is taken off
        for depth in range(MAX_LAYERS + 1):
            if shown is not None:
                yield LayerReading(shown, depth, True)
                if (shown.data == NUL).any():
                    yield LayerReading(shown.without_nul(), depth, False)
                if hidden is None:
                    bare = self._bare(shown)
                    hidden = None if bare is shown else bare
            if hidden is not None:
                yield LayerReading(hidden, depth, False)
            if depth == MAX_LAYERS:
                if left := len(np.unique(np.concatenate([self._encoded(each) for each in (shown, hidden) if each is not None]))):
                    yield left
                return
            shown, hidden = self._next(shown), self._next(hidden)
            hidden = None if hidden is None else self._bare(hidden)
            if shown is None and hidden is None:
                return

    @staticmethod
    def _bare(text: LayeredText) -> LayeredText:
        """The text without invisible text, also where removing some reveals more; the same object where there is none."""
        for _ in range(MAX_LAYERS):
            edits = unseen(text.data)
            if len(edits.at):
                text = text.edited(edits).without_nul()
            elif (text.data == NUL).any():
                text = text.without_nul()
            else:
                break
        return text

    def _next(self, text: LayeredText | None) -> LayeredText | None:
        """The lines that hold an encoding, with one layer off; None where there are none."""
        if text is None:
            return None
        edits = self._edits(text.data)
        places = edits.at[edits.matters]
        if not len(places):
            return None
        text = self._lines_with(text, places)
        return text.edited(self._edits(text.data, all_plain=True))

    def _encoded(self, text: LayeredText) -> Ints:
        """The places in the block where lines that hold an encoding end."""
        edits = self._edits(text.data)
        ends = text.line_ends()
        lines = np.searchsorted(ends, edits.at[edits.matters], side="right")
        return text.first[ends[lines] - 1].astype(np.int64)

    def _edits(self, data: Bytes, *, all_plain: bool = False) -> Edits:
        return find_edits(data, separators=self.separators, with_base64=self.base64, all_plain=all_plain)

    @staticmethod
    def _lines_with(text: LayeredText, places: Ints) -> LayeredText:
        ends = text.line_ends()
        chosen = np.zeros(len(ends), np.bool_)
        chosen[np.searchsorted(ends, places, side="right")] = True
        return text.lines(chosen, ends)
