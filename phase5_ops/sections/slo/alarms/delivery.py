"""Does an SNS topic deliver what a CloudWatch alarm publishes to it? Pure.

Sources: AWS re:Post knowledge center, cloudwatch-configure-alarm-sns (CloudWatch cannot use the key that AWS manages for SNS; a
customer's key must allow it kms:Decrypt and kms:GenerateDataKey*) and cloudwatch-receive-sns-for-alarm-trigger (topic policy,
region); Amazon SNS Developer Guide, "Amazon SNS message filtering".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phase5_ops.aws.filter_policy import AND_MORE, UNKNOWN, FilterPolicyError, accepts
from phase5_ops.aws.resource_policy import Permission, ServiceRequest, permission
from phase5_ops.cloudwatch.alarm_answers import DIRECT_PROTOCOLS

_CLOUDWATCH, _SNS = "cloudwatch.amazonaws.com", "sns.amazonaws.com"
_NAMES = {_CLOUDWATCH: "CloudWatch", _SNS: "SNS"}
_TARGET_ACTIONS = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction"}
_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


@dataclass(frozen=True, slots=True)
class Sender:
    """The alarm that publishes.

    Attributes:
        name: its name.
        arn: its ARN; None where it is not known.
        region: where it lives; None where it is not known.
        account: whose it is; None where it is not known.
        description: its description.
        trigger: what is known of the message's Trigger (MetricName, Namespace, Period).
    """

    name: str
    arn: str | None
    region: str | None
    account: str | None
    description: str | None
    trigger: Mapping[str, Any]

    @property
    def context(self) -> dict[str, str | None]:
        """The condition keys of a request that CloudWatch makes for the alarm."""
        known = {"aws:sourcearn": self.arn, "aws:sourceaccount": self.account, "aws:sourceowner": self.account}
        return {**_OF_A_SERVICE, **{key: value for key, value in known.items() if value is not None}}

    @property
    def message(self) -> dict[str, Any]:
        """The message that CloudWatch publishes when the alarm goes from OK to ALARM."""
        unknown = ("NewStateReason", "StateChangeTime", "Region", "AlarmConfigurationUpdatedTimestamp", "OKActions")
        return {
            **dict.fromkeys((*unknown, "AlarmActions", "InsufficientDataActions", "AlarmRule", "TriggeringChildren"), UNKNOWN),
            "AlarmName": self.name,
            "AlarmArn": self.arn or UNKNOWN,
            "AlarmDescription": self.description,
            "AWSAccountId": self.account or UNKNOWN,
            "NewStateValue": "ALARM",
            "OldStateValue": "OK",
            "Trigger": {**self.trigger, AND_MORE: True},
        }


#: Condition keys of every request that an AWS service makes itself.
_OF_A_SERVICE: Mapping[str, str | None] = {
    "aws:securetransport": "true",
    "aws:principalisawsservice": "true",
    "aws:viaawsservice": "false",
    "aws:sourcevpc": None,
    "aws:sourcevpce": None,
    "sns:protocol": None,
    "sns:endpoint": None,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What becomes of an alarm's message: `fault` says why nobody hears of it, `unknown` why that is not known."""

    fault: str | None = None
    unknown: str | None = None


def delivery(arn: str, topic: Mapping[str, Any], sender: Sender) -> Delivery:
    """Whether a topic delivers the message of an alarm; neither fault nor unknown where it could not be read (an ERROR already).

    Args:
        arn: the topic's ARN.
        topic: its columns in the evidence (see `description`).
        sender: the alarm.
    """
    if topic["exists"] is False:
        return Delivery(f"{arn} does not exist")
    region = (arn.split(":") + [""] * 4)[3]
    if sender.region and region != sender.region:
        return Delivery(f"{arn} is in {region}, and CloudWatch publishes to topics of the alarm's region {sender.region} only")
    if arn.endswith(".fifo"):
        return Delivery(f"{arn} is a FIFO topic, which needs a message group that CloudWatch does not give")
    if topic.get("withheld"):
        return Delivery(unknown=f"{arn} belongs to another account, which does not let it be read")
    if topic["confirmed"] == 0:
        pending = f", {topic['pending']} waiting for confirmation" if topic["pending"] else ""
        return Delivery(f"{arn} has no confirmed subscription{pending}")
    answers = [*_published(arn, topic, sender), _subscribed(topic.get("subscriptions") or (), arn, sender)]
    fault = next((answer.fault for answer in answers if answer.fault), None)
    unknown = next((answer.unknown for answer in answers if answer.unknown), None)
    return Delivery(fault and f"{arn}: {fault}", unknown and f"{arn}: {unknown}")


