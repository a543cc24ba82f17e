"""The page of an asset with evidence: the evidence first, then its figures, how it was read, what that cost.

Dagster shows the metadata of a materialization in the order in which it is given. Labels are words, because Dagster's column of
labels is as wide as the longest word in them, and takes its room from the values. What must not live here: what a particular
table has, gathering, judging.
"""

import base64
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg

from phase5_ops.evidence.preview import Preview, cell
from phase5_ops.evidence.table import DeclaredColumn, DeclaredTable, GatheredTable
from phase5_ops.orchestration.shown import MOST_ROWS, in_words, table
from phase5_ops.reads import Read, ReadStatus

log = logging.getLogger(__name__)

_ROWS_SHOWN = 20  # so that the figures below are not out of sight
_READ_COLUMNS = (
    dg.TableColumn("status", "str", "how it ended"),
    dg.TableColumn("operation", "str", "the call"),
    dg.TableColumn("resource", "str", "what it was asked of"),
    dg.TableColumn("pages", "int", "number of answers that it took"),
    dg.TableColumn("error", "str", "what the service said"),
)


def evidence_metadata(gathered: GatheredTable[Any, Any], preview: Preview, title: str) -> dict[str, Any]:
    """The evidence: its worst rows, its picture, and the figures that Dagster draws over the runs."""
    frame = gathered.frame
    declared = {column.name: column for column in gathered.table.columns}
    shown = preview.worst_first(frame).head(_ROWS_SHOWN)[list(preview.columns)]
    rows = (
        {name: cell(value) for name, value in zip(preview.columns, row, strict=True)} for row in shown.itertuples(index=False)
    )
    metadata: dict[str, Any] = {"evidence": table([_column(declared[name]) for name in preview.columns], rows)}
    if len(frame) > len(shown):
        metadata["evidence not shown"] = (
            f"{len(frame) - len(shown):,} more rows; above are the worst {len(shown)} of {len(frame):,}"
        )
    figures = {in_words(name): number for name, number in preview.figures(gathered).items()}
    return metadata | _picture(gathered, preview, title) | figures


def _picture(gathered: GatheredTable[Any, Any], preview: Preview, title: str) -> dict[str, dg.MetadataValue]:
    """The picture; one that cannot be drawn takes nothing from the evidence, and the page says so."""
    if preview.picture is None:
        return {}
    try:
        drawing = preview.picture(gathered)
        image = None if drawing is None else drawing.image(title)
    except Exception as error:
        log.exception("the picture of %s could not be drawn", title)
        return {"picture": dg.MetadataValue.text(f"could not be drawn: {type(error).__name__}: {error}")}
    if image is None:
        return {}
    return {"picture": dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{base64.b64encode(image.encode()).decode()})")}


def reading_metadata(gathered: GatheredTable[Any, Any]) -> dict[str, Any]:
    """How the evidence was read: when, and by which calls, those that failed first."""
    reads = sorted(gathered.reads, key=lambda read: read.status is ReadStatus.OK)
    metadata: dict[str, Any] = {
        "dagster/row_count": len(gathered.frame),
        "reads not whole": sum(read.status is not ReadStatus.OK for read in reads),
        "reads": table(_READ_COLUMNS, map(_read, reads[:MOST_ROWS])),
    }
    if further := reads[MOST_ROWS:]:
        statuses = Counter(str(read.status) for read in further)
        metadata["reads not shown"] = (
            f"{len(further):,} more: {', '.join(f'{n:,} {name}' for name, n in sorted(statuses.items()))}"
        )
    return metadata


def _read(read: Read) -> dict[str, str]:
    return {
        "operation": read.operation,
        "resource": read.resource,
        "status": str(read.status),
        "pages": str(read.pages),
        "error": read.error or "",
    }


def cost_metadata(seconds: float, calls: Mapping[str, int], price_usd: float) -> dict[str, Any]:
    """What gathering cost: time, calls of AWS by operation, and their list price."""
    made = {name: number for name, number in sorted(calls.items(), key=lambda call: (-call[1], call[0])) if number}
    by_operation = ", ".join(f"{number:,} {name}" for name, number in made.items())
    return {
        "seconds": round(seconds, 3),
        "aws calls": sum(made.values()),
        "aws calls by operation": by_operation or "none",
        "aws list price usd": round(price_usd, 6),
    }


def column_schema(declared: DeclaredTable[Any, Any]) -> dict[str, dg.TableSchema]:
    """All columns with types, limits and units, as metadata of the asset's definition.

    Not under Dagster's own name for it: the page would begin with a section of up to fifty columns, and the evidence come below.
    """
    return {"columns": dg.TableSchema([_column(column) for column in declared.columns])}


def _column(column: DeclaredColumn) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=column.nullable, unique=column.unique, other=column.limits)
    return dg.TableColumn(column.name, column.type, column.description, constraints)
