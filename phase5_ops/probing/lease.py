"""One run probes at a time, and not too often: a lease with expiry and a counter of runs, in phase5's own state table.

    pk PROBES, sk LEASE        holder S (run id), users SS, expires_at_epoch N, acquired_at S
    pk PROBES, sk RUNS#<hour>  runs N, last_run S, ttl N

(pk PROBES#<environment> for one of several environments in a Dagster instance, which may have this table together.)
Both are conditional writes, so that of two runs at once exactly one goes ahead; both fail closed. Expiry is wall clock, never
evaluation time. A lease that was taken over must not be used: its holder asks `remaining()` before each request.

Several parts of one run use the same lease and count as one run: each acquires it under a name of its own, and the lease ends
when the last of them has given it back.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Settings

IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")

_CONDITION_FAILED = "ConditionalCheckFailedException"
_DAY = 86_400
_NAMES = {"#users": "users"}  # a reserved word of DynamoDB


#: The user of a run whose parts do not share the lease.
ANY_USER = "probes"


@dataclass(frozen=True, slots=True)
class ProbesPartition:
    """Where probes of an environment note what they need between calls and runs: phase5's own state table, and a partition."""

    table: str
    pk: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of the environment of these settings."""
        return cls(settings.tables.readiness, settings.probes_partition)

    def key(self, sk: str) -> dict[str, dict[str, str]]:
        """The key of an item in it."""
        return {"pk": {"S": self.pk}, "sk": {"S": sk}}

    @property
    def lease(self) -> dict[str, dict[str, str]]:
        """The key of the lease."""
        return self.key("LEASE")


@dataclass
class Lease:
    """The right of one run to probe, held by the part of it named `user`; `joined`: another part of the run held it already."""

    reader: AwsReader
    place: ProbesPartition
    holder: str
    expires_at: float
    wall: Callable[[], float] = time.time
    user: str = ANY_USER
    joined: bool = False

    def remaining(self) -> float:
        """Seconds for which this run may still probe."""
        return self.expires_at - self.wall()

    def release(self) -> Read:
        """Gives the lease back, if it is still this run's; a lease taken over meanwhile is left alone."""
        return release(self.reader, self.place, self.holder, user=self.user)


def acquire(
    reader: AwsReader,
    place: ProbesPartition,
    holder: str,
    policy: ProbePolicy,
    *,
    user: str = ANY_USER,
    wall: Callable[[], float] = time.time,
) -> tuple[Lease, list[Read]]:
    """Acquires the lease and counts the run; returns the lease and the reads.

    Args:
        reader: calls AWS.
        place: where the lease is.
        holder: id of the run.
        policy: how long the lease lasts, how many runs an hour.
        user: the part of the run that will give it back; a lease that another part holds already is shared.
        wall: epoch seconds.

    Raises:
        Obstructed: another run holds it, too many runs this hour, or the table cannot be used.
    """
    now, table = wall(), place.table
    seen = reader.call("dynamodb", "get_item", table, TableName=table, Key=place.lease, ConsistentRead=True)
    _require(seen, table)
    item = seen.pages[0].get("Item") or {}
    other, expires = item.get("holder", {}).get("S"), float(item.get("expires_at_epoch", {}).get("N", 0))
    if other not in (None, holder) and expires > now:
        raise _held(table, other, expires)
    until = now + policy.lease_seconds
    shared = other == holder and expires > now
    taken = _join(reader, place, holder, user, until) if shared else _take(reader, place, holder, user, (now, until))
    if _refused(taken):
        raise _held(table, "another run, which took it at the same moment,", until)
    _require(taken, table)
    lease = Lease(reader, place, holder, until, wall, user, joined=shared)
    try:
        counted = [] if shared else _count(reader, place, policy, now, holder)
    except Obstructed:
        lease.release()
        raise
    return lease, [seen.read, taken.read, *counted]


