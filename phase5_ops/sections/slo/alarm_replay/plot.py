"""The picture of `alarm_replay`: breaches and alarm states on one timeline per tool and signal."""

from collections.abc import Iterable, Sequence

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import BLUE, GREEN, GREY, ORANGE, RED, LegendEntry, Panel, label, legend, moments
from phase5_ops.sections.slo.alarm_replay.evidence import MISSED, NOT_KNOWN, AlarmReplay, AlarmReplays

_MOST_LINES = 40
_LINE = 26.0  # points
_LEAST_WIDTH = 2.0  # points: that of a time too short to be seen
_CAUGHT, _MISSED, _OPEN = Fill(ORANGE), Fill(RED, "xx"), Fill(ORANGE, "..")
_FIRED, _FALSE, _RECORDED = Fill(GREEN), Fill(BLUE, "//"), Fill(GREY, "--")

Bar = tuple[float, float]


def plot_replays(replays: AlarmReplays) -> Drawing | None:
    """One line a tool and signal: its breaches above, below them when its alarms would have fired and, by CloudWatch, did.

    What nobody would have told of stands on top. The line is there where the state of an alarm is known. None where nothing was
    replayed.
    """
    subjects: dict[tuple[str, str], list[AlarmReplay]] = {}
    for row in replays.rows:
        subjects.setdefault((row.tool, row.signal), []).append(row)
    if not subjects:
        return None
    lines = [subjects[subject] for subject in sorted(subjects)]
    lines = sorted(lines, key=lambda rows: (-len(_missed(rows)), -len(rows[0].breaches)))[:_MOST_LINES]
    first, last = parse_iso(replays.facts.start), parse_iso(replays.facts.end)
    high = _LINE * max(len(lines), 2)
    title = f"Breaches and alarms, {first:%Y-%m-%d} to {last:%Y-%m-%d %H:%M} UTC" + (
        f": the worst {len(lines)} of {len(subjects)}" if len(lines) < len(subjects) else ""
    )
    drawing = Drawing(title, 720, high + 98)
    panel = Panel(drawing, 190, 68, 505, high, (first.timestamp(), last.timestamp()), (-0.5, len(lines) - 0.5))
    for line, rows in enumerate(lines):
        known = [[panel.x(parse_iso(moment).timestamp()) for moment in span] for row in rows for span in row.replayed]
        drawing.lines(((start, panel.y(line), min(end, panel.right), panel.y(line)) for start, end in known), GREY, opacity=0.5)
        missed, unknown = _missed(rows), _unknown(rows)
        caught = {each["start"] for each in rows[0].breaches} - missed - unknown
        for starts, fill in ((missed, _MISSED), (unknown, _OPEN), (caught, _CAUGHT)):
            spans = [(each["start"], each["end"]) for each in rows[0].breaches if each["start"] in starts]
            _bars(panel, spans, line - 0.42, line - 0.12, fill)
        for breach, fill in ((True, _FIRED), (False, _FALSE)):
            spans = [(each["start"], each["end"]) for row in rows for each in row.firings if each["breach"] is breach]
            _bars(panel, spans, line - 0.06, line + 0.2, fill)
        _bars(panel, (span for row in rows for span in row.recorded), line + 0.24, line + 0.42, _RECORDED)
    panel.names([label(f"{rows[0].tool} {rows[0].signal}", 34) for rows in lines])
    panel.edges("bottom")
    panel.ticks_below(((at.timestamp(), text) for at, text in moments(first, last, 6)), grid=True)
    entries = (
        LegendEntry("breach, told of", _CAUGHT),
        LegendEntry("breach that nobody is told of", _MISSED),
        LegendEntry("breach, not known", _OPEN),
        LegendEntry("in ALARM", _FIRED),
        LegendEntry("in ALARM without a breach", _FALSE),
        LegendEntry("in ALARM, by CloudWatch's history", _RECORDED),
    )
    legend(drawing, entries, 360, 36, width=680)
    return drawing


def _missed(rows: Sequence[AlarmReplay]) -> set[str]:
    """The beginnings of the breaches that no alarm tells of."""
    return {each["start"] for number, each in enumerate(rows[0].breaches) if _all(rows, number) <= {MISSED}}


def _unknown(rows: Sequence[AlarmReplay]) -> set[str]:
    """Those of which it is not known whether one does."""
    outcomes = [_all(rows, number) for number in range(len(rows[0].breaches))]
    return {
        breach["start"]
        for breach, found in zip(rows[0].breaches, outcomes, strict=True)
        if NOT_KNOWN in found and found <= {MISSED, NOT_KNOWN}
    }


def _all(rows: Sequence[AlarmReplay], number: int) -> set[str]:
    return {row.outcomes[number]["outcome"] for row in rows if row.alarm is not None}


def _bars(panel: Panel, spans: Iterable[Sequence[str]], above: float, below: float, fill: Fill) -> None:
    """A bar for each span, wide enough to be seen."""
    corners = []
    for start, end in spans:
        left, right = (panel.x(parse_iso(moment).timestamp()) for moment in (start, end))
        wide = max(right, left + _LEAST_WIDTH)
        corners.append((min(left, panel.right - _LEAST_WIDTH), panel.y(above), min(wide, panel.right), panel.y(below)))
    panel.drawing.rectangles(corners, fill)
