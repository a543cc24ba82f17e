"""What people look at first in `gate_drill`: cases in which the gate did not say what it must. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.gate.drill.cases import GateDrill

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def _wrong(frame: "DataFrame") -> "Series[bool]":
    """The outcome is not as expected, or the reason is not the expected one."""
    import pandas as pd  # seconds of import time that a command without tables does not need

    pairs = zip(frame["expected_code"], frame["codes"], strict=True)
    other_reason = pd.Series([bool(code) and code not in codes.split() for code, codes in pairs], frame.index, dtype=bool)
    return frame["outcome"].notna() & (frame["outcome"].ne(frame["expected"]) | other_reason)


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """The gate said something else, the case could not be tried, then in the order of the drill."""
    return by(frame, _wrong(frame), frame["outcome"].isna())


def _figures(drill: GateDrill) -> Mapping[str, float]:
    frame = drill.frame
    return figures(
        cases_answered_wrong=int(_wrong(frame).sum()),
        cases_not_tried=int(frame["outcome"].isna().sum()),
        cases=len(frame),
        kinds_of_fault=frame["fault"].nunique(),
        rows_drilled=frame["row"].nunique(),
    )


PREVIEW = Preview(("case", "expected", "outcome", "expected_code", "codes", "problem"), _worst_first, _figures)
