"""Evidence of row 1.1 and the SLO checks: the table `tool_slo_summary`, one row per tool and connector as emitted. Pure.

The platform puts tenant_id on every error and on 1 % of successes, and CloudWatch does not add dimension sets up, so every
figure is the sum over all dimension sets of a tool and connector. Percentiles cannot be added: the latency SLI is the share
of calls at or under the threshold (trimmed count over SampleCount, which add exactly), and percentiles are shown as the range
over sets and hours.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from phase5_ops.ccnative.metrics import (
    CONNECTOR_DIMENSION,
    ERROR,
    LATENCY,
    SUCCESS,
    TENANT_DIMENSION,
    TOOL_DIMENSION,
    TOOL_METRICS,
)
from phase5_ops.ccnative.names import canonical_tool, connector_of_tool
from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.clock import iso
from phase5_ops.cloudwatch.metric_query import MetricSet, Series
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import Read
from phase5_ops.sections.slo.summary.dashboards import DashboardCoverage
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HISTORY_DAYS, PERCENTILES, SAMPLES, SUM, floor_to, within_stat
from phase5_ops.sections.slo.summary.set_history import KnownSets

_Count = Annotated[int, Column(dtype="Int64")]
_Share = Annotated[float | None, Column(dtype="float64")]


@dataclass(frozen=True, slots=True)
class ToolSlo:
    """One row of `tool_slo_summary`.

    Counts without a suffix cover the lookback, `current_*` the current window, `*_30d` thirty days; `settled_*` leave out the
    last five minutes, in which the data points of one call may not have arrived together. Shares are 0-1.
    """

    tool: Annotated[str, "as emitted"]
    connector: Annotated[str, "as emitted"]
    registered: Annotated[bool, "whether the tool must be there"]
    canonical_tool: Annotated[str, "the tool's canonical name"]
    expected_connector: Annotated[str, "that the tool runs through"]
    traffic: Annotated[str, "steady, rare"]
    requests: Annotated[_Count, "number of successes and errors of the lookback"]
    errors: Annotated[_Count, "number of failed calls of the lookback"]
    error_share: Annotated[_Share, "share 0-1: errors of requests"]
    latency_samples: Annotated[_Count, "number of calls with a latency in the lookback"]
    within_threshold: Annotated[_Count, "number of calls at or under the latency threshold"]
    within_share: Annotated[_Share, "share 0-1: within_threshold of latency_samples"]
    canary_requests: Annotated[_Count, "number of requests of test tenants, part of requests"]
    settled_requests: Annotated[_Count, "number of requests without the last five minutes"]
    settled_latency_samples: Annotated[_Count, "number of calls with a latency, without the last five minutes"]
    p50_min: Annotated[_Share, "milliseconds; the range over dimension sets and hours"]
    p50_max: Annotated[_Share, "milliseconds"]
    p95_min: Annotated[_Share, "milliseconds"]
    p95_max: Annotated[_Share, "milliseconds"]
    p99_min: Annotated[_Share, "milliseconds"]
    p99_max: Annotated[_Share, "milliseconds"]
    worst_error_share: Annotated[_Share, "share 0-1, the largest of the five-minute windows with enough calls"]
    worst_error_window: Annotated[datetime | None, "UTC, start of that window"]
    worst_within_share: Annotated[_Share, "share 0-1, the smallest of the five-minute windows with enough calls"]
    worst_within_window: Annotated[datetime | None, "UTC, start of that window"]
    peak_requests: Annotated[_Count, "number of requests, the most of a five-minute window"]
    peak_requests_window: Annotated[datetime | None, "UTC, start of that window"]
    current_requests: Annotated[_Count, "number of requests of the current window"]
    current_errors: Annotated[_Count, "number of failed calls of the current window"]
    current_latency_samples: Annotated[_Count, "number of calls with a latency of the current window"]
    current_within_threshold: Annotated[_Count, "number of calls at or under the latency threshold, of the current window"]
    first_datapoint_at: Annotated[datetime | None, "UTC, canaries left out"]
    last_datapoint_at: Annotated[datetime | None, "UTC, canaries left out"]
    last_datapoint_age_seconds: Annotated[_Share, "seconds, canaries left out"]
    dimension_sets: Annotated[list[dict[str, Any]], "[{metric, dimensions, last_datapoint_at, samples}]"]
    bad_dimension_sets: Annotated[list[dict[str, Any]], "[{metric, dimensions, missing}]"]
    missing_metrics: Annotated[list[str], "names of metrics that must be there and are not"]
    unread_sets: Annotated[_Count, "number of dimension sets of which an answer was not whole"]
    latency_threshold_ms: Annotated[float, "milliseconds, of the policy"]
    latency_target: Annotated[float, "share 0-1, of the policy"]
    error_rate_max: Annotated[float, "share 0-1, of the policy"]
    requests_30d: Annotated[_Count, "number of requests of thirty days"]
    errors_30d: Annotated[_Count, "number of failed calls of thirty days"]
    latency_samples_30d: Annotated[_Count, "number of calls with a latency of thirty days"]
    within_threshold_30d: Annotated[_Count, "number of calls at or under the latency threshold, of thirty days"]
    canary_requests_30d: Annotated[_Count, "number of requests of test tenants, of thirty days"]
    budget_left_latency: Annotated[_Share, "share of the error budget that is left: 1 untouched, negative overspent"]
    budget_left_errors: Annotated[_Share, "share of the error budget that is left: 1 untouched, negative overspent"]
    budget_days_covered: Annotated[_Count, "number of days that it is known for"]
    burn: Annotated[
        list[dict[str, Any]],
        "[{sli, factor, long_hours, short_minutes, long_burn, short_burn, long_requests, short_requests, long_bad, short_bad}]",
    ]
    windows: Annotated[
        list[dict[str, Any]], "five minutes each, those with data: [{start, requests, errors, latency_samples, within}]"
    ]
    dashboards: Annotated[list[dict[str, Any]], "that show it: [{dashboard, metrics}]"]


@dataclass(frozen=True, slots=True)
class SummaryFacts:
    """What is known beside the rows.

    Attributes:
        lookback_start: ISO-8601.
        days_covered: for how many days back the dimension sets are complete.
        dashboards: names.
        dashboards_malformed: names of those whose body is not understood.
        dashboards_unfit: by name what is drawn in a way that says nothing of it.
        dashboards_not_understood: by name its parts that are not understood.
    """

    lookback_start: str = ""
    days_covered: int = 0
    dashboards: list[str] = field(default_factory=list)
    dashboards_malformed: list[str] = field(default_factory=list)
    dashboards_unfit: dict[str, list[str]] = field(default_factory=dict)
    dashboards_not_understood: dict[str, list[str]] = field(default_factory=dict)


TOOL_SLO_SUMMARY = DeclaredTable(ToolSlo, SummaryFacts)
Summary = GatheredTable[ToolSlo, SummaryFacts]

_SETTLING = timedelta(minutes=5)
_SUCCESSES, _ERRORS, _SAMPLES, _WITHIN, _CANARY = range(5)  # columns of the counts of a bin


@dataclass(frozen=True, slots=True)
class _Counts:
    """Calls of a span of time."""

    successes: int
    errors: int
    samples: int
    within: int
    canary: int

    @property
    def requests(self) -> int:
        return self.successes + self.errors


@dataclass(frozen=True, slots=True)
class _Bins:
    """Bins of one row: start and end in epoch seconds, and counts [bin, kind]; segments do not overlap, so they add up."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    def since(self, moment: datetime, until: datetime | None = None) -> _Counts:
        """The sum from the bin that contains `moment` to the last one that starts before `until`."""
        chosen = self.end > moment.timestamp()
        if until is not None:
            chosen &= self.start < until.timestamp()
        return _counts(self.counts[chosen].sum(axis=0))

    def windows(self, moment: datetime) -> Iterator[tuple[int, _Counts]]:
        """The five-minute windows with data from the one that contains `moment` on."""
        chosen = (self.end > moment.timestamp()) & (self.end - self.start <= FIVE_MINUTES)
        starts, index = np.unique(self.start[chosen] // FIVE_MINUTES * FIVE_MINUTES, return_inverse=True)
        sums = np.zeros((len(starts), self.counts.shape[1]))
        np.add.at(sums, index, self.counts[chosen])
        for start, row in zip(starts, sums, strict=True):
            if row.any():
                yield int(start), _counts(row)


_NO_BINS = _Bins(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 5)))


