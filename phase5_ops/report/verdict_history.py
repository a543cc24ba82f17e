"""How the verdict of each row went over past runs: a line of verdicts, and when and why it changed last. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.result import RowEntry
from phase5_ops.report.changes import FindingChange, changes_between
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.past_runs import PastRun
from phase5_ops.verdict import Verdict


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """That the verdict of a row became another one.

    Attributes:
        run: the first run with the new verdict.
        since_run: the last one before it that judged the row.
        before, after: the verdicts.
        came, went: the findings that made the difference.
        policy_changed: the settings that judge had been changed, too.
    """

    run: PastRun
    since_run: str
    before: Verdict
    after: Verdict
    came: tuple[FindingChange, ...]
    went: tuple[FindingChange, ...]
    policy_changed: bool


@dataclass(frozen=True, slots=True)
class RowHistory:
    """A row over some runs.

    Attributes:
        row, title: of the row.
        verdicts: one for each run, oldest first; None where the run did not judge the row or has no document.
        changes: of the verdict, newest first.
    """

    row: str
    title: str
    verdicts: tuple[Verdict | None, ...]
    changes: tuple[VerdictChange, ...]

    @property
    def now(self) -> Verdict | None:
        """The verdict of the newest run that judged the row."""
        return next((verdict for verdict in reversed(self.verdicts) if verdict is not None), None)


def row_histories(runs: Sequence[PastRun], rows: Collection[str] | None = None) -> list[RowHistory]:
    """The history of each row that one of these runs judged, in the order of the checklist.

    Args:
        runs: newest first.
        rows: ids of the rows to tell of; None for all.
    """
    judged = {entry.id: entry.title for run in reversed(runs) if run.document for entry in entries(run.document)}
    known = [row.id for row in ALL_CHECKS if row.id in judged]
    order = [*known, *(row for row in judged if row not in set(known))]  # rows of another version come last
    return [_row_history(runs, row, judged[row]) for row in order if rows is None or row in rows]


def entries(document: ReadinessDocument) -> Iterator[RowEntry]:
    """The rows of a document, and its extra checks."""
    yield from document.rows
    yield from document.extra_checks


@dataclass(frozen=True, slots=True)
class _SaidOfRow:
    """What one run said of a row."""

    run: PastRun
    document: ReadinessDocument
    verdict: Verdict


def _row_history(runs: Sequence[PastRun], row: str, title: str) -> RowHistory:
    said = [_judged(run, row) for run in runs]
    judging = [each for each in said if each is not None]
    changes = [_change(row, before, after) for after, before in pairwise(judging) if before.verdict is not after.verdict]
    return RowHistory(row, title, tuple(each.verdict if each else None for each in reversed(said)), tuple(changes))


def _judged(run: PastRun, row: str) -> _SaidOfRow | None:
    if (document := run.document) is None:
        return None
    return next((_SaidOfRow(run, document, entry.verdict) for entry in entries(document) if entry.id == row), None)


def _change(row: str, before: _SaidOfRow, after: _SaidOfRow) -> VerdictChange:
    changes = changes_between(before.document, after.document)
    came, went = (tuple(each for each in found if each.row == row) for found in (changes.came, changes.went))
    policy_changed = before.document.policy_digest != after.document.policy_digest
    return VerdictChange(after.run, before.run.run_id, before.verdict, after.verdict, came, went, policy_changed)
