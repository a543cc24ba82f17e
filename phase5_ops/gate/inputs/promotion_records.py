"""Whether the record of a promotion is genuine: signed by the gate after the target took the order, for this very series.

The state table alone is not trusted: whoever can write items can write that something was promoted, or copy what was prepared and
never published. What counts is the gate's signature over the publication, and the signed decision that it names. Reads nothing:
everything is passed in.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, read_envelope
from phase5_ops.gate.attestation.keys import GATE, KeySet, revocation_problem
from phase5_ops.gate.attestation.orders import OrderKind, idempotency_key
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.attestation.said_by_decision import stated_by
from phase5_ops.gate.attestation.statement import PUBLICATION, read_statement, statement_bytes
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.records import Release, SignOff
from phase5_ops.gate.state.items import Promotion

#: Names of the envelopes of a promotion, as files.
READINESS_FILE, OVERRIDE_FILE, DECISION_FILE = "readiness.dsse.json", "override.dsse.json", "decision.dsse.json"

_ANY_AGE = timedelta(days=36500)  # what was promoted stays promoted


def publication_statement(record: Promotion, release: Release, series: int, override: Override | None = None) -> bytes:
    """What the gate signs once the target took the order: which, for which series, by which decision, and what it answered."""
    predicate = {
        "environment": release.environment,
        "series": series,
        "override": override.id if override else None,
        "idempotencyKey": record.idempotency_key,
        "decision": sha256_of(record.decision_envelope.encode()),
        "publishedBy": record.holder,
        "promotedAt": iso(record.promoted_at),
        "answer": record.answer,
    }
    return statement_bytes(release, PUBLICATION, predicate)


def record_problems(
    record: Promotion, release: Release, series: int, *, keys: KeySet, now: datetime, override: Override | None = None
) -> tuple[str, ...]:
    """Why a record does not show that this series was promoted; empty if it does.

    Args:
        record: as the table holds it.
        release: name, digest, environment.
        series: of the candidate.
        keys: the trusted keys.
        now: evaluation time.
        override: the order by which it was promoted; None where the gate was open.
    """
    problems = []
    if record.idempotency_key != idempotency_key(release, series, override.id if override else ""):
        problems.append(f"its idempotency key {record.idempotency_key} is another's")
    if not _published(record, publication_statement(record, release, series, override), keys):
        problems.append("the gate has not signed that it was published")
    basis, decision = record.readiness_envelope.encode(), record.decision_envelope.encode()
    return (*problems, *envelope_problems(basis, decision, release, series, keys=keys, now=now, override=override))


def with_attested_times(sign_offs: Iterable[SignOff], record: Promotion) -> tuple[SignOff, ...]:
    """The signatures; those in a promotion's envelope get the time by which its decision proves that they were made.

    Args:
        sign_offs: verified, of the release.
        record: in which `record_problems` has found nothing.
    """
    signed = read_envelope(record.readiness_envelope.encode()).signatures
    decided = decision_facts(read_statement(read_envelope(record.decision_envelope.encode()).payload))

    def attested(off: SignOff) -> SignOff:
        if signed.get(off.key_id) != off.signature or off.frozen_at is None:
            return off
        return replace(off, proved_at=stated_by(decided, off.frozen_at)(off.key_id), unproved="")

    return tuple(map(attested, sign_offs))


def _published(record: Promotion, statement: bytes, keys: KeySet) -> bool:
    key = keys.keys.get(record.key_id)
    if key is None or key.role != GATE or revocation_problem(key.revoked_at, record.promoted_at):  # the statement says when
        return False
    try:
        return key.verifies(statement, bytes.fromhex(record.signature))
    except ValueError:
        return False


def envelope_problems(
    basis: bytes,
    decision: bytes,
    release: Release,
    series: int,
    *,
    keys: KeySet,
    now: datetime,
    max_age: timedelta = _ANY_AGE,
    override: Override | None = None,
) -> tuple[str, ...]:
    """Why two envelopes do not attest the promotion of this release, by this override or by an open gate.

    Args:
        basis: what the decision rests on: the readiness envelope, or the override's.
        decision: the decision's envelope.
        release: name, digest, environment.
        series: of the candidate.
        keys: the trusted keys.
        now: evaluation time.
        max_age: how old the decision may be.
        override: the order; None where the gate was open.
    """
    files = {READINESS_FILE if override is None else OVERRIDE_FILE: basis, DECISION_FILE: decision}
    accept: tuple[OrderKind, ...] = () if override is None else (override.kind,)
    found = verify(
        files, digest=release.digest, keys=keys, now=now, max_age=max_age, environment=release.environment, accept=accept
    )
    problems = list(found.problems)
    if found.ok and (about := found.facts.get("release")) != release.name:
        problems.append(f"it is about {about}")
    if found.ok and (stated := found.facts.get("series", str(series))) != str(series):
        problems.append(f"it is about series {stated}, not {series}")
    if found.ok and override is not None and not _is_order(basis, override):
        problems.append(f"it is of another order than {override.id}")
    return tuple(problems)


def _is_order(basis: bytes, override: Override) -> bool:
    try:
        return read_envelope(basis).payload == override.payload
    except MalformedEnvelope:
        return False
