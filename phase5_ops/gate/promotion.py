"""The promotion: decide again, take the lock, prepare the attestation, publish once, record. In this order, and never another.

It trusts nobody who started it: a run launched by hand goes through the same door. Whatever is killed where, the next attempt
finds what was done in the state table, and publishes under the same idempotency key:

    before the lock            nothing was done
    lock, nothing prepared     the next holder decides again, prepares and publishes
    prepared, not recorded     perhaps published: the next holder decides again, and gives the very same order again
    recorded                   done; only the candidate's fate and the files are made good

What must not live here: Dagster, settings, targets; they come in as functions. Every failure to read or write the state table
goes up as StateError: nothing is known then, and the next attempt begins anew.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso
from phase5_ops.digest import sha256_of
from phase5_ops.gate.attestation import decision_statement
from phase5_ops.gate.decision import Decision, Outcome, decide
from phase5_ops.gate.envelopes import MalformedEnvelope, envelope_bytes, read_envelope
from phase5_ops.gate.keys import KeySet
from phase5_ops.gate.orders import Kind, Order, Published, idempotency_key
from phase5_ops.gate.records import GateInputs, Release, SignOff
from phase5_ops.gate.signature_rules import sign_off_problems
from phase5_ops.gate.state import Candidate, Fate, Lock, Promotion, StateTable, Written
from phase5_ops.gate.statements import decision_facts, read_statement
from phase5_ops.gate.stored_signatures import verified_sign_offs
from phase5_ops.gate.verification import LONGEST_WAIT, verify

LOCK_AGE = timedelta(minutes=5)
"""A lock that is older and without a record of its promotion may be taken over; a decision that is older is made again."""

READINESS_FILE, DECISION_FILE = "readiness.dsse.json", "decision.dsse.json"


class Ending(StrEnum):
    """How an attempt to promote ended."""

    PROMOTED = "PROMOTED"
    ALREADY_PROMOTED = "ALREADY_PROMOTED"
    BLOCKED = "BLOCKED"  # the gate is closed, or its own attestation does not verify
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
    """What the promotion works with.

    Attributes:
        state: the state table.
        inputs: reads everything that a candidate's decision rests on, afresh at each call.
        keys: the keys that are believed.
        sign: signs a statement with the gate's key: (key id, DER).
        publish: gives an order to the target.
        keep: keeps the attestation's files (name -> content) with the evidence of a run.
        holder: the id of the run that promotes.
        version: of phase5_ops.
        wall: the time that locks are dated with; never a fixed clock.
        monotonic: seconds, for how long ago this process decided.
    """

    state: StateTable
    inputs: Callable[[Candidate], GateInputs]
    keys: Callable[[], KeySet]
    sign: Callable[[bytes], tuple[str, bytes]]
    publish: Callable[[Order], Published]
    keep: Callable[[str, Mapping[str, bytes]], None]
    holder: str
    version: str
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Envelopes:
    readiness: bytes
    decision: bytes


def promote(door: PromotionDoor, release: Release) -> PromotionOutcome:
    """Promotes a release if the gate is open now, once whatever happens.

    Args:
        door: what it works with.
        release: name, digest and environment; the candidate of that name must have that digest.

    Raises:
        StateError: the state table cannot be read or written.
        KeysError, SigningError: the keys cannot be had, or the gate's key does not sign.
    """
    candidate = door.state.candidate(release)
    if candidate is None or candidate.release.digest != release.digest:
        seen = "none" if candidate is None else candidate.release.digest
        return _stopped(f"no candidate {release.name} with digest {release.digest}; registered is {seen}")
    if (done := door.state.promotion(release, candidate.series)) is not None:
        return _recorded(door, candidate, done)
    if candidate.fate not in (Fate.PENDING, Fate.READY_TO_SIGN):
        return _stopped(f"series {candidate.series} is {candidate.fate}: {candidate.closed_because}", *_begun(door, candidate))
    decided = door.monotonic()
    inputs = door.inputs(candidate)
    decision = decide(inputs)
    if decision.outcome is not Outcome.OPEN:
        return _blocked(*map(str, decision.reasons), *_begun(door, candidate))
    envelopes, problems = _attest(door, candidate, inputs, decision)
    if envelopes is None:
        return _blocked(*problems, *_begun(door, candidate))
    return _publish_once(door, candidate, inputs, envelopes, decided)


def _publish_once(
    door: PromotionDoor, candidate: Candidate, inputs: GateInputs, envelopes: _Envelopes, decided: float
) -> PromotionOutcome:
    release, series = candidate.release, candidate.series
    key = idempotency_key(release, series)
    if (holder := _locked_by_another(door, candidate, key)) is not None:
        return PromotionOutcome(Ending.WAITING, (f"run {holder.holder} promotes since {iso(holder.taken_at)}",))
    if (done := door.state.promotion(release, series)) is not None:  # recorded between our reading and our lock
        return _recorded(door, candidate, done)
    readiness, decision = door.state.prepare_promotion(release, series, envelopes.readiness, envelopes.decision)
    standing = _Envelopes(readiness, decision)
    if standing != envelopes and (problems := _verification_problems(door, release, standing, inputs.now)):
        return _blocked(*(f"what an earlier attempt prepared no longer verifies: {each}" for each in problems))
    if stop := _last_look(door, candidate, decided):
        return stop
    decided_at = decision_facts(read_statement(read_envelope(decision).payload)).time_verified
    order = Order(release, series, key, decided_at, Kind.OPEN, decision, candidate.context or {})
    published = door.publish(order)
    if not published.effective:
        again = "it is tried again under the same key" if published.publication != "TAKEN" else "it needs a person"
        return PromotionOutcome(Ending.NOT_TAKEN, (f"{published.publication}: {published.answer}; {again}",))
    promotion = Promotion(door.holder, inputs.now, key, readiness.decode("ascii"), decision.decode("ascii"), published.answer)
    written = door.state.record_promotion(release, series, promotion)
    standing_record = door.state.promotion(release, series) or promotion
    ending = Ending.PROMOTED if written is Written.DONE else Ending.ALREADY_PROMOTED
    return _finish(door, candidate, standing_record, ending)


def _locked_by_another(door: PromotionDoor, candidate: Candidate, key: str) -> Lock | None:
    """The lock of another run; None where it is ours now, taken or taken over."""
    release, series = candidate.release, candidate.series
    written, present = door.state.take_lock(release, series, Lock(door.holder, door.wall(), key))
    if written is Written.DONE:
        return None
    taken = door.state.take_over_lock(release, series, present, door.holder, door.wall(), after=LOCK_AGE)
    return None if taken is Written.DONE else present


def _last_look(door: PromotionDoor, candidate: Candidate, decided: float) -> PromotionOutcome | None:
    """Immediately before publishing: the candidate is as it was, the lock is ours, and the decision is fresh."""
    present = door.state.candidate(candidate.release)
    if present != candidate:
        became = present.fate if present else "gone"
        return _stopped(f"the candidate changed meanwhile: it is {became}")
    lock = door.state.lock(candidate.release, candidate.series)
    if lock is None or lock.holder != door.holder:
        return PromotionOutcome(Ending.WAITING, (f"run {lock.holder if lock else 'nobody'} has taken the lock over",))
    if door.monotonic() - decided > LOCK_AGE.total_seconds():
        return _blocked("the decision is older than five minutes; it is made again at the next attempt")
    return None


def _recorded(door: PromotionDoor, candidate: Candidate, promotion: Promotion) -> PromotionOutcome:
    """The end of an attempt that finds a record, if that carries what only a promotion makes.

    Who can write to the table can write any record; one that was just believed would pass for a promotion that nobody decided
    and no target was told of.
    """
    envelopes = _Envelopes(promotion.readiness_envelope.encode(), promotion.decision_envelope.encode())
    if problems := _verification_problems(door, candidate.release, envelopes, promotion.promoted_at):
        return _blocked(*(f"the record of its promotion is not to be believed: {each}" for each in problems))
    return _finish(door, candidate, promotion, Ending.ALREADY_PROMOTED)


def _finish(door: PromotionDoor, candidate: Candidate, promotion: Promotion, ending: Ending) -> PromotionOutcome:
    """Makes good what follows a record: the candidate's fate, and the files beside the evidence."""
    present = door.state.candidate(candidate.release)
    if present is not None and present.series == candidate.series and present.fate is not Fate.PROMOTED:
        door.state.set_fate(present, Fate.PROMOTED)
    files = {
        READINESS_FILE: promotion.readiness_envelope.encode("ascii"),
        DECISION_FILE: promotion.decision_envelope.encode("ascii"),
    }
    door.keep(promotion.holder, files)
    return PromotionOutcome(ending, (promotion.answer,), promotion)


