"""The executor: what an execution writes where, in which order, and what it refuses."""

import json
import re
import threading
from datetime import timedelta

import pytest

from phase5_ops.ccnative.metrics import LATENCY, SUCCESS
from phase5_ops.sandbox.aws.inside import from_item
from phase5_ops.sandbox.ccnative.executor import GLOBAL_STOP, STARTER, VALIDATOR
from phase5_ops.sandbox.state import records
from phase5_ops.sandbox.state.blueprint import NAMESPACE
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A
from phase5_ops.sandbox.state.records import ATTEMPTS, DEDUPE, NOTES, OUTCOMES, RESILIENCE, SIGNALS, TASKS, TENANTS
from phase5_ops_tests.sandbox.ccnative.stored_items import OWN

pytestmark = pytest.mark.slow

EXECUTED = ["EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL"]
REPLAYED = ["REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED", "SIGNAL"]
LINE = re.compile(r"\[(?P<at>[^]]+Z)\] \[(?P<level>INFO|ERROR)\] \[\w+\] (?P<message>.*?) (?P<fields>\{.*\})", re.DOTALL)


def partition(ccnative, table, account=OWN):
    """The items of an account's partition."""
    key = {":pk": {"S": records.account_key(A.tenant_id, account)}}
    found = ccnative.aws.dynamodb.query(TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=key)
    return [from_item(item) for item in found["Items"]]


def lines_about(ccnative, function, intent):
    """(level, message, fields) of a function's lines that name an intent."""
    found = [LINE.fullmatch(message) for message in ccnative.log(function) if intent in message]
    return [(line["level"], line["message"], json.loads(line["fields"])) for line in found]


def test_an_approved_intent_is_executed_and_everything_is_written(ccnative):
    intent = ccnative.intent(parameters={"content": "Renewal in 80 days"})
    ccnative.approve(intent, approval_source="HUMAN", auto_executed=False)
    entries = ccnative.entries(intent)
    assert [entry["eventType"] for entry in entries] == EXECUTED
    started, executed, signalled = entries
    attempt = ccnative.item(ATTEMPTS, intent, "EXECUTION")
    outcome = ccnative.item(OUTCOMES, intent, "OUTCOME")
    assert started["data"]["attempt_id"] == attempt["last_attempt_id"]
    assert started["data"]["idempotency_key"] == attempt["idempotency_key"]
    assert started["data"]["decision_trace_id"] == "trace-decision"
    assert (attempt["status"], attempt["attempt_count"]) == ("SUCCEEDED", 1)
    assert attempt["trace_id"] == outcome["trace_id"] == started["traceId"]
    assert (outcome["status"], outcome["tool_name"]) == ("SUCCEEDED", "internal-create-note___internal.create_note")
    assert (outcome["approval_source"], outcome["auto_executed"]) == ("HUMAN", False)
    reference = executed["data"]["external_object_refs"][0]
    assert [reference] == outcome["external_object_refs"]
    note = next(note for note in partition(ccnative, NOTES) if note["note_id"] == reference["object_id"])
    assert note["content"] == "Renewal in 80 days"
    signal = ccnative.aws.get(SIGNALS, tenantId=A.tenant_id, signalId=f"exec-{intent}-{OWN}-ACTION_EXECUTED")
    assert signal["traceId"] == started["traceId"]
    assert signalled["data"]["signalId"] == signal["signalId"]
    assert lines_about(ccnative, "internal-adapter-handler", intent)  # else nobody can tell whose its lines are
    assert signalled["evidenceRefs"][0]["location"] == f"execution://{A.tenant_id}/{OWN}/{intent}"


def test_an_intent_is_executed_once_however_often_it_is_approved(ccnative):
    intent = ccnative.intent()
    for _ in range(5):
        ccnative.approve(intent)
    assert ccnative.events(intent) == EXECUTED
    failed = [line for line in lines_about(ccnative, "execution-starter", intent) if line[0] == "ERROR"]
    assert [line[2]["errorName"] for line in failed] == ["ExecutionAlreadyStartedError"] * 4


