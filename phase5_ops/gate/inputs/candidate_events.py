"""The events of Dagster that register candidates, read where the last tick ended; anybody may have posted them.

Storage ids are not the order in which events appear: PostgreSQL gives an id out before its event can be seen, so that one with a
smaller id may come after one with a larger. A tick that went on behind the largest would never see it, and a registration, or an
abort, would be lost. So the last minutes are read again, and the cursor says what of them was applied.

Dagster keeps the cursor, and the state table what the events did. Where the table is put back to an earlier moment, an abort
since then would be forgotten. So the table keeps the cursor too, one for each database of Dagster, and what either of them does
not know is applied again.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage

_LONGEST_ID = 18  # digits
_BEYOND = 10**_LONGEST_ID  # every storage id
_MOST_UNREADABLE = 10  # events that one look finds
_SETTLED = timedelta(minutes=2)  # after it no event with a smaller id appears any more
_MOST_APPLIED = 500  # that a cursor names


@dataclass(frozen=True, slots=True)
class CandidateEvent:
    """An event of the asset of candidates; anybody may have posted it, with any partition and metadata.

    `unreadable` is the error that reading it ends with: Dagster stores metadata that it cannot read again. Nothing else is known
    of such an event.
    """

    storage_id: int
    partition: str | None
    metadata: Mapping[str, object]
    at: datetime | None
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class EventCursor:
    """How far events were applied: all up to the storage id `settled`, and these later ones. As text: the ids, with blanks."""

    settled: int = 0
    applied: frozenset[int] = frozenset()

    @classmethod
    def read(cls, text: object) -> Self:
        """The cursor that a tick left; one that was set by hand and is none begins anew."""
        ids = text.split() if isinstance(text, str) else []
        if not ids or not all(each.isascii() and each.isdigit() and len(each) <= _LONGEST_ID for each in ids):
            return cls()
        return cls(int(ids[0]), frozenset(map(int, ids[1:])))

    def __str__(self) -> str:
        return " ".join(map(str, (self.settled, *sorted(self.applied))))

    def knows(self, storage_id: int) -> bool:
        """Whether this event was applied."""
        return storage_id <= self.settled or storage_id in self.applied

    def and_also(self, other: "EventCursor") -> "EventCursor":
        """What both cursors know to be applied."""
        settled = min(self.settled, other.settled)
        later = (each for each in self.applied | other.applied if each > settled)
        return EventCursor(settled, frozenset(each for each in later if self.knows(each) and other.knows(each)))

    def after(self, events: Sequence[CandidateEvent], now: datetime) -> "EventCursor":
        """Where the next tick begins when these, which are all after `settled`, were applied.

        One that cannot be read has no time and counts as settled: to find it again costs some twenty reads.
        """
        settled = [event.storage_id for event in events if event.at is None or event.at < now - _SETTLED]
        ids = sorted(event.storage_id for event in events)
        last = max([self.settled, *settled, *ids[:-_MOST_APPLIED]])
        return EventCursor(last, frozenset(each for each in ids if each > last))


#: Reads the events between two storage ids, both excluded, oldest first and at most so many.
_Read = Callable[[int, int, int], list[CandidateEvent]]


def forgotten(cursor: str | None, noted: object) -> bool:
    """Whether the state table does not know of events that by Dagster's cursor were applied to it.

    Then it was put back to an earlier moment, or somebody set the cursor.

    Args:
        cursor: Dagster's.
        noted: the table's; None where none is noted yet.
    """
    there = EventCursor.read(cursor)
    return noted is not None and there.and_also(EventCursor.read(noted)) != there


def database_of(instance: DagsterInstance) -> str:
    """Names the database of an instance: storage ids mean nothing in another, and two instances may serve one state table."""
    storage = instance.run_storage
    return storage.get_run_storage_id() if isinstance(storage, SqlRunStorage) else ""


def candidate_events(
    instance: DagsterInstance, asset: dg.AssetKey, cursor: str | None, limit: int, now: datetime, *, noted: object = None
) -> tuple[list[CandidateEvent], str]:
    """The materializations of the asset that were not applied yet, oldest first, and the cursor for when they are.

    `noted` is the state table's own cursor, None where there is none yet: an event that only one of the two knows is read again.
    A cursor that is none, or ahead of every event there is, was set by hand: then all are read again. An event that cannot be
    read fails every read that it is part of; it is found and returned as unreadable, so that it hides no other.
    """

    def read(after: int, before: int, most: int) -> list[CandidateEvent]:
        wanted = dg.AssetRecordsFilter(asset_key=asset, after_storage_id=after, before_storage_id=before)
        records = instance.fetch_materializations(wanted, limit=most, ascending=True).records
        return [event for record in records if (event := _candidate_event(record)) is not None]

    began = EventCursor.read(cursor)
    if noted is not None:
        began = began.and_also(EventCursor.read(noted))
    if not _fails(read, began.settled - 1, _BEYOND, 1) and not read(began.settled - 1, _BEYOND, 1):
        began = EventCursor()
    found = _read_all(read, began.settled, limit + len(began.applied))
    return [event for event in found if event.storage_id not in began.applied], str(began.after(found, now))


def are_all(events: Sequence[CandidateEvent], limit: int) -> bool:
    """Whether `candidate_events` has found all that there were when it was asked for this many."""
    return len(events) < limit and sum(event.at is None for event in events) < _MOST_UNREADABLE


def _read_all(read: _Read, since: int, limit: int) -> list[CandidateEvent]:
    """The first events after a storage id, those that cannot be read among them."""
    found: list[CandidateEvent] = []
    for _ in range(_MOST_UNREADABLE):  # each costs some twenty reads, and a tick has its time; the next one goes on
        if (room := limit - len(found)) <= 0:
            break
        try:
            return [*found, *read(since, _BEYOND, room)]
        except Exception as error:
            unreadable = _first_unreadable(read, since, room)
            if unreadable is None:
                raise
            found += read(since, unreadable, room)
            found.append(CandidateEvent(unreadable, None, {}, None, type(error).__name__))
            since = unreadable
    return found


def _first_unreadable(read: _Read, since: int, most: int) -> int | None:
    """The storage id of the first event after `since` that fails reading; None where it is the storage that failed."""
    if _fails(read, since, since + 1, most):  # there is no event in between
        return None
    reach = 1  # it is near, as a rule: doubling comes to it with fewer reads than halving all the ids there may be
    while not _fails(read, since, since + reach, most):
        if since + reach >= _BEYOND:
            return None
        reach *= 2
    ends = range(since + 1, since + reach)
    found = bisect_left(ends, True, key=lambda end: _fails(read, since, end, most)) + since
    return found if _fails(read, found - 1, found + 1, 1) else None


def _fails(read: _Read, after: int, before: int, most: int) -> bool:
    try:
        read(after, before, most)
    except Exception:  # noqa: BLE001 - what a stranger's text does to the code that unpacks it can be anything
        return True
    return False


def _candidate_event(record: dg.EventLogRecord) -> CandidateEvent | None:
    materialization = record.asset_materialization
    if materialization is None:
        return None
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    at = datetime.fromtimestamp(record.timestamp, UTC)
    return CandidateEvent(record.storage_id, materialization.partition, metadata, at)
