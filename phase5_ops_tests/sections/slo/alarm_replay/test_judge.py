"""What alarms_would_have_fired finds: breaches, false alarms, flapping, CloudWatch's own history, what was not replayed."""

import re
from datetime import UTC, datetime

import pytest

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.alarm_replay.evidence import iso_of, nothing_replayed
from phase5_ops.sections.slo.alarm_replay.recorded_states import MalformedHistoryError, by_alarm, recorded_states
from phase5_ops_tests.sections.slo.alarm_replay.support import (
    OUTAGE,
    TENANT,
    Recording,
    ago,
    codes,
    judge,
    outage,
    seen,
    state_update,
    table,
)
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    CONNECTOR,
    NAMESPACE,
    NOW,
    TOOL,
    errors,
    insights,
    latency,
    metric_stat,
    no_tool,
    registered,
    summary,
    usual_sets,
    usual_windows,
)

NAME = errors()["AlarmName"]
DAY = 24 * 60  # minutes
CONFIGURED = {"AlarmConfigurationUpdatedTimestamp": NOW.replace(day=1)}
BAND = {"Threshold": None, "ThresholdMetricId": "band"}


def found(recording, *alarms, policy=None, **given):
    return codes(judge(table(recording, *alarms, **given), **(policy or {})))


def test_nothing_happened_so_nothing_was_put_to_the_test():
    judgement = judge(table(Recording().usual(), latency(), errors()))
    assert (str(judgement.verdict), judgement.facts["nothing_put_to_the_test"]) == ("PASS", True)
    assert "nothing put the alarms to the test" in judgement.summary


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ([errors()], {}),
        ([errors(Threshold=99.9)], {"breach_not_caught": "FAIL"}),
        ([errors(Threshold=99.9), errors(AlarmName="other")], {}),
        ([], {"breach_not_caught": "FAIL", "no_alarm_to_replay": "INCONCLUSIVE"}),
        ([latency()], {"breach_not_caught": "FAIL"}),
        # longer than the longest window that row 1.2 allows
        ([errors(Threshold=99.9, EvaluationPeriods=6)], {"breach_not_caught": "FAIL"}),
        ([errors(Threshold=99.9, EvaluationPeriods=288)], {"breach_not_caught": "FAIL"}),
        ([errors(DatapointsToAlarm=4, EvaluationPeriods=4)], {"breach_caught_late": "WARN"}),
        ([errors(**BAND)], {"breach_not_replayed": "INCONCLUSIVE", "alarm_not_replayed": "INCONCLUSIVE"}),
        ([errors(), errors(**BAND, AlarmName="band")], {"alarm_not_replayed": "WARN"}),
        ([errors(Threshold=99.9), errors(**BAND, AlarmName="band")],
         {"breach_not_replayed": "INCONCLUSIVE", "alarm_not_replayed": "WARN"}),
    ],
)  # fmt: skip
def test_a_breach_of_half_an_hour(alarms, expected):
    assert found(outage(), *alarms) == expected


def test_an_alarm_without_a_name_is_replayed_as_any_other():
    assert found(outage(), errors(AlarmName="")) == {}


def test_an_alarm_that_is_always_in_alarm_tells_nobody_of_a_breach():
    (finding,) = judge(table(outage(), errors(Threshold=-1))).findings
    assert (finding.code, finding.seen.rpartition(": ")[2]) == ("breach_not_caught", "it was in ALARM long before")


def test_a_latency_breach_and_how_late_is_late():
    recording = Recording().usual().calls(range(OUTAGE, OUTAGE - 30, -5), late=20)
    assert found(recording, latency(), errors()) == {}
    assert found(recording, latency(), errors(), policy={"max_detection_minutes": 4}) == {"breach_caught_late": "WARN"}
    assert found(recording, errors()) == {"breach_not_caught": "FAIL"}


def test_a_breach_that_goes_on_is_judged_by_what_is_over():
    recording = Recording().usual().calls(range(20, 0, -5), failed=100)
    assert found(recording, errors()) == {}
    assert found(recording, errors(DatapointsToAlarm=3)) == {}
    assert found(recording, errors(Threshold=99.9)) == {"breach_not_caught": "FAIL"}