def test_a_replay_is_a_new_execution_of_the_same_intent_beside_the_first_outcome(ccnative):
    intent = ccnative.intent(parameters={})
    ccnative.approve(intent)
    assert ccnative.events(intent) == ["EXECUTION_STARTED", "ACTION_FAILED", "SIGNAL"]
    first = ccnative.item(OUTCOMES, intent, "OUTCOME")
    ccnative.aws.put(
        records.INTENTS, ccnative.item(records.INTENTS, intent, "ACTION_INTENT") | {"parameters": {"content": "now"}}
    )
    assert ccnative.replay(intent) == 202
    entries = ccnative.entries(intent)
    assert [entry["eventType"] for entry in entries[3:]] == REPLAYED
    assert ccnative.item(OUTCOMES, intent, "OUTCOME") == first
    attempt = ccnative.item(ATTEMPTS, intent, "EXECUTION")
    assert (attempt["status"], attempt["attempt_count"], attempt["trace_id"]) == ("SUCCEEDED", 2, entries[4]["traceId"])
    assert entries[4]["data"]["attempt_id"] == attempt["last_attempt_id"]


def test_replays_at_the_same_time_never_share_an_attempt(ccnative):
    intent = ccnative.intent()
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ccnative.replay(intent))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = ccnative.entries(intent)
    started = [entry for entry in entries if entry["eventType"] == "REPLAY_STARTED"]
    requested = [entry for entry in entries if entry["eventType"] == "REPLAY_REQUESTED"]
    assert set(answers) <= {202, 409}  # one that meets another under way is refused
    assert 1 <= len(requested) == answers.count(202)
    assert 1 <= len(started) == len({entry["data"]["attempt_id"] for entry in started})
    assert len([entry for entry in entries if entry["eventType"] == "REPLAY_COMPLETED"]) == len(started)
    assert ccnative.item(ATTEMPTS, intent, "EXECUTION")["attempt_count"] == len(started)


def test_a_tool_that_reports_a_failure_ends_in_a_failure_with_a_signal(ccnative):
    intent = ccnative.intent(action_type="CREATE_INTERNAL_TASK", parameters={})
    ccnative.approve(intent)
    entries = ccnative.entries(intent)
    assert [entry["eventType"] for entry in entries] == ["EXECUTION_STARTED", "ACTION_FAILED", "SIGNAL"]
    assert entries[1]["data"]["status"] == "FAILED"
    assert entries[1]["data"]["attempt_count"] == 1
    assert ccnative.item(OUTCOMES, intent, "OUTCOME")["error_message"] == "Missing required field: title"
    assert entries[2]["data"]["severity"] == "medium"


def test_a_replay_that_fails_with_its_hole_ends_in_replay_failed(ccnative):
    ccnative.platform_faults.add(PlatformFault.REPLAY_FAILS)
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent)[1:] == ["REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_FAILED", "REPLAY_FAILED", "SIGNAL"]


def test_a_replay_that_never_finishes_with_its_hole_keeps_its_attempt_running(ccnative):
    ccnative.platform_faults.add(PlatformFault.REPLAY_NEVER_FINISHES)
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent) == ["REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED"]
    assert ccnative.item(ATTEMPTS, intent, "EXECUTION")["status"] == "RUNNING"


def test_a_replay_that_is_not_started_with_its_hole_leaves_the_request_alone(ccnative):
    ccnative.platform_faults.add(PlatformFault.REPLAY_NOT_STARTED)
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent) == ["REPLAY_REQUESTED"]


REFUSED = ["EXECUTION_STARTED", "ACTION_FAILED"]


