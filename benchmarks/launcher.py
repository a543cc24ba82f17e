"""Runs one command and measures it with all its processes: `python -I -S launcher.py RESULT_FILE COMMAND...`.

A program of its own that imports next to nothing: the kernel counts what a process held before it became another program into the
peak memory of that program, so a large process cannot start what it measures.
"""

import json
import os
import sys
import time

_PAUSE_SECONDS = 0.02


def _resident_kib(process: int) -> int:
    """What the process and its descendants hold now; 0 of those that have ended."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - pathlib is an import more
            held = next((int(line.split()[1]) for line in file if line.startswith("VmRSS:")), 0)
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208 - as above
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123 - as above
                held += sum(map(_resident_kib, map(int, file.read().split())))
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return held


def main(result_file: str, command: list[str]) -> None:
    """Waits for the command, and writes its exit code, seconds and KiB as JSON."""
    began = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ)
    peak = 0
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        peak = max(peak, _resident_kib(process))
        time.sleep(_PAUSE_SECONDS if time.perf_counter() - began > 1 else _PAUSE_SECONDS / 10)
    clock = time.perf_counter() - began
    said = {
        "code": os.waitstatus_to_exitcode(status),
        "clock": clock,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_kib": max(peak, usage.ru_maxrss),
    }
    with open(result_file, "w", encoding="ascii") as file:  # noqa: PTH123 - as above
        json.dump(said, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
