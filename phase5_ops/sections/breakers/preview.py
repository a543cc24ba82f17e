"""What people look at first in `breaker_snapshot`: open breakers without operator action, then all that are not closed. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.breakers.evidence import Snapshots

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Open without operator action, open, half open, not observed though required, then by failures."""
    open_, half_open = frame["state"].eq("OPEN"), frame["state"].eq("HALF_OPEN")
    unknown = frame["required"] & frame["state"].isna()
    return by(frame, open_ & ~frame["operator_action"], open_, unknown, half_open, frame["failure_count"].fillna(0))


def _figures(snapshot: Snapshots) -> Mapping[str, float]:
    frame = snapshot.frame
    return figures(
        breakers_open=int(frame["state"].eq("OPEN").sum()),
        open_without_action=int((frame["state"].eq("OPEN") & ~frame["operator_action"]).sum()),
        breakers_half_open=int(frame["state"].eq("HALF_OPEN").sum()),
        breakers_closed=int(frame["state"].eq("CLOSED").sum()),
        breakers_not_observed=int(frame["state"].isna().sum()),
        failures_in_window=int(frame["failure_count"].fillna(0).sum()),
        calls_in_flight=int(frame["in_flight_count"].fillna(0).sum()),
        connectors=len(frame),
    )


def _picture(snapshots: Snapshots) -> Drawing | None:
    from phase5_ops.sections.breakers import plot

    return plot.plot_timeline(snapshots)


PREVIEW = Preview(
    ("connector", "state", "operator_action", "failure_count", "in_flight_count", "state_source", "last_datapoint_at"),
    _worst_first,
    _figures,
    _picture,
)