def _attest(
    door: PromotionDoor, candidate: Candidate, inputs: GateInputs, decision: Decision
) -> tuple[_Envelopes | None, tuple[str, ...]]:
    """The two envelopes of this decision, or why they would not verify: then nothing is published."""
    release, opened = candidate.release, decision.opened_on
    frozen = door.state.statement(release, candidate.series)
    if frozen is None or opened is None or sha256_of(frozen[0]) != opened.statement_digest:
        return None, ("the frozen statement changed while it was decided",)
    payload, gate_signature, gate_key_id = frozen
    signatures = {gate_key_id: gate_signature, **_role_signatures(door, candidate, inputs, payload)}
    readiness = envelope_bytes(payload, signatures)
    statement = decision_statement(
        release=release,
        readiness_envelope=readiness,
        policy_digest=inputs.policy_digest,
        time_verified=inputs.now,
        version=door.version,
    )
    key_id, signature = door.sign(statement)
    envelopes = _Envelopes(readiness, envelope_bytes(statement, {key_id: signature}))
    problems = _verification_problems(door, release, envelopes, inputs.now)
    return (None, problems) if problems else (envelopes, ())


def _role_signatures(door: PromotionDoor, candidate: Candidate, inputs: GateInputs, payload: bytes) -> dict[str, bytes]:
    """Of each role the first signature that counts, as key id -> DER."""
    if inputs.statement is None:
        return {}
    stored = door.state.sign_offs(candidate.release)
    verified = verified_sign_offs(stored, [payload], door.keys())
    found = {}
    for role in ROLES:
        others = tuple(off for off in verified if off.role != role)
        for each, off in zip(stored, verified, strict=True):
            if off.role == role and _counts(off, others, inputs, candidate):
                found[each.key_id] = each.signature
                break
    return found


