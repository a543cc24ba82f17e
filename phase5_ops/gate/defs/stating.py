"""Saying what the gate thinks of a candidate: the sensor's side of `stated_documents.py`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Decision, GateInputs
from phase5_ops.gate.state.items import Candidate, Written
from phase5_ops.gate.state.stated_documents import RESTATED_AFTER, STATED_TYPE, NotStated, Stated, mark_of

#: Makes the document of a candidate. Passed in, because the layer above the gate defines what a document looks like.
Describe = Callable[[DecidingSession, Candidate, GateInputs, Decision], Mapping[str, Any]]


def state_document(session: DecidingSession, candidate: Candidate, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Writes the document where every machine reads it, unless the last one, of a moment ago, says the same.

    Returns:
        Why it could not be written; empty where it was, or need not be.

    Raises:
        StateError: the state table cannot be read or written.
        SigningError, KeysError: the gate's key does not sign, or is not the trusted one.
    """
    now = session.now  # the clock by which everybody judges how old it is, that of a sandbox included
    try:
        said = session.documents.said(candidate.release, candidate.series, session.keys)
        if mark_of(said.document) == mark_of(document) and abs(now - said.at) < RESTATED_AFTER:
            return ()
    except (NotStated, KeyError, TypeError):
        pass  # there is no document that could be shown: write one now

    signed = partial(session.signed_by_gate, payload_type=STATED_TYPE)
    stated = Stated(candidate.release, candidate.series, now, document)
    if session.documents.write(stated, signed) is Written.DONE:
        return ()
    return ("the state table holds a document of a later moment: see the clocks of the machines that run the gate",)


def stated_open(session: DecidingSession, candidate: Candidate) -> bool:
    """Whether the newest document of a candidate says that its gate is open.

    Raises:
        StateError: the state table cannot be read.
        SigningError, KeysError: it cannot be told which keys to trust.
    """
    try:
        said = session.documents.said(candidate.release, candidate.series, session.keys)
    except NotStated:
        return False
    return said.document.get("decision") == "OPEN"
