"""Promotion as an execution of a Step Functions state machine, named after the idempotency key.

A standard state machine starts one execution of a name within 90 days: the same name with the same input is answered with the
running execution, or with ExecutionAlreadyExists once that has ended. An express state machine starts another one each time, so
it is refused.
See https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html.
"""

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published, key_in, message
from phase5_ops.gate.promotion.targets.answers import failed_with, not_published, not_read
from phase5_ops.policy import PromotionPolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("states:DescribeStateMachine", "states:StartExecution", "states:DescribeExecution")


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Starts the execution, or finds the one that was started."""
    machine = policy.state_machine_arn or ""
    described = reader.call("stepfunctions", "describe_state_machine", machine, stateMachineArn=machine)
    if described.read.status is not ReadStatus.OK:
        return not_read(described.read)
    if (kind := described.pages[0].get("type")) != "STANDARD":
        return Published(Publication.REFUSED, f"{machine} is {kind}; only a STANDARD state machine starts a name once")
    name = f"phase5-{order.key}"
    execution = machine.replace(":stateMachine:", ":execution:") + f":{name}"
    if (found := _found(reader, execution, order)) is not None:
        return found
    started = reader.call(
        "stepfunctions", "start_execution", machine, stateMachineArn=machine, name=name, input=message(order).decode("ascii")
    )
    if started.read.status is ReadStatus.OK:
        return Published(Publication.PUBLISHED, str(started.pages[0].get("executionArn")))
    if failed_with(started.read, "ExecutionAlreadyExists"):
        return _found(reader, execution, order) or Published(Publication.UNKNOWN, f"{execution} exists and cannot be found")
    return not_published(started.read)


def _found(reader: AwsReader, execution: str, order: Order) -> Published | None:
    """The execution of our name, if there is one; None only where the service says that there is none."""
    read = reader.call("stepfunctions", "describe_execution", execution, executionArn=execution)
    if failed_with(read.read, "ExecutionDoesNotExist"):
        return None
    if read.read.status is not ReadStatus.OK:
        return (
            not_read(read.read) if read.read.status is ReadStatus.DENIED else Published(Publication.UNKNOWN, str(read.read.error))
        )
    ours = key_in(read.pages[0].get("input")) == order.key
    return Published(Publication.ALREADY if ours else Publication.TAKEN, execution)
