"""The gate's own reasons as finding codes, each with the verdict that a report shows for it. Pure data.

A result that does not count is never shown with its own verdict: where evidence is there and merely does not decide (too old,
under another policy, not over) the row is INCONCLUSIVE, where there is none that could be believed it is ERROR. What concerns the
release as a whole is FAIL where something is known against it. The reasons about signatures are in `sign_off_codes.py`.
"""

from collections.abc import Mapping

from phase5_ops.gate import fresh_reasons, override_reasons, reasons, recorded_rules, sign_off_codes
from phase5_ops.gate.reasons import GateState, ReasonCode
from phase5_ops.gate.records import Reason
from phase5_ops.verdict import FindingCode, Verdict

_UNDECIDED_STATES = frozenset({GateState.STALE, GateState.OUTDATED_POLICY, GateState.RUNNING})
_AGAINST = frozenset(
    {
        reasons.NEWER_RUN_DISAGREES,
        fresh_reasons.EVIDENCE_NOT_ABOUT_CANDIDATE,
        fresh_reasons.ALARM_FIRING,
        fresh_reasons.ALARM_GONE,
        *override_reasons.CODES,
    }
)
_UNDECIDED = frozenset(
    {reasons.NO_READINESS_RUN, fresh_reasons.PLATFORM_CHANGED_DURING_RUN, fresh_reasons.PLATFORM_CHANGED_SINCE}
)


def _finding_code(reason: ReasonCode) -> FindingCode:
    if reason in _AGAINST:
        verdict = Verdict.FAIL
    elif reason in _UNDECIDED or reason.state in _UNDECIDED_STATES:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.ERROR
    return FindingCode(reason.code, verdict, reason.meaning, reason.remedy)


CODES: tuple[FindingCode, ...] = tuple(
    _finding_code(reason)
    for reason in (*reasons.CODES, *recorded_rules.CODES, *fresh_reasons.CODES, *override_reasons.CODES)
    if reason.code not in sign_off_codes.BY_NAME
)
BY_NAME: Mapping[str, FindingCode] = {code.code: code for code in CODES}


def verdict_of(reason: Reason) -> Verdict:
    """What a reason that concerns the release as a whole would be in a row; what is not known is ERROR."""
    if reason.state in set(Verdict):
        return Verdict(reason.state)
    code = BY_NAME.get(reason.code)
    return code.verdict if code else Verdict.ERROR
