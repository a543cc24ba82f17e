"""Row 3.2: each way in which a replay's audit trail can fail, and what must not count against it."""

from datetime import timedelta

import pandas as pd
import pytest

from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.replay.audit.evidence import timeline
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.replay.audit.ledgers import (
    HOUR,
    MINUTE,
    NOW,
    NOW_MS,
    Audit,
    attempt,
    audit,
    dynamodb,
    entry,
    moved,
    of,
    outcome,
    read,
    repeated,
    replay,
    retenanted,
)

pytestmark = pytest.mark.slow

REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED = (
    "REPLAY_REQUESTED",
    "REPLAY_STARTED",
    "EXECUTION_STARTED",
    "ACTION_EXECUTED",
    "REPLAY_COMPLETED",
)


def without(items, *events):
    return [item for item in items if item["eventType"] not in events]


def with_data(items, event, **data):
    """The items with other data in one event; ... leaves a field out."""

    def changed(kept):
        return {name: value for name, value in {**kept, **data}.items() if value is not ...}

    return [{**item, "data": changed(item["data"])} if item["eventType"] == event else item for item in items]


@pytest.mark.parametrize("failed", [False, True])
def test_a_whole_replay_passes_whether_its_action_succeeded_or_failed(failed):
    judged = audit(replay(failed=failed)).judged()
    assert (judged.verdict, judged.facts["failed" if failed else "completed"]) == (Verdict.PASS, 1)


def test_dynamodb_json_is_read_as_plain_items_are():
    items = replay(name="x")
    pd.testing.assert_frame_equal(audit(items).table().frame, audit([dynamodb(item) for item in items]).table().frame)


def test_the_table_survives_parquet(tmp_path):
    table = audit(replay(), without(replay(minutes_ago=3), STARTED), [{"pk": 3}]).table()
    assert_kept(table, tmp_path)


@pytest.mark.parametrize(
    ("items", "codes"),
    [
        (without(replay(), STARTED, EXECUTION, EXECUTED, COMPLETED), ["replay_not_started"]),
        (without(replay(minutes_ago=61), COMPLETED), ["replay_not_finished"]),
        (without(replay(minutes_ago=61), COMPLETED, EXECUTED), ["replay_not_finished"]),
        (without(replay(), REQUESTED), ["replay_started_without_request"]),
        (without(replay(), REQUESTED, STARTED), ["replay_finished_without_start"]),
        (without(replay(), STARTED), ["replay_finished_without_start", "replay_not_started"]),
        (without(replay(), EXECUTION), ["replay_out_of_order"]),
        (without(replay(), EXECUTED), ["replay_contradicts_outcome"]),
    ],
)
def test_what_is_absent_is_found_by_what_it_leaves(items, codes):
    judged = audit(items, replay()).judged()
    assert (sorted(finding.code for finding in judged.findings), judged.verdict) == (codes, Verdict.FAIL)


def test_a_start_past_its_deadline_is_named_with_its_delay():
    steps = [(event, after + (6 * MINUTE if after else 0)) for event, after in ((REQUESTED, 0), (STARTED, 1), (EXECUTION, 2))]
    findings = audit(replay(steps=[*steps, (EXECUTED, 7 * MINUTE), (COMPLETED, 7 * MINUTE)])).judged().findings
    assert [(finding.code, finding.seen) for finding in findings] == [("replay_not_started", "only after 6.0 min")]


def test_an_end_past_its_deadline_is_named_with_its_delay():
    steps = [(REQUESTED, 0), (STARTED, 1), (EXECUTION, 2), (EXECUTED, 61 * MINUTE), (COMPLETED, 61 * MINUTE)]
    findings = audit(replay(minutes_ago=120, steps=steps)).judged().findings
    assert [(finding.code, finding.seen) for finding in findings] == [
        ("replay_not_finished", "REPLAY_COMPLETED only after 61.0 min")
    ]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, COMPLETED])
