"""`calls_are_measured`: executions against measured calls, window by window, and what may differ."""

from collections import Counter
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from phase5_ops.policy import ExecutionPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sandbox.state.records import ATTEMPTS, OUTCOMES, gateway_name
from phase5_ops.sections.executions.evidence import LISTED
from phase5_ops.sections.executions.judges.calls import UNNAMED
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.executions.platform import (
    NOTE,
    NOW,
    TEST_TENANT,
    Execution,
    MeasuredRow,
    Platform,
    again,
    codes,
    several,
)

HOURS = [timedelta(hours=number) for number in range(1, 11)]
MINUTES = timedelta(minutes=1)


def test_a_call_for_each_execution_passes():
    platform = Platform.of(*several(HOURS), Execution(99, status="FAILED"))
    found = platform.measures()
    assert (found.verdict, found.judged) == (Verdict.PASS, 11)
    assert found.summary == "11 of 11 executions of 1 tools are in the metrics."


def test_the_name_of_an_outcome_is_the_gateways_and_that_of_the_metrics_is_not():
    platform = Platform.of(Execution(1))
    assert platform.executions[0].outcome["tool_name"] == gateway_name(NOTE)
    assert set(platform.table().facts.calls.by_tool) == {NOTE}


def test_an_execution_without_a_call_in_the_metrics_bypassed_the_wrapper():
    platform = Platform.of(*several(HOURS))
    del platform.calls[NOTE, NOW - HOURS[3]]
    found = platform.measures()
    assert (found.verdict, codes(found)) == (Verdict.FAIL, ["execution_not_measured"])
    (finding,) = found.findings
    assert finding.subject == NOTE
    assert finding.seen.startswith("none for 1 of them, the first between 2026-11-23T07:55")
    assert found.facts["executions_not_measured"] == 1


def test_a_tool_that_measures_nothing_at_all_is_found():
    platform = Platform.of(*several(HOURS))
    platform.calls.clear()
    assert platform.measures().findings[0].seen.startswith("none for 10 of them")


def test_calls_of_another_time_or_tool_are_no_measurement():
    platform = Platform.of(Execution(1))
    platform.calls = Counter(
        {(NOTE, NOW - timedelta(hours=5, minutes=11)): 50, ("crm.create_task", NOW - timedelta(hours=5)): 50}
    )
    assert codes(platform.measures()) == ["execution_not_measured"]


@pytest.mark.parametrize("times", [2, 4, 4000])
def test_more_calls_than_executions_are_no_finding(times):
    """InvokeTool repeats what is transient up to three times, and the wrapper measures what executes nothing, too."""
    platform = Platform.of(*several(HOURS))
    platform.calls = Counter(dict.fromkeys(platform.calls, times))
    assert platform.measures().verdict is Verdict.PASS


def test_data_points_may_lie_a_little_beside_the_execution():
    for apart in (-MINUTES, MINUTES):
        platform = Platform.of(Execution(1, timedelta(hours=5, seconds=2 if apart > timedelta(0) else -2)))
        (key,) = platform.calls
        platform.calls = Counter({(NOTE, key[1] + apart): 1})
        assert platform.measures().verdict is Verdict.PASS
        platform.policy = ExecutionPolicy(edge_seconds=0)
        platform.calls = Counter({(NOTE, key[1] + 6 * apart): 1})
        assert codes(platform.measures()) == ["execution_not_measured"]


def test_metrics_that_may_not_have_arrived_are_not_missed():
    platform = Platform.of(Execution(1, timedelta(minutes=4)), Execution(2))
    del platform.calls[NOTE, NOW - timedelta(minutes=4)]
    found = platform.measures()
    assert (found.verdict, found.judged) == (Verdict.PASS, 1)


def test_executions_of_before_the_lookback_are_not_compared():
    platform = Platform.of(Execution(1, timedelta(hours=24, minutes=2)), Execution(2))
    del platform.calls[NOTE, NOW - timedelta(hours=24, minutes=2)]
    assert (platform.measures().verdict, platform.measures().judged) == (Verdict.PASS, 1)


