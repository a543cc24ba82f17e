"""AwsReader against a scripted endpoint: what AWS and the network can do becomes the status of the read."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from phase5_ops.aws.reader import Answer, AwsReader, CallMeter, DeadlineExceeded, describe_failure, within
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings

pytestmark = pytest.mark.over_sockets

OK = (200, {"Items": [], "Count": 0})


def page(*names, more=False):
    key = {"LastEvaluatedKey": {"pk": {"S": names[-1]}}} if more else {}
    return 200, {"Items": [{"pk": {"S": name}} for name in names], **key}


def refusal(code, status=400):
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"{code} it is"}


class Endpoint(ThreadingHTTPServer):
    """Answers with `script`, one entry a request, the last one for ever; an entry may be a function of the handler."""

    daemon_threads = True
    request_queue_size = 64  # the standard library's five are fewer than the threads that a test lets call at once

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = [OK]
        self.requests = 0
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """A client that went away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        entry = self.server.script[min(self.server.requests, len(self.server.script) - 1)]
        self.server.requests += 1
        if callable(entry):
            entry(self)
            return
        status, content = entry
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


def hang(handler):
    handler.server.released.wait(5)
    handler.close_connection = True


def drip(handler):
    """Sends a byte now and then, so that no read timeout ever strikes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not handler.server.released.wait(0.05):
        handler.wfile.write(b" ")
    handler.close_connection = True


def break_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"Items": [')
    handler.close_connection = True


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[Endpoint]:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    server = Endpoint()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


def session():
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-west-2")


def reader(**bounds):
    values = {"connect_timeout_seconds": 5, "read_timeout_seconds": 5, "max_attempts": 3, "deadline_seconds": 10, **bounds}
    return AwsReader(ReadingSettings(**values), session=session())


def scan(aws):
    return aws.paginate("dynamodb", "scan", "table", TableName="table")


def test_all_pages_are_read_and_every_request_is_counted(endpoint):
    endpoint.script = [page("a", "b", more=True), page("c", more=True), page("d")]
    aws = reader()
    answer = scan(aws)
    assert [item["pk"]["S"] for item in answer.items("Items")] == ["a", "b", "c", "d"]
    assert (answer.read.operation, answer.read.resource, answer.read.status) == ("dynamodb:Scan", "table", ReadStatus.OK)
    assert (answer.read.pages, answer.read.error) == (3, None)
    assert aws.meter.calls == {"dynamodb:Scan": 3}
    assert aws.meter.failures == {}
    assert aws.meter.seconds["dynamodb:Scan"] > 0


def test_a_throttle_is_tried_again_and_the_tries_are_counted(endpoint):
    throttle = refusal("ProvisionedThroughputExceededException")
    endpoint.script = [throttle, throttle, page("a")]
    aws = reader()
    answer = scan(aws)
    assert (answer.read.status, len(answer.pages)) == (ReadStatus.OK, 1)
    assert aws.meter.calls == {"dynamodb:Scan": 3}


@pytest.mark.parametrize(
    ("response", "status", "tries"),
    [
        (refusal("ThrottlingException"), ReadStatus.THROTTLED, 3),
        (refusal("ProvisionedThroughputExceededException"), ReadStatus.THROTTLED, 3),
        (refusal("AccessDeniedException"), ReadStatus.DENIED, 1),
        (refusal("ExpiredTokenException"), ReadStatus.DENIED, 1),
        (refusal("UnrecognizedClientException"), ReadStatus.DENIED, 1),
        (refusal("ResourceNotFoundException"), ReadStatus.NOT_FOUND, 1),
        (refusal("ValidationException"), ReadStatus.FAILED, 1),
        (refusal("InternalServerError", 500), ReadStatus.FAILED, 3),
        ((502, b"<html>Bad gateway</html>"), ReadStatus.FAILED, 3),
    ],
)
def test_a_refusal_names_its_reason(endpoint, response, status, tries):
    endpoint.script = [response]
    aws = reader()
    answer = scan(aws)
    assert (answer.read.status, answer.pages, endpoint.requests) == (status, [], tries)
    assert answer.read.error
    assert aws.meter.calls == {"dynamodb:Scan": tries}
    assert aws.meter.failures == {"dynamodb:Scan": 1}


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b'{"Items": ['])
def test_a_successful_answer_that_is_no_json_object_is_not_an_empty_table(endpoint, body):
    endpoint.script = [(200, body)]
    answer = scan(reader(max_attempts=1))
    assert (answer.read.status, answer.pages) == (ReadStatus.INVALID, [])


def test_the_pages_before_a_failure_are_kept(endpoint):
    endpoint.script = [page("a", more=True), refusal("AccessDeniedException")]
    answer = scan(reader())
    assert [item["pk"]["S"] for item in answer.items("Items")] == ["a"]
    assert (answer.read.status, answer.read.pages) == (ReadStatus.DENIED, 1)


def test_an_answer_that_breaks_off_is_no_answer(endpoint):
    endpoint.script = [break_off]
    answer = scan(reader(max_attempts=1))
    assert answer.read.status is not ReadStatus.OK
    assert answer.pages == []


def test_a_server_that_says_nothing_is_a_timeout(endpoint):
    endpoint.script = [hang]
    answer = scan(reader(read_timeout_seconds=0.2, max_attempts=1))
    assert answer.read.status is ReadStatus.TIMEOUT


@pytest.mark.parametrize("behaviour", [hang, drip])
def test_whatever_a_server_does_the_deadline_ends_the_read(endpoint, behaviour):
    endpoint.script = [page("a", more=True), behaviour]
    started = time.monotonic()
    answer = scan(reader(deadline_seconds=3))  # the first page has time to come on a busy machine
    assert time.monotonic() - started < 10
    assert (answer.read.status, len(answer.pages)) == (ReadStatus.TIMEOUT, 1)
    assert "deadline_seconds" in answer.read.error


def test_a_renewed_reader_has_its_time_anew_and_the_same_clients():
    now = [0.0]
    aws = AwsReader(ReadingSettings(deadline_seconds=10), session=session(), monotonic=lambda: now[0])
    now[0] = 11
    with pytest.raises(DeadlineExceeded):
        aws.bounded(lambda: 1)
    renewed = aws.renewed()
    assert renewed.bounded(lambda: 1) == 1
    assert renewed.client("s3") is aws.client("s3")
    now[0] = 22
    with pytest.raises(DeadlineExceeded):
        renewed.bounded(lambda: 1)


def test_after_the_deadline_no_call_is_made(endpoint):
    ticks = iter([0.0, *[99.0] * 20])
    aws = AwsReader(ReadingSettings(deadline_seconds=10), session=session(), monotonic=lambda: next(ticks))
    assert scan(aws).read.status is ReadStatus.TIMEOUT
    assert endpoint.requests == 0


def test_a_closed_port_is_unreachable(monkeypatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        answer = scan(reader(max_attempts=2))
    assert answer.read.status is ReadStatus.UNREACHABLE


def test_one_call_and_one_client_a_service(endpoint):
    endpoint.script = [(200, {"Table": {"TableId": "id-1"}})]
    aws = reader()
    answer = aws.call("dynamodb", "describe_table", "table", TableName="table")
    assert answer.pages[0]["Table"]["TableId"] == "id-1"
    assert answer.read.operation == "dynamodb:DescribeTable"
    assert aws.client("dynamodb") is aws.client("dynamodb")
    assert aws.client("dynamodb", "eu-west-1") is not aws.client("dynamodb")


def test_requests_are_counted_under_the_name_of_the_read(endpoint):
    """botocore's own events call this service cloudwatch-logs."""
    endpoint.script = [(200, {"logGroups": []})]
    aws = reader()
    answer = aws.paginate("logs", "describe_log_groups", "groups")
    assert answer.read.operation == "logs:DescribeLogGroups"
    assert aws.meter.calls == {"logs:DescribeLogGroups": 1}


