"""Parallel calls and their limits: how many at once, how fast, for how long, how many in all, and pauses between looks."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_FIRST_PAUSE, _PAUSE_GROWTH = 0.05, 1.5
LONGEST_PAUSE = 2.0  # seconds


def side_by_side(work: Callable[[T], R], items: Sequence[T], at_once: int, name: str) -> list[R]:
    """What `work` gives for each item, in their order; so many threads of that name each take one item after the other.

    Where one fails, no further item is begun. The threads share one task each: a task for each item would cost more than many
    an item does.
    """
    if at_once == 1:
        return [work(item) for item in items]
    done: dict[int, R] = {}
    left = iter(enumerate(items))

    def take() -> None:
        try:
            for at, item in left:
                done[at] = work(item)
        finally:
            deque(left, maxlen=0)

    with ThreadPoolExecutor(at_once, thread_name_prefix=name) as threads:
        try:
            for each in [threads.submit(take) for _ in range(min(at_once, len(items)))]:
                each.result()
        finally:
            deque(left, maxlen=0)
    return [done[at] for at in range(len(items))]


def growing_pauses() -> Iterator[float]:
    """Seconds between one look and the next at something that is under way: what ends soon is soon seen. Without an end."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, LONGEST_PAUSE)


class Pace:
    """Spreads calls of several threads evenly, until the time is over or the most calls allowed were made.

    Args:
        per_second: calls per second.
        seconds: for how long, from now on; default: no limit.
        most: most calls in all; default: no limit.
        sleep: pauses for seconds.
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
        """Waits until the next call may be made and returns True; returns False at once if a limit is reached."""
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
        """How many calls were let through."""
        return self._sent
