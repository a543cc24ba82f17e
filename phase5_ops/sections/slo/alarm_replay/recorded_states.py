"""CloudWatch's own history of an alarm, laid beside its replay: what it did that its definition does not say, and the reverse.

CloudWatch keeps the changes of the last thirty days. They are compared from the last change of the alarm's definition on, and
only where the replay knows the state. Pure.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from math import inf
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.input_files.json_text import json_value
from phase5_ops.sections.slo.alarm_replay.timeline import Span, Timeline, in_common, merged, pieced, without

_KEPT = timedelta(days=30)
_STATE_UPDATE, _CONFIGURATION_UPDATE = "StateUpdate", "ConfigurationUpdate"


class MalformedHistoryError(ValueError):
    """An item of an alarm's history cannot be understood; the message says which."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What CloudWatch says that an alarm did.

    Attributes:
        since: from when on it is compared, in epoch seconds.
        timeline: the states since then.
    """

    since: int
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class Differences:
    """Where an alarm's history and its replay differ.

    Attributes:
        unexplained: when it was in ALARM although the replay is not.
        absent: firings of the replay that it did not begin, or not near enough.
        begun: when it went into ALARM for each of the others, by the beginning of the firing.
    """

    unexplained: Sequence[Span] = ()
    absent: Sequence[Span] = ()
    begun: Mapping[int, int] = field(default_factory=dict)


def by_alarm(items: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The items of each alarm's history, oldest first.

    They are given newest first, also those of one moment, which only their order tells apart.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        found.setdefault(str(item.get("AlarmName")), []).append(item)
    return {name: sorted(held, key=_moment, reverse=True)[::-1] for name, held in found.items()}


def recorded_states(
    items: Sequence[Mapping[str, Any]], *, configured_at: str | None, state: str | None, now: datetime
) -> Recorded | None:
    """The states that an alarm's history tells of; None where there is nothing to compare.

    Args:
        items: of DescribeAlarmHistory, of this alarm, oldest first.
        configured_at: when its definition was last changed, as DescribeAlarms says it; None: not known.
        state: its present state, which it has had all the time if there is no change.
        now: when the history was read.

    Raises:
        MalformedHistoryError: an item cannot be understood.
    """
    if configured_at is None or state is None:
        return None
    changes = [_moment(item) for item in items if item.get("HistoryItemType") == _CONFIGURATION_UPDATE]
    since = max(now - _KEPT, parse_iso(configured_at), *changes).timestamp()
    if since >= now.timestamp():
        return None
    updates = [(int(_moment(item).timestamp()), *_states(item)) for item in items if item.get("HistoryItemType") == _STATE_UPDATE]
    updates = [update for update in updates if update[0] >= since]
    starts = [int(since), *(at for at, _, _ in updates)]
    ends = [*starts[1:], int(now.timestamp())]
    begun_as = [updates[0][1] if updates else state, *(new for _, _, new in updates)]
    ended_as = [*(old for _, old, _ in updates), state]
    pieces = zip(starts, ends, begun_as, ended_as, strict=True)
    # where a change says that another state was before it, one is missing between the two
    return Recorded(int(since), pieced((start, end, held) for start, end, held, then in pieces if start < end and held == then))


def differences(recorded: Recorded, replayed: Timeline, slack: int) -> Differences:
    """Where both are known, and do not agree within `slack` seconds.

    CloudWatch evaluates each minute on what has arrived by then, the replay at the end of each period on all that came. Actions
    are carried out when an alarm goes into ALARM: one that has been in ALARM since long before, or goes into it long after,
    told nobody in time, however long both are in ALARM together.
    """
    end = max((piece.end for piece in recorded.timeline.pieces), default=recorded.since)
    compared = [
        (firing, earliest)
        for firing, earliest in _with_earliest(replayed, slack)  # also one that goes on: CloudWatch has had time enough
        if firing[0] + slack <= end and recorded.timeline.knows(firing[0] - slack, min(firing[0] + slack, end))
    ]
    begun = {firing: _begun(recorded.timeline.firing, firing[0], earliest, slack) for firing, earliest in compared}
    return Differences(
        _unexplained(recorded, replayed, slack),
        [firing for firing, at in begun.items() if at is None],
        {start: at for (start, _), at in begun.items() if at is not None},
    )


def _unexplained(recorded: Recorded, replayed: Timeline, slack: int) -> list[Span]:
    fired = merged((start - slack, end + slack) for start, end in replayed.firing)
    surely_known = [(max(start, recorded.since) + slack, end - slack) for start, end in replayed.known]
    return in_common(without(recorded.timeline.firing, fired), surely_known)


def _with_earliest(replayed: Timeline, slack: int) -> Iterator[tuple[Span, float]]:
    """Each firing, and when a time in ALARM that covers its beginning may have begun.

    Where the replay was out of ALARM for less than the slack, CloudWatch may have been in ALARM all the time; what was before the
    state is known, nobody can say.
    """
    edges = {start for start, _ in replayed.known}
    together = merged(replayed.firing, slack)
    for firing in replayed.firing:
        first = together[bisect_right(together, firing[0], key=lambda span: span[0]) - 1][0]
        yield firing, -inf if first in edges else first - slack


def _begun(recorded: Sequence[Span], start: int, earliest: float, slack: int) -> int | None:
    """When it went into the ALARM that it is in near a firing's beginning; None: it is in none, or went into it too early."""
    near = recorded[bisect_right(recorded, start - slack, key=lambda span: span[1]) :]
    begun = (first for first, _ in takewhile(lambda span: span[0] <= start + slack, near))
    return next((first for first in begun if earliest <= first), None)


def _moment(item: Mapping[str, Any]) -> datetime:
    moment = item.get("Timestamp")
    if not isinstance(moment, datetime):
        raise MalformedHistoryError(f"an item of the history of {item.get('AlarmName')} has no time")
    return moment


def _states(item: Mapping[str, Any]) -> tuple[str, str]:
    """The state before a change, and the one after it."""
    try:
        data = json_value(str(item.get("HistoryData")))
        old, new = (str(data[key]["stateValue"]) for key in ("oldState", "newState"))
    except (ValueError, TypeError, KeyError) as error:
        said = f"{type(error).__name__}: {error}"
        raise MalformedHistoryError(f"a change of {item.get('AlarmName')} at {_moment(item):%Y-%m-%dT%H:%MZ}: {said}") from error
    return old, new