def test_false_alarms_and_flapping_are_counted_against_the_policy():
    """Six errors of 1,000 meet the SLO; the alarm thinks otherwise."""
    strict = errors(Threshold=0.5, EvaluationPeriods=1)
    once = Recording().usual(1000).calls([600], good=994, failed=6)
    assert found(once, strict) == {}
    summary = judge(table(once, strict)).summary
    assert re.fullmatch("No tool missed its SLO in .*; times in which an alarm would have fired all the same: 1.", summary)
    assert found(once, strict, policy={"max_false_alarms_a_week": 0}) == {"false_alarms": "WARN"}
    often = Recording().usual(1000).calls([600, 590, 580, 570], good=994, failed=6)
    assert found(often, strict) == {"false_alarms": "WARN", "alarm_flaps": "WARN"}
    assert found(often, strict, policy={"max_firings_an_hour": 4}) == {"false_alarms": "WARN"}
    few_calls = Recording().usual(0).calls([600, 300, 100], good=1, failed=1)
    assert found(few_calls, strict) == {}  # the SLO was missed, by too few calls to be judged


def test_an_alarm_that_stays_in_alarm_for_days_without_a_breach_is_no_single_false_alarm():
    always = errors(Threshold=-1)
    (finding,) = judge(table(Recording(30).usual(), always)).findings
    assert (finding.code, finding.seen) == ("false_alarms", "1 in 30.0 days, of 29 whole days: 2026-10-24 09:25 UTC")
    assert found(Recording().usual(), always) == {"false_alarms": "WARN"}
    assert found(Recording().usual(), always, policy={"max_false_alarms_a_week": 2}) == {}
    assert found(Recording(4).usual().calls([60], failed=100), always)["false_alarms"] == "WARN"
    day_long = Recording().usual(1000).calls(range(40 * 60, 17 * 60, -5), good=994, failed=6)
    assert found(day_long, errors(Threshold=0.5)) == {}


def test_cloudwatchs_own_history_is_laid_beside():
    alarm = errors(**CONFIGURED)
    started, ended = state_update(NAME, OUTAGE - 5, "OK", "ALARM"), state_update(NAME, OUTAGE - 45, "ALARM", "OK")
    assert found(outage(), alarm, items=[started, ended]) == {}
    assert found(outage(), alarm, items=[]) == {"did_not_fire": "FAIL"}
    earlier = [state_update(NAME, OUTAGE + 400, "OK", "ALARM"), state_update(NAME, OUTAGE + 390, "ALARM", "OK")]
    assert found(outage(), alarm, items=[*earlier, started, ended]) == {"fired_without_reason": "WARN"}
    both = [started, ended, *(item | {"AlarmName": "other"} for item in earlier)]
    assert found(outage(), alarm, errors(AlarmName="other", **CONFIGURED), items=both) == {
        "did_not_fire": "WARN",
        "fired_without_reason": "WARN",
    }


def in_alarm(begin: float, end: float | None = None):
    """Items of an alarm that was in ALARM from and until so many minutes ago."""
    return [state_update(NAME, begin, "OK", "ALARM"), *([] if end is None else [state_update(NAME, end, "ALARM", "OK")])]


@pytest.mark.parametrize(
    ("items", "state"), [(in_alarm(600), "ALARM"), (in_alarm(600, 60), "OK"), ([], "ALARM"), (in_alarm(600, 599), "OK")]
)
def test_a_time_in_alarm_without_reason_is_found_however_long_it_lasts_or_goes_on(items, state):
    alarm = errors(**CONFIGURED, StateValue=state)
    assert found(Recording().usual(), alarm, items=items) == {"fired_without_reason": "WARN"}


