"""Reading CloudWatch metrics: which dimension sets exist, and their statistics, batched to the API's limits. Judges nothing.

What CloudWatch reports about its answer is kept: each StatusCode PartialData, InternalError or Forbidden and each message becomes
a `Read` of its own that names the metric, and the series is marked as incomplete.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet, Series
from phase5_ops.reads import Read, ReadStatus

log = logging.getLogger(__name__)

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("cloudwatch:ListMetrics", "cloudwatch:GetMetricData")

MAX_QUERIES = 500  # per GetMetricData call (CloudWatch API reference)
MAX_POINTS = 100_800
_PARALLEL_CALLS = 4  # far below 50 calls/s, enough to hide the network's latency

_COMPLETE, _INTERNAL_ERROR = "Complete", "InternalError"
_STATUS = {"PartialData": ReadStatus.PARTIAL, _INTERNAL_ERROR: ReadStatus.FAILED, "Forbidden": ReadStatus.DENIED}


def list_metric_sets(reader: AwsReader, namespace: str, names: Collection[str]) -> tuple[list[MetricSet], Read]:
    """The dimension sets of these metrics that CloudWatch lists, once each: those with data in about the last two weeks.

    Where one cannot be read, the read is INVALID and says so.
    """
    answer = reader.paginate("cloudwatch", "list_metrics", namespace, Namespace=namespace)
    listed: set[MetricSet] = set()
    unreadable = None
    for entry in answer.items("Metrics"):
        name = entry.get("MetricName")
        if name not in names:
            continue
        try:
            listed.add(MetricSet.of(name, {each["Name"]: each["Value"] for each in entry.get("Dimensions") or []}))
        except KeyError as error:
            unreadable = f"a dimension of {name} has no {error}"
    invalid = unreadable is not None and answer.read.status is ReadStatus.OK
    return sorted(listed), replace(answer.read, status=ReadStatus.INVALID, error=unreadable) if invalid else answer.read


def read_metric_data(reader: AwsReader, namespace: str, queries: Sequence[MetricQuery]) -> tuple[list[Series], list[Read]]:
    """The series of all queries, in their order, and one read per call plus one per problem.

    Calls are batched by time range to 500 queries and 100,800 data points. Queries that CloudWatch answered with InternalError
    are asked once more in later calls. The meter counts requested metrics as units of `cloudwatch:GetMetricData`, since AWS bills
    those.
    """
    results, reads = _read_batches(reader, namespace, list(enumerate(queries)))
    again = [(index, query) for index, query in enumerate(queries) if results[index].status == _INTERNAL_ERROR]
    if again:
        log.info("asking again for %d metrics that CloudWatch answered with InternalError", len(again))
        retried, retry_reads = _read_batches(reader, namespace, again)
        results |= retried
        reads += retry_reads
    problems = [read for index, query in enumerate(queries) for read in results[index].problems(query, reads[0])]
    return [results[index].series(query) for index, query in enumerate(queries)], reads + problems


@dataclass(slots=True)
class _Result:
    """What all pages of one call said about one query."""

    status: str | None = None
    starts: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    call_ended: ReadStatus = ReadStatus.OK

    def add(self, result: Mapping[str, Any]) -> None:
        """Adds one page's result; the last page's status counts."""
        timestamps, values = result.get("Timestamps") or [], [_number(value) for value in result.get("Values") or []]
        self.status = str(result.get("StatusCode"))
        self.messages += [f"{m.get('Code')}: {m.get('Value')}" for m in result.get("Messages") or []]
        if len(timestamps) != len(values) or not all(math.isfinite(value) for value in values):
            self.messages.append(f"{len(timestamps)} timestamps for {len(values)} values, or a value that is no number")
            return
        self.starts += [int(moment.timestamp()) for moment in timestamps]
        self.values += values

    def series(self, query: MetricQuery) -> Series:
        """The series, without bins outside the range asked for, each bin once."""
        first, end = query.start.timestamp(), query.end.timestamp()
        points = {start: value for start, value in zip(self.starts, self.values, strict=True) if first <= start < end}
        whole = self.status == _COMPLETE and not self.messages and self.call_ended is ReadStatus.OK
        return Series(query, list(points), list(points.values()), whole)

    def problems(self, query: MetricQuery, model: Read) -> Iterator[Read]:
        """A read for an incomplete result; none if the whole call failed, since the call's own read says so."""
        if self.call_ended is not ReadStatus.OK:
            return
        said = "; ".join(self.messages) or None
        if self.status is None:
            status, said = ReadStatus.INVALID, "CloudWatch's answer has no result for this query"
        elif self.status != _COMPLETE:
            status, said = _STATUS.get(self.status, ReadStatus.INVALID), ": ".join(filter(None, (self.status, said)))
        elif said:
            status = ReadStatus.PARTIAL
        else:
            return
        yield replace(model, resource=query.label, status=status, error=said)


