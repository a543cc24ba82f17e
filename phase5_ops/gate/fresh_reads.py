"""What the platform is like now against the stored evidence: what is deployed, and the SLO alarms that fire. It can only close.

The stored evidence says which alarms watch the SLOs and in which state they were. What fired then was judged then, and perhaps
waived by people; what fires since, is gone, or cannot be read closes, and no waiver covers it.
"""

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from phase5_ops.aws.deployed_identity import read_deployed
from phase5_ops.aws.reader import AwsReader
from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.gate import fresh_reasons
from phase5_ops.gate.deployed_rules import Identity, present_problems, recorded_problems
from phase5_ops.gate.reasons import RELEASE
from phase5_ops.gate.records import Reason, Release
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("cloudwatch:DescribeAlarms", "lambda:ListFunctions", "ssm:GetParameter")

_TABLE, _CHECK = "slo_alarms", "no_slo_alarm_firing"
_DEPLOYED = "deployed_identity"


class PresentPlatform:
    """The platform as it is now. Each part is read when it is first asked for and never again: for one decision, or one tick."""

    def __init__(self, reader: AwsReader, policy: DeployedPolicy) -> None:
        self._reader = reader
        self._policy = policy

    @cached_property
    def deployed(self) -> tuple[Identity, tuple[str, ...]]:
        """What runs, and how reading it failed, in words; one call, and one for the parameter."""
        found, reads = read_deployed(self._reader, self._policy.function_prefixes, self._policy.digest_parameter)
        failed = [read for read in reads if read.status is not ReadStatus.OK]
        return (
            {(each.kind, each.name): (each.version, each.code) for each in found},
            tuple(f"{read.operation} {read.resource}: {read.status}: {read.error}" for read in failed),
        )

    @cached_property
    def alarms(self) -> tuple[dict[str, str], Read]:
        """Alarm -> state, and how that was read; one paginated call."""
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = self._reader.paginate("cloudwatch", "describe_alarms", "all alarms", AlarmTypes=kinds)
        alarms = (*answer.items("MetricAlarms"), *answer.items("CompositeAlarms"))
        return {str(alarm.get("AlarmName")): str(alarm.get("StateValue")) for alarm in alarms}, answer.read


def alarms_now(present: PresentPlatform, store: EvidenceStore, run_id: str, policy: GatePolicy) -> tuple[Reason, ...]:
    """Why the SLO alarms close the gate now.

    Args:
        present: knows the alarms' present states.
        store: holds the table `slo_alarms` of the run.
        run_id: the candidate's readiness run.
        policy: where it only shows the check no_slo_alarm_firing, alarms do not close here either.
    """
    if _CHECK in policy.extra_checks_warn_only:
        return ()
    try:
        before = alarm_states(store.read_table(run_id, _TABLE))
    except (OSError, ValueError, KeyError) as error:
        return (fresh_reasons.ALARMS_UNREADABLE.at(RELEASE, _TABLE, f"the stored alarms cannot be read: {type(error).__name__}"),)
    return compare(before, *present.alarms)


def alarm_states(table: pd.DataFrame) -> dict[str, str]:
    """Alarm -> state of the alarms on a tool's SLO, as the evidence table has them."""
    rows = table.loc[table["tool"].notna() & table["alarm"].notna(), ["alarm", "state"]]
    return {str(alarm): str(state) for alarm, state in rows.itertuples(index=False)}


def compare(before: Mapping[str, str], now: Mapping[str, str], read: Read) -> tuple[Reason, ...]:
    """What the states now say against a promotion."""
    if read.status is not ReadStatus.OK:
        seen = f"{read.operation}: {read.status}: {read.error}"
        return (fresh_reasons.ALARMS_UNREADABLE.at(RELEASE, read.resource, seen),)
    found = []
    for alarm in sorted(before):
        if alarm not in now:
            found.append(fresh_reasons.ALARM_GONE.at(RELEASE, alarm, "it is no longer there"))
        elif now[alarm] == "ALARM" and before[alarm] != "ALARM":
            found.append(fresh_reasons.ALARM_FIRING.at(RELEASE, alarm, f"ALARM now, {before[alarm]} in the evidence"))
    return tuple(found)


def deployed_then(store: EvidenceStore, run_id: str, release: Release, policy: DeployedPolicy) -> tuple[Reason, ...]:
    """Why the run's own record of what is deployed closes the gate; reads nothing but the stored table."""
    return recorded_problems(_deployed_table(store, run_id), release, policy)


def deployed_now(present: PresentPlatform, store: EvidenceStore, run_id: str) -> tuple[Reason, ...]:
    """Why what is deployed now closes the gate: it is not what the evidence is about, or cannot be read."""
    return present_problems(_deployed_table(store, run_id), *present.deployed)


def _deployed_table(store: EvidenceStore, run_id: str) -> pd.DataFrame | None:
    try:
        table = store.read_table(run_id, _DEPLOYED)
    except (OSError, ValueError):
        return None
    return table if {"moment", "kind", "name", "version", "code"} <= set(table.columns) else None
