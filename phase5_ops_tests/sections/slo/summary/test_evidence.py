"""The table tool_slo_summary against brute force, and its columns one by one."""

import json
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.metrics import TOOL_METRICS
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.summary.plan import floor_to
from phase5_ops.sections.slo.summary.plot import plot_summary
from phase5_ops_tests.evidence.drawings import texts_of
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.slo.summary.gathering import NOW, TOOLS, World

pytestmark = pytest.mark.slow

DIMENSIONS = st.fixed_dictionaries(
    {},
    optional={
        "tool_name": st.sampled_from(["crm.create_task", "internal.create_note", "gw___crm.create_task"]),
        "connector_id": st.sampled_from(["crm_salesforce", "internal"]),
        "tenant_id": st.sampled_from(["t1", "canary"]),
    },
)
AGES = st.one_of(st.integers(-7200, 7200), st.integers(0, 40 * 86_400), st.integers(23 * 3600, 25 * 3600))
POINTS = st.lists(
    st.tuples(st.sampled_from(TOOL_METRICS), DIMENSIONS, AGES, st.sampled_from([1.0, 4999.0, 5000.0, 5000.5])), max_size=40
)


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(points=POINTS)
def test_sums_equal_brute_force_and_nothing_after_now_counts(points):
    """Over any points and dimension sets; CloudWatch keeps minutes, so `now` means the minute that contains it."""
    world = World(canaries=frozenset({"canary"}))
    for metric, dimensions, age, value in points:
        world.cloudwatch.put(metric, NOW - timedelta(seconds=age), dimensions, value if metric == "tool_latency_ms" else 1)
    end = floor_to(NOW, 60) + timedelta(minutes=1)
    starts = {"": floor_to(NOW - timedelta(hours=24), 300), "_30d": floor_to(NOW - timedelta(days=30), 3600)}
    expected: dict[tuple[str, str], dict[str, int]] = {}
    for metric_set, at, value in world.cloudwatch.points:
        dimensions = dict(metric_set.dimensions)
        key = dimensions.get("tool_name", ""), dimensions.get("connector_id", "")
        for suffix, start in starts.items():
            if not start.timestamp() <= at < end.timestamp():
                continue
            row = expected.setdefault(key, {})
            call = metric_set.metric != "tool_latency_ms"
            for name, counts in (
                ("requests", call),
                ("errors", metric_set.metric == "tool_error"),
                ("latency_samples", not call),
                ("within_threshold", not call and value <= 5000),
                ("canary_requests", call and dimensions.get("tenant_id") == "canary"),
            ):
                row[name + suffix] = row.get(name + suffix, 0) + counts
    summary = world.summary().frame.set_index(["tool", "connector"])
    seen = {key: row for key, row in summary.iterrows() if row["requests_30d"] + row["latency_samples_30d"] > 0}
    assert seen.keys() == expected.keys()
    for key, figures in expected.items():
        for name, value in figures.items():
            assert seen[key][name] == value, (key, name)
        assert sum(window["requests"] for window in json.loads(seen[key]["windows"])) == figures.get("requests", 0)


def test_table_survives_parquet_with_its_reads(tmp_path):
    summary = World().steady().summary()
    again = assert_kept(summary, tmp_path)
    assert {read.operation for read in again.reads} == {
        "cloudwatch:ListMetrics",
        "cloudwatch:GetMetricData",
        "cloudwatch:ListDashboards",
        "cloudwatch:GetDashboard",
    }


def test_empty_platform_gives_a_row_of_zeros_per_registered_tool():
    summary = World().summary().frame
    assert summary["tool"].tolist() == list(TOOLS)
    assert summary["requests_30d"].sum() == 0
    assert [json.loads(text) for text in summary["missing_metrics"]] == [list(TOOL_METRICS)] * 2
    assert World(items=[]).summary().frame.empty


def test_metrics_that_appear_only_after_now_do_not_exist():
    """An evaluation time in the past must not see what came later, though ListMetrics shows it."""
    world = World().calls("crm.create_task", 50, ago=timedelta(minutes=-5))
    summary = world.summary().frame
    assert summary["dimension_sets"].tolist() == ["[]", "[]"]


