"""What is looked at once more immediately before a promotion: SLO alarms that fire now. It can only close.

The stored evidence says which alarms watch the SLOs and in which state they were. What fired then was judged then, and perhaps
waived by people; what fires since, is gone, or cannot be read closes, and no waiver covers it.
"""

from collections.abc import Mapping

import pandas as pd

from phase5_ops.aws.reader import AwsReader
from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.gate import reasons
from phase5_ops.gate.reasons import RELEASE
from phase5_ops.gate.records import Reason
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("cloudwatch:DescribeAlarms",)

_TABLE, _CHECK = "slo_alarms", "no_slo_alarm_firing"


def alarms_now(reader: AwsReader, store: EvidenceStore, run_id: str, policy: GatePolicy) -> tuple[Reason, ...]:
    """Why the SLO alarms close the gate now.

    Args:
        reader: reads the alarms' present states, in one paginated call.
        store: holds the table `slo_alarms` of the run.
        run_id: the candidate's readiness run.
        policy: where it only shows the check no_slo_alarm_firing, alarms do not close here either.
    """
    if _CHECK in policy.extra_checks_warn_only:
        return ()
    try:
        before = alarm_states(store.read_table(run_id, _TABLE))
    except (OSError, ValueError, KeyError) as error:
        return (reasons.ALARMS_UNREADABLE.at(RELEASE, _TABLE, f"the stored alarms cannot be read: {type(error).__name__}"),)
    answer = reader.paginate("cloudwatch", "describe_alarms", "all alarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    alarms = (*answer.items("MetricAlarms"), *answer.items("CompositeAlarms"))
    return compare(before, {str(alarm.get("AlarmName")): str(alarm.get("StateValue")) for alarm in alarms}, answer.read)


def alarm_states(table: pd.DataFrame) -> dict[str, str]:
    """Alarm -> state of the alarms on a tool's SLO, as the evidence table has them."""
    rows = table.loc[table["tool"].notna() & table["alarm"].notna(), ["alarm", "state"]]
    return {str(alarm): str(state) for alarm, state in rows.itertuples(index=False)}


def compare(before: Mapping[str, str], now: Mapping[str, str], read: Read) -> tuple[Reason, ...]:
    """What the states now say against a promotion."""
    if read.status is not ReadStatus.OK:
        seen = f"{read.operation}: {read.status}: {read.error}"
        return (reasons.ALARMS_UNREADABLE.at(RELEASE, read.resource, seen),)
    found = []
    for alarm in sorted(before):
        if alarm not in now:
            found.append(reasons.ALARM_GONE.at(RELEASE, alarm, "it is no longer there"))
        elif now[alarm] == "ALARM" and before[alarm] != "ALARM":
            found.append(reasons.ALARM_FIRING.at(RELEASE, alarm, f"ALARM now, {before[alarm]} in the evidence"))
    return tuple(found)
