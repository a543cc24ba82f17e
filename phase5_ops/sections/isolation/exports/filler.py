"""Entries of test tenant A that make an export longer than one page: few and long, since DynamoDB counts bytes. Pure.

They stay in the ledger, as everything there does, and later runs need no others while they lie in the period.
"""

from datetime import datetime, timedelta
from typing import Any

from phase5_ops.ccnative.ledger import PARTITION_PREFIX, SORT_PREFIX, TRACE_PREFIX
from phase5_ops.clock import iso

EVENT = "AUDIT_EXPORT_TESTED"
#: Eleven items of 100 kB are more than the 1 MB of a page, and few enough that reading them costs next to nothing.
NUMBER, LENGTH = 11, 100_000

Item = dict[str, Any]


def filler_entries(tenant: str, run_id: str, last: datetime) -> list[Item]:
    """The entries in DynamoDB JSON, a millisecond apart, the last of them at `last`."""
    return [_entry(tenant, run_id, number, last - timedelta(milliseconds=NUMBER - 1 - number)) for number in range(NUMBER)]


def filler_trace(run_id: str) -> str:
    """The trace of the entries that a run writes."""
    return f"trace-phase5-{run_id}"


def _entry(tenant: str, run_id: str, number: int, at: datetime) -> Item:
    entry_id, stamp = f"entry-{int(at.timestamp() * 1000)}-phase5-{run_id}-{number}", iso(at)
    texts = {
        "pk": PARTITION_PREFIX + tenant,
        "sk": f"{SORT_PREFIX}{stamp}#{entry_id}",
        "gsi1pk": TRACE_PREFIX + filler_trace(run_id),
        "gsi1sk": stamp,
        "gsi2pk": PARTITION_PREFIX + tenant,
        "gsi2sk": stamp,
        "entryId": entry_id,
        "eventType": EVENT,
        "tenantId": tenant,
        "traceId": filler_trace(run_id),
        "timestamp": stamp,
    }
    line = f"{number}: written by phase5 so that an export of this test tenant has more than one page. "
    data = {"text": {"S": (line * (LENGTH // len(line) + 1))[:LENGTH]}, "number": {"N": str(number)}}
    return {**{name: {"S": value} for name, value in texts.items()}, "data": {"M": data}}
