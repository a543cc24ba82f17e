"""A Markdown file as GitHub shows it, cut at its headings and explicit anchors. Pure.

The file is rendered (CommonMark with tables and strikethrough) and the HTML walked, so that headings and text are recognized
however they are written: `## Title`, underlined, `<h2>Title</h2>` in a block or within a paragraph. An anchor is any element's
`id` and an `a`'s `name`. Body text is kept as units: paragraphs, list items, table cells, lines of code. Not body text: comments,
scripts and styles, table heads, what is struck out. What must not live here: what a section must say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"<!--(?:>|->|.*?(?:--!?>|\Z))", re.DOTALL)
_LINE_MARK = "phase5-line"  # an element put before every block: where in the file it stands
_MARKED = frozenset({"heading_open", "paragraph_open", "html_block", "table_open"})
_HEADING = re.compile(r"h[1-6]")
_HIDDEN = frozenset({"script", "style", "template", "thead", "th", "s", "del", "strike"})
_BREAKING = frozenset(
    {
        "p",
        "li",
        "td",
        "tr",
        "div",
        "pre",
        "blockquote",
        "br",
        "hr",
        "dt",
        "dd",
        "summary",
        "details",
        "ul",
        "ol",
        "table",
        "section",
    }
)


@dataclass(slots=True)
class Section:
    """What begins at a heading (kind `heading`) or explicit anchor (`anchor`, level None) and ends before the next of either.

    Attributes:
        title: text of the heading; of an anchor within a heading, that heading's; of any other anchor "".
        anchor: the explicit anchor's name; "" for a heading, whose anchor is made from its title.
        line: 1-based.
        units: body text, a paragraph, list item, table cell, image text or line of code each.
        labels: headings of collapsible parts (`summary`).
        images: pictures without a text.
    """

    kind: str
    level: int | None
    title: str
    anchor: str
    line: int
    units: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    images: int = 0


def markdown_sections(text: str) -> list[Section]:
    """The sections of a Markdown text, in its order; text before the first section is left out."""
    without_front_matter = _FRONT_MATTER.sub(lambda match: "\n" * match.group().count("\n"), text, count=1)
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    env: dict[str, object] = {}
    tokens = markdown.parse(without_front_matter, env)
    html = str(markdown.renderer.render(_with_line_marks(tokens), markdown.options, env))
    walker = _Walker()
    walker.feed(_COMMENT.sub(lambda match: "\n" * match.group().count("\n"), html))
    walker.close()
    walker.end()
    return walker.sections


def _with_line_marks(tokens: Sequence[Token]) -> list[Token]:
    marked: list[Token] = []
    for token in tokens:
        if token.type in _MARKED and token.map:
            marked.append(Token("html_block", "", 0, content=f'<{_LINE_MARK} n="{token.map[0] + 1}">'))
        marked.append(token)
    return marked


class _Walker(HTMLParser):
    """Collects the sections of rendered HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections: list[Section] = []
        self._hidden: list[str] = []
        self._heading: Section | None = None
        self._anchors: list[Section] = []  # of the open heading
        self._unit: list[str] = []
        self._base, self._mark = 1, 1  # line of the file where the last marked block begins, and of the HTML

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A line mark, a heading, a picture, or the end of a unit; and the anchors of any element."""
        if tag == _LINE_MARK:
            number = dict(attrs).get("n") or ""
            if number.isdecimal() and len(number) < 10:  # noqa: PLR2004 - one of ours, not one that the file's author wrote
                self._base, self._mark = int(number), self.getpos()[0]
            return
        if _HEADING.fullmatch(tag):
            self._end_heading()
            self._end_unit()
            self._heading = Section("heading", int(tag[1]), "", "", self._line())
            self.sections.append(self._heading)
        elif tag in _BREAKING:
            self._end_unit()
        for name in dict.fromkeys(value for key, value in attrs if value and (key == "id" or (key == "name" and tag == "a"))):
            self._add_anchor(name)
        if tag == "img" and not self._hidden and self._heading is None:
            self._add_picture((dict(attrs).get("alt") or "").strip())
        if tag in _HIDDEN:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The end of a heading, of a unit, or of what is not shown."""
        if _HEADING.fullmatch(tag):
            self._end_heading()
        elif tag in _BREAKING:
            self._end_unit(label=tag == "summary")
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Text of a heading, however it is formatted, or of the body."""
        if self._heading is not None:
            if not {"script", "style", "template"} & set(self._hidden):
                self._heading.title += data
        elif not self._hidden:
            self._unit.append(data)

    def end(self) -> None:
        """Ends what the text left open."""
        self._end_heading()
        self._end_unit()

    def _line(self) -> int:
        return self._base + self.getpos()[0] - self._mark

    def _add_anchor(self, name: str) -> None:
        """Text before an anchor belongs to the section above it, text after it to the anchor."""
        anchor = Section("anchor", None, "", name, self._line())
        if self._heading is not None:
            self._anchors.append(anchor)
        else:
            self._end_unit()
            self.sections.append(anchor)

    def _add_picture(self, text: str) -> None:
        if text:
            self._end_unit()
            self._unit.append(text)
            self._end_unit()
        elif self.sections:
            self.sections[-1].images += 1

    def _end_heading(self) -> None:
        if self._heading is not None:
            self._heading.title = self._heading.title.replace("\n", " ").strip()
            for anchor in self._anchors:
                anchor.title = self._heading.title
            self.sections += self._anchors
            self._heading, self._anchors = None, []

    def _end_unit(self, *, label: bool = False) -> None:
        text, self._unit = "".join(self._unit), []
        if self._heading is None and self.sections and text.strip():
            (self.sections[-1].labels if label else self.sections[-1].units).append(text)
