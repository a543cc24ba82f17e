"""Work that several threads share: what it gives, how much of it goes on at once, and what follows a failure."""

import threading
from itertools import accumulate, islice

import pytest

from phase5_ops.aws.pace import LONGEST_PAUSE, growing_pauses, side_by_side


@pytest.mark.parametrize("at_once", [1, 2, 4, 9])
@pytest.mark.parametrize("items", [[], ["a"], list("abcdefgh")])
def test_what_each_item_gives_is_in_their_order(items, at_once):
    assert side_by_side(str.upper, items, at_once, "test") == [item.upper() for item in items]


def test_as_many_items_as_asked_for_are_worked_on_at_once():
    together = threading.Barrier(3)
    assert side_by_side(lambda _: together.wait(timeout=60) >= 0, range(6), 3, "test") == [True] * 6


def test_never_more_than_asked_for():
    lock, under_way, most = threading.Lock(), 0, []

    def work(_):
        nonlocal under_way
        with lock:
            under_way += 1
            most.append(under_way)
        with lock:
            under_way -= 1

    side_by_side(work, range(200), 2, "test")
    assert max(most) <= 2


@pytest.mark.parametrize("at_once", [1, 3])
def test_after_a_failure_nothing_further_is_begun(at_once):
    begun = []

    def work(item):
        begun.append(item)
        raise LookupError(f"item {item}")

    with pytest.raises(LookupError, match=r"item \d"):
        side_by_side(work, range(100), at_once, "test")
    assert len(begun) <= at_once


def test_what_ends_soon_is_soon_seen_and_what_takes_long_is_seldom_asked():
    pauses = list(islice(growing_pauses(), 20))
    assert pauses == sorted(pauses)
    assert [round(at, 2) for at in accumulate(pauses[:4])] == [0.05, 0.12, 0.24, 0.41]
    assert pauses[10:] == [LONGEST_PAUSE] * 10
