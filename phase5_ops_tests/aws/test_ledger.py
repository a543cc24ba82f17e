"""Reading the ledger's window, by whichever way costs less, and single items by key."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.ledger import IAM_ACTIONS, ReadPlan, get_items, plan_reading, read_window
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MANY_BYTES = 4096 * 1_000_000


@pytest.fixture
def stubbed():
    """A reader and the stubber of its DynamoDB client."""
    reader = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session("test", "test", region_name="us-east-1"))
    with Stubber(reader.client("dynamodb")) as stubber:
        yield reader, stubber


def described(size, days):
    return {"TableSizeBytes": size, "CreationDateTime": NOW - timedelta(days=days)}


@pytest.mark.parametrize(
    ("description", "tenants", "method"),
    [
        (described(MANY_BYTES, 700), 100, "query"),  # a week of two years
        (described(MANY_BYTES, 7), 100, "scan"),  # all of it is in the window
        (described(4096 * 50, 700), 100, "scan"),  # a small table of many tenants
        (described(MANY_BYTES, 700), 0, "scan"),  # nobody to ask about
        ({"ItemCount": 20_000_000, "CreationDateTime": NOW - timedelta(days=700)}, 100, "query"),
        ({}, 100, "query"),
        ({}, 0, "scan"),
    ],
)
def test_the_cheaper_way_is_taken(description, tenants, method):
    assert plan_reading(description, tenants=tenants, window_days=7, now=NOW).method == method


def test_only_a_large_table_is_scanned_in_segments():
    assert [plan_reading(described(size, 7), tenants=1, window_days=7, now=NOW).segments for size in (0, 40_000_000, 10**12)] == [
        1,
        3,
        8,
    ]


def test_a_partition_that_may_not_be_read_is_named_beside_what_came(stubbed):
    reader, stubber = stubbed
    item = {"pk": {"S": "TENANT#a"}, "sk": {"S": "ENTRY#1"}}
    common = {
        "TableName": "t-1",
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",
        "KeyConditionExpression": "pk = :pk AND sk >= :since",
    }
    values = {":pk": {"S": "TENANT#a"}, ":since": {"S": "ENTRY#0"}}
    stubber.add_response(
        "query",
        {"Items": [item], "LastEvaluatedKey": item, "ConsumedCapacity": {"CapacityUnits": 2}},
        {**common, "ExpressionAttributeValues": values},
    )
    stubber.add_client_error("query", "AccessDeniedException", "no")
    taken = []
    reads, units = read_window(reader, "t-1", plan=ReadPlan("query", 1, 1, 1), tenants=["a"], since="ENTRY#0", take=taken.append)
    assert (taken, units) == ([item], 2)
    assert [(read.operation, read.resource, read.status, read.pages) for read in reads] == [
        ("dynamodb:Query", "t-1 TENANT#a", ReadStatus.DENIED, 1)
    ]
    assert reads[0].operation in IAM_ACTIONS


KEYS = [("p", "1"), ("p", "2")]


def page(*found, left=()):
    unprocessed = {"t-1": {"Keys": [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in left]}} if left else {}
    items = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in found]
    return {
        "Responses": {"t-1": items},
        "UnprocessedKeys": unprocessed,
        "ConsumedCapacity": [{"TableName": "t-1", "CapacityUnits": 1}],
    }


def test_keys_left_unprocessed_are_asked_for_again(stubbed):
    reader, stubber = stubbed
    stubber.add_response("batch_get_item", page(KEYS[0], left=KEYS[1:]))
    stubber.add_response("batch_get_item", page(KEYS[1]))
    items, reads = get_items(reader, "t-1", [*KEYS, *KEYS, ("p", "x" * 2000)], ("status",))
    assert [item["sk"]["S"] for item in items] == ["1", "2"]
    assert [(read.operation, read.status, read.pages) for read in reads] == [("dynamodb:BatchGetItem", ReadStatus.OK, 2)]
    assert reader.meter.units == {"dynamodb:BatchGetItem": 2}


def test_keys_that_stay_unprocessed_make_the_read_partial(stubbed):
    reader, stubber = stubbed
    for _ in range(5):
        stubber.add_response("batch_get_item", page(left=KEYS))
    items, reads = get_items(reader, "t-1", KEYS, ("status",))
    assert (items, [read.status for read in reads]) == ([], [ReadStatus.PARTIAL])


def test_no_key_needs_no_call(stubbed):
    assert get_items(stubbed[0], "t-1", [], ("status",)) == ([], [])
