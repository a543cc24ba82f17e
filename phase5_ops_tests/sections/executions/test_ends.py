"""`executions_end`: what each record says, what is missing, and what decides nothing."""

from datetime import timedelta
from typing import Any

import pytest

from phase5_ops.clock import parse_iso
from phase5_ops.policy import ExecutionPolicy, ReplayPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sandbox.state.records import ATTEMPTS, LEDGER, OUTCOMES, milliseconds
from phase5_ops.sections.executions import evidence
from phase5_ops.sections.executions.judges import ends
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.executions.platform import NOW, TEST_TENANT, Execution, Platform, again, codes, dated, several
from phase5_ops_tests.sections.replay.audit.ledgers import dynamodb

RECENT = timedelta(minutes=30)


def test_executions_that_end_and_agree_pass_and_leave_no_row():
    failed = Execution(7, status="FAILED")
    unknown = Execution(8, status="FAILED", tool=None, message="KillSwitchEnabledError")
    platform = Platform.of(*several([timedelta(days=6), RECENT]), failed, unknown)
    found = platform.ends()
    assert found.verdict is Verdict.PASS
    assert found.judged == found.facts["executions"] == found.facts["whole"] == 4
    assert platform.table().rows == []
    assert found.summary == "4 of 4 executions ended and agree with their records, 0 under way."


def lock_updated(execution: Execution, status: str) -> str:
    """When the attempt of an execution was last changed: as it started, or as it ended."""
    return execution.outcome["started_at" if status == "RUNNING" else "completed_at"]


def started_and(*kept: str, ago: timedelta = timedelta(hours=5), attempt: str | None = None) -> Execution:
    """An execution of which only these records are there; `attempt`: with an attempt of this status."""
    made = Execution(1, ago)
    lock = Execution(1, timedelta(0)).attempt
    for name in {"start", "end", "outcome"} - set(kept):
        setattr(made, name, None)
    if attempt is not None:
        whole = Execution(1, ago)
        made.attempt = {**lock, **{name: whole.outcome[name] for name in ("pk", "action_intent_id", "trace_id", "started_at")}}
        made.attempt |= {"sk": f"EXECUTION#{whole.intent}", "status": attempt, "updated_at": lock_updated(whole, attempt)}
    elif "attempt" not in kept:
        made.attempt = None
    return made


@pytest.mark.parametrize(
    ("execution", "code"),
    [
        (started_and("start", attempt="RUNNING"), "execution_stuck"),
        (started_and(attempt="RUNNING"), "execution_stuck"),
        (started_and("start"), "execution_left_nothing"),
        (started_and("start", attempt="FAILED"), "execution_left_nothing"),
        (started_and("start", attempt="CANCELLED"), "execution_left_nothing"),
        (started_and("start", "outcome"), "end_not_recorded"),
        (started_and("outcome"), "end_not_recorded"),
        (started_and("start", "outcome", ago=RECENT, attempt="SUCCEEDED"), "end_not_recorded"),
        (started_and("start", "end"), "outcome_missing"),
        (started_and("start", "end", "outcome", ago=RECENT), "attempt_missing"),
        (started_and("end", "outcome"), "execution_not_started"),
    ],
)
def test_what_is_missing_is_found(execution, code):
    found = Platform.of(execution).ends()
    assert (found.verdict, codes(found)) == (Verdict.FAIL, [code])
    assert found.facts[code] == 1
    assert found.findings[0].subject.startswith("acme/acct-1 ai_")
    assert found.findings[0].link.startswith("https://")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda e: e.more.append(again(e.end, eventType="ACTION_FAILED", data={"status": "FAILED"})), "execution_ended_twice"),
        (lambda e: e.more.append(again(e.end)), "execution_ended_twice"),
        (lambda e: e.more.append(again(e.start)), "execution_started_twice"),
        (lambda e: e.outcome.update(status="FAILED"), "execution_records_disagree"),
        (lambda e: e.outcome.update(attempt_count=2), "execution_records_disagree"),
        (lambda e: e.outcome.update(tenant_id="globex"), "execution_records_disagree"),
        (lambda e: e.outcome.update(account_id="acct-2"), "execution_records_disagree"),
        (lambda e: e.outcome.update(action_intent_id="ai_other"), "execution_records_disagree"),
        (lambda e: e.end.update(accountId="acct-2"), "execution_records_disagree"),
        (lambda e: e.end["data"].update(action_intent_id="ai_other"), "execution_records_disagree"),
        (lambda e: e.end["data"].update(status="FAILED"), "execution_records_disagree"),
        (lambda e: e.end["data"].update(attempt_count=3), "execution_records_disagree"),
        (lambda e: e.end.update(pk="TENANT#globex"), "execution_records_disagree"),
    ],
)
def test_what_contradicts_itself_is_found(change, code):
    execution = Execution(1)
    change(execution)
    found = Platform.of(execution).ends()
    assert (found.verdict, codes(found)) == (Verdict.FAIL, [code])


