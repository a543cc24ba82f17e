"""Items that are written at once come out as moto writes them attribute by attribute."""

import json
import pickle
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.models import Table, dynamodb_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

from phase5_ops.sandbox.aws import dynamodb as moto_dynamodb
from phase5_ops.sandbox.aws.access_trail import AccessTrail
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.aws.moto_state import own_aws

ITEM = {
    "pk": "TENANT#a",
    "sk": "",
    "number": Decimal("12.50"),
    "negative": Decimal("-1E+3"),
    "raw_bytes": Binary(b"\x00\xff"),
    "yes": True,
    "no": False,
    "nothing": None,
    "words": {"a", "ä"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "binaries": {Binary(b"a"), Binary(b"\xfe")},
    "list": [1, [], {}, "x", [{"deep": [None, Binary(b"b")]}]],
    "map": {"S": {"N": "a name like a type"}, "deeper": {"list": [True]}},
}


@pytest.fixture
def table():
    """DynamoDB with a table that has one item of every type and one of its key alone."""
    with own_aws(), mock_aws():
        client = boto3.client("dynamodb", "us-west-2", aws_access_key_id="test", aws_secret_access_key="test")
        key = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
        types = [{"AttributeName": name, "AttributeType": kind} for name, kind in (("pk", "S"), ("sk", "S"), ("number", "N"))]
        turned = [{"AttributeName": name, "KeyType": kind} for name, kind in (("sk", "HASH"), ("number", "RANGE"))]
        client.create_table(
            TableName="t",
            KeySchema=key,
            AttributeDefinitions=types,
            GlobalSecondaryIndexes=[{"IndexName": "turned", "KeySchema": turned, "Projection": {"ProjectionType": "ALL"}}],
            BillingMode="PAY_PER_REQUEST",
        )
        for item in (ITEM | {"sk": "1"}, {"pk": "TENANT#a", "sk": "2"}):
            client.put_item(TableName="t", Item={name: TypeSerializer().serialize(value) for name, value in item.items()})
        yield client


def answers(client):
    key = {"pk": {"S": "TENANT#a"}, "sk": {"S": "1"}}
    condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "TENANT#a"}}}
    changed = {"UpdateExpression": "SET #n = :n", "ExpressionAttributeNames": {"#n": "yes"}}
    found = [
        client.scan(TableName="t"),
        client.scan(TableName="t", Limit=1),  # and where the next page begins
        client.query(TableName="t", **condition),
        client.get_item(TableName="t", Key=key),
        client.get_item(
            TableName="t", Key=key, ProjectionExpression="raw_bytes, #m.deeper", ExpressionAttributeNames={"#m": "map"}
        ),
        client.batch_get_item(RequestItems={"t": {"Keys": [key]}}),
        client.update_item(
            TableName="t", Key=key, ReturnValues="ALL_OLD", ExpressionAttributeValues={":n": {"BOOL": True}}, **changed
        ),
        client.transact_get_items(TransactItems=[{"Get": {"TableName": "t", "Key": key}}]),
    ]
    return [{name: value for name, value in answer.items() if name != "ResponseMetadata"} for answer in found]


def test_every_answer_with_items_is_the_same(table):
    theirs = answers(table)
    with moto_dynamodb.installed():
        ours = answers(table)
    assert [sorted_sets(each) for each in ours] == [sorted_sets(each) for each in theirs]
    assert theirs[0]["Items"][0]["number"] == {"N": "12.50"}
    assert len(theirs[0]["Items"][0]) == len(ITEM)


def sorted_sets(value):
    """The same with the elements of sets in order: they have none."""
    if isinstance(value, dict):
        return {
            name: sorted(each) if name in ("SS", "NS", "BS") and isinstance(each, list) else sorted_sets(each)
            for name, each in value.items()
        }
    return [sorted_sets(each) for each in value] if isinstance(value, list) else value


