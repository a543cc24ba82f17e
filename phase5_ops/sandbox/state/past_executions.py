"""What a healthy platform has executed in the last days: ordinary executions and complete replays, as the items they left.

Pure and the same for the same present. One replay is the normal case that looks like a contradiction: its original failed, and
since outcomes are written once an intent, the failed outcome stands beside the successful replay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from phase5_ops.clock import iso
from phase5_ops.sandbox.state import records
from phase5_ops.sandbox.state.records import Item

Rows = Iterator[tuple[str, Item]]


@dataclass(frozen=True, slots=True)
class PastExecution:
    """One intent's past.

    Attributes:
        tenant, account: whose it was.
        hours_ago: when it was first executed.
        action_type, tool, parameters: what was to be done.
        fails: whether the first execution failed.
        replayed_hours_ago: when it was replayed, if it was.
        reason, requested_by: of the replay.
    """

    tenant: str
    account: str
    hours_ago: float
    action_type: str = "CREATE_INTERNAL_NOTE"
    tool: str = "internal.create_note"
    parameters: Mapping[str, Any] | None = None
    fails: bool = False
    replayed_hours_ago: float | None = None
    reason: str = "recovery after outage"
    requested_by: str = "ops@example.com"


_NOTE: dict[str, Any] = {"parameters": {"content": "Renewal in 80 days"}}
_TASK: dict[str, Any] = {
    "action_type": "CREATE_INTERNAL_TASK",
    "tool": "internal.create_task",
    "parameters": {"title": "Call the renewal's owner", "description": "before month end"},
}

PAST = (
    PastExecution("acme", "acme-1", 2.5, **_NOTE),
    PastExecution("globex", "globex-1", 5, **_TASK),
    PastExecution("initech", "initech-2", 9.25, **_NOTE, fails=True),
    PastExecution("acme", "acme-1", 30, **_NOTE, replayed_hours_ago=26),
    PastExecution("acme", "acme-2", 55, **_TASK, fails=True, replayed_hours_ago=50, reason="connector was down"),
    PastExecution("globex", "globex-2", 80, **_NOTE, replayed_hours_ago=74, requested_by="oncall@example.com"),
    PastExecution("initech", "initech-1", 120, **_TASK, replayed_hours_ago=98, reason="asked for by the customer"),
)
"""The past of the healthy platform."""


def past_executions(now: datetime) -> list[tuple[str, Item]]:
    """Every item that `PAST` left, by table."""
    whole = now.replace(microsecond=0)
    return [row for number, past in enumerate(PAST) for row in _items(past, number, whole)]


def _items(past: PastExecution, number: int, now: datetime) -> Rows:
    approved = now - timedelta(hours=past.hours_ago)
    intent_id = f"ai_{records.milliseconds(approved)}_past{number:02d}"
    intent = records.intent(
        intent_id,
        tenant=past.tenant,
        account=past.account,
        action_type=past.action_type,
        parameters=past.parameters or {},
        at=approved,
        trace_id=f"trace-{records.milliseconds(approved)}-decision-{number}",
    )
    yield records.INTENTS, intent
    story = _Story(past, number, intent)
    yield from story.run(approved + timedelta(milliseconds=40), succeeded=not past.fails)
    if past.replayed_hours_ago is not None:
        yield from story.replay(now - timedelta(hours=past.replayed_hours_ago))
    yield records.ATTEMPTS, story.attempt


class _Story:
    """The executions of one intent, one after the other."""

    def __init__(self, past: PastExecution, number: int, intent: Item) -> None:
        self._past, self._number, self._intent = past, number, intent
        self._count = self._entries = 0
        self.attempt: Item = {}

    def replay(self, at: datetime) -> Rows:
        """A complete replay that was requested at `at` and succeeded."""
        why = {"replay_reason": self._past.reason, "requested_by": self._past.requested_by}
        trace = f"replay-request-{records.milliseconds(at)}-{self._intent['action_intent_id']}"
        yield self._entry("REPLAY_REQUESTED", trace, at, why)
        yield from self.run(at + timedelta(milliseconds=35), succeeded=True, replay=why)

    def run(self, at: datetime, *, succeeded: bool, replay: Mapping[str, str] | None = None) -> Rows:
        """One execution that began at `at`."""
        past, intent = self._past, self._intent
        self._count += 1
        trace = f"trace-{records.milliseconds(at)}-{self._uuid('trace')}"
        attempt_id = f"attempt_{records.milliseconds(at)}_p{self._number:02d}{self._count}"
        key = records.idempotency_key(past.tenant, intent["action_intent_id"], past.tool, intent["parameters"], 1)
        status, done = "SUCCEEDED" if succeeded else "FAILED", at + timedelta(milliseconds=142)
        self.attempt = records.attempt(
            intent, attempt_id=attempt_id, count=self._count, key=key, trace_id=trace, at=at, status=status
        )
        for stamp in ("updated_at", "gsi1sk", "gsi2sk"):
            prefix = "" if stamp == "updated_at" else "UPDATED_AT#"
            self.attempt[stamp] = prefix + iso(done + timedelta(milliseconds=9))
        refs = [self._made(at)] if succeeded else []
        if succeeded:
            yield self._object(refs[0]["object_id"], at)
        failure = {} if succeeded else {"error_code": "UNKNOWN_ERROR", "error_class": "UNKNOWN"}
        if self._count == 1:  # outcomes are written once an intent
            yield (
                records.OUTCOMES,
                records.outcome(
                    intent,
                    status=status,
                    trace_id=trace,
                    started_at=at,
                    at=done,
                    count=1,
                    tool=past.tool,
                    refs=refs,
                    error=None if succeeded else {**failure, "error_message": "The connector did not answer"},
                    approval={"approval_source": "HUMAN", "auto_executed": False},
                ),
            )
        if replay:
            yield self._entry("REPLAY_STARTED", trace, at + timedelta(milliseconds=4), {**replay, "attempt_id": attempt_id})
        common = {"registry_version": 1, "decision_trace_id": intent["trace_id"]}
        started = {"attempt_id": attempt_id, "attempt_count": self._count, "idempotency_key": key, **common}
        yield self._entry("EXECUTION_STARTED", trace, at + timedelta(milliseconds=8), started)
        ended = {"status": status, "external_object_refs": refs, **failure, **common, "attempt_count": self._count}
        kind = "ACTION_EXECUTED" if succeeded else "ACTION_FAILED"
        yield self._entry(kind, trace, done + timedelta(milliseconds=20), ended)
        if replay:
            end = "REPLAY_COMPLETED" if succeeded else "REPLAY_FAILED"
            yield self._entry(end, trace, done + timedelta(milliseconds=26), {"status": status, **replay})
        signal = records.signal(
            intent, succeeded=succeeded, trace_id=trace, completed_at=done, at=done + timedelta(milliseconds=32)
        )
        yield records.SIGNALS, signal
        data, references = records.signal_entry_data(signal)
        yield self._entry("SIGNAL", trace, done + timedelta(milliseconds=40), data, references)

    def _entry(
        self, event_type: str, trace: str, at: datetime, data: Mapping[str, Any], references: list[Item] | None = None
    ) -> tuple[str, Item]:
        self._entries += 1
        about = {} if event_type == "SIGNAL" else {"action_intent_id": self._intent["action_intent_id"]}
        return records.LEDGER, records.ledger_entry(
            event_type,
            tenant=self._past.tenant,
            account=self._past.account,
            trace_id=trace,
            at=at,
            unique=self._uuid(f"entry-{self._entries}"),
            data={**about, **data},
            evidence_refs=references,
        )

    def _made(self, at: datetime) -> Item:
        kind = "note" if self._past.tool.endswith("note") else "task"
        object_id = f"{kind}_{records.milliseconds(at)}_p{self._number:02d}{self._count}"
        return {"system": "INTERNAL", "object_type": kind.title(), "object_id": object_id}

    def _object(self, object_id: str, at: datetime) -> tuple[str, Item]:
        past, created_by = self._past, f"invoke-{records.milliseconds(at)}"
        fields = {name: str(value) for name, value in (past.parameters or {}).items()}
        if object_id.startswith("note"):
            return records.NOTES, records.note(
                past.tenant, past.account, note_id=object_id, content=fields["content"], at=at, created_by=created_by
            )
        return records.TASKS, records.task(
            past.tenant, past.account, task_id=object_id, fields=fields, at=at, created_by=created_by
        )

    def _uuid(self, about: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"{self._intent['action_intent_id']}/{self._count}/{about}"))
