"""What people look at first in `audit_export`: entries that are missing or too many, then those that differ. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.isolation.exports.evidence import AuditExport

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Entries that only one side has, doubled ones, altered ones; the oldest first."""
    one_sided = frame["in_ledger"].ne(frame["in_file"].gt(0))
    return by(frame, one_sided, frame["in_file"].gt(1), frame["differs"].ne("[]"), -frame["timestamp"].rank(method="dense"))


def _figures(export: AuditExport) -> Mapping[str, float]:
    frame, facts = export.frame, export.facts
    return figures(
        entries_missing=int((frame["in_ledger"] & frame["in_file"].eq(0)).sum()) if facts.compared else None,
        entries_in_ledger=int(frame["in_ledger"].sum()),
        ledger_pages=facts.ledger_pages,
        waited_seconds=facts.waited,
        file_bytes=facts.file_bytes,
    )


PREVIEW = Preview(("entry_id", "timestamp", "event_type", "tenant", "in_ledger", "in_file", "differs"), _worst_first, _figures)