def _counts(row: npt.NDArray[np.float64]) -> _Counts:
    return _Counts(*(round(value) for value in row))


def tool_slo_summary(
    series: Sequence[Series],
    known: KnownSets,
    registered_tools: Sequence[RegisteredTool],
    dashboards: DashboardCoverage,
    *,
    policy: SloPolicy,
    canary_tenants: Collection[str],
    now: datetime,
    reads: Sequence[Read],
) -> Summary:
    """The summary of all tools that emit metrics or are registered.

    Args:
        series: answers to the queries of `plan.plan` for the known sets.
        known: the dimension sets, and how many days they are complete for.
        registered_tools: the rows of the table of that name.
        dashboards: which dashboard shows which metric of which tool.
        policy: thresholds and windows.
        canary_tenants: tenants whose calls count in the figures, but never make the data fresh or enough.
        now: evaluation time.
        reads: how everything was read (ListMetrics, GetMetricData, ListDashboards, GetDashboard).

    Returns:
        The table, by tool and connector: as emitted, plus a row of zeros for each registered tool without any data.
    """
    groups: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in series:
        groups[_emitted_as(one.query.metric_set)].append(one)
    with_data = {key: members for key, members in groups.items() if any(any(one.values) or not one.whole for one in members)}
    registry = {each.tool: each for each in registered_tools}
    silent = registry.keys() - {canonical_tool(tool) for tool, _ in with_data}
    with_data |= {(tool, registry[tool].connector): [] for tool in silent}
    rows = [
        ToolSlo(
            **_identity(tool, connector, registry),
            **_figures(members, policy, frozenset(canary_tenants), now),
            budget_days_covered=min(policy.budget_days, known.days_covered),
            dashboards=list(dashboards.of_tool(canonical_tool(tool))),
        )
        for (tool, connector), members in sorted(with_data.items())
    ]
    facts = SummaryFacts(
        lookback_start=iso(_lookback_start(policy, now)),
        days_covered=known.days_covered,
        dashboards=list(dashboards.names),
        dashboards_malformed=list(dashboards.malformed),
        dashboards_unfit={name: list(reasons) for name, reasons in dashboards.unfit.items()},
        dashboards_not_understood={name: list(parts) for name, parts in dashboards.not_understood.items()},
    )
    return TOOL_SLO_SUMMARY.gathered(rows, facts).with_reads(reads, now)


