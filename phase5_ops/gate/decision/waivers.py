"""Waivers: which findings of a row a waiver excuses, and why it may not.

A waiver is bound to the digest of one release and to (code, subject) pairs. It opens its row only if the waivers in force cover
every finding that keeps the row closed; it ends by itself. Evidence that could not be gathered (ERROR) and the gate's own states
are never waived, and neither are the rows that the checklist says may not be. Pure: the signature of a waiver was verified
before; `signed_by` is the role whose key made it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.checklist import ROLES, ROW_OF_ID, Row
from phase5_ops.gate.records import Pair, Waiver
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import Finding, Verdict

LONGEST_DAYS = 14


@dataclass(frozen=True, slots=True)
class WaivedRow:
    """What waivers do for one row.

    Attributes:
        waived: every finding that closes the row is excused.
        used: ids of the waivers in force that excuse one of them.
        uncovered: the closing findings that none excuses.
        refused: why waivers of this row do not count: waiver id and reason.
    """

    waived: bool
    used: tuple[str, ...]
    uncovered: tuple[Finding, ...]
    refused: tuple[tuple[str, str], ...]


def pair_of(text: str, found: Iterable[Finding]) -> frozenset[Pair]:
    """The pairs that `CODE` or `CODE@SUBJECT` stands for among the findings of a row; a bare code is every subject found now.

    Raises:
        ValueError: no such finding.
    """
    code, at, subject = text.partition("@")
    pairs = frozenset((f.code, f.subject) for f in found if f.code == code and (not at or f.subject == subject))
    if not pairs:
        raise ValueError(f"no finding {text!r} to waive")
    return pairs


def closing_findings(row: Row, findings: Collection[Finding], policy: GatePolicy) -> tuple[Finding, ...]:
    """The findings that keep the row closed: those that block, and warnings where the policy lets WARN block."""
    if not findings:
        return ()
    closed_by_warning = row.id in policy.warn_blocks
    return tuple(f for f in findings if f.verdict.blocks or (closed_by_warning and f.verdict is Verdict.WARN))


def problem_of(waiver: Waiver, *, release_digest: str, policy: GatePolicy, now: datetime) -> str | None:
    """Why a waiver does not count at all, or None if it is in force for the release."""
    row = ROW_OF_ID.get(waiver.row)
    if row is None:
        return f"there is no row {waiver.row}"
    if not row.waivable or row.is_sign_off:
        return f"row {row.id} cannot be waived"
    if waiver.release_digest != release_digest:
        return f"it is for another release: {waiver.release_digest}"
    if not waiver.pairs:
        return "it names no finding"
    if not waiver.reason.strip() or not waiver.ticket.strip():
        return "it has no reason or no ticket"
    if waiver.signed_by not in ROLES:
        return f"no role's key has signed it{f': {waiver.unsigned}' if waiver.unsigned else ''}"
    if waiver.signed_by == row.owner:
        return f"the row's owner {row.owner} has signed it; another role must"
    if not waiver.identity:
        return "nobody is known to have signed it"
    return _problem_of_time(waiver, policy, now)


def _problem_of_time(waiver: Waiver, policy: GatePolicy, now: datetime) -> str | None:
    longest = min(policy.waiver_days, LONGEST_DAYS)
    if waiver.until - waiver.issued_at > timedelta(days=longest):
        return f"it is for longer than {longest:g} days"
    if waiver.issued_at - now > timedelta(seconds=policy.clock_skew_seconds):
        return f"it is from the future: {waiver.issued_at.isoformat()}"
    if now >= waiver.until:
        return f"it ended at {waiver.until.isoformat()}"
    return None


def waive(
    row: Row, findings: Sequence[Finding], waivers: Iterable[Waiver], *, release_digest: str, policy: GatePolicy, now: datetime
) -> WaivedRow:
    """What the waivers of a row do for these findings of it.

    The row is waived only if it has a finding that closes it, none of them is an ERROR, and each is covered by a waiver in force.
    """
    closing = closing_findings(row, findings, policy)
    mine = sorted((waiver for waiver in waivers if waiver.row == row.id), key=lambda waiver: waiver.id)
    if not mine:
        return WaivedRow(waived=False, used=(), uncovered=closing, refused=())
    problems = {waiver.id: problem_of(waiver, release_digest=release_digest, policy=policy, now=now) for waiver in mine}
    covered: set[Pair] = set()
    used = []
    for waiver in mine:
        hits = waiver.pairs & {(f.code, f.subject) for f in closing if f.verdict is not Verdict.ERROR}
        if problems[waiver.id] is None and hits:
            covered |= hits
            used.append(waiver.id)
    uncovered = tuple(f for f in closing if f.verdict is Verdict.ERROR or (f.code, f.subject) not in covered)
    refused = tuple((name, problem) for name, problem in problems.items() if problem is not None)
    return WaivedRow(bool(closing) and not uncovered, tuple(used), uncovered, refused)


def unmatched(waivers: Collection[Waiver], closing: Mapping[str, Iterable[Finding]]) -> list[tuple[str, Pair]]:
    """The pairs of waivers that match no closing finding of their row, as (waiver id, pair), in order.

    Args:
        waivers: those of the release.
        closing: row id -> its closing findings.
    """
    if not waivers:
        return []
    found = {row: {(f.code, f.subject) for f in findings} for row, findings in closing.items()}
    return sorted((w.id, pair) for w in waivers for pair in w.pairs if pair not in found.get(w.row, set()))
