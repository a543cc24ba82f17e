"""What tells of a breach and what does not: slow failures, times in ALARM for something else, and what cannot be known."""

from collections.abc import Iterable

import pytest

from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.sections.slo.alarm_replay.plan import spans_to_read, watching
from phase5_ops_tests.sections.slo.alarm_replay.support import (
    NOW_S,
    OUTAGE,
    SLO,
    TENANT,
    WITHIN,
    Recording,
    ago,
    codes,
    judge,
    table,
)
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    BASE,
    NAMESPACE,
    errors,
    evidence,
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


@pytest.mark.parametrize("failed", [0, 1])
def test_slow_calls_of_tenants_that_did_not_fail_are_held_to_the_latency_alarm(failed):
    recording = Recording().usual()
    for start in range(OUTAGE, OUTAGE - 30, -5):
        recording.calls([start], failed=failed).put("tool_latency_ms", TENANT, "SampleCount", 300, {ago(start): 100})
    assert codes(judge(table(recording, latency(), errors()))) == {"breach_not_caught": "FAIL"}


def by_both(windows: Iterable[tuple[int, int]]) -> Recording:
    """Windows of five minutes: beside a thousand calls that succeed so many time out, and so many of the thousand are late."""
    recording = Recording().usual(1000)
    for number, (failed, late) in enumerate(windows):
        start = OUTAGE - 5 * number
        recording.calls([start], good=1000, failed=failed, late=late).put("tool_latency_ms", TENANT, WITHIN, 300, {ago(start): 0})
    return recording


@pytest.mark.parametrize(
    ("failed", "late", "minutes", "breaches"), [(8, 5, 60, 0), (10, 5, 60, 0), (9, 2, 60, 0), (20, 5, 0, 1), (0, 9, 0, 0)]
)
def test_what_misses_the_slo_only_by_failed_and_slow_calls_together_is_shown_and_no_alarm_is_held_to_it(
    failed, late, minutes, breaches
):
    judgement = judge(table(by_both([(failed, late)] * 12), latency(), errors()))
    assert codes(judgement) == {}
    assert (judgement.facts["minutes_held_to_none"], judgement.facts["breaches"]) == (minutes, breaches)
    assert ("where an alarm of one signal can see it" in judgement.summary) is bool(minutes)


def of_three(to_alarm: int):
    return [latency(DatapointsToAlarm=to_alarm), errors(DatapointsToAlarm=to_alarm)]


@pytest.mark.parametrize(
    ("every", "to_alarm", "expected"),
    [
        (1, 3, []),
        (2, 3, [("error", 90)]),
        (3, 3, [("error", 60)]),
        (3, 2, [("error", 60)]),
        (4, 2, [("error", 45)]),
        # the recommended alarm, which the remedy prints
        (4, 1, []),
        # in so few windows can the error alarm see it that they may lie within its own
        (12, 3, []),
        (36, 3, []),
    ],
)
def test_windows_that_are_slow_only_by_failed_calls_break_no_breach(every, to_alarm, expected):
    """Three hours, in which the timeouts of each so-manyth window alone miss the SLO."""
    found = judge(table(by_both([(9 if number % every else 12, 9) for number in range(36)]), *of_three(to_alarm)))
    assert codes(found) == ({"breach_not_caught": "FAIL"} if expected else {})
    seen = [(finding.subject.split(": ")[1].split()[0], int(finding.seen.split()[0])) for finding in found.findings]
    assert seen == expected


