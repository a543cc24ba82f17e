"""What gathers and judges the evidence that grows with a platform, as its tenants grow: CPU, memory, calls and their price."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.targets import linear

if TYPE_CHECKING:
    from phase5_ops.sandbox.state.sized import Size

NOW = "2026-11-23T12:00:00Z"
TENANTS_A_TOOL, TENANTS_A_CONNECTOR = 50, 100  # 10,000 tenants have 200 tools and 100 connectors
FEWEST_TOOLS, FEWEST_CONNECTORS = 6, 5
GROWING = ("1.1", "1.2", "1.3", "2.1", "2.2", "3.2", "4.2", "5.1", "5.2")


def platform_of(tenants: int) -> "Size":
    """The platform with so many tenants: tools and connectors grow with them."""
    from phase5_ops.sandbox.state.sized import Size

    tools, connectors = tenants // TENANTS_A_TOOL, tenants // TENANTS_A_CONNECTOR
    return Size(tenants, max(FEWEST_TOOLS, tools), max(FEWEST_CONNECTORS, connectors))


def serve(tenants: int, told: Connection) -> None:
    """Serves a platform with so many tenants until the other end of the pipe says something or is closed."""
    from phase5_ops.sandbox.server import Sandbox

    with Sandbox("healthy", size=platform_of(tenants)) as sandbox:
        told.send(sandbox.exports())
        told.poll(None)


@contextmanager
def served(tenants: int) -> Iterator[dict[str, str]]:
    """A platform with so many tenants in a process of its own; yields its environment variables."""
    ours, its = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(tenants, its), daemon=True)
    process.start()
    its.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(10)
        process.terminate()


@contextmanager
def platform(tenants: int) -> Iterator[None]:
    """Points this process's environment to a platform with so many tenants, and to a new state folder."""
    with patch.dict(os.environ, PHASE5_NOW=NOW), served(tenants) as exports, TemporaryDirectory(prefix="phase5-state-") as state:
        os.environ |= {**exports, "PHASE5_STATE_DIR": state, "PHASE5_READING__DEADLINE_SECONDS": "3600"}
        os.environ |= {"PHASE5_READING__READ_TIMEOUT_SECONDS": "300"}  # the sandbox makes a bill of many tenants slowly
        yield


@contextmanager
def growing_rows(tenants: int, _folder: Path) -> Iterator[Work]:
    """The rows about breakers, the ledger, the logs, budgets and costs, without Dagster."""
    from phase5_ops.aws.pricing import cost_usd
    from phase5_ops.build import JUDGING, evidence_for
    from phase5_ops.checklist import ROW_OF_CHECK
    from phase5_ops.context import open_run
    from phase5_ops.gate.runs.continuity import look_back
    from phase5_ops.settings import load_settings
    from phase5_ops_tests.without_dagster import gathered

    def work() -> Counts:
        run = open_run(load_settings(), "run", look_back)
        tables = gathered(run, evidence_for(set(GROWING)))
        for judging in JUDGING:
            for check, judge in judging.judges.items():
                if ROW_OF_CHECK[check].id in GROWING:
                    verdict = judge(run, {name: tables[name] for name in (judging.asset, *judging.also)}, run.now()).verdict
                    if verdict != "PASS":
                        raise RuntimeError(f"{check} is {verdict} on a healthy platform")
        return {
            "AWS calls": sum(run.reader.meter.calls.values()),
            "thousandths of a USD": round(1000 * cost_usd(run.reader.meter), 3),
            "rows of evidence": sum(len(table.frame) for table in tables.values()),
        }

    with platform(tenants):
        yield work


FIGURES = (
    Figure(
        name="many-tenants",
        title="Many tenants",
        measures=f"""
            Gathering, keeping and judging the rows {", ".join(GROWING)}, and what they rest on, of a sandbox with so many
            tenants, a tool for {TENANTS_A_TOOL} of them and a connector for {TENANTS_A_CONNECTOR}, which serves in a process
            of its own. Each tenant has an account with a budget, executions, log lines, entries and costs; a tool is called by
            a hundred tenants. Without Dagster, and without the probes, which are about two test tenants whatever the
            size. A round with 10,000 tenants takes longer than five minutes, most of it the sandbox's CloudWatch and bill:
            docs/operating.md says what a whole run with so many came to.""",
        unit="tenants",
        sizes=(100, 500, 2_000),
        small=8,
        sides=(Side("rows that grow", growing_rows),),
        rounds=2,
        targets=(linear(1.2), linear(1.2, "peak_mib")),
    ),
)
