"""Items that are made ahead on a thread of their own, so that they are made and used at the same time."""

import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

Item = TypeVar("Item")


class _End(NamedTuple):
    """There are no more items; with the error that making the next one raised, if it did."""

    error: BaseException | None = None


class MadeAhead(Generic[Item]):
    """The items of an iterator in their order; use as a context manager. What making one raises is raised in its place.

    The first few are made when they are asked for: of a short iterator all, and no thread is started.
    """

    def __init__(self, items: Iterator[Item], most: int) -> None:
        """Makes nothing yet; at most `most` items are made before they are asked for."""
        self._items, self._most = items, most
        self._made: deque[Item | _End] = deque()
        self._room, self._came = threading.Semaphore(most), threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._given_up = True
        self._room.release()
        if self._thread and (kind is None or issubclass(kind, Exception)):  # whoever interrupts does not wait for a slow disk
            self._thread.join()

    def __iter__(self) -> Iterator[Item]:
        """The items, once."""
        for number, item in enumerate(self._items, 1):
            yield item
            if number == self._most:
                yield from self._from_thread()
                return

    def _from_thread(self) -> Iterator[Item]:
        self._thread = threading.Thread(target=self._make, name="made-ahead", daemon=True)
        self._thread.start()
        while True:
            self._came.acquire()
            item = self._made.popleft()
            self._room.release()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _make(self) -> None:
        end = _End()
        try:
            while True:
                self._room.acquire()
                if self._given_up:
                    return
                self._made.append(next(self._items))
                self._came.release()
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the item is asked for
            end = _End(error)
        self._made.append(end)
        self._came.release()
