"""What the alarm reader hands on, as plain data. Pure: no boto3, so that evidence can use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase5_ops.reads import Read


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic: whether it exists (None: could not be read), and its subscriptions (None: could not be read)."""

    arn: str
    exists: bool | None
    confirmed: int | None
    pending: int | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Alarms:
    """All alarms and mute rules of the region, as DescribeAlarms and GetAlarmMuteRule give them."""

    metric_alarms: Sequence[Mapping[str, Any]]
    composite_alarms: Sequence[Mapping[str, Any]]
    mute_rules: Sequence[Mapping[str, Any]]
    reads: Sequence[Read]
