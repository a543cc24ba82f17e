"""How CloudWatch evaluates a metric alarm: which state a range of periods gives it. Pure.

What must not live here: where values come from, and composite alarms (`alarm_rule`).

Rules: CloudWatch User Guide, "Alarm evaluation", "Configuring how CloudWatch alarms treat missing data", "Percentile-based alarms
and low data samples", "Limits" (of alarms on Metrics Insights queries). CloudWatch looks at more periods than EvaluationPeriods,
without saying how many; here it is two more, as in the guide's tables.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

EXTRA_PERIODS = 2
"""How many periods more than EvaluationPeriods are looked at."""

INSIGHTS_SECONDS = 3 * 3600
"""How far back an alarm on a Metrics Insights query sees data."""

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
"""Whether a value breaches a fixed threshold, by ComparisonOperator."""

Breaching = tuple[bool | None, ...]
"""For each period, oldest first: its value breaches, does not, or (None) is missing."""


@lru_cache(maxsize=4096)  # for which arguments by name would cost more than the rule
def evaluate_range(range_: Breaching, periods: int, to_alarm: int, treatment: str, low_samples: bool = False) -> str | None:
    """The state that a range of periods gives an alarm, or None where it keeps the state that it has.

    Args:
        range_: what the alarm looks at, usually more periods than `periods`.
        periods: EvaluationPeriods.
        to_alarm: DatapointsToAlarm.
        treatment: of missing data: missing, ignore, breaching or notBreaching.
        low_samples: a period of the range had too few samples for the alarm's percentile, and is missing for that reason.
    """
    newest = [(age, breaches) for age, breaches in enumerate(reversed(range_), start=1) if breaches is not None][:periods]
    if low_samples and not newest:
        return None
    breaching = [age for age, breaches in newest if breaches]
    lacking = periods - len(newest)
    if len(breaching) >= to_alarm:
        return ALARM
    if not lacking or treatment == "notBreaching":
        return OK
    if treatment == "breaching":
        return ALARM if len(breaching) + lacking >= to_alarm else OK
    if len(breaching) < len(newest):
        return OK
    if treatment == "ignore":
        return None
    # The guide, "Avoiding premature transitions": only breaching points, the oldest at least M periods old.
    return ALARM if breaching and max(breaching) >= to_alarm else INSUFFICIENT_DATA


def state_of_series(states: Iterable[str | None]) -> str | None:
    """The state of an alarm whose time series have these states; None where it keeps the state that it has."""
    found = set(states)
    return next((state for state in (ALARM, None, OK) if state in found), INSUFFICIENT_DATA)
