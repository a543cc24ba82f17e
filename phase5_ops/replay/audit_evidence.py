"""Evidence of row 3.2: the table `replay_audit`, one row per replay request, and one per start or end that belongs to none. Pure.

A row holds what the ledger says of that replay, as times and counts, beside what its outcome and attempt say; the judge compares.
Only replays known by an entry within the window are rows. Entries of a margin before the window, and after evaluation time, are
read to pair them and are not judged themselves: a start early in the window has its request, a request late in it has its start.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pandera.pandas as pa

from phase5_ops.ccnative.execution_records import ExecutionRecords
from phase5_ops.ccnative.ledger import PARTITION_PREFIX, REPLAY_TYPES, Ledger, LedgerEntry, Oddity, epoch_ms, stamp_of
from phase5_ops.ccnative.placeholders import names_nobody, says_nothing
from phase5_ops.clock import iso
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import ReadStatus, reads_of
from phase5_ops.replay.pairing import Execution, Pairing, Replay, pair_replays

REQUEST, START, END = "request", "start", "end"

#: Findings of one kind that the table's attributes list; all are counted.
LISTED = 100

REPLAY_AUDIT = pa.DataFrameSchema(
    {
        "kind": pa.Column(str, pa.Check.isin([REQUEST, START, END])),  # what the row is known by; start and end: without request
        "tenant": pa.Column(str),
        "account": pa.Column(str),
        "intent": pa.Column(str),
        "reason": pa.Column(str, nullable=True),
        "requester": pa.Column(str, nullable=True),
        "pk": pa.Column(str),  # key of the entry that the row is known by
        "sk": pa.Column(str),
        "request_trace": pa.Column(str, nullable=True),
        "trace": pa.Column(str, nullable=True),  # of the execution
        "pairing": pa.Column(str, pa.Check.isin([str(each) for each in Pairing])),
        "requested_ms": pa.Column("Int64", nullable=True),  # these five: epoch milliseconds of the first such entry
        "started_ms": pa.Column("Int64", nullable=True),
        "execution_ms": pa.Column("Int64", nullable=True),
        "action_ms": pa.Column("Int64", nullable=True),
        "terminal_ms": pa.Column("Int64", nullable=True),
        "terminal": pa.Column(str, nullable=True),  # REPLAY_COMPLETED, REPLAY_FAILED
        "request_entries": pa.Column("int64"),  # under the request's trace
        "start_entries": pa.Column("int64"),  # the rest: under the execution's trace
        "execution_entries": pa.Column("int64"),
        "executed_entries": pa.Column("int64"),
        "failed_entries": pa.Column("int64"),
        "terminal_entries": pa.Column("int64"),
        "outcome_status": pa.Column(str, nullable=True),  # of the outcome of this very trace
        "attempt_status": pa.Column(str, nullable=True),
        "attempt_ttl": pa.Column("Int64", nullable=True),  # epoch seconds
        "notes": pa.Column(str),  # JSON list of [kind of note, event type, text], see `_notes`; "" for none
    },
    strict=True,
    coerce=True,
)


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One row of `replay_audit`; columns there."""

    kind: str
    tenant: str
    account: str
    intent: str
    reason: str | None
    requester: str | None
    pk: str
    sk: str
    request_trace: str | None
    trace: str | None
    pairing: str
    requested_ms: int | None
    started_ms: int | None
    execution_ms: int | None
    action_ms: int | None
    terminal_ms: int | None
    terminal: str | None
    request_entries: int
    start_entries: int
    execution_entries: int
    executed_entries: int
    failed_entries: int
    terminal_entries: int
    outcome_status: str | None
    attempt_status: str | None
    attempt_ttl: int | None
    notes: str

    @property
    def noted(self) -> list[tuple[str, str, str]]:
        """The notes: kind, event type, text."""
        return [(kind, event, text) for kind, event, text in json.loads(self.notes)] if self.notes else []


REASON_MISSING, REQUESTER_MISSING = "reason missing", "requester missing"
REASON_DIFFERS, REQUESTER_DIFFERS = "reason differs", "requester differs"
OTHER_TENANT, OTHER_INTENT = "other tenant", "other intent"
OTHER_STATUS, OTHER_INDEX, OTHER_TIME = "other status", "other index", "other time"

_COLUMNS = [field.name for field in fields(ReplayRow)]