@pytest.mark.parametrize("value", ["", "  \t", None, ...])
@pytest.mark.parametrize(("name", "code"), [("replay_reason", "replay_reason_missing"), ("requested_by", "requested_by_missing")])
def test_a_blank_reason_or_requester_is_found_in_every_entry_and_is_the_only_finding(event, value, name, code):
    assert audit(with_data(replay(), event, **{name: value})).codes() == [code]


SAYS_NOTHING = ["undefined", "NULL", "unknown", "None", "n/a", "\u200b\u2060", "\u3164", "[object Object]", "${who}", "-"]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, COMPLETED])
@pytest.mark.parametrize("value", SAYS_NOTHING)
@pytest.mark.parametrize(("name", "code"), [("replay_reason", "replay_reason_missing"), ("requested_by", "requested_by_missing")])
def test_a_reason_or_requester_that_says_nothing_is_as_good_as_none(event, value, name, code):
    assert audit(with_data(replay(), event, **{name: value})).codes() == [code]


@pytest.mark.parametrize("value", [*SAYS_NOTHING, "anonymous", "undefined@acme.example"])
def test_a_requester_that_is_nobody_in_every_entry_is_one_finding(value):
    assert audit(replay(requester=value)).codes() == ["requested_by_missing"]


def test_a_reason_blank_in_all_entries_is_one_finding():
    assert audit(replay(reason=" ")).codes() == ["replay_reason_missing"]


def test_an_end_with_another_reason_or_requester_than_its_request_is_found():
    assert audit(with_data(replay(), COMPLETED, replay_reason="other")).codes() == ["replay_reason_missing"]
    assert audit(with_data(replay(), COMPLETED, requested_by="other")).codes() == ["requested_by_missing"]


def test_a_start_with_another_reason_is_not_the_start_of_that_request():
    assert audit(with_data(replay(), STARTED, replay_reason="other"), replay()).codes() == [
        "replay_not_started",
        "replay_reason_missing",  # the end names the first reason, the start another
        "replay_started_without_request",
    ]


def test_blanks_around_a_reason_make_no_other_reason():
    assert audit(with_data(replay(), STARTED, replay_reason=" recovery after outage ")).codes() == []


@pytest.mark.parametrize(
    ("event", "by"),
    [(REQUESTED, 10 * 1000), (STARTED, 40), (EXECUTION, 5000), (EXECUTED, 60), (COMPLETED, -600), (COMPLETED, -2000)],
)
def test_an_entry_stamped_out_of_its_order_is_found(event, by):
    items = [moved(item, by) if item["eventType"] == event else item for item in replay()]
    assert audit(items).codes() == ["replay_out_of_order"]


def test_entries_of_one_millisecond_are_in_order():
    assert audit(replay(steps=[(event, 0) for event in (REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED)])).codes() == []


@pytest.mark.parametrize(("skew", "codes"), [(10, []), (11, ["replay_out_of_order"])])
def test_clocks_of_two_functions_may_differ_a_little_and_no_more(skew, codes):
    steps = [(REQUESTED, skew), (STARTED, 0), (EXECUTION, 30 + skew), (EXECUTED, 30), (COMPLETED, 40)]
    assert audit(replay(steps=steps)).codes() == codes


def test_one_function_has_one_clock():
    steps = [(REQUESTED, 0), (STARTED, 101), (EXECUTION, 100), (EXECUTED, 130), (COMPLETED, 140)]
    assert audit(replay(steps=steps)).codes() == ["replay_out_of_order"]


def test_a_second_start_for_one_request_has_no_request():
    second = replay(name="second", minutes_ago=59.9)
    assert audit(replay(name="first"), without(second, REQUESTED)).codes() == ["replay_started_without_request"]


def test_an_end_in_another_trace_leaves_a_start_without_end_and_an_end_without_start():
    items = [{**item, "traceId": "elsewhere"} if item["eventType"] == COMPLETED else item for item in replay(minutes_ago=90)]
    assert audit(items).codes() == ["replay_finished_without_start", "replay_not_finished"]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, EXECUTION, EXECUTED])
