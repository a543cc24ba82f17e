"""Scenarios of the checks on executions: one execution more than the healthy platform has, of which something is wrong."""

from datetime import timedelta

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, NOTE, TASK, WARN, Turns, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.execution_trail import execution_trail
from phase5_ops.sandbox.state.records import ATTEMPTS, LEDGER, OUTCOMES, Item, attempt, milliseconds, outcome
from phase5_ops.verdict import Verdict

_REFUSAL = "CircuitBreakerOpenError: Circuit breaker OPEN for connector crm_salesforce; failing fast. Retry after 30s."


def _ends(code: str, verdict: Verdict = FAIL) -> Turns:
    return {"executions_end": (verdict, code)}


def _measured(code: str, verdict: Verdict = FAIL) -> Turns:
    return {"calls_are_measured": (verdict, code)}


class _Execution:
    """The records of one more execution of acme, which a scenario puts in or leaves out."""

    def __init__(
        self, state: Blueprint, *, ago: timedelta = timedelta(hours=30), refused: bool = False, intent: Item | None = None
    ) -> None:
        completed = state.now - ago
        self._state = state
        intent_id = f"ai_{milliseconds(completed)}_more"
        self.intent = intent or {"tenant_id": "acme", "account_id": "acct-acme-1", "action_intent_id": intent_id}
        started = completed - timedelta(milliseconds=120)
        error = {"error_class": "UNKNOWN", "error_code": "EXECUTION_FAILED", "error_message": _REFUSAL}
        self.outcome = outcome(
            self.intent,
            status="FAILED" if refused else "SUCCEEDED",
            trace_id=f"trace-{milliseconds(completed)}-more",
            started_at=started,
            at=completed,
            count=1,
            tool=None if refused else NOTE,
            error=error if refused else None,
        )
        self.outcome["approval_source"], self.outcome["auto_executed"] = "HUMAN", False
        self.start, self.end, *_ = (item for _, item in execution_trail(self.outcome, state.now))
        attempt_id, trace = f"attempt_{milliseconds(started)}_more", self.outcome["trace_id"]
        self.attempt = attempt(self.intent, attempt_id=attempt_id, count=1, key="more", trace_id=trace, at=started)

    def put(self, *records: Item) -> None:
        """Puts these records of it into their tables."""
        tables = {id(self.outcome): OUTCOMES, id(self.attempt): ATTEMPTS}
        for record in records:
            self._state.add(tables.get(id(record), LEDGER), record)

    def again(self, entry: Item, **changes: str) -> Item:
        """An entry once more, under an entry id of its own."""
        entry_id = f"{entry['entryId']}-again"
        return {**entry, "entryId": entry_id, "sk": f"ENTRY#{entry['timestamp']}#{entry_id}", **changes}


@scenario("execution-stuck", "An execution of yesterday is RUNNING, and nothing says how it ended.", _ends("execution_stuck"))
def _stuck(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.start, made.attempt)


@scenario(
    "execution-left-nothing",
    "An execution started yesterday, its attempt has expired, and nothing says how it ended.",
    _ends("execution_left_nothing"),
)
def _left_nothing(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.start)


@scenario("execution-end-not-recorded", "An outcome has no end in the ledger.", _ends("end_not_recorded"))
def _end_not_recorded(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.start, made.outcome)


@scenario("execution-outcome-missing", "An execution ended by the ledger, and has no outcome.", _ends("outcome_missing"))
def _outcome_missing(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.start, made.end)


@scenario("execution-attempt-missing", "The attempt of an execution of just now is gone.", _ends("attempt_missing"))
def _attempt_missing(state: Blueprint) -> None:
    made = _Execution(state, ago=timedelta(minutes=20))
    made.put(made.start, made.end, made.outcome)


@scenario("execution-ended-twice", "An execution succeeded, and failed as well.", _ends("execution_ended_twice"))
def _ended_twice(state: Blueprint) -> None:
    made = _Execution(state)
    failed = made.again(made.end, eventType="ACTION_FAILED")
    failed["data"] = {**failed["data"], "status": "FAILED"}
    made.put(made.start, made.end, made.outcome, failed)


@scenario("execution-started-twice", "Two starts share one trace.", _ends("execution_started_twice"))
def _started_twice(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.start, made.end, made.outcome, made.again(made.start))


@scenario(
    "execution-repeated",
    "An approval was delivered again, and the action was done twice without a replay.",
    _ends("execution_repeated"),
)
def _repeated(state: Blueprint) -> None:
    first = _Execution(state)
    first.put(first.start, first.end, first.outcome)
    second = _Execution(state, ago=timedelta(hours=28), intent=first.intent)
    second.put(second.start, second.end)


@scenario("execution-not-started", "The ledger has an execution's end and not its start.", _ends("execution_not_started"))
def _not_started(state: Blueprint) -> None:
    made = _Execution(state)
    made.put(made.end, made.outcome)


@scenario(
    "execution-records-disagree",
    "By the ledger an execution succeeded, by its outcome it failed.",
    _ends("execution_records_disagree"),
)
def _disagree(state: Blueprint) -> None:
    made = _Execution(state)
    made.outcome["status"] = "FAILED"
    made.put(made.start, made.end, made.outcome)


@scenario(
    "execution-entry-malformed",
    "The attempt count of an entry is no number.",
    dict.fromkeys(("executions_end", "calls_are_measured"), (ERROR, "execution_record_malformed")),
)
def _entry_malformed(state: Blueprint) -> None:
    made = _Execution(state)
    made.end["data"]["attempt_count"] = "one"
    made.put(made.start, made.end, made.outcome)


@scenario(
    "calls-not-measured",
    "For an hour a tool was executed and put no metrics.",
    _measured("execution_not_measured"),
)
def _not_measured(state: Blueprint) -> None:
    before, after = state.traffic_of(TASK), state.traffic_of(TASK).again(from_minutes=4 * 60 + 30)
    before.until_minutes = 5 * 60 + 30
    state.traffic.append(after)


@scenario(
    "calls-failure-measured-as-success",
    "A tool reported a failure, which its metrics count as a success.",
    _measured("failure_measured_as_success"),
)
def _measured_as_success(state: Blueprint) -> None:
    state.traffic_of(NOTE).failed_minutes_ago = ()


@scenario(
    "calls-refused", "An execution was refused by an open breaker, which no metric shows.", _measured("calls_refused", WARN)
)
def _refused(state: Blueprint) -> None:
    _refuse(state, 1)


@scenario("calls-refused-often", "An open breaker refused half of the executions.", _measured("calls_refused"))
def _refused_often(state: Blueprint) -> None:
    _refuse(state, 20)


def _refuse(state: Blueprint, times: int) -> None:
    for number in range(times):
        made = _Execution(state, ago=timedelta(hours=3, minutes=number), refused=True)
        made.put(made.start, made.end, made.outcome)
