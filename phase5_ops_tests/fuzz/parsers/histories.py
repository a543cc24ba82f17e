"""The SQLite files of the state folder: the run history with its journal, and the ledger's history with its chain."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from phase5_ops.evidence.history import History, chains
from phase5_ops.sections.replay.audit.history import LedgerHistory, Seen
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, dynamodb, replay

READS = "history.sqlite and ledger_history.sqlite of the state folder (`evidence/history`, `sections/replay/audit/history`)"
MALFORMED = "a problem of the chain (`history_altered`), or `broken` of the comparison; an altered row never goes unnoticed"

ITEMS = [dynamodb(item) for item in replay(name="kept")]
TABLES = (
    ("history.sqlite", "snapshots", ("subject", "run_id", "observed_at", "payload")),
    ("history.sqlite", "sightings", ("first_seen", "last_seen")),
    ("history.sqlite", "journal", ("body", "hash", "seq")),
    ("ledger_history.sqlite", "records", ("body", "hash", "entries", "seq")),
)


def _compare(folder: Path, run: str) -> object:
    seen = Seen()
    for item in ITEMS:
        seen.add(item)
    history = LedgerHistory(folder / "ledger_history.sqlite", History(folder / "history.sqlite"), "table-1")
    history.partitions()
    return history.compare_and_add(seen, since="", drop_before="", partitions=None, run_id=run, now=NOW)


@cache
def _files() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.sqlite")
        for run in ("one", "two"):
            history.append("breakers", "scope", run, NOW, {"a": {"state": "OPEN"}, "b": {"state": "CLOSED"}})
            history.sight("scope", NOW, {"metrics": ["x", "y"]})
            _compare(Path(folder), run)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def fuzz(data: bytes) -> None:
    """Reads histories with altered rows or bytes; an altered row is noticed."""
    source = Source(data)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in _files().items():
            (folder / file).write_bytes(content)
        file, table, columns = source.one_of(TABLES)
        changed = False
        if source.chance(2):
            path = folder / file
            path.write_bytes(source.spliced_bytes(path.read_bytes()))
        elif data:
            changed = _alter(folder / file, table, source.one_of(columns), source)
        history = History(folder / "history.sqlite")
        chain = history.chain()
        found = _compare_or_refuse(folder)
        noticed = (
            bool(chain.problems) or found is None or bool(found.broken) or bool(found.missing_count) or bool(found.changed_count)
        )
        if not data:
            assert not noticed, f"the sound histories are refused: {chain.problems} {found}"
        assert not changed or noticed, f"an altered row of {table} goes unnoticed"
        chains(folder / "ledger_history.sqlite")
        for read in (
            lambda: history.snapshots("breakers", "scope", until=NOW + timedelta(days=1)),
            lambda: history.sightings("metrics", "scope", until=NOW + timedelta(days=1), days=30),
        ):
            try:
                read()
            except (sqlite3.Error, ValueError):
                assert noticed or changed or source.left >= 0


def _compare_or_refuse(folder: Path) -> object | None:
    try:
        return _compare(folder, "three")
    except sqlite3.Error:  # of the run history, which `chain` names
        return None


def _alter(path: Path, table: str, column: str, source: Source) -> bool:
    value = source.one_of(
        (source.text().encode("utf-8", "replace").decode(), None, 5, 1.5, b"\x00\xff", "{}", "[" * 2000, "null", "[]")
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        where = "rowid = (SELECT max(rowid) FROM {0})" if source.chance(2) else "rowid = (SELECT min(rowid) FROM {0})"
        before = connection.execute(f"SELECT {column} FROM {table} WHERE {where.format(table)}").fetchone()
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where.format(table)}", (value,))
        except sqlite3.Error:
            return False
        after = connection.execute(f"SELECT {column} FROM {table} WHERE {where.format(table)}").fetchone()
    return before != after