def _take(reader: AwsReader, place: ProbesPartition, holder: str, user: str, span: tuple[float, float]) -> Answer:
    """Writes the lease for a span of epoch seconds, unless another run has one that has not expired."""
    now, until = span
    return reader.call(
        "dynamodb",
        "put_item",
        place.table,
        TableName=place.table,
        Item={
            **place.lease,
            "holder": {"S": holder},
            "users": {"SS": [user]},
            "expires_at_epoch": {"N": f"{until:.3f}"},
            "acquired_at": {"S": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")},
        },
        ConditionExpression="attribute_not_exists(pk) OR holder = :me OR expires_at_epoch <= :now",
        ExpressionAttributeValues={":me": {"S": holder}, ":now": {"N": f"{now:.3f}"}},
    )


def _join(reader: AwsReader, place: ProbesPartition, holder: str, user: str, until: float) -> Answer:
    """Adds a user to the lease that this run holds, and prolongs it."""
    return reader.call(
        "dynamodb",
        "update_item",
        place.table,
        TableName=place.table,
        Key=place.lease,
        UpdateExpression="ADD #users :user SET expires_at_epoch = :until",
        ConditionExpression="holder = :me",
        ExpressionAttributeNames=_NAMES,
        ExpressionAttributeValues={":me": {"S": holder}, ":user": {"SS": [user]}, ":until": {"N": f"{until:.3f}"}},
    )


def release(reader: AwsReader, place: ProbesPartition, holder: str, *, user: str = ANY_USER) -> Read:
    """Removes `user` from the lease of `holder`, and ends the lease if that was the last user.

    A lease that is not (or no longer) the holder's is left alone, which is no failure.
    """
    left = reader.call(
        "dynamodb",
        "update_item",
        place.table,
        TableName=place.table,
        Key=place.lease,
        UpdateExpression="DELETE #users :user",
        ConditionExpression="holder = :me",
        ExpressionAttributeNames=_NAMES,
        ExpressionAttributeValues={":me": {"S": holder}, ":user": {"SS": [user]}},
        ReturnValues="ALL_NEW",
    )
    if _refused(left):
        return _settled(left, place.table)
    if left.read.status is not ReadStatus.OK or left.pages[0].get("Attributes", {}).get("users"):
        return left.read
    return _delete(reader, place, holder, "holder = :me AND attribute_not_exists(#users)", ExpressionAttributeNames=_NAMES)


def held(reader: AwsReader, place: ProbesPartition, holder: str) -> bool:
    """Whether the lease is the holder's and has not been given back; False where the table does not say."""
    seen = reader.call("dynamodb", "get_item", place.table, TableName=place.table, Key=place.lease, ConsistentRead=True)
    return seen.read.status is ReadStatus.OK and seen.pages[0].get("Item", {}).get("holder", {}).get("S") == holder


def end(reader: AwsReader, place: ProbesPartition, holder: str) -> Read:
    """Ends the lease of `holder`, whichever of its parts use it; one that is not the holder's is left alone, as in `release`."""
    return _delete(reader, place, holder, "holder = :me")


def _delete(reader: AwsReader, place: ProbesPartition, holder: str, condition: str, **names: Any) -> Read:  # noqa: ANN401 - as boto3 takes them
    """Deletes the lease if it exists and the condition holds; otherwise nothing happens, which is no failure."""
    ended = reader.call(
        "dynamodb",
        "delete_item",
        place.table,
        TableName=place.table,
        Key=place.lease,
        ConditionExpression=f"attribute_not_exists(pk) OR ({condition})",
        ExpressionAttributeValues={":me": {"S": holder}},
        **names,
    )
    return _settled(ended, place.table) if _refused(ended) else ended.read


def _settled(answer: Answer, table: str) -> Read:
    """The read where a failed condition means that there is nothing to give back."""
    return Read(answer.read.operation, table, ReadStatus.OK, None, 0, answer.read.start, answer.read.end)


def _count(reader: AwsReader, place: ProbesPartition, policy: ProbePolicy, now: float, holder: str) -> list[Read]:
    """Counts the run in this hour; parts of the same run count once."""
    hour = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H")
    key, table = place.key(f"RUNS#{hour}"), place.table
    counted = reader.call(
        "dynamodb",
        "update_item",
        place.table,
        TableName=place.table,
        Key=key,
        UpdateExpression="ADD runs :one SET #ttl = if_not_exists(#ttl, :ttl), last_run = :me",
        ConditionExpression="(attribute_not_exists(runs) OR runs < :most)"
        " AND (attribute_not_exists(last_run) OR last_run <> :me)",
        ExpressionAttributeNames={"#ttl": "ttl"},
        ExpressionAttributeValues={
            ":one": {"N": "1"},
            ":most": {"N": str(policy.runs_per_hour)},
            ":me": {"S": holder},
            ":ttl": {"N": str(int(now) + _DAY)},
        },
    )
    if not _refused(counted):
        _require(counted, table)
        return [counted.read]
    known = reader.call("dynamodb", "get_item", table, TableName=table, Key=key, ConsistentRead=True)
    _require(known, table)
    if (known.pages[0].get("Item") or {}).get("last_run", {}).get("S") != holder:
        raise Obstructed(
            ProbingCode.PROBE_RATE_LIMITED,
            table,
            expected=f"at most {policy.runs_per_hour} runs an hour",
            seen=f"{policy.runs_per_hour} runs have probed in the hour {hour}Z",
        )
    return [known.read]


def _refused(answer: Answer) -> bool:
    return (answer.read.error or "").startswith(_CONDITION_FAILED)


def _require(answer: Answer, table: str) -> None:
    read = answer.read
    if read.status is not ReadStatus.OK:
        remedy = "; `phase5 init` creates it" if read.status is ReadStatus.NOT_FOUND else ""
        raise Obstructed(
            ProbingCode.PROBE_STATE_UNAVAILABLE,
            f"{read.operation} {table}",
            expected="a lease for this run",
            seen=f"{read.status}: {read.error}{remedy}",
        )


def _held(table: str, holder: Any, expires: float) -> Obstructed:  # noqa: ANN401 - as DynamoDB shows it
    until = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
    return Obstructed(
        ProbingCode.PROBE_LEASE_HELD, table, expected="no other run probing", seen=f"held by {holder} until {until} at the latest"
    )
