"""A CloudWatch of a few lines, for readers' tests: points in a list, statistics by brute force, pages and faults on demand."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.reader import Answer, CallMeter
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.reads import Read, ReadStatus

_OPERATIONS = {
    "list_metrics": "ListMetrics",
    "get_metric_data": "GetMetricData",
    "list_dashboards": "ListDashboards",
    "get_dashboard": "GetDashboard",
}


@dataclass
class FakeCloudWatch:
    """Stands where `AwsReader` stands. `fail`: operation -> how its read ends; `statuses`: metric -> status codes by call."""

    points: list[tuple[MetricSet, float, float]] = field(default_factory=list)
    dashboards: dict[str, str] = field(default_factory=dict)
    page_size: int = 10_000
    fail: dict[str, ReadStatus] = field(default_factory=dict)
    statuses: dict[MetricSet, list[str]] = field(default_factory=dict)
    result_messages: dict[MetricSet, str] = field(default_factory=dict)
    messages: list[Mapping[str, str]] = field(default_factory=list)
    omitted: set[MetricSet] = field(default_factory=set)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    meter: CallMeter = field(default_factory=CallMeter)
    region: str = "us-east-1"

    def put(self, metric: str, at: datetime, dimensions: Mapping[str, str], value: float = 1, count: int = 1) -> None:
        """Adds the same data point `count` times."""
        self.points += [(MetricSet.of(metric, dimensions), at.timestamp(), value)] * count

    def paginate(self, service: str, operation: str, resource: str, **params: Any) -> Answer:
        """What `AwsReader.paginate` answers."""
        pages = list(getattr(self, f"_{operation}")(**params))
        status = self.fail.get(operation, ReadStatus.OK)
        if status is not ReadStatus.OK:
            pages = pages[:-1]
        error = None if status is ReadStatus.OK else f"{status} by the test"
        return Answer(pages, Read(f"{service}:{_OPERATIONS[operation]}", resource, status, error, len(pages), "", ""))

    call = paginate

    def _list_metrics(self, Namespace: str) -> Iterable[Mapping[str, Any]]:
        sets = sorted({metric_set for metric_set, _, _ in self.points})
        entries = [
            {"Namespace": Namespace, "MetricName": s.metric, "Dimensions": [{"Name": n, "Value": v} for n, v in s.dimensions]}
            for s in sets
        ]
        entries += entries[:1]  # some servers list a metric twice
        for at in range(0, max(len(entries), 1), self.page_size):
            yield {"Metrics": entries[at : at + self.page_size]}

    def _get_metric_data(
        self, MetricDataQueries: list[Any], StartTime: datetime, EndTime: datetime, ScanBy: str
    ) -> Iterable[Any]:
        self.asked.append({"queries": MetricDataQueries, "start": StartTime, "end": EndTime})
        results = [self._result(query, StartTime.timestamp(), EndTime.timestamp()) for query in MetricDataQueries]
        longest = max((len(r["Values"]) for r in results if r), default=0)
        for at in range(0, max(longest, 1), self.page_size):
            last = at + self.page_size >= longest
            yield {
                "MetricDataResults": [
                    r
                    | {
                        "Timestamps": r["Timestamps"][at : at + self.page_size],
                        "Values": r["Values"][at : at + self.page_size],
                        "StatusCode": r["StatusCode"] if last else "PartialData",
                    }
                    for r in results
                    if r
                ],
                "Messages": self.messages if last else [],
            }

    def _result(self, query: Mapping[str, Any], start: float, end: float) -> dict[str, Any] | None:
        stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
        wanted = MetricSet.of(metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]})
        if wanted in self.omitted:
            return None
        bins: dict[int, list[float]] = {}
        for metric_set, at, value in self.points:
            begin = int(at) // stat["Period"] * stat["Period"]
            if metric_set == wanted and start <= begin < end:
                bins.setdefault(begin, []).append(value)
        found = {
            begin: computed for begin, values in sorted(bins.items()) if (computed := statistic(stat["Stat"], values)) is not None
        }
        codes = self.statuses.get(wanted)
        message = self.result_messages.get(wanted)
        return {
            "Id": query["Id"],
            "Timestamps": [datetime.fromtimestamp(begin, UTC) for begin in found],
            "Values": list(found.values()),
            "StatusCode": (codes.pop(0) if len(codes) > 1 else codes[0]) if codes else "Complete",
            "Messages": [{"Code": "Test", "Value": message}] if message else [],
        }

    def _list_dashboards(self) -> Iterable[Mapping[str, Any]]:
        yield {"DashboardEntries": [{"DashboardName": name} for name in self.dashboards]}
        yield {}

    def _get_dashboard(self, DashboardName: str) -> Iterable[Mapping[str, Any]]:
        yield {"DashboardBody": self.dashboards[DashboardName]}


def statistic(stat: str, values: list[float]) -> float | None:
    """A statistic by brute force; None where CloudWatch has no data point: a trimmed count of nothing."""
    if stat == "SampleCount":
        return len(values)
    if stat == "Sum":
        return sum(values)
    if stat.startswith("p"):
        ordered = sorted(values)
        return ordered[min(len(ordered) - 1, math.floor(float(stat[1:]) / 100 * len(ordered)))]
    limit = float(stat.removeprefix("TC(:").removesuffix(")"))
    return sum(value <= limit for value in values) or None
