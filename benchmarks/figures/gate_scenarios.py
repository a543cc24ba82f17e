"""What the gate does with candidates of fault scenarios, from their registration to their end."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.figures.whole_run import NOW
from benchmarks.targets import linear


@contextmanager
def candidates(scenarios: int, _folder: Path) -> Iterator[Work]:
    """A candidate of each of so many scenarios, taken evenly from all that turn a row."""
    from benchmarks.inputs.scenario_candidates import problems, tried
    from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
    from phase5_ops.sandbox.server import Sandbox
    from phase5_ops.settings import load_settings

    turning = [scenario for scenario in all_scenarios() if scenario.turns]
    chosen = [turning[number * len(turning) // scenarios] for number in range(scenarios)]

    def work() -> Counts:
        promoted = 0
        for scenario in chosen:
            with TemporaryDirectory(prefix="phase5-state-") as state, Sandbox(scenario.name) as sandbox:
                os.environ |= {**sandbox.exports(), "PHASE5_STATE_DIR": state}
                outcome = tried(sandbox, load_settings())
            if wrong := problems(scenario, outcome):
                raise RuntimeError(f"{scenario.name}: {', '.join(wrong)}; {outcome.said}")
            promoted += outcome.promoted
        return {"candidates": len(chosen), "promoted, since the scenario only warns": promoted}

    logging.disable(logging.WARNING)
    try:
        with patch.dict(os.environ, PHASE5_NOW=NOW, PHASE5_READING__MAX_ATTEMPTS="2", PHASE5_READING__DEADLINE_SECONDS="600"):
            yield work
    finally:
        logging.disable(logging.NOTSET)


FIGURES = (
    Figure(
        name="gate-scenarios",
        title="Candidates of fault scenarios",
        measures="""
            The whole way of a release candidate in fault scenarios of the sandbox, taken evenly from all that turn a row:
            registration, the readiness run that the sensor's tick asks for, three people who try to sign, and a promotion where
            all is open. The sandbox is in the same process and is measured with it. A scenario that turns a row into something
            that blocks must not be promoted or signed, and a tick must name each such row with its code; one that only warns is
            signed and promoted. Otherwise there is no figure. With as many as there are scenarios it tries each of them.""",
        unit="scenarios",
        sizes=(6, 12),  # the first of one alone ends soonest: scenarios cost what they are
        small=1,
        sides=(Side("candidates", candidates),),
        rounds=1,
        targets=(linear(1.2),),
    ),
)
