"""The promotion of a candidate whose gate is open: decide again from fresh reads, attest, publish once.

It does not trust whoever started it: a run launched by hand goes through the same checks. What must not live here: Dagster and
targets, which are passed in as functions of the door; and how something is published once, which is in `publication.py`.
"""

from collections.abc import Mapping
from functools import partial

from phase5_ops.checklist import ROLES
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import envelope_bytes, read_envelope
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.readiness_statement import readiness_facts
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.attestation.verification import LONGEST_WAIT
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.signature_rules import counting
from phase5_ops.gate.inputs.promotion_records import envelope_problems
from phase5_ops.gate.promotion.publication import (
    PromotionDoor,
    PromotionOutcome,
    PromotionPlan,
    attested,
    begun,
    blocked,
    publish_once,
    recorded,
    stopped,
)
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Release
from phase5_ops.gate.state.items import Candidate, Fate, Prepared


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
    envelopes = _attest(door, candidate, inputs, decision)
    if envelopes is None:
        return blocked("the frozen readiness statement changed while the gate decided", *begun(door.state, candidate))
    # nothing is published that `phase5 verify` would refuse
    problems = partial(
        envelope_problems, release=release, series=candidate.series, keys=door.session.keys, now=inputs.now, max_age=LONGEST_WAIT
    )
    if found := problems(envelopes.readiness, envelopes.decision):
        return blocked(*found, *begun(door.state, candidate))
    plan = PromotionPlan(
        candidate=candidate,
        kind=OrderKind.OPEN,
        envelopes=envelopes,
        problems=problems,
        decided_at=inputs.now,
        decided=decided,
        context=_signed_context(envelopes.readiness, candidate),
    )
    return publish_once(door, plan)


def _signed_context(readiness: bytes, candidate: Candidate) -> Mapping[str, str]:
    """What the order tells the target beside the release: as the three roles signed it, whatever the state table says by now."""
    signed = readiness_facts(read_statement(read_envelope(readiness).payload)).context
    return candidate.context or {} if signed is None else signed


def _attest(door: PromotionDoor, candidate: Candidate, inputs: GateInputs, decision: Decision) -> Prepared | None:
    """The two envelopes of this decision; None where the frozen statement is no longer the one that was decided on."""
    release, opened = candidate.release, decision.opened_on
    # read a second time on purpose: the bytes attested are those stored now, if they are the ones decided on
    frozen = door.state.statement(release, candidate.series)
    if frozen is None or opened is None or sha256_of(frozen.payload) != opened.statement_digest:
        return None
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
    return attested(door.session, release, readiness, counted, policy_digest=inputs.policy_digest, at=inputs.now)
