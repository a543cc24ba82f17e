"""Evidence of executions: the table `execution_outcomes`, one row per execution that is not plainly whole. Pure.

An execution is plainly whole if the ledger has its one start and its one end, its outcome and attempt say the same, and nothing
that should be there is missing. Such executions are counted; all others are rows: what the ledger, the outcome and the attempt
say, side by side, for the judge to compare. So the table stays small, whatever the number of executions.

An outcome is written once an intent, by the first execution that ends, and an attempt is the lock of the latest one: so a later
execution of the same intent has an outcome of an earlier trace beside it, and an earlier one an attempt of a later trace. Only a
replay executes an intent again, and says so in the ledger. Attempts expire by their ttl soon after they began; that one is gone
says nothing then.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.executions.records import FAILED, RUNNING, SUCCEEDED, intent_made
from phase5_ops.ccnative.executions.stored import OUTCOME_KEPT_DAYS, Key, Stored, StoredExecutions
from phase5_ops.ccnative.executions.trails import ExecutionTrails, Trail
from phase5_ops.ccnative.ledger import ACTION_EXECUTED, ACTION_FAILED, epoch_ms, stamp_of
from phase5_ops.clock import iso
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import ExecutionPolicy
from phase5_ops.sections.executions.demand import Calls, ToolCalls

#: How many rows the table keeps, the oldest executions first; the facts count all.
ROWS_KEPT = 10_000
#: How many malformed records the facts list; all are counted.
LISTED = 100

#: Whose an outcome or attempt beside an execution is: its own, an execution's of the same intent before or after it, nobody's.
OWN, EARLIER, LATER, NONE, UNREADABLE = "own", "earlier", "later", "none", "unreadable"
_WHOSE = Column(among=(OWN, EARLIER, LATER, NONE, UNREADABLE))
_Ms = Annotated[int | None, "epoch milliseconds"]
_Number = Annotated[int | None, "number of the attempt"]


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """One row of `execution_outcomes`."""

    trace: Annotated[str, "of the execution", Column(unique=True)]
    tenant: Annotated[str, "its id"]
    account: Annotated[str, "its id"]
    intent: Annotated[str, "that is executed"]
    replayed: Annotated[bool, "REPLAY_STARTED is in its trace"]
    again: Annotated[bool, "its intent was executed before"]
    began_ms: Annotated[int, "epoch milliseconds of the first thing that is known of it"]
    started_ms: _Ms
    ended_ms: _Ms
    starts: Annotated[int, "number of EXECUTION_STARTED"]
    executed: Annotated[int, "number of ACTION_EXECUTED"]
    failed: Annotated[int, "number of ACTION_FAILED"]
    start_count: _Number
    end_count: _Number
    outcome: Annotated[str, "whose the outcome of its intent is", _WHOSE]
    outcome_status: Annotated[str | None, "SUCCEEDED, FAILED"]
    outcome_count: _Number
    outcome_ms: _Ms
    attempt: Annotated[str, "whose the attempt of its intent is", _WHOSE]
    attempt_status: Annotated[str | None, "RUNNING, SUCCEEDED, FAILED, CANCELLED"]
    attempt_count: _Number
    attempt_updated_ms: _Ms
    attempt_due: Annotated[bool, "it began so shortly ago that its attempt cannot have expired yet"]
    outcome_due: Annotated[bool, "its outcome cannot have expired yet"]
    ledger_unreadable: Annotated[bool, "an entry of its trace could not be read"]
    notes: Annotated[list[str], "where entries or items contradict themselves or each other"]

    @property
    def ends(self) -> int:
        """How many ends the ledger has."""
        return self.executed + self.failed

    @property
    def end(self) -> str | None:
        """What the ledger says of its end."""
        return None if not self.ends else ACTION_EXECUTED if self.executed else ACTION_FAILED

    @property
    def end_status(self) -> str | None:
        """The status that outcome and attempt must have by what the ledger says."""
        return None if not self.ends else SUCCEEDED if self.executed else FAILED


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """What is known beside the rows.

    Attributes:
        tables: {ledger, outcomes, attempts: name}.
        window: {from, until}: executions that began from then to then are judged, ISO-8601; `read_from`: of the ledger.
        executions: how many there are in the window, test tenants left out; `whole`: those of them that are plainly whole.
        further_rows: rows that were not kept.
        test_executions: those of the test tenants; `young`: those that began or ended after the window, and did not start twice.
        outcomes, attempts: how many items were read.
        malformed: the first records that are not as the platform writes them; `malformed_counts`: how many there are, by table.
        read_by: how the ledger was read, in words.
        calls: the calls of tools that metrics must show, see `demand`.
    """

    tables: dict[str, str] = field(default_factory=dict)
    window: dict[str, str] = field(default_factory=dict)
    read_from: int = 0
    executions: int = 0
    whole: int = 0
    further_rows: int = 0
    test_executions: int = 0
    young: int = 0
    outcomes: int = 0
    attempts: int = 0
    malformed: list[MalformedRecord] = field(default_factory=list)
    malformed_counts: dict[str, int] = field(default_factory=dict)
    read_by: str = ""
    calls: Calls = field(default_factory=Calls)


EXECUTION_OUTCOMES = DeclaredTable(ExecutionRow, ExecutionFacts)
Executions = GatheredTable[ExecutionRow, ExecutionFacts]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is judged, in epoch ms: executions that began from `start` to `until`; `read_from` is the ledger's."""

    start: int
    until: int
    read_from: int

    @classmethod
    def of(cls, began: datetime, start: int, read_from: int, policy: ExecutionPolicy) -> "Span":
        """Up to `began`, when nothing of the run had been read yet, less the time that records may take to be seen."""
        return cls(start, epoch_ms(iso(began - timedelta(seconds=policy.settle_seconds))), read_from)


