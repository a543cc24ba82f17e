"""What people look at first in `slo_alarms`: signals without an alarm, alarms that fire or cannot be understood. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.slo.alarms.evidence import SloAlarms

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _missing(frame: "DataFrame") -> "Series[bool]":
    return frame["alarm"].isna() | frame["alarm"].eq("")


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Signals of a tool that no alarm watches, alarms in ALARM, those that are not understood, those that tell nobody."""
    unreadable = frame["unreadable"].notna() & frame["unreadable"].ne("")
    silent = frame["actions_enabled"].eq(False).fillna(False)
    return by(frame, _missing(frame), frame["state"].eq("ALARM"), unreadable, silent, frame["state"].eq("INSUFFICIENT_DATA"))


def _figures(alarms: SloAlarms) -> Mapping[str, float]:
    frame = alarms.frame
    present = frame[~_missing(frame)]
    return figures(
        signals_without_alarm=int(_missing(frame).sum()),
        alarms=present["arn"].nunique(),
        alarms_firing=present.loc[present["state"].eq("ALARM"), "arn"].nunique(),
        alarms_without_data=present.loc[present["state"].eq("INSUFFICIENT_DATA"), "arn"].nunique(),
        alarms_with_actions_off=present.loc[present["actions_enabled"].eq(False).fillna(False), "arn"].nunique(),
        alarms_not_understood=present.loc[present["unreadable"].notna() & present["unreadable"].ne(""), "arn"].nunique(),
        tools=frame["tool"].nunique(),
    )


PREVIEW = Preview(
    ("tool", "signal", "alarm", "state", "statistic", "threshold", "period", "evaluation_periods", "actions_enabled"),
    _worst_first,
    _figures,
)
