"""Signing off a candidate: what is shown to the person, who may sign, and the signature as it is kept.

A person signs the readiness statement that the gate froze and signed, and nothing else: not what this process thinks of the
platform. What must not live here: the command line, and the decision, which judges every signature anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.readiness_statement import ReadinessFacts, StatedWaiver, StatementRow, readiness_facts
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.decision.signature_rules import of_another_series, sign_off_problems
from phase5_ops.gate.decision.waiver_report import in_vain, in_words
from phase5_ops.gate.decision.waivers import closing_findings, problem_of, unmatched
from phase5_ops.gate.records import Pair, Release, SignOff
from phase5_ops.gate.session import GateSession, Refused, signature_over
from phase5_ops.gate.signing.identity import SessionIdentity, repeated_role
from phase5_ops.gate.signing.stored_signatures import verified_waivers
from phase5_ops.gate.state.items import Candidate, Fate, StoredSignOff, StoredStatement, Written
from phase5_ops.text import printable


@dataclass(frozen=True, slots=True)
class ToSign:
    """What a candidate's roles sign.

    Attributes:
        candidate: as it stands in the state table.
        payload: the statement's bytes.
        statement_digest: `sha256:...` of these bytes.
        said: what they say.
        sign_offs: every signature recorded for the release, verified.
        problems: role -> why it has not signed; empty for one that has.
        in_vain: a line for each waiver in force that excuses a finding which does not close its row in the statement.
    """

    candidate: Candidate
    payload: bytes
    statement_digest: str
    said: ReadinessFacts
    sign_offs: tuple[SignOff, ...]
    problems: Mapping[str, tuple[str, ...]]
    in_vain: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles that have not signed."""
        return tuple(role for role, problems in self.problems.items() if problems)


def registered(session: GateSession, name: str) -> Candidate:
    """The candidate of this name.

    Raises:
        Refused: there is none.
        StateError: the table cannot be read.
    """
    environment = session.settings.environment
    candidate = session.state.candidate(Release(name, "", environment))
    if candidate is None:
        raise Refused(f"no candidate {name} in {environment}; register it with phase5 promote")
    return candidate


def to_sign(session: GateSession, candidate: Candidate) -> ToSign:
    """The statement that waits for a candidate's signatures, checked to be the gate's own and about this candidate.

    Raises:
        Refused: there is nothing to sign, or it is not what it should be.
        StateError: the table cannot be read.
    """
    release = candidate.release
    if candidate.fate is not Fate.READY_TO_SIGN:
        because = f": {candidate.closed_because}" if candidate.closed_because else ""
        raise Refused(f"{release.name} is {candidate.fate}{because}; only a {Fate.READY_TO_SIGN} candidate can be signed off")
    state, keys = session.state, session.keys
    frozen, statements = state.statement_among_all(release, candidate.series)
    if frozen is None:
        raise Refused(f"{release.name} has no readiness statement yet")
    payload, gate_key = frozen.payload, keys.keys.get(frozen.gate_key_id)
    if gate_key is None or gate_key.role != GATE or gate_key.revoked_at or not gate_key.verifies(payload, frozen.gate_signature):
        raise Refused(
            f"the readiness statement of {release.name} is not signed by the gate's key: do not sign it, find out who wrote it"
        )
    try:
        said = readiness_facts(read_statement(payload))
    except MalformedEnvelope as error:
        raise Refused(f"the readiness statement of {release.name} cannot be read: {error}") from error
    if (said.name, said.digest, said.environment) != (release.name, release.digest, release.environment):
        raise Refused(
            f"the readiness statement is about {said.name} {said.digest} in {said.environment}, not about this candidate"
        )
    if another := of_another_series(said.series, candidate.series):
        raise Refused(f"the readiness statement is not about this series of {release.name}: {'; '.join(another)}")
    offs, statement_digest = session.sign_offs(state.sign_offs(release), [payload]), sha256_of(payload)
    found = sign_off_problems(
        offs,
        statement_digest=statement_digest,
        release=release,
        void=(),
        policy=session.settings.gate,
        now=session.now,
    )
    problems = {role: tuple(f"{code.code}: {seen}" for code, seen in each) for role, each in found.items()}
    return ToSign(candidate, payload, statement_digest, said, offs, problems, _in_vain(session, release, said, statements))


def _in_vain(
    session: GateSession, release: Release, said: ReadinessFacts, statements: Sequence[StoredStatement]
) -> tuple[str, ...]:
    """The waivers in force that match nothing of what is signed, in words."""
    policy = session.settings.gate
    waivers = verified_waivers(session.state.waivers(release), session.keys, statements, environment=release.environment)
    in_force = [w for w in waivers if problem_of(w, release_digest=release.digest, policy=policy, now=session.now) is None]
    closing = {row: closing_findings(ROW_OF_ID[row], found, policy) for row, found in said.findings().items() if row in ROW_OF_ID}
    vain: dict[str, list[Pair]] = {}
    for name, pair in unmatched(in_force, closing):
        vain.setdefault(name, []).append(pair)
    return tuple(in_vain(waiver, vain[waiver.id]) for waiver in in_force if waiver.id in vain)


