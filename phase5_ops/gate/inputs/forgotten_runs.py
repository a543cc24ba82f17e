"""Readiness runs that Dagster no longer knows, read from the evidence that they left.

Whoever reaches the webserver can delete a run, and with its record what it found; its evidence is not Dagster's and stays. A run
known only from files can close the gate; it never cures what another run found. A row that it should have judged and has no
readable verdict for is an ERROR, like any check that was not evaluated. When it ended is taken from what it wrote, never from
file times: its end, else its beginning plus the longest that a run takes, else (an earlier version) what it read last. What must
not live here: reading Dagster, deciding.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.result import CheckResult
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.store import EvidenceStore, Origin
from phase5_ops.gate.records import NO_MOMENT, OtherRun, Rows
from phase5_ops.verdict import Finding, Verdict

_MOST = 50  # runs that are read; one unreadable run stands for the rest, so that none is passed over
_LONGEST_RUN = timedelta(hours=1)  # of one that did not come to its end


@dataclass(frozen=True, slots=True)
class _Left:
    """What the evidence of a forgotten run says; the origin is None where it cannot be read."""

    origin: Origin | None
    ended_at: datetime


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
        self._rows_of: dict[str, Rows] = {}

    @cached_property
    def _left(self) -> list[tuple[str, _Left]]:
        """Every forgotten run that left evidence, the latest first."""
        run_ids = self._store.run_ids()
        unknown = self._unknown(run_ids) if run_ids else set()
        found = [(run_id, left) for run_id in run_ids if run_id in unknown and (left := _read(self._store, run_id))]
        return sorted(found, key=lambda each: (each[1].ended_at, each[0]), reverse=True)

    def since(self, moment: datetime, environment: str, *, allow_fixed_now: bool) -> tuple[OtherRun, ...]:
        """Those of an environment that ended since a moment; what ran under a fixed clock says nothing of now."""
        try:
            left = self._left
        except OSError as error:
            return (OtherRun(f"evidence folder: {error}", environment, NO_MOMENT, None, recorded=False),)
        found: list[OtherRun] = []
        for run_id, each in left:
            if each.ended_at < moment:
                break
            if not _concerns(each.origin, environment, allow_fixed_now=allow_fixed_now):
                continue
            rows = self._rows(run_id, each.origin) if len(found) < _MOST else None
            found.append(OtherRun(run_id, environment, each.ended_at, rows, recorded=False))
            if len(found) > _MOST:
                break
        return tuple(found)

    def _rows(self, run_id: str, origin: Origin | None) -> Rows | None:
        if origin is None:
            return None
        if run_id not in self._rows_of:
            self._rows_of[run_id] = _rows(self._store, run_id, origin)
        return self._rows_of[run_id]


def _concerns(origin: Origin | None, environment: str, *, allow_fixed_now: bool) -> bool:
    """Whether such a run counts here; it does, too, if it does not say what it was."""
    if origin is None:
        return True
    return origin.job == READINESS_JOB and origin.environment == environment and (allow_fixed_now or not origin.fixed_now)


def _read(store: EvidenceStore, run_id: str) -> _Left | None:
    """What a run left; None where it gathered and judged nothing."""
    try:
        origin = store.origin(run_id)
    except (OSError, ValueError):
        return _Left(None, over_at(store, run_id, None))
    return None if origin is None else _Left(origin, over_at(store, run_id, origin))


def over_at(store: EvidenceStore, run_id: str, origin: Origin | None) -> datetime:
    """When the run was over at the latest, by what it wrote; `NO_MOMENT` where nothing tells."""
    try:
        ended = store.ended(run_id)
    except (OSError, ValueError):
        return NO_MOMENT
    if ended is not None:
        return ended.at
    if origin is not None and origin.began_at is not None:
        return origin.began_at + _LONGEST_RUN
    moments = [moment for row in ALL_CHECKS if (moment := _read_last(store, run_id, row.check))]
    return max(moments) + _LONGEST_RUN if moments and not (origin and origin.fixed_now) else NO_MOMENT


def _read_last(store: EvidenceStore, run_id: str, check: str) -> datetime | None:
    try:
        return CheckResult.model_validate(store.read_verdict(run_id, check)).observed_at
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return NO_MOMENT - _LONGEST_RUN


def _rows(store: EvidenceStore, run_id: str, origin: Origin) -> Rows:
    found: dict[str, tuple[Verdict, tuple[Finding, ...]]] = {}
    for row in ALL_CHECKS:
        if row.is_sign_off:
            continue
        try:
            result = CheckResult.model_validate(store.read_verdict(run_id, row.check))
        except FileNotFoundError:
            if origin.assets is None or row.asset in origin.assets:
                found[row.id] = (Verdict.ERROR, ())
        except (OSError, ValueError):
            found[row.id] = (Verdict.ERROR, ())
        else:
            found[row.id] = (result.verdict, result.findings)
    return found
