"""Drawings as SVG, written shape by shape: drawing with a plotting library would take longer than all steps of a run around it.

Lengths are points (1/72 inch), measured from the upper left corner. Black stands for the text colour of the page that a drawing
is shown on. What must not live here: what a particular picture shows (`plot.py` of its section), scales (`panel.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from phase5_ops.text import printable

#: The text colour of the page.
INK = "currentColor"

#: Side of the square of which a hatching is made.
_TILE = 6
#: Hatching -> the lines of its tile, as an SVG path.
_HATCHINGS = {
    "//": "M-1 1L1 -1M0 6L6 0M5 7L7 5",
    "\\\\": "M-1 5L1 7M0 0L6 6M5 -1L7 1",
    "xx": "M0 6L6 0M0 0L6 6",
    "..": "M1.4 1.5h.2M4.4 4.5h.2",
    "--": "M0 3h6",
}
#: Form of a mark -> its outline for a size of 1, as an SVG path around the point 0, 0.
_OUTLINES = {
    "circle": "M-.5 0a.5 .5 0 1 0 1 0a.5 .5 0 1 0 -1 0z",
    "square": "M-.5 -.5h1v1h-1z",
    "diamond": "M0 -.68L.68 0L0 .68L-.68 0z",
    "cross": "M-.25 -.5L0 -.25L.25 -.5L.5 -.25L.25 0L.5 .25L.25 .5L0 .25L-.25 .5L-.5 .25L-.25 0L-.5 -.25z",
    "bar": "M-.06 -.5h.12v1h-.12z",
}
_WIDE, _NARROW = 1.0, 0.57  # of the size of the letters, as wide as most letters of a page's fonts are


@dataclass(frozen=True, slots=True)
class Fill:
    """A colour, and for who does not see it, a hatching: a key of `_HATCHINGS`, or none."""

    colour: str
    hatching: str = ""


@dataclass(frozen=True, slots=True)
class _Reference:
    """Stands among the texts of a drawing for the id of one of its hatchings."""

    number: int


class Drawing:
    """A picture of a table. `title` says what it shows; it stands on top."""

    def __init__(self, title: str, width: float, height: float, *, title_size: float = 11) -> None:
        self.title, self.width, self.height = title, width, height
        self._parts: list[str | _Reference] = []
        self._hatchings: dict[Fill, _Reference] = {}
        self.text(width / 2, 14, title, size=title_size, anchor="middle")

    def text(self, x: float, y: float, text: str, *, size: float = 8, anchor: str = "start", colour: str = INK) -> None:
        """Writes a line of text; y is its middle. `anchor`: start, middle or end of the text stands at x."""
        style = "" if colour == INK else f' style="fill:{colour}"'  # the page's style sheet gives texts its own colour
        said = escape(printable(text))
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y + 0.35 * size)}" font-size="{_n(size)}" text-anchor="{anchor}"{style}>{said}</text>'
        )

    def lines(
        self,
        ends: Iterable[tuple[float, float, float, float]],
        colour: str,
        *,
        width: float = 0.8,
        dashes: str = "",
        opacity: float = 1,
    ) -> None:
        """Draws straight lines, each from its first point to its second: (x, y, x, y)."""
        path = "".join(f"M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}" for x1, y1, x2, y2 in ends)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        faint = f' stroke-opacity="{_n(opacity)}"' if opacity < 1 else ""
        if path:
            self._parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"{dashed}{faint}/>')

    def rectangles(self, corners: Iterable[tuple[float, float, float, float]], fill: Fill, *, edge: str | None = None) -> None:
        """Fills rectangles, each given by two opposite corners: (x, y, x, y)."""
        path = "".join(f"M{_n(x1)} {_n(y1)}H{_n(x2)}V{_n(y2)}H{_n(x1)}z" for x1, y1, x2, y2 in corners)
        self._filled(path, fill, edge)

    def shape(self, points: Sequence[tuple[float, float]], fill: Fill) -> None:
        """Fills what a line through these points encloses."""
        self._filled(f"M{'L'.join(f'{_n(x)} {_n(y)}' for x, y in points)}z" if points else "", fill, None)

    def marks(
        self, points: Iterable[tuple[float, float]], form: str, colour: str, size: float, *, edge: str | None = None
    ) -> None:
        """Sets a mark at each point. `form`: a key of `_OUTLINES`."""
        around = f' stroke="{edge}" stroke-width="{_n(0.5 / size)}"' if edge else ""
        self._parts.extend(
            f'<path d="{_OUTLINES[form]}" transform="translate({_n(x)} {_n(y)})scale({_n(size)})" fill="{colour}"{around}/>'
            for x, y in points
        )

    def _filled(self, path: str, fill: Fill, edge: str | None) -> None:
        if not path:
            return
        around = f' stroke="{edge}" stroke-width=".5"' if edge else ""
        self._parts.append(f'<path d="{path}" fill="{fill.colour}"{around}/>')
        if fill.hatching:
            reference = self._hatchings.setdefault(fill, _Reference(len(self._hatchings)))
            self._parts += [f'<path d="{path}" fill="url(#', reference, ')"/>']

    def svg(self, name: str, label: str | None = None) -> str:
        """The drawing as an SVG element to be put into an HTML page; equal drawings give equal text.

        Args:
            name: makes its ids differ from those of other drawings in the page.
            label: says to who cannot see it what it is; default: the title.
        """
        return self._element(name, label or self.title, "", "")

    def image(self, name: str) -> str:
        """The drawing as an SVG document of its own, black on white."""
        size = f' width="{_n(self.width * 4 / 3)}" height="{_n(self.height * 4 / 3)}" font-family="sans-serif" color="black"'
        return self._element(name, self.title, size, '<path d="M0 0H9999V9999H0z" fill="white"/>')

    def _element(self, name: str, label: str, more: str, before: str) -> str:
        patterns = "".join(
            f'<pattern id="{name}-{reference.number}" width="{_TILE}" height="{_TILE}" patternUnits="userSpaceOnUse">'
            f'<path d="{_HATCHINGS[fill.hatching]}" fill="none" stroke="{_contrast(fill.colour)}" stroke-width="1"'
            ' stroke-linecap="round"/></pattern>'
            for fill, reference in self._hatchings.items()
        )
        shapes = "".join(part if isinstance(part, str) else f"{name}-{part.number}" for part in self._parts)
        return (
            f'<svg role="img" aria-label={quoteattr(printable(label))} xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {_n(self.width)} {_n(self.height)}"{more}>{f"<defs>{patterns}</defs>" if patterns else ""}'
            f'{before}<g fill="{INK}">{shapes}</g></svg>'
        )


def width_of(text: str, size: float) -> float:
    """About how wide a text is; the fonts of a page are not known before it is shown."""
    return size * sum(_WIDE if east_asian_width(char) in "FW" else _NARROW for char in text)


def _contrast(colour: str) -> str:
    """White on dark colours, dark on light ones."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#ffffff" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.75 * 255 else "#5a5a5a"


def _n(number: float) -> str:
    """A number of an SVG attribute, to a hundredth of a point."""
    text = f"{number:.2f}"
    return text[:-3] if text.endswith("00") else text
