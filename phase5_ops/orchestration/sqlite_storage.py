"""Dagster's SQLite storage with one engine a database file, and event logs that begin whole.

Dagster's own makes an engine for each statement: it compiles the statement anew, opens the file and, as the last to close it,
writes the log back into the file and waits for the disk again. It makes the database of each run by some twenty statements, each
of which waits for the disk. A run has some hundred statements. What is stored is the same, file by file, and either storage reads
and goes on with what the other wrote. Which events of a run wait for the disk is said at `store_event`; everything else waits.
What must not live here: another schema or query.

The module keeps its place, since the dagster.yaml in state folders names it.
"""

import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Self, cast
from uuid import uuid4

import dagster
from dagster import AssetKey, AssetRecordsFilter, EventRecordsResult
from dagster._core.event_api import EventLogCursor
from dagster._core.events import EVENT_TYPE_TO_PIPELINE_RUN_STATUS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._core.storage.sqlite_storage import (
    DagsterSqliteStorage,
    _event_logs_directory,
    _runs_directory,
    _schedule_directory,
)
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, make_url

_MOST_ENGINES = 16  # of one storage: each run has a database of its own
_BUSY_SECONDS = 30  # that a writer waits for another, as in Dagster's own storage since 1.13

#: The events of a run that wait for the disk.
_AWAITED = frozenset({DagsterEventType.ASSET_CHECK_EVALUATION, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS})

_FORMAT_VERSIONS, _WRITE_AHEAD = slice(18, 20), b"\x02\x02"  # of the header: https://www.sqlite.org/fileformat2.html, 1.3


class Kind(StrEnum):
    """The kinds of databases, by what Dagster calls the file; each run has one of the last kind."""

    RUNS, SCHEDULES, INDEX, RUN = "runs", "schedules", "index", "run"


#: The statements that make each of them while it is empty, as `documentation/dagster_databases.py` wrote them.
EMPTY_DATABASES = "empty_databases.json"
_STAMP = 'INSERT INTO "alembic_version"'


class _Engines:
    """The engine of each database file, kept while the file is the same and others are not used more often."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, Engine]] = OrderedDict()
        self._lock = threading.Lock()

    def engine(self, address: str) -> Engine:
        """The engine of the file at this address; a new one where the file was removed or replaced since."""
        with self._lock:
            inode = _inode(address)
            known, engine = self._kept.get(address, (None, None))
            if engine is None or known != inode:
                if engine is not None:
                    engine.dispose()
                engine = create_engine(address, connect_args={"timeout": _BUSY_SECONDS}, max_overflow=-1)
            self._kept[address] = (inode, engine)
            self._kept.move_to_end(address)
            if len(self._kept) > _MOST_ENGINES:
                self._kept.popitem(last=False)[1][1].dispose()
            return engine

    def dispose(self) -> None:
        """Closes every file; what is used again is opened again."""
        with self._lock:
            for _, engine in self._kept.values():
                engine.dispose()
            self._kept.clear()


def _inode(address: str) -> int:
    """Of the file at this address; 0 where there is none."""
    try:
        return Path(str(make_url(address).database)).stat().st_ino
    except FileNotFoundError:
        return 0


class _WithEngines:
    """What keeps engines."""

    @cached_property
    def engines(self) -> _Engines:
        """The engine of each of its files."""
        return _Engines()


class _OneFile(_WithEngines):
    """A storage of one file."""

    _conn_string: str

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in a transaction of its own."""
        with self.engines.engine(self._conn_string).begin() as connection:
            yield connection


class KeptRunStorage(_OneFile, SqliteRunStorage):
    """Dagster's records of runs, through a kept engine."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """The storage of a folder."""
        whole = _is_whole(Path(base_dir) / "runs.db", Kind.RUNS)
        return cls(create_db_conn_string(base_dir, "runs"), inst_data) if whole else super().from_local(base_dir, inst_data)

    def dispose(self) -> None:
        """Closes the file."""
        self.engines.dispose()


class KeptScheduleStorage(_OneFile, SqliteScheduleStorage):
    """Dagster's records of schedules and sensors, through a kept engine."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """The storage of a folder."""
        whole = _is_whole(Path(base_dir) / "schedules.db", Kind.SCHEDULES)
        made = cls(create_db_conn_string(base_dir, "schedules"), inst_data) if whole else super().from_local(base_dir, inst_data)
        return cast(Self, made)


