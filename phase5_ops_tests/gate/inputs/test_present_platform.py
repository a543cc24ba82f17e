"""SLO alarms that fire since the evidence was read, are gone, or cannot be read keep the gate closed."""

import pytest

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import DeclaredTable, NoFacts
from phase5_ops.gate.decision.alarm_rules import STORED_ALARMS, StoredAlarm, StoredAlarms, alarm_problems, alarm_states
from phase5_ops.gate.inputs.present_platform import PresentPlatform, alarms_now
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus


def read(status: ReadStatus = ReadStatus.OK) -> Read:
    return Read("cloudwatch:DescribeAlarms", "all alarms", status, "AccessDenied" if status != "ok" else None, 1, "", "")


def table(**states: str) -> StoredAlarms:
    return stored(*(StoredAlarm("t", alarm, state) for alarm, state in states.items()))


def stored(*alarms: StoredAlarm) -> StoredAlarms:
    return STORED_ALARMS.gathered(alarms, NoFacts())


def firing(reader, store: EvidenceStore, policy: GatePolicy | None = None):
    return alarms_now(PresentPlatform(reader, DeployedPolicy()), store, "run-1", policy or GatePolicy())


def codes(reasons) -> list[tuple[str, str]]:
    return [(reason.code, reason.subject) for reason in reasons]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("OK", "OK", []),
        ("OK", "ALARM", [("alarm_firing_now", "a")]),
        ("INSUFFICIENT_DATA", "ALARM", [("alarm_firing_now", "a")]),
        ("ALARM", "ALARM", []),
        ("OK", None, [("alarm_gone", "a")]),
        ("OK", "None", [("alarms_unreadable", "a")]),
    ],
    ids=["quiet", "fires now", "silent before", "was judged then", "gone", "no state"],
)
def test_only_what_changed_for_the_worse_since_the_evidence_closes(before, now, expected):
    states = {"b": "ALARM", **({"a": now} if now else {})}
    assert codes(alarm_problems(table(a=before), states, read(), GatePolicy())) == expected


def test_alarms_that_cannot_be_read_close():
    assert codes(alarm_problems(table(), {}, read(ReadStatus.DENIED), GatePolicy())) == [("alarms_unreadable", "all alarms")]


def test_a_stored_table_that_is_none_closes(reader, tmp_path):
    assert codes(alarm_problems(None, {}, read(), GatePolicy())) == [("alarms_unreadable", "slo_alarms")]
    store = EvidenceStore(tmp_path)
    store.write_table("run-1", "slo_alarms", DeclaredTable(NoFacts, NoFacts).gathered([NoFacts()], NoFacts()))
    assert codes(firing(reader, store)) == [("alarms_unreadable", "slo_alarms")]


def test_only_alarms_on_a_tools_slo_count():
    alarms = stored(StoredAlarm("t", "a", "OK"), StoredAlarm(None, "other", "ALARM"), StoredAlarm("t", None, None))
    assert alarm_states(alarms) == {"a": "OK"}


def test_a_run_without_its_stored_alarms_closes_unless_the_check_is_only_shown(reader, tmp_path):
    store = EvidenceStore(tmp_path)
    assert codes(firing(reader, store)) == [("alarms_unreadable", "slo_alarms")]
    shown = GatePolicy(extra_checks_warn_only=("no_slo_alarm_firing",))
    assert firing(reader, store, shown) == ()


def test_an_alarm_set_off_after_the_run_is_found(aws, reader, tmp_path):
    client = aws.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="slo-a",
        Namespace="n",
        MetricName="m",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    store = EvidenceStore(tmp_path)
    store.write_table("run-1", "slo_alarms", stored(StoredAlarm("t", "slo-a", "OK")))
    assert firing(reader, store) == ()
    client.set_alarm_state(AlarmName="slo-a", StateValue="ALARM", StateReason="test")
    assert codes(firing(reader, store)) == [("alarm_firing_now", "slo-a")]
