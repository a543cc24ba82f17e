"""How Dagster's pages are written: plain text in cells, tables of bounded size. What must not live here: what a page is about.

Of all kinds of metadata, Dagster shows text, numbers and tables at once; longer Markdown, JSON and schemas open with a click.
Cells are shown as they are, never as HTML or Markdown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import quote

import dagster as dg

from phase5_ops.text import printable

MOST_ROWS = 50
_LONGEST_CELL, _LONGEST_PARAGRAPH = 240, 600  # characters; in a table of Markdown, long texts wrap
_ENDLESS_WORD = re.compile(r"(\w{60})\w{12,}")  # a digest of 64 digits stays whole; an address can be broken at its slashes
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$:@]|(?<=www)\.)")  # a colon, an at sign and `www.` make links of their own
_NOT_IN_LINKS = "<>|\\"

# Dagster's column of values is as wide as the longest word in any of them; where that is beyond the window, all of them are cut.
# In a window of 1280 pixels it has room for so many characters of a text, and of a table with its lines:
LONGEST_LINE, _WIDEST_TABLE = 40, 44
_LONGEST_OF_CELL = 16  # characters of a word in a table
_MOST_IN_ALSO = 4  # columns; with more, a row would be as high as the page
_AROUND_CELL = 2  # characters that the lines around a cell take
_BREAK_IN_CELL = "\u200b"  # where a browser may begin another line; shown as nothing
_ENDS_PIECE = re.compile(r"(?<=[/:.,=_@&?-])(?=[^/:.,=_@&?-])")
_ALSO = "also"
_KEPT = 4096  # texts of cells that are kept as they are shown: many rows have the same
_OPENS_WITH_A_CLICK = 1000  # characters of Markdown; see docs/dagster-ui.md


@lru_cache(_KEPT)
def in_cell(text: str, longest: int = _LONGEST_CELL) -> str:
    """The text on one line; cut where it is longer than a cell should be, and words that no line could hold are cut, too."""
    line = _ENDLESS_WORD.sub(r"\1…", printable(" ".join(text.split())))
    return line if len(line) <= longest else f"{line[:longest]}… ({len(line):,} characters)"


def in_markdown(text: str) -> str:
    """The text as Markdown that shows it as it is, on one line."""
    return escaped(in_cell(text, _LONGEST_PARAGRAPH))


def escaped(text: str) -> str:
    """Text of one line in which nothing is Markdown or HTML."""
    return _MARKUP.sub(r"\\\1", text)


def in_lines(text: str) -> str:
    """Text of one line as Markdown that shows it as it is; a longer word than the page has room for stands on several lines.

    Nothing that cannot be seen is put into the word, so that whoever copies a digest or an address sees what is to be taken out.
    """
    return " ".join("  \n".join(map(_begun, _lines_of(word))) for word in text.split(" "))


def _lines_of(word: str) -> list[str]:
    """The parts of a word; an address is broken behind its scheme, too: else its first part would become a link to elsewhere."""
    scheme, slashes, rest = word.partition("://")
    return [scheme + slashes, *in_pieces(rest)] if slashes and len(word) > LONGEST_LINE else in_pieces(word)


def _begun(piece: str) -> str:
    """A part of a word as Markdown; at the beginning of a line, dashes and equals signs are no rule under a heading."""
    text = escaped(piece)
    return f"\\{text}" if text[:1] in ("-", "=") else text


def in_pieces(word: str, longest: int = LONGEST_LINE) -> list[str]:
    """The word in parts of at most so many characters, if possible broken where it has a sign."""
    parts = (part[start : start + longest] for part in _ENDS_PIECE.split(word) for start in range(0, len(part), longest))
    pieces: list[str] = []
    for part in parts:
        if pieces and len(pieces[-1]) + len(part) <= longest:
            pieces[-1] += part
        else:
            pieces.append(part)
    return pieces or [word]


def linked(text: str, url: str | None) -> str:
    """The text as Markdown, linked where there is an address of the web."""
    if url is None or not url.startswith(("https://", "http://")):
        return in_markdown(text)
    return f"[{in_markdown(text)}](<{_target(url)}>)"


def _target(url: str) -> str:
    """The address as Markdown takes it between angle brackets."""
    return "".join(quote(char) if char in _NOT_IN_LINKS or char.isspace() else char for char in url)


def wide(markdown: str) -> dg.MetadataValue:
    """Markdown with a table that is wider than a page: it opens with a click, however short it is."""
    return dg.MetadataValue.md(markdown.ljust(_OPENS_WITH_A_CLICK, "\n"))


def web_link(url: str) -> dg.MetadataValue:
    """An address of ours as a link; Dagster's own kind of link has no room for a long one."""
    return dg.MetadataValue.md(f"[{in_lines(url)}](<{_target(url)}>)" if url else "")


