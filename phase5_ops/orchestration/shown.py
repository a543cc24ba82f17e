"""How Dagster's pages are written: plain text in cells, tables of bounded size. What must not live here: what a page is about.

Of all kinds of metadata, Dagster shows text, numbers and tables at once; longer Markdown, JSON and schemas open with a click.
Cells are shown as they are, never as HTML or Markdown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

import dagster as dg

from phase5_ops.text import printable

MOST_ROWS = 50
_LONGEST_CELL, _LONGEST_PARAGRAPH = 240, 600  # characters; in a table of Markdown, long texts wrap
_ENDLESS_WORD = re.compile(r"(\w{60})\w{12,}")  # a digest of 64 digits stays whole; an address can be broken at its slashes
_MARKDOWN = "\\`*_[]<>|#~&$:"  # the last one keeps an address in a text from becoming a link
_NOT_IN_LINKS = "<>|\\"


def in_cell(text: str, longest: int = _LONGEST_CELL) -> str:
    """The text on one line; cut where it is longer than a cell should be, and words that no line could hold are cut, too."""
    line = _ENDLESS_WORD.sub(r"\1…", printable(" ".join(text.split())))
    return line if len(line) <= longest else f"{line[:longest]}… ({len(line):,} characters)"


def in_markdown(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return "".join(f"\\{char}" if char in _MARKDOWN else char for char in in_cell(text, _LONGEST_PARAGRAPH))


def linked(text: str, url: str | None) -> str:
    """The text as Markdown, linked where there is an address of the web."""
    if url is None or not url.startswith(("https://", "http://")):
        return in_markdown(text)
    return f"[{in_markdown(text)}](<{''.join(quote(char) if char in _NOT_IN_LINKS or char.isspace() else char for char in url)}>)"


def table(columns: Sequence[dg.TableColumn], rows: Iterable[Mapping[str, str]]) -> dg.MetadataValue:
    """A table, shown at once; its link `Show schema` explains the columns. Cells that a row does not have are empty."""
    names = [column.name for column in columns]
    records = [dg.TableRecord({name: in_cell(row.get(name, "")) for name in names}) for row in rows]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(list(columns)))
