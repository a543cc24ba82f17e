"""What earlier runs saw: append-only snapshots and sightings in one SQLite file of the state folder.

SQLite gives atomic writes, so a run killed in the middle leaves the history as it was, and two runs at once do not lose entries.
A `scope` keeps histories of different platforms apart (for a table: its TableId). Entries are in the order of writing, because
evaluation time can be fixed; a run does not see entries later than its evaluation time.

Every write adds a line to a journal: a digest of what was written, and a hash over that and the line before. So the file itself
shows an entry that was removed, altered or inserted; the head that earlier runs kept elsewhere (see `histories.py`) shows a file
that was cut off, restored from a copy or made anew.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from phase5_ops.clock import iso, parse_iso
from phase5_ops.evidence.histories import Chain
from phase5_ops.input_files.json_text import json_value

_SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, scope TEXT NOT NULL, subject TEXT NOT NULL,
    run_id TEXT NOT NULL, observed_at TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS snapshots_by_scope ON snapshots (stream, scope, seq);
CREATE TABLE IF NOT EXISTS sightings (
    stream TEXT NOT NULL, scope TEXT NOT NULL, subject TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL,
    PRIMARY KEY (stream, scope, subject));
CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
"""
_UNREADABLE = {
    "snapshots": "NOT json_valid(payload) OR json_type(payload) <> 'object' OR julianday(observed_at) IS NULL",
    "sightings": "julianday(first_seen) IS NULL OR julianday(last_seen) IS NULL",
}
_SNAPSHOT_ROWS = "SELECT seq, stream, scope, subject, run_id, observed_at, payload FROM snapshots"
_SIGHTING_ROWS = "SELECT stream, scope, subject, first_seen, last_seen FROM sightings ORDER BY stream, scope, subject"


Made = TypeVar("Made")


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
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            connection.executescript(_SCHEMA)
            with connection:
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other run interleaves with, in a file whose journal has begun."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("SELECT count(*) FROM journal").fetchone() == (0,):
                there = _snapshots_between(connection, 0, _last_snapshot(connection))  # written by a version without a journal
                _note(connection, {"id": uuid4().hex, **there, "sightings": _digest(connection.execute(_SIGHTING_ROWS))})
            yield connection

    def chain(self) -> Chain:
        """The hashes of the journal, and where the file is not what the journal says; a file without a journal has no hashes."""
        if not self._path.exists():
            return Chain()
        try:
            with self._connection() as connection:
                connection.execute("BEGIN")  # so that nothing is written between two readings
                lines = connection.execute("SELECT seq, body, hash FROM journal ORDER BY seq").fetchall()
                return Chain(tuple(line[2] for line in lines), tuple(_problems(connection, lines)))
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            return Chain((), (f"{self._path.name} cannot be used: {error}",))

    def append(
        self, stream: str, scope: str, run_id: str, observed_at: datetime, payloads: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Adds one snapshot per subject, all or none."""
        rows = [
            (stream, scope, subject, run_id, iso(observed_at), json.dumps(payload, sort_keys=True))
            for subject, payload in sorted(payloads.items())
        ]
        with self._writing() as connection:
            before = _last_snapshot(connection)
            connection.executemany(
                "INSERT INTO snapshots (stream, scope, subject, run_id, observed_at, payload) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            _note(connection, _snapshots_between(connection, before, _last_snapshot(connection)))

    def snapshots(self, stream: str, scope: str, *, until: datetime, days: int = 30) -> list[Snapshot]:
        """The snapshots of the last `days` up to `until`, in the order in which they were written.

        One that cannot be read is left out; `chain` says that there are such.
        """
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT subject, run_id, observed_at, payload FROM snapshots"
                " WHERE stream = ? AND scope = ? AND observed_at <= ? AND observed_at >= ? ORDER BY seq",
                (stream, scope, iso(until), iso(until - timedelta(days=days))),
            ).fetchall()
        return list(_readable(_snapshot, rows))

    def sight(self, scope: str, seen_at: datetime, seen: Mapping[str, Iterable[str]]) -> None:
        """Notes that these subjects, by stream, were seen at `seen_at`: all or none.

        The journal's line is a digest of every sighting there is, so what a run sees is noted with as few calls as possible.
        """
        stamp = iso(seen_at)
        with self._writing() as connection:
            connection.executemany(
                "INSERT INTO sightings (stream, scope, subject, first_seen, last_seen) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (stream, scope, subject) DO UPDATE SET"
                " first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)",
                [(stream, scope, subject, stamp, stamp) for stream, subjects in seen.items() for subject in subjects],
            )
            _note(connection, {"sightings": _digest(connection.execute(_SIGHTING_ROWS))})

    def sightings(self, stream: str, scope: str, *, until: datetime, days: int) -> list[Sighting]:
        """The subjects seen within the last `days` before `until`, by name; one that cannot be read is left out, see `chain`."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT subject, first_seen, last_seen FROM sightings"
                " WHERE stream = ? AND scope = ? AND last_seen >= ? AND first_seen <= ? ORDER BY subject",
                (stream, scope, iso(until - timedelta(days=days)), iso(until)),
            ).fetchall()
        return list(_readable(lambda subject, first, last: Sighting(subject, parse_iso(first), parse_iso(last)), rows))


