"""Publishing once: take the lock, prepare the attestation, look once more, give the order, record. Always in this sequence.

What is published was decided by the caller: because the gate is open (`promote.py`), or by an override
(`override_promotion.py`). Wherever an attempt is killed, the next one finds in the state table what was done, and publishes under
the same idempotency key:

    before the lock            nothing was done
    lock, nothing prepared     the next holder decides again, prepares and publishes
    prepared, not recorded     perhaps published: the next holder decides again, and gives the very same order again
    recorded                   done; only the candidate's fate and the files are made good

What must not live here: deciding, Dagster, targets; they are passed in as functions. Every failure to read or write the state
table is raised as StateError: nothing is known then, and the next attempt begins anew.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.metadata import version

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.decision_statement import decision_facts, decision_statement
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, envelope_bytes, read_envelope
from phase5_ops.gate.attestation.orders import Order, OrderKind, Publication, Published, idempotency_key
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.attestation.readiness_statement import waived_findings
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.decision.signature_rules import proved_times
from phase5_ops.gate.inputs.promotion_records import (
    DECISION_FILE,
    OVERRIDE_FILE,
    READINESS_FILE,
    publication_statement,
    record_problems,
)
from phase5_ops.gate.records import GateInputs, Pair, Release, SignOff
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import Candidate, Fate, Lock, Prepared, Promotion, Written
from phase5_ops.gate.state.table import StateTable

LOCK_AGE = timedelta(minutes=5)
"""A lock that is older and without a record of its promotion may be taken over; a decision that is older is made again."""


class Ending(StrEnum):
    """How an attempt to promote ended."""

    PROMOTED = "PROMOTED"
    ALREADY_PROMOTED = "ALREADY_PROMOTED"
    BLOCKED = "BLOCKED"  # the gate is closed (or the override does not stand), or its own attestation does not verify
    WAITING = "WAITING"  # another run holds the lock
    STOPPED = "STOPPED"  # the candidate is not there, closed, or changed meanwhile
    NOT_TAKEN = "NOT_TAKEN"  # the target refused, or its answer is not known


@dataclass(frozen=True, slots=True)
class PromotionOutcome:
    """How an attempt ended, why, and the record of the promotion where there is one."""

    ending: Ending
    reasons: tuple[str, ...] = ()
    promotion: Promotion | None = None

    @property
    def promoted(self) -> bool:
        """Whether the release is promoted."""
        return self.ending in (Ending.PROMOTED, Ending.ALREADY_PROMOTED)


@dataclass(frozen=True)
class PromotionDoor:
    """The session of a promotion, and how it decides and gives the order.

    Attributes:
        session: whose run promotes; the state table, the keys, the evidence beside which the attestation is kept.
        inputs: reads everything that a candidate's decision rests on.
        publish: gives an order to the target.
        wall: the time that locks are dated with; never a fixed clock.
        monotonic: seconds, for how long ago this process decided.
    """

    session: GateSession
    inputs: Callable[[Candidate], GateInputs]
    publish: Callable[[Order], Published]
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic

    @property
    def state(self) -> StateTable:
        """The state table."""
        return self.session.state

    @property
    def holder(self) -> str:
        """The id of the run that promotes."""
        return self.session.run.run_id


@dataclass(frozen=True)
class PromotionPlan:
    """One promotion that was decided and is to be published.

    Attributes:
        candidate: as it stood when the gate decided.
        kind: by which right.
        envelopes: of this decision.
        problems: why `phase5 verify` would refuse what a decision rests on and the decision; asked of the envelopes that an
            earlier attempt prepared.
        decided_at: evaluation time of the decision.
        decided: the same by the door's monotonic clock.
        context: for the target.
        override: the order; None where the gate was open.
        last_word: called before the lock is taken; returns why not to publish, if anything.
    """

    candidate: Candidate
    kind: OrderKind
    envelopes: Prepared
    problems: Callable[[bytes, bytes], tuple[str, ...]]
    decided_at: datetime
    decided: float
    context: Mapping[str, str]
    override: Override | None = None
    last_word: Callable[[], tuple[str, ...]] = tuple

    @property
    def name(self) -> str:
        """The id of the override; "" where the gate was open."""
        return self.override.id if self.override else ""

    @property
    def lock(self) -> str:
        """Whose lock: a rollback has its own; an open gate and break-glass promote the same series, so they share one."""
        return self.name if self.kind is OrderKind.ROLLBACK else ""


def attested(
    session: GateSession,
    release: Release,
    envelope: bytes,
    counted: Sequence[SignOff],
    *,
    policy_digest: str,
    at: datetime,
    override: Override | None = None,
) -> Prepared:
    """What a decision rests on, and the decision on it, signed with the gate's key.

    Args:
        session: signs.
        release: what is promoted.
        envelope: the signed readiness statement, or the signed override.
        counted: the signatures of the envelope that count.
        policy_digest: of the policy that was decided under.
        at: when it was decided.
        override: the order; None where the gate is open.

    Raises:
        SigningError, KeysError: the gate's key does not sign, or is not the trusted one.
    """
    statement = decision_statement(
        release=release,
        override=override,
        envelope=envelope,
        policy_digest=policy_digest,
        time_verified=at,
        version=version("phase5-ops"),
        proved=proved_times(counted),
        signers=counted,
    )
    key_id, signature = session.signed_by_gate(statement)
    return Prepared(envelope, envelope_bytes(statement, {key_id: signature}))


def publish_once(door: PromotionDoor, plan: PromotionPlan) -> PromotionOutcome:
    """Publishes what was decided, unless it was published before or is no longer as it was.

    Raises:
        StateError: the state table cannot be read or written.
    """
    release, series, override = plan.candidate.release, plan.candidate.series, plan.name
    key = idempotency_key(release, series, override)
    if said := plan.last_word():
        return blocked(*said)
    if (holder := _locked_by_another(door, plan, key)) is not None:
        return PromotionOutcome(Ending.WAITING, (f"run {holder.holder} has been promoting since {iso(holder.taken_at)}",))
    # recorded between our reading and our lock
    if (done := door.state.promotion(release, series, override=override)) is not None:
        return recorded(door, plan.candidate, done, plan.override)
    standing = door.state.prepare_promotion(release, series, plan.envelopes, override=override)
    if standing != plan.envelopes and (problems := plan.problems(standing.readiness, standing.decision)):
        return blocked(*(f"what an earlier attempt prepared no longer verifies: {each}" for each in problems))
    if stop := _last_look(door, plan):
        return stop
    decided_at = decision_facts(read_statement(read_envelope(standing.decision).payload)).time_verified
    published = door.publish(Order(release, series, key, decided_at, plan.kind, standing.decision, plan.context))
    if not published.effective:
        again = (
            "the order is given again under the same idempotency key"
            if published.publication != Publication.TAKEN
            else "a person must look at the target"
        )
        return PromotionOutcome(Ending.NOT_TAKEN, (f"{published.publication}: {published.answer}; {again}",))
    readiness, decision = standing.readiness.decode("ascii"), standing.decision.decode("ascii")
    unsigned = Promotion(door.holder, plan.decided_at, key, readiness, decision, published.answer)
    key_id, signature = door.session.signed_by_gate(publication_statement(unsigned, release, series, plan.override))
    promotion = replace(unsigned, key_id=key_id, signature=signature.hex())
    written = door.state.record_promotion(release, series, promotion, override=override)
    record = door.state.promotion(release, series, override=override) or promotion
    ending = Ending.PROMOTED if written is Written.DONE else Ending.ALREADY_PROMOTED
    return _finish(door, plan.candidate, plan.kind, record, ending)


def _locked_by_another(door: PromotionDoor, plan: PromotionPlan, key: str) -> Lock | None:
    """The lock of another run; None where it is ours now, taken or taken over."""
    release, series, override = plan.candidate.release, plan.candidate.series, plan.lock
    written, present = door.state.take_lock(release, series, Lock(door.holder, door.wall(), key), override=override)
    if written is Written.DONE:
        return None
    taken = door.state.take_over_lock(release, series, present, door.holder, door.wall(), after=LOCK_AGE, override=override)
    return None if taken is Written.DONE else present


def _last_look(door: PromotionDoor, plan: PromotionPlan) -> PromotionOutcome | None:
    """Immediately before publishing: the candidate is as it was and the newest, the lock is ours, and the decision is fresh."""
    candidate = plan.candidate
    present = door.state.candidate(candidate.release)
    if present != candidate:
        became = present.fate if present else "gone"
        return stopped(f"the candidate changed during the promotion: it is {became} now")
    if plan.kind is OrderKind.OPEN and (newer := _newer_in_production(door.state, candidate)) is not None:
        return stopped(f"{newer.release.name}, registered later, is {newer.fate}: only a rollback takes production back")
    lock = door.state.lock(candidate.release, candidate.series, override=plan.lock)
    if lock is None or lock.holder != door.holder:
        return PromotionOutcome(Ending.WAITING, (f"run {lock.holder if lock else 'nobody'} has taken the lock over",))
    since = door.monotonic() - plan.decided
    if since > LOCK_AGE.total_seconds():
        return blocked("the decision is older than five minutes; it is made again at the next attempt")
    if plan.override is not None and plan.decided_at + timedelta(seconds=since) >= plan.override.until:
        return blocked(f"the order ended during the promotion, at {iso(plan.override.until)}")
    return None


def _newer_in_production(state: StateTable, candidate: Candidate) -> Candidate | None:
    """A candidate that was registered later and went to production; it stays listed until everything older gave way."""
    listed = state.open_candidates(candidate.release.environment, malformed=lambda _: None)  # the sensor says which are malformed
    later = (other for other, _ in listed if other.registered_at > candidate.registered_at)
    return next((other for other in later if other.fate in (Fate.PROMOTED, Fate.BREAK_GLASS)), None)


#: What becomes of the candidate; a rollback leaves it PROMOTED as it is.
_FATES = {OrderKind.OPEN: Fate.PROMOTED, OrderKind.BREAK_GLASS: Fate.BREAK_GLASS}


def recorded(door: PromotionDoor, candidate: Candidate, record: Promotion, override: Override | None = None) -> PromotionOutcome:
    """Ends an attempt that finds a record, if that carries the signatures that only a promotion makes.

    Whoever can write to the table can write any record; an unchecked one would pass for a promotion that nobody decided and no
    target was told of.
    """
    problems = record_problems(
        record, candidate.release, candidate.series, keys=door.session.keys, now=record.promoted_at, override=override
    )
    if problems:
        return blocked(*(f"the record of the promotion cannot be trusted: {each}" for each in problems))
    return _finish(door, candidate, override.kind if override else OrderKind.OPEN, record, Ending.ALREADY_PROMOTED)


def _finish(door: PromotionDoor, candidate: Candidate, kind: OrderKind, promotion: Promotion, ending: Ending) -> PromotionOutcome:
    """Completes what follows a record: its note among the promotions, the candidate's fate, the files beside the evidence."""
    if kind is OrderKind.OPEN:
        door.state.note_promotion(candidate.release, candidate.series, promotion.promoted_at, _waived(promotion))
    if kind is OrderKind.BREAK_GLASS:  # listed for the sensor again, so that older candidates give way
        door.state.list_open(candidate.release, door.wall())
    present, fate = door.state.candidate(candidate.release), _FATES.get(kind)
    ours = present is not None and present.series == candidate.series
    if present is not None and ours and fate is not None and present.fate not in (fate, Fate.PROMOTED):
        door.state.set_fate(present, fate)
    files = {
        READINESS_FILE if kind is OrderKind.OPEN else OVERRIDE_FILE: promotion.readiness_envelope.encode(),
        DECISION_FILE: promotion.decision_envelope.encode(),
    }
    for name, content in files.items():
        door.session.run.store.write_attestation(promotion.holder, name, content)
    return PromotionOutcome(ending, (promotion.answer,), promotion)


