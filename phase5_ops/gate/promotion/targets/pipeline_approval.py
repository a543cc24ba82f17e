"""Promotion as the approval of a manual approval action in CodePipeline.

The candidate carries the pipelineExecutionId it was registered for. The token is read immediately before it is used, and only
from that execution: the stage may wait for another release by now. An approval is final: where it was given already, the
action's summary, which holds our key, tells ours from another's.
See https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PutApprovalResult.html.
"""

from collections.abc import Mapping
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.attestation.orders import Order, Publication, Published
from phase5_ops.gate.promotion.targets.answers import failed_with, not_published, not_read
from phase5_ops.policy import PromotionPolicy
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("codepipeline:GetPipelineState", "codepipeline:PutApprovalResult")

#: What the release pipeline passes on when it registers the candidate.
EXECUTION_ID = "pipeline_execution_id"

_OVER = ("ApprovalAlreadyCompletedException", "InvalidApprovalTokenException")


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Approves the action of the candidate's own execution."""
    execution = order.context.get(EXECUTION_ID)
    if not execution:
        return Published(Publication.REFUSED, f"the candidate names no {EXECUTION_ID}; register it with its pipeline execution")
    action, read = _action(reader, policy, execution)
    if action is None:
        return not_read(read) if read.status is not ReadStatus.OK else _elsewhere(policy, execution)
    if action.get("status") != "InProgress" or not action.get("token"):
        return _standing(action, order)
    answer = reader.call(
        "codepipeline",
        "put_approval_result",
        _name(policy),
        pipelineName=policy.pipeline,
        stageName=policy.pipeline_stage,
        actionName=policy.pipeline_action,
        token=action["token"],
        result={"summary": _summary(order), "status": "Approved"},
    )
    if answer.read.status is ReadStatus.OK:
        return Published(Publication.PUBLISHED, f"approved {_name(policy)} of execution {execution}")
    if failed_with(answer.read, *_OVER):
        action, read = _action(reader, policy, execution)
        return (
            _standing(action, order) if action is not None else Published(Publication.UNKNOWN, f"approved before? {read.error}")
        )
    return not_published(answer.read)


def _action(reader: AwsReader, policy: PromotionPolicy, execution: str) -> tuple[Mapping[str, Any] | None, Read]:
    """The latest execution of the approval action; None if the stage is at another pipeline execution, or cannot be read."""
    answer = reader.call("codepipeline", "get_pipeline_state", policy.pipeline or "", name=policy.pipeline)
    for stage in answer.items("stageStates"):
        present = (stage.get("latestExecution") or {}).get("pipelineExecutionId")
        if stage.get("stageName") != policy.pipeline_stage or present != execution:
            continue
        for action in stage.get("actionStates") or []:
            if action.get("actionName") == policy.pipeline_action:
                return action.get("latestExecution") or {}, answer.read
    return None, answer.read


def _standing(action: Mapping[str, Any], order: Order) -> Published:
    """What an action that no longer waits says."""
    status, summary = str(action.get("status")), str(action.get("summary") or "")
    if order.key in summary and status == "Succeeded":
        return Published(Publication.ALREADY, "the action was approved with this key")
    if status in ("Succeeded", "Failed", "Abandoned"):
        return Published(Publication.TAKEN, f"the action is {status} by somebody else: {summary[:200]}")
    return Published(Publication.REFUSED, f"the action is {status} and does not wait for an approval")


def _elsewhere(policy: PromotionPolicy, execution: str) -> Published:
    seen = f"{_name(policy)} is not at execution {execution}, or there is no such stage and action"
    return Published(Publication.REFUSED, seen)


def _summary(order: Order) -> str:
    """At most 512 characters, see ApprovalResult; a name has at most 64."""
    return f"phase5 {order.kind} {order.release.name} decided {iso(order.decided_at)} key {order.key}"


def _name(policy: PromotionPolicy) -> str:
    return f"{policy.pipeline}/{policy.pipeline_stage}/{policy.pipeline_action}"