def error_sets(series: Sequence[Series]) -> list[MetricSet]:
    """The dimension sets of tool_error that have data: those that a dashboard has to show."""
    return sorted({one.query.metric_set for one in series if one.query.metric_set.metric == ERROR and any(one.values)})


def _emitted_as(metric_set: MetricSet) -> tuple[str, str]:
    """Tool and connector of a set; empty where the dimension is missing."""
    dimensions = dict(metric_set.dimensions)
    return dimensions.get(TOOL_DIMENSION, ""), dimensions.get(CONNECTOR_DIMENSION, "")


def _identity(tool: str, connector: str, registry: Mapping[str, RegisteredTool]) -> dict[str, Any]:
    """Who a row is about, and whether it should be there."""
    canonical = canonical_tool(tool)
    registered = registry.get(canonical)
    return {
        "tool": tool,
        "connector": connector,
        "registered": registered is not None,
        "canonical_tool": canonical,
        "expected_connector": registered.connector if registered else connector_of_tool(canonical),
        "traffic": registered.traffic if registered else "steady",
    }


def _lookback_start(policy: SloPolicy, now: datetime) -> datetime:
    return floor_to(now - timedelta(hours=policy.lookback_hours), FIVE_MINUTES)


def _figures(members: Sequence[Series], policy: SloPolicy, canaries: Collection[str], now: datetime) -> dict[str, Any]:
    """All figures of one row, from the series of its dimension sets."""
    bins = _bins(members, policy, canaries)
    start = _lookback_start(policy, now)
    lookback, month = bins.since(start), bins.since(now - timedelta(days=HISTORY_DAYS))
    settled = bins.since(start, now - _SETTLING)
    if settled.requests + settled.samples == 0:
        settled = lookback
    current = bins.since(now - timedelta(minutes=policy.current_window_minutes))
    presence = lookback if lookback.requests + lookback.samples else month
    consistent = settled if lookback.requests + lookback.samples else month
    return {
        **_lookback_columns(lookback, settled),
        **_percentiles(members),
        **_worst_windows(bins, start, policy),
        "current_requests": current.requests,
        "current_errors": current.errors,
        "current_latency_samples": current.samples,
        "current_within_threshold": current.within,
        **_sets(members, canaries, start, now),
        "missing_metrics": _missing(presence, consistent, month),
        "unread_sets": len({one.query.metric_set for one in members if not one.whole}),
        "latency_threshold_ms": policy.latency_threshold_ms,
        "latency_target": policy.latency_target,
        "error_rate_max": policy.error_rate_max,
        "requests_30d": month.requests,
        "errors_30d": month.errors,
        "latency_samples_30d": month.samples,
        "within_threshold_30d": month.within,
        "canary_requests_30d": month.canary,
        **_budget_left(bins.since(now - timedelta(days=policy.budget_days)), policy),
        "burn": _burn(bins, policy, now),
    }


