"""Pictures of evidence: colours that are seen on white and on black, names that fit, and a picture as SVG for a page.

Black stands for the text colour of the page that the picture is shown on. What must not live here: what a particular picture
shows.
"""

import re
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from phase5_ops.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure  # a second of import time that a command without pictures does not need

#: Each has a contrast of at least 3 : 1 on white and on the dark page; what differs in colour also differs in form or in words.
BLUE, ORANGE, RED, GREEN, PURPLE, GREY = "#3b82c4", "#c77400", "#d1495b", "#2f8f5b", "#8c6bb1", "#76838f"

_LONGEST_NAME = 28
_IDENTIFIER = re.compile(r'(?<= id=")([^"]+)(?=")|(?<=url\(#)([^)]+)(?=\))|(?<=href="#)([^"]+)(?=")')
_LEFT_OUT = re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", re.DOTALL)
_SIZE = re.compile(r'(<svg\b[^>]*?) width="[^"]*pt" height="[^"]*pt"')


def label(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name from outside as a picture writes it: in one line, shortened in the middle, a dollar sign no formula."""
    plain = printable(name)
    if len(plain) > longest:
        plain = f"{plain[: longest // 2]}…{plain[len(plain) - (longest - longest // 2 - 1) :]}"
    plain = plain.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain  # matplotlib leaves such a name out of a legend


def name_lines(axes: "Axes", names: Sequence[str]) -> None:
    """Writes the name of each line left of the axes, the first one on top; ticks would take much longer to draw."""
    gap = -0.06 * axes.figure.dpi / axes.bbox.width  # of the axes' width; 0.06 inches
    for line, name in enumerate(names):
        axes.text(gap, line, name, transform=axes.get_yaxis_transform(), fontsize=8, ha="right", va="center")
    if names:
        axes.set_ylim(len(names) - 0.5, -0.5)
    axes.yaxis.set_visible(False)
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def as_svg(figure: "Figure", name: str) -> str:
    """The picture as an SVG element to be put into an HTML page; equal pictures give equal text.

    Text stays text. `name` makes its ids differ from those of other pictures in the page.
    """
    from matplotlib import rc_context

    text = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    drawn = text.getvalue()
    drawn = _LEFT_OUT.sub("", drawn[drawn.index("<svg") :])
    drawn = _SIZE.sub(r"\1", drawn, count=1)
    drawn = _IDENTIFIER.sub(lambda found: f"{name}-{found[0]}", drawn)
    return drawn.replace("#000000", "currentColor").strip()
