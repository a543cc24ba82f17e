"""How fast, how long and how many: the bounds of calls that are made side by side."""

import math
import threading
import time
from collections.abc import Callable


class Pace:
    """Spreads calls of several threads evenly, until the time is over or as many as may be were made.

    Args:
        per_second: how many in one second.
        seconds: for how long, from now on; without end unless said.
        most: how many in all; no bound unless said.
        sleep: waits.
    """

    def __init__(
        self,
        per_second: float,
        seconds: float = math.inf,
        *,
        most: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap, self._most, self._sleep = 1 / per_second, most, sleep
        self._next = time.monotonic()
        self._ends = self._next + seconds
        self._sent = 0
        self._lock = threading.Lock()

    def wait(self) -> bool:
        """Returns when the next call may be made: True; or at once where a bound is reached: False."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            if turn >= self._ends or (self._most is not None and self._sent >= self._most):
                return False
            self._next = turn + self._gap
            self._sent += 1
        if turn > now:
            self._sleep(turn - now)
        return True

    @property
    def sent(self) -> int:
        """How many were let go."""
        return self._sent
