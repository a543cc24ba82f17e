"""What is looked at once more immediately before a promotion: SLO alarms that fire now, and what is deployed. It can only close.

The stored evidence says which alarms watch the SLOs and in which state they were. What fired then was judged then, and perhaps
waived by people; what fires since, is gone, or cannot be read closes, and no waiver covers it.
"""

from collections.abc import Mapping

import pandas as pd

from phase5_ops.aws.deployed_identity import read_deployed
from phase5_ops.aws.reader import AwsReader
from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.gate import fresh_reasons
from phase5_ops.gate.deployed_rules import present_problems, recorded_problems
from phase5_ops.gate.reasons import RELEASE
from phase5_ops.gate.records import Reason, Release
from phase5_ops.platform import Platform
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("cloudwatch:DescribeAlarms", "lambda:ListFunctions", "ssm:GetParameter")

_TABLE, _CHECK = "slo_alarms", "no_slo_alarm_firing"
_DEPLOYED = "deployed_identity"


def closing_now(platform: Platform, run_id: str, release: Release) -> tuple[Reason, ...]:
    """Everything that closes the gate for a candidate whatever its stored results say.

    Args:
        platform: of this decision.
        run_id: the candidate's readiness run.
        release: the candidate.
    """
    settings, reader, store = platform.settings, platform.reader, platform.store
    return (
        *deployed_then(store, run_id, release, settings.deployed),
        *deployed_now(reader, store, run_id, settings.deployed),
        *alarms_now(reader, store, run_id, settings.gate),
    )


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
        return (fresh_reasons.ALARMS_UNREADABLE.at(RELEASE, _TABLE, f"the stored alarms cannot be read: {type(error).__name__}"),)
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


def deployed_now(reader: AwsReader, store: EvidenceStore, run_id: str, policy: DeployedPolicy) -> tuple[Reason, ...]:
    """Why what is deployed now closes the gate: it is not what the evidence is about, or cannot be read."""
    found, reads = read_deployed(reader, policy.function_prefixes, policy.digest_parameter)
    failed = [
        f"{read.operation} {read.resource}: {read.status}: {read.error}" for read in reads if read.status is not ReadStatus.OK
    ]
    now = {(each.kind, each.name): (each.version, each.code) for each in found}
    return present_problems(_deployed_table(store, run_id), now, failed)


def _deployed_table(store: EvidenceStore, run_id: str) -> pd.DataFrame | None:
    try:
        table = store.read_table(run_id, _DEPLOYED)
    except (OSError, ValueError):
        return None
    return table if {"moment", "kind", "name", "version", "code"} <= set(table.columns) else None
