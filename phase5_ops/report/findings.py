"""The catalogue of finding codes: what the sections declare, with the codes of every row and the gate's own. Pure.

It is made from the sections' declarations, which need Dagster. `findings.json`, beside this file, holds the same: it is written
with the documentation, so that a command can explain a code, and a report can name a remedy, without them.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

from phase5_ops.checklist import ALL_CHECKS, SECTIONS
from phase5_ops.evidence.histories import HistoryCode
from phase5_ops.gate.approval.disclosures import PolicyCode
from phase5_ops.gate.reasons import GateReason
from phase5_ops.reads import ReadCode
from phase5_ops.report.document import ReportCode
from phase5_ops.verdict import CodeChapter, FindingCode, JudgingCode, Verdict

FINDINGS_FILE = "findings.json"

_FIRST = (
    CodeChapter("Any row", (ReadCode, JudgingCode, ReportCode)),
    CodeChapter(
        "Rows that rest on histories: 2.1, 2.2, 3.2, error budget, replayed alarms",
        (HistoryCode,),
        of=("2.1", "2.2", "3.2", "error_budget_not_burning", "alarms_would_have_fired"),
    ),
)
_LAST = (
    CodeChapter("What is signed", (PolicyCode,)),
    CodeChapter("A release candidate, as the gate sees it", (GateReason,)),
)


@dataclass(frozen=True)
class Catalogue:
    """Every code, in chapters that have the order of the documentation."""

    chapters: tuple[CodeChapter, ...]

    @classmethod
    def of(cls, declared: Iterable[CodeChapter]) -> Self:
        """The catalogue with the chapters that the sections declare, in the order of the checklist's rows.

        Raises:
            ValueError: a chapter belongs to no row of the checklist, and to no extra check.
        """
        rows = [row.id for section in SECTIONS for row in ALL_CHECKS if row.section_number == section]
        return cls((*_FIRST, *sorted(declared, key=lambda chapter: rows.index(str(chapter.row))), *_LAST))

    @cached_property
    def by_name(self) -> dict[str, list[FindingCode]]:
        """Every code by its name; a name used by two rows has an entry for each, since it is about another thing there."""
        found: dict[str, list[FindingCode]] = {}
        for code in chain.from_iterable(chapter.all() for chapter in self.chapters):
            if code not in found.setdefault(code.code, []):
                found[code.code].append(code)
        return found

    @cached_property
    def not_tried(self) -> frozenset[str]:
        """Names of the codes that say that something was not tried. A name used by two rows means it in both, or in neither."""
        return frozenset(name for name, codes in self.by_name.items() if any(code.not_tried for code in codes))

    @property
    def any_row(self) -> CodeChapter:
        """The chapter of what any row may find; it stands first."""
        return self.chapters[0]

    def meaning(self, code: str, row: str) -> FindingCode | None:
        """What a code means in a row (by id); None where there is no such code."""
        named = self.by_name.get(code)
        if not named:
            return None
        of_row = [each for chapter in self.chapters if row in chapter.rows for each in chapter.all() if each.code == code]
        return (of_row or named)[0]

    def as_json(self, evidence: Mapping[str, str]) -> str:
        """The text of `findings.json`: these chapters, and the description of every asset."""
        chapters = [
            {
                "title": chapter.title,
                "row": chapter.row,
                "of": list(chapter.of),
                "codes": [
                    {
                        "code": code.code,
                        "verdict": str(code.verdict),
                        "also": [str(verdict) for verdict in code.also],
                        "not_tried": code.not_tried,
                        "meaning": code.meaning,
                        "remedy": code.remedy,
                    }
                    for code in chapter.all()
                ],
            }
            for chapter in self.chapters
        ]
        return json.dumps({"chapters": chapters, "evidence": dict(sorted(evidence.items()))}, indent=1, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        """The documentation of all codes."""
        lines = [
            "# Finding codes",
            "",
            "Stable names; a row's verdict is its worst finding. `phase5 explain CODE` shows one in the terminal, and with a row",
            "its codes. Who signs is shown, under `not tried`, every finding that says that something was not tried, read or"
            " judged: " + ", ".join(f"`{name}`" for name in sorted(self.not_tried)) + ".",
            "",
        ]
        for chapter in self.chapters:
            lines += [f"## {chapter.title}", "", "| code | verdict | meaning | what to do |", "|---|---|---|---|"]
            lines += [
                f"| `{code.code}` | {' or '.join((code.verdict, *code.also))} | {_cell(code.meaning)} | {_cell(code.remedy)} |"
                for code in chapter.all()
            ]
            lines.append("")
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanations:
    """What is explained without Dagster: every code, and the description of every asset by its name."""

    catalogue: Catalogue
    evidence: Mapping[str, str]


@cache
def stored_explanations() -> Explanations:
    """The content of `findings.json`."""
    content = json.loads(Path(__file__).with_name(FINDINGS_FILE).read_text(encoding="utf-8"))
    chapters = tuple(
        CodeChapter(
            chapter["title"], tuple(_stored_code(each) for each in chapter["codes"]), chapter["row"], tuple(chapter["of"])
        )
        for chapter in content["chapters"]
    )
    return Explanations(Catalogue(chapters), content["evidence"])


def _stored_code(stored: Mapping[str, Any]) -> FindingCode:
    also = tuple(Verdict(verdict) for verdict in stored["also"])
    verdict = Verdict(stored["verdict"])
    return FindingCode(verdict, stored["meaning"], stored["remedy"], also, stored["not_tried"], code=stored["code"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