def _counts(off: SignOff, others: tuple[SignOff, ...], inputs: GateInputs, candidate: Candidate) -> bool:
    if inputs.statement is None:
        return False
    problems = sign_off_problems(
        (off, *others),
        statement=inputs.statement,
        release=candidate.release,
        void=(),
        policy=inputs.policy,
        now=inputs.now,
    )
    return not problems[off.role]


def _verification_problems(door: PromotionDoor, release: Release, envelopes: _Envelopes, now: datetime) -> tuple[str, ...]:
    """Why `phase5 verify` would refuse these envelopes; nothing is published that it would not take."""
    files = {READINESS_FILE: envelopes.readiness, DECISION_FILE: envelopes.decision}
    try:
        found = verify(files, digest=release.digest, keys=door.keys(), now=now, max_age=LONGEST_WAIT)
    except MalformedEnvelope as error:
        return (str(error),)
    about = (found.facts.get("release"), found.facts.get("environment"))
    foreign = () if about == (release.name, release.environment) else (f"it is about {about[0]} in {about[1]}",)
    return (*found.problems, *foreign)


def _begun(door: PromotionDoor, candidate: Candidate) -> tuple[str, ...]:
    """What to know where an earlier attempt got as far as the lock and left no record."""
    lock = door.state.lock(candidate.release, candidate.series)
    if lock is None:
        return ()
    prepared = door.state.prepared_promotion(candidate.release, candidate.series) is not None
    so_far = "it may have reached the target" if prepared else "nothing was published"
    return (
        f"run {lock.holder} began to promote at {iso(lock.taken_at)} and left no record: {so_far} (key {lock.idempotency_key})",
    )


def _blocked(*reasons: str) -> PromotionOutcome:
    return PromotionOutcome(Ending.BLOCKED, reasons)


def _stopped(*reasons: str) -> PromotionOutcome:
    return PromotionOutcome(Ending.STOPPED, reasons)
