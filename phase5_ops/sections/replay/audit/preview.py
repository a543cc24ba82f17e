"""What people look at first in `replay_audit`: replays that did not end, then those that failed, newest first. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.replay.audit.evidence import ReplayAudit

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _incomplete(frame: "DataFrame") -> "Series[bool]":
    """Without request, start or end."""
    return frame["kind"].ne("request") | frame["started_ms"].isna() | frame["terminal_ms"].isna()


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Incomplete ones, those with a note, those that failed, then the newest."""
    began = frame["requested_ms"].fillna(frame["started_ms"]).fillna(frame["terminal_ms"])
    return by(frame, _incomplete(frame), frame["notes"].ne(""), frame["terminal"].eq("REPLAY_FAILED"), began)


def _figures(audit: ReplayAudit) -> Mapping[str, float]:
    frame = audit.frame
    took = (frame["terminal_ms"] - frame["requested_ms"]) / 1000
    return figures(
        replays_incomplete=int(_incomplete(frame).sum()),
        replays_failed=int(frame["terminal"].eq("REPLAY_FAILED").sum()),
        replays_completed=int(frame["terminal"].eq("REPLAY_COMPLETED").sum()),
        replays_without_request=int(frame["kind"].ne("request").sum()),
        replays_with_notes=int(frame["notes"].ne("").sum()),
        longest_replay_seconds=took.max(),
        median_replay_seconds=took.median(),
        replays=len(frame),
        ledger_entries=audit.facts.entries,
        malformed_entries=audit.facts.malformed_count,
    )


def _picture(audit: ReplayAudit) -> Drawing | None:
    from phase5_ops.sections.replay.audit import plot

    return plot.plot_funnel(audit)


PREVIEW = Preview(
    ("tenant", "terminal", "notes", "kind", "reason", "requester", "pairing", "outcome_status", "intent"),
    _worst_first,
    _figures,
    _picture,
)
