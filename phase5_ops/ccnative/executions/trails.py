"""What the ledger holds of each execution: its start, its end, and where the two disagree. Pure.

One trace is one execution: EXECUTION_STARTED, then ACTION_EXECUTED or ACTION_FAILED, all with the execution's trace, tenant,
account and intent. ACTION_FAILED has two shapes: with `status` and `attempt_count` where the tool ran and reported the failure,
without both, but with `error_message`, where a step before it, or the call itself, failed. Entries of other types say nothing
about an execution. An entry of these types that is not what the platform writes becomes a `MalformedRecord`, never an exception,
and what is then not known of its execution is not taken for absent.
"""

from collections.abc import Mapping
from datetime import timedelta
from sys import intern
from typing import Any

from phase5_ops.ccnative.attributes import (
    AttributeProblem,
    MalformedRecord,
    as_item,
    key_text,
    required,
    shown,
    text,
    whole_number,
)
from phase5_ops.ccnative.executions.records import FAILED
from phase5_ops.ccnative.executions.refusals import is_refusal
from phase5_ops.ccnative.ledger import (
    ACTION_EXECUTED,
    ACTION_FAILED,
    EXECUTION_STARTED,
    PARTITION_PREFIX,
    REPLAY_STARTED,
    SUCCESS_STATUSES,
    epoch_ms,
    id_in_key,
    meant_type,
    other_time,
    stamp_of,
)

#: How many malformed records are kept with their key; all are counted.
MALFORMED_KEPT = 100

_EVENTS = frozenset({EXECUTION_STARTED, ACTION_EXECUTED, ACTION_FAILED, REPLAY_STARTED})
_MEANT = {event: event for event in _EVENTS}


class Trail:
    """The entries of one execution; times in epoch milliseconds, None where there is no such entry.

    Attributes:
        tenant, account, intent: whose execution it is, by the entry that was read first.
        starts, executed, failed: how many EXECUTION_STARTED, ACTION_EXECUTED and ACTION_FAILED there are.
        started, ended: the first start, and the first end.
        started_last: the last start, which is the first where there is but one.
        start_count, end_count: the attempt's number, as start and end have it; None where an entry has none.
        reported: the tool ran, and reported how it ended: an end with a status.
        refused: an end without status says that the call was refused, and not that something else failed.
        replayed: REPLAY_STARTED is there.
        notes: where entries contradict each other or themselves.
    """

    __slots__ = (
        "account",
        "end_count",
        "ended",
        "executed",
        "failed",
        "intent",
        "notes",
        "refused",
        "replayed",
        "reported",
        "start_count",
        "started",
        "started_last",
        "starts",
        "tenant",
    )

    def __init__(self, tenant: str, account: str, intent: str) -> None:
        self.tenant, self.account, self.intent = intern(tenant), intern(account), intent
        self.starts = self.executed = self.failed = 0
        self.started: int | None = None
        self.started_last: int | None = None
        self.ended: int | None = None
        self.start_count: int | None = None
        self.end_count: int | None = None
        self.reported = self.replayed = self.refused = False
        self.notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Tenant, account and intent."""
        return self.tenant, self.account, self.intent

    @property
    def first(self) -> int | None:
        """When it is known from: its first start, else its end; None where only a replay's start was read."""
        return self.started if self.started is not None else self.ended

    @property
    def number(self) -> int:
        """Which attempt of its intent it is, by its start, else its end; 1 where neither says."""
        return next((count for count in (self.start_count, self.end_count) if count is not None), 1)

    def note(self, what: str) -> None:
        """Notes a contradiction, once."""
        if what not in self.notes:
            self.notes = (*self.notes, what)


