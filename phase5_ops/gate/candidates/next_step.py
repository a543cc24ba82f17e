"""What is to be done next for each candidate: run, wait, freeze, promote, renew, reject, supersede. Pure.

Whatever this says, `promotion_job` decides again by itself: a wrong step here costs a run or a delay, but never opens the gate.
Times are wall clock, like Dagster's own: a fixed evaluation time would never let a candidate's deadline come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from phase5_ops.files import sha256_of
from phase5_ops.gate.reasons import named_first
from phase5_ops.gate.records import Decision, GateInputs, Outcome, ReadinessRun, RunState
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate
from phase5_ops.policy import FlowPolicy

SUPERSEDE = "supersede"  # in a candidate's context: it supersedes older ones even while they are being signed


class Step(StrEnum):
    """What is done next."""

    START_RUN = "START_RUN"
    WAIT = "WAIT"
    FREEZE = "FREEZE"  # freeze the statement: READY_TO_SIGN
    PROMOTE = "PROMOTE"
    RENEW = "RENEW"  # what is signed no longer holds: close the series and begin the next
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class Action:
    """The next step of a candidate, and why; `attempt` is the number of the run to start."""

    step: Step
    reasons: tuple[str, ...]
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """The open candidates in their order.

    Attributes:
        active: those that are worked on, oldest first.
        superseded: those that give way, each with the candidate it gives way to.
        waiting: those whose turn has not come.
        closed: those that are closed already.
    """

    active: tuple[Candidate, ...]
    superseded: tuple[tuple[Candidate, Candidate], ...]
    waiting: tuple[Candidate, ...]
    closed: tuple[Candidate, ...]


def in_order(candidates: Sequence[Candidate], policy: FlowPolicy) -> Queue:
    """Which candidates are worked on.

    A newer candidate supersedes an older one that is PENDING (or waits behind it, by policy). It supersedes one whose statement
    may be signed already only if it was registered with `supersede`. A candidate that went to production supersedes everything
    older: promoting an older one later would take production back.
    """
    ordered = sorted(candidates, key=lambda candidate: (candidate.registered_at, candidate.release.name))
    still = [candidate for candidate in ordered if candidate.fate in (Fate.PENDING, Fate.READY_TO_SIGN)]
    superseded: list[tuple[Candidate, Candidate]] = []
    active: list[Candidate] = []
    for candidate in still:
        newer = ordered[ordered.index(candidate) + 1 :]
        successor = next((other for other in reversed(newer) if _gives_way(candidate, other, policy)), None)
        if successor is None:
            active.append(candidate)
        else:
            superseded.append((candidate, successor))
    turn = active[:1] if policy.newer_candidate == "queue" else active
    return Queue(
        tuple(turn),
        tuple(superseded),
        tuple(active[len(turn) :]),
        tuple(candidate for candidate in ordered if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED),
    )


def in_turn(
    active: Sequence[Candidate], most: int, now: datetime, looked_at: Mapping[str, datetime] | None = None
) -> tuple[Candidate, ...]:
    """The active candidates that this tick works on: all if they are few, else the `most` that have waited longest for a look.

    A tick that took longer than the daemon waits would do nothing, again and again. Ties are broken by lot, drawn anew at each
    moment, so that every candidate's turn comes, whatever is lost or reset.

    Args:
        active: in their order.
        most: how many a tick takes.
        now: wall clock.
        looked_at: when each was looked at last, by name, as far as that is remembered.
    """
    if len(active) <= most:
        return tuple(active)
    last = looked_at or {}

    def rank(each: Candidate) -> tuple[float, str]:
        seen = last.get(each.release.name)
        return seen.timestamp() if seen else 0.0, sha256_of(f"{now.isoformat()}\0{each.release.name}".encode())

    drawn = sorted(active, key=rank)[:most]
    return tuple(candidate for candidate in active if candidate in drawn)


def _gives_way(older: Candidate, newer: Candidate, policy: FlowPolicy) -> bool:
    if newer.fate in (Fate.PROMOTED, Fate.BREAK_GLASS):
        return True
    if newer.fate in CLOSED:
        return False
    if (newer.context or {}).get(SUPERSEDE) == "true":
        return True
    return policy.newer_candidate == "supersede" and older.fate is Fate.PENDING


def next_action(
    candidate: Candidate,
    *,
    runs: Sequence[ReadinessRun],
    promotions: Sequence[ReadinessRun],
    inputs: GateInputs | None,
    decision: Decision | None,
    policy: FlowPolicy,
    now: datetime,
    recorded: bool = False,
    begun: tuple[str, ...] = (),
) -> Action:
    """The next step of one active candidate.

    Args:
        candidate: as it stands in the state table.
        runs: readiness runs of its series.
        promotions: promotion runs of its series.
        inputs: of its last finished readiness run; None where there is none.
        decision: over these inputs.
        policy: intervals and deadlines.
        now: wall clock.
        recorded: its promotion is recorded already; a killed run may have left what follows undone.
        begun: what is known of a promotion that was begun and left no record; shown among the reasons.
    """
    if pending := [run for run in (*promotions, *runs) if run.facts.state is RunState.RUNNING]:
        return Action(Step.WAIT, (f"run {pending[0].facts.run_id} is under way",))
    if recorded:
        return _again(
            Step.PROMOTE,
            promotions,
            ("the promotion is recorded, and another run completes what an interrupted one left undone",),
            policy,
            now,
        )
    blockers = (*begun, *(str(reason) for reason in named_first(decision.reasons))) if decision else begun
    if inputs is None or decision is None or not runs:
        return Action(Step.START_RUN, ("no readiness run yet",), next_number(runs))
    if decision.outcome is Outcome.OPEN:
        return _again(Step.PROMOTE, promotions, ("every row opens and the three roles have signed",), policy, now)
    if now >= candidate.deadline:
        return Action(Step.REJECT, (f"closed at its deadline {candidate.deadline.isoformat()}", *blockers))
    if decision.outcome is Outcome.READY_TO_SIGN:
        return _ready(candidate, inputs, decision, blockers)
    return _again(Step.START_RUN, runs, blockers, policy, now)


def _ready(candidate: Candidate, inputs: GateInputs, decision: Decision, blockers: tuple[str, ...]) -> Action:
    if inputs.statement is None:
        return Action(Step.FREEZE, ("every row but the sign-offs opens: the statement to sign is frozen",))
    if decision.void:
        return Action(Step.RENEW, tuple(f"what was to be signed no longer holds: {each}" for each in decision.void))
    if candidate.fate is Fate.PENDING:
        return Action(Step.FREEZE, ("the statement is frozen",))  # a tick ended between the two writes
    return Action(Step.WAIT, blockers)


def _again(step: Step, attempts: Sequence[ReadinessRun], because: tuple[str, ...], policy: FlowPolicy, now: datetime) -> Action:
    """The step, or WAIT if the last attempt at it ended too recently."""
    ended = max((attempt.ended_at for attempt in attempts if attempt.ended_at is not None), default=None)
    if ended is not None and now - ended < timedelta(minutes=policy.attempt_minutes):
        return Action(Step.WAIT, because)
    return Action(step, because, next_number(attempts))


def next_number(attempts: Sequence[ReadinessRun]) -> int:
    """One more than the highest number, so that no run key is used twice; an absurdly high one, tagged by hand, is ignored."""
    most = 1000 + 10 * len(attempts)
    return max((run.attempt for run in attempts if run.attempt <= most), default=0) + 1


def run_key(*about: str) -> str:
    """Dagster's key of a run that is about these, 32 hex digits: equal from every tick, so that the run is launched once."""
    return sha256_of("\0".join(about).encode())[7:39]
