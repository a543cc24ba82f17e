"""Real processes that run the project's code, forked from a warm one: a fresh interpreter takes seconds to import it.

They are forked from a server without threads or state of its own, not from the test's process, where the sandbox serves.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
_LONGEST = 180  # seconds


@contextmanager
def warm(*modules: str) -> Iterator[None]:
    """While this lasts, new processes begin with these modules imported."""
    CONTEXT.set_forkserver_preload(list(modules))
    yield
    forkserver._forkserver._stop()  # it would stay until the end of the session


def started(act: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that does this with the environment of the test; arguments and `act` go through pickle."""
    process = CONTEXT.Process(target=_live, args=(dict(os.environ), act, arguments))
    process.start()
    return process


def exit_code(process: BaseProcess) -> int:
    """How the process ended: minus the number of the signal that killed it.

    Raises:
        TimeoutError: it did not; then it is killed.
    """
    process.join(_LONGEST)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError("the process did not end")
    return process.exitcode


def _live(environment: dict[str, str], act: Callable[..., int | None], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os._exit(act(*arguments) or 0)
