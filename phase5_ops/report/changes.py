"""What changed from one readiness document to another: verdicts, findings that came and went, figures that moved. Pure.

What must not live here: which documents are compared (`past_runs.py`), how changes are shown.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.release import LEFT_OUT
from phase5_ops.verdict import Verdict

#: A figure that is kept as text so that nothing is lost of it, such as money.
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row or extra check whose verdict changed; None where a whole document does not have the row at all."""

    row: str
    title: str
    before: Verdict | None
    after: Verdict | None


@dataclass(frozen=True, slots=True)
class FindingChange:
    """A finding that came or went; one that carries another verdict than before both went and came."""

    row: str
    code: str
    subject: str
    verdict: Verdict
    seen: str


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A numeric fact of a row that moved; None where the row does not have the fact."""

    row: str
    fact: str
    before: float | None
    after: float | None

    @property
    def relative(self) -> float:
        """How far it moved, as a share of the larger of both: above 0; 1 where one is zero or missing, 2 at most."""
        if self.before is None or self.after is None:
            return 1.0
        largest = max(abs(self.before), abs(self.after))
        return abs(self.after / largest - self.before / largest) if largest else 0.0


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since an earlier run.

    Attributes:
        since_run, since_at: the earlier run, and what it was evaluated at (ISO-8601); None where there is none, and then nothing
            is said to have changed.
        rows: in the order of the checklist.
        came, went: findings, in the order of rows.
        figures: those that moved farthest come first.
    """

    since_run: str | None
    since_at: str | None
    rows: tuple[RowChange, ...] = ()
    came: tuple[FindingChange, ...] = ()
    went: tuple[FindingChange, ...] = ()
    figures: tuple[FigureChange, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether nothing changed, as far as is known."""
        return not (self.rows or self.came or self.went or self.figures)


def changes_between(before: ReadinessDocument | None, after: ReadinessDocument) -> Changes:
    """What changed from `before` to `after`; where one covers only some rows, only rows that both cover are compared.

    Args:
        before: the earlier document; None if there is none.
        after: the later one.

    Raises:
        ValueError: the documents are of different environments.
    """
    if before is None:
        return Changes(None, None)
    if before.environment != after.environment:
        raise ValueError(f"a run of {before.environment!r} cannot be compared with one of {after.environment!r}")
    earlier, later = _entries(before), _entries(after)
    if before.covers is not None or after.covers is not None:
        earlier = {row: entry for row, entry in earlier.items() if row in later}
        later = {row: entry for row, entry in later.items() if row in earlier}
    order = list(dict.fromkeys((*later, *earlier)))
    return Changes(
        before.run_id,
        before.evaluated_at,
        tuple(_row_changes(earlier, later, order)),
        tuple(_only_in(later, earlier, order)),
        tuple(each for each in _only_in(earlier, later, order) if tells_all(later.get(each.row))),
        tuple(_figure_changes(earlier, later, order)),
    )


def judged_otherwise(before: ReadinessDocument, after: ReadinessDocument) -> list[str]:
    """What two runs were judged by that is not the same, so that a change may be no change of the platform."""
    remarks = []
    if before.policy_digest != after.policy_digest:
        remarks.append("the settings that judge are not those of the earlier run (policy digest)")
    if before.judged is not None and after.judged is not None:
        for name in ("account", "region"):
            was, now = getattr(before.judged, name), getattr(after.judged, name)
            if was != now:
                remarks.append(f"they judged different platforms: {name} {was}, then {now}")
    return remarks


def remarks_on(before: ReadinessDocument | None, after: ReadinessDocument) -> list[str]:
    """The same for a report of the later run, which compares itself with the earlier one, if there is one."""
    return [] if before is None else [f"compared with run {before.run_id}: {each}" for each in judged_otherwise(before, after)]


def figures_of(entry: RowEntry) -> dict[str, float]:
    """The numeric facts of a row, also those that are kept as decimal text, such as money.

    Raises:
        ValueError: one of them is no finite number.
    """
    found = {}
    for fact, value in entry.facts.items():
        if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
            continue
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError(f"the fact {fact} of row {entry.id} is no finite number")
        found[fact] = number
    return found


def _entries(document: ReadinessDocument) -> dict[str, RowEntry]:
    return {entry.id: entry for entry in (*document.rows, *document.extra_checks)}


def _row_changes(earlier: Mapping[str, RowEntry], later: Mapping[str, RowEntry], order: Iterable[str]) -> Iterator[RowChange]:
    for row in order:
        before, after = earlier.get(row), later.get(row)
        verdicts = (before.verdict if before else None, after.verdict if after else None)
        if verdicts[0] is not verdicts[1]:
            yield RowChange(row, (later.get(row) or earlier[row]).title, *verdicts)


def _only_in(there: Mapping[str, RowEntry], other: Mapping[str, RowEntry], order: Iterable[str]) -> Iterator[FindingChange]:
    """The findings of one document that the other does not have."""
    for row in order:
        known = {_named(finding) for finding in other[row].findings} if row in other else set()
        for finding in there[row].findings if row in there else ():
            if _named(finding) not in known:
                yield FindingChange(row, finding.code, finding.subject, finding.verdict, finding.seen)


def tells_all(entry: RowEntry | None) -> bool:
    """Whether a finding that the row does not have is gone: not where it could not be judged, or tells only some of them."""
    return entry is None or (entry.verdict is not Verdict.ERROR and not entry.facts.get(LEFT_OUT))


def _named(finding: FindingEntry) -> tuple[str, str, Verdict]:
    return finding.code, finding.subject, finding.verdict


def _figure_changes(earlier: Mapping[str, RowEntry], later: Mapping[str, RowEntry], order: Iterable[str]) -> list[FigureChange]:
    found = []
    for row in order:
        before = figures_of(earlier[row]) if row in earlier else {}
        after = figures_of(later[row]) if row in later else {}
        found += [
            FigureChange(row, fact, before.get(fact), after.get(fact))
            for fact in dict.fromkeys((*after, *before))
            if before.get(fact) != after.get(fact)
        ]
    return sorted(found, key=lambda each: -each.relative)
