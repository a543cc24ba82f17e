"""PutLogEvents by the platform's clock: what is too old or too new is rejected as the service does."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from phase5_ops.sandbox.aws import logs as moto_logs
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.moto_state import own_aws

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
GROUP, STREAM = "/aws/lambda/cc-native-tool-invoker", "2031/03/01/[$LATEST]0123"


@pytest.fixture
def logs_at():
    """CloudWatch Logs in a platform of a clock, with one group and stream."""
    with own_aws(), mock_aws(), ExitStack() as installed:

        def begin(clock):
            installed.enter_context(moto_logs.installed(clock))
            client = boto3.client("logs", "us-west-2", aws_access_key_id="test", aws_secret_access_key="test")
            client.create_log_group(logGroupName=GROUP)
            client.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
            return client

        yield begin


def put(client, *moments, group=GROUP):
    events = [{"timestamp": int(moment.timestamp() * 1000), "message": f"{moment}"} for moment in moments]
    return client.put_log_events(logGroupName=group, logStreamName=STREAM, logEvents=events)


def kept(client):
    return [event["message"] for event in client.filter_log_events(logGroupName=GROUP)["events"]]


def test_events_older_than_fourteen_days_or_two_hours_ahead_are_rejected_by_the_platforms_clock(logs_at):
    client = logs_at(PlatformClock(NOW))
    old, recent, ahead = NOW - timedelta(days=15), NOW - timedelta(days=13), NOW + timedelta(hours=3)
    answer = put(client, old, recent, ahead)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 0, "tooNewLogEventStartIndex": 2}
    assert kept(client) == [str(recent)]


def test_a_replayed_capture_keeps_events_of_any_age(logs_at):
    client = logs_at(PlatformClock(replay=True))
    put(client, NOW - timedelta(days=4_000))
    assert len(kept(client)) == 1


def test_events_out_of_order_and_unknown_groups_are_refused(logs_at):
    client = logs_at(PlatformClock(NOW))
    with pytest.raises(ClientError, match="chronological"):
        put(client, NOW, NOW - timedelta(minutes=1))
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        put(client, NOW, group="/none")