class ExecutionTrails:
    """The executions that a part of the ledger tells of, by trace. Memory grows with executions, not with entries.

    Args:
        table: the ledger's name, for malformed records.
        id_tolerance: how far an entry's timestamp may be from the time in its entry id; beyond it the entry is malformed.
        latest: epoch ms; an entry stamped later cannot have been written yet and is malformed. None where that is not known.
    """

    def __init__(self, table: str, id_tolerance: timedelta, latest: int | None = None) -> None:
        self.by_trace: dict[str, Trail] = {}
        self.unreadable: set[str] = set()  # traces of entries that could not be read
        self.malformed: list[MalformedRecord] = []
        self.malformed_count = 0
        self.table, self._id_tolerance, self._latest = table, id_tolerance, latest

    def take(self, entry: object) -> None:
        """Takes one item of the ledger, DynamoDB JSON."""
        try:
            item = as_item(entry)
        except AttributeProblem as problem:
            self._refuse({}, problem)
            return
        event = _event(item)
        if event is None:
            return
        try:
            self._add(event, item)
        except AttributeProblem as problem:
            self._refuse(item, problem)

    def _add(self, event: str, item: Mapping[str, Any]) -> None:
        if text(item, "eventType") != event:
            raise AttributeProblem("eventType", f"expected {event}, found {shown(item.get('eventType'))}")
        trace, tenant, account = (_needed(item, name) for name in ("traceId", "tenantId", "accountId"))
        at = _time(item, self._id_tolerance, self._latest)
        data = _data(item)
        intent = _needed(data, "action_intent_id", "data.")
        status = _optional(data, "status", "data.") if event in (ACTION_EXECUTED, ACTION_FAILED) else None
        count = _count(data, event, status)
        refused = event == ACTION_FAILED and status is None and is_refusal(_needed(data, "error_message", "data."))
        trail = self.by_trace.get(trace)
        if trail is None:
            trail = self.by_trace[trace] = Trail(tenant, account, intent)
        if (tenant, account, intent) != trail.key:
            trail.note(f"{event} names {tenant}/{account} {intent}, another entry {trail.tenant}/{trail.account} {trail.intent}")
        if (partition := text(item, "pk")) != PARTITION_PREFIX + tenant:
            trail.note(f"{event} of {tenant} lies under {shown(partition)}")
        if event == REPLAY_STARTED:
            trail.replayed = True
        elif event == EXECUTION_STARTED:
            trail.starts += 1
            if trail.started is None or at < trail.started:
                trail.started, trail.start_count = at, count
            if trail.started_last is None or at > trail.started_last:
                trail.started_last = at
        else:
            self._end(trail, event, at, status=status, count=count, refused=refused)

    def _end(self, trail: Trail, event: str, at: int, *, status: str | None, count: int | None, refused: bool) -> None:
        if event == ACTION_EXECUTED:
            trail.executed += 1
        else:
            trail.failed += 1
        if status is not None and not (status in SUCCESS_STATUSES if event == ACTION_EXECUTED else status == FAILED):
            trail.note(f"{event} says {shown(status)}")
        if trail.ended is None or at < trail.ended:
            trail.ended, trail.end_count = at, count
            trail.reported, trail.refused = status is not None, refused

    def _refuse(self, item: Mapping[str, Any], problem: AttributeProblem) -> None:
        self.malformed_count += 1
        if len(self.malformed) < MALFORMED_KEPT:
            key = f"{key_text(item, 'pk')} / {key_text(item, 'sk')}"
            self.malformed.append(MalformedRecord(self.table, key, problem.attribute, problem.problem))
        try:
            self.unreadable.add(_needed(item, "traceId"))
        except AttributeProblem:
            return  # whose entry it is cannot be told; the malformed record says that it is there


def _event(item: Mapping[str, Any]) -> str | None:
    """The event that an entry is of, or is meant to be of; None for those that say nothing about an execution."""
    value = item.get("eventType")
    kind = value.get("S") if isinstance(value, Mapping) else None
    if not isinstance(kind, str):
        return None
    return _MEANT.get(kind) or _MEANT.get(meant_type(kind))


def _needed(holder: Mapping[str, Any], name: str, where: str = "") -> str:
    value = _optional(holder, name, where)
    if value is None or not value.strip():
        raise AttributeProblem(where + name, "missing" if value is None else "empty")
    return value


def _optional(holder: Mapping[str, Any], name: str, where: str) -> str | None:
    try:
        return text(holder, name)
    except AttributeProblem as problem:
        raise AttributeProblem(where + name, problem.problem) from problem


def _time(item: Mapping[str, Any], id_tolerance: timedelta, latest: int | None) -> int:
    """When an entry was written: its timestamp, which its key and its id must not contradict."""
    stamp, sk = _needed(item, "timestamp"), _needed(item, "sk")
    try:
        at = epoch_ms(stamp)
    except (ValueError, OverflowError) as error:
        raise AttributeProblem("timestamp", f"expected ISO-8601 with a time zone, found {shown(stamp)}") from error
    if latest is not None and at > latest:
        raise AttributeProblem("timestamp", f"ahead of the clock: {stamp_of(at)}")
    if (otherwise := other_time(stamp, sk, id_tolerance)) is not None:
        raise AttributeProblem("timestamp", f"{shown(stamp)}, but {otherwise}")
    if item.get("entryId") != {"S": id_in_key(sk)}:
        raise AttributeProblem("entryId", f"expected the one of its sort key, found {shown(item.get('entryId'))}")
    return at


def _data(item: Mapping[str, Any]) -> Mapping[str, Any]:
    value = item.get("data")
    data = value.get("M") if isinstance(value, Mapping) else None
    if not isinstance(data, Mapping):
        raise AttributeProblem("data", "missing" if value is None else f"expected a map, found {shown(value)}")
    return data


def _count(data: Mapping[str, Any], event: str, status: str | None) -> int | None:
    """The attempt's number; a start has one, and an end that says its status, and no other end."""
    if event == REPLAY_STARTED:
        return None
    try:
        count = whole_number(data, "attempt_count")
        if event == EXECUTION_STARTED or status is not None:
            required(count, "attempt_count")
        if event == ACTION_EXECUTED or (event == ACTION_FAILED and count is not None):
            required(status, "status")
    except AttributeProblem as problem:
        raise AttributeProblem(f"data.{problem.attribute}", problem.problem) from problem
    return count
