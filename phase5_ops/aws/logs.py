"""Reading CloudWatch Logs: which groups there are, and the events of a window, page by page. Judges nothing.

FilterLogEvents is limited to 5 (in some regions 10) calls a second for the whole account, so all groups share one pace. Pages are
passed on as they come and not kept.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from phase5_ops.aws.pace import Pace
from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("logs:DescribeLogGroups", "logs:FilterLogEvents")

_PARALLEL_GROUPS = 4
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class LogGroup:
    """One log group: its name, and for how many days it keeps events (None: for ever)."""

    name: str
    retention_days: int | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event: stream, epoch milliseconds, message."""

    stream: str
    time: int
    message: str


@dataclass(frozen=True, slots=True)
class LogWindow:
    """What is read: the ranges [start, end) in epoch milliseconds, and how many calls a second at most."""

    ranges: tuple[tuple[int, int], ...]
    calls_per_second: float


def list_log_groups(reader: AwsReader, prefixes: Iterable[str]) -> tuple[list[LogGroup], list[Read]]:
    """The log groups whose names begin with one of the prefixes, once each, by name; and one read per prefix."""
    groups: dict[str, LogGroup] = {}
    reads = []
    for prefix in prefixes:
        answer = reader.paginate("logs", "describe_log_groups", prefix, logGroupNamePrefix=prefix)
        reads.append(answer.read)
        for entry in answer.items("logGroups"):
            name = str(entry["logGroupName"])
            groups[name] = LogGroup(name, entry.get("retentionInDays"))
    return sorted(groups.values(), key=lambda group: group.name), reads


def read_log_events(
    reader: AwsReader, groups: Sequence[LogGroup], window: LogWindow, consume: Callable[[str, list[LogEvent]], None]
) -> list[Read]:
    """Passes the events of all groups to `consume(group, events)`, a page at a time, those of one group in order of time.

    Several groups are read at once; `consume` is called by one thread at a time. Returns one read per group and range.
    """
    pace = Pace(window.calls_per_second)
    lock = threading.Lock()

    def read(group: LogGroup) -> list[Read]:
        return [_read_range(reader, group.name, period, pace=pace, lock=lock, consume=consume) for period in window.ranges]

    with ThreadPoolExecutor(_PARALLEL_GROUPS, thread_name_prefix="log-events") as pool:
        return [read for reads in pool.map(read, groups) for read in reads]


def _read_range(
    reader: AwsReader,
    group: str,
    period: tuple[int, int],
    *,
    pace: Pace,
    lock: threading.Lock,
    consume: Callable[[str, list[LogEvent]], None],
) -> Read:
    odd = 0

    def page(answer: Mapping[str, Any]) -> None:
        nonlocal odd
        events = []
        entries = answer.get("events")
        for entry in entries if isinstance(entries, list) else ():
            stream, moment, message = entry.get("logStreamName"), entry.get("timestamp"), entry.get("message")
            if isinstance(stream, str) and isinstance(moment, int) and isinstance(message, str):
                events.append(LogEvent(stream, moment, message))
            else:
                odd += 1
        with lock:
            consume(group, events)

    read = reader.paginate(
        "logs",
        "filter_log_events",
        group,
        consume=page,
        before_page=pace.wait,
        logGroupName=group,
        startTime=period[0],
        endTime=period[1],
        interleaved=True,
    ).read
    if odd and read.status is ReadStatus.OK:
        return replace(read, status=ReadStatus.PARTIAL, error=f"{odd} events without stream, time or message")
    return read


def retention_reads(groups: Iterable[LogGroup], start: int, now: int, model: Read) -> list[Read]:
    """A partial read for every group that no longer keeps the beginning of the window (`start`, `now` in epoch milliseconds)."""
    return [
        replace(
            model,
            operation="logs:retention",
            resource=group.name,
            status=ReadStatus.PARTIAL,
            error=f"the group keeps events for {group.retention_days} days only",
        )
        for group in groups
        if group.retention_days is not None and group.retention_days * _DAY_MS < now - start
    ]
