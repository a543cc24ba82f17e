"""The footprint of one execution: every key that it wrote, and what that key says."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.keys import ExecutionScope
from phase5_ops.evidence.table import NoFacts
from phase5_ops.sections.isolation.harness.evidence import (
    ISOLATION_HARNESS,
    AccessKind,
    FootprintOutcome,
    ProbeAnswer,
    Result,
    TableImage,
    TableKeys,
    event_row,
    exception_rows,
    footprint,
    outcome_rows,
    probe_row,
)
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.isolation.harness.support import INTENT, KEYS, A, B, item, rows, scope, written


def found(after, **more):
    """Codes by table."""
    return {(row.table.removeprefix("cc-native-"), code) for row in rows(after, **more) for code in row.codes}


def test_a_healthy_execution_has_a_row_for_every_key_and_nothing_to_report():
    table = rows(written())
    assert found(written()) == set()
    assert {row.result for row in table} == {Result.IN_SCOPE, Result.APPROVED}
    assert {(row.table, row.index) for row in table} >= {
        ("cc-native-execution-attempts", ""),
        ("cc-native-execution-attempts", "gsi1-index"),
        ("cc-native-execution-attempts", "gsi2-index"),
        ("cc-native-signals", "accountId-index"),
        ("cc-native-internal-notes", ""),
    }


def leak(table, **changes):
    """The items of a healthy execution with the first one of `table` changed."""
    after = written()
    after[table][0].update(changes)
    return after


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (leak("cc-native-internal-notes", pk=f"TENANT#{B}#ACCOUNT#canary-b-1"), "foreign_key_written"),
        (leak("cc-native-execution-outcomes", pk="TENANT#phase5-canary-a-eu#ACCOUNT#1"), "foreign_key_written"),
        (leak("cc-native-execution-outcomes", pk="OUTCOMES"), "key_without_tenant"),
        (leak("cc-native-execution-outcomes", gsi1pk="ACTION_INTENT#ai_2_other"), "key_without_tenant"),
        (leak("cc-native-execution-outcomes", gsi2pk=f"TENANT#{B}"), "foreign_key_written"),
        (leak("cc-native-execution-outcomes", tenant_id=B), "key_attribute_mismatch"),
        (leak("cc-native-ledger", data={"action_intent_id": INTENT, "tenantId": B}), "foreign_tenant_attribute"),
        (
            leak("cc-native-ledger", data={"action_intent_id": INTENT, "raw": f'{{"tenant_id": "{B}"}}'}),
            "foreign_tenant_attribute",
        ),
        (leak("cc-native-internal-notes", content=f"renewal of {B}"), "foreign_tenant_attribute"),
        (leak("cc-native-signals", evidence={"s3Uri": f"execution://{B}/x/{INTENT}"}), "foreign_tenant_attribute"),
        (leak("cc-native-signals", tenantId=B), "foreign_key_written"),
        ({**written(), "cc-native-cache": [{"cacheKey": "plan:1", "intent": INTENT}]}, "key_without_tenant"),
        ({**written(), "cc-native-cache": [{"cacheKey": f"{B}:plan", "intent": INTENT}]}, "foreign_key_written"),
        (
            {
                **written(),
                "cc-native-audit-export": [{"pk": f"TENANT#{A}", "sk": "EXPORT#1", "s3_key": f"audit-exports/{B}/1.json"}],
            },
            "foreign_tenant_attribute",
        ),
        (
            {
                **written(),
                "cc-native-action-type-registry": [{"pk": "ACTION_TYPE#CREATE_INTERNAL_NOTE", "sk": "x", "by": INTENT}],
            },
            "key_without_tenant",
        ),
    ],
)
def test_each_leak_is_found_in_the_row_of_its_key(after, expected):
    assert expected in {code for _, code in found(after)}


def test_a_change_in_the_other_test_tenants_partition_is_found_whatever_it_mentions():
    budget = {"pk": f"TENANT#{B}#ACCOUNT#canary-b-1", "sk": "BUDGET#CONFIG", "max_autonomous_per_day": 3}
    changed = {"cc-native-autonomy-budget-state": [{**budget, "max_autonomous_per_day": 99}]}
    table = rows(changed)
    assert [row.codes for row in table] == [("foreign_key_written",)]


def test_an_item_of_the_other_test_tenant_that_vanishes_is_found():
    note = item(pk=f"TENANT#{B}#ACCOUNT#canary-b-1", sk="NOTE#1", content="x")
    image = TableImage(KEYS["cc-native-internal-notes"], [note], [])
    (row,) = footprint([image], scope(), other_test_tenant=B)
    assert (row.operation, row.codes) == ("removed", ("foreign_key_written",))


def test_what_other_tenants_write_at_the_same_time_is_not_ours():
    busy = {"cc-native-ledger": [{"pk": "TENANT#zeta", "sk": "ENTRY#1", "tenantId": "zeta", "gsi1pk": "TRACE#trace-9"}]}
    assert rows(busy, scope=scope(A, B, "zeta")) == []


def test_what_another_tenants_partition_shows_of_the_canary_is_found():
    busy = {"cc-native-ledger": [{"pk": "TENANT#zeta", "sk": "ENTRY#1", "data": {"action_intent_id": INTENT}}]}
    assert found(busy, scope=scope(A, B, "zeta")) == {("ledger", "foreign_key_written")}


def test_items_of_other_canaries_of_this_run_are_set_aside_and_counted():
    own = "ai_1795424880000_phase5probe"
    intents = {
        "cc-native-action-intent": [
            {"pk": f"TENANT#{A}#ACCOUNT#canary-a-1", "sk": f"ACTION_INTENT#{own}", "action_intent_id": own, "tenant_id": A},
            {"pk": f"TENANT#{B}#ACCOUNT#canary-b-1", "sk": f"ACTION_INTENT#{own}", "action_intent_id": own, "tenant_id": B},
        ]
    }
    assert {row.result for row in rows(intents, own_ids=[own])} == {Result.SET_ASIDE}
    assert {code for _, code in found(intents)} >= {"foreign_key_written"}


def test_an_object_that_the_outcome_names_is_found_in_any_tenants_partition():
    note = {"pk": "TENANT#zeta#ACCOUNT#1", "sk": "NOTE#note_1_x", "note_id": "note_1_x"}
    of = scope(A, B, "zeta")
    assert rows({"cc-native-internal-notes": [note]}, scope=of) == []
    knowing = replace(of, objects=frozenset({"note_1_x"}))
    assert found({"cc-native-internal-notes": [note]}, scope=knowing) == {("internal-notes", "foreign_key_written")}


def test_an_id_inside_a_longer_id_is_not_a_mention():
    other = {"cc-native-ledger": [{"pk": "TENANT#zeta", "sk": "ENTRY#1", "data": {"action_intent_id": f"{INTENT}9"}}]}
    assert rows(other, scope=scope(A, B, "zeta")) == []


def test_a_signal_mentions_its_intent_within_its_id():
    assert {row.table for row in rows({"cc-native-signals": written()["cc-native-signals"]})} == {"cc-native-signals"}


def test_unchanged_items_have_no_row():
    assert rows({}, before=written()) == []


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"data": {"tenant_id": A, "action_intent_id": INTENT}}, ()),
        ({"tenantId": A, "payload": {"accountId": "x"}}, ()),
        ({"data": {"tenant_id": B}}, ("foreign_tenant_attribute",)),
        ({"tenantId": A, "payload": {"s3Key": f"audit-exports/{B}/1.json"}}, ("foreign_tenant_attribute",)),
        ({"data": {"action_intent_id": INTENT}}, ("key_without_tenant",)),
    ],
)
def test_an_event_detail_names_the_tenant_and_no_other(detail, expected):
    assert event_row("cc-native", "SIGNAL_CREATED", detail, scope()).codes == expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (FootprintOutcome("SUCCEEDED", ("EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"), 1), []),
        (FootprintOutcome("FAILED", ("EXECUTION_STARTED", "ACTION_FAILED"), 1, "AUTH"), ["canary_failed"]),
        (FootprintOutcome(None, (), 60), ["outcome_missing"]),
        (FootprintOutcome(None, ("EXECUTION_STARTED",), 60), ["outcome_missing", "ledger_trail_incomplete"]),
        (FootprintOutcome("SUCCEEDED", ("EXECUTION_STARTED",), 1), ["ledger_trail_incomplete"]),
        (FootprintOutcome("SUCCEEDED", (), 1), ["ledger_trail_incomplete"]),
    ],
)
def test_outcome_and_ledger_must_tell_the_whole_execution(outcome, expected):
    assert [code for row in outcome_rows(outcome, scope()) for code in row.codes] == expected


@pytest.mark.parametrize(
    ("answer", "result", "expected"),
    [
        ({"status": 403}, Result.REFUSED, ()),
        ({"status": 200}, Result.REFUSED, ()),  # acted on A alone: the content decides, not the status
        ({"status": 200, "shown": ("budget",)}, Result.VIOLATION, ("foreign_data_readable",)),
        ({"status": 500, "changed": ("BUDGET",)}, Result.VIOLATION, ("foreign_data_writable",)),
        ({"status": 202, "changed": ("X",), "put_back": False}, Result.VIOLATION, ("foreign_data_writable", "not_put_back")),
        ({"status": 502}, Result.NOT_JUDGED, ("probe_not_answered",)),
        ({"status": None, "problem": "timeout"}, Result.NOT_JUDGED, ("probe_not_answered",)),
    ],
)
def test_a_probe_is_judged_by_what_it_shows_and_changes(answer, result, expected):
    row = probe_row(ProbeAnswer("budget", "GET /budget", True, **answer))
    assert (row.result, row.codes) == (result, expected)


def test_the_table_shows_every_exception_and_survives_parquet(tmp_path):
    everything = [*rows(written()), *exception_rows()]
    back = assert_kept(ISOLATION_HARNESS.gathered(everything, NoFacts()), tmp_path)
    assert back.rows == everything
    assert sum(row.kind is AccessKind.EXCEPTION for row in back.rows) > 10


def test_keys_come_from_the_tables_description_partition_key_first():
    description = {
        "KeySchema": [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{"IndexName": "g", "KeySchema": [{"AttributeName": "gsi1pk", "KeyType": "HASH"}]}],
    }
    assert TableKeys.from_description("t", description) == TableKeys("t", ("pk", "sk"), {"g": ("gsi1pk",)})


nasty = st.one_of(
    st.sampled_from(
        ["a", "null", "acme", "acme-eu", "TENANT", "ACCOUNT", "münchen", "a@b.co", "9f3c-77", "internal", "x#y", "phase5"]
    ),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=10),
)


@settings(max_examples=60, deadline=None)
@given(tenant=nasty, others=st.lists(nasty, min_size=1, max_size=5, unique=True))
def test_a_healthy_execution_is_clean_whatever_the_tenants_are_called(tenant, others):
    others = [
        other for other in others if other != tenant and not other.startswith(tenant + "#") and not tenant.startswith(other + "#")
    ]
    assume(others)
    of = ExecutionScope(
        tenant,
        accounts=frozenset({"canary-a-1"}),
        intents=frozenset({INTENT}),
        traces=scope().traces,
        other_tenants=frozenset(others),
        foreign_markers=frozenset({others[0]}),
    )
    reported = {row.codes for row in rows(written(tenant), scope=of)}
    slash_only = all("/" not in name for name in (tenant, *others))
    assert reported <= {()} or not slash_only


def test_what_an_export_leaves_is_set_aside_under_its_own_tenant_alone():
    def record(tenant: str) -> dict:
        return {"cc-native-audit-export": [{"pk": f"TENANT#{tenant}", "sk": "EXPORT#exp-abcdefgh", "tenant_id": A}]}

    assert {row.result for row in rows(record(A), exports=["exp-abcdefgh"])} == {Result.SET_ASIDE}
    assert ("audit-export", "foreign_key_written") in found(record(B), exports=["exp-abcdefgh"])
