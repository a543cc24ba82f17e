"""Reads what decides whether a topic delivers its messages: its key, its subscriptions' filters, and their targets.

Subscriptions are read one by one until one is found that passes every message to people, so that an ordinary topic costs one
call. Topics, keys, queues and functions of another account are read too; if their owner refuses that, the read has not failed and
the resource is marked as withheld.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from phase5_ops.aws.alarms import account_of, is_foreign, region_of, withheld
from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.cloudwatch.alarm_answers import DIRECT_PROTOCOLS, EncryptionKey, Subscription, Topic
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

#: The key that AWS manages for SQS in each account.
SQS_KEY_ALIAS = "alias/aws/sqs"

MOST_SUBSCRIPTIONS = 100
"""The most subscriptions of one topic that are read."""


class _Withheld(Exception):
    """Another account does not let this be read."""


def read_delivery(
    reader: AwsReader, topics: Mapping[str, Topic], account: str | None = None
) -> tuple[dict[str, Topic], list[Read]]:
    """The topics of `read_topics` with their keys and subscriptions, and how those were read.

    Args:
        reader: bounds and counts the calls.
        topics: by ARN.
        account: the account that reads; None: not known, everything counts as its own.
    """
    found: dict[str, Topic] = {}
    reads: list[Read] = []
    for arn, topic in topics.items():
        delivery = _Delivery(reader, topic, account)
        found[arn] = delivery.whole()
        reads += delivery.reads
    return found, reads


class _Delivery:
    """One topic while its delivery is read."""

    def __init__(self, reader: AwsReader, topic: Topic, account: str | None) -> None:
        self._reader = reader
        self._topic = topic
        self._region = region_of(topic.arn)
        self._own = account
        self.reads: list[Read] = []

    def whole(self) -> Topic:
        if not self._topic.exists:
            return self._topic
        key = self._topic.key and self._key(self._topic.key.name, self._topic.arn)
        return replace(self._topic, key=key, subscriptions=self._subscriptions())

    def _key(self, name: str, user: str) -> EncryptionKey:
        """The key of a topic or queue (`user`): in the user's region, and in its account unless the name gives another."""
        if name.endswith((SNS_KEY_ALIAS, SQS_KEY_ALIAS)):
            return EncryptionKey(name, aws_managed=True)
        region, key = region_of(user), EncryptionKey(name)
        try:
            owner = name if account_of(name) else user
            described = self._ask("kms", "describe_key", name, region, owner=owner, KeyId=name)
            if described is None:
                return replace(key, state="missing")
            metadata = _first(described).get("KeyMetadata") or {}
            key = replace(key, aws_managed=metadata.get("KeyManager") == "AWS", state=metadata.get("KeyState"))
            if key.aws_managed or described.read.status is not ReadStatus.OK:
                return key
            arn = str(metadata["Arn"])
            answer = self._ask("kms", "get_key_policy", name, region, owner=arn, KeyId=arn, PolicyName="default")
            return replace(key, policy=_first(answer).get("Policy") if answer else None)
        except _Withheld:
            return replace(key, withheld=True)

    def _subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions up to the first that takes every message."""
        found: list[Subscription] = []
        reads_before = len(self.reads)
        for subscription in self._topic.subscriptions[:MOST_SUBSCRIPTIONS]:
            found.append(self._subscription(subscription))
            if takes_everything(found[-1]):
                # Failed reads of other subscriptions do not matter then.
                self.reads[reads_before:] = [read for read in self.reads[reads_before:] if read.status is ReadStatus.OK]
                return tuple(found)
        if len(self._topic.subscriptions) > MOST_SUBSCRIPTIONS and self.reads:
            unread = f"only {MOST_SUBSCRIPTIONS} of the topic's {len(self._topic.subscriptions)} subscriptions were read"
            self.reads.append(replace(self.reads[-1], resource=self._topic.arn, status=ReadStatus.PARTIAL, error=unread))
        return tuple(found)

    def _subscription(self, subscription: Subscription) -> Subscription:
        owner = next((arn for arn in (self._topic.arn, subscription.endpoint) if is_foreign(arn, self._own)), self._topic.arn)
        try:
            asked = {"SubscriptionArn": subscription.arn}
            answer = self._ask("sns", "get_subscription_attributes", subscription.arn, owner=owner, **asked)
            if answer is None:
                return replace(subscription, missing="the subscription")
            if answer.read.status is not ReadStatus.OK:
                return subscription
            subscription = replace(subscription, attributes=_first(answer).get("Attributes") or {})
            target = {"sqs": self._queue, "lambda": self._function}.get(subscription.protocol)
            return target(subscription) if target else subscription
        except _Withheld as error:
            return replace(subscription, withheld=str(error))

    def _queue(self, subscription: Subscription) -> Subscription:
        arn = subscription.endpoint
        name, region = arn.rpartition(":")[2], region_of(arn)
        whose = {"QueueOwnerAWSAccountId": account_of(arn)}
        address = self._ask("sqs", "get_queue_url", arn, region, owner=arn, QueueName=name, **whose)
        if address is None:
            return replace(subscription, missing="the queue")
        if address.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        wanted = ["Policy", "KmsMasterKeyId"]
        url = _first(address)["QueueUrl"]
        answer = self._ask("sqs", "get_queue_attributes", arn, region, owner=arn, QueueUrl=url, AttributeNames=wanted)
        if answer is None:
            return replace(subscription, missing="the queue")
        if answer.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        values = _first(answer).get("Attributes") or {}
        key = self._key(str(values["KmsMasterKeyId"]), arn) if values.get("KmsMasterKeyId") else None
        return replace(subscription, target_policy=values.get("Policy") or "", target_key=key)

    def _function(self, subscription: Subscription) -> Subscription:
        arn = subscription.endpoint
        region = region_of(arn)
        described = self._ask("lambda", "get_function_configuration", arn, region, owner=arn, FunctionName=arn)
        if described is None:
            return replace(subscription, missing="the function")
        answer = self._ask("lambda", "get_policy", arn, region, owner=arn, FunctionName=arn)
        if answer is None:
            return replace(subscription, target_policy="")
        if described.read.status is not ReadStatus.OK or answer.read.status is not ReadStatus.OK:
            return replace(subscription, attributes=None)
        return replace(subscription, target_policy=_first(answer).get("Policy") or "")

    def _ask(
        self,
        service: str,
        operation: str,
        resource: str,
        region: str | None = None,
        *,
        owner: str,
        **params: Any,  # noqa: ANN401 - of the API
    ) -> Answer | None:
        """The answer, with its read kept; None if the resource does not exist, which is a successful read too.

        Raises:
            _Withheld: the account of the ARN `owner` is another one and refuses the read.
        """
        answer = self._reader.call(service, operation, resource, region=region or self._region, **params)
        if is_foreign(owner, self._own) and withheld(answer.read):
            raise _Withheld(f"{resource} of account {account_of(owner)}")
        if answer.read.status is ReadStatus.NOT_FOUND:
            self.reads.append(replace(answer.read, status=ReadStatus.OK, error=None))
            return None
        self.reads.append(answer.read)
        return answer


def takes_everything(subscription: Subscription) -> bool:
    """Whether a subscription was read, has no filter, and tells people of every message."""
    if subscription.attributes is None or subscription.missing or subscription.protocol not in DIRECT_PROTOCOLS:
        return False
    return not subscription.attributes.get("FilterPolicy")


def _first(answer: Answer) -> Mapping[str, Any]:
    return answer.pages[0] if answer.pages else {}
