"""Verifying attestations offline: without AWS, Dagster or the network, from the files and the trusted keys alone. Pure.

Starts at "not verified". A readiness statement needs the gate's signature and that of each of the three roles, each with that
role's own key: never "any four keys". A decision statement needs the gate's, and must name the very readiness envelope beside it.
A revoked key still counts where the decision, by the time that it states, shows that the key signed before it was revoked.
Everything must be for the one environment that is asked about.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.attested_files import ProvedAt, Verification, only, read_file, signature_problems
from phase5_ops.gate.attestation.decision_statement import DecisionFacts, decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.keys import GATE, KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_verification import verify_override
from phase5_ops.gate.attestation.readiness_statement import ReadinessFacts, readiness_facts
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
from phase5_ops.gate.attestation.statement import OVERRIDE, TEST_RESULT, VERIFICATION_SUMMARY
from phase5_ops.gate.records import Release

LONGEST_WAIT = timedelta(days=31)
"""Longest time from a readiness statement to the decision on it: the longest that settings let a candidate wait and a signature
stand, and a confirmation run."""

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def verify(
    files: Mapping[str, bytes],
    *,
    digest: str,
    keys: KeySet,
    now: datetime,
    max_age: timedelta,
    environment: str,
    accept: Collection[OrderKind] = (),
    promoted: bool = False,
) -> Verification:
    """Verifies one readiness envelope, and the decision envelope if it is there; or an override and the decision on it.

    Args:
        files: name -> content.
        digest: `sha256:...` of the artifact that they must be about.
        keys: the trusted keys.
        now: the time to judge age by.
        max_age: how old the decision, or without one the readiness statement, may be.
        environment: for which they must be.
        accept: the kinds of override by which the release may have been promoted, beside an open gate.
        promoted: whether a readiness statement without a decision is not enough: three people may have signed it, and the gate
            stayed closed.
    """
    problems: list[str] = []
    if not files:
        return Verification(("nothing to verify: no file",), {})
    if not DIGEST_PATTERN.fullmatch(digest):
        return Verification((f"not a digest to verify against: {digest!r}",), {})
    read = [file for name, content in files.items() if (file := read_file(name, content, problems)) is not None]
    override = only(read, OVERRIDE, "override", problems, optional=True)
    if override is not None:
        return verify_override(
            override, read, problems, digest=digest, keys=keys, now=now, max_age=max_age, environment=environment, accept=accept
        )
    readiness = only(read, TEST_RESULT, "readiness statement", problems)
    decision = only(read, VERIFICATION_SUMMARY, "decision statement", problems, optional=True)
    problems += [
        f"{file.name}: predicate {file.statement.predicate_type} is not one that this gate makes"
        for file in read
        if file.statement.predicate_type not in (TEST_RESULT, VERIFICATION_SUMMARY, OVERRIDE)
    ]
    if readiness is None:
        return Verification(tuple(problems), {})
    facts: dict[str, str] = {}
    proved_at: ProvedAt = unproved
    try:
        said = readiness_facts(readiness.statement)
        facts |= _readiness_summary(said)
        problems += _readiness_problems(said, digest, now)
        problems += environment_problems(said.environment, environment, said.name)
        if decision is not None:
            decided = decision_facts(decision.statement)
            facts |= decision_summary(decided)
            wanted = Release(said.name, digest, said.environment)
            problems += decision_problems(decided, wanted, OrderKind.OPEN, (sha256_of(readiness.content),), now)
            problems += _not_on(decided, said)
            problems += signature_problems(decision, keys, (GATE,), stated_by_itself(decided))
            proved_at = stated_by(decided, said.evaluated_at)
            problems += age_problems("decision", decided.time_verified, now, max_age)
        else:
            problems += age_problems("readiness statement", said.evaluated_at, now, max_age)
            if promoted:
                problems.append("no decision among the files: nothing shows that the gate promoted what was signed")
    except MalformedEnvelope as error:
        problems.append(f"malformed: {error}")
    problems += signature_problems(readiness, keys, (GATE, *ROLES), proved_at)
    return Verification(tuple(problems), facts)


def _readiness_summary(said: ReadinessFacts) -> dict[str, str]:
    return {
        "release": said.name,
        "digest": said.digest,
        "environment": said.environment,
        **({} if said.series is None else {"series": str(said.series)}),
        "result": said.result,
        "evaluated at": iso(said.evaluated_at),
        "evidence": said.evidence_digest,
        "of run": said.run_id,
        "policy": said.policy_digest,
    }


def _readiness_problems(said: ReadinessFacts, digest: str, now: datetime) -> list[str]:
    problems = []
    if said.digest != digest:
        problems.append(f"another digest: the readiness statement is about {said.digest}")
    if said.result not in ("PASSED", "WARNED"):
        problems.append(f"the readiness statement says {said.result}")
    if said.evaluated_at - now > SKEW:
        problems.append(f"the readiness statement is from the future: {iso(said.evaluated_at)}")
    return problems


def _not_on(decided: DecisionFacts, said: ReadinessFacts) -> list[str]:
    """Why a decision cannot be on this readiness statement, by policy and time."""
    problems = []
    if decided.policy_digest != said.policy_digest:
        problems.append(
            f"the decision was made under policy {decided.policy_digest}, the readiness statement under {said.policy_digest}"
        )
    if decided.time_verified < said.evaluated_at - SKEW or decided.time_verified - said.evaluated_at > LONGEST_WAIT:
        problems.append(f"the decision of {iso(decided.time_verified)} does not belong to a run of {iso(said.evaluated_at)}")
    return problems
