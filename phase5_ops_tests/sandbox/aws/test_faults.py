"""Faults to order, seen through real boto3 clients."""

import json
import time
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

from phase5_ops.sandbox.aws.faults import Faults
from phase5_ops_tests import without_sockets

pytestmark = pytest.mark.over_sockets


def test_this_module_asks_over_connections():
    assert URLLib3Session.send is without_sockets._send


def code(error):
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def make_table(dynamodb, name):
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


JSON = ("ThrottlingException", 400), ("AccessDeniedException", 400)
QUERY = ("Throttling", 400), ("AccessDenied", 403)
S3 = ("SlowDown", 503), ("AccessDenied", 403)


@pytest.mark.parametrize(
    ("service", "method", "operation", "errors"),
    [
        ("dynamodb", "list_tables", "ListTables", JSON),
        ("logs", "describe_log_groups", "DescribeLogGroups", JSON),
        ("lambda", "list_functions", None, (("ThrottlingException", 400), ("AccessDeniedException", 403))),
        ("cloudwatch", "list_metrics", "ListMetrics", QUERY),
        ("sns", "list_topics", "ListTopics", QUERY),
        ("sts", "get_caller_identity", "GetCallerIdentity", QUERY),
        ("s3", "list_buckets", None, S3),
    ],
)
def test_every_protocol_gets_its_own_error_shape(aws, service, method, operation, errors):
    call = getattr(aws(service), method)
    for kind, expected in zip(("throttle", "denied"), errors, strict=True):
        aws.faults.add(kind, operation=operation, times=1)
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == expected
    aws.faults.add("error500", operation=operation, times=1)
    with pytest.raises(ClientError) as error:
        call()
    assert code(error)[1] == 500
    call()  # all faults are used up


def test_html_instead_of_an_answer_is_an_error_of_the_client(aws, cloudwatch):
    aws.faults.add("html", operation="ListMetrics")
    with pytest.raises((ClientError, BotoCoreError)):
        cloudwatch.list_metrics()


def test_a_fault_strikes_only_its_operation_service_and_text(aws):
    dynamodb = aws("dynamodb")
    make_table(dynamodb, "good")
    make_table(dynamodb, "bad")
    aws.faults.add("denied", operation="Scan", service="dynamodb", match='"bad"')
    dynamodb.scan(TableName="good")
    dynamodb.describe_table(TableName="bad")
    with pytest.raises(ClientError):
        dynamodb.scan(TableName="bad")


def test_a_bad_page_lets_the_first_page_through(aws):
    dynamodb = aws("dynamodb")
    make_table(dynamodb, "a")
    for number in range(3):
        dynamodb.put_item(TableName="a", Item={"pk": {"S": str(number)}})
    aws.faults.add("bad_page", operation="Scan")
    pages = iter(dynamodb.get_paginator("scan").paginate(TableName="a", Limit=1))
    assert next(pages)["Count"] == 1
    with pytest.raises(ClientError):
        next(pages)
    assert dynamodb.scan(TableName="a", Limit=1)["Count"] == 1


def test_slow_waits_and_then_answers(aws, cloudwatch):
    aws.faults.add("slow", operation="ListMetrics", seconds=0.2, times=1)
    started = time.perf_counter()
    assert cloudwatch.list_metrics()["Metrics"] == []
    assert time.perf_counter() - started >= 0.2


def test_faults_are_ordered_over_http(aws, cloudwatch):
    url = f"{aws.endpoint}/phase5-sandbox/faults"

    def send(method, document=None):
        data = json.dumps(document).encode() if document is not None else None
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method)) as answer:
            return json.load(answer)["faults"]

    assert [fault["kind"] for fault in send("POST", {"kind": "throttle", "operation": "ListMetrics"})] == ["throttle"]
    with pytest.raises(ClientError):
        cloudwatch.list_metrics()
    assert send("GET")[0]["hits"] == 1
    assert send("DELETE") == []
    with pytest.raises(urllib.error.HTTPError, match="400"):
        send("POST", {"kind": "nonsense"})


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown fault"):
        Faults().add("nonsense")
