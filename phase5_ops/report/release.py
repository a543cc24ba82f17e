"""The readiness document of a release candidate: its rows as the gate sees them now, sign-offs, waivers, every blocker. Pure.

Nothing is decided here. A row is shown with its stored result only if the gate accepts that result; otherwise with the gate's
reasons, INCONCLUSIVE or ERROR (`gate/reasons.py`), so that no report shows a PASS that the gate does not accept.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from phase5_ops.checklist import EXTRA_CHECKS, ROLES, ROWS, Row
from phase5_ops.clock import iso
from phase5_ops.evidence.result import RowEntry, identity
from phase5_ops.files import sha256_of
from phase5_ops.gate import reasons
from phase5_ops.gate.attestation.waiver import waiver_fields
from phase5_ops.gate.decision.signature_rules import newest_counting
from phase5_ops.gate.decision.waiver_report import WaiverUse
from phase5_ops.gate.reasons import RELEASE, GateReason, GateState, named_first
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Reason, Release, RowDecision
from phase5_ops.report.document import (
    EXIT_OPEN,
    EXIT_UNDECIDED,
    CandidateEntry,
    Judged,
    ReadinessDocument,
    Reading,
    SignOffEntry,
    exit_code,
)
from phase5_ops.verdict import Finding, Verdict, summarized, worst

#: The digest over no file at all, for a candidate that has no evidence yet.
NO_EVIDENCE = sha256_of(b"{}")

#: The fact of a row that says how many of its findings are in the evidence alone.
LEFT_OUT = "findings_left_out"

_FINDINGS = 500  # of a row
_BLOCKERS = 1000
_LONGEST = 1000  # characters of a text; a subject is never cut, since waivers name it

_COUNTS = "a result that counts"
_AUTHENTIC = (GateState.STALE, GateState.OUTDATED_POLICY)  # its result may be quoted, though it no longer counts


def release_document(
    *,
    candidate: CandidateEntry,
    release: Release,
    inputs: GateInputs,
    decision: Decision,
    waivers: Sequence[WaiverUse],
    judged: Judged | None = None,
) -> ReadinessDocument:
    """The document of a candidate; `waivers` are all of the release, and `judged` is None where nothing was judged yet."""
    entries = {each.row: each for each in decision.rows}
    rows = [_row(row, entries[row.id], inputs, decision) for row in ROWS]
    extras = [_row(row, entries[row.id], inputs, decision) for row in EXTRA_CHECKS]
    code = _exit_code([*rows, *extras], inputs, decision)
    return ReadinessDocument(
        environment=release.environment,
        release=release.name,
        run_id=inputs.run_id or "",
        evaluated_at=iso(inputs.now),
        decision="OPEN" if code == EXIT_OPEN else "BLOCKED",
        exit_code=code,
        evidence_digest=inputs.bundle.digest if inputs.bundle else NO_EVIDENCE,
        policy_digest=inputs.policy_digest,
        rows=rows,
        extra_checks=extras,
        sign_offs=[_sign_off(role, entries, inputs, release) for role in ROLES],
        waivers=[_waiver(use) for use in waivers],
        blockers=[] if code == EXIT_OPEN else [*map(str, named_first(decision.reasons)), *_unshown([*rows, *extras], decision)],
        reading=Reading(),
        judged=judged,
        candidate=candidate,
    )


def _exit_code(entries: Iterable[RowEntry], inputs: GateInputs, decision: Decision) -> int:
    """The exit code by the rows; a reason about the whole release counts like a row. Never 0 unless the gate is open."""
    decided = {each.row: each for each in decision.rows}
    signatures = {row.id for row in ROWS if row.is_sign_off}
    verdicts = {
        entry.id: Verdict.PASS if entry.waived else entry.verdict
        for entry in entries
        if entry.id not in signatures and decided[entry.id].blocking
    }
    about_all = [reason.verdict for reason in decision.reasons if reason.row == RELEASE]
    verdicts |= {f"{RELEASE} {index}": verdict for index, verdict in enumerate(about_all)}
    unsigned = any(not decided[row].opens for row in signatures)
    code = exit_code(verdicts, unsigned=unsigned, gate=inputs.policy)
    return code if code != EXIT_OPEN or decision.outcome is Outcome.OPEN else EXIT_UNDECIDED


def _unshown(entries: Iterable[RowEntry], decision: Decision) -> list[str]:
    """Blockers for rows that the gate accepts but whose stored result cannot be shown; the document is then not OPEN."""
    code = GateReason.RESULT_UNREADABLE.code
    return [
        f"{entry.id} {entry.verdict} {code} {entry.check}: {finding.seen}"
        for entry in entries
        for finding in entry.findings
        if entry.id in decision.facts and finding.code == code
    ]


def shortened(document: ReadinessDocument) -> ReadinessDocument:
    """The document with no more findings and blockers than people read; the first of each row and code are among them."""
    blockers, left = [each[:_LONGEST] for each in document.blockers[:_BLOCKERS]], len(document.blockers) - _BLOCKERS
    return document.model_copy(
        update={
            "rows": [_shortened_row(row) for row in document.rows],
            "extra_checks": [_shortened_row(row) for row in document.extra_checks],
            "blockers": [*blockers, f"and {left} more, all in the evidence"] if left > 0 else blockers,
        }
    )


def _shortened_row(row: RowEntry) -> RowEntry:
    findings = [
        found.model_copy(update={"expected": found.expected[:_LONGEST], "seen": found.seen[:_LONGEST]})
        for found in row.findings[:_FINDINGS]
    ]
    left = len(row.findings) - len(findings)
    facts = {**row.facts, **({LEFT_OUT: left} if left else {})}
    return row.model_copy(update={"summary": row.summary[:_LONGEST], "facts": facts, "findings": findings})


# --- rows --------------------------------------------------------------------------------------------------------------------


def _row(row: Row, decided: RowDecision, inputs: GateInputs, decision: Decision) -> RowEntry:
    if row.is_sign_off:
        return _sign_off_row(row, decided, inputs)
    stored = inputs.bundle.verdicts.get(row.check) if inputs.bundle else None
    entry = _stored(row, stored.entry) if stored else None
    if row.id not in decision.facts:
        return _not_counting(row, decided, inputs, entry)
    if entry is None:
        seen = "the stored result is not one that can be shown"
        found = [GateReason.RESULT_UNREADABLE.at(row.check, expected=_COUNTS, seen=seen)]
        return _plain(row, found, summarized(found[0].verdict, seen, found), iso(inputs.now))
    return entry.model_copy(update={"waived": decided.waived})


def _stored(row: Row, content: Mapping[str, Any]) -> RowEntry | None:
    """The entry in a verdict file, under the checklist's own names; None where it is none."""
    try:
        return RowEntry.model_validate({name: content[name] for name in RowEntry.model_fields if name in content} | identity(row))
    except ValidationError:
        return None