def signer(session: GateSession, role: str, what: ToSign) -> SessionIdentity:
    """The person who is about to sign for a role.

    Raises:
        Refused: the person is not known, or has signed for another role.
    """
    who = session.person
    signed = [
        (off.role, off.identity)
        for off in what.sign_offs
        if off.key_role == off.role and off.statement_digest == what.statement_digest
    ]
    if other := repeated_role(who.person, role, signed):
        raise Refused(f"{who.person} has signed for {other} already; three roles are three people")
    return who


def sign_off(session: GateSession, role: str, what: ToSign, who: SessionIdentity) -> StoredSignOff:
    """Signs with the role's key and records the signature.

    A process that is killed before it records the signature leaves none that counts; signing again makes another.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the trusted one.
        StateError: the signature could not be recorded.
        Refused: another signature is recorded under the same id.
    """
    release, series = what.candidate.release, what.candidate.series
    frozen_at = what.said.evaluated_at
    if session.now < frozen_at:
        raise Refused(f"this machine's clock says {iso(session.now)}, the statement is of {iso(frozen_at)}: set the clock right")
    stored = signature_over(session, role, what.payload, release=release, series=series, who=who)
    if session.state.add_sign_off(release, stored) is not Written.DONE:
        raise Refused(f"another signature is recorded as {stored.id}; nothing was changed, sign again")
    return stored


# --- what the person sees ----------------------------------------------------------------------------------------------------


def as_text(what: ToSign) -> str:
    """What is signed, for the person who signs: every row that is no plain pass, what was not tried, waivers, thresholds."""
    return "\n".join(printable(line) for line in _lines(what))


def _lines(what: ToSign) -> Iterator[str]:
    said = what.said
    yield f"release    {said.name} in {said.environment}, series {what.candidate.series}: {said.result}"
    yield f"artifact   {said.digest}"
    yield f"evidence   {said.evidence_digest} of run {said.run_id}, judged {iso(said.evaluated_at)}"
    yield f"policy     {said.policy_digest}, checklist version {said.checklist_version}"
    yield f"statement  {what.statement_digest}"
    if said.url:
        yield f"report     {said.url}"
    for name, value in sorted((said.context or {}).items()):
        yield f"context    {name}={value}, for the target"
    yield from _row_lines(said.rows)
    yield from _list("waivers", [_waiver_line(waiver) for waiver in said.waivers])
    yield from (f"  {line}" for line in what.in_vain)
    yield from _list("thresholds looser than shipped (policy_loosened)", said.loosened)
    yield from _list("not tried", said.not_tried)
    yield "signatures"
    for role, problems in what.problems.items():
        yield f"  {role}: {_signature(what, role) if not problems else 'missing: ' + '; '.join(problems)}"


def _row_lines(rows: Sequence[StatementRow]) -> Iterator[str]:
    passing = [row.id for row in rows if row.plain_pass]
    yield f"rows       {len(passing)} of {len(rows)} pass: {', '.join(passing)}"
    for row in rows:
        if row.plain_pass:
            continue
        how = "waived" if row.waived else "does not block" if not row.blocking else "opens" if row.opens else "CLOSED"
        yield f"  {row.id} {row.verdict} ({how})"
        yield from (f"    {verdict} {code} {subject}" for code, subject, verdict in row.findings)


def _waiver_line(waiver: StatedWaiver) -> str:
    pairs = ", ".join(f"{code}@{subject}" for code, subject in sorted(waiver.pairs))
    who = f"{waiver.identity} for {waiver.signed_by}"
    how_often = f"; {in_words(waiver.releases_in_a_row)}" if waiver.releases_in_a_row is not None else ""
    return f"row {waiver.row} until {iso(waiver.until)} by {who}: {waiver.reason} ({waiver.ticket}); {pairs}{how_often}"


def _list(title: str, entries: Sequence[str]) -> Iterator[str]:
    yield f"{title}: {'none' if not entries else ''}".rstrip()
    yield from (f"  {entry}" for entry in entries)


def _signature(what: ToSign, role: str) -> str:
    """By whom and when; of several that count, the newest."""
    good = [off for off in what.sign_offs if off.role == role == off.key_role]
    good = [off for off in good if off.statement_digest == what.statement_digest]
    newest = max(good, key=lambda off: off.signed_at)
    return f"{newest.identity}, {iso(newest.signed_at)}"
