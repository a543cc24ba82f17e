"""The picture of `autonomy_budget`: how full the budgets are.

On the left the fullest accounts, a line each; on the right all accounts together, so that it is as readable with five hundred
tenants as with five.
"""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phase5_ops.evidence.picture import GREY, label, name_lines
from phase5_ops.sections.costs.budgets.evidence import Budgets

_MOST_LINES = 25
_LONGEST_NAME = 34
_DARK = "#1a1a1a"  # on a coloured cell, whatever the page's colours
_TOP = 1.25  # share of the cap at which the colour scale ends
_USE = LinearSegmentedColormap.from_list(
    "use", [(0, "#f2f6f2"), (0.5 / _TOP, "#9cc79c"), (1 / _TOP, "#f2c14e"), (1.001 / _TOP, "#d1495b"), (1, "#d1495b")]
)
#: Share of the cap: how it is named, coloured and hatched, from empty to overspent.
_CLASSES = (
    ("no cap", "#d9d9d9", ""),
    ("unused", "#e8f0e8", ".."),
    ("up to half", "#9cc79c", "//"),
    ("up to all", "#f2c14e", "\\\\"),
    ("over or uncapped", "#d1495b", "xx"),
)


def plot_budget_use(budgets: Budgets) -> Figure | None:
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
    height = 1.6 + 0.26 * max(len(lines), 6)
    figure = Figure(figsize=(11, height))
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    figure.subplots_adjust(left=0.2, right=0.985, top=1 - 0.75 / height, bottom=0.5 / height, wspace=0.16)
    labels = [label(name, _LONGEST_NAME) for name in names.to_numpy()[:: len(days)][lines]]
    title = "share of the daily cap used, %" + ("" if len(lines) == shape[0] else f": {len(lines)} of {shape[0]} accounts")
    _heat(left, days, labels, used=used[lines], share=share[lines], title=title)
    _classes(right, days, used, cap, share)
    figure.suptitle(f"Autonomy budgets: {table['tenant'].nunique()} tenants, {shape[0]} accounts", fontsize=11)
    return figure


def _heat(
    axes: Axes, days: list[str], names: list[str], *, used: npt.NDArray[np.float64], share: npt.NDArray[np.float64], title: str
) -> None:
    """A line an account, a column a day; the number is actions used, the colour their share of the cap; no colour is no cap."""
    axes.set_title(title, fontsize=10, y=1)
    if not names:
        axes.text(0.5, 0.5, "no account has a cap or used an action", transform=axes.transAxes, fontsize=9, ha="center")
        axes.set_axis_off()
        return
    axes.imshow(np.where(np.isnan(share), np.nan, np.minimum(share, _TOP)), aspect="auto", cmap=_USE, norm=Normalize(0, _TOP))
    for line, column in zip(*np.nonzero(used), strict=True):
        percent = share[line, column]
        text = (
            f"{100 * percent:.0f} % ({used[line, column]:.0f})" if np.isfinite(percent) else f"{used[line, column]:.0f}, no cap"
        )
        colour = "white" if percent > 1 else _DARK if np.isfinite(percent) else "black"
        axes.text(column, line, text, ha="center", va="center", fontsize=7, color=colour)
    name_lines(axes, names)
    _day_axis(axes, days)
    axes.hlines(np.arange(len(names) + 1) - 0.5, -0.5, len(days) - 0.5, colors=GREY, alpha=0.3, linewidth=0.8)


def _classes(
    axes: Axes, days: list[str], used: npt.NDArray[np.float64], cap: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> None:
    """All accounts by how full their budget was, a bar a day."""
    masks = (
        np.isnan(cap) & (used == 0),
        ~np.isnan(cap) & (used == 0),
        (used > 0) & (share <= 0.5),  # noqa: PLR2004 - half
        (used > 0) & (share > 0.5) & (share <= 1),  # noqa: PLR2004 - half
        (used > 0) & (share > 1),
    )
    bottom = np.zeros(len(days))
    for (name, colour, hatch), mask in zip(_CLASSES, masks, strict=True):
        numbers = mask.sum(axis=0)
        if not numbers.any():
            continue
        axes.bar(range(len(days)), numbers, bottom=bottom, color=colour, edgecolor=_DARK, hatch=hatch, linewidth=0.5, label=name)
        bottom += numbers
    axes.set_title("all accounts by share of the cap used", fontsize=10, y=1)
    axes.set_ylim(0, max(bottom.max(), 1) * 1.3)
    axes.legend(ncols=3, fontsize=7, loc="upper center", frameon=False, handlelength=0.8, handletextpad=0.4, columnspacing=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.tick_params(labelsize=8)
    _day_axis(axes, days)


def _day_axis(axes: Axes, days: list[str]) -> None:
    step = -(-len(days) // 10)
    shown = range((len(days) - 1) % step, len(days), step)
    axes.set_xticks(list(shown), [days[index][5:] for index in shown], fontsize=8)
