"""What people look at first in the tables of replay probes: those without an answer, then those that left something. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.replay.probes.evidence import Probes, SentProbes

if TYPE_CHECKING:
    from pandas import DataFrame

_REFUSED = 400


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Probes that were not sent, that got no answer, then by status: answers of the 500s, of the 400s, of the 200s."""
    return by(frame, frame["not_tried"].notna(), frame["problem"].notna(), frame["status"])


def _sent_figures(probes: SentProbes | Probes) -> Mapping[str, float]:
    frame = probes.frame
    return figures(
        probes_not_tried=int(frame["not_tried"].notna().sum()),
        probes_without_answer=int((frame["not_tried"].isna() & frame["problem"].notna()).sum()),
        probes_answered=int(frame["status"].notna().sum()),
        probes_refused=int(frame["status"].ge(_REFUSED).fillna(False).sum()),
        probes_accepted=int(frame["status"].between(200, 299).fillna(False).sum()),
        slowest_answer_ms=frame["latency_ms"].max(),
        median_answer_ms=frame["latency_ms"].median(),
        probes=len(frame),
    )


def _left_first(frame: "DataFrame") -> "DataFrame":
    """As when they were sent, but refused probes that left something in the ledger come before those that did not."""
    left = frame["left_behind"].ne("[]") & frame["status"].ge(_REFUSED).fillna(False)
    return by(frame, frame["not_tried"].notna(), frame["problem"].notna(), left, frame["status"])


def _figures(probes: Probes) -> Mapping[str, float]:
    refused = [row for row in probes.rows if row.status is not None and row.status >= _REFUSED]
    return {
        "refused_with_entries": sum(bool(row.left_behind) for row in refused),
        "ledger_entries_left": sum(len(row.left_behind) for row in probes.rows),
        **_sent_figures(probes),
    }


_COLUMNS = ("name", "expected", "status", "problem", "not_tried", "row", "latency_ms")

SENT_PREVIEW = Preview(_COLUMNS, _worst_first, _sent_figures)
PREVIEW = Preview((*_COLUMNS, "left_behind"), _left_first, _figures)
