"""The states of alarms: the tables of CloudWatch's guide, and every short range beside a second, slow evaluation."""

from itertools import product

import pytest

from phase5_ops.cloudwatch.alarm_evaluation import ALARM, INSUFFICIENT_DATA, OK, evaluate_range, state_of_series

_STATES = {"A": ALARM, "O": OK, "I": INSUFFICIENT_DATA, "k": None}

#: The two tables of "Configuring how CloudWatch alarms treat missing data", for EvaluationPeriods 3: points oldest first (X
#: breaches, 0 does not, - is missing), DatapointsToAlarm, and the state (None: kept) for each of TREATMENTS.
GUIDE = [
    (points, to_alarm, [_STATES[letter] for letter in states])
    for points, to_alarm, states in (
        ("0-X-X", 3, "OOOO"),
        ("0----", 3, "OOOO"),
        ("-----", 3, "IkAO"),
        ("0XX-X", 3, "AAAA"),
        ("----X", 3, "IkAO"),
        ("X----", 3, "AkAO"),
        ("0-X-X", 2, "AAAA"),
        ("00X0X", 2, "AAAA"),
        ("0-X--", 2, "OOAO"),
        ("----0", 2, "OOAO"),
        ("----X", 2, "IkAO"),
        ("----X", 1, "AAAA"),
    )
]
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
_POINTS = {"X": True, "0": False, "-": None}


def evaluated(points, periods, to_alarm, treatment, **more):
    range_ = tuple(_POINTS[point] for point in points)
    return evaluate_range(range_, periods=periods, to_alarm=to_alarm, treatment=treatment, **more)


@pytest.mark.parametrize(("points", "to_alarm", "expected"), GUIDE)
def test_missing_data_as_the_guide_tabulates_it(points, to_alarm, expected):
    assert [evaluated(points, 3, to_alarm, treatment) for treatment in TREATMENTS] == expected


def slow(points, periods, to_alarm, treatment):
    """The guide's text, step by step, on text."""
    real = [point for point in points if point != "-"]
    if len(real) >= periods:  # "ignores the missing data points and uses the most recent real ones"
        return ALARM if real[-periods:].count("X") >= to_alarm else OK
    fill = {"breaching": "X", "notBreaching": "0"}.get(treatment)
    if fill:  # "fills in as many as are needed"
        return ALARM if (real + [fill] * (periods - len(real))).count("X") >= to_alarm else OK
    if real.count("X") >= to_alarm:
        return ALARM
    if "0" in real:
        return OK
    if treatment == "ignore":
        return None
    old_enough = points[: len(points) - to_alarm + 1]  # "the oldest available breaching point is at least as old as M"
    return ALARM if "X" in old_enough else INSUFFICIENT_DATA


def test_every_short_range_is_evaluated_as_the_guide_says_it():
    """And more breaching points never end an alarm, fewer never begin one."""
    for periods, extra in product(range(1, 4), (0, 2)):
        ranges = ["".join(points) for points in product("X0-", repeat=periods + extra)]
        for points, to_alarm, treatment in product(ranges, range(1, periods + 1), TREATMENTS):
            state = evaluated(points, periods, to_alarm, treatment)
            assert state == slow(points, periods, to_alarm, treatment)
            if state == ALARM:
                assert evaluated(points.replace("0", "X"), periods, to_alarm, treatment) == ALARM
            else:
                assert evaluated(points.replace("X", "0"), periods, to_alarm, treatment) != ALARM


def test_periods_with_too_few_samples_keep_the_state_where_no_other_has_data():
    assert evaluated("-----", 3, 1, "breaching") == ALARM
    assert evaluated("-----", 3, 1, "breaching", low_samples=True) is None
    assert evaluated("---0-", 3, 1, "missing", low_samples=True) == OK


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([OK, ALARM, None], ALARM),
        ([OK, None], None),
        ([OK, INSUFFICIENT_DATA], OK),
        ([INSUFFICIENT_DATA], INSUFFICIENT_DATA),
        ([], INSUFFICIENT_DATA),
    ],
)
def test_an_alarm_of_several_time_series_has_the_worst_state(states, expected):
    assert state_of_series(states) == expected
