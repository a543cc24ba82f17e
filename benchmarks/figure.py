"""What a figure is: what it measures, at which sizes, with what it is compared, and what it has to reach."""

import importlib
import pkgutil
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import figures

if TYPE_CHECKING:
    from benchmarks.results import FigureResult

Counts = Mapping[str, float]  #: what was found or done, by name: rows, calls, bytes


class Missing(Exception):
    """Something that a side needs is not on this machine; the message names it, and how to get it."""


def _nothing(_output: str) -> Counts:
    return {}


@dataclass(frozen=True)
class Command:
    """Work that is a process: all of it is measured, its start and its children included.

    Attributes:
        argv: the program and its arguments.
        counts: what its standard output says.
        codes: the exit codes that mean it did its work; any other is an error.
        environment: variables beside those of this process.
    """

    argv: Sequence[str]
    counts: Callable[[str], Counts] = _nothing
    codes: frozenset[int] = frozenset({0})
    environment: Mapping[str, str] = field(default_factory=dict)


Work = Command | Callable[[], Counts | None]  #: a command, or a call in this process that may say what it counted


@dataclass(frozen=True)
class Side:
    """One way to do the work of a figure.

    Attributes:
        name: what it is called in tables and plots.
        begin: given the size and the folder with what `Figure.prepare` wrote, makes ready what is not measured (imports,
            reading input, a sandbox) and yields the work. Counts that two sides of a figure both have must be equal: a ratio of
            two things that did not do the same is none. May raise `Missing`.
    """

    name: str
    begin: Callable[[int, Path], AbstractContextManager[Work]]


@dataclass(frozen=True)
class Target:
    """What a figure has to reach.

    Attributes:
        says: the target in words, with its bound.
        value: what is compared with the bound, of a side of a result; see `targets.py`. Raises LookupError where that was not
            measured.
        at_most: the bound.
    """

    says: str
    value: Callable[["FigureResult", str], float]
    at_most: float


def _nothing_to_prepare(_size: int, _folder: Path) -> None:
    """Inputs are made by the sides."""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        name: how it is named on the command line: lower case, hyphens.
        title: its heading in docs/performance.md.
        measures: what is measured and what is not, how the input is made, as sentences in Markdown; line ends do not matter.
        unit: what sizes count.
        sizes: the sizes that are documented, ascending; several show growth.
        small: a size that takes less than a few seconds, for tests.
        sides: this project's ways to do it; the first is what targets and the table are about.
        reference: what they are compared with; None where growth or memory alone is judged.
        prepare: writes the input of a size into a folder, once for all sides and rounds, in a process of its own.
        rounds: how often each side is measured, by turns.
        targets: what it has to reach.
    """

    name: str
    title: str
    measures: str
    unit: str
    sizes: tuple[int, ...]
    small: int
    sides: tuple[Side, ...]
    reference: Side | None = None
    prepare: Callable[[int, Path], None] = _nothing_to_prepare
    rounds: int = 5
    targets: tuple[Target, ...] = ()

    @property
    def all_sides(self) -> tuple[Side, ...]:
        """This project's sides, and the reference."""
        return self.sides if self.reference is None else (*self.sides, self.reference)

    def side(self, name: str) -> Side:
        """The side of this name."""
        return next(side for side in self.all_sides if side.name == name)


def all_figures() -> dict[str, Figure]:
    """Every figure by name, in the order of the names."""
    found = {}
    for module in pkgutil.iter_modules(figures.__path__, f"{figures.__name__}."):
        for figure in importlib.import_module(module.name).FIGURES:
            if figure.name in found:
                raise ValueError(f"two figures are named {figure.name}")
            found[figure.name] = figure
    return dict(sorted(found.items()))


def program(name: str, remedy: str) -> str:
    """The path of a program that came with this Python's packages, or is on the PATH.

    Raises:
        Missing: there is none; `remedy` says how to get it.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise Missing(f"there is no {name}: {remedy}")
    return found
