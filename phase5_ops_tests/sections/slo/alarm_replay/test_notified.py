"""Who would have been told, and when: actions, composites with suppressors, and mute rules."""

from datetime import timedelta
from itertools import pairwise

import pytest

from phase5_ops.cloudwatch.alarm_answers import Topic
from phase5_ops.cloudwatch.alarm_evaluation import ALARM, OK
from phase5_ops.sections.slo.alarm_replay.notified import Notifying
from phase5_ops.sections.slo.alarm_replay.timeline import pieced
from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, Recording, codes, judge, outage, seen, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NAMESPACE, NOW, TOOL, TOPIC, errors, evidence, insights

NAME = errors()["AlarmName"]


def told(*alarms, **given):
    """Of the outage: what became of it, and how many minutes after its beginning people are told, or why not."""
    (row,) = [row for row in table(outage(), *alarms, **given).rows if row.alarm == NAME]
    (outcome,) = row.outcomes
    return outcome["outcome"], outcome["why"] or outcome["late_seconds"] / 60


def composite(rule=None, **more):
    return {"AlarmName": "any", "AlarmRule": rule or f'ALARM("{NAME}")', "AlarmActions": [TOPIC], **more}


def suppressed_by(name, wait=120):
    return {"ActionsSuppressor": name, "ActionsSuppressorWaitPeriod": wait, "ActionsSuppressorExtensionPeriod": 60}


def switch(rule, name="switch"):
    return {"AlarmName": name, "AlarmRule": rule, "AlarmActions": []}


def mute(begins_minutes_ago, hours, alarm=NAME):
    begins = NOW - timedelta(minutes=begins_minutes_ago)
    schedule = {"Expression": f"at({begins:%Y-%m-%dT%H:%M})", "Duration": f"PT{hours}H", "Timezone": "UTC"}
    return {"Name": "mute", "Rule": {"Schedule": schedule}, "MuteTargets": {"AlarmNames": [alarm]}, "Status": "SCHEDULED"}


STOP = "arn:aws:automate:us-west-2:ec2:stop"
SILENT = {"AlarmActions": []}
ALONE = errors(**SILENT)
OTHER = {"AlarmName": "other", "DatapointsToAlarm": 3}  # of the same tool: it fires ten minutes later


@pytest.mark.parametrize(
    ("alarms", "given", "expected"),
    [
        ([errors()], {}, ("caught", 5)),
        ([errors(DatapointsToAlarm=3)], {}, ("caught", 15)),
        ([errors(ActionsEnabled=False)], {}, ("missed", f"the actions of {NAME} are switched off")),
        ([ALONE], {}, ("missed", "it has no action for ALARM")),
        ([errors(Threshold=99.9)], {}, ("missed", "it stays out of ALARM")),
        ([ALONE], {"composites": [composite()]}, ("caught", 5)),
        ([ALONE], {"composites": [composite(ActionsEnabled=False)]}, ("missed", "of any are switched off")),
        ([ALONE], {"composites": [composite(f'OK("{NAME}")')]}, ("missed", "composite any stays out of ALARM")),
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}") OR NOT FALSE')]}, ("missed", "any was in ALARM before")),
        # the other alarm opens it ten minutes later, or keeps it shut
        ([ALONE, errors(**OTHER)], {"composites": [composite(f'ALARM("{NAME}") AND ALARM(other)')]}, ("caught", 15)),
        # an alarm that was not replayed decides, or does not
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}") OR ALARM(cpu)')]}, ("not_known", "not replayed")),
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}") AND ALARM(cpu)')]}, ("not_known", "not replayed")),
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}") AND (ALARM(cpu) OR NOT ALARM(cpu))')]}, ("caught", 5)),
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}"')]}, ("not_known", "cannot be read")),
        # the composite waits for its suppressor, which does not come, comes in time, or is not known
        ([ALONE, errors(**OTHER, Threshold=99)], {"composites": [composite(**suppressed_by("other", 240))]}, ("caught", 9)),
        ([ALONE, errors(**OTHER)], {"composites": [composite(**suppressed_by("other", 900))]}, ("caught", 36)),
        ([ALONE], {"composites": [composite(**suppressed_by("cpu"))]}, ("not_known", "whether cpu suppressed")),
        # a switch for maintenance: a composite that is off, that is on, or that rests on what was not replayed
        ([ALONE], {"composites": [composite(f'ALARM("{NAME}") AND NOT ALARM(switch)'), switch("FALSE")]}, ("caught", 5)),
        ([ALONE], {"composites": [composite(**suppressed_by("switch", 60)), switch("FALSE")]}, ("caught", 6)),
        ([ALONE], {"composites": [composite(**suppressed_by("switch")), switch("ALARM(deeper)"), switch("FALSE", "deeper")]},
         ("caught", 7)),
        ([ALONE], {"composites": [composite(**suppressed_by("switch")), switch("TRUE")]}, ("missed", "switch suppressed")),
        ([ALONE], {"composites": [composite(**suppressed_by("switch")), switch("ALARM(cpu)")]}, ("not_known", "whether switch")),
        ([ALONE], {"composites": [composite(**suppressed_by("switch")), switch("ALARM(")]}, ("not_known", "whether switch")),
        # what becomes of the message: a topic that is gone, one that cannot be judged, actions that are no topics
        ([errors()], {"topics": {TOPIC: Topic(TOPIC, False, 0, 0)}}, ("missed", f"{TOPIC} does not exist")),
        ([ALONE], {"composites": [composite()], "topics": {TOPIC: Topic(TOPIC, True, 0, 1)}}, ("missed", "no confirmed")),
        ([errors()], {"topics": {TOPIC: Topic(TOPIC, None, None, None, withheld=True)}}, ("not_known", "another account")),
        ([errors()], {"topic_reads": [seen("sns:GetTopicAttributes")]}, ("not_known", "sns:GetTopicAttributes x: denied")),
        ([errors(AlarmActions=[STOP])], {}, ("missed", f"{STOP} tells nobody")),
        ([errors(AlarmActions=[STOP, TOPIC])], {}, ("caught", 5)),
        ([errors(AlarmActions=[STOP, "arn:aws:lambda:us-west-2:123456789012:function:pager"])], {}, ("caught", 5)),
        # a mute rule: over before, over while it fires, over when it has ended; one that cannot be read
        ([errors()], {"mutes": [mute(OUTAGE + 180, 2)]}, ("caught", 5)),
        ([errors()], {"mutes": [mute(OUTAGE + 40, 1)]}, ("caught", 20)),
        ([errors()], {"mutes": [mute(OUTAGE + 60, 5)]}, ("missed", f"a mute rule silences {NAME}")),
        ([errors()], {"mutes": [mute(OUTAGE, 1) | {"Rule": {"Schedule": {"Expression": "?"}}}]}, ("not_known", "cannot be read")),
        ([errors()], {"mutes": [mute(OUTAGE, 1) | {"StartDate": "soon"}]}, ("not_known", "cannot be read")),
    ],
)  # fmt: skip
def test_who_would_have_been_told_and_when(alarms, given, expected):
    outcome, said = told(*alarms, **given)
    assert outcome == expected[0]
    assert said == expected[1] if isinstance(expected[1], int) else expected[1] in said


