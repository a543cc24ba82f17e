"""What people look at first in `alarm_replay`: breaches that no alarm caught, then those caught late, then false alarms. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.slo.alarm_replay.evidence import CAUGHT, AlarmReplays

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Tools with a breach and no alarm, or an alarm that was not replayed; then the alarms with most firings."""
    breached = frame["breaches"].ne("[]")
    return by(frame, breached & frame["alarm"].isna(), breached, frame["problem"].notna(), frame["firings"].str.len())


def _figures(replays: AlarmReplays) -> Mapping[str, float]:
    subjects = {(row.tool, row.signal): row.breaches for row in replays.rows}
    alarms = {row.alarm: row for row in replays.rows if row.alarm is not None}
    told = {
        (row.tool, row.signal, outcome["start"]): outcome["late_seconds"]
        for row in sorted(replays.rows, key=lambda row: str(row.alarm))
        for outcome in row.outcomes
        if outcome["outcome"] == CAUGHT
    }
    return figures(
        breaches=sum(map(len, subjects.values())),
        breaches_caught=len(told),
        latest_detection_minutes=max(told.values()) / 60 if told else None,
        times_in_alarm=sum(len(row.firings) for row in alarms.values()),
        false_alarms=sum(not each["breach"] for row in alarms.values() for each in row.firings),
        alarms_not_replayed=sum(row.problem is not None for row in alarms.values()),
    )


def _picture(replays: AlarmReplays) -> Drawing | None:
    from phase5_ops.sections.slo.alarm_replay import plot

    return plot.plot_replays(replays)


PREVIEW = Preview(
    ("tool", "signal", "alarm", "breaches", "outcomes", "firings", "recorded", "replayed_days", "problem"),
    _worst_first,
    _figures,
    _picture,
)