def test_a_failure_that_is_no_error_in_the_metrics_is_found():
    platform = Platform.of(*several(HOURS), Execution(99, status="FAILED"))
    platform.calls, platform.errors = platform.calls + platform.errors, Counter()
    found = platform.measures()
    assert (found.verdict, codes(found)) == (Verdict.FAIL, ["failure_measured_as_success"])
    assert found.findings[0].seen.startswith("1 of them are not")
    platform.policy = ExecutionPolicy(max_hidden_failure_share=0.1)
    assert platform.measures().verdict is Verdict.PASS


def test_a_failure_that_was_not_measured_at_all_is_one_finding():
    platform = Platform.of(*several(HOURS), Execution(99, timedelta(hours=20), status="FAILED"))
    platform.errors.clear()
    assert codes(platform.measures()) == ["execution_not_measured"]


def test_a_failure_before_the_tool_demands_no_call():
    """The failure recorder says `unknown`: whether the tool was called is not known."""
    unknown = [
        Execution(number, each, status="FAILED", tool=None, message="IntentExpiredError") for number, each in enumerate(HOURS)
    ]
    found = Platform.of(*unknown, Execution(99)).measures()
    assert (found.verdict, found.facts["executions_of_unknown_tool"], found.judged) == (Verdict.PASS, 10, 1)
    alone = Platform.of(*unknown).measures()
    assert (alone.verdict, codes(alone)) == (Verdict.INCONCLUSIVE, ["no_call_in_window"])


def replay_of(first: Execution, number: int, ago: timedelta, **more: Any) -> Execution:
    """A replay, which finds the outcome of its intent's first execution."""
    made = Execution(number, ago, intent=first.intent, count=2, replayed=True, **more)
    made.outcome = None
    return made


def test_a_replay_called_the_tool_of_its_intents_outcome():
    first = Execution(1, timedelta(hours=5))
    second = replay_of(first, 2, timedelta(hours=2))
    platform = Platform.of(first, second)
    assert platform.measures().judged == 2
    del platform.calls[NOTE, second.measured_at]
    assert codes(platform.measures()) == ["execution_not_measured"]


REFUSALS = (
    '{"errorType":"CircuitBreakerOpenError","errorMessage":"Circuit breaker OPEN for connector internal; failing fast"}',
    "TransientError: Circuit open for crm_salesforce",
    "TransientError: No slot free for crm_salesforce",
)


def recovered(times: int) -> Platform:
    """Executions that failed before their tool, and their replays, which ran it; every second reported a failure."""
    firsts = [
        Execution(number, timedelta(hours=4, minutes=number), status="FAILED", tool=None, message="IntentExpiredError")
        for number in range(times)
    ]
    replays = [
        replay_of(first, 100 + number, timedelta(hours=1, minutes=5 * number), status="FAILED" if number % 2 else "SUCCEEDED")
        for number, first in enumerate(firsts)
    ]
    return Platform.of(Execution(99, timedelta(hours=9)), *firsts, *replays)


def test_a_replay_whose_tool_ran_called_some_tool_though_no_outcome_names_it():
    platform = recovered(4)
    assert platform.ends().verdict is Verdict.PASS
    found = platform.measures()
    assert (found.verdict, found.judged) == (Verdict.PASS, 5)
    assert (found.facts["executions_of_unnamed_tool"], found.facts["executions_of_unknown_tool"]) == (4, 4)
    for of, codes_ in ((platform.calls, ["execution_not_measured"]), (platform.errors, ["execution_not_measured"])):
        lost = max(of, key=lambda call: call[1])
        del of[lost]
        found = platform.measures()
        assert codes(found) == codes_
    assert found.findings[0].subject == UNNAMED
    assert found.findings[0].seen.startswith("none for 2 of them")
    assert found.summary == "3 of 5 executions of 1 tools are in the metrics."


