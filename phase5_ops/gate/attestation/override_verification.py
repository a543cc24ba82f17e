"""Verifying a promotion by override offline: the signed order, and the gate's decision on it. Pure.

It verifies only if the caller accepts this kind of override: an override is never taken for an open gate. The files cannot tell
that two people signed, only that two roles did, each with its own key; the state table says who they were.
"""

from collections.abc import Collection, Sequence
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
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.keys import GATE, KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import ROLLBACK_ROLE, SIGNERS, Override, override_of
from phase5_ops.gate.attestation.said_by_decision import (
    SKEW,
    age_problems,
    decision_problems,
    decision_summary,
    environment_problems,
    stated_by,
    stated_by_itself,
    unproved,
)
from phase5_ops.gate.attestation.statement import VERIFICATION_SUMMARY


def verify_override(
    file: AttestedFile,
    others: Sequence[AttestedFile],
    problems: list[str],
    *,
    digest: str,
    keys: KeySet,
    now: datetime,
    max_age: timedelta,
    environment: str,
    accept: Collection[OrderKind],
) -> Verification:
    """Verifies the override in `file` and the decision on it.

    `others` are all files that could be read, `problems` what was found with them so far; the rest is as for `verify`.
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
    if override.kind not in accept:
        name = override.kind.lower().replace("_", "-")
        problems.append(f"the gate was not open: {override.kind}; accepted only with --accept {name}")
    release = override.release
    if release.digest != digest:
        problems.append(f"another digest: the override is about {release.name} {release.digest}")
    problems += environment_problems(release.environment, environment, release.name)
    facts = _summary(override)
    proved_at: ProvedAt = unproved
    if decision is not None and decided is not None:
        facts |= decision_summary(decided)
        inputs = (sha256_of(file.content), *override.rests_on)
        problems += decision_problems(decided, release, override.kind, inputs, now)
        if not override.requested_at - SKEW <= decided.time_verified < override.until:
            problems.append(f"the decision of {iso(decided.time_verified)} is not within the life of the override")
        problems += age_problems("decision", decided.time_verified, now, max_age)
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
    problems = [f"{file.name}: {role} must not sign this file" for role in sorted(roles - allowed)]
    counted, wanted = len(roles & allowed), SIGNERS[override.kind]
    if counted < wanted:
        problems.append(f"{file.name}: too few signatures: {counted} of {wanted} of {', '.join(sorted(allowed))}")
    return problems
