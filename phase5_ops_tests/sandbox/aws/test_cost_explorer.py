"""The sandbox's Cost Explorer answers real queries from billing lines."""

from decimal import Decimal

import pytest
from botocore.exceptions import ClientError

from phase5_ops.sandbox.aws import cost_explorer
from phase5_ops.sandbox.aws.bill import BillingLine

LINES = [
    BillingLine("AWS Lambda", "6", {"tenant": "acme", "connector": "internal"}),
    BillingLine("AWS Lambda", "3", {"tenant": "globex"}, amortized="2", from_days=10, until_days=5),
    BillingLine("Amazon DynamoDB", "1", account="999999999999"),
    BillingLine("Amazon DynamoDB", "-0.5", record_type="Credit"),
]
TAGS = {"tenant": "Active", "connector": "Inactive"}
MONDAY = {"Start": "2026-11-16", "End": "2026-11-17"}  # the weekly pattern's 1; seven days before the clock's now


@pytest.fixture
def ce(aws, clock):
    with cost_explorer.installed(clock, lines=LINES, tags=TAGS, page_size=2):
        yield aws("ce")


def ask(ce, **request):
    return ce.get_cost_and_usage(**{"TimePeriod": MONDAY, "Granularity": "DAILY", "Metrics": ["UnblendedCost"], **request})


def by(kind, key):
    return {"Type": kind, "Key": key}


def groups(answer, metric="UnblendedCost"):
    (result,) = answer["ResultsByTime"]
    return {tuple(group["Keys"]): group["Metrics"][metric]["Amount"] for group in result["Groups"]}


def total(answer, metric="UnblendedCost"):
    return [result["Total"][metric]["Amount"] for result in answer["ResultsByTime"]]


def test_an_ungrouped_query_has_totals_and_no_groups(ce):
    answer = ask(ce, Metrics=["UnblendedCost", "AmortizedCost"])
    assert (total(answer), total(answer, "AmortizedCost")) == (["9.5"], ["8.5"])
    assert answer["ResultsByTime"][0]["Groups"] == []
    assert "NextPageToken" not in answer


def test_groups_are_by_one_or_two_tags_or_dimensions(ce):
    assert groups(ask(ce, GroupBy=[by("DIMENSION", "SERVICE")])) == {("AWS Lambda",): "9", ("Amazon DynamoDB",): "0.5"}
    both = ask(ce, GroupBy=[by("DIMENSION", "LINKED_ACCOUNT"), by("TAG", "tenant")])
    assert groups(both) == {("123456789012", "tenant$"): "-0.5", ("123456789012", "tenant$acme"): "6"}  # and a second page


def test_pages_go_on_with_their_token_until_all_groups_came(ce):
    request = {"GroupBy": [by("TAG", "tenant"), by("DIMENSION", "SERVICE")]}
    first = ask(ce, **request, TimePeriod={"Start": "2026-11-16", "End": "2026-11-18"})
    seen, answer = [], first
    while True:
        seen += [(r["TimePeriod"]["Start"], *g["Keys"]) for r in answer["ResultsByTime"] for g in r["Groups"]]
        if not answer.get("NextPageToken"):
            break
        answer = ask(ce, **request, NextPageToken=answer["NextPageToken"])
    assert len(seen) == len(set(seen)) == 6
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ask(ce, NextPageToken="nonsense")


def test_a_tag_that_is_not_active_splits_nothing(ce):
    assert groups(ask(ce, GroupBy=[by("TAG", "connector")])) == {("connector$",): "9.5"}


def test_a_filter_combines_dimensions_and_tags(ce):
    def term(kind, key, *values, **more):
        return {kind: {"Key": key, "Values": list(values), **more}}

    dynamo, acme = term("Dimensions", "SERVICE", "Amazon DynamoDB"), term("Tags", "tenant", "acme")
    own = term("Dimensions", "LINKED_ACCOUNT", "123456789012")
    expected = {
        "0.5": dynamo,
        "6": acme,
        "6.5": {"Or": [dynamo, acme]},
        "-0.5": {"And": [dynamo, own]},
        "3.5": {"Not": acme},
        "9": term("Tags", "tenant", "A", "GL", MatchOptions=["STARTS_WITH", "CASE_INSENSITIVE"]),
    }
    for amount, expression in expected.items():
        assert total(ask(ce, Filter=expression)) == [amount]
    assert total(ask(ce, Filter={"Tags": {"Key": "tenant", "MatchOptions": ["ABSENT"]}})) == ["0.5"]


def test_months_sum_their_days_and_days_follow_the_lines_period(ce):
    week = ask(
        ce, TimePeriod={"Start": "2026-11-12", "End": "2026-11-20"}, Filter={"Tags": {"Key": "tenant", "Values": ["globex"]}}
    )
    amounts = [Decimal(amount) for amount in total(week)]
    assert [bool(amount) for amount in amounts] == [False, True, True, True, True, True, True, False]
    month = ask(
        ce,
        TimePeriod={"Start": "2026-11-01", "End": "2026-12-01"},
        Granularity="MONTHLY",
        Filter={"Tags": {"Key": "tenant", "Values": ["globex"]}},
    )
    assert [Decimal(amount) for amount in total(month)] == [sum(amounts)]


def test_the_running_month_is_estimated(ce):
    answer = ask(ce, TimePeriod={"Start": "2026-10-31", "End": "2026-11-02"})
    assert [result["Estimated"] for result in answer["ResultsByTime"]] == [False, True]


@pytest.mark.parametrize(
    "request_",
    [
        {"TimePeriod": {"Start": "2026-11-17", "End": "2026-11-17"}},
        {"Granularity": "HOURLY"},
        {"Metrics": ["Nonsense"]},
        {"GroupBy": [by("TAG", key) for key in "abc"]},
        {"GroupBy": [by("DIMENSION", "AZ")]},
        {"Filter": {"CostCategories": {"Key": "x", "Values": ["y"]}}},
        {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": ["x"]}, "Tags": {"Key": "x", "Values": ["y"]}}},
    ],
)
def test_what_is_not_valid_is_refused(ce, request_):
    with pytest.raises(ClientError, match="ValidationException"):
        ask(ce, **request_)


def test_tags_are_listed_by_key_and_status(ce):
    def keys(**request):
        return [tag["TagKey"] for tag in ce.list_cost_allocation_tags(**request)["CostAllocationTags"]]

    assert keys() == ["connector", "tenant"]
    assert keys(Status="Active") == ["tenant"]
    assert keys(TagKeys=["connector", "nobody"]) == ["connector"]
