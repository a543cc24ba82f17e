"""The gate drill's cases of the fresh reads before a promotion, as data: deployed identity and SLO alarms. Pure.

Each case is a table or an answer made here and judged by the very rules that a promotion uses (`deployed_rules.py`,
`alarm_rules.py`); the gate gets what they find. So a rule that no longer closes lets its case open, which fails row 4.3. What
must not live here: reading.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from phase5_ops.clock import iso
from phase5_ops.evidence.table import GatheredTable, NoFacts
from phase5_ops.gate.decision.alarm_rules import STORED_ALARMS, StoredAlarm, alarm_problems
from phase5_ops.gate.decision.deployed_rules import (
    DEPLOYED_IDENTITY,
    END,
    START,
    DeployedIdentity,
    DeployedThing,
    present_problems,
    recorded_problems,
)
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import Reason, Release
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus

_Row = tuple[str, str, str, str]  # kind, name, version, code

_PARAMETER = "/drill/deployed"
_ANY = DeployedPolicy()
_CANDIDATE_ONLY = DeployedPolicy(digest_parameter=_PARAMETER, must_be_candidate=True)
_RAN: _Row = ("function", "drilled-function", "1", "code")
_CHANGED: _Row = ("function", "drilled-function", "1", "other code")
_MORE: _Row = ("function", "another-function", "1", "code")


@dataclass(frozen=True, slots=True)
class FreshContext:
    """What a case is about: the drill's release and moment, and the policy in force."""

    release: Release
    now: datetime
    policy: GatePolicy


Find = Callable[[FreshContext], tuple[Reason, ...]]


def _read(context: FreshContext, operation: str, status: ReadStatus) -> Read:
    error = None if status is ReadStatus.OK else "the drill's fault"
    return Read(operation, "drill", status, error, 1, iso(context.now), iso(context.now))


def _deployed(
    context: FreshContext, start: tuple[_Row, ...] = (_RAN,), end: tuple[_Row, ...] = (_RAN,), status: ReadStatus = ReadStatus.OK
) -> DeployedIdentity:
    rows = [DeployedThing(moment, *each) for moment, there in ((START, start), (END, end)) for each in there]
    reads = [_read(context, "lambda:ListFunctions", status)]
    return GatheredTable(DEPLOYED_IDENTITY, DEPLOYED_IDENTITY.frame(rows), NoFacts(), reads, context.now)


def _recorded(*, start: tuple[_Row, ...] = (_RAN,), end: tuple[_Row, ...] = (_RAN,), status: ReadStatus = ReadStatus.OK) -> Find:
    """What is found for what ran at the start and the end of a run."""
    return lambda context: recorded_problems(_deployed(context, start, end, status), context.release, _ANY)


def _without_reads(context: FreshContext) -> tuple[Reason, ...]:
    return recorded_problems(replace(_deployed(context), reads=()), context.release, _ANY)


def _holding(digest: str | None = None) -> Find:
    """What is found where the candidate must run, and the artifact of this digest ran; default: the candidate's own."""

    def find(context: FreshContext) -> tuple[Reason, ...]:
        ran = (_RAN, ("parameter", _PARAMETER, "1", digest or context.release.digest))
        return recorded_problems(_deployed(context, ran, ran), context.release, _CANDIDATE_ONLY)

    return find


def _no_digest(context: FreshContext) -> tuple[Reason, ...]:
    return recorded_problems(_deployed(context), context.release, _CANDIDATE_ONLY)


def _present(*rows: _Row, failed: tuple[str, ...] = ()) -> Find:
    """What is found where these run now."""
    now = {(kind, name): (version, code) for kind, name, version, code in rows}
    return lambda context: present_problems(_deployed(context), now, failed)


def _alarm(before: str | None, now: str | None, status: ReadStatus = ReadStatus.OK) -> Find:
    """What is found for one alarm: its state in the evidence (None: no evidence) and now (None: it is not there)."""

    def find(context: FreshContext) -> tuple[Reason, ...]:
        table = None
        if before is not None:
            frame = STORED_ALARMS.frame([StoredAlarm("drilled-tool", "drilled-alarm", before)])
            table = GatheredTable(STORED_ALARMS, frame, NoFacts())
        states = {"drilled-alarm": now} if now is not None else {}
        return alarm_problems(table, states, _read(context, "cloudwatch:DescribeAlarms", status), context.policy)

    return find


