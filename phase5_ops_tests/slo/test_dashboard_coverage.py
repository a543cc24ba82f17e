"""What dashboards show."""

import json

import pytest

from phase5_ops.aws.metric_query import MetricSet
from phase5_ops.ccnative.registry import registered_tools
from phase5_ops.slo.dashboard_coverage import dashboard_coverage
from phase5_ops_tests.slo.gathering import GOOD_READ, NAMESPACE, NOW, registry_item, search_dashboard

CRM = ["tool_name", "crm.create_task", "connector_id", "crm_salesforce"]
ALL = ["tool_latency_ms", "tool_success", "tool_error"]
SEARCH_ERRORS = "SEARCH('{CCNative/Execution,tool_name,connector_id,tenant_id} MetricName=\"tool_error\"', 'Sum', 300)"


def shown(*lines, tools=("crm.create_task",), errors=(), region=None, body=None, account="123456789012", of_account=None):
    """The metrics of crm.create_task that a dashboard of one widget shows."""
    properties = {"metrics": list(lines)} | ({"region": region} if region else {})
    properties |= {"accountId": of_account} if of_account else {}
    body = body if body is not None else json.dumps({"widgets": [{"type": "metric", "properties": properties}]})
    registered = registered_tools([registry_item(tool) for tool in tools], GOOD_READ, (), observed_at=NOW)
    sets = [
        MetricSet.of("tool_error", {"tool_name": "crm.create_task", "connector_id": "crm_salesforce", "tenant_id": tenant})
        for tenant in errors
    ]
    coverage = dashboard_coverage({"d": body}, registered, sets, namespace=NAMESPACE, region="us-east-1", account=account)
    found = coverage.of_tool("crm.create_task")
    return list(found[0]["metrics"]) if found else []


def test_metrics_by_name_with_shorthands():
    """`.` repeats one part of the line above, `...` all that are left out."""
    lines = (
        [NAMESPACE, "tool_latency_ms", *CRM, {"stat": "p99"}],
        [".", "tool_success", ".", ".", ".", "."],
        ["...", {"stat": "Sum"}],
        [NAMESPACE, "tool_error", *CRM, "tenant_id", "t1"],
        ["...", "t2"],
    )
    assert shown(*lines) == ALL
    assert shown(*lines, errors=["t1", "t2"]) == ALL
    assert shown(*lines, errors=["t1", "t3"]) == ALL[:2]


def test_shorthand_does_not_reach_into_the_widget_before():
    widget = {"type": "metric", "properties": {"metrics": [[NAMESPACE, "tool_latency_ms", *CRM]]}}
    next_widget = {"type": "metric", "properties": {"metrics": [[".", "tool_success", ".", ".", ".", "."]]}}
    assert shown(body=json.dumps({"widgets": [widget, next_widget]})) == ALL[:1]


def test_error_metric_without_tenant_shows_nothing():
    assert shown([NAMESPACE, "tool_error", *CRM]) == []


@pytest.mark.parametrize(
    "line",
    [
        [NAMESPACE, "tool_success", *CRM, {"visible": False}],
        [NAMESPACE, "tool_success", *CRM, {"region": "eu-west-1"}],
        [NAMESPACE, "tool_success", *CRM, "tenant_id", "t1"],
        [NAMESPACE, "tool_success"],
        [NAMESPACE, "tool_success", "tool_name"],
        [NAMESPACE],
        ["Other", "tool_success", *CRM],
        [{"expression": SEARCH_ERRORS, "visible": False}],
        [{"expression": "SEARCH('{CCNative/Execution,tool_name,connector_id} MetricName=\"tool_error\"', 'Sum')"}],
        [{"expression": f"SLICE({SEARCH_ERRORS}, 0, 1)"}],
        [{"expression": f"SORT({SEARCH_ERRORS}, AVG, DESC, 1)"}],
        [{"expression": "SEARCH("}],
        [{"expression": "SELECT nonsense"}],
        [{"expression": "m1 / m2"}],
        [],
        "not a line",
    ],
)
def test_lines_that_show_nothing_of_the_tool(line):
    assert shown(line) == []


