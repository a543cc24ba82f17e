"""A program with all the processes that it starts, as a group: it is served until a signal ends all of them.

Dagster's webserver, daemon, code server and the workers of its runs are such a group. Told to end alone, its first process ends
and leaves a run that is under way, which then holds its lease for as long as it lives.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

_LOOK_EVERY = 0.1  # seconds
#: How long the processes may take to end: a run gives back its lease and its canaries meanwhile.
ENDING_SECONDS = 60.0


def serve(command: Sequence[str], environment: Mapping[str, str], *, ending_seconds: float = ENDING_SECONDS) -> bool:
    """Runs a command until it ends, or until SIGINT, SIGTERM or SIGHUP comes; then every process of it is told to end.

    The group is no longer the terminal's: Ctrl-C there and a hang-up reach this process alone, which tells the group.

    Returns:
        Whether all of them ended by themselves; False where some were killed, since they took too long.

    Raises:
        KeyboardInterrupt: a second signal came; all of them were killed.
    """
    came = list[int]()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda number, _: came.append(number))
    process = subprocess.Popen(command, env=environment, process_group=0)  # a signal meanwhile must not leave the group alone
    try:
        with suppress(KeyboardInterrupt):
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, before[number])
            if before[signal.SIGHUP] is not signal.SIG_IGN:
                signal.signal(signal.SIGHUP, signal.default_int_handler)
            if not came:
                process.wait()
        return _ended(process, ending_seconds)
    finally:
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Tells the group to end, and waits; whether it ended in time."""
    _signal(process.pid, signal.SIGINT)
    ends = time.monotonic() + seconds
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    while process.returncode is None or _signal(process.pid, 0):
        if time.monotonic() > ends:
            return False
        time.sleep(_LOOK_EVERY)
        with suppress(ChildProcessError):
            os.waitpid(-process.pid, os.WNOHANG)  # the first process of a container inherits those whose parent has ended
    return True


def _signal(group: int, number: int) -> bool:
    """Whether there was a process of the group to send it to."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
