"""The picture of `autonomy_budget`: how full the budgets are.

On the left the fullest accounts, a line each; on the right all accounts together, so that it is as readable with five hundred
tenants as with five.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from phase5_ops.evidence.drawing import INK, Drawing, Fill
from phase5_ops.evidence.panel import GREY, LegendEntry, Panel, label, legend, legend_height, number_text, round_numbers
from phase5_ops.sections.costs.budgets.evidence import Budgets

_MOST_LINES = 25
_LONGEST_NAME = 34
_DARK = "#1a1a1a"  # on a coloured cell, whatever the page's colours
_LEGEND_SIZE = 7
#: Share of the cap -> colour; between two of them it is mixed, and beyond the last it stays.
_USE = ((0.0, (242, 246, 242)), (0.5, (156, 199, 156)), (1.0, (242, 193, 78)))
_OVERSPENT = "#d1495b"
#: Share of the cap: how it is named, coloured and hatched, from empty to overspent.
_CLASSES = (
    ("no cap", Fill("#d9d9d9")),
    ("unused", Fill("#e8f0e8", "..")),
    ("up to half", Fill("#9cc79c", "//")),
    ("up to all", Fill("#f2c14e", "\\\\")),
    ("over or uncapped", Fill(_OVERSPENT, "xx")),
)


def plot_budget_use(budgets: Budgets) -> Drawing | None:
    """Share of the daily cap used, by account and UTC day; None of a table without rows."""
    if not budgets.rows:
        return None
    table = budgets.frame
    days = sorted(table["day"].unique())
    names = (table["tenant"] + " / " + table["account"]).where(table["account"] != "", table["tenant"])
    used = np.asarray(table[["total", "consumed"]].max(axis=1).fillna(0), dtype=np.float64)
    cap = np.asarray(table["cap"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    # ordered by tenant, account, day: each account has one row for every day
    shape = (len(table) // len(days), len(days))
    used, cap = used.reshape(shape), cap.reshape(shape)
    share = np.divide(used, cap, out=np.where(used > 0, np.inf, np.nan), where=cap > 0)
    fullest = np.lexsort((names.to_numpy()[:: len(days)], -used.sum(axis=1), -np.nan_to_num(share, nan=-1).max(axis=1)))
    telling = np.any(~np.isnan(share) | (used > 0), axis=1, keepdims=True)[:, 0]  # accounts with a cap or a use
    fullest = fullest[telling[fullest]]
    lines = fullest[:_MOST_LINES]
    high = 25 + 18.7 * max(len(lines), 6)
    drawing = Drawing(f"Autonomy budgets: {table['tenant'].nunique()} tenants, {shape[0]} accounts", 792, high + 90)
    labels = [label(name, _LONGEST_NAME) for name in names.to_numpy()[:: len(days)][lines]]
    title = "share of the daily cap used, %" + ("" if len(lines) == shape[0] else f": {len(lines)} of {shape[0]} accounts")
    left = Panel(drawing, 158, 54, 354, high, (-0.5, len(days) - 0.5), (-0.5, max(len(lines), 1) - 0.5))
    left.title(title, 10)
    _heat(left, days, labels, used=used[lines], share=share[lines])
    _classes(Panel(drawing, 558, 54, 222, high, (-0.5, len(days) - 0.5)), days, used, cap, share)
    return drawing


def _heat(
    panel: Panel, days: list[str], names: list[str], *, used: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> None:
    """A line an account, a column a day; the number is actions used, the colour their share of the cap; no colour is no cap."""
    drawing = panel.drawing
    if not names:
        middle = panel.left + panel.width / 2
        drawing.text(middle, panel.top + panel.height / 2, "no account has a cap or used an action", size=9, anchor="middle")
        return
    cells: dict[str, list[tuple[float, float, float, float]]] = {}
    for line, column in np.argwhere(~np.isnan(share)).tolist():
        cells.setdefault(_colour(share[line, column]), []).append((column - 0.5, line - 0.5, column + 0.5, line + 0.5))
    for colour, there in cells.items():
        panel.bars(there, Fill(colour))
    for line, column in np.argwhere(used).tolist():
        part, actions = share[line, column], used[line, column]
        text = f"{100 * part:.0f} % ({actions:.0f})" if np.isfinite(part) else f"{actions:.0f}, no cap"
        colour = "white" if part > 1 else _DARK if np.isfinite(part) else INK
        drawing.text(panel.x(column), panel.y(line), text, size=7, anchor="middle", colour=colour)
    panel.names(names)
    between = [panel.y(line - 0.5) for line in range(len(names) + 1)]
    drawing.lines(((panel.left, y, panel.right, y) for y in between), GREY, opacity=0.3)
    panel.edges("left", "bottom")
    panel.ticks_below(_day_ticks(days))


def _colour(share: float) -> str:
    """The colour of a share of the cap."""
    if share > 1:
        return _OVERSPENT
    (low, one), (high, other) = _USE[:2] if share <= _USE[1][0] else _USE[1:]
    place = (share - low) / (high - low)
    return "#" + "".join(f"{round(first + (second - first) * place):02x}" for first, second in zip(one, other, strict=True))


def _classes(
    panel: Panel, days: list[str], used: npt.NDArray[np.float64], cap: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> None:
    """All accounts by how full their budget was, a bar a day."""
    masks = (
        np.isnan(cap) & (used == 0),
        ~np.isnan(cap) & (used == 0),
        (used > 0) & (share <= 0.5),  # noqa: PLR2004 - half
        (used > 0) & (share > 0.5) & (share <= 1),  # noqa: PLR2004 - half
        (used > 0) & (share > 1),
    )
    numbers = [(name, fill, mask.sum(axis=0).tolist()) for (name, fill), mask in zip(_CLASSES, masks, strict=True) if mask.any()]
    entries = [LegendEntry(name, fill, edge=_DARK) for name, fill, _ in numbers]
    highest = max(map(sum, zip(*(counts for _, _, counts in numbers), strict=True)), default=1)
    room = panel.height - legend_height(entries, panel.width, _LEGEND_SIZE) - 8
    panel = replace(panel, down=(highest * panel.height / room, 0))
    bottom = [0] * len(days)
    for _, fill, counts in numbers:
        there = [(day, bottom[day], count) for day, count in enumerate(counts) if count]
        panel.bars(((day - 0.4, before + count, day + 0.4, before) for day, before, count in there), fill, edge=_DARK)
        bottom = [before + count for before, count in zip(bottom, counts, strict=True)]
    panel.title("all accounts by share of the cap used", 10)
    panel.ticks_left((at, number_text(at)) for at in round_numbers(0, highest, 5, whole=True))
    panel.ticks_below(_day_ticks(days))
    panel.edges("left", "bottom")
    legend(panel.drawing, entries, panel.left + panel.width / 2, panel.top + 6, width=panel.width, size=_LEGEND_SIZE)


def _day_ticks(days: list[str]) -> list[tuple[float, str]]:
    step = -(-len(days) // 8)
    return [(index, days[index][5:]) for index in range((len(days) - 1) % step, len(days), step)]
