"""Reading DynamoDB tables whole: all pages of a scan, and which table it really was. Judges nothing."""

from collections.abc import Mapping
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.reads import Read

#: What this reader needs to be allowed to do.
IAM_ACTIONS = ("dynamodb:Scan", "dynamodb:DescribeTable")


def scan_table(reader: AwsReader, table: str, *, consistent: bool = True) -> Answer:
    """All pages of a scan of `table`; the read capacity units it used are added to the reader's meter."""
    answer = reader.paginate(
        "dynamodb", "scan", table, TableName=table, ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL"
    )
    consumed = sum((page.get("ConsumedCapacity") or {}).get("CapacityUnits", 0) for page in answer.pages)
    reader.meter.add(answer.read.operation, units=consumed)
    return answer


def scan_items(reader: AwsReader, table: str) -> tuple[list[dict[str, Any]], Read]:
    """The items of `table` in DynamoDB JSON, and how they were read; after a failed page, the items that came before it."""
    answer = scan_table(reader, table)
    return answer.items("Items"), answer.read


def describe_table(reader: AwsReader, table: str) -> Answer:
    """DescribeTable: keys, indexes, identity, state of `table`."""
    return reader.call("dynamodb", "describe_table", table, TableName=table)


def identity_of(description: Mapping[str, Any]) -> str | None:
    """What tells this table from a later one of the same name: its TableId, else its ARN with the time it was made."""
    if table_id := description.get("TableId"):
        return str(table_id)
    arn, created = description.get("TableArn"), description.get("CreationDateTime")
    return f"{arn}@{created.isoformat()}" if arn and created else None


def table_identity(reader: AwsReader, table: str) -> tuple[str | None, Read]:
    """The identity of `table`; None if it could not be described."""
    answer = describe_table(reader, table)
    return identity_of(answer.pages[0].get("Table", {}) if answer.pages else {}), answer.read
