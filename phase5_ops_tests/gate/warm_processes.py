"""Real processes that run the project's code, forked from a warm one: a fresh interpreter takes seconds to import it.

They are forked from a server without threads or state of its own, not from the test's process, where the sandbox serves. It is
started by the first test that needs it, and serves until the session ends.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
_LONGEST = 180  # seconds
#: What new processes begin with: the modules with what they do, and what these would work out anew in each.
_WARM = (
    "phase5_ops_tests.gate.test_attacks",
    "phase5_ops_tests.gate.test_killed_processes",
    "phase5_ops_tests.gate.warm_imports",
)


def started(act: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that does this with the environment of the test; arguments and `act` go through pickle."""
    CONTEXT.set_forkserver_preload(list(_WARM))
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


def stop() -> None:
    """Ends the server, if there is one."""
    forkserver._forkserver._stop()


def _live(environment: dict[str, str], act: Callable[..., int | None], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os._exit(act(*arguments) or 0)
