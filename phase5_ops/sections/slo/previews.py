"""What people look at first in the tables of section 1 that have no folder of their own: registered tools and runbook. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.ccnative.registry import Registry
from phase5_ops.ccnative.runbook import Runbook
from phase5_ops.evidence.preview import Preview, by, figures

if TYPE_CHECKING:
    from pandas import DataFrame


def _tools_first(frame: "DataFrame") -> "DataFrame":
    """Tools that only the settings name, then by name."""
    return by(frame.sort_values(["connector", "tool"]), frame["source"].eq("settings"))


def _tool_figures(registry: Registry) -> Mapping[str, float]:
    frame = registry.frame
    return figures(
        tools=frame["tool"].nunique(),
        connectors=frame["connector"].nunique(),
        tools_of_settings_only=int(frame["source"].eq("settings").sum()),
        malformed_records=len(registry.facts.malformed),
    )


REGISTERED_TOOLS_PREVIEW = Preview(("tool", "connector", "action_types", "source", "traffic"), _tools_first, _tool_figures)


def _headings_first(frame: "DataFrame") -> "DataFrame":
    """Sections that say nothing or disown themselves, then in the order of the page."""
    return by(frame, ~frame["has_content"] | frame["disowned"].ne(""), -frame["line"])


def _runbook_figures(runbook: Runbook) -> Mapping[str, float]:
    headings = runbook.frame[runbook.frame["kind"].eq("heading")]
    return figures(
        headings=len(headings),
        headings_without_content=int((~headings["has_content"]).sum()),
        headings_disowned=int(headings["disowned"].ne("").sum()),
        words=int(headings.loc[headings["level"].eq(1), "words"].sum()),
    )


RUNBOOK_PREVIEW = Preview(
    ("title", "anchor", "level", "line", "words", "has_content", "disowned"), _headings_first, _runbook_figures
)
