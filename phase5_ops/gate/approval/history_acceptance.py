"""Accepting that a history does not continue: what a person signs, and which acceptances count later.

What is signed, and its bytes, is in `attestation/acceptance.py`. What must not live here: the command line, and what a break does
to a row (`histories.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import uuid4

from phase5_ops.checklist import ROLES
from phase5_ops.evidence.histories import NEVER_ACCEPTED, Break
from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE, Acceptance, acceptance_of, acceptance_payload
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.run_record import RunRecord
from phase5_ops.gate.session import GateSession, Refused
from phase5_ops.gate.state.items import Written
from phase5_ops.gate.state.run_records import StoredAcceptance

_LOOKED_THROUGH = 500  # records


@dataclass(frozen=True, slots=True)
class AcceptanceRequest:
    """What a person asks for: under which role, why, and where it is followed up."""

    role: str
    reason: str
    ticket: str


def trusted_acceptances(stored: Iterable[StoredAcceptance], environment: str, keys: KeySet) -> list[Acceptance]:
    """The acceptances of an environment that a trusted key of the role they name signed; others are left out."""
    found = []
    for each in stored:
        try:
            acceptance = acceptance_of(each.payload)
        except ValueError:
            continue
        key = keys.keys.get(each.key_id)
        if key is None or key.role != acceptance.role or key.role not in ROLES or key.revoked_at is not None:
            continue
        named = acceptance.id == each.id and acceptance.environment == environment and bool(acceptance.identity)
        if named and key.verifies(each.payload, each.signature, ACCEPTANCE_TYPE):
            found.append(acceptance)
    return found


def broken_run(session: GateSession, run_id: str | None) -> RunRecord:
    """The record whose breaks are to be accepted: that of the run, or the newest without one.

    Raises:
        Refused: there is none, or it shows nothing that could be accepted.
        StateError: the table cannot be read.
    """
    settings = session.settings
    records = islice(session.records.newest_first(settings.environment), _LOOKED_THROUGH)
    record = next((each for each in records if run_id in (None, each.found.run_id)), None)
    if record is None:
        raise Refused(f"no record of {f'run {run_id}' if run_id else 'a readiness run'} in {settings.environment}")
    if not acceptable(record):
        left = "; ".join(f"{each.code} {each.subject}: {each.found}" for each in record.found.standing.breaks)
        why = f"such breaks are never accepted: {left}" if left else "there, every history continues the earlier ones"
        raise Refused(f"run {record.found.run_id} shows nothing to accept: {why}")
    return record


def acceptable(record: RunRecord) -> tuple[Break, ...]:
    """The breaks of a record that a person may accept."""
    return tuple(each for each in record.found.standing.breaks if each.code not in NEVER_ACCEPTED)


def accept(
    session: GateSession, record: RunRecord, breaks: Sequence[Break], request: AcceptanceRequest, identity: str
) -> Acceptance:
    """Signs with the role's key and records that these breaks are accepted.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the trusted one.
        StateError: the acceptance could not be recorded.
        Refused: there is no reason or ticket; or another acceptance is recorded under the same id.
    """
    if not request.reason.strip() or not request.ticket.strip():
        raise Refused("an acceptance needs a reason and a ticket")
    settings = session.settings
    acceptance = Acceptance(
        id=uuid4().hex[:12],
        environment=settings.environment,
        run_id=record.found.run_id,
        breaks=tuple(breaks),
        role=request.role,
        identity=identity,
        reason=request.reason.strip(),
        ticket=request.ticket.strip(),
        at=session.now,
    )
    payload = acceptance_payload(acceptance)
    made = session.signed(request.role, payload, ACCEPTANCE_TYPE)
    stored = StoredAcceptance(acceptance.id, payload, made.key_id, made.signature)
    if session.records.accept(settings.environment, stored) is not Written.DONE:
        raise Refused(f"another acceptance is recorded as {acceptance.id}; nothing was changed, accept again")
    return acceptance
