"""The picture of `tool_slo_summary`: requests, failed and late calls per tool over the lookback.

A heat map, one line a tool and connector, so that it reads as well with forty tools as with three.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from phase5_ops.clock import parse_iso
from phase5_ops.sections.slo.summary.evidence import Summary

_MOST_COLUMNS = 96  # 15 minutes each for a day
_WINDOW = timedelta(minutes=5)
_GOOD_TO_BAD = LinearSegmentedColormap.from_list("good_to_bad", ["#d9ead9", "#7fb77f", "#f2c14e", "#d1495b", "#7a0c2e"])


def plot_summary(summary: Summary) -> Figure | None:
    """Three panels side by side, time to the right until the table was read, one coloured cell per span of five minutes or more.

    Shares turn yellow at the SLO's limit and red beyond it; white is time without calls. None where no tool is in the table, or
    it does not say when it was read.
    """
    if (now := summary.observed_at) is None or not summary.rows:
        return None
    start = parse_iso(summary.facts.lookback_start)
    edges = _edges(start, now)
    counts = _counts(summary, edges)
    requests, errors, samples, within = (counts[:, :, kind] for kind in range(4))
    rows = summary.rows
    limits = max((row.error_rate_max for row in rows), default=0.01), 1 - min((row.latency_target for row in rows), default=0.99)
    height = 1.7 + 0.3 * max(len(rows), 3)
    figure = Figure(figsize=(15, height))
    panels = figure.subplots(1, 3, sharey=True)
    # Fixed margins in inches: a solved layout takes longer than the drawing itself.
    figure.subplots_adjust(left=0.16, right=0.985, top=1 - 0.45 / height, bottom=0.55 / height, wspace=0.08)
    names = [row.tool or "no tool_name" for row in rows]
    busiest = LogNorm(1, max(requests.max(initial=1), 2))
    _heat(panels[0], edges, np.where(requests > 0, requests, np.nan), "requests", colours="Blues", norm=busiest)
    for axes, bad, whole, title, limit in (
        (panels[1], errors, requests, "failed calls, %", limits[0]),
        (panels[2], samples - within, samples, "late calls, %", limits[1]),
    ):
        share = 100 * np.divide(bad, whole, out=np.full_like(bad, np.nan), where=whole > 0)
        percent = float(limit) * 100
        _heat(
            axes,
            edges,
            share,
            f"{title} (SLO: {percent:g})",
            colours=_GOOD_TO_BAD,
            norm=TwoSlopeNorm(percent, 0, 10 * percent),
            ticks=[0, percent, 10 * percent],
        )
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].invert_yaxis()
    figure.suptitle(f"Tool SLOs, {start:%Y-%m-%d %H:%M} to {now:%Y-%m-%d %H:%M} UTC", fontsize=11)
    return figure


def _edges(start: datetime, now: datetime) -> list[datetime]:
    """Boundaries of the columns: whole five-minute windows, as few together as fit."""
    windows = -(-(now - start) // _WINDOW)
    width = _WINDOW * -(-windows // _MOST_COLUMNS)
    return [start + width * column for column in range(-(-(now - start) // width) + 1)]


def _counts(summary: Summary, edges: list[datetime]) -> npt.NDArray[np.float64]:
    """Requests, errors, latency samples and those within the threshold by [row, column]."""
    counts = np.zeros((len(summary.rows), len(edges) - 1, 4))
    width = edges[1] - edges[0]
    for line, row in enumerate(summary.rows):
        for window in row.windows:
            column = (parse_iso(window["start"]) - edges[0]) // width
            if 0 <= column < counts.shape[1]:
                counts[line, column] += [window[name] for name in ("requests", "errors", "latency_samples", "within")]
    return counts


def _heat(
    axes: Axes,
    edges: list[datetime],
    values: npt.NDArray[np.float64],
    title: str,
    *,
    colours: str | Colormap,
    norm: Normalize,
    ticks: list[float] | None = None,
) -> None:
    """One panel with its colour bar."""
    axes.set_title(title, fontsize=10)
    rows = np.arange(len(values) + 1) - 0.5
    times = np.array([edge.astimezone(UTC).replace(tzinfo=None) for edge in edges], dtype="datetime64[s]")
    mesh = axes.pcolormesh(times, rows, values, cmap=colours, norm=norm)
    axes.figure.colorbar(mesh, ax=axes, extend="max", pad=0.02, aspect=40, fraction=0.05, ticks=ticks)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", which="minor", left=False)
    axes.set_facecolor("white")
    axes.set_yticks(rows, minor=True)
    axes.grid(axis="y", which="minor", color="#e6e6e6", linewidth=0.5)