@pytest.mark.parametrize("message", [None, " "])
def test_a_failure_that_says_neither_how_its_tool_ended_nor_what_else_failed_is_malformed(message):
    """A replay has no outcome of its own that could say that a tool was called."""
    first = Execution(1, status="FAILED", tool=None, message="IntentExpiredError")
    replay = executed_again(first, timedelta(hours=3), replayed=True, status="FAILED", message="The validator failed")
    del replay.end["data"]["status"], replay.end["data"]["attempt_count"]
    replay.end["data"]["error_message"] = "The validator failed"
    assert Platform.of(first, replay).ends().verdict is Verdict.PASS
    replay.end["data"]["error_message"] = message
    platform = Platform.of(first, replay, Execution(3))
    assert codes(platform.ends()) == codes(platform.measures()) == ["execution_record_malformed"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
@pytest.mark.parametrize("lost", ["status", "attempt_count"])
def test_an_end_that_lost_its_status_or_its_number_alone_is_malformed(status, lost):
    execution = Execution(1, status=status)
    del execution.end["data"][lost]
    platform = Platform.of(execution, Execution(2))
    assert codes(platform.ends()) == codes(platform.measures()) == ["execution_record_malformed"]


def test_an_attempt_that_says_otherwise_than_the_ledger_is_found():
    for change in (
        {"status": "RUNNING"},
        {"status": "FAILED"},
        {"attempt_count": 2},
        {"tenant_id": "globex"},
        {"action_intent_id": "ai_other"},
    ):
        execution = Execution(1, RECENT)
        execution.attempt.update(change)
        assert codes(Platform.of(execution).ends()) == ["execution_records_disagree"]


def test_an_execution_within_its_time_limit_decides_nothing():
    under_way = started_and("start", ago=RECENT, attempt="RUNNING")
    found = Platform.of(under_way).ends()
    assert (found.verdict, codes(found)) == (Verdict.INCONCLUSIVE, ["no_execution_in_window"])
    whole = Platform.of(under_way, Execution(2)).ends()
    assert (whole.verdict, whole.facts["under_way"], whole.judged) == (Verdict.PASS, 1, 1)
    strict = Platform.of(under_way, policy=ExecutionPolicy(time_limit_minutes=20)).ends()
    assert codes(strict) == ["execution_stuck"]


def test_what_was_recorded_as_the_run_began_is_not_judged_yet():
    young = started_and("end", "outcome", ago=timedelta(seconds=20))
    found = Platform.of(young, Execution(2)).ends()
    assert (found.verdict, found.facts["young_executions_left_out"]) == (Verdict.PASS, 1)


def test_what_started_twice_is_judged_however_young_it_is():
    twice = Execution(1, timedelta(seconds=20))
    twice.more = [again(twice.start)]
    found = Platform.of(twice, Execution(2)).ends()
    assert (codes(found), found.facts["young_executions_left_out"]) == (["execution_started_twice"], 0)


def test_an_execution_that_ended_as_the_run_began_is_not_judged_yet():
    """Its outcome may have been read, and its end, which is written after it, not."""
    ending = started_and("start", "outcome", ago=RECENT)
    ending.outcome["completed_at"] = "2026-11-23T11:59:30.000Z"
    found = Platform.of(ending, Execution(2)).ends()
    assert (found.verdict, found.facts["young_executions_left_out"]) == (Verdict.PASS, 1)


def test_executions_of_before_the_window_are_not_judged():
    old, edge = timedelta(days=8), timedelta(days=7, minutes=20)  # entries of a margin are read
    for left in (
        started_and("start", "outcome", ago=old),
        started_and(ago=old, attempt="RUNNING"),
        started_and("end", "outcome", ago=edge),
        started_and("start", ago=edge),
    ):
        found = Platform.of(left, Execution(2)).ends()
        assert (found.verdict, found.facts["executions"]) == (Verdict.PASS, 1)


def executed_again(first: Execution, ago: timedelta, *, number: int = 2, **more: Any) -> Execution:
    """An intent's execution after its first one, whose outcome it finds."""
    second = Execution(number, ago, intent=first.intent, **more)
    second.outcome = None
    return second


def replays(outcome_of: str) -> Platform:
    """An execution and its replay; `outcome_of`: which of the two wrote the intent's outcome."""
    first = Execution(1, timedelta(hours=5))
    second = executed_again(first, timedelta(hours=2), count=2, replayed=True)
    if outcome_of == "second":
        trace = second.start["traceId"]
        first.outcome |= {"trace_id": trace, "completed_at": again(second.end)["timestamp"], "attempt_count": 2}
    return Platform.of(first, second)


def test_a_replay_shares_the_outcome_of_the_first_execution():
    assert replays("first").ends().verdict is Verdict.PASS
    found = replays("second").ends()
    assert codes(found) == ["outcome_missing"]
    assert "only that of a later execution" in found.findings[0].seen


@pytest.mark.parametrize("count", [1, 2])
def test_an_execution_after_the_first_one_that_is_no_replay_is_found(count):
    """Its lock expires, and whatever delivers the approval again has the action done twice."""
    first = Execution(1, timedelta(hours=5))
    for status in ("SUCCEEDED", "FAILED"):
        second = executed_again(first, timedelta(hours=3), count=count, status=status)
        found = Platform.of(first, second).ends()
        assert (found.verdict, codes(found)) == (Verdict.FAIL, ["execution_repeated"])
        assert found.findings[0].seen == f"attempt {count} under trace {second.start['traceId']}, without it"
        assert f"OUTCOME%23{first.intent}" in found.findings[0].link
    replay = executed_again(first, timedelta(hours=3), count=2, replayed=True)
    assert Platform.of(first, replay).ends().verdict is Verdict.PASS
    many = [executed_again(first, timedelta(hours=3, minutes=-minutes), number=minutes) for minutes in range(3, 40)]
    assert Platform.of(first, *many).ends().facts["execution_repeated"] == 37


def test_an_execution_again_is_found_whatever_became_of_the_first_one():
    first = Execution(1, timedelta(minutes=50))
    second = Execution(2, timedelta(minutes=30), intent=first.intent)
    first.end = first.outcome = first.attempt = None  # within its time limit
    assert codes(Platform.of(first, second).ends()) == ["execution_repeated"]
    alone = Execution(3, count=2)
    assert codes(Platform.of(alone).ends()) == ["execution_repeated"]


def test_whether_an_execution_was_a_replay_is_not_said_where_the_ledger_was_not_read_whole():
    first = Execution(1)
    second = executed_again(first, timedelta(hours=3))
    assert codes(Platform.of(first, second, status={LEDGER: ReadStatus.PARTIAL}).ends()) == ["partial_data"]
    broken = executed_again(first, timedelta(hours=3), replayed=True)
    platform = Platform.of(first, broken, items={LEDGER: [dynamodb({**broken.more.pop(), "accountId": " "})]})
    assert codes(platform.ends()) == ["execution_record_malformed"]


@pytest.mark.parametrize(("made", "code"), [(91, None), (30, "outcome_missing")])
def test_the_outcome_of_a_replay_is_as_old_as_the_first_execution_and_may_have_expired(made, code):
    intent = f"ai_{milliseconds(NOW - timedelta(days=made))}_a"
    replay = Execution(1, timedelta(days=3), intent=intent, count=2, replayed=True)
    replay.outcome = None
    assert codes(Platform.of(replay, Execution(2)).ends()) == ([] if code is None else [code])
    first_is_lost = Execution(1, timedelta(days=3), intent=intent)
    first_is_lost.outcome = None
    assert codes(Platform.of(first_is_lost, Execution(2)).ends()) == ["outcome_missing"]


@pytest.mark.parametrize("status", ["FAILED", "SUCCEEDED", "CANCELLED"])
def test_an_attempt_that_was_told_its_end_is_not_under_way(status):
    """The recorders write the outcome before they tell the attempt."""
    for kept in (("start",), ()):
        told = started_and(*kept, ago=RECENT, attempt=status)
        found = Platform.of(told, Execution(2)).ends()
        assert codes(found) == ["execution_left_nothing"]
        assert found.findings[0].seen.endswith(f"its attempt says {status}")
    told = started_and("start", ago=RECENT, attempt=status)
    told.attempt["updated_at"] = "2026-11-23T11:59:30.000Z"
    found = Platform.of(told, Execution(2)).ends()
    assert (found.verdict, found.facts["under_way"]) == (Verdict.PASS, 1)


def test_an_attempt_that_is_dated_back_is_of_when_it_was_last_changed():
    stuck = started_and(attempt="RUNNING", ago=timedelta(minutes=70))
    stuck.attempt["started_at"] = "1970-01-01T00:00:00Z"
    assert codes(Platform.of(stuck, Execution(2)).ends()) == ["execution_stuck"]


@pytest.mark.parametrize("name", ["end", "outcome"])
def test_an_end_before_its_start_is_found_beyond_what_clocks_differ(name):
    one = Execution(1)
    late = timedelta(milliseconds=ReplayPolicy().clock_skew_ms)
    ended = parse_iso(one.end["timestamp"] if name == "end" else one.outcome["completed_at"])
    for started, expected in ((ended + late, []), (ended + late + timedelta(milliseconds=1), ["execution_records_disagree"])):
        one.start = dated(one.start, started)
        if name == "outcome":
            one.end = dated(one.end, started)
        else:
            one.outcome["completed_at"] = one.start["timestamp"]
        found = Platform.of(one, Execution(2)).ends()
        assert codes(found) == expected
    assert f"its {name} of" in found.findings[0].seen


def test_the_attempt_of_a_later_execution_says_nothing_of_the_first():
    first = Execution(1, timedelta(minutes=40))
    second = executed_again(first, timedelta(minutes=20), count=2, replayed=True)
    first.attempt = None
    assert Platform.of(first, second).ends().verdict is Verdict.PASS
    second.attempt["status"] = "RUNNING"
    assert codes(Platform.of(first, second).ends()) == ["execution_records_disagree"]


def test_test_tenants_are_counted_and_not_judged():
    canary = started_and("start", "end")
    for entry in canary.entries:
        entry.update(tenantId=TEST_TENANT, pk=f"TENANT#{TEST_TENANT}")
    found = Platform.of(canary, Execution(2)).ends()
    assert (found.verdict, found.facts["test_executions_left_out"], found.facts["executions"]) == (Verdict.PASS, 1, 1)


def test_no_execution_decides_nothing():
    found = Platform([]).ends()
    assert (found.verdict, codes(found)) == (Verdict.INCONCLUSIVE, ["no_execution_in_window"])


@pytest.mark.parametrize("table", [LEDGER, OUTCOMES, ATTEMPTS])
@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        (ReadStatus.DENIED, Verdict.ERROR, "read_failed"),
        (ReadStatus.TIMEOUT, Verdict.ERROR, "read_failed"),
        (ReadStatus.NOT_FOUND, Verdict.ERROR, "read_failed"),
        (ReadStatus.PARTIAL, Verdict.INCONCLUSIVE, "partial_data"),
    ],
)
def test_a_table_that_was_not_read_whole_never_passes_and_makes_nothing_missing(table, status, verdict, code):
    """Whatever records lie on the pages that are missing."""
    for kept in (("start",), ("start", "end"), ("outcome",), ("end", "outcome")):
        found = Platform.of(started_and(*kept), Execution(2), status=dict.fromkeys((LEDGER, OUTCOMES, ATTEMPTS), status)).ends()
        assert (found.verdict, set(codes(found))) == (verdict, {code})
    whole = Platform.of(Execution(2), status={table: status}).ends()
    assert (whole.verdict, codes(whole)) == (verdict, [code])