def test_a_trace_that_holds_an_entry_twice_is_reused(event):
    items = replay()
    assert audit([*items, repeated(of(items, event))]).codes() == ["replay_trace_reused"]


def test_a_trace_of_two_intents_is_reused():
    items = with_data(replay(), COMPLETED, action_intent_id="ai_2_b")
    assert audit(items).codes() == ["replay_trace_reused"]


def test_an_execution_under_its_requests_trace_is_reused():
    assert audit([{**item, "traceId": "one"} for item in replay()]).codes() == ["replay_trace_reused"]


@pytest.mark.parametrize("second", ["REPLAY_COMPLETED", "REPLAY_FAILED"])
def test_a_second_end_is_found_whatever_it_says(second):
    items = replay()
    assert audit([*items, {**repeated(moved(items[-1], 5)), "eventType": second}]).codes() == ["replay_finished_twice"]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED])
def test_an_entry_of_another_tenant_is_found_as_that_alone(event):
    items = [retenanted(item, "globex") if item["eventType"] == event else item for item in replay()]
    assert audit(items).codes() == ["replay_tenant_mismatch"]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED])
def test_an_entry_in_another_tenants_partition_is_found_as_that_alone(event):
    items = [{**item, "pk": "TENANT#globex"} if item["eventType"] == event else item for item in replay()]
    assert audit(items).codes() == ["replay_tenant_mismatch"]


@pytest.mark.parametrize("event", [EXECUTION, EXECUTED, COMPLETED])
def test_an_entry_that_names_another_account_is_found(event):
    items = [{**item, "accountId": "acct-2"} if item["eventType"] == event else item for item in replay()]
    assert audit(items).codes() == ["replay_tenant_mismatch"]


def test_completed_beside_a_failed_action_contradicts():
    items = replay()
    failed = entry("ACTION_FAILED", NOW_MS - HOUR + 2000, trace=items[1]["traceId"])
    assert audit([*items, failed]).codes() == ["replay_contradicts_outcome"]


@pytest.mark.parametrize("dress", [lambda item: item, dynamodb], ids=["plain", "dynamodb"])
@pytest.mark.parametrize(
    ("event", "status", "failed"),
    [
        (COMPLETED, "FAILED", False),
        (COMPLETED, "failed ", False),
        (COMPLETED, "RUNNING", False),
        (COMPLETED, "CANCELLED", False),
        (EXECUTED, "FAILED", False),
        (EXECUTED, "UNKNOWN", False),
        ("REPLAY_FAILED", "SUCCEEDED", True),
        ("ACTION_FAILED", "SUCCEEDED", True),
        ("ACTION_FAILED", "Completed", True),
    ],
)
def test_an_end_whose_own_status_says_otherwise_contradicts(event, status, failed, dress):
    items = with_data(replay(failed=failed), event, status=status)
    assert audit(map(dress, items)).codes() == ["replay_contradicts_outcome"]


@pytest.mark.parametrize(
    ("event", "status", "failed"),
    [
        (COMPLETED, "SUCCEEDED", False),
        (EXECUTED, "SUCCEEDED", False),
        (EXECUTED, None, False),
        ("REPLAY_FAILED", "FAILED", True),
        ("ACTION_FAILED", "TIMED_OUT", True),
        (STARTED, "RUNNING", False),
    ],
)
def test_a_status_that_fits_or_is_absent_says_nothing_more(event, status, failed):
    assert audit(with_data(replay(failed=failed), event, status=status)).codes() == []


def test_a_status_that_is_no_text_is_malformed():
    assert audit(with_data(replay(), COMPLETED, status=7)).codes() == ["ledger_record_malformed", "replay_contradicts_outcome"]


