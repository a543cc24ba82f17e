"""The state of an SLO alarm: what it says now, and whether its silence says anything. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from phase5_ops.clock import parse_iso
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import finding_at
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.verdict import Finding, Verdict

_STATES = frozenset({"OK", "ALARM", "INSUFFICIENT_DATA"})
_NEW_ALARM = timedelta(minutes=15)
_INITIAL_REASON = "Unchecked: Initial alarm creation"  # of CloudWatch, until the first evaluation
_DAY = timedelta(hours=24)


def silence_or_alarm(rows: Sequence[SloAlarm], now: datetime | None) -> list[Finding]:
    """What one alarm says now, or why its silence says nothing; `rows`: one for each tool that it watches."""
    row = rows[0]
    findings = _evaluation(row)
    if row.state == "ALARM":
        seen = f"ALARM since {row.state_updated_at}: {row.state_reason or 'no reason given'}"
        findings.append(finding_at(AlarmCode.SLO_ALARM_FIRING, row, "OK", seen))
    elif row.state not in _STATES:
        findings.append(_state_unreadable(row))
    elif row.state == "INSUFFICIENT_DATA" and now:
        insufficient = [finding for each in rows for finding in _insufficient(each, now)]
        worst_first = sorted(insufficient, key=lambda finding: -finding.verdict.severity)[:1]
        findings += [
            replace(finding, verdict=Verdict.INCONCLUSIVE) if finding.verdict.blocks else finding for finding in worst_first
        ]
    return findings


def _state_unreadable(row: SloAlarm) -> Finding:
    return finding_at(AlarmCode.ALARM_STATE_UNREADABLE, row, "OK, ALARM or INSUFFICIENT_DATA", str(row.state))


def state(row: SloAlarm, now: datetime) -> list[Finding]:
    """Whether the state of one alarm shows that it works."""
    findings = []
    if row.state not in _STATES:
        findings.append(_state_unreadable(row))
    findings += _evaluation(row)
    if row.state == "INSUFFICIENT_DATA":
        findings += _insufficient(row, now)
    return findings


def _evaluation(row: SloAlarm) -> list[Finding]:
    """Whether CloudWatch could evaluate the alarm, and on all data."""
    if not row.evaluation_state:
        return []
    partial = row.evaluation_state == "PARTIAL_DATA"
    seen = f"{row.evaluation_state}: {row.state_reason or 'no reason given'}"
    return [finding_at(AlarmCode.ALARM_EVALUATION_FAILED, row, "evaluated on all data", seen, Verdict.WARN if partial else None)]


def _insufficient(row: SloAlarm, now: datetime) -> list[Finding]:
    """A finding only if the inputs had data in the last 24 hours."""
    last = row.inputs_last_datapoint_at
    if last is None or now - parse_iso(last) > _DAY:
        return []
    created = row.configured_at or row.state_updated_at
    unchecked = (row.state_reason or "").startswith(_INITIAL_REASON)
    verdict = Verdict.FAIL
    if unchecked and created and now - parse_iso(created) < _NEW_ALARM:
        verdict = Verdict.INCONCLUSIVE
    elif row.traffic == "rare" and row.state_updated_at and parse_iso(row.state_updated_at) > parse_iso(last):
        verdict = Verdict.WARN
    reason = row.state_reason or "no reason given"
    seen = f"INSUFFICIENT_DATA since {row.state_updated_at} ({reason}), inputs had data at {last}"
    return [finding_at(AlarmCode.ALARM_INSUFFICIENT_DATA, row, "OK, as there is data", seen, verdict)]