#: What can be wrong with what is deployed: name -> (code of the reason, what the rules find).
DEPLOYED_FAULTS: Mapping[str, tuple[str, Find]] = {
    "code changed during the run": (GateReason.PLATFORM_CHANGED_DURING_RUN.code, _recorded(end=(_CHANGED,))),
    "a function appeared during the run": (GateReason.PLATFORM_CHANGED_DURING_RUN.code, _recorded(end=(_RAN, _MORE))),
    "a function went during the run": (GateReason.PLATFORM_CHANGED_DURING_RUN.code, _recorded(start=(_RAN, _MORE))),
    "another artifact than the candidate's ran": (
        GateReason.EVIDENCE_NOT_ABOUT_CANDIDATE.code,
        _holding("sha256:" + "0" * 64),
    ),
    "no digest told what ran": (GateReason.EVIDENCE_NOT_ABOUT_CANDIDATE.code, _no_digest),
    "deployed identity not recorded": (
        GateReason.DEPLOYED_IDENTITY_UNKNOWN.code,
        lambda context: recorded_problems(None, context.release, _ANY),
    ),
    "no function recorded": (GateReason.DEPLOYED_IDENTITY_UNKNOWN.code, _recorded(start=(), end=())),
    "deployed identity recorded at the start only": (GateReason.DEPLOYED_IDENTITY_UNKNOWN.code, _recorded(end=())),
    "reading the deployed identity failed": (GateReason.DEPLOYED_IDENTITY_UNKNOWN.code, _recorded(status=ReadStatus.DENIED)),
    "deployed identity without its reads": (GateReason.DEPLOYED_IDENTITY_UNKNOWN.code, _without_reads),
    "code changed since the run": (GateReason.PLATFORM_CHANGED_SINCE_EVIDENCE.code, _present(_CHANGED)),
    "a function appeared since the run": (GateReason.PLATFORM_CHANGED_SINCE_EVIDENCE.code, _present(_RAN, _MORE)),
    "a function went since the run": (GateReason.PLATFORM_CHANGED_SINCE_EVIDENCE.code, _present()),
    "deployed identity unreadable now": (GateReason.DEPLOYED_IDENTITY_UNKNOWN.code, _present(_RAN, failed=("denied",))),
}

#: What can be wrong with the SLO alarms; they close only where the policy lets them.
ALARM_FAULTS: Mapping[str, tuple[str, Find]] = {
    "an SLO alarm fires now": (GateReason.ALARM_FIRING_NOW.code, _alarm("OK", "ALARM")),
    "an SLO alarm that knew nothing fires now": (GateReason.ALARM_FIRING_NOW.code, _alarm("INSUFFICIENT_DATA", "ALARM")),
    "an SLO alarm is gone": (GateReason.ALARM_GONE.code, _alarm("OK", None)),
    "an SLO alarm is in no known state": (GateReason.ALARMS_UNREADABLE.code, _alarm("OK", "None")),
    "SLO alarms unreadable now": (GateReason.ALARMS_UNREADABLE.code, _alarm("OK", "OK", ReadStatus.DENIED)),
    "SLO alarms answered in part": (GateReason.ALARMS_UNREADABLE.code, _alarm("OK", "OK", ReadStatus.PARTIAL)),
    "stored SLO alarms unreadable": (GateReason.ALARMS_UNREADABLE.code, _alarm(None, "OK")),
}

#: Cases in which the fresh reads find nothing: the gate must open.
FRESH_CONTROLS: Mapping[str, Find] = {
    "the same ran at both ends of the run": _recorded(),
    "the candidate ran": _holding(),
    "the same runs now": _present(_RAN),
    "SLO alarms are as they were": _alarm("OK", "OK"),
    "an SLO alarm fires that fired in the evidence": _alarm("ALARM", "ALARM"),
    "an SLO alarm no longer fires": _alarm("ALARM", "OK"),
}
