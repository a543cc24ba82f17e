"""The present document of a candidate: what the gate last said, and what became of the candidate since.

It is read from the state table alone, so that every machine shows the same. This module never improves on what the gate said: it
only closes, except for a promotion whose record the gate has signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from phase5_ops.clock import iso
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.inputs.promotion_records import record_problems
from phase5_ops.gate.promotion.released import Released, in_its_place, released, replaced_by
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate
from phase5_ops.gate.state.stated_documents import AHEAD_AT_MOST, SILENT_AFTER, NotStated, Stated, StatedDocuments
from phase5_ops.report.document import EXIT_FAILING, EXIT_OPEN, EXIT_UNDECIDED, ReadinessDocument


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a candidate, as the state table and the gate's signatures say.

    Attributes:
        candidate: as it stands in the state table.
        recorded: its promotion through the open gate is recorded.
        unattested: why that record is not trusted; empty if it is, or if there is none.
        glass: the trusted break-glass publication; None where there is none.
        replaced_by: what took its place in production; None where nothing did.
        now: wall clock.
    """

    candidate: Candidate
    recorded: bool
    unattested: Sequence[str]
    glass: Released | None
    replaced_by: Released | None
    now: datetime


def standing_document(state: StatedDocuments, keys: KeySet, candidate: Candidate, now: datetime) -> ReadinessDocument:
    """The document of a candidate as every machine that reads the state table shows it; `now` is wall clock.

    Raises:
        NotStated: the gate has said nothing of this series that can be trusted.
        StateError: the state table cannot be read.
    """
    release, series = candidate.release, candidate.series
    stated = state.said(release, series, keys)
    record = state.promotion(release, series)
    problems = record_problems(record, release, series, keys=keys, now=record.promoted_at) if record else ()
    went = record is not None or candidate.fate is Fate.BREAK_GLASS
    since = record.promoted_at if record else candidate.registered_at
    history = released(state, keys, release.environment, now=now, since=since) if went else []
    by_glass = [each for each in history if each.kind is OrderKind.BREAK_GLASS and not each.problems and each.release == release]
    glass = next((each for each in by_glass if each.series == series), None)
    return as_it_stands(stated, Became(candidate, record is not None, problems, glass, replaced_by(history, release), now))


def stated_document(stated: Stated) -> ReadinessDocument:
    """The document as the gate said it, with the moment when.

    Raises:
        NotStated: it is of another version.
    """
    try:
        return ReadinessDocument.model_validate({**stated.document, "stated_at": iso(stated.at)})
    except ValidationError as error:
        raise NotStated(
            f"the gate's document of {stated.release.name} was made by another version of phase5_ops"
            f" ({error.error_count()} fields do not fit): use the version that runs on the gate's machine"
        ) from error


def as_it_stands(stated: Stated, became: Became) -> ReadinessDocument:
    """The document that is shown now.

    Raises:
        NotStated: what the gate said is of another version.
    """
    said, fate = stated_document(stated), became.candidate.fate
    undecided = _undecided(said, stated, became)
    closed = _closed(said, became)
    replaced = in_its_place(became.replaced_by) if became.replaced_by else ""
    entry = None
    if said.candidate is not None:
        gate = "BLOCKED" if said.candidate.gate == "OPEN" and (closed or undecided) else said.candidate.gate
        changes = {"fate": str(fate), "closed_because": became.candidate.closed_because, "gate": gate, "replaced": replaced}
        entry = said.candidate.model_copy(update=changes)
    document = said.model_copy(update={"candidate": entry, "notices": [*said.notices, *([replaced] if replaced else [])]})
    if not closed and not undecided:
        return document
    code = EXIT_UNDECIDED if undecided else EXIT_FAILING
    blockers = [*undecided, *closed, *said.blockers]
    return document.model_copy(update={"decision": "BLOCKED", "exit_code": code, "blockers": blockers})


def _undecided(said: ReadinessDocument, stated: Stated, became: Became) -> list[str]:
    """Why the gate's last document does not tell how things stand now."""
    if became.recorded and not became.unattested and said.exit_code != EXIT_OPEN:
        return [
            "release PROMOTED, and the gate has not yet said on what evidence: wait for its next tick; if it does not say so"
            " then, the next lines say why"
        ]
    over = became.candidate.fate in CLOSED or became.candidate.fate is Fate.PROMOTED or became.recorded
    age = became.now - stated.at
    if not over and age < -AHEAD_AT_MOST:
        return [
            f"release what the gate said is dated {iso(stated.at)}, {in_words(-age)} in the future: check the clocks of this"
            " machine and of the gate's machine"
        ]
    if not over and age > SILENT_AFTER:
        return [
            f"release the gate has said nothing since {iso(stated.at)}, {in_words(age)} ago: check that Dagster's daemon"
            " runs on the gate's machine, and what the last tick of the sensor promotion_gate says"
        ]
    return []


def _closed(said: ReadinessDocument, became: Became) -> list[str]:
    """Why it is closed whatever its rows say."""
    candidate, closed = became.candidate, []
    if became.recorded:
        closed += [f"release PROMOTED, and its attestation does not verify: {problem}" for problem in became.unattested]
    elif candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        closed.append(f"release {candidate.fate}: {candidate.closed_because or _by_glass(became.glass) or 'no record says why'}")
    elif said.candidate is not None and said.candidate.fate == Fate.PROMOTED:
        closed.append(f"release {candidate.fate}: the gate said that it is PROMOTED, but the record of that is gone")
    if (became.recorded or became.glass) and became.replaced_by is not None and became.replaced_by.kind is OrderKind.ROLLBACK:
        closed.append(f"release {in_its_place(became.replaced_by)}")
    return closed


def _by_glass(glass: Released | None) -> str:
    """In words, which break-glass order published it; "" where none is trusted."""
    if glass is None or glass.override is None:
        return ""
    order = f"{glass.override.id}: {glass.override.reason}, {glass.override.ticket}"
    return f"promoted by break-glass, past the closed gate, at {iso(glass.at)} ({order})"


def in_words(age: timedelta) -> str:
    """A span of time for people, in its largest unit."""
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