def indexed(items):
    """The items with the index keys that the platform writes."""
    return [
        {
            **item,
            "gsi1pk": f"TRACE#{item['traceId']}",
            "gsi1sk": item["timestamp"],
            "gsi2pk": f"TENANT#{item['tenantId']}",
            "gsi2sk": item["timestamp"],
        }
        for item in items
    ]


@pytest.mark.parametrize("event", [REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED])
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("gsi1pk", "TRACE#trace-of-another", "ledger_index_mismatch"),
        ("gsi1pk", "trace-of-another", "ledger_index_mismatch"),
        ("gsi1pk", "", "ledger_index_mismatch"),
        ("gsi1sk", "2026-11-22T11:00:00.000Z", "ledger_index_mismatch"),
        ("gsi2sk", "yesterday", "ledger_index_mismatch"),
        ("gsi2pk", "TENANT#globex", "replay_tenant_mismatch"),
        ("gsi2pk", "acme", "replay_tenant_mismatch"),
        ("gsi2pk", ["TENANT#acme"], "ledger_record_malformed"),
    ],
)
def test_an_index_key_must_be_the_entrys_own(event, name, value, code):
    items = [{**item, name: value} if item["eventType"] == event else item for item in indexed(replay())]
    assert set(audit(items).codes()) - {"replay_tenant_mismatch"} | {code} == {code}


def test_index_keys_of_the_entry_itself_pass_however_its_time_is_written():
    assert audit(indexed(replay())).codes() == []
    written = [{**item, "gsi1sk": item["timestamp"].replace("Z", "+00:00")} for item in indexed(replay())]
    assert audit(written).codes() == []


@pytest.mark.parametrize("event", [REQUESTED, STARTED, EXECUTION, EXECUTED, COMPLETED])
@pytest.mark.parametrize(
    ("by", "codes"),
    [(0, []), (300_000, []), (-300_000, []), (300_001, ["ledger_entry_misdated"]), (-5 * HOUR, ["ledger_entry_misdated"])],
)
def test_a_timestamp_far_from_the_entry_ids_is_found(event, by, codes):
    def written(item, by):
        entry_id = f"entry-{int(item['entryId'].split('-')[1]) + by}-x-{item['eventType']}"
        return {**item, "entryId": entry_id, "sk": f"ENTRY#{item['timestamp']}#{entry_id}"}

    items = [written(item, by if item["eventType"] == event else 3) for item in replay()]
    assert audit(items).codes() == codes


def test_the_outcome_of_the_same_trace_must_agree_and_that_of_another_need_not():
    items = replay(name="x")
    assert audit(items, outcomes=[outcome("ai_1_a", "trace-x", "SUCCEEDED")]).codes() == []
    assert audit(items, outcomes=[outcome("ai_1_a", "trace-original", "FAILED")]).codes() == []
    assert audit(items, outcomes=[outcome("ai_1_a", "trace-x", "FAILED")]).codes() == ["replay_contradicts_outcome"]


@pytest.mark.parametrize(
    ("status", "trace", "minutes", "codes"),
    [
        ("RUNNING", "trace-x", -1, ["replay_attempt_stuck"]),
        ("RUNNING", "trace-x", 1, []),
        ("RUNNING", "trace-later", -1, []),
        ("SUCCEEDED", "trace-x", -1, []),
    ],
)
def test_an_attempt_of_the_replay_running_beyond_its_ttl_is_stuck(status, trace, minutes, codes):
    item = attempt("ai_1_a", trace, status, ttl=NOW + timedelta(minutes=minutes))
    assert audit(replay(name="x"), attempts=[item]).codes() == codes


def test_replaying_an_intent_more_often_than_allowed_is_a_warning():
    replays = [replay(minutes_ago=60 + 10 * i) for i in range(4)]
    judged = audit(*replays).judged()
    assert (judged.verdict, [finding.code for finding in judged.findings]) == (Verdict.WARN, ["replay_repeated"])
    assert audit(*replays[:3]).codes() == []


