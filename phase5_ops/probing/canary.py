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
from phase5_ops.probing.dynamo import change_items, delete_items, put_items, query_partition
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Tables

log = logging.getLogger(__name__)

#: Under which name a run shares that it removed all that was left over; so it stays while the run holds the lease.
NOTHING_LEFT_OVER = "no canary intents are left over"


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
        places = sorted({place for place, _ in acted}, key=lambda place: place.partition)
        notes, reads = _find_notes(reader, tables.internal_notes, places, lambda note: _names_one(note, ids))
        reads += _remove_caused(reader, tables, acted, notes)
    going = chosen if all(read.status is ReadStatus.OK for read in reads) else [c for c in chosen if c[1] not in executed]
    return reads + delete_items(reader, tables.action_intent, [_key(place, f"ACTION_INTENT#{intent}") for place, intent in going])


def remove_made(reader: AwsReader, tables: Tables, place: CanaryPlace, intent: str) -> list[Read]:
    """Removes an intent that the platform made from a planted decision, and what it caused.

    The id is the platform's own; the caller knows from the ledger that it came from a planted decision.
    """
    planted = f"{REASON_PREFIX}PHASE5_"
    notes, reads = _find_notes(reader, tables.internal_notes, [place], lambda note: note.startswith(planted))
    reads += _remove_caused(reader, tables, [(place, intent)], notes)
    return reads + delete_items(reader, tables.action_intent, [_key(place, f"ACTION_INTENT#{intent}")])


def _names_one(note: str, intents: Iterable[str]) -> bool:
    return REASON_PREFIX in note and any(intent in note for intent in intents)


def _find_notes(
    reader: AwsReader, table: str, places: Iterable[CanaryPlace], is_ours: Callable[[str], bool]
) -> tuple[list[dict[str, Any]], list[Read]]:
    """The keys of the notes whose content is ours."""
    keys, reads = [], []
    for place in places:
        notes, read = query_partition(reader, table, place.partition, beginning="NOTE#")
        keys += [{"pk": note["pk"], "sk": note["sk"]} for note in notes if is_ours(note.get("content", {}).get("S", ""))]
        reads.append(read)
    return keys, reads


def _remove_caused(
    reader: AwsReader, tables: Tables, acted: Iterable[tuple[CanaryPlace, str]], notes: Sequence[dict[str, Any]]
) -> list[Read]:
    """Removes what these intents caused, and these notes."""
    ours = list(acted)
    removed = {
        tables.execution_attempts: [_key(place, f"EXECUTION#{intent}") for place, intent in ours],
        tables.execution_outcomes: [_key(place, f"OUTCOME#{intent}") for place, intent in ours],
        tables.internal_notes: notes,
        tables.signals: [key for place, intent in ours for key in _signal_keys(place, intent)],
    }
    return change_items(reader, removed=removed)


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
