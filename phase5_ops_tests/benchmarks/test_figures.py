"""Every figure at its smallest size, in this process: what it does is tried, not how fast it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.figure import all_figures
from benchmarks.figures import many_tenants
from benchmarks.measuring import measure
from benchmarks.results import SideResult, SizeResult
from benchmarks.rounds import agree
from phase5_ops.sandbox.server import Sandbox
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


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_measured(name: str, tmp_path: Path):
    if name.startswith("spark-"):
        need_spark()
    figure = FIGURES[name]
    result = SizeResult(size=figure.small)
    figure.prepare(figure.small, tmp_path)
    for side in figure.all_sides:
        with patch.dict(os.environ), side.begin(figure.small, tmp_path) as work:
            result.sides.setdefault(side.name, SideResult()).add(measure(work))
    agree(figure, result)
    assert all(side.clock[0] > 0 and side.peak_mib[0] > 0 for side in result.sides.values())
