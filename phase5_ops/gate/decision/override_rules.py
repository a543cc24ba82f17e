"""Whether an override, a signed order to promote a release although the gate is not open, is valid. Pure.

    ROLLBACK      back to a release that this gate promoted: needs its attestation, and one fresh signature of ops-sre. No
                  row is checked: an incident must not block its own cure.
    BREAK_GLASS   past the closed gate: needs two people with the keys of two roles, a reason, an end, and people told.

An override is an in-toto Statement about the release, signed like any other statement; it takes effect once, under an idempotency
key of its own, and never makes the gate OPEN. Its fields are in `override_statement.py`. What must not live here: reading,
signing, promoting.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import ROLLBACK_ROLE, SIGNERS, Override
from phase5_ops.gate.decision.signature_rules import sign_off_problems
from phase5_ops.gate.reasons import GateReason, SignOffReason
from phase5_ops.gate.records import Reason, SignOff
from phase5_ops.policy import GatePolicy, OverridePolicy

_LONGEST_TEXT = 1000


def longest_life(kind: OrderKind, policy: OverridePolicy) -> timedelta:
    """How long an override of a kind may be valid."""
    return timedelta(minutes=policy.rollback_minutes) if kind is OrderKind.ROLLBACK else timedelta(hours=policy.break_glass_hours)


def problems_of_form(override: Override, *, now: datetime, policy: OverridePolicy, gate: GatePolicy) -> Iterator[Reason]:
    """Why an override is not valid, whoever signed it."""
    about = override.id
    if not override.reason.strip() or not override.ticket.strip() or len(override.reason) > _LONGEST_TEXT:
        seen = f"it needs a reason of at most {_LONGEST_TEXT} characters, and a ticket"
        yield GateReason.OVERRIDE_WITHOUT_REASON.closes(about, override.kind, seen)
    if override.until - override.requested_at > longest_life(override.kind, policy):
        seen = f"from {iso(override.requested_at)} to {iso(override.until)}; at most {longest_life(override.kind, policy)}"
        yield GateReason.OVERRIDE_TOO_LONG.closes(about, override.kind, seen)
    if now >= override.until:
        yield GateReason.OVERRIDE_EXPIRED.closes(about, override.kind, f"it ended at {iso(override.until)}")
    if override.requested_at - now > timedelta(seconds=gate.clock_skew_seconds):
        yield GateReason.OVERRIDE_FROM_THE_FUTURE.closes(about, override.kind, f"asked for at {iso(override.requested_at)}")


def signed_roles(
    override: Override, signatures: Iterable[SignOff], *, policy: GatePolicy, now: datetime
) -> tuple[frozenset[str], tuple[Reason, ...]]:
    """The roles whose signature over this very override counts, and why others do not.

    The rules are those of signing off: the role's own key, not revoked, a person who is known, another person and another key for
    each role.
    """
    answers = sign_off_problems(
        signatures,
        statement_digest=override.digest,
        release=override.release,
        void=(),
        policy=policy,
        now=now,
    )
    good = frozenset(role for role in ROLES if not answers[role])
    bad = tuple(code.closes(override.id, role, seen) for role in ROLES for code, seen in answers[role])
    return good, bad


def problems(
    override: Override, signatures: Iterable[SignOff], *, policy: OverridePolicy, gate: GatePolicy, now: datetime
) -> tuple[Reason, ...]:
    """Everything that keeps an override from taking effect now; empty only if it is valid and signed as its kind demands.

    Args:
        override: the order.
        signatures: every signature recorded for it, verified with the trusted keys.
        policy: how long an override may be valid.
        gate: the rules of signatures.
        now: wall clock.
    """
    found = list(problems_of_form(override, now=now, policy=policy, gate=gate))
    good, bad = signed_roles(override, signatures, policy=gate, now=now)
    counted = good & {ROLLBACK_ROLE} if override.kind is OrderKind.ROLLBACK else good
    if len(counted) < SIGNERS[override.kind]:
        wanted = ROLLBACK_ROLE if override.kind is OrderKind.ROLLBACK else "two roles"
        seen = f"{wanted} must sign; signed: {', '.join(sorted(counted)) or 'nobody'}"
        found.append(GateReason.OVERRIDE_NOT_SIGNED.closes(override.id, override.kind, seen))
        found += [each for each in bad if each.code != SignOffReason.SIGNATURE_MISSING.code]
    return tuple(found)


def as_text(override: Override, signed: Sequence[SignOff]) -> str:
    """What is signed, for the person who signs and for those who are told."""
    return "\n".join(_lines(override, signed))


def _lines(override: Override, signed: Sequence[SignOff]) -> Iterator[str]:
    release = override.release
    yield f"{override.kind} of {release.name} in {release.environment}, series {override.series}"
    yield f"artifact   {release.digest}"
    yield f"because    {override.reason} ({override.ticket})"
    yield f"asked for  by {override.requested_by} at {iso(override.requested_at)}; it ends at {iso(override.until)}"
    yield f"override   {override.id} {override.digest}"
    yield from (f"rests on   {digest}" for digest in override.rests_on)
    yield from (f"context    {name}={value}" for name, value in sorted(override.context.items()))
    if override.kind is OrderKind.BREAK_GLASS:
        yield f"goes past  {len(override.goes_past)} reasons why the gate is closed:"
        yield from (f"  {reason}" for reason in override.goes_past)
    by_role = {off.role: off for off in signed if off.role == off.key_role}
    for role in ROLES:
        if role in by_role:
            yield f"signed     for {role} by {by_role[role].identity} at {iso(by_role[role].signed_at)}"
