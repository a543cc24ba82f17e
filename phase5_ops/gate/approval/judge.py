"""Rows S.1 to S.3: the table `sign_offs`, one row a role, and its judge. Pure.

The rows are for people to see. The gate does not read these results: it judges the signatures in the state table anew, and
whether what was signed still holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from phase5_ops.checklist import ROLES, ROWS
from phase5_ops.clock import iso
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, NoFacts
from phase5_ops.gate import reasons
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.records import Release, SignedFacts, SignOff
from phase5_ops.reads import read_findings
from phase5_ops.verdict import Finding, Judgement, conclude


@dataclass(frozen=True, slots=True)
class RoleSignOff:
    """One row of `sign_offs`: whether a role has signed."""

    row: Annotated[str, "of the checklist", Column(unique=True, among=[row.id for row in ROWS if row.is_sign_off])]
    role: Annotated[str, "who signs", Column(among=ROLES)]
    release: Annotated[str, "its name"]
    digest: Annotated[str, "of the release"]
    statement: Annotated[str | None, "digest of the statement to sign; null where none is frozen"]
    done: Annotated[bool, "whether the role has signed"]
    by: Annotated[str | None, "who signed"]
    date: Annotated[str | None, "when, ISO-8601"]
    code: Annotated[str | None, "why it is not done: the first reason"]
    seen: Annotated[str | None, "every reason, in words"]


SIGN_OFFS = DeclaredTable(RoleSignOff, NoFacts)
SignOffs = GatheredTable[RoleSignOff, NoFacts]


def sign_offs_table(
    release: Release | None,
    statement: SignedFacts | None,
    sign_offs: tuple[SignOff, ...] = (),
    problems: Mapping[str, tuple[tuple[reasons.ReasonCode, str], ...]] | None = None,
) -> SignOffs:
    """The table `sign_offs`; no rows without a release.

    Args:
        release: of the candidate; None if there is none.
        statement: what its roles sign; None before it is frozen.
        sign_offs: verified signatures.
        problems: role -> why it has not signed, as `signature_rules.sign_off_problems` returns it.
    """
    rows = []
    for row in ROWS:
        if release is not None and row.is_sign_off:
            found = (problems or {}).get(row.owner, ((SignOffReason.SIGNATURE_MISSING, "no signature"),))
            if statement is None:
                found = ((SignOffReason.NOTHING_TO_SIGN, "no readiness statement"),)
            digest = statement.statement_digest if statement else None
            mine = [off for off in sign_offs if off.role == row.owner == off.key_role and off.statement_digest == digest]
            newest = max(mine, key=lambda off: off.signed_at, default=None)
            rows.append(RoleSignOff(row.id, row.owner, release.name, release.digest, digest, **_state(newest, found)))
    return SIGN_OFFS.gathered(rows, NoFacts())


def _state(newest: SignOff | None, found: tuple[tuple[reasons.ReasonCode, str], ...]) -> dict[str, Any]:
    done = not found and newest is not None
    return {
        "done": done,
        "by": newest.identity if done and newest else None,
        "date": iso(newest.signed_at) if done and newest else None,
        "code": None if done else found[0][0].code if found else SignOffReason.SIGNATURE_MISSING.code,
        "seen": None if done else "; ".join(f"{code.code}: {seen}" for code, seen in found) or "no signature",
    }


def judge_sign_off(table: SignOffs, *, role: str) -> Judgement:
    """Judges whether a role has signed: FAIL until it has."""
    findings: list[Finding] = read_findings(table.reads)
    mine = [entry for entry in table.rows if entry.role == role]
    if not mine and not any(finding.verdict.blocks for finding in findings):
        findings.append(SignOffReason.NO_RELEASE.at(role, expected=reasons.SIGNATURE_EXPECTED, seen="no release to sign"))
    for entry in mine:
        if not entry.done:
            findings.append(reasons.BY_NAME[str(entry.code)].at(role, expected=reasons.SIGNATURE_EXPECTED, seen=str(entry.seen)))
    signed = next((entry for entry in mine if entry.done), None)
    return conclude(
        judged=len(mine),
        summary=f"{signed.by} signed for {role} at {signed.date}." if signed else f"Nobody has signed for {role}.",
        findings=findings,
        facts={"by": str(signed.by), "date": str(signed.date), "release": str(signed.release)} if signed else {},
    )
