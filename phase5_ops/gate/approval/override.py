"""Asking for an override and signing it: what the person is shown, who may sign, and the order as it is kept.

The same rules judge an override here, before it is signed, and when it is carried out. What must not live here: the command line,
Dagster, the target.
"""

from collections.abc import Mapping, Sequence
from uuid import uuid4

from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import SIGNERS, Override, stored_order
from phase5_ops.gate.candidates.notifications import NOT_SET, notify
from phase5_ops.gate.decision.override_rules import as_text, longest_life, problems_of_form, signed_roles
from phase5_ops.gate.promotion.override_promotion import envelope_digests, standing_problems
from phase5_ops.gate.records import Reason, SignOff
from phase5_ops.gate.session import GateSession, Refused, signature_over
from phase5_ops.gate.signing.identity import SessionIdentity, repeated_role
from phase5_ops.gate.state.items import Candidate, StoredSignOff, Written
from phase5_ops.settings import ConfigurationError


def new_override(
    session: GateSession,
    candidate: Candidate,
    kind: OrderKind,
    *,
    person: str,
    reason: str,
    ticket: str,
    context: Mapping[str, str],
    goes_past: Sequence[str] = (),
) -> Override:
    """The order that a person asks for, if it could take effect once it is signed.

    Raises:
        Refused: it could not.
        ConfigurationError: it is to break the glass, and no topic is set on which people are told.
        StateError: the table cannot be read.
    """
    if kind is OrderKind.BREAK_GLASS and session.settings.notifications.sns_topic_arn is None:
        raise ConfigurationError(f"{NOT_SET}; break-glass needs a topic on which people are told")
    release = candidate.release
    record = session.state.promotion(release, candidate.series) if kind is OrderKind.ROLLBACK else None
    override = Override(
        id=f"{kind.lower().replace('_', '-')}-{uuid4().hex[:12]}",
        kind=kind,
        release=release,
        series=candidate.series,
        reason=reason.strip(),
        ticket=ticket.strip(),
        requested_by=person,
        requested_at=session.now,
        until=session.now + longest_life(kind, session.settings.overrides),
        rests_on=envelope_digests(record) if record else (),
        goes_past=tuple(goes_past),
        context=context,
    )
    _refuse_problems(session, candidate, override)
    return override


def _refuse_problems(session: GateSession, candidate: Candidate, override: Override) -> None:
    found = (
        *_problems_of_form(session, override),
        *standing_problems(session.state, session.keys, override, candidate, session.now),
    )
    if found:
        raise Refused("; ".join(map(str, found)))


def _problems_of_form(session: GateSession, override: Override) -> tuple[Reason, ...]:
    settings = session.settings
    return tuple(problems_of_form(override, now=session.now, policy=settings.overrides, gate=settings.gate))


def waiting_override(session: GateSession, candidate: Candidate, kind: OrderKind) -> tuple[Override, tuple[SignOff, ...]] | None:
    """The candidate's newest valid order of a kind that still lacks signatures, with those it has; None if there is none."""
    settings = session.settings
    found: list[tuple[Override, tuple[SignOff, ...]]] = []
    for stored in session.state.overrides(settings.environment):
        override = stored_order(stored.id, stored.payload)
        if override is None or (override.kind, override.release, override.series) != (kind, candidate.release, candidate.series):
            continue
        offs = session.sign_offs(stored.signatures, [stored.payload])
        good, _ = signed_roles(override, offs, policy=settings.gate, now=session.now)
        if len(good) < SIGNERS[kind] and not _problems_of_form(session, override):
            found.append((override, offs))
    return max(found, key=lambda each: (each[0].requested_at, each[0].id), default=None)


def who_overrides(session: GateSession, role: str, signed: Sequence[SignOff]) -> SessionIdentity:
    """The person who is about to sign an override for a role.

    Raises:
        Refused: the person is not known, or has signed it for another role; or the role has signed it.
    """
    who = session.person
    pairs = [(off.role, off.identity) for off in signed if off.key_role == off.role]
    if other := repeated_role(who.person, role, pairs):
        raise Refused(f"{who.person} has signed for {other} already; breaking the glass takes two people")
    if role in {off_role for off_role, _ in pairs}:
        raise Refused(f"{role} has signed it already; another role must")
    return who


def announce(session: GateSession, override: Override, role: str, who: SessionIdentity) -> None:
    """Tells people that the glass is about to be broken, before anything is recorded.

    Raises:
        Refused: nobody could be told.
    """
    if override.kind is not OrderKind.BREAK_GLASS:
        return
    release = override.release
    subject = f"phase5: {release.name} in {release.environment}: {who.person} signs to break the glass"
    text = f"{who.person} signs for {role}.\n\n{as_text(override, ())}"
    if problem := notify(session.reader, session.settings.notifications, subject, text):
        raise Refused(f"nobody could be told, so nothing was recorded: {problem}")


def sign_override(session: GateSession, override: Override, role: str, who: SessionIdentity) -> StoredSignOff:
    """Signs an override with the role's key and records order and signature.

    A process that is killed in between leaves an order without a signature, which has no effect.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the trusted one.
        StateError: it could not be recorded.
        Refused: something else is recorded under the same id.
    """
    stored = signature_over(session, role, override.payload, release=override.release, series=override.series, who=who)
    environment = override.release.environment
    if session.state.add_override(environment, override.id, override.payload) is not Written.DONE:
        raise Refused(f"another override is recorded as {override.id}; nothing was signed, ask again")
    if session.state.add_override_signature(environment, override.id, stored) is not Written.DONE:
        raise Refused(f"another signature is recorded as {stored.id}; nothing was changed, sign again")
    return stored
