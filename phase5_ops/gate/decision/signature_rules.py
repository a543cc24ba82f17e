"""Which recorded signatures count for which role, and whether what was signed still holds. Pure.

Three roles, three keys, three people. A signature is bound to the bytes of one readiness statement (or override), and so to the
release, environment and moment that those bytes name; it holds for a later confirmation run only if that run is no worse than
what was signed. Whether a signature verifies was found out before. Sensor, promotion, status, signing and overrides all use these
rules; `phase5 verify` has the same one for revoked keys (`keys.revocation_problem`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso
from phase5_ops.gate.attestation.keys import revocation_problem
from phase5_ops.gate.reasons import ReasonCode, SignOffReason
from phase5_ops.gate.records import Release, RowFacts, SignedFacts, SignOff
from phase5_ops.policy import GatePolicy

Problem = tuple[ReasonCode, str]


def differences(
    signed: SignedFacts,
    *,
    series: int,
    release_digest: str,
    policy_digest: str,
    waivers: frozenset[str],
    rows: Mapping[str, RowFacts],
    unknown: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Why signatures over `signed` are void for what holds now; empty if they are valid.

    They are valid when series, artifact, policy and waivers are equal, no row is worse, and the findings (code and subject) of
    each row are among those that were signed. `unknown` names rows that the gate closes because their results do not count: they
    are left out here.
    """
    found = list(of_another_series(signed.series, series))
    if signed.release_digest != release_digest:
        found.append(f"artifact {release_digest}, signed {signed.release_digest}")
    if signed.policy_digest != policy_digest:
        found.append(f"policy {policy_digest}, signed {signed.policy_digest}")
    if signed.waivers != waivers:
        found.append(f"waivers {_listed(waivers)}, signed {_listed(signed.waivers)}")
    for row in sorted((signed.rows.keys() | rows.keys()) - unknown):
        before, present = signed.rows.get(row), rows.get(row)
        if before is None or present is None:
            found.append(f"row {row} is {'not in what was signed' if before is None else 'no longer there'}")
            continue
        if present == before:
            continue
        if present.verdict.severity > before.verdict.severity:
            found.append(f"row {row} is {present.verdict}, signed {before.verdict}")
        found += [f"row {row} has {code} {subject}" for code, subject in sorted(present.findings - before.findings)]
    return tuple(found)


def of_another_series(signed: int | None, series: int) -> tuple[str, ...]:
    """Why a statement is not about this series of a candidate; empty if it is.

    Signatures end with their series, which was rejected, aborted, renewed or promoted. A statement of a version that did not name
    the series (`signed` is None) counts for the first alone: whoever can write to the state table can copy it to any other.
    """
    if (signed or 1) == series:
        return ()
    return (f"series {series}, signed {'before statements named their series' if signed is None else signed}",)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def sign_off_problems(
    sign_offs: Iterable[SignOff],
    *,
    statement_digest: str,
    release: Release,
    void: tuple[str, ...],
    policy: GatePolicy,
    now: datetime,
) -> dict[str, tuple[Problem, ...]]:
    """Role -> why it has not signed the bytes of this digest; an empty tuple for a role that has.

    One signature that counts is enough for a role; where none does, each of its signatures says why.
    """
    offs = sorted(sign_offs, key=lambda off: (off.signed_at, off.identity))
    alone = {
        id(off): _problems_of(off, statement_digest=statement_digest, release=release, void=void, policy=policy, now=now)
        for off in offs
    }
    good = [off for off in offs if not alone[id(off)]]
    answers: dict[str, tuple[Problem, ...]] = {}
    for role in ROLES:
        mine = [off for off in offs if off.role == role]
        problems: list[Problem] = []
        for off in mine:
            own = alone[id(off)] or _repeated(off, good)
            if not own:
                problems = []
                break
            problems += own
        answers[role] = tuple(problems) if mine else ((SignOffReason.SIGNATURE_MISSING, "no signature"),)
    return answers


def newest_counting(
    sign_offs: Sequence[SignOff], role: str, *, statement_digest: str, release: Release, policy: GatePolicy, now: datetime
) -> SignOff | None:
    """The newest signature of a role that counts beside those of the other roles; None if none does."""
    others = [off for off in sign_offs if off.role != role]
    for off in sorted((off for off in sign_offs if off.role == role), key=lambda off: off.signed_at, reverse=True):
        problems = sign_off_problems(
            (off, *others), statement_digest=statement_digest, release=release, void=(), policy=policy, now=now
        )
        if not problems[role]:
            return off
    return None


