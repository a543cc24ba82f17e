"""What is answered without a connection is what is answered over one; what needs a connection has it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import Problem, Request
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.sandbox.control_center.planted_calls import RAW_HEADERS
from phase5_ops.sandbox.control_center.server import ControlCenterServer
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops_tests.without_sockets import over_sockets

_OF_A_CONNECTION = ("werkzeug.socket", "wsgi.input", "REMOTE_PORT")


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def server(faults):
    made = FaultableMotoServer(faults)
    made.start()
    with own_aws():
        yield made
    made.stop()


def client(server, service, **options):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **options)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-west-2"}
    return boto3.client(service, endpoint_url=server.endpoint, config=config, **keys)


@contextmanager
def connections() -> Iterator[list[object]]:
    """The addresses that this process connects to meanwhile."""
    made: list[object] = []
    connect = socket.socket.connect

    def connecting(self, address):
        made.append(address)
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connecting)
        yield made


def seen(app, kept):
    """The application, which keeps what it is asked."""

    def asked(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        kept.append(({name: environ[name] for name in environ if name not in _OF_A_CONNECTION}, body))
        environ["wsgi.input"] = BytesIO(body)
        return app(environ, start_response)

    return asked


def of_aws(server):
    """Requests of each protocol, and what came back."""
    dynamodb, s3, sts, kms = (client(server, service) for service in ("dynamodb", "s3", "sts", "kms"))
    table = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield dynamodb.create_table(TableName="t", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], **table)
    yield dynamodb.put_item(TableName="t", Item={"pk": {"S": "ü"}, "b": {"B": b"\x00\xff"}})
    yield dynamodb.get_item(TableName="t", Key={"pk": {"S": "ü"}})
    yield s3.put_object(Bucket="kept", Key="folder/a", Body=b"content", Metadata={"with_underscore": "1"})
    yield s3.put_object(Bucket="kept", Key="folder/ü b%2F", Body=b"other")
    yield s3.head_object(Bucket="kept", Key="folder/a")
    yield s3.list_objects_v2(Bucket="kept", Prefix="folder/")["Contents"][0]["Key"]
    got = s3.get_object(Bucket="kept", Key="folder/a")
    yield got.pop("Body").read(), got
    yield sts.get_caller_identity()
    yield kms.list_keys()
    for missing in (lambda: s3.head_object(Bucket="kept", Key="none"), lambda: dynamodb.scan(TableName="none")):
        with pytest.raises(ClientError) as failed:
            missing()
        yield str(failed.value), failed.value.response


def without_chance(answer):
    """An answer without its moment and the ids that are drawn for it."""
    if isinstance(answer, dict):
        drawn = ("RequestId", "HostId", "x-amzn-requestid", "x-amz-request-id", "date", "last-modified", "LastModified")
        more = ("TableId", "CreationDateTime", "LastUpdateToPayPerRequestDateTime", "x-amz-crc32", "content-length")
        return {name: without_chance(value) for name, value in answer.items() if name not in (*drawn, *more)}
    return [without_chance(each) for each in answer] if isinstance(answer, list | tuple) else answer


def test_aws_is_asked_and_answers_as_it_does_over_a_connection(faults):
    asked, answers = [], []
    for connected in (False, True):
        server = FaultableMotoServer(faults, port=0)
        server.start()
        kept: list[tuple[dict[str, object], bytes]] = []
        server._server.app = seen(server._server.app, kept)
        with own_aws(), connections() as made:
            if connected:
                with over_sockets():
                    answers.append([without_chance(answer) for answer in of_aws(server)])
            else:
                answers.append([without_chance(answer) for answer in of_aws(server)])
            assert len(made) == (4 if connected else 1)  # a client's own; and the one for a key with unusual characters
        port = str(server.get_host_and_port()[1])
        server.stop()
        changing = ("HTTP_X_AMZ_DATE", "HTTP_AMZ_SDK_INVOCATION_ID")
        for environ, body in kept:
            said = {name: str(value).replace(port, "PORT") for name, value in environ.items() if name not in changing}
            said["wsgi.errors"] = ""
            said["HTTP_AUTHORIZATION"] = re.sub(r"/\d{8}/|Signature=[0-9a-f]{64}$", "", said["HTTP_AUTHORIZATION"])
            asked.append((connected, said, set(changing) & set(environ), body))
    assert answers[0] == answers[1]
    assert [entry[1:] for entry in asked if entry[0]] == [entry[1:] for entry in asked if not entry[0]]


PROBES = [
    Request("GET", "/a/b", {"q": "ü &"}, {"Authorization": "Bearer x", "X-Odd_Name": " padded "}),
    Request("POST", "//twice", headers=[("x-same", "1"), ("X-Same", "2")], body={"a": "ü"}),
    Request("POST", "/raw", headers={"content-type": "text/plain"}, raw="not json"),
    Request("DELETE", "/none"),
    Request("HEAD", "/none"),
    Request("GET", "/split", headers={"X-Bad": "1\r\nX-Other: 2"}),
    Request("GET", "/sp ace"),
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.path)
def test_a_probe_arrives_and_is_answered_as_it_is_over_a_connection(probe):
    arrived, answers = [], []

    def application(environ, start_response):
        body = environ["wsgi.input"].read()
        names = [name for name in environ if name not in _OF_A_CONNECTION and name not in ("wsgi.errors", RAW_HEADERS)]
        arrived.append(({name: environ[name] for name in names}, environ[RAW_HEADERS], body))
        start_response("201 Created", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"{}"]

    server = ControlCenterServer(application, set())
    server.start()
    try:
        asking = HttpClient(server.url, timeout_seconds=5, user_agent="test", redactor=Redactor())
        with connections() as made:
            answers.append(asking.send(probe))
            assert made == []
            with over_sockets():
                answers.append(asking.send(probe))
            assert len(made) == 1
    finally:
        server.stop()
    assert arrived[: len(arrived) // 2] == arrived[len(arrived) // 2 :]
    first, second = [(answer.status, answer.problem, answer.detail, answer.body) for answer in answers]
    assert first == second


def test_a_server_that_ended_refuses(server):
    sts = client(server, "sts")
    sts.get_caller_identity()
    server.stop()
    with pytest.raises(EndpointConnectionError):
        sts.get_caller_identity()
    server.start()


def test_a_slow_answer_is_not_waited_for(server, faults):
    faults.add("slow", seconds=2, times=1)
    with connections() as made, pytest.raises(ReadTimeoutError):
        client(server, "sts", read_timeout=0.2).get_caller_identity()
    assert len(made) == 1


@pytest.mark.parametrize("fault", [PlatformFault.DOWN, PlatformFault.SLOW, PlatformFault.DRIP])
def test_faults_of_connections_have_one(fault):
    platform_faults: set[PlatformFault] = set()
    server = ControlCenterServer(lambda *_: [], platform_faults)
    server.start()
    try:
        platform_faults.add(fault)
        answer = HttpClient(server.url, timeout_seconds=0.3, user_agent="test", redactor=Redactor()).send(Request("GET", "/"))
    finally:
        server.stop()
    assert answer.problem is (Problem.DOWN if fault is PlatformFault.DOWN else Problem.TIMEOUT)


def test_an_application_that_breaks_off_is_no_answer():
    def application(environ, start_response):
        raise ConnectionAbortedError

    server = ControlCenterServer(application, set())
    server.start()
    try:
        asking = HttpClient(server.url, timeout_seconds=5, user_agent="test", redactor=Redactor())
        answer = asking.send(Request("GET", "/"))
        with over_sockets():
            assert answer.problem is asking.send(Request("GET", "/")).problem is Problem.DOWN
    finally:
        server.stop()


def test_callers_on_several_threads_are_answered_at_once():
    together = threading.Barrier(3)

    def application(environ, start_response):
        together.wait(timeout=20)  # passes where three requests are in work at the same time
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]

    server = ControlCenterServer(application, set())
    server.start()
    try:
        asking = HttpClient(server.url, timeout_seconds=20, user_agent="test", redactor=Redactor())
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(asking.send(Request("GET", "/")))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.stop()
    assert [answer.status for answer in answers] == [200, 200, 200]
