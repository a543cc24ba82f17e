"""What went to production through this gate, by which right, and what is live: from signed records, oldest first.

The list of promotions in the state table only says where to look. What counts is the gate's signature over each publication
(`promotion_records.py`); a record that does not carry it, or cannot be read, is shown with the reason, and what is live after it
is unknown. Whoever may write a signature may write such a record: it hides no other, and nothing stops at it. What reached
production without this gate is not known here.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from phase5_ops.clock import iso, parse_iso
from phase5_ops.gate.attestation.envelopes import read_envelope
from phase5_ops.gate.attestation.keys import KeySet
from phase5_ops.gate.attestation.observation import Observation, RecordedObservation
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override, stored_order
from phase5_ops.gate.attestation.readiness_statement import StatedWaiver, readiness_facts
from phase5_ops.gate.attestation.said_by_decision import SKEW
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.inputs.promotion_records import record_problems
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.item_table import BATCH
from phase5_ops.gate.state.items import PROMOTED, RELEASE_NAME, MalformedItem, check_release, release_pk, slot
from phase5_ops.gate.state.table import StateTable

#: By what a release went to production, in words.
BY = {OrderKind.OPEN: "the gate", OrderKind.ROLLBACK: "rollback", OrderKind.BREAK_GLASS: "break-glass"}

_UNKNOWN = "unknown"
_BEGINNING = datetime.fromtimestamp(0, UTC)
_BEYOND = 10**6  # every series


@dataclass(frozen=True, slots=True)
class Released:
    """One publication.

    Attributes:
        release: name, digest, environment.
        series: of the candidate.
        kind: OPEN, ROLLBACK or BREAK_GLASS.
        at: when it was published, as its record says; the latest that it can have been, where that cannot be read.
        run_id: of the promotion run; `unknown` where the record cannot be read.
        override: the order by which it was made; None where the gate was open.
        problems: why the record is not trusted; empty if it is.
        observed: what was seen deployed while it was the last publication, oldest first, each with why it is not trusted, or "".
    """

    release: Release
    series: int
    kind: OrderKind
    at: datetime
    run_id: str
    override: Override | None = None
    problems: tuple[str, ...] = ()
    observed: tuple[tuple[Observation, str], ...] = ()

    def __str__(self) -> str:
        """In one line."""
        order = f" {self.override.id}: {self.override.reason} ({self.override.ticket})" if self.override else ""
        doubt = f"; NOT VERIFIED: {'; '.join(self.problems)}" if self.problems else ""
        if self.observed:
            seen, untrusted = self.observed[-1]
            doubt += f"; {f'NOT VERIFIED: {untrusted}' if untrusted else seen}"
        about = f"{self.release.name} {self.release.digest} series {self.series}"
        return f"{iso(self.at)} {about} by {BY[self.kind]}{order}, run {self.run_id}{doubt}"


def released(
    state: StateTable, keys: KeySet, environment: str, *, now: datetime, since: datetime | None = None
) -> list[Released]:
    """Every publication of an environment, oldest first.

    Args:
        state: the state table.
        keys: the trusted keys.
        environment: of the gate.
        now: the present; a time after it counts only with the gate's signature.
        since: those before this moment are left out; None for all.

    Raises:
        StateError: the state table does not answer.
    """
    found: dict[tuple[str, int, str], Released] = {}

    def note(each: Released) -> None:
        """Keeps one entry for each publication: a note that does not match its record gives way to one that does."""
        key = (each.release.name, each.series, each.override.id if each.override else "")
        if key not in found or not each.problems:
            found[key] = each

    unreadable: list[MalformedItem] = []
    noted = [each for each in state.noted_releases(environment, malformed=unreadable.append) if since is None or each[0] >= since]
    for error in unreadable:
        note(_of_unreadable_note(error, environment, now))
    for start in range(0, len(noted), BATCH):
        batch = noted[start : start + BATCH]
        state.read_ahead((release_pk(release), slot("PROMOTION", series)) for _, release, series in batch)
        for at, release, series in batch:
            if (each := _published(state, keys, release, series, at=_noted_at(at, now), now=now)) is not None:
                note(each)
    for stored in state.overrides(environment):
        order = stored_order(stored.id, stored.payload)
        if order is None or not _can_take_effect(order, environment) or (since is not None and order.until < since):
            continue
        at = min(order.until, now)
        if (each := _published(state, keys, order.release, order.series, at=at, now=now, order=order)) is not None:
            note(each)
    late = [each for each in found.values() if since is None or each.at >= since]
    return sorted(late, key=_place)


def _place(each: Released) -> tuple[datetime, str, int]:
    """By what publications are in order."""
    return each.at, each.release.name, each.series


def with_observed(history: Iterable[Released], observed: Iterable[RecordedObservation], keys: KeySet) -> list[Released]:
    """The publications, each with what was seen deployed while it was the last one."""
    of: dict[tuple[Release, int, str], list[tuple[Observation, str]]] = {}
    for each in observed:
        seen = each.seen
        of.setdefault((seen.release, seen.series, seen.override), []).append((seen, each.problem(keys) or ""))
    return [
        replace(each, observed=tuple(of.get((each.release, each.series, each.override.id if each.override else ""), ())))
        for each in history
    ]


def live(history: Sequence[Released]) -> Released | None:
    """What is in production: the last publication; None where there is none, or where the last one is not trusted."""
    return history[-1] if history and not history[-1].problems else None


def replaced_by(history: Sequence[Released], release: Release) -> Released | None:
    """What took the place of a release in production; None where nothing trusted came after it, or it was never there."""
    trusted = [each for each in history if not each.problems]
    last = max((index for index, each in enumerate(trusted) if each.release == release), default=None)
    return None if last is None or last + 1 == len(trusted) else trusted[last + 1]


def after(history: Sequence[Released], release: Release, at: datetime) -> tuple[Released, ...]:
    """What of other releases followed the last publication of a release, oldest first, trusted or not; empty where it is live.

    Args:
        history: oldest first, from `at` on or from earlier.
        release: that was published.
        at: when it was published, by a trusted record that need not be part of the history: a killed run may have left no note.
    """
    last = max((_place(each) for each in history if each.release == release and not each.problems), default=(at, release.name, 0))
    return tuple(each for each in history if _place(each) > last and each.release != release)


def in_its_place(by: Released) -> str:
    """In words, how a release lost its place in production to another."""
    how = {
        OrderKind.ROLLBACK: "rolled back from",
        OrderKind.OPEN: "replaced",
        OrderKind.BREAK_GLASS: "replaced by break-glass",
    }[by.kind]
    order = f" ({by.override.id}: {by.override.reason})" if by.override else ""
    return f"{how} at {iso(by.at)}: {by.release.name} took its place{order}"


def waivers_of(state: StateTable, keys: KeySet, each: Released) -> tuple[StatedWaiver, ...]:
    """The waivers under which a release passed the gate, as the statement shows them that its promotion rests on.

    There are none of a release that never passed it (break-glass). Of one that was gone back to, they are those of its promotion.

    Raises:
        StateError: the state table cannot be read.
        MalformedEnvelope: the record holds no readiness statement.
    """
    record = None if each.kind is OrderKind.BREAK_GLASS else state.promotion(each.release, each.series)
    if record is None or record_problems(record, each.release, each.series, keys=keys, now=record.promoted_at):
        return ()
    return readiness_facts(read_statement(read_envelope(record.readiness_envelope.encode()).payload)).waivers


def _published(
    state: StateTable, keys: KeySet, release: Release, series: int, *, at: datetime, now: datetime, order: Override | None = None
) -> Released | None:
    """The publication that the record of a series or of an order tells of; None where there is no record.

    `at` is shown for one whose record cannot be read, or tells of a time to come without being signed.
    """
    kind = order.kind if order else OrderKind.OPEN
    try:
        record = state.promotion(release, series, override=order.id if order else "")
    except MalformedItem as error:
        return Released(release, series, kind, at, _UNKNOWN, order, (str(error),))
    if record is None:
        return None
    problems = record_problems(record, release, series, keys=keys, now=record.promoted_at, override=order)
    said = at if problems and not _has_come(record.promoted_at, now) else record.promoted_at
    return Released(release, series, kind, said, record.holder, order, problems)


def _has_come(at: datetime, now: datetime) -> bool:
    """Whether it is no time to come, as far as clocks agree."""
    return at <= now + SKEW


def _noted_at(at: datetime, now: datetime) -> datetime:
    """The time of a note; one that says none, or one to come, takes nobody's place, and comes first."""
    return at if _has_come(at, now) else _BEGINNING


def _of_unreadable_note(error: MalformedItem, environment: str, now: datetime) -> Released:
    """What is shown for a note that names no record."""
    at = _BEGINNING
    with suppress(ValueError):
        at = _noted_at(parse_iso(error.read.resource.partition(f" {PROMOTED}")[2].partition("#")[0]), now)
    return Released(Release(error.read.resource, "", environment), 0, OrderKind.OPEN, at, _UNKNOWN, None, (str(error),))


def _can_take_effect(order: Override, environment: str) -> bool:
    """Whether the gate of this environment could ever have recorded an effect of the order: its names can be keys of items."""
    try:
        check_release(order.release)
    except ValueError:
        return False
    named = order.release.environment == environment and RELEASE_NAME.fullmatch(order.id) is not None
    return named and 0 < order.series < _BEYOND