def test_a_missing_end_is_found_although_the_attempts_could_not_be_read():
    found = Platform.of(started_and("start", "outcome"), status={ATTEMPTS: ReadStatus.DENIED}).ends()
    assert codes(found) == ["read_failed", "end_not_recorded"]


def with_broken(table: str, name: str, value: object) -> Platform:
    """Two executions; the record of one in this table has another attribute of this name, or none where it is None."""
    execution = Execution(1, RECENT)
    role = {LEDGER: "end", OUTCOMES: "outcome", ATTEMPTS: "attempt"}[table]
    item = dynamodb(getattr(execution, role))
    setattr(execution, role, None)
    broken = {key: each for key, each in item.items() if key != name} if value is None else item | {name: value}
    return Platform.of(execution, Execution(2), items={table: [broken]})


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        (LEDGER, "timestamp", {"S": "yesterday"}),
        (LEDGER, "timestamp", {"S": "2027-01-01T00:00:00.000Z"}),
        (LEDGER, "timestamp", {"S": "2020-01-01T00:00:00.000Z"}),
        (LEDGER, "timestamp", {"S": "0001-01-01T00:00:00+14:00"}),
        (LEDGER, "entryId", {"S": "entry-1700000000000-x"}),
        (LEDGER, "entryId", None),
        (LEDGER, "sk", {"S": "ENTRY#2026-11-23T11:30:00.020Z"}),
        (LEDGER, "tenantId", {"S": " "}),
        (LEDGER, "accountId", {"N": "1"}),
        (LEDGER, "data", {"S": "{}"}),
        (LEDGER, "eventType", {"S": " action_executed"}),
        (OUTCOMES, "status", {"S": "DONE"}),
        (OUTCOMES, "trace_id", {"S": ""}),
        (OUTCOMES, "attempt_count", {"N": "1.5"}),
        (OUTCOMES, "completed_at", {"S": "2026-11-23"}),
        (OUTCOMES, "tool_name", None),
        (OUTCOMES, "action_intent_id", None),
        (ATTEMPTS, "action_intent_id", {"S": ""}),
        (ATTEMPTS, "status", {"S": "LOCKED"}),
        (ATTEMPTS, "started_at", {"N": "5"}),
    ],
)
def test_a_malformed_record_is_an_error_and_nothing_else_is_said_of_its_execution(table, name, value):
    found = with_broken(table, name, value).ends()
    assert (found.verdict, codes(found)) == (Verdict.ERROR, ["execution_record_malformed"])
    assert found.facts["malformed_records"] == 1
    assert found.findings[0].subject.startswith(table)


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        (LEDGER, "traceId", None),
        (OUTCOMES, "sk", {"S": "OUTCOME#"}),
        (OUTCOMES, "pk", {"S": "ACCOUNT#a"}),
        (ATTEMPTS, "tenant_id", {"S": ""}),
    ],
)
def test_a_malformed_record_that_does_not_say_whose_it_is_is_an_error_beside_what_is_missing(table, name, value):
    found = with_broken(table, name, value).ends()
    assert found.verdict is Verdict.ERROR
    assert len(codes(found)) == 2
    assert codes(found)[0] == "execution_record_malformed"