@pytest.mark.parametrize("switch", [{"execution_enabled": False}, {"disabled_action_types": ["CREATE_INTERNAL_NOTE"]}])
def test_a_tenants_kill_switch_refuses_executions_and_replays(ccnative, switch):
    tenant = ccnative.aws.get(TENANTS, tenantId=A.tenant_id)
    ccnative.aws.put(TENANTS, tenant | switch)
    try:
        intent, again = ccnative.intent(), ccnative.intent()
        ccnative.approve(intent)
        assert ccnative.replay(again) == 202
        entries = ccnative.entries(intent)
        assert [entry["eventType"] for entry in entries] == REFUSED
        assert ccnative.events(again)[1:] == ["REPLAY_STARTED", *REFUSED, "REPLAY_FAILED"]
    finally:
        ccnative.aws.put(TENANTS, tenant)
    assert "KillSwitchEnabledError" in entries[1]["data"]["error_message"]
    assert not {"status", "attempt_count"} & entries[1]["data"].keys()
    outcome = ccnative.item(OUTCOMES, intent, "OUTCOME")
    assert (outcome["tool_name"], outcome["tool_run_ref"]) == ("unknown", f"pre-tool-failure-{intent}")
    assert ccnative.item(ATTEMPTS, intent, "EXECUTION")["last_error_class"] == "UNKNOWN"


def test_the_global_stop_refuses_and_is_seen_in_the_functions_configuration(ccnative):
    functions = ccnative.client("lambda")

    def stop(value):
        functions.update_function_configuration(FunctionName=VALIDATOR, Environment={"Variables": {GLOBAL_STOP: value}})

    for name in (STARTER, VALIDATOR):
        assert functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"][GLOBAL_STOP] == "false"
    stop("true")
    try:
        intent = ccnative.intent()
        ccnative.approve(intent)
        assert ccnative.events(intent) == REFUSED
    finally:
        stop("false")


def test_an_expired_intent_is_refused(ccnative):
    intent = ccnative.intent(expires_at_epoch=int(ccnative.sandbox.clock.now().timestamp()) - 1)
    ccnative.approve(intent)
    assert ccnative.events(intent) == REFUSED
    assert "IntentExpiredError" in ccnative.item(OUTCOMES, intent, "OUTCOME")["error_message"]


def test_an_open_breaker_refuses_without_a_metric(ccnative):
    key = {"pk": "CONNECTOR#crm_salesforce", "sk": "STATE"}
    before = ccnative.aws.get(RESILIENCE, **key)
    until = int(ccnative.sandbox.clock.now().timestamp()) + 3600
    ccnative.aws.put(RESILIENCE, before | {"state": "OPEN", "failure_count": 5, "open_until_epoch_sec": until})
    try:
        intent = ccnative.intent(action_type="CREATE_CRM_TASK")
        ccnative.approve(intent)
        assert ccnative.events(intent) == REFUSED
    finally:
        ccnative.aws.put(RESILIENCE, before)


def test_an_open_breaker_past_its_cooldown_is_closed_by_a_success(ccnative):
    key = {"pk": "CONNECTOR#crm_salesforce", "sk": "STATE"}
    before = ccnative.aws.get(RESILIENCE, **key)
    past = int(ccnative.sandbox.clock.now().timestamp()) - 1
    ccnative.aws.put(RESILIENCE, before | {"state": "OPEN", "failure_count": 5, "open_until_epoch_sec": past})
    intent = ccnative.intent(action_type="CREATE_CRM_TASK")
    ccnative.approve(intent)
    assert ccnative.events(intent) == EXECUTED
    after = ccnative.aws.get(RESILIENCE, **key)
    assert (after["state"], after["failure_count"]) == ("CLOSED", 0)
    assert not {"open_until_epoch_sec", "half_open_probe_in_flight"} & after.keys()


def test_a_crm_object_is_made_once_for_an_idempotency_key(ccnative):
    intent = ccnative.intent(action_type="CREATE_CRM_TASK")
    ccnative.approve(intent)
    assert ccnative.events(intent) == EXECUTED
    assert ccnative.replay(intent) == 202
    references = [
        entry["data"]["external_object_refs"] for entry in ccnative.entries(intent) if entry["eventType"] == "ACTION_EXECUTED"
    ]
    assert references[0] == references[1]
    key = ccnative.item(ATTEMPTS, intent, "EXECUTION")["idempotency_key"]
    latest = ccnative.aws.get(DEDUPE, pk=f"IDEMPOTENCY_KEY#{key}", sk="LATEST")
    assert ccnative.aws.get(DEDUPE, pk=latest["pk"], sk=latest["latest_sk"])["external_object_refs"] == references[0]


