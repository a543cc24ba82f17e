"""Ledgers for tests: replays in the shape that the platform writes them, and how they are judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.executions.records import ATTEMPT_PREFIX, OUTCOME_PREFIX, parse_execution_records
from phase5_ops.ccnative.ledger import Ledger, epoch_ms, stamp_of
from phase5_ops.ccnative.ledger_window import Window
from phase5_ops.clock import iso
from phase5_ops.input_files.locations import DiskLocation
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.audit.evidence import ReplayAudit, replay_audit, replays_within
from phase5_ops.sections.replay.audit.files import audit_files
from phase5_ops.sections.replay.audit.judge import judge_replay_audit
from phase5_ops.verdict import Judgement

TABLE = "cc-native-ledger"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = epoch_ms(iso(NOW))
LINKS = ConsoleLinks("us-west-2")
MINUTE = 60_000
HOUR = 60 * MINUTE

#: The steps of a replay that succeeds: event, ms after the request.
STEPS = (
    ("REPLAY_REQUESTED", 0),
    ("REPLAY_STARTED", 800),
    ("EXECUTION_STARTED", 830),
    ("ACTION_EXECUTED", 2100),
    ("REPLAY_COMPLETED", 2140),
)
Item = dict[str, Any]


def entry(event: str, at: int, *, trace: str, tenant: str = "acme", entry_id: str | None = None, **more: Any) -> Item:
    """A plain ledger item; `more` replaces attributes, and those of `data` where data has them."""
    stamp = stamp_of(at)
    entry_id = entry_id or f"entry-{at}-{event}-{trace}"
    data = {
        "action_intent_id": more.pop("intent", "ai_1_a"),
        "replay_reason": more.pop("reason", "recovery after outage"),
        "requested_by": more.pop("requester", "ops@acme.example"),
    }
    if not event.startswith("REPLAY"):
        data = {"action_intent_id": data["action_intent_id"]}
    item = {
        "pk": f"TENANT#{tenant}",
        "sk": f"ENTRY#{stamp}#{entry_id}",
        "eventType": event,
        "tenantId": tenant,
        "accountId": more.pop("account", "acct-1"),
        "traceId": trace,
        "timestamp": stamp,
        "entryId": entry_id,
        "data": data,
    }
    item.update(more)
    return item


_serial = count()


def replay(
    *,
    minutes_ago: float = 60,
    failed: bool = False,
    name: str | None = None,
    steps: Iterable[tuple[str, int]] = STEPS,
    **more: Any,
) -> list[Item]:
    """The items of one replay, in order; `name` makes its traces."""
    name = name or f"r{next(_serial)}"
    began = NOW_MS - int(minutes_ago * MINUTE)
    items = []
    renamed = {"ACTION_EXECUTED": "ACTION_FAILED", "REPLAY_COMPLETED": "REPLAY_FAILED"} if failed else {}
    for event, after in steps:
        trace = f"replay-request-{name}" if event == "REPLAY_REQUESTED" else f"trace-{name}"
        items.append(entry(renamed.get(event, event), began + after, trace=trace, **more))
    return items


def of(items: Iterable[Item], event: str) -> Item:
    """The first item of an event type."""
    return next(item for item in items if item["eventType"] == event)


def moved(item: Item, by_ms: int) -> Item:
    """The same entry stamped later or earlier, keys and entry id included."""
    at = epoch_ms(item["timestamp"])
    stamp, entry_id = stamp_of(at + by_ms), item["entryId"].replace(f"entry-{at}", f"entry-{at + by_ms}")
    return {**item, "timestamp": stamp, "entryId": entry_id, "sk": f"ENTRY#{stamp}#{entry_id}"}


def retenanted(item: Item, tenant: str) -> Item:
    """The same entry in another tenant, keys included."""
    return {**item, "tenantId": tenant, "pk": f"TENANT#{tenant}"}


def repeated(item: Item) -> Item:
    """The same entry once more, under an entry id of its own."""
    entry_id = item["entryId"] + "-again"
    return {**item, "entryId": entry_id, "sk": f"ENTRY#{item['timestamp']}#{entry_id}"}


def typed(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB JSON."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": {name: typed(each) for name, each in value.items()}}
    if isinstance(value, list):
        return {"L": [typed(each) for each in value]}
    return {"NULL": True} if value is None else {"S": value}


def dynamodb(item: Item) -> Item:
    """A plain item in DynamoDB JSON."""
    return {name: typed(value) for name, value in item.items()}


def read(status: ReadStatus = ReadStatus.OK, resource: str = TABLE) -> Read:
    return Read("dynamodb:Scan", resource, status, None if status is ReadStatus.OK else "no", 1, iso(NOW), iso(NOW))


@dataclass
class Audit:
    """A ledger and what else the audit reads; judged as it is."""

    items: list[Any]
    outcomes: list[Item] = field(default_factory=list)
    attempts: list[Item] = field(default_factory=list)
    reads: list[Read] = field(default_factory=lambda: [read()])
    policy: ReplayPolicy = field(default_factory=ReplayPolicy)
    now: datetime = NOW
    history: dict[str, Any] | None = None

    def table(self) -> ReplayAudit:
        window = Window.before(self.now, self.policy)
        ledger = Ledger(TABLE, latest=window.end)
        for item in self.items:
            ledger.add(item)
        table = replay_audit(
            replays_within(ledger, window, self.policy),
            ledger=ledger,
            window=window,
            outcomes=parse_execution_records(self.outcomes, "cc-native-execution-outcomes", OUTCOME_PREFIX),
            attempts=parse_execution_records(self.attempts, "cc-native-execution-attempts", ATTEMPT_PREFIX),
        )
        if self.history is not None:
            table = replace(table, facts=replace(table.facts, history=self.history))
        return table.with_reads(self.reads, self.now)

    def judged(self) -> Judgement:
        return judge_replay_audit(self.table(), policy=self.policy, now=self.now, links=LINKS)

    def codes(self) -> list[str]:
        """The codes found, each as often as it was found, in order."""
        return sorted(finding.code for finding in self.judged().findings)


def audit(*replays: Iterable[Any], **more: Any) -> Audit:
    """The audit of a ledger that holds these replays."""
    return Audit([item for items in replays for item in items], **more)


def attempt(intent: str, trace: str, status: str, *, ttl: datetime = NOW + timedelta(hours=1)) -> Item:
    """An attempt of an acme intent."""
    return {
        "pk": {"S": "TENANT#acme#ACCOUNT#acct-1"},
        "sk": {"S": f"EXECUTION#{intent}"},
        "trace_id": {"S": trace},
        "status": {"S": status},
        "ttl": {"N": str(int(ttl.timestamp()))},
    }


def outcome(intent: str, trace: str, status: str) -> Item:
    """An outcome of an acme intent."""
    return {**attempt(intent, trace, status), "sk": {"S": f"OUTCOME#{intent}"}}


def audit_paths(paths: Iterable[Path], *, now: datetime | None = NOW, **more: Any) -> Judgement:
    """The audit over files and folders of this machine."""
    return audit_files([DiskLocation(path) for path in paths], policy=ReplayPolicy(), now=now, **more)