def said(call, **parameters):
    """What an operation answers or refuses, without what is another each time."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        answer = error.response
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def written_and_read(client):
    """Writes, conditions, pages, filters, indexes, counts and refusals, one after the other."""
    value, items = (
        {":p": {"S": "TENANT#b"}},
        [{"pk": {"S": "TENANT#b"}, "sk": {"S": f"{n:02}"}, "number": {"N": str(n)}} for n in range(9)],
    )
    of_b = {"TableName": "t", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": value}
    calls = [
        (client.batch_write_item, {"RequestItems": {"t": [{"PutRequest": {"Item": item}} for item in reversed(items)]}}),
        (client.put_item, {"TableName": "t", "Item": items[3], "ConditionExpression": "attribute_not_exists(pk)"}),
        (client.put_item, {"TableName": "t", "Item": {**items[3], "b": {"B": b"\x00"}}, "ReturnValues": "ALL_OLD"}),
        (client.put_item, {"TableName": "t", "Item": {**items[3], "large": {"S": "x" * 410_000}}}),
        (client.put_item, {"TableName": "t", "Item": {"pk": {"S": ""}, "sk": {"S": "1"}}}),
        (client.query, of_b),
        (client.query, {**of_b, "ScanIndexForward": False, "Limit": 4, "ReturnConsumedCapacity": "TOTAL"}),
        (client.query, {**of_b, "Limit": 4, "ExclusiveStartKey": {"pk": {"S": "TENANT#b"}, "sk": {"S": "03"}}}),
        (client.query, {**of_b, "Select": "COUNT"}),
        (client.query, {**of_b, "KeyConditionExpression": "pk = :p AND sk BETWEEN :l AND :h",
                        "ExpressionAttributeValues": {**value, ":l": {"S": "02"}, ":h": {"S": "05"}}}),
        (client.query, {**of_b, "FilterExpression": "#n > :n", "ExpressionAttributeNames": {"#n": "number"},
                        "ExpressionAttributeValues": {**value, ":n": {"N": "6"}}}),
        (client.query, {**of_b, "KeyConditionExpression": "sk = :p", "IndexName": "turned",
                        "ExpressionAttributeValues": {":p": {"S": "03"}}}),
        (client.query, {**of_b, "ExpressionAttributeValues": {":p": {"S": "nobody"}}}),
        (client.scan, {"TableName": "t", "Limit": 5}),
        (client.scan, {"TableName": "t", "ExclusiveStartKey": {"pk": {"S": "TENANT#b"}, "sk": {"S": "04"}}}),
        (client.scan, {"TableName": "t", "IndexName": "turned", "ProjectionExpression": "sk"}),
        (client.scan, {"TableName": "t", "ProjectionExpression": ", ".join(f"#n{n}" for n in range(len(ITEM) + 1)),
                       "ExpressionAttributeNames": {f"#n{n}": name for n, name in enumerate((*ITEM, "missing"))}}),
        (client.scan, {"TableName": "t", "ProjectionExpression": "#m.deeper", "ExpressionAttributeNames": {"#m": "map"}}),
        (client.describe_table, {"TableName": "t"}),
        (client.delete_item, {"TableName": "t", "Key": {"pk": {"S": "TENANT#b"}, "sk": {"S": "00"}}, "ReturnValues": "ALL_OLD"}),
        (client.delete_item, {"TableName": "t", "Key": {"pk": {"S": "TENANT#b"}, "sk": {"S": "none"}}}),
        (client.transact_write_items, {"TransactItems": [{"Put": {"TableName": "t", "Item": {**items[0], "sk": {"S": "99"}}}}]}),
        (client.get_item, {"TableName": "missing", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}}),
        (client.query, {"TableName": "t"}),
    ]  # fmt: skip
    return [sorted_sets(said(call, **parameters)) for call, parameters in calls]


def test_every_other_answer_and_refusal_is_the_same(table):
    kept = pickle.dumps(tables()["t"])
    theirs = written_and_read(table)
    tables()["t"] = pickle.loads(kept)
    with moto_dynamodb.installed():
        ours = written_and_read(table)
    assert ours == theirs
    refused = [answer["Error"]["Code"] for answer in theirs if "Error" in answer]
    assert refused == [
        "ConditionalCheckFailedException",
        *["ValidationException"] * 2,
        "ResourceNotFoundException",
        "ValidationException",
    ]
    assert theirs[5]["Count"] == 9


def essential(answer):
    """Without the message of some errors that botocore gives twice, and a number of moto's that no API has."""
    return {name: value for name, value in answer.items() if name not in ("message", "ConsumedCapacityUnits")}


def test_calls_of_the_platform_go_past_botocore_and_are_answered_the_same(table):
    kept = pickle.dumps(tables()["t"])
    with moto_dynamodb.installed():
        theirs = [*written_and_read(table), *answers(table)]
        tables()["t"] = pickle.loads(kept)
        inside = InsideAws(boto3.Session("test", "test", region_name="us-west-2"), AccessTrail(PlatformClock(None, replay=False)))
        inside.dynamodb.meta.events.register("before-send", lambda request, **_: sent.append(json.loads(request.body)))
        sent, asked = [], []
        inside.trail.record = lambda service, operation, _: asked.append((service, operation))
        ours = [*written_and_read(inside.dynamodb), *map(sorted_sets, answers(inside.dynamodb))]
    assert [essential(each) for each in ours] == [essential(sorted_sets(each)) for each in theirs]
    assert len(asked) == len(theirs)
    others = [body for body in sent if "TransactItems" not in body and body != {"TableName": "t"}]
    assert [body["Item"]["b"] for body in others] == [{"B": "AA=="}]  # binary values go botocore's way, as what has no items does