def test_several_threads_share_one_reader(endpoint):
    aws = reader()
    threads = [threading.Thread(target=scan, args=(aws,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert aws.meter.calls == {"dynamodb:Scan": 8}


def test_calls_in_a_row_are_made_by_one_thread_and_a_late_one_gives_its_thread_up():
    ended = threading.Event()
    first = {within(10, threading.current_thread, late="late") for _ in range(3)}
    with pytest.raises(DeadlineExceeded, match="late"):
        within(0.01, ended.wait, late="late")
    with pytest.raises(KeyError):  # what a call raises comes through, and its thread goes on
        within(10, {}.popitem, late="late")
    ended.set()
    assert len(first) == 1
    assert within(10, threading.current_thread, late="late") not in first


def test_reads_made_once_do_not_wait_for_each_other():
    aws, other = reader(), threading.Event()
    ok = Answer([], Read("a:B", "x", ReadStatus.OK, None, 1, "", ""))

    def waits():
        assert other.wait(10)
        return ok

    slow = threading.Thread(target=aws.once, args=("slow", waits))
    slow.start()
    assert aws.once("quick", lambda: ok) is ok
    other.set()
    slow.join(10)
    assert not slow.is_alive()


def test_the_meter_adds_up():
    meter = CallMeter()
    meter.add("a:B", calls=1, units=0.5)
    meter.add("a:B", calls=2, failures=1)
    assert (meter.calls, meter.units, meter.failures, meter.seconds) == ({"a:B": 3}, {"a:B": 0.5}, {"a:B": 1}, {})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoCredentialsError(), ReadStatus.DENIED),
        (DeadlineExceeded("late"), ReadStatus.TIMEOUT),
        (ParamValidationError(report="bad"), ReadStatus.FAILED),
        (RuntimeError("x"), ReadStatus.FAILED),
    ],
)
def test_whatever_is_raised_has_a_status(error, status):
    assert describe_failure(error)[0] is status


def test_a_page_of_a_proxy_is_told_in_one_line_of_words():
    page = "<!doctype html>\n<html lang=en>\n<title>502 Bad Gateway</title>\n<h1>Bad  Gateway</h1>\n"
    refused = ClientError({"Error": {"Code": "502", "Message": page}}, "Scan")
    assert describe_failure(refused) == (ReadStatus.FAILED, "502: 502 Bad Gateway Bad Gateway")
    assert describe_failure(RuntimeError("a <b>\n c")) == (ReadStatus.FAILED, "RuntimeError: a <b> c")


@pytest.fixture
def in_india() -> Iterator[None]:
    """A machine whose clock is five and a half hours ahead of UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize("stamp", [1_795_435_200, 1_795_435_200.0, "2026-11-23T12:00:00Z", "2026-11-23T17:30:00+05:30"])
def test_times_of_answers_are_in_utc_wherever_the_machine_stands(stamp, endpoint, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    endpoint.script = [(200, {"Table": {"CreationDateTime": stamp}})]
    (page,) = AwsReader(ReadingSettings()).call("dynamodb", "describe_table", "t", TableName="t").pages
    assert page["Table"]["CreationDateTime"].isoformat() == "2026-11-23T12:00:00+00:00"
