"""Reading DynamoDB tables whole: all pages of a scan, and the identity of the table. Judges nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.reads import Read, ReadStatus

_MOST_SHARED = 1000  # items of a table that are held until the run ends

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("dynamodb:Scan", "dynamodb:DescribeTable")


def scan_table(reader: AwsReader, table: str, *, attributes: Sequence[str] = ()) -> Answer:
    """All pages of a consistent scan of `table`; the read capacity units it used are added to the reader's meter.

    With `attributes`, only those are sent (at the same price).
    """
    chosen = _projection(attributes) if attributes else {}
    answer = reader.paginate(
        "dynamodb", "scan", table, TableName=table, ConsistentRead=True, ReturnConsumedCapacity="TOTAL", **chosen
    )
    consumed = sum((page.get("ConsumedCapacity") or {}).get("CapacityUnits", 0) for page in answer.pages)
    reader.meter.add(answer.read.operation, units=consumed)
    return answer


def _projection(attributes: Sequence[str]) -> dict[str, Any]:
    names = {f"#a{number}": name for number, name in enumerate(attributes)}
    return {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}


def scan_items(reader: AwsReader, table: str, *, attributes: Sequence[str] = ()) -> tuple[list[dict[str, Any]], Read]:
    """The items of `table` in DynamoDB JSON, and how they were read; after a failed page, the items that came before it."""
    answer = scan_table(reader, table, attributes=attributes)
    return answer.items("Items"), answer.read


def _kept_as(table: str) -> str:
    """The name under which a reader keeps the scan of a whole table."""
    return f"scan {table}"


def scan_items_once(reader: AwsReader, table: str) -> tuple[list[dict[str, Any]], Read]:
    """Like `scan_items`, for a table that several sections need and none changes: a run reads it once, unless that fails.

    The read tells when that was. The items are shared until the run ends: do not change them.
    """
    answer = reader.once(_kept_as(table), lambda: scan_table(reader, table))
    return answer.items("Items"), answer.read


def share_scan(reader: AwsReader, table: str, scan: Answer) -> None:
    """Lets `scan_items_once` and `scan_pages` take this scan of the whole table; one of very many items is not kept so long."""
    if len(scan.items("Items")) <= _MOST_SHARED:
        reader.share(_kept_as(table), scan)


def describe_table(reader: AwsReader, table: str) -> Answer:
    """DescribeTable: keys, indexes, identity, state of `table`."""
    return reader.call("dynamodb", "describe_table", table, TableName=table)


def describe_table_once(reader: AwsReader, table: str) -> Answer:
    """Like `describe_table`, but once per run: for what does not change, above all the table's identity."""
    return reader.once(f"describe {table}", lambda: describe_table(reader, table))


def identity_of(description: Mapping[str, Any]) -> str | None:
    """What distinguishes this table from a later one of the same name: its TableId, else its ARN with its creation time."""
    if table_id := description.get("TableId"):
        return str(table_id)
    arn, created = description.get("TableArn"), description.get("CreationDateTime")
    return f"{arn}@{created.isoformat()}" if arn and created else None


def table_identity(reader: AwsReader, table: str) -> tuple[str | None, Read]:
    """The identity of `table`; None if it could not be described."""
    answer = describe_table_once(reader, table)
    return identity_of(answer.pages[0].get("Table", {}) if answer.pages else {}), answer.read


def scan_pages(
    reader: AwsReader,
    table: str,
    take: Callable[[list[dict[str, Any]]], None],
    *,
    attributes: Sequence[str],
    at_least: tuple[str, str] | None = None,
    seconds: float | None = None,
) -> Read:
    """Passes on the items of `table` page by page, so that a table of any size needs no more memory than a page.

    Reads with eventual consistency, at half the price of `scan_items`; what the run has read whole already is not read again.

    Args:
        reader: reads AWS.
        table: the table's name.
        take: gets the items of a page, DynamoDB JSON, with no more than `attributes`.
        attributes: names of the attributes that are needed.
        at_least: an attribute (text) and its least value; items below it are not sent (at the same price).
        seconds: no further page is read after this time; the read then ends as a timeout.

    Returns:
        One read over all pages; if a page failed, `take` got the pages before it.
    """
    if (shared := reader.shared(_kept_as(table))) is not None:
        there = (item for item in shared.items("Items") if at_least is None or _is_at_least(item.get(at_least[0]), at_least[1]))
        take([{name: item[name] for name in attributes if name in item} for item in there])
        return shared.read
    request = {"TableName": table, "ReturnConsumedCapacity": "TOTAL", **_projection(attributes)}
    if at_least:
        request["FilterExpression"] = "#least >= :least"
        request["ExpressionAttributeNames"]["#least"] = at_least[0]
        request["ExpressionAttributeValues"] = {":least": {"S": at_least[1]}}
    pages, start, began = 0, None, time.monotonic()
    while True:
        answer = reader.call("dynamodb", "scan", table, **request)
        start = start or answer.read.start
        read = replace(answer.read, pages=pages + answer.read.pages, start=start)
        if answer.read.status is not ReadStatus.OK:
            return read
        page = answer.pages[0]
        reader.meter.add(read.operation, units=(page.get("ConsumedCapacity") or {}).get("CapacityUnits", 0))
        take(page.get("Items") or [])
        pages = read.pages
        if not page.get("LastEvaluatedKey"):
            return read
        if seconds is not None and time.monotonic() - began >= seconds:
            return replace(read, status=ReadStatus.TIMEOUT, error=f"the table has more pages than were read in {seconds:g} s")
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _is_at_least(value: object, least: str) -> bool:
    """As DynamoDB compares: texts with texts, by their bytes in UTF-8."""
    text = value.get("S") if isinstance(value, Mapping) else None
    return isinstance(text, str) and text.encode() >= least.encode()
