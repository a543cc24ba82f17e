"""The picture of `tenant_cost_report`: cost per tenant, billed beside allocated, and the daily trend of the whole.

The most expensive tenants have a bar each, all others share one, so that it is as readable with thousands of tenants as with
five.
"""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phase5_ops.evidence.picture import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, label, name_lines
from phase5_ops.sections.costs.bill.evidence import SHARED, ZERO, CostReport
from phase5_ops.sections.costs.bill.report import TenantCost, tenant_costs

_MOST_BARS = 25
_LOW = 5  # inches: the legend takes a larger part of a low picture
_BILLED, _ALLOCATED, _UNALLOCATED, _OTHERS = BLUE, "#9dc3e6", RED, GREY
#: Colour and hatching of the bands of single tenants, of all others, and of the shared rest.
_BANDS = ((BLUE, ""), (ORANGE, "//"), (GREEN, ".."), (PURPLE, "\\\\"), ("#b0a030", "xx"))
_OTHERS_BAND, _SHARED_BAND = (_OTHERS, ""), ("#a9b4bf", "--")


def plot_costs(table: CostReport) -> Figure | None:
    """Bars of every tenant (or of the most expensive and the others), and stacked days; None in more than one currency."""
    if len(table.facts.currencies) > 1:
        return None
    everyone = tenant_costs(table)
    lines = [line for line in everyone if line.tenant != SHARED]
    rest = next((line for line in everyone if line.tenant == SHARED), None)
    bars = _bars(lines)
    height = 1.6 + 0.28 * max(len(bars) + 1, 6)
    figure = Figure(figsize=(11, height))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    # Fixed margins in inches: a solved layout takes longer than the drawing itself.
    figure.subplots_adjust(left=0.2, right=0.985, top=1 - 0.75 / height, bottom=0.5 / height, wspace=0.14)
    currency = ", ".join(table.facts.currencies) or "no currency"
    _draw_bars(left, bars, rest, currency)
    _draw_days(right, table, lines, rest, currency, low=height < _LOW)
    figure.suptitle(f"Cost per tenant, {table.facts.start} to before {table.facts.end} ({table.facts.metric})", fontsize=11)
    return figure


def _bars(lines: list[TenantCost]) -> list[tuple[str, Decimal, Decimal]]:
    """Name, billed, allocated of each bar; the last one stands for all tenants that have none of their own."""
    own = lines if len(lines) <= _MOST_BARS + 1 else lines[:_MOST_BARS]
    bars = [(label(line.tenant), line.billed, line.allocated) for line in own]
    if others := lines[len(own) :]:
        billed, allocated = (sum((getattr(line, kind) for line in others), ZERO) for kind in ("billed", "allocated"))
        bars.append((f"{len(others)} others", billed, allocated))
    return bars


def _draw_bars(axes: Axes, bars: list[tuple[str, Decimal, Decimal]], rest: TenantCost | None, currency: str) -> None:
    positions = np.arange(len(bars))
    billed = np.array([float(bar[1]) for bar in bars])
    allocated = np.array([float(bar[2]) for bar in bars])
    colours = [_OTHERS if name.endswith(" others") else _BILLED for name, _, _ in bars]
    axes.barh(positions, billed, color=colours, label="billed")
    axes.barh(
        positions, allocated, left=np.where(allocated * billed >= 0, billed, 0), color=_ALLOCATED, label="allocated", hatch="//"
    )
    names = [name for name, _, _ in bars]
    if rest is not None and rest.unallocated:
        axes.barh(len(bars), float(rest.unallocated), color=_UNALLOCATED, label="unallocated", hatch="xx")
        names.append("unallocated")
    lost = [float(rest.unallocated)] if rest is not None and rest.unallocated else []
    _label_bars(axes, np.array([*(billed + allocated), *lost]), len(billed) - (_OTHERS in colours))
    axes.set_title(f"{currency} in the period", fontsize=10, y=1)
    name_lines(axes, names)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.axvline(0, color="#666666", linewidth=0.6)
    if names:
        axes.legend(fontsize=8, loc="lower right", frameon=False)


def _label_bars(axes: Axes, whole: npt.NDArray[np.float64], own: int) -> None:
    """Writes the amount at the end of each bar; the scale fits single tenants, so a longer bar of all others is cut off."""
    if not len(whole):
        return
    span = float(np.abs(whole[:own]).max(initial=0)) or 1.0
    right = 1.25 * span
    axes.set_xlim(min(1.15 * float(whole[:own].min(initial=0)), 0), right)
    for position, amount in enumerate(whole):
        cut = amount > right
        text = f"{amount:,.2f}" + (" (bar cut off)" if cut else "")
        axes.annotate(
            text,
            (right if cut else max(amount, 0), position),
            xytext=(-6 if cut else 4, 0),
            textcoords="offset points",
            ha="right" if cut else "left",
            va="center",
            fontsize=7,
            color="white" if cut else "black",
        )


def _stepped(daily: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The values with the last one again, where the last day ends."""
    return np.concatenate([daily, daily[-1:]])


def _draw_days(
    axes: Axes, table: CostReport, lines: list[TenantCost], rest: TenantCost | None, currency: str, *, low: bool
) -> None:
    """Billed cost a day, stacked: the five most expensive tenants, all others, and the shared rest."""
    days = [date.fromisoformat(day["day"]) for day in table.facts.days if day["current"]]
    top = sorted(lines, key=lambda line: -line.billed)[: len(_BANDS)]
    named = {line.tenant for line in top}
    others = [line for line in lines if line.tenant not in named]
    bands = [(label(line.tenant), line.daily, form) for line, form in zip(top, _BANDS, strict=False)]
    if others:
        bands.append(
            (f"{len(others)} others", [sum(costs, ZERO) for costs in zip(*(o.daily for o in others), strict=True)], _OTHERS_BAND)
        )
    if rest is not None:
        bands.append(("shared", rest.daily, _SHARED_BAND))
    bottom = np.zeros(len(days))
    edges = np.array([*days, *(day + timedelta(days=1) for day in days[-1:])], dtype="datetime64[D]")
    for name, daily, (colour, hatch) in bands:
        values = np.array([max(float(cost), 0.0) for cost in daily])[: len(days)]
        top_of_band = bottom + values
        # one shape a band, a step a day: a bar for each day takes ten times as long
        axes.fill_between(
            edges,
            _stepped(bottom),
            _stepped(top_of_band),
            step="post",
            facecolor=colour,
            edgecolor="white",
            hatch=hatch,
            linewidth=0,
            label=name,
        )
        bottom = top_of_band
    axes.set_title(f"{currency} billed a day", fontsize=10, y=1)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", color=GREY, alpha=0.3, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.set_ylim(0, (bottom.max(initial=0) or 1.0) * (1.4 if low else 1.15))  # room for the legend
    if bands:
        axes.legend(fontsize=7, ncols=4, loc="upper left", frameon=False)