class KeptEventLogStorage(_WithEngines, SqliteEventLogStorage):
    """Dagster's events, through kept engines."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        whole = _is_whole(Path(base_dir) / f"{INDEX_SHARD_NAME}.db", Kind.INDEX)
        super().__init__(base_dir, inst_data)
        if whole:
            self._initialized_dbs.add(INDEX_SHARD_NAME)

    @cached_property
    def _storing(self) -> threading.local:
        """`waits`: whether what this thread is storing waits for the disk."""
        return threading.local()

    @cached_property
    def _present(self) -> set[tuple[str, str]]:
        """What was found in the index: a kind of thing and its name."""
        return set()

    def _has(self, kind: str, name: str, ask: Callable[[str], bool]) -> bool:
        """Whether it is in the index, which Dagster asks for each event; migrations only add, so what was there is there."""
        if (kind, name) not in self._present and ask(name):
            self._present.add((kind, name))
        return (kind, name) in self._present

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table."""
        return self._has("table", table_name, super().has_table)

    def has_secondary_index(self, name: str) -> bool:
        """Whether such a migration of data was made."""
        return self._has("migration", name, super().has_secondary_index)

    def fetch_observations(
        self, records_filter: AssetKey | AssetRecordsFilter, limit: int, cursor: str | None = None, ascending: bool = False
    ) -> EventRecordsResult:
        """Observations of an asset; Dagster asks before each step for those of every source, and most have no event at all."""
        if isinstance(records_filter, AssetKey) and not self._is_known(records_filter):
            return EventRecordsResult([], cursor=cursor or EventLogCursor.from_storage_id(-1).to_string(), has_more=False)
        return super().fetch_observations(records_filter, limit, cursor, ascending)

    def _is_known(self, asset: AssetKey) -> bool:
        """Whether there is any event of an asset."""
        with self.index_connection() as connection:
            found = connection.exec_driver_sql("SELECT 1 FROM asset_keys WHERE asset_key = ?", (asset.to_string(),))
            return found.first() is not None

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        return self._has("column", column_name, partial(super()._has_asset_key_col_on_connection, conn))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        address = self.conn_string_for_shard(shard)
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(self.engines.engine(address))
                self._initialized_dbs.add(shard)
            with self.engines.engine(address).begin() as connection:
                _set_waiting(connection, waits=getattr(self._storing, "waits", True))
                yield connection

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Makes the database where there is none, and makes sure of one that there is."""
        if not _is_whole(Path(str(engine.url.database)), Kind.RUN):
            super()._initdb(engine, for_index_shard)

    def store_event(self, event: EventLogEntry) -> None:
        """Stores an event, and touches the run's database.

        Who follows a run (the UI's list of its events) is told of the file's changes, and an open database stores into the log
        beside it.

        What a step says does not wait for the disk: after a power cut (no other end loses it) a run may lack the last of it. A
        check's result, a change of the run's state, and what belongs to no run wait, and with them all that was stored before.
        """
        self._storing.waits = not event.run_id or event.dagster_event_type in _AWAITED
        try:
            super().store_event(event)
        finally:
            del self._storing.waits
        os.utime(self.path_for_shard(event.run_id))

    def dispose(self) -> None:
        """Closes the files."""
        super().dispose()
        self.engines.dispose()


def _set_waiting(connection: Connection, *, waits: bool) -> None:
    """Whether commits of a connection wait for the disk; https://www.sqlite.org/pragma.html#pragma_synchronous."""
    if connection.info.get("waits") is not waits:
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
        connection.info["waits"] = waits


def _is_whole(path: Path, kind: Kind) -> bool:
    """Whether a database is as this version of Dagster makes it, begun here where there is none; else Dagster sees to it."""
    statements = _statements().get(kind)
    if statements is None:
        return False
    if path.exists():
        return any(f"VALUES('{version}')" in line for version in _versions(path) for line in statements if _STAMP in line)
    return _begin_file(path, _empty(kind))


@cache
def _empty(kind: Kind) -> bytes:
    """A database of this kind with nothing in it."""
    with closing(sqlite3.connect(":memory:")) as made:  # where nothing waits for a disk
        made.executescript("\n".join(_statements()[kind]))
        content = bytearray(made.serialize())
    content[_FORMAT_VERSIONS] = _WRITE_AHEAD
    return bytes(content)


def _versions(path: Path) -> list[str]:
    """The migrations that a database says it has come to; none where it cannot be read, which Dagster will say."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as database:
            return [str(version) for (version,) in database.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.Error:
        return []


@cache
def _statements() -> Mapping[str, list[str]]:
    """What makes each kind of database in this version of Dagster; of another version it is not known."""
    known = json.loads(Path(__file__).with_name(EMPTY_DATABASES).read_text(encoding="utf-8"))
    return cast(Mapping[str, list[str]], known["databases"]) if known["dagster"] == dagster.__version__ else {}


def _begin_file(path: Path, content: bytes) -> bool:
    """Puts a whole file where there is none. False where another process was first, and where the disk has no hard links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except OSError:  # Dagster makes it, or makes sure of it, or says why it cannot
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True


class KeptSqliteStorage(DagsterSqliteStorage):
    """Dagster's storage of a state folder."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._run_storage = KeptRunStorage.from_local(_runs_directory(base_dir))
        self._event_log_storage = KeptEventLogStorage(_event_logs_directory(base_dir))
        schedules = KeptScheduleStorage.from_local(_schedule_directory(base_dir))
        schedules.engines.dispose()  # used where its database was made
        schedules.engines = self._run_storage.engines  # an instance that is disposed of tells its schedules nothing
        self._schedule_storage = schedules
        self._inst_data = inst_data
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]  # its own would make the three storages

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Made by Dagster from its dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)