def test_a_failure_that_a_replay_reported_must_be_an_error_of_some_tool():
    platform = recovered(4)
    platform.calls, platform.errors = platform.calls + platform.errors, Counter()
    found = platform.measures()
    assert codes(found) == ["failure_measured_as_success"]
    assert found.findings[0].seen.startswith("2 of them are not, the first between 2026-11-23T10:40")
    platform.calls, platform.errors = (
        Counter({each: 1 for each in platform.calls if each[1] < NOW - timedelta(hours=8)}),
        Counter(),
    )
    assert codes(platform.measures()) == ["execution_not_measured"]


def test_calls_of_executions_whose_tool_is_known_are_those_of_no_other():
    """A replay may have called any tool, but not by the calls that executions of known tools are."""
    platform = recovered(1)
    (replay,) = (each for each in platform.executions if each.replayed)
    beside = Execution(50, replay.ago, tool="crm.create_task")
    platform.executions.append(beside)
    platform.calls = Counter({(NOTE, NOW - timedelta(hours=9)): 1, ("crm.create_task", replay.measured_at): 1})
    assert codes(platform.measures()) == ["execution_not_measured"]
    platform.calls["crm.create_task", replay.measured_at] += 1
    assert platform.measures().verdict is Verdict.PASS


def test_executions_whose_tool_is_not_named_are_not_compared_where_one_tools_calls_are_not_known(monkeypatch):
    platform = recovered(1)
    measured = platform.measured()
    monkeypatch.setattr(platform, "measured", lambda: measured)
    measured.rows.append(MeasuredRow("crm.create_task", 5, []))
    found = platform.measures()
    assert [(finding.code, finding.subject) for finding in found.findings] == [("calls_not_comparable", UNNAMED)]


def test_what_was_refused_is_what_the_executions_own_end_says():
    """A replay finds the outcome of the execution before it, which says what became of that one."""
    ok = [Execution(100 + number, timedelta(hours=4, minutes=number)) for number in range(40)]
    refused = [
        replay_of(each, 200 + number, timedelta(hours=2, minutes=number), status="FAILED", tool=None, message=REFUSALS[0])
        for number, each in enumerate(ok)
    ]
    found = Platform.of(*ok, *refused).measures()
    assert (codes(found), found.facts["executions_refused"]) == (["calls_refused"], 40)
    first = Execution(1, status="FAILED", tool=None, message=REFUSALS[0])
    expired = [
        replay_of(first, number, timedelta(hours=number), status="FAILED", tool=None, message="IntentExpiredError")
        for number in (2, 3)
    ]
    assert Platform.of(first, *expired).measures().facts["executions_refused"] == 1


def test_what_was_refused_is_known_though_the_outcome_names_a_tool():
    refused = Execution(1, status="FAILED", tool=None, message=REFUSALS[0])
    refused.outcome["tool_name"] = gateway_name(NOTE)
    assert Platform.of(refused).measures().facts["executions_refused"] == 1


@pytest.mark.parametrize("message", REFUSALS)
def test_what_a_breaker_refused_is_shown_and_much_of_it_fails(message):
    refused = Execution(1, status="FAILED", tool=None, message=message)
    found = Platform.of(refused, *several(HOURS)).measures()
    assert (found.verdict, codes(found)) == (Verdict.WARN, ["calls_refused"])
    assert found.findings[0].seen == "1 of 11"
    many = several([minutes * MINUTES for minutes in range(60, 100)])
    assert Platform.of(refused, *many).measures().verdict is Verdict.FAIL
    platform = Platform.of(refused, *many, policy=ExecutionPolicy(max_refused_share=0.1))
    assert platform.measures().verdict is Verdict.WARN


def test_a_tools_own_words_are_no_refusal():
    reported = Execution(1, status="FAILED", message="Circuit breaker OPEN, says the customer's own system")
    platform = Platform.of(reported)
    assert platform.table().facts.calls.refused == 0
    assert platform.measures().verdict is Verdict.PASS


