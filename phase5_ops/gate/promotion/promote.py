"""The promotion of a candidate whose gate is open: decide again from fresh reads, attest, publish once.

It does not trust whoever started it: a run launched by hand goes through the same checks. What must not live here: Dagster and
targets, which are passed in as functions of the door; and how something is published once, which is in `publication.py`.
"""

from datetime import datetime
from importlib.metadata import version

from phase5_ops.checklist import ROLES
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.decision_statement import decision_statement
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.verification import LONGEST_WAIT
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.signature_rules import counting, proved_times
from phase5_ops.gate.inputs.promotion_records import envelope_problems
from phase5_ops.gate.promotion.publication import (
    Envelopes,
    PromotionDoor,
    PromotionOutcome,
    PromotionPlan,
    begun,
    blocked,
    publish_once,
    recorded,
    stopped,
)
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Release
from phase5_ops.gate.state.items import Candidate, Fate


def promote(door: PromotionDoor, release: Release) -> PromotionOutcome:
    """Promotes a release if the gate is open now, and only once.

    Args:
        door: the session of the run that promotes, and how it decides and publishes.
        release: name, digest and environment; the candidate of that name must have that digest.

    Raises:
        StateError: the state table cannot be read or written.
        KeysError, SigningError: the keys cannot be had, or the gate's key does not sign.
    """
    candidate = door.state.candidate(release)
    if candidate is None or candidate.release.digest != release.digest:
        seen = "none" if candidate is None else candidate.release.digest
        return stopped(f"no candidate {release.name} with digest {release.digest}; registered is {seen}")
    if (done := door.state.promotion(release, candidate.series)) is not None:
        return recorded(door, candidate, done)
    if candidate.fate not in (Fate.PENDING, Fate.READY_TO_SIGN):
        return stopped(
            f"series {candidate.series} is {candidate.fate}: {candidate.closed_because}", *begun(door.state, candidate)
        )
    decided = door.monotonic()
    inputs = door.inputs(candidate)
    decision = decide(inputs)
    if decision.outcome is not Outcome.OPEN:
        return blocked(*map(str, decision.reasons), *begun(door.state, candidate))
    envelopes, problems = _attest(door, candidate, inputs, decision)
    if envelopes is None:
        return blocked(*problems, *begun(door.state, candidate))
    plan = PromotionPlan(
        candidate=candidate,
        kind=OrderKind.OPEN,
        envelopes=envelopes,
        problems=lambda standing: _verification_problems(door, release, standing, inputs.now),
        decided_at=inputs.now,
        decided=decided,
        context=candidate.context or {},
    )
    return publish_once(door, plan)


def _attest(
    door: PromotionDoor, candidate: Candidate, inputs: GateInputs, decision: Decision
) -> tuple[Envelopes | None, tuple[str, ...]]:
    """The two envelopes of this decision, or why they would not verify: then nothing is published."""
    release, opened = candidate.release, decision.opened_on
    # read a second time on purpose: the bytes attested are those stored now, if they are the ones decided on
    frozen = door.state.statement(release, candidate.series)
    if frozen is None or opened is None or sha256_of(frozen.payload) != opened.statement_digest:
        return None, ("the frozen statement changed while it was decided",)
    counted = counting(
        inputs.sign_offs,
        ROLES,
        statement_digest=opened.statement_digest,
        release=release,
        policy=inputs.policy,
        now=inputs.now,
    )
    signatures = {frozen.gate_key_id: frozen.gate_signature, **{off.key_id: off.signature for off in counted}}
    readiness = envelope_bytes(frozen.payload, signatures)
    statement = decision_statement(
        release=release,
        envelope=readiness,
        policy_digest=inputs.policy_digest,
        time_verified=inputs.now,
        version=version("phase5-ops"),
        proved=proved_times(counted),
        signers=counted,
    )
    key_id, signature = door.session.signed_by_gate(statement)
    envelopes = Envelopes(readiness, envelope_bytes(statement, {key_id: signature}))
    problems = _verification_problems(door, release, envelopes, inputs.now)
    return (None, problems) if problems else (envelopes, ())


def _verification_problems(door: PromotionDoor, release: Release, envelopes: Envelopes, now: datetime) -> tuple[str, ...]:
    """Why these envelopes do not attest an open gate; nothing is published that `phase5 verify` would refuse."""
    return envelope_problems(envelopes.basis, envelopes.decision, release, keys=door.session.keys, now=now, max_age=LONGEST_WAIT)
