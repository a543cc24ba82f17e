"""What the product does in threads, while it waits for AWS or probes, is done in the caller's own where nothing is waited for.

A sandbox of this process answers in the thread that asks (see `without_sockets`): a thread for each call, or several for many,
then only hand the work over and back. Whatever another process answers, and everything while a fault is in force that takes time,
is done in threads as ever; so is what the product does at the same time on purpose.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from phase5_ops.aws import reader
from phase5_ops_tests.without_sockets import answers_in_the_callers_thread

#: Modules that ask AWS or the Control Center for many things at once, each of them for itself.
_ASK_MANY = (
    "phase5_ops.aws.dashboards",
    "phase5_ops.aws.ledger",
    "phase5_ops.aws.metrics",
    "phase5_ops.aws.pace",
    "phase5_ops.aws.role_policies",
    "phase5_ops.probing.tokens",
    "phase5_ops.sections.costs.budgets.assets",
    "phase5_ops.sections.isolation.harness.tables",
)
_within = reader.within


@contextmanager
def without_threads() -> Iterator[None]:
    """In this block it is done so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "within", _made)
        for module in _ASK_MANY:
            patch.setattr(f"{module}.ThreadPoolExecutor", _executor)
        yield


def _made(seconds: float, call: Callable[[], Any], *, late: str) -> Any:
    """A call of the reader: one that cannot be late is not watched from another thread."""
    return call() if _answered_here() else _within(seconds, call, late=late)


def _executor(most: int, thread_name_prefix: str = "") -> Executor:
    return _InTurn() if _answered_here() else ThreadPoolExecutor(most, thread_name_prefix=thread_name_prefix)


def _answered_here() -> bool:
    url = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    return answers_in_the_callers_thread(url.hostname, url.port)


class _InTurn(Executor):
    """Does each thing when it is given."""

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        """What came of it."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*given, **named))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is taken
            future.set_exception(error)
        return future

    def map(self, work: Callable[..., Any], *given: Iterable[Any], **_: Any) -> Iterator[Any]:
        """What came of each; all is done before the first is taken, as with threads that are quick enough."""
        done = [self.submit(work, *each) for each in zip(*given, strict=False)]
        return (future.result() for future in done)
