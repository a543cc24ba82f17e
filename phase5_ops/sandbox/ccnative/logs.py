"""The log lines of the sandbox's platform: one Lambda invocation after the other in CloudWatch Logs, on the platform's clock.

The platform's logger writes `[<ISO ms Z>] [<LEVEL>] [<Service>] <message> <JSON>`; Lambda frames the lines of an invocation with
START, END and REPORT lines that name its request id. A stream is one warm instance of a function: it takes one invocation at a
time, so that lines of two invocations never mix in it.
"""

import secrets
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.logs.models import logs_backends

from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.state.ordinary_logs import GROUP_PREFIX, SERVICE_OF, logged


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation of a function: where its lines go.

    Attributes:
        logs: the writer.
        function: short name, without `cc-native-`.
        stream: the log stream of the warm instance that serves it.
        request_id: Lambda's id of the invocation.
    """

    logs: "PlatformLogs"
    function: str
    stream: str
    request_id: str

    def info(self, message: str, **fields: Any) -> None:  # noqa: ANN401 - anything JSON takes
        """One line of level INFO; `fields` are its JSON object."""
        self._line("INFO", message, fields)

    def error(self, message: str, **fields: Any) -> None:  # noqa: ANN401
        """One line of level ERROR."""
        self._line("ERROR", message, fields)

    def _line(self, level: str, message: str, fields: dict[str, Any]) -> None:
        at = self.logs.clock.now()
        self.logs.write(self, at, logged(iso(at), level, SERVICE_OF[self.function], message, fields))


class PlatformLogs:
    """Writes the log groups of one region. A group that does not exist loses its lines, as it would on AWS."""

    def __init__(self, clock: PlatformClock, region: str) -> None:
        self.clock, self._region = clock, region
        self._idle: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def invocation(self, function: str) -> Iterator[Invocation]:
        """An invocation of a function, framed by Lambda's own lines."""
        with self._lock:
            stream = self._idle[function].pop() if self._idle[function] else self._new_stream()
        invocation = Invocation(self, function, stream, str(uuid.uuid4()))
        began = time.perf_counter()
        self.write(invocation, self.clock.now(), f"START RequestId: {invocation.request_id} Version: $LATEST")
        try:
            yield invocation
        finally:
            took = (time.perf_counter() - began) * 1000
            at = self.clock.now()
            self.write(invocation, at, f"END RequestId: {invocation.request_id}")
            report = f"Duration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms\tMemory Size: 256 MB\tMax Memory Used: 96 MB"
            self.write(invocation, at, f"REPORT RequestId: {invocation.request_id}\t{report}")
            with self._lock:
                self._idle[function].append(stream)

    def write(self, invocation: Invocation, at: datetime, message: str) -> None:
        """One event, past PutLogEvents: that takes only what is recent by the machine's own clock."""
        group = logs_backends[ACCOUNT][self._region].groups.get(GROUP_PREFIX + invocation.function)
        if group is None:
            return
        with self._lock:
            if invocation.stream not in group.streams:
                group.create_log_stream(invocation.stream)
            event = {"timestamp": int(at.timestamp() * 1000), "message": message}
            group.streams[invocation.stream].put_log_events([event])

    def _new_stream(self) -> str:
        return f"{self.clock.now():%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
