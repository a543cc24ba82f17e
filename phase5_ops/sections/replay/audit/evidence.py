"""Evidence of row 3.2: the table `replay_audit`, one row per replay request, and one per start or end that belongs to none. Pure.

A row holds what the ledger says of that replay, as times and counts, beside what its outcome and attempt say; the judge
compares. Only replays whose first entry (request, else start, else end) lies in the window are rows. Entries of a margin before
the window, and after evaluation time, are read for pairing only: a start early in the window finds its request, a request late
in it its start.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.executions.records import ExecutionRecords
from phase5_ops.ccnative.ledger import PARTITION_PREFIX, REPLAY_TYPES, Ledger, LedgerEntry, Oddity, stamp_of
from phase5_ops.ccnative.ledger_window import Window
from phase5_ops.ccnative.placeholders import names_nobody, says_nothing
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import whole
from phase5_ops.sections.replay.audit.pairing import Execution, Pairing, Replay, pair_replays

REQUEST, START, END = "request", "start", "end"

#: How many malformed records the table's facts list; all are counted.
LISTED = 100

_Ms = Annotated[int | None, "epoch milliseconds of the first such entry"]


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One row of `replay_audit`."""

    kind: Annotated[str, "what the row is known by; start and end: without request", Column(among=(REQUEST, START, END))]
    tenant: Annotated[str, "of the entry that the row is known by"]
    account: Annotated[str, "likewise"]
    intent: Annotated[str, "likewise"]
    reason: Annotated[str | None, "of the replay"]
    requester: Annotated[str | None, "of the replay"]
    pk: Annotated[str, "key of the entry that the row is known by"]
    sk: Annotated[str, "key of the entry that the row is known by"]
    request_trace: Annotated[str | None, "trace of the request"]
    trace: Annotated[str | None, "of the execution"]
    pairing: Annotated[str, "how start and request were found to belong together", Column(among=[str(each) for each in Pairing])]
    requested_ms: _Ms
    started_ms: _Ms
    execution_ms: _Ms
    action_ms: _Ms
    terminal_ms: _Ms
    terminal: Annotated[str | None, "REPLAY_COMPLETED, REPLAY_FAILED"]
    request_entries: Annotated[int, "number of REPLAY_REQUESTED under the request's trace"]
    start_entries: Annotated[int, "number of REPLAY_STARTED under the execution's trace, as the rest"]
    execution_entries: Annotated[int, "number of EXECUTION_STARTED"]
    executed_entries: Annotated[int, "number of ACTION_EXECUTED"]
    failed_entries: Annotated[int, "number of ACTION_FAILED"]
    terminal_entries: Annotated[int, "number of REPLAY_COMPLETED, REPLAY_FAILED"]
    outcome_status: Annotated[str | None, "of the outcome of this very trace"]
    attempt_status: Annotated[str | None, "of the attempt of this very trace"]
    attempt_ttl: Annotated[int | None, "epoch seconds"]
    notes: Annotated[str, 'JSON list of [kind of note, event type, text], see `_notes`; "" for none']

    @property
    def noted(self) -> list[tuple[str, str, str]]:
        """The notes: kind, event type, text."""
        return [(kind, event, text) for kind, event, text in json.loads(self.notes)] if self.notes else []