def test_one_intent_replayed_concurrently_pairs_request_by_request():
    judged = audit(*(replay(minutes_ago=60 - i / 600) for i in range(3))).judged()
    assert (judged.verdict, judged.facts["completed"]) == (Verdict.PASS, 3)


def test_a_replay_under_way_decides_nothing():
    waiting, running = replay(minutes_ago=4.9), replay(minutes_ago=59)
    under_way = [without(waiting, STARTED, EXECUTION, EXECUTED, COMPLETED), without(running, EXECUTED, COMPLETED)]
    judged = audit(*under_way, replay()).judged()
    assert (judged.verdict, judged.facts["under_way"]) == (Verdict.PASS, 2)
    alone = audit(*under_way).judged()
    assert (alone.verdict, [finding.code for finding in alone.findings]) == (Verdict.INCONCLUSIVE, ["no_replay_in_window"])


@pytest.mark.parametrize(
    "items",
    [[], [entry("DECISION_PROPOSED", NOW_MS - HOUR, trace="t")], replay(minutes_ago=8 * 24 * 60)],
    ids=["empty", "no replay", "old"],
)
def test_no_replay_in_the_window_is_inconclusive(items):
    judged = audit(items).judged()
    assert (judged.verdict, [finding.code for finding in judged.findings]) == (Verdict.INCONCLUSIVE, ["no_replay_in_window"])


def test_a_start_within_the_window_has_its_request_before_it():
    minutes = 7 * 24 * 60 + 0.01  # the request lies just before the window, all else within
    assert audit(replay(minutes_ago=minutes), replay()).codes() == []


def test_a_start_after_evaluation_time_is_still_its_requests_start():
    past = NOW - timedelta(minutes=30)
    items = replay(minutes_ago=36, steps=[(REQUESTED, 0), (STARTED, 1000)])
    table = Audit([*items, *replay(minutes_ago=90)], now=past).judged()
    assert table.verdict is Verdict.PASS


def test_ordinary_executions_and_unknown_events_are_no_business_of_this_row():
    others = [
        entry("EXECUTION_STARTED", NOW_MS - HOUR, trace="t"),
        entry("ACTION_FAILED", NOW_MS - HOUR, trace="t"),
        entry("BILLING_CLOSED", NOW_MS - HOUR, trace="t", data="whatever"),
        entry("SIGNAL", NOW_MS - HOUR, trace="t"),
    ]
    assert audit(replay(), others).codes() == []


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        ({"eventType": None}, "eventType"),
        ({"eventType": "replay_completed"}, "eventType"),
        ({"eventType": "ReplayCompleted"}, "eventType"),
        ({"eventType": "REPLAY_COMPLETED\u200b"}, "eventType"),
        ({"eventType": "REPLAY-DONE"}, "eventType"),
        ({"tenantId": ""}, "tenantId"),
        ({"tenantId": 7}, "tenantId"),
        ({"traceId": None}, "traceId"),
        ({"entryId": None}, "entryId"),
        ({"accountId": None}, "accountId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-11-23T11:00:02.140"}, "timestamp"),
        ({"timestamp": 1795424886810}, "timestamp"),
        ({"timestamp": "2026-11-23T10:59:00.000Z"}, "sk"),
        ({"sk": "ENTRY#2026-11-23T11:00:02.140Z#entry-other"}, "sk"),
        ({"sk": "2026-11-23T11:00:02.140Z"}, "sk"),
        ({"pk": "acme"}, "pk"),
        ({"data": None}, "data"),
        ({"data": "text"}, "data"),
        ({"data": {"replay_reason": "x", "requested_by": "y"}}, "data.action_intent_id"),
        ({"data": {"action_intent_id": "ai_1_a", "replay_reason": 3, "requested_by": "y"}}, "data.replay_reason"),
        ({"data": {"action_intent_id": "ai_1_a", "replay_reason": "r", "requested_by": ["y"]}}, "data.requested_by"),
    ],
)
def test_a_malformed_entry_is_an_error_that_names_key_and_attribute(change, attribute):
    items = replay()
    judged = audit([*items[:-1], {**items[-1], **change}]).judged()
    assert judged.verdict is Verdict.ERROR
    found = [finding for finding in judged.findings if finding.code == "ledger_record_malformed"]
    assert [finding.subject.rsplit(": ", 1)[-1] for finding in found] == [attribute]
    assert "ENTRY#" in found[0].subject or attribute == "sk"


