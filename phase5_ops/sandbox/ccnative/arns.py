"""The ARNs of the targets to which the platform's event bus delivers."""

from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.ccnative.audit_export import WORKER
from phase5_ops.sandbox.ccnative.event_log import GROUP as EVENT_LOG_GROUP
from phase5_ops.sandbox.ccnative.executor import STATE_MACHINE


def arn_of_state_machine(region: str) -> str:
    """The target that executes intents."""
    return f"arn:aws:states:{region}:{ACCOUNT}:stateMachine:{STATE_MACHINE}"


def arn_of_export_worker(region: str) -> str:
    """The target that writes audit exports."""
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{WORKER}"


def arn_of_event_log(region: str) -> str:
    """The target that keeps every event of the bus."""
    return f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{EVENT_LOG_GROUP}"
