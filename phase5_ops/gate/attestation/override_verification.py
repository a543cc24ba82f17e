"""Verifying a promotion by override offline: the signed order, and the gate's decision on it. Pure.

It verifies only if the caller accepts this kind of override: an override is never taken for an open gate. The files cannot tell
that two people signed, only that two roles did, each with its own key; the state table says who they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.attested_files import (
    AttestedFile,
    ProvedAt,
    Verification,
    only,
    signature_problems,
    signed_roles,
)
from phase5_ops.gate.attestation.decision_statement import OUTCOMES, DecisionFacts, decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.keys import GATE, KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import ROLLBACK_ROLE, SIGNERS, Override, override_of
from phase5_ops.gate.attestation.said_by_decision import (
    SKEW,
    decider_problems,
    decision_summary,
    environment_problems,
    stated_by,
    stated_by_itself,
    unproved,
)
from phase5_ops.gate.attestation.statement import VERIFICATION_SUMMARY


@dataclass(frozen=True, slots=True)
class OverrideQuestion:
    """What attestation files are checked against.

    Attributes:
        digest: `sha256:...` of the artifact that they must be about.
        environment: for which they must be.
        now: the time to judge age by.
        max_age: how old the decision may be.
        accept: the kinds of override that are accepted.
    """

    digest: str
    environment: str
    now: datetime
    max_age: timedelta
    accept: frozenset[OrderKind]


def verify_override(
    file: AttestedFile,
    others: Sequence[AttestedFile],
    problems: list[str],
    asked: OverrideQuestion,
    keys: KeySet,
) -> Verification:
    """Verifies an override and the decision on it.

    Args:
        file: the override's.
        others: all files that could be read.
        problems: found with the files so far.
        asked: what they are checked against.
        keys: the trusted keys.
    """
    decision = only(others, VERIFICATION_SUMMARY, "decision statement", problems)
    problems += [
        f"{other.name}: does not belong to an override" for other in others if other is not file and other is not decision
    ]
    try:
        override = override_of(file.envelope.payload)
        decided = decision_facts(decision.statement) if decision is not None else None
    except MalformedEnvelope as error:
        return Verification((*problems, f"malformed: {error}"), {})
    if override.kind not in asked.accept:
        name = override.kind.lower().replace("_", "-")
        problems.append(f"the gate was not open: {override.kind}; accepted only with --accept {name}")
    release = override.release
    if release.digest != asked.digest:
        problems.append(f"another digest: the override is about {release.name} {release.digest}")
    problems += environment_problems(release.environment, asked.environment, release.name)
    facts = _summary(override)
    proved_at: ProvedAt = unproved
    if decision is not None and decided is not None:
        facts |= decision_summary(decided)
        problems += _decision_problems(override, decided, sha256_of(file.content), asked)
        problems += signature_problems(decision, keys, (GATE,), stated_by_itself(decided))
        proved_at = stated_by(decided, override.requested_at)
    roles = signed_roles(file, keys, proved_at, problems)
    problems += _role_problems(override, file, roles)
    return Verification(tuple(problems), {**facts, "signed for": ", ".join(sorted(roles)) or "nobody"})


def _summary(override: Override) -> dict[str, str]:
    release = override.release
    return {
        "release": release.name,
        "digest": release.digest,
        "environment": release.environment,
        "promoted by": str(override.kind),
        "override": override.id,
        "asked for": f"{iso(override.requested_at)} by {override.requested_by}",
        "until": iso(override.until),
        "reason": f"{override.reason} ({override.ticket})",
    }


def _role_problems(override: Override, file: AttestedFile, roles: set[str]) -> list[str]:
    allowed = {ROLLBACK_ROLE} if override.kind is OrderKind.ROLLBACK else set(ROLES)
    problems = [f"{file.name}: {role} has no business signing it" for role in sorted(roles - allowed)]
    counted, wanted = len(roles & allowed), SIGNERS[override.kind]
    if counted < wanted:
        problems.append(f"{file.name}: too few signatures: {counted} of {wanted} of {', '.join(sorted(allowed))}")
    return problems


def _decision_problems(override: Override, decided: DecisionFacts, envelope_digest: str, asked: OverrideQuestion) -> list[str]:
    problems = decider_problems(decided, override.release.environment)
    if (decided.digest, decided.name) != (override.release.digest, override.release.name):
        problems.append(f"another digest: the decision is about {decided.name} {decided.digest}")
    if (decided.result, decided.levels) != OUTCOMES[override.kind]:
        problems.append(f"the decision is not of {override.kind}: {decided.result} {', '.join(decided.levels)}")
    if decided.inputs != (envelope_digest, *override.rests_on):
        problems.append(f"the decision rests on {', '.join(decided.inputs) or 'nothing'}, the override is {envelope_digest}")
    if not override.requested_at - SKEW <= decided.time_verified < override.until:
        problems.append(f"the decision of {iso(decided.time_verified)} is not within the life of the override")
    if decided.time_verified - asked.now > SKEW:
        problems.append(f"the decision is from the future: {iso(decided.time_verified)}")
    if asked.now - decided.time_verified > asked.max_age:
        moment = iso(decided.time_verified)
        problems.append(f"an old statement: the decision is of {moment}; to look at it as of then, give --at {moment}")
    return problems
