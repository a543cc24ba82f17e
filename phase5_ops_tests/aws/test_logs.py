"""Reading log groups and their events: pages, order, pace, retention, and what is odd or denied."""

import threading
import time

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.logs import LogEvent, LogGroup, LogWindow, list_log_groups, read_log_events, retention_reads
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings

GROUP = LogGroup("/aws/lambda/cc-native-tool-invoker", None)
DAY_MS = 86_400_000


@pytest.fixture
def stubbed():
    """A reader and the stubber of its CloudWatch Logs client."""
    reader = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("logs")) as stubber:
        yield reader, stubber


def event(message="x", **more):
    return {"logStreamName": "s", "timestamp": 5, "message": message, **more}


def read(reader, *ranges, groups=(GROUP,), calls_per_second=1_000.0):
    """The events that come, by page, and the reads."""
    pages = []
    window = LogWindow(ranges or ((1, 10),), calls_per_second)
    reads = read_log_events(reader, groups, window, lambda group, events: pages.append((group, events)))
    return pages, reads


def expected(start=1, end=10, **more):
    return {"logGroupName": GROUP.name, "startTime": start, "endTime": end, "interleaved": True, **more}


def test_the_groups_of_all_prefixes_come_once_each_with_their_retention(stubbed):
    reader, stubber = stubbed
    answer = {"logGroups": [{"logGroupName": "/b", "retentionInDays": 7}, {"logGroupName": "/a"}]}
    stubber.add_response("describe_log_groups", answer, {"logGroupNamePrefix": "/"})
    stubber.add_response("describe_log_groups", answer, {"logGroupNamePrefix": "/a"})
    groups, reads = list_log_groups(reader, ["/", "/a"])
    assert groups == [LogGroup("/a", None), LogGroup("/b", 7)]
    assert [one.resource for one in reads] == ["/", "/a"]


def test_every_page_is_handed_on_as_it_comes_an_empty_one_too(stubbed):
    reader, stubber = stubbed
    stubber.add_response("filter_log_events", {"events": [event("one")], "nextToken": "t1"}, expected())
    stubber.add_response("filter_log_events", {"events": [], "nextToken": "t2"}, expected(nextToken="t1"))
    stubber.add_response("filter_log_events", {"events": [event("two")]}, expected(nextToken="t2"))
    pages, reads = read(reader)
    assert pages == [(GROUP.name, [LogEvent("s", 5, "one")]), (GROUP.name, []), (GROUP.name, [LogEvent("s", 5, "two")])]
    assert [(one.status, one.pages) for one in reads] == [(ReadStatus.OK, 3)]


def test_every_range_of_a_sampled_window_is_a_read_of_its_own(stubbed):
    reader, stubber = stubbed
    stubber.add_response("filter_log_events", {"events": []}, expected(1, 2))
    stubber.add_response("filter_log_events", {"events": []}, expected(5, 6))
    assert len(read(reader, (1, 2), (5, 6))[1]) == 2


def test_an_event_without_message_makes_the_read_partial(stubbed):
    reader, stubber = stubbed
    stubber.add_response("filter_log_events", {"events": [event(), {"logStreamName": "s", "timestamp": 5}]}, expected())
    pages, (found,) = read(reader)
    assert (found.status, len(pages[0][1])) == (ReadStatus.PARTIAL, 1)


def test_what_came_before_a_throttle_is_kept_and_a_denied_group_is_told(stubbed):
    reader, stubber = stubbed
    stubber.add_response("filter_log_events", {"events": [event()], "nextToken": "t1"}, expected())
    stubber.add_client_error("filter_log_events", "ThrottlingException")
    stubber.add_client_error("filter_log_events", "AccessDeniedException")
    pages, (throttled,) = read(reader)
    assert (len(pages), throttled.status, throttled.pages) == (1, ReadStatus.THROTTLED, 1)
    _, (denied,) = read(reader)
    assert (denied.status, denied.pages) == (ReadStatus.DENIED, 0)


def test_all_groups_share_one_pace_and_the_consumer_is_called_by_one_thread_at_a_time(stubbed, monkeypatch):
    reader, _ = stubbed
    busy, calls = threading.Lock(), []

    def paginate(*_, consume, before_page, **__):
        for _ in range(3):
            before_page()
            calls.append(time.monotonic())
            consume({"events": [event()]})
        now = "2026-11-23T09:00:00Z"
        return type("Answer", (), {"read": Read("logs:FilterLogEvents", "g", ReadStatus.OK, None, 3, now, now)})

    def consume(_group, _events):
        assert busy.acquire(blocking=False)
        busy.release()

    monkeypatch.setattr(reader, "paginate", paginate)
    groups = [LogGroup(f"/{n}", None) for n in range(4)]
    read_log_events(reader, groups, LogWindow(((1, 2),), 100), consume)
    assert len(calls) == 12
    assert max(calls) - min(calls) >= 11 * 0.01 * 0.9


@pytest.mark.parametrize("days", [None, 1, 3])
def test_a_group_that_keeps_the_whole_window_is_no_finding(days):
    assert retention(days, window_days=1) == []


def test_a_group_that_keeps_less_than_the_window_is_a_partial_read():
    (found,) = retention(1, window_days=2)
    assert (found.operation, found.resource, found.status) == ("logs:retention", GROUP.name, ReadStatus.PARTIAL)
    assert "1 days" in found.error


def retention(days, *, window_days):
    model = Read("logs:DescribeLogGroups", "/", ReadStatus.OK, None, 1, "2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z")
    return retention_reads([LogGroup(GROUP.name, days)], 0, window_days * DAY_MS, model)
