"""CloudWatch statistic names: `Average`, `p99.9`, `TM(2%:98%)`, `PR(:300)`, `tc95`, `IQM`.

Pure: what a name means, not how it is computed.

Source: Amazon CloudWatch User Guide, "CloudWatch statistics definitions".
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class StatisticError(ValueError):
    """The text is not the name of a CloudWatch statistic."""


class StatisticKind(StrEnum):
    """What a statistic computes."""

    SAMPLE_COUNT = "SampleCount"
    SUM = "Sum"
    AVERAGE = "Average"
    MINIMUM = "Minimum"
    MAXIMUM = "Maximum"
    PERCENTILE = "p"
    TRIMMED_MEAN = "TM"
    WINSORIZED_MEAN = "WM"
    TRIMMED_COUNT = "TC"
    TRIMMED_SUM = "TS"
    PERCENTILE_RANK = "PR"


BASIC_KINDS = frozenset(
    {StatisticKind.SAMPLE_COUNT, StatisticKind.SUM, StatisticKind.AVERAGE, StatisticKind.MINIMUM, StatisticKind.MAXIMUM}
)
"""The statistics that statistic sets are made of; all others need raw values."""

_NUMBER = r"\d+(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(?P<kind>p|tm|tc|ts|wm)(?P<percent>{_NUMBER})")
_BOUNDED = re.compile(rf"(?P<kind>TM|WM|TC|TS|PR)\((?P<lower>{_NUMBER}%?)?\s*:\s*(?P<upper>{_NUMBER}%?)?\)")
_HUNDRED = 100.0


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic.

    Attributes:
        text: the name as written.
        kind: what is computed.
        lower: values at or below this bound are left out (WM: replaced); None where there is no lower bound.
        upper: values above this bound are left out (WM: replaced); None where there is no upper bound.
        percent: the bounds are percentages of the number of values (0-100), not values of the metric.
    """

    text: str
    kind: StatisticKind
    lower: float | None = None
    upper: float | None = None
    percent: bool = False

    @property
    def is_basic(self) -> bool:
        """One of the five statistics that do not need raw values."""
        return self.kind in BASIC_KINDS

    @property
    def percentile(self) -> float | None:
        """The percentile (99.0 for `p99`), None for other statistics."""
        return self.upper if self.kind is StatisticKind.PERCENTILE else None

    @property
    def is_percentile_rank(self) -> bool:
        """`PR(n:m)`: the share of values, in percent, above n and at or under m."""
        return self.kind is StatisticKind.PERCENTILE_RANK

    @property
    def low_sample_count(self) -> float | None:
        """Samples per period below which an alarm on this percentile has too few: 10/(1-p), or 10/p below p50.

        None for other statistics; infinite for p0 and p100. Source: CloudWatch User Guide, "Percentile-based CloudWatch
        alarms and low data samples".
        """
        if self.percentile is None:
            return None
        share = self.percentile / _HUNDRED
        tail = 1 - share if share >= 0.5 else share  # noqa: PLR2004 - the guide's own boundary, the median
        return round(10 / tail, 6) if tail > 0 else float("inf")


@cache
def parse_statistic(text: str) -> Statistic:
    """Reads the name of a statistic.

    Raises:
        StatisticError: not a statistic CloudWatch knows, or bounds that contradict each other.
    """
    if text in set(BASIC_KINDS):
        return Statistic(text, StatisticKind(text))
    if text == "IQM":  # the interquartile mean is the trimmed mean of the middle half
        return Statistic(text, StatisticKind.TRIMMED_MEAN, 25.0, 75.0, percent=True)
    if match := _SHORT.fullmatch(text):
        return _short(text, match["kind"], float(match["percent"]))
    if match := _BOUNDED.fullmatch(text):
        return _bounded(text, StatisticKind(match["kind"]), match["lower"], match["upper"])
    raise StatisticError(f"not a CloudWatch statistic: {text!r}")


def _short(text: str, prefix: str, percent: float) -> Statistic:
    if percent > _HUNDRED:
        raise StatisticError(f"percentage above 100: {text!r}")
    kind = StatisticKind.PERCENTILE if prefix == "p" else StatisticKind(prefix.upper())
    return Statistic(text, kind, None, percent, percent=True)


def _bounded(text: str, kind: StatisticKind, lower_text: str | None, upper_text: str | None) -> Statistic:
    given = [bound for bound in (lower_text, upper_text) if bound]
    if not given:
        raise StatisticError(f"no bound: {text!r}")
    percents = {bound.endswith("%") for bound in given}
    if len(percents) > 1:
        raise StatisticError(f"one bound is a percentage and the other is not: {text!r}")
    percent = percents.pop()
    if percent and kind is StatisticKind.PERCENTILE_RANK:
        raise StatisticError(f"percentile rank takes values of the metric, not percentages: {text!r}")
    lower, upper = (float(bound.rstrip("%")) if bound else None for bound in (lower_text, upper_text))
    if percent and max(lower or 0.0, upper or 0.0) > _HUNDRED:
        raise StatisticError(f"percentage above 100: {text!r}")
    if lower is not None and upper is not None and lower >= upper:
        raise StatisticError(f"lower bound is not under the upper bound: {text!r}")
    return Statistic(text, kind, lower, upper, percent=percent)
