"""The campaign: hundreds of readiness runs and ticks of the gate under faults, and its figures. How to run it: docs/faults.md."""

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from phase5_ops_tests.faults import runs, ticks
from phase5_ops_tests.gate.real_candidate import opened_candidate
from phase5_ops_tests.made_once import made_once
from phase5_ops_tests.sandbox.state.seeded_once import seeded_once
from phase5_ops_tests.sections.replay.probes.few_probes import few_probes
from phase5_ops_tests.without_sockets import without_sockets

Say = Callable[[str], None]


@contextmanager
def bench() -> Iterator[None]:
    """What the tests have of their session; see each."""
    logging.disable(logging.CRITICAL)  # each fault is logged
    warnings.simplefilter("ignore")
    with made_once(), seeded_once(), without_sockets(), few_probes():
        yield


def under_faults(seed: int, groups: range, say: Say, *, sockets: bool = False) -> runs.Outcome:
    """Groups of runs, in process or through real connections."""
    outcome = runs.Outcome()
    for number in groups:
        with _said(outcome, say):
            runs.group(seed, number, outcome, say, sockets=sockets)
    return outcome


def looked_at(seed: int, candidates: range, say: Say) -> ticks.Outcome:
    """Ticks at one candidate after the other."""
    outcome = ticks.Outcome()
    with TemporaryDirectory(prefix="phase5-faults-") as name, opened_candidate(Path(name) / "made", ticks.SETTINGS) as again:
        kept = ticks.Candidates(again, Path(name))
        for number in candidates:
            with _said(outcome, say):
                ticks.looks(kept, seed, number, outcome, say)
    return outcome


@contextmanager
def _said(outcome: runs.Outcome | ticks.Outcome, say: Say) -> Iterator[None]:
    before = len(outcome.problems)
    yield
    for problem in outcome.problems[before:]:
        say(f"PROBLEM {problem}")


def main() -> int:
    """The command; 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m phase5_ops_tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="readiness runs under faults in process (default: 500)")
    parser.add_argument("--sockets", type=int, default=30, help="and through a TCP proxy (default: 30)")
    parser.add_argument("--ticks", type=int, default=200, help="ticks of the gate (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--group", type=int, help="only this group of runs, as a problem names it")
    parser.add_argument("--candidate", type=int, help="only the ticks at this candidate, as a problem names it")
    given = parser.parse_args()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {line}", file=sys.stderr, flush=True)

    sizes = ((given.runs, runs.GROUP), (given.sockets, runs.GROUP), (given.ticks, ticks.LOOKS))
    groups, over, candidates = (range(-(-count // size)) for count, size in sizes)
    if given.group is not None or given.candidate is not None:
        over = range(0)
        groups, candidates = (range(each or 0, (-1 if each is None else each) + 1) for each in (given.group, given.candidate))
    with bench():
        found = {
            "runs": under_faults(given.seed, groups, say),
            "runs through a TCP proxy": under_faults(given.seed + 1_000_000, over, say, sockets=True),
            "ticks": looked_at(given.seed, candidates, say) if candidates else ticks.Outcome(),
        }
    figures = {name: vars(outcome) for name, outcome in found.items()}
    print(json.dumps({"seed": given.seed, "seconds": round(time.monotonic() - began), **figures}, indent=2))
    return int(any(outcome.problems for outcome in found.values()))