@dataclass(frozen=True, slots=True)
class Records:
    """What was read of the executions; `older` are outcomes of intents whose first execution lies before the window."""

    trails: ExecutionTrails
    outcomes: StoredExecutions
    attempts: StoredExecutions
    older: StoredExecutions | None = None

    def outcome_of(self, key: Key) -> Stored | None:
        """The outcome of an intent."""
        found = self.outcomes.by_intent.get(key)
        return found if found is not None or self.older is None else self.older.by_intent.get(key)

    @property
    def malformed(self) -> list[MalformedRecord]:
        """The first records of each part that are not as the platform writes them."""
        stored = (each for each in (self.outcomes, self.attempts, self.older) if each is not None)
        return [*self.trails.malformed, *(record for each in stored for record in each.malformed)]

    @property
    def malformed_counts(self) -> dict[str, int]:
        """How many there are, by table."""
        parts = (self.trails, self.outcomes, self.attempts, self.older)
        counts: Counter[str] = Counter()
        for part in parts:
            if part is not None and part.malformed_count:
                counts[part.table] += part.malformed_count
        return dict(counts)


def without_outcome(records: Records, span: Span, left_out: Collection[str]) -> list[Key]:
    """Intents that were executed again in the window, so that their outcome may be older than it, and have none that was read."""
    return sorted(
        {
            trail.key
            for trail in records.trails.by_trace.values()
            if (trail.replayed or trail.number > 1 or not trail.starts)
            and trail.ended is not None
            and trail.ended >= span.start
            and trail.tenant not in left_out
            and trail.key not in records.outcomes.by_intent
        }
    )


def execution_outcomes(
    records: Records,
    *,
    span: Span,
    policy: ExecutionPolicy,
    clock_skew_ms: int,
    test_tenants: Collection[str],
    calls_since: int,
) -> Executions:
    """The table `execution_outcomes`; the caller says how its inputs were read (`with_reads`) and fills in `read_by`.

    Args:
        records: what was read.
        span: the time that is judged.
        policy: time limit and tolerances.
        clock_skew_ms: how far the clocks of two functions may differ.
        test_tenants: dedicated test tenants, left out and counted: their attempts and outcomes are removed after each run.
        calls_since: epoch ms from which calls of tools are compared with metrics.
    """
    counts: Counter[str] = Counter()
    rows: list[ExecutionRow] = []
    calls = ToolCalls(calls_since, span.until, policy)
    making = _ExecutionRows(records, span, policy, clock_skew_ms)
    for trace, trail in _executions(records):
        key = trail.key
        began = _began(trail, trace, key, records)
        if began is None or max(began, trail.started_last or 0) < span.start:
            continue
        if trail.tenant in test_tenants and not making.names_others(trace, trail):
            counts["test"] += 1
        elif trail.starts <= 1 and max(began, *_ends(trail, trace, records.outcome_of(key))) > span.until:
            counts["young"] += 1
        else:
            counts["executions"] += 1
            calls.add(trail, records.outcome_of(key))
            row = making.row(trace, trail, began)
            if _plainly_whole(row):
                counts["whole"] += 1
            else:
                rows.append(row)
    kept = heapq.nsmallest(ROWS_KEPT, rows, key=lambda row: (row.began_ms, row.trace))
    facts = ExecutionFacts(
        tables={"outcomes": records.outcomes.table, "attempts": records.attempts.table},
        window={"from": stamp_of(span.start), "until": stamp_of(span.until)},
        read_from=span.read_from,
        executions=counts["executions"],
        whole=counts["whole"],
        further_rows=len(rows) - len(kept),
        test_executions=counts["test"],
        young=counts["young"],
        outcomes=records.outcomes.items,
        attempts=records.attempts.items,
        malformed=records.malformed[:LISTED],
        malformed_counts=records.malformed_counts,
        calls=calls.found(),
    )
    return EXECUTION_OUTCOMES.gathered(kept, facts)


