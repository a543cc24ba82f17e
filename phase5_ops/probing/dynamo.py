"""The DynamoDB calls of probing: one partition read consistently, items written and removed in batches. Bounded by the reader."""

from collections.abc import Mapping, Sequence
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("dynamodb:Query", "dynamodb:BatchWriteItem")

Item = Mapping[str, Any]

BATCH_ITEMS = 25  # the most that one BatchWriteItem takes
_BATCH_TRIES = 5


def query_partition(
    reader: AwsReader,
    table: str,
    partition: str,
    *,
    beginning: str | None = None,
    since: str | None = None,
    key: str = "pk",
    index: str | None = None,
) -> tuple[list[dict[str, Any]], Read]:
    """The items of a partition, read consistently: those whose sort key begins with `beginning`, or is not before `since`.

    `key` is the partition key's attribute, `index` one of the table's indexes, which only answers eventually consistently.
    """
    condition, values = "#pk = :pk", {":pk": {"S": partition}}
    if beginning is not None:
        condition, values[":sk"] = f"{condition} AND begins_with(sk, :sk)", {"S": beginning}
    elif since is not None:
        condition, values[":sk"] = f"{condition} AND sk >= :sk", {"S": since}
    answer = reader.paginate(
        "dynamodb",
        "query",
        table,
        TableName=table,
        KeyConditionExpression=condition,
        ExpressionAttributeNames={"#pk": key},
        ExpressionAttributeValues=values,
        **({"IndexName": index} if index else {"ConsistentRead": True}),
    )
    return answer.items("Items"), answer.read


def put_items(reader: AwsReader, table: str, items: Sequence[Item]) -> list[Read]:
    """Writes all items, or says in the reads which call did not succeed."""
    return _write(reader, table, [{"PutRequest": {"Item": dict(item)}} for item in items])


def delete_items(reader: AwsReader, table: str, keys: Sequence[Item]) -> list[Read]:
    """Removes the items of these keys; one that is not there is no failure."""
    return _write(reader, table, [{"DeleteRequest": {"Key": dict(key)}} for key in keys])


def _write(reader: AwsReader, table: str, requests: Sequence[Mapping[str, Any]]) -> list[Read]:
    reads = []
    for begin in range(0, len(requests), BATCH_ITEMS):
        rest = {table: list(requests[begin : begin + BATCH_ITEMS])}
        for _ in range(_BATCH_TRIES):
            answer = reader.call("dynamodb", "batch_write_item", table, RequestItems=rest)
            rest = dict(answer.pages[0].get("UnprocessedItems") or {}) if answer.pages else {}
            if not rest:
                break
        read = answer.read
        if rest:  # at every try DynamoDB left some of it unprocessed
            read = Read(read.operation, table, ReadStatus.THROTTLED, "UnprocessedItems", read.pages, read.start, read.end)
        reads.append(read)
    return reads
