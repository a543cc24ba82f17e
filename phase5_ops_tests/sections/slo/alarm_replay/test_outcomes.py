"""What tells of a breach and what does not: slow failures, times in ALARM for something else, and what cannot be known."""

import pytest

from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, TENANT, WITHIN, Recording, ago, codes, judge, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    BASE,
    NAMESPACE,
    errors,
    insights,
    latency,
    math,
    metric_stat,
    registered,
    summary,
    usual_sets,
    usual_windows,
)

DEAF = errors(Threshold=99.9)


def timeouts(late: int = 0) -> Recording:
    """A third of the calls of half an hour failed, each of them for being slow; of the good calls so many were late."""
    recording = Recording().usual()
    for start in range(OUTAGE, OUTAGE - 30, -5):
        recording.calls([start], failed=100, late=late).put("tool_latency_ms", TENANT, WITHIN, 300, {ago(start): 0})
    return recording


@pytest.mark.parametrize(
    ("alarms", "late", "expected"),
    [
        ([latency(), errors()], 0, []),
        # the error alarm is held to it, whatever the latency alarm does
        ([latency(), DEAF], 0, ["error"]),
        ([latency(Threshold=9999.0), errors()], 0, []),
        # calls that succeeded were late, too, and these a latency alarm can see
        ([latency(), errors()], 20, []),
        ([latency(Threshold=9999.0), errors()], 20, ["latency"]),
        ([latency(Threshold=9999.0), DEAF], 20, ["latency", "error"]),
    ],
)
def test_a_failed_call_that_was_slow_is_a_matter_of_the_error_alarm(alarms, late, expected):
    """Its latency is in its tenant's set alone, which no alarm on a percentile of the tool can see."""
    judgement = judge(table(timeouts(late), *alarms))
    assert {finding.code for finding in judgement.findings} <= {"breach_not_caught"}
    assert sorted(finding.subject.split(": ")[1].split()[0] for finding in judgement.findings) == sorted(expected)


def test_slow_calls_of_tenants_that_did_not_fail_are_held_to_the_latency_alarm():
    recording = Recording().usual()
    for start in range(OUTAGE, OUTAGE - 30, -5):
        recording.put("tool_latency_ms", TENANT, "SampleCount", 300, {ago(start): 100})
    assert codes(judge(table(recording, latency(), errors()))) == {"breach_not_caught": "FAIL"}


OTHER_TENANT = {**BASE, "tenant_id": "t2"}


def of_one_tenant(**changes):
    """It fires for a single error of t1 among the newest three periods, and sees nothing of the others."""
    queries = [metric_stat("e", "tool_error", dims=TENANT), math("r", "FILL(e, 0)")]
    return errors(Metrics=queries, Threshold=1, DatapointsToAlarm=1, TreatMissingData="notBreaching", **changes)


@pytest.mark.parametrize(
    ("blips", "why"),
    [
        ([], "it stays out of ALARM"),
        # it goes into ALARM five minutes after the blip's beginning and stays so for fifteen
        ([15], "what it was in ALARM for was over as it began"),
        ([5], "what it was in ALARM for was over as it began"),
        ([20], "it stays out of ALARM"),
        ([-125], "it goes into ALARM when it is over"),
        ([-130], "it stays out of ALARM"),
        ([15, -125], "what it was in ALARM for was over as it began"),
        # five minutes into the breach: nobody can tell it from a blip
        ([-5], None),
    ],
)
def test_an_alarm_that_fired_for_something_else_beside_the_breach_told_nobody_of_it(blips, why):
    """Two hours of errors of t2; t1 has two failed calls so many minutes before their beginning."""
    recording = Recording().usual(1000)
    for start in range(OUTAGE, OUTAGE - 120, -5):
        recording.put("tool_error", OTHER_TENANT, "Sum", 300, {ago(start): 300.0})
    for blip in blips:
        recording.put("tool_error", TENANT, "Sum", 300, {ago(OUTAGE + blip): 2.0})
    findings = judge(table(recording, latency(), of_one_tenant())).findings
    assert [finding.seen.rpartition(": ")[2] for finding in findings] == ([] if why is None else [why])


@pytest.mark.parametrize(("later", "expected"), [(120, "missed"), (10, "caught")])
def test_what_fires_for_one_tool_already_tells_nobody_of_another(later, expected):
    """One alarm over all tools; the second fails so many minutes after the first, while the first still does."""
    other, query = {"tool_name": "internal.create_note", "connector_id": "internal"}, f'SELECT SUM(tool_error) FROM "{NAMESPACE}"'
    tools = [(each["tool_name"], each["connector_id"]) for each in (BASE, other)]
    measured = summary([(*tools[0], usual_sets(), usual_windows()), (*tools[1], usual_sets(other), usual_windows())])
    recording = Recording().usual().calls(range(OUTAGE, OUTAGE - 300, -5), failed=100)
    for start in range(OUTAGE - later, OUTAGE - later - 60, -5):
        recording.put("tool_success", other, "Sum", 300, {ago(start): 100.0})
        recording.put("tool_error", {**other, "tenant_id": "t1"}, "Sum", 300, {ago(start): 100.0})
    alarm = errors(Metrics=[insights("q", query, returned=True)], Threshold=5, TreatMissingData="notBreaching")
    rows = table(recording, alarm, tools=registered(*tools), measured=measured).rows
    outcomes = {row.tool: [each["outcome"] for each in row.outcomes] for row in rows if row.signal == "error"}
    assert outcomes == {BASE["tool_name"]: ["caught"], other["tool_name"]: [expected]}


