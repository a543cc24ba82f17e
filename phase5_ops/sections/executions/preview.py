"""What people look at first in `execution_outcomes`: what has not ended, the oldest first, then what contradicts itself. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.executions.evidence import Executions

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Without an end in the ledger, then without an outcome, the oldest first."""
    return by(frame, frame["ended_ms"].isna(), frame["outcome"].eq("none"), -frame["began_ms"])


def _figures(executions: Executions) -> Mapping[str, float]:
    frame, facts = executions.frame, executions.facts
    open_ = frame["ended_ms"].isna()
    return figures(
        executions_not_whole=facts.executions - facts.whole,
        executions_without_end=int(open_.sum()),
        attempts_running=int((open_ & frame["attempt_status"].eq("RUNNING") & frame["attempt"].eq("own")).sum()),
        executions_without_outcome=int(frame["outcome"].eq("none").sum()),
        executions_of_unknown_tool=facts.calls.tool_unknown,
        executions_refused=facts.calls.refused,
        malformed_records=sum(facts.malformed_counts.values()),
        executions=facts.executions,
    )


PREVIEW = Preview(
    (
        "tenant",
        "account",
        "intent",
        "attempt",
        "attempt_status",
        "outcome",
        "outcome_status",
        "starts",
        "executed",
        "failed",
        "replayed",
        "notes",
        "trace",
    ),
    _worst_first,
    _figures,
)
