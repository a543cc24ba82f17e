"""The least number of calls that the limits of the APIs allow, whatever the size: the formulas of docs/operating.md, counted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models import table as moto_table

from phase5_ops.aws.metrics import MAX_POINTS, MAX_QUERIES, read_metric_data
from phase5_ops.aws.pricing import cost_usd
from phase5_ops.aws.reader import Answer, CallMeter
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS
from phase5_ops.cloudwatch.metric_query import MetricQuery, MetricSet, Series
from phase5_ops.context import open_run
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.sized import Size
from phase5_ops.sections.slo.alarm_replay.plan import first_queries, replayed_range, second_queries, spans_to_read, watching
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import RecordedMetrics, has_tenant
from phase5_ops.sections.slo.summary.plan import count_segments, counting_stats, percentile_segments, plan
from phase5_ops.settings import load_settings
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.sections.slo.alarms.alarm_platform import errors, evidence, latency
from phase5_ops_tests.without_dagster import gathered

MOMENT = datetime.fromisoformat("2026-11-23T12:35:00Z")  # within an hour, so that percentiles have a range of their own in it


def pages(things: int, a_page: int) -> int:
    """Calls for a list: one even where it is empty."""
    return max(1, math.ceil(things / a_page))


@dataclass(frozen=True)
class MetricCalls:
    """The formula of GetMetricData, by the dimension sets of each metric."""

    latency: int
    success: int
    error: int

    @property
    def calls(self) -> int:
        """In each range of time, no more queries a call than 500, and no more than give 100,800 data points."""
        policy = SloPolicy()
        counted = 2 * self.latency + self.success + self.error
        ranges = [(counted, each) for each in count_segments(MOMENT, MOMENT)]
        ranges += [(3 * self.latency, each) for each in percentile_segments(MOMENT, MOMENT, policy.lookback_hours)]
        return sum(
            math.ceil(queries / min(MAX_QUERIES, MAX_POINTS // math.ceil((each.end - each.start).total_seconds() / each.period)))
            for queries, each in ranges
        )

    @property
    def metrics(self) -> int:
        """What AWS bills: the metrics asked for."""
        return 3 * (2 * self.latency + self.success + self.error) + 2 * 3 * self.latency


@dataclass(frozen=True)
class ReplayCalls:
    """What `alarm_replay` asks GetMetricData for beyond that, of sets without a tenant and alarms on a single metric."""

    latency: int
    success: int
    alarms: int

    @property
    def calls(self) -> int:
        """27 days of five minutes are 7,776 data points, so that twelve queries fill a call; of thirty days, eleven do."""
        return math.ceil((2 * self.latency + self.success) / 12) + math.ceil(self.alarms / 11)

    @property
    def metrics(self) -> int:
        """What AWS bills."""
        return 2 * self.latency + self.success + self.alarms


class Counting:
    """A reader whose CloudWatch has no data point; it counts calls."""

    def __init__(self) -> None:
        self.meter, self.calls = CallMeter(), 0

    def paginate(self, service: str, operation: str, resource: str, **params: Any) -> Answer:
        """One page, which says of each query that there is nothing."""
        self.calls += 1
        results = [{"Id": query["Id"], "StatusCode": "Complete"} for query in params["MetricDataQueries"]]
        read = Read(f"{service}:GetMetricData", resource, ReadStatus.OK, None, 1, "", "")
        return Answer([{"MetricDataResults": results}], read)


def sets(metric: str, count: int) -> Sequence[MetricSet]:
    return [MetricSet.of(metric, {"tool_name": "t", "tenant_id": str(number)}) for number in range(count)]


@pytest.mark.parametrize("known", [MetricCalls(3, 3, 2), MetricCalls(90, 70, 80), MetricCalls(300, 301, 299)], ids=str)
def test_metric_data_takes_as_few_calls_as_queries_and_data_points_allow(known):
    queries = plan(
        (*sets(LATENCY, known.latency), *sets(SUCCESS, known.success), *sets(ERROR, known.error)),
        SloPolicy(),
        now=MOMENT,
        read_at=MOMENT,
    )
    reader = Counting()
    read_metric_data(reader, "ns", queries)
    assert (reader.calls, len(queries)) == (known.calls, known.metrics)
    assert reader.meter.units == {"cloudwatch:GetMetricData": known.metrics}


def asked(failed_in_one_hour: int) -> tuple[Counting, Counting]:
    """What the replay of an alarm asks for first, and where a breach is possible: thirty tools of 2,000 calls in five minutes.

    In each hour two calls of five tenants of a tool fail, in one hour more.
    """
    range_, tools = replayed_range(MOMENT), [f"t{number}" for number in range(30)]
    own = {tool: {"tool_name": tool, "connector_id": "c"} for tool in tools}
    of_tenants = [{**base, "tenant_id": str(number)} for base in own.values() for number in range(5)]
    names = (LATENCY, SUCCESS, ERROR)
    known = [MetricSet.of(name, base) for base in own.values() for name in (LATENCY, SUCCESS)]
    known += [MetricSet.of(name, dimensions) for dimensions in of_tenants for name in names]
    hours = dict.fromkeys(range(range_.first, range_.fine_from, 3600), 2.0)
    hourly = {
        (one, stat): hours | ({range_.first + 36_000: failed_in_one_hour} if one.metric == ERROR else {})
        for one in known
        for stat in counting_stats(one.metric, SloPolicy())
    }
    alarms = list(watching(evidence(latency(), errors()).rows).values())
    given: dict[str, Any] = {"range_": range_, "policy": SloPolicy(), "namespace": "CCNative/Execution"}
    recorded = RecordedMetrics(range_)
    dense = dict.fromkeys(range(range_.first, range_.fine_from, 300), 2000.0)
    for one in known:
        if not has_tenant(one):
            for stat in counting_stats(one.metric, SloPolicy()):
                query = MetricQuery(one, stat, 300, MOMENT, MOMENT)
                recorded.add_counts([Series(query, list(dense), list(dense.values()), whole=True)])
    by_tool = [[one for one in known if dict(one.dimensions)["tool_name"] == tool] for tool in tools]
    spans = spans_to_read(by_tool, hourly, recorded, alarms, SloPolicy())
    answers = Counting(), Counting()
    for reader, queries in zip(
        answers,
        (first_queries(known, hourly, alarms, **given), second_queries(known, hourly, spans, alarms, **given)),
        strict=True,
    ):
        if len(queries):
            read_metric_data(reader, "ns", [*queries.counts, *queries.values])
    return answers


def test_the_replay_of_alarms_reads_tenants_only_where_a_breach_is_possible():
    first, again = asked(failed_in_one_hour=2)
    expected = ReplayCalls(latency=30, success=30, alarms=1)
    assert (first.calls, first.meter.units["cloudwatch:GetMetricData"]) == (expected.calls, expected.metrics)
    assert again.calls == 0
    first, again = asked(failed_in_one_hour=300)
    assert first.calls == expected.calls
    of_three_hours = 30 * 5 * 2  # successes and errors of each tenant; 36 data points, so that 500 queries are the limit
    assert (again.calls, again.meter.units["cloudwatch:GetMetricData"]) == (1, of_three_hours)


def test_the_figures_of_ten_thousand_tenants_are_those_of_the_documentation():
    """200 tools, each called by 100 of the tenants, and successes without a tenant beside them."""
    named = 200 * 100
    of_all = MetricCalls(latency=200 + named, success=200 + named, error=named)
    listed = pages(of_all.latency + of_all.success + of_all.error, 500)
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert f"ListMetrics {listed:,}, GetMetricData {of_all.calls:,} ({of_all.metrics:,} metrics" in page
    assert f"DescribeAlarms {pages(400, 100)}" in page
    replayed = ReplayCalls(latency=200, success=200, alarms=200)
    assert (
        f"{replayed.calls} calls of GetMetricData more ({replayed.metrics} metrics, {0.00001 * replayed.metrics:.3f} USD)" in page
    )
    costs = pages(60 * (10_000 + 10), 5_000) + 1
    meter = CallMeter()
    meter.calls.update({"ce:GetCostAndUsage": costs, "ce:ListCostAllocationTags": 1, "cloudwatch:GetMetricData": of_all.calls})
    meter.units["cloudwatch:GetMetricData"] = of_all.metrics
    price = 0.00001 * of_all.metrics + 0.01 * (costs + 1)
    assert cost_usd(meter) == pytest.approx(price)
    assert f"GetCostAndUsage {costs} (1.22 USD)" in page
    assert f"{price:.2f} USD in all" in page


LIMIT = 12_000  # bytes of a page, instead of 1 MB: less than every row of a small platform together


@pytest.fixture(scope="module", params=[12, 60], ids=lambda tenants: f"{tenants}-tenants")
def platform(request, tmp_path_factory):
    """A platform with so many tenants whose DynamoDB has small pages, read by the assets that grow with tenants."""
    home = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        patch.setattr(moto_table, "RESULT_SIZE_LIMIT", LIMIT)
        with Sandbox("healthy", size=Size(request.param, 3, 4)) as sandbox:
            without_longer_items(sandbox.region)
            for name, value in {**sandbox.exports(), "PHASE5_STATE_DIR": str(home / "state")}.items():
                patch.setenv(name, value)
            run = open_run(load_settings(), "run", look_back)
            tables = gathered(run, {"autonomy_budget", "autonomy_changes", "tenant_cost_report", "tenant_log_scan"})
            yield request.param, run.reader.meter.calls, tables, sizes(sandbox.region)


def without_longer_items(region: str) -> None:
    """Takes out what is longer than such a page: a page of DynamoDB holds any item."""
    for partition in dynamodb_backends[ACCOUNT][region].tables["cc-native-ledger"].items.values():
        for key in [key for key, item in partition.items() if item.size() > LIMIT]:
            del partition[key]


def sizes(region: str) -> Mapping[str, list[int]]:
    """Table -> bytes of each item."""
    held = dynamodb_backends[ACCOUNT][region].tables
    return {name: [item.size() for item in table.all_items()] for name, table in held.items()}


def test_each_table_is_read_in_as_few_pages_as_hold_it(platform):
    _, _, tables, held = platform
    scans = [read for table in tables.values() for read in table.reads if read.operation == "dynamodb:Scan"]
    assert len({read.resource for read in scans}) > 10
    for read in scans:
        items = held[read.resource]
        assert math.ceil(sum(items) / LIMIT) <= read.pages <= pages(sum(items), LIMIT - max(items, default=0))


def test_no_call_but_for_pages_of_tables_logs_and_costs_grows_with_tenants(platform):
    tenants, calls, tables, _ = platform
    groups = sum(read.operation == "logs:FilterLogEvents" for read in tables["tenant_log_scan"].reads)
    assert calls["logs:FilterLogEvents"] == groups  # a page each holds 10,000 events
    assert (
        calls["ce:GetCostAndUsage"] == pages(60 * (tenants + 10), 5000) + 1
    )  # two periods of thirty days, and the account's total
    assert calls["dynamodb:Query"] == 2  # changes of the window: one stretch of the ledger for each tenant that has some
    constant = {name: number for name, number in calls.items() if name not in ("dynamodb:Scan", "ce:GetCostAndUsage")}
    assert sum(constant.values()) <= groups + 12