@pytest.mark.parametrize("item", [None, 3, "text", [], {}, {"pk": {"S": "TENANT#acme"}}])
def test_what_is_no_ledger_item_is_an_error_and_no_exception(item):
    assert "ledger_record_malformed" in audit(replay(), [item]).codes()


def test_a_timestamp_without_milliseconds_is_read():
    items = [
        {**item, "timestamp": item["timestamp"][:19] + "Z", "sk": f"ENTRY#{item['timestamp'][:19]}Z#{item['entryId']}"}
        for item in replay()
    ]
    assert audit(items).codes() == []


def test_ids_with_number_signs_are_read():
    assert audit(replay(tenant="a#b", account="c#d", entry_id=None, intent="ai#1")).codes() == []


def test_an_entry_ahead_of_the_clock_is_malformed():
    assert audit(replay(), [entry("REPLAY_REQUESTED", NOW_MS + HOUR, trace="t")]).codes() == ["ledger_record_malformed"]


def test_a_malformed_outcome_or_attempt_is_an_error():
    broken = {**outcome("ai_1_a", "t", "SUCCEEDED"), "status": {"N": "1"}}
    assert audit(replay(), outcomes=[broken]).codes() == ["ledger_record_malformed"]
    assert audit(replay(), attempts=["x"]).codes() == ["ledger_record_malformed"]


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [(ReadStatus.PARTIAL, Verdict.INCONCLUSIVE, "partial_data"), (ReadStatus.DENIED, Verdict.ERROR, "read_failed")],
)
def test_what_a_page_that_did_not_come_may_hold_is_not_called_absent(status, verdict, code):
    judged = audit(without(replay(), STARTED, COMPLETED), replay(), reads=[read(), read(status)]).judged()
    assert (judged.verdict, {finding.code for finding in judged.findings}) == (verdict, {code})


def test_a_table_without_its_reads_is_an_error():
    assert audit(replay(), reads=[]).judged().verdict is Verdict.ERROR


def test_the_history_shows_what_was_taken_from_the_ledger():
    seen = {"pk": "TENANT#acme", "sk": "ENTRY#1#e", "run_id": "run-1", "observed_at": "2026-11-22T12:00:00.000Z"}
    history = {
        "runs": 2,
        "compared": 9,
        "missing": [seen],
        "missing_count": 101,
        "changed": [seen],
        "changed_count": 1,
        "broken": ["x"],
    }
    assert audit(replay(), history=history).codes() == [
        "ledger_entry_changed",
        "ledger_entry_missing",
        "ledger_entry_missing",
        "ledger_history_broken",
    ]


def test_many_findings_of_one_code_are_counted_and_not_all_listed():
    replays = [without(replay(intent=f"ai_{i}"), STARTED, EXECUTION, EXECUTED, COMPLETED) for i in range(150)]
    judged = audit(*replays).judged()
    assert (len(judged.findings), judged.facts["not_started"]) == (101, 150)


def test_deadlines_are_the_policys():
    items = without(replay(minutes_ago=3), STARTED, EXECUTION, EXECUTED, COMPLETED)
    assert audit(items, replay(), policy=ReplayPolicy(start_deadline_minutes=2)).codes() == ["replay_not_started"]


def test_the_timeline_cannot_be_broken_by_what_a_reason_holds():
    text = timeline(audit(replay(reason="a | b `c`\n| d")).table())
    assert len(text.splitlines()) == 5
    assert "a \\| b 'c' \\| d" in text
