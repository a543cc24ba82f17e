"""Recognises by their layout, many at once, lines that hold an item. Pure.

Two lines have one layout if they have the same length and the same bytes everywhere but inside the strings that are values; the
event type counts as part of the layout. If one of them is a whole JSON document that gives no member twice, so is the other, as
long as its strings need no second look: printable ASCII without a quotation mark or a backslash. So each layout is parsed once,
by the strict parser, and then only compared, byte by byte. A line that is not recognised here has to be parsed; that is no fault
of it.

Which layout a line may have is guessed from its length and a digest of where its quotation marks are; a wrong guess is found by
the comparison.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.ledger import TEXT_ATTRIBUTES, TEXT_DATA, EntryTexts

_QUOTE, _NEWLINE, _SPACE, _DELETE = b'"\n \x7f'
_BACKSLASH = ord("\\")
_MOST_LAYOUTS = 16_384  # kept, at two or three KiB each
_MOST_OF_A_GUESS = 16
_LONGEST = 1 << 16  # bytes of a line that is recognised
_FEWEST = 4  # lines of a block that may have one layout; fewer are parsed, which costs less
_PADDED = 64  # lines are cut to a multiple of so many bytes, so that their bits are whole words
_STRING = re.compile(rb'"([^"]*)"(:)?')
_FACTORS = np.cumprod(np.full(_LONGEST // _PADDED, 0x9E3779B97F4A7C15, np.uint64))

Numbers = npt.NDArray[Any]
Span = tuple[int, int]


class Layout(NamedTuple):
    """A layout.

    Attributes:
        event: the event type of its items.
        spans: where in a line the texts of `EntryTexts` are, without those that its items do not have; event and stamp alone
            where one of the others is no text.
        readable: whether all of them are texts.
        line: the bytes of a line that has it, as words.
        fixed: which of them are no value.
        quotes: where the quotation marks are, a bit each.
    """

    event: str
    spans: Mapping[str, Span]
    readable: bool
    line: Numbers
    fixed: Numbers
    quotes: Numbers


class AlikeLines(NamedTuple):
    """Lines of one layout: which ones of the block they are, and the bytes of each, a row each, padded with zeros."""

    layout: Layout
    rows: Numbers
    bytes: Numbers


class LineLayouts:
    """The layouts met so far.

    Args:
        parse: the strict parser of one document; raises ValueError where it is none, or a member is given twice.
    """

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self._layouts: dict[tuple[int, int], list[Layout | None]] = {}
        self._count = 0

    def alike(self, block: bytes, begins: Numbers, ends: Numbers) -> Iterator[AlikeLines]:
        """The lines that are recognised.

        Args:
            block: lines, each ending with a line feed.
            begins: where each of them begins.
            ends: where each of them ends, behind the line feed.
        """
        lengths = ends - begins
        rows = np.flatnonzero((lengths < _LONGEST) & _are_plain(block, ends))
        rows = rows[np.argsort(lengths[rows].astype(np.uint16), kind="stable")]
        for long in _runs(rows, lengths[rows]):
            if len(long) < _FEWEST:
                continue
            length = int(lengths[long[0]])
            alike, cut = _cut(block, long, begins[long], length)
            quotes = np.packbits(cut == _QUOTE, axis=1).view(np.uint64)
            guesses = quotes @ _FACTORS[: quotes.shape[1]]
            order = np.argsort(guesses, kind="stable")
            for group in _runs(order, guesses[order]):
                if len(group) >= _FEWEST:
                    some = group if len(group) < len(cut) else slice(None)
                    yield from self._compared((length, int(guesses[group[0]])), alike[some], cut[some], quotes[some])

    def _compared(self, guess: tuple[int, int], rows: Numbers, lines: Numbers, quotes: Numbers) -> Iterator[AlikeLines]:
        """Of lines with one guess those that have a layout known behind it; one that is not known yet is made."""
        layouts = self._layouts.setdefault(guess, [])
        number = 0
        while len(rows):
            if number == len(layouts) and not self._learn(layouts, lines[0, : guess[0]].tobytes(), quotes[0]):
                return
            layout, number = layouts[number], number + 1
            if layout is None:
                continue
            words = lines.view(np.uint64)
            fits = ~((words ^ layout.line) & layout.fixed).any(axis=1) & (quotes == layout.quotes).all(axis=1)
            if fits.all():
                yield AlikeLines(layout, rows, lines)
                return
            if fits.any():
                yield AlikeLines(layout, rows[fits], lines[fits])
                rows, lines, quotes = rows[~fits], lines[~fits], quotes[~fits]

    def _learn(self, layouts: list[Layout | None], line: bytes, quotes: Numbers) -> bool:
        """Adds the layout of a line, None if it is no item; False where enough are known."""
        if self._count >= _MOST_LAYOUTS or len(layouts) >= _MOST_OF_A_GUESS or None in layouts:
            return False
        layouts.append(self._parsed(line, quotes))
        self._count += 1
        return True

    def _parsed(self, line: bytes, quotes: Numbers) -> Layout | None:
        """The layout of a line; None where it is no item in DynamoDB JSON with an event type and a timestamp.

        It is parsed with each value replaced by the number of its string.
        """
        spans: list[Span] = []
        fixed = np.zeros(-(-len(line) // _PADDED) * _PADDED, np.uint8)
        fixed[:] = 0xFF
        names = 0

        def numbered(match: re.Match[bytes]) -> bytes:
            nonlocal names
            spans.append(match.span(1))
            if match[2]:
                names += 1
                return match[0]
            fixed[slice(*match.span(1))] = 0
            return b'"%d"' % (len(spans) - 1)

        try:
            value = self._parse(_STRING.sub(numbered, line).decode().strip())
        except (ValueError, RecursionError):
            return None
        if _names(value) != names:
            return None  # a name that does not look like one
        item = value["Item"] if isinstance(value, dict) and value.keys() == {"Item"} else value
        first = _numbers_in(item, TEXT_ATTRIBUTES[:2])
        if first is None or None in first:
            return None
        rest = _rest_of(item)
        found = zip(EntryTexts._fields, [*first, *(rest or [])], strict=rest is not None)
        at = {name: spans[number] for name, number in found if number is not None}
        event = slice(*at["event"])
        fixed[event] = 0xFF
        whole = np.frombuffer(line.ljust(len(fixed), b"\0"), np.uint64)
        return Layout(line[event].decode(), at, rest is not None, whole, fixed.view(np.uint64), quotes.copy())


def _are_plain(block: bytes, ends: Numbers) -> Numbers | bool:
    """Which lines are printable ASCII without a backslash."""
    bytes_ = np.frombuffer(block, np.uint8)
    if (
        block.isascii()
        and b"\\" not in block
        and _DELETE not in block
        and np.count_nonzero(bytes_ < _SPACE) == len(ends)  # the line feeds
    ):
        return True
    odd = (bytes_ < _SPACE) | (bytes_ >= _DELETE) | (bytes_ == _BACKSLASH)
    plain = np.ones(len(ends), bool)
    plain[np.searchsorted(ends, np.flatnonzero(odd & (bytes_ != _NEWLINE)), side="right")] = False
    return plain


def _runs(rows: Numbers, values: Numbers) -> list[Numbers]:
    """The rows, split where their values differ from the ones before."""
    return np.split(rows, np.flatnonzero(values[1:] != values[:-1]) + 1) if len(rows) else []


def _cut(block: bytes, rows: Numbers, begins: Numbers, length: int) -> tuple[Numbers, Numbers]:
    """The lines of one length that begin there, a row each, padded; without those that end with the block."""
    width = -(-length // _PADDED) * _PADDED
    count = max(0, len(block) - width + 1)
    inside = begins < count
    windows: Numbers = np.ndarray((count, width), np.uint8, block, strides=(1, 1))
    cut = windows[begins[inside]]
    cut[:, length:] = 0
    return rows[inside], cut


def _rest_of(item: Any) -> list[int | None] | None:  # noqa: ANN401 - a JSON value
    """The numbers of the texts of an item but the first two; None where some are no texts."""
    data = item.get("data")
    more = _numbers_in(item, TEXT_ATTRIBUTES[2:])
    inner = _numbers_in(data["M"], TEXT_DATA) if isinstance(data, dict) and data.keys() == {"M"} else None
    return None if more is None or inner is None else [*more, *inner]


def _numbers_in(holder: object, names: Sequence[str]) -> list[int | None] | None:
    if not isinstance(holder, dict):
        return None
    found: list[int | None] = []
    for value in map(holder.get, names):
        if value is None:
            found.append(None)
        elif isinstance(value, dict) and value.keys() == {"S"} and isinstance(value["S"], str):
            found.append(int(value["S"]))
        else:
            return None
    return found


def _names(value: object) -> int:
    """How many members the objects in a value have."""
    if isinstance(value, dict):
        return len(value) + sum(map(_names, value.values()))
    return sum(map(_names, value)) if isinstance(value, list) else 0
