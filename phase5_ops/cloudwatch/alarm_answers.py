"""What the readers of alarms and topics return, as plain data. Pure: no boto3, so that evidence can use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase5_ops.reads import Read

DIRECT_PROTOCOLS = frozenset({"application", "email", "email-json", "http", "https", "sms"})
"""Protocols that reach people or their systems directly, with no other AWS service between."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A confirmed subscription of a topic.

    Attributes:
        arn: its ARN.
        protocol: email, sqs, lambda, https, ...
        endpoint: where it delivers; kept out of the evidence, since it may be a person's address.
        attributes: of GetSubscriptionAttributes; None where they were not asked for.
        missing: what no longer exists (the subscription or its target), or None.
        target_policy: the policy of the queue or function it delivers to (JSON text); None where it was not asked for.
        target_key: what the queue is encrypted with; None where it is not, or only with the invisible key of SQS itself.
        withheld: what another account does not let us read, so that delivery is not known, or None.
    """

    arn: str
    protocol: str
    endpoint: str
    attributes: Mapping[str, str] | None = None
    missing: str | None = None
    target_policy: str | None = None
    target_key: "EncryptionKey | None" = None
    withheld: str | None = None


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """The KMS key of a topic or queue: its name there, whether AWS manages it, its state, and its policy (None: not read).

    `withheld`: another account does not let us read it.
    """

    name: str
    aws_managed: bool | None = None
    state: str | None = None
    policy: str | None = None
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic.

    Attributes:
        exists: None where it could not be read.
        confirmed: number of confirmed subscriptions; None where they could not be read.
        pending: number of those that wait for confirmation.
        policy: its access policy (JSON text); None where it was not asked for.
        key: what it is encrypted with; None where it is not, or only with SNS's own invisible key.
        subscriptions: the confirmed ones.
        withheld: it belongs to another account, which does not let it be read.
    """

    arn: str
    exists: bool | None
    confirmed: int | None
    pending: int | None
    error: str | None = None
    policy: str | None = None
    key: EncryptionKey | None = None
    subscriptions: Sequence[Subscription] = ()
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Alarms:
    """All alarms and mute rules of the region, as DescribeAlarms and GetAlarmMuteRule give them."""

    metric_alarms: Sequence[Mapping[str, Any]]
    composite_alarms: Sequence[Mapping[str, Any]]
    mute_rules: Sequence[Mapping[str, Any]]
    reads: Sequence[Read]
