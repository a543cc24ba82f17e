"""The storage whose files stay open: what it stores is what Dagster's own stores, and either goes on with the other's."""

import gc
import os
import sqlite3
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.event_api import EventLogCursor
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import event
from sqlalchemy.engine import Engine

from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.state_folder import packaged
from phase5_ops.orchestration import sqlite_storage
from phase5_ops.orchestration.sqlite_storage import KeptEventLogStorage
from phase5_ops_tests import made_once

#: Of another version of Dagster it is not known what its empty databases are, and its own code makes them.
of_this_version = pytest.mark.skipif(
    not sqlite_storage._statements(), reason=f"the databases of Dagster {dg.__version__} are not known"
)

FULL, NORMAL = 2, 1  # https://www.sqlite.org/pragma.html#pragma_synchronous

OWN = {"storage": {"sqlite": {"base_dir": {"env": "DAGSTER_HOME"}}}, "telemetry": {"enabled": False}}


@dg.asset
def seen() -> int:
    return 1


@dg.asset_check(asset=seen)
def looked_at() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"why": "because"})


DEFINITIONS = dg.Definitions(
    assets=[seen], asset_checks=[looked_at], jobs=[dg.define_asset_job("look", executor_def=dg.in_process_executor)]
)


@contextmanager
def opened(home: Path, *, own: bool = False) -> Iterator[dg.DagsterInstance]:
    """The instance of a folder, with our storage or with Dagster's own."""
    home.mkdir(exist_ok=True)
    settings = OWN if own else yaml.safe_load(packaged("dagster.yaml").read_text())
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            assert isinstance(instance.event_log_storage, KeptEventLogStorage) is not own
            yield instance


def run(instance: dg.DagsterInstance) -> str:
    job = DEFINITIONS.resolve_job_def("look")
    return job.execute_in_process(instance=instance, run_config=QUIET, tags={"by": "test"}).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[tuple]:
    """What Dagster tells of a run, apart from times."""
    found = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    events = [(each.dagster_event_type, each.step_key, each.message.replace(run_id, "RUN")) for each in found]
    run = instance.get_run_by_id(run_id)
    check = instance.event_log_storage.get_asset_check_execution_history(looked_at.check_key, limit=9)
    checked = [(each.status.value, each.event.dagster_event.asset_check_evaluation_data.passed) for each in check]
    latest = instance.get_latest_materialization_event(seen.key)
    return [*events, (run.status, run.tags["by"]), *checked, latest is not None]


@pytest.mark.parametrize("own", [False, True], ids=["Dagster's reads ours", "ours reads Dagster's"])
def test_either_reads_what_the_other_stored_and_goes_on_with_it(tmp_path, own):
    with opened(tmp_path / "home", own=own) as instance:
        first = run(instance)
        before = told(instance, first)
    with opened(tmp_path / "home", own=not own) as instance:
        assert told(instance, first) == before
        second = run(instance)
        assert {each.run_id for each in instance.get_runs()} == {first, second}
        here = told(instance, second)
    with opened(tmp_path / "home", own=own) as instance:
        assert told(instance, second) == here
        assert told(instance, first)[: len(before) - 2] == before[:-2]  # without what the asset's checks came to last


def databases(home: Path) -> dict[str, tuple]:
    """How each database is made, by its name; runs are all alike."""
    found = {}
    for path in home.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
            version = database.execute("SELECT version_num FROM alembic_version").fetchall()
            migrated = database.execute("SELECT name, migration_completed IS NULL FROM secondary_indexes").fetchall()
            mode = database.execute("PRAGMA journal_mode").fetchone()
            name = path.stem if path.stem in ("index", "runs", "schedules") else "run"
            found[name] = (sorted(schema, key=str), version, mode, migrated)
    return found


def test_its_databases_are_made_as_dagster_makes_them(tmp_path):
    for own in (False, True):
        with opened(tmp_path / str(own), own=own) as instance:
            run(instance)
    ours, dagsters = databases(tmp_path / "False"), databases(tmp_path / "True")
    assert ours.keys() == {"index", "runs", "schedules", "run"}
    assert ours == dagsters
    assert ours["run"][2] == ("wal",)


