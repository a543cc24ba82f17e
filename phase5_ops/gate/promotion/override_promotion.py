"""The promotion by override: read the signed order again, check that it is valid, attest it as an override, publish once.

It does not trust whoever started it, and checks no row, evidence or policy of readiness: that is what an override is. Before the
glass is broken, people must have been told. What must not live here: Dagster, targets; they are passed in as functions.
"""

import logging
from datetime import datetime
from functools import partial

from phase5_ops.clock import iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, envelope_bytes
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import ROLLBACK_ROLE, Override, override_of
from phase5_ops.gate.candidates.notifications import notify
from phase5_ops.gate.decision.override_rules import as_text, problems, signed_roles
from phase5_ops.gate.decision.signature_rules import counting
from phase5_ops.gate.inputs.promotion_records import envelope_problems, record_problems
from phase5_ops.gate.promotion.publication import (
    PromotionDoor,
    PromotionOutcome,
    PromotionPlan,
    attested,
    begun,
    blocked,
    publish_once,
    recorded,
    stopped,
)
from phase5_ops.gate.promotion.released import BY, Released, live, released
from phase5_ops.gate.reasons import GateReason, ReasonCode
from phase5_ops.gate.records import Reason
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import Candidate, Fate, Promotion
from phase5_ops.gate.state.table import StateTable

log = logging.getLogger(__name__)


def promote_override(door: PromotionDoor, name: str) -> PromotionOutcome:
    """Promotes by the override of this id if it is valid now, and only once.

    Raises:
        StateError: the state table cannot be read or written.
        KeysError, SigningError: the keys cannot be had, or the gate's key does not sign.
    """
    session, now = door.session, door.session.now
    environment, gate = session.settings.environment, session.settings.gate
    stored = next((each for each in session.state.overrides(environment) if each.id == name), None)
    if stored is None:
        return stopped(f"there is no override {name} in {environment}")
    try:
        override = override_of(stored.payload)
    except MalformedEnvelope as error:
        return stopped(f"override {name}: {error}")
    if (override.id, override.release.environment) != (name, environment):
        return stopped(
            f"override {name} is stored under this id, but its signed text names {override.id} in {override.release.environment}"
        )
    candidate = door.state.candidate(override.release)
    if candidate is None or (candidate.release, candidate.series) != (override.release, override.series):
        return stopped(f"no candidate {override.release.name} {override.release.digest} in series {override.series}")
    if (done := door.state.promotion(override.release, override.series, override=name)) is not None:
        return recorded(door, candidate, done, override)
    decided = door.monotonic()
    sign_offs = session.sign_offs(stored.signatures, [override.payload])
    reasons = (
        *problems(override, sign_offs, policy=session.settings.overrides, gate=gate, now=now),
        *standing_problems(session.state, session.keys, override, candidate, now),
    )
    if reasons:
        return blocked(*map(str, reasons), *begun(door.state, candidate, override))
    roles, _ = signed_roles(override, sign_offs, policy=gate, now=now)
    counted = counting(
        sign_offs,
        roles & {ROLLBACK_ROLE} if override.kind is OrderKind.ROLLBACK else roles,
        statement_digest=override.digest,
        release=override.release,
        policy=gate,
        now=now,
    )
    envelope = envelope_bytes(override.payload, {off.key_id: off.signature for off in counted})
    policy_digest = session.run.policy_digest
    envelopes = attested(session, override.release, envelope, counted, policy_digest=policy_digest, at=now, override=override)
    # nothing is published that `phase5 verify --accept` would refuse
    against = partial(
        envelope_problems, release=override.release, series=override.series, keys=session.keys, now=now, override=override
    )
    if found := against(envelopes.readiness, envelopes.decision):
        return blocked(*found, *begun(door.state, candidate, override))
    plan = PromotionPlan(
        candidate=candidate,
        kind=override.kind,
        envelopes=envelopes,
        problems=against,
        decided_at=now,
        decided=decided,
        context=override.context,
        override=override,
        last_word=lambda: _told(session, override, roles),
    )
    return publish_once(door, plan)


def standing_problems(
    state: StateTable, keys: KeySet, override: Override, candidate: Candidate, now: datetime
) -> tuple[Reason, ...]:
    """Why an override does not apply to its candidate as it stands now."""

    def against(code: ReasonCode, *seen: str) -> tuple[Reason, ...]:
        return tuple(code.closes(override.id, override.kind, each) for each in seen)

    if override.kind is OrderKind.BREAK_GLASS:
        if candidate.fate in (Fate.PROMOTED, Fate.BREAK_GLASS):
            return against(GateReason.OVERRIDE_NOT_POSSIBLE, f"the candidate is {candidate.fate} already")
        if there := _in_production(state, override):
            return against(GateReason.OVERRIDE_NOT_POSSIBLE, f"the series is recorded as promoted by {there}")
        return ()
    record = state.promotion(override.release, override.series)
    if candidate.fate is not Fate.PROMOTED or record is None:
        seen = f"the candidate is {candidate.fate}; a rollback goes back only to a release that this gate promoted"
        return against(GateReason.OVERRIDE_NOT_POSSIBLE, seen)
    present = _live(state, keys, override.release.environment, now)
    if present is not None and present.release == override.release:
        seen = f"the release is live since {iso(present.at)}, by {BY[present.kind]}; there is nothing to go back from"
        return against(GateReason.OVERRIDE_NOT_POSSIBLE, seen)
    if envelope_digests(record) != override.rests_on:
        seen = f"the order rests on {', '.join(override.rests_on)}, the promotion on {', '.join(envelope_digests(record))}"
        return against(GateReason.ATTESTATION_INVALID, seen)
    found = record_problems(record, override.release, override.series, keys=keys, now=now)
    return against(GateReason.ATTESTATION_INVALID, *found)


def _live(state: StateTable, keys: KeySet, environment: str, now: datetime) -> Released | None:
    """What is live, as far as that is known: to go back to what is live already is needless, and harms nobody."""
    try:
        return live(released(state, keys, environment, now=now))
    except Exception:  # whatever stands among the records of others must not keep anybody from going back
        log.exception("what is live in %s could not be read; the rollback goes on without it", environment)
        return None


def _in_production(state: StateTable, override: Override) -> str | None:
    """What the records say has promoted the order's series already; None if nothing has."""
    release, series = override.release, override.series
    if state.promotion(release, series) is not None:
        return "the open gate"
    for stored in state.overrides(release.environment):
        if stored.id != override.id and state.promotion(release, series, override=stored.id) is not None:
            return stored.id
    return None


def envelope_digests(record: Promotion) -> tuple[str, str]:
    """The digests of a promotion's readiness and decision envelope."""
    return sha256_of(record.readiness_envelope.encode()), sha256_of(record.decision_envelope.encode())


def _told(session: GateSession, override: Override, roles: frozenset[str]) -> tuple[str, ...]:
    """Tells people; if that fails, the glass is not broken, but a rollback goes on."""
    subject = f"phase5: {override.kind} of {override.release.name} in {override.release.environment} takes effect now"
    text = f"{as_text(override, ())}\nsigned for {', '.join(sorted(roles))}; run {session.run.run_id}"
    problem = notify(session.reader, session.settings.notifications, subject, text)
    if problem and override.kind is OrderKind.BREAK_GLASS:
        return (f"nobody was told: {problem}",)
    if problem:
        log.warning("nobody was told of %s: %s", override.id, problem)
    return ()
