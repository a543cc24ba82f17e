"""Items that are made ahead: all of them, in order, no more at a time than was said, and no thread is left behind."""

import threading
from collections.abc import Iterator

import pytest

from phase5_ops.input_files.ahead import MadeAhead


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "made-ahead"]


@pytest.mark.parametrize("most", [0, 1, 3, 50])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 20])
def test_all_come_in_their_order(count: int, most: int):
    with MadeAhead(iter(range(count)), most) as made:
        assert list(made) == list(range(count))
    assert threads() == []


def test_an_error_comes_in_its_place():
    def items() -> Iterator[int]:
        yield from range(5)
        raise OSError("disk")

    came = list[int]()
    with pytest.raises(OSError, match="disk"), MadeAhead(items(), 2) as made:
        came.extend(made)
    assert came == [0, 1, 2, 3, 4]
    assert threads() == []


def test_of_few_items_all_are_made_where_they_are_used():
    with MadeAhead((threading.current_thread() for _ in range(2)), 3) as made:
        assert set(made) == {threading.current_thread()}


def test_no_more_than_was_said_are_made_ahead_and_none_after_the_end():
    made_so_far: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made_so_far.append(number)
            yield number

    with MadeAhead(items(), 3) as made:
        for item in made:
            assert len(made_so_far) <= item + 1 + 3 + 1  # one more may be under way
            if item == 20:
                break
    assert threads() == []
    assert len(made_so_far) <= 25