@dataclass(frozen=True, slots=True)
class Window:
    """What is judged, in epoch milliseconds; reading begins a margin earlier, see `read_from`."""

    start: int
    end: int

    @classmethod
    def before(cls, now: datetime, policy: ReplayPolicy) -> "Window":
        """The policy's days before `now`; entries may be stamped a little ahead of it."""
        end = now + timedelta(seconds=policy.future_tolerance_seconds)
        return cls(epoch_ms(iso(now - timedelta(days=policy.window_days))), epoch_ms(iso(end)))


def read_from(window: Window, policy: ReplayPolicy) -> int:
    """Epoch ms from which the ledger is read: whatever starts or ends within the window was requested after this."""
    return window.start - int((policy.start_deadline_minutes + policy.finish_deadline_minutes) * 60_000)


def replays_within(ledger: Ledger, window: Window, policy: ReplayPolicy) -> list[Replay]:
    """The replays to judge, in order of time."""
    return within(pair_replays(ledger.entries, policy), window)


def within(replays: Iterable[Replay], window: Window) -> list[Replay]:
    """Those known by an entry within the window."""
    return [replay for replay in replays if window.start <= replay.first.at <= window.end]


def replay_audit(
    replays: Sequence[Replay],
    *,
    ledger: Ledger,
    window: Window,
    outcomes: ExecutionRecords,
    attempts: ExecutionRecords,
) -> pd.DataFrame:
    """The table `replay_audit`; the caller attaches how its inputs were read (`reads.attach`).

    Args:
        replays: those of `replays_within`.
        ledger: what was read, for malformed items and partition mismatches.
        window: what is judged.
        outcomes: the outcomes of the replayed intents.
        attempts: the attempts of the replayed intents.

    Returns:
        A frame of `REPLAY_AUDIT`. `attrs`: `table`, `window` {from, to}, `items`, `entries`, `malformed` (a list of {table, key,
        attribute, problem}) and `malformed_count`.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    appends = [columns[name].append for name in _COLUMNS]
    for replay in replays:
        for append, value in zip(appends, _row(replay, outcomes, attempts), strict=True):
            append(value)
    table = REPLAY_AUDIT.validate(pd.DataFrame({name: _series(name, values) for name, values in columns.items()}))
    malformed = [*ledger.malformed, *outcomes.malformed, *attempts.malformed]
    table.attrs.update(
        table=ledger.name,
        window={"from": stamp_of(window.start), "to": stamp_of(window.end)},
        items=ledger.items,
        entries=len(ledger.entries),
        malformed=[asdict(record) for record in malformed[:LISTED]],
        malformed_count=ledger.malformed_count + len(outcomes.malformed) + len(attempts.malformed),
    )
    return table


def _series(name: str, values: list[Any]) -> "pd.Series[Any]":
    """Whole numbers that may be missing stay whole numbers."""
    kind = REPLAY_AUDIT.columns[name].dtype
    return pd.Series(values, dtype=str(kind))


def rows_of(table: pd.DataFrame) -> list[ReplayRow]:
    """The rows of a `replay_audit` table; nulls of any kind are None."""
    columns = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in _COLUMNS]
    return [ReplayRow(*values) for values in zip(*columns, strict=True)]


def read_whole(table: pd.DataFrame) -> bool:
    """True if every read of the ledger behind a `replay_audit` gave its whole answer, and there was one."""
    name = str(table.attrs.get("table"))
    reads = [read for read in reads_of(table) if read.resource == name or read.resource.startswith(f"{name} ")]
    return bool(reads) and all(read.status is ReadStatus.OK for read in reads)


_NO_EXECUTION = Execution()


def _row(replay: Replay, outcomes: ExecutionRecords, attempts: ExecutionRecords) -> tuple[Any, ...]:
    """The values of one row, in the order of `ReplayRow`."""
    request, first = replay.request, replay.first
    execution = replay.execution or _NO_EXECUTION
    start = execution.starts[0] if execution.starts else None
    terminal = execution.terminals[0] if execution.terminals else None
    actions = [*execution.executed, *execution.failed]
    known_by = start or terminal
    trace = known_by.trace if known_by else None
    whose = start or first
    outcome = outcomes.of(whose.tenant, whose.account, whose.intent, trace) if trace else None
    attempt = attempts.of(whose.tenant, whose.account, whose.intent, trace) if trace else None
    return (
        REQUEST if request else START if start else END,
        first.tenant,
        first.account,
        first.intent,
        first.reason,
        first.requester,
        first.pk,
        first.sk,
        request.trace if request else None,
        trace,
        str(replay.pairing),
        request.at if request else None,
        start.at if start else None,
        execution.executions[0].at if execution.executions else None,
        min(action.at for action in actions) if actions else None,
        terminal.at if terminal else None,
        terminal.event if terminal else None,
        replay.request_entries,
        len(execution.starts),
        len(execution.executions),
        len(execution.executed),
        len(execution.failed),
        len(execution.terminals),
        outcome.status if outcome else None,
        attempt.status if attempt else None,
        attempt.ttl if attempt else None,
        _notes(replay),
    )


def _notes(replay: Replay) -> str:
    """What single entries say against the replay they belong to, as JSON; "" for nothing, which is the usual case."""
    first = replay.first
    notes: list[tuple[str, str, str]] = []
    entries = ([replay.request] if replay.request else []) + (replay.execution.entries() if replay.execution else [])
    for entry in entries:
        elsewhere = entry.pk.startswith(PARTITION_PREFIX) and entry.partition_tenant != entry.tenant
        if entry.tenant != first.tenant or elsewhere:
            notes.append((OTHER_TENANT, entry.event, f"tenantId {entry.tenant!r} under {entry.pk!r}"))
        elif entry.account != first.account and entry.event in REPLAY_TYPES:
            notes.append((OTHER_TENANT, entry.event, f"accountId {entry.account!r}"))
        if entry.intent and entry.intent != first.intent:
            notes.append((OTHER_INTENT, entry.event, entry.intent))
        if entry.event in REPLAY_TYPES:
            notes += _field_notes(entry, first)
        notes += _own_notes(entry)
    return json.dumps(notes) if notes else ""


def _own_notes(entry: LedgerEntry) -> Iterable[tuple[str, str, str]]:
    """In what an entry contradicts itself."""
    if entry.status_contradicts:
        yield OTHER_STATUS, entry.event, f"status {entry.status!r}"
    for kind, text in entry.oddities:
        if kind is not Oddity.INDEX_TENANT:
            yield OTHER_INDEX, entry.event, text
        elif entry.partition_tenant == entry.tenant:  # an entry that lies elsewhere itself is found by that
            yield OTHER_TENANT, entry.event, text
    if entry.id_ms is not None and entry.id_ms != entry.at:
        yield OTHER_TIME, entry.event, json.dumps([entry.at, entry.id_ms])


def _field_notes(entry: LedgerEntry, first: LedgerEntry) -> Iterable[tuple[str, str, str]]:
    for value, expected, is_blank, missing, differs in (
        (entry.reason, first.reason, says_nothing, REASON_MISSING, REASON_DIFFERS),
        (entry.requester, first.requester, names_nobody, REQUESTER_MISSING, REQUESTER_DIFFERS),
    ):
        if is_blank(value):
            yield missing, entry.event, "absent" if value is None else repr(value[:80])
        elif value and not is_blank(expected) and expected and value.strip() != expected.strip():
            yield differs, entry.event, repr(value[:80])


def timeline(table: pd.DataFrame, limit: int = 50) -> str:
    """Markdown for people: how many replays ended how, and the latest replays with their times."""
    if table.empty:
        return "No replay in the window."
    counts = Counter(table["terminal"].fillna("no end").tolist())
    lines = [
        ", ".join(f"{count} {terminal}" for terminal, count in sorted(counts.items()))
        + f"; the latest {min(limit, len(table))}:",
        "",
        "| requested | tenant | account | intent | reason | requested by | started | action | ended | how |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in reversed(rows_of(table.tail(limit))):
        cells = [
            stamp_of(row.requested_ms) if row.requested_ms is not None else "no request",
            *(_code(value) for value in (row.tenant, row.account, row.intent, row.reason, row.requester)),
            *(_after(row, at) for at in (row.started_ms, row.action_ms, row.terminal_ms)),
            (row.terminal or "no end").removeprefix("REPLAY_"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _after(row: ReplayRow, at: int | None) -> str:
    """A moment as seconds after the request; without a request, as it is."""
    if at is None:
        return "-"
    return stamp_of(at) if row.requested_ms is None else f"{(at - row.requested_ms) / 1000:+.3f} s"


def _code(value: str | None) -> str:
    """Text that cannot break out of its table cell."""
    text = " ".join((value or "").split())
    return "`" + text.replace("`", "'").replace("|", "\\|")[:60] + "`" if text else "-"