def _executions(records: Records) -> Iterator[tuple[str, Trail]]:
    """Every execution by its trace: of the ledger, and of outcomes and attempts whose trace the ledger does not have."""
    known = records.trails.by_trace
    yield from ((trace, trail) for trace, trail in known.items() if trail.first is not None)
    seen: set[str] = set()
    for stored in (records.outcomes, records.attempts):
        for (tenant, account, intent), each in stored.by_intent.items():
            trail = known.get(each.trace)
            if each.trace not in seen and (trail is None or trail.first is None):
                seen.add(each.trace)
                yield each.trace, trail or Trail(tenant, account, intent)


def _strays(records: Records) -> dict[str, list[str]]:
    """By trace, the outcomes and attempts that name it and are of another intent than its execution."""
    found: dict[str, list[str]] = {}
    owners: dict[str, Key] = {}
    for name, stored in (("outcome", records.outcomes), ("attempt", records.attempts)):
        for key, each in stored.by_intent.items():
            trail = records.trails.by_trace.get(each.trace)
            owner = trail.key if trail else owners.setdefault(each.trace, key)
            if key != owner:
                found.setdefault(each.trace, []).append(f"the {name} of {_named(key)} names its trace")
    return found


def _first_of_several(trails: ExecutionTrails) -> dict[Key, str]:
    """Of each intent that the ledger has more than one execution of, the trace of the first."""
    executions = Counter(trail.intent for trail in trails.by_trace.values() if trail.first is not None)
    first: dict[Key, tuple[int, str]] = {}
    for trace, trail in trails.by_trace.items():
        if trail.first is not None and executions[trail.intent] > 1:
            known = trail.first, trace
            first[trail.key] = min(first.get(trail.key, known), known)
    return {key: trace for key, (_, trace) in first.items()}


def _began(trail: Trail, trace: str, key: Key, records: Records) -> int | None:
    """When an execution is first known of: by its start, else its attempt, its end, its outcome."""
    attempt, outcome = records.attempts.by_intent.get(key), records.outcome_of(key)
    times = (
        trail.started,
        attempt.latest if attempt is not None and attempt.trace == trace else None,
        trail.ended,
        outcome.at if outcome is not None and outcome.trace == trace else None,
    )
    return next((at for at in times if at is not None), None)


def _ends(trail: Trail, trace: str, outcome: Stored | None) -> tuple[int, int]:
    """When an execution ended by the ledger and by its own outcome; 0 where it did not."""
    return trail.ended or 0, outcome.at if outcome is not None and outcome.trace == trace else 0