def _lookback_columns(lookback: _Counts, settled: _Counts) -> dict[str, object]:
    return {
        "requests": lookback.requests,
        "errors": lookback.errors,
        "error_share": _share(lookback.errors, lookback.requests),
        "latency_samples": lookback.samples,
        "within_threshold": lookback.within,
        "within_share": _share(lookback.within, lookback.samples),
        "canary_requests": lookback.canary,
        "settled_requests": settled.requests,
        "settled_latency_samples": settled.samples,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _bins(members: Sequence[Series], policy: SloPolicy, canaries: Collection[str]) -> _Bins:
    """The counts of a row's series, added up by bin."""
    kind_of = {
        (SUCCESS, SUM): _SUCCESSES,
        (ERROR, SUM): _ERRORS,
        (LATENCY, SAMPLES): _SAMPLES,
        (LATENCY, within_stat(policy)): _WITHIN,
    }
    starts, ends, kinds, values = [], [], [], []
    for one in members:
        kind = kind_of.get((one.query.metric_set.metric, one.query.stat))
        if kind is None or not one.starts:
            continue
        start, value = np.asarray(one.starts, np.int64), np.asarray(one.values, np.float64)
        canary = kind in (_SUCCESSES, _ERRORS) and _is_canary(one.query.metric_set, canaries)
        for column in (kind, _CANARY) if canary else (kind,):
            starts.append(start)
            ends.append(start + one.query.period)
            kinds.append(np.full(len(start), column))
            values.append(value)
    if not starts:
        return _NO_BINS
    start, first, index = np.unique(np.concatenate(starts), return_index=True, return_inverse=True)  # bins do not overlap
    counts = np.zeros((len(start), 5))
    np.add.at(counts, (index, np.concatenate(kinds)), np.concatenate(values))
    return _Bins(start, np.concatenate(ends)[first], counts)


def _is_canary(metric_set: MetricSet, canaries: Collection[str]) -> bool:
    return dict(metric_set.dimensions).get(TENANT_DIMENSION) in canaries


def _percentiles(members: Sequence[Series]) -> dict[str, float | None]:
    """The range of each percentile over dimension sets and hours, in milliseconds."""
    seen: dict[str, list[float]] = {stat: [] for stat in PERCENTILES}
    for one in members:
        if one.query.stat in seen:
            seen[one.query.stat] += one.values
    ranges = {f"{stat}_min": min(values, default=None) for stat, values in seen.items()}
    return ranges | {f"{stat}_max": max(values, default=None) for stat, values in seen.items()}


def _worst_windows(bins: _Bins, start: datetime, policy: SloPolicy) -> dict[str, Any]:
    """All five-minute windows with data; the worst share among those with enough calls; the one with most requests."""
    windows = list(bins.windows(start))
    least = policy.min_window_samples
    by_errors = max(((c.errors / c.requests, -at) for at, c in windows if c.requests >= least), default=None)
    by_latency = min(((c.within / c.samples, at) for at, c in windows if c.samples >= least), default=None)
    busiest = max(((c.requests, -at) for at, c in windows), default=None)
    return {
        "worst_error_share": by_errors and by_errors[0],
        "worst_error_window": _at(-by_errors[1]) if by_errors else None,
        "worst_within_share": by_latency and by_latency[0],
        "worst_within_window": _at(by_latency[1]) if by_latency else None,
        "peak_requests": busiest[0] if busiest else 0,
        "peak_requests_window": _at(-busiest[1]) if busiest else None,
        "windows": [_window(at, counts) for at, counts in windows],
    }


def _window(at: int, counts: _Counts) -> dict[str, object]:
    return {
        "start": iso(_at(at)),
        "requests": counts.requests,
        "errors": counts.errors,
        "latency_samples": counts.samples,
        "within": counts.within,
    }


def _at(epoch_seconds: int) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)