def no_links(*_: object) -> None:
    raise PermissionError("no links here")


@pytest.mark.parametrize("known", [no_links, None], ids=["a disk without hard links", "another version of Dagster"])
def test_what_cannot_be_begun_whole_is_made_by_dagster(tmp_path, monkeypatch, known):
    with opened(tmp_path / "own", own=True) as instance:
        run(instance)
    if known is None:
        monkeypatch.setattr(sqlite_storage, "_statements", dict)
    else:
        monkeypatch.setattr(os, "link", known)
    with opened(tmp_path / "home") as instance:
        assert told(instance, run(instance))
    assert databases(tmp_path / "home") == databases(tmp_path / "own")
    assert not list((tmp_path / "home").rglob(".*.db.*"))


@of_this_version
def test_only_a_database_of_another_version_is_compared_with_dagsters_migrations(tmp_path, monkeypatch):
    asked = []
    for module in (
        "runs.sqlite.sqlite_run_storage",
        "schedules.sqlite.sqlite_schedule_storage",
        "event_log.sqlite.sqlite_event_log",
    ):
        at = f"dagster._core.storage.{module}.check_alembic_revision"
        monkeypatch.setattr(at, lambda _, connection: asked.append(connection) or ("x", "y"))
    for _ in range(2):
        with opened(tmp_path / "home") as instance:
            assert told(instance, run(instance))
    assert asked == []
    with closing(sqlite3.connect(tmp_path / "home" / "schedules" / "schedules.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '5771160a95ad'")
    with opened(tmp_path / "home"):
        assert len(asked) == 1


def test_a_database_that_another_process_has_begun_is_kept(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"theirs")
    assert not sqlite_storage._begin_file(path, b"ours")
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_who_follows_a_run_is_told_of_each_event_while_the_database_stays_open(tmp_path):
    """By Dagster's own storage, as in a process of an earlier version."""
    with opened(tmp_path / "home") as instance:
        run_id = run(instance)
        heard, there = [], threading.Event()

        def hear(entry, _cursor):
            heard.append(entry.message)
            there.set()

        following = SqliteEventLogStorage(str(tmp_path / "home" / "history" / "runs"))
        following.register_instance(instance)
        after = instance.get_records_for_run(run_id).cursor
        following.watch(run_id, after, hear)
        try:
            instance.report_engine_event("something happened", instance.get_run_by_id(run_id))
            assert there.wait(30)
        finally:
            following.end_watch(run_id, hear)
            following.dispose()
        assert heard == ["something happened"]


def test_a_database_that_was_replaced_is_opened_again(tmp_path):
    with opened(tmp_path / "home") as instance:
        run_id = run(instance)
        path = tmp_path / "home" / "history" / "runs.db"
        copy = path.with_name("copy.db")
        with closing(sqlite3.connect(path)) as kept, closing(sqlite3.connect(copy)) as other:
            kept.backup(other)
            other.execute("UPDATE run_tags SET value = 'another' WHERE key = 'by'")
            other.commit()
        copy.replace(path)
        for left in (f"{path}-wal", f"{path}-shm"):
            Path(left).unlink(missing_ok=True)
        assert [each.run_id for each in instance.get_runs(dg.RunsFilter(tags={"by": "another"}))] == [run_id]


@contextmanager
def executed() -> Iterator[list[tuple[str, str, int]]]:
    """The statements of the block: the database (`run` for that of a run), its words, and SQLite's level of waiting.

    The words of a stored event are its type.
    """
    found: list[tuple[str, str, int]] = []

    def note(connection: Any, cursor: sqlite3.Cursor, words: str, parameters: Any, *_: object) -> None:
        name = Path(str(connection.engine.url.database)).stem
        level = cursor.connection.execute("PRAGMA synchronous").fetchone()[0]
        stored = parameters[2] if words.startswith("INSERT INTO event_logs") else words
        found.append((name if name in ("index", "runs", "schedules") else "run", str(stored), level))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_results_and_states_wait_for_the_disk_and_what_a_step_says_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_storage, "_set_waiting", made_once.set_waiting)
    with opened(tmp_path / "home") as instance, executed() as statements:
        run(instance)
        instance.report_runless_asset_event(dg.AssetObservation("seen"))
    levels = defaultdict(set)
    for name, words, level in statements:
        if name in ("run", "index") and words.isupper():
            levels[level].add(words)
    assert levels[FULL] == {"PIPELINE_START", "PIPELINE_SUCCESS", "ASSET_CHECK_EVALUATION", "ASSET_OBSERVATION"}
    assert {"STEP_START", "STEP_OUTPUT", "ASSET_MATERIALIZATION", "STEP_SUCCESS"} < levels[NORMAL]
    assert levels.keys() == {FULL, NORMAL}
    assert not levels[FULL] & levels[NORMAL]


