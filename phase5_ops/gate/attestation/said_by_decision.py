"""What a decision statement says and proves: whether it is the one wanted, and by when what it rests on was signed. Pure.

Shared by the verification of an open gate's promotion and of one by override.
"""

from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.attested_files import ANOTHER_ENVIRONMENT, ProvedAt
from phase5_ops.gate.attestation.decision_statement import OUTCOMES, DecisionFacts, gate_id, resource_uri
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.records import Release

SKEW = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)


def made_too_early(recorded: datetime, frozen_at: datetime) -> bool:
    """Whether a call was made before what it should have signed existed; CloudTrail's time may be up to a second too early."""
    return recorded + _SECOND <= frozen_at


def unproved(_key_id: str) -> datetime | None:
    """For files without a decision: nothing shows by when a signature was made."""
    return None


def stated_by(decided: DecisionFacts, frozen_at: datetime) -> ProvedAt:
    """By when a key signed what a decision rests on: the decision's time, or KMS's earlier record of that key if it states one.

    A record from before `frozen_at`, when the signed bytes were made, is of another call.
    """

    def proved_at(key_id: str) -> datetime:
        stated = decided.proved.get(key_id, decided.time_verified)
        return decided.time_verified if made_too_early(stated, frozen_at) else min(decided.time_verified, stated)

    return proved_at


def stated_by_itself(decided: DecisionFacts) -> ProvedAt:
    """By when the decision was signed, as it says itself."""
    return lambda _: decided.time_verified


def decision_summary(decided: DecisionFacts) -> dict[str, str]:
    """What a decision says, for people: when, by which right, and who signed what it rests on."""
    facts = {"decided at": iso(decided.time_verified), "levels": ", ".join(decided.levels)}
    return {**facts, **{f"signed for {signer.role} by": str(signer) for signer in decided.signers}}


def environment_problems(said: str, wanted: str, name: str) -> list[str]:
    """Why a statement is not for the environment that is asked about; empty if it is."""
    return [] if said == wanted else [f"{ANOTHER_ENVIRONMENT}: not for {wanted}, it is about {name} in {said}"]


def decision_problems(
    decided: DecisionFacts, release: Release, kind: OrderKind, inputs: tuple[str, ...], now: datetime
) -> list[str]:
    """Why a decision is not that of a release's own gate to promote it; empty if it is.

    Args:
        decided: what the decision says.
        release: what it must be about.
        kind: the right by which it must promote.
        inputs: digests of the envelopes that it must rest on.
        now: the time to judge by.
    """
    problems, environment = [], release.environment
    if (decided.digest, decided.name) != (release.digest, release.name):
        problems.append(f"another digest: the decision is about {decided.name} {decided.digest}")
    if (decided.result, decided.levels) != OUTCOMES[kind]:
        problems.append(f"the decision is not of the kind {kind}: it says {decided.result} {', '.join(decided.levels)}")
    if decided.inputs != inputs:
        problems.append(f"the decision rests on {', '.join(decided.inputs) or 'nothing'}, not on {', '.join(inputs)}")
    if decided.verifier != gate_id(environment):
        problems.append(f"the decision is by {decided.verifier}, not by the gate of {environment}")
    if decided.resource != resource_uri(environment, decided.name):
        problems.append(f"the decision is for {decided.resource}, not for {decided.name} in {environment}")
    if decided.time_verified - now > SKEW:
        problems.append(f"the decision is from the future: {iso(decided.time_verified)}")
    return problems


def age_problems(what: str, moment: datetime, now: datetime, max_age: timedelta) -> list[str]:
    """Why the statement `what` of a moment is too old; empty if it is not."""
    if now - moment <= max_age:
        return []
    return [
        f"an old statement: the {what} is of {iso(moment)}, more than {max_age.total_seconds() / 3600:g} h before {iso(now)};"
        f" to look at it as of then, give --at {iso(moment)}"
    ]
