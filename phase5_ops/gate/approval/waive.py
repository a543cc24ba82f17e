"""Waiving a row of one release: which waiver the person asks for, whether it could ever count, and the waiver as it is kept.

The same rules judge a waiver here, before it is signed, and in every decision. What must not live here: the command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from phase5_ops.checklist import ROLES, ROW_OF_ID, Row
from phase5_ops.gate.attestation.envelopes import WAIVER_TYPE
from phase5_ops.gate.attestation.waiver import waiver_payload
from phase5_ops.gate.decision.waivers import closing_findings, pair_of, problem_of, waive
from phase5_ops.gate.records import Pair, Waiver
from phase5_ops.gate.session import GateSession, Refused
from phase5_ops.gate.signing.stored_signatures import verified_waivers
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate, StoredWaiver, Written
from phase5_ops.verdict import Finding, Verdict


@dataclass(frozen=True, slots=True)
class WaiverRequest:
    """What a person asks for.

    Attributes:
        row: row id, or the name of an extra check.
        findings: `CODE` or `CODE@SUBJECT`, as given.
        role: under which the person signs.
        reason, ticket: why, and where it is followed up.
        until: when it ends.
    """

    row: str
    findings: tuple[str, ...]
    role: str
    reason: str
    ticket: str
    until: datetime


def checked_row(row_id: str) -> Row:
    """The row, if it may be waived at all.

    Raises:
        Refused: it may not be waived, or there is no such row.
    """
    row = ROW_OF_ID.get(row_id)
    if row is None:
        raise Refused(f"there is no row {row_id}; the rows are {', '.join(ROW_OF_ID)}")
    if not row.waivable or row.is_sign_off:
        raise Refused(f"row {row.id} ({row.title}) cannot be waived")
    return row


def make_waiver(
    session: GateSession, candidate: Candidate, request: WaiverRequest, found: Sequence[Finding], identity: str
) -> Waiver:
    """The waiver that is asked for, if it would open its row now.

    Args:
        session: gives the evaluation time.
        candidate: the release it is bound to.
        request: what is asked for.
        found: every finding of the row in the candidate's present readiness run.
        identity: of the person who asks.

    Raises:
        Refused: it would not count, or would not open the row.
    """
    row, policy = checked_row(request.row), session.settings.gate
    closing = closing_findings(row, found, policy)
    _refuse_what_is_never_waived(row, candidate, closing)
    try:
        pairs: frozenset[Pair] = frozenset().union(*(pair_of(text, closing) for text in request.findings))
    except ValueError as error:
        present = ", ".join(sorted({f"{f.code}@{f.subject}" for f in closing}))
        raise Refused(f"row {row.id}: {error}; what keeps it closed is {present}") from error
    waiver = Waiver(
        id=f"{row.id}-{uuid4().hex[:12]}",
        row=row.id,
        release_digest=candidate.release.digest,
        pairs=pairs,
        reason=request.reason.strip(),
        ticket=request.ticket.strip(),
        issued_at=session.now,
        until=request.until,
        signed_by=request.role if request.role in ROLES else None,
        identity=identity,
        environment=candidate.release.environment,
    )
    if problem := problem_of(waiver, release_digest=candidate.release.digest, policy=policy, now=session.now):
        raise Refused(f"row {row.id}: the waiver would not count: {problem}")
    release = candidate.release
    others = verified_waivers(
        session.state.waivers(release), session.keys, session.state.statements(release), environment=release.environment
    )
    outcome = waive(row, found, [*others, waiver], release_digest=candidate.release.digest, policy=policy, now=session.now)
    if not outcome.waived:
        left = ", ".join(sorted({f"{f.code}@{f.subject}" for f in outcome.uncovered}))
        raise Refused(f"row {row.id} would stay closed: the waiver must cover every blocking finding, and does not cover {left}")
    return waiver


def _refuse_what_is_never_waived(row: Row, candidate: Candidate, closing: Sequence[Finding]) -> None:
    if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        raise Refused(f"{candidate.release.name} is {candidate.fate}; there is nothing to waive")
    if not closing:
        raise Refused(f"row {row.id} has no finding that keeps it closed in the present readiness run; there is nothing to waive")
    if errors := sorted({f"{f.code}@{f.subject}" for f in closing if f.verdict is Verdict.ERROR}):
        raise Refused(f"row {row.id}: an ERROR (what could not be read or judged) is never waived: {', '.join(errors)}")


def record_waiver(session: GateSession, candidate: Candidate, waiver: Waiver) -> StoredWaiver:
    """Signs the waiver with the role's key and records it.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the trusted one.
        StateError: the waiver could not be recorded.
        Refused: another waiver is recorded under the same id.
    """
    made = session.signed(waiver.signed_by or "", waiver_payload(waiver), WAIVER_TYPE)
    stored = StoredWaiver(replace(waiver, signed_by=None), made.key_id, made.signature)
    if session.state.add_waiver(candidate.release, stored) is not Written.DONE:
        raise Refused(f"another waiver is recorded as {waiver.id}; nothing was changed, ask again")
    return stored