@of_this_version
def test_a_run_takes_so_many_statements_and_what_dagster_asks_about_its_tables_is_asked_once(tmp_path):
    with opened(tmp_path / "home") as instance:
        run(instance)
        with executed() as statements:
            run(instance)
    asked = [words for name, words, _ in statements if name == "index" and ("PRAGMA" in words or "secondary_indexes" in words)]
    assert asked == []
    assert Counter(name for name, _, _ in statements) == {"run": 19, "index": 15, "runs": 18}


def test_observations_are_what_dagster_finds(tmp_path):
    with opened(tmp_path / "home") as instance:
        run(instance)
        instance.report_runless_asset_event(dg.AssetObservation("watched"))
        ours, dagsters = instance.event_log_storage, super(KeptEventLogStorage, instance.event_log_storage)
        for asset, found in (("nowhere", 0), ("seen", 0), ("watched", 1)):
            for cursor in (None, EventLogCursor.from_storage_id(99).to_string()):
                seen_by_us = ours.fetch_observations(dg.AssetKey(asset), 5, cursor)
                assert seen_by_us == dagsters.fetch_observations(dg.AssetKey(asset), 5, cursor)
                assert len(seen_by_us.records) == found


def open_files(folder: Path) -> int:
    return sum(each.readlink().is_relative_to(folder) for each in Path("/proc/self/fd").iterdir() if each.is_symlink())


def test_only_so_many_files_stay_open_and_none_is_left_at_the_end(tmp_path, monkeypatch, request):
    monkeypatch.setattr(sqlite_storage, "_MOST_ENGINES", 2)
    gc.disable()  # what is closed is closed by us
    request.addfinalizer(gc.enable)
    with opened(tmp_path / "home") as instance:
        runs = [run(instance) for _ in range(6)]
        assert all(told(instance, each) for each in runs)
        assert open_files(tmp_path / "home" / "history" / "runs") < 3 * len(runs)  # a database, its log, and the log's index
    assert open_files(tmp_path / "home") == 0
    assert not [*(tmp_path / "home").rglob("*-wal"), *(tmp_path / "home").rglob("*-shm")]


def test_many_threads_lose_nothing(tmp_path):
    with opened(tmp_path / "home") as instance:
        run_id = run(instance)

        def add(number: int) -> None:
            instance.run_storage.set_cursor_values({f"n{number}": str(number)})
            instance.report_engine_event(f"event {number}", instance.get_run_by_id(run_id))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(add, range(40)))
        wanted = {f"n{number}": str(number) for number in range(40)}
        assert instance.run_storage.get_cursor_values(set(wanted)) == wanted
        messages = {record.event_log_entry.message for record in instance.get_records_for_run(run_id).records}
        assert {f"event {number}" for number in range(40)} <= messages


def test_a_failure_in_a_transaction_leaves_nothing_of_it(tmp_path):
    storage = KeptEventLogStorage(str(tmp_path))

    def fail() -> None:
        with storage.run_connection("x") as connection:
            connection.exec_driver_sql("INSERT INTO secondary_indexes (name) VALUES ('a')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with storage.run_connection("x") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM secondary_indexes").scalar() == 0
    storage.dispose()
