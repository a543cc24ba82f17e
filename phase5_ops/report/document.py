"""The readiness document: the one result that every output format shows, and the exit code that follows from it. Pure.

Contract: schema `phase5.readiness/v2`. Its JSON Schema (`readiness.schema.json`, beside this file) is made from these models.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from phase5_ops.checklist import EXTRA_CHECKS, ROLES, ROWS, Row
from phase5_ops.evidence.result import PublishedModel, RowEntry
from phase5_ops.gate.decision.waiver_report import in_words
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.policy import GatePolicy
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict, conclude

SCHEMA_FILE = "readiness.schema.json"
WHOLE_RUN = "whole run"  # the part of `reading.seconds` that contains all others

EXIT_OPEN, EXIT_FAILING, EXIT_UNDECIDED = 0, 1, 2


class ReportCode(FindingCodes):
    """Why a row of a report has no result of its own."""

    CHECK_NOT_EVALUATED = FindingCode(
        Verdict.ERROR,
        "The run ended without a result of this check: its evidence could not be gathered or the check did not run.",
        "The finding names the step that failed; look at the run's log in the Dagster UI.",
    )
    NOT_IMPLEMENTED = FindingCode(
        Verdict.ERROR,
        "This version of phase5_ops has no judge for the row; it stays closed.",
        "Use a version that judges the row.",
    )


class SignOffEntry(PublishedModel):
    """The state of one role's signature."""

    role: str
    done: bool
    by: str | None = None
    date: str | None = None


class CandidateEntry(PublishedModel):
    """The release candidate that a document is about, and what became of it.

    `gate` is what the gate says of it now: READY_TO_SIGN is closed for nothing but signatures. `url` is where its run is found.
    """

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    series: int
    fate: str
    gate: Literal["OPEN", "READY_TO_SIGN", "BLOCKED"]
    registered_at: str
    deadline: str
    closed_because: str = ""
    url: str | None = None
    replaced: str = ""  # how and by what, where something took its place in production


class Reading(PublishedModel):
    """What reading the platform took: calls and list price (USD) by operation, seconds by part."""

    calls: dict[str, int] = Field(default_factory=dict)
    cost_usd: float = 0.0
    seconds: dict[str, float] = Field(default_factory=dict)


class Judged(PublishedModel):
    """What was judged and by whom: account, region, and the ARN of the identity that read it; `unknown` where STS did not say."""

    account: str
    region: str
    identity: str


class ReadinessDocument(PublishedModel):
    """The result of one readiness run; with `candidate`, of a release candidate as the gate sees it.

    `covers` names the rows of a selection, of which nothing is decided (NOT_DECIDED); it is null for the whole. `stated_at` is
    when the gate said it of a candidate. `judged` is null where no run judged anything yet.
    """

    schema_: Literal["phase5.readiness/v2"] = Field("phase5.readiness/v2", alias="schema")
    environment: str
    release: str | None
    run_id: str
    evaluated_at: str
    decision: Literal["OPEN", "BLOCKED", "NOT_DECIDED"]
    covers: list[str] | None = None
    exit_code: int = Field(ge=0, le=3)
    evidence_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    policy_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    rows: list[RowEntry]
    extra_checks: list[RowEntry]
    sign_offs: list[SignOffEntry]
    waivers: list[dict[str, Any]]
    blockers: list[str]
    reading: Reading
    judged: Judged | None = None
    candidate: CandidateEntry | None = None
    stated_at: str | None = None
    notices: list[str] = Field(default_factory=list)  # what is worth knowing and keeps no row closed

    def to_json(self) -> dict[str, Any]:
        """The document as JSON values, under its published names."""
        return self.model_dump(mode="json", by_alias=True)


def headline(document: ReadinessDocument) -> str:
    """The decision in a few words; a candidate that lacks only signatures is READY TO SIGN."""
    candidate = document.candidate
    if document.covers is not None:
        return f"NOT DECIDED, {', '.join(document.covers) or 'no row'} only"
    if document.decision == "OPEN" or candidate is None or candidate.gate != "READY_TO_SIGN":
        return document.decision
    return f"{document.decision}, READY TO SIGN{'' if candidate.fate == 'READY_TO_SIGN' else ' AT THE NEXT TICK'}"


def candidate_line(document: ReadinessDocument) -> str | None:
    """The candidate and what became of it; None for a run without one."""
    candidate = document.candidate
    if candidate is None:
        return None
    because = f" ({candidate.closed_because})" if candidate.closed_because else ""
    deadline = f", deadline {candidate.deadline}" if candidate.fate in ("PENDING", "READY_TO_SIGN") else ""
    return f"{document.release} {candidate.digest}, series {candidate.series}: {candidate.fate}{because}{deadline}"


def judged_line(document: ReadinessDocument) -> str | None:
    """What was judged and by whom; None where nothing was yet."""
    judged = document.judged
    return None if judged is None else f"account {judged.account}, region {judged.region}, judged as {judged.identity}"


