"""What tells of a breach and what does not: failed calls that are slow as well."""

import pytest

from phase5_ops_tests.sections.slo.alarm_replay.support import OUTAGE, TENANT, WITHIN, Recording, ago, codes, judge, table
from phase5_ops_tests.sections.slo.alarms.alarm_platform import errors, latency

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
