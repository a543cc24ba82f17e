"""Measures one piece of work: processor seconds with those of its children, seconds on the clock, peak memory.

A call is measured in this process (what was imported and made ready before is not), a command with all its processes.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import launcher
from benchmarks.figure import Command, Counts, Work

_RESET_PEAK = "5"  # what proc(5) says to write into clear_refs, so that VmHWM begins anew


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Attributes:
        cpu: processor seconds, user and system, of all threads and of all children that ended with it.
        clock: seconds on the clock.
        peak_mib: the most memory held at one time in MiB, mapped files included; of a command the sum over its processes.
        held_mib: what of that the process held before the work (imports, input), 0 for a command.
        counts: what the work counted.
    """

    cpu: float
    clock: float
    peak_mib: float
    held_mib: float
    counts: Counts


def measure(work: Work) -> Usage:
    """Does the work once, measured.

    Raises:
        RuntimeError: a command ended otherwise than it should.
    """
    return _command(work) if isinstance(work, Command) else _call(work)


def _call(work: Work) -> Usage:
    assert not isinstance(work, Command)
    gc.collect()
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    held = _status("VmRSS")
    began, cpu_began = time.perf_counter(), _cpu()
    counts = work()
    cpu, clock = _cpu() - cpu_began, time.perf_counter() - began
    return Usage(cpu, clock, _status("VmHWM"), held, counts or {})


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _status(name: str) -> float:
    """A line of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _command(work: Command) -> Usage:
    with tempfile.TemporaryDirectory(prefix="phase5-measured-") as folder:
        result, output, complaints = (Path(folder) / name for name in ("result", "output", "complaints"))
        with output.open("wb") as out, complaints.open("wb") as err:
            subprocess.run(
                [sys.executable, "-I", "-S", launcher.__file__, str(result), *work.argv],
                env={**os.environ, **work.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                check=True,
            )
        said = json.loads(result.read_text(encoding="ascii"))
        if said["code"] not in work.codes:
            last = complaints.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{work.argv[0]} ended with {said['code']}: {last}")
        counts = work.counts(output.read_text(encoding="utf-8", errors="replace"))
    return Usage(said["cpu"], said["clock"], said["peak_kib"] / 1024, 0.0, counts)
