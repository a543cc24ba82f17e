"""Panels of a drawing: scales, axes, names of lines and legends, and colours that are seen on white and on black.

What must not live here: what a particular picture shows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from math import ceil, floor, log10

from phase5_ops.evidence.drawing import Drawing, Fill, width_of
from phase5_ops.text import printable

#: Each has a contrast of at least 3 : 1 on white and on the dark page; what differs in colour also differs in form or in words.
BLUE, ORANGE, RED, GREEN, PURPLE, GREY = "#3b82c4", "#c77400", "#d1495b", "#2f8f5b", "#8c6bb1", "#76838f"

_LONGEST_NAME = 28
_TICK = 3  # points that a tick stands out
_BETWEEN_ENTRIES = 14  # points between two entries of a legend
_BETWEEN_LINES = 4  # points between two lines of a legend
_KEY = 16  # points that the key of an entry and its gap take
_ROUND = (1, 2, 2.5, 5, 10, 20, 50)
_SPANS = (
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 4, 7, 14, 28, 56, 112, 364)),
)
_SEASON, _YEAR = timedelta(days=112), timedelta(days=364)  # whole weeks
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_NEARLY = 1e-9


def label(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name from outside as a picture writes it: in one line, shortened in the middle."""
    plain = printable(name)
    if len(plain) > longest:
        plain = f"{plain[: longest // 2]}…{plain[len(plain) - (longest - longest // 2 - 1) :]}"
    return plain


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle of a drawing with scales of its own.

    Attributes:
        drawing: whose part it is.
        left, top, width, height: where it is, in points.
        across: values at its left and at its right edge.
        down: values at its upper and at its lower edge.
    """

    drawing: Drawing
    left: float
    top: float
    width: float
    height: float
    across: tuple[float, float] = (0, 1)
    down: tuple[float, float] = (0, 1)

    @property
    def right(self) -> float:
        """Where it ends on the right, in points."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below, in points."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Where a value stands between left and right, in points."""
        first, last = self.across
        return self.left + self.width * (value - first) / (last - first)

    def y(self, value: float) -> float:
        """Where a value stands between top and bottom, in points."""
        first, last = self.down
        return self.top + self.height * (value - first) / (last - first)

    def bars(self, bars: Iterable[tuple[float, float, float, float]], fill: Fill, *, edge: str | None = None) -> None:
        """Fills rectangles that are given by values: (left, upper, right, lower)."""
        corners = ((self.x(x1), self.y(y1), self.x(x2), self.y(y2)) for x1, y1, x2, y2 in bars)
        self.drawing.rectangles(corners, fill, edge=edge)

    def title(self, text: str, size: float = 9) -> None:
        """Writes a title above the panel."""
        self.drawing.text(self.left + self.width / 2, self.top - size + 2, text, size=size, anchor="middle")

    def edges(self, *sides: str) -> None:
        """Draws these sides of the panel: left, bottom."""
        ends = {
            "left": (self.left, self.top, self.left, self.bottom),
            "bottom": (self.left, self.bottom, self.right, self.bottom),
        }
        self.drawing.lines((ends[side] for side in sides), GREY)

    def names(self, names: Sequence[str]) -> None:
        """Writes the name of each line left of the panel; line 0 is the value 0 of `down`."""
        for line, name in enumerate(names):
            self.drawing.text(self.left - 4.5, self.y(line), name, anchor="end")

    def ticks_below(self, ticks: Iterable[tuple[float, str]], *, grid: bool = False) -> None:
        """Marks values below the panel, each with its text; with `grid`, a line through the panel for each."""
        there = [(self.x(value), text) for value, text in ticks]
        if grid:
            self.drawing.lines(((x, self.top, x, self.bottom) for x, _ in there), GREY, width=0.5, opacity=0.3)
        self.drawing.lines(((x, self.bottom, x, self.bottom + _TICK) for x, _ in there), GREY)
        for x, text in there:
            self.drawing.text(x, self.bottom + 9, text, anchor="middle")

    def ticks_left(self, ticks: Iterable[tuple[float, str]], *, grid: bool = False) -> None:
        """Marks values left of the panel, each with its text; with `grid`, a line through the panel for each."""
        there = [(self.y(value), text) for value, text in ticks]
        if grid:
            self.drawing.lines(((self.left, y, self.right, y) for y, _ in there), GREY, width=0.5, opacity=0.3)
        self.drawing.lines(((self.left - _TICK, y, self.left, y) for y, _ in there), GREY)
        for y, text in there:
            self.drawing.text(self.left - _TICK - 2, y, text, anchor="end")


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """An entry of a legend: its text, and either a filled field or the form of a mark in a colour."""

    text: str
    fill: Fill
    form: str = ""
    edge: str | None = None


def legend(drawing: Drawing, entries: Sequence[LegendEntry], middle: float, y: float, *, width: float, size: float = 8) -> None:
    """Writes a legend around `middle`, from y downwards, in as many lines as a width of so many points needs."""
    for number, line in enumerate(legend_lines(entries, width, size)):
        x, at = middle - _wide(line, size) / 2, y + number * (size + _BETWEEN_LINES)
        for entry in line:
            if entry.form:
                drawing.marks([(x + 6, at)], entry.form, entry.fill.colour, size)
            else:
                drawing.rectangles([(x, at - size * 0.4, x + 12, at + size * 0.4)], entry.fill, edge=entry.edge)
            drawing.text(x + _KEY, at, entry.text, size=size)
            x += _wide([entry], size) + _BETWEEN_ENTRIES


def legend_height(entries: Sequence[LegendEntry], width: float, size: float = 8) -> float:
    """How high a legend is, in points."""
    return len(legend_lines(entries, width, size)) * (size + _BETWEEN_LINES)


def legend_lines(entries: Sequence[LegendEntry], width: float, size: float) -> list[list[LegendEntry]]:
    """The entries of each line of a legend that has a width of so many points."""
    lines: list[list[LegendEntry]] = []
    for entry in entries:
        if lines and _wide([*lines[-1], entry], size) <= width:
            lines[-1].append(entry)
        else:
            lines.append([entry])
    return lines


def _wide(entries: Sequence[LegendEntry], size: float) -> float:
    return sum(_KEY + width_of(entry.text, size) for entry in entries) + _BETWEEN_ENTRIES * (len(entries) - 1)


def round_numbers(first: float, last: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers from the first to the last at equal distances, at most so many (3 or more); with `whole`, only whole ones."""
    if not last > first:
        return [first]
    unit = 10.0 ** floor(log10((last - first) / most))
    unit = max(unit, 1.0) if whole else unit
    for size in _ROUND:
        numbers = _multiples(first, last, size * unit)
        if len(numbers) <= most and (not whole or (size * unit).is_integer()):
            break
    return [number * size * unit for number in numbers]


def _multiples(first: float, last: float, step: float) -> range:
    """How often the step must be taken for each of its multiples from the first to the last."""
    return range(ceil(first / step - _NEARLY), floor(last / step + _NEARLY) + 1)


def number_text(number: float) -> str:
    """A round number as an axis has it."""
    return f"{number:,.6g}" if abs(number) < 1e6 else f"{number:.4g}"  # noqa: PLR2004 - more digits have no room


def moments(first: datetime, last: datetime, most: int) -> list[tuple[datetime, str]]:
    """Round moments between two others in UTC, at most so many, each as an axis has it: the day at midnight, else the time."""
    start = (first - _MONDAY).total_seconds(), (last - _MONDAY).total_seconds()
    years = (_YEAR * number for number in count(2))
    step = next(step for step in chain(_SPANS, years) if len(_multiples(*start, step.total_seconds())) <= most)
    found = []
    for number in _multiples(*start, step.total_seconds()):
        at = _MONDAY + number * step
        day = f"{at:%Y-%m-%d}" if step >= _SEASON else f"{at:%b} {at.day}"
        found.append((at, day if at.time() == datetime.min.time() else f"{at:%H:%M}"))
    return found
