"""The document of a candidate, as the gate's sensor makes it at each tick and stores it for everybody.

A tick has other candidates to look at too, so the document holds no more findings of a row than people read; a fact of the row
says how many are left out. All of them are in the evidence, and the decision rests on all.
"""

from collections.abc import Mapping
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.decision.waiver_report import waiver_uses
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Decision, GateInputs
from phase5_ops.gate.state.items import Candidate
from phase5_ops.report.document import CandidateEntry, Judged
from phase5_ops.report.release import release_document, shortened


def describe(session: DecidingSession, candidate: Candidate, inputs: GateInputs, decision: Decision) -> Mapping[str, Any]:
    """The document of a candidate as JSON values.

    Raises:
        StateError: the state table cannot be read.
    """
    entry = CandidateEntry.model_validate(
        {
            "digest": candidate.release.digest,
            "series": candidate.series,
            "fate": str(candidate.fate),
            "gate": str(decision.outcome),
            "registered_at": iso(candidate.registered_at),
            "deadline": iso(candidate.deadline),
            "closed_because": candidate.closed_because,
            "url": session.settings.run_address(inputs.run_id) if inputs.run_id else None,
        }
    )
    document = release_document(
        candidate=entry,
        release=candidate.release,
        inputs=inputs,
        decision=decision,
        waivers=waiver_uses(inputs, decision, session.promotions if inputs.waivers else []),
        judged=_judged(session.run.store, inputs.run_id),
    )
    return shortened(document).to_json()


def _judged(store: EvidenceStore, run_id: str | None) -> Judged | None:
    """Who judged what in a run, as its evidence says; None where it does not say."""
    try:
        return Judged.model_validate(store.origin(run_id)) if run_id else None
    except (OSError, ValueError):  # no evidence, or of an earlier version, which does not name them
        return None
