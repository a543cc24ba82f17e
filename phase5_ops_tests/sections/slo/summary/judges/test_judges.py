"""Row 1.1, tool_slo_met and error_budget_not_burning: every finding code and verdict, from metrics as the platform emits them."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.policy import SloPolicy, ToolSetting
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.summary.judges.burn import judge_budget_not_burning
from phase5_ops.sections.slo.summary.judges.met import judge_slo_met
from phase5_ops.sections.slo.summary.judges.visible import MetricsCase, duration, judge_metrics_visible
from phase5_ops.text import first_few
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.summary.gathering import GOOD_READ, LINKS, NAMESPACE, NOW, TOOLS, World, registry_item

pytestmark = pytest.mark.slow

CRM, NOTE = TOOLS
BASE = {"tool_name": CRM, "connector_id": "crm_salesforce"}
JUDGES = (judge_metrics_visible, judge_slo_met, judge_budget_not_burning)
RARE = [ToolSetting(name=CRM, traffic="rare")]


def codes(judgement):
    return [(finding.code, str(finding.verdict), finding.subject) for finding in judgement.findings]


@pytest.mark.parametrize("judge", JUDGES)
def test_healthy_platform_passes(judge):
    judgement = World().steady().judge(judge)
    assert (judgement.verdict, codes(judgement)) == (Verdict.PASS, [])
    assert judgement.evidence


# Row 1.1


def test_tool_without_metrics():
    judgement = World().steady(NOTE).judge(judge_metrics_visible)
    assert codes(judgement) == [("tool_without_metrics", "FAIL", CRM)]


@pytest.mark.parametrize(
    ("dropped", "missing"),
    [
        ("tool_latency_ms", ["tool_latency_ms"]),
        ("tool_success", ["tool_success"]),
        ("tool_error", ["tool_error"]),
    ],
)
def test_metric_missing(dropped, missing):
    """tool_error is missed only because latency samples show that calls failed."""
    world = World().steady().calls(CRM, 100, failed=1)
    world.cloudwatch.points = [
        point
        for point in world.cloudwatch.points
        if point[0].metric != dropped or BASE.items() - dict(point[0].dimensions).items()
    ]
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("metric_missing", "FAIL", f"{CRM} (crm_salesforce) {name}") for name in missing]


def test_a_tool_that_only_ever_failed_shows_no_success():
    judgement = World().steady(NOTE).calls(CRM, 40, failed=40).judge(judge_metrics_visible)
    assert codes(judgement) == [("metric_missing", "FAIL", f"{CRM} (crm_salesforce) tool_success")]
    assert judgement.findings[0].expected == "every registered tool shows tool_latency_ms, tool_success"


def test_a_tool_that_succeeded_within_thirty_days_shows_its_metrics_though_every_call_of_the_lookback_failed():
    world = World().steady(NOTE).calls(CRM, 40, failed=40).calls(CRM, 1, ago=timedelta(days=20))
    assert world.judge(judge_metrics_visible).verdict is Verdict.PASS


def test_dimension_missing():
    world = World().steady()
    for metric in ("tool_latency_ms", "tool_success"):
        world.cloudwatch.put(metric, NOW - timedelta(minutes=9), {"tool_name": CRM})
        world.cloudwatch.put(metric, NOW - timedelta(minutes=9), {})
    world.cloudwatch.put("tool_latency_ms", NOW - timedelta(minutes=9), BASE)
    world.cloudwatch.put("tool_error", NOW - timedelta(minutes=9), BASE)
    found = codes(world.judge(judge_metrics_visible))
    assert {code for code, _, _ in found} == {"dimension_missing"}
    assert len(found) == 5
    assert ("dimension_missing", "FAIL", f"tool_error{{connector_id=crm_salesforce, tool_name={CRM}}}") in found


@pytest.mark.parametrize(("tools", "verdict"), [((), "INCONCLUSIVE"), (RARE, "WARN")])
def test_metrics_stale(tools, verdict):
    world = World(tools=tools).steady(NOTE).calls(CRM, 40, ago=timedelta(hours=2))
    assert codes(world.judge(judge_metrics_visible)) == [("metrics_stale", verdict, CRM)]


def test_canary_calls_are_counted_and_never_make_data_fresh_or_enough():
    world = World(canaries=frozenset({"canary"})).steady(NOTE).calls(CRM, 40, tenant="canary")
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("metrics_stale", "INCONCLUSIVE", CRM), ("too_few_samples", "INCONCLUSIVE", CRM)]
    assert judgement.facts["canary_requests"] == 40
    assert "canaries" in judgement.findings[0].seen


@pytest.mark.parametrize(("tools", "verdict"), [((), "INCONCLUSIVE"), (RARE, "WARN")])
@pytest.mark.parametrize("judge", [judge_metrics_visible, judge_slo_met])
def test_too_few_samples(judge, tools, verdict):
    world = World(tools=tools).steady(NOTE).calls(CRM, 29)
    assert codes(world.judge(judge)) == [("too_few_samples", verdict, CRM)]


def test_window_widens_to_thirty_days_before_samples_are_too_few():
    world = World().steady(NOTE).calls(CRM, 5).calls(CRM, 25, ago=timedelta(days=20))
    assert world.judge(judge_metrics_visible).verdict is Verdict.PASS
    assert world.judge(judge_slo_met).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["other.tool", "gw___other.tool"])
def test_tool_not_registered(name):
    """An unknown tool is shown and warned of; its SLO is not judged."""
    world = World().steady().calls(name, 40, failed=40)
    assert codes(world.judge(judge_metrics_visible)) == [("tool_not_registered", "WARN", f"{name} (other)")]
    assert world.judge(judge_slo_met).verdict is Verdict.PASS


def test_tool_name_and_connector_not_canonical():
    """The gateway form of a registered tool: the name fails, and so does its connector; the tool's SLO is judged on it."""
    name, connector = f"internal-create-note___{NOTE}", "internal-create-note___internal"
    world = World().steady(CRM).calls(name, 40, failed=10, connector=connector)
    subject = f"{name} ({connector})"
    assert codes(world.judge(judge_metrics_visible)) == [
        ("connector_not_canonical", "FAIL", subject),
        ("tool_name_not_canonical", "FAIL", subject),
    ]
    assert ("error_slo_missed", "FAIL", subject) in codes(world.judge(judge_slo_met))


