"""Every process of a group ends with the signal that its server gets, and a second signal waits for none of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phase5_ops.cli.process_group import serve
from phase5_ops_tests.gate.serving import until
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

#: Serves a process that starts a worker and ends before it.
SERVER = """
import os, signal, sys
from phase5_ops.cli.process_group import serve
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)
try:
    ended = serve([sys.executable, "-c", sys.argv[1], *sys.argv[3:]], os.environ, ending_seconds=float(sys.argv[2]))
    print("ended" if ended else "killed")
except KeyboardInterrupt:
    print("at once")
"""
FIRST = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
try:
    worker.wait()
except KeyboardInterrupt:
    pass
"""
#: Ends by itself, once its worker has begun.
LEAVES = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
while not os.path.exists(sys.argv[2] + "/worker"):
    time.sleep(0.05)
"""
#: Notes its id, and what it does when told to end.
WORKER = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "begun").write_text(str(os.getpid()))
(folder / "begun").rename(folder / "worker")
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        (folder / "told").touch()
        if sys.argv[2] == "ends":
            time.sleep(0.3)
            (folder / "given-back").touch()
            break
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen, int]]]:
    """Starts a server whose worker does this when told to end; gives both, once the worker runs."""
    started = []

    def start(does: str, seconds: float = 60, first: str = FIRST) -> tuple[subprocess.Popen, int]:
        command = [sys.executable, "-c", SERVER, first, str(seconds), WORKER, str(tmp_path), does]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
        noted = tmp_path / "worker"
        started.append(until("the worker runs", lambda: int(noted.read_text()) if noted.exists() else None, 60))
        return process, started[0]

    yield start
    for worker in started:
        if is_alive(worker):
            os.kill(worker, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_that_the_first_process_leaves_is_told_to_end_and_waited_for(served, tmp_path, number):
    process, worker = served("ends")
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == "ended\n"
    assert (tmp_path / "given-back").exists()
    assert not is_alive(worker)


def test_a_worker_that_is_left_when_the_first_process_ends_by_itself_is_told_to_end(served, tmp_path):
    process, worker = served("ends", first=LEAVES)
    assert process.communicate(timeout=30)[0] == "ended\n"
    assert (tmp_path / "given-back").exists()
    assert not is_alive(worker)


def test_a_second_signal_kills_what_has_not_ended(served, tmp_path):
    process, worker = served("goes on")
    process.terminate()
    until("the worker was told", lambda: (tmp_path / "told").exists() or None, 30)
    process.terminate()
    assert process.communicate(timeout=30)[0] == "at once\n"
    assert not is_alive(worker)


def test_what_takes_too_long_is_killed(served):
    process, worker = served("goes on", 0.3)
    process.terminate()
    assert process.communicate(timeout=30)[0] == "killed\n"
    assert not is_alive(worker)


def test_a_signal_while_the_group_is_started_ends_it_and_one_that_is_ignored_does_not(monkeypatch):
    """Ignored: by nohup, a hang-up."""
    started = []

    class Told(subprocess.Popen):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)
            started.append(self)
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Told)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert serve([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), ending_seconds=30)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert started[0].returncode is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
