"""Reasons why an override does not take effect. Pure data; those of its signatures are the sign-offs' own."""

from phase5_ops.gate.reasons import SIGNATURE_MISSING, GateState, ReasonCode

MISSING_CODE = SIGNATURE_MISSING.code

_ASK_AGAIN = "Ask for it again with phase5 rollback or phase5 break-glass."

OVERRIDE_WITHOUT_REASON = ReasonCode(
    "override_without_reason", GateState.BLOCKED, "The override says no reason, or no ticket.", _ASK_AGAIN
)
OVERRIDE_TOO_LONG = ReasonCode(
    "override_too_long", GateState.BLOCKED, "The override stands for longer than the policy lets it.", _ASK_AGAIN
)
OVERRIDE_EXPIRED = ReasonCode("override_expired", GateState.BLOCKED, "The override has ended.", _ASK_AGAIN)
OVERRIDE_FROM_THE_FUTURE = ReasonCode(
    "override_from_the_future",
    GateState.BLOCKED,
    "The override was asked for later than now: a clock is wrong.",
    "Set the clocks right; then ask for it again.",
)
OVERRIDE_NOT_SIGNED = ReasonCode(
    "override_not_signed",
    GateState.UNSIGNED,
    "Too few roles have signed the override.",
    "Another person signs it with the same command and another role.",
)
OVERRIDE_NOT_POSSIBLE = ReasonCode(
    "override_not_possible",
    GateState.BLOCKED,
    "The candidate is not in a state in which this override means anything.",
    "See phase5 status RELEASE.",
)
ATTESTATION_INVALID = ReasonCode(
    "attestation_invalid",
    GateState.BLOCKED,
    "The release that is to be rolled back to has no attestation of an open gate that verifies.",
    "Promote it through the gate, or break the glass.",
)

CODES = (
    OVERRIDE_WITHOUT_REASON,
    OVERRIDE_TOO_LONG,
    OVERRIDE_EXPIRED,
    OVERRIDE_FROM_THE_FUTURE,
    OVERRIDE_NOT_SIGNED,
    OVERRIDE_NOT_POSSIBLE,
    ATTESTATION_INVALID,
)
