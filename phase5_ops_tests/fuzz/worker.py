"""One parser under atheris, in a process of its own: `python -m phase5_ops_tests.fuzz.worker NAME SECONDS FOLDER`.

Faults do not end it: each distinct one (its kind and the line of the product that raised it) is saved once with its input. An
input that takes more CPU time than `LONGEST` is a fault, too. When the time is over, the figures stand in FOLDER/figures.json.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import atheris

from phase5_ops_tests.fuzz.registry import parser

#: Seconds of CPU time that one input may take while every branch is counted, which takes several times as long as usual.
LONGEST = 10.0
LARGEST_INPUT = 512
MEGABYTES = 2048


class TooSlow(BaseException):
    """An input took more CPU time than it may."""


class Campaign:
    """What is tried, counted and found.

    Args:
        name: of the parser.
        seconds: how long.
        folder: for faults, inputs and figures.
    """

    def __init__(self, name: str, seconds: float, folder: Path) -> None:
        with atheris.instrument_imports(include=["phase5_ops"]):
            self._parser = parser(name)
            self._parser.fuzz(b"")  # imports what is imported where it is used
        self._folder = folder
        self._began, self._seconds = time.monotonic(), seconds
        self._executions = 0
        self._slowest = 0.0
        self._faults: dict[str, str] = {}

    def try_input(self, data: bytes) -> None:
        """Tries one input; never raises."""
        began = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST, 1)  # again, where something swallowed it
        try:
            self._parser.fuzz(data)
        except Exception as error:  # noqa: BLE001 - each is a fault that was found
            self._found(data, error)
        except TooSlow as error:
            self._found(data, error)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self._executions += 1
        self._slowest = max(self._slowest, time.process_time() - began)
        if time.monotonic() - self._began > self._seconds:
            self._end()

    def _found(self, data: bytes, error: BaseException) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/phase5_ops" in frame.filename]
        product = [frame for frame in frames if "/phase5_ops/" in frame.filename] or frames
        where = f"{product[-1].filename.rpartition('/phase5_ops')[2]}:{product[-1].lineno}" if product else "?"
        said = f"{type(error).__name__} at {where}" + (f": {error}"[:120] if isinstance(error, AssertionError) else "")
        key = f"{type(error).__name__} {where} {frames[-1].lineno if frames else 0}"
        if key not in self._faults:
            self._faults[key] = said
            stem = hashlib.sha256(data).hexdigest()[:16]
            (self._folder / f"fault-{stem}").write_bytes(data)
            lines = "".join(traceback.format_exception(error, limit=-12))
            (self._folder / f"fault-{stem}.txt").write_text(lines[-8_000:], encoding="utf-8", errors="backslashreplace")
            print(f"FAULT {said[:300]!r} ({self._folder}/fault-{stem})", flush=True)

    def _end(self) -> None:
        figures = {
            "seconds": round(time.monotonic() - self._began),
            "executions": self._executions,
            "slowest_seconds": round(self._slowest, 2),
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "faults": sorted(self._faults.values()),
        }
        (self._folder / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        sys.stdout.flush()
        os._exit(0)


def _too_slow(*_: object) -> None:
    raise TooSlow(f"more than {LONGEST} s of CPU time")


def main() -> None:
    """Fuzzes one parser until its time is over."""
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    campaign = Campaign(name, seconds, folder)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for each in [b"\0", *parser(name).kept_inputs]:
        (corpus / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)
    signal.signal(signal.SIGVTALRM, _too_slow)
    options = [
        f"-max_len={LARGEST_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        "-timeout=120",
        f"-artifact_prefix={folder}/",
        "-len_control=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], campaign.try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
