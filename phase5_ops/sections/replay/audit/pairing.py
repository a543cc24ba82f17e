"""Which ledger entries belong to one replay: requests paired with starts, starts with all that shares their trace. Pure.

REPLAY_REQUESTED has a trace of its own; REPLAY_STARTED and what follows share the execution's trace. The two have only tenant,
account, intent, reason and requester in common, so a request is paired with the earliest unclaimed start after it with the same
five. Ties are broken by entry id, so that equal ledgers pair equally. First, requests are paired with starts within the start
deadline; as these windows have one length, first come, first served pairs as many as possible. The rest is paired more loosely,
in this order, so that one fault gives one finding: a start after the deadline, before the request, with an empty reason or
requester on one side, in another tenant; never farther apart than a replay may take.

Everything here is sorting and walking: the time grows with n log n in the entries.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter

from phase5_ops.ccnative.ledger import (
    ACTION_EXECUTED,
    EXECUTION_STARTED,
    REPLAY_REQUESTED,
    REPLAY_STARTED,
    TERMINAL,
    LedgerEntry,
)
from phase5_ops.ccnative.placeholders import says_nothing
from phase5_ops.policy import ReplayPolicy

MINUTE_MS = 60_000

_by_time = attrgetter("at", "entry_id", "sk")
Key = Callable[[LedgerEntry], Hashable]


class Pairing(StrEnum):
    """How a request and a start were found to be one replay."""

    EXACT = "exact"  # within the start deadline
    LATE = "late"
    EARLY = "early"  # the start is stamped before its request
    BLANK = "blank"  # reason or requester is blank on one side
    OTHER_TENANT = "other tenant"
    NONE = ""


@dataclass(slots=True)
class Execution:
    """What one trace holds, in order of time."""

    starts: list[LedgerEntry] = field(default_factory=list)
    executions: list[LedgerEntry] = field(default_factory=list)
    executed: list[LedgerEntry] = field(default_factory=list)
    failed: list[LedgerEntry] = field(default_factory=list)
    terminals: list[LedgerEntry] = field(default_factory=list)

    def entries(self) -> list[LedgerEntry]:
        """All of it."""
        return [*self.starts, *self.executions, *self.executed, *self.failed, *self.terminals]


@dataclass(slots=True)
class Replay:
    """A request with its execution, or one of the two alone; `request_entries` counts requests under the same trace."""

    request: LedgerEntry | None
    execution: Execution | None
    pairing: Pairing
    request_entries: int = 0

    @property
    def first(self) -> LedgerEntry:
        """The entry that the replay is known by: its request, else its start, else its end."""
        if self.request is not None:
            return self.request
        assert self.execution is not None  # noqa: S101 - one of the two is always there
        return (self.execution.starts or self.execution.terminals)[0]


def pair_replays(entries: Iterable[LedgerEntry], policy: ReplayPolicy) -> list[Replay]:
    """Every replay of these entries, and every start and end that belongs to none, in order of time."""
    requests: list[LedgerEntry] = []
    executions: dict[str, Execution] = {}
    others: list[LedgerEntry] = []
    for entry in entries:
        if entry.event == REPLAY_REQUESTED:
            requests.append(entry)
        elif entry.event == REPLAY_STARTED:
            executions.setdefault(entry.trace, Execution()).starts.append(entry)
        elif entry.event in TERMINAL:
            executions.setdefault(entry.trace, Execution()).terminals.append(entry)
        else:
            others.append(entry)
    for entry in others:
        execution = executions.get(entry.trace)
        if execution is None:
            continue  # an ordinary execution
        if entry.event == EXECUTION_STARTED:
            execution.executions.append(entry)
        else:
            (execution.executed if entry.event == ACTION_EXECUTED else execution.failed).append(entry)
    for execution in executions.values():
        for listed in (execution.starts, execution.executions, execution.executed, execution.failed, execution.terminals):
            if len(listed) > 1:
                listed.sort(key=_by_time)
    return sorted(_joined(requests, executions, policy), key=lambda replay: _by_time(replay.first))


def _joined(requests: list[LedgerEntry], executions: dict[str, Execution], policy: ReplayPolicy) -> list[Replay]:
    found = _pairs(requests, [execution.starts[0] for execution in executions.values() if execution.starts], policy)
    same_trace: dict[str, list[LedgerEntry]] = defaultdict(list)
    for request in requests:
        same_trace[request.trace].append(request)
    replays, claimed = [], set()
    for request in requests:
        start, pairing = found.get(id(request), (None, Pairing.NONE))
        repeats = same_trace[request.trace]
        if start is None and len(repeats) > 1 and _stands_for(repeats, found) is not request:
            continue  # a second entry of the same request; `request_entries` counts it
        if start is not None:
            claimed.add(start.trace)
        execution = executions[start.trace] if start is not None else None
        replays.append(Replay(request, execution, pairing, request_entries=len(repeats)))
    replays += [Replay(None, execution, Pairing.NONE) for trace, execution in executions.items() if trace not in claimed]
    return replays


_Found = dict[int, tuple[LedgerEntry | None, Pairing]]


def _stands_for(repeats: list[LedgerEntry], found: _Found) -> LedgerEntry:
    """Of the requests under one trace, the earliest that has a start, else the earliest."""
    return min(repeats, key=lambda request: (id(request) not in found, _by_time(request)))


def _pairs(requests: list[LedgerEntry], starts: list[LedgerEntry], policy: ReplayPolicy) -> _Found:
    """Request (by identity) -> start and how the two were found."""
    found: _Found = {}
    skew = policy.clock_skew_ms
    deadline = int(policy.start_deadline_minutes * MINUTE_MS)
    farthest = max(deadline, int(policy.finish_deadline_minutes * MINUTE_MS))
    left_requests, left_starts = requests, starts

    def stage(pairing: Pairing, key: Key, low: int, high: int, *, blank: Callable[[LedgerEntry], bool] | None = None) -> None:
        nonlocal left_requests, left_starts
        if not left_requests or not left_starts:
            return
        sides = [(left_requests, left_starts)]
        if blank is not None:
            sides = [([r for r in left_requests if blank(r)], left_starts), (left_requests, [s for s in left_starts if blank(s)])]
        for some_requests, some_starts in sides:
            pairs = [p for p in _earliest(some_requests, some_starts, key, low, high) if id(p[0]) not in found]
            taken: set[int] = set()
            for request, start in pairs:
                if id(start) not in taken:
                    found[id(request)] = (start, pairing)
                    taken.add(id(start))
            left_starts = [start for start in left_starts if id(start) not in taken]
            if len(sides) > 1:
                sides[1] = (sides[1][0], [start for start in sides[1][1] if id(start) not in taken])
        left_requests = [request for request in left_requests if id(request) not in found]

    stage(Pairing.EXACT, _full_key, -skew, deadline)
    stage(Pairing.LATE, _full_key, -skew, farthest)
    stage(Pairing.EARLY, _full_key, -farthest, deadline)
    for key, blank in (
        (_without_reason, lambda entry: not _bare(entry.reason)),
        (_without_requester, lambda entry: not _bare(entry.requester)),
        (_intent_key, lambda entry: not _bare(entry.reason) or not _bare(entry.requester)),
    ):
        stage(Pairing.BLANK, key, -farthest, farthest, blank=blank)
    stage(Pairing.OTHER_TENANT, _without_tenant, -farthest, farthest)
    return found


def _earliest(
    requests: Sequence[LedgerEntry], starts: Sequence[LedgerEntry], key: Key, low: int, high: int
) -> list[tuple[LedgerEntry, LedgerEntry]]:
    """Each request with the earliest unclaimed start of its key, `low` to `high` ms after it."""
    grouped: dict[Hashable, tuple[list[LedgerEntry], list[LedgerEntry]]] = {}
    for request in requests:
        grouped.setdefault(key(request), ([], []))[0].append(request)
    for start in starts:
        group = grouped.get(key(start))
        if group is not None:
            group[1].append(start)
    pairs = []
    for some_requests, some_starts in grouped.values():
        if not some_starts:
            continue
        some_requests.sort(key=_by_time)
        some_starts.sort(key=_by_time)
        position = 0
        for request in some_requests:
            while position < len(some_starts) and some_starts[position].at < request.at + low:
                position += 1
            if position == len(some_starts):
                break
            if some_starts[position].at <= request.at + high:
                pairs.append((request, some_starts[position]))
                position += 1
    return pairs


def _bare(text: str | None) -> str:
    """A reason or requester to pair by; one that says nothing pairs like a blank."""
    return "" if says_nothing(text) else str(text).strip()


def _full_key(entry: LedgerEntry) -> Hashable:
    return entry.tenant, entry.account, entry.intent, _bare(entry.reason), _bare(entry.requester)


def _without_reason(entry: LedgerEntry) -> Hashable:
    return entry.tenant, entry.account, entry.intent, _bare(entry.requester)


def _without_requester(entry: LedgerEntry) -> Hashable:
    return entry.tenant, entry.account, entry.intent, _bare(entry.reason)


def _intent_key(entry: LedgerEntry) -> Hashable:
    return entry.tenant, entry.account, entry.intent


def _without_tenant(entry: LedgerEntry) -> Hashable:
    return entry.account, entry.intent, _bare(entry.reason), _bare(entry.requester)
