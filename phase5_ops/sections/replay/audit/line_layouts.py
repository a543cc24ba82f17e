"""Recognises by their layout, many at once, lines that hold an item, and takes the texts of their attributes. Pure.

Two lines have one layout if they have the same length and the same bytes everywhere but inside the strings that are values. If
one of them is a whole JSON document that gives no member twice, so is the other, as long as its strings need no second look:
printable ASCII without a quotation mark or a backslash. So each layout is parsed once, by the strict parser, and then only
compared, byte by byte. A line that is not recognised here has to be parsed; that is no fault of it. Entries of executions, most
of which belong to no replay, are checked many at once too, and given as the lines that they are.

Which layout a line may have is guessed from a few figures; a wrong guess is found by the comparison.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.ledger import (
    PARTITION_PREFIX,
    RELEVANT,
    REPLAY_TYPES,
    SORT_PREFIX,
    TEXT_ATTRIBUTES,
    TEXT_DATA,
    TRACE_PREFIX,
    EntryTexts,
)

_QUOTE, _BACKSLASH, _NEWLINE, _SPACE, _LAST_PRINTABLE = b'"\\\n ~'
_FINE = bytes({*range(_SPACE, _LAST_PRINTABLE + 1), _NEWLINE} - {_BACKSLASH})
_MOST_LAYOUTS = 16_384  # kept, at one or two KiB each
_MOST_MET = 1 << 20  # guesses kept of layouts that were met once
_LONGEST = 1 << 16  # bytes of a line that is recognised
_STRING = re.compile(rb'"([^"]*)"(:)?')
_TEXTS = len(TEXT_ATTRIBUTES) + len(TEXT_DATA)
_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5, 0x85EBCA77C2B2AE63], np.uint64
)
_STAMP = np.frombuffer(b"0000-00-00T00:00:00.000Z", np.uint8)
_DIGITS = np.flatnonzero(ord("0") == _STAMP)
_MARKS = np.flatnonzero(ord("0") != _STAMP)
_ZERO, _NINE = b"09"
_FIRST_YEAR = np.datetime64("0001-01-01T00:00:00.000")

Numbers = npt.NDArray[Any]
Span = tuple[int, int] | None  #: of a text in its line; None where there is none


class OrdinaryLine(NamedTuple):
    """A line with an entry of an execution in which nothing is odd; `at` in epoch milliseconds."""

    at: int
    pk: str
    sk: str
    trace: str


class Recognised(NamedTuple):
    """The lines of a block, in lists of one length.

    Attributes:
        begins, ends: where each line is.
        events, stamps: event type and timestamp of its item; None where it must be parsed.
        found: all its texts, where its type is one that only replays have and they are texts; or that it is an ordinary line.
    """

    begins: list[int]
    ends: list[int]
    events: list[str | None]
    stamps: list[str | None]
    found: list[EntryTexts | OrdinaryLine | None]


class _Layout(NamedTuple):
    """A layout: a line that has it, which of its bytes are no value, and where the texts are (all, or the first two alone)."""

    quotes: int
    line: Numbers
    fixed: Numbers
    spans: tuple[Span, ...]


class LineLayouts:
    """The layouts met so far.

    Args:
        parse: the strict parser of one document; raises ValueError where it is none, or a member is given twice.
    """

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self._layouts: dict[int, _Layout | None] = {}
        self._met: set[int] = set()  # guesses met once: what comes once is not worth keeping

    def lines(self, block: bytes) -> Recognised:
        """The lines of a block, each ending with a line feed."""
        bytes_ = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(bytes_ == _NEWLINE) + 1
        begins = np.concatenate(([0], ends[:-1]))
        quotes = np.flatnonzero(bytes_ == _QUOTE)
        until = np.searchsorted(quotes, ends)
        counts = np.diff(until, prepend=0)
        lengths = ends - begins
        good = (counts > 3) & (lengths < _LONGEST)  # noqa: PLR2004 - less than two strings
        if block.translate(None, _FINE):
            odd = (bytes_ < _SPACE) | (bytes_ > _LAST_PRINTABLE) | (bytes_ == _BACKSLASH)
            good[np.searchsorted(ends, np.flatnonzero(odd & (bytes_ != _NEWLINE)), side="right")] = False
        nothing = [None] * len(ends)
        found = Recognised(begins.tolist(), ends.tolist(), [*nothing], [*nothing], [*nothing])
        rows = np.flatnonzero(good)
        if not len(rows):
            return found
        guesses, group = np.unique(_guesses(rows, begins, lengths, quotes, until, counts), return_inverse=True)
        by_group = rows[np.argsort(group, kind="stable")]
        text = block.decode("latin-1")  # a character for each byte
        for guess, members in zip(guesses.tolist(), np.split(by_group, np.cumsum(np.bincount(group))[:-1]), strict=True):
            layout = self._layout(guess, block, found, members)
            if layout is not None:
                alike = members[(lengths[members] == len(layout.line)) & (counts[members] == layout.quotes)]
                cut = _cut(block, begins[alike], len(layout.line))
                fits = ~((cut ^ layout.line) & layout.fixed).any(axis=1)
                _take(found, text, layout, alike[fits].tolist(), cut[fits])
        return found

    def _layout(self, guess: int, block: bytes, found: Recognised, members: Numbers) -> _Layout | None:
        """The layout behind a guess; it is made from a line once a second one is there."""
        if guess in self._layouts:
            return self._layouts[guess]
        if len(members) == 1 and guess not in self._met:
            if len(self._met) < _MOST_MET:
                self._met.add(guess)
            return None
        if len(self._layouts) >= _MOST_LAYOUTS:
            return None
        row = int(members[0])
        layout = self._layouts[guess] = self._parsed(block[found.begins[row] : found.ends[row]])
        return layout

    def _parsed(self, line: bytes) -> _Layout | None:
        """The layout of a line; None where it is no item in DynamoDB JSON.

        It is parsed with each value replaced by the number of its string.
        """
        spans: list[tuple[int, int]] = []
        fixed = np.full(len(line), 0xFF, np.uint8)
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
        numbers = _text_numbers(value["Item"] if isinstance(value, dict) and value.keys() == {"Item"} else value)
        if numbers is None:
            return None
        at = tuple(None if number is None else spans[number] for number in numbers)
        return _Layout(2 * len(spans), np.frombuffer(line, np.uint8), fixed, at)


def _cut(block: bytes, begins: Numbers, length: int) -> Numbers:
    """The lines of one length that begin there, a row each."""
    windows: Numbers = np.ndarray((len(block) - length + 1, length), np.uint8, block, strides=(1, 1))
    return windows[begins]


def _take(found: Recognised, text: str, layout: _Layout, rows: list[int], lines: Numbers) -> None:
    """Notes what the lines in these rows, which have this layout, hold; `lines` has the bytes of each."""
    begins, events, stamps = found.begins, found.events, found.stamps
    (event_begin, event_end), (stamp_begin, stamp_end) = layout.spans[:2]  # type: ignore[misc]
    ordinary = []
    for number, row in enumerate(rows):
        at = begins[row]
        events[row] = event = text[at + event_begin : at + event_end]
        stamps[row] = text[at + stamp_begin : at + stamp_end]
        if event in RELEVANT and len(layout.spans) == _TEXTS:
            if event in REPLAY_TYPES:
                cut = [None if span is None else text[at + span[0] : at + span[1]] for span in layout.spans]
                found.found[row] = EntryTexts._make(cut)
            else:
                ordinary.append(number)
    spans = _Spans._make(layout.spans) if ordinary else None
    if spans is not None and spans.pk and spans.sk and spans.trace:
        (pk_begin, pk_end), (sk_begin, sk_end), (trace_begin, trace_end) = spans.pk, spans.sk, spans.trace
        fits, times = _usual(lines if len(ordinary) == len(rows) else lines[ordinary], spans)
        for number, fit, time in zip(ordinary, fits.tolist(), times.tolist(), strict=True):
            if fit:
                row = rows[number]
                at = begins[row]
                found.found[row] = OrdinaryLine(
                    time,
                    text[at + pk_begin : at + pk_end],
                    text[at + sk_begin : at + sk_end],
                    text[at + trace_begin : at + trace_end],
                )


class _Spans(NamedTuple):
    """Where the texts of `EntryTexts` are."""

    event: Span
    stamp: Span
    tenant: Span
    account: Span
    trace: Span
    entry_id: Span
    pk: Span
    sk: Span
    index_trace: Span
    index_trace_stamp: Span
    index_tenant: Span
    index_tenant_stamp: Span
    intent: Span
    reason: Span
    requester: Span
    status: Span


def _usual(lines: Numbers, spans: _Spans) -> tuple[Numbers, Numbers]:
    """Of which of these lines, a row each, the entry is as the platform writes it, as `Ledger` has it; and their times."""
    nothing = np.zeros(len(lines), bool), np.zeros(len(lines), np.int64)
    if spans.stamp is None or spans.tenant is None or spans.trace is None or spans.entry_id is None:
        return nothing
    if spans.stamp[1] - spans.stamp[0] != len(_STAMP):
        return nothing

    def at(span: Span) -> Numbers:
        return lines[:, slice(*span)] if span is not None else lines[:, :0]

    def text(words: str) -> Numbers:
        return np.broadcast_to(np.frombuffer(words.encode(), np.uint8), (len(lines), len(words)))

    stamp, tenant, trace, entry_id = at(spans.stamp), at(spans.tenant), at(spans.trace), at(spans.entry_id)
    digits = stamp[:, _DIGITS]
    fits = (stamp[:, _MARKS] == _STAMP[_MARKS]).all(axis=1) & ((digits >= _ZERO) & (digits <= _NINE)).all(axis=1)
    for own in (tenant, trace, entry_id):
        fits &= (own != _SPACE).any(axis=1)
    partition = (text(PARTITION_PREFIX), tenant)
    for span, wanted, needed in (
        (spans.pk, partition, True),
        (spans.sk, (text(SORT_PREFIX), stamp, text("#"), entry_id), True),
        (spans.index_trace, (text(TRACE_PREFIX), trace), False),
        (spans.index_trace_stamp, (stamp,), False),
        (spans.index_tenant, partition, False),
        (spans.index_tenant_stamp, (stamp,), False),
    ):
        if span is None and not needed:
            continue
        expected = np.concatenate(wanted, axis=1)
        if span is None or span[1] - span[0] != expected.shape[1]:
            return nothing
        fits &= (at(span) == expected).all(axis=1)
    times = np.zeros(len(lines), np.int64)
    try:
        moments = np.ascontiguousarray(stamp[fits, :-1]).view(f"S{len(_STAMP) - 1}").reshape(-1).astype("datetime64[ms]")
    except ValueError:  # one of them is no time
        return nothing
    times[fits] = moments.astype(np.int64)
    fits[fits] = moments >= _FIRST_YEAR
    return fits, times


def _guesses(  # noqa: PLR0917 - arrays of one block
    rows: Numbers, begins: Numbers, lengths: Numbers, quotes: Numbers, until: Numbers, counts: Numbers
) -> Numbers:
    """A number for each of these lines, the same where the layout is: of its length and of where its quotation marks are."""
    first = (until - counts)[rows]
    sums = np.concatenate(([0], np.cumsum(quotes)))
    total = sums[until[rows]] - sums[first] - counts[rows] * begins[rows]
    figures = [total, lengths[rows], *(quotes[first + counts[rows] * part // 4] - begins[rows] for part in (1, 2, 3))]
    found = np.zeros(len(rows), np.uint64)
    for figure, factor in zip(figures, _FACTORS, strict=True):
        found = (found ^ figure.astype(np.uint64)) * factor
    return found


def _text_numbers(item: object) -> Sequence[int | None] | None:
    """The numbers of the texts of an item; of the first two alone where some others are no texts, None where these are none."""
    if not isinstance(item, dict):
        return None
    first = _numbers_in(item, TEXT_ATTRIBUTES[:2])
    if first is None or None in first:
        return None
    data = item.get("data")
    more = _numbers_in(item, TEXT_ATTRIBUTES[2:])
    inner = _numbers_in(data["M"], TEXT_DATA) if isinstance(data, dict) and data.keys() == {"M"} else None
    return first if more is None or inner is None else [*first, *more, *inner]


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
