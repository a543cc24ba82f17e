"""Real processes that run the project's code, forked from a warm one: a fresh interpreter takes seconds to import it.

They are forked from a server without threads or state of its own, not from the test's process, where the sandbox serves. Where
pytest's workers are forked (see `forked_workers`), one server is forked beside them; else the first test that needs it starts it.
It serves until the session ends.
"""

import importlib
import logging
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
_LONGEST = 600  # seconds
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


class Command:
    """A Python command in a warm process, with the part of `subprocess.Popen` that a caller needs who waits for its end.

    Args:
        arguments: the interpreter, then `-m` and a module or `-c` and code, then what these are given.
        environment: all of it.
        folder: where what it says is kept.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.args = tuple(arguments)
        self._said = Path(tempfile.mkdtemp(dir=folder))
        CONTEXT.set_forkserver_preload(list(_WARM))
        self._process = CONTEXT.Process(target=_python, args=(dict(environment), self.args[1:], self._said))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        out, err = ((self._said / name).read_text("utf-8") for name in ("out", "err"))
        return out, err

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> None:
        self._process.join()


def _python(environment: dict[str, str], arguments: tuple[str, ...], said: Path) -> None:
    """What the interpreter does; of the process before, what was imported stays, and nothing that listens to what is logged."""
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        with (said / name).open("wb") as written:
            os.dup2(written.fileno(), number)
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - as long as the process
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    logging.getLogger().handlers.clear()
    kind, what, *given = arguments
    sys.argv = [kind, *given]
    code: object = 0
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(what, {"__name__": "__main__"})
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001 - Python itself prints it
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


_served_by: list[int] = []


def serve() -> None:
    """Forks a server from this process, which has imported what tests use, for the processes that are forked from it later."""
    resource_tracker.ensure_running()
    server, address = forkserver._forkserver, connection.arbitrary_address("AF_UNIX")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        ends, alive = os.pipe()  # at its end when the last process has closed `alive`
        if (pid := os.fork()) == 0:
            try:
                os.close(alive)
                for each in (1, 2):  # a worker's are not seen, either
                    os.dup2(os.open(os.devnull, os.O_WRONLY), each)
                importlib.import_module(_WARM[-1])
                forkserver.main(listener.fileno(), ends, [])
            finally:
                os._exit(0)
        os.close(ends)
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, alive, pid
    server.ensure_running = lambda: None  # only the process that forked it may ask the system
    _served_by.append(os.getpid())


def stop() -> None:
    """Ends the server, if there is one and it is this process's own."""
    if _served_by in ([], [os.getpid()]):
        forkserver._forkserver._stop()


def _live(environment: dict[str, str], act: Callable[..., int | None], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os._exit(act(*arguments) or 0)
