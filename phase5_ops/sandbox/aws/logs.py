"""CloudWatch Logs by the platform's clock: moto drops events older than 14 days by the machine's clock, this by the sandbox's.

A sandbox that replays a capture takes events of any age, since its clock follows the data.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partialmethod
from typing import Any
from unittest.mock import patch

from moto.logs.exceptions import InvalidParameterException, ResourceNotFoundException
from moto.logs.models import LogsBackend

from phase5_ops.sandbox.aws.clock import PlatformClock

_OLDEST, _NEWEST = timedelta(days=14), timedelta(hours=2)  # PutLogEvents (API reference)


@contextmanager
def installed(clock: PlatformClock) -> Iterator[None]:
    """Replaces moto's PutLogEvents for the block; in a block of another clock that one counts."""
    with patch.object(LogsBackend, "put_log_events", partialmethod(_put_log_events, clock)):
        yield


def _put_log_events(
    self: LogsBackend, clock: PlatformClock, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    if log_group_name not in self.groups:
        raise ResourceNotFoundException()
    stamps = [event["timestamp"] for event in log_events]
    if stamps != sorted(stamps):
        raise InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
    rejected: dict[str, Any] = {}
    accepted = log_events
    if not clock.replay:
        now = clock.now()
        oldest, newest = ((now - _OLDEST).timestamp() * 1000, (now + _NEWEST).timestamp() * 1000)
        accepted = [event for event in log_events if oldest <= event["timestamp"] <= newest]
        old = sum(stamp < oldest for stamp in stamps)
        new = sum(stamp > newest for stamp in stamps)
        rejected |= {"tooOldLogEventEndIndex": old - 1} if old else {}
        rejected |= {"tooNewLogEventStartIndex": len(stamps) - new} if new else {}
    return self.groups[log_group_name].put_log_events(log_stream_name, accepted), rejected
