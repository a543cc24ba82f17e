"""What one alarm is judged against, and how a finding about it is written. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.policy import AlarmPolicy, SloPolicy
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.alarms.model import ToolTraffic
from phase5_ops.verdict import Finding, FindingCode, Verdict


@dataclass(frozen=True, slots=True)
class AlarmContext:
    """What all alarms are judged against.

    Attributes:
        slo: the limits that alarms must not be laxer than.
        policy: lowest percentile and the window's range.
        namespace: the namespace that the platform emits to.
        now: evaluation time.
        traffic: the traffic of the registered tools, by name.
    """

    slo: SloPolicy
    policy: AlarmPolicy
    namespace: str
    now: datetime
    traffic: Mapping[str, ToolTraffic]


def finding_at(code: FindingCode, row: SloAlarm, expected: str, seen: str, verdict: Verdict | None = None) -> Finding:
    """A finding about the alarm of a row as the alarm of its tool."""
    return code.at(f"{row.tool}: {row.alarm}", expected=expected, seen=seen, verdict=verdict, link=row.url)