def test_a_task_keeps_title_and_description(ccnative):
    intent = ccnative.intent(action_type="CREATE_INTERNAL_TASK", parameters={"title": intent_title(), "description": "d"})
    ccnative.approve(intent)
    assert ccnative.events(intent) == EXECUTED
    assert [task["description"] for task in partition(ccnative, TASKS) if task["title"] == intent_title()] == ["d"]


def intent_title():
    return "the title of one test"


def test_slots_are_given_back_and_metrics_emitted(ccnative):
    def calls(metric):
        base = [{"Name": "tool_name", "Value": "internal.create_note"}, {"Name": "connector_id", "Value": "internal"}]
        now = ccnative.sandbox.clock.now()
        window = {"StartTime": now - timedelta(minutes=10), "EndTime": now + timedelta(minutes=5), "Period": 60}
        return sum(
            point["SampleCount"]
            for dimensions in (base, [*base, {"Name": "tenant_id", "Value": A.tenant_id}])
            for point in ccnative.client("cloudwatch").get_metric_statistics(
                Namespace=NAMESPACE, MetricName=metric, Dimensions=dimensions, Statistics=["SampleCount"], **window
            )["Datapoints"]
        )

    before = calls(SUCCESS), calls(LATENCY)
    intent = ccnative.intent()
    ccnative.approve(intent)
    assert ccnative.events(intent) == EXECUTED
    assert (calls(SUCCESS), calls(LATENCY)) == (before[0] + 1, before[1] + 1)
    assert ccnative.aws.get(RESILIENCE, pk="CONNECTOR#internal", sk="CONCURRENCY")["in_flight_count"] == 0


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"data": None},
        {"data": []},
        {"data": {"action_intent_id": 7, "tenant_id": None}},
        {"data": {"action_intent_id": "ai_1_unknown", "tenant_id": A.tenant_id, "account_id": OWN}},
    ],
)
@pytest.mark.parametrize("kind", ["ACTION_APPROVED", "REPLAY_REQUESTED"])
def test_an_event_that_cannot_be_started_leaves_a_line_and_nothing_else(ccnative, kind, detail):
    before = len([line for line in ccnative.log("execution-starter") if "Execution starter failed" in line])
    ccnative.put_event(kind, detail)
    assert ccnative.events("ai_1_unknown") == []
    assert len([line for line in ccnative.log("execution-starter") if "Execution starter failed" in line]) == before + 1


def test_events_of_another_source_bus_or_kind_are_not_executed(ccnative):
    intent = ccnative.intent()
    names = {"data": {"action_intent_id": intent, "tenant_id": A.tenant_id, "account_id": OWN}}
    ccnative.approve(intent, bus="default")
    ccnative.put_event("ACTION_APPROVED", names, source="somebody.else")
    ccnative.put_event("ACTION_REJECTED", names)
    assert ccnative.events(intent) == []


def test_a_disabled_rule_delivers_nothing(ccnative):
    events = ccnative.client("events")
    rule = {"Name": "cc-native-action-approved", "EventBusName": "cc-native-events"}
    events.disable_rule(**rule)
    try:
        intent = ccnative.intent()
        ccnative.approve(intent)
        assert ccnative.events(intent) == []
    finally:
        events.enable_rule(**rule)


def test_faults_of_the_endpoint_do_not_strike_the_platform(ccnative):
    intent = ccnative.intent()
    for kind in ("denied", "throttle"):
        ccnative.sandbox.faults.add(kind, service="dynamodb")
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent) == REPLAYED


