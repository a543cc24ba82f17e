"""Canary intents: approved action intents of the test tenants, written for one run and removed after it.

Ids are `ai_<ms>_phase5<random>`, which tells them from the platform's own and lets leftovers of killed runs be found. They are
removed together with what came of them (attempt, outcome, note), never from the ledger. Leftovers are removed only by a run
that holds the lease: since a lease is taken over only after it has expired or was given back, no live run can still be using
them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.probing.canary_intent import Place, is_ours
from phase5_ops.probing.dynamo import delete_items, put_items, query_partition
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Tables


def put(reader: AwsReader, tables: Tables, items: Sequence[dict[str, Any]]) -> list[Read]:
    """Writes the intents; every read is OK if all are there."""
    return put_items(reader, tables.action_intent, items)


def remove(reader: AwsReader, tables: Tables, intents: Iterable[tuple[Place, str]], replayed: Iterable[str]) -> list[Read]:
    """Removes the intents, and for those that were replayed their attempts, outcomes and notes.

    The intents go last, and only where the rest went: a later run finds by its intent what is still to be removed.

    Raises:
        ValueError: one of them is no canary intent; nothing was removed.
    """
    chosen, executed = list(intents), frozenset(replayed)
    if foreign := [intent for _, intent in chosen if not is_ours(intent)]:
        raise ValueError(f"not a canary intent: {foreign[0]!r}")
    acted = [(place, intent) for place, intent in chosen if intent in executed]
    reads = delete_items(reader, tables.execution_attempts, [_key(place, f"EXECUTION#{intent}") for place, intent in acted])
    reads += delete_items(reader, tables.execution_outcomes, [_key(place, f"OUTCOME#{intent}") for place, intent in acted])
    for place in sorted({place for place, _ in acted}, key=lambda place: place.partition):
        reads += _remove_notes(reader, tables.internal_notes, place)
    going = chosen if all(read.status is ReadStatus.OK for read in reads) else [c for c in chosen if c[1] not in executed]
    return reads + delete_items(reader, tables.action_intent, [_key(place, f"ACTION_INTENT#{intent}") for place, intent in going])


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


def _key(place: Place, sort_key: str) -> dict[str, Any]:
    return {"pk": {"S": place.partition}, "sk": {"S": sort_key}}
