"""Alarms, mute rules and topics are read whole, and what does not exist is an answer."""

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.alarms import IAM_ACTIONS, read_alarms, read_topics
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

TOPIC = "arn:aws:sns:eu-central-1:123456789012:on-call"
RULE_ARN = "arn:aws:cloudwatch:us-west-2:123456789012:alarm-mute-rule:night"


@pytest.fixture
def stubs(monkeypatch):
    """A reader whose clients answer from stubs; `regions` records for which regions they were asked."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    reader = AwsReader(ReadingSettings(deadline_seconds=20), session=boto3.Session(region_name="us-west-2", **keys))
    clients = {service: boto3.client(service, region_name="us-west-2", **keys) for service in ("cloudwatch", "sns")}
    regions = []

    def client(service, region=None):
        regions.append((service, region))
        return clients[service]

    monkeypatch.setattr(reader, "client", client)
    stubbed = {service: Stubber(client) for service, client in clients.items()}
    for stub in stubbed.values():
        stub.activate()
    yield reader, stubbed["cloudwatch"], stubbed["sns"], regions
    for stub in stubbed.values():
        stub.assert_no_pending_responses()


LARGE = {"MaxRecords": 100}
TYPES = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], **LARGE}


def test_all_pages_of_metric_and_composite_alarms(stubs):
    reader, cloudwatch, _, _ = stubs
    cloudwatch.add_response("describe_alarms", {"MetricAlarms": [{"AlarmName": "a"}], "NextToken": "n"}, TYPES)
    second = {"MetricAlarms": [{"AlarmName": "b"}], "CompositeAlarms": [{"AlarmName": "c"}]}
    cloudwatch.add_response("describe_alarms", second, TYPES | {"NextToken": "n"})
    cloudwatch.add_response("list_alarm_mute_rules", {"AlarmMuteRuleSummaries": []}, LARGE)
    alarms = read_alarms(reader)
    assert [raw["AlarmName"] for raw in (*alarms.metric_alarms, *alarms.composite_alarms)] == ["a", "b", "c"]
    assert [(read.operation, read.status, read.pages) for read in alarms.reads] == [
        ("cloudwatch:DescribeAlarms", ReadStatus.OK, 2),
        ("cloudwatch:ListAlarmMuteRules", ReadStatus.OK, 1),
    ]


def test_mute_rules_that_are_not_expired_are_read_with_their_targets(stubs):
    reader, cloudwatch, _, _ = stubs
    cloudwatch.add_response("describe_alarms", {}, TYPES)
    summaries = [{"AlarmMuteRuleArn": RULE_ARN, "Status": "ACTIVE"}, {"AlarmMuteRuleArn": RULE_ARN + "-old", "Status": "EXPIRED"}]
    cloudwatch.add_response("list_alarm_mute_rules", {"AlarmMuteRuleSummaries": summaries}, LARGE)
    rule = {"Name": "night", "Status": "ACTIVE", "MuteTargets": {"AlarmNames": ["a"]}}
    cloudwatch.add_response("get_alarm_mute_rule", rule, {"AlarmMuteRuleName": "night"})
    assert [found["Name"] for found in read_alarms(reader).mute_rules] == ["night"]


def test_a_page_that_fails_keeps_the_pages_before_it_and_is_recorded(stubs):
    reader, cloudwatch, _, _ = stubs
    cloudwatch.add_response("describe_alarms", {"MetricAlarms": [{"AlarmName": "a"}], "NextToken": "n"}, TYPES)
    cloudwatch.add_client_error("describe_alarms", "Throttling")
    cloudwatch.add_client_error("list_alarm_mute_rules", "AccessDenied")
    alarms = read_alarms(reader)
    assert len(alarms.metric_alarms) == 1
    assert [read.status for read in alarms.reads] == [ReadStatus.THROTTLED, ReadStatus.DENIED]


def test_topics_are_read_in_their_own_region(stubs):
    reader, _, sns, regions = stubs
    sns.add_response("get_topic_attributes", {"Attributes": {}}, {"TopicArn": TOPIC})
    subscriptions = [
        {"SubscriptionArn": TOPIC + ":1"},
        {"SubscriptionArn": "PendingConfirmation"},
        {"SubscriptionArn": "Deleted"},
    ]
    sns.add_response("list_subscriptions_by_topic", {"Subscriptions": subscriptions}, {"TopicArn": TOPIC})
    topics, reads = read_topics(reader, [TOPIC, TOPIC])
    assert (topics[TOPIC].exists, topics[TOPIC].confirmed, topics[TOPIC].pending) == (True, 1, 1)
    assert {region for service, region in regions if service == "sns"} == {"eu-central-1"}
    assert all(read.status is ReadStatus.OK for read in reads)


def test_a_topic_that_does_not_exist_is_an_answer(stubs):
    reader, _, sns, _ = stubs
    sns.add_client_error("get_topic_attributes", "NotFound", "Topic does not exist")
    topics, reads = read_topics(reader, [TOPIC])
    assert topics[TOPIC].exists is False
    assert [read.status for read in reads] == [ReadStatus.OK]


@pytest.mark.parametrize("failing", ["get_topic_attributes", "list_subscriptions_by_topic"])
def test_a_topic_that_cannot_be_read_is_unknown(stubs, failing):
    reader, _, sns, _ = stubs
    if failing == "list_subscriptions_by_topic":
        sns.add_response("get_topic_attributes", {"Attributes": {}}, {"TopicArn": TOPIC})
    sns.add_client_error(failing, "AuthorizationError")
    topics, reads = read_topics(reader, [TOPIC])
    assert topics[TOPIC].confirmed is None
    assert reads[-1].status is ReadStatus.DENIED


@pytest.mark.parametrize("failing", ["get_topic_attributes", "list_subscriptions_by_topic"])
@pytest.mark.parametrize("error", ["AuthorizationError", "NotFound"])
def test_a_topic_that_another_account_keeps_to_itself_is_no_failed_read(stubs, failing, error):
    reader, _, sns, _ = stubs
    if failing == "list_subscriptions_by_topic":
        sns.add_response("get_topic_attributes", {"Attributes": {}}, {"TopicArn": TOPIC})
    sns.add_client_error(failing, error)
    topics, reads = read_topics(reader, [TOPIC], "999999999999")
    assert (topics[TOPIC].withheld, topics[TOPIC].confirmed) == (True, None)
    assert all(read.status is ReadStatus.OK for read in reads)


def test_the_iam_actions_are_those_of_the_calls():
    assert set(IAM_ACTIONS) == {
        "cloudwatch:DescribeAlarms",
        "cloudwatch:ListAlarmMuteRules",
        "cloudwatch:GetAlarmMuteRule",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
    }
