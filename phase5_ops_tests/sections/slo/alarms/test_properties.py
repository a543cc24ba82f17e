"""Alarms of known and unknown parts: a fault in the only alarm that counts is never passed over, whatever stands beside it."""

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.cloudwatch.alarm_answers import Topic
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarms.alarm_platform import (
    NAMESPACE,
    TOOL,
    TOPIC,
    errors,
    evidence,
    insights,
    judge,
    latency,
    math,
    metric_stat,
)

pytestmark = pytest.mark.slow

OTHER = "999999999999"
FOREIGN_TOPIC = TOPIC.replace("123456789012", OTHER)
KEPT = Topic(FOREIGN_TOPIC, None, None, None, "denied", withheld=True)
SUM = f"SELECT SUM(tool_error) FROM \"{NAMESPACE}\" WHERE tool_name = '{TOOL}'"


def ratio(query: str) -> dict[str, object]:
    queries = [
        math("r", "100 * FILL(e, 0) / (FILL(e, 0) + FILL(ok, 0))"),
        insights("e", query),
        metric_stat("ok", "tool_success"),
    ]
    return {"Metrics": queries}


#: What makes an error alarm none, or one of which it is not known; each alone.
ERROR_FAULTS = {
    "another account's query": ratio(f"{SUM} AND AWS.AccountId = '{OTHER}'"),
    "accounts put together": ratio(f"{SUM} AND AWS.AccountId IN ('123456789012', '{OTHER}')"),
    "a function nobody knows": ratio(f"{SUM} AND AWS.AccountId = ELSEWHERE()"),
    "a query nobody knows": ratio("SELECT LATEST(tool_error) FROM x"),
    "another namespace": ratio(SUM.replace(NAMESPACE, "Other")),
    "math nobody knows": {"Metrics": [math("r", "SMOOTH(e)"), insights("e", SUM)]},
    "another account's metric": {
        "Metrics": [metric_stat("e", "tool_error", dims={"tool_name": TOOL}, returned=True) | {"AccountId": OTHER}]
    },
    "a threshold beyond the limit": {"Threshold": 50},
    "no actions": {"AlarmActions": []},
    "actions off": {"ActionsEnabled": False},
    "a topic of another account": {"AlarmActions": [FOREIGN_TOPIC]},
    "periods that do not fit": {"EvaluationPeriods": 100},
    "a state nobody knows": {"StateValue": "SLEEPING"},
    "a definition nobody can read": {"EvaluationPeriods": "three"},
    "more periods than there are numbers": {"EvaluationPeriods": 10**400},
    "a threshold that is no number": {"Threshold": float("nan")},
    "a name that no file can hold": {"AlarmName": "error \ud800", "ComparisonOperator": "\ud800"},
}
BESIDE = (
    {
        "AlarmName": "other account",
        "AlarmActions": [FOREIGN_TOPIC],
        "Metrics": [insights("q", SUM.replace(TOOL, "x"), returned=True)],
    },
    {"AlarmName": "unknown", "Metrics": [math("r", "SMOOTH(q)")]},
    {"AlarmName": "cpu", "Metrics": [metric_stat("c", "CPUUtilization", namespace="AWS/EC2", returned=True)]},
    {"AlarmName": "no queries", "Metrics": [5]},
)


@pytest.mark.parametrize("fault", ERROR_FAULTS)
@hypothesis.given(noise=st.lists(st.sampled_from(BESIDE), max_size=3, unique_by=id), first=st.booleans())
@hypothesis.settings(max_examples=3, deadline=None)
def test_a_fault_in_the_only_error_alarm_is_never_passed_over(fault, noise, first):
    beside = [errors(**changes) for changes in noise]
    faulty = errors(**ERROR_FAULTS[fault])
    alarms = [latency(), faulty, *beside] if first else [*beside, latency(), faulty]
    judgement = judge(evidence(*alarms, topics={FOREIGN_TOPIC: KEPT}))
    assert judgement.verdict.blocks
    assert any(TOOL in finding.subject for finding in judgement.findings if finding.verdict.blocks)
    assert judge(evidence(latency(), errors(), *beside, topics={FOREIGN_TOPIC: KEPT})).verdict is Verdict.PASS