class _ExecutionRows:
    """Makes the rows of executions from what was read of all of them."""

    def __init__(self, records: Records, span: Span, policy: ExecutionPolicy, clock_skew_ms: int) -> None:
        self._records, self._until, self._limit, self._skew = records, span.until, policy.time_limit_ms, clock_skew_ms
        self._strays, self._first = _strays(records), _first_of_several(records.trails)

    def names_others(self, trace: str, trail: Trail) -> bool:
        """True if entries or items of an execution name another tenant, account or intent too: whose it is, is not certain."""
        return bool(trail.notes) or trace in self._strays or any(True for _ in self._owner_notes(trace, trail.key))

    def row(self, trace: str, trail: Trail, began: int) -> ExecutionRow:
        """The row of an execution that is first known of at `began`."""
        key, records = trail.key, self._records
        outcome, attempt = records.outcome_of(key), records.attempts.by_intent.get(key)
        last = trail.ended if trail.ended is not None else began
        whose_outcome = _whose(outcome, trace, key, records.outcomes, before=last)
        return ExecutionRow(
            trace=trace,
            tenant=trail.tenant,
            account=trail.account,
            intent=trail.intent,
            replayed=trail.replayed,
            again=whose_outcome == EARLIER or trail.number > 1 or self._first.get(key, trace) != trace,
            began_ms=began,
            started_ms=trail.started,
            ended_ms=trail.ended,
            starts=trail.starts,
            executed=trail.executed,
            failed=trail.failed,
            start_count=trail.start_count,
            end_count=trail.end_count,
            outcome=whose_outcome,
            outcome_status=outcome.status if outcome else None,
            outcome_count=outcome.number if outcome else None,
            outcome_ms=outcome.at if outcome else None,
            attempt=_whose(attempt, trace, key, records.attempts, before=began),
            attempt_status=attempt.status if attempt else None,
            attempt_count=attempt.number if attempt else None,
            attempt_updated_ms=attempt.updated if attempt else None,
            attempt_due=began + self._limit > self._until,
            outcome_due=self._outcome_due(trail, last),
            ledger_unreadable=trace in records.trails.unreadable,
            notes=[
                *trail.notes,
                *_no_tool(trail, outcome, trace),
                *self._backwards(trail, outcome, trace),
                *self._owner_notes(trace, key),
                *self._strays.get(trace, ()),
            ],
        )

    def _outcome_due(self, trail: Trail, last: int) -> bool:
        """True if the outcome of an execution that ended at `last` cannot have expired yet.

        A replay has that of an execution before it, which is kept since then: no longer ago than when its intent was made.
        """
        kept_from = intent_made(trail.intent) if trail.replayed else last
        return kept_from is not None and kept_from + OUTCOME_KEPT_DAYS * 86_400_000 > self._until

    def _backwards(self, trail: Trail, outcome: Stored | None, trace: str) -> Iterator[str]:
        """What ended before it started, by more than clocks differ."""
        ends = (("end", trail.ended), ("outcome", outcome.at if outcome is not None and outcome.trace == trace else None))
        for name, at in ends:
            if at is not None and trail.started is not None and at + self._skew < trail.started:
                yield f"its {name} of {stamp_of(at)} is before its start of {stamp_of(trail.started)}"

    def _owner_notes(self, trace: str, key: Key) -> Iterator[str]:
        items = (("outcome", self._records.outcome_of(key)), ("attempt", self._records.attempts.by_intent.get(key)))
        for name, item in items:
            if item is not None and item.trace == trace and item.owner is not None:
                yield f"the {name} under {_named(key)} names {_named(item.owner)}"


def _whose(stored: Stored | None, trace: str, key: Key, of: StoredExecutions, *, before: int) -> str:
    """Whose the outcome or attempt of an execution's intent is; of another execution's, whether it is of before that moment."""
    if stored is None:
        return UNREADABLE if key in of.unreadable else NONE
    return OWN if stored.trace == trace else EARLIER if stored.at <= before else LATER


def _no_tool(trail: Trail, outcome: Stored | None, trace: str) -> Iterator[str]:
    if trail.reported and outcome is not None and outcome.trace == trace and not outcome.tool:
        yield "its tool reported how it ended, and its outcome names no tool"


def _named(key: Key) -> str:
    return f"{key[0]}/{key[1]} {key[2]}"


def _plainly_whole(row: ExecutionRow) -> bool:
    """One start, one end, and nothing else that contradicts or that should be there and is not."""
    return (
        row.starts == 1
        and row.ends == 1
        and row.outcome in (OWN, EARLIER)
        and (row.replayed or not row.again)
        and row.attempt in (OWN, LATER, NONE)
        and not (row.attempt == NONE and row.attempt_due)
        and not row.notes
        and not list(differences(row))
    )


def differences(row: ExecutionRow) -> Iterator[tuple[str, str]]:
    """What an execution's own outcome and attempt say otherwise than the ledger: expected and seen."""
    status = row.end_status
    counts: Sequence[tuple[str, int | None]] = (
        ("start", row.start_count),
        ("end", row.end_count),
        ("outcome", row.outcome_count if row.outcome == OWN else None),
        ("attempt", row.attempt_count if row.attempt == OWN else None),
    )
    if status is not None and row.outcome == OWN and row.outcome_status != status:
        yield f"outcome {status} beside {row.end}", f"outcome {row.outcome_status}"
    ended_as = status or (row.outcome_status if row.outcome == OWN else None)
    if ended_as is not None and row.attempt == OWN and row.attempt_status != ended_as:
        left = "attempt still RUNNING" if row.attempt_status == RUNNING else f"attempt {row.attempt_status}"
        yield f"attempt {ended_as} beside {row.end or 'its outcome'}", left
    said = [(name, count) for name, count in counts if count is not None]
    if len({count for _, count in said}) > 1:
        yield "one attempt count", ", ".join(f"{name} {count}" for name, count in said)