def test_a_lost_data_point_in_a_thousand_is_within_what_may_differ():
    platform = Platform.of(*(Execution(number, timedelta(hours=2, seconds=number)) for number in range(1000)))
    platform.calls.subtract({(NOTE, NOW - timedelta(hours=2)): 1})
    assert (platform.measures().verdict, platform.measures().facts["executions_not_measured"]) == (Verdict.PASS, 1)
    platform.calls.subtract({(NOTE, NOW - timedelta(hours=2, seconds=1)): 1})
    assert codes(platform.measures()) == ["execution_not_measured"]


def hiding(hidden: int, *, of: int, unmeasured: int = 0) -> Platform:
    """Of thirty executions so many failed; in the place of so many of their errors stand calls of something else."""
    failures = [Execution(100 + number, timedelta(hours=12, minutes=20 * number), status="FAILED") for number in range(of)]
    platform = Platform.of(*failures, *(Execution(number, timedelta(minutes=20 + 20 * number)) for number in range(30 - of)))
    for failure in failures[:hidden]:
        del platform.errors[NOTE, failure.measured_at]
        platform.calls[NOTE, failure.measured_at] += 1
    for lost in platform.executions[of : of + unmeasured]:
        del platform.calls[NOTE, lost.measured_at]
    platform.policy = ExecutionPolicy(max_unmeasured_share=0.1)
    return platform


@pytest.mark.parametrize(("hidden", "of", "unmeasured"), [(1, 3, 0), (3, 7, 0), (2, 7, 1), (0, 1, 3)])
def test_lost_failures_beside_calls_of_something_else_are_of_what_may_be_lost(hidden, of, unmeasured):
    found = hiding(hidden, of=of, unmeasured=unmeasured).measures()
    assert (found.verdict, found.facts["failures_measured_as_success"]) == (Verdict.PASS, hidden)
    assert found.facts["executions_not_measured"] == unmeasured


@pytest.mark.parametrize(
    ("hidden", "of", "unmeasured"),
    [
        pytest.param(1, 1, 0, id="the only failure, as where none is ever counted"),
        pytest.param(3, 3, 0, id="no failure is an error"),
        pytest.param(1, 2, 0, id="not more are errors than not"),
        pytest.param(4, 9, 0, id="more than may be lost"),
        pytest.param(2, 7, 2, id="more than may be lost beside what was not measured"),
    ],
)
def test_failures_that_were_not_lost_by_chance_are_hidden(hidden, of, unmeasured):
    found = hiding(hidden, of=of, unmeasured=unmeasured).measures()
    assert codes(found) == ["failure_measured_as_success"]
    assert found.facts["failures_measured_as_success"] == hidden


def test_test_tenants_demand_nothing():
    canary = Execution(1, tenant=TEST_TENANT)
    platform = Platform.of(canary, Execution(2, timedelta(hours=3)))
    del platform.calls[NOTE, canary.measured_at]
    assert (platform.measures().verdict, platform.measures().judged) == (Verdict.PASS, 1)


@pytest.mark.parametrize(
    ("table", "status", "verdict", "code"),
    [
        ("GetMetricData", ReadStatus.DENIED, Verdict.ERROR, "read_failed"),
        ("GetMetricData", ReadStatus.PARTIAL, Verdict.INCONCLUSIVE, "partial_data"),
        (OUTCOMES, ReadStatus.TIMEOUT, Verdict.ERROR, "read_failed"),
    ],
)
def test_what_was_not_read_whole_never_passes_and_makes_nothing_missing(table, status, verdict, code):
    platform = Platform.of(Execution(1), status={table: status})
    if table == "GetMetricData":
        platform.calls = Counter({("crm.create_task", NOW): 1})
    found = platform.measures()
    assert (found.verdict, codes(found)) == (verdict, [code])


