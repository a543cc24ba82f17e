"""The history file: order, scopes, evaluation time, concurrency, and a process killed in the middle."""

import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.evidence.histories import Chain
from phase5_ops.evidence.history import History
from phase5_ops_tests.places import ROOT

NOW = datetime(2026, 11, 23, 9, 16, tzinfo=UTC)


def start(code, *arguments):
    """A process of its own that runs `code` with this package importable."""
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], cwd=ROOT)


def test_snapshots_come_back_in_the_order_of_writing_whatever_their_time(tmp_path):
    history = History(tmp_path / "state" / "history.sqlite")
    for run, seconds in (("first", 0), ("second", 0), ("third", -30)):
        history.append("breakers", "table-1", run, NOW + timedelta(seconds=seconds), {"internal": {"run": run}})
    snapshots = history.snapshots("breakers", "table-1", until=NOW)
    assert [snapshot.run_id for snapshot in snapshots] == ["first", "second", "third"]
    assert snapshots[0].payload == {"run": "first"}
    assert snapshots[2].observed_at == NOW - timedelta(seconds=30)


def test_streams_and_scopes_are_kept_apart(tmp_path):
    history = History(tmp_path / "h")
    history.append("breakers", "table-1", "r", NOW, {"a": {}})
    assert history.snapshots("breakers", "table-2", until=NOW) == []
    assert history.snapshots("others", "table-1", until=NOW) == []


def test_entries_later_than_the_evaluation_time_or_too_old_are_not_shown(tmp_path):
    history = History(tmp_path / "h")
    for days in (-31, -30, -1, 0, 1):
        history.append("s", "x", f"r{days}", NOW + timedelta(days=days), {"a": {}})
    assert [snapshot.run_id for snapshot in history.snapshots("s", "x", until=NOW)] == ["r-30", "r-1", "r0"]
    assert [snapshot.run_id for snapshot in history.snapshots("s", "x", until=NOW, days=2)] == ["r-1", "r0"]


@settings(max_examples=20, deadline=None)
@given(offsets=st.lists(st.integers(-40 * 86_400_000, 40 * 86_400_000), max_size=6))
def test_the_evaluation_time_filter_is_exact_to_the_millisecond(tmp_path_factory, offsets):
    history = History(tmp_path_factory.mktemp("h") / "h")
    for number, offset in enumerate(offsets):
        history.append("s", "x", str(number), NOW + timedelta(milliseconds=offset), {"a": {}})
    shown = {snapshot.run_id for snapshot in history.snapshots("s", "x", until=NOW, days=30)}
    assert shown == {str(number) for number, offset in enumerate(offsets) if -30 * 86_400_000 <= offset <= 0}


def test_sightings_widen_and_are_filtered_by_evaluation_time(tmp_path):
    history = History(tmp_path / "h")
    history.sight("ns", NOW - timedelta(days=20), {"sets": ["old", "both"]})
    history.sight("ns", NOW, {"sets": ["both"]})
    history.sight("ns", NOW + timedelta(days=1), {"sets": iter(["later"])})
    (both,) = history.sightings("sets", "ns", until=NOW, days=14)
    assert (both.subject, both.first_seen, both.last_seen) == ("both", NOW - timedelta(days=20), NOW)
    assert [s.subject for s in history.sightings("sets", "ns", until=NOW, days=30)] == ["both", "old"]


WRITER = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from phase5_ops.evidence.history import History

    history = History(Path(sys.argv[1]))
    for number in range(40):
        history.append("s", "x", f"{sys.argv[2]}-{number}", datetime(2026, 11, 23, tzinfo=UTC), {"a": {"n": number}, "b": {}})
        history.sight("x", datetime(2026, 11, 23, tzinfo=UTC), {"s": ["a"]})
"""


def test_two_processes_lose_no_entry(tmp_path):
    writers = [start(WRITER, tmp_path / "h", name) for name in ("one", "two")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    snapshots = History(tmp_path / "h").snapshots("s", "x", until=NOW)
    assert len(snapshots) == 160
    for name in ("one", "two"):
        own = [s.payload["n"] for s in snapshots if s.run_id.startswith(name) and s.subject == "a"]
        assert own == list(range(40))


KILLED = """
    import os, sys
    from pathlib import Path
    from phase5_ops.evidence.history import History

    with History(Path(sys.argv[1]))._connection() as connection:
        connection.execute(
            "INSERT INTO snapshots (stream, scope, subject, run_id, observed_at, payload)"
            " VALUES ('s', 'x', 'half', 'killed', '2026-11-23T00:00:00.000Z', '{}')"
        )
        os._exit(9)
