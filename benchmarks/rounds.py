"""Measures a figure: its sides by turns, several rounds of each size, every measurement in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.child import PREPARE
from benchmarks.figure import Figure, Missing
from benchmarks.machine import ROOT
from benchmarks.measuring import Usage
from benchmarks.results import Circumstances, FigureResult, SideResult, SizeResult

#: This project's benchmarks come from here, whichever checkout of phase5_ops the path names.
_CHILD = (
    "import runpy, sys; sys.path.insert(0, {root!r}); import benchmarks; sys.path.remove({root!r});"
    " runpy.run_module('benchmarks.child', run_name='__main__', alter_sys=True)"
)
_PATIENCE = 1800  # seconds; a single measurement that takes longer hangs

Say = Callable[[str], None]


class Failed(Exception):
    """A measurement failed; the message has what the process complained of."""


@dataclass(frozen=True)
class _Turn:
    """Who is measured: a side, with this checkout or the other one."""

    side: str
    tree: Path
    before: bool = False

    @property
    def label(self) -> str:
        return f"{self.side} before" if self.before else self.side


def measured(figure: Figure, where: Circumstances, *, small: bool, before: Path | None, say: Say) -> FigureResult:
    """Measures the documented sizes, or the small one; `before` is another checkout, measured by turns with this one.

    Raises:
        Failed: a side did not do its work, or two sides counted differently.
    """
    sizes = (figure.small,) if small else figure.sizes
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix=f"phase5-{figure.name}-") as folder:
            about = f"{figure.name}, {size:,} {figure.unit}"
            say(f"{about}: preparing")
            _child(figure, PREPARE, size, Path(folder), ROOT)
            result = SizeResult(size=size)
            turns = _turns(figure, before)
            for number in range(1 if small else figure.rounds):
                for turn in turns if number % 2 == 0 else turns[::-1]:  # neither side always comes first
                    if turn.label in result.absent:
                        continue
                    say(f"{about}: round {number + 1}, {turn.label}")
                    _measure(figure, turn, Path(folder), result)
            agree(figure, result)
            found.append(result)
    return FigureResult(figure=figure.name, circumstances=where, sizes=found)


def _turns(figure: Figure, before: Path | None) -> list[_Turn]:
    turns = [_Turn(side.name, ROOT) for side in figure.all_sides]
    if before is not None:
        turns += [_Turn(side.name, before, before=True) for side in figure.sides]
    return turns


def _measure(figure: Figure, turn: _Turn, folder: Path, result: SizeResult) -> None:
    """Adds one measurement; what could not be measured stands in the result with its reason."""
    try:
        usage = _child(figure, turn.side, result.size, folder, turn.tree)
    except Missing as missing:
        result.absent[turn.label] = str(missing)
    except Failed as failed:
        if not turn.before:
            raise
        result.absent[turn.label] = f"failed there: {str(failed).strip().splitlines()[-1]}"
    else:
        sides = result.before if turn.before else result.sides
        sides.setdefault(turn.side, SideResult()).add(Usage(**usage))


def _child(figure: Figure, side: str, size: int, folder: Path, tree: Path) -> dict[str, Any]:
    answer = folder / "answer.json"
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(root=str(ROOT)), figure.name, side, str(size), str(folder), str(answer)],
        env={**_environment(), "PYTHONPATH": str(tree)},
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{figure.name}, {size} {figure.unit}, {side or 'preparing'}:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if "missing" in said:
        raise Missing(str(said["missing"]))
    return said


def _environment() -> Mapping[str, str]:
    """This process's environment without what would change the measured: settings, AWS, Dagster."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PHASE5_", "AWS_", "DAGSTER_"))}


def agree(figure: Figure, result: SizeResult) -> None:
    """Makes sure that what several sides counted is the same.

    Raises:
        Failed: it is not.
    """
    seen: dict[str, tuple[str, float]] = {}
    for side, found in result.sides.items():
        for name, count in found.counts.items():
            other, counted = seen.setdefault(name, (side, count))
            if counted != count:
                raise Failed(f"{figure.name}, {result.size} {figure.unit}: {name} {counted:g} of {other}, {count:g} of {side}")
