"""`phase5 status` and `phase5 releases`: what the gate said of its candidates, and what went to production.

Nothing is decided here. Of this machine only the pinned keys count: a release pipeline, a person who signs and the gate's own
machine are all shown the document that the gate keeps in the state table. Exit codes of one release are those of its document;
the list of candidates exits with 0, that of releases with 2 where what is live is not known.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from phase5_ops.clock import iso, parse_iso
from phase5_ops.commands.promote import line
from phase5_ops.doctor.machine import what_is_late
from phase5_ops.gate.promotion.released import BY, Released, live, released, with_observed
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession, open_session
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate, MalformedItem, StateError, release_pk, slot
from phase5_ops.gate.state.stated_documents import NotStated
from phase5_ops.report.document import EXIT_OPEN, EXIT_UNDECIDED, ReadinessDocument
from phase5_ops.report.standing import in_words, standing_document
from phase5_ops.report.worst import first_lines
from phase5_ops.report.wrapping import hanging
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import printable

_BLOCKERS = 20  # of a candidate in the list of all


def open_candidates(settings: Settings, width: int) -> str:
    """Every candidate that may be open, and what each is waiting for; and what has not happened for too long.

    Lines have at most `width` columns but for addresses.

    Raises:
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    session = open_session(settings, "phase5 status")
    unknown: list[str] = []
    listed = session.state.open_candidates(settings.environment, malformed=lambda error: unknown.append(f"not known: {error}"))
    lines = [each for text in unknown for each in hanging(printable(text), width)]
    for what in ("STATED", "PROMOTION"):  # a record of a promotion is never older than what was said before it
        session.documents.read_ahead((release_pk(each.release), slot(what, each.series)) for each, _ in listed)
    for candidate, _ in listed:
        lines += hanging(printable(line(candidate)), width)
        lines += [each for text in _standing(session, candidate) for each in hanging(printable(text), width, indent=2)]
    lines = lines or hanging(f"no open candidate in {settings.environment}", width)
    lines += [each for text in _late(session) for each in hanging(printable(text), width)]
    return "\n".join(lines)


def _late(session: GateSession) -> Iterator[str]:
    """What has not happened for too long: a readiness run, a look of the daemon."""
    try:
        run, daemon = what_is_late(session, datetime.now(UTC))
    except (StateError, ValueError) as error:
        yield f"whether a readiness run has ended lately, and whether the gate's daemon runs, is not known: {error}"
        return
    yield from filter(None, (run, daemon))


def _standing(session: GateSession, candidate: Candidate) -> Iterator[str]:
    if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        return
    try:
        document = document_of(session, candidate)
    except (NotStated, MalformedItem) as error:
        yield f"not known: {error}"
        return
    yield age_line(session, document)
    yield from first_lines(document.blockers, _BLOCKERS, f"phase5 status {candidate.release.name} shows them")


def age_line(session: GateSession, document: ReadinessDocument) -> str:
    """What the gate says of a candidate in a word, and how long ago it said so."""
    at = parse_iso(document.stated_at or document.evaluated_at)
    gate = document.candidate.gate if document.candidate else document.decision
    return f"the gate is {gate}, as it said {in_words(session.now - at)} ago, at {iso(at)}"


def document_of(session: GateSession, candidate: Candidate) -> ReadinessDocument:
    """The document of a candidate, as every machine shows it.

    Raises:
        NotStated: the gate has said nothing of it that can be trusted.
        StateError: the state table cannot be read.
    """
    return standing_document(session.documents, session.keys, candidate, session.now)


def release_status(settings: Settings, name: str) -> ReadinessDocument:
    """The document of one candidate.

    Raises:
        ConfigurationError: no such candidate, or the clock is fixed.
        NotStated: the gate has said nothing of it that can be trusted.
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    session = open_session(settings, "phase5 status of a release")
    candidate = session.state.candidate(Release(name, "", settings.environment))
    if candidate is None:
        raise ConfigurationError(
            f"no candidate {name} in {settings.environment}; register it with phase5 promote, "
            "and let the sensor promotion_gate see it"
        )
    return document_of(session, candidate)


def releases(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> list[Released]:
    """Every publication of the environment, oldest first, with what was seen deployed; `tell` is told where that cannot be read.

    Raises:
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust.
    """
    session = open_session(settings, "phase5 releases")
    history = released(session.state, session.keys, settings.environment, now=session.now)
    try:
        return with_observed(history, session.observations.all(settings.environment), session.keys)
    except StateError as error:
        tell(f"what was seen deployed is not shown: {error}")
        return history


def releases_text(environment: str, history: list[Released], width: int, last: int) -> str:
    """For people, in lines of at most `width` columns but for addresses: what is live, and the `last` of all, newest first."""
    if not history:
        return "\n".join(hanging(f"nothing was ever promoted to {environment} through this gate", width))
    if (present := live(history)) is None:
        first = f"live in {environment}: NOT KNOWN, the last record of a promotion cannot be trusted"
    else:
        order = f" {present.override.id}, {present.override.reason} ({present.override.ticket})" if present.override else ""
        first = (
            f"live in {environment}: {present.release.name} {present.release.digest}"
            f" since {iso(present.at)}, by {BY[present.kind]}{order}"
        )
    shown = [str(each) for each in history[: -last - 1 : -1]]
    further = len(history) - len(shown)
    shown += [f"and {further:,} earlier: --last {len(history)} shows them, --format json has all"] if further else []
    past = [part for each in shown for part in hanging(printable(each), width, indent=2)]
    return "\n".join([*hanging(printable(first), width), "", "history, newest first:", *past])


def releases_json(environment: str, history: list[Released]) -> dict[str, object]:
    """The same for programs: `live` is null where it is not known or nothing is."""
    present = live(history)
    return {
        "schema": "phase5.releases/v1",
        "environment": environment,
        "live": None if present is None else _entry(present),
        "known": present is not None or not history,
        "history": [_entry(each) for each in history],
    }


def releases_exit_code(history: list[Released]) -> int:
    """2 where it is not known what is live."""
    return EXIT_UNDECIDED if history and live(history) is None else EXIT_OPEN


def _entry(each: Released) -> dict[str, object]:
    override = each.override
    return {
        "release": each.release.name,
        "digest": each.release.digest,
        "series": each.series,
        "by": str(each.kind),
        "at": iso(each.at),
        "run_id": each.run_id,
        "override": None
        if override is None
        else {"id": override.id, "reason": override.reason, "ticket": override.ticket, "requested_by": override.requested_by},
        "problems": list(each.problems),
        "observed": [
            {
                "at": iso(seen.observed_at),
                "agreement": str(seen.agreement),
                "digest": seen.digest,
                "how": seen.how,
                "problem": untrusted,
            }
            for seen, untrusted in each.observed
        ],
    }
