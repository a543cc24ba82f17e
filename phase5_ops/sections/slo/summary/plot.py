"""The picture of `tool_slo_summary`: late and failed calls per tool against the SLO, burn rates, and when it was.

One line a tool and connector, so that it reads as well with forty tools as with three; the tools that use most of what their SLO
allows stand on top.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import BLUE, ORANGE, RED, Panel, label, moments
from phase5_ops.sections.slo.summary.evidence import Summary, ToolSlo

_MOST_COLUMNS = 96  # 15 minutes each for a day
_MOST_LINES = 40
_WINDOW = timedelta(minutes=5)
_TOP = 4.0  # times the limit; what is beyond stands at the edge, with its number
_FAR_BEYOND = 10.0  # times the limit; the colours end here
#: From nothing over the limit, in the middle, to far beyond it.
_GOOD_TO_BAD = ("#cfe5d3", "#7fb77f", "#f2c14e", "#d1495b", "#7a0c2e")
_SHADES = 32


def plot_summary(summary: Summary) -> Drawing | None:
    """Shares of the whole lookback against their limits, burn rates against theirs, and the worse of both shares over time.

    A filled circle keeps its limit, a cross exceeds it. Over time, yellow is the limit, red with a cross is beyond it; nothing is
    drawn where there were no calls. The time axis ends when the table was read. None for a table without tools.
    """
    if not summary.rows or summary.observed_at is None:
        return None
    start, now = parse_iso(summary.facts.lookback_start), summary.observed_at
    rows = sorted(summary.rows, key=lambda row: (-max(_of_limits(row)), row.tool, row.connector))[:_MOST_LINES]
    part = 17.0 * max(len(rows), 3)
    title = f"Tool SLOs, {start:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC" + (
        f": the worst {len(rows)} of {len(summary.rows)}" if len(rows) < len(summary.rows) else ""
    )
    drawing = Drawing(title, 720, 2 * part + 122)
    left, wide = 137.0, 184.0
    names = [label(row.tool or "no tool_name") for row in rows]
    errors, late, burns = ([_of_limits(row)[kind] for row in rows] for kind in range(3))
    for column, (heading, values, texts) in enumerate(
        (
            ("late calls", late, [_percent(1 - (row.within_share or 0), row.within_share) for row in rows]),
            ("failed calls", errors, [_percent(row.error_share or 0, row.error_share) for row in rows]),
            ("error budget burning", burns, [f"{100 * burn:.0f} % of the limit" if burn >= 0 else "no calls" for burn in burns]),
        )
    ):
        right = 1.9 * max(1.0, *(min(value, _TOP) for value in values))  # room for the texts
        panel = Panel(drawing, left + column * (wide + 11), 43, wide, part, (0, right), (-0.5, len(rows) - 0.5))
        panel.title(heading)
        panel.names([] if column else names)
        _lollipops(panel, values, texts)
    edges = _edges(start, now)
    across = (edges[0].timestamp(), edges[-1].timestamp())
    below = Panel(drawing, left, part + 93, 3 * wide - 36, part, across, (-0.5, len(rows) - 0.5))
    below.title("when: the worse of failed and late calls, as a part of what is allowed (crosses: more than that)")
    below.names(names)
    _heat(below, edges, rows)
    return drawing


def _of_limits(row: ToolSlo) -> tuple[float, float, float]:
    """Error share, late share and the worst burn as parts of what is allowed; -1 where there were no calls.

    A burn rate alerts when both of its windows exceed the limit, so the smaller of the two counts.
    """
    errors = -1.0 if row.error_share is None else _part(row.error_share, row.error_rate_max)
    late = -1.0 if row.within_share is None else _part(1 - row.within_share, 1 - row.latency_target)
    burns = [_part(min(burn["long_burn"], burn["short_burn"]), burn["factor"]) for burn in row.burn if _burned(burn)]
    return errors, late, max(burns, default=-1.0)


def _burned(burn: dict[str, float | None]) -> bool:
    return burn["long_burn"] is not None and burn["short_burn"] is not None


def _part(share: float, limit: float) -> float:
    return share / limit if limit > 0 else (0.0 if share <= 0 else 2 * _TOP)


def _percent(share: float, known: float | None) -> str:
    return "no calls" if known is None else f"{100 * share:.3g} % of calls"


def _lollipops(panel: Panel, values: list[float], texts: list[str]) -> None:
    """One panel: a line from nothing to the value for each tool, the limit at 1."""
    shown = [min(max(value, 0.0), _TOP) for value in values]
    for kept, colour, form, size in ((True, BLUE, "circle", 5), (False, RED, "cross", 7)):
        lines = [line for line, value in enumerate(values) if (0 <= value <= 1 if kept else value > 1)]
        ends = [(panel.x(shown[line]), panel.y(line)) for line in lines]
        panel.drawing.lines(((panel.left, y, x, y) for x, y in ends), colour, width=2)
        panel.drawing.marks(ends, form, colour, size)
    panel.drawing.lines([(panel.x(1), panel.top, panel.x(1), panel.bottom)], ORANGE, width=1.2, dashes="4.4 2")
    for line, text in enumerate(texts):
        panel.drawing.text(panel.x(shown[line]) + 6, panel.y(line), text, size=7)
    panel.edges("left", "bottom")
    panel.ticks_below([(0, "0"), (1, "limit")])


def _edges(start: datetime, now: datetime) -> list[datetime]:
    """Boundaries of the columns: whole five-minute windows, as few together as fit."""
    windows = -(-(now - start) // _WINDOW)
    width = _WINDOW * -(-windows // _MOST_COLUMNS)
    return [start + width * column for column in range(-(-(now - start) // width) + 1)]


def _counts(rows: list[ToolSlo], edges: list[datetime]) -> npt.NDArray[np.float64]:
    """Requests, errors, latency samples and those within the threshold by [row, column]."""
    counts = np.zeros((len(rows), len(edges) - 1, 4))
    first, width = edges[0], edges[1] - edges[0]
    columns: dict[str, int] = {}  # the tools share their windows
    for line, row in enumerate(rows):
        for window in row.windows:
            if (stamp := window["start"]) not in columns:
                columns[stamp] = (parse_iso(stamp) - first) // width
            column = columns[stamp]
            if 0 <= column < counts.shape[1]:
                counts[line, column] += [window[name] for name in ("requests", "errors", "latency_samples", "within")]
    return counts


def _heat(panel: Panel, edges: list[datetime], rows: list[ToolSlo]) -> None:
    """When it was: the worse of both shares as a part of its limit, one coloured cell per span of five minutes or more."""
    counts = _counts(rows, edges)
    requests, errors, samples, within = (counts[:, :, kind] for kind in range(4))
    allowed = np.array([[max(row.error_rate_max, 1e-9), max(1 - row.latency_target, 1e-9)] for row in rows])
    worst = np.full(requests.shape, np.nan)
    for bad, whole, limit in ((errors, requests, allowed[:, :1]), (samples - within, samples, allowed[:, 1:])):
        share = np.divide(bad, whole, out=np.full_like(bad, np.nan), where=whole > 0)
        worst = np.fmax(worst, share / limit)
    times = [edge.timestamp() for edge in edges]
    for shade, cells in _alike(worst).items():
        panel.bars(
            ((times[first], line - 0.5, times[last], line + 0.5) for line, first, last in cells), Fill(_colour(shade / _SHADES))
        )
    crosses = [(panel.x((times[column] + times[column + 1]) / 2), panel.y(line)) for line, column in np.argwhere(worst > 1)]
    panel.drawing.marks(crosses, "cross", "#1a1a1a", 5, edge="white")
    panel.edges("left", "bottom")
    panel.ticks_below((at.timestamp(), text) for at, text in moments(edges[0], edges[-1], 6))
    _scale(panel)


def _alike(worst: npt.NDArray[np.float64]) -> dict[int, list[tuple[int, int, int]]]:
    """Shade -> the cells that have it: line, first column, and the one behind the last; neighbours are one cell."""
    shades = np.clip(np.where(worst <= 1, worst / 2, 0.5 + (worst - 1) / (2 * (_FAR_BEYOND - 1))), 0, 1) * _SHADES
    found: dict[int, list[tuple[int, int, int]]] = {}
    for line, shaded in enumerate(np.where(np.isnan(worst), -1, np.round(shades)).astype(int).tolist()):
        for shade, first, last in _runs(shaded):
            if shade >= 0:
                found.setdefault(shade, []).append((line, first, last))
    return found


def _runs(values: list[int]) -> Iterator[tuple[int, int, int]]:
    """Each value that stands there once or more in a row, where that begins, and where the next one begins."""
    first = 0
    for position in range(1, len(values) + 1):
        if position == len(values) or values[position] != values[first]:
            yield values[first], first, position
            first = position


def _colour(share: float) -> str:
    """The colour at this share of the way from good to bad."""
    place = share * (len(_GOOD_TO_BAD) - 1)
    before = min(int(place), len(_GOOD_TO_BAD) - 2)
    parts = ([int(text[start : start + 2], 16) for start in (1, 3, 5)] for text in _GOOD_TO_BAD[before : before + 2])
    return "#" + "".join(f"{round(one + (other - one) * (place - before)):02x}" for one, other in zip(*parts, strict=True))


def _scale(panel: Panel) -> None:
    """What the colours mean, beside the panel."""
    scale = Panel(panel.drawing, panel.right + 6, panel.top, 9, panel.height, (0, 1), (_SHADES, 0))
    for shade in range(_SHADES):
        scale.bars([(0, shade + 1, 1, shade)], Fill(_colour((shade + 0.5) / _SHADES)))
    for share, text in ((0.0, "0"), (0.5, "limit"), (1.0, f"{_FAR_BEYOND:.0f} times")):
        panel.drawing.text(scale.right + 4, scale.y(share * _SHADES), text)
