"""Pairwise covering: every pair and every single deviation is there, nothing forbidden is, and twice the same comes out."""

from itertools import combinations as subsets
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.probing.channel import TENANT_CHANNELS, medium_of
from phase5_ops.probing.covering import Dimension, Rule, combinations, covering
from phase5_ops.probing.forge import WHO, group_of

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def dimensions_of(counts, groups) -> list[Dimension]:
    return [
        Dimension(f"d{index}", tuple(range(count)), (lambda value: value // 2) if groups else (lambda value: value))
        for index, count in enumerate(counts)
    ]


def pairs(case, dimensions):
    """Every pair of a value and a group, either way round."""
    for one, other in subsets(dimensions, 2):
        a, b = case[one.name], case[other.name]
        yield one.name, a, other.name, "group", other.group(b)
        yield one.name, "group", one.group(a), other.name, b


def rules_of(counts, forbidden) -> list[Rule]:
    """Each forbids one value of one dimension beside one value of another; never a value of the base case."""
    chosen = []
    for one, a, other, b in forbidden:
        if one < other < len(counts) and 0 < a < counts[one] and 0 < b < counts[other]:
            chosen.append(Rule((f"d{one}", f"d{other}"), lambda x, y, a=a, b=b: (x, y) != (a, b)))
    return chosen


@settings(max_examples=150)
@given(
    counts=sizes,
    groups=st.booleans(),
    forbidden=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 3), st.integers(0, 4)), max_size=6),
)
def test_every_pair_that_an_allowed_case_has_is_covered(counts, groups, forbidden):
    dimensions, rules = dimensions_of(counts, groups), rules_of(counts, forbidden)
    names = [dimension.name for dimension in dimensions]
    everything = [dict(zip(names, values, strict=True)) for values in product(*(each.values for each in dimensions))]
    allowed = [case for case in everything if all(rule.allows(*(case[name] for name in rule.names)) for rule in rules)]
    cases = covering(dimensions, rules)
    assert all(case in allowed for case in cases)
    assert len({tuple(sorted(case.items())) for case in cases}) == len(cases)
    wanted = {pair for case in allowed for pair in pairs(case, dimensions)}
    assert {pair for case in cases for pair in pairs(case, dimensions)} == wanted
    assert combinations(dimensions) == len(everything)
    assert cases == covering(dimensions, rules)  # the same, in the same order


@settings(max_examples=100)
@given(counts=sizes, groups=st.booleans())
def test_the_base_case_comes_first_and_then_every_single_deviation(counts, groups):
    dimensions = dimensions_of(counts, groups)
    cases = covering(dimensions)
    base = {dimension.name: 0 for dimension in dimensions}
    assert cases[0] == base
    deviations = [{**base, each.name: value} for each in dimensions for value in each.values[1:]]
    assert list(cases[1 : len(deviations) + 1]) == deviations


def test_a_deviation_that_a_rule_forbids_alone_comes_with_as_little_else_as_it_can():
    dimensions = [Dimension("a", (0, 1)), Dimension("b", (0, 1, 2)), Dimension("c", (0, 1))]
    cases = covering(dimensions, [Rule(("a", "b"), lambda a, b: a == 0 or b == 2)])
    assert {"a": 1, "b": 2, "c": 0} in cases


def test_of_two_large_dimensions_groups_leave_far_fewer_cases_than_their_product():
    dimensions = [Dimension("who", WHO, group_of), Dimension("tenant", (None, *TENANT_CHANNELS), medium_of)]
    cases = covering(dimensions)
    assert len(cases) < combinations(dimensions) / 4
    for kind in WHO:
        assert {medium_of(case["tenant"]) for case in cases if case["who"] is kind} == {"nowhere", "url", "headers", "body"}
    for channel in TENANT_CHANNELS:
        assert {group_of(case["who"]) for case in cases if case["tenant"] is channel} == {group_of(kind) for kind in WHO}


@pytest.mark.parametrize(
    ("dimensions", "rules"),
    [
        ([Dimension("a", ())], []),
        ([Dimension("a", (1, 1))], []),
        ([Dimension("a", (1,)), Dimension("a", (2,))], []),
        ([Dimension("a", (1, 2))], [Rule(("a",), lambda a: a == 2)]),
    ],
    ids=["no value", "a value twice", "a name twice", "a forbidden base"],
)
def test_what_cannot_be_covered_is_said(dimensions, rules):
    with pytest.raises(ValueError, match=r"twice|same name|forbids"):
        covering(dimensions, rules)
