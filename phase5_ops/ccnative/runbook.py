"""The operator runbook: its sections and GitHub anchors, and what can be wrong with an anchor.

The platform's alarms and breakers send people to sections of one Markdown file. This module parses that file the way GitHub
shows it (CommonMark with tables; heading anchors by GitHub's rules; explicit `<a id>`, `<a name>` and `id` attributes), and holds
the findings that checklist rows 1.3 and 2.2 share. Pure: the text is read by `aws/runbook_source.py`.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pandera.pandas as pa
from markdown_it import MarkdownIt
from markdown_it.token import Token

from phase5_ops.reads import READS_MISSING, Read, ReadStatus, attach, reads_of
from phase5_ops.verdict import Finding, FindingCode, Verdict

RUNBOOK_UNREADABLE = FindingCode(
    "runbook_unreadable",
    Verdict.FAIL,
    "The runbook is not where the settings say (FAIL), or it could not be read or understood (ERROR).",
    "Set PHASE5_RUNBOOK to the path, URL or s3:// location of the Markdown file, and let this process read it.",
    also=(Verdict.ERROR,),
)
RUNBOOK_ANCHOR_MISSING = FindingCode(
    "runbook_anchor_missing",
    Verdict.FAIL,
    "The runbook has no heading or explicit anchor of the name that people are sent to.",
    'Add the section, or an <a id="..."></a> before it, or correct the anchor in the policy or the alarm description.',
)
RUNBOOK_SECTION_EMPTY = FindingCode(
    "runbook_section_empty",
    Verdict.FAIL,
    "The runbook section is there and says nothing (no text, or only a placeholder such as TODO).",
    "Write what the operator has to do.",
)
CODES = (RUNBOOK_UNREADABLE, RUNBOOK_ANCHOR_MISSING, RUNBOOK_SECTION_EMPTY)

#: One row per heading (kind `heading`) and per explicit anchor (kind `anchor`, level null), in the order of the file.
SCHEMA = pa.DataFrameSchema(
    {
        "kind": pa.Column(str, pa.Check.isin(["heading", "anchor"])),
        "level": pa.Column("Int64", nullable=True),  # 1-6
        "title": pa.Column(str),  # text of the heading, or of the section that the anchor leads to
        "anchor": pa.Column(str),  # what follows # in a link
        "line": pa.Column("Int64"),  # 1-based
        "words": pa.Column("Int64"),  # words of body text up to the next heading of the same or a higher level
        "has_content": pa.Column(bool),  # words that are not only a placeholder
    },
    strict=True,
    coerce=True,
)

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_PUNCTUATION = ".,:;!?()[]*-\u2013\u2014\u2026"
_PLACEHOLDERS = frozenset(
    {"", "todo", "tbd", "tba", "fixme", "wip", "n/a", "placeholder", "coming", "soon", "to", "be", "done", "written"}
)
_TEXT = frozenset({"text", "code_inline", "softbreak", "hardbreak"})


@dataclass(slots=True)
class _Section:
    """A heading or explicit anchor while the file is walked; `text` collects the body below it."""

    kind: str
    level: int | None
    title: str
    anchor: str
    line: int
    text: list[str] = field(default_factory=list)


class _Html(HTMLParser):
    """The anchors and the visible text of raw HTML inside Markdown; comments are neither."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Any element's `id` is an anchor, and the `name` of an `a`."""
        for key, value in attrs:
            if value and (key == "id" or (key == "name" and tag == "a")) and value not in self.anchors:
                self.anchors.append(value)

    def handle_data(self, data: str) -> None:
        """Visible text."""
        self.text.append(data)


def slug(title: str) -> str:
    """GitHub's anchor of a heading: lower case; letters, marks, digits, `_` and `-` kept; spaces to `-`; the rest left out."""

    def kept(char: str) -> bool:
        return char in " -" or unicodedata.category(char)[0] in "LM" or unicodedata.category(char) in ("Nd", "Nl", "Pc")

    return "".join(char for char in title.strip().lower() if kept(char)).replace(" ", "-")


