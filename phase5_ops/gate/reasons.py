"""Every reason of the gate's own: code, verdict, meaning, remedy, and the state that it puts a row into. Pure data.

A row that its verdict closes has the codes of its findings instead; those are in `phase5_ops.report.findings`.

A result that does not count is never shown with its own verdict. Where evidence is there and merely does not decide (too old,
under another policy, its run not over) the row is INCONCLUSIVE; where there is none that can be trusted it is ERROR. FAIL is for
what is known to stand against the release: a missing signature, an alarm that fires, an override that has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from phase5_ops.gate.records import Reason
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict

RELEASE = "release"  # the "row" of what concerns the candidate as a whole
SIGNATURE_EXPECTED = "a valid signature of the role over the release's readiness statement"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCode(FindingCode):
    """A reason of the gate's own; a report shows it as a finding.

    Attributes:
        state: the state that it gives a row, or the candidate as a whole; None: its verdict.
    """

    state: GateState | None = GateState.BLOCKED

    def closes(self, row: str, subject: str, seen: str) -> Reason:
        """The reason for one row, or for `RELEASE`."""
        return Reason(row, str(self.state or self.verdict), self.code, subject, seen, verdict=self.verdict)


_AGAIN = "Make a new readiness run of the candidate."
_SIGN = "Sign with phase5 sign-off RELEASE --role ROLE."
_ASK_AGAIN = "Ask for a new override with phase5 rollback or phase5 break-glass."


def _untrusted(meaning: str, remedy: str = _AGAIN) -> ReasonCode:
    """A result that is there and cannot be trusted."""
    return ReasonCode(Verdict.ERROR, meaning, remedy, state=GateState.UNTRUSTED)


def _signature(meaning: str, remedy: str = _SIGN) -> ReasonCode:
    """A signature of a role that is missing or does not count."""
    return ReasonCode(Verdict.FAIL, meaning, remedy, state=GateState.UNSIGNED)


class SignOffReason(FindingCodes):
    """What keeps a row S.1 to S.3 closed."""

    NO_RELEASE = ReasonCode(Verdict.FAIL, "There is no release to sign.", "Register a candidate with phase5 promote.")
    NOTHING_TO_SIGN = _signature(
        "There is no readiness statement of the release to sign yet.", "Cure the other rows; the gate then freezes the statement."
    )
    SIGNATURE_MISSING = _signature("The role has not signed.")
    SIGNATURE_INVALID = _signature("No trusted key made the signature.", "Sign again; find out who wrote the signature.")
    SIGNATURE_OF_ANOTHER_ROLE = _signature("Another role's key made the signature.")
    SIGNATURE_OF_ANOTHER_RELEASE = _signature("The signature is for another release.")
    SIGNATURE_OF_ANOTHER_ENVIRONMENT = _signature("What was signed is for another environment.")
    SIGNATURE_OF_ANOTHER_STATEMENT = _signature("The signature is not over the release's readiness statement.")
    SIGNATURE_VOID = _signature(
        "The artifact, the policy or the waivers are not those that were signed, or a row is worse than it was; the finding names"
        " the difference."
    )
    SIGNATURE_EXPIRED = _signature("The signature is too old.")
    SIGNATURE_FROM_THE_FUTURE = _signature("The signature was made later than now: a clock is wrong.")
    SIGNATURE_BEFORE_STATEMENT = _signature(
        "The signature is dated before what it signs was frozen, so its date is not true.",
        "Find out who wrote it; set the signer's clock right, and sign again.",
    )
    SIGNATURE_KEY_REVOKED = _signature(
        "The key was revoked, and neither KMS's record nor a statement of the gate proves that the signature was made before.",
        "Sign with the role's present key.",
    )
    SIGNER_UNKNOWN = _signature("It is not known which person made the signature.")
    SIGNER_REPEATED = _signature(
        "One person or one key has signed for two roles; neither counts.",
        "Three roles are three people: let another person sign.",
    )


class GateReason(FindingCodes):
    """What else keeps the gate closed: for the candidate as a whole, for the stored result of a row, or for an override."""

    # The candidate as a whole.
    NO_READINESS_RUN = ReasonCode(Verdict.INCONCLUSIVE, "The candidate has no readiness run yet.", _AGAIN)
    EVIDENCE_MISSING = ReasonCode(Verdict.ERROR, "The stored evidence of the run is not there or cannot be read.", _AGAIN)
    EVIDENCE_OF_ANOTHER_RUN = ReasonCode(Verdict.ERROR, "The stored evidence is that of another run.", _AGAIN)
    EVIDENCE_CHANGED = ReasonCode(
        Verdict.ERROR,
        "The stored evidence is not what the run sealed when it ended.",
        "Find out who changed the files; then make a new readiness run.",
    )
    NEWER_RUN_DISAGREES = ReasonCode(
        Verdict.FAIL,
        "A newer readiness run of the same environment has a row that FAILs, ERRORs or was not judged though it should have been,"
        " and none since has passed under the candidate's own policy.",
        "Cure what the newer run found, and make a new run.",
    )
    NEWER_RUN_UNREADABLE = ReasonCode(
        Verdict.ERROR,
        "A newer readiness run of the same environment cannot be read, so it may disagree.",
        "Make a new readiness run.",
    )
    # The stored result of a row.
    RESULT_MISSING = ReasonCode(Verdict.ERROR, "The check has no result of the candidate's run.", _AGAIN, state=GateState.MISSING)
    RESULT_PENDING = ReasonCode(
        Verdict.INCONCLUSIVE, "The run behind the result is not over.", "Wait for the run.", state=GateState.RUNNING
    )
    RESULT_CRASHED = ReasonCode(
        Verdict.ERROR,
        "The run planned the check and ended without a result of it.",
        _AGAIN,
        state=GateState.CRASHED,
    )
    RESULT_UNREADABLE = ReasonCode(
        Verdict.ERROR, "The stored result has no verdict that can be read.", _AGAIN, state=GateState.CRASHED
    )
    RESULT_OF_NO_RUN = _untrusted("No run is behind the result: it was posted from outside, or the record of its run is gone.")
    RESULT_OF_ANOTHER_JOB = _untrusted("The result does not come from the readiness job.")
    RESULT_OF_ANOTHER_RUN = _untrusted("The result is not of the candidate's own run.")
    RESULT_OF_ANOTHER_CHECK = _untrusted("The result is that of another check.")
    RESULT_OF_ANOTHER_RELEASE = _untrusted("The run behind the result judged another release.")
    RESULT_OF_ANOTHER_ENVIRONMENT = _untrusted("The run behind the result judged another environment.")
    RESULT_OF_ANOTHER_MATERIALIZATION = _untrusted("The result is not about the evidence that its own run gathered.")
    RESULT_WITHOUT_EVIDENCE = _untrusted("The result names no stored evidence.")
    RESULT_NOT_OF_THE_EVIDENCE = _untrusted(
        "A table or the verdict behind the result is not the one stored with the evidence.",
        "Find out who changed the files or the result; then make a new readiness run.",
    )
    RESULT_CONTRADICTS_ITSELF = _untrusted("Verdict, findings and Dagster's own flag do not fit together.")
    RESULT_UNDER_FIXED_CLOCK = _untrusted("The run behind the result had its clock fixed by PHASE5_NOW.")
    EVIDENCE_FROM_THE_FUTURE = _untrusted(
        "The evidence was read later than now: a clock is wrong.",
        "Set the clocks right, and make a new readiness run.",
    )
    EVIDENCE_UNDATED = _untrusted("The evidence does not say when it was read.")
    JUDGED_UNDER_OTHER_POLICY = ReasonCode(
        Verdict.INCONCLUSIVE,
        "The row was judged under other thresholds, another checklist version, environment or account.",
        _AGAIN,
        state=GateState.OUTDATED_POLICY,
    )
    EVIDENCE_STALE = ReasonCode(Verdict.INCONCLUSIVE, "The evidence is older than the row allows.", _AGAIN, state=GateState.STALE)
    # What the state table's records of runs say against the candidate's evidence; the rules are in `recorded_rules.py`.
    RUN_NOT_RECORDED = ReasonCode(
        Verdict.ERROR,
        "The state table has no record of the candidate's readiness run: it could not write one, was killed, or the record"
        " is gone.",
        "Let readiness runs write to the state table (phase5 init, phase5 iam-policy); then make a new readiness run.",
    )
    EVIDENCE_NOT_AS_RECORDED = ReasonCode(
        Verdict.ERROR,
        "The stored evidence is not what the run recorded in the state table when it ended.",
        "Find out who changed the files; then make a new readiness run.",
    )
    RUN_RECORD_NOT_BELIEVED = ReasonCode(
        Verdict.ERROR,
        "The record of the candidate's run has no valid signature of the gate's key, though it claims one or others do.",
        "Let candidates' runs sign with the gate's key, and find out who wrote the record; then make a new readiness run.",
    )
    RUN_RECORDS_BROKEN = ReasonCode(
        Verdict.ERROR,
        "A record of a run is gone from the state table or was exchanged, so a newer run may be hidden.",
        "Restore the state table (point-in-time recovery), as docs/operating.md says, since it forgets what came later; find out"
        " who changed it.",
    )
    # What is read once more immediately before a promotion, by `deployed_rules.py` and `alarm_rules.py`.
    PLATFORM_CHANGED_DURING_RUN = ReasonCode(
        Verdict.INCONCLUSIVE,
        "What is deployed changed while the readiness run gathered its evidence, so the evidence decides nothing.",
        "Make a new readiness run while nothing is deployed.",
        state=None,
    )
    PLATFORM_CHANGED_SINCE_EVIDENCE = ReasonCode(
        Verdict.INCONCLUSIVE,
        "What is deployed now is not what the evidence is about.",
        "Make a new readiness run on what is deployed now.",
        state=None,
    )
    EVIDENCE_NOT_ABOUT_CANDIDATE = ReasonCode(
        Verdict.FAIL,
        "Another artifact than the candidate's ran while the evidence was gathered.",
        "Deploy the candidate where it is judged, then make a new readiness run.",
        state=None,
    )
    DEPLOYED_IDENTITY_UNKNOWN = ReasonCode(
        Verdict.ERROR,
        "What is deployed was not recorded, or cannot be read.",
        "Allow lambda:ListFunctions (and ssm:GetParameter), see PHASE5_DEPLOYED__FUNCTION_PREFIXES; then make a new"
        " readiness run.",
        state=None,
    )
    ALARM_FIRING_NOW = ReasonCode(
        Verdict.FAIL,
        "An SLO alarm fires now that did not when the evidence was read.",
        "Cure what fires, or make a new readiness run and decide on its findings.",
    )
    ALARM_GONE = ReasonCode(
        Verdict.FAIL, "An SLO alarm of the evidence is no longer there.", "Make the alarm again, or make a new run."
    )
    ALARMS_UNREADABLE = ReasonCode(
        Verdict.ERROR,
        "Whether an SLO alarm fires now cannot be told.",
        "Allow cloudwatch:DescribeAlarms, or try again; where the stored table is gone, make a new readiness run.",
    )
    # Why an override does not take effect; for its signatures the sign-offs' reasons are used.
    OVERRIDE_WITHOUT_REASON = ReasonCode(Verdict.FAIL, "The override says no reason, or no ticket.", _ASK_AGAIN)
    OVERRIDE_TOO_LONG = ReasonCode(Verdict.FAIL, "The override stands for longer than the policy lets it.", _ASK_AGAIN)
    OVERRIDE_EXPIRED = ReasonCode(Verdict.FAIL, "The override has ended.", _ASK_AGAIN)
    OVERRIDE_FROM_THE_FUTURE = ReasonCode(
        Verdict.FAIL,
        "The override was asked for later than now: a clock is wrong.",
        "Set the clocks right; then ask for it again.",
    )
    OVERRIDE_NOT_SIGNED = ReasonCode(
        Verdict.FAIL,
        "Too few roles have signed the override.",
        "Another person signs it with the same command and another role.",
        state=GateState.UNSIGNED,
    )
    OVERRIDE_NOT_POSSIBLE = ReasonCode(
        Verdict.FAIL,
        "The state of the candidate does not allow this override.",
        "See phase5 status RELEASE.",
    )
    ATTESTATION_INVALID = ReasonCode(
        Verdict.FAIL,
        "The release that is to be rolled back to has no attestation of an open gate that verifies.",
        "Promote it through the gate, or break the glass.",
    )


BY_NAME: Mapping[str, FindingCode] = {code.code: code for code in (*SignOffReason.all(), *GateReason.all())}


def named_first(reasons: Sequence[Reason]) -> list[Reason]:
    """The first reason of each row and code, then the others, in their order, so that a shortened list still names each code."""
    seen: set[tuple[str, str]] = set()
    first: list[Reason] = []
    others: list[Reason] = []
    for reason in reasons:
        (others if (reason.row, reason.code) in seen else first).append(reason)
        seen.add((reason.row, reason.code))
    return [*first, *others]
