"""Reads alarms as they are: metric and composite alarms, mute rules, and the SNS topics that alarms publish to.

Answers keep the API's own field names; `sections/slo/alarms/evidence.py` makes a table of them. A topic that does not exist is an
answer, not a failed read; so is a topic that another account does not let us read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.cloudwatch.alarm_answers import Alarms, EncryptionKey, Subscription, Topic
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = (
    "cloudwatch:DescribeAlarms",
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:GetAlarmMuteRule",
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
)

#: As many alarms, or mute rules, as a page takes; fifty alarms if nothing is said (CloudWatch API reference).
_LARGE_PAGES = {"PageSize": 100}

#: What reading the history of alarms needs.
HISTORY_ACTIONS = ("cloudwatch:DescribeAlarmHistory",)

_MUTE_RULE_RESOURCE = ":alarm-mute-rule:"


def describe_alarms(reader: AwsReader) -> Answer:
    """Every metric and composite alarm, `MetricAlarms` and `CompositeAlarms`; without AlarmTypes only metric alarms come."""
    return reader.paginate(
        "cloudwatch", "describe_alarms", "all alarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"], PaginationConfig=_LARGE_PAGES
    )


def read_alarms(reader: AwsReader) -> Alarms:
    """Every metric and composite alarm, and every mute rule that has not expired."""
    answer = describe_alarms(reader)
    rules, rule_reads = _read_mute_rules(reader)
    return Alarms(answer.items("MetricAlarms"), answer.items("CompositeAlarms"), rules, [answer.read, *rule_reads])


def read_alarm_history(reader: AwsReader, since: datetime) -> Answer:
    """What happened to every alarm since then, `AlarmHistoryItems`, newest first: changes of state and of definition, actions.

    CloudWatch keeps thirty days.
    """
    return reader.paginate(
        "cloudwatch",
        "describe_alarm_history",
        "all alarms",
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        StartDate=since,
        ScanBy="TimestampDescending",
        PaginationConfig=_LARGE_PAGES,
    )


def _read_mute_rules(reader: AwsReader) -> tuple[list[Mapping[str, Any]], list[Read]]:
    listed = reader.paginate("cloudwatch", "list_alarm_mute_rules", "all mute rules", PaginationConfig=_LARGE_PAGES)
    rules: list[Mapping[str, Any]] = []
    reads = [listed.read]
    for summary in listed.items("AlarmMuteRuleSummaries"):
        if summary.get("Status") == "EXPIRED":
            continue
        name = str(summary.get("AlarmMuteRuleArn", "")).rpartition(_MUTE_RULE_RESOURCE)[2]
        answer = reader.call("cloudwatch", "get_alarm_mute_rule", name, AlarmMuteRuleName=name)
        if answer.read.status is not ReadStatus.NOT_FOUND:  # deleted between the two calls
            reads.append(answer.read)
            rules.extend(answer.pages)
    return rules, reads


def read_topics(reader: AwsReader, arns: Iterable[str], account: str | None = None) -> tuple[dict[str, Topic], list[Read]]:
    """The topics behind SNS action ARNs, by ARN, each read in the region that its ARN names.

    Args:
        reader: bounds and counts the calls.
        arns: of the topics.
        account: the account that reads; another account may refuse to show its topics. None: not known, every topic counts as its
            own.
    """
    topics: dict[str, Topic] = {}
    reads: list[Read] = []
    for arn in sorted(set(arns)):
        topics[arn], topic_reads = _read_topic(reader, arn, foreign=is_foreign(arn, account))
        reads.extend(topic_reads)
    return topics, reads


def _read_topic(reader: AwsReader, arn: str, *, foreign: bool) -> tuple[Topic, list[Read]]:
    region = region_of(arn)
    attributes = reader.call("sns", "get_topic_attributes", arn, region=region, TopicArn=arn)
    if foreign and withheld(attributes.read):
        return Topic(arn, None, None, None, attributes.read.error, withheld=True), []
    if attributes.read.status is ReadStatus.NOT_FOUND:
        return Topic(arn, False, 0, 0, attributes.read.error), [replace(attributes.read, status=ReadStatus.OK, error=None)]
    if attributes.read.status is not ReadStatus.OK:
        return Topic(arn, None, None, None, attributes.read.error), [attributes.read]
    listed = reader.paginate("sns", "list_subscriptions_by_topic", arn, region=region, TopicArn=arn)
    if foreign and withheld(listed.read):
        return Topic(arn, True, None, None, listed.read.error, withheld=True), [attributes.read]
    reads = [attributes.read, listed.read]
    if listed.read.status is not ReadStatus.OK:
        return Topic(arn, True, None, None, listed.read.error), reads
    found = listed.items("Subscriptions")
    confirmed = tuple(
        Subscription(str(each["SubscriptionArn"]), str(each.get("Protocol", "")), str(each.get("Endpoint", "")))
        for each in found
        if str(each.get("SubscriptionArn", "")).startswith("arn:")
    )
    values = (attributes.pages[0] if attributes.pages else {}).get("Attributes") or {}
    return Topic(
        arn,
        True,
        len(confirmed),
        sum(each.get("SubscriptionArn") == "PendingConfirmation" for each in found),
        policy=str(values.get("Policy") or ""),
        key=EncryptionKey(str(values["KmsMasterKeyId"])) if values.get("KmsMasterKeyId") else None,
        subscriptions=confirmed,
    ), reads


def region_of(arn: str) -> str | None:
    """The region that an ARN names."""
    return (arn.split(":") + [""] * 4)[3] or None


def account_of(arn: str) -> str | None:
    """The account that an ARN names; None for text that is no ARN."""
    return None if not arn.startswith("arn:") else (arn.split(":") + [""] * 5)[4] or None


def is_foreign(arn: str, account: str | None) -> bool:
    """Whether an ARN is known to be of another account than this one."""
    owner = account_of(arn)
    return bool(account and account.isdigit() and owner and owner != account)


def withheld(read: Read) -> bool:
    """Whether the other account refused the read; some services then answer that the resource does not exist."""
    return read.status in (ReadStatus.DENIED, ReadStatus.NOT_FOUND)
