"""What earlier runs saw: append-only snapshots and sightings in one SQLite file of the state folder.

SQLite gives atomic writes, so a run killed in the middle leaves the history as it was, and two runs at once do not lose entries.
A `scope` keeps histories of different platforms apart (for a table: its TableId). Order is the order of writing, because
evaluation time can be fixed; entries later than a run's evaluation time are not shown to it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from phase5_ops.clock import iso, parse_iso

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, scope TEXT NOT NULL, subject TEXT NOT NULL,
    run_id TEXT NOT NULL, observed_at TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS snapshots_by_scope ON snapshots (stream, scope, seq);
CREATE TABLE IF NOT EXISTS sightings (
    stream TEXT NOT NULL, scope TEXT NOT NULL, subject TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL,
    PRIMARY KEY (stream, scope, subject));
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one run saw of one subject."""

    subject: str
    run_id: str
    observed_at: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Since when and until when a subject was seen."""

    subject: str
    first_seen: datetime
    last_seen: datetime


class History:
    """The history file; opened for each operation, so that an instance can be shared and nothing stays locked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30)
        try:
            connection.executescript(_SCHEMA)
            with connection:
                yield connection
        finally:
            connection.close()

    def append(
        self, stream: str, scope: str, run_id: str, observed_at: datetime, payloads: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Adds one snapshot a subject, all or none."""
        rows = [
            (stream, scope, subject, run_id, iso(observed_at), json.dumps(payload, sort_keys=True))
            for subject, payload in sorted(payloads.items())
        ]
        with self._connection() as connection:
            connection.executemany(
                "INSERT INTO snapshots (stream, scope, subject, run_id, observed_at, payload) VALUES (?, ?, ?, ?, ?, ?)", rows
            )

    def snapshots(self, stream: str, scope: str, *, until: datetime, days: int = 30) -> list[Snapshot]:
        """The snapshots of the last `days` up to `until`, in the order in which they were written."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT subject, run_id, observed_at, payload FROM snapshots"
                " WHERE stream = ? AND scope = ? AND observed_at <= ? AND observed_at >= ? ORDER BY seq",
                (stream, scope, iso(until), iso(until - timedelta(days=days))),
            ).fetchall()
        return [Snapshot(subject, run, parse_iso(at), json.loads(payload)) for subject, run, at, payload in rows]

    def sight(self, stream: str, scope: str, seen_at: datetime, subjects: Iterator[str] | list[str]) -> None:
        """Notes that these subjects were seen at `seen_at`."""
        stamp = iso(seen_at)
        with self._connection() as connection:
            connection.executemany(
                "INSERT INTO sightings (stream, scope, subject, first_seen, last_seen) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (stream, scope, subject) DO UPDATE SET"
                " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)",
                [(stream, scope, subject, stamp, stamp) for subject in subjects],
            )

    def sightings(self, stream: str, scope: str, *, until: datetime, days: int) -> list[Sighting]:
        """The subjects seen within the last `days` before `until`, by name."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT subject, first_seen, last_seen FROM sightings"
                " WHERE stream = ? AND scope = ? AND last_seen >= ? AND first_seen <= ? ORDER BY subject",
                (stream, scope, iso(until - timedelta(days=days)), iso(until)),
            ).fetchall()
        return [Sighting(subject, parse_iso(first), parse_iso(last)) for subject, first, last in rows]
