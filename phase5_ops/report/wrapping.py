"""Lines that fit a width: wrapped between words, indents kept, addresses whole so that they can be opened. Pure."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells
from rich.text import Text

_ADDRESS = re.compile(r"\b(https?|s3)://|\.md(#|$)")  # also the path of a document
_NARROWEST = 8  # of a column: less would put every letter on a line of its own
_HANGING = 4  # columns
GAP = "  "


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, none wider than `width` columns of a terminal but those that hold one long address.

    A word that is too long otherwise is broken.
    """
    width = max(width, _NARROWEST)
    lines, line = [], ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        if cell_len(word) > width and not _ADDRESS.search(word):
            *full, line = chop_cells(word, width)
            lines += full
    return [*lines, line]


def labelled(label: str, text: str, width: int, *, indent: int = 0, label_width: int = 0) -> list[str]:
    """The lines of a text behind a label; from the second on they stand under the text."""
    before = label.ljust(label_width) + GAP if label or label_width else ""
    lines = wrapped(text, width - indent - cell_len(before))
    margin = " " * indent
    return [f"{margin}{before if n == 0 else ' ' * cell_len(before)}{line}".rstrip() for n, line in enumerate(lines)]


def hanging(text: str, width: int, *, indent: int = 0) -> list[str]:
    """The lines of a text; from the second on they stand further to the right, so that none looks like the next entry."""
    first, *rest = wrapped(text, width - indent - _HANGING)
    return [" " * indent + first, *(" " * (indent + _HANGING) + line for line in rest)]


def columns(cells: Sequence[tuple[str, int, str]], *, indent: int = 0) -> Iterator[Text]:
    """Cells (text, width, style) side by side; each is wrapped in its column, and a long address may leave the last."""
    wrapped_cells = [wrapped(text, width) for text, width, _ in cells]
    for parts in zip_longest(*wrapped_cells, fillvalue=""):
        line = Text(" " * indent)
        for n, (part, (_, width, style)) in enumerate(zip(parts, cells, strict=True)):
            line.append(part, style=style)
            if n < len(cells) - 1:
                line.append(" " * max(width - cell_len(part), 0) + GAP)
        line.rstrip()
        yield line
