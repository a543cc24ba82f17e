"""The alarms that are printed for row 1.2: the judge finds nothing wrong with them, or they are not printed."""

from dataclasses import replace

import pytest

from phase5_ops.cloudwatch.alarm_answers import Topic
from phase5_ops.remedies.model import ALERT_TOPIC, CannotMend, MendingCase
from phase5_ops.sections.slo.alarms.remedy import mend_alarms
from phase5_ops.settings import Settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    CONNECTOR,
    NOW,
    TOOL,
    TOPIC,
    described,
    errors,
    evidence,
    judge,
    latency,
    registered,
    summary,
    usual_sets,
    usual_windows,
)


def case_of(table, **settings):
    chosen = Settings(**{"runbook_url": "https://git.example/r.md", **settings})
    return MendingCase(judge(table).findings, {"slo_alarms": table}, chosen, "123456789012", "us-west-2", NOW)


def mended(table, **settings):
    return list(mend_alarms(case_of(table, **settings)))


def with_tool(tool, connector=CONNECTOR, *alarms):
    base = {"tool_name": tool, "connector_id": connector}
    measured = summary([(tool, connector, usual_sets(base), usual_windows())])
    return evidence(*alarms, tools=registered((tool, connector)), measured=measured)


def test_a_platform_with_both_alarms_needs_none():
    assert mended(evidence(latency(), errors())) == []


@pytest.mark.parametrize(
    ("there", "codes"),
    [
        ((), [["latency_alarm_missing"], ["error_alarm_missing"]]),
        ((latency(),), [["error_alarm_missing", "latency_alarm_blind_to_errors"]]),
        ((errors(),), [["latency_alarm_missing"]]),
        ((latency(Threshold=30_000.0), errors()), [["alarm_threshold_too_lax"]]),
        ((latency(AlarmActions=[]), errors()), [["alarm_actions_missing"]]),
        ((latency(), errors(TreatMissingData="breaching")), [["missing_data_breaches"]]),
    ],
)
def test_the_judge_passes_the_alarms_that_are_printed(there, codes):
    found = mended(evidence(*there))
    assert [[code for code, _ in each.answers] for each in found] == codes
    topic = {ALERT_TOPIC: TOPIC}
    requests = [each.resource.request for each in found]
    new = [described({**each, "AlarmActions": [topic.get(arn, arn) for arn in each["AlarmActions"]]}) for each in requests]
    assert judge(evidence(*there, *new)).verdict is Verdict.PASS
    assert not {each["AlarmName"] for each in there} & {each["AlarmName"] for each in requests}
    assert all(each["AlarmDescription"].endswith("r.md#slo-alarms-tool_latency_ms-tool_error") for each in requests)


def test_the_topic_is_that_of_the_alarms_that_reach_someone():
    (found,) = mended(evidence(latency()))
    assert found.resource.request["AlarmActions"] == [TOPIC]
    (found,) = mended(evidence(latency(), topics={TOPIC: Topic(TOPIC, True, 0, 1)}))  # nobody confirmed it
    assert found.resource.request["AlarmActions"] == [ALERT_TOPIC]


@pytest.mark.parametrize(
    "change", [{"ActionsEnabled": False}, {"StateValue": "INSUFFICIENT_DATA"}, {"StateValue": "BROKEN"}], ids=str
)
def test_what_another_alarm_would_not_mend_is_left_alone(change):
    table = evidence(latency(**change), errors())
    assert judge(table).verdict is not Verdict.PASS
    assert mended(table) == []


def test_a_tool_that_never_emitted_gets_no_alarm_that_cannot_fire():
    table = evidence(measured=summary([]))
    found = mended(table)
    assert [type(each) for each in found] == [CannotMend, CannotMend]
    assert "alarm_cannot_fire" in found[0].why


def test_an_alarm_that_the_settings_do_not_allow_is_not_printed():
    (found, _) = mended(evidence(), alarms={"window_max_seconds": 600})
    assert isinstance(found, CannotMend)
    assert "alarm_window_out_of_range" in found.why


@pytest.mark.parametrize(
    "tool", ["crm.o'neil", 'crm."x"', "crm.\\", "crm.$(touch x)", "crm.{{resolve:ssm:x}}", "crm.${x}", "a" * 300]
)
def test_a_tool_may_be_named_anything_that_cloudwatch_takes(tool):
    found = mended(with_tool(tool))
    requests = [each.resource.request for each in found]
    assert all(len(each["AlarmName"]) <= 255 for each in requests)
    alarms = [described({**each, "AlarmActions": [TOPIC]}) for each in requests]
    assert judge(with_tool(tool, CONNECTOR, *alarms)).verdict is Verdict.PASS


@pytest.mark.parametrize("tool", ["crm.\n", "crm.\x1b[31m", "crm.é", "x" * 1100, "y" * 1000])
def test_a_name_that_cloudwatch_does_not_take_is_said(tool):
    found = mended(with_tool(tool))
    assert {type(each) for each in found} == {CannotMend}
    assert {each.why for each in found} <= {
        "its tool or connector has a name that no CloudWatch dimension can have",
        "its AlarmDescription would have more than the 1024 characters that CloudWatch takes",
    }


def test_findings_that_the_run_did_not_have_are_not_answered():
    case = replace(case_of(evidence()), findings=())
    assert list(mend_alarms(case)) == []
    assert TOOL in case_of(evidence()).findings[0].subject
