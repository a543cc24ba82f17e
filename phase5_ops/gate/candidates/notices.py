"""What people are told: which change of a release or of readiness runs is worth a notice, and its words. Pure.

Each change is told once, because it is a difference between how something is seen now and how it was seen last; where nothing
differs, nothing is told. The first line says what to do. What must not live here: the table that keeps what was seen, channels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.checklist import ALL_CHECKS, ROW_OF_ID, ROWS
from phase5_ops.clock import iso, parse_iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import canonical_json
from phase5_ops.gate.attestation.readiness_statement import StatedWaiver
from phase5_ops.gate.attestation.run_record import RunFound, RunRecord
from phase5_ops.gate.decision.decide import is_blocking
from phase5_ops.gate.decision.waivers import problem_of
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.records import Decision, GateInputs, Outcome, Reason, Release
from phase5_ops.gate.state.items import CLOSED, Candidate, Fate
from phase5_ops.gate.state.notice_box import Notice, NoticeItem
from phase5_ops.policy import GatePolicy
from phase5_ops.text import first_few, printable
from phase5_ops.verdict import Verdict

SOON = timedelta(days=1)  # a waiver that ends so soon, and readiness runs that are missing for so long, are told of
LOOKED_AGAIN = timedelta(minutes=10)  # how often readiness runs are looked for
RECORDS = 100  # of runs that are looked through for one of the whole checklist

_REMEMBERED = 2000  # blockers by subject; of more, only row and code are remembered
_SHOWN, _NAMED, _LONGEST = 10, 3, 300  # lines of a notice, blockers of its first line, characters of a line
_ONLY_UNSIGNED = frozenset({SignOffReason.NOTHING_TO_SIGN.code, SignOffReason.SIGNATURE_MISSING.code})


class NoticeKind(StrEnum):
    """What has changed."""

    OPENED = "opened"
    CLOSED = "closed"
    NEW_BLOCKER = "new_blocker"
    SIGN_OFF_NEEDED = "sign_off_needed"
    WAIVER_ENDS = "waiver_ends"
    NO_RUN = "no_run"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Look:
    """A release as a tick sees it.

    Attributes:
        candidate: as the state table has it.
        inputs, decision: of its last finished run; None where there is none, or where the candidate is over.
        signable: its statement is frozen, so that people can sign.
        link: of its run.
    """

    candidate: Candidate
    inputs: GateInputs | None = None
    decision: Decision | None = None
    signable: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What follows from a look: how it is remembered, and the notices, each as kind, first line and the other lines."""

    seen: Mapping[str, Any]
    told: tuple[tuple[NoticeKind, str, tuple[str, ...]], ...]
    over: bool = False


def changes_of_release(was: Mapping[str, Any], look: Look) -> Changed:
    """What has changed of a release since it was seen last.

    Args:
        was: how it was remembered then; empty where it never was.
        look: how it is now.
    """
    candidate = look.candidate
    if was.get("series") != candidate.series:
        was = {}
    if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        seen = {"series": candidate.series, "fate": str(candidate.fate)}
        return Changed(seen, () if was.get("fate") == seen["fate"] else (_ended(candidate),), over=True)
    if look.inputs is None or look.decision is None:
        return Changed(was or {"series": candidate.series, "gate": ""}, ())
    gate, about = str(look.decision.outcome), _about(candidate.release)
    blockers = [each for each in look.decision.reasons if each.code not in _ONLY_UNSIGNED]
    marks, codes = _marks(blockers)
    missing = _missing_roles(look.decision) if gate == Outcome.READY_TO_SIGN and look.signable else []
    ending = _ending_waivers(look.inputs, look.decision)
    before = was.get("gate")
    told: list[tuple[NoticeKind, str, tuple[str, ...]]] = []
    if gate == Outcome.OPEN and gate != before:
        told.append((NoticeKind.OPENED, f"Nothing to do: the gate is open for {about}, and its promotion follows.", ()))
    if gate == Outcome.BLOCKED and gate != before:
        named = first_few([_named(each) for each in blockers], _NAMED) or "see the next lines"
        told.append((NoticeKind.CLOSED, f"Mend what keeps the gate closed for {about}: {named}.", _lines(look.decision.reasons)))
    elif gate == Outcome.BLOCKED and (new := _new(was, blockers)):
        named = first_few([_named(each) for each in new], _NAMED)
        told.append((NoticeKind.NEW_BLOCKER, f"Mend what is new against {about}: {named}.", _lines(new)))
    if needed := [role for role in missing if role not in was.get("missing", ())]:
        how = tuple(f"phase5 sign-off {candidate.release.name} --role {role}" for role in needed)
        told.append((NoticeKind.SIGN_OFF_NEEDED, f"Sign off {about} as {', '.join(needed)}: {how[0]}", how))
    for name, row, until in ending:
        if name not in was.get("waivers", ()):
            do = f"Mend row {row} of {about}, or waive it anew, before {until}: waiver {name} ends then."
            told.append((NoticeKind.WAIVER_ENDS, do, ()))
    seen = {
        "series": candidate.series,
        "gate": gate,
        "blockers": marks,
        "codes": codes,
        "missing": missing,
        "waivers": sorted({*was.get("waivers", ()), *(name for name, _, _ in ending)}),
    }
    return Changed(seen, tuple(told))


