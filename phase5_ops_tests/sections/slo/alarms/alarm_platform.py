"""Builders of alarm evidence for tests: tables of tools and traffic, and alarms in DescribeAlarms' words."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.recommended_alarms import error_alarm, latency_alarm
from phase5_ops.ccnative.registry import REGISTERED_TOOLS, RegisteredTool, RegistryFacts
from phase5_ops.clock import iso
from phase5_ops.cloudwatch.alarm_answers import Alarms, Topic
from phase5_ops.policy import AlarmPolicy, SloPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.slo.alarms.evidence import slo_alarms_table, topics_to_read
from phase5_ops.sections.slo.alarms.judge import judge_slo_alarms
from phase5_ops.sections.slo.summary.evidence import TOOL_SLO_SUMMARY, SummaryFacts
from phase5_ops_tests.sections.slo.summary.gathering import World

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMESPACE = "CCNative/Execution"
TOPIC = "arn:aws:sns:us-west-2:123456789012:on-call"
TOOL, CONNECTOR = "crm.create_task", "crm_salesforce"
BASE = {"tool_name": TOOL, "connector_id": CONNECTOR}
RUNBOOK = "https://git.example/phase_5_7_reliability.md#slo-alarms-tool_latency_ms-tool_error"
LINKS = ConsoleLinks("us-west-2")
SLO, POLICY = SloPolicy(), AlarmPolicy()
MATH = {"namespace": NAMESPACE, "topic_arn": TOPIC, "runbook_url": RUNBOOK, "slo": SLO}


def read(operation, status=ReadStatus.OK, error=None, resource="x"):
    return Read(operation, resource, status, error, 1, iso(NOW), iso(NOW))


def policy_of_topic(condition=None, *, principal=None, effect="Allow", action="sns:Publish", resource=TOPIC):
    """A topic's policy of one statement; by default it lets CloudWatch publish."""
    statement = {"Effect": effect, "Principal": principal or {"Service": "cloudwatch.amazonaws.com"}, "Action": action}
    return json.dumps({"Statement": [statement | {"Resource": resource} | ({"Condition": condition} if condition else {})]})


def described(parameters, **changes):
    """An alarm as DescribeAlarms gives it for PutMetricAlarm's parameters."""
    raw = copy.deepcopy(parameters)
    raw |= {
        "AlarmArn": f"arn:aws:cloudwatch:us-west-2:123456789012:alarm:{raw['AlarmName']}",
        "StateValue": "OK",
        "StateReason": "Threshold Crossed: no datapoints were breaching",
        "StateUpdatedTimestamp": NOW - timedelta(hours=5),
        "AlarmConfigurationUpdatedTimestamp": NOW - timedelta(days=30),
        "OKActions": [],
    }
    for key, value in changes.items():
        if value is None:
            raw.pop(key, None)
        else:
            raw[key] = value
    return raw


def latency(tool=TOOL, connector=CONNECTOR, **changes):
    return described(latency_alarm(tool, connector, **MATH), **changes)


def errors(tool=TOOL, connector=CONNECTOR, **changes):
    return described(error_alarm(tool, connector, **MATH), **changes)


def metric_stat(id_, metric, stat="Sum", dims=None, *, returned=False, period=300, **extra):
    metric = {
        "Namespace": extra.pop("namespace", NAMESPACE),
        "MetricName": metric,
        "Dimensions": [{"Name": key, "Value": value} for key, value in (dims or BASE).items()],
    }
    return {"Id": id_, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat} | extra, "ReturnData": returned}


def math(id_, expression, *, returned=True):
    return {"Id": id_, "Expression": expression, "ReturnData": returned}


def insights(id_, text, *, returned=False):
    return {"Id": id_, "Expression": text, "Period": 300, "ReturnData": returned}


def dimension_set(metric, dims, *, ago=timedelta(minutes=2), samples=1000):
    last = iso(NOW - ago) if samples else None
    return {"metric": metric, "dimensions": dims, "last_datapoint_at": last, "samples": samples}


def usual_sets(base=None, tenants=("t1", "t2")):
    """What the platform emits: both metrics on the base set and, sampled, on tenant sets; errors on tenant sets only."""
    base = base or BASE
    sets = [dimension_set("tool_latency_ms", base), dimension_set("tool_success", base)]
    for tenant in tenants:
        dims = {**base, "tenant_id": tenant}
        sets += [dimension_set(m, dims, samples=10) for m in ("tool_latency_ms", "tool_success", "tool_error")]
    return sets


def usual_windows(requests=1000, count=288):
    return [
        {
            "start": iso(NOW - timedelta(minutes=5 * (count - index))),
            "requests": requests,
            "errors": 0,
            "latency_samples": requests,
        }
        for index in range(count)
    ]


def registered(*tools, traffic="steady", reads=None):
    rows = [RegisteredTool(tool, connector, [], "registry", traffic) for tool, connector in tools or [(TOOL, CONNECTOR)]]
    return REGISTERED_TOOLS.gathered(rows, RegistryFacts()).with_reads(reads or [read("dynamodb:Scan")], NOW)


def no_tool(reads=None):
    return REGISTERED_TOOLS.gathered([], RegistryFacts()).with_reads(reads or [read("dynamodb:Scan")], NOW)


def summary(entries=None, reads=None):
    """`tool_slo_summary` of (tool, connector, sets, windows)."""
    usual = [(TOOL, CONNECTOR, usual_sets(), usual_windows())]
    rows = [
        replace(_without_calls(), tool=tool, connector=connector, dimension_sets=sets, windows=windows)
        for tool, connector, sets, windows in (usual if entries is None else entries)
    ]
    reads = reads or [read("cloudwatch:ListMetrics"), read("cloudwatch:GetMetricData")]
    return TOOL_SLO_SUMMARY.gathered(rows, SummaryFacts(iso(NOW - timedelta(days=1)))).with_reads(reads, NOW)


@cache
def _without_calls():
    return World().summary().rows[0]


def answers(metric_alarms=(), composites=(), mutes=(), reads=None):
    return Alarms(list(metric_alarms), list(composites), list(mutes), reads or [read("cloudwatch:DescribeAlarms")])


def evidence(*metric_alarms, composites=(), mutes=(), topics=None, tools=None, measured=None, alarm_reads=None, topic_reads=()):
    given = answers(metric_alarms, composites, mutes, alarm_reads)
    found = {arn: Topic(arn, True, 1, 0) for arn in topics_to_read(given, NAMESPACE)} | (topics or {})
    return slo_alarms_table(
        registered() if tools is None else tools,
        summary() if measured is None else measured,
        given,
        found,
        topic_reads=topic_reads,
        namespace=NAMESPACE,
        links=LINKS,
        observed_at=NOW,
    )


def judge(table):
    return judge_slo_alarms(table, slo=SLO, alarms=POLICY, now=NOW, links=LINKS)
