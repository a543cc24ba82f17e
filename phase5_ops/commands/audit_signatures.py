"""`phase5 audit-signatures`: each signature of a release beside CloudTrail's record of the call that made it. Reads only.

Exit codes: 0 all match; 1 one differs, or has no record although it must have one; 2 not known (not readable, too new, too old,
nothing signed); 3 usage or configuration.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from phase5_ops.aws.pace import Pace
from phase5_ops.clock import iso
from phase5_ops.commands.approvals import check_name
from phase5_ops.gate.attestation.override_statement import stored_order
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession, open_session
from phase5_ops.gate.signing.audit import Audited, Claim, Match, exit_code
from phase5_ops.gate.signing.cloudtrail import REQUESTS_A_SECOND
from phase5_ops.gate.signing.signing_times import audited, claim_of
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.report.wrapping import hanging, labelled
from phase5_ops.settings import Settings
from phase5_ops.text import printable

SCHEMA = "phase5.signature_audit/v1"
_LABEL = max(map(len, Match))


@dataclass(frozen=True, slots=True)
class Audit:
    """The signatures of a release, in the order of the state table, and what was found of each."""

    release: Release
    found: tuple[Audited, ...]

    @property
    def exit_code(self) -> int:
        """The exit code, as the module's docstring lists them."""
        return exit_code(self.found)


def audit_release(settings: Settings, name: str) -> Audit:
    """Audits every signature that was ever recorded for a release, those of its overrides too.

    Raises:
        ConfigurationError: the name may not be used, or the clock is fixed.
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    check_name(settings, name)
    return audit(open_session(settings, "auditing signatures"), Release(name, "", settings.environment))


def audit(session: GateSession, release: Release) -> Audit:
    """Audits the signatures of a release in a session.

    Raises:
        StateError: the state table cannot be read.
    """
    pace, trusted = Pace(REQUESTS_A_SECOND), session.settings.signing.trusted_roles
    claims = _claims(session, release)
    return Audit(release, tuple(audited(session.reader, claim, pace, trusted_roles=trusted, now=session.now) for claim in claims))


def _claims(session: GateSession, release: Release) -> Iterator[Claim]:
    stored = session.state.sign_offs(release)
    frozen = [each.payload for each in session.state.statements(release)] if stored else []
    verified = list(verified_sign_offs(stored, frozen, session.keys))
    for order in session.state.overrides(release.environment):
        override = stored_order(order.id, order.payload)
        if override is not None and override.release.name == release.name:
            stored += order.signatures
            verified += verified_sign_offs(order.signatures, [order.payload], session.keys)
    for off, known in zip(stored, verified, strict=True):
        yield claim_of(off, known, session.keys)


# --- what is printed ---------------------------------------------------------------------------------------------------------


def as_text(audited: Audit, width: int) -> str:
    """Each signature, and under it what differs, in lines of at most `width` columns but for addresses."""
    release = audited.release
    if not audited.found:
        return "\n".join(hanging(f"nothing is signed for {release.name} in {release.environment}", width))
    return "\n".join(line for each in audited.found for line in _lines(each, width))


def _lines(each: Audited, width: int) -> Iterator[str]:
    claim, request = each.claim, each.claim.request_id or "none"
    signature = f"{claim.role}: {claim.identity} at {iso(claim.signed_at)}, KMS request {request}"
    yield from labelled(each.match, printable(signature), width, label_width=_LABEL)
    for why in each.why:
        yield from labelled("", printable(f"- {why}"), width, label_width=_LABEL)


def as_json(audited: Audit) -> str:
    """The result as JSON text."""
    content = {
        "schema": SCHEMA,
        "release": audited.release.name,
        "environment": audited.release.environment,
        "exit_code": audited.exit_code,
        "signatures": [_entry(each) for each in audited.found],
    }
    return json.dumps(content, indent=2)


def _entry(each: Audited) -> dict[str, Any]:
    claim = each.claim
    return {
        "match": str(each.match),
        "settled": each.settled,
        "why": list(each.why),
        "role": claim.role,
        "identity": claim.identity,
        "session": claim.session,
        "signed_at": iso(claim.signed_at),
        "kms_key": claim.kms_key,
        "request_id": claim.request_id,
        "event_id": each.event_id,
    }