"""


def test_a_run_killed_in_the_middle_leaves_the_history_as_it_was(tmp_path):
    history = History(tmp_path / "h")
    history.append("s", "x", "before", NOW, {"a": {}})
    assert start(KILLED, tmp_path / "h").wait(timeout=60) == 9
    assert [snapshot.run_id for snapshot in history.snapshots("s", "x", until=NOW)] == ["before"]
    history.append("s", "x", "after", NOW, {"a": {}})
    assert len(history.snapshots("s", "x", until=NOW)) == 2


def test_an_append_that_fails_adds_nothing(tmp_path):
    history = History(tmp_path / "h")
    with pytest.raises(TypeError):
        history.append("s", "x", "r", NOW, {"a": {}, "b": {"bad": object()}})
    assert history.snapshots("s", "x", until=NOW) == []


# --- the journal -------------------------------------------------------------------------------------------------------------


def written(tmp_path) -> tuple[History, Path]:
    history = History(tmp_path / "h")
    for run in ("r1", "r2", "r3"):
        history.append("breakers", "table-1", run, NOW, {"crm": {"state": "OPEN"}, "internal": {"state": "CLOSED"}})
        history.sight("ns", NOW, {"sets": [run, "each"]})
    return history, tmp_path / "h"


def edited(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_what_is_written_continues_what_was_there(tmp_path):
    history, _ = written(tmp_path)
    before = history.chain()
    assert (before.problems, len(before.hashes)) == ((), 7)  # the beginning, and six writings
    history.append("breakers", "table-1", "r4", NOW, {})
    after = history.chain()
    assert after.problems == ()
    assert after.hashes[:7] == before.hashes


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM snapshots WHERE run_id = 'r2'",
        "DELETE FROM snapshots WHERE run_id = 'r3'",
        """UPDATE snapshots SET payload = '{"state": "CLOSED"}' WHERE run_id = 'r1'""",
        "UPDATE snapshots SET observed_at = '2020-01-01T00:00:00.000Z' WHERE run_id = 'r1'",
        "INSERT INTO snapshots (stream, scope, subject, run_id, observed_at, payload) VALUES ('s', 'x', 'a', 'r', 'now', '{}')",
        "DELETE FROM sightings WHERE subject = 'each'",
        "UPDATE sightings SET last_seen = '2020-01-01T00:00:00.000Z'",
        "DELETE FROM journal WHERE seq = 3",
        "UPDATE journal SET body = replace(body, '\"count\": 2', '\"count\": 1') WHERE seq = 2",
        "UPDATE journal SET body = 'x' WHERE seq = 2",
        "UPDATE journal SET hash = 'x' WHERE seq = 7",
    ],
)
def test_an_entry_that_was_taken_out_altered_or_put_in_shows(tmp_path, statement):
    history, path = written(tmp_path)
    edited(path, statement)
    assert history.chain().problems


def test_a_history_that_was_cut_off_whole_has_another_head_and_one_made_anew_another_id(tmp_path):
    history, path = written(tmp_path)
    before = history.chain().head
    edited(path, "DELETE FROM journal")
    history.append("breakers", "table-1", "r4", NOW, {})
    assert history.chain().problems == ()
    assert history.chain().head.id != before.id
    path.unlink()
    assert history.chain() == Chain()
    assert not path.exists()
    history.sight("ns", NOW, {"sets": ["x"]})
    assert history.chain().head.id != before.id


def test_a_file_of_a_version_without_a_journal_is_covered_from_its_next_entry_on(tmp_path):
    history, path = written(tmp_path)
    edited(path, "DROP TABLE journal")
    assert history.chain() == Chain()
    history.append("breakers", "table-1", "r4", NOW, {"crm": {}})
    assert (history.chain().problems, len(history.chain().hashes)) == ((), 2)
    edited(path, "DELETE FROM snapshots WHERE run_id = 'r1'")
    assert history.chain().problems


def test_a_file_that_is_no_history_has_a_problem(tmp_path):
    (tmp_path / "h").write_bytes(b"not a database, but long enough to be read as one" * 100)
    assert "cannot be used" in History(tmp_path / "h").chain().problems[0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshots SET payload = '{' WHERE run_id = 'r2'",
        "UPDATE snapshots SET payload = '[]' WHERE run_id = 'r2'",
        "UPDATE snapshots SET payload = x'00ff' WHERE run_id = 'r2'",
        "UPDATE snapshots SET observed_at = 'noon' WHERE run_id = 'r2'",
        "UPDATE sightings SET last_seen = 'z' WHERE subject = 'each'",
        "UPDATE journal SET hash = x'00ff' WHERE seq = 7",
    ],
)
def test_a_row_that_no_run_has_written_is_left_out_and_named_and_the_next_run_goes_on(tmp_path, statement):
    history, path = written(tmp_path)
    edited(path, statement)
    later = NOW + timedelta(days=1)
    assert all(isinstance(each.payload, dict) for each in history.snapshots("breakers", "table-1", until=later))
    history.sightings("sets", "ns", until=later, days=30)
    history.append("breakers", "table-1", "r4", NOW, {"crm": {}})
    assert history.chain().problems


def test_a_row_that_cannot_be_read_is_named_in_a_file_without_a_journal_too(tmp_path):
    history, path = written(tmp_path)
    edited(path, "UPDATE snapshots SET payload = '{' WHERE run_id = 'r1'")
    edited(path, "DROP TABLE journal")
    assert history.chain().problems == ("2 snapshots cannot be read",)
