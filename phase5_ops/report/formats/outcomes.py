"""What a row's entry means to a consumer that knows only passed, failed and undecided, and which blockers are about no row. Pure.

Nothing is decided here: the document's own list of blockers says which rows keep the gate closed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from phase5_ops.checklist import ROW_OF_ID, SECTIONS
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.files import sha256_of
from phase5_ops.report.document import EXIT_OPEN, EXIT_UNDECIDED, ReadinessDocument, headline
from phase5_ops.verdict import Finding, FindingCode, Verdict, conclude

#: Every finding code by its name, as the catalogue has them.
Meanings = Mapping[str, Sequence[FindingCode]]

#: Id of the entry of what concerns no single row, and what is expected of it.
GATE = "gate"
GATE_REQUIREMENT = "Nothing keeps the gate closed beside its rows."

#: The code of a blocker that names no row and no code.
GATE_CLOSED = "gate_closed"

_UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.ERROR)


class RowOutcome(StrEnum):
    """What became of a row, for consumers that know no more."""

    passed = "passed"
    failed = "failed"
    undecided = "undecided"


@dataclass(frozen=True)
class RowFinding:
    """A finding of a row, with what tells it from every other of the document.

    Attributes:
        row: the entry that it is of.
        finding: what was found.
        number: 1, and 2, 3, ... for further findings of the same row, code and subject, in the order of what was seen.
    """

    row: RowEntry
    finding: FindingEntry
    number: int

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Row, code, subject and number: the same in every run that finds it."""
        return self.row.id, self.finding.code, self.finding.subject, self.number

    def fingerprint(self, environment: str) -> str:
        """64 hex digits that stay the same from run to run of an environment."""
        return sha256_of("\0".join(("phase5", environment, *map(str, self.key))).encode()).removeprefix("sha256:")


def shown_rows(document: ReadinessDocument, meanings: Meanings) -> list[RowEntry]:
    """Rows, sign-offs among them, and extra checks, in the order of the checklist; then what concerns the gate as a whole.

    That last entry, `gate`, is there for a release, and wherever a blocker names no row, so that no format shows a closed gate
    as if everything had passed.
    """
    entries = _entries(document)
    lines = about_the_whole(document)
    return [*entries, _gate(document, lines, meanings)] if lines or document.release is not None else entries


def findings_of(entry: RowEntry) -> Iterator[RowFinding]:
    """The findings of a row; a row that does not pass and has none stands for itself, so that it is nowhere left out."""
    seen: dict[tuple[str, str], int] = {}
    found: Sequence[FindingEntry] = entry.findings
    if not found and entry.verdict is not Verdict.PASS:
        found = [
            FindingEntry(
                code=entry.check, verdict=entry.verdict, subject=entry.id, expected=requirement(entry), seen=entry.summary
            )
        ]
    for finding in sorted(found, key=lambda each: (-each.verdict.severity, each.code, each.subject, each.seen)):
        number = seen[finding.code, finding.subject] = seen.get((finding.code, finding.subject), 0) + 1
        yield RowFinding(entry, finding, number)


def requirement(entry: RowEntry) -> str:
    """What the checklist wants of a row."""
    row = ROW_OF_ID.get(entry.id)
    return row.requirement if row else GATE_REQUIREMENT if entry.id == GATE else entry.title


def section_heading(entry: RowEntry) -> str:
    """The section as the checklist numbers it: `1. Dashboards & Alarms`; that of the sign-offs has no number."""
    row = ROW_OF_ID.get(entry.id)
    number = row.section_number if row else ""
    return f"{number}. {entry.section}" if number in SECTIONS and number != "S" else entry.section


def name_of(entry: RowEntry) -> str:
    """Id and title of a row; an extra check has no id that people know."""
    return f"{entry.id} {entry.title}" if entry.id != entry.check else entry.title


def closing(document: ReadinessDocument) -> frozenset[str]:
    """Ids of the rows and extra checks that the document's blockers name, and `gate` where one names none of them."""
    named = {entry.id for entry in _entries(document) if any(_names(line, entry) for line in document.blockers)}
    return frozenset(named | ({GATE} if about_the_whole(document) else set()))


def about_the_whole(document: ReadinessDocument) -> list[str]:
    """The blockers that name no row of the document; where it is not open and nothing else says why, that it is not."""
    entries = _entries(document)
    lines = [line for line in document.blockers if not any(_names(line, entry) for entry in entries)]
    if document.exit_code != EXIT_OPEN and not document.blockers:
        lines.append(f"the gate is not open (exit code {document.exit_code}), and no row says why")
    return lines


def outcome(entry: RowEntry, closed: frozenset[str]) -> RowOutcome:
    """What became of a row; `closed` are the ids of the rows that keep the gate closed.

    A WARN that keeps it closed failed, another passed; so did a row that waivers open. A FAIL failed also where the policy lets
    it only warn.
    """
    if entry.waived and entry.id not in closed:
        return RowOutcome.passed
    if entry.verdict in _UNDECIDED:
        return RowOutcome.undecided
    return RowOutcome.failed if entry.verdict is Verdict.FAIL or entry.id in closed else RowOutcome.passed


def remedies(code: str, meanings: Meanings) -> str:
    """What to do about a code; "" if the catalogue does not know it."""
    return " Or: ".join(dict.fromkeys(each.remedy for each in meanings.get(code, ())))


class WaiversInForce:
    """Which waivers in force cover a finding."""

    def __init__(self, document: ReadinessDocument) -> None:
        """`document`: whose waivers these are."""
        self._covering: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for waiver in document.waivers:
            for code, subject in waiver["pairs"] if waiver["in_force"] else ():
                self._covering.setdefault((waiver["row"], code, subject), []).append(waiver)

    def of(self, found: RowFinding) -> list[Mapping[str, Any]]:
        """Those that cover a finding; none covers an ERROR."""
        if found.finding.verdict is Verdict.ERROR:
            return []
        return self._covering.get((found.row.id, found.finding.code, found.finding.subject), [])


def _entries(document: ReadinessDocument) -> list[RowEntry]:
    return [*document.rows, *document.extra_checks]


def _names(line: str, entry: RowEntry) -> bool:
    return line.startswith(f"{entry.id} ")


def _gate(document: ReadinessDocument, lines: Sequence[str], meanings: Meanings) -> RowEntry:
    """The entry of what concerns no single row; it passes where nothing does."""
    otherwise = Verdict.INCONCLUSIVE if document.exit_code == EXIT_UNDECIDED else Verdict.FAIL
    subject, found = document.release or document.environment, []
    for line in lines:
        code = _code_in(line, meanings)
        known = meanings.get(code)
        verdict = max((each.verdict for each in known), key=lambda each: each.severity) if known else otherwise
        found.append(Finding(code, verdict, subject, GATE_REQUIREMENT, line))
    said = conclude(judged=1, summary=lines[0] if lines else headline(document), findings=found)
    return RowEntry(
        id=GATE,
        section="Gate",
        title="The gate as a whole",
        check=GATE,
        asset="promotion",
        verdict=said.verdict,
        summary=said.summary,
        observed_at=document.stated_at or document.evaluated_at,
        findings=list(said.findings),
    )


def _code_in(line: str, meanings: Meanings) -> str:
    """The code that a blocker about no row names (`release BLOCKED candidate_old 2026.11.3: ...`), else `gate_closed`."""
    words = line.split(" ", 3)
    return words[2] if len(words) > 2 and words[2] in meanings else GATE_CLOSED  # noqa: PLR2004 - row, state, code
