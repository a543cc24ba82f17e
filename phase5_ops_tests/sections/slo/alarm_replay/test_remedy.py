"""The alarm that is printed beside those that missed a breach or cannot be replayed."""

from dataclasses import replace

from phase5_ops.remedies.model import MendingCase, Remedy
from phase5_ops.sections.slo.alarm_replay.remedy import mend_alarm_replay
from phase5_ops.settings import Settings
from phase5_ops_tests.sections.slo.alarm_replay.support import judge, outage, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, described, errors, evidence, latency

BAND = {"AlarmName": "band", "Threshold": None, "ThresholdMetricId": "band"}


def mended(*alarms) -> list[Remedy]:
    replays = table(outage(), *alarms)
    settings = Settings(runbook_url="https://git.example/r.md")
    tables = {"alarm_replay": replays, "slo_alarms": evidence(*alarms)}
    case = MendingCase(judge(replays).findings, tables, settings, "123456789012", "us-west-2", NOW)
    return list(mend_alarm_replay(case))


def test_the_printed_alarm_would_have_caught_the_breach():
    lax = errors(Threshold=99.9)
    (remedy,) = mended(latency(), lax)
    assert [code for code, _ in remedy.answers] == ["breach_not_caught"]
    assert any("replayed on it" in caution for caution in remedy.cautions)
    printed = described(remedy.resource.request | {"AlarmActions": latency()["AlarmActions"]})
    assert printed["AlarmName"] != lax["AlarmName"]
    assert judge(table(outage(), latency(), lax, printed)).verdict == "PASS"


def test_only_what_an_alarm_mends_is_answered():
    assert mended(latency(), errors()) == []
    answers = [code for remedy in mended(latency(), errors(**BAND)) for code, _ in remedy.answers]
    assert sorted(answers) == ["alarm_not_replayed", "breach_not_replayed"]
    assert replace(mended(latency())[0]).answers[0][0] == "breach_not_caught"