class _Slugs:
    """Anchors in the order of the file: a repeated heading gets -1, -2, ..."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def next(self, title: str) -> str:
        """The anchor of the next heading."""
        base = anchor = slug(title)
        while anchor in self._seen:
            self._seen[base] += 1
            anchor = f"{base}-{self._seen[base]}"
        self._seen[anchor] = 0
        return anchor


def parse(text: str) -> pd.DataFrame:
    """The sections of a runbook; columns see `SCHEMA`. Text without headings or anchors gives an empty table."""
    without_front_matter = _FRONT_MATTER.sub(lambda match: "\n" * match.group().count("\n"), text, count=1)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(without_front_matter)
    sections = _sections(tokens)
    rows = []
    for index, section in enumerate(sections):
        title, words = _below(sections, index)
        rows.append(
            {
                "kind": section.kind,
                "level": section.level,
                "title": title,
                "anchor": section.anchor,
                "line": section.line,
                "words": len(words),
                "has_content": any(word.strip(_PUNCTUATION).lower() not in _PLACEHOLDERS for word in words),
            }
        )
    return _table(rows)


def _table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    return SCHEMA.validate(pd.DataFrame(rows, columns=list(SCHEMA.columns)))


def _sections(tokens: Sequence[Token]) -> list[_Section]:
    slugs = _Slugs()
    sections: list[_Section] = []
    for index, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "heading_open":
            title = _visible(tokens[index + 1])
            sections.append(_Section("heading", int(token.tag[1]), title, slugs.next(title), line))
            sections.extend(_Section("anchor", None, title, anchor, line) for anchor in _inline_anchors(tokens[index + 1]))
        elif token.type == "inline" and tokens[index - 1].type != "heading_open":
            _add_inline(sections, token, line)
        elif token.type == "html_block":
            html = _Html(token.content)
            sections.extend(_Section("anchor", None, "", anchor, line) for anchor in html.anchors)
            _add_text(sections, " ".join(html.text))
        elif token.type in ("fence", "code_block"):
            _add_text(sections, token.content)
    return sections


def _add_text(sections: list[_Section], text: str) -> None:
    if sections and text.strip():
        sections[-1].text.append(text)


def _add_inline(sections: list[_Section], inline: Token, line: int) -> None:
    """Text before an anchor belongs to the section above it, text after it to the anchor."""
    for child in inline.children or []:
        if child.type == "html_inline":
            sections.extend(_Section("anchor", None, "", anchor, line) for anchor in _Html(child.content).anchors)
        elif child.type == "image":
            _add_text(sections, child.content or "image")
        else:
            _add_text(sections, child.content)


def _visible(heading: Token) -> str:
    """Text of a heading without markup, images and raw HTML, which is what its anchor is made of."""
    parts = (
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in heading.children or []
        if child.type in _TEXT
    )
    return "".join(parts).strip()


def _inline_anchors(inline: Token) -> Iterator[str]:
    for child in inline.children or []:
        if child.type == "html_inline":
            yield from _Html(child.content).anchors


def _below(sections: Sequence[_Section], index: int) -> tuple[str, list[str]]:
    """Title and words of the section that starts at `index`.

    A heading's section ends before the next heading of the same or a higher level; the titles of its subsections are not content.
    An explicit anchor with nothing between it and the next heading leads to that heading, otherwise to the rest of its section.
    """
    section = sections[index]
    if section.kind == "anchor" and not section.title and not section.text:
        following = next((i for i in range(index + 1, len(sections)) if sections[i].text or sections[i].kind == "heading"), None)
        if following is not None:
            return _below(sections, following)
    level = section.level or next((s.level for s in reversed(sections[:index]) if s.level), 1)
    words = " ".join(section.text).split()
    for later in sections[index + 1 :]:
        if later.level is not None and later.level <= level:
            break
        words.extend(" ".join(later.text).split())
    own_heading = next((s.title for s in reversed(sections[: index + 1]) if s.kind == "heading"), "")
    return section.title or own_heading, words


def runbook_table(text: str | None, read: Read, *, location: str, url: str | None, observed_at: datetime) -> pd.DataFrame:
    """The evidence table `runbook`; empty where nothing could be read.

    Args:
        text: the Markdown, or None where the read did not succeed.
        read: how it was read.
        location: the setting `runbook` (path, URL or s3:// location); kept in `attrs["location"]`.
        url: the address people open, if there is one; kept in `attrs["url"]`.
        observed_at: when it was read.
    """
    table = parse(text) if text is not None else _table([])
    table.attrs["location"] = location
    table.attrs["url"] = url
    return attach(table, [read], observed_at)


def link_to(table: pd.DataFrame, anchor: str) -> str | None:
    """The address of a section, or None where the runbook has no address that people can open."""
    url = table.attrs.get("url")
    return f"{str(url).split('#', 1)[0]}#{anchor.lstrip('#')}" if url else None


def unreadable_findings(table: pd.DataFrame) -> list[Finding]:
    """Empty if the runbook was read whole; otherwise why not: FAIL where it does not exist, ERROR where access failed."""
    location = str(table.attrs.get("location", "runbook"))
    reads = reads_of(table)
    if not reads:
        return [READS_MISSING.at(location, expected="how the runbook was read", seen="no reads recorded")]
    return [
        RUNBOOK_UNREADABLE.at(
            location,
            expected="a readable Markdown file",
            seen=f"{read.status}: {read.error or 'no details'}",
            verdict=Verdict.FAIL if read.status is ReadStatus.NOT_FOUND else Verdict.ERROR,
        )
        for read in reads
        if read.status is not ReadStatus.OK
    ]


def anchor_name(fragment: str) -> str:
    """An anchor as the table names it, from a link's fragment: with or without `#`, percent-encoded or not."""
    return unquote(fragment).lstrip("#").removeprefix("user-content-")


def anchor_findings(table: pd.DataFrame, anchor: str, *, subject: str | None = None) -> list[Finding]:
    """What is wrong with one anchor of the runbook; empty if it resolves to a section with content.

    Args:
        table: the evidence table `runbook`.
        anchor: the fragment, with or without `#`, percent-encoded or not.
        subject: who sends people there (an alarm, a connector); default: the runbook with the anchor.
    """
    unreadable = unreadable_findings(table)
    if unreadable:
        return unreadable
    wanted = anchor_name(anchor)
    name = subject or f"{table.attrs.get('location', 'runbook')}#{wanted}"
    rows = table[table["anchor"] == wanted]
    if rows.empty:
        return [
            RUNBOOK_ANCHOR_MISSING.at(
                name, expected=f"a section with the anchor #{wanted}", seen=_anchors_seen(table), link=table.attrs.get("url")
            )
        ]
    first = rows.iloc[0]
    if not first["has_content"]:
        return [
            RUNBOOK_SECTION_EMPTY.at(
                name,
                expected=f"instructions under #{wanted}",
                seen=f"section {first['title']!r} (line {first['line']}) has no content",
                link=link_to(table, wanted),
            )
        ]
    return []


def _anchors_seen(table: pd.DataFrame, limit: int = 8) -> str:
    anchors = [f"#{anchor}" for anchor in table["anchor"]]
    if not anchors:
        return "no heading at all"
    more = f" and {len(anchors) - limit} more" if len(anchors) > limit else ""
    return "only " + ", ".join(anchors[:limit]) + more
