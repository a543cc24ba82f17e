"""What people look at first in `autonomy_budget`: what cannot be read, then the fullest budgets. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.costs.budgets.evidence import UNREADABLE, Budgets

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _unreadable(frame: "DataFrame") -> "Series[bool]":
    return frame["config"].eq(UNREADABLE) | frame["state"].eq(UNREADABLE)


def _used(frame: "DataFrame") -> "Series[float]":
    return frame[["total", "consumed"]].max(axis=1).astype("Float64")


def _share_used(frame: "DataFrame") -> "Series[float]":
    """Of the daily cap; without a cap, or with one of zero, there is none."""
    cap = frame["cap"].astype("Float64")
    return _used(frame) / cap.where(cap.gt(0))


def _off(frame: "DataFrame") -> "Series[bool]":
    """The record says less or more than was counted."""
    return (frame["consumed"] < frame["counted_min"]).fillna(False) | (frame["consumed"] > frame["counted_max"]).fillna(False)


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Unreadable records, overspent budgets, records that differ from the count, then the fullest; the newest day first."""
    newest = frame["day"].rank(method="dense")
    overspent = frame["remaining"].lt(0).fillna(False)
    return by(frame, _unreadable(frame), overspent, _off(frame), _share_used(frame), _used(frame), newest)


def _figures(budgets: Budgets) -> Mapping[str, float]:
    frame = budgets.frame
    accounts = frame["tenant"] + "/" + frame["account"]
    today = frame[frame["day"] == frame["day"].max()]
    return figures(
        accounts_overspent=accounts[frame["remaining"].lt(0).fillna(False)].nunique(),
        accounts_unreadable=accounts[_unreadable(frame)].nunique(),
        days_unlike_the_count=int(_off(frame).sum()),
        fullest_budget_percent=100 * _share_used(frame).max(),
        fullest_today_percent=100 * _share_used(today).max(),
        fewest_actions_left_today=today["remaining"].min(),
        actions_today=int(_used(today).sum()),
        accounts=accounts.nunique(),
        accounts_without_cap=accounts[frame["cap"].isna()].nunique(),
        fewest_decisions_left=frame["daily_decisions_remaining"].min(),
        least_cost_left_usd=frame["monthly_cost_remaining"].min(),
    )


def _picture(budgets: Budgets) -> Drawing | None:
    from phase5_ops.sections.costs.budgets import plot

    return plot.plot_budget_use(budgets)


PREVIEW = Preview(
    columns=(
        "tenant",
        "account",
        "day",
        "cap",
        "consumed",
        "remaining",
        "mode",
        "total",
        "counted_min",
        "counted_max",
        "config",
        "state",
        "execution_enabled",
    ),
    worst_first=_worst_first,
    figures=_figures,
    picture=_picture,
)
