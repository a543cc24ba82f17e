"""Which data every execution of the sandbox's platform touched: the calls its functions made, in order, kept in memory.

`inside.py` records here every call that the platform makes while an execution is under way. What is kept is the request as
sent: table, keys, index, expressions, and items. `trail_delivery.py` renders it as CloudTrail data events.
"""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase5_ops.sandbox.aws.clock import PlatformClock

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a call: a function of the platform, and the execution it works on ("" outside of one)."""

    function: str
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class DataAccess:
    """One AWS call of the platform.

    Attributes:
        at: the platform's time of the call.
        actor: function and execution.
        service: as boto3 names it (`dynamodb`, `s3`, `events`).
        operation: the API operation (`PutItem`).
        request: the request's parameters as sent, DynamoDB JSON where the service is DynamoDB.
    """

    at: datetime
    actor: Actor
    service: str
    operation: str
    request: Mapping[str, Any]

    @property
    def table(self) -> str | None:
        """The table, where the call names one."""
        name: str | None = self.request.get("TableName")
        return name

    @property
    def index(self) -> str | None:
        """The index of a Query or Scan, where it names one."""
        name: str | None = self.request.get("IndexName")
        return name


_actor: ContextVar[Actor | None] = ContextVar("phase5_sandbox_actor", default=None)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """AWS calls made in this block, on this thread, are recorded as the work of `actor`."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


class AccessTrail:
    """The calls of all executions, newest last; the oldest are forgotten after some thousands. Safe for several threads."""

    def __init__(self, clock: PlatformClock) -> None:
        self._clock = clock
        self._accesses: deque[DataAccess] = deque(maxlen=_KEPT)
        self._undelivered: deque[DataAccess] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def record(self, service: str, operation: str, request: Mapping[str, Any]) -> None:
        """Records a call of the current actor; calls without one (seeding) are not recorded."""
        actor = _actor.get()
        if actor is not None:
            with self._lock:
                access = DataAccess(self._clock.now(), actor, service, operation, dict(request))
                self._accesses.append(access)
                self._undelivered.append(access)

    def all(self) -> list[DataAccess]:
        """Every call kept, in order."""
        with self._lock:
            return list(self._accesses)

    def undelivered(self) -> list[DataAccess]:
        """The calls since this was asked last, in order."""
        with self._lock:
            accesses = list(self._undelivered)
            self._undelivered.clear()
            return accesses

    def of(self, trace_id: str) -> list[DataAccess]:
        """The calls of one execution, in order."""
        return [access for access in self.all() if access.actor.trace_id == trace_id]
