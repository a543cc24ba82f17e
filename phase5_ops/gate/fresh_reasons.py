"""Reasons of what is looked at once more immediately before a promotion: deployed identity, and alarms that fire now. Pure data.

They reach the decision as `GateInputs.closing`, where whatever stands closes; that each is found is drilled by `drill_fresh.py`.
"""

from phase5_ops.gate.reasons import GateState, ReasonCode

PLATFORM_CHANGED_DURING_RUN = ReasonCode(
    "platform_changed_during_run",
    GateState.BLOCKED,
    "What is deployed changed while the readiness run gathered its evidence, so the evidence decides nothing.",
    "Make a new readiness run while nothing is deployed.",
)
PLATFORM_CHANGED_SINCE = ReasonCode(
    "platform_changed_since_evidence",
    GateState.BLOCKED,
    "Something else runs now than what the evidence is about.",
    "Make a new readiness run on what runs now.",
)
EVIDENCE_NOT_ABOUT_CANDIDATE = ReasonCode(
    "evidence_not_about_candidate",
    GateState.BLOCKED,
    "Another artifact than the candidate's ran while the evidence was gathered.",
    "Deploy the candidate where it is judged, then make a new readiness run.",
)
DEPLOYED_UNKNOWN = ReasonCode(
    "deployed_identity_unknown",
    GateState.BLOCKED,
    "What is deployed was not recorded, or cannot be read.",
    "Allow lambda:ListFunctions (and ssm:GetParameter), see PHASE5_DEPLOYED__FUNCTION_PREFIXES; then make a new readiness run.",
)
ALARM_FIRING = ReasonCode(
    "alarm_firing_now",
    GateState.BLOCKED,
    "An SLO alarm fires now that did not when the evidence was read.",
    "Cure what fires, or make a new readiness run and decide on its findings.",
)
ALARM_GONE = ReasonCode(
    "alarm_gone",
    GateState.BLOCKED,
    "An SLO alarm of the evidence is no longer there.",
    "Make the alarm again, or make a new run.",
)
ALARMS_UNREADABLE = ReasonCode(
    "alarms_unreadable",
    GateState.BLOCKED,
    "Whether an SLO alarm fires now cannot be told.",
    "Allow cloudwatch:DescribeAlarms, or try again; where the stored table is gone, make a new readiness run.",
)

CODES = tuple(value for value in list(globals().values()) if isinstance(value, ReasonCode))