def test_an_alarm_that_has_only_just_fired_is_not_yet_without_reason():
    assert found(Recording().usual(), errors(**CONFIGURED, StateValue="ALARM"), items=in_alarm(10)) == {}


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (OUTAGE - 5, OUTAGE - 45, {}),
        (OUTAGE + 10, OUTAGE - 60, {}),
        (OUTAGE - 30, OUTAGE - 45, {"breach_caught_late": "WARN"}),
        # the replay goes into ALARM at OUTAGE - 5, and the alarm looks at 25 minutes
        (OUTAGE - 31, OUTAGE - 45, {"did_not_fire": "FAIL"}),
        (OUTAGE + 30, OUTAGE + 5, {"did_not_fire": "FAIL", "fired_without_reason": "WARN"}),
        (30 * 60, 60, {"did_not_fire": "FAIL", "fired_without_reason": "WARN"}),
        (OUTAGE - 5, 60, {"fired_without_reason": "WARN"}),
    ],
)
def test_only_going_into_alarm_near_its_beginning_tells_of_a_breach(begin, end, expected):
    """In ALARM since long before, or only long after, it told nobody in time."""
    assert found(outage(), errors(**CONFIGURED), items=in_alarm(begin, end)) == expected


def test_what_an_alarm_did_instead_of_firing_is_said():
    alarm = errors(**CONFIGURED)
    (finding,) = judge(table(outage(), alarm, items=[])).findings
    assert (finding.expected, finding.seen) == ("goes into ALARM 2026-11-22 17:05 UTC", "not in ALARM then, by its history")
    finding, _ = judge(table(outage(), alarm, items=in_alarm(30 * 60, 60))).findings
    assert (finding.code, finding.seen) == ("did_not_fire", "by its history in ALARM from 2026-11-22 03:00 UTC on")


def test_how_late_people_were_told_is_as_cloudwatchs_history_has_it_where_that_is_later_by_more_than_a_period():
    for begin, minutes in ((OUTAGE - 4, 5), (OUTAGE - 10, 5), (OUTAGE - 11, 11), (OUTAGE - 20, 20)):
        (row,) = [row for row in table(outage(), errors(**CONFIGURED), items=in_alarm(begin, OUTAGE - 45)).rows if row.alarm]
        (outcome,) = row.outcomes
        assert (outcome["late_seconds"], outcome["recorded"]) == (60 * minutes, iso_of(ago(begin)))


@pytest.mark.parametrize(
    ("changes", "begin", "verdict"),
    [
        ({}, OUTAGE - 5, "WARN"),
        ({"AlarmActions": []}, OUTAGE - 5, "FAIL"),
        ({"ActionsEnabled": False}, OUTAGE - 5, "FAIL"),
        ({}, 40 * 60, "FAIL"),
        ({"Threshold": 99.9}, OUTAGE - 5, "FAIL"),
        ({"AlarmConfigurationUpdatedTimestamp": NOW}, OUTAGE - 5, "FAIL"),
    ],
)
def test_another_alarm_makes_up_for_one_that_did_not_fire_only_where_it_went_into_alarm_then_and_tells_people(
    changes, begin, verdict
):
    other = errors(**{"AlarmName": "other", **CONFIGURED, **changes})
    items = [item | {"AlarmName": "other"} for item in in_alarm(begin, OUTAGE - 45)]
    assert found(outage(), errors(**CONFIGURED), other, items=items)["did_not_fire"] == verdict


def test_an_alarm_over_several_tools_did_not_fire_for_those_that_had_a_breach():
    """The outage of one tool was told of by its own alarm; the other tool, which had none, has only the alarm over both."""
    tools = {TOOL: CONNECTOR, "internal.create_note": "internal"}
    measured = summary(
        [(tool, connector, usual_sets({"tool_name": tool, "connector_id": connector}), usual_windows())
         for tool, connector in tools.items()]
    )  # fmt: skip
    query = [insights("q", f'SELECT SUM(tool_error) FROM "{NAMESPACE}"', returned=True)]
    of_all = errors(AlarmName="all", Metrics=query, Threshold=5, EvaluationPeriods=1, DatapointsToAlarm=1, **CONFIGURED)
    both = {"tools": registered(*tools.items()), "measured": measured}
    own = in_alarm(OUTAGE - 5, OUTAGE - 45)
    (finding,) = judge(table(outage(), of_all, errors(**CONFIGURED), items=own, **both)).findings
    assert (finding.code, str(finding.verdict)) == ("did_not_fire", "WARN")
    (finding,) = judge(table(outage(), of_all, items=[], **both)).findings
    assert (finding.subject, finding.code, str(finding.verdict)) == (f"{TOOL}: all", "did_not_fire", "FAIL")