@pytest.mark.parametrize(("apart", "code"), [(4, None), (6, "execution_record_malformed")])
def test_an_entry_is_of_the_time_that_its_id_names(apart, code):
    """One call of the platform writes both; an entry that was put in later says so by its id."""
    one = Execution(1)
    written = milliseconds(NOW - one.ago + timedelta(minutes=apart))
    one.end["entryId"] = f"entry-{written}-x"
    one.end["sk"] = f"ENTRY#{one.end['timestamp']}#{one.end['entryId']}"
    assert codes(Platform.of(one, Execution(2)).ends()) == ([] if code is None else [code])


def test_a_start_dated_before_the_window_hides_no_execution_of_it():
    stuck = started_and("start", ago=timedelta(hours=3))
    old = Execution(9, timedelta(days=7, minutes=30), intent=stuck.intent).start
    stuck.more = [{**old, "traceId": stuck.start["traceId"]}]
    assert codes(Platform.of(stuck, Execution(2)).ends()) == ["execution_left_nothing", "execution_started_twice"]


@pytest.mark.parametrize("ago", [timedelta(hours=2), timedelta(minutes=10), timedelta(seconds=30)])
def test_a_later_start_hides_no_execution_that_left_nothing(ago):
    """Not one of the moment in which the run began, either: what started twice is never too young to be judged."""
    stuck = started_and("start", ago=timedelta(hours=3))
    stuck.more = [dated(again(stuck.start), NOW - ago)]
    found = Platform.of(stuck, Execution(2)).ends()
    assert codes(found) == ["execution_left_nothing", "execution_started_twice"]
    assert found.facts["young_executions_left_out"] == 0


