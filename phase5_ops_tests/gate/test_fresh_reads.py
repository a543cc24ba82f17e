"""SLO alarms that fire since the evidence was read, are gone, or cannot be read keep the gate closed."""

import pandas as pd
import pytest

from phase5_ops.evidence_store import EvidenceStore
from phase5_ops.gate.fresh_reads import PresentPlatform, alarm_states, alarms_now, compare
from phase5_ops.policy import DeployedPolicy, GatePolicy
from phase5_ops.reads import Read, ReadStatus


def read(status: ReadStatus = ReadStatus.OK) -> Read:
    return Read("cloudwatch:DescribeAlarms", "all alarms", status, "AccessDenied" if status != "ok" else None, 1, "", "")


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
    ],
    ids=["quiet", "fires now", "silent before", "was judged then", "gone"],
)
def test_only_what_changed_for_the_worse_since_the_evidence_closes(before, now, expected):
    assert codes(compare({"a": before}, {"b": "ALARM", **({"a": now} if now else {})}, read())) == expected


def test_alarms_that_cannot_be_read_close():
    assert codes(compare({}, {}, read(ReadStatus.DENIED))) == [("alarms_unreadable", "all alarms")]


def test_only_alarms_on_a_tools_slo_count():
    table = pd.DataFrame({"tool": ["t", None, "t"], "alarm": ["a", "other", None], "state": ["OK", "ALARM", None]})
    assert alarm_states(table) == {"a": "OK"}


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
    store.write_table("run-1", "slo_alarms", pd.DataFrame({"tool": ["t"], "alarm": ["slo-a"], "state": ["OK"]}))
    assert firing(reader, store) == ()
    client.set_alarm_state(AlarmName="slo-a", StateValue="ALARM", StateReason="test")
    assert codes(firing(reader, store)) == [("alarm_firing_now", "slo-a")]
