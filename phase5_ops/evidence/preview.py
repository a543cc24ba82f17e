"""What people look at first in a table: the columns they ask for, the worst rows on top, figures that make a trend, a picture.

Dagster's page of an asset and the report show the same preview. What must not live here: how it is laid out, which figures a
particular table has, Dagster.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.table import GatheredTable

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_MANY = 10_000  # from here on, nobody looks at the digits behind the point


@dataclass(frozen=True)
class Preview:
    """How a table is shown to people.

    Attributes:
        columns: names of those that people ask for, in this order.
        worst_first: the rows of the table's frame in the order in which they are looked at.
        figures: numbers of the whole table, one each run, so that they make a trend; names say the unit.
        picture: drawn from the table; it returns None where there is nothing to draw.
    """

    columns: tuple[str, ...]
    worst_first: "Callable[[DataFrame], DataFrame]"
    figures: Callable[[GatheredTable[Any, Any]], Mapping[str, float]]
    picture: Callable[[GatheredTable[Any, Any]], Drawing | None] | None = None


def by(frame: "DataFrame", *keys: "Series[Any]") -> "DataFrame":
    """The rows, largest first by these keys, the first key before the second; a row without a key comes last."""
    import numpy as np  # import time that a command without tables does not need

    # lexsort is stable, its last key counts first, and what is no number comes last
    smallest_first = [-key.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan) for key in reversed(keys)]
    return frame.iloc[np.lexsort(smallest_first)]


def figures(**numbers: float | None) -> dict[str, float]:
    """Those of the numbers that are known, as plain ones: what is empty, infinite or not a number is left out, never zero."""
    import pandas as pd

    plain = {name: float(number) for name, number in numbers.items() if number is not None and not pd.isna(number)}
    finite = {name: number for name, number in plain.items() if isfinite(number)}
    return {name: int(number) if number.is_integer() else round(number, 4) for name, number in finite.items()}


def cell(value: object) -> str:
    """A value of a frame as people read it: few digits, moments to the second, nothing for an empty cell."""
    import pandas as pd

    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 - not a number
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, (float, Decimal)):
        number = float(value)
        return f"{number:.0f}" if abs(number) >= _MANY else f"{number:.4f}".rstrip("0").rstrip(".")
    return str(value)
