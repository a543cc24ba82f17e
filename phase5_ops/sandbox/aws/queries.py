"""GetMetricData as CloudWatch documents it: metrics, metric math, SEARCH and Metrics Insights over a `MetricStore`.

Knows nothing of moto or HTTP. Rules: CloudWatch API Reference, GetMetricData.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from phase5_ops.cloudwatch.metric_math import Call, Expression, MathError, Points, evaluate, parse
from phase5_ops.cloudwatch.metrics_insights import ACCOUNT as ACCOUNT_LABEL
from phase5_ops.cloudwatch.metrics_insights import InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.cloudwatch.search_expression import Search, SearchError, parse_search_text
from phase5_ops.cloudwatch.statistics import Statistic, StatisticError, parse_statistic
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.metric_store import MetricStore, StoredSeries, timestamps

MAX_QUERIES = 500
MAX_DATAPOINTS = 100_800
MAX_SERIES = 500
"""Time series that one SEARCH or Metrics Insights query gives at most."""
SEARCHABLE = timedelta(days=14)
"""How long after its last data point a metric is still found by SEARCH and ListMetrics."""
_DEFAULT_PERIOD = 300
_HIGH_RESOLUTION = frozenset({1, 5, 10, 20, 30})
_ID = re.compile(r"[a-z][A-Za-z0-9_]{0,254}")


class QueryError(ValueError):
    """A request that CloudWatch refuses with ValidationError."""


@dataclass(frozen=True, slots=True)
class QueriedSeries:
    """One time series of an answer, ascending."""

    label: str
    points: Points


@dataclass(frozen=True, slots=True)
class MetricDataResult:
    """One entry of MetricDataResults."""

    id: str
    label: str
    stamps: Sequence[datetime]
    values: Sequence[float]
    status: str = "Complete"
    messages: Sequence[Mapping[str, str]] = ()

    def as_response(self) -> dict[str, Any]:
        """The entry in the API's own names."""
        return {
            "Id": self.id,
            "Label": self.label,
            "Timestamps": list(self.stamps),
            "Values": list(self.values),
            "StatusCode": self.status,
            "Messages": list(self.messages),
        }


