"""How fast, how long and how many: the bounds of sending requests side by side."""

import threading
import time
from collections.abc import Callable


class Pace:
    """Lets so many requests go in a second, until the time is over or as many as may be were sent. Safe for several threads.

    Args:
        per_second: how many in one second.
        seconds: for how long, from now on.
        most: how many in all; no bound unless said.
        sleep: waits.
    """

    def __init__(
        self, per_second: float, seconds: float, *, most: int | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._gap, self._most, self._sleep = 1 / per_second, most, sleep
        self._next = time.monotonic()
        self._ends = self._next + seconds
        self._sent = 0
        self._lock = threading.Lock()

    def may_send(self) -> bool:
        """True once it is this request's turn; False where a bound is reached."""
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