@dataclass(frozen=True, slots=True)
class RunLook:
    """The newest readiness run of the whole checklist.

    Attributes:
        run_id: of any such run; "" where there is none.
        ended_at: when it ended, wall clock; None where there is none.
        daily: the newest of those that were made for no release; "" where there is none.
        closed: row id (or extra check) -> verdict of what would keep a gate closed by that one.
    """

    run_id: str = ""
    ended_at: datetime | None = None
    daily: str = ""
    closed: Mapping[str, str] = field(default_factory=dict)


def runs_that_count(records: Iterable[RunRecord], *, sandbox: bool) -> list[RunFound]:
    """What readiness runs found, of those that are news to people: not under a fixed clock, unless in a sandbox.

    Where some are signed, runs that the gate's machine did not sign are somebody's own.
    """
    timely = [each for each in records if sandbox or not each.found.fixed_now]
    signed = [each for each in timely if each.signature]
    return [each.found for each in signed or timely]


def look_at_runs(found: Sequence[RunFound], policy: GatePolicy) -> RunLook:
    """What the records of readiness runs say, in any order; those of a part of the checklist do not count."""
    whole = [each for each in found if each.assets is None]
    daily = [each for each in whole if each.release_digest is None]
    if not whole:
        return RunLook()
    newest = max(whole, key=lambda each: each.ended_at)
    if not daily:
        return RunLook(newest.run_id, newest.ended_at)
    of_day = max(daily, key=lambda each: each.ended_at)
    rows = [row for row in ALL_CHECKS if not row.is_sign_off and is_blocking(row, policy)]
    verdicts = {row.id: of_day.verdicts.get(row.check) for row in rows}
    closed = {
        row: "no result" if verdict is None else str(verdict)
        for row, verdict in verdicts.items()
        if verdict is None or verdict.blocks or (verdict is Verdict.WARN and row in policy.warn_blocks)
    }
    return RunLook(newest.run_id, newest.ended_at, of_day.run_id, closed)


def changes_of_runs(was: Mapping[str, Any], environment: str, look: RunLook, now: datetime) -> Changed:
    """What has changed of readiness runs since they were looked for last: their rows, and whether any ends at all.

    Args:
        was: how they were remembered then; empty where nobody looked yet.
        environment: of the gate.
        look: how they are now.
        now: wall clock.
    """
    since = look.ended_at or parse_iso(str(was.get("since", iso(now))))
    missing = now - since >= SOON
    seen = {
        "looked_at": iso(now),
        "since": iso(since),
        "told_for": look.run_id if missing else None,
        "daily": look.daily or was.get("daily", ""),
        "closed": sorted(look.closed) if look.daily else was.get("closed"),
    }
    told = [*_changes_of_rows(was, environment, look)]
    if missing and was.get("told_for") != look.run_id:
        newest = (
            f"The newest is {look.run_id}, which ended at {iso(since)}." if look.run_id else f"None is known since {iso(since)}."
        )
        do = f"Start a readiness run in {environment} with phase5 check, and find out why none ended for a day."
        why = "Without one, evidence grows stale and no release can be promoted. Does Dagster's daemon run, with the schedule on?"
        told.append((NoticeKind.NO_RUN, do, (newest, why)))
    return Changed(seen, tuple(told))


def _changes_of_rows(
    was: Mapping[str, Any], environment: str, look: RunLook
) -> Iterator[tuple[NoticeKind, str, tuple[str, ...]]]:
    """What the newest run without a release finds otherwise than the one before."""
    if not look.daily or look.daily == was.get("daily"):
        return
    before = was.get("closed")
    lines = tuple(f"{row} {ROW_OF_ID[row].title}: {verdict}" for row, verdict in look.closed.items())
    if not look.closed:
        if before:
            yield NoticeKind.OPENED, f"Nothing to do: every row opens again in {environment}, by run {look.daily}.", ()
        return
    if not before:
        named = first_few(list(look.closed), _SHOWN)
        yield NoticeKind.CLOSED, f"Mend what would keep a gate closed in {environment}: rows {named}, by run {look.daily}.", lines
    elif new := [row for row in look.closed if row not in before]:
        named = first_few(new, _SHOWN)
        yield NoticeKind.NEW_BLOCKER, f"Mend what is new in {environment}: rows {named}, by run {look.daily}.", lines


