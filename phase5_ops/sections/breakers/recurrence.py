"""How often runs found a breaker not closed over days, and how many openings there were. Pure.

Runs may lie minutes or a day apart, so this rule does not ask what happened between two snapshots; it counts what they show.
An opening is known by its window start: the platform sets it when the breaker opens and again at each failed probe, HALF_OPEN
keeps it, and late failures do not move it. So an opening without later calls counts once, however many runs see it, and a
HALF_OPEN also shows an opening that no run saw OPEN. A CLOSED item shows none: each success sets a new window start, as a good
probe does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from phase5_ops.ccnative.breaker_records import HALF_OPEN, OPEN, STATES
from phase5_ops.evidence.history import Snapshot


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What the runs of a window saw of one breaker.

    Attributes:
        runs: runs that saw it in one of its three states.
        not_closed: those that saw it OPEN or HALF_OPEN.
        openings: window starts of the openings seen, epoch seconds, ascending.
        first, last: evaluation time of the first and the last run that saw it not closed, epoch seconds; None without one.
    """

    runs: int = 0
    not_closed: int = 0
    openings: tuple[int, ...] = ()
    first: float | None = None
    last: float | None = None

    @classmethod
    def of(cls, snapshots: Iterable[Snapshot], *, since: datetime) -> Self:
        """What these snapshots of one breaker show, those before `since` left out; a run counts once."""
        found = cls()
        runs: set[str] = set()
        for snapshot in snapshots:
            if snapshot.observed_at >= since and snapshot.run_id not in runs:
                runs.add(snapshot.run_id)
                found = found.seen(snapshot.payload, snapshot.observed_at.timestamp())
        return found

    def seen(self, payload: Mapping[str, Any], at: float) -> Self:
        """This with one more run, which saw `payload` (see `evidence.payload`) at evaluation time `at`, epoch seconds."""
        state, start = payload.get("state"), payload.get("window_start")
        if state not in STATES:
            return self
        if state not in (OPEN, HALF_OPEN):
            return replace(self, runs=self.runs + 1)
        return replace(
            self,
            runs=self.runs + 1,
            not_closed=self.not_closed + 1,
            openings=self.openings if start is None else tuple(sorted({*self.openings, int(start)})),
            first=at if self.first is None else min(self.first, at),
            last=at if self.last is None else max(self.last, at),
        )
