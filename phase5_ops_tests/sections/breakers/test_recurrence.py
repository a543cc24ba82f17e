"""A breaker that opens again and again needs its operator action, however far apart the runs lie."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.evidence.history import Snapshot
from phase5_ops.policy import BreakerPolicy
from phase5_ops.sections.breakers.evidence import DAY
from phase5_ops.sections.breakers.recurrence import Recurrence
from phase5_ops_tests.sections.breakers.support import NOW, OFF, Platform, T, slots, state, tenant

HOUR = 3600
NEEDS_ACTION = [("FAIL", "open_breaker_without_operator_action")]
QUIET = {"internal": NOW - timedelta(days=30), "crm_salesforce": NOW}


def seen(states, interval, *, now="OPEN", idle=False):
    """`internal` as runs `interval` seconds apart saw it, oldest first, and as it is `now`.

    Each run sees an opening of its own; with `idle` nobody calls, and all see the first.
    """
    first = T - interval * len(states)
    moments = [first + interval * n for n in range(len(states))]
    platform = Platform(items=[snapshot(now, first if idle else T - 10, T - 5), slots("internal"), slots("crm_salesforce")])
    platform.datapoints = dict(QUIET)
    for moment, name in zip(moments, states, strict=True):
        at = NOW - timedelta(seconds=T - moment)
        payload = {
            "state": name,
            "window_start": first if idle else moment - 10,
            "ttl": (first if idle else moment) + 14 * DAY,
            "open_until": (first if idle else moment - 10) + 30 if name == "OPEN" else None,
            "failure_count": 0 if name == "CLOSED" else 5,
            "in_flight": 0,
            "last_write": first if idle else moment - 5,
            "last_datapoint_at": None,
        }
        platform.history.append(Snapshot("internal", f"run-{states[0]}-{moment}", at, payload))
    return platform


def snapshot(name, start, written):
    return state("internal", name, start=start, written=written)


def found(platform):
    return [(str(finding.verdict), finding.code) for finding in platform.operated().findings]


@pytest.mark.parametrize(
    ("runs", "interval"),
    [(96, 1800), (47, HOUR), (8, 6 * HOUR), (6, DAY), (3, DAY), (2, 3 * DAY), (12, 420), (500, 1200)],
)
def test_open_in_every_run_needs_the_operator_action_whatever_lies_between_them(runs, interval):
    platform = seen(["OPEN"] * runs, interval)
    assert found(platform) == NEEDS_ACTION
    (finding,) = platform.operated().findings
    assert "runs of 7 d, in" in finding.seen
    platform.tenants = [tenant("a", **OFF)]
    assert found(platform) == [("WARN", "breaker_open")]


@pytest.mark.parametrize(
    "states",
    [
        ["HALF_OPEN"] * 20,  # found on probe each time: an opening before each of them
        ["OPEN", "CLOSED", "OPEN", "OPEN"] * 5,  # in most runs
        ["OPEN", *["CLOSED"] * 7] * 6,  # rarely, and again and again
        ["OPEN", "HALF_OPEN", "CLOSED"] * 4,
    ],
)
@pytest.mark.parametrize("now", ["OPEN", "HALF_OPEN", "CLOSED"])
def test_flapping_is_found_in_whichever_state_this_run_meets_it(states, now):
    assert found(seen(states, 1800, now=now)) == NEEDS_ACTION


@pytest.mark.parametrize(
    ("states", "interval", "now", "expected"),
    [
        (["CLOSED"] * 95, 1800, "OPEN", [("WARN", "breaker_open")]),
        (["CLOSED"] * 40 + ["OPEN", "CLOSED"], 1800, "OPEN", [("WARN", "breaker_open")]),
        (["OPEN"], DAY, "OPEN", [("WARN", "breaker_open")]),  # two looks a day apart are no series
        (["OPEN"] * 96 + ["CLOSED"] * 73, 1800, "CLOSED", []),  # recovered for more than recovery_hours
        (["OPEN"] * 20 + ["CLOSED"] * 7, DAY, "CLOSED", []),  # openings before the window
        (["CLOSED"] * 96, 1800, "CLOSED", []),
    ],
)
def test_a_single_opening_and_a_recovered_breaker_ask_for_nothing_more(states, interval, now, expected):
    assert found(seen(states, interval, now=now)) == expected


def test_a_breaker_that_nobody_calls_is_one_opening_in_however_many_runs():
    assert found(seen(["OPEN"] * 96, 1800, idle=True)) == [("WARN", "open_idle")]


def test_recovery_must_last():
    states = ["OPEN"] * 96 + ["CLOSED"] * 71
    assert found(seen(states, 1800, now="CLOSED")) == NEEDS_ACTION


def test_equal_snapshots_count_each_although_the_row_shows_only_the_first_and_the_last():
    platform = seen(["OPEN"] * 4, 1800)
    closed = seen(["CLOSED"] * 100, 1800, idle=True).history
    platform.history = [*closed, *platform.history]
    (row,) = [row for row in platform.table().rows if row.connector == "internal"]
    assert (len(row.history), row.recurrence.runs, row.recurrence.not_closed) == (6, 104, 4)
    assert found(platform) == [("WARN", "breaker_open")]


def test_a_run_counts_once_and_an_unreadable_state_not_at_all():
    at = NOW - timedelta(hours=1)
    snapshots = [Snapshot("x", run, at, {"state": name, "window_start": 5}) for run, name in (("r1", "OPEN"), ("r1", "OPEN"))]
    snapshots += [Snapshot("x", f"s{n}", at, {"state": name}) for n, name in enumerate((None, "BROKEN", "CLOSED"))]
    found = Recurrence.of(snapshots, since=NOW - timedelta(days=1))
    assert (found.runs, found.not_closed, found.openings) == (2, 1, (5,))
    assert Recurrence.of(snapshots, since=NOW) == Recurrence()
    table = Platform().table()
    (kept, *_) = table.table.gathered([replace(row, recurrence=found) for row in table.rows], table.facts).rows
    assert kept.recurrence == found


def test_the_limits_are_settings():
    platform = seen(["OPEN", *["CLOSED"] * 9] * 3, 1800)
    assert found(platform) == [("WARN", "breaker_open")]
    platform.policy = BreakerPolicy(max_openings=4)
    assert found(platform) == NEEDS_ACTION
    platform.policy = BreakerPolicy(max_open_share=0.1)
    assert found(platform) == NEEDS_ACTION
    platform.policy = BreakerPolicy(max_open_share=0.1, recurrence_days=1)
    assert found(platform) == NEEDS_ACTION
