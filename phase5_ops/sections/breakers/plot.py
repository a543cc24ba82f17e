"""The picture of `breaker_snapshot`: what each run saw of every breaker, newest right, and the openings behind it."""

from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.breaker_records import CLOSED, HALF_OPEN, OPEN
from phase5_ops.clock import parse_iso
from phase5_ops.evidence.drawing import INK, Drawing, Fill
from phase5_ops.evidence.panel import GREEN, GREY, ORANGE, RED, LegendEntry, Panel, label, legend, moments
from phase5_ops.sections.breakers.evidence import Breaker, Snapshots

_MOST_LINES = 40
_SHORTEST = timedelta(hours=6)  # that the time axis shows
_OTHER = "not observed"
#: State -> colour and form, so that they differ without colour too.
_FORMS = {OPEN: (RED, "cross"), HALF_OPEN: (ORANGE, "diamond"), CLOSED: (GREEN, "circle"), _OTHER: (GREY, "square")}
_WORST_FIRST = (OPEN, HALF_OPEN, _OTHER, CLOSED)


def plot_timeline(snapshot: Snapshots) -> Drawing | None:
    """One line a connector: a mark for every run that looked, filled by state, and a bar where a breaker began to be open.

    The connectors that are not closed now stand on top. None without connectors.
    """
    if not snapshot.rows or snapshot.observed_at is None:
        return None
    rows = sorted(snapshot.rows, key=lambda row: (_WORST_FIRST.index(_state(row.state)), row.connector))[:_MOST_LINES]
    marks: dict[str, list[tuple[datetime, int]]] = {state: [] for state in _FORMS}
    openings: list[tuple[datetime, int]] = []
    for line, row in enumerate(rows):
        for at, state in (*_seen(row), (snapshot.observed_at, row.state)):
            marks[_state(state)].append((at, line))
        openings += [(datetime.fromtimestamp(start, UTC), line) for start in row.recurrence.openings]
    span = max(snapshot.observed_at - min(at for points in (*marks.values(), openings) for at, _ in points), _SHORTEST)
    first, last = snapshot.observed_at - span * 1.05, snapshot.observed_at + span * 0.05
    high = 20.0 * max(len(rows), 2)
    drawing = Drawing(f"Circuit breakers as runs saw them until {snapshot.observed_at:%Y-%m-%d %H:%M} UTC", 720, high + 85)
    panel = Panel(drawing, 144, 60, 475, high, (first.timestamp(), last.timestamp()), (-0.5, len(rows) - 0.5))
    drawing.lines(((panel.left, panel.y(line), panel.right, panel.y(line)) for line in range(len(rows))), GREY, opacity=0.3)
    entries = []
    for state, (colour, form) in _FORMS.items():
        if marks[state]:
            drawing.marks(((panel.x(at.timestamp()), panel.y(line)) for at, line in marks[state]), form, colour, 8)
            entries.append(LegendEntry(state, Fill(colour), form))
    if openings:
        drawing.marks(((panel.x(at.timestamp()), panel.y(line)) for at, line in openings), "bar", INK, 12)
        entries.append(LegendEntry("opened", Fill(INK), "bar"))
    for line, row in enumerate(rows):
        drawing.text(panel.right + 9, panel.y(line), _state(row.state))
    panel.names([label(row.connector or "no connector") for row in rows])
    panel.edges("bottom")
    panel.ticks_below((at.timestamp(), text) for at, text in moments(first, last, 6))
    legend(drawing, entries, 382, 36, width=600)
    return drawing


def _state(state: object) -> str:
    return state if isinstance(state, str) and state in _FORMS else _OTHER


def _seen(row: Breaker) -> list[tuple[datetime, object]]:
    """What earlier runs saw of a breaker."""
    return [(parse_iso(entry["observed_at"]), entry.get("state")) for entry in row.history]
