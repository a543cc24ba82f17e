"""What is made once for the process is what libraries make each time."""

from collections.abc import Callable
from copy import copy

import hypothesis.strategies as st
import pytest
from botocore.hooks import _PrefixTrie
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from hypothesis import given
from sqlalchemy import Connection, MetaData, create_engine

from phase5_ops_tests import made_once

KEYS = st.sampled_from(["a", "a.b", "a.*", "a.b.c", "d"])
CHANGE = st.tuples(st.sampled_from(["append", "remove", "copy"]), st.integers(0, 3), KEYS, st.integers(0, 5))


def found_after(changes: list[tuple[str, int, str, int]], how: dict[str, Callable]) -> list[object]:
    """What each of the tries finds for each key in the end, and which changes were refused."""
    tries, refused = [_PrefixTrie()], []
    for number, (change, which, key, value) in enumerate(changes):
        trie = tries[which % len(tries)]
        if change == "copy":
            tries.append(how["copy"](trie))
        elif change == "append":
            how["append"](trie, key, value, value % 3)
        else:
            try:
                how["remove"](trie, key, value)
            except (ValueError, AttributeError):  # the latter of a key that only begins others
                refused.append(number)
    return [refused, *([list(trie.prefix_search(key)) for key in ("a", "a.b", "a.b.c", "a.x.c", "d")] for trie in tries)]


@given(st.lists(CHANGE, max_size=30))
def test_handlers_that_are_shared_until_they_change_are_found_as_if_they_were_copied(changes):
    shared = {"copy": copy, "append": _PrefixTrie.append_item, "remove": _PrefixTrie.remove_item}
    copied = {"copy": made_once._copy_trie, "append": made_once._append_item, "remove": made_once._remove_item}
    assert found_after(changes, shared) == found_after(changes, copied)


def schema(connection: Connection) -> list[tuple[object, ...]]:
    return sorted(map(tuple, connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master")), key=repr)


@pytest.mark.parametrize("metadata", [SqlEventLogStorageMetadata, RunStorageSqlMetadata], ids=["events", "runs"])
def test_tables_of_a_new_database_are_those_that_sqlalchemy_makes(metadata: MetaData):
    made = []
    for create in (MetaData.create_all, made_once._create_tables, MetaData.create_all):
        with create_engine("sqlite://").connect() as connection:
            create(metadata, connection)
            made.append(schema(connection))
            create(metadata, connection)  # they are there
            assert schema(connection) == made[-1]
    assert made[0] == made[1] == made[2] != []
