"""Every figure at its smallest size, in this process: what it does is tried, not how fast it is."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.figure import all_figures
from benchmarks.measuring import measure
from benchmarks.results import SideResult, SizeResult
from benchmarks.rounds import agree

FIGURES = all_figures()

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_measured(name: str, tmp_path: Path):
    figure = FIGURES[name]
    result = SizeResult(size=figure.small)
    figure.prepare(figure.small, tmp_path)
    for side in figure.all_sides:
        with patch.dict(os.environ), side.begin(figure.small, tmp_path) as work:
            result.sides.setdefault(side.name, SideResult()).add(measure(work))
    agree(figure, result)
    assert all(side.clock[0] > 0 and side.peak_mib[0] > 0 for side in result.sides.values())