def waiver_line(waiver: Mapping[str, Any]) -> str:
    """One entry of `waivers` in words: whether it is in force and needed, what it matches, who gave it, how often in a row."""
    pairs = ", ".join(f"{code}@{subject}" for code, subject in waiver["pairs"])
    vain = ", ".join(f"{code}@{subject}" for code, subject in waiver["unmatched"])
    state = "in force" if waiver["in_force"] else f"NOT IN FORCE: {waiver['why_not']}"
    needed = (", needed" if waiver["used"] else ", not needed") if waiver["in_force"] else ""
    nothing = f", matches nothing: {vain}" if vain else ""
    return (
        f"{waiver['id']} {state}{needed}{nothing}; {pairs}; until {waiver['until']}, by {waiver['by']} for {waiver['signed_by']}:"
        f" {waiver['reason']} ({waiver['ticket']}); {in_words(waiver['releases_in_a_row'])}"
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the document, made from the models."""
    return ReadinessDocument.model_json_schema(by_alias=True, mode="serialization")


def missing_entry(row: Row, code: FindingCode, seen: str, evaluated_at: str) -> RowEntry:
    """The entry of a row that has no result; nothing was observed, so it carries the evaluation time."""
    found = code.at(row.check, expected="a result of this check", seen=seen)
    return RowEntry.of(row, conclude(judged=0, summary=seen, findings=[found]), evaluated_at)


def opens(row_id: str, verdict: Verdict, gate: GatePolicy) -> bool:
    """Whether a row with this verdict is open: PASS is, WARN is unless the policy says otherwise, nothing else is."""
    if verdict is Verdict.WARN:
        return row_id not in gate.warn_blocks
    return verdict is Verdict.PASS


def exit_code(verdicts: Mapping[str, Verdict], *, unsigned: bool, gate: GatePolicy) -> int:
    """The exit code over the verdicts of non-sign-off rows and blocking extra checks, by row id.

    1 if one FAILs (or WARNs where WARN does not open), else 2 if one is INCONCLUSIVE or ERROR, else 1 if a signature is missing,
    else 0. No verdict at all is 2: nothing was decided.
    """
    closed = {row_id: verdict for row_id, verdict in verdicts.items() if not opens(row_id, verdict, gate)}
    if any(verdict in (Verdict.FAIL, Verdict.WARN) for verdict in closed.values()):
        return EXIT_FAILING
    if closed or not verdicts:
        return EXIT_UNDECIDED
    return EXIT_FAILING if unsigned else EXIT_OPEN


def readiness_document(
    *,
    environment: str,
    run_id: str,
    evaluated_at: str,
    evidence_digest: str,
    policy_digest: str,
    entries: Mapping[str, RowEntry],
    gate: GatePolicy,
    reading: Reading,
    chosen: Sequence[str] | None = None,
    notices: Sequence[str] = (),
    judged: Judged | None = None,
) -> ReadinessDocument:
    """The document of a run without a release: it has no sign-offs, so it is BLOCKED; for a selection of rows, NOT_DECIDED.

    `entries` holds the result of every check that has one, by check name. `chosen` names the rows and extra checks to show and to
    base the exit code on; None for all. `notices` are what the run has to say beside its rows.
    """
    rows = [_entry(row, entries, evaluated_at) for row in ROWS if chosen is None or row.id in chosen]
    extras = [_entry(row, entries, evaluated_at) for row in EXTRA_CHECKS if chosen is None or row.id in chosen]
    sign_off_ids = {row.id for row in ROWS if row.is_sign_off}
    verdicts = {entry.id: entry.verdict for entry in rows if entry.id not in sign_off_ids}
    verdicts |= {entry.id: entry.verdict for entry in extras if entry.check not in gate.extra_checks_warn_only}
    unsigned = any(entry.id in sign_off_ids for entry in rows)
    shown = [entry for entry in (*rows, *extras) if entry.id in verdicts or entry.id in sign_off_ids]
    return ReadinessDocument(
        environment=environment,
        release=None,
        run_id=run_id,
        evaluated_at=evaluated_at,
        decision="BLOCKED" if chosen is None else "NOT_DECIDED",
        covers=None if chosen is None else [entry.id for entry in (*rows, *extras)],
        exit_code=exit_code(verdicts, unsigned=unsigned, gate=gate),
        evidence_digest=evidence_digest,
        policy_digest=policy_digest,
        rows=rows,
        extra_checks=extras,
        sign_offs=[SignOffEntry(role=role, done=False) for role in ROLES],
        waivers=[],
        blockers=[line for entry in shown for line in _blockers(entry, gate)],
        reading=reading,
        judged=judged,
        notices=list(notices),
    )


def _entry(row: Row, entries: Mapping[str, RowEntry], evaluated_at: str) -> RowEntry:
    if row.is_sign_off and row.check not in entries:
        return missing_entry(row, SignOffReason.NO_RELEASE, "no release to sign", evaluated_at)
    return entries.get(row.check) or missing_entry(
        row, ReportCode.NOT_IMPLEMENTED, "This version does not judge the row.", evaluated_at
    )


def _blockers(entry: RowEntry, gate: GatePolicy) -> list[str]:
    if opens(entry.id, entry.verdict, gate):
        return []
    blocking = [f for f in entry.findings if f.verdict.blocks or entry.verdict is Verdict.WARN]
    if not blocking:
        return [f"{entry.id} {entry.verdict}: {entry.summary}"]
    return [f"{entry.id} {f.verdict} {f.code} {f.subject}: {f.seen}" for f in blocking]
