"""Readiness runs that Dagster no longer knows, as the evidence that they left tells of them.

Whoever reaches the webserver can delete a run, and with its record goes what it found. Its evidence is not Dagster's and stays.
A run that files alone tell of is believed only where it closes; it never cures what another run found. A row that it should have
judged, and of which it has no verdict that can be read, is an ERROR there, as a check that was not evaluated is everywhere.
What must not live here: reading Dagster, deciding.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence_store import EvidenceStore, Origin
from phase5_ops.gate.check_state import result_content
from phase5_ops.gate.records import OtherRun
from phase5_ops.gate.row_state import READINESS_JOB
from phase5_ops.verdict import Finding, Verdict

Rows = dict[str, tuple[Verdict, tuple[Finding, ...]]]

_MOST = 50  # runs that are read; one that cannot be read stands for the rest, so that none is passed over
_NO_MOMENT = datetime.max.replace(tzinfo=UTC)  # later than every run that could cure


@dataclass(frozen=True, slots=True)
class _Left:
    """What the evidence of a forgotten run says; the origin is None where it cannot be read."""

    origin: Origin | None
    rows: Rows | None = None


class ForgottenRuns:
    """The forgotten runs of an evidence store, for one tick or one decision: nothing is listed or read twice."""

    def __init__(self, store: EvidenceStore, unknown: Callable[[Collection[str]], set[str]]) -> None:
        """Reads nothing yet.

        Args:
            store: the evidence of all runs.
            unknown: tells which of some run ids Dagster has no record of.
        """
        self._store = store
        self._unknown = unknown
        self._forgotten: dict[str, bool] = {}
        self._left: dict[str, _Left | None] = {}

    @cached_property
    def _folders(self) -> list[tuple[datetime, str]]:
        return self._store.runs_by_change()

    def since(self, moment: datetime, environment: str, *, allow_fixed_now: bool) -> tuple[OtherRun, ...]:
        """Those of an environment that ended since a moment; what ran under a fixed clock says nothing of now."""
        try:
            folders = self._folders
        except OSError as error:
            return (OtherRun(f"evidence folder: {error}", environment, _NO_MOMENT, None, recorded=False),)
        late = folders[bisect_left(folders, (moment, "")) :]
        if new := [run_id for _, run_id in late if run_id not in self._forgotten]:
            unknown = self._unknown(new)
            self._forgotten.update({run_id: run_id in unknown for run_id in new})
        found: list[OtherRun] = []
        for changed, run_id in reversed(late):
            left = self._left_by(run_id) if self._forgotten[run_id] else None
            if left is None or not _concerns(left.origin, environment, allow_fixed_now=allow_fixed_now):
                continue
            rows = left.rows if len(found) < _MOST else None
            found.append(OtherRun(run_id, environment, changed, rows, recorded=False))
            if len(found) > _MOST:
                break
        return tuple(found)

    def _left_by(self, run_id: str) -> _Left | None:
        if run_id not in self._left:
            self._left[run_id] = _read(self._store, run_id)
        return self._left[run_id]


def _concerns(origin: Origin | None, environment: str, *, allow_fixed_now: bool) -> bool:
    """Whether such a run counts here; one that does not say what it was does."""
    if origin is None:
        return True
    return origin.job == READINESS_JOB and origin.environment == environment and (allow_fixed_now or not origin.fixed_now)


def _read(store: EvidenceStore, run_id: str) -> _Left | None:
    """What a run left; None where it gathered and judged nothing."""
    try:
        origin = store.origin(run_id)
    except (OSError, ValueError):
        return _Left(None)
    return None if origin is None else _Left(origin, _rows(store, run_id, origin))


def _rows(store: EvidenceStore, run_id: str, origin: Origin) -> Rows:
    found: Rows = {}
    for row in ALL_CHECKS:
        if row.is_sign_off:
            continue
        try:
            verdict = store.read_verdict(run_id, row.check)
            content = result_content(verdict, verdict["tables"])
        except FileNotFoundError:
            if origin.assets is None or row.asset in origin.assets:
                found[row.id] = (Verdict.ERROR, ())
        except (OSError, KeyError, TypeError, ValueError):
            found[row.id] = (Verdict.ERROR, ())
        else:
            found[row.id] = (content["verdict"], content["findings"])
    return found