def _published(arn: str, topic: Mapping[str, Any], sender: Sender) -> Iterable[Delivery]:
    """Whether CloudWatch may publish to the topic, and use its key."""
    if topic.get("policy") is not None:
        yield _of(permission(topic["policy"], ServiceRequest(_CLOUDWATCH, "sns:Publish", arn, sender.context)))
    if (key := topic.get("key")) is not None:
        yield _key(key, "the topic", _CLOUDWATCH, sender.context)


def _key(key: Mapping[str, Any], what: str, service: str, context: Mapping[str, str | None]) -> Delivery:
    """Whether a service may use the key that a topic or queue is encrypted with."""
    if key["aws_managed"]:
        return Delivery(f"{what} is encrypted with {key['name']}, a key that AWS manages and {_NAMES[service]} may not use")
    if key["state"] not in (None, "Enabled"):
        return Delivery(f"the encryption key {key['name']} of {what} is {key['state']}")
    if key["state"] is None and not key.get("withheld"):
        return Delivery()  # its read is an ERROR already
    if key["policy"] is None:  # of another account, which does not let it be read; or its read is an ERROR already
        return Delivery(unknown=f"whether {_NAMES[service]} may use the encryption key {key['name']} of {what} is not known")
    answers = [permission(key["policy"], ServiceRequest(service, action, "*", context)) for action in _KEY_ACTIONS]
    worst = min(answers, key=lambda answer: (answer.allowed is not False, answer.allowed is not None))
    return _of(Permission(worst.allowed, f"the encryption key {key['name']} of {what}: {worst.reason}"))


def _subscribed(subscriptions: Iterable[Mapping[str, Any]], arn: str, sender: Sender) -> Delivery:
    """Whether at least one subscription takes the message."""
    answers = [_subscription(each, arn, sender) for each in subscriptions]
    if not answers or Delivery() in answers:
        return Delivery()
    unknown = next((answer.unknown for answer in answers if answer.unknown), None)
    faults = list(dict.fromkeys(answer.fault for answer in answers if answer.fault))
    return Delivery(unknown=unknown) if unknown else Delivery("; ".join(faults))


def _subscription(subscription: Mapping[str, Any], arn: str, sender: Sender) -> Delivery:
    name = f"its {subscription['protocol']} subscription"
    withheld = subscription.get("withheld")
    kept = Delivery(unknown=withheld and f"{name}: {withheld} does not let it be read")
    if subscription["missing"]:
        target = f" {subscription['target']}" if subscription["target"] else ""
        return Delivery(f"{name}: {subscription['missing']}{target} does not exist")
    if not subscription["read"]:
        return kept  # if nobody withholds it, its failed read is an ERROR already
    if subscription["filter_policy"]:
        body = subscription["filter_scope"] == "MessageBody"
        try:
            taken = accepts(subscription["filter_policy"], sender.message if body else {})  # CloudWatch sets no attributes
        except FilterPolicyError as error:
            return Delivery(unknown=f"the filter policy of {name} cannot be read: {error}")
        if taken is None:
            return Delivery(unknown=f"whether the filter policy of {name} takes the alarm's message is not known")
        if not taken:
            return Delivery(f"the filter policy of {name} never takes the alarm's message")
    return kept if withheld else _target(subscription, name, arn)


def _target(subscription: Mapping[str, Any], name: str, arn: str) -> Delivery:
    """Whether SNS may deliver to what is behind a subscription."""
    protocol = subscription["protocol"]
    if protocol in DIRECT_PROTOCOLS:
        return Delivery()
    action = _TARGET_ACTIONS.get(protocol)
    if action is None or subscription["target_policy"] is None:
        return Delivery(unknown=f"whether {name} delivers the message is not known")
    if not subscription["target_policy"]:
        return Delivery(f"the target of {name} has no policy that allows {action} by {_SNS}")
    account = (arn.split(":") + [""] * 5)[4]
    context = {**_OF_A_SERVICE, "aws:sourcearn": arn, "aws:sourceaccount": account, "aws:sourceowner": account}
    answer = permission(subscription["target_policy"], ServiceRequest(_SNS, action, subscription["target"], context))
    allowed = _of(Permission(answer.allowed, f"the target of {name}: {answer.reason}"))
    if allowed.fault or not subscription["target_key"]:
        return allowed
    key = _key(subscription["target_key"], f"the queue of {name}", _SNS, context)
    return key if key.fault or key.unknown else allowed


def _of(answer: Permission) -> Delivery:
    if answer.allowed:
        return Delivery()
    return Delivery(answer.reason) if answer.allowed is False else Delivery(unknown=answer.reason)
