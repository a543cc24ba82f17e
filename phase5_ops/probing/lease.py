"""One run probes at a time, and not too often: a lease with expiry and a counter of runs, in phase5's own state table.

    pk PROBES, sk LEASE        holder S (run id), expires_at_epoch N, acquired_at S
    pk PROBES, sk RUNS#<hour>  runs N, ttl N

Both are conditional writes, so that of two runs at once exactly one goes ahead; both fail closed. Expiry is wall clock, never
evaluation time. A lease that was taken over must not be used: its holder asks `remaining()` before each request.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.codes import PROBE_LEASE_HELD, PROBE_RATE_LIMITED, PROBE_STATE_UNAVAILABLE, Obstructed
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")

_KEY = {"pk": {"S": "PROBES"}, "sk": {"S": "LEASE"}}
_CONDITION_FAILED = "ConditionalCheckFailedException"
_DAY = 86_400


@dataclass
class Lease:
    """The right of one run to probe."""

    reader: AwsReader
    table: str
    holder: str
    expires_at: float
    wall: Callable[[], float] = time.time

    def remaining(self) -> float:
        """Seconds for which this run may still probe."""
        return self.expires_at - self.wall()

    def release(self) -> Read:
        """Gives the lease back, if it is still this run's; a lease taken over meanwhile is left alone."""
        return release(self.reader, self.table, self.holder)


def acquire(
    reader: AwsReader, table: str, holder: str, policy: ProbePolicy, *, wall: Callable[[], float] = time.time
) -> tuple[Lease, list[Read]]:
    """The lease, and one run counted; and how the table was used.

    Raises:
        Obstructed: another run holds it, too many runs this hour, or the table cannot be used.
    """
    now = wall()
    seen = reader.call("dynamodb", "get_item", table, TableName=table, Key=_KEY, ConsistentRead=True)
    _require(seen, table)
    item = seen.pages[0].get("Item") or {}
    other, expires = item.get("holder", {}).get("S"), float(item.get("expires_at_epoch", {}).get("N", 0))
    if other not in (None, holder) and expires > now:
        raise _held(table, other, expires)
    until = now + policy.lease_seconds
    taken = reader.call(
        "dynamodb",
        "put_item",
        table,
        TableName=table,
        Item={
            **_KEY,
            "holder": {"S": holder},
            "expires_at_epoch": {"N": f"{until:.3f}"},
            "acquired_at": {"S": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")},
        },
        ConditionExpression="attribute_not_exists(pk) OR holder = :me OR expires_at_epoch <= :now",
        ExpressionAttributeValues={":me": {"S": holder}, ":now": {"N": f"{now:.3f}"}},
    )
    if _refused(taken):
        raise _held(table, "another run, which was faster", until)
    _require(taken, table)
    lease = Lease(reader, table, holder, until, wall)
    try:
        counted = _count(reader, table, policy, now)
    except Obstructed:
        lease.release()
        raise
    return lease, [seen.read, taken.read, counted]


def release(reader: AwsReader, table: str, holder: str) -> Read:
    """Gives the lease of `holder` back; one that is not (or no longer) its own is left alone, which is no failure."""
    answer = reader.call(
        "dynamodb",
        "delete_item",
        table,
        TableName=table,
        Key=_KEY,
        ConditionExpression="attribute_not_exists(pk) OR holder = :me",
        ExpressionAttributeValues={":me": {"S": holder}},
    )
    if _refused(answer):
        return Read(answer.read.operation, table, ReadStatus.OK, None, 0, answer.read.start, answer.read.end)
    return answer.read


def _count(reader: AwsReader, table: str, policy: ProbePolicy, now: float) -> Read:
    hour = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H")
    counted = reader.call(
        "dynamodb",
        "update_item",
        table,
        TableName=table,
        Key={"pk": {"S": "PROBES"}, "sk": {"S": f"RUNS#{hour}"}},
        UpdateExpression="ADD runs :one SET #ttl = if_not_exists(#ttl, :ttl)",
        ConditionExpression="attribute_not_exists(runs) OR runs < :most",
        ExpressionAttributeNames={"#ttl": "ttl"},
        ExpressionAttributeValues={
            ":one": {"N": "1"},
            ":most": {"N": str(policy.runs_per_hour)},
            ":ttl": {"N": str(int(now) + _DAY)},
        },
    )
    if _refused(counted):
        raise Obstructed(
            PROBE_RATE_LIMITED,
            table,
            expected=f"at most {policy.runs_per_hour} runs an hour",
            seen=f"{policy.runs_per_hour} runs have probed in the hour {hour}Z",
        )
    _require(counted, table)
    return counted.read


def _refused(answer: Answer) -> bool:
    return (answer.read.error or "").startswith(_CONDITION_FAILED)


def _require(answer: Answer, table: str) -> None:
    read = answer.read
    if read.status is not ReadStatus.OK:
        remedy = "; `phase5 init` creates it" if read.status is ReadStatus.NOT_FOUND else ""
        raise Obstructed(
            PROBE_STATE_UNAVAILABLE,
            f"{read.operation} {table}",
            expected="a lease for this run",
            seen=f"{read.status}: {read.error}{remedy}",
        )


def _held(table: str, holder: Any, expires: float) -> Obstructed:  # noqa: ANN401 - as DynamoDB shows it
    until = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
    return Obstructed(
        PROBE_LEASE_HELD, table, expected="no other run probing", seen=f"held by {holder} until {until} at the latest"
    )
