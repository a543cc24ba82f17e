"""The table `breaker_snapshot` and what it hands to the history."""

import json
from datetime import timedelta

import pandas as pd
import pytest

from phase5_ops.evidence.history import History, Snapshot
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.breakers.evidence import BREAKER_SNAPSHOT, DAY, HISTORY_LIMIT, snapshot_payloads
from phase5_ops_tests.sections.breakers.support import NOW, TENANTS, Platform, T, number, read, slots, state


def row(platform, connector):
    return next(breaker for breaker in platform.table().rows if breaker.connector == connector)


def test_one_row_a_connector_of_tools_settings_and_table():
    platform = Platform(items=[slots("internal"), slots("payroll"), {"sk": {"S": "STATE"}}], connectors=("erp",))
    rows = {breaker.connector: breaker for breaker in platform.table().rows}
    assert list(rows) == ["", "crm_salesforce", "erp", "internal", "payroll"]
    assert {name: (breaker.required, breaker.known) for name, breaker in rows.items()} == {
        "": (False, False),
        "crm_salesforce": (True, True),
        "erp": (True, True),
        "internal": (True, True),
        "payroll": (False, False),
    }


def test_the_columns_of_an_item_are_kept_as_read():
    item = state("internal", "OPEN", start=T - 60, written=T - 50)
    breaker = row(Platform(items=[item, slots("internal", 3)]), "internal")
    assert (breaker.state, breaker.state_source, breaker.failure_count, breaker.in_flight_count) == ("OPEN", "item", 5, 3)
    assert (breaker.window_start_epoch_sec, breaker.open_until_epoch_sec) == (T - 60, T - 30)
    assert (breaker.ttl_epoch_sec, breaker.last_write_epoch_sec) == (T - 50 + 14 * DAY, T - 50)
    assert breaker.half_open_probe_in_flight is None
    assert breaker.action_types == ["CREATE_INTERNAL_NOTE", "CREATE_INTERNAL_TASK"]


def test_the_last_write_is_never_before_the_window_start():
    assert row(Platform(items=[state("internal", ttl_epoch_sec=number(T))]), "internal").last_write_epoch_sec == T - 60


def test_an_empty_table_has_the_same_columns_and_types():
    platform = Platform(items=[])
    platform.registered = ()
    empty, full = platform.table(), Platform().table()
    assert len(empty.frame) == 0
    assert empty.frame.dtypes.to_dict() == full.frame.dtypes.to_dict()
    BREAKER_SNAPSHOT.schema.validate(empty.frame)


@pytest.mark.parametrize(
    ("datapoints", "expected"),
    [
        ({"internal": NOW, "internal-create-note___internal": NOW + timedelta(hours=1)}, "2026-11-23T09:16:00.000Z"),
        ({"internal": None, "x___internal": NOW, "y___internal": NOW - timedelta(days=1)}, "2026-11-23T09:16:00.000Z"),
        ({"internal": pd.Timestamp(NOW)}, "2026-11-23T09:16:00.000Z"),
        ({"internal": "2026-11-23T09:16:00Z"}, "2026-11-23T09:16:00.000Z"),
        ({"internal": "yesterday"}, None),
        ({"internal": pd.NaT}, None),
        ({}, None),
    ],
)
def test_the_last_data_point_is_that_of_the_emitted_id_before_that_of_the_canonical_one(datapoints, expected):
    assert row(Platform(datapoints=datapoints), "internal").last_datapoint_at == expected


def test_payloads_go_through_the_history_and_come_back_as_rows(tmp_path):
    history = History(tmp_path / "history.sqlite")
    platform = Platform(items=[state("internal", "OPEN", start=T - 20), slots("internal")])
    payloads = snapshot_payloads(platform.table())
    assert payloads["internal"]["open_until"] == T + 10
    history.append("breakers", "table-id", "run-1", NOW, payloads)
    platform.history = history.snapshots("breakers", "table-id", until=NOW)
    (entry,) = row(platform, "internal").history
    assert entry == {**payloads["internal"], "observed_at": "2026-11-23T09:16:00.000Z"}


def test_nothing_is_kept_of_what_could_not_be_read():
    malformed = Platform(items=[state("internal", failure_count=None), slots("crm_salesforce")])
    assert list(snapshot_payloads(malformed.table())) == ["crm_salesforce"]
    assert snapshot_payloads(Platform(reads=[read(status=ReadStatus.TIMEOUT)]).table()) == {}
    assert snapshot_payloads(Platform(reads=[]).table()) == {}
    elsewhere = Platform(reads=[read(), read(resource=TENANTS, status=ReadStatus.DENIED)])
    assert sorted(snapshot_payloads(elsewhere.table())) == ["crm_salesforce", "internal"]


def test_runs_of_equal_snapshots_are_reduced_to_first_and_last():
    platform = Platform()
    for minute, used in enumerate((1, 1, 1, 1, 2, 1)):
        payload = {"state": "CLOSED", "in_flight": used, "last_datapoint_at": str(minute)}
        platform.history.append(Snapshot("internal", f"r{minute}", NOW + timedelta(minutes=minute - 9), payload))
    assert [entry["last_datapoint_at"] for entry in row(platform, "internal").history] == ["0", "3", "4", "5"]


def test_a_row_holds_a_bounded_history():
    snapshots = [Snapshot("internal", str(n), NOW, {"in_flight": n}) for n in range(HISTORY_LIMIT + 5)]
    assert len(row(Platform(history=snapshots), "internal").history) == HISTORY_LIMIT


def test_malformed_records_are_json_in_the_table():
    table = Platform(items=[state("internal", failure_count=None)]).table().frame.set_index("connector")
    assert json.loads(table.loc["internal", "malformed"]) == [
        {
            "attribute": "failure_count",
            "key": "CONNECTOR#internal / STATE",
            "problem": "missing",
            "table": "cc-native-resilience",
        }
    ]
