"""What a decision statement proves of what it rests on: for which environment it is, and by when its signatures were made. Pure.

Shared by the verification of an open gate's promotion and of one by override.
"""

from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.attested_files import ANOTHER_ENVIRONMENT, ProvedAt
from phase5_ops.gate.attestation.decision_statement import DecisionFacts, gate_id, resource_uri

SKEW = timedelta(minutes=5)
_SECOND = timedelta(seconds=1)


def made_too_early(recorded: datetime, frozen_at: datetime) -> bool:
    """Whether a call that CloudTrail records to the second, so up to one too early, was over before something existed to sign."""
    return recorded + _SECOND <= frozen_at


def unproved(_key_id: str) -> datetime | None:
    """No decision is there, so nothing shows by when a signature was made."""
    return None


def stated_by(decided: DecisionFacts, frozen_at: datetime) -> ProvedAt:
    """By when what a decision rests on was signed: by its own time, or earlier where it states KMS's record of that key.

    A record from before `frozen_at`, when what was signed came to be, is of another call.
    """

    def proved_at(key_id: str) -> datetime:
        stated = decided.proved.get(key_id, decided.time_verified)
        return decided.time_verified if made_too_early(stated, frozen_at) else min(decided.time_verified, stated)

    return proved_at


def stated_by_itself(decided: DecisionFacts) -> ProvedAt:
    """By when the decision was signed, as it says."""
    return lambda _: decided.time_verified


def decision_summary(decided: DecisionFacts) -> dict[str, str]:
    """What a decision says, for people: when, by which right, and who signed what it rests on."""
    facts = {"decided at": iso(decided.time_verified), "levels": ", ".join(decided.levels)}
    return {**facts, **{f"signed for {signer.role} by": str(signer) for signer in decided.signers}}


def environment_problems(said: str, wanted: str, name: str) -> list[str]:
    """Whether a statement is for the environment that is asked about."""
    return [] if said == wanted else [f"{ANOTHER_ENVIRONMENT}: not for {wanted}, it is about {name} in {said}"]


def decider_problems(decided: DecisionFacts, environment: str) -> list[str]:
    """Whether a decision was made by the gate of the environment that it rests on, and for that."""
    problems = []
    if decided.verifier != gate_id(environment):
        problems.append(f"the decision is by {decided.verifier}, not by the gate of {environment}")
    if decided.resource != resource_uri(environment, decided.name):
        problems.append(f"the decision is for {decided.resource}, not for {decided.name} in {environment}")
    return problems
