"""The operator runbook: its sections and GitHub anchors, and what can be wrong with an anchor.

The platform's alarms and breakers send people to sections of one Markdown file. This module makes the table of its sections
(heading anchors by GitHub's rules; how the file is cut: `markdown_sections`) and holds the findings that checklist rows 1.3 and
2.2 share. Pure: the text is read by `aws/runbook_source.py`.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import unquote

from phase5_ops.ccnative.disclaimers import disowning, says_something, sentences
from phase5_ops.ccnative.markdown_sections import Section, markdown_sections
from phase5_ops.ccnative.placeholders import says_nothing, visible
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.reads import Read, ReadCode, ReadStatus
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Verdict


class RunbookCode(FindingCodes):
    """What can be wrong with the runbook and one section of it."""

    RUNBOOK_UNREADABLE = FindingCode(
        Verdict.FAIL,
        "The runbook is not where the settings say (FAIL), or it could not be read or understood (ERROR).",
        "Set PHASE5_RUNBOOK to the path, URL or s3:// location of the Markdown file, and let this process read it.",
        also=(Verdict.ERROR,),
    )
    RUNBOOK_ANCHOR_MISSING = FindingCode(
        Verdict.FAIL,
        "The runbook has no heading or explicit anchor of the name that people are sent to.",
        'Add the section, or an <a id="..."></a> before it, or correct the anchor in the policy or the alarm description.',
    )
    RUNBOOK_SECTION_EMPTY = FindingCode(
        Verdict.FAIL,
        "The runbook section is there and says nothing (no text, or only that it will be written: TODO, work in progress, ...).",
        "Write what the operator has to do.",
    )
    RUNBOOK_SECTION_DISOWNED = FindingCode(
        Verdict.FAIL,
        "The runbook section says of itself that it must not be used (deprecated, do not use, superseded, ...).",
        "Bring the section up to date, or send people to the one that holds.",
    )


@dataclass(frozen=True, slots=True)
class RunbookSection:
    """One row of `runbook`: a heading, or an explicit anchor, in the order of the file."""

    kind: Annotated[str, "what it is", Column(among=("heading", "anchor"))]
    level: Annotated[int | None, "1-6; null for an anchor"]
    title: Annotated[str, "text of the heading, or of the section that the anchor leads to"]
    anchor: Annotated[str, "what follows # in a link"]
    line: Annotated[int, "1-based", Column(dtype="Int64")]
    words: Annotated[int, "number of words up to the next heading of the same or a higher level", Column(dtype="Int64")]
    has_content: Annotated[bool, "a picture, or words that are not only a placeholder"]
    disowned: Annotated[str, 'the sentence by which the section says that it must not be used; "" for none']


@dataclass(frozen=True, slots=True)
class RunbookFacts:
    """`location`: the setting `runbook` (path, URL or s3:// location). `url`: the address people open, if there is one."""

    location: str = "runbook"
    url: str | None = None


RUNBOOK = DeclaredTable(RunbookSection, RunbookFacts)
Runbook = GatheredTable[RunbookSection, RunbookFacts]

_NUMBER = re.compile(r"[\W\d]{1,4}")  # of a list item or a table's row, not a telephone number
#: Who wrote or owns a section, when, and how far it is: nothing that an operator could do.
_ABOUT_THE_FILE = re.compile(
    r"\W*(?:(?:run ?book |play ?book |service |document |doc |section )?(?:owners?|owned by|authors?|maintainers?|maintained by"
    r"|written by|reviewers?|reviewed by|approvers?|approved by|team)"
    r"\W*:(?!\W*(?:page|call|ask|contact|ping|notify|alert|tell|inform)\b)"
    r"|(?:(?:last|next|date) )?(?:updated?|reviewed(?! by)|review|modified|edited"
    r"|changed|created|tested)(?: (?:on|by|at|date))?\W*:"
    r"|(?:(?:run ?book |document |doc )?(?:date|version|revision|tags|id))\W*:"
    r"|(?:(?:run ?book |document |doc |section )?status)\W*:\W*(?:draft|wip|in (?:progress|review)|not \w+|new|open"
    r"|planned|proposed|active|approved|final|current|published|done|complete|reviewed|live)$)"
    r"(?:\W*[\w@.+'-]+){0,6}\W*",
    re.IGNORECASE,
)
_FIELDS = re.compile(r"\s[/|\u00b7\u2022]\s|[;,]\s")
_LABEL_ALONE = re.compile(r"[\W_]*\w+(?:[ '-]\w+){0,2}\s*:[\W_]*")  # what comes of it says that itself
_LABEL = re.compile(r"^\W*\w+(?: \w+){0,2}\s*:(?=\W*\w)[*_\s]*")


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


def parse(text: str) -> list[RunbookSection]:
    """The sections of a runbook; none of text without headings or anchors."""
    sections, slugs = markdown_sections(text), _Slugs()
    rows = []
    for index, section in enumerate(sections):
        title, parts = _below(sections, index)
        units = [unit for part in parts for unit in part.units]
        labels = [label for part in parts for label in part.labels]
        said = any(_says_what_to_do(sentence) for unit in units for sentence in sentences(unit))
        rows.append(
            RunbookSection(
                kind=section.kind,
                level=section.level,
                title=title,
                anchor=slugs.next(title) if section.kind == "heading" else section.anchor,
                line=section.line,
                words=sum(len(visible(unit).split()) for unit in units),
                has_content=said or any(part.images for part in parts),
                disowned=next(filter(None, map(disowning, (title, "\n".join(units), *labels))), ""),
            )
        )
    return rows


def _says_what_to_do(sentence: str) -> bool:
    """False also for an unfilled template, a number alone, a label with nothing after it, and who owns the file."""
    if says_nothing(sentence) or _NUMBER.fullmatch(sentence) or _LABEL_ALONE.fullmatch(sentence):
        return False
    if all(_ABOUT_THE_FILE.fullmatch(field) for field in _FIELDS.split(sentence) if field.strip()):
        return False
    return says_something(_LABEL.sub("", sentence, count=1)) and says_something(sentence)


def _below(sections: Sequence[Section], index: int) -> tuple[str, list[Section]]:
    """Title and parts of the section that starts at `index`.

    A heading's section ends before the next heading of the same or a higher level; the titles of its subsections are not content.
    An explicit anchor with nothing between it and the next heading leads to that heading, otherwise to the rest of its section.
    """
    section = sections[index]
    if section.kind == "anchor" and not section.title and not _holds(section):
        following = next(
            (i for i in range(index + 1, len(sections)) if _holds(sections[i]) or sections[i].kind == "heading"), None
        )
        if following is not None:
            return _below(sections, following)
    level = section.level or next((s.level for s in reversed(sections[:index]) if s.level), 1)
    parts = [section]
    for later in sections[index + 1 :]:
        if later.level is not None and later.level <= level:
            break
        parts.append(later)
    own_heading = next((s.title for s in reversed(sections[: index + 1]) if s.kind == "heading"), "")
    return section.title or own_heading, parts


def _holds(section: Section) -> bool:
    return bool(section.units or section.labels or section.images)


def runbook_table(text: str | None, read: Read, *, location: str, url: str | None, observed_at: datetime) -> Runbook:
    """The evidence table `runbook`; empty where nothing could be read.

    Args:
        text: the Markdown, or None where the read did not succeed.
        read: how it was read.
        location: the setting `runbook` (path, URL or s3:// location).
        url: the address people open, if there is one.
        observed_at: when it was read.
    """
    rows = parse(text) if text is not None else []
    return RUNBOOK.gathered(rows, RunbookFacts(location, url)).with_reads([read], observed_at)


def link_to(table: Runbook, anchor: str) -> str | None:
    """The address of a section, or None where the runbook has no address that people can open."""
    url = table.facts.url
    return f"{url.split('#', 1)[0]}#{anchor.lstrip('#')}" if url else None


def unreadable_findings(table: Runbook) -> list[Finding]:
    """Empty if the runbook was read whole; otherwise why not: FAIL where it does not exist, ERROR where access failed."""
    location = table.facts.location
    if not table.reads:
        return [ReadCode.READS_MISSING.at(location, expected="how the runbook was read", seen="no reads recorded")]
    return [
        RunbookCode.RUNBOOK_UNREADABLE.at(
            location,
            expected="a readable Markdown file",
            seen=f"{read.status}: {read.error or 'no details'}",
            verdict=Verdict.FAIL if read.status is ReadStatus.NOT_FOUND else Verdict.ERROR,
        )
        for read in table.reads
        if read.status is not ReadStatus.OK
    ]


def anchor_name(fragment: str) -> str:
    """An anchor as the table names it, from a link's fragment: with or without `#`, percent-encoded or not."""
    return unquote(fragment).lstrip("#").removeprefix("user-content-")


def anchor_findings(table: Runbook, anchor: str, *, subject: str | None = None) -> list[Finding]:
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
    name = subject or f"{table.facts.location}#{wanted}"
    first = next((row for row in table.rows if row.anchor == wanted), None)
    if first is None:
        return [
            RunbookCode.RUNBOOK_ANCHOR_MISSING.at(
                name, expected=f"a section with the anchor #{wanted}", seen=_anchors_seen(table), link=table.facts.url
            )
        ]
    if not first.has_content:
        return [
            RunbookCode.RUNBOOK_SECTION_EMPTY.at(
                name,
                expected=f"instructions under #{wanted}",
                seen=f"section {first.title!r} (line {first.line}) has no content",
                link=link_to(table, wanted),
            )
        ]
    if first.disowned:
        return [
            RunbookCode.RUNBOOK_SECTION_DISOWNED.at(
                name,
                expected=f"instructions under #{wanted} that hold",
                seen=f"section {first.title!r} (line {first.line}) says {first.disowned[:200]!r}",
                link=link_to(table, wanted),
            )
        ]
    return []


def _anchors_seen(table: Runbook, limit: int = 8) -> str:
    anchors = [f"#{row.anchor}" for row in table.rows]
    if not anchors:
        return "no heading at all"
    more = f" and {len(anchors) - limit} more" if len(anchors) > limit else ""
    return "only " + ", ".join(anchors[:limit]) + more
