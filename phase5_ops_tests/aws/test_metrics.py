"""Reading CloudWatch metrics: batches, pages, and what CloudWatch says of its own answers."""

from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.aws.metrics import IAM_ACTIONS, MAX_POINTS, list_metric_sets, read_metric_data
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet
from phase5_ops.reads import ReadStatus
from phase5_ops_tests.aws.fake_cloudwatch import FakeCloudWatch

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
SET = MetricSet.of("tool_success", {"tool_name": "crm.x", "connector_id": "crm"})


def query(metric_set: MetricSet = SET, minutes: int = 60, period: int = 60) -> MetricQuery:
    return MetricQuery(metric_set, "Sum", period, START, START + timedelta(minutes=minutes))


def cloud(**options) -> FakeCloudWatch:
    fake = FakeCloudWatch(**options)
    for minute in range(5):
        fake.put("tool_success", START + timedelta(minutes=minute), dict(SET.dimensions))
    return fake


def problems(reads):
    return [(read.resource, read.status, read.error) for read in reads if read.status is not ReadStatus.OK]


def test_sets_listed_on_several_pages_and_twice_come_once():
    fake = cloud(page_size=1)
    fake.put("other_metric", START, {})
    listed, read = list_metric_sets(fake, "ns", ["tool_success"])
    assert listed == [SET]
    assert read.operation in IAM_ACTIONS
    assert read.pages == 3


def test_values_of_all_pages_are_put_together():
    """PartialData on a page that is followed by another one is no problem; the last page's status counts."""
    [series], reads = read_metric_data(cloud(page_size=2), "ns", [query()])
    assert sum(series.values) == 5
    assert series.whole
    assert problems(reads) == []


def test_calls_hold_at_most_500_queries_and_one_time_range():
    fake = cloud()
    other = MetricQuery(SET, "Sum", 300, START, START + timedelta(minutes=30))
    series, _ = read_metric_data(fake, "ns", [query()] * 501 + [other])
    assert sorted(len(call["queries"]) for call in fake.asked) == [1, 1, 500]
    assert len(series) == 502
    assert {sum(one.values) for one in series} == {5}
    assert fake.meter.units == {"cloudwatch:GetMetricData": 502}


def test_calls_hold_at_most_100_800_points():
    long = query(minutes=60 * 24 * 15)
    fake = cloud()
    read_metric_data(fake, "ns", [long] * 6)
    assert long.points == 21_600
    assert sorted(len(call["queries"]) for call in fake.asked) == [2, 4]
    assert all(len(call["queries"]) * long.points <= MAX_POINTS for call in fake.asked)


@pytest.mark.parametrize(
    ("codes", "status", "calls"),
    [
        (["PartialData"], ReadStatus.PARTIAL, 1),
        (["Forbidden"], ReadStatus.DENIED, 1),
        (["InternalError"], ReadStatus.FAILED, 2),
        (["SomethingNew"], ReadStatus.INVALID, 1),
    ],
)
def test_status_that_is_not_complete_is_a_read_of_its_own_naming_the_metric(codes, status, calls):
    fake = cloud(statuses={SET: codes})
    [series], reads = read_metric_data(fake, "ns", [query()])
    assert not series.whole
    assert problems(reads) == [(query().label, status, codes[0])]
    assert len(fake.asked) == calls


def test_internal_error_that_goes_away_is_no_problem():
    [series], reads = read_metric_data(cloud(statuses={SET: ["InternalError", "Complete"]}), "ns", [query()])
    assert series.whole
    assert sum(series.values) == 5
    assert problems(reads) == []


def test_messages_make_the_answer_partial():
    """Messages of one result concern that metric; messages of the call concern all of its metrics."""
    _, reads = read_metric_data(cloud(result_messages={SET: "too many"}), "ns", [query()])
    assert problems(reads) == [(query().label, ReadStatus.PARTIAL, "Test: too many")]
    [series], reads = read_metric_data(cloud(messages=[{"Code": "MaxMetricsExceeded", "Value": "500"}]), "ns", [query()])
    assert [(status, error) for _, status, error in problems(reads)] == [(ReadStatus.PARTIAL, "MaxMetricsExceeded: 500")]
    assert not series.whole


def test_query_without_a_result_is_invalid():
    [series], reads = read_metric_data(cloud(omitted={SET}), "ns", [query()])
    assert not series.whole
    assert [status for _, status, _ in problems(reads)] == [ReadStatus.INVALID]


def test_failed_page_fails_the_call_once_and_leaves_its_series_not_whole():
    [series, _], reads = read_metric_data(cloud(page_size=2, fail={"get_metric_data": ReadStatus.THROTTLED}), "ns", [query()] * 2)
    assert not series.whole
    assert [status for _, status, _ in problems(reads)] == [ReadStatus.THROTTLED]


def test_nothing_to_ask_makes_no_call():
    fake = cloud()
    assert read_metric_data(fake, "ns", []) == ([], [])
    assert fake.asked == []


def test_metric_set_reads_its_own_text():
    assert MetricSet.parse(str(SET)) == SET
    assert SET.label == "tool_success{connector_id=crm, tool_name=crm.x}"


@pytest.mark.parametrize("value", ["NaN", 10**400, float("inf")])
def test_a_value_that_is_no_number_is_a_problem_of_its_metric(value, monkeypatch):
    fake = cloud()
    result = fake._result
    monkeypatch.setattr(fake, "_result", lambda *given: result(*given) | {"Values": [1.0] * 4 + [value]})
    [series], reads = read_metric_data(fake, "ns", [query()])
    assert not series.whole
    assert [(status, "no number" in error) for _, status, error in problems(reads)] == [(ReadStatus.PARTIAL, True)]


@pytest.mark.parametrize("dimension", [{"Name": "tool_name"}, {"Value": "crm.x"}, {}])
def test_a_listed_metric_with_half_a_dimension_makes_the_list_invalid(dimension, monkeypatch):
    entries = [{"MetricName": "tool_success", "Dimensions": [dimension]}, {"MetricName": "other", "Dimensions": [{}]}]
    fake = cloud()
    whole = list(fake._list_metrics("ns"))
    monkeypatch.setattr(fake, "_list_metrics", lambda Namespace: [*whole, {"Metrics": entries}])
    listed, read = list_metric_sets(fake, "ns", ["tool_success"])
    assert listed == [SET]
    assert (read.status, str(read.error).startswith("a dimension of tool_success has no")) == (ReadStatus.INVALID, True)
