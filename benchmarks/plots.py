"""The plots of docs/performance.md: how time and memory of each side grow with the size."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.results import FigureResult, Quantity, SideResult, Spread

Series = dict[str, list[tuple[int, float, float]]]  #: by side: size, median CPU seconds, median peak MiB

_PANELS: tuple[tuple[Quantity, str], ...] = (("cpu", "CPU, times that of the smallest size"), ("peak_mib", "peak memory, MiB"))


def plotted(figure: Figure, result: FigureResult) -> Series:
    """What a figure's plot shows; nothing where there is one size, which the tables show better."""
    if len(result.sizes) < 2:
        return {}
    found: Series = {}
    for each in result.sizes:
        before = ((f"{name} before", side) for name, side in each.before.items())
        for label, side in (*each.sides.items(), *before):
            found.setdefault(label, []).append((each.size, _median(side, "cpu"), _median(side, "peak_mib")))
    return {label: points for label, points in found.items() if len(points) > 1}


def _median(side: SideResult, quantity: Quantity) -> float:
    return Spread.of(side.values(quantity)).median


def digest(series: Series) -> str:
    """Names what is plotted; stands in the plot's file, so that a test sees whether it is that of the kept results."""
    return "sha256:" + hashlib.sha256(json.dumps(series, sort_keys=True).encode()).hexdigest()


def write_plots(results: Mapping[str, FigureResult], figures: Mapping[str, Figure], folder: Path) -> None:
    """Writes `performance-NAME.svg` for every figure that has something to plot; removes those of other figures."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set()
    for name, figure in figures.items():
        series = plotted(figure, results[name]) if name in results else {}
        if series:
            path = folder / f"performance-{name}.svg"
            _draw(figure, series, path)
            wanted.add(path)
    for path in set(folder.glob("performance-*.svg")) - wanted:
        path.unlink()


def _draw(figure: Figure, series: Series, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    with mpl.rc_context({"svg.hashsalt": figure.name, "svg.fonttype": "none", "font.size": 9}):
        drawing = Drawing(figsize=(9, 3.4), layout="constrained")
        for axes, (quantity, label) in zip(drawing.subplots(1, 2), _PANELS, strict=True):
            for (name, points), marker in zip(series.items(), "osD^vPX*" * 3, strict=False):
                sizes = [size for size, _, _ in points]
                base = points[0][1] if quantity == "cpu" else 1.0
                values = [(cpu if quantity == "cpu" else mib) / base for _, cpu, mib in points]
                axes.plot(sizes, values, marker=marker, markersize=4, label=name)
            if quantity == "cpu":
                axes.plot(sizes, [size / sizes[0] for size in sizes], "k:", linewidth=1, label="as the size")
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
            axes.set_xscale("log")
            axes.set_xlabel(figure.unit)
            axes.set_ylabel(label)
            axes.grid(visible=True, alpha=0.3)
        drawing.legend(*drawing.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        drawing.suptitle(figure.title)
        drawing.savefig(path, metadata={"Date": None, "Description": digest(series)})
