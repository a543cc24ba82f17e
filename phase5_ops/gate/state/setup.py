"""Creates phase5's own state table (`phase5 init`): the probes' lease and counters, later the gate's state. Changes nothing else.

Idempotent: what is right already is left alone, and every step says what it did. Billed on demand, since it is hardly used; with
point-in-time recovery and deletion protection, since losing it would lose who signed what.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ConfigurationError

#: What `phase5 init` needs, once; a readiness run does not.
IAM_ACTIONS = (
    "dynamodb:CreateTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
)

TTL_ATTRIBUTE = "ttl"
_KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
_TRIES, _PAUSE_SECONDS = 60, 1.0


def initialise(reader: AwsReader, table: str, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Creates `table` or completes it; yields what was done, a line each.

    Raises:
        ConfigurationError: a call failed, or a table of that name has other keys.
    """
    description = _describe(reader, table)
    if description is None:
        _call(
            reader,
            "create_table",
            table,
            KeySchema=_KEYS,
            AttributeDefinitions=[{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in _KEYS],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
        )
        description = _active(reader, table, sleep)
        yield f"created table {table} (on demand, deletion protection)"
    else:
        if description.get("KeySchema") != _KEYS:
            raise ConfigurationError(f"PHASE5_TABLES__READINESS={table}: a table of this name has other keys than pk, sk")
        yield f"table {table} is there"
        if not description.get("DeletionProtectionEnabled"):
            _call(reader, "update_table", table, DeletionProtectionEnabled=True)
            _active(reader, table, sleep)
            yield "turned deletion protection on"
    yield from _recovery(reader, table)
    yield from _expiry(reader, table)


def _recovery(reader: AwsReader, table: str) -> Iterator[str]:
    answer = _call(reader, "describe_continuous_backups", table)
    backups = answer.pages[0].get("ContinuousBackupsDescription", {})
    status = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if status == "ENABLED":
        yield "point-in-time recovery is on"
        return
    specification = {"PointInTimeRecoveryEnabled": True}
    _call(reader, "update_continuous_backups", table, PointInTimeRecoverySpecification=specification)
    yield "turned point-in-time recovery on"


def _expiry(reader: AwsReader, table: str) -> Iterator[str]:
    description = _call(reader, "describe_time_to_live", table).pages[0].get("TimeToLiveDescription", {})
    if description.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
        yield "expiry of old counters is on"
        return
    _call(reader, "update_time_to_live", table, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE})
    yield f"turned expiry of old counters on (attribute {TTL_ATTRIBUTE})"


def _describe(reader: AwsReader, table: str) -> dict[str, Any] | None:
    answer = reader.call("dynamodb", "describe_table", table, TableName=table)
    if answer.read.status is ReadStatus.NOT_FOUND:
        return None
    return dict(_checked(answer).pages[0]["Table"])


def _active(reader: AwsReader, table: str, sleep: Callable[[float], None]) -> dict[str, Any]:
    for _ in range(_TRIES):
        description = _describe(reader, table)
        if description is not None and description.get("TableStatus") == "ACTIVE":
            return description
        sleep(_PAUSE_SECONDS)
    raise ConfigurationError(f"table {table} did not become active; run phase5 init again")


def _call(reader: AwsReader, operation: str, table: str, **params: Any) -> Answer:  # noqa: ANN401 - parameters of the API
    return _checked(reader.call("dynamodb", operation, table, TableName=table, **params))


def _checked(answer: Answer) -> Answer:
    read = answer.read
    if read.status is not ReadStatus.OK:
        raise ConfigurationError(f"{read.operation} on {read.resource} did not succeed: {read.status}: {read.error}")
    return answer
