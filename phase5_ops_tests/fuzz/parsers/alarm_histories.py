"""Alarms and their history as CloudWatch describes them, replayed: alarms_would_have_fired."""

import json
from functools import cache

from phase5_ops.clock import iso
from phase5_ops.sections.slo.alarm_replay.recorded_states import MalformedHistoryError
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, Recording, judge, outage, state_update, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, errors, latency

READS = "DescribeAlarmHistory, and alarms that are replayed (`sections/slo/alarm_replay`)"
MALFORMED = "an unreadable answer (ERROR), or `alarm_not_replayed`; a breach that no readable alarm tells of never passes"

_OLD = {"AlarmConfigurationUpdatedTimestamp": NOW.replace(day=1)}
NAME = errors()["AlarmName"]

#: What a change of state is not understood by.
BROKEN = {
    "HistoryData": ("", "{", "[]", "null", '{"oldState":{}}', '{"newState":{"stateValue":"OK"}}', "[" * 9999),
    "Timestamp": (None,),
}


@cache
def _outage() -> Recording:
    return outage()


def fuzz(data: bytes) -> None:
    """Replays altered alarms beside an altered history; a change that is surely broken is refused, a deaf alarm never passes."""
    source = Source(data)
    items = [state_update(NAME, OUTAGE - 5, "OK", "ALARM"), state_update(NAME, OUTAGE - 45, "ALARM", "OK")]
    if not data:
        assert judge(table(_outage(), latency(), errors(**_OLD), items=items)).verdict is Verdict.PASS
    broken, deaf = source.chance(3), source.chance(3)
    if broken:
        name = source.one_of(sorted(BROKEN))
        items[0][name] = source.one_of(BROKEN[name])
        items[0] = {key: value for key, value in items[0].items() if value is not None}
    alarms = [latency(), errors(Threshold=99.9, **_OLD)] if deaf else source.changed([latency(), errors(**_OLD)])
    try:
        described = answered("cloudwatch", "DescribeAlarms", _text({"MetricAlarms": alarms}))
        history = answered(
            "cloudwatch", "DescribeAlarmHistory", _text({"AlarmHistoryItems": items if broken else source.changed(items)})
        )
    except UNREADABLE:
        assert data, "the sound answers are refused"
        return
    try:
        replayed = table(_outage(), *described.get("MetricAlarms", []), items=history.get("AlarmHistoryItems", []))
    except MalformedHistoryError:
        return
    assert not (broken and deaf), f"a broken change is taken: {name}"
    assert not deaf or judge(replayed).verdict is not Verdict.PASS, "a breach that nobody is told of passes"


def _text(value: object) -> str:
    return json.dumps(value, default=iso)
