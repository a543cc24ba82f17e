"""Every reason of the gate's own: stable code, the state it puts a row into, what it means, what to do. Pure data.

A row that its verdict closes has the codes of its findings instead; those are in `phase5_ops.findings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from phase5_ops.gate.records import Reason

RELEASE = "release"  # the "row" of what concerns the candidate as a whole


class GateState(StrEnum):
    """States of a stored result that are the gate's own, beside the verdicts; none of them opens or can be waived."""

    MISSING = "MISSING"
    RUNNING = "RUNNING"
    CRASHED = "CRASHED"
    STALE = "STALE"
    UNTRUSTED = "UNTRUSTED"
    OUTDATED_POLICY = "OUTDATED_POLICY"
    UNSIGNED = "UNSIGNED"  # of a sign-off row
    BLOCKED = "BLOCKED"  # of the candidate as a whole


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """A reason of the gate's own."""

    code: str
    state: GateState
    meaning: str
    remedy: str

    def at(self, row: str, subject: str, seen: str, link: str | None = None) -> Reason:
        """The reason for one row."""
        return Reason(row, str(self.state), self.code, subject, seen, link)


_AGAIN = "Make a new readiness run of the candidate."

NO_RELEASE = ReasonCode(
    "no_release", GateState.BLOCKED, "There is no release to sign.", "Register a candidate with phase5 promote."
)
NO_READINESS_RUN = ReasonCode("no_readiness_run", GateState.BLOCKED, "The candidate has no readiness run yet.", _AGAIN)
EVIDENCE_MISSING = ReasonCode(
    "evidence_missing", GateState.BLOCKED, "The stored evidence of the run is not there or cannot be read.", _AGAIN
)
EVIDENCE_OF_ANOTHER_RUN = ReasonCode(
    "evidence_of_another_run", GateState.BLOCKED, "The stored evidence is that of another run.", _AGAIN
)
EVIDENCE_CHANGED = ReasonCode(
    "evidence_changed",
    GateState.BLOCKED,
    "The stored evidence is not what the run sealed when it ended.",
    "Find out who changed the files; then make a new readiness run.",
)
NEWER_RUN_DISAGREES = ReasonCode(
    "newer_run_disagrees",
    GateState.BLOCKED,
    "A newer readiness run of the same environment has a row that FAILs or ERRORs, and none since has passed.",
    "Cure what the newer run found, and make a new run.",
)
NEWER_RUN_UNREADABLE = ReasonCode(
    "newer_run_unreadable",
    GateState.BLOCKED,
    "A newer readiness run of the same environment cannot be read, so it may disagree.",
    "Make a new readiness run.",
)

RESULT_MISSING = ReasonCode("result_missing", GateState.MISSING, "The check has no result of the candidate's run.", _AGAIN)
RESULT_PENDING = ReasonCode("result_pending", GateState.RUNNING, "The run behind the result is not over.", "Wait for the run.")
RESULT_CRASHED = ReasonCode(
    "result_crashed", GateState.CRASHED, "The check was planned, and its run is over without a result of it.", _AGAIN
)
RESULT_UNREADABLE = ReasonCode("result_unreadable", GateState.CRASHED, "The result says no verdict.", _AGAIN)
RESULT_OF_NO_RUN = ReasonCode(
    "result_of_no_run",
    GateState.UNTRUSTED,
    "No run is behind the result: it was posted from outside, or the record of its run is gone.",
    _AGAIN,
)
RESULT_OF_ANOTHER_JOB = ReasonCode(
    "result_of_another_job", GateState.UNTRUSTED, "The result does not come from the readiness job.", _AGAIN
)
RESULT_OF_ANOTHER_RUN = ReasonCode(
    "result_of_another_run", GateState.UNTRUSTED, "The result is not of the candidate's own run.", _AGAIN
)
RESULT_OF_ANOTHER_CHECK = ReasonCode(
    "result_of_another_check", GateState.UNTRUSTED, "The result is that of another check.", _AGAIN
)
RESULT_OF_ANOTHER_RELEASE = ReasonCode(
    "result_of_another_release", GateState.UNTRUSTED, "The run behind the result judged another release.", _AGAIN
)
RESULT_OF_ANOTHER_ENVIRONMENT = ReasonCode(
    "result_of_another_environment", GateState.UNTRUSTED, "The run behind the result judged another environment.", _AGAIN
)
RESULT_OF_ANOTHER_MATERIALIZATION = ReasonCode(
    "result_of_another_materialization",
    GateState.UNTRUSTED,
    "The result is not about the evidence that its own run gathered.",
    _AGAIN,
)
RESULT_WITHOUT_EVIDENCE = ReasonCode(
    "result_without_evidence", GateState.UNTRUSTED, "The result names no stored evidence.", _AGAIN
)
RESULT_NOT_OF_THE_EVIDENCE = ReasonCode(
    "result_not_of_the_evidence",
    GateState.UNTRUSTED,
    "A table or the verdict behind the result is not the one stored with the evidence.",
    "Find out who changed the files or the result; then make a new readiness run.",
)
RESULT_CONTRADICTS_ITSELF = ReasonCode(
    "result_contradicts_itself",
    GateState.UNTRUSTED,
    "Verdict, findings and Dagster's own flag do not fit together.",
    _AGAIN,
)
RESULT_UNDER_FIXED_CLOCK = ReasonCode(
    "result_under_fixed_clock", GateState.UNTRUSTED, "The run behind the result had its clock fixed by PHASE5_NOW.", _AGAIN
)
EVIDENCE_FROM_THE_FUTURE = ReasonCode(
    "evidence_from_the_future",
    GateState.UNTRUSTED,
    "The evidence was read later than now: a clock is wrong.",
    "Set the clocks right, and make a new readiness run.",
)
EVIDENCE_UNDATED = ReasonCode("evidence_undated", GateState.UNTRUSTED, "The evidence does not say when it was read.", _AGAIN)
JUDGED_UNDER_OTHER_POLICY = ReasonCode(
    "judged_under_other_policy",
    GateState.OUTDATED_POLICY,
    "The row was judged under other thresholds, another checklist version, environment or account.",
    _AGAIN,
)
EVIDENCE_STALE = ReasonCode("evidence_stale", GateState.STALE, "The evidence is older than the row allows.", _AGAIN)