def listed(facts: Mapping[str, object]) -> dg.MetadataValue:
    """Facts, one a line; nothing of them is Markdown."""
    return dg.MetadataValue.md("\n".join(f"- {in_lines(printable(f'{name}: {value}'))}" for name, value in facts.items()))


def in_words(name: str) -> str:
    """A name of the code as a label that can be broken between its words."""
    return name.replace("_", " ").strip()


def table(columns: Sequence[dg.TableColumn], rows: Iterable[Mapping[str, str]]) -> dg.MetadataValue:
    """A table, shown at once; its link `Show schema` explains the columns. Cells that a row does not have are empty.

    The first columns, as many as a page has room for, are columns of their own; what the next ones have stands in a last one, in
    words. Further ones are left out.
    """
    cells = [{column.name: in_cell(row.get(column.name, "")) for column in columns} for row in rows]
    own, others = _that_fit(columns, cells)
    schema = [dg.TableColumn(in_words(each.name), each.type, each.description, each.constraints) for each in own]
    records = [{in_words(each.name): _breakable(row[each.name]) for each in own} for row in cells]
    if others:
        named = ", ".join(f"{in_words(each.name)} ({each.description})" for each in others)
        schema.append(dg.TableColumn(_ALSO, "str", f"what else the row has: {named}"))
        for record, row in zip(records, cells, strict=True):
            said = [f"{in_words(each.name)} {row[each.name]}" for each in others if row[each.name]]
            record[_ALSO] = _breakable("; ".join(said))
    return dg.MetadataValue.table(records=[dg.TableRecord(record) for record in records], schema=dg.TableSchema(schema))


def _that_fit(
    columns: Sequence[dg.TableColumn], rows: Sequence[Mapping[str, str]]
) -> tuple[Sequence[dg.TableColumn], Sequence[dg.TableColumn]]:
    """The first columns, as many as fit side by side, at least one; and those of which the last column tells in words."""
    widths = [max(map(_width, (in_words(each.name), *(row[each.name] for row in rows)))) for each in columns]
    for own in range(len(columns), 1, -1):
        others = slice(own, own + _MOST_IN_ALSO)
        if sum(widths[:own]) + max(widths[others], default=-1) + 1 <= _WIDEST_TABLE:  # 1 for the semicolon
            return columns[:own], columns[others]
    return columns[:1], columns[1 : 1 + _MOST_IN_ALSO]


def _width(text: str) -> int:
    """How many characters wide a cell with the text is at least."""
    words = _breakable(text).replace(_BREAK_IN_CELL, " ").replace("-", "- ").split()
    return _AROUND_CELL + max(map(len, words), default=0)


@lru_cache(_KEPT)
def _breakable(text: str) -> str:
    """The text with places where its longest words may be broken; in a cell, which has no lines, no other means is left."""
    return " ".join(
        word if len(word) <= _LONGEST_OF_CELL else _BREAK_IN_CELL.join(in_pieces(word, _LONGEST_OF_CELL))
        for word in text.split(" ")
    )
