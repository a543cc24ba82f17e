"""Evidence tables as the report shows them: the columns that people ask for, the worst rows first, every value as short text.

Pure: tables come from outside, and nothing in them is trusted.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from phase5_ops.clock import iso
from phase5_ops.evidence.table import DeclaredColumn, GatheredTable
from phase5_ops.reads import ReadStatus

if TYPE_CHECKING:
    import pandas as pd

    from phase5_ops.evidence.preview import Preview

log = logging.getLogger(__name__)

MOST_ROWS = 10_000  # of a table in the page; the Parquet file beside it has them all
_LONGEST_VALUE = 300
_NUMBERS = ("int64", "Int64", "float64", "Float64", "decimal")
_EPOCHS = {"epoch seconds": 1, "epoch milliseconds": 1000}
_MOST_LISTED = 8  # entries of a list


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column: its name as stored and for people, whether it holds numbers, and what it holds, with the unit."""

    name: str
    heading: str
    is_number: bool
    description: str


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table of the run as the page shows it.

    Attributes:
        asset: its name.
        columns: those that are shown.
        body: its rows as HTML, every value escaped.
        shown, total: number of rows in the page, and in the file.
        observed_at: when it was read; "" where it does not say.
        digest: of its file; "" where it comes from no file.
        reads: how many reads are behind it, and how many of those did not succeed.
    """

    asset: str
    columns: Sequence[ShownColumn]
    body: Markup
    shown: int
    total: int
    observed_at: str
    digest: str
    reads: tuple[int, int]


def shown_tables(
    tables: Mapping[str, GatheredTable[Any, Any]], previews: "Mapping[str, Preview]"
) -> tuple[dict[str, ShownTable], dict[str, str]]:
    """Every table as the page shows it, by asset, and why one cannot be shown."""
    shown, problems = {}, {}
    for asset, table in sorted(tables.items()):
        try:
            shown[asset] = shown_table(asset, table, previews.get(asset))
        except Exception as error:  # what a damaged file holds is not foreseen; the page says it, and the rest stands
            log.exception("the table %s cannot be shown", asset)
            problems[asset] = f"{type(error).__name__}: {error}"
    return shown, problems


def shown_table(asset: str, gathered: GatheredTable[Any, Any], preview: "Preview | None") -> ShownTable:
    """A table as the page shows it; without a preview it has every column, and its rows stand as they were kept."""
    frame = preview.worst_first(gathered.frame) if preview else gathered.frame
    declared = {column.name: column for column in gathered.table.columns}
    chosen = [declared[name] for name in preview.columns] if preview else list(gathered.table.columns)
    part = frame.head(MOST_ROWS)
    return ShownTable(
        asset=asset,
        columns=[_shown(column) for column in chosen],
        body=_body(part, chosen),
        shown=len(part),
        total=len(gathered.frame),
        observed_at=iso(gathered.observed_at) if gathered.observed_at else "",
        digest=gathered.digest,
        reads=(len(gathered.reads), sum(read.status is not ReadStatus.OK for read in gathered.reads)),
    )


def _shown(column: DeclaredColumn) -> ShownColumn:
    number = column.type in _NUMBERS and _epoch(column) is None
    return ShownColumn(column.name, column.name.removeprefix("x_").replace("_", " "), number, column.description)


def _epoch(column: DeclaredColumn) -> int | None:
    """How many units a second has, where the column holds moments as numbers."""
    return next((units for said, units in _EPOCHS.items() if said in column.description and column.type in _NUMBERS), None)


def _body(frame: "pd.DataFrame", columns: Sequence[DeclaredColumn]) -> Markup:
    cells = [_cells(frame, column, first=position == 0) for position, column in enumerate(columns)]
    return Markup("\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True)))  # noqa: S704 - of escaped texts


def _cells(frame: "pd.DataFrame", column: DeclaredColumn, *, first: bool) -> list[str]:
    """The cells of a column as HTML; the first one of a row is its heading."""
    series = frame[column.name]
    values: list[Any] = series.tolist()
    empty = series.isna().tolist()
    known: dict[Any, str] = {}
    units = _epoch(column)
    start, end = ('<th scope="row">', "</th>") if first else ("<td>", "</td>")
    if _shown(column).is_number:
        start = start.replace(">", ' class="number">')
    found = []
    for value, nothing in zip(values, empty, strict=True):
        key = None if nothing else value
        if key not in known:
            text = ("" if key is None else _short(_text(key, column, units))) or ("(empty)" if first else "")
            known[key] = f"{start}{escape(text)}{end}"
        found.append(known[key])
    return found


def _text(value: Any, column: DeclaredColumn, units: int | None) -> str:  # noqa: ANN401 - of any column
    if units is not None:
        return _moment(value, units)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"  # noqa: PLR2004 - more digits than that say nothing
    if isinstance(value, Decimal):
        plain = f"{value:f}"  # money keeps its digits, without the zeros behind them
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, datetime):
        return iso(value)
    if column.type == "json":
        return _json_text(str(value))
    return str(value)


def _moment(value: float, units: int) -> str:
    try:
        return iso(datetime.fromtimestamp(value / units, UTC))
    except (ValueError, OverflowError, OSError):  # no moment that a calendar has
        return str(value)


def _json_text(text: str) -> str:
    """A list of plain values as people write it; anything else as it is stored."""
    try:
        content = json.loads(text) if len(text) < 10 * _LONGEST_VALUE else None
    except ValueError:
        return text
    if isinstance(content, list) and not any(isinstance(each, list | Mapping) for each in content):
        more = f" and {len(content) - _MOST_LISTED} more" if len(content) > _MOST_LISTED else ""
        return ", ".join(map(str, content[:_MOST_LISTED])) + more
    return "" if content == {} else text


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"
