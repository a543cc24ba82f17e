"""What people look at first in `autonomy_changes`: changes without an entry, then those whose entry says too little. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.costs.changes.evidence import Changes, When

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _missing(frame: "DataFrame") -> "Series[bool]":
    return frame["when"].eq(When.IN_WINDOW) & frame["entry"].isna()


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Changes without an entry, records without a date, entries without a name or a reason; the newest change first."""
    untold = frame["when"].eq(When.IN_WINDOW) & (frame["changed_by"].isna() | frame["reason"].isna())
    return by(frame, _missing(frame), frame["when"].eq(When.UNKNOWN), untold, frame["updated_at"].rank(method="dense"))


def _figures(changes: Changes) -> Mapping[str, float]:
    frame = changes.frame
    return figures(
        changes_without_entry=int(_missing(frame).sum()),
        changes_in_window=int(frame["when"].eq(When.IN_WINDOW).sum()),
        records_without_date=int(frame["when"].eq(When.UNKNOWN).sum()),
        records=len(frame),
    )


PREVIEW = Preview(
    ("tenant", "account", "kind", "action_type", "when", "updated_at", "updated_by", "event", "changed_by", "reason", "differs"),
    _worst_first,
    _figures,
)
