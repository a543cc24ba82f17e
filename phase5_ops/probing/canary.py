"""Canary intents: approved action intents of the test tenants, written for one run and removed after it.

Ids are `ai_<ms>_phase5<random>`, which distinguishes them from the platform's own, so that leftovers of killed runs can be found.
They are removed together with what they caused (attempt, outcome, note), never from the ledger. Leftovers are removed only by a
run that holds the lease: since a lease is taken over only after it has expired or was given back, no live run can still be using
them.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.probing.canary_intent import CanaryPlace, decision_trace, is_ours
from phase5_ops.probing.dynamo import delete_items, put_items, query_partition
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Tables

log = logging.getLogger(__name__)


def put(reader: AwsReader, tables: Tables, items: Sequence[dict[str, Any]]) -> list[Read]:
    """Writes the intents; every read is OK if all were written."""
    return put_items(reader, tables.action_intent, items)


def remove(reader: AwsReader, tables: Tables, intents: Iterable[tuple[CanaryPlace, str]], replayed: Iterable[str]) -> list[Read]:
    """Removes the intents, and for those that were executed their attempts, outcomes, notes and signals.

    The intents are removed last, and only if the rest was: a later run finds by the intent what is still to be removed.

    Raises:
        ValueError: one of them is no canary intent; nothing was removed.
    """
    chosen, executed = list(intents), frozenset(replayed)
    if foreign := [intent for _, intent in chosen if not is_ours(intent)]:
        raise ValueError(f"not a canary intent: {foreign[0]!r}")
    acted = [(place, intent) for place, intent in chosen if intent in executed]
    ids = {intent for _, intent in acted}
    reads: list[Read] = []
    if acted:
        reads += delete_items(reader, tables.execution_attempts, [_key(place, f"EXECUTION#{intent}") for place, intent in acted])
        reads += delete_items(reader, tables.execution_outcomes, [_key(place, f"OUTCOME#{intent}") for place, intent in acted])
        for place in sorted({place for place, _ in acted}, key=lambda place: place.partition):
            reads += _remove_notes(reader, tables.internal_notes, place, lambda note: _names_one(note, ids))
        reads += delete_items(reader, tables.signals, [key for place, intent in acted for key in _signal_keys(place, intent)])
    going = chosen if all(read.status is ReadStatus.OK for read in reads) else [c for c in chosen if c[1] not in executed]
    return reads + delete_items(reader, tables.action_intent, [_key(place, f"ACTION_INTENT#{intent}") for place, intent in going])


def remove_made(reader: AwsReader, tables: Tables, place: CanaryPlace, intent: str) -> list[Read]:
    """Removes an intent that the platform made from a planted decision, and what it caused.

    The id is the platform's own; the caller knows from the ledger that it came from a planted decision.
    """
    key = [_key(place, f"{prefix}#{intent}") for prefix in ("EXECUTION", "OUTCOME", "ACTION_INTENT")]
    reads = delete_items(reader, tables.execution_attempts, key[:1])
    reads += delete_items(reader, tables.execution_outcomes, key[1:2])
    reads += _remove_notes(reader, tables.internal_notes, place, lambda note: note.startswith(f"{REASON_PREFIX}PHASE5_"))
    reads += delete_items(reader, tables.signals, _signal_keys(place, intent))
    return reads + delete_items(reader, tables.action_intent, key[2:])


def _names_one(note: str, intents: Iterable[str]) -> bool:
    return REASON_PREFIX in note and any(intent in note for intent in intents)


def _remove_notes(reader: AwsReader, table: str, place: CanaryPlace, is_ours: Callable[[str], bool]) -> list[Read]:
    """Removes the notes whose content is ours."""
    notes, read = query_partition(reader, table, place.partition, beginning="NOTE#")
    ours = [note for note in notes if is_ours(note.get("content", {}).get("S", ""))]
    return [read, *delete_items(reader, table, [{"pk": note["pk"], "sk": note["sk"]} for note in ours])]


def _signal_keys(place: CanaryPlace, intent: str) -> list[dict[str, Any]]:
    """The keys of the signals that an execution of this intent may have left."""
    names = [f"exec-{intent}-{place.account}-{event}" for event in ("ACTION_EXECUTED", "ACTION_FAILED")]
    return [{"tenantId": {"S": place.tenant}, "signalId": {"S": name}} for name in names]


@dataclass(frozen=True, slots=True)
class Found:
    """An item of a canary intent in a test tenant's partition: `kind` is the beginning of its sort key."""

    place: CanaryPlace
    intent: str
    kind: str
    trace: str

    @property
    def acted_on(self) -> bool:
        """True for what only an execution leaves."""
        return self.kind != _INTENT


_INTENT, _ATTEMPT, _OUTCOME = "ACTION_INTENT#", "EXECUTION#", "OUTCOME#"


def find(reader: AwsReader, tables: Tables, places: Iterable[CanaryPlace]) -> tuple[list[Found], list[Read]]:
    """Every canary intent in the test tenants' partitions, and every attempt and outcome of one."""
    kept = ((tables.action_intent, _INTENT), (tables.execution_attempts, _ATTEMPT), (tables.execution_outcomes, _OUTCOME))
    found, reads = [], []
    for place in places:
        for table, kind in kept:
            items, read = query_partition(reader, table, place.partition, beginning=f"{kind}ai_")
            reads.append(read)
            for item in items:
                intent = item["sk"]["S"].removeprefix(kind)
                if is_ours(intent):
                    found.append(Found(place, intent, kind, item.get("trace_id", {}).get("S", "")))
    return found, reads


def left_over(found: Iterable[Found], *, living: str = "") -> list[tuple[CanaryPlace, str]]:
    """The canary intents of earlier runs, each once, also where only their attempt or outcome is left.

    Args:
        found: of `find`.
        living: the run that holds the lease; its own intents are in use and left out.
    """
    items = list(found)
    alive = {each.intent for each in items if living and each.trace == decision_trace(living, each.intent)}
    return list(dict.fromkeys((each.place, each.intent) for each in items if each.intent not in alive))


def remove_leftovers(reader: AwsReader, tables: Tables, places: Iterable[CanaryPlace], *, living: str = "") -> list[Read]:
    """Removes the canary intents of earlier runs in these partitions, with all that they caused; `living` as in `left_over`."""
    found, reads = find(reader, tables, places)
    if left := left_over(found, living=living):
        log.info("removing %d canary intents that are left over", len(left))
        reads += remove(reader, tables, left, [intent for _, intent in left])
    return reads


def _key(place: CanaryPlace, sort_key: str) -> dict[str, Any]:
    return {"pk": {"S": place.partition}, "sk": {"S": sort_key}}
