"""Spreads calls over time, for services that take only so many a second."""

import threading
import time


class Pace:
    """Spreads calls of several threads evenly, `per_second` of them at most."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Returns when the next call may be made."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        time.sleep(begin - now)