def test_evaluation_time_long_past_uses_what_is_still_kept():
    """Forty days later minutes are gone: five-minute bins up to the last whole one before now."""
    world = (
        World(read_at=NOW + timedelta(days=40)).calls("crm.create_task", 40).calls("crm.create_task", 7, ago=timedelta(minutes=0))
    )
    row = world.summary().frame.set_index("tool").loc["crm.create_task"]
    assert row["requests"] == 40


def test_trimmed_count_missing_beside_samples_means_none_within():
    row = World().calls("crm.create_task", 40, latency=6000).summary().frame.set_index("tool").loc["crm.create_task"]
    assert (row["latency_samples"], row["within_threshold"], row["within_share"]) == (40, 0, 0.0)


def test_error_budget_left_and_the_days_it_covers():
    """1 % of calls may fail: 1 of 200 uses half of it, 4 of 200 all of it and as much again."""
    row = World().calls("crm.create_task", 200, failed=1).summary().frame.set_index("tool").loc["crm.create_task"]
    assert (row["budget_left_errors"], row["budget_left_latency"], row["budget_days_covered"]) == (0.5, 1.0, 14)
    row = World().calls("crm.create_task", 200, failed=4).summary().frame.set_index("tool").loc["crm.create_task"]
    assert row["budget_left_errors"] == -1.0
    short = World(policy=SloPolicy(budget_days=7)).calls("crm.create_task", 200, failed=4, ago=timedelta(days=8))
    assert pd.isna(short.summary().frame.set_index("tool").loc["crm.create_task"]["budget_left_errors"])


def test_burn_rate_of_both_windows_and_slis():
    """Half of the calls of the last ten minutes failed and were late: 50 times the budgeted rate."""
    world = World().calls("crm.create_task", 20, failed=10, ago=timedelta(minutes=3))
    rates = json.loads(world.summary().frame.set_index("tool").loc["crm.create_task", "burn"])
    assert [(rate["sli"], rate["factor"]) for rate in rates[:2]] == [("errors", 14.4), ("latency", 14.4)]
    assert len(rates) == 8
    assert (rates[0]["long_burn"], rates[0]["short_burn"], rates[0]["short_requests"], rates[0]["short_bad"]) == (50, 50, 20, 10)
    assert rates[1]["short_burn"] == 0


def test_percentiles_are_the_range_over_sets():
    world = World().calls("crm.create_task", 40, latency=100).calls("crm.create_task", 1, latency=900, tenant="t9")
    row = world.summary().frame.set_index("tool").loc["crm.create_task"]
    assert (row["p50_min"], row["p50_max"], row["p99_max"]) == (100, 900, 900)


def test_worst_windows_are_those_with_enough_calls():
    world = World().calls("crm.create_task", 20, failed=2, ago=timedelta(hours=2)).calls("crm.create_task", 1, failed=1)
    row = world.summary().frame.set_index("tool").loc["crm.create_task"]
    assert row["worst_error_share"] == 0.1
    assert row["worst_error_window"] == pd.Timestamp("2026-11-23T07:15Z")
    assert (row["peak_requests"], row["peak_requests_window"]) == (20, pd.Timestamp("2026-11-23T07:15Z"))


def test_partial_answer_marks_the_sets_of_its_tool_only():
    world = World().steady()
    metric_set = next(s for s, _, _ in world.cloudwatch.points if dict(s.dimensions)["tool_name"] == "crm.create_task")
    world.cloudwatch.statuses[metric_set] = ["PartialData"]
    summary = world.summary()
    assert summary.frame.set_index("tool")["unread_sets"].to_dict() == {"crm.create_task": 1, "internal.create_note": 0}
    assert ReadStatus.PARTIAL in {read.status for read in summary.reads}


def test_a_picture_is_drawn_of_some_tools_and_none_of_no_tool():
    assert plot_summary(World(items=[]).summary()) is None
    drawing = plot_summary(World().steady().summary())
    assert drawing is not None
    assert {"crm.create_task", "internal.create_note", "limit", "10 times"} <= texts_of(drawing)
