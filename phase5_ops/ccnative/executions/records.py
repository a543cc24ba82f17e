"""The items of execution-outcomes and execution-attempts, as far as a replay is concerned: one of each per intent. Pure.

Both lie under `TENANT#<tenant>#ACCOUNT#<account>`: `OUTCOME#<intent>` is written once, `EXECUTION#<intent>` is the lock of the
latest execution. Both name the execution's trace_id, which tells whether they belong to a replay at all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from phase5_ops.ccnative.attributes import AttributeProblem, MalformedRecord, as_item, required, shown, text, whole_number

OUTCOME_PREFIX = "OUTCOME#"
ATTEMPT_PREFIX = "EXECUTION#"
RUNNING, SUCCEEDED, FAILED = "RUNNING", "SUCCEEDED", "FAILED"

_INTENT_ID = re.compile(r"ai_(?P<ms>\d{12,14})_")  # the platform puts the time of approval into the id


class ExecutionRecord(NamedTuple):
    """Status of an intent's outcome or attempt; `ttl` in epoch seconds, None where the item has none."""

    trace: str
    status: str
    ttl: int | None


@dataclass(frozen=True, slots=True)
class ExecutionRecords:
    """Records by (partition key, intent), and the items that could not be read."""

    by_intent: Mapping[tuple[str, str], ExecutionRecord] = field(default_factory=dict)
    malformed: tuple[MalformedRecord, ...] = ()

    def of(self, tenant: str, account: str, intent: str, trace: str) -> ExecutionRecord | None:
        """The record of this intent, if it is about this execution."""
        record = self.by_intent.get((partition_key(tenant, account), intent))
        return record if record is not None and record.trace == trace else None


def partition_key(tenant: str, account: str) -> str:
    """The partition key of an account's executions."""
    return f"TENANT#{tenant}#ACCOUNT#{account}"


def intent_made(intent: str) -> int | None:
    """The epoch milliseconds that an intent's id names as the time of its approval; None where it names none."""
    named = _INTENT_ID.match(intent)
    return int(named["ms"]) if named else None


def parse_execution_records(items: Iterable[object], table: str, prefix: str) -> ExecutionRecords:
    """The records of these items.

    Args:
        items: items in DynamoDB JSON.
        table: the table's name, for the malformed records.
        prefix: what the sort key begins with: `OUTCOME_PREFIX` or `ATTEMPT_PREFIX`.
    """
    found: dict[tuple[str, str], ExecutionRecord] = {}
    malformed = []
    for entry in items:
        key = shown(entry)
        try:
            item = as_item(entry)
            pk, sk = required(text(item, "pk"), "pk"), required(text(item, "sk"), "sk")
            key = f"{pk} / {sk}"
            found[pk, sk.removeprefix(prefix)] = _record(item)
        except AttributeProblem as problem:
            malformed.append(MalformedRecord(table, key, problem.attribute, problem.problem))
    return ExecutionRecords(found, tuple(malformed))


def _record(item: Mapping[str, Any]) -> ExecutionRecord:
    return ExecutionRecord(
        required(text(item, "trace_id"), "trace_id"), required(text(item, "status"), "status"), whole_number(item, "ttl")
    )
