"""Reading Cost Explorer and Budgets: every page, priced, bounded, and what failed said."""

from datetime import UTC, date, datetime

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws import budgets, cost_explorer
from phase5_ops.aws.budgets import read_budget_alerts
from phase5_ops.aws.cost_answers import METRICS, CostQuery
from phase5_ops.aws.cost_explorer import read_cost_tags, read_costs
from phase5_ops.aws.pricing import cost_usd
from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.tables import scan_pages
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

QUERY = CostQuery(date(2026, 11, 1), date(2026, 11, 2), "tenant", "connector", accounts=("123456789012",))
ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
REQUEST = {
    "TimePeriod": {"Start": "2026-11-01", "End": "2026-11-02"},
    "Granularity": "DAILY",
    "Metrics": list(METRICS),
    "Filter": {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": [ACCOUNT]}},
}
GROUPED = REQUEST | {"GroupBy": [{"Type": "TAG", "Key": "tenant"}, {"Type": "TAG", "Key": "connector"}]}


def stubbed(service):
    reader = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session("test", "test", region_name="eu-central-1"))
    return reader, Stubber(reader.client(service))


def day(*tenants, amount="1.5"):
    metrics = {name: {"Amount": amount, "Unit": "USD"} for name in METRICS}
    groups = [{"Keys": [f"tenant${name}", "connector$"], "Metrics": metrics} for name in tenants]
    period = {"Start": "2026-11-01", "End": "2026-11-02"}
    return {"TimePeriod": period, "Total": {} if tenants else metrics, "Groups": groups, "Estimated": False}


def test_all_pages_are_taken_and_a_day_may_go_on_over_two_of_them():
    reader, stubber = stubbed("ce")
    with stubber:
        stubber.add_response("get_cost_and_usage", {"ResultsByTime": [day("a", "b")], "NextPageToken": "next"}, GROUPED)
        stubber.add_response("get_cost_and_usage", {"ResultsByTime": [day("c")]}, GROUPED | {"NextPageToken": "next"})
        stubber.add_response("get_cost_and_usage", {"ResultsByTime": [day(amount="4.5")]}, REQUEST)
        answers, reads = read_costs(reader, QUERY)
        stubber.assert_no_pending_responses()
    lines, totals = answers.finish()
    assert (lines["tenant"].to_pylist(), answers.problems) == (["a", "b", "c"], [])
    assert str(totals[0].billed) == "4.5"
    assert [(read.operation, read.resource, read.status, read.pages) for read in reads] == [
        ("ce:GetCostAndUsage", cost_explorer.BY_TAG, ReadStatus.OK, 2),
        ("ce:GetCostAndUsage", cost_explorer.TOTAL, ReadStatus.OK, 1),
    ]


def test_a_token_that_comes_twice_ends_the_reading():
    reader, stubber = stubbed("ce")
    with stubber:
        for request in (GROUPED, GROUPED | {"NextPageToken": "next"}):
            stubber.add_response("get_cost_and_usage", {"ResultsByTime": [day("a")], "NextPageToken": "next"}, request)
        _, reads = read_costs(reader, QUERY)
    told = "Cost Explorer gave the same NextPageToken twice"
    assert [(read.status, read.pages, read.error) for read in reads] == [(ReadStatus.INVALID, 2, told)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDeniedException", ReadStatus.DENIED),
        ("LimitExceededException", ReadStatus.THROTTLED),
        ("DataUnavailableException", ReadStatus.FAILED),
    ],
)
def test_a_page_that_fails_is_said_and_no_total_is_paid_for(code, status):
    reader, stubber = stubbed("ce")
    with stubber:
        stubber.add_response("get_cost_and_usage", {"ResultsByTime": [day("a")], "NextPageToken": "next"}, GROUPED)
        stubber.add_client_error("get_cost_and_usage", code, "no")
        _, reads = read_costs(reader, QUERY)
    assert [(read.status, read.pages) for read in reads] == [(status, 1)]


def test_the_endpoint_is_the_partitions_one_whatever_region_is_read():
    reader, _ = stubbed("ce")
    assert reader.client("ce").meta.endpoint_url == "https://ce.us-east-1.amazonaws.com"


def test_every_request_costs_a_cent():
    reader, _ = stubbed("ce")
    reader.meter.add("ce:GetCostAndUsage", calls=3)
    assert (list(reader.meter.calls), cost_usd(reader.meter)) == (["ce:GetCostAndUsage"], pytest.approx(0.03))