@pytest.mark.parametrize(("to_alarm", "expected"), [(3, {"breach_not_caught": "FAIL"}), (1, {})])
def test_latency_that_is_missed_by_timeouts_and_slow_calls_by_turns_is_one_breach(to_alarm, expected):
    judgement = judge(table(by_both([(0, 20), (20, 0)] * 18), *of_three(to_alarm)))
    assert codes(judgement) == expected
    assert [finding.seen.split(",")[0] for finding in judgement.findings] == ["90 min long"] * len(expected)


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
    ("other", "begins"),
    [
        (by_period(60, AlarmName="quick", EvaluationPeriods=5, DatapointsToAlarm=5), 20 * 24 * 60),
        (errors(AlarmName="band", Threshold=None, ThresholdMetricId="band", EvaluationPeriods=1, DatapointsToAlarm=1), OUTAGE),
    ],
)
def test_an_alarm_of_which_nothing_is_known_asks_no_more_of_the_others(other, begins):
    """The recommended alarm looks at fifteen minutes, the other at five."""
    for deaf in ({"Threshold": 99.9}, {}):
        for lasts, expected in ((10, None), (20, "breach_not_replayed" if deaf else None)):
            recording = Recording(begins // (24 * 60) + 1).calls(range(begins, begins - lasts, -5), failed=100)
            found = codes(judge(table(recording, errors(DatapointsToAlarm=3, **deaf), other)))
            assert set(found) - {"alarm_not_replayed"} == ({expected} if expected else set())


def test_a_quicker_alarm_of_which_all_is_known_is_held_to_its_own_window():
    quick = errors(AlarmName="quick", EvaluationPeriods=1, DatapointsToAlarm=1, Threshold=99.9)
    recording = Recording().calls(range(OUTAGE, OUTAGE - 10, -5), failed=100)
    assert codes(judge(table(recording, errors(DatapointsToAlarm=3), quick))) == {"breach_not_caught": "FAIL"}


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


def errors_before(spans) -> Recording:
    """Of 1,000 calls seven fail, too few to miss the SLO, from and until so many minutes before an hour in which 40 do."""
    recording = Recording().usual(1000)
    for begin, end in spans:
        recording.calls(range(OUTAGE + begin, OUTAGE + end, -5), good=993, failed=7)
    return recording.calls(range(OUTAGE, OUTAGE - 60, -5), good=960, failed=40)


STRICT, LONG_BEFORE = errors(Threshold=0.5), "it was in ALARM long before"


@pytest.mark.parametrize(
    ("alarm", "spans", "why"),
    [
        (STRICT, [(60, 0)], None),
        (STRICT, [(360, 0)], None),  # it goes into ALARM ten minutes later
        (STRICT, [(375, 0)], LONG_BEFORE),
        (STRICT, [(24 * 60, 0)], LONG_BEFORE),
        # out of ALARM for five minutes, or for half an hour
        (STRICT, [(24 * 60, 120), (95, 0)], LONG_BEFORE),
        (STRICT, [(24 * 60, 120), (70, 0)], None),
        (STRICT, [(200, 120)], None),  # that was over; the breach itself comes then
        (errors(), [(60, 0)], None),
    ],
)
def test_an_alarm_that_is_stricter_than_the_slo_may_tell_of_a_breach_some_hours_before(alarm, spans, why):
    findings = judge(table(errors_before(spans), latency(), alarm)).findings
    assert [finding.seen.rpartition(": ")[2] for finding in findings if finding.code == "breach_not_caught"] == (
        [] if why is None else [why]
    )


def test_what_an_alarm_was_in_alarm_for_early_must_last_to_the_breachs_end():
    """It sees t1, whose few errors begin an hour before the two hours of t2's and end within them."""
    for ends, expected in ((-90, {"breach_not_caught": "FAIL"}), (-120, {})):
        recording = Recording().usual(1000)
        for start in range(OUTAGE, OUTAGE - 120, -5):
            recording.put("tool_error", OTHER_TENANT, "Sum", 300, {ago(start): 300.0})
        for start in range(OUTAGE + 60, OUTAGE + ends, -5):
            recording.put("tool_error", TENANT, "Sum", 300, {ago(start): 2.0})
        assert codes(judge(table(recording, latency(), of_one_tenant()))) == expected


def test_a_latency_alarm_that_is_stricter_than_the_slo_tells_early():
    recording = Recording().usual(1000).calls(range(OUTAGE + 60, OUTAGE, -5), good=1000, p99=4500.0)
    recording.calls(range(OUTAGE, OUTAGE - 60, -5), good=1000, late=50)
    (row,) = [row for row in table(recording, latency(Threshold=4000.0), errors()).rows if row.signal == "latency"]
    assert [(each["outcome"], each["late_seconds"]) for each in row.outcomes] == [("caught", 0)]


@pytest.mark.parametrize("known_from", [OUTAGE + 5 * 60, OUTAGE + 150])
def test_since_when_a_strict_alarm_has_been_in_alarm_must_be_known(known_from):
    """It leaves ALARM for a moment, which says nothing of the time before."""
    recording = errors_before([(24 * 60, 120), (95, 0)])
    recording.fine_days = known_from / (24 * 60)
    assert codes(judge(table(recording, latency(), STRICT))) == {"breach_not_replayed": "INCONCLUSIVE"}


@pytest.mark.parametrize(("periods", "looked_at"), [(3, 25), (10, 60)])
def test_what_is_read_where_a_breach_is_possible_shows_since_when_an_alarm_has_told_of_it(periods, looked_at):
    recording, alarm = night_and_outage(known_from=0), errors(EvaluationPeriods=periods)
    hourly: dict = {}
    for (metric, dimensions, stat, _), points in recording.values.items():
        for start, value in points.items():
            held = hourly.setdefault((MetricSet(metric, dimensions), stat), {})
            held[start // 3600 * 3600] = held.get(start // 3600 * 3600, 0) + value
    alarms = watching(evidence(alarm).rows).values()
    ((first, last),) = spans_to_read([recording.sets], hourly, recording.recorded(), alarms, SLO)["error"]
    possible = ago(OUTAGE) // 3600 * 3600
    assert first + 60 * looked_at < possible - 6 * 3600
    assert last >= ago(OUTAGE - 120) + 60 * looked_at
    recording.fine_days = (NOW_S - first) / 86_400
    assert codes(judge(table(recording, alarm))) == {}
