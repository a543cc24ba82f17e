"""The ledger is append-only: what an earlier run saw must still be there, and the history of that must be whole."""

import sqlite3
import threading
from datetime import timedelta

import pytest

from phase5_ops.evidence.history import History
from phase5_ops.sections.replay.audit.history import LedgerHistory, Seen, digest_of
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, dynamodb, replay

OLD = "ENTRY#2000"


@pytest.fixture
def history(tmp_path):
    return LedgerHistory(tmp_path / "ledger_history.sqlite", History(tmp_path / "history.sqlite"), "table-1")


def look(history, items, *, since="", partitions=None, run="run", now=NOW, drop_before=OLD):
    seen = Seen()
    for item in items:
        seen.add(dynamodb(item))
    return history.compare_and_add(seen, since=since, drop_before=drop_before, partitions=partitions, run_id=run, now=now)


def change(tmp_path, statement, *values):
    with sqlite3.connect(tmp_path / "ledger_history.sqlite") as connection:
        connection.execute(statement, values)


ITEMS = replay(name="kept")
MORE = replay(name="more", minutes_ago=10)


def test_the_first_run_has_nothing_to_compare(history):
    found = look(history, ITEMS)
    assert (found.runs, found.compared, found.missing_count, found.changed_count, found.broken) == (1, 0, 0, 0, [])
    assert len(found.head) == 64


def test_additions_are_fine_and_are_compared_from_then_on(history):
    look(history, ITEMS)
    assert look(history, [*ITEMS, *MORE]).compared == 5
    last = look(history, [*ITEMS, *MORE])
    assert (last.runs, last.compared, last.missing_count, last.changed_count, last.broken) == (3, 10, 0, 0, [])


def test_an_entry_that_is_gone_is_named_with_the_run_that_saw_it_as_long_as_it_is_in_the_window(history):
    look(history, ITEMS, run="first")
    for _ in range(2):
        found = look(history, ITEMS[1:])
        assert found.missing == [
            {"pk": "TENANT#acme", "sk": ITEMS[0]["sk"], "run_id": "first", "observed_at": "2026-11-23T12:00:00.000Z"}
        ]
    assert look(history, ITEMS[1:], since=ITEMS[1]["sk"]).missing == []


def test_a_rewritten_entry_stays_found_although_later_runs_saw_it_so(history):
    look(history, ITEMS)
    rewritten = [{**ITEMS[0], "data": {**ITEMS[0]["data"], "requested_by": "someone else"}}, *ITEMS[1:]]
    for _ in range(2):
        found = look(history, rewritten)
        assert ([entry["sk"] for entry in found.changed], found.missing) == ([ITEMS[0]["sk"]], [])


def test_another_window_or_fewer_partitions_give_no_finding(history):
    look(history, [*ITEMS, *MORE])
    assert look(history, MORE, since=MORE[0]["sk"]).missing_count == 0
    assert look(history, [], partitions=["TENANT#globex"]).missing_count == 0
    assert look(history, [*ITEMS, *MORE], now=NOW - timedelta(days=3)).broken == []


def test_a_table_made_anew_has_a_history_of_its_own(history, tmp_path):
    look(history, ITEMS)
    anew = LedgerHistory(tmp_path / "ledger_history.sqlite", History(tmp_path / "history.sqlite"), "table-2")
    assert (look(anew, []).runs, look(anew, []).missing_count) == (1, 0)