def test_connector_not_canonical():
    world = World().steady(NOTE).calls(CRM, 40, connector="crm")
    assert codes(world.judge(judge_metrics_visible)) == [("connector_not_canonical", "FAIL", f"{CRM} (crm)")]


def test_connector_of_the_settings_is_the_expected_one():
    world = World(tools=[ToolSetting(name=CRM, connector="hubspot")]).steady(NOTE).calls(CRM, 40, connector="hubspot")
    assert world.judge(judge_metrics_visible).verdict is Verdict.PASS


def test_call_counts_disagree():
    world = World().steady()
    world.cloudwatch.put("tool_success", NOW - timedelta(minutes=20), BASE)
    assert codes(world.judge(judge_metrics_visible)) == [("call_counts_disagree", "WARN", f"{CRM} (crm_salesforce)")]


def test_data_points_of_the_last_minutes_may_still_be_arriving():
    world = World().steady()
    world.cloudwatch.put("tool_success", NOW - timedelta(minutes=1), BASE)
    assert world.judge(judge_metrics_visible).verdict is Verdict.PASS


@pytest.mark.parametrize("dashboards", [{}, {"empty": "{}"}, {"broken": "{"}])
def test_dashboard_missing(dashboards):
    world = World().steady()
    world.cloudwatch.dashboards = dashboards
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("dashboard_missing", "FAIL", "dashboards")]
    assert ("broken" in judgement.findings[0].seen) == ("broken" in dashboards)


def test_dashboard_incomplete_names_the_best_one_and_what_it_leaves_out():
    """Two dashboards that show everything only together do not count."""
    world = World().steady()
    body = json.loads(world.cloudwatch.dashboards["tools"])
    lines = body["widgets"][0]["properties"]["metrics"]
    world.cloudwatch.dashboards = {
        name: json.dumps({"widgets": [{"type": "metric", "properties": {"metrics": part}}]})
        for name, part in (("a", lines[:2]), ("b", lines[2:]))
    }
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("dashboard_incomplete", "FAIL", "a")]
    assert judgement.findings[0].seen == f"not shown: {CRM} tool_error, {NOTE} tool_error"


def test_what_a_dashboard_draws_so_that_it_says_nothing_is_named():
    world = World().steady()
    world.cloudwatch.dashboards = {"tools": world.cloudwatch.dashboards["tools"].replace("p99", "Minimum")}
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("dashboard_incomplete", "FAIL", "tools")]
    assert f"drawn in a way that tells nothing about the SLO: {CRM} tool_latency_ms as Minimum" in judgement.findings[0].seen


