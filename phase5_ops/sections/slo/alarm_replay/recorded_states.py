"""CloudWatch's own history of an alarm, laid beside its replay: what it did that its definition does not say, and the reverse.

CloudWatch keeps the changes of the last thirty days. They are compared from the last change of the alarm's definition on, and
only where the replay knows the state. Pure.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.sections.slo.alarm_replay.timeline import Span, Timeline, overlaps, pieced

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
        absent: when the replay is in ALARM and it was not.
    """

    unexplained: Sequence[Span]
    absent: Sequence[Span]


def by_alarm(items: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The items of each alarm's history, oldest first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        found.setdefault(str(item.get("AlarmName")), []).append(item)
    return {name: sorted(held, key=_moment) for name, held in found.items()}


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

    CloudWatch evaluates each minute on what has arrived by then, the replay at the end of each period on all that came.
    """
    unexplained = [
        span
        for span in recorded.timeline.firing
        if span[0] - slack >= recorded.since
        and replayed.knows(span[0] - slack, span[1] + slack)
        and not any(overlaps(_wider(span, slack), other) for other in replayed.firing)
    ]
    end = max((piece.end for piece in recorded.timeline.pieces), default=recorded.since)
    absent = [
        span
        for span in replayed.firing  # also one that goes on: CloudWatch has had time enough
        if span[0] + slack <= end
        and recorded.timeline.knows(span[0] - slack, min(span[1] + slack, end))
        and not any(overlaps(_wider(span, slack), other) for other in recorded.timeline.firing)
    ]
    return Differences(unexplained, absent)


def _wider(span: Span, slack: int) -> Span:
    return span[0] - slack, span[1] + slack


def _moment(item: Mapping[str, Any]) -> datetime:
    moment = item.get("Timestamp")
    if not isinstance(moment, datetime):
        raise MalformedHistoryError(f"an item of the history of {item.get('AlarmName')} has no time")
    return moment


def _states(item: Mapping[str, Any]) -> tuple[str, str]:
    """The state before a change, and the one after it."""
    try:
        data = json.loads(str(item.get("HistoryData")))
        old, new = (str(data[key]["stateValue"]) for key in ("oldState", "newState"))
    except (ValueError, TypeError, KeyError) as error:
        said = f"{type(error).__name__}: {error}"
        raise MalformedHistoryError(f"a change of {item.get('AlarmName')} at {_moment(item):%Y-%m-%dT%H:%MZ}: {said}") from error
    return old, new
