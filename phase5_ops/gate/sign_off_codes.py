"""The findings that rows S.1 to S.3 can carry: the gate's reasons about signatures, as codes of findings. Pure data."""

from phase5_ops.gate import reasons
from phase5_ops.gate.reasons import ReasonCode
from phase5_ops.verdict import FindingCode, Verdict

EXPECTED = "a valid signature of the role over the release's readiness statement"


def _finding_code(reason: ReasonCode) -> FindingCode:
    return FindingCode(reason.code, Verdict.FAIL, reason.meaning, reason.remedy)


NO_RELEASE_TO_SIGN = _finding_code(reasons.NO_RELEASE)

#: Every reason of a sign-off row, as a finding.
CODES: tuple[FindingCode, ...] = tuple(
    _finding_code(reason)
    for reason in (
        reasons.NO_RELEASE,
        reasons.NOTHING_TO_SIGN,
        reasons.SIGNATURE_MISSING,
        reasons.SIGNATURE_INVALID,
        reasons.SIGNATURE_OF_ANOTHER_ROLE,
        reasons.SIGNATURE_OF_ANOTHER_RELEASE,
        reasons.SIGNATURE_OF_ANOTHER_ENVIRONMENT,
        reasons.SIGNATURE_OF_ANOTHER_STATEMENT,
        reasons.SIGNATURE_VOID,
        reasons.SIGNATURE_EXPIRED,
        reasons.SIGNATURE_FROM_THE_FUTURE,
        reasons.SIGNATURE_BEFORE_STATEMENT,
        reasons.SIGNATURE_KEY_REVOKED,
        reasons.SIGNER_UNKNOWN,
        reasons.SIGNER_REPEATED,
    )
)
BY_NAME = {code.code: code for code in CODES}
