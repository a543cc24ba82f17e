"""Pairwise covering: a small set of cases out of the product of declared dimensions. Pure and deterministic.

The set always holds the base case (the first value of every dimension), every single deviation from it (where a rule forbids one,
the allowed case with that value that lies nearest to the base), and every pair of values of two dimensions that an allowed case
can have (Cohen et al., The AETG System, IEEE TSE 23(7), 1997: greedy, one case at a time).

Where two dimensions are large, all their pairs are too many. So a dimension may sort its values into groups: then every value
of one dimension is paired with every group of the other, and the other way round. Without groups that is every pair of values.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations as subsets
from itertools import product
from math import prod
from typing import Any

Case = Mapping[str, Any]


def _itself(value: Any) -> Hashable:  # noqa: ANN401 - a value of any dimension
    return value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that cases differ in.

    Attributes:
        name: key of a case.
        values: hashable, all different; the first is the base.
        group: sorts values for pairing; default: each value is its own group.
    """

    name: str
    values: Sequence[Any]
    group: Callable[[Any], Hashable] = _itself


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on every case: `allows` gets the values of the named dimensions, in that order."""

    names: tuple[str, ...]
    allows: Callable[..., bool]


def combinations(dimensions: Sequence[Dimension]) -> int:
    """How many cases the whole product of the dimensions has, rules aside."""
    return prod(len(dimension.values) for dimension in dimensions)


def covering(dimensions: Sequence[Dimension], rules: Sequence[Rule] = ()) -> tuple[Case, ...]:
    """The cases, in a stable order: the base, the single deviations, then what is still needed to cover the pairs.

    Args:
        dimensions: at least one; each with at least one value.
        rules: all of them hold for every case.

    Raises:
        ValueError: two dimensions of one name, two equal values, no value, or a base case that a rule forbids.
    """
    if len({dimension.name for dimension in dimensions}) < len(dimensions):
        raise ValueError("two dimensions have the same name")
    for dimension in dimensions:
        if not dimension.values or len(set(dimension.values)) < len(dimension.values):
            raise ValueError(f"dimension {dimension.name!r} has no value, or one twice")
    if len(dimensions) == 2 and not any(_is_grouped(dimension) for dimension in dimensions):  # noqa: PLR2004 - a pair is a case
        return _allowed_product(dimensions, rules)
    return _Covering(tuple(dimensions), tuple(rules)).cases()


def _is_grouped(dimension: Dimension) -> bool:
    return any(dimension.group(value) != value for value in dimension.values)


def _allowed_product(dimensions: Sequence[Dimension], rules: Sequence[Rule]) -> tuple[Case, ...]:
    """Every case that the rules allow: with two dimensions, each pair of values is a case."""
    names = [dimension.name for dimension in dimensions]
    cases = [dict(zip(names, values, strict=True)) for values in product(*(dimension.values for dimension in dimensions))]
    allowed = [case for case in cases if all(rule.allows(*(case[name] for name in rule.names)) for rule in rules)]
    if not allowed or allowed[0] != cases[0]:
        raise ValueError("a rule forbids the base case")
    base = cases[0]
    same = {id(case): tuple(case[name] == base[name] for name in names) for case in allowed}
    return tuple(sorted(allowed, key=lambda case: (same[id(case)].count(False), same[id(case)])))


_Side = tuple[str, bool, Hashable]  # dimension, whether a group is meant, the value or group
_Pair = tuple[_Side, _Side]


class _Covering:
    """Makes one set of cases; keeps track of the pairs that are still to be covered."""

    def __init__(self, dimensions: tuple[Dimension, ...], rules: tuple[Rule, ...]) -> None:
        self._dimensions = dimensions
        self._by_name = {dimension.name: dimension for dimension in dimensions}
        self._rules = rules
        self._base = {dimension.name: dimension.values[0] for dimension in dimensions}
        self._open: dict[_Pair, None] = dict.fromkeys(self._pairs())
        self._used: Counter[tuple[str, Any]] = Counter()
        self._cases: dict[tuple[Any, ...], Case] = {}

    def cases(self) -> tuple[Case, ...]:
        if not self._allowed(self._base):
            raise ValueError("a rule forbids the base case")
        self._add(self._base)
        for dimension in self._dimensions:
            for value in dimension.values[1:]:
                nearest = self._nearest(dimension.name, value)
                if nearest is not None:
                    self._add(nearest)
        while self._open:
            pair = next(iter(self._open))
            found = self._case_with(pair)
            if found is None:
                del self._open[pair]  # no allowed case has it
            else:
                self._add(found)
        return tuple(self._cases.values())

    def _pairs(self) -> Iterator[_Pair]:
        for one, other in subsets(self._dimensions, 2):
            for side in self._sides(one, groups=False):
                yield from ((side, group) for group in self._sides(other, groups=True))
            for group in self._sides(one, groups=True):
                yield from ((group, side) for side in self._sides(other, groups=False))

    @staticmethod
    def _sides(dimension: Dimension, *, groups: bool) -> Iterator[_Side]:
        kinds = dict.fromkeys(dimension.group(value) if groups else value for value in dimension.values)
        yield from ((dimension.name, groups, kind) for kind in kinds)

    def _is(self, side: _Side, value: Any) -> bool:  # noqa: ANN401 - a value of any dimension
        name, grouped, kind = side
        return bool((self._by_name[name].group(value) if grouped else value) == kind)

    def _add(self, case: Mapping[str, Any]) -> None:
        key = tuple(case[dimension.name] for dimension in self._dimensions)
        if key in self._cases:
            return
        self._cases[key] = {dimension.name: case[dimension.name] for dimension in self._dimensions}
        self._used.update(case.items())
        for pair in self._covered(case):
            self._open.pop(pair, None)

    def _covered(self, case: Mapping[str, Any]) -> Iterator[_Pair]:
        for one, other in subsets(self._dimensions, 2):
            if one.name in case and other.name in case:
                yield from self._pairs_of(one, case[one.name], other, case[other.name])

    @staticmethod
    def _pairs_of(one: Dimension, a: Any, other: Dimension, b: Any) -> Iterator[_Pair]:  # noqa: ANN401 - any values
        yield (one.name, False, a), (other.name, True, other.group(b))
        yield (one.name, True, one.group(a)), (other.name, False, b)

    def _gain(self, case: Mapping[str, Any], name: str, value: Any) -> int:  # noqa: ANN401 - a value of any dimension
        """How many more open pairs the case covers with this value."""
        position = self._dimensions.index(self._by_name[name])
        count = 0
        for index, other in enumerate(self._dimensions):
            if other.name in case and other.name != name:
                here, there = (self._by_name[name], value), (other, case[other.name])
                (one, a), (two, b) = (here, there) if position < index else (there, here)
                count += sum(pair in self._open for pair in self._pairs_of(one, a, two, b))
        return count

    def _allowed(self, case: Mapping[str, Any]) -> bool:
        """Whether every rule whose dimensions are all set holds."""
        return all(
            rule.allows(*(case[name] for name in rule.names)) for rule in self._rules if all(name in case for name in rule.names)
        )

    def _nearest(self, name: str, value: Any) -> Case | None:  # noqa: ANN401 - a value of any dimension
        """The allowed case with this value that deviates least from the base otherwise; None if there is none."""
        others = [dimension for dimension in self._dimensions if dimension.name != name]
        for count in range(len(others) + 1):
            for changed in subsets(others, count):
                start = {each.name: each.values[0] for each in others if each not in changed} | {name: value}
                found = self._completed(start, [(each, each.values[1:]) for each in changed])
                if found is not None:
                    return found
        return None

    def _case_with(self, pair: _Pair) -> Case | None:
        """An allowed case that covers the pair, and as many others as a greedy choice finds; None if there is none."""
        fixed = {side[0]: side for side in pair}
        first = [dimension for dimension in self._dimensions if dimension.name in fixed]
        rest = [dimension for dimension in self._dimensions if dimension.name not in fixed]
        choices = [(each, [value for value in each.values if self._is(fixed[each.name], value)]) for each in first]
        return self._completed({}, [*choices, *((each, each.values) for each in rest)])

    def _completed(self, case: Mapping[str, Any], choices: Sequence[tuple[Dimension, Sequence[Any]]]) -> Case | None:
        """Completes the case with a value for each dimension: tries the most useful first, among equals the base."""
        if not self._allowed(case):
            return None
        if not choices:
            return case
        (dimension, values), *rest = choices
        name = dimension.name

        def usefulness(value: Any) -> tuple[int, bool, int]:  # noqa: ANN401 - a value of any dimension
            return -self._gain(case, name, value), value != dimension.values[0], self._used[name, value]

        for value in sorted(values, key=usefulness):
            found = self._completed({**case, name: value}, rest)
            if found is not None:
                return found
        return None
