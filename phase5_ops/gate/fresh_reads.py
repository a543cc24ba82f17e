"""What is looked at once more immediately before a promotion: SLO alarms that fire now, and what is deployed. It can only close.

Reads only; what the answers mean is in `alarm_rules.py` and `deployed_rules.py`, which the gate drill exercises.
"""

import pandas as pd

from phase5_ops.aws.deployed_identity import read_deployed
from phase5_ops.aws.reader import AwsReader
from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.gate.alarm_rules import TABLE, alarm_problems, alarms_count
from phase5_ops.gate.deployed_rules import COLUMNS, present_problems, recorded_problems
from phase5_ops.gate.records import Reason, Release
from phase5_ops.platform import Platform
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("cloudwatch:DescribeAlarms", "lambda:ListFunctions", "ssm:GetParameter")

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
        policy: where it only shows the check no_slo_alarm_firing, alarms do not close here either, and are not read.
    """
    if not alarms_count(policy):
        return ()
    answer = reader.paginate("cloudwatch", "describe_alarms", "all alarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    alarms = (*answer.items("MetricAlarms"), *answer.items("CompositeAlarms"))
    now = {str(alarm.get("AlarmName")): str(alarm.get("StateValue")) for alarm in alarms}
    return alarm_problems(_table(store, run_id, TABLE), now, answer.read, policy)


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
    table = _table(store, run_id, _DEPLOYED)
    return table if table is not None and set(COLUMNS) <= set(table.columns) else None


def _table(store: EvidenceStore, run_id: str, asset: str) -> pd.DataFrame | None:
    try:
        return store.read_table(run_id, asset)
    except (OSError, ValueError):
        return None
