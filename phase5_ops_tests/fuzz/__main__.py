"""Fuzzes parsers with atheris, one after another: `python -m phase5_ops_tests.fuzz [--seconds 180] [NAME...]`.

Needs the extra `fuzz`. Each parser has a process of its own, which prints what libFuzzer says to `FOLDER/NAME/log`. Exit code 1
where a fault was found; its input and traceback are in `FOLDER/NAME`, and `--keep` adds the inputs to those that the tests try
again.
"""

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from phase5_ops_tests.fuzz import page
from phase5_ops_tests.fuzz.registry import keep, names, parser
from phase5_ops_tests.fuzz.selection import chosen

_LONGER = 900  # seconds that a process may take beside its time: imports on a busy machine, the last input


def main() -> int:
    """Runs the campaign; see the module."""
    arguments = argparse.ArgumentParser(prog="python -m phase5_ops_tests.fuzz", description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"the parsers; default: all of {', '.join(names())}")
    arguments.add_argument("--seconds", type=int, default=180, help="for each parser; default: 180")
    arguments.add_argument("--folder", type=Path, help="where inputs, faults and logs are kept; default: a new temporary folder")
    arguments.add_argument(
        "--keep", action="store_true", help="add the inputs of faults and the smallest interesting ones to the tests"
    )
    arguments.add_argument("--write", action="store_true", help="write the figures to docs/fuzzing.md")
    given = arguments.parse_args()
    if unknown := sorted(set(given.names) - set(names())):
        arguments.error(f"no parser named {', '.join(unknown)}; there are {', '.join(names())}")
    folder = given.folder or Path(mkdtemp(prefix="phase5-fuzz-"))
    faults = 0
    for name in given.names or names():
        figures = _fuzzed(name, given.seconds, folder / name)
        faults += len(figures["faults"])
        print(f"{name}: {json.dumps(figures)}", flush=True)
        if given.keep:
            _keep(name, folder / name)
        if given.write:
            page.record(name, figures)
    print(f"inputs, faults and logs are in {folder}", flush=True)
    return 1 if faults else 0


def _fuzzed(name: str, seconds: int, folder: Path) -> dict:
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}: {seconds} s from {datetime.now(UTC):%H:%M:%S}", flush=True)
    command = [sys.executable, "-m", "phase5_ops_tests.fuzz.worker", name, str(seconds), str(folder)]
    (folder / "figures.json").unlink(missing_ok=True)
    with (folder / "log").open("wb") as log:
        try:
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=seconds + _LONGER, check=False)
        except subprocess.TimeoutExpired:
            return {"seconds": seconds, "executions": 0, "faults": [f"an input never ended; see {folder}/log"]}
    try:
        figures: dict = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    except FileNotFoundError:  # it was killed, or libFuzzer's own bounds of time and memory ended it
        return {"seconds": seconds, "executions": 0, "faults": [f"the process ended early; see {folder}/log"]}
    return figures


def _keep(name: str, folder: Path) -> None:
    keep(name, [path.read_bytes() for path in sorted(folder.glob("fault-*")) if not path.suffix], "a fault")
    if not parser(name).kept_inputs:
        keep(name, chosen(parser(name).fuzz, (path.read_bytes() for path in (folder / "corpus").iterdir())))


if __name__ == "__main__":
    sys.exit(main())
