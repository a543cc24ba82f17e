"""Canary intents: approved action intents of the test tenants, written for one run and removed after it.

Ids are `ai_<ms>_phase5<random>`, which tells them from the platform's own and lets leftovers of killed runs be found. They are
removed together with what came of them (attempt, outcome, note), never from the ledger. Leftovers are removed only by a run
that holds the lease: since a lease is taken over only after it has expired or was given back, no live run can still be using
them.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.probing.dynamo import delete_items, put_items, query_partition
from phase5_ops.probing.guard import INTENT_MARK, REASON_PREFIX
from phase5_ops.reads import Read
from phase5_ops.settings import Tables

_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an intent lives: tenant and account."""

    tenant: str
    account: str

    @property
    def partition(self) -> str:
        """The partition key of everything of this account."""
        return f"TENANT#{self.tenant}#ACCOUNT#{self.account}"


def new_intent_id(*, wall: Callable[[], float] = time.time) -> str:
    """An intent id in the platform's form, with this project's mark."""
    return f"ai_{int(wall() * 1000)}_{INTENT_MARK}{secrets.token_hex(5)}"


def is_ours(intent_id: str) -> bool:
    """True for the id of a canary intent."""
    stamp, _, random = intent_id.removeprefix("ai_").partition("_")
    return intent_id.startswith("ai_") and stamp.isdigit() and random.startswith(INTENT_MARK)


def intent_item(place: Place, intent_id: str, *, run_id: str, action_type: str, now: datetime) -> dict[str, Any]:
    """The item of an approved intent in DynamoDB JSON, as the platform writes it (platform's action intent table).

    Args:
        place: tenant and account.
        intent_id: of `new_intent_id`.
        run_id: who made it.
        action_type: a harmless one.
        now: the platform's time, from which the intent is valid for an hour.
    """
    expires = now + _LIFETIME
    decision = f"dec_{INTENT_MARK}_{run_id}"
    note = f"{REASON_PREFIX}{run_id}: a canary, safe to delete"
    policy = {"retry_count": {"N": "3"}, "timeout_seconds": {"N": "300"}, "max_attempts": {"N": "1"}}
    return {
        "pk": _text(place.partition),
        "sk": _text(f"ACTION_INTENT#{intent_id}"),
        "action_intent_id": _text(intent_id),
        "action_type": _text(action_type),
        "target": {"M": {"entity_type": _text("ACCOUNT"), "entity_id": _text(place.account)}},
        "parameters": {"M": {"title": _text("phase5 canary"), "content": _text(note)}},
        "approved_by": _text("phase5-probe"),
        "approval_timestamp": _text(iso(now)),
        "execution_policy": {"M": policy},
        "expires_at": _text(iso(expires)),
        "expires_at_epoch": {"N": str(int(expires.timestamp()))},
        "original_decision_id": _text(decision),
        "original_proposal_id": _text(decision),
        "edited_fields": {"L": []},
        "tenant_id": _text(place.tenant),
        "account_id": _text(place.account),
        "trace_id": _text(f"trace-{INTENT_MARK}-{run_id}"),
        "registry_version": {"N": "1"},
        "confidence_score": {"N": "1"},
        "risk_level": _text("LOW"),
    }


def put(reader: AwsReader, tables: Tables, items: Sequence[dict[str, Any]]) -> list[Read]:
    """Writes the intents; every read is OK if all are there."""
    return put_items(reader, tables.action_intent, items)


def remove(reader: AwsReader, tables: Tables, intents: Iterable[tuple[Place, str]], replayed: Iterable[str]) -> list[Read]:
    """Removes the intents, and for those that were replayed their attempts, outcomes and notes.

    Raises:
        ValueError: one of them is no canary intent; nothing was removed.
    """
    chosen, executed = list(intents), frozenset(replayed)
    if foreign := [intent for _, intent in chosen if not is_ours(intent)]:
        raise ValueError(f"not a canary intent: {foreign[0]!r}")
    reads = delete_items(reader, tables.action_intent, [_key(place, f"ACTION_INTENT#{intent}") for place, intent in chosen])
    acted = [(place, intent) for place, intent in chosen if intent in executed]
    if not acted:
        return reads
    reads += delete_items(reader, tables.execution_attempts, [_key(place, f"EXECUTION#{intent}") for place, intent in acted])
    reads += delete_items(reader, tables.execution_outcomes, [_key(place, f"OUTCOME#{intent}") for place, intent in acted])
    for place in sorted({place for place, _ in acted}, key=lambda place: place.partition):
        reads += _remove_notes(reader, tables.internal_notes, place)
    return reads


def _remove_notes(reader: AwsReader, table: str, place: Place) -> list[Read]:
    notes, read = query_partition(reader, table, place.partition, beginning="NOTE#")
    ours = [note for note in notes if REASON_PREFIX in note.get("content", {}).get("S", "")]
    return [read, *delete_items(reader, table, [{"pk": note["pk"], "sk": note["sk"]} for note in ours])]


def leftovers(reader: AwsReader, tables: Tables, places: Iterable[Place]) -> tuple[list[tuple[Place, str]], list[Read]]:
    """Canary intents in the test tenants' partitions; the caller holds the lease and has not written its own yet."""
    found, reads = [], []
    for place in places:
        items, read = query_partition(reader, tables.action_intent, place.partition, beginning="ACTION_INTENT#ai_")
        reads.append(read)
        ids = [item["sk"]["S"].removeprefix("ACTION_INTENT#") for item in items]
        found += [(place, intent) for intent in ids if is_ours(intent)]
    return found, reads


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _key(place: Place, sort_key: str) -> dict[str, Any]:
    return {"pk": _text(place.partition), "sk": _text(sort_key)}
