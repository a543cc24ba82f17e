"""Each target takes an order once, tells its own from another's, and never says yes for what it did not clearly take."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar
from uuid import uuid4

import pytest
from botocore.stub import ANY, Stubber
from pydantic import ValidationError

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, OrderKind, Publication, idempotency_key, key_in, message
from phase5_ops.gate.promotion.targets.choice import iam_actions, publish
from phase5_ops.gate.records import Release
from phase5_ops.policy import PromotionPolicy
from phase5_ops.settings import ReadingSettings

RELEASE = Release("r-1.2.3", "sha256:" + "d" * 64, "production")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REGION = "us-west-2"


def order(series: int = 1, **context: str) -> Order:
    return Order(RELEASE, series, idempotency_key(RELEASE, series), NOW, OrderKind.OPEN, b"{}", context)


def said(answer) -> Publication:
    return answer.publication


def test_the_key_is_the_same_everywhere_and_another_for_another_series_or_digest():
    assert idempotency_key(RELEASE, 1) == idempotency_key(RELEASE, 1)
    other = replace(RELEASE, digest="sha256:" + "e" * 64)
    assert len({idempotency_key(RELEASE, 1), idempotency_key(RELEASE, 2), idempotency_key(other, 1)}) == 3


@pytest.mark.parametrize("text", [None, "", "v1.2.3", "[]", '{"idempotency_key": "x"}', '{"schema": "phase5.promotion/v2"}'])
def test_what_is_no_message_of_ours_has_no_key(text):
    assert key_in(text) is None


def test_a_message_says_its_key():
    assert key_in(message(order()).decode()) == order().key


@pytest.mark.parametrize(
    ("target", "missing"),
    [("ssm", "ssm_parameter"), ("codepipeline", "pipeline"), ("stepfunctions", "state_machine_arn"), ("webhook", "webhook_url")],
)
def test_a_target_without_its_address_is_a_configuration_error(target, missing):
    with pytest.raises(ValidationError, match=missing):
        PromotionPolicy(target=target)


@pytest.mark.parametrize("url", ["http://example.com/hook", "https://user:secret@example.com/", "ftp://x"])
def test_a_webhook_is_https_and_holds_no_secret(url):
    with pytest.raises(ValidationError):
        PromotionPolicy(target="webhook", webhook_url=url)


def test_the_record_alone_is_a_target():
    assert said(publish(None, PromotionPolicy(), order())) is Publication.PUBLISHED
    assert iam_actions(PromotionPolicy()) == ()


# --- EventBridge -------------------------------------------------------------------------------------------------------------


def test_an_event_reaches_the_bus_with_the_key(reader, aws):
    events, sqs = aws.client("events"), aws.client("sqs")
    queue = sqs.create_queue(QueueName=f"q-{uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = f"bus-{uuid4().hex[:8]}"
    events.create_event_bus(Name=bus)
    events.put_rule(Name="r", EventBusName=bus, EventPattern=json.dumps({"source": ["phase5.readiness"]}))
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
    assert said(publish(reader, PromotionPolicy(target="eventbridge", event_bus=bus), order())) is Publication.PUBLISHED
    received = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert (received["detail-type"], received["detail"]["idempotency_key"]) == ("Release Promoted", order().key)


def _stubbed(aws, service: str) -> tuple[AwsReader, Stubber]:
    reader = AwsReader(ReadingSettings(max_attempts=1, deadline_seconds=30), session=aws)
    stub = Stubber(reader.client(service))
    stub.activate()
    return reader, stub


def test_an_event_that_the_bus_did_not_take_is_not_published_although_the_call_succeeded(aws):
    reader, stub = _stubbed(aws, "events")
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "again"}]}
    stub.add_response("put_events", refused, {"Entries": ANY})
    answer = publish(reader, PromotionPolicy(target="eventbridge"), order())
    assert (answer.effective, "InternalFailure" in answer.answer) == (False, True)


def test_an_event_answer_without_an_event_id_is_not_published(aws):
    reader, stub = _stubbed(aws, "events")
    stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": []}, {"Entries": ANY})
    assert said(publish(reader, PromotionPolicy(target="eventbridge"), order())) is Publication.UNKNOWN


# --- SSM ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ssm() -> PromotionPolicy:
    return PromotionPolicy(target="ssm", ssm_parameter=f"/phase5/{uuid4().hex[:8]}")


def test_a_parameter_is_written_once_for_an_order(reader, aws, ssm):
    assert said(publish(reader, ssm, order())) is Publication.PUBLISHED
    assert said(publish(reader, ssm, order())) is Publication.ALREADY
    parameter = aws.client("ssm").get_parameter(Name=ssm.ssm_parameter)["Parameter"]
    assert (parameter["Version"], key_in(parameter["Value"])) == (1, order().key)


def test_a_late_repeat_never_puts_an_older_release_over_a_newer_one(reader, aws, ssm):
    for each in (order(1), order(2), order(1)):
        assert publish(reader, ssm, each).effective
    assert key_in(aws.client("ssm").get_parameter(Name=ssm.ssm_parameter)["Parameter"]["Value"]) == order(2).key


def test_a_parameter_that_somebody_else_wrote_is_replaced(reader, aws, ssm):
    aws.client("ssm").put_parameter(Name=ssm.ssm_parameter, Value="v1.0", Type="String")
    assert publish(reader, ssm, order()).answer.startswith("version 2")


@pytest.mark.parametrize("operation", ["ssm:GetParameterHistory", "ssm:PutParameter"])
def test_a_denied_parameter_is_refused_and_says_the_call(aws, ssm, operation):
    reader, stub = _stubbed(aws, "ssm")
    if operation == "ssm:PutParameter":
        stub.add_response("get_parameter_history", {"Parameters": []})
        stub.add_client_error("put_parameter", "AccessDeniedException")
    else:
        stub.add_client_error("get_parameter_history", "AccessDeniedException")
    answer = publish(reader, ssm, order())
    assert (said(answer), operation in answer.answer) == (Publication.REFUSED, True)


# --- Step Functions ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(aws) -> PromotionPolicy:
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    role = "arn:aws:iam::123456789012:role/deploy"
    made = aws.client("stepfunctions").create_state_machine(name=f"m-{uuid4().hex[:8]}", definition=definition, roleArn=role)
    return PromotionPolicy(target="stepfunctions", state_machine_arn=made["stateMachineArn"])


def test_an_execution_is_started_once_for_an_order(reader, aws, machine):
    assert said(publish(reader, machine, order())) is Publication.PUBLISHED
    assert said(publish(reader, machine, order())) is Publication.ALREADY
    executions = aws.client("stepfunctions").list_executions(stateMachineArn=machine.state_machine_arn)["executions"]
    assert len(executions) == 1


def test_an_execution_of_our_name_with_another_input_is_somebody_elses(reader, aws, machine):
    client = aws.client("stepfunctions")
    client.start_execution(stateMachineArn=machine.state_machine_arn, name=f"phase5-{order().key}", input="{}")
    assert said(publish(reader, machine, order())) is Publication.TAKEN


def test_an_express_state_machine_is_refused(aws, machine):
    reader, stub = _stubbed(aws, "stepfunctions")
    described = {
        "stateMachineArn": machine.state_machine_arn,
        "name": "m",
        "definition": "{}",
        "roleArn": "arn:aws:iam::123456789012:role/deploy",
        "type": "EXPRESS",
        "creationDate": NOW,
    }
    stub.add_response("describe_state_machine", described)
    assert said(publish(reader, machine, order())) is Publication.REFUSED


# --- CodePipeline ------------------------------------------------------------------------------------------------------------

PIPELINE = PromotionPolicy(target="codepipeline", pipeline="p", pipeline_stage="Prod", pipeline_action="Approve")
TOKEN = "1a2b3c4d-573f-4ea7-a67E-XAMPLETOKEN"


def _state(execution: str = "e-1", status: str = "InProgress", token: str | None = TOKEN, summary: str = "") -> dict:
    latest = {"status": status, **({"summary": summary} if summary else {}), **({"token": token} if token else {})}
    stage = {
        "stageName": "Prod",
        "latestExecution": {"pipelineExecutionId": execution, "status": "InProgress"},
        "actionStates": [{"actionName": "Approve", "latestExecution": latest}],
    }
    return {"pipelineName": "p", "stageStates": [{"stageName": "Build"}, stage]}


def _approved(summary: object = ANY) -> dict:
    return {
        "pipelineName": "p",
        "stageName": "Prod",
        "actionName": "Approve",
        "token": TOKEN,
        "result": {"summary": summary, "status": "Approved"},
    }


def test_the_action_of_the_candidates_own_execution_is_approved_with_the_key(aws):
    reader, stub = _stubbed(aws, "codepipeline")
    stub.add_response("get_pipeline_state", _state(), {"name": "p"})
    summary = f"phase5 OPEN r-1.2.3 decided 2026-11-23T12:00:00.000Z key {order().key}"
    stub.add_response("put_approval_result", {"approvedAt": NOW}, _approved(summary))
    assert said(publish(reader, PIPELINE, order(pipeline_execution_id="e-1"))) is Publication.PUBLISHED
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("state", "context", "expected"),
    [
        (_state("e-2"), "e-1", Publication.REFUSED),
        (_state(status="Succeeded", token=None, summary=f"key {order().key}"), "e-1", Publication.ALREADY),
        (_state(status="Succeeded", token=None, summary="approved by hand"), "e-1", Publication.TAKEN),
        (_state(status="Failed", token=None, summary=f"key {order().key}"), "e-1", Publication.TAKEN),
        (_state(status="InProgress", token=None), "e-1", Publication.REFUSED),
        ({"pipelineName": "p"}, "e-1", Publication.REFUSED),
    ],
    ids=["another execution", "ours before", "by hand", "rejected", "no token yet", "no such stage"],
)
def test_nothing_is_approved_that_does_not_wait_for_this_candidate(aws, state, context, expected):
    reader, stub = _stubbed(aws, "codepipeline")
    stub.add_response("get_pipeline_state", state)
    assert said(publish(reader, PIPELINE, order(pipeline_execution_id=context))) is expected


def test_a_candidate_without_a_pipeline_execution_approves_nothing(aws):
    reader, _ = _stubbed(aws, "codepipeline")
    assert said(publish(reader, PIPELINE, order())) is Publication.REFUSED


@pytest.mark.parametrize("code", ["ApprovalAlreadyCompletedException", "InvalidApprovalTokenException"])
@pytest.mark.parametrize(
    ("summary", "expected"),
    [(f"key {order().key}", Publication.ALREADY), ("by hand", Publication.TAKEN)],
    ids=["ours", "anothers"],
)
def test_an_approval_that_was_over_is_told_apart_by_its_summary(aws, code, summary, expected):
    reader, stub = _stubbed(aws, "codepipeline")
    stub.add_response("get_pipeline_state", _state())
    stub.add_client_error("put_approval_result", code)
    stub.add_response("get_pipeline_state", _state(status="Succeeded", token=None, summary=summary))
    assert said(publish(reader, PIPELINE, order(pipeline_execution_id="e-1"))) is expected


# --- webhook -----------------------------------------------------------------------------------------------------------------


class _Receiver(BaseHTTPRequestHandler):
    status = 200
    received: ClassVar[list[tuple[str, dict]]] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.headers["Idempotency-Key"], body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        if self.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook():
    class Receiver(_Receiver):
        received: ClassVar[list[tuple[str, dict]]] = []

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield Receiver, PromotionPolicy(target="webhook", webhook_url=f"http://127.0.0.1:{server.server_port}/h")
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Publication.PUBLISHED),
        (202, Publication.PUBLISHED),
        (302, Publication.REFUSED),
        (403, Publication.REFUSED),
        (409, Publication.UNKNOWN),
        (429, Publication.UNKNOWN),
        (503, Publication.UNKNOWN),
    ],
)
def test_a_webhook_is_told_once_with_key_and_decision_and_only_2xx_counts(reader, hook, status, expected):
    receiver, policy = hook
    receiver.status = status
    assert said(publish(reader, policy, order())) is expected
    [(key, body)] = receiver.received
    assert (key, body["idempotency_key"], body["decision_envelope"]) == (order().key, order().key, "e30=")


def test_a_webhook_that_nobody_serves_leaves_the_effect_unknown(reader):
    policy = PromotionPolicy(target="webhook", webhook_url="http://127.0.0.1:9/h")
    assert said(publish(reader, policy, order())) is Publication.UNKNOWN
