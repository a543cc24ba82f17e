"""The kinds of targets that figures have; each gives a `Target` for a figure's first side.

Their values raise LookupError where what they need was not measured.
"""

from benchmarks.figure import Target
from benchmarks.results import FigureResult, Quantity, SizeResult, Spread, growth, ratio

_WORDS: dict[Quantity, str] = {"cpu": "CPU", "clock": "clock", "peak_mib": "peak memory"}


def _of(result: FigureResult, size: int | None) -> SizeResult:
    """The result of a size, by default of the largest."""
    return result.sizes[-1] if size is None else {each.size: each for each in result.sizes}[size]


def times(reference: str, at_most: float, quantity: Quantity = "cpu", size: int | None = None) -> Target:
    """At most so many times the reference's, at a size (the largest)."""

    def value(result: FigureResult, side: str) -> float:
        found = _of(result, size)
        return ratio(found.sides[side], found.sides[reference], quantity).median

    return Target(f"{_WORDS[quantity]} at most {at_most:g} times that of {reference}", value, at_most)


def times_before(at_most: float, quantity: Quantity = "cpu") -> Target:
    """At most so many times what it was in the other checkout, at the largest size."""

    def value(result: FigureResult, side: str) -> float:
        found = _of(result, None)
        return ratio(found.sides[side], found.before[side], quantity).median

    return Target(f"{_WORDS[quantity]} at most {at_most:g} times that before", value, at_most)


def linear(at_most: float = 1.2, quantity: Quantity = "cpu") -> Target:
    """From the smallest to the largest size it grows at most so many times as much as the size does."""

    def value(result: FigureResult, side: str) -> float:
        grown = growth(result.sizes, side, quantity)
        if len(grown) < 2:
            raise LookupError("there is one size")
        return grown[-1][1] / (grown[-1][0] / grown[0][0])

    return Target(f"{_WORDS[quantity]} grows at most {at_most:g} times as much as the size", value, at_most)


def memory(mib: float, size: int | None = None) -> Target:
    """The peak at a size (the largest) is at most so many MiB, whatever was held before the work included."""

    def value(result: FigureResult, side: str) -> float:
        return Spread.of(_of(result, size).sides[side].peak_mib).most

    return Target(f"peak memory at most {mib:g} MiB", value, mib)


def seconds(at_most: float, size: int | None = None) -> Target:
    """Where the issue names seconds: the median on the clock at a size (the largest)."""

    def value(result: FigureResult, side: str) -> float:
        return Spread.of(_of(result, size).sides[side].clock).median

    return Target(f"at most {at_most:g} s on the clock", value, at_most)
