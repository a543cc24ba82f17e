"""The platform's events of a window, from the log group that a rule of its bus fills. Reads and parses; judges nothing.

EventBridge itself keeps nothing that can be read; a rule whose target is a log group shows what an execution put on the bus.
`evidence.event_row` judges one event.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase5_ops.aws.logs import LogEvent, LogGroup, LogWindow, read_log_events
from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import epoch_milliseconds
from phase5_ops.reads import Read


@dataclass(frozen=True, slots=True)
class BusEvent:
    """One event: source, detail type, and its detail as a plain object."""

    source: str
    detail_type: str
    detail: Mapping[str, Any]


def read_bus_events(
    reader: AwsReader, group: str, start: datetime, end: datetime, ids: Collection[str], *, calls_per_second: float
) -> tuple[list[BusEvent], list[Read]]:
    """Every event that the log group holds from `start` to `end`, in order of arrival, and how the log was read.

    A line that names one of `ids` and is no event makes the read invalid: what it says of an execution is not known. Other lines
    that are no events are another's.

    Args:
        reader: bounds and counts the calls.
        group: the log group.
        start: begin of the window, by the platform's clock.
        end: its end.
        ids: of the executions that the events are asked for.
        calls_per_second: most calls of FilterLogEvents a second.
    """
    events: list[BusEvent] = []
    unread = 0

    def take(_: str, lines: list[LogEvent]) -> None:
        nonlocal unread
        for line in lines:
            if (event := parse_event(line.message)) is not None:
                events.append(event)
            elif any(one in line.message for one in ids):
                unread += 1

    period = (epoch_milliseconds(start), epoch_milliseconds(end) + 1)
    reads = read_log_events(reader, [LogGroup(group, None)], LogWindow((period,), calls_per_second), take)
    error = f"{unread} lines that name the execution are no events of EventBridge" if unread else None
    return events, [read.unless_invalid(error) for read in reads]


def parse_event(message: str) -> BusEvent | None:
    """The event of one line as EventBridge writes it; None for anything else."""
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
        return None
    return BusEvent(str(event.get("source") or ""), str(event.get("detail-type") or ""), event["detail"])