def test_what_of_a_dashboard_is_not_understood_is_named():
    world = World().steady()
    whole = world.cloudwatch.dashboards["tools"]
    world.cloudwatch.dashboards = {"tools": whole.replace('"SEARCH(', '"SMOOTH(', 1)}
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("dashboard_incomplete", "FAIL", "tools")]
    assert "not understood: SMOOTH(" in judgement.findings[0].seen
    variable = {"type": "property", "property": "region", "inputType": "input", "id": "v", "defaultValue": "eu-west-1"}
    world.cloudwatch.dashboards = {"tools": json.dumps(json.loads(whole) | {"variables": [variable]})}
    assert codes(world.judge(judge_metrics_visible)) == [("dashboard_missing", "FAIL", "dashboards")]
    world.cloudwatch.dashboards = {"tools": json.dumps(json.loads(whole) | {"variables": [variable | {"type": "regex"}]})}
    judgement = world.judge(judge_metrics_visible)
    assert codes(judgement) == [("dashboard_missing", "FAIL", "dashboards")]
    assert "not understood: variable v of type regex of tools" in judgement.findings[0].seen


@pytest.mark.parametrize("operation", ["list_dashboards", "get_dashboard"])
def test_unreadable_dashboards_are_an_error_of_row_1_1_only(operation):
    world = World().steady()
    world.cloudwatch.fail = {operation: ReadStatus.DENIED}
    if operation == "list_dashboards":
        world.cloudwatch.dashboards = {}
    found = codes(world.judge(judge_metrics_visible))
    assert {(code, verdict) for code, verdict, _ in found} == {("read_failed", "ERROR")}
    assert world.judge(judge_slo_met).verdict is Verdict.PASS


# Reading and registry, for all three checks


@pytest.mark.parametrize("judge", JUDGES)
def test_no_tool_registered(judge):
    judgement = World(items=[]).judge(judge)
    assert codes(judgement) == [("no_tool_registered", "INCONCLUSIVE", "action type registry")]


@pytest.mark.parametrize("judge", JUDGES)
def test_malformed_registry_record_is_an_error_and_the_others_are_judged(judge):
    bad = registry_item("crm.bad", "BAD") | {"tool_name": {"N": "1"}}
    judgement = World(items=[bad, registry_item(CRM), registry_item(NOTE)]).steady().judge(judge)
    assert codes(judgement) == [("registry_record_malformed", "ERROR", "ACTION_TYPE#BAD / REGISTRY_VERSION#1")]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("operation", ["list_metrics", "get_metric_data"])
def test_metrics_that_could_not_be_read_are_an_error_and_not_absent(judge, operation):
    """Where the reading failed, nothing is said to be missing, stale, or too little."""
    world = World().steady()
    world.cloudwatch.fail = {operation: ReadStatus.THROTTLED}
    found = codes(world.judge(judge))
    assert {(code, verdict) for code, verdict, _ in found} == {("read_failed", "ERROR")}


@pytest.mark.parametrize("judge", JUDGES)
def test_partial_answer_is_inconclusive_and_names_the_metric(judge):
    world = World().steady()
    metric_set = MetricSet.of("tool_success", BASE)
    world.cloudwatch.statuses[metric_set] = ["PartialData"]
    found = codes(world.judge(judge))
    assert {(code, verdict) for code, verdict, _ in found} == {("partial_data", "INCONCLUSIVE")}
    assert all(metric_set.label in subject for _, _, subject in found)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("status", [ReadStatus.DENIED, ReadStatus.NOT_FOUND])
def test_registry_that_could_not_be_read_is_an_error_and_says_nothing_of_tools(judge, status):
    """Neither that no tool is registered, nor that those with metrics are not."""
    world = World(items=[], registry_read=replace(GOOD_READ, status=status, error="no")).steady()
    assert codes(world.judge(judge)) == [("read_failed", "ERROR", "dynamodb:Scan cc-native-action-type-registry")]


@pytest.mark.parametrize("judge", JUDGES)
def test_tables_without_reads_are_an_error(judge):
    world = World().steady()
    bare = replace(world.summary(), reads=())
    judgement = judge(MetricsCase(bare, world.registered(), world.policy, NOW, LINKS, NAMESPACE))
    assert ("reads_missing", "ERROR") in {(code, verdict) for code, verdict, _ in codes(judgement)}


# tool_slo_met


def test_error_and_latency_slo_missed_on_the_whole_lookback():
    """Errors and slow calls two hours ago, in one window, but more than the SLO allows on the whole."""
    world = World().steady(NOTE).calls(CRM, 40)
    world.calls(CRM, 60, failed=2, latency=5001, ago=timedelta(hours=2))
    subject = f"{CRM} (crm_salesforce)"
    assert codes(world.judge(judge_slo_met)) == [
        ("error_slo_missed", "FAIL", subject),
        ("latency_slo_missed", "FAIL", subject),
        ("bad_window", "WARN", subject),
    ]


