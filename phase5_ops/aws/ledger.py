"""Reading the ledger's window from its base table, and single items of other tables by key. Judges nothing.

Indexes lag and cannot be read consistently, so only the base table is read. Two ways lead to the same entries: a query for each
tenant's partition, or a parallel scan; the cheaper one, by the table's own figures, is used. A query sees only the partitions it
is told of. A scan sees every partition, whatever the tenants table says.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.ccnative.ledger import PARTITION_PREFIX
from phase5_ops.clock import iso
from phase5_ops.reads import Read, ReadStatus

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("dynamodb:Query", "dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:DescribeTable")

PARALLEL = 8
_UNIT_BYTES = 4096  # one consistent read unit
_SEGMENT_BYTES = 16 * 1024 * 1024  # a scan segment smaller than this is not worth a connection
_ITEM_BYTES = 900  # a ledger entry, where the table does not say its size
_BATCH = 100  # items a BatchGetItem may ask for
_BATCH_TRIES = 5  # for keys that DynamoDB left unprocessed
_KEY_BYTES = (2048, 1024)  # longest partition and sort key that DynamoDB holds

Take = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How the window is read; the units are estimates of consistent read units."""

    method: str  # query, scan
    query_units: float
    scan_units: float
    segments: int

    def describe(self, tenants: int) -> str:
        """One line for people."""
        return f"{self.method} (about {self.scan_units:.0f} read units by scan, {self.query_units:.0f} by {tenants} queries)"


def plan_reading(description: Mapping[str, Any], *, tenants: int, window_days: float, now: datetime) -> ReadPlan:
    """The cheaper of the two ways; the scan where no tenant is known.

    A scan reads the whole table; queries read the window's share of it, and at least one unit each. DynamoDB refreshes the
    figures every six hours, so they affect only the cost, never the result.

    Args:
        description: the table as DescribeTable shows it; empty where it could not be read.
        tenants: partitions that would be queried.
        window_days: how far back is read.
        now: wall clock, for the table's age.
    """
    size = description.get("TableSizeBytes") or (description.get("ItemCount") or 0) * _ITEM_BYTES
    created = description.get("CreationDateTime")
    age_days = max((now - created).total_seconds() / 86_400, 1e-3) if created else math.inf
    share = min(1.0, window_days / age_days) if created else 1.0
    scan_units = max(1.0, size / _UNIT_BYTES)
    query_units = tenants + share * size / _UNIT_BYTES
    method = "query" if tenants and (query_units < scan_units or not description) else "scan"
    segments = min(PARALLEL, max(1, math.ceil(size / _SEGMENT_BYTES)))
    return ReadPlan(method, query_units, scan_units, segments)


def read_window(
    reader: AwsReader, table: str, *, plan: ReadPlan, tenants: Sequence[str], since: str, take: Take
) -> tuple[list[Read], float]:
    """Passes every item with a sort key of at least `since` to `take`; returns the reads and the read units used.

    Args:
        reader: bounds and counts the calls.
        table: the ledger table.
        plan: query or scan.
        tenants: ids whose partitions are queried; a scan does not need them.
        since: `ENTRY#<timestamp>`. There is no upper bound, so that entries stamped ahead of the clock are seen too.
        take: called with one item in DynamoDB JSON at a time, never by two threads at once.
    """
    common = _whole_reading(table)
    if plan.method == "query":
        requests = [
            (
                "query",
                f"{table} {PARTITION_PREFIX}{tenant}",
                {
                    **common,
                    "KeyConditionExpression": "pk = :pk AND sk >= :since",
                    "ExpressionAttributeValues": {":pk": {"S": f"{PARTITION_PREFIX}{tenant}"}, ":since": {"S": since}},
                },
            )
            for tenant in tenants
        ]
    else:
        filtered = {**common, "FilterExpression": "sk >= :since", "ExpressionAttributeValues": {":since": {"S": since}}}
        parts = (
            [{"Segment": part, "TotalSegments": plan.segments} for part in range(plan.segments)] if plan.segments > 1 else [{}]
        )
        requests = [("scan", f"{table} segment {number}", {**filtered, **part}) for number, part in enumerate(parts)]

    def take_each(items: list[dict[str, Any]]) -> None:
        for item in items:
            take(item)

    reads, units = _read_pages(reader, requests, take_each)
    return merged(reads, table), units


