"""The calls of a tool by five minutes: in which of them it missed its SLO, and in which hours that cannot be excluded. Pure.

A window misses the SLO as `tool_slo_met` has it: of at least `min_window_samples` calls too many took too long, or failed. A
breach is an unbroken row of such windows. One that is slow only by failed calls is no latency breach, and breaks no row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.policy import SloPolicy
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import Range, RecordedMetrics, Values, has_tenant
from phase5_ops.sections.slo.alarm_replay.timeline import Span, merged
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HOUR, SAMPLES, SUM, within_stat

Counts = npt.NDArray[np.float64]
Windows = npt.NDArray[np.bool_]
_Total = Callable[[str, str], Counts]  # of a metric and a statistic

_SLOTS_AN_HOUR = HOUR // FIVE_MINUTES
_ROUNDING = 1e-9  # of counts

#: Signal -> the metrics that say whether a window misses it.
METRICS_OF = {"latency": (LATENCY,), "error": (SUCCESS, ERROR)}


@dataclass(frozen=True, slots=True, order=True)
class Breach:
    """An unbroken row of windows in which a tool missed its SLO.

    Attributes:
        start, end: epoch seconds; `end` is not after the evaluation time.
        seconds: of these windows; those in between that are slow only by failed calls count nowhere.
        worst: the largest share of bad calls of a window, 0-1.
        calls: in all windows.
        bad: of these, failed or too slow.
    """

    start: int
    end: int
    seconds: int
    worst: float
    calls: int
    bad: int


@dataclass(frozen=True, slots=True)
class SignalCalls:
    """Bad calls and all calls of one tool as emitted, for one signal, by five minutes from the beginning of the range on."""

    range: Range
    bad: Counts
    calls: Counts
    limit: float  # largest share of bad calls that meets the SLO

    def missed(self, least: int) -> Windows:
        """Which windows miss the SLO; those with fewer than `least` calls are not judged."""
        return (self.calls >= max(least, 1)) & (self.bad > self.limit * self.calls + _ROUNDING)

    def breaches(self, missed: Windows, between: Windows | None = None) -> list[Breach]:
        """Windows that miss the SLO, those next to each other made one breach, also where `between` is all that parts them."""
        row = missed if between is None else missed | between
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
        found = []
        for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            of_row = (begin + np.flatnonzero(missed[begin:stop])).tolist()
            if not of_row:
                continue
            first, after = of_row[0], of_row[-1] + 1
            start, end = (self.range.first + FIVE_MINUTES * slot for slot in (first, after))
            end = min(end, self.range.end)
            seconds = end - start - FIVE_MINUTES * (after - first - len(of_row))
            worst = float((self.bad[of_row] / self.calls[of_row]).max())
            found.append(Breach(start, end, seconds, worst, round(self.calls[of_row].sum()), round(self.bad[of_row].sum())))
        return found


@dataclass(frozen=True, slots=True)
class MissedWindows:
    """Which windows of one tool as emitted miss the SLO.

    Attributes:
        of_signal: by signal, those that an alarm on it can be held to.
        slow_by_failed: those that miss the latency SLO only by failed calls, as no alarm on a percentile can see.
    """

    of_signal: Mapping[str, Windows]
    slow_by_failed: Windows

    @property
    def held_to_none(self) -> int:
        """How many windows miss the SLO only by failed and slow calls together, so that no alarm of either signal can see it."""
        return int((self.slow_by_failed & ~self.of_signal["error"]).sum())


def signal_calls(signal: str, sets: Sequence[MetricSet], recorded: RecordedMetrics, policy: SloPolicy) -> SignalCalls:
    """The calls of one tool as emitted, from what is known by five minutes of its dimension sets."""
    slots = -(-(recorded.range.end - recorded.range.first) // FIVE_MINUTES)

    def total(metric: str, stat: str) -> Counts:
        of_metric = (recorded.counted(one, stat) for one in sets if one.metric == metric)
        return _placed(of_metric, recorded.range.first, FIVE_MINUTES, slots)

    return _of(signal, total, recorded.range, policy)


def missed_windows(
    sets: Sequence[MetricSet], calls: Mapping[str, SignalCalls], recorded: RecordedMetrics, policy: SloPolicy
) -> MissedWindows:
    """Which windows of one tool as emitted miss the SLO, by whose alarm can see it.

    The latency of a failed call is in its tenant's set alone, where no alarm on a percentile can see it, since percentiles of
    several sets do not add up: who is to hear of failed calls is the error alarm, where they are too many. So as many slow calls
    of tenants' sets as there were failed ones are left out of what a latency alarm is held to.

    Args:
        sets: of the tool as emitted.
        calls: those of each signal, from all of these sets.
        recorded: their values.
        policy: the SLO.
    """
    missed = {signal: each.missed(policy.min_window_samples) for signal, each in calls.items()}
    slow, latency, failed = missed["latency"], calls["latency"], calls["error"].bad
    slow_by_failed = np.zeros_like(slow)
    if slow.any():
        others = signal_calls("latency", [one for one in sets if not has_tenant(one)], recorded, policy)
        succeeded = replace(
            latency,
            bad=latency.bad - np.minimum(failed, latency.bad - others.bad),
            calls=latency.calls - np.minimum(failed, latency.calls - others.calls),
        )
        slow_by_failed = slow & ~succeeded.missed(1)
    return MissedWindows(missed | {"latency": slow & ~slow_by_failed}, slow_by_failed)


def possible_hours(
    signal: str,
    fine: SignalCalls,
    hourly: Mapping[tuple[MetricSet, str], Values],
    sets: Sequence[MetricSet],
    policy: SloPolicy,
) -> list[Span]:
    """The hours in which a window may have missed the SLO because of calls of which only the hour is known.

    At worst all bad ones lie in one window and all good ones outside it, and yet it has enough calls to be judged.

    Args:
        signal: latency or error.
        fine: the calls that are known by five minutes.
        hourly: those of the other sets, by set and statistic.
        sets: these other sets, of the same tool as emitted.
        policy: the SLO.
    """
    hours = (fine.range.fine_from - fine.range.first) // HOUR

    def total(metric: str, stat: str) -> Counts:
        return _placed((hourly.get((one, stat), {}) for one in sets if one.metric == metric), fine.range.first, HOUR, hours)

    coarse = _of(signal, total, fine.range, policy)
    slots = hours * _SLOTS_AN_HOUR
    bad, calls = (known[:slots].reshape(hours, _SLOTS_AN_HOUR) for known in (fine.bad, fine.calls))
    worst_bad = bad + coarse.bad[:, None]
    enough = calls + coarse.calls[:, None] >= policy.min_window_samples
    missed = enough & (worst_bad > fine.limit * (calls + coarse.bad[:, None]) + _ROUNDING)
    found = np.flatnonzero(missed.any(axis=1) & (coarse.calls > 0))
    return merged((fine.range.first + HOUR * hour, fine.range.first + HOUR * (hour + 1)) for hour in found.tolist())


def _of(signal: str, total: _Total, range_: Range, policy: SloPolicy) -> SignalCalls:
    if signal == "latency":
        samples = total(LATENCY, SAMPLES)
        return SignalCalls(range_, samples - total(LATENCY, within_stat(policy)), samples, 1 - policy.latency_target)
    errors = total(ERROR, SUM)
    return SignalCalls(range_, errors, errors + total(SUCCESS, SUM), policy.error_rate_max)


def _placed(series: Iterable[Values], first: int, width: int, slots: int) -> Counts:
    """The sum of values, each in the slot of so many seconds in which its period begins."""
    counts = np.zeros(slots)
    for values in series:
        if values:
            at = (np.fromiter(values.keys(), np.int64, len(values)) - first) // width
            value = np.fromiter(values.values(), np.float64, len(values))
            inside = (at >= 0) & (at < slots)
            np.add.at(counts, at[inside], value[inside])
    return counts
