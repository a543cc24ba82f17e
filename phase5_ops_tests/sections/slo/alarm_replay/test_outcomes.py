"""What tells of a breach and what does not: failed calls that are slow as well, and times in ALARM for something else."""

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
