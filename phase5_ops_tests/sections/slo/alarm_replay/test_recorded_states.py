"""Where an alarm's history and its replay differ: what is known of neither, and each moment beside a second, slow comparison."""

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.sections.slo.alarm_replay.recorded_states import Recorded, differences
from phase5_ops.sections.slo.alarm_replay.timeline import Timeline, pieced, without

SLACK = 3
STATES = {"A": "ALARM", "o": "OK"}  # anything else: not known


def timeline(text: str) -> Timeline:
    """The state of each second."""
    return pieced((at, at + 1, STATES[each]) for at, each in enumerate(text) if each in STATES)


def compared(recorded: str, replayed: str, since: int = 0):
    return differences(Recorded(since, timeline(recorded)), timeline(replayed), SLACK)


@pytest.mark.parametrize(
    ("recorded", "replayed", "absent"),
    [
        ("oooooooooooooooooo", "ooooooAAAAoooooooo", [(6, 10)]),
        ("oooooooooAAAoooooo", "ooooooAAAAoooooooo", []),
        ("ooooooooooAAoooooo", "ooooooAAAAoooooooo", [(6, 10)]),
        ("oooAAAAAAAoooooooo", "ooooooAAAAoooooooo", []),
        ("ooAAAAAAAAoooooooo", "ooooooAAAAoooooooo", [(6, 10)]),
        # out of ALARM for no longer than the slack, both times may be one
        ("oooooAAAAAAAAAAAAo", "oooooAAAAAAoooAAAo", []),
        ("oooooAAAAAAAAAAAAo", "oooooAAAAAooooAAAo", [(14, 17)]),
        # since when it has been in ALARM is not known
        ("ooAAAAAAAAAAoooooo", "      AAAAoooooooo", []),
        ("oooooooooooooooooo", "      AAAAoooooooo", [(6, 10)]),
        # an item is missing near the beginning, or only later
        ("oooo ooooooooooooo", "ooooooAAAAoooooooo", []),
        ("oooooooooo ooooooo", "ooooooAAAAAAAAoooo", [(6, 14)]),
        # CloudWatch has not had time enough
        ("oooooooooooooooooo", "ooooooooooooooooAA", []),
        ("oooooooooooooooooo", "ooooooooooooooAAAA", [(14, 18)]),
    ],
)
def test_a_firing_must_begin_in_the_history_near_its_beginning(recorded, replayed, absent):
    assert compared(recorded, replayed).absent == absent


def test_when_it_went_into_alarm_is_told_of_each_firing_that_the_history_has():
    found = compared("oooooooAAAoooooooAAAooooooo", "oooooAAAAooooooooooAAAooooo")
    assert (found.begun, found.absent) == ({5: 7, 19: 17}, [])


@hypothesis.given(
    recorded=st.text("Ao ", min_size=24, max_size=24), replayed=st.text("Ao ", min_size=24, max_size=24), since=st.integers(0, 9)
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_moment_in_alarm_is_without_reason_where_the_replay_is_surely_not_near(recorded, replayed, since):
    def near(at: int) -> str:
        return "".join(replayed[each] if 0 <= each < len(replayed) else " " for each in range(at - SLACK, at + SLACK + 1))

    expected = {at for at, each in enumerate(recorded) if each == "A" and at >= since + SLACK and set(near(at)) == {"o"}}
    spans = compared(recorded, replayed, since).unexplained
    assert {at for start, end in spans for at in range(start, end)} == expected


_SPANS = st.sets(st.integers(0, 20)).map(lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)))


@hypothesis.given(some=_SPANS, others=_SPANS)
@hypothesis.settings(max_examples=40, deadline=None)
def test_spans_without_others_are_what_is_left_second_by_second(some, others):
    def seconds(spans):
        return {at for start, end in spans for at in range(start, end)}

    assert seconds(without(some, others)) == seconds(some) - seconds(others)
