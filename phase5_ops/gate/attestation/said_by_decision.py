"""What a decision statement proves about what it rests on: for which environment it is, and by when it was signed. Pure.

Shared by the verification of an open gate's promotion and of one by override.
"""

from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.attested_files import ANOTHER_ENVIRONMENT, ProvedAt
from phase5_ops.gate.attestation.decision_statement import DecisionFacts, gate_id, resource_uri

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


def decider_problems(decided: DecisionFacts, environment: str) -> list[str]:
    """Why a decision was not made by the gate of this environment, or not for it; empty if it was."""
    problems = []
    if decided.verifier != gate_id(environment):
        problems.append(f"the decision is by {decided.verifier}, not by the gate of {environment}")
    if decided.resource != resource_uri(environment, decided.name):
        problems.append(f"the decision is for {decided.resource}, not for {decided.name} in {environment}")
    return problems