def by_period(seconds, **changes):
    """The recommended error alarm, by periods of so many seconds."""
    alarm = errors(**changes)
    for query in alarm["Metrics"]:
        for where in (query, query.get("MetricStat", {})):
            if "Period" in where:
                where["Period"] = seconds
    return alarm


def of_errors(alarm, lasts: int, begins: int = OUTAGE, failed: int = 100, days: int = 2):
    """What is found of so many minutes of errors."""
    recording = Recording(days).calls(range(begins, begins - lasts, -5), failed=failed)
    return codes(judge(table(recording, alarm)))


@pytest.mark.parametrize(
    ("lasts", "expected"),
    [
        (15, {}),  # not longer than its window
        (20, {"breach_not_replayed": "INCONCLUSIVE"}),
        (25, {"breach_not_caught": "FAIL"}),  # wherever it lies, one period of a quarter of an hour is whole within it
    ],
)
def test_a_breach_that_no_period_of_the_replay_may_have_whole_is_not_known_to_be_missed(lasts, expected):
    assert of_errors(by_period(900, EvaluationPeriods=1, DatapointsToAlarm=1, Threshold=99.9), lasts) == expected
    assert of_errors(errors(Threshold=99.9), lasts) == ({"breach_not_caught": "FAIL"} if expected else {})


@pytest.mark.parametrize("begins", [OUTAGE, OUTAGE - 5, OUTAGE - 10])
def test_where_a_breach_lies_between_long_periods_never_fails_the_check(begins):
    """Four windows at 1.5 % in a period of three, or three and one: the alarm fires above 1 %."""
    alarm = by_period(900, EvaluationPeriods=1, DatapointsToAlarm=1)
    recording = Recording().usual().calls(range(begins, begins - 20, -5), good=197, failed=3)
    assert judge(table(recording, alarm)).verdict.name != "FAIL"


def test_an_alarm_that_could_never_fire_for_so_short_a_breach_missed_it():
    daily = by_period(3600, EvaluationPeriods=24, DatapointsToAlarm=24)
    assert of_errors(daily, 600) == {"breach_not_caught": "FAIL"}


@pytest.mark.parametrize(("lasts", "expected"), [(5, {}), (15, {}), (20, {"breach_not_replayed": "INCONCLUSIVE"})])
def test_what_is_not_known_of_a_breach_matters_where_an_alarm_can_be_held_to_it(lasts, expected):
    """Twenty days ago, where an alarm by the minute is not known."""
    alarm = by_period(60, EvaluationPeriods=15, DatapointsToAlarm=15)
    assert of_errors(alarm, lasts, begins=20 * 24 * 60, days=30) == expected


@pytest.mark.parametrize(
    ("begins", "lasts", "expected"),
    [
        (0, 5, {}),
        (0, 5 * 60, {}),
        (55, 5 * 60, {}),
        # it lasts on, and whether the alarm went into ALARM as it began is not known
        (0, 47 * 60, {"breach_not_replayed": "INCONCLUSIVE"}),
        (60, 5 * 60, {}),
    ],
)
def test_a_breach_that_passes_out_of_what_is_replayed_was_a_matter_of_earlier_runs(begins, lasts, expected):
    begins = 2 * 24 * 60 - begins
    assert of_errors(errors(), lasts, begins=begins) == expected
    assert of_errors(errors(Threshold=99.9), 5 * 60, begins=begins) == (
        {"breach_not_caught": "FAIL"} if begins == 47 * 60 else {}
    )


def night_and_outage(known_from: int) -> Recording:
    """For six hours each call fails, too few to be judged; then more calls come. Tenants' sets are known from so long ago on."""
    recording = Recording(fine_days=known_from / (24 * 60)).calls(range(48 * 60, OUTAGE + 360, -5))
    recording.calls(range(OUTAGE + 360, OUTAGE, -15), good=0, failed=1)
    return recording.calls(range(OUTAGE, OUTAGE - 120, -5), good=10, failed=40)


@pytest.mark.parametrize(
    ("alarm", "known_from", "expected"),
    [
        (errors(), 48 * 60, {}),
        (errors(), OUTAGE + 8 * 60, {}),
        (errors(), OUTAGE + 3 * 60, {"breach_not_replayed": "INCONCLUSIVE"}),
        (errors(), OUTAGE + 60, {"breach_not_replayed": "INCONCLUSIVE"}),
        (errors(), OUTAGE + 10, {"breach_not_replayed": "INCONCLUSIVE"}),
        (errors(Threshold=-1), OUTAGE + 8 * 60, {"breach_not_caught": "FAIL"}),
    ],
)
def test_what_an_alarm_that_fires_as_what_is_known_begins_may_have_begun_for_is_not_known(alarm, known_from, expected):
    assert codes(judge(table(night_and_outage(known_from), alarm))) == expected