def read_spans(
    reader: AwsReader, table: str, spans: Iterable[tuple[str, str, str]], take: Callable[[list[dict[str, Any]]], None]
) -> list[Read]:
    """Passes the items of these stretches of the ledger to `take`; returns the reads, those that were whole as one.

    Args:
        reader: bounds and counts the calls.
        table: the ledger table.
        spans: (partition key, least sort key, greatest sort key).
        take: called with the items of a page in DynamoDB JSON, never by two threads at once.
    """
    requests = [
        (
            "query",
            f"{table} {partition}",
            {
                **_whole_reading(table),
                "KeyConditionExpression": "pk = :pk AND sk BETWEEN :least AND :greatest",
                "ExpressionAttributeValues": {":pk": {"S": partition}, ":least": {"S": least}, ":greatest": {"S": greatest}},
            },
        )
        for partition, least, greatest in spans
    ]
    reads, _ = _read_pages(reader, requests, take)
    return merged(reads, table)


#: Operation, what it reads for messages, parameters.
_Request = tuple[str, str, dict[str, Any]]


def _whole_reading(table: str) -> dict[str, Any]:
    return {"TableName": table, "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}


def _read_pages(
    reader: AwsReader, requests: Sequence[_Request], take: Callable[[list[dict[str, Any]]], None]
) -> tuple[list[Read], float]:
    """Passes each page's items of these requests, all of one operation, to `take`; returns the reads and the read units used."""
    lock, units = threading.Lock(), [0.0]

    def consume(page: Mapping[str, Any]) -> None:
        with lock:
            units[0] += (page.get("ConsumedCapacity") or {}).get("CapacityUnits", 0)
            take(page.get("Items") or [])

    def read(request: _Request) -> Read:
        operation, resource, params = request
        return reader.paginate("dynamodb", operation, resource, consume=consume, **params).read

    reads = _in_parallel(read, requests)
    if reads:
        reader.meter.add(reads[0].operation, units=units[0])
    return reads, units[0]


def get_items(
    reader: AwsReader, table: str, keys: Iterable[tuple[str, str]], attributes: Sequence[str]
) -> tuple[list[dict[str, Any]], list[Read]]:
    """The items of these keys (pk, sk), as far as they exist, and how they were read.

    Args:
        reader: bounds and counts the calls.
        table: a table with the key pk, sk.
        keys: repeated keys, and keys too long for DynamoDB, are left out.
        attributes: what to read of each item beside its key.
    """
    wanted = sorted({key for key in keys if all(len(k.encode()) <= most for k, most in zip(key, _KEY_BYTES, strict=True))})
    names = {f"#{number}": name for number, name in enumerate(("pk", "sk", *attributes))}
    items: list[dict[str, Any]] = []

    def fetch(batch: Sequence[tuple[str, str]]) -> Read:
        left: dict[str, Any] = {
            table: {
                "Keys": [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in batch],
                "ConsistentRead": True,
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
            }
        }
        reads = []
        for _ in range(_BATCH_TRIES):
            answer = reader.call("dynamodb", "batch_get_item", table, RequestItems=left, ReturnConsumedCapacity="TOTAL")
            reads.append(answer.read)
            if answer.read.status is not ReadStatus.OK:
                return answer.read
            page = answer.pages[0]
            items.extend((page.get("Responses") or {}).get(table) or [])
            used = sum(entry.get("CapacityUnits", 0) for entry in page.get("ConsumedCapacity") or [])
            reader.meter.add(answer.read.operation, units=used)
            left = page.get("UnprocessedKeys") or {}
            if not left:
                return _one(reads, table)
        unread = len(left[table]["Keys"])
        first, last = reads[0], reads[-1]
        message = f"DynamoDB left {unread} keys unprocessed in {_BATCH_TRIES} tries"
        return Read(first.operation, table, ReadStatus.PARTIAL, message, len(reads), first.start, last.end)

    batches = [wanted[begin : begin + _BATCH] for begin in range(0, len(wanted), _BATCH)]
    return items, merged(_in_parallel(fetch, batches), table)


def merged(reads: Sequence[Read], table: str) -> list[Read]:
    """The complete reads merged into one, and every other read by itself; empty where there were none."""
    whole = [read for read in reads if read.status is ReadStatus.OK]
    rest = [read for read in reads if read.status is not ReadStatus.OK]
    return ([_one(whole, table)] if whole else []) + rest


def nothing_to_read(operation: str, table: str) -> Read:
    """The read for the case that there is no key to read: complete, without a call."""
    now = iso(datetime.now(UTC))
    return Read(operation, table, ReadStatus.OK, None, 0, now, now)


def _one(reads: Sequence[Read], table: str) -> Read:
    pages = sum(read.pages for read in reads)
    start, end = min(read.start for read in reads), max(read.end for read in reads)
    return Read(reads[0].operation, table, ReadStatus.OK, None, pages, start, end)


def _in_parallel(call: Callable[[Any], Read], arguments: Sequence[Any]) -> list[Read]:
    if len(arguments) <= 1:
        return [call(argument) for argument in arguments]
    with ThreadPoolExecutor(min(PARALLEL, len(arguments)), thread_name_prefix="ledger") as pool:
        return list(pool.map(call, arguments))