def test_widget_of_another_region_shows_other_metrics():
    assert shown([NAMESPACE, "tool_success", *CRM], region="eu-west-1") == []


OWN, OTHER = "123456789012", "999999999999"


@pytest.mark.parametrize(
    ("account", "line", "widget", "metrics"),
    [
        (OWN, OWN, None, ["tool_success", "tool_error"]),
        (OWN, OTHER, None, []),
        (OWN, None, OWN, ["tool_success", "tool_error"]),
        (OWN, None, OTHER, []),
        (OWN, OWN, OTHER, ["tool_success", "tool_error"]),
        (None, OWN, None, []),
        ("unknown", OWN, None, []),
        ("unknown", "unknown", None, []),
        ("unknown", None, None, ["tool_success", "tool_error"]),
    ],
)
def test_lines_of_another_account_show_other_metrics(account, line, widget, metrics):
    """Metrics by name and expressions alike; a line's own account stands above the widget's."""
    options = {"accountId": line} if line else {}
    lines = [NAMESPACE, "tool_success", *CRM, options], [{"expression": SEARCH_ERRORS, **options}]
    assert shown(*lines, account=account, of_account=widget) == metrics


def test_search_shows_every_tool_and_every_tenant():
    assert shown(body=search_dashboard(), tools=("crm.create_task", "internal.x"), errors=["t1"]) == ALL


def test_line_that_adds_tools_up_shows_none_of_them():
    """A sum over a search shows a tool only where the search finds no other tool."""
    everything = [{"expression": f"SUM({SEARCH_ERRORS})"}]
    search = SEARCH_ERRORS.replace('"tool_error"', '"tool_error" tool_name="crm.create_task"')
    one_tool = [{"expression": f"SUM({search})"}]
    assert shown(everything, tools=("crm.create_task", "internal.x")) == []
    assert shown(one_tool, tools=("crm.create_task", "internal.x")) == ["tool_error"]


@pytest.mark.parametrize(
    ("query", "metrics"),
    [
        ('SELECT SUM(tool_error) FROM "CCNative/Execution" GROUP BY tool_name', ["tool_error"]),
        (
            'SELECT SUM(tool_error) FROM SCHEMA("CCNative/Execution", connector_id, tenant_id, tool_name) GROUP BY tool_name',
            ["tool_error"],
        ),
        ('SELECT SUM(tool_error) FROM SCHEMA("CCNative/Execution", connector_id, tool_name) GROUP BY tool_name', []),
        ('SELECT SUM(tool_error) FROM "CCNative/Execution" GROUP BY tool_name LIMIT 1', []),
        ('SELECT SUM(tool_error) FROM "CCNative/Execution"', []),
        ("SELECT SUM(tool_error) FROM \"CCNative/Execution\" WHERE tool_name = 'crm.create_task'", ["tool_error"]),
    ],
)
def test_metrics_insights(query, metrics):
    assert shown([{"expression": query}], tools=("crm.create_task", "internal.x")) == metrics


@pytest.mark.parametrize("body", ["", "[]", '{"widgets": 1}', "None"])
def test_body_that_is_no_dashboard_is_named(body):
    registered = registered_tools([registry_item("crm.x")], GOOD_READ, (), observed_at=NOW)
    coverage = dashboard_coverage({"d": body}, registered, [], namespace=NAMESPACE, region="us-east-1", account=None)
    assert coverage.malformed == ("d",)


@pytest.mark.parametrize(
    "body", ["{}", '{"widgets": [1, {"type": "text"}, {"type": "metric"}, {"type": "metric", "properties": {}}]}']
)
def test_widgets_without_metrics_show_nothing(body):
    assert shown(body=body) == []
