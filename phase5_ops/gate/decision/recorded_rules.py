"""What the state table's records of runs say against a candidate's evidence, and of newer runs. Pure.

A run writes its record when it ends, by a conditional write, and signs it if it may; the evidence folder and Dagster's records
can be rewritten later. So evidence counts only as it was recorded, a newer run counts as its record says, and a run that the
table knows and the folder does not counts as unreadable. What must not live here: reading, and the decision itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.run_record import RunFound, RunRecord
from phase5_ops.gate.reasons import RELEASE, GateReason
from phase5_ops.gate.records import OtherRun, Reason, Rows
from phase5_ops.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LeftEvidence:
    """What the evidence folder holds of a run that has a record.

    Attributes:
        sealed: digest of its manifest; None where there is none.
        rows: row id (or extra check) -> verdict and findings, of the verdict files that the manifest names; None if unreadable.
    """

    sealed: str | None
    rows: Rows | None


def needs_keys(trail: Sequence[RunRecord], before: RunRecord | None) -> bool:
    """Whether judging these records needs the trusted keys."""
    return any(record.signature for record in (*trail, before) if record is not None)


def record_problems(
    trail: Sequence[RunRecord],
    run_id: str,
    digest: str | None,
    keys: KeySet | None,
    *,
    before: RunRecord | None = None,
) -> tuple[Reason, ...]:
    """Why the records close the gate for a candidate.

    Args:
        trail: the records from the newest back to that of the candidate's run; all that were read if it has none.
        run_id: the candidate's readiness run.
        digest: of its evidence as it is stored now; None where there is none.
        keys: the trusted keys; None only where no record is signed.
        before: the last older record of a run for a candidate; None where there is none.
    """
    broken = _gap(trail)
    found = [GateReason.RUN_RECORDS_BROKEN.closes(RELEASE, "state table", broken)] if broken else []
    own = _own(trail, run_id)
    if own is None:
        seen = f"none of {len(trail)} records" if trail else "no record of any run"
        return (*found, GateReason.RUN_NOT_RECORDED.closes(RELEASE, run_id, seen))
    if own.found.manifest != digest:
        found.append(
            GateReason.EVIDENCE_NOT_AS_RECORDED.closes(
                RELEASE, run_id, f"recorded {own.found.manifest}, stored {digest or 'none'}"
            )
        )
    candidates = [record for record in (*trail, before) if record is not None and record.found.release_digest is not None]
    must_be_signed = bool(own.signature) or any(record.signature for record in candidates)
    if must_be_signed and (keys is None or not own.signed_by_gate(keys)):
        seen = "a signature that no trusted key of the gate made" if own.signature else "no signature"
        found.append(GateReason.RUN_RECORD_NOT_BELIEVED.closes(RELEASE, run_id, seen))
    return tuple(found)


def _own(trail: Sequence[RunRecord], run_id: str) -> RunRecord | None:
    return next((record for record in trail if record.found.run_id == run_id), None)


def _gap(trail: Sequence[RunRecord]) -> str:
    """Where the records, newest first, do not follow one another; empty where they do."""
    for later, earlier in pairwise(trail):
        if later.seq != earlier.seq + 1:
            return f"record {later.seq} follows record {earlier.seq}"
        if later.previous != earlier.digest:
            return f"record {earlier.seq} (run {earlier.found.run_id}) is not the one that record {later.seq} names"
    return ""


def confirmed_runs(
    others: Iterable[OtherRun],
    trail: Sequence[RunRecord],
    left: Mapping[str, LeftEvidence],
    run_id: str,
    keys: KeySet | None,
    *,
    allow_fixed_now: bool,
) -> tuple[OtherRun, ...]:
    """The newer runs of a candidate's environment, as Dagster, the evidence and the records together tell of them.

    Args:
        others: those that Dagster knows, and those that only evidence tells of.
        trail: as for `record_problems`.
        left: run id -> its evidence, for every run of the trail.
        run_id: the candidate's own run.
        keys: the trusted keys.
        allow_fixed_now: runs under a fixed clock count, too.

    Returns:
        A run without a record can close the gate, but cures nothing. A run whose evidence or results are missing, or not what was
        recorded, counts as unreadable. A check that should have judged and did not, since it or the whole run was stopped, is an
        ERROR.
    """
    by_id = {record.found.run_id: record for record in trail}
    known = {run.run_id: run for run in others}
    found = [replace(run, confirmed=False) for run in known.values() if run.run_id not in by_id]
    own = by_id.get(run_id)
    if own is None:
        return tuple(found)  # closed anyway: nothing tells which runs came later
    for record in trail:
        if record.seq <= own.seq or record.found.run_id == run_id or (record.found.fixed_now and not allow_fixed_now):
            continue
        evidence = left.get(record.found.run_id, LeftEvidence(None, None))
        trusted = record.signed_by_gate(keys) if keys is not None and (record.signature or own.signature) else not own.signature
        found.append(_as_recorded(record.found, known.get(record.found.run_id), evidence, trusted=trusted))
    return tuple(found)


def _as_recorded(record: RunFound, known: OtherRun | None, evidence: LeftEvidence, *, trusted: bool) -> OtherRun:
    run = OtherRun(record.run_id, record.environment, record.ended_at, evidence.rows, recorded=False)
    if known is not None and known.recorded:
        run = replace(known, completed_at=max(known.completed_at, record.ended_at))
    whole = evidence.sealed == record.manifest and run.rows is not None and _same(run.rows, record)
    return replace(run, rows=_with_errors(run.rows, record) if whole and run.rows is not None else None, confirmed=trusted)


def _same(rows: Rows, record: RunFound) -> bool:
    """Whether the results are those of the record, check by check."""
    judged = {row.check: rows[row.id][0] for row in ALL_CHECKS if row.id in rows}
    return judged == {check: verdict for check, verdict in record.verdicts.items() if check in _CHECKS}


_CHECKS = frozenset(row.check for row in ALL_CHECKS)


def _with_errors(rows: Rows, record: RunFound) -> Rows:
    """The rows, with an ERROR for each that the run should have judged and has no verdict for."""
    wanted = (row for row in ALL_CHECKS if not row.is_sign_off and (record.assets is None or row.asset in record.assets))
    return {**{row.id: (Verdict.ERROR, ()) for row in wanted}, **rows}
