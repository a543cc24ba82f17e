"""The events of the sandbox's bus as a rule leaves them in a log group, on the platform's clock."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from moto.logs.models import logs_backends

from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.clock import PlatformClock

GROUP = "/aws/events/cc-native-events"


class EventLog:
    """Writes each event that it is given as one line, in a stream of its own as EventBridge does."""

    def __init__(self, clock: PlatformClock, region: str) -> None:
        self._clock, self._region = clock, region

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Writes one event; without the group it is lost."""
        group = logs_backends[ACCOUNT][self._region].groups.get(GROUP)
        if group is None:
            return
        now, stream = self._clock.now(), str(uuid.uuid4())
        group.create_log_stream(stream)
        message = json.dumps({**event, "time": iso(now)}, default=str)
        group.streams[stream].put_log_events([{"timestamp": int(now.timestamp() * 1000), "message": message}])