def test_a_malformed_outcome_is_an_error_and_an_attempt_says_nothing_of_calls():
    assert codes(Platform.of(Execution(1), items={OUTCOMES: [{"pk": {"S": "x"}}]}).measures()) == ["execution_record_malformed"]
    platform = Platform.of(Execution(1), items={ATTEMPTS: [{"pk": {"S": "x"}}] * (LISTED + 1)})
    assert platform.measures().verdict is Verdict.PASS
    platform.items[OUTCOMES] = [{"pk": {"S": "x"}}] * (LISTED + 2)
    found = platform.measures()
    assert found.verdict is Verdict.ERROR
    assert len(found.findings) == LISTED + 1
    assert "2 more" in {finding.subject for finding in found.findings}


def test_calls_that_are_known_by_the_hour_only_decide_nothing(monkeypatch):
    platform = Platform.of(Execution(1))
    measured = platform.measured()
    measured.rows[0].windows.clear()
    monkeypatch.setattr(platform, "measured", lambda: measured)
    found = platform.measures()
    assert (found.verdict, codes(found)) == (Verdict.INCONCLUSIVE, ["calls_not_comparable"])


def test_every_way_to_lose_one_record_or_data_point_turns_exactly_its_check():
    """On a platform whose metrics show each execution once, what is lost is missed by the check that is about it."""

    def platform() -> Platform:
        return Platform.of(*several(HOURS[:3]), Execution(50, timedelta(minutes=20)), Execution(51, status="FAILED"))

    assert (platform().ends().verdict, platform().measures().verdict) == (Verdict.PASS, Verdict.PASS)
    lost = 0
    for number, record in product(range(5), ("start", "end", "outcome", "attempt")):
        changed = platform()
        if getattr(changed.executions[number], record) is None:
            continue
        setattr(changed.executions[number], record, None)
        assert changed.ends().verdict is Verdict.FAIL, (number, record)
        assert changed.measures().verdict is Verdict.PASS
        lost += 1
    assert lost == 5 * 3 + 2  # two attempts have not expired
    for kind in ("calls", "errors"):
        for key in getattr(platform(), kind):
            changed = platform()
            del getattr(changed, kind)[key]
            assert changed.measures().verdict is Verdict.FAIL
            assert changed.ends().verdict is Verdict.PASS


def test_every_way_to_add_one_record_turns_the_check_on_ends_and_more_data_points_none():
    def platform() -> Platform:
        return Platform.of(*several(HOURS[:3]), Execution(50, timedelta(minutes=20)))

    stranger = Execution(77, timedelta(hours=6), tool="crm.create_task")
    for record in ("start", "end", "outcome"):
        changed = platform()
        alone = Execution(77, timedelta(hours=6))
        for other in {"start", "end", "outcome"} - {record}:
            setattr(alone, other, None)
        changed.executions.append(alone)
        assert changed.ends().verdict is Verdict.FAIL, record
        called = record == "end"  # it says that a tool ran, which nothing measured
        assert changed.measures().verdict is (Verdict.FAIL if called else Verdict.PASS)
    for entry in ("start", "end"):
        changed = platform()
        changed.executions[0].more.append(again(getattr(changed.executions[0], entry)))
        assert changed.ends().verdict is Verdict.FAIL
    changed = platform()
    changed.calls[stranger.outcome["tool_name"].rsplit("___")[-1], NOW - timedelta(hours=6)] += 1
    changed.calls[NOTE, NOW - timedelta(hours=6)] += 1
    assert (changed.ends().verdict, changed.measures().verdict) == (Verdict.PASS, Verdict.PASS)


def test_an_unmeasured_call_elsewhere_excuses_no_hidden_failure():
    ok, failed = [Execution(n, timedelta(hours=n)) for n in range(1, 9)], Execution(50, timedelta(hours=10), status="FAILED")
    platform = Platform.of(*ok, failed, policy=ExecutionPolicy(max_unmeasured_share=0.2))
    del platform.calls[NOTE, ok[0].measured_at]
    platform.errors.clear()
    platform.calls[NOTE, failed.measured_at] += 1
    assert codes(platform.measures()) == ["failure_measured_as_success"]
