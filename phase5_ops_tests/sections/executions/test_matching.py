"""Executions matched with calls: as many as can be, one to one; tried by every choice where there are few."""

from itertools import combinations

from hypothesis import example, given
from hypothesis import strategies as st

from phase5_ops.sections.executions.judges import matching
from phase5_ops.sections.executions.judges.matching import Spans, Windows, matched, unmatched

spans = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 2)), max_size=4)
windows = st.dictionaries(st.integers(0, 6), st.integers(0, 2))


def spans_of(lengths: list[tuple[int, int, int]]) -> Spans:
    made = Spans()
    for first, length, count in lengths:
        made[first, first + length] += count
    return made


@given(spans, windows)
def test_as_many_are_matched_as_can_be(lengths, calls):
    """By Hall's theorem, in the form for intervals, tried by every choice where there are few."""
    wanted = spans_of(lengths)
    single = list(wanted.elements())

    def most(rest: list[tuple[int, int]], left: dict[int, int]) -> int:
        if not rest:
            return 0
        (first, last), *others = rest
        best = most(others, left)
        for window in range(first, last + 1):
            if left.get(window, 0):
                best = max(best, 1 + most(others, {**left, window: left[window] - 1}))
        return best

    found = unmatched(wanted, calls)
    assert len(single) - found.total() == most(single, dict(calls))
    assert all(0 < count <= wanted[span] for span, count in found.items())


@example([(1, 0, 1), (1, 1, 1), (2, 1, 1)], {2: 1}, {1: 1}, [True] * 8)  # which the longest first would not do
@example([(1, 0, 1), (1, 1, 1), (2, 1, 1), (3, 0, 1)], {1: 1, 3: 1}, {1: 1, 2: 1}, [True] * 8)  # nor the last first
@given(spans, windows, windows, st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_failure_is_excused_by_one_call_that_was_not_measured(lengths, calls, errors, failed):
    """As many of the failures without an error as can all be left over at once, tried by every choice."""
    ran = spans_of(lengths)
    failures = Spans(span for span, is_failure in zip(sorted(ran.elements()), failed, strict=False) if is_failure)
    found = matched(ran, failures, Windows(calls), Windows(errors))
    missing, no_error = unmatched(ran, calls).total(), unmatched(failures, errors).total()

    def can_be_excused(some: Spans) -> bool:
        left = unmatched(ran - some, calls).total(), unmatched(failures - some, errors).total()
        return left == (missing - some.total(), no_error - some.total())

    singles = list(failures.elements())
    chosen = (Spans(some) for size in range(len(singles) + 1) for some in combinations(singles, size))
    most = max(some.total() for some in chosen if can_be_excused(some))
    assert can_be_excused(found.excused)
    assert (found.unmeasured, found.hidden.total()) == (missing, no_error - found.excused.total())
    if not any(errors.values()) or all(length <= 1 for _, length, _ in lengths):
        assert found.excused.total() == most
    assert found.excused.total() <= most <= 2 * found.excused.total()


def test_what_is_left_over_is_chosen_so_that_it_excuses_the_most():
    """A success and the failure that ends first were lost, and one call of something else stands in the place of one of them."""
    ran, failures = Spans({(0, 0): 3, (0, 300): 1}), Spans({(0, 0): 1, (0, 300): 1})
    found = matched(ran, failures, Windows({0: 2, 300: 1}), Windows({0: 1}))
    assert (found.unmeasured, found.excused, found.hidden, found.shown) == (1, Spans({(0, 0): 1}), Spans(), 1)


def test_what_was_not_measured_in_another_hour_excuses_no_failure_of_an_unknown_tool():
    ran, failures = Spans({(300 * n, 300 * n): 100 for n in range(20)}), Spans({(0, 0): 15})
    calls = Windows({window: 100 for window, _ in ran})
    calls[300 * 19] -= 15
    for beside in ((), [matched(Spans({(0, 0): 1}), Spans(), Windows({0: 1}), Windows())]):
        found = matched(ran, failures, calls + Windows({0: len(beside)}), Windows(), beside=beside)
        assert (found.unmeasured, found.hidden.total()) == (15, 15)


@given(st.fixed_dictionaries(dict.fromkeys("ab", st.tuples(spans, windows))), spans)
def test_what_some_tool_was_called_for_is_never_missed_where_it_can_be_a_call(tools, lengths):
    """Tried by every choice of a tool for each execution of an unknown one."""
    ran, unnamed = {tool: spans_of(each) for tool, (each, _) in tools.items()}, spans_of(lengths)
    calls = {tool: Windows(each) for tool, (_, each) in tools.items()}
    by_tool = [matched(ran[tool], Spans(), calls[tool], Windows()) for tool in ran]
    found = matched(unnamed, Spans(), calls["a"] + calls["b"], Windows(), beside=by_tool)
    named = sum(each.unmeasured for each in by_tool)
    single = list(unnamed.elements())
    least = min(
        unmatched(ran["a"] + Spans(to_a), calls["a"]).total() + unmatched(ran["b"] + (unnamed - Spans(to_a)), calls["b"]).total()
        for size in range(len(single) + 1)
        for to_a in combinations(single, size)
    )
    assert found.unmeasured <= least - named


def test_one_call_that_was_not_measured_excuses_one_failure_and_not_each_that_is_near():
    busy = Spans({(300 * n, 300 * n): 1000 for n in range(100, 120)})
    failures = Spans({(300, 300 * (10 + n)): 1 for n in range(10)})
    calls = Windows({window: 1000 for window, _ in busy} | {300 * (10 + n): 1 for n in range(10)})
    calls.subtract({300 * 119: 9, 300 * 10: 1})
    found = matched(busy + failures, failures, calls, Windows())
    assert (found.unmeasured, found.hidden.total()) == (10, 9)


def test_failures_none_of_which_was_measured_are_excused_at_once(monkeypatch):
    """Metrics that stopped for days are the longest case; looking into each window for itself took ten seconds a tool."""
    ran = Spans({(window, window + length): 3 for window in range(864) for length in (0, 1)})
    asked = []
    monkeypatch.setattr(matching, "unmatched", lambda *given: asked.append(given) or unmatched(*given))
    found = matched(ran, ran, Windows(), Windows())
    assert (found.unmeasured, found.hidden.total()) == (ran.total(), 0)
    assert len(asked) <= 6