_SIGN = "Sign with phase5 sign-off RELEASE --role ROLE."

NOTHING_TO_SIGN = ReasonCode(
    "nothing_to_sign", GateState.UNSIGNED, "There is no readiness statement of the release to sign yet.", "Cure the other rows."
)
SIGNATURE_MISSING = ReasonCode("signature_missing", GateState.UNSIGNED, "The role has not signed.", _SIGN)
SIGNATURE_INVALID = ReasonCode(
    "signature_invalid", GateState.UNSIGNED, "No known key made the signature.", "Sign again; find out where it came from."
)
SIGNATURE_OF_ANOTHER_ROLE = ReasonCode(
    "signature_of_another_role", GateState.UNSIGNED, "Another role's key made the signature.", _SIGN
)
SIGNATURE_OF_ANOTHER_RELEASE = ReasonCode(
    "signature_of_another_release", GateState.UNSIGNED, "The signature is for another release.", _SIGN
)
SIGNATURE_OF_ANOTHER_ENVIRONMENT = ReasonCode(
    "signature_of_another_environment", GateState.UNSIGNED, "What was signed is for another environment.", _SIGN
)
SIGNATURE_OF_ANOTHER_STATEMENT = ReasonCode(
    "signature_of_another_statement",
    GateState.UNSIGNED,
    "The signature is not over the release's readiness statement.",
    _SIGN,
)
SIGNATURE_VOID = ReasonCode(
    "signature_void", GateState.UNSIGNED, "What was signed is no longer what holds; the difference is named.", _SIGN
)
SIGNATURE_EXPIRED = ReasonCode("signature_expired", GateState.UNSIGNED, "The signature is too old.", _SIGN)
SIGNATURE_FROM_THE_FUTURE = ReasonCode(
    "signature_from_the_future", GateState.UNSIGNED, "The signature was made later than now: a clock is wrong.", _SIGN
)
SIGNATURE_BEFORE_STATEMENT = ReasonCode(
    "signature_before_statement",
    GateState.UNSIGNED,
    "The signature is dated before what it signs was frozen, so its date is not true.",
    "Find out who wrote it; set the signer's clock right, and sign again.",
)
SIGNATURE_KEY_REVOKED = ReasonCode(
    "signature_key_revoked",
    GateState.UNSIGNED,
    "The key was revoked, and neither KMS's record nor a statement of the gate proves that it had signed before.",
    "Sign with the role's present key.",
)
SIGNER_UNKNOWN = ReasonCode("signer_unknown", GateState.UNSIGNED, "Nobody is known to have made the signature.", _SIGN)
SIGNER_REPEATED = ReasonCode(
    "signer_repeated",
    GateState.UNSIGNED,
    "One person or one key has signed for two roles; neither counts.",
    "Three roles are three people: let another person sign.",
)

CODES = tuple(value for value in list(globals().values()) if isinstance(value, ReasonCode))


def named_first(reasons: Sequence[Reason]) -> list[Reason]:
    """Of each row and code the first reason, then the others, each in their order: who cuts the list still names what closes."""
    seen: set[tuple[str, str]] = set()
    first: list[Reason] = []
    others: list[Reason] = []
    for reason in reasons:
        (others if (reason.row, reason.code) in seen else first).append(reason)
        seen.add((reason.row, reason.code))
    return [*first, *others]
