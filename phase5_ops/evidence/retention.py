"""Which readiness runs the state folder no longer needs. Pure: what is known of runs goes in, those that may go come out.

A run may go only because of its age, and only if nothing can still need it. It stays while the gate may read it for a candidate
(see `shortest`), while histories continue from it, and while its environment or end is not known. Histories (`history.sqlite`,
`ledger_history.sqlite`) and the state table are never pruned. What must not live here: reading and removing, see
`gate/runs/pruning.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.settings import Settings

_MARGIN = timedelta(days=1)  # clocks of several machines differ, and a candidate waits for the next tick


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A readiness run of which the state folder keeps something.

    Attributes:
        run_id: of the run.
        environment: what it judged; None if not known.
        ended_at: when it was over at the latest, wall clock; None if not known.
        for_release: it was made for a candidate, or something was signed for it; True also if that is not known.
        ended: it came to its end, so that histories may continue from it.
    """

    run_id: str
    environment: str | None
    ended_at: datetime | None
    for_release: bool
    ended: bool


def shortest(settings: Settings) -> timedelta:
    """How long every run is kept at least, whatever the retention policy says.

    For a candidate the gate reads the candidate's last run and every newer one. That run is no older than evidence may be:
    otherwise the gate closes and a new run is made, until the candidate's deadline. While people sign, it is no older than a
    signature may be.
    """
    gate = settings.gate
    in_flight = max(timedelta(hours=settings.flow.deadline_hours), timedelta(days=gate.sign_off_days))
    return in_flight + timedelta(hours=gate.max_evidence_age_hours) + _MARGIN


def no_longer_needed(runs: Iterable[KeptRun], settings: Settings, now: datetime) -> list[str]:
    """The ids of the runs that may go, oldest first; those of other environments stay. `now` is wall clock."""
    policy, least = settings.retention, shortest(settings)
    dated = [(run.ended_at, run) for run in runs if run.environment == settings.environment and run.ended_at is not None]
    dated.sort(key=lambda each: (each[0], each[1].run_id))
    continued = next((run.run_id for _, run in reversed(dated) if run.ended), None)
    needed = {continued, *(run.run_id for _, run in dated[-policy.newest_runs :])}
    found = []
    for ended_at, run in dated:
        days = max(policy.release_days, policy.run_days) if run.for_release else policy.run_days
        if run.run_id not in needed and ended_at < now - max(timedelta(days=days), least):
            found.append(run.run_id)
    return found
