"""Compares the platform as it is now with the stored evidence: what is deployed, and which SLO alarms fire. It can only close.

Reads only; what the answers mean is in `alarm_rules.py` and `deployed_rules.py`, which the gate drill exercises.
"""

from functools import cached_property

from phase5_ops.aws.alarms import describe_alarms
from phase5_ops.aws.deployed_identity import read_deployed
from phase5_ops.aws.reader import AwsReader
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import DeclaredTable, Facts, GatheredTable, Row
from phase5_ops.gate.decision.alarm_rules import STORED_ALARMS, TABLE, alarm_problems, alarms_count
from phase5_ops.gate.decision.deployed_rules import DEPLOYED_IDENTITY, DeployedIdentity, Identity
from phase5_ops.gate.records import Reason
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("cloudwatch:DescribeAlarms", "lambda:ListFunctions", "ssm:GetParameter")


class PresentPlatform:
    """The platform as it is now. Each part is read when it is first asked for and never again: for one decision, or one tick."""

    def __init__(self, reader: AwsReader, policy: DeployedPolicy) -> None:
        self._reader = reader
        self._policy = policy

    @cached_property
    def deployed(self) -> tuple[Identity, tuple[str, ...]]:
        """What runs, and how reading it failed, in words; one call, and one for the parameter."""
        found, reads = read_deployed(self._reader, self._policy.function_prefixes, self._policy.digest_parameter)
        failed = tuple(str(read) for read in reads if read.status is not ReadStatus.OK)
        return {(each.kind, each.name): (each.version, each.code) for each in found}, failed

    @cached_property
    def alarms(self) -> tuple[dict[str, str], Read]:
        """Alarm -> state, and how that was read; one paginated call."""
        answer = describe_alarms(self._reader)
        alarms = (*answer.items("MetricAlarms"), *answer.items("CompositeAlarms"))
        return {str(alarm.get("AlarmName")): str(alarm.get("StateValue")) for alarm in alarms}, answer.read


def alarms_now(present: PresentPlatform, store: EvidenceStore, run_id: str, policy: GatePolicy) -> tuple[Reason, ...]:
    """Why the SLO alarms close the gate now.

    Args:
        present: knows the alarms' present states.
        store: holds the table `slo_alarms` of the run.
        run_id: the candidate's readiness run.
        policy: where it only shows the check no_slo_alarm_firing, alarms do not close here either, and are not read.
    """
    if not alarms_count(policy):
        return ()
    return alarm_problems(_table(store, run_id, TABLE, STORED_ALARMS), *present.alarms, policy)


def recorded_identity(store: EvidenceStore, run_id: str) -> DeployedIdentity | None:
    """The run's own record of what was deployed; None if it is not there, or cannot be read."""
    return _table(store, run_id, "deployed_identity", DEPLOYED_IDENTITY)


def _table(store: EvidenceStore, run_id: str, asset: str, table: DeclaredTable[Row, Facts]) -> GatheredTable[Row, Facts] | None:
    """The stored table; None if it is not there, or cannot be read as such a table."""
    try:
        kept = store.read_table(run_id, asset, table)
        _ = kept.rows  # raises where the table has other columns
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return kept
