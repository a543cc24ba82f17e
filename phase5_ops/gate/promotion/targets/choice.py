"""The target that the settings name."""

from collections.abc import Callable, Mapping

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published
from phase5_ops.gate.promotion.targets import event_bus, parameter, pipeline_approval, state_machine, webhook
from phase5_ops.policy import PromotionPolicy

Publish = Callable[[AwsReader, PromotionPolicy, Order], Published]


def _record_only(_reader: AwsReader, _policy: PromotionPolicy, order: Order) -> Published:
    return Published(Publication.PUBLISHED, f"recorded in the state table under key {order.key}")


_PUBLISH: Mapping[str, Publish] = {
    "record": _record_only,
    "eventbridge": event_bus.publish,
    "ssm": parameter.publish,
    "stepfunctions": state_machine.publish,
    "codepipeline": pipeline_approval.publish,
    "webhook": webhook.publish,
}

_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "record": (),
    "eventbridge": event_bus.IAM_ACTIONS,
    "ssm": parameter.IAM_ACTIONS,
    "stepfunctions": state_machine.IAM_ACTIONS,
    "codepipeline": pipeline_approval.IAM_ACTIONS,
    "webhook": webhook.IAM_ACTIONS,
}


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Gives the order to the target that the policy names."""
    return _PUBLISH[policy.target](reader, policy, order)


def iam_actions(policy: PromotionPolicy) -> tuple[str, ...]:
    """What the promotion needs to be allowed to do at its target."""
    return _ACTIONS[policy.target]