def counting(
    sign_offs: Sequence[SignOff],
    roles: Iterable[str],
    *,
    statement_digest: str,
    release: Release,
    policy: GatePolicy,
    now: datetime,
) -> tuple[SignOff, ...]:
    """The newest signature of each role that counts, for an envelope; arguments as in `sign_off_problems`."""
    found = (
        newest_counting(sign_offs, role, statement_digest=statement_digest, release=release, policy=policy, now=now)
        for role in roles
    )
    return tuple(off for off in found if off is not None)


def proved_times(sign_offs: Iterable[SignOff]) -> dict[str, datetime]:
    """Key id -> when it signed by KMS's record, for the signatures that count by that alone; the decision states it."""
    return {off.key_id: off.proved_at for off in sign_offs if off.key_revoked_at is not None and off.proved_at is not None}


def _problems_of(
    off: SignOff, *, statement_digest: str, release: Release, void: tuple[str, ...], policy: GatePolicy, now: datetime
) -> list[Problem]:
    found = _found_in(off, statement_digest, release, void, policy, now)
    first = next(found, None)
    if first is None:
        return []
    who = f"by {off.identity or 'nobody known'} at {iso(off.signed_at)}"
    return [(code, who + more) for code, more in (first, *found)]


def _found_in(  # noqa: PLR0917 - see `_problems_of`
    off: SignOff, statement_digest: str, release: Release, void: tuple[str, ...], policy: GatePolicy, now: datetime
) -> Iterator[tuple[ReasonCode, str]]:
    """What is wrong with a signature alone, and what is to be said of it after who signed and when."""
    if off.key_role is None:
        yield SignOffReason.SIGNATURE_INVALID, ""
    elif off.key_role != off.role:
        yield SignOffReason.SIGNATURE_OF_ANOTHER_ROLE, f" with the key of {off.key_role}"
    yield from _about_another(off, release)
    if off.statement_digest != statement_digest:
        seen = f" over {off.statement_digest}, the statement is {statement_digest}"
        yield SignOffReason.SIGNATURE_OF_ANOTHER_STATEMENT, seen
    if void:
        yield SignOffReason.SIGNATURE_VOID, f": {'; '.join(void)}"
    if now - off.signed_at >= timedelta(days=policy.sign_off_days):
        yield SignOffReason.SIGNATURE_EXPIRED, ""
    if off.signed_at - now > timedelta(seconds=policy.clock_skew_seconds):
        yield SignOffReason.SIGNATURE_FROM_THE_FUTURE, ""
    if off.frozen_at is not None and off.signed_at < off.frozen_at:
        yield SignOffReason.SIGNATURE_BEFORE_STATEMENT, f", what it signs is of {iso(off.frozen_at)}"
    if (revoked := revocation_problem(off.key_revoked_at, off.proved_at)) is not None:
        unproved = f" ({off.unproved})" if off.unproved else ""
        yield SignOffReason.SIGNATURE_KEY_REVOKED, f": the key {revoked}{unproved}"
    if not off.identity.strip():
        yield SignOffReason.SIGNER_UNKNOWN, ""


def _about_another(off: SignOff, release: Release) -> Iterator[tuple[ReasonCode, str]]:
    """Whether the signed bytes are about something else; bytes that cannot be read are, if a key signed them."""
    if off.release is None:
        if off.key_role is not None:
            yield SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE, " for a statement that cannot be read"
        return
    if (off.release.name, off.release.digest) != (release.name, release.digest):
        yield SignOffReason.SIGNATURE_OF_ANOTHER_RELEASE, f" for {off.release.name} {off.release.digest}"
    if off.release.environment != release.environment:
        seen = f" for {off.release.environment}, not for {release.environment}"
        yield SignOffReason.SIGNATURE_OF_ANOTHER_ENVIRONMENT, seen


def _repeated(off: SignOff, good: Iterable[SignOff]) -> list[Problem]:
    """Whether the same person or key also signed for another role, with a signature that would count."""
    for other in good:
        if other.role != off.role and other.role in ROLES:
            if other.identity.casefold() == off.identity.casefold():
                return [(SignOffReason.SIGNER_REPEATED, f"{off.identity} signed for {off.role} and {other.role}")]
            if other.key_id == off.key_id:
                return [(SignOffReason.SIGNER_REPEATED, f"key {off.key_id} signed for {off.role} and {other.role}")]
    return []
