"""The picture of `tenant_cost_report`: cost per tenant, billed beside allocated, and the daily trend of the whole.

The most expensive tenants have a bar each, all others share one, so that it is as readable with thousands of tenants as with
five.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    LegendEntry,
    Panel,
    label,
    legend,
    legend_height,
    number_text,
    round_numbers,
)
from phase5_ops.sections.costs.bill.evidence import SHARED, ZERO, CostReport
from phase5_ops.sections.costs.bill.report import TenantCost, tenant_costs

_MOST_BARS = 25
_LEGEND_SIZE = 7
_MOST_DAYS = 8  # that the axis names
_BILLED, _ALLOCATED, _UNALLOCATED, _OTHERS = Fill(BLUE), Fill("#9dc3e6", "//"), Fill(RED, "xx"), Fill(GREY)
#: The bands of single tenants, and of the shared rest.
_BANDS = (Fill(BLUE), Fill(ORANGE, "//"), Fill(GREEN, ".."), Fill(PURPLE, "\\\\"), Fill("#b0a030", "xx"))
_SHARED_BAND = Fill("#a9b4bf", "--")


def plot_costs(table: CostReport) -> Drawing | None:
    """Bars of every tenant (or of the most expensive and the others), and stacked days; None in more than one currency."""
    if len(table.facts.currencies) > 1:
        return None
    everyone = tenant_costs(table)
    lines = [line for line in everyone if line.tenant != SHARED]
    rest = next((line for line in everyone if line.tenant == SHARED), None)
    bars = _bars(lines)
    high = 25 + 20.0 * max(len(bars) + 1, 6)
    drawing = Drawing(f"Cost per tenant, {table.facts.start} to before {table.facts.end} ({table.facts.metric})", 792, high + 90)
    currency = ", ".join(table.facts.currencies) or "no currency"
    _draw_bars(Panel(drawing, 158, 54, 311, high), bars, rest, currency)
    _draw_days(Panel(drawing, 510, 54, 270, high), table, lines, rest, currency)
    return drawing


def _bars(lines: list[TenantCost]) -> list[tuple[str, Decimal, Decimal]]:
    """Name, billed, allocated of each bar; the last one stands for all tenants that have none of their own."""
    own = lines if len(lines) <= _MOST_BARS + 1 else lines[:_MOST_BARS]
    bars = [(label(line.tenant), line.billed, line.allocated) for line in own]
    if others := lines[len(own) :]:
        billed, allocated = (sum((getattr(line, kind) for line in others), ZERO) for kind in ("billed", "allocated"))
        bars.append((f"{len(others)} others", billed, allocated))
    return bars


def _draw_bars(panel: Panel, bars: list[tuple[str, Decimal, Decimal]], rest: TenantCost | None, currency: str) -> None:
    """A bar a tenant, its amount at the end; the scale fits single tenants, so a longer bar of all others is cut off."""
    shown = [(name, float(billed), float(allocated)) for name, billed, allocated in bars]
    own = [billed + allocated for name, billed, allocated in shown if not name.endswith(" others")]
    right = 1.25 * (max(map(abs, own), default=0.0) or 1.0)
    names = [name for name, _, _ in bars]
    lost = float(rest.unallocated) if rest is not None and rest.unallocated else None
    if lost is not None:
        names.append("unallocated")
    across = (min(1.15 * min(own, default=0.0), 0.0), right)
    panel = replace(panel, across=across, down=(-0.6, max(len(names), 1) - 0.4))
    panel.ticks_below(((at, number_text(at)) for at in round_numbers(*across, 6)), grid=True)
    for line, (name, billed, allocated) in enumerate(shown):
        beside = billed if allocated * billed >= 0 else 0.0
        _bar(panel, line, 0, billed, _OTHERS if name.endswith(" others") else _BILLED)
        _bar(panel, line, beside, beside + allocated, _ALLOCATED)
        _amount(panel, line, billed + allocated)
    if lost is not None:
        _bar(panel, len(bars), 0, lost, _UNALLOCATED)
        _amount(panel, len(bars), lost)
    panel.drawing.lines([(panel.x(0), panel.top, panel.x(0), panel.bottom)], "#666666", width=0.6)
    panel.drawing.text(panel.left, panel.top - 9, f"{currency} in the period", size=10)
    panel.names(names)
    panel.edges("left", "bottom")
    legend(
        panel.drawing,
        [LegendEntry("billed", _BILLED), LegendEntry("allocated", _ALLOCATED)],
        panel.right - 60,
        panel.top - 9,
        width=140,
    )


def _bar(panel: Panel, line: int, start: float, end: float, fill: Fill) -> None:
    right = panel.across[1]
    if start != end:
        panel.bars([(min(start, right), line - 0.4, min(end, right), line + 0.4)], fill)


def _amount(panel: Panel, line: int, amount: float) -> None:
    right = panel.across[1]
    if amount > right:
        text, x, anchor = f"{amount:,.2f} (bar cut off)", panel.x(right) - 6, "end"
        panel.drawing.text(x, panel.y(line), text, size=7, anchor=anchor, colour="white")
    else:
        panel.drawing.text(panel.x(max(amount, 0)) + 4, panel.y(line), f"{amount:,.2f}", size=7)


def _draw_days(panel: Panel, table: CostReport, lines: list[TenantCost], rest: TenantCost | None, currency: str) -> None:
    """Billed cost a day, stacked: the five most expensive tenants, all others, and the shared rest."""
    days = [date.fromisoformat(day["day"]) for day in table.facts.days if day["current"]]
    top = sorted(lines, key=lambda line: -line.billed)[: len(_BANDS)]
    named = {line.tenant for line in top}
    others = [line for line in lines if line.tenant not in named]
    bands = [(label(line.tenant), line.daily, form) for line, form in zip(top, _BANDS, strict=False)]
    if others:
        bands.append(
            (f"{len(others)} others", [sum(costs, ZERO) for costs in zip(*(o.daily for o in others), strict=True)], _OTHERS)
        )
    if rest is not None:
        bands.append(("shared", rest.daily, _SHARED_BAND))
    heights = [[max(float(cost), 0.0) for cost in daily][: len(days)] for _, daily, _ in bands]
    highest = max((sum(of_day) for of_day in zip(*heights, strict=True)), default=0.0) or 1.0
    entries = [LegendEntry(name, form) for name, _, form in bands]
    room = panel.height - legend_height(entries, panel.width, _LEGEND_SIZE) - 6
    panel = replace(panel, across=(0, max(len(days), 1)), down=(highest * panel.height / room, 0))
    panel.ticks_left(((at, number_text(at)) for at in round_numbers(0, highest, 5)), grid=True)
    bottom = [0.0] * len(days)
    for (_, _, fill), values in zip(bands, heights, strict=True):
        above = [before + value for before, value in zip(bottom, values, strict=True)]
        # one shape a band, a step a day
        upper, lower = (
            [(panel.x(day + side), panel.y(at)) for day, at in enumerate(line) for side in (0, 1)] for line in (above, bottom)
        )
        panel.drawing.shape([*upper, *reversed(lower)], fill)
        bottom = above
    step = -(-len(days) // _MOST_DAYS) or 1
    panel.ticks_below((position + 0.5, f"{days[position]:%b} {days[position].day}") for position in range(0, len(days), step))
    panel.title(f"{currency} billed a day", 10)
    panel.edges("left", "bottom")
    legend(panel.drawing, entries, panel.left + panel.width / 2, panel.top + 6, width=panel.width, size=_LEGEND_SIZE)
