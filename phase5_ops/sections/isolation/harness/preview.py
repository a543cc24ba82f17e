"""What people look at first in the tables of the isolation harness: violations, then what could not be judged. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Harness, Result
from phase5_ops.sections.isolation.harness.tables import CanaryStarted

if TYPE_CHECKING:
    from pandas import DataFrame

_WORST = (Result.VIOLATION, Result.BLIND, Result.MISSING, Result.NOT_JUDGED)  # then the others, in the order of the table


def _worst_first(frame: "DataFrame") -> "DataFrame":
    return by(frame, *(frame["result"].eq(result) for result in _WORST), frame["codes"].ne("[]"))


def _figures(harness: Harness) -> Mapping[str, float]:
    frame = harness.frame
    results, kinds = frame["result"].value_counts(), frame["kind"].value_counts()
    return figures(
        violations=results.get(Result.VIOLATION, 0),
        keys_not_judged=results.get(Result.NOT_JUDGED, 0),
        blind_detectors=results.get(Result.BLIND, 0),
        missing=results.get(Result.MISSING, 0),
        keys_in_scope=results.get(Result.IN_SCOPE, 0),
        keys_approved=results.get(Result.APPROVED, 0),
        keys_written=kinds.get(AccessKind.WRITE, 0),
        keys_read=kinds.get(AccessKind.READ, 0),
        probes=kinds.get(AccessKind.PROBE, 0),
        probes_refused=results.get(Result.REFUSED, 0),
    )


def _picture(harness: Harness) -> Drawing | None:
    from phase5_ops.sections.isolation.harness import plot

    return plot.plot_footprint(harness)


PREVIEW = Preview(("result", "kind", "table", "reason", "key", "operation", "index"), _worst_first, _figures, _picture)


def _named_first(frame: "DataFrame") -> "DataFrame":
    """Items that name a test tenant, by table."""
    return by(frame, frame["key"].notna() & frame["key"].ne(""))


def _started_figures(started: CanaryStarted) -> Mapping[str, float]:
    frame = started.frame
    return figures(
        items=len(frame),
        tables=frame["table"].nunique(),
        items_of_test_tenants=int((frame["key"].notna() & frame["key"].ne("")).sum()),
    )


STARTED_PREVIEW = Preview(("table", "key", "key_digest", "item_digest"), _named_first, _started_figures)
