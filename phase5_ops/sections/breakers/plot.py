"""The picture of `breaker_snapshot`: what each run saw of every breaker, newest right, and the openings behind it."""

from datetime import UTC, datetime, timedelta

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from phase5_ops.ccnative.breaker_records import CLOSED, HALF_OPEN, OPEN
from phase5_ops.clock import parse_iso
from phase5_ops.evidence.picture import GREEN, GREY, ORANGE, RED, label, name_lines
from phase5_ops.sections.breakers.evidence import Breaker, Snapshots

_MOST_LINES = 40
_SHORTEST = timedelta(hours=6)  # that the time axis shows
_OTHER = "not observed"
#: State -> colour and form, so that they differ without colour too.
_FORMS = {OPEN: (RED, "X"), HALF_OPEN: (ORANGE, "D"), CLOSED: (GREEN, "o"), _OTHER: (GREY, "s")}
_WORST_FIRST = (OPEN, HALF_OPEN, _OTHER, CLOSED)


def plot_timeline(snapshot: Snapshots) -> Figure | None:
    """One line a connector: a mark for every run that looked, filled by state, and a bar where a breaker began to be open.

    The connectors that are not closed now stand on top. None without connectors.
    """
    if not snapshot.rows or snapshot.observed_at is None:
        return None
    rows = sorted(snapshot.rows, key=lambda row: (_WORST_FIRST.index(_state(row.state)), row.connector))[:_MOST_LINES]
    part = 0.28 * max(len(rows), 2)
    height = part + 1.25
    figure = Figure(figsize=(10, height))
    axes = figure.add_axes((0.2, 0.35 / height, 0.66, part / height))
    marks: dict[str, list[tuple[datetime, int]]] = {state: [] for state in _FORMS}
    openings: list[tuple[datetime, int]] = []
    for line, row in enumerate(rows):
        for at, state in (*_seen(row), (snapshot.observed_at, row.state)):
            marks[_state(state)].append((at, line))
        openings += [(datetime.fromtimestamp(start, UTC), line) for start in row.recurrence.openings]
        axes.text(1.02, line, _state(row.state), transform=axes.get_yaxis_transform(), fontsize=8, va="center")
    axes.hlines(range(len(rows)), 0, 1, transform=axes.get_yaxis_transform(), colors=GREY, alpha=0.3, linewidth=0.6)
    for state, (colour, form) in _FORMS.items():
        if marks[state]:
            axes.plot(
                _times(marks[state]), _lines(marks[state]), marker=form, color=colour, linestyle="none", markersize=8, label=state
            )
    if openings:
        axes.plot(_times(openings), _lines(openings), "|", color="black", linestyle="none", markersize=12, label="opened")
    first = min(at for points in (*marks.values(), openings) for at, _ in points)
    span = max(snapshot.observed_at - first, _SHORTEST)
    axes.set_xlim(*_times([(snapshot.observed_at - span * 1.05, 0), (snapshot.observed_at + span * 0.05, 0)]))
    locator = AutoDateLocator(minticks=2, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.offsetText.set_visible(False)
    name_lines(axes, [label(row.connector or "no connector") for row in rows])
    axes.tick_params(axis="x", labelsize=8)
    axes.spines["left"].set_visible(False)
    figure.legend(fontsize=8, loc="upper center", ncols=5, frameon=False, bbox_to_anchor=(0.53, 1 - 0.42 / height))
    figure.suptitle(
        f"Circuit breakers as runs saw them until {snapshot.observed_at:%Y-%m-%d %H:%M} UTC", fontsize=11, y=1 - 0.2 / height
    )
    return figure


def _state(state: object) -> str:
    return state if isinstance(state, str) and state in _FORMS else _OTHER


def _seen(row: Breaker) -> list[tuple[datetime, object]]:
    """What earlier runs saw of a breaker."""
    return [(parse_iso(entry["observed_at"]), entry.get("state")) for entry in row.history]


def _times(points: list[tuple[datetime, int]]) -> "np.ndarray[tuple[int], np.dtype[np.datetime64]]":
    return np.array([at.astimezone(UTC).replace(tzinfo=None) for at, _ in points], dtype="datetime64[ms]")


def _lines(points: list[tuple[datetime, int]]) -> list[int]:
    return [line for _, line in points]
