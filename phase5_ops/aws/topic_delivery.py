"""Reads what decides whether a topic delivers what is published to it: its key, its subscriptions' filters, and their targets.

Subscriptions are asked for one after the other until one is found that takes every message and whose target is there, so that an
ordinary topic costs one call. A key, queue or function of another account is not asked for: its owner alone may read its policy.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from phase5_ops.aws.alarm_answers import EncryptionKey, Subscription, Topic
from phase5_ops.aws.alarms import region_of
from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = (
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "lambda:GetFunctionConfiguration",
    "lambda:GetPolicy",
    "sns:GetSubscriptionAttributes",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
)

#: The key that AWS manages for SNS in each account.
SNS_KEY_ALIAS = "alias/aws/sns"

MOST_SUBSCRIPTIONS = 100
"""Subscriptions of one topic that are looked at."""


def read_delivery(reader: AwsReader, topics: Mapping[str, Topic]) -> tuple[dict[str, Topic], list[Read]]:
    """The topics of `read_topics` with their keys and subscriptions, and how those were read."""
    found: dict[str, Topic] = {}
    reads: list[Read] = []
    for arn, topic in topics.items():
        delivery = _Delivery(reader, topic)
        found[arn] = delivery.whole()
        reads += delivery.reads
    return found, reads


class _Delivery:
    """One topic while its delivery is read."""

    def __init__(self, reader: AwsReader, topic: Topic) -> None:
        self._reader = reader
        self._topic = topic
        self._region = region_of(topic.arn)
        self._account = _account(topic.arn)
        self.reads: list[Read] = []

    def whole(self) -> Topic:
        if not self._topic.exists:
            return self._topic
        return replace(self._topic, key=self._key(self._topic.key), subscriptions=self._subscriptions())

    def _key(self, key: EncryptionKey | None) -> EncryptionKey | None:
        if key is None or key.name.endswith(SNS_KEY_ALIAS):
            return key and replace(key, aws_managed=True)
        described = self._ask("kms", "describe_key", key.name, KeyId=key.name)
        if described is None:
            return replace(key, state="missing")
        metadata = _first(described).get("KeyMetadata") or {}
        key = replace(key, aws_managed=metadata.get("KeyManager") == "AWS", state=metadata.get("KeyState"))
        arn = str(metadata.get("Arn", ""))
        if key.aws_managed or _account(arn) != self._account:
            return key
        answer = self._ask("kms", "get_key_policy", key.name, KeyId=arn, PolicyName="default")
        return replace(key, policy=_first(answer).get("Policy") if answer else None)

    def _subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions up to the first that takes every message."""
        found: list[Subscription] = []
        reads_before = len(self.reads)
        for subscription in self._topic.subscriptions[:MOST_SUBSCRIPTIONS]:
            found.append(self._subscription(subscription))
            if takes_everything(found[-1]):
                # That the others could not be read has no bearing then.
                self.reads[reads_before:] = [read for read in self.reads[reads_before:] if read.status is ReadStatus.OK]
                return tuple(found)
        if len(self._topic.subscriptions) > MOST_SUBSCRIPTIONS and self.reads:
            seen = f"{MOST_SUBSCRIPTIONS} of {len(self._topic.subscriptions)} subscriptions"
            self.reads.append(replace(self.reads[-1], resource=self._topic.arn, status=ReadStatus.PARTIAL, error=f"only {seen}"))
        return tuple(found)

    def _subscription(self, subscription: Subscription) -> Subscription:
        answer = self._ask("sns", "get_subscription_attributes", subscription.arn, SubscriptionArn=subscription.arn)
        if answer is None:
            return replace(subscription, missing="the subscription")
        if answer.read.status is not ReadStatus.OK:
            return subscription
        subscription = replace(subscription, attributes=_first(answer).get("Attributes") or {})
        if _account(subscription.endpoint) != self._account:
            return subscription
        target = {"sqs": self._queue, "lambda": self._function}.get(subscription.protocol)
        return target(subscription) if target else subscription

    def _queue(self, subscription: Subscription) -> Subscription:
        arn = subscription.endpoint
        name, region = arn.rpartition(":")[2], region_of(arn)
        address = self._ask("sqs", "get_queue_url", arn, region, QueueName=name, QueueOwnerAWSAccountId=self._account)
        if address is None:
            return replace(subscription, missing="the queue")
        if address.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        wanted = ["Policy", "KmsMasterKeyId"]
        url = _first(address)["QueueUrl"]
        answer = self._ask("sqs", "get_queue_attributes", arn, region, QueueUrl=url, AttributeNames=wanted)
        if answer is None:
            return replace(subscription, missing="the queue")
        if answer.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        values = _first(answer).get("Attributes") or {}
        return replace(subscription, target_policy=values.get("Policy") or "", target_key=values.get("KmsMasterKeyId"))

    def _function(self, subscription: Subscription) -> Subscription:
        arn = subscription.endpoint
        region = region_of(arn)
        described = self._ask("lambda", "get_function_configuration", arn, region, FunctionName=arn)
        if described is None:
            return replace(subscription, missing="the function")
        answer = self._ask("lambda", "get_policy", arn, region, FunctionName=arn)
        if answer is None:
            return replace(subscription, target_policy="")
        if described.read.status is not ReadStatus.OK or answer.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        return replace(subscription, target_policy=_first(answer).get("Policy") or "")

    def _ask(self, service: str, operation: str, resource: str, region: str | None = None, **params: Any) -> Answer | None:  # noqa: ANN401
        """The answer, with its read kept; None where what is asked for does not exist, which is an answer too."""
        answer = self._reader.call(service, operation, resource, region=region or self._region, **params)
        if answer.read.status is ReadStatus.NOT_FOUND:
            self.reads.append(replace(answer.read, status=ReadStatus.OK, error=None))
            return None
        self.reads.append(answer.read)
        return answer


def takes_everything(subscription: Subscription) -> bool:
    """Whether a subscription was read, has no filter, and delivers to what is there (or to what cannot be looked at)."""
    if subscription.attributes is None or subscription.missing or subscription.target_policy is not None:
        return False
    return not subscription.attributes.get("FilterPolicy")


def _first(answer: Answer) -> Mapping[str, Any]:
    return answer.pages[0] if answer.pages else {}


def _account(arn: str) -> str | None:
    return (arn.split(":") + [""] * 5)[4] or None