@pytest.mark.parametrize(
    ("suppressor", "expected"),
    [
        ([(0, OK), (900, ALARM), (1300, OK)], 1900),
        # it comes back within the extension, again and again
        ([(0, OK), (900, ALARM), (1300, OK), (1600, ALARM), (1700, OK), (2300, ALARM), (2500, OK)], 3100),
        ([(0, OK), (900, ALARM), (1300, OK), (1901, ALARM)], 1900),
        ([(0, OK), (900, ALARM), (1300, OK), (1600, ALARM)], "cpu suppressed the actions of any"),
        ([(0, OK), (1000, None)], "whether cpu suppressed"),
        ([(0, OK), (900, ALARM), (1300, None)], "whether cpu suppressed"),
        ([(0, OK), (900, ALARM), (1300, OK), (1800, None)], "whether cpu suppressed"),
        ([(0, OK), (900, ALARM), (1300, OK), (1902, None)], 1900),
    ],
)
def test_a_suppressor_that_comes_back_holds_on_and_is_known_until_the_actions_are_carried_out(suppressor, expected):
    """The composite goes into ALARM at 1,000 s for good, waits 60 s for its suppressor, and 600 s after that has ended."""
    lines = {NAME: [(0, OK), (1000, ALARM)], "cpu": suppressor}
    timelines = {
        name: pieced((start, end, state) for (start, state), (end, _) in pairwise([*line, (9000, None)]) if state)
        for name, line in lines.items()
    }
    suppression = {"ActionsSuppressor": "cpu", "ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 600}
    slo_alarms = evidence(ALONE, composites=[composite(**suppression)])
    (row,) = [row for row in slo_alarms.rows if row.alarm]
    (firing,) = Notifying(slo_alarms.facts.composite_rules, timelines).firings(row, timelines[NAME])
    if isinstance(expected, int):
        assert (firing.told, firing.known) == (expected, True)
    else:
        assert (firing.told, firing.known) == (None, not expected.startswith("whether"))
        assert expected in firing.why


def test_a_composite_of_alarms_by_different_periods_is_known_until_now():
    """One by five minutes fires for what goes on, unless one by the minute does, which never is in ALARM."""
    text = f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'"
    by_the_minute = {**insights("q", text, returned=True), "Period": 60}
    never = errors(AlarmName="never", AlarmActions=[], Metrics=[by_the_minute], Threshold=1e6, TreatMissingData="notBreaching")
    recording = Recording().usual().calls(range(60, 0, -5), failed=100)
    above = composite(f'ALARM("{NAME}") AND NOT ALARM("never")')
    assert codes(judge(table(recording, ALONE, never, composites=[above]))) == {}


def test_an_alarm_that_fires_already_has_told_people():
    """The second breach begins while the alarm is still in ALARM for the first."""
    recording = outage().calls([OUTAGE - 40, OUTAGE - 45], failed=100)
    (row,) = [row for row in table(recording, errors()).rows if row.alarm == NAME]
    assert [(each["outcome"], each["late_seconds"]) for each in row.outcomes] == [("caught", 300), ("caught", 0)]


def test_mute_rules_that_were_not_read_are_an_error():
    failed = seen("cloudwatch:ListAlarmMuteRules")
    assert codes(judge(table(Recording().usual(), errors(), reads=[failed]))) == {"read_failed": "ERROR"}
    assert codes(judge(table(Recording().usual(), errors(), reads=[seen("sns:GetTopicAttributes")]))) == {}
