"""A readiness run beside a bare script that makes the same calls, and `phase5 check` from its start to its exit."""

import contextlib
import importlib
import json
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks.figure import Command, Counts, Figure, Side, Work
from benchmarks.targets import times, times_before

NOW = "2026-11-23T12:00:00Z"  # the moment at which every sandbox begins, so that each is seeded the same
ALL_ROWS = 20
_SCRIPT = "from benchmarks.inputs.bare_script import main; main()"
CLOSED_FOR_SIGNATURES = 1  # the exit code of a run without a release on the healthy platform


@contextmanager
def platform(now: str | None = NOW) -> Iterator[dict[str, str]]:
    """A sandbox of its own in a process of its own, and this process's environment pointed to it, with a new state folder.

    Args:
        now: the moment at which both stand; None for the clock.
    """
    from phase5_ops.sandbox.process import sandbox_process

    with TemporaryDirectory(prefix="phase5-state-") as state, patch.dict(os.environ, PHASE5_STATE_DIR=state):
        os.environ.pop("PHASE5_NOW", None)
        os.environ |= {"PHASE5_NOW": now} if now else {}
        with sandbox_process("healthy") as exports:
            os.environ |= {**exports, "PHASE5_STATE_DIR": state}
            yield dict(os.environ)


def chosen(rows: int) -> list[str] | None:
    """The rows of a size: the breakers' own, or all."""
    return None if rows == ALL_ROWS else ["2.1"]


def run(rows: int) -> None:
    """A readiness run of this process."""
    from phase5_ops.commands.readiness import run_readiness
    from phase5_ops.settings import load_settings

    document = run_readiness(load_settings(), chosen(rows))
    entries = [each for each in (*document.rows, *document.extra_checks) if not each.id.startswith("S.")]
    bad = [f"{each.id} {each.verdict}" for each in entries if each.verdict not in ("PASS", None)]
    if bad or not entries:
        raise RuntimeError(f"on the healthy platform: {', '.join(bad) or 'no row'}")


def prepare(rows: int, folder: Path) -> None:
    """Records a run, what Dagster has of it, and which modules it needed."""
    from benchmarks.inputs.empty_job import recorded_events
    from benchmarks.inputs.recorded_run import recorded

    with platform() as environment, recorded(environment) as recorder:
        run(rows)
        recording = recorder.recording()
        events = recorded_events(Path(environment["PHASE5_STATE_DIR"]))
    (folder / "calls.pickle").write_bytes(pickle.dumps(recording))
    (folder / "events.json").write_text(events, encoding="utf-8")
    modules = [name for name in sys.modules if not name.startswith(("benchmarks", "__"))]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


def import_all(folder: Path) -> None:
    """Imports what the recorded run needed, so that no import is measured."""
    for name in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
        with contextlib.suppress(ImportError):  # a name that a module gave itself
            importlib.import_module(name)


@contextmanager
def readiness_run(rows: int, folder: Path) -> Iterator[Work]:
    """The run in this process, on a new state folder."""
    import_all(folder)

    def work() -> Counts:
        run(rows)
        return {}

    with platform():
        yield work


@contextmanager
def dagster_alone(_rows: int, folder: Path) -> Iterator[Work]:
    """The recorded run's steps with empty bodies, on a new state folder."""
    import_all(folder)
    from benchmarks.inputs.empty_job import empty_run

    events = (folder / "events.json").read_text(encoding="utf-8")
    with TemporaryDirectory(prefix="phase5-state-") as state:
        yield lambda: empty_run(events, Path(state))


@contextmanager
def bare_script(_rows: int, folder: Path) -> Iterator[Work]:
    """The recorded calls, made again."""
    import boto3

    from benchmarks.inputs.bare_script import load, replay

    recording = load(folder / "calls.pickle")
    boto3.client("sts", "us-east-1")  # boto3 imports parts of itself with its first client
    with platform() as environment:
        yield lambda: replay(recording, environment)


@contextmanager
def check(rows: int, _folder: Path) -> Iterator[Work]:
    """The command in a process of its own, on a new state folder."""
    chosen_rows = [] if rows == ALL_ROWS else ["--row", "2.1"]
    codes = frozenset({CLOSED_FOR_SIGNATURES if rows == ALL_ROWS else 0})
    with platform():
        yield Command([sys.executable, "-m", "phase5_ops.cli", "check", "--quiet", *chosen_rows], codes=codes)


@contextmanager
def bare_command(_rows: int, folder: Path) -> Iterator[Work]:
    """The bare script in a process of its own."""
    with platform():
        yield Command([sys.executable, "-c", _SCRIPT, str(folder / "calls.pickle")], _said)


def _said(output: str) -> Counts:
    aws, http, otherwise = map(float, output.split())
    return {"AWS calls": aws, "HTTP requests": http, "answered with another status": otherwise}


FIGURES = (
    Figure(
        name="whole-run",
        title="Readiness run",
        measures="""
            A readiness run of all rows on the healthy platform, probes and canary included, in a process that has imported
            all that it needs, on a new state folder. The script makes the calls of a recorded run again with boto3 and
            urllib3, one after the other in the order in which the run began them; it keeps nothing, judges nothing, and does
            not wait where the run waits for what its canary does. Tokens, passwords, ids and markers of pages are replaced by
            those of its own sandbox. Each of these two has a sandbox of its own, seeded at the same moment, in a process that is
            not measured. Dagster alone is a job with the same steps, whose bodies are empty: each gives at once the metadata and
            results of the recorded run, on a new state folder too, and has as many events of each kind.""",
        unit="rows",
        sizes=(ALL_ROWS,),
        small=1,
        sides=(Side("readiness run", readiness_run), Side("Dagster alone", dagster_alone)),
        reference=Side("bare script", bare_script),
        prepare=prepare,
        rounds=3,
        targets=(times("bare script", 1.3), times("bare script", 1.3, "clock")),
    ),
    Figure(
        name="check",
        title="phase5 check, cold",
        measures="""
            `phase5 check` of all rows on the healthy platform, from the start of its process to its exit, on a new state
            folder: imports, run, evidence and report. The script is the same as for the readiness run, in a process of its
            own.""",
        unit="rows",
        sizes=(ALL_ROWS,),
        small=1,
        sides=(Side("phase5 check", check),),
        reference=Side("bare script", bare_command),
        prepare=prepare,
        rounds=3,
        targets=(times_before(0.6, "clock"),),
    ),
)
