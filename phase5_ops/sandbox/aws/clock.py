"""The sandbox platform's own clock: starts at a given moment (PHASE5_NOW) or at wall time, and advances."""

import threading
import time
from datetime import UTC, datetime, timedelta

REPLAY_LAG = timedelta(seconds=60)
"""How long after its newest data point a replayed platform stands."""


class PlatformClock:
    """A clock that starts at `start` when it is made and runs at the speed of time.

    Args:
        start: the platform's first moment (`first`); None for wall time.
        replay: follow the data instead: `now()` is the newest data point put so far plus `REPLAY_LAG`, and wall time while there
            is none. A captured platform loaded into such a sandbox stands at the moment of its capture.
    """

    def __init__(self, start: datetime | None = None, *, replay: bool = False) -> None:
        self.first = (start or datetime.now(UTC)).astimezone(UTC)
        self._start = self.first
        self._began = time.monotonic()
        self._newest: datetime | None = None
        self._lock = threading.Lock()
        self.replay = replay

    def now(self) -> datetime:
        """The platform's present moment, timezone-aware UTC."""
        if self.replay and self._newest is not None:
            return self._newest + REPLAY_LAG
        return self._start + timedelta(seconds=time.monotonic() - self._began)

    def advance(self, by: timedelta) -> None:
        """Lets time pass at once."""
        self._start += by

    def observe(self, moment: datetime) -> None:
        """Tells the clock of a data point's timestamp; only a replay clock follows it."""
        with self._lock:
            if self._newest is None or moment > self._newest:
                self._newest = moment

    def forget(self) -> None:
        """Forgets the data points observed, when the platform is emptied."""
        with self._lock:
            self._newest = None