def changes_of_live(
    was: Mapping[str, Any], release: Release, waivers: Iterable[StatedWaiver], now: datetime
) -> tuple[list[str], tuple[tuple[NoticeKind, str, tuple[str, ...]], ...]]:
    """What is to be told of the release in production: waivers that it was promoted under and that end within a day.

    Returns:
        The ids of those that people were told of, and the notices.
    """
    known = {str(each) for each in was.get("waivers", ())}
    ending = [each for each in waivers if each.until - now <= SOON]
    told = tuple(
        (
            NoticeKind.WAIVER_ENDS,
            f"Mend row {each.row} in {release.environment}: waiver {each.id}, under which {_about(release)} went live, "
            f"{'ended' if each.until <= now else 'ends'} at {iso(each.until)}.",
            (f"{each.reason} ({each.ticket})", "The next release needs the row to pass, or a waiver of its own."),
        )
        for each in sorted(ending, key=lambda each: each.id)
        if each.id not in known
    )
    return sorted(each.id for each in ending), told


def is_due(was: Mapping[str, Any], now: datetime) -> bool:
    """Whether readiness runs are looked for again."""
    return "looked_at" not in was or abs(now - parse_iso(str(was["looked_at"]))) >= LOOKED_AGAIN


def notices_of(
    changed: Changed, was: NoticeItem, *, release: Release, series: int, link: str, channels: Sequence[str], now: datetime
) -> tuple[Notice, ...]:
    """The notices of a change; each has an id that follows from what was seen, so that no change has two."""
    made = []
    for number, (kind, do, lines) in enumerate(changed.told):
        about = [release.environment, release.name, release.digest, series, was.key, was.version, number, str(kind)]
        made.append(
            Notice(
                id=sha256_of(canonical_json(about)).removeprefix("sha256:")[:32],
                kind=str(kind),
                do=printable(do)[: 2 * _LONGEST],
                text="\n".join(printable(line)[:_LONGEST] for line in lines),
                at=now,
                environment=release.environment,
                release=release.name,
                digest=release.digest,
                series=series,
                link=link,
                waiting=dict.fromkeys(channels, 0),
                not_before=now,
            )
        )
    return tuple(made)


def _ended(candidate: Candidate) -> tuple[NoticeKind, str, tuple[str, ...]]:
    about, name = _about(candidate.release), candidate.release.name
    do = {
        Fate.PROMOTED: f"Nothing to do: {about} is PROMOTED.",
        Fate.REJECTED: f"Mend what kept {about} closed and register it with --new-series, or give it up: it is REJECTED.",
        Fate.ABORTED: f"Nothing to do: {about} was given up, it is ABORTED.",
        Fate.SUPERSEDED: f"Nothing to do: {about} gave way, it is SUPERSEDED.",
        Fate.BREAK_GLASS: f"Mend what kept {about} closed: it went to production past the gate, it is BREAK_GLASS.",
    }[candidate.fate]
    lines = [candidate.closed_because] if candidate.closed_because else []
    return NoticeKind.ENDED, do, (*lines, f"phase5 status {name}")


def _about(release: Release) -> str:
    return f"{release.name} in {release.environment}"


def _named(reason: Reason) -> str:
    return f"{reason.row} {reason.code} {reason.subject}"


def _lines(blockers: Sequence[Reason]) -> tuple[str, ...]:
    left = len(blockers) - _SHOWN
    return (*map(str, blockers[:_SHOWN]), *([f"and {left} more"] if left > 0 else []))


def _marks(blockers: Iterable[Reason]) -> tuple[list[str] | None, list[str]]:
    """How blockers are remembered: by subject, None where there are too many; and by row and code alone."""
    marks = sorted({_mark(each.row, each.code, each.subject) for each in blockers})
    return marks if len(marks) <= _REMEMBERED else None, sorted({_mark(each.row, each.code) for each in blockers})


def _mark(*parts: str) -> str:
    return sha256_of("\0".join(parts).encode("utf-8", "surrogatepass")).removeprefix("sha256:")[:16]


def _new(was: Mapping[str, Any], blockers: Sequence[Reason]) -> list[Reason]:
    """The blockers that were not there. What was seen of one may change from look to look, and makes no new one."""
    marks, _ = _marks(blockers)
    known = was.get("blockers")
    if marks is None or known is None:  # too many to be remembered one by one, now or then
        codes = frozenset(was.get("codes", ()))
        return [each for each in blockers if _mark(each.row, each.code) not in codes]
    remembered = frozenset(known)
    return [each for each in blockers if _mark(each.row, each.code, each.subject) not in remembered]


def _missing_roles(decision: Decision) -> list[str]:
    """The roles whose row is closed, in the checklist's order."""
    closed = {each.row for each in decision.rows if not each.opens}
    return [row.owner for row in ROWS if row.is_sign_off and row.id in closed]


def _ending_waivers(inputs: GateInputs, decision: Decision) -> list[tuple[str, str, str]]:
    """Id, row and end of each waiver that the release needs and that ends soon."""
    release = inputs.release
    if release is None:
        return []
    found = []
    for waiver in inputs.waivers:
        in_force = problem_of(waiver, release_digest=release.digest, policy=inputs.policy, now=inputs.now) is None
        if in_force and waiver.id in decision.waivers_used and waiver.until - inputs.now <= SOON and waiver.row in ROW_OF_ID:
            found.append((waiver.id, waiver.row, iso(waiver.until)))
    return sorted(found)
