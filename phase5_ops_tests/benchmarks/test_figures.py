"""Every figure at its smallest size: what it does is tried, not how fast it is.

Calls are made in this process. A command that imports this project or Dagster runs in a process that has done so already: what it
counts is taken, its seconds and memory are not. Those of the commands with DuckDB and pandas are measured.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.figure import Command, Figure, Work, all_figures
from benchmarks.figures import many_tenants
from benchmarks.measuring import Usage, measure
from benchmarks.results import SideResult, SizeResult
from benchmarks.rounds import agree
from phase5_ops.sandbox.server import Sandbox
from phase5_ops_tests.gate import warm_processes
from phase5_ops_tests.spark.local_spark import need_spark

FIGURES = all_figures()

pytestmark = [pytest.mark.slow, pytest.mark.over_sockets]


@contextmanager
def in_this_process(scenario: str) -> Iterator[dict[str, str]]:
    """A sandbox as `sandbox_process` gives it, without a process."""
    with Sandbox(scenario) as sandbox:
        yield sandbox.exports()


@contextmanager
def many_tenants_in_this_process(tenants: int) -> Iterator[dict[str, str]]:
    """A larger sandbox as the figure serves it, without a process."""
    with Sandbox("healthy", size=many_tenants.platform_of(tenants)) as sandbox:
        yield sandbox.exports()


@pytest.fixture(autouse=True)
def sandboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_tenants, "served", many_tenants_in_this_process)
    monkeypatch.setattr("phase5_ops.sandbox.process.sandbox_process", in_this_process)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Figure], Path]:
    """The folder with a figure's input; figures that prepare the same have one."""

    @cache
    def folder_of(prepare: Callable[[int, Path], None], size: int) -> Path:
        folder = tmp_path_factory.mktemp("prepared")
        prepare(size, folder)
        return folder

    return lambda figure: folder_of(figure.prepare, figure.small)


def measured(work: Work, folder: Path) -> Usage:
    """As `measure` does it; see above for commands."""
    if not isinstance(work, Command) or not re.search(r"phase5_ops|dagster|benchmarks\.", " ".join(work.argv)):
        return measure(work)
    done = warm_processes.Command(work.argv, {**os.environ, **work.environment}, folder)
    output, complaints = done.communicate(timeout=600)
    assert done.returncode in work.codes, complaints
    return Usage(cpu=1.0, clock=1.0, peak_mib=1.0, held_mib=0.0, counts=work.counts(output))


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_measured(name: str, prepared: Callable[[Figure], Path], tmp_path: Path):
    if name.startswith("spark-"):
        need_spark()
    figure = FIGURES[name]
    result = SizeResult(size=figure.small)
    for side in figure.all_sides:
        with patch.dict(os.environ), side.begin(figure.small, prepared(figure)) as work:
            result.sides.setdefault(side.name, SideResult()).add(measured(work, tmp_path))
    agree(figure, result)
    assert all(side.clock[0] > 0 and side.peak_mib[0] > 0 for side in result.sides.values())