def test_an_executions_log_lines_have_the_platforms_fields(ccnative):
    intent = ccnative.intent()
    ccnative.approve(intent)
    trace = ccnative.entries(intent)[0]["traceId"]
    names = {"action_intent_id": intent, "tenant_id": A.tenant_id, "account_id": OWN}
    assert lines_about(ccnative, "execution-starter", intent) == [
        ("INFO", "Execution starter invoked", {**names, "executionTraceId": trace, "is_replay": False})
    ]
    assert lines_about(ccnative, "execution-validator", intent) == [
        ("INFO", "Execution validator invoked", {**names, "trace_id": trace})
    ]
    assert lines_about(ccnative, "tool-mapper", intent) == [
        ("INFO", "Tool mapper invoked", {**names, "trace_id": trace, "registry_version": 1})
    ]
    assert [line[1] for line in lines_about(ccnative, "tool-invoker", intent)] == [
        "Tool invoker invoked",
        "MCP tools/call request",
    ]
    assert [line[1] for line in lines_about(ccnative, "execution-recorder", intent)] == [
        "Execution recorder invoked",
        "Execution signal created",
    ]


def test_the_lines_of_an_invocation_are_framed_in_a_stream_of_its_own(ccnative):
    intents = [ccnative.intent() for _ in range(4)]
    for intent in intents:
        ccnative.approve(intent)
    assert [ccnative.events(intent) for intent in intents] == [EXECUTED] * 4
    logs = ccnative.client("logs")
    group = "/aws/lambda/cc-native-tool-invoker"
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        name = stream["logStreamName"]
        lines = [e["message"] for e in logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]]
        open_request = None
        for line in lines:
            if line.startswith("START"):
                assert open_request is None
                open_request = line.split()[2]
            elif line.startswith("END"):
                assert line.split()[2] == open_request
                open_request = None
            elif not line.startswith("REPORT"):
                assert open_request is not None
        assert open_request is None


def test_the_access_trail_has_every_call_of_an_execution_with_its_keys(ccnative):
    intent = ccnative.intent()
    ccnative.approve(intent)
    trace = ccnative.entries(intent)[0]["traceId"]
    calls = ccnative.sandbox.trail.of(trace)
    written = [(access.operation, access.table) for access in calls if access.operation in ("PutItem", "UpdateItem")]
    assert written == [
        ("PutItem", ATTEMPTS),
        ("PutItem", records.LEDGER),
        ("UpdateItem", RESILIENCE),
        ("PutItem", NOTES),
        ("UpdateItem", RESILIENCE),
        ("PutItem", OUTCOMES),
        ("UpdateItem", ATTEMPTS),
        ("PutItem", records.LEDGER),
        ("PutItem", SIGNALS),
        ("PutItem", records.LEDGER),
    ]
    assert {access.actor.function for access in calls} >= {STARTER, VALIDATOR, "cc-native-tool-invoker"}
    first = calls[0]
    assert (first.operation, first.request["Key"]["sk"]["S"]) == ("GetItem", f"ACTION_INTENT#{intent}")
    assert all(access.index is None for access in calls)
    assert [access.operation for access in calls if access.service == "events"] == ["PutEvents"]


def test_a_healthy_platform_has_a_past_with_a_failed_original_beside_its_replay(ccnative):
    ledger = ccnative.aws.dynamodb.get_paginator("scan").paginate(TableName=records.LEDGER).build_full_result()["Items"]
    entries = [from_item(item) for item in ledger if "phase5" not in item["pk"]["S"]]
    kinds = [entry["eventType"] for entry in entries]
    assert kinds.count("REPLAY_REQUESTED") == kinds.count("REPLAY_STARTED") == kinds.count("REPLAY_COMPLETED") == 4
    replayed = {entry["data"]["action_intent_id"] for entry in entries if entry["eventType"] == "REPLAY_COMPLETED"}
    failed = {entry["data"]["action_intent_id"] for entry in entries if entry["eventType"] == "ACTION_FAILED"}
    assert replayed & failed
    assert failed - replayed