def test_old_records_lose_their_entries_and_the_chain_stays_whole(history):
    look(history, ITEMS)
    look(history, [*ITEMS, *MORE], drop_before="ENTRY#2027")
    last = look(history, MORE)
    assert (last.compared, last.missing_count, last.broken) == (5, 0, [])


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE records SET body = replace(body, 'run', 'ran') WHERE seq = 1", "record 1 is not what was written"),
        ("UPDATE records SET body = 'x' WHERE seq = 1", "record 1 is not what was written"),
        ("UPDATE records SET hash = 'x' WHERE seq = 2", "record 2 is not what was written"),
        ("UPDATE records SET entries = zeroblob(9) WHERE seq = 1", "the entries of record 1 are not what was written"),
        ("UPDATE records SET entries = NULL WHERE seq = 1", "the entries of record 1 are gone"),
        ("DELETE FROM records WHERE seq = 1", "does not follow the one before it"),
        ("DELETE FROM records WHERE seq = 2", "does not follow the one before it"),
        ("DELETE FROM records WHERE seq = 3", "record 3 of run run is gone"),
        ("DELETE FROM records", "record 1 of run run is gone"),
        ("UPDATE records SET body = x'00ff' WHERE seq = 1", "not of the kinds that runs write"),
        ("UPDATE records SET entries = 'text' WHERE seq = 1", "not of the kinds that runs write"),
        ("UPDATE records SET seq = 'one' WHERE seq = 1", "not of the kinds that runs write"),
        ("""UPDATE records SET body = '{"dropped": 5}' WHERE seq = 1""", "record 1 is not what was written"),
        ("""UPDATE records SET body = '{"dropped": [[]]}' WHERE seq = 1""", "record 1 is not what was written"),
    ],
)
def test_a_history_that_was_altered_or_cut_shows(history, tmp_path, statement, problem):
    for _ in range(3):
        look(history, ITEMS)
    change(tmp_path, statement)
    assert any(problem in text for text in look(history, ITEMS).broken)
    assert look(history, ITEMS).broken != []  # and does not heal by itself


def test_a_history_file_that_is_gone_shows(history, tmp_path):
    look(history, ITEMS)
    (tmp_path / "ledger_history.sqlite").unlink()
    assert look(history, ITEMS).broken == ["record 1 of run run is gone"]


def test_a_history_file_that_is_no_database_shows_and_raises_nothing(history, tmp_path):
    (tmp_path / "ledger_history.sqlite").write_bytes(b"junk" * 1000)
    assert "cannot be used" in look(history, ITEMS).broken[0]
    assert history.partitions() == []


def test_a_run_killed_before_its_end_leaves_the_history_as_it_was(history, tmp_path):
    look(history, ITEMS)
    connection = sqlite3.connect(tmp_path / "ledger_history.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO records VALUES ('table-1', 2, 'half', 'half', NULL)")
    connection.close()
    found = look(history, ITEMS)
    assert (found.runs, found.broken) == (2, [])


def test_a_run_killed_between_its_record_and_its_head_breaks_nothing(history, tmp_path):
    look(history, ITEMS)
    (tmp_path / "history.sqlite").unlink()
    assert look(history, ITEMS).broken == []


def test_runs_at_once_take_turns(history):
    results = []
    threads = [threading.Thread(target=lambda: results.append(look(history, [*ITEMS, *MORE]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.runs for found in results) == [1, 2, 3, 4, 5, 6]
    assert look(history, [*ITEMS, *MORE]).broken == []


def test_the_partitions_of_earlier_runs_are_known(history):
    look(history, [*ITEMS, *replay(tenant="globex")])
    assert history.partitions() == ["TENANT#acme", "TENANT#globex"]


def test_a_digest_ignores_the_order_of_attributes_and_sets_and_nothing_else():
    item = {"pk": {"S": "a"}, "tags": {"SS": ["x", "y"]}, "list": {"L": [{"S": "1"}, {"S": "2"}]}, "raw": {"B": b"\x00"}}
    same = {"raw": {"B": b"\x00"}, "list": {"L": [{"S": "1"}, {"S": "2"}]}, "tags": {"SS": ["y", "x"]}, "pk": {"S": "a"}}
    assert digest_of(item) == digest_of(same)
    assert digest_of(item) != digest_of({**item, "list": {"L": [{"S": "2"}, {"S": "1"}]}})
    assert digest_of(item) != digest_of({**item, "raw": {"B": b"\x01"}})
    assert digest_of(item) != digest_of({**item, "extra": {"NULL": True}})