def test_what_an_item_holds_is_never_taken_from_before_a_change(table):
    key = {"pk": {"S": "TENANT#a"}, "sk": {"S": "1"}}
    names = {"ExpressionAttributeNames": {"#m": "map"}}
    with moto_dynamodb.installed():
        for step in range(3):
            changed = {"UpdateExpression": "SET #m.deeper = :v", "ExpressionAttributeValues": {":v": {"S": "x" * step}}}
            table.update_item(TableName="t", Key=key, **names, **changed)
            for item in (table.scan(TableName="t")["Items"][0], table.get_item(TableName="t", Key=key)["Item"]):
                assert item["map"]["M"]["deeper"] == {"S": "x" * step}
            held = next(item for item in tables()["t"].all_items() if item.range_key.value == "1")
            sizes = {moto_dynamodb._size_of_item(held), sum(len(name) + value.size() for name, value in held.attrs.items())}
            assert len(sizes) == 1
            stored = pickle.loads(pickle.dumps(held))
            stored.attrs["map"].value["deeper"].value = "changed"
            assert moto_dynamodb._plain(stored.attrs)["map"]["M"]["deeper"] == {"S": "changed"}  # a copy knows of nothing


def tables():
    return dynamodb_backends["123456789012"]["us-west-2"].tables


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", {"TableName": "t", "Key": {"pk": {"S": "TENANT#a"}, "sk": {"S": "2"}}}),
        ("DescribeTable", {"TableName": "t"}),
        ("GetItem", {"TableName": "missing", "Key": {"pk": {"S": "a"}}}),
        ("Query", {"TableName": "t"}),
    ],
)
def test_what_is_served_past_flask_is_the_same(table, operation, body):
    application = DomainDispatcherApplication(create_backend_app)
    headers = {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261123/us-west-2/dynamodb/aws4_request, Signature=b",
        "Content-Type": "application/x-amz-json-1.0",
    }
    with moto_dynamodb.installed():
        theirs, ours = (
            Client(each).post("/", data=json.dumps(body), headers=headers)
            for each in (application, moto_dynamodb.served_directly(application))
        )
    assert (ours.status_code, ours.json) == (theirs.status_code, theirs.json)
    names = {"Content-Type", "Content-Length", "x-amz-crc32"}
    assert {name: ours.headers.get(name) for name in names} == {name: theirs.headers.get(name) for name in names}


def test_what_the_platform_asks_is_answered_the_same(table):
    key, asked = {"pk": {"S": "TENANT#a"}, "sk": {"S": "1"}}, []
    table.meta.events.register("before-send", lambda request, **_: asked.append(request))
    with moto_dynamodb.installed():
        table.get_item(TableName="t", Key=key)
        table.put_item(TableName="t", Item={**key, "b": {"B": b"\x00"}})
        table.describe_table(TableName="t")
        said(table.get_item, TableName="missing", Key=key)
        for request in asked:
            theirs, answer = BotocoreStubber().process_request(request), moto_dynamodb.answered_inside(request)
            assert (answer.status_code, json.loads(answer.content)) == (int(theirs[0]), json.loads(theirs[2]))
            assert {*answer.headers} == {*theirs[1]}
            assert answer.headers["x-amz-crc32"] == theirs[1]["x-amz-crc32"]
    assert len(asked) == 4
    assert json.loads(answer.content)["__type"].endswith("ResourceNotFoundException")


@pytest.mark.parametrize("headers", [{}, {"X-Amz-Target": "TrentService.Sign"}, {"X-Amz-Target": b"Logs_20140328.PutLogEvents"}])
def test_what_the_platform_asks_of_other_services_is_not_answered_here(headers):
    assert moto_dynamodb.answered_inside(AWSPreparedRequest("POST", "https://aws.example/", headers, b"{}", False)) is None


def test_what_was_given_is_not_what_is_kept(table):
    """A later write does not reach into an answer, nor the other way round."""
    key = {"pk": {"S": "TENANT#a"}, "sk": {"S": "2"}}
    with moto_dynamodb.installed():
        before = table.get_item(TableName="t", Key=key)["Item"]
        before["more"] = {"S": "x"}
        table.update_item(
            TableName="t", Key=key, UpdateExpression="SET seen = :s", ExpressionAttributeValues={":s": {"L": [{"S": "a"}]}}
        )
        assert table.get_item(TableName="t", Key=key)["Item"] == {**key, "seen": {"L": [{"S": "a"}]}}


def test_it_ends_with_its_block():
    before = Table.query
    with moto_dynamodb.installed():
        assert Table.query is moto_dynamodb._query
    assert Table.query is before  # moto's own, or where a sandbox runs in this process the faster one
