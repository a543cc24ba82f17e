"""What people look at first in `tool_slo_summary`: the tools that use most of what their SLO allows. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.slo.summary.evidence import Summary

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Registered tools without calls, then the tools that use most of what their SLO allows."""
    errors = frame["error_share"] / frame["error_rate_max"]
    late = (1 - frame["within_share"]) / (1 - frame["latency_target"])
    most = errors.where(errors.ge(late) | late.isna(), late)
    return by(frame, frame["registered"] & most.isna(), most, frame["requests"])


def _figures(summary: Summary) -> Mapping[str, float]:
    tools = summary.frame[summary.frame["registered"]]
    missed = (tools["error_share"] > tools["error_rate_max"]) | (tools["within_share"] < tools["latency_target"])
    calls = tools.groupby("canonical_tool")["requests"].sum()
    return figures(
        tools_out_of_slo=tools.loc[missed, "canonical_tool"].nunique(),
        tools_without_calls=int((calls == 0).sum()),
        worst_p99_percent_of_limit=100 * (tools["p99_max"] / tools["latency_threshold_ms"]).max(),
        worst_late_percent=100 * (1 - tools["within_share"].min()),
        worst_error_percent=100 * tools["error_share"].max(),
        latency_budget_percent=100 * tools["budget_left_latency"].min(),
        error_budget_percent=100 * tools["budget_left_errors"].min(),
        oldest_data_minutes=tools["last_datapoint_age_seconds"].max() / 60,
        requests=int(tools["requests"].sum()),
    )


def _picture(summary: Summary) -> Drawing | None:
    from phase5_ops.sections.slo.summary import plot

    return plot.plot_summary(summary)


PREVIEW = Preview(
    columns=(
        "tool",
        "error_share",
        "within_share",
        "p99_max",
        "requests",
        "budget_left_errors",
        "budget_left_latency",
        "error_rate_max",
        "latency_target",
        "latency_threshold_ms",
        "connector",
        "registered",
        "last_datapoint_at",
    ),
    worst_first=_worst_first,
    figures=_figures,
    picture=_picture,
)
