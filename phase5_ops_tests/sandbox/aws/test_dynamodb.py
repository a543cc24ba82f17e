"""Items that are written at once come out as moto writes them attribute by attribute."""

from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from moto import mock_aws
from moto.core.serialize import BaseJSONSerializer

from phase5_ops.sandbox.aws import dynamodb as moto_dynamodb
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
        types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        client.create_table(TableName="t", KeySchema=key, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
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


def test_it_ends_with_its_block():
    before = BaseJSONSerializer._serialize_type_map
    with moto_dynamodb.installed():
        assert BaseJSONSerializer._serialize_type_map is not before
    assert BaseJSONSerializer._serialize_type_map is before
