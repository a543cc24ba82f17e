"""The DynamoDB calls of probing: one partition read consistently, items written and removed in batches. Bounded by the reader."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from phase5_ops.aws.pace import side_by_side
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("dynamodb:Query", "dynamodb:BatchWriteItem")

Item = Mapping[str, Any]

BATCH_ITEMS = 25  # the most that one BatchWriteItem takes
_BATCH_TRIES = 5
_WRITERS = 2  # one call is made while another is answered; more would use a table's capacity up sooner
_NOTHING: Mapping[str, Sequence[Item]] = {}


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


def change_items(
    reader: AwsReader, *, removed: Mapping[str, Sequence[Item]], written: Mapping[str, Sequence[Item]] = _NOTHING
) -> list[Read]:
    """Removes items and writes others, in several tables, in as few calls as hold them.

    Where a call for several tables does not succeed, each of them has its own, so that one that refuses keeps none back.

    Args:
        reader: of the run.
        removed: by table, the keys of the items to remove.
        written: by table, the items to write; none of them under a key that is removed.
    """
    changes = [(table, {"DeleteRequest": {"Key": dict(key)}}) for table, keys in removed.items() for key in keys]
    changes += [(table, {"PutRequest": {"Item": dict(item)}}) for table, items in written.items() for item in items]
    reads = []
    for begin in range(0, len(changes), BATCH_ITEMS):
        batch: dict[str, list[Item]] = {}
        for table, request in changes[begin : begin + BATCH_ITEMS]:
            batch.setdefault(table, []).append(request)
        read = _write_batch(reader, batch)
        if read.status is ReadStatus.OK or len(batch) == 1:
            reads.append(read)
        else:
            reads += [_write_batch(reader, {table: requests}) for table, requests in batch.items()]
    return reads


def _write(reader: AwsReader, table: str, requests: Sequence[Item]) -> list[Read]:
    batches = [{table: requests[begin : begin + BATCH_ITEMS]} for begin in range(0, len(requests), BATCH_ITEMS)]
    return side_by_side(partial(_write_batch, reader), batches, min(_WRITERS, len(batches)) or 1, "dynamodb-writes")


def _write_batch(reader: AwsReader, batch: Mapping[str, Sequence[Item]]) -> Read:
    """One BatchWriteItem, made again with what DynamoDB left unprocessed."""
    rest, tables = {table: list(requests) for table, requests in batch.items()}, ", ".join(batch)
    for _ in range(_BATCH_TRIES):
        answer = reader.call("dynamodb", "batch_write_item", tables, RequestItems=rest)
        rest = dict(answer.pages[0].get("UnprocessedItems") or {}) if answer.pages else {}
        if not rest:
            return answer.read
    read = answer.read  # at every try DynamoDB left some of it unprocessed
    return Read(read.operation, tables, ReadStatus.THROTTLED, "UnprocessedItems", read.pages, read.start, read.end)
