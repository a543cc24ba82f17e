"""Whether the SLO alarms of the evidence let a promotion pass now. Pure.

The stored evidence says which alarms watch the SLOs and in which state they were. An alarm that fired then was judged then, and
perhaps waived; one that fires since, is gone, or cannot be read closes the gate, and no waiver covers it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.evidence.table import DeclaredTable, GatheredTable, NoFacts
from phase5_ops.gate.decision.decide import is_blocking
from phase5_ops.gate.reasons import RELEASE, GateReason
from phase5_ops.gate.records import Reason
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import Read, ReadStatus

TABLE = "slo_alarms"


@dataclass(frozen=True, slots=True)
class StoredAlarm:
    """What the gate reads of a row of `slo_alarms`."""

    tool: Annotated[str | None, "that the alarm watches"]
    alarm: Annotated[str | None, "its name"]
    state: Annotated[str | None, "when the evidence was gathered"]


STORED_ALARMS = DeclaredTable(StoredAlarm, NoFacts)
StoredAlarms = GatheredTable[StoredAlarm, NoFacts]

_CHECK = "no_slo_alarm_firing"
_FIRING, _STATES = "ALARM", ("ALARM", "OK", "INSUFFICIENT_DATA")


def alarms_count(policy: GatePolicy) -> bool:
    """Whether alarms close the gate at all: not where the policy lets the check no_slo_alarm_firing only warn."""
    return is_blocking(ROW_OF_CHECK[_CHECK], policy)


def alarm_problems(table: StoredAlarms | None, now: Mapping[str, str], read: Read, policy: GatePolicy) -> tuple[Reason, ...]:
    """What the alarms say against a promotion.

    Args:
        table: `slo_alarms` of the candidate's run; None if it is not there or cannot be read.
        now: alarm -> its state now, as DescribeAlarms gives it.
        read: how that was read.
        policy: whether alarms close.
    """
    if not alarms_count(policy):
        return ()
    if table is None:
        return (GateReason.ALARMS_UNREADABLE.closes(RELEASE, TABLE, "the stored alarms cannot be read"),)
    if read.status is not ReadStatus.OK:
        seen = f"{read.operation}: {read.status}: {read.error}"
        return (GateReason.ALARMS_UNREADABLE.closes(RELEASE, read.resource, seen),)
    return tuple(reason for alarm, state in sorted(alarm_states(table).items()) for reason in _against(alarm, state, now))


def alarm_states(table: StoredAlarms) -> dict[str, str]:
    """Alarm -> state of the alarms on a tool's SLO, as the evidence table has them."""
    return {row.alarm: str(row.state) for row in table.rows if row.tool is not None and row.alarm is not None}


def _against(alarm: str, before: str, now: Mapping[str, str]) -> tuple[Reason, ...]:
    if alarm not in now:
        return (GateReason.ALARM_GONE.closes(RELEASE, alarm, "it is no longer there"),)
    if now[alarm] not in _STATES:
        return (GateReason.ALARMS_UNREADABLE.closes(RELEASE, alarm, f"not a state of an alarm: {now[alarm]}"),)
    if now[alarm] == _FIRING and before != _FIRING:
        return (GateReason.ALARM_FIRING_NOW.closes(RELEASE, alarm, f"{_FIRING} now, {before} in the evidence"),)
    return ()