@pytest.mark.parametrize("status", ["RUNNING", "CANCELLED", "failed", ""])
def test_a_failure_whose_status_is_another_is_found(status):
    failed = Execution(1, status="FAILED")
    failed.end["data"]["status"] = status
    found = Platform.of(failed, Execution(2)).ends()
    assert codes(found) == ["execution_records_disagree"]
    assert f"ACTION_FAILED says {status!r}" in found.findings[0].seen


def test_what_is_not_listed_is_counted(monkeypatch):
    monkeypatch.setattr(ends, "LISTED", 3)
    monkeypatch.setattr(evidence, "ROWS_KEPT", 8)
    monkeypatch.setattr(evidence, "LISTED", 2)
    stuck = [Execution(number, timedelta(hours=3 + number)) for number in range(9)]
    for each in stuck:
        each.end = each.outcome = None
    found = Platform.of(*stuck, Execution(99), items={OUTCOMES: [{"pk": {"S": "x"}}] * 5}).ends()
    named = [finding for finding in found.findings if finding.code == "execution_left_nothing"]
    assert [finding.subject for finding in named if "more" in finding.subject] == ["1 more executions", "5 more"]
    assert len(named) == 3 + 2
    assert found.facts["execution_left_nothing"] == 8
    assert found.facts["malformed_records"] == 5
    assert found.facts["executions"] == 10


