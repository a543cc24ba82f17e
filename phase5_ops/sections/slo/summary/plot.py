"""The picture of `tool_slo_summary`: late and failed calls per tool against the SLO, burn rates, and when it was.

One line a tool and connector, so that it reads as well with forty tools as with three; the tools that use most of what their SLO
allows stand on top.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.dates import ConciseDateFormatter, HourLocator
from matplotlib.figure import Figure

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.picture import BLUE, ORANGE, RED, label, name_lines
from phase5_ops.sections.slo.summary.evidence import Summary, ToolSlo

_MOST_COLUMNS = 96  # 15 minutes each for a day
_MOST_LINES = 40
_WINDOW = timedelta(minutes=5)
_TOP = 4.0  # times the limit; what is beyond stands at the edge, with its number
_GOOD_TO_BAD = LinearSegmentedColormap.from_list("good_to_bad", ["#cfe5d3", "#7fb77f", "#f2c14e", "#d1495b", "#7a0c2e"])


def plot_summary(summary: Summary) -> Figure | None:
    """Shares of the whole lookback against their limits, burn rates against theirs, and the worse of both shares over time.

    A filled circle keeps its limit, a cross exceeds it. Over time, yellow is the limit, red with a cross is beyond it; nothing is
    drawn where there were no calls. The time axis ends when the table was read. None for a table without tools.
    """
    if not summary.rows or summary.observed_at is None:
        return None
    start, now = parse_iso(summary.facts.lookback_start), summary.observed_at
    rows = sorted(summary.rows, key=lambda row: (-max(_of_limits(row)), row.tool, row.connector))[:_MOST_LINES]
    part = 0.24 * max(len(rows), 3)  # inches
    height = 2 * part + 1.7
    figure = Figure(figsize=(10, height))
    # Fixed margins: a solved layout takes longer than the drawing itself.
    upper, left, wide = 1 - (0.6 + part) / height, 0.19, 0.255
    names = [label(row.tool or "no tool_name") for row in rows]
    errors, late, burns = ([_of_limits(row)[kind] for row in rows] for kind in range(3))
    for column, (title, values, texts) in enumerate(
        (
            ("late calls", late, [_percent(1 - (row.within_share or 0), row.within_share) for row in rows]),
            ("failed calls", errors, [_percent(row.error_share or 0, row.error_share) for row in rows]),
            ("error budget burning", burns, [f"{100 * burn:.0f} % of the limit" if burn >= 0 else "no calls" for burn in burns]),
        )
    ):
        axes = figure.add_axes((left + column * (wide + 0.015), upper, wide, part / height))
        _lollipops(axes, values, texts, title)
        name_lines(axes, [] if column else names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    below = figure.add_axes((left, 0.4 / height, 3 * wide - 0.05, part / height))
    _heat(below, _edges(start, now), rows, names)
    figure.suptitle(
        f"Tool SLOs, {start:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC"
        + (f": the worst {len(rows)} of {len(summary.rows)}" if len(rows) < len(summary.rows) else ""),
        fontsize=11,
        y=1 - 0.2 / height,
    )
    return figure


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


def _lollipops(axes: Axes, values: list[float], texts: list[str], title: str) -> None:
    """One panel: a line from nothing to the value for each tool, the limit at 100 %."""
    whole = np.array(values)
    shown = np.clip(whole, 0, _TOP) * 100
    lines = np.arange(len(whole))
    kept, exceeded = (whole >= 0) & (whole <= 1), whole > 1
    axes.hlines(lines[kept], 0, shown[kept], colors=BLUE, linewidth=2)
    axes.hlines(lines[exceeded], 0, shown[exceeded], colors=RED, linewidth=2)
    axes.plot(shown[kept], lines[kept], "o", color=BLUE, markersize=5, linestyle="none", clip_on=False)
    axes.plot(shown[exceeded], lines[exceeded], "X", color=RED, markersize=7, linestyle="none", clip_on=False)
    axes.axvline(100, color=ORANGE, linewidth=1.2, linestyle="--")
    right = 100 * 1.9 * max(1.0, float(np.clip(whole, 0, _TOP).max(initial=0)))  # room for the texts
    for line, text in zip(lines, texts, strict=True):
        axes.text(shown[line] + right * 0.03, line - 0.02, text, fontsize=7, va="center")
    axes.set_xlim(0, right)
    axes.set_xticks([0, 100], ["0", "limit"], fontsize=8)
    axes.set_title(title, fontsize=9, y=1)
    axes.tick_params(length=2)


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


def _heat(axes: Axes, edges: list[datetime], rows: list[ToolSlo], names: list[str]) -> None:
    """When it was: the worse of both shares as a part of its limit, one coloured cell per span of five minutes or more."""
    counts = _counts(rows, edges)
    requests, errors, samples, within = (counts[:, :, kind] for kind in range(4))
    allowed = np.array([[max(row.error_rate_max, 1e-9), max(1 - row.latency_target, 1e-9)] for row in rows])
    worst = np.full(requests.shape, np.nan)
    for bad, whole, limit in ((errors, requests, allowed[:, :1]), (samples - within, samples, allowed[:, 1:])):
        share = np.divide(bad, whole, out=np.full_like(bad, np.nan), where=whole > 0)
        worst = np.fmax(worst, share / limit)
    times = np.array([edge.astimezone(UTC).replace(tzinfo=None) for edge in edges], dtype="datetime64[s]")
    lines = np.arange(len(rows) + 1) - 0.5
    mesh = axes.pcolormesh(times, lines, worst, cmap=_GOOD_TO_BAD, norm=TwoSlopeNorm(1, 0, 10), rasterized=True)
    beyond, when = np.nonzero(worst > 1)
    middle = times[when] + (times[1] - times[0]) // 2
    axes.plot(middle, beyond, "X", color="#1a1a1a", markersize=5, markeredgecolor="white", markeredgewidth=0.5, linestyle="none")
    axes.set_xlim(times[0], times[-1])
    hours = HourLocator(byhour=range(0, 24, 6))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(hours)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(hours))  # type: ignore[no-untyped-call]
    name_lines(axes, names)
    axes.tick_params(axis="x", labelsize=8)
    axes.xaxis.offsetText.set_visible(False)  # the picture's title has the dates
    x, y, wide, high = axes.get_position().bounds
    bar = axes.figure.colorbar(mesh, cax=axes.figure.add_axes((x + wide + 0.008, y, 0.012, high)), ticks=[0, 1, 10])
    bar.ax.set_yticklabels(["0", "limit", "10 times"], fontsize=8)
    axes.set_title(
        "when: the worse of failed and late calls, as a part of what is allowed (crosses: more than that)", fontsize=9, y=1
    )
