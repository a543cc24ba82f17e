"""Alarms, composite alarms, mute rules and topics as CloudWatch and SNS describe them: row 1.2."""

import json

from phase5_ops.clock import iso
from phase5_ops.cloudwatch.alarm_answers import Topic
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.slo.alarms.alarm_platform import TOPIC, errors, evidence, judge, latency, policy_of_topic

READS = "DescribeAlarms, composite alarms, mute rules, topics and their policies (`sections/slo/alarms`, `aws/resource_policy`)"
MALFORMED = "a blocking finding at the tool: an alarm that cannot be read watches nothing; never PASS"

#: What makes the only alarm of a signal none.
BROKEN = {
    "EvaluationPeriods": ("three", -1, None, [], 10**400, float("nan")),
    "Metrics": (
        5,
        [],
        [5],
        {},
        "x",
        [{"Id": "a"}],
        [{"Id": None, "Expression": None}],
        [{"Id": "a", "Expression": "((((" * 200}],
    ),
    "StateValue": ("SLEEPING", None, 5, [], ""),
    "AlarmActions": ([], None, "x", [5], [None]),
    "ComparisonOperator": ("Sideways", None, 5, []),
    "Threshold": ("x", float("nan"), float("inf"), [], True),
    "ActionsEnabled": (False, "no", [], 0),
}
COMPOSITE = {
    "AlarmName": "composite",
    "AlarmArn": "arn:aws:cloudwatch:us-west-2:123456789012:alarm:composite",
    "AlarmRule": f'ALARM("{latency()["AlarmName"]}") OR NOT OK("{errors()["AlarmName"]}")',
    "StateValue": "OK",
    "ActionsEnabled": True,
    "AlarmActions": [TOPIC],
}
MUTE = {
    "Name": "night",
    "Rule": {"Schedule": {"Expression": "cron(0 22 * * *)", "Duration": "PT8H", "Timezone": "UTC"}},
    "MuteTargets": {"AlarmNames": ["other"]},
    "Status": "ACTIVE",
}


def fuzz(data: bytes) -> None:
    """Judges altered alarms; a surely broken alarm that is the only one of its signal never passes."""
    source = Source(data)
    broken = source.chance(2)
    if not data:
        assert judge(evidence(latency(), errors())).verdict is Verdict.PASS
    if broken:
        name = source.one_of(sorted(BROKEN))
        value = source.one_of(BROKEN[name])
        alarms = [latency(), {**errors(), name: value}]
    else:
        alarms = source.changed([latency(), errors()])
    try:
        answer = answered(
            "cloudwatch", "DescribeAlarms", _text({"MetricAlarms": alarms, "CompositeAlarms": source.changed([COMPOSITE])})
        )
        mutes = [answered("cloudwatch", "GetAlarmMuteRule", _text(source.changed(MUTE)))] if source.chance(2) else []
    except UNREADABLE:
        assert data, "the sound answer is refused"
        return
    alarms = answer.get("MetricAlarms", [])
    composites = answer.get("CompositeAlarms", []) if source.chance(2) else []
    policy = source.json_text(source.changed(policy_of_topic())) if source.chance(2) else source.spliced(policy_of_topic())
    topics = {TOPIC: Topic(TOPIC, True, 1, 0, policy=policy)} if source.chance(2) else None
    if broken:
        composites = []
    verdict = judge(evidence(*alarms, composites=composites, mutes=mutes, topics=topics)).verdict
    assert not broken or verdict is not Verdict.PASS, f"a broken alarm passes: {name} = {value!r:.80}"


def _text(value: object) -> str:
    return json.dumps(value, default=iso)