def _number(value: object) -> float:
    """A value as CloudWatch gives it: botocore hands on a text for what JSON cannot write, and any integer."""
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return math.nan


def _read_batches(
    reader: AwsReader, namespace: str, queries: Sequence[tuple[int, MetricQuery]]
) -> tuple[dict[int, _Result], list[Read]]:
    """Results by index, and one read per call, PARTIAL if CloudWatch sent messages about the call as a whole."""
    batches = list(_batches(queries))
    with ThreadPoolExecutor(_PARALLEL_CALLS, thread_name_prefix="metric-data") as pool:
        answers = list(pool.map(lambda batch: _ask(reader, namespace, batch), batches))
    results: dict[int, _Result] = {}
    reads = []
    for batch, answer in zip(batches, answers, strict=True):
        said = [f"{m.get('Code')}: {m.get('Value')}" for m in answer.items("Messages")]
        partial = bool(said) and answer.read.status is ReadStatus.OK
        read = replace(answer.read, status=ReadStatus.PARTIAL, error="; ".join(said)) if partial else answer.read
        reads.append(read)
        by_id = {f"q{index}": _Result(call_ended=read.status) for index, _ in batch}
        for entry in answer.items("MetricDataResults"):
            if entry.get("Id") in by_id:
                by_id[entry["Id"]].add(entry)
        results |= {index: by_id[f"q{index}"] for index, _ in batch}
    return results, reads


def _batches(queries: Sequence[tuple[int, MetricQuery]]) -> Iterator[list[tuple[int, MetricQuery]]]:
    """Queries of one time range, at most 500 and at most 100,800 data points together."""
    ranges = defaultdict(list)
    for index, query in queries:
        ranges[query.start, query.end].append((index, query))
    for members in ranges.values():
        batch: list[tuple[int, MetricQuery]] = []
        points = 0
        for index, query in members:
            if batch and (len(batch) == MAX_QUERIES or points + query.points > MAX_POINTS):
                yield batch
                batch, points = [], 0
            batch.append((index, query))
            points += query.points
        yield batch


def _ask(reader: AwsReader, namespace: str, batch: Sequence[tuple[int, MetricQuery]]) -> Answer:
    """All pages of one GetMetricData."""
    start, end = batch[0][1].start, batch[0][1].end
    answer = reader.paginate(
        "cloudwatch",
        "get_metric_data",
        f"{namespace}: {len(batch)} statistics from {start:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}",
        StartTime=start,
        EndTime=end,
        ScanBy="TimestampAscending",
        MetricDataQueries=[
            {
                "Id": f"q{index}",
                "ReturnData": True,
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": query.metric_set.metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in query.metric_set.dimensions],
                    },
                    "Period": query.period,
                    "Stat": query.stat,
                },
            }
            for index, query in batch
        ],
    )
    reader.meter.add(answer.read.operation, units=len(batch))
    return answer