@dataclass
class MetricDataRequest:
    """The queries of one GetMetricData call, or of one alarm, over one span of time.

    Args:
        store: where the data points are.
        queries: MetricDataQueries, as the API takes them.
        start: inclusive.
        end: exclusive.
        now: the platform's present moment.
    """

    store: MetricStore
    queries: Sequence[Mapping[str, Any]]
    start: datetime
    end: datetime
    now: datetime
    _lines: dict[str, list[QueriedSeries]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Refuses what CloudWatch refuses.

        Raises:
            QueryError: with CloudWatch's reason.
        """
        if len(self.queries) > MAX_QUERIES:
            raise QueryError(f"The collection MetricDataQueries must not have a size greater than {MAX_QUERIES}.")
        if self.start >= self.end:
            raise QueryError("The parameter EndTime must be greater than StartTime.")
        if len(self._by_id) < len(self.queries):
            raise QueryError("The values for parameter id in MetricDataQueries are not unique.")
        for query in self.queries:
            if not _ID.fullmatch(query["Id"]):
                raise QueryError(f"The value {query['Id']} for parameter Id is not matching the expected pattern.")
            if ("MetricStat" in query) == ("Expression" in query):
                raise QueryError(f"Query {query['Id']}: exactly one of MetricStat and Expression is required.")
            self._check_period(query)
        if not any(query.get("ReturnData", True) for query in self.queries):
            raise QueryError("At least one query must return data.")

    @staticmethod
    def _check_period(query: Mapping[str, Any]) -> None:
        period = query["MetricStat"]["Period"] if "MetricStat" in query else query.get("Period")
        if period is None and is_insights_query(query.get("Expression", "")):
            raise QueryError(f"Query {query['Id']}: Period is required for a Metrics Insights query.")
        if period is not None and period not in _HIGH_RESOLUTION and (period < 1 or period % 60):
            raise QueryError(f"Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.")

    @cached_property
    def _by_id(self) -> dict[str, Mapping[str, Any]]:
        return {query["Id"]: query for query in self.queries}

    @cached_property
    def _metric_ids(self) -> list[str]:
        return [query["Id"] for query in self.queries if "MetricStat" in query]

    def results(self, *, descending: bool) -> list[MetricDataResult]:
        """The answer, before paging.

        Raises:
            QueryError: an expression, statistic or id that cannot be used.
        """
        return [
            _result(query["Id"], line, descending=descending)
            for query in self.queries
            if query.get("ReturnData", True)
            for line in self.lines(query["Id"])
        ]

    def lines(self, key: str) -> list[QueriedSeries]:
        """The time series of one query, computed once.

        Raises:
            QueryError: as above.
        """
        if key not in self._lines:
            if key in self._open:
                raise QueryError(f"Error in expression '{key}': circular dependency")
            self._open.append(key)
            try:
                self._lines[key] = self._compute(self._by_id[key])
            except (MathError, SearchError, InsightsError, StatisticError) as error:
                raise QueryError(f"Error in expression '{key}': {error}") from error
            finally:
                self._open.pop()
        return self._lines[key]

    def _compute(self, query: Mapping[str, Any]) -> list[QueriedSeries]:
        if stat := query.get("MetricStat"):
            metric = stat["Metric"]
            label = query.get("Label") or metric["MetricName"]
            series = self.store.get(metric["Namespace"], metric["MetricName"], dimensions_of(metric))
            return [QueriedSeries(label, self._points(series, parse_statistic(stat["Stat"]), stat["Period"], stat.get("Unit")))]
        text = query["Expression"]
        if is_insights_query(text):
            return self._insights(parse_query(text), query)
        expression = parse(text)
        if isinstance(expression.root, Call) and expression.root.function == "SEARCH":
            return self._search(parse_search_text(*expression.searches[0]), query.get("Period"), query.get("Label"))
        return self._math(expression, query)

    def _points(self, series: Sequence[StoredSeries], statistic: Statistic, period: int, unit: str | None = None) -> Points:
        stamps, values = self.store.statistics(
            series, statistic, start=self.start, end=self.end, period=period, now=self.now, unit=unit
        )
        moments = (datetime.fromtimestamp(at, UTC) for at in stamps.tolist())
        return dict(zip(moments, values.tolist(), strict=True))

    def _insights(self, parsed: InsightsQuery, query: Mapping[str, Any]) -> list[QueriedSeries]:
        groups: dict[tuple[str, ...], list[StoredSeries]] = {}
        for series in self.store.find_having(parsed.namespace, parsed.metric_name, parsed.needed):
            dimensions = dict(series.dimensions)
            if parsed.matches(series.namespace, dimensions, account=ACCOUNT):
                labels = {**dimensions, ACCOUNT_LABEL: ACCOUNT}
                groups.setdefault(tuple(labels[key] for key in parsed.group_by), []).append(series)
        if not groups and not parsed.group_by:
            groups[()] = []
        period, statistic = query.get("Period", _DEFAULT_PERIOD), parse_statistic(parsed.statistic)
        lines = []
        for values, series_of_group in groups.items():
            label = " ".join([*([query["Label"]] if query.get("Label") else []), *values]) or query["Id"]
            lines.append(QueriedSeries(label, self._points(series_of_group, statistic, period)))
        return parsed.returned(lines, lambda line: line.points.values()) if parsed.group_by else lines

    def _search(self, search: Search, period: int | None, label: str | None) -> list[QueriedSeries]:
        oldest = int((self.now - SEARCHABLE).timestamp())
        found = [
            series
            for series in self.store.find(search.namespace)
            if series.newest >= oldest and search.matches(series.namespace, series.name, dict(series.dimensions), account=ACCOUNT)
        ]
        lines = []
        for series in found[:MAX_SERIES]:
            words = [*([label] if label else []), *(value for _, value in sorted(series.dimensions)), series.name]
            points = self._points([series], search.statistic, search.period or period or _DEFAULT_PERIOD)
            lines.append(QueriedSeries(" ".join(words), points))
        return lines

    def _math(self, expression: Expression, query: Mapping[str, Any]) -> list[QueriedSeries]:
        unknown = expression.names - self._by_id.keys()
        if unknown:
            raise MathError(f"no metric or expression has the id {sorted(unknown)[0]!r}")
        ids = [key for key in self._metric_ids if any(wanted in key for wanted in expression.metric_filters)]
        ids += sorted(expression.names - set(ids))
        period = query.get("Period") or min((self._period(key) for key in ids), default=_DEFAULT_PERIOD)

        def search(text: str, statistic: str, its_period: int | None) -> list[Points]:
            return [line.points for line in self._search(parse_search_text(text, statistic, its_period), period, None)]

        result = evaluate(
            expression,
            {key: self._value(key) for key in ids},
            timestamps=timestamps(self.start, self.end, period),
            metrics=self._metric_ids,
            periods={key: self._period(key) for key in self._metric_ids},
            search=search,
        )
        label = query.get("Label") or query["Id"]
        return [QueriedSeries(label, points) for points in (result if isinstance(result, list) else [result])]

    def _value(self, key: str) -> Points | list[Points]:
        lines = self.lines(key)
        return lines[0].points if len(lines) == 1 else [line.points for line in lines]

    def _period(self, key: str) -> int:
        query = self._by_id[key]
        return int(query["MetricStat"]["Period"] if "MetricStat" in query else query.get("Period") or _DEFAULT_PERIOD)


def dimensions_of(metric: Mapping[str, Any]) -> dict[str, str]:
    """The dimensions of a metric, datum or alarm in the API's own form, value by name."""
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions") or []}


def _result(key: str, line: QueriedSeries, *, descending: bool) -> MetricDataResult:
    items = sorted(line.points.items(), reverse=descending)
    return MetricDataResult(key, line.label, [at for at, _ in items], [value for _, value in items])


def pages(results: Iterable[MetricDataResult], limit: int) -> Iterator[list[MetricDataResult]]:
    """Cuts an answer into pages of at most `limit` data points; a series that goes on is PartialData until its last piece."""
    page: list[MetricDataResult] = []
    room = limit
    for result in results:
        rest = result
        while len(rest.values) > room:
            if room:
                page.append(replace(rest, stamps=rest.stamps[:room], values=rest.values[:room], status="PartialData"))
            yield page
            rest = replace(rest, stamps=rest.stamps[room:], values=rest.values[room:])
            page, room = [], limit
        page.append(rest)
        room -= len(rest.values)
    yield page