REASON_MISSING, REQUESTER_MISSING = "reason missing", "requester missing"
REASON_DIFFERS, REQUESTER_DIFFERS = "reason differs", "requester differs"
OTHER_TENANT, OTHER_INTENT = "other tenant", "other intent"
OTHER_STATUS, OTHER_INDEX, OTHER_TIME = "other status", "other index", "other time"


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What is known beside the rows.

    Attributes:
        table: the ledger's name.
        window: what is judged, {from, to}, as stamps of the ledger.
        items, entries: how many were read of the ledger.
        malformed: the first records that are not as the platform writes them; `malformed_count`: how many there are.
        read_by: how the ledger was read, in words.
        history: what became of the entries that earlier runs saw, see `history`; None where no history is kept.
        timeline: Markdown for people.
    """

    table: str = ""
    window: dict[str, str] = field(default_factory=dict)
    items: int = 0
    entries: int = 0
    malformed: list[MalformedRecord] = field(default_factory=list)
    malformed_count: int = 0
    read_by: str | None = None
    history: dict[str, Any] | None = None
    timeline: str | None = None


REPLAY_AUDIT = DeclaredTable(ReplayRow, AuditFacts)
ReplayAudit = GatheredTable[ReplayRow, AuditFacts]


def replays_within(ledger: Ledger, window: Window, policy: ReplayPolicy) -> list[Replay]:
    """The replays to judge, in order of time."""
    return within(pair_replays(ledger.entries, policy), window)


def within(replays: Iterable[Replay], window: Window) -> list[Replay]:
    """The replays whose first entry lies within the window."""
    return [replay for replay in replays if window.start <= replay.first.at <= window.end]


def replay_audit(
    replays: Sequence[Replay],
    *,
    ledger: Ledger,
    window: Window,
    outcomes: ExecutionRecords,
    attempts: ExecutionRecords,
) -> ReplayAudit:
    """The table `replay_audit`; the caller says how its inputs were read (`with_reads`).

    Args:
        replays: those of `replays_within`.
        ledger: what was read, for malformed items and partition mismatches.
        window: what is judged.
        outcomes: the outcomes of the replayed intents.
        attempts: the attempts of the replayed intents.
    """
    malformed = [*ledger.malformed, *outcomes.malformed, *attempts.malformed]
    facts = AuditFacts(
        table=ledger.name,
        window={"from": stamp_of(window.start), "to": stamp_of(window.end)},
        items=ledger.items,
        entries=len(ledger.entries),
        malformed=malformed[:LISTED],
        malformed_count=ledger.malformed_count + len(outcomes.malformed) + len(attempts.malformed),
    )
    return REPLAY_AUDIT.gathered((_row(replay, outcomes, attempts) for replay in replays), facts)


def read_whole(table: ReplayAudit) -> bool:
    """True if the ledger behind a `replay_audit` was read, and every read of it was whole."""
    name = table.facts.table
    return whole(read for read in table.reads if read.resource == name or read.resource.startswith(f"{name} "))


_NO_EXECUTION = Execution()


def _row(replay: Replay, outcomes: ExecutionRecords, attempts: ExecutionRecords) -> ReplayRow:
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
    return ReplayRow(
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
    """Where single entries disagree with their replay or lack something, as JSON; "" for nothing, which is the usual case."""
    first = replay.first
    notes: list[tuple[str, str, str]] = []
    entries = ([replay.request] if replay.request else []) + (replay.execution.entries() if replay.execution else [])
    for entry in entries:
        elsewhere = entry.pk.startswith(PARTITION_PREFIX) and entry.partition_tenant != entry.tenant
        if entry.tenant != first.tenant or elsewhere:
            notes.append((OTHER_TENANT, entry.event, f"tenantId {entry.tenant!r} under {entry.pk!r}"))
        elif entry.account != first.account and (entry.account or entry.event in REPLAY_TYPES):
            notes.append((OTHER_TENANT, entry.event, f"accountId {entry.account!r}"))
        if entry.intent and entry.intent != first.intent:
            notes.append((OTHER_INTENT, entry.event, entry.intent))
        if entry.event in REPLAY_TYPES:
            notes += _field_notes(entry, first)
        notes += _own_notes(entry)
    return json.dumps(notes) if notes else ""


def _own_notes(entry: LedgerEntry) -> Iterable[tuple[str, str, str]]:
    """Where an entry contradicts itself."""
    if entry.status_contradicts:
        yield OTHER_STATUS, entry.event, f"status {entry.status!r}"
    for kind, text in entry.oddities:
        if kind is not Oddity.INDEX_TENANT:
            yield OTHER_INDEX, entry.event, text
        elif entry.partition_tenant == entry.tenant:  # an entry in another tenant's partition is noted already
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


def timeline(table: ReplayAudit, limit: int = 50) -> str:
    """Markdown for people: how many replays ended how, and the latest replays with their times."""
    rows = table.rows
    if not rows:
        return "No replay in the window."
    counts = ends(rows)
    lines = [
        ", ".join(f"{count} {terminal}" for terminal, count in sorted(counts.items())) + f"; the latest {min(limit, len(rows))}:",
        "",
        "| requested | tenant | account | intent | reason | requested by | started | action | ended | how |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in reversed(rows[-limit:]):
        cells = [
            stamp_of(row.requested_ms) if row.requested_ms is not None else "no request",
            *(_code(value) for value in (row.tenant, row.account, row.intent, row.reason, row.requester)),
            *(_after(row, at) for at in (row.started_ms, row.action_ms, row.terminal_ms)),
            (row.terminal or "no end").removeprefix("REPLAY_"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ends(rows: Iterable[ReplayRow]) -> Counter[str]:
    """The number of replays by how they ended."""
    return Counter(row.terminal or "no end" for row in rows)


def _after(row: ReplayRow, at: int | None) -> str:
    """A moment as seconds after the request; without a request, as it is."""
    if at is None:
        return "-"
    return stamp_of(at) if row.requested_ms is None else f"{(at - row.requested_ms) / 1000:+.3f} s"


def _code(value: str | None) -> str:
    """Text that cannot break out of its table cell."""
    text = " ".join((value or "").split())
    return "`" + text.replace("`", "'").replace("|", "\\|")[:60] + "`" if text else "-"
