"""Telling people what became of a candidate: one SNS topic. The caller decides whether it must succeed."""

from datetime import datetime

from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate
from phase5_ops.policy import NotificationPolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("sns:Publish",)

NOT_SET = "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN is not set, so nobody would be told"

_LONGEST_SUBJECT = 100  # characters, printable ASCII, see https://docs.aws.amazon.com/sns/latest/api/API_Publish.html


def tell_fate(
    reader: AwsReader, policy: NotificationPolicy, release: Release, fate: Fate, *, because: str, at: datetime
) -> str | None:
    """Tells people that a candidate is now READY_TO_SIGN, PROMOTED, ...; None if SNS took it or no topic is set, else why not."""
    if policy.sns_topic_arn is None:
        return None
    subject = f"phase5: {release.name} in {release.environment} is {fate}"
    text = f"{release.name} {release.digest}\nin {release.environment} is {fate} at {iso(at)}\n{because}".rstrip()
    return notify(reader, policy, subject, text)


def notify(reader: AwsReader, policy: NotificationPolicy, subject: str, text: str) -> str | None:
    """Publishes to the topic; returns None if SNS took it, else why nobody was told."""
    topic = policy.sns_topic_arn
    if topic is None:
        return NOT_SET
    short = "".join(char if char.isascii() and char.isprintable() else "?" for char in subject)[:_LONGEST_SUBJECT]
    answer = reader.call("sns", "publish", topic, TopicArn=topic, Subject=short, Message=text)
    if answer.read.status is not ReadStatus.OK or not answer.pages[0].get("MessageId"):
        return f"{answer.read.operation} {topic}: {answer.read.status}: {answer.read.error}"
    return None