def _snapshot(subject: str, run: str, at: str, payload: str) -> Snapshot:
    content = json_value(payload)
    if not isinstance(content, dict):
        raise ValueError("no object")  # noqa: TRY004 - as whatever else cannot be read
    return Snapshot(subject, run, parse_iso(at), content)


def _readable(read: Callable[..., Made], rows: Iterable[Sequence[Any]]) -> Iterator[Made]:
    """What these rows hold, but for those that no run has written."""
    for row in rows:
        try:
            yield read(*row)
        except (ValueError, TypeError, AttributeError):
            continue


# --- the journal ------------------------------------------------------------------------------------------------------------


_encoded = json.JSONEncoder(default=repr).encode  # a row that was altered may hold bytes


def _digest(rows: Iterable[tuple[Any, ...]]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(_encoded(row).encode() + b"\n")
    return found.hexdigest()


def _last_snapshot(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM snapshots").fetchone()[0])


def _snapshots_between(connection: sqlite3.Connection, after: int, last: int) -> dict[str, Any]:
    """What the journal notes of the snapshots after one and up to another."""
    rows = connection.execute(f"{_SNAPSHOT_ROWS} WHERE seq > ? AND seq <= ? ORDER BY seq", (after, last)).fetchall()
    return {"after": after, "last": last, "count": len(rows), "snapshots": _digest(rows)}


def _note(connection: sqlite3.Connection, content: Mapping[str, Any]) -> None:
    seq, previous = connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone() or (0, None)
    body = json.dumps({**content, "seq": seq + 1, "previous": previous}, sort_keys=True, default=repr)
    hashed = hashlib.sha256(body.encode()).hexdigest()
    connection.execute("INSERT INTO journal (seq, body, hash) VALUES (?, ?, ?)", (seq + 1, body, hashed))


def _problems(connection: sqlite3.Connection, lines: list[tuple[int, str, str]]) -> Iterator[str]:
    """Lines that are altered or out of sequence, and entries that are not what was written, or that no run can have written."""
    for what, unreadable in _UNREADABLE.items():
        if count := connection.execute(f"SELECT count(*) FROM {what} WHERE {unreadable}").fetchone()[0]:  # noqa: S608 - ours
            yield f"{count} {what} cannot be read"
    previous, counted, sightings = None, 0, None
    for position, (seq, body, hashed) in enumerate(lines, start=1):
        content = json_value(body)
        follows = seq == position == content["seq"] and content["previous"] == previous
        if not follows or hashlib.sha256(body.encode()).hexdigest() != hashed:
            yield f"line {seq} of the journal is not what was written"
        if "snapshots" in content:
            counted += content["count"]
            there = _snapshots_between(connection, content["after"], content["last"])
            if there["snapshots"] != content["snapshots"]:
                yield f"the snapshots of line {seq} of the journal are not what was written"
        sightings = content.get("sightings", sightings)
        previous = hashed
    if lines and connection.execute("SELECT count(*) FROM snapshots").fetchone() != (counted,):
        yield "there are snapshots that the journal does not know"
    if lines and _digest(connection.execute(_SIGHTING_ROWS)) != sightings:
        yield "the sightings are not what was written"


def chains(path: Path) -> dict[str, Chain]:
    """The hashes of the records of every ledger table, by scope; none where there is no file or it cannot be read."""
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            rows = connection.execute("SELECT scope, hash FROM records ORDER BY scope, seq").fetchall()
    except sqlite3.Error:
        return {}  # the comparison with earlier heads reports it
    hashes: dict[str, list[str]] = {}
    for scope, hashed in rows:
        hashes.setdefault(str(scope), []).append(str(hashed))
    return {scope: Chain(tuple(found)) for scope, found in hashes.items()}
