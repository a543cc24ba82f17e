"""Data points of the sandbox's CloudWatch, in columns, and the statistics CloudWatch computes of them.

A series is a namespace, a metric name and a set of dimensions, in whatever order they were put. A row is one value with its
count, or one statistic set; a row is a raw value exactly when its minimum equals its maximum.

Rules (CloudWatch User Guide, "CloudWatch statistics definitions", "Metrics retention"; API Reference, GetMetricData):

* a data point of an answer is the statistic over one period; periods are aligned to multiples of their length since the epoch;
  the answer has those whose timestamp (the period's start) is at or after StartTime, rounded down to the period, and before
  EndTime;
* percentiles, trimmed and winsorized statistics and percentile ranks need raw values: a period with a statistic set of different
  minimum and maximum, or with a negative value, has no data point;
* bounds are exclusive below and inclusive above: TM(150:1000) leaves out values <= 150 and > 1000; percentage bounds never cut
  off more values than they say; a trimmed statistic without any value left has no data point, a percentile rank is then 0;
* percentiles interpolate linearly between the two nearest ranks (CloudWatch does not document its interpolation);
* points at periods under 60 s are kept for 3 h, under 300 s for 15 days, under 3600 s for 63 days, others for 455 days.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import numpy.typing as npt

from phase5_ops.cloudwatch.statistics import Statistic, StatisticKind

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Dimensions = frozenset[tuple[str, str]]

_DAY = 86_400
_RETENTION = ((60, 3 * 3600), (300, 15 * _DAY), (3600, 63 * _DAY))  # periods under ..., seconds kept
_LONGEST_RETENTION = 455 * _DAY
_COLUMNS = 6  # time, count, sum, minimum, maximum, unit


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One put: a value with its count, or a statistic set."""

    at: int
    count: float
    total: float
    low: float
    high: float
    unit: str = "None"


@dataclass
class StoredSeries:
    """One metric. `newest` is the epoch second of its newest point, 0 without any."""

    namespace: str
    name: str
    dimensions: Dimensions
    newest: int = 0
    _rows: Floats = field(default_factory=lambda: np.empty((_COLUMNS, 0)))
    _pending: list[Sequence[tuple[float, ...]]] = field(default_factory=list)

    def add(self, rows: Sequence[tuple[float, ...]]) -> None:
        """Adds coded rows, at least one."""
        self._pending.append(rows)
        self.newest = max(self.newest, int(max(row[0] for row in rows)))

    def rows(self) -> Floats:
        """All rows as columns, one array line each, oldest first."""
        if self._pending:
            added = np.array(list(chain.from_iterable(self._pending)), dtype=np.float64).T
            self._pending = []
            joined = np.concatenate([self._rows, added], axis=1)
            self._rows = np.ascontiguousarray(joined[:, np.argsort(joined[0], kind="stable")])
        return self._rows