def _not_counting(row: Row, decided: RowDecision, inputs: GateInputs, entry: RowEntry | None) -> RowEntry:
    own = [reason for reason in decided.reasons if reason.code in reasons.BY_NAME]
    found = [_finding(reason, _COUNTS) for reason in own]
    result = inputs.results.get(row.check)
    authentic = {reason.state for reason in own} <= set(_AUTHENTIC)
    said = f"; it said {entry.verdict}: {entry.summary}" if entry and authentic else ""
    undecided = worst(finding.verdict for finding in found) is not Verdict.FAIL if found else True
    summary = f"{decided.state}: {'not judged, ' if undecided else ''}{decided.reasons[0].seen}{said}"
    return _plain(row, found, summary, iso(result.observed_at if result and result.observed_at else inputs.now))


def _sign_off_row(row: Row, decided: RowDecision, inputs: GateInputs) -> RowEntry:
    found = [_finding(reason, reasons.SIGNATURE_EXPECTED) for reason in decided.reasons]
    summary = f"{row.owner} has signed." if decided.opens else decided.reasons[0].seen
    if found:
        summary = summarized(worst(finding.verdict for finding in found), summary, found)
    return _plain(row, found, summary, iso(inputs.now), passes=decided.opens)


def _finding(reason: Reason, expected: str) -> Finding:
    return Finding(reason.code, reason.verdict, reason.subject, expected, reason.seen, reason.link)


def _plain(row: Row, found: Sequence[Finding], summary: str, observed_at: str, *, passes: bool = False) -> RowEntry:
    """An entry without facts; without a finding it is PASS if `passes`, else ERROR."""
    return RowEntry(
        **identity(row),
        verdict=worst(finding.verdict for finding in found) if found else Verdict.PASS if passes else Verdict.ERROR,
        summary=summary,
        observed_at=observed_at,
        findings=list(found),
    )


# --- people ------------------------------------------------------------------------------------------------------------------


def _sign_off(role: str, decided: Mapping[str, RowDecision], inputs: GateInputs, release: Release) -> SignOffEntry:
    row = next(row for row in ROWS if row.is_sign_off and row.owner == role)
    signature = None
    if inputs.statement is not None and decided[row.id].opens:
        digest, policy = inputs.statement.statement_digest, inputs.policy
        signature = newest_counting(
            inputs.sign_offs, role, statement_digest=digest, release=release, policy=policy, now=inputs.now
        )
    if signature is None:
        return SignOffEntry(role=role, done=False)
    return SignOffEntry(role=role, done=True, by=signature.identity, date=iso(signature.signed_at))


def _waiver(use: WaiverUse) -> dict[str, Any]:
    waiver = use.waiver
    return {
        **waiver_fields(waiver, "id", "row", "pairs", "reason", "ticket", "issued_at", "until", "signed_by"),
        "by": waiver.identity,
        "in_force": use.problem is None,
        "why_not": use.problem,
        "used": use.used,
        "unmatched": [list(pair) for pair in sorted(use.unmatched)],
        "releases_in_a_row": use.in_a_row,
    }
