"""What was measured, as it is kept: a JSON file a figure, from which the page and the plots are made again without measuring."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.measuring import Usage

Quantity = Literal["cpu", "clock", "peak_mib"]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Machine(_Kept):
    """What it was measured on."""

    processor: str
    cores: int
    memory_gib: int
    system: str


class Circumstances(_Kept):
    """When, where and with what a figure was measured.

    Attributes:
        commit: of this repository, `+` behind it where the work tree was changed.
        before: the commit of the other checkout that was measured by turns with it, if one was.
    """

    when: str
    machine: Machine
    commit: str
    before: str | None = None
    versions: dict[str, str]


class SideResult(_Kept):
    """A side at one size: a value for each round (units: see `Usage`)."""

    cpu: list[float] = Field(default_factory=list)
    clock: list[float] = Field(default_factory=list)
    peak_mib: list[float] = Field(default_factory=list)
    held_mib: list[float] = Field(default_factory=list)
    counts: dict[str, float] = Field(default_factory=dict)

    def add(self, usage: Usage) -> None:
        """Adds a round."""
        for name in ("cpu", "clock", "peak_mib", "held_mib"):
            getattr(self, name).append(round(getattr(usage, name), 4))
        self.counts = dict(usage.counts)

    def values(self, quantity: Quantity) -> list[float]:
        """The rounds' values."""
        found: list[float] = getattr(self, quantity)
        return found


class SizeResult(_Kept):
    """All sides at one size.

    Attributes:
        sides: by name, the reference among them.
        before: this project's sides again, with the other checkout.
        absent: what could not be measured, and why.
    """

    size: int
    sides: dict[str, SideResult] = Field(default_factory=dict)
    before: dict[str, SideResult] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)


class FigureResult(_Kept):
    """A figure, measured."""

    figure: str
    circumstances: Circumstances
    sizes: list[SizeResult]


class Spread(_Kept):
    """Middle, least and greatest of the values of several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of at least one value."""
        found = list(values)
        return cls(median=statistics.median(found), least=min(found), most=max(found))


def ratio(one: SideResult, other: SideResult, quantity: Quantity) -> Spread:
    """How many times the other's, round by round: the two of a round met the same machine."""
    return Spread.of(mine / theirs for mine, theirs in zip(one.values(quantity), other.values(quantity), strict=True))


def growth(sizes: Sequence[SizeResult], side: str, quantity: Quantity) -> list[tuple[int, float]]:
    """Size, and how many times the median at the smallest size."""
    found = [(each.size, Spread.of(each.sides[side].values(quantity)).median) for each in sizes if side in each.sides]
    return [(size, value / found[0][1]) for size, value in found]


def keep(result: FigureResult, folder: Path) -> None:
    """Writes a figure's file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.figure}.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")


def kept(folder: Path) -> dict[str, FigureResult]:
    """Every figure that the folder has."""
    found = [FigureResult.model_validate_json(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    return {each.figure: each for each in found}