def _waived(promotion: Promotion) -> frozenset[tuple[str, Pair]]:
    """What was waived, as the statement says; empty where the promotion rests on no readable statement."""
    try:
        return waived_findings(read_envelope(promotion.readiness_envelope.encode()).payload)
    except MalformedEnvelope:
        return frozenset()


def begun(state: StateTable, candidate: Candidate, override: Override | None = None) -> tuple[str, ...]:
    """What is known of an earlier attempt that took the lock and left no record; empty if there is none.

    Raises:
        StateError: the state table cannot be read.
    """
    release, series, name = candidate.release, candidate.series, override.id if override else ""
    lock = state.lock(release, series, override=name if override and override.kind is OrderKind.ROLLBACK else "")
    # the record is read after the lock: one read before may have been written since, and would be called missing
    if lock is None or state.promotion(release, series, override=name) is not None:
        return ()
    mine = lock.idempotency_key == idempotency_key(release, series, name)
    prepared = not mine or state.prepared_promotion(release, series, override=name) is not None
    so_far = "the order may have reached the target" if prepared else "nothing was published"
    return (
        f"run {lock.holder} began to promote at {iso(lock.taken_at)} and left no record of the promotion: {so_far}"
        f" (key {lock.idempotency_key})",
    )


def blocked(*reasons: str) -> PromotionOutcome:
    """The gate is closed, or the override does not stand."""
    return PromotionOutcome(Ending.BLOCKED, reasons)


def stopped(*reasons: str) -> PromotionOutcome:
    """There is nothing to promote."""
    return PromotionOutcome(Ending.STOPPED, reasons)
