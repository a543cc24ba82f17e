"""A test tenant's kill switch for one action type: on while a block runs, and then as it was before.

Only the list `disabled_action_types` of the tenant's item is touched (platform's tenants table), under the condition that nobody
changed it meanwhile. A run that is killed in between leaves the type switched off for the test tenant; the next run takes it as
it finds it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:UpdateItem")

_LIST = "disabled_action_types"


class NotSwitched(Exception):
    """The kill switch could not be set; the message says why."""


@contextmanager
def switched_off(reader: AwsReader, table: str, tenant: str, action_type: str) -> Iterator[list[Read]]:
    """Switches an action type off for a tenant.

    Args:
        reader: calls AWS.
        table: the platform's tenants table.
        tenant: a test tenant.
        action_type: one that nothing else of the run uses.

    Yields:
        The reads of setting it; the read of putting it back is added at the end.

    Raises:
        NotSwitched: the item cannot be read, is not as expected, or was not written.
    """
    seen = reader.call("dynamodb", "get_item", table, TableName=table, Key={"tenantId": {"S": tenant}}, ConsistentRead=True)
    if seen.read.status is not ReadStatus.OK:
        raise NotSwitched(_why(seen.read))
    before = (seen.pages[0].get("Item") or {}).get(_LIST)
    listed = [] if before is None else before.get("L")
    if listed is None:
        raise NotSwitched(f"{_LIST} of {tenant} is not a list")
    reads = [seen.read]
    if {"S": action_type} in listed:
        yield reads
        return
    off = {"L": [*listed, {"S": action_type}]}
    done = _set(reader, table, tenant, before, off)
    if done.status is not ReadStatus.OK:
        raise NotSwitched(_why(done))
    reads.append(done)
    try:
        yield reads
    finally:
        reads.append(_set(reader, table, tenant, off, before))


def _set(reader: AwsReader, table: str, tenant: str, was: dict[str, Any] | None, now: dict[str, Any] | None) -> Read:
    values = {name: value for name, value in ((":was", was), (":now", now)) if value is not None}
    answer = reader.call(
        "dynamodb",
        "update_item",
        table,
        TableName=table,
        Key={"tenantId": {"S": tenant}},
        UpdateExpression="SET #list = :now" if now is not None else "REMOVE #list",
        ConditionExpression="#list = :was" if was is not None else "attribute_exists(tenantId) AND attribute_not_exists(#list)",
        ExpressionAttributeNames={"#list": _LIST},
        ExpressionAttributeValues=values,
    )
    return answer.read


def _why(read: Read) -> str:
    return f"the kill switch could not be set: {read.operation} {read.resource}: {read.status}: {read.error}"