def test_the_scope_is_one_filter():
    both = CostQuery(QUERY.start, QUERY.end, "t", "c", accounts=("1",), services=("AWS Lambda", "Amazon DynamoDB"))
    assert [next(iter(term["Dimensions"].items()))[1] for term in both.filter()["And"]] == ["LINKED_ACCOUNT", "SERVICE"]
    assert CostQuery(QUERY.start, QUERY.end, "t", "c").filter() is None


def test_tags_are_listed_with_their_status_and_a_member_account_is_denied():
    reader, stubber = stubbed("ce")
    request = {"TagKeys": ["tenant", "connector"], "Type": "UserDefined"}
    entry = {"TagKey": "tenant", "Type": "UserDefined", "Status": "Active", "LastUpdatedDate": "2026-11-01T00:00:00Z"}
    with stubber:
        stubber.add_response("list_cost_allocation_tags", {"CostAllocationTags": [entry]}, request)
        message = "Failed to list Cost Allocation Tags: Linked account doesn't have access to cost allocation tags."
        stubber.add_client_error("list_cost_allocation_tags", "AccessDeniedException", message)
        tags, _ = read_cost_tags(reader, ("tenant", "connector"))
        none, read = read_cost_tags(reader, ("tenant", "connector"))
    assert [(tag.key, tag.active, tag.updated) for tag in tags] == [("tenant", True, "2026-11-01T00:00:00Z")]
    assert (none, read.status) == ([], ReadStatus.DENIED)


def budget(name, kind="COST", **more):
    return {"BudgetName": name, "BudgetType": kind, "TimeUnit": "MONTHLY", **more}


NOTIFICATION = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}


def test_the_first_budget_with_an_alert_is_enough():
    reader, stubber = stubbed("budgets")
    over = {"TimePeriod": {"Start": datetime(2026, 1, 1, tzinfo=UTC), "End": datetime(2026, 2, 1, tzinfo=UTC)}}
    listed = [budget("usage", "USAGE"), budget("over", **over), budget("silent"), budget("loud"), budget("unasked")]
    with stubber:
        stubber.add_response("describe_budgets", {"Budgets": listed}, {"AccountId": ACCOUNT})
        for name, notifications in (("silent", []), ("loud", [NOTIFICATION])):
            request = {"AccountId": ACCOUNT, "BudgetName": name}
            stubber.add_response("describe_notifications_for_budget", {"Notifications": notifications}, request)
        alerts, reads = read_budget_alerts(reader, ACCOUNT, NOW)
        stubber.assert_no_pending_responses()
    assert (alerts.budgets, alerts.alerting) == (3, "loud")
    assert {read.status for read in reads} == {ReadStatus.OK}


def test_budgets_that_may_not_be_read_are_denied():
    reader, stubber = stubbed("budgets")
    with stubber:
        stubber.add_client_error("describe_budgets", "AccessDeniedException", "no")
        alerts, reads = read_budget_alerts(reader, ACCOUNT, NOW)
    assert (alerts.alerting, [read.status for read in reads]) == (None, [ReadStatus.DENIED])


def test_the_iam_actions_are_those_of_the_calls():
    assert cost_explorer.IAM_ACTIONS == ("ce:GetCostAndUsage", "ce:ListCostAllocationTags")
    assert budgets.IAM_ACTIONS == ("budgets:ViewBudget",)


def test_a_scan_hands_on_page_by_page_and_stops_at_a_failure():
    reader, stubber = stubbed("dynamodb")
    request = {
        "TableName": "t-1",
        "ProjectionExpression": "#a0",
        "ExpressionAttributeNames": {"#a0": "pk"},
        "ReturnConsumedCapacity": "TOTAL",
    }
    key, taken = {"pk": {"S": "a"}}, []
    with stubber:
        page = {"Items": [key], "LastEvaluatedKey": key, "ConsumedCapacity": {"CapacityUnits": 2.0}}
        stubber.add_response("scan", page, request)
        stubber.add_client_error("scan", "ThrottlingException", "slow down")
        read = scan_pages(reader, "t-1", taken.append, attributes=["pk"])
    assert (taken, read.status, read.pages) == ([[key]], ReadStatus.THROTTLED, 1)
    assert reader.meter.units == {"dynamodb:Scan": 2.0}
