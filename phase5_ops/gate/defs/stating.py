"""Saying what the gate thinks of a candidate: the sensor's side of `stated_documents.py`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from phase5_ops.gate.attestation.envelopes import STATED_TYPE
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Decision, GateInputs
from phase5_ops.gate.state.items import Candidate, Written
from phase5_ops.gate.state.stated_documents import RESTATED_AFTER, NotStated, Stated, mark_of

#: Makes the document of a candidate. Passed in, because the layer above the gate defines what a document looks like.
Describe = Callable[[DecidingSession, Candidate, GateInputs, Decision], Mapping[str, Any]]


def last_stated(session: DecidingSession, candidate: Candidate) -> Stated | None:
    """What the gate said last of a candidate; None where it said nothing that can be shown.

    Raises:
        StateError: the state table cannot be read.
        SigningError, KeysError: it cannot be told which keys to trust.
    """
    try:
        return session.documents.said(candidate.release, candidate.series, session.keys)
    except NotStated:
        return None


def state_document(
    session: DecidingSession, candidate: Candidate, document: Mapping[str, Any], last: Stated | None
) -> tuple[str, ...]:
    """Writes the document where every machine reads it, unless the last one, of a moment ago, says the same.

    Returns:
        Why it could not be written; empty where it was, or need not be.

    Raises:
        StateError: the state table cannot be read or written.
        SigningError, KeysError: the gate's key does not sign, or is not the trusted one.
    """
    now = session.now  # the clock by which everybody judges how old it is, that of a sandbox included
    try:
        if last is not None and mark_of(last.document) == mark_of(document) and abs(now - last.at) < RESTATED_AFTER:
            return ()
    except (KeyError, TypeError):
        pass  # one of another shape: write one now
    signed = partial(session.signed_by_gate, payload_type=STATED_TYPE)
    stated = Stated(candidate.release, candidate.series, now, document)
    if session.documents.write(stated, signed) is Written.DONE:
        return ()
    return ("the state table holds a document of a later moment: see the clocks of the machines that run the gate",)
