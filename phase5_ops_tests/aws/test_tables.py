"""Reading DynamoDB tables whole."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.tables import scan_items, scan_items_once, scan_pages, scan_table, share_scan, table_identity
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

SCAN = {"TableName": "t-1", "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}


@pytest.fixture
def stubbed():
    """A reader and the stubber of its DynamoDB client."""
    reader = AwsReader(ReadingSettings(), session=boto3.Session("test", "test", region_name="us-east-1"))
    with Stubber(reader.client("dynamodb")) as stubber:
        yield reader, stubber


def test_all_pages_are_read_consistently_and_capacity_is_counted(stubbed):
    reader, stubber = stubbed
    key = {"pk": {"S": "a"}}
    stubber.add_response("scan", {"Items": [key], "LastEvaluatedKey": key, "ConsumedCapacity": {"CapacityUnits": 2.5}}, SCAN)
    stubber.add_response(
        "scan", {"Items": [{"pk": {"S": "b"}}], "ConsumedCapacity": {"CapacityUnits": 1}}, SCAN | {"ExclusiveStartKey": key}
    )
    items, read = scan_items(reader, "t-1")
    assert [item["pk"]["S"] for item in items] == ["a", "b"]
    assert (read.operation, read.status, read.pages) == ("dynamodb:Scan", ReadStatus.OK, 2)
    assert reader.meter.units == {"dynamodb:Scan": 3.5}


def test_only_the_attributes_that_are_used_are_asked_for(stubbed):
    reader, stubber = stubbed
    projection = {"ProjectionExpression": "#a0, #a1", "ExpressionAttributeNames": {"#a0": "pk", "#a1": "status"}}
    stubber.add_response("scan", {"Items": []}, SCAN | projection)
    items, read = scan_items(reader, "t-1", attributes=("pk", "status"))
    assert (items, read.status) == ([], ReadStatus.OK)


def test_failed_page_leaves_the_items_before_it_and_says_so(stubbed):
    reader, stubber = stubbed
    key = {"pk": {"S": "a"}}
    stubber.add_response("scan", {"Items": [key], "LastEvaluatedKey": key}, SCAN)
    stubber.add_client_error("scan", "AccessDeniedException", "no")
    items, read = scan_items(reader, "t-1")
    assert (len(items), read.status) == (1, ReadStatus.DENIED)


@pytest.mark.parametrize(
    ("table", "identity"),
    [
        ({"TableId": "id-1", "TableArn": "arn:t"}, "id-1"),
        ({"TableArn": "arn:t", "CreationDateTime": datetime(2026, 1, 1, tzinfo=UTC)}, "arn:t@2026-01-01T00:00:00+00:00"),
        ({"TableName": "t-1"}, None),
    ],
)
def test_identity_is_the_table_id_or_arn_with_creation_time(stubbed, table, identity):
    reader, stubber = stubbed
    stubber.add_response("describe_table", {"Table": table}, {"TableName": "t-1"})
    assert table_identity(reader, "t-1")[0] == identity


def test_identity_of_a_missing_table_is_none(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("describe_table", "ResourceNotFoundException", "gone")
    identity, read = table_identity(reader, "t-1")
    assert (identity, read.status) == (None, ReadStatus.NOT_FOUND)


PAGES = {"TableName": "t-1", "ReturnConsumedCapacity": "TOTAL", "ProjectionExpression": "#a0"}


def test_pages_below_a_least_value_are_not_sent(stubbed):
    reader, stubber = stubbed
    filtered = PAGES | {
        "ExpressionAttributeNames": {"#a0": "pk", "#least": "sk"},
        "FilterExpression": "#least >= :least",
        "ExpressionAttributeValues": {":least": {"S": "ENTRY#2026"}},
    }
    key = {"pk": {"S": "a"}}
    stubber.add_response("scan", {"Items": [key], "LastEvaluatedKey": key}, filtered)
    stubber.add_response("scan", {"Items": []}, filtered | {"ExclusiveStartKey": key})
    taken: list[dict] = []
    read = scan_pages(reader, "t-1", taken.extend, attributes=["pk"], at_least=("sk", "ENTRY#2026"))
    assert (taken, read.status, read.pages) == ([key], ReadStatus.OK, 2)


def test_reading_page_by_page_ends_in_its_time_and_says_so(stubbed):
    reader, stubber = stubbed
    key = {"pk": {"S": "a"}}
    names = {"ExpressionAttributeNames": {"#a0": "pk"}}
    stubber.add_response("scan", {"Items": [key], "LastEvaluatedKey": key}, PAGES | names)
    taken: list[dict] = []
    read = scan_pages(reader, "t-1", taken.extend, attributes=["pk"], seconds=0)
    assert (taken, read.status, read.error) == ([key], ReadStatus.TIMEOUT, "the table has more pages than were read in 0 s")


def test_a_last_page_is_whole_however_late_it_came(stubbed):
    reader, stubber = stubbed
    stubber.add_response("scan", {"Items": []}, PAGES | {"ExpressionAttributeNames": {"#a0": "pk"}})
    assert scan_pages(reader, "t-1", lambda _: None, attributes=["pk"], seconds=0).status is ReadStatus.OK


def test_a_table_read_once_is_not_read_again_unless_the_reading_failed():
    reader = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session("test", "test", region_name="us-west-2"))
    key = {"tenantId": {"S": "acme"}}
    with Stubber(reader.client("dynamodb")) as stubber:
        stubber.add_client_error("scan", "ThrottlingException", "slow down")
        stubber.add_response("scan", {"Items": [key]})
        failed, *whole = (scan_items_once(reader, "cc-native-tenants") for _ in range(3))
        stubber.assert_no_pending_responses()
    assert failed[1].status is ReadStatus.THROTTLED
    assert whole[0] == whole[1]
    assert whole[0][0] == [key]


SHARED = [
    {"pk": {"S": "a"}, "sk": {"S": "ENTRY#2025"}, "n": {"N": "1"}},
    {"pk": {"S": "b"}, "sk": {"S": "ENTRY#2026"}},
    {"pk": {"S": "c"}, "sk": {"S": "ENTRY#2026\U0001f600"}, "n": {"N": "2"}},
    {"pk": {"S": "d"}, "sk": {"N": "3000"}},
    {"n": {"N": "3"}, "sk": {"S": "F"}},
]


@pytest.mark.parametrize(
    ("at_least", "taken"),
    [
        (None, ["a1", "b", "c2", "d"]),
        (("sk", "ENTRY#2026"), ["b", "c2"]),
        (("sk", "ENTRY#2026\uffff"), ["c2"]),  # by bytes, not by units of UTF-16
    ],
)
def test_what_was_scanned_whole_and_shared_is_not_read_again(stubbed, at_least, taken):
    reader, stubber = stubbed
    stubber.add_response("scan", {"Items": SHARED}, SCAN)
    scan = scan_table(reader, "t-1")
    share_scan(reader, "t-1", scan)
    found: list[dict] = []
    read = scan_pages(reader, "t-1", found.extend, attributes=["pk", "n"], at_least=at_least)
    assert ["".join(value for attribute in item.values() for value in attribute.values()) for item in found] == [*taken, "3"]
    assert read == scan.read
    assert scan_items_once(reader, "t-1") == (SHARED, scan.read)
    stubber.assert_no_pending_responses()  # and one call more would have had no answer


def test_a_scan_of_many_items_or_one_that_failed_is_not_shared(stubbed):
    reader, stubber = stubbed
    stubber.add_response("scan", {"Items": SHARED[:1] * 1001}, SCAN)
    stubber.add_client_error("scan", "AccessDeniedException", "no")
    for _ in range(2):
        share_scan(reader, "t-1", scan_table(reader, "t-1"))
    stubber.add_response("scan", {"Items": SHARED[1:2]}, SCAN)
    assert scan_items_once(reader, "t-1")[0] == SHARED[1:2]
