"""What the report says of rows and blockers: the checklist's sections, findings grouped by code with their remedy. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from phase5_ops.checklist import EXTRA_CHECKS, ROW_OF_ID, ROWS, SECTIONS
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.worst import SHOWN, more, worst_findings
from phase5_ops.verdict import FindingCode, Verdict

#: Never colour alone: each verdict has a sign of its own beside its name.
SIGNS = {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.INCONCLUSIVE: "?", Verdict.FAIL: "✗", Verdict.ERROR: "⊘"}

#: What is known to be wrong comes first, then what could not be found out, then what only a policy makes a blocker.
_IMPORTANCE = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN)
_BLOCKER = re.compile(r"(?P<row>\S+) (?P<verdict>[A-Z]+):? (?P<said>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """The worst findings of one row that have one code and verdict, of so many as `total` says.

    `meaning` and `remedy` are "" where no catalogue has the code.
    """

    code: str
    verdict: Verdict
    meaning: str
    remedy: str
    findings: Sequence[FindingEntry]
    total: int


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row as the report shows it: what must hold, what was found.

    `first_of_asset`: it is the first row of its evidence table, which stands under it; the others link there. `further`: how
    many findings it has beside those in `groups`, and where; "" where it has no more.
    """

    entry: RowEntry
    requirement: str
    owner: str
    is_sign_off: bool
    is_extra: bool
    first_of_asset: bool
    groups: Sequence[FindingGroup]
    further: str


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of the checklist with the rows of the document that belong to it, extra checks last."""

    number: str
    title: str
    rows: Sequence[ReportRow]


@dataclass(frozen=True, slots=True)
class Blocker:
    """What keeps the gate closed, of one kind: the lines that a row has of one finding code, or a line about no row.

    Attributes:
        row: id of the row; "" where it is about none.
        verdict: of its findings; None where it is about no row.
        said: what is said of each, in the document's order.
        remedy: what to do about them; "" where no catalogue says it.
    """

    row: str
    verdict: Verdict | None
    said: Sequence[str]
    remedy: str


def sections(document: ReadinessDocument, catalogue: Catalogue) -> list[ReportSection]:
    """The checklist in its own order; sections of which the document has no row are left out."""
    found, shown = [], set[str]()
    for number, section in SECTIONS.items():
        here = []
        for entry in (*document.rows, *document.extra_checks):
            if _section_number(entry) == number:
                here.append(_row(entry, catalogue, first_of_asset=entry.asset not in shown))
                shown.add(entry.asset)
        if here:
            found.append(ReportSection(number, section.title, here))
    return found


def _section_number(entry: RowEntry) -> str:
    row = ROW_OF_ID.get(entry.id)
    return row.section_number if row is not None else next(iter(SECTIONS))


def _row(entry: RowEntry, catalogue: Catalogue, *, first_of_asset: bool) -> ReportRow:
    row = ROW_OF_ID.get(entry.id)
    groups = _groups(entry, catalogue)
    return ReportRow(
        entry=entry,
        requirement=row.requirement if row else "",
        owner=row.owner if row else "",
        is_sign_off=row is not None and row.is_sign_off,
        is_extra=row in EXTRA_CHECKS,
        first_of_asset=first_of_asset,
        groups=groups,
        further=more(entry, sum(len(group.findings) for group in groups)),
    )


def _groups(entry: RowEntry, catalogue: Catalogue) -> list[FindingGroup]:
    """The worst findings by code, worst first; within a code in the judge's order."""
    ordered = sorted(entry.findings, key=lambda each: (-each.verdict.severity, each.code))
    totals = Counter((each.verdict, each.code) for each in ordered)
    if len(ordered) > SHOWN:
        ordered = worst_findings(ordered)
    found = []
    for (verdict, code), findings in groupby(ordered, key=lambda each: (each.verdict, each.code)):
        declared = declared_code(catalogue, entry.id, code)
        meaning, remedy = (declared.meaning, declared.remedy) if declared else ("", "")
        found.append(FindingGroup(code, verdict, meaning, remedy, list(findings), totals[verdict, code]))
    return found


def declared_code(catalogue: Catalogue, row_id: str, name: str) -> FindingCode | None:
    """The code as the row declares it; as any other declares it where the row does not; None where no chapter has it."""
    chapters = sorted(catalogue.chapters, key=lambda chapter: chapter.row != row_id)
    return next((code for chapter in chapters for code in chapter.all() if code.code == name), None)


def blockers(document: ReadinessDocument, catalogue: Catalogue) -> list[Blocker]:
    """What keeps the gate closed, the most important first: what is wrong, what is not known, and signatures last."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for line in document.blockers:
        match = _BLOCKER.fullmatch(line)
        if match is None or match["row"] not in ROW_OF_ID or match["verdict"] not in Verdict.__members__:
            kinds.setdefault(("", "", line), []).append(line)
        else:
            kinds.setdefault((match["row"], match["verdict"], match["said"].split(" ", 1)[0]), []).append(match["said"])
    found = []
    for (row, verdict, code), said in kinds.items():
        declared = declared_code(catalogue, row, code) if row else None
        found.append(Blocker(row, Verdict(verdict) if row else None, said, declared.remedy if declared else ""))
    return sorted(found, key=_importance)


def _importance(blocker: Blocker) -> tuple[bool, int]:
    sign_off = blocker.row in {row.id for row in ROWS if row.is_sign_off}
    return sign_off, _IMPORTANCE.index(blocker.verdict) if blocker.verdict in _IMPORTANCE else -1


def in_words(count: int, what: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def counted(entries: Iterable[RowEntry]) -> list[tuple[Verdict, int]]:
    """How many rows have each verdict, the worst first; verdicts that no row has are left out."""
    verdicts = [entry.verdict for entry in entries]
    return [(verdict, verdicts.count(verdict)) for verdict in reversed(Verdict) if verdict in verdicts]
