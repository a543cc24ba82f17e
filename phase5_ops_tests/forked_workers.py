"""With `-n`, the workers are forked from the process that has collected the tests, and share what that imported and made.

pytest-xdist, whose option it is, starts an interpreter for each worker; each imports and collects everything anew, which takes a
quarter of a minute of CPU. `--dist loadfile` asks for this here, any other `--dist` for xdist itself. As there, the tests of a
file stay in one worker, so that what they share is made once; files are given out in their order, one after the other.
"""

import atexit
import os
import traceback
from collections.abc import Iterator
from itertools import chain, pairwise
from multiprocessing.connection import Connection, Pipe, wait
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import getinfodict, serialize_warning_message
from xdist.workermanage import unserialize_warning_message

from phase5_ops_tests.gate import warm_processes

_WORKERS = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Takes the workers from xdist, before it begins to start them."""
    forked = config.getoption("dist", "no") == "loadfile" and not config.option.collectonly
    config.stash[_WORKERS] = len(config.option.tx) if forked else 0
    if config.stash[_WORKERS]:
        config.option.dist = "no"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Forks the workers, gives out the files, and reports what they report."""
    count = session.config.stash[_WORKERS]
    if not count or (session.testsfailed and not session.config.option.continue_on_collection_errors):
        return None  # pytest itself runs the tests, or says that they could not be collected
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one for all
    session.config.pluginmanager.getplugin("terminalreporter").showfspath = False  # files are not run one after the other
    warm_processes.serve()
    workers: dict[Connection, _Worker] = {}
    try:
        for number in range(count):
            worker = _Worker.forked(session, number, others=workers)
            workers[worker.connection] = worker
        _give_out(session, workers)
    finally:
        for worker in workers.values():
            worker.connection.close()  # it ends where it still asks for more
            os.waitpid(worker.pid, 0)
        warm_processes.stop()
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


def _give_out(session: pytest.Session, workers: "dict[Connection, _Worker]") -> None:
    """Until every worker is at its end."""
    files: dict[object, list[int]] = {}
    for index, item in enumerate(session.items):
        files.setdefault(item.path, []).append(index)
    left = iter(files.values())
    working = dict(workers)
    while working:
        for connection in wait(list(working)):
            worker = working[connection]
            try:
                what, *content = connection.recv()
            except (EOFError, ConnectionResetError):
                worker.crashed(session)
                del working[connection]
                continue
            if what == "more":
                connection.send(None if session.shouldfail or session.shouldstop else next(left, None))
            elif what == "ended":
                node = SimpleNamespace(config=session.config, workeroutput=content[0])
                session.config.hook.pytest_testnodedown(node=node, error=None)
                del working[connection]
            else:
                worker.said(session.config, what, content)


class _Worker:
    """A forked worker, as the process sees it that forked it."""

    def __init__(self, connection: Connection, pid: int, number: int) -> None:
        self.connection, self.pid = connection, pid
        name = f"gw{number}"  # reports have this from xdist, too
        self._node = SimpleNamespace(gateway=SimpleNamespace(id=name), workerinfo={**getinfodict(), "id": name})
        self._running: tuple[str, tuple[str, int | None, str]] | None = None
        self._broken = ""

    @classmethod
    def forked(cls, session: pytest.Session, number: int, *, others: "dict[Connection, _Worker]") -> "_Worker":
        here, there = Pipe()
        pid = os.fork()
        if pid == 0:
            here.close()
            for other in others:
                other.close()
            _work(session, there, number)
        there.close()
        return cls(here, pid, number)

    def said(self, config: pytest.Config, what: str, content: list[Any]) -> None:
        """Passes on what happened in the worker, as if it had happened here."""
        if what == "report":
            report = config.hook.pytest_report_from_serializable(config=config, data=content[0])
            report.node = self._node
            config.hook.pytest_runtest_logreport(report=report)
        elif what == "warning":
            message, when, nodeid, location = content
            warned = unserialize_warning_message(message)
            config.hook.pytest_warning_recorded.call_historic(
                kwargs={"warning_message": warned, "when": when, "nodeid": nodeid, "location": location}
            )
        elif what == "broken":
            self._broken = f"\n{content[0]}"
        else:
            nodeid, location = content
            self._running = (nodeid, location) if what == "logstart" else None
            hook = config.hook.pytest_runtest_logstart if what == "logstart" else config.hook.pytest_runtest_logfinish
            hook(nodeid=nodeid, location=location)

    def crashed(self, session: pytest.Session) -> None:
        """It ended without a word: whatever it was to run has failed."""
        nodeid, location = self._running or (self._node.gateway.id, (self._node.gateway.id, None, "worker"))
        said = f"{self._node.gateway.id} ended in {nodeid}; what it had left to run was not run{self._broken}"
        report = pytest.TestReport(nodeid, location, {}, "failed", said, "call")
        session.config.hook.pytest_runtest_logreport(report=report)


class _Teller:
    """In the worker: tells the other side of the connection."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self._config, self._connection = config, connection

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._connection.send(("logstart", nodeid, location))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._connection.send(("report", self._config.hook.pytest_report_to_serializable(config=self._config, report=report)))

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._connection.send(("logfinish", nodeid, location))

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        self._connection.send(("warning", serialize_warning_message(warning_message), when, nodeid, location))


def _work(session: pytest.Session, connection: Connection, number: int) -> None:
    """The life of a worker, which never returns."""
    code = 1
    try:
        config, plugins = session.config, session.config.pluginmanager
        capture = plugins.getplugin("capturemanager")
        capture.stop_global_capturing()  # to files that the workers would share
        capture.start_global_capturing()
        plugins.unregister(name="terminalreporter")
        plugins.register(_Teller(config, connection))
        os.environ["PYTEST_XDIST_WORKER"] = f"gw{number}"
        config.workerinput, config.workeroutput = {"workerid": f"gw{number}"}, {}  # type: ignore[attr-defined]  # as with xdist
        temporary = config._tmp_path_factory  # type: ignore[attr-defined]
        temporary._basetemp = temporary.getbasetemp() / f"gw{number}"
        temporary._basetemp.mkdir()
        given = (session.items[index] for index in _given(connection))
        for item, following in pairwise(chain(given, (None,))):  # the one after it says what both share
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail or session.shouldstop:
                break
        config.hook.pytest_sessionfinish(session=session, exitstatus=0)
        connection.send(("ended", config.workeroutput))
        atexit._run_exitfuncs()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the other side says it
        connection.send(("broken", traceback.format_exc()))
    finally:
        os._exit(code)


def _given(connection: Connection) -> Iterator[int]:
    """The tests of one file after the other, until there are no more."""
    while True:
        connection.send(("more",))
        if (file := connection.recv()) is None:
            return
        yield from file