class MetricStore:
    """All data points of one account and region. Safe to use from several threads."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], dict[Dimensions, StoredSeries]] = {}
        self._units: dict[str, int] = {}
        self._found: dict[tuple[str | None, str | None], list[StoredSeries]] = {}  # by what was asked; a new series empties it
        self._having: dict[tuple[str, str, str], dict[str, list[int]]] = {}  # places in `find` by value of a dimension; likewise
        self._lock = threading.RLock()

    def put(self, namespace: str, name: str, dimensions: Mapping[str, str], rows: Iterable[MetricRow]) -> None:
        """Adds rows to a series."""
        with self._lock:
            coded = [(row.at, row.count, row.total, row.low, row.high, self._unit_code(row.unit)) for row in rows]
            if coded:
                key = frozenset(dimensions.items())
                family = self._series.setdefault((namespace, name), {})
                if key not in family:
                    family[key] = StoredSeries(namespace, name, key)
                    self._found.clear()
                    self._having.clear()
                family[key].add(coded)

    def _unit_code(self, unit: str) -> int:
        return self._units.setdefault(unit, len(self._units))

    def find(self, namespace: str | None = None, name: str | None = None) -> Sequence[StoredSeries]:
        """All series of a namespace and name, each None for any, in a stable order; ListMetrics asks for them page by page."""
        with self._lock:
            if (namespace, name) in self._found:
                return self._found[namespace, name]
            if namespace is not None and name is not None:
                families: Iterator[dict[Dimensions, StoredSeries]] = iter([self._series.get((namespace, name), {})])
            else:
                families = (
                    family
                    for (its_namespace, its_name), family in self._series.items()
                    if namespace in (None, its_namespace) and name in (None, its_name)
                )
            found = [series for family in families for series in family.values()]
            found.sort(key=lambda series: (series.namespace, series.name, sorted(series.dimensions)))
            self._found[namespace, name] = found
            return found

    def find_having(self, namespace: str, name: str, needed: tuple[str, frozenset[str]] | None) -> Sequence[StoredSeries]:
        """Those of a namespace and name of which a dimension has one of some values, all where None; in the order of `find`."""
        with self._lock:
            every = self.find(namespace, name)
            if needed is None:
                return every
            key, values = needed
            if (namespace, name, key) not in self._having:
                having = self._having[namespace, name, key] = {}
                for place, series in enumerate(every):
                    for its_key, value in series.dimensions:
                        if its_key == key:
                            having.setdefault(value, []).append(place)
            places = chain.from_iterable(self._having[namespace, name, key].get(value, ()) for value in values)
            return [every[place] for place in sorted(places)]

    def get(self, namespace: str, name: str, dimensions: Mapping[str, str]) -> list[StoredSeries]:
        """The one series with exactly these dimensions, in a list, or an empty list."""
        with self._lock:
            series = self._series.get((namespace, name), {}).get(frozenset(dimensions.items()))
        return [series] if series else []

    def statistics(
        self,
        series: Sequence[StoredSeries],
        statistic: Statistic,
        *,
        start: datetime,
        end: datetime,
        period: int,
        now: datetime,
        unit: str | None = None,
    ) -> tuple[Ints, Floats]:
        """One statistic over each period, of all `series` together.

        Args:
            series: what to add up; usually one.
            statistic: what to compute.
            start: earliest timestamp, rounded down to the period.
            end: latest timestamp, exclusive.
            period: seconds.
            now: the platform's present moment, from which the age of points is counted.
            unit: only points put with this unit.

        Returns:
            Timestamps (epoch seconds, start of each period, ascending) and values; periods without a data point are left out.
        """
        first = int(start.timestamp()) // period * period
        first = max(first, int(now.timestamp()) - retention_seconds(period))
        last = -(-int(np.ceil(end.timestamp())) // period) * period  # the period that holds the moment before EndTime is whole
        rows = self._between(series, first, last, unit)
        return compute(rows, statistic, period)

    def _between(self, series: Sequence[StoredSeries], first: int, last: int, unit: str | None) -> Floats:
        parts = []
        with self._lock:
            for each in series:
                rows = each.rows()
                begin, stop = np.searchsorted(rows[0], [first, last])
                parts.append(rows[:, begin:stop])
            code = self._units.get(unit, -1) if unit is not None else None
        if not parts:
            return np.empty((_COLUMNS, 0))
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if code is not None:
            joined = joined[:, joined[5] == code]
        return joined if len(parts) == 1 else joined[:, np.argsort(joined[0], kind="stable")]

    def unit(self, series: Sequence[StoredSeries]) -> str:
        """The unit all points of these series were put with, or None (the word) where they differ or there are none."""
        with self._lock:
            codes = {code for each in series for code in np.unique(each.rows()[5]).tolist()}
            names = [name for name, code in self._units.items() if code in codes]
        return names[0] if len(names) == 1 else "None"


def retention_seconds(period: int) -> int:
    """How long points can be read at this period, in seconds."""
    return next((kept for under, kept in _RETENTION if period < under), _LONGEST_RETENTION)


def timestamps(start: datetime, end: datetime, period: int) -> list[datetime]:
    """The timestamps of every period of a request, with or without data."""
    first = int(start.timestamp()) // period * period
    return [datetime.fromtimestamp(at, UTC) for at in range(first, int(np.ceil(end.timestamp())), period)]


def compute(rows: Floats, statistic: Statistic, period: int) -> tuple[Ints, Floats]:
    """One statistic over each aligned period of rows (as columns) ordered by time."""
    nothing = np.empty(0, dtype=np.int64), np.empty(0)
    if not rows.shape[1]:
        return nothing
    bins = rows[0].astype(np.int64) // period * period
    starts = _starts(bins)
    if statistic.is_basic:
        return bins[starts], _basic(rows, starts, statistic.kind)
    usable = (np.minimum.reduceat(rows[3], starts) >= 0) & np.logical_and.reduceat(rows[3] == rows[4], starts)
    if not usable.all():
        keep = np.repeat(usable, np.diff(np.append(starts, len(bins))))
        rows, bins = rows[:, keep], bins[keep]
        if not len(bins):
            return nothing
        starts = _starts(bins)
    computed = _Samples(*_sorted_within(rows[3], rows[1], bins, starts, needed=statistic.percent), starts).compute(statistic)
    there = ~np.isnan(computed)
    return bins[starts][there], computed[there]


def _sorted_within(values: Floats, counts: Floats, bins: Ints, starts: Ints, *, needed: bool) -> tuple[Floats, Floats]:
    """Values and counts in the order of the values within each period, where a statistic needs an order."""
    if not needed:
        return values, counts
    number = np.repeat(np.arange(len(starts), dtype=np.uint16), np.diff(np.append(starts, len(bins))))
    order = np.argsort(values)
    order = order[np.argsort(number[order], kind="stable")]  # a radix sort for 16 bits: faster than sorting by both at once
    return values[order], counts[order]


def _starts(bins: Ints) -> Ints:
    return np.flatnonzero(np.concatenate([[True], bins[1:] != bins[:-1]]))


def _basic(rows: Floats, starts: Ints, kind: StatisticKind) -> Floats:
    if kind is StatisticKind.MINIMUM:
        return np.minimum.reduceat(rows[3], starts)
    if kind is StatisticKind.MAXIMUM:
        return np.maximum.reduceat(rows[4], starts)
    counts = np.add.reduceat(rows[1], starts)
    if kind is StatisticKind.SAMPLE_COUNT:
        return counts
    totals = np.add.reduceat(rows[2], starts)
    return totals if kind is StatisticKind.SUM else totals / counts


@dataclass
class _Samples:
    """Values with counts, ordered within each period for percentages; `starts` is where each period begins.

    NaN is "no data point".
    """

    values: Floats
    counts: Floats
    starts: Ints

    def __post_init__(self) -> None:
        self.samples: Floats = np.add.reduceat(self.counts, self.starts)
        self.ends: Ints = np.append(self.starts[1:], len(self.values))
        self.after: Floats = np.cumsum(self.counts)  # samples up to and with each row, over all periods
        self.base: Floats = np.concatenate([[0.0], self.after[self.ends[:-1] - 1]])  # samples before each period

    def compute(self, statistic: Statistic) -> Floats:
        if statistic.percentile is not None:
            return self._percentile(statistic.percentile / 100)
        if statistic.percent:
            low, high = self._cuts(statistic)
            kept = self._kept_between(low, high)
        else:
            inside = np.ones(len(self.values), dtype=bool)
            if statistic.lower is not None:
                inside &= self.values > statistic.lower
            if statistic.upper is not None:
                inside &= self.values <= statistic.upper
            kept = self.counts * inside
        if statistic.kind is StatisticKind.WINSORIZED_MEAN:
            return self._winsorized(statistic)
        return self._trimmed(statistic.kind, kept)

    def _trimmed(self, kind: StatisticKind, kept: Floats) -> Floats:
        count = np.add.reduceat(kept, self.starts)
        if kind is StatisticKind.PERCENTILE_RANK:
            return 100 * count / self.samples
        total = np.add.reduceat(kept * self.values, self.starts)
        count_or_none = np.where(count > 0, count, np.nan)
        if kind is StatisticKind.TRIMMED_COUNT:
            return count_or_none
        return np.where(count > 0, total, np.nan) if kind is StatisticKind.TRIMMED_SUM else total / count_or_none

    def _cuts(self, statistic: Statistic) -> tuple[Floats, Floats]:
        """Of each period: how many of its lowest samples are cut off, and at how many samples the highest begin."""
        lower, upper = statistic.lower or 0.0, 100.0 if statistic.upper is None else statistic.upper
        low = np.floor(np.round(self.samples * lower / 100, 9))
        return low, self.samples - np.floor(np.round(self.samples * (100 - upper) / 100, 9))

    def _kept_between(self, low: Floats, high: Floats) -> Floats:
        lengths = self.ends - self.starts
        after = self.after - np.repeat(self.base, lengths)
        before = after - self.counts
        kept: Floats = np.minimum(after, np.repeat(high, lengths)) - np.maximum(before, np.repeat(low, lengths))
        return np.maximum(kept, 0)

    def _winsorized(self, statistic: Statistic) -> Floats:
        if not statistic.percent:
            clipped: Floats = np.clip(self.values, statistic.lower, statistic.upper)
            mean: Floats = np.add.reduceat(clipped * self.counts, self.starts) / self.samples
            return mean
        low, high = self._cuts(statistic)
        kept = np.add.reduceat(self._kept_between(low, high) * self.values, self.starts)
        edges = low * self._at(low) + (self.samples - high) * self._at(np.maximum(high - 1, 0))
        return np.where(high > low, (kept + edges) / self.samples, np.nan)

    def _percentile(self, share: float) -> Floats:
        rank = np.maximum(share * (self.samples - 1), 0)
        below = np.floor(rank)
        lower, upper = self._at(below), self._at(np.minimum(below + 1, np.maximum(self.samples - 1, 0)))
        return lower + (rank - below) * (upper - lower)

    def _at(self, index: Floats) -> Floats:
        """The value of the sample with this index (from 0) in each period."""
        rows = np.searchsorted(self.after, self.base + index, side="right")
        return self.values[np.clip(rows, self.starts, self.ends - 1)]
