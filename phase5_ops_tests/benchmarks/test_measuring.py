"""Measuring itself: what is counted, what stops a figure, and what the page says of what could not be measured."""

import mmap
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import page, plots
from benchmarks.figure import Command, Figure, Missing, Side, Work, all_figures
from benchmarks.machine import circumstances
from benchmarks.measuring import Usage, measure
from benchmarks.results import FigureResult, SideResult, SizeResult, keep, kept
from benchmarks.rounds import Failed, agree
from benchmarks.targets import linear, memory, times
from phase5_ops_tests.places import ROOT

MIB = 1024 * 1024


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_a_call_is_measured_without_what_was_held_before():
    def map_and_write() -> dict[str, float]:
        """Pages that are new for certain: those of an allocator can be old ones, which the process holds already."""
        with mmap.mmap(-1, 32 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
            return {"bytes": pages.write(bytes(32 * MIB))}

    held = bytearray(64 * MIB)
    usage = measure(map_and_write)
    assert usage.counts == {"bytes": 32 * MIB}
    assert 30 < usage.peak_mib - usage.held_mib < 60
    assert usage.held_mib > len(held) / MIB


def test_a_command_is_measured_with_its_children():
    busy = "x = bytearray(40 * 2**20)\nfor _ in range(300_000): pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {busy!r}], check=True); print(3)"
    usage = measure(Command(python(parent), lambda said: {"said": float(said)}))
    assert usage.counts == {"said": 3}
    assert usage.peak_mib > 40
    assert usage.cpu > 0


def test_a_command_that_did_not_do_its_work_is_an_error():
    with pytest.raises(RuntimeError, match="ended with 3: it went wrong"):
        measure(Command(python("import sys; print('it went wrong', file=sys.stderr); sys.exit(3)")))
    assert measure(Command(python("import sys; sys.exit(3)"), codes=frozenset({3}))).clock > 0


@contextmanager
def nothing(_size: int, _folder: Path) -> Iterator[Work]:
    yield lambda: None


FIGURE = Figure(
    name="a-figure",
    title="A figure, of tests",
    measures="Nothing.",
    unit="things",
    sizes=(1, 10),
    small=1,
    sides=(Side("ours", nothing),),
    reference=Side("theirs", nothing),
    targets=(times("theirs", 2), linear(1.5), memory(100)),
)


def result(*sizes: SizeResult) -> FigureResult:
    return FigureResult(figure=FIGURE.name, circumstances=circumstances(None), sizes=list(sizes))


def side(*cpu: float, **counts: float) -> SideResult:
    made = SideResult()
    for each in cpu:
        made.add(Usage(each, each * 2, 50, 10, counts))
    return made


def test_sides_that_counted_differently_fail_the_figure():
    agree(FIGURE, SizeResult(size=1, sides={"ours": side(1, rows=3), "theirs": side(1, rows=3, files=1)}))
    with pytest.raises(Failed, match="rows 3 of ours, 4 of theirs"):
        agree(FIGURE, SizeResult(size=1, sides={"ours": side(1, rows=3), "theirs": side(1, rows=4)}))


def test_the_page_has_ratios_growth_and_whether_targets_are_met():
    sizes = (
        SizeResult(size=1, sides={"ours": side(1, 2, 3), "theirs": side(1, 1, 1)}, before={"ours": side(4, 4, 4)}),
        SizeResult(size=10, sides={"ours": side(18, 20, 24), "theirs": side(9, 5, 12)}, before={"ours": side(40, 40, 48)}),
    )
    said = page.page({FIGURE.name: result(*sizes)}, {FIGURE.name: FIGURE})
    assert "| [A figure, of tests](#a-figure-of-tests) | 10 things | theirs | **2.00** (2.00 to 4.00) | **2.00**" in said
    assert "| **0.50** (0.45 to 0.50) | **0.50** (0.45 to 0.50) |" in said
    assert "CPU at most 2 times that of theirs: 2, met" in said
    assert "CPU grows at most 1.5 times as much as the size: 1, met" in said
    assert "peak memory at most 100 MiB: 50, met" in said


def test_what_could_not_be_measured_is_said_to_be_so():
    found = result(SizeResult(size=10, sides={"ours": side(5)}, absent={"theirs": "there is no theirs: install it"}))
    said = page.page({FIGURE.name: found}, {FIGURE.name: FIGURE, "other": all_figures()["cost-report"]})
    assert said.count("**not measured: there is no theirs: install it**") >= 2
    assert "CPU at most 2 times that of theirs: **not measured**" in said
    assert "**Not measured.**" in said


def test_a_reference_does_not_stand_for_what_could_not_be_measured():
    found = result(SizeResult(size=10, sides={"theirs": side(5)}, absent={"ours": "there is no engine"}))
    said = page.page({FIGURE.name: found}, {FIGURE.name: FIGURE})
    assert said.count("**not measured**") == 2 * len(FIGURE.targets)
    assert "met" not in said.split("## All figures")[1].replace("not met", "")


def test_a_missing_program_is_missing():
    from benchmarks.figure import program

    with pytest.raises(Missing, match="there is no such-a-program: install it"):
        program("such-a-program", "install it")


def test_what_is_kept_is_read_again(tmp_path: Path):
    found = result(SizeResult(size=1, sides={"ours": side(1, 2, rows=3)}))
    keep(found, tmp_path)
    assert kept(tmp_path) == {FIGURE.name: found}


def test_each_row_of_a_table_has_the_cells_of_its_head_also_where_a_command_has_a_pipe():
    for lines in re.findall(r"(?:^\|.*\n)+", (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines.splitlines()}) == 1, lines


def test_the_page_and_its_plots_are_those_of_the_kept_results():
    """After measuring, or a change of what a figure says of itself: `python -m benchmarks --write`."""
    figures, results = all_figures(), kept(ROOT / "benchmarks" / "results")
    assert results.keys() <= figures.keys()
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == page.page(results, figures)
    series = {name: plots.plotted(figure, results[name]) for name, figure in figures.items() if name in results}
    images = ROOT / "docs" / "images"
    assert {path.name for path in images.glob("performance-*")} == {f"performance-{name}.svg" for name in series if series[name]}
    for name, shown in series.items():
        assert not shown or plots.digest(shown) in (images / f"performance-{name}.svg").read_text(encoding="utf-8")
