"""A tick of the gate's sensor with a hundred candidates that are ready to sign, as past runs grow."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.figures.whole_run import platform
from benchmarks.targets import seconds

WAITING = {True: 100, False: 2}  # candidates; few where there are few past runs, which is a try
IN_ONE_TICK = 10  # candidates


@contextmanager
def tick(past: int, _folder: Path) -> Iterator[Work]:
    """One tick as the daemon makes it, after one that has seen the same."""
    with platform(now=None):  # the gate refuses a fixed clock
        from benchmarks.inputs.gate_state import long_working
        from phase5_ops.checklist import ROLES
        from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
        from phase5_ops.settings import load_settings

        settings = load_settings()
        home = prepare_state_folder(settings.state_dir)
        with open_dagster(home) as instance:
            candidates = WAITING[past >= 100]
            state = long_working(settings, instance, past, candidates)
            for _ in range(ceil(candidates / IN_ONE_TICK)):  # until each had its turn
                state.tick()

            def work() -> Counts:
                made, calls = state.tick()
                waiting = sum(" UNSIGNED signature_missing " in line for line in made.lines) / len(ROLES)
                return {"candidates ready to sign": waiting, "AWS calls": calls}

            yield work


FIGURES = (
    Figure(
        name="gate-tick",
        title="Tick of the gate's sensor",
        measures="""
            A tick with a hundred candidates that are READY_TO_SIGN: each has a run of its own and a frozen statement, and nothing
            is said against it but that signatures are missing. By the number of past runs that Dagster has: SQLite storage, the
            state table in a sandbox in another process. A real readiness run is made, and its records are cloned. A tick works
            on ten candidates; those before it, in which each had its turn, are not measured. The issue names a second, so that
            this one is on the clock, the sandbox's answers included: it holds for this machine alone.""",
        unit="past runs",
        sizes=(100, 10_000),
        small=5,
        sides=(Side("tick", tick),),
        rounds=2,
        targets=(seconds(1.0),),
    ),
)