def test_an_alarm_that_fired_ten_hours_late_did_not_fire():
    lasting = Recording().usual().calls(range(OUTAGE, OUTAGE - 600, -5), failed=100)
    assert found(lasting, errors(**CONFIGURED), items=in_alarm(OUTAGE - 595, OUTAGE - 600)) == {"did_not_fire": "FAIL"}


def test_an_alarm_by_history_may_stay_in_alarm_where_the_replay_leaves_it_for_minutes():
    """Twenty minutes lie between the two firings of the replay; the alarm looks at twenty-five."""
    twice = Recording().usual().calls([610, 605, 600, 595, 590, 575, 570, 565], failed=100)
    alarm = errors(EvaluationPeriods=3, DatapointsToAlarm=3, **CONFIGURED)
    assert found(twice, alarm, items=in_alarm(595, 555)) == {}


def test_an_alarm_that_should_have_fired_without_a_breach_is_a_warning():
    recording = Recording().usual(1000).calls([600], good=994, failed=6)
    strict = errors(Threshold=0.5, EvaluationPeriods=1, **CONFIGURED)
    assert found(recording, strict, items=[]) == {"did_not_fire": "WARN"}
    few_calls = Recording().usual(0).calls([600], good=1, failed=1)
    assert found(few_calls, strict, items=[]) == {"did_not_fire": "WARN"}


def test_changes_of_one_moment_are_taken_in_the_order_in_which_cloudwatch_lists_them():
    """A state that was set by hand and taken back at once, newest first; else it would have been in ALARM until then."""
    at_once = [state_update(NAME, 60, "ALARM", "OK"), state_update(NAME, 60, "OK", "ALARM")]
    assert found(outage(), errors(**CONFIGURED), items=at_once) == {"did_not_fire": "FAIL"}
    assert found(Recording().usual(), errors(**CONFIGURED), items=at_once) == {}


def test_only_what_came_after_the_last_change_of_the_definition_is_compared():
    changed = {"AlarmName": NAME, "Timestamp": datetime.fromtimestamp(NOW.timestamp() - 60 * (OUTAGE - 60), UTC)}
    items = [changed | {"HistoryItemType": "ConfigurationUpdate", "HistoryData": "{}"}]
    assert found(outage(), errors(**CONFIGURED), items=items) == {}
    assert found(outage(), errors(AlarmConfigurationUpdatedTimestamp=changed["Timestamp"]), items=[]) == {}


@pytest.mark.parametrize(
    "item",
    [
        {"AlarmName": NAME, "HistoryItemType": "StateUpdate"},
        state_update(NAME, 60, "OK", "ALARM") | {"HistoryData": "{"},
        state_update(NAME, 60, "OK", "ALARM") | {"HistoryData": '{"newState":{}}'},
        state_update(NAME, 60, "OK", "ALARM") | {"HistoryData": "[]"},
        state_update(NAME, 60, "OK", "ALARM") | {"HistoryData": '{"stateReasonData":%s}' % ("[" * 9999 + "]" * 9999)},
    ],
)
def test_a_history_that_cannot_be_understood_is_refused(item):
    with pytest.raises(MalformedHistoryError):
        recorded_states(by_alarm([item])[NAME], configured_at="2026-11-01T00:00:00Z", state="OK", now=NOW)


@pytest.mark.parametrize(
    ("operation", "status", "expected"),
    [
        ("cloudwatch:GetMetricData", ReadStatus.DENIED, "ERROR"),
        ("cloudwatch:GetMetricData", ReadStatus.PARTIAL, "INCONCLUSIVE"),
        ("cloudwatch:DescribeAlarms", ReadStatus.THROTTLED, "ERROR"),
        ("cloudwatch:DescribeAlarmHistory", ReadStatus.TIMEOUT, "ERROR"),
    ],
)
def test_what_was_not_read_whole_never_passes(operation, status, expected):
    assert str(judge(nothing_replayed([seen(operation, status)], NOW)).verdict) == expected
    assert str(judge(table(Recording().usual(), errors(), reads=[seen(operation, status)])).verdict) == expected


