"""The table `slo_alarms` shows what is required beside what exists."""

from datetime import timedelta

from phase5_ops.clock import iso
from phase5_ops.sections.slo.alarms.evidence import topics_to_read
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    CONNECTOR,
    NAMESPACE,
    NOW,
    TOOL,
    TOPIC,
    answers,
    errors,
    evidence,
    latency,
    no_tool,
    summary,
    usual_sets,
    usual_windows,
)


def test_every_tool_has_a_row_a_signal_even_without_alarms():
    table = evidence().frame
    assert table[["tool", "signal"]].to_dict("records") == [
        {"tool": TOOL, "signal": "latency"},
        {"tool": TOOL, "signal": "error"},
    ]
    assert table["alarm"].isna().all()


def test_an_empty_platform_gives_an_empty_table_with_the_right_types():
    table = evidence(tools=no_tool(), measured=summary([])).frame
    assert table.empty
    assert table.dtypes.to_dict() == evidence(latency()).frame.dtypes.to_dict()


def test_other_alarms_on_the_platforms_metrics_are_shown():
    stranger = latency("crm.unknown")
    unrelated = latency(MetricName="CPUUtilization", Namespace="AWS/EC2", Dimensions=[])
    table = evidence(latency(), stranger, unrelated | {"AlarmName": "cpu"}).frame
    assert table[table["signal"].isna()]["alarm"].tolist() == [stranger["AlarmName"]]


def test_topics_of_alarms_and_of_the_composites_above_them_are_read():
    name = latency()["AlarmName"]
    inner = {"AlarmName": "inner", "AlarmRule": f'ALARM("{name}")', "AlarmActions": [TOPIC + "-inner"]}
    outer = {"AlarmName": "outer", "AlarmRule": "ALARM(inner)", "AlarmActions": [TOPIC + "-outer"]}
    aside = {"AlarmName": "aside", "AlarmRule": "ALARM(cpu)", "AlarmActions": [TOPIC + "-aside"]}
    cpu = {"AlarmName": "cpu", "MetricName": "CPU", "Namespace": "AWS/EC2", "AlarmActions": [TOPIC + "-cpu"]}
    given = answers([latency(AlarmActions=["arn:aws:lambda:us-west-2:1:function:f"]), cpu], [inner, outer, aside])
    assert topics_to_read(given, NAMESPACE) == [TOPIC + "-inner", TOPIC + "-outer"]


def test_windows_of_several_connectors_are_added_up_and_gaps_had_no_request():
    at = [iso(NOW - timedelta(minutes=minutes)) for minutes in (15, 10, 5)]
    one = [{"start": at[0], "requests": 3}, {"start": at[2], "requests": 4}]
    two = [{"start": at[2], "requests": 1}]
    gateway = f"crm-create-task___{TOOL}"
    measured = summary([(TOOL, CONNECTOR, usual_sets(), one), (gateway, "crm-create-task___crm", [], two)])
    assert evidence(measured=measured).rows[0].request_windows == [3, 0, 5]


def test_inputs_are_as_old_as_the_oldest_that_is_not_filled():
    table = evidence(latency(), errors(), measured=summary([(TOOL, CONNECTOR, usual_sets(), usual_windows())])).frame
    assert table["inputs_last_datapoint_at"].tolist() == [iso(NOW - timedelta(minutes=2))] * 2


def test_reads_are_carried_once():
    table = evidence(latency(), errors())
    operations = [each.operation for each in table.reads]
    assert operations == ["dynamodb:Scan", "cloudwatch:ListMetrics", "cloudwatch:GetMetricData", "cloudwatch:DescribeAlarms"]