def test_an_outcome_or_attempt_that_names_the_trace_of_another_intent_is_found():
    for table_, name, prefix in ((OUTCOMES, "outcome", "OUTCOME#"), (ATTEMPTS, "attempt", "EXECUTION#")):
        one = Execution(1, timedelta(minutes=30))
        platform = Platform.of(one)
        platform.items[table_] = [dynamodb({**getattr(one, name), "sk": prefix + "ai_ghost"})]
        assert codes(platform.ends()) == ["execution_records_disagree"]


def test_an_execution_beside_the_attempt_of_an_earlier_one_never_took_the_lock():
    first = Execution(1, timedelta(minutes=50))
    second = executed_again(first, timedelta(minutes=30), count=2, replayed=True)
    second.attempt = None
    assert codes(Platform.of(first, second).ends()) == ["attempt_missing"]


def test_an_outcome_ahead_of_the_clock_is_malformed_and_not_young():
    one = Execution(3)
    one.end = None
    one.outcome["completed_at"] = "2099-01-01T00:00:00.000Z"
    assert codes(Platform.of(Execution(1), one).ends()) == ["execution_record_malformed"]


def test_an_entry_of_a_test_tenant_does_not_take_a_customers_execution_away():
    one = Execution(5)
    one.start["tenantId"] = TEST_TENANT
    assert "execution_records_disagree" in codes(Platform.of(Execution(1), one).ends())


@pytest.mark.parametrize("name", ["outcome", "attempt"])
def test_an_item_of_a_customer_under_a_test_tenants_key_is_judged(name):
    one = started_and(name, ago=RECENT)
    if name == "attempt":
        one.attempt = Execution(1, RECENT).attempt
    getattr(one, name)["pk"] = f"TENANT#{TEST_TENANT}#ACCOUNT#acct-1"
    found = Platform.of(one, Execution(2)).ends()
    assert "execution_records_disagree" in codes(found)
    assert found.facts["test_executions_left_out"] == 0


def test_a_tool_that_reported_and_has_no_name_is_found():
    one = Execution(2)
    one.outcome["tool_name"] = "unknown"
    assert codes(Platform.of(Execution(1), one).ends()) == ["execution_records_disagree"]