def test_share_exactly_at_the_target_meets_the_slo():
    world = World().steady(NOTE).calls(CRM, 99, latency=5000).calls(CRM, 1, failed=1, latency=5001)
    assert world.judge(judge_slo_met).verdict is Verdict.PASS


def test_slo_missed_over_thirty_days_where_the_lookback_holds_too_little():
    world = World().steady(NOTE).calls(CRM, 5).calls(CRM, 40, failed=4, ago=timedelta(days=10))
    judgement = world.judge(judge_slo_met)
    assert codes(judgement) == [("error_slo_missed", "FAIL", f"{CRM} (crm_salesforce)")]
    assert "30 days" in judgement.findings[0].expected


def test_current_window_bad():
    world = World().steady(each=100).calls(CRM, 10, failed=5, ago=timedelta(minutes=1))
    found = codes(world.judge(judge_slo_met))
    assert ("current_window_bad", "FAIL", f"{CRM} (crm_salesforce)") in found
    assert "error_slo_missed" not in {code for code, _, _ in found}


def test_too_many_bad_windows_and_a_single_one():
    """One failed call in a window of twenty is a bad window: one of them warns, two of 26 are more than 5 %."""
    subject = f"{CRM} (crm_salesforce)"
    world = World().steady().steady(CRM, each=40).calls(CRM, 1, failed=1, ago=timedelta(hours=5, minutes=10))
    assert codes(world.judge(judge_slo_met)) == [("bad_window", "WARN", subject)]
    world.calls(CRM, 1, failed=1, ago=timedelta(hours=7, minutes=10))
    assert codes(world.judge(judge_slo_met)) == [("too_many_bad_windows", "FAIL", subject)]


# error_budget_not_burning


def test_error_budget_burning():
    world = World().steady(NOTE).calls(CRM, 20, failed=5, ago=timedelta(minutes=3))
    found = codes(world.judge(judge_budget_not_burning))
    assert set(found) == {("error_budget_burning", "FAIL", f"{CRM} (crm_salesforce) errors")}
    assert len(found) == 4


def test_latency_budget_burning():
    world = World().steady(NOTE).calls(CRM, 20, latency=9000, ago=timedelta(minutes=3))
    found = codes(world.judge(judge_budget_not_burning))
    assert set(found) == {("error_budget_burning", "FAIL", f"{CRM} (crm_salesforce) latency")}


@pytest.mark.parametrize(("calls", "failed"), [(9, 9), (20, 2)])
def test_burn_on_few_calls_or_errors_is_a_warning(calls, failed):
    world = World(policy=SloPolicy(burn_windows=SloPolicy().burn_windows[1:2])).steady(NOTE)
    world.calls(CRM, calls, failed=failed, ago=timedelta(minutes=3))
    assert codes(world.judge(judge_budget_not_burning)) == [("error_budget_burning", "WARN", f"{CRM} (crm_salesforce) errors")]


def test_burn_that_is_over_is_none():
    """The long windows are still bad, the short ones are not."""
    world = World(policy=SloPolicy(burn_windows=SloPolicy().burn_windows[:2])).steady(NOTE)
    world.calls(CRM, 20, failed=10, ago=timedelta(minutes=50)).calls(CRM, 20, ago=timedelta(minutes=2))
    assert world.judge(judge_budget_not_burning).verdict is Verdict.PASS


@pytest.mark.parametrize(("tools", "verdict"), [((), "INCONCLUSIVE"), (RARE, "WARN")])
def test_no_call_in_any_burn_window(tools, verdict):
    world = World(tools=tools).steady(NOTE).calls(CRM, 40, ago=timedelta(days=4))
    found = codes(world.judge(judge_budget_not_burning))
    assert found == [("too_few_samples", verdict, f"{CRM} errors"), ("too_few_samples", verdict, f"{CRM} latency")]


def test_canary_calls_alone_say_nothing_about_the_budget():
    world = World(canaries=frozenset({"canary"})).steady(NOTE).calls(CRM, 40, tenant="canary")
    assert world.judge(judge_budget_not_burning).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("judge", "subject"), [(judge_slo_met, CRM), (judge_budget_not_burning, f"{CRM} latency")])
def test_slo_without_latency_data_does_not_pass(judge, subject):
    world = World().steady()
    world.cloudwatch.points = [point for point in world.cloudwatch.points if point[0] != MetricSet.of("tool_latency_ms", BASE)]
    assert codes(world.judge(judge)) == [("too_few_samples", "INCONCLUSIVE", subject)]


def test_texts_for_people():
    assert [duration(seconds) for seconds in (2520, 19_800, 276_480)] == ["42 min", "5.5 h", "3.2 days"]
    assert first_few([str(n) for n in range(8)]) == "0, 1, 2, 3, 4, 5 and 2 more"
