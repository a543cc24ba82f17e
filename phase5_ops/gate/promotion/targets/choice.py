"""The target that the settings name."""

from collections.abc import Callable, Mapping

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published
from phase5_ops.gate.promotion.targets import event_bus, parameter, pipeline_approval, state_machine, webhook
from phase5_ops.policy import PromotionPolicy

Publish = Callable[[AwsReader, PromotionPolicy, Order], Published]


def _record_only(_reader: AwsReader, _policy: PromotionPolicy, order: Order) -> Published:
    return Published(Publication.PUBLISHED, f"recorded in the state table under key {order.key}")


#: Target -> how an order is given to it, and what that needs to be allowed to do.
_TARGETS: Mapping[str, tuple[Publish, tuple[str, ...]]] = {
    "record": (_record_only, ()),
    "eventbridge": (event_bus.publish, event_bus.IAM_ACTIONS),
    "ssm": (parameter.publish, parameter.IAM_ACTIONS),
    "stepfunctions": (state_machine.publish, state_machine.IAM_ACTIONS),
    "codepipeline": (pipeline_approval.publish, pipeline_approval.IAM_ACTIONS),
    "webhook": (webhook.publish, webhook.IAM_ACTIONS),
}


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Gives the order to the target that the policy names."""
    give, _ = _TARGETS[policy.target]
    return give(reader, policy, order)


def iam_actions(policy: PromotionPolicy) -> tuple[str, ...]:
    """What the promotion needs to be allowed to do at its target."""
    _, actions = _TARGETS[policy.target]
    return actions
