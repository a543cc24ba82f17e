"""Publishing to the SNS topic: notices of changes, and what must be told before glass is broken. The caller says what follows."""

from collections.abc import Mapping

from phase5_ops.aws.reader import AwsReader
from phase5_ops.policy import NotificationPolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("sns:Publish",)

NOT_SET = "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN is not set, so nobody would be told"

_LONGEST_SUBJECT = 100  # characters, printable ASCII, see https://docs.aws.amazon.com/sns/latest/api/API_Publish.html


def notify(reader: AwsReader, policy: NotificationPolicy, subject: str, text: str) -> str | None:
    """Publishes to the topic; returns None if SNS took it, else why nobody was told."""
    return publish(reader, policy, subject=subject, text=text, attributes={})


def publish(
    reader: AwsReader, policy: NotificationPolicy, *, subject: str, text: str, attributes: Mapping[str, str]
) -> str | None:
    """Publishes to the topic, with attributes by which subscriptions filter; returns as `notify`."""
    topic = policy.sns_topic_arn
    if topic is None:
        return NOT_SET
    short = "".join(char if char.isascii() and char.isprintable() else "?" for char in subject)[:_LONGEST_SUBJECT]
    given = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    answer = reader.call("sns", "publish", topic, TopicArn=topic, Subject=short, Message=text, MessageAttributes=given)
    if answer.read.status is not ReadStatus.OK or not answer.pages[0].get("MessageId"):
        return f"{answer.read.operation} {topic}: {answer.read.status}: {answer.read.error}"
    return None