def test_without_tools_nothing_is_judged():
    assert found(Recording().usual(), errors(), tools=no_tool()) == {"nothing_judged": "INCONCLUSIVE"}


def test_a_finding_names_the_breach_the_alarm_and_the_reason():
    (finding,) = judge(table(outage(), errors(Threshold=99.9))).findings
    assert finding.subject == f"{TOOL}: error from 2026-11-22 17:00 UTC"
    assert finding.expected == "an alarm that tells people of what lasts longer than 15 min"
    assert finding.seen == f"30 min long, 600 of 1,800 calls bad; {NAME}: it stays out of ALARM"
    assert "alarm/" in finding.link


@pytest.mark.parametrize(
    ("alarms", "complete", "missing"),
    [
        ([errors()], {}, {}),
        ([errors(Threshold=99.9)], {"breach_not_caught": "FAIL"}, {"breach_not_replayed": "INCONCLUSIVE"}),
        ([errors(ActionsEnabled=False, Metrics=[metric_stat("q", "tool_error", dims=TENANT, returned=True)])],
         {"breach_not_caught": "FAIL"}, {"breach_not_caught": "FAIL"}),
    ],
)  # fmt: skip
def test_days_of_which_metrics_may_be_missing_are_said_and_nothing_is_held_against_what_adds_up_metrics(
    alarms, complete, missing
):
    """ListMetrics leaves out what has had no data for two weeks, so that a first run knows 14 days whole."""
    for days, expected in ((30, complete), (14, missing)):
        recording = Recording(30, covered_days=days).calls(range(20 * DAY, 20 * DAY - 30, -5), failed=100)
        judgement = judge(table(recording, *alarms))
        assert (codes(judgement), judgement.facts["days_not_covered"]) == (expected, 30 - days)
    nothing = judge(table(Recording(30, covered_days=14), errors()))
    assert "in the 14 days of which all metrics are known" in nothing.summary
    assert judge(table(Recording(30), errors())).summary.startswith("No tool missed its SLO in thirty days")


def test_history_is_compared_only_where_no_metric_is_missing():
    for days, expected in ((30, {"did_not_fire": "FAIL"}), (14, {})):
        recording = Recording(30, covered_days=days).calls(range(20 * DAY, 20 * DAY - 30, -5), failed=100)
        assert found(recording, errors(**CONFIGURED), items=[]) == expected


def test_an_alarm_that_should_be_firing_now_and_is_not_did_not_fire():
    alarm = errors(**CONFIGURED)
    for until in (0, 10):
        recording = Recording().usual().calls(range(OUTAGE, until, -5), failed=100)
        assert codes(judge(table(recording, alarm, items=[]))) == {"did_not_fire": "FAIL"}
    assert codes(judge(table(Recording().usual().calls([20, 15, 10, 5], failed=100), alarm, items=[]))) == {}


def test_an_alarm_that_never_leaves_alarm_catches_only_what_began_it():
    recording = outage().calls([2870], failed=5)
    assert codes(judge(table(recording, errors(Threshold=-1))))["breach_not_caught"] == "FAIL"


def test_an_alarm_that_ignores_missing_data_and_was_in_alarm_before_tells_nobody():
    """It is on the sum of errors, which a silent tool does not have: it keeps what it was, for forty days if need be."""
    query = [insights("q", f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'", returned=True)]
    once = {"Metrics": query, "Threshold": 0, "EvaluationPeriods": 1, "DatapointsToAlarm": 1, "TreatMissingData": "ignore"}
    stuck = errors(**once, **CONFIGURED, StateValue="ALARM")
    assert found(outage(), stuck, items=[]) == {"breach_not_caught": "FAIL"}
    fired = [state_update(NAME, OUTAGE - 5, "OK", "ALARM")]
    assert found(outage(), stuck, items=fired) == {}
    (finding,) = judge(table(outage(), errors(**once))).findings
    assert finding.code == "breach_not_replayed"
    assert finding.seen.endswith("it kept a state that it had before, and which is not known")
