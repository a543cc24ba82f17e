"""Dagster's empty databases as text: what its SQLite storage makes for a new state folder, and for each run.

`orchestration/sqlite_storage.py` begins databases with it where the version of Dagster is the same.
"""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

from phase5_ops.orchestration.sqlite_storage import Kind

_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?'")
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX ")


def empty_databases() -> str:
    """The version of Dagster, and the statements that make each kind of database, as JSON."""
    with TemporaryDirectory() as home:
        storage = DagsterSqliteStorage(home)
        with storage.event_log_storage.run_connection("run"):  # type: ignore[attr-defined]  # makes its database
            pass
        storage.dispose()
        paths = {path.stem: path for path in Path(home).rglob("*.db")}
        databases = {kind: _statements(paths[kind]) for kind in Kind}
    return json.dumps({"dagster": dg.__version__, "databases": databases}, indent=1) + "\n"


def _statements(path: Path) -> list[str]:
    """What makes a database like this one; moments at which something was done become the moment at which it is made.

    Indexes come in the order of their names: SQLAlchemy makes those of a table in any order.
    """
    with closing(sqlite3.connect(path)) as database:
        lines = [_MOMENT.sub("CURRENT_TIMESTAMP", line) for line in database.iterdump()]
    indexes = sorted(line for line in lines if _INDEX.match(line))
    return [line for line in lines if line not in {*indexes, "BEGIN TRANSACTION;", "COMMIT;"}] + indexes