def _sets(members: Sequence[Series], canaries: Collection[str], start: datetime, now: datetime) -> dict[str, Any]:
    """The dimension sets of a row with the age of their data, and those that lack a dimension."""
    counted: dict[MetricSet, list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]] = defaultdict(list)
    for one in members:
        if one.query.stat in (SAMPLES, SUM):
            starts, values = np.asarray(one.starts, np.int64), np.asarray(one.values, np.float64)
            counted[one.query.metric_set].append((starts[values > 0], values[values > 0]))
    stamps: dict[MetricSet, tuple[int, int]] = {}
    entries, bad = [], []
    for metric_set, parts in sorted(counted.items(), key=lambda entry: entry[0]):
        points, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        about = {"metric": metric_set.metric, "dimensions": dict(metric_set.dimensions)}
        if len(points):
            stamps[metric_set] = int(points.min()), int(points.max())
            if missing := _missing_dimensions(metric_set):
                bad.append(about | {"missing": missing})
        newest = iso(_at(stamps[metric_set][1])) if len(points) else None
        entries.append(about | {"last_datapoint_at": newest, "samples": round(values[points >= start.timestamp()].sum())})
    real = [ends for metric_set, ends in stamps.items() if not _is_canary(metric_set, canaries)]
    last = max((_at(newest) for _, newest in real), default=None)
    return {
        "first_datapoint_at": min((_at(oldest) for oldest, _ in real), default=None),
        "last_datapoint_at": last,
        "last_datapoint_age_seconds": (now - last).total_seconds() if last else None,
        "dimension_sets": entries,
        "bad_dimension_sets": bad,
    }


def _missing_dimensions(metric_set: MetricSet) -> list[str]:
    """Required dimensions that a set lacks: tool and connector always, the tenant on errors."""
    required = (TOOL_DIMENSION, CONNECTOR_DIMENSION, *((TENANT_DIMENSION,) if metric_set.metric == ERROR else ()))
    return [name for name in required if not dict(metric_set.dimensions).get(name)]


def _missing(presence: _Counts, settled: _Counts, month: _Counts) -> list[str]:
    """Metrics that must be there and are not: a call has a latency and a success or an error, and a tool at least one success."""
    if presence.requests + presence.samples == 0:
        return list(TOOL_METRICS)
    absent = {
        LATENCY: presence.samples == 0,
        SUCCESS: month.successes == 0 or (presence.successes == 0 and settled.samples > settled.errors),
        ERROR: presence.errors == 0 and settled.samples > settled.successes,
    }
    return [name for name in TOOL_METRICS if absent[name]]


def _budget_left(counts: _Counts, policy: SloPolicy) -> dict[str, float | None]:
    late, failed = _share(counts.samples - counts.within, counts.samples), _share(counts.errors, counts.requests)
    return {
        "budget_left_latency": None if late is None else 1 - late / (1 - policy.latency_target),
        "budget_left_errors": None if failed is None else 1 - failed / policy.error_rate_max,
    }


def _burn(bins: _Bins, policy: SloPolicy, now: datetime) -> list[dict[str, object]]:
    """Burn rates (share of bad calls over the share that the SLO allows) of each pair of windows and SLI."""
    rates: list[dict[str, object]] = []
    for pair in policy.burn_windows:
        long = bins.since(now - timedelta(hours=pair.long_hours))
        short = bins.since(now - timedelta(minutes=pair.short_minutes))
        for sli, allowed in (("errors", policy.error_rate_max), ("latency", 1 - policy.latency_target)):
            rates.append(
                {
                    "sli": sli,
                    "factor": pair.factor,
                    "long_hours": pair.long_hours,
                    "short_minutes": pair.short_minutes,
                    **_burn_of(long, "long", sli, allowed),
                    **_burn_of(short, "short", sli, allowed),
                }
            )
    return rates


def _burn_of(counts: _Counts, window: str, sli: str, allowed: float) -> dict[str, object]:
    """Burn rate (None without calls), calls and bad calls of one window."""
    bad, calls = (counts.errors, counts.requests) if sli == "errors" else (counts.samples - counts.within, counts.samples)
    return {f"{window}_burn": bad / calls / allowed if calls else None, f"{window}_requests": calls, f"{window}_bad": bad}
