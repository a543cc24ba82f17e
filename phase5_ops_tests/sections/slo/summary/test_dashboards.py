"""What dashboards show."""

import json
from functools import cache

import pytest

from phase5_ops.ccnative.registry import registered_tools
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.sections.slo.summary.dashboards import dashboard_coverage
from phase5_ops_tests.sections.slo.summary.gathering import GOOD_READ, NAMESPACE, NOW, registry_item, search_dashboard

CRM = ["tool_name", "crm.create_task", "connector_id", "crm_salesforce"]
ALL = ["tool_latency_ms", "tool_success", "tool_error"]
SEARCH_ERRORS = "SEARCH('{CCNative/Execution,tool_name,connector_id,tenant_id} MetricName=\"tool_error\"', 'Sum', 300)"


@cache
def registered(*tools):
    """The rows of these registered tools; no test changes it."""
    return registered_tools([registry_item(tool) for tool in tools], GOOD_READ, (), observed_at=NOW).rows


def shown(
    *lines, tools=("crm.create_task",), errors=(), region=None, body=None, account="123456789012", of_account=None, listed=()
):
    """The metrics of crm.create_task that a dashboard of one widget shows."""
    properties = {"metrics": list(lines)} | ({"region": region} if region else {})
    properties |= {"accountId": of_account} if of_account else {}
    body = body if body is not None else json.dumps({"widgets": [{"type": "metric", "properties": properties}]})
    table = registered(*tools)
    sets = [
        MetricSet.of("tool_error", {"tool_name": "crm.create_task", "connector_id": "crm_salesforce", "tenant_id": tenant})
        for tenant in errors
    ]
    where = {"namespace": NAMESPACE, "region": "us-east-1", "account": account}
    coverage = dashboard_coverage({"d": body}, table, sets, **where, listed=listed)
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
    tools = registered("crm.x")
    coverage = dashboard_coverage({"d": body}, tools, [], namespace=NAMESPACE, region="us-east-1", account=None)
    assert coverage.malformed == ("d",)


@pytest.mark.parametrize(
    "body", ["{}", '{"widgets": [1, {"type": "text"}, {"type": "metric"}, {"type": "metric", "properties": {}}]}']
)
def test_widgets_without_metrics_show_nothing(body):
    assert shown(body=body) == []


# --- what is drawn and says nothing ---

LATENCY_LINE = [NAMESPACE, "tool_latency_ms", *CRM]
SUCCESS_LINE = [NAMESPACE, "tool_success", *CRM]


def search_latency(statistic, period=300):
    return f"SEARCH('{{{NAMESPACE},tool_name,connector_id}} MetricName=\"tool_latency_ms\"', '{statistic}', {period})"


def shows_latency(*lines, tools=("crm.create_task",), **properties):
    body = {"widgets": [{"type": "metric", "properties": {"metrics": list(lines)} | properties}]}
    return shown(body=json.dumps(body), tools=tools) == ["tool_latency_ms"]


@pytest.mark.parametrize(
    ("statistic", "tells"),
    [
        *((name, True) for name in ("p99", "p95", "p50", "Average", "Maximum", "Sum", "PR(:5000)", "tm99", "TM(2%:98%)", "IQM")),
        *((name, False) for name in ("SampleCount", "Minimum", "p0", "p10", "tc99", "TC(:5000)", "TM(:10%)", "tm5", "p101", "x")),
        *((name, False) for name in ("TM(:10)", "TS(:100)", "TM(0:100)", "WM(:50)")),
        *((value, False) for value in (99, None, ["p99"])),
    ],
)
def test_the_statistic_of_latency_must_tell_of_its_slow_calls(statistic, tells):
    assert shows_latency([*LATENCY_LINE, {"stat": statistic}]) is tells
    assert shows_latency(LATENCY_LINE, stat=statistic) is tells
    if isinstance(statistic, str):
        assert shows_latency([{"expression": search_latency(statistic)}]) is tells
    assert shows_latency([*LATENCY_LINE, {"stat": "p99"}], stat="Minimum")


@pytest.mark.parametrize(("limit", "all_lines"), [("", True), (" LIMIT 5", True), (" LIMIT 4", False), (" LIMIT 1", False)])
def test_a_query_with_a_limit_shows_errors_only_where_it_draws_every_tenants_line(limit, all_lines):
    errors = [f"t-{number}" for number in range(5)]
    query = 'SELECT SUM(tool_error) FROM "CCNative/Execution" GROUP BY tool_name{} ORDER BY SUM() DESC{}'
    assert (shown([{"expression": query.format(", tenant_id", limit)}], errors=errors) == ["tool_error"]) is all_lines
    assert shown([{"expression": query.format("", limit)}], errors=errors) == ["tool_error"]


def test_a_tool_that_is_not_registered_takes_a_line_too():
    one = [{"expression": 'SELECT MAX(tool_latency_ms) FROM "CCNative/Execution" GROUP BY tool_name ORDER BY MAX() DESC LIMIT 1'}]
    other = MetricSet.of("tool_latency_ms", {"tool_name": "old.tool", "connector_id": "old"})
    of_tenant = MetricSet.of("tool_error", {"tool_name": "old.tool", "connector_id": "old", "tenant_id": "t-1"})
    assert shown(one, listed=[of_tenant]) == ["tool_latency_ms"]
    assert shown(one, listed=[other]) == []
    errors = [f"t-{number}" for number in range(500)]
    assert shown([{"expression": SEARCH_ERRORS}], errors=errors, listed=[other]) == ["tool_error"]
    assert shown([{"expression": SEARCH_ERRORS}], errors=errors, listed=[of_tenant]) == []


def test_more_lines_than_a_graph_draws_do_not_show_them_all():
    errors = [f"t-{number}" for number in range(501)]
    assert shown([{"expression": SEARCH_ERRORS}], errors=errors[:500]) == ["tool_error"]
    assert shown([{"expression": SEARCH_ERRORS}], errors=errors) == []


@pytest.mark.parametrize(("statistic", "tells"), [("Sum", True), ("SampleCount", True), ("Minimum", False), ("p99", False)])
def test_the_statistic_of_a_count_must_count(statistic, tells):
    assert (shown([*SUCCESS_LINE, {"stat": statistic}]) == ["tool_success"]) is tells


@pytest.mark.parametrize("function", ["COUNT", "MIN"])
def test_queries_that_count_calls_or_take_the_fastest_show_no_latency(function):
    query = 'SELECT {}(tool_latency_ms) FROM "CCNative/Execution" GROUP BY tool_name'
    assert not shows_latency([{"expression": query.format(function)}])
    assert shows_latency([{"expression": query.format("MAX")}])


@pytest.mark.parametrize(
    ("period", "tells"),
    [(60, True), (3600, True), (86400, True), ("300", True), (30 * 86400, False), (7 * 86400, False), (0, False), (-300, False)]
    + [(value, False) for value in ("auto", None, [], "inf", "nan", {})],
)
def test_a_period_must_let_see_what_a_day_was_like(period, tells):
    assert shows_latency([*LATENCY_LINE, {"period": period}]) is tells
    assert shows_latency(LATENCY_LINE, period=period) is tells
    if isinstance(period, int) and period >= 0:
        assert shows_latency([{"expression": search_latency("p99", period)}], period=300) is tells


@pytest.mark.parametrize(
    ("scope", "tells"),
    [
        ({"start": "-PT6H"}, True),
        ({"start": "-P3M"}, True),
        ({"start": "-PT3H", "end": "P0D"}, True),
        ({"start": "-PT3H", "end": "PT0H"}, True),
        ({"start": "2026-11-01T00:00:00Z"}, True),
        ({"start": "2026-11-01T00:00:00Z", "end": "2099-01-01T00:00:00.000Z"}, True),
        ({"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00.000Z"}, False),
        ({"start": "2026-11-01T00:00:00Z", "end": "2026-11-23T09:16:41Z"}, False),
        ({"start": "2026-11-01T00:00:00", "end": "2026-11-22"}, False),
        ({"end": "2020-02-01T00:00:00Z"}, False),
        ({"start": "2099-01-01T00:00:00Z", "end": "2099-02-01T00:00:00Z"}, False),
        ({"start": "2099-01-01T00:00:00Z"}, False),
        ({"start": "-P9D", "end": "-P8D"}, False),
        ({"start": "-PT0S"}, False),
        ({"start": "yesterday"}, False),
        ({"start": "-PT3H", "end": "yesterday"}, False),
        ({"start": 0, "end": 1}, False),
    ],
)
def test_a_time_range_must_reach_the_present(scope, tells):
    """That of the dashboard, or of the widget, which stands above it."""
    past = {"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}
    for of_dashboard, of_widget in ((scope, {}), (past, scope), ({"start": "-PT1H"}, scope)):
        body = of_dashboard | {"widgets": [{"type": "metric", "properties": {"metrics": [LATENCY_LINE]} | of_widget}]}
        tools = registered("crm.create_task")
        coverage = dashboard_coverage(
            {"d": json.dumps(body)}, tools, [], namespace=NAMESPACE, region="us-east-1", account=None, now=NOW
        )
        assert bool(coverage.shown) is tells


@pytest.mark.parametrize("size", [0, -1, 0.5, "6", None, True, []])
@pytest.mark.parametrize("side", ["width", "height"])
def test_a_widget_without_size_shows_nothing(side, size):
    widget = {"type": "metric", "width": 6, "height": 6, "properties": {"metrics": [LATENCY_LINE]}}
    assert shown(body=json.dumps({"widgets": [widget]})) == ["tool_latency_ms"]
    assert shown(body=json.dumps({"widgets": [widget | {side: size}]})) == []


@pytest.mark.parametrize("visible", [False, "false", "False", "no", "", 0, 1, None, [], {}])
def test_only_what_is_plainly_visible_is_shown(visible):
    assert not shows_latency([*LATENCY_LINE, {"visible": visible}])
    assert not shows_latency([{"expression": search_latency("p99"), "visible": visible}])


@pytest.mark.parametrize("visible", [True, "true", "True"])
def test_what_is_visible_in_words_is_shown(visible):
    assert shows_latency([*LATENCY_LINE, {"visible": visible}])


HIDDEN = [*LATENCY_LINE, {"id": "m1", "visible": False, "stat": "p99"}]


@pytest.mark.parametrize(
    "expression",
    [
        "FILL(m1, 0)",
        "FILL(m1, REPEAT)",
        "REMOVE_EMPTY(m1)",
        "m1",
        "m1 / 1000",
        "0.001 * m1",
        "m1" + "*1" * 1000,
        "FILL(METRICS(), 0)",
        "METRICS('m')",
        "SORT([m1], AVG, DESC)",
        "MAX([m1])",
        "AVG(METRICS())",
        "SORT(REMOVE_EMPTY(SEARCH_P99), MAX, DESC)",
        "SUM(SEARCH_P99)",
    ],
)
def test_an_expression_that_keeps_the_line_shows_its_metric(expression):
    text = expression.replace("SEARCH_P99", search_latency("p99"))
    assert shows_latency(HIDDEN, [{"expression": text, "id": "e1"}])
    assert shows_latency(HIDDEN, [{"expression": text, "id": "e1", "visible": False}], [{"expression": "FILL(e1, 0)"}])


@pytest.mark.parametrize(
    "expression",
    [
        "m1 * 0",
        "m1 / 0",
        "-1 * m1",
        "-m1",
        "m1 ^ 2",
        "m1 - m1",
        "m1 / m1",
        "1",
        "IF(m1 > 0, 1, 0)",
        "m1 > 5000",
        "m1 * m1",
        "MIN(m1)",
        "MIN([m1])",
        "SUM(m1)",
        "STDDEV([m1])",
        "RATE(m1)",
        "DIFF(m1)",
        "RUNNING_SUM(m1)",
        "TIME_SERIES(0)",
        "METRIC_COUNT([m1])",
        "DATAPOINT_COUNT(m1)",
        "ANOMALY_DETECTION_BAND(m1)",
        "PERIOD(m1)",
        "HOUR(m1)",
        "METRICS('absent')",
        "FILL(absent, 0)",
        "FILL(e1, 0)",
        "SLICE(METRICS(), 0, 1)",
        "SORT([m1], AVG, DESC, 1)",
        "MIN(SEARCH_P99)",
        "SEARCH_P99 * 0",
        "0 * SUM(SEARCH_P99)",
        "RATE(SEARCH_P99)",
        "IF(SUM(SEARCH_P99) > 0, 1, 0)",
        "METRIC_COUNT(SEARCH_P99)",
        "FILL(m1",
    ],
)
def test_an_expression_that_does_not_keep_the_line_shows_nothing(expression):
    assert not shows_latency(HIDDEN, [{"expression": expression.replace("SEARCH_P99", search_latency("p99")), "id": "e1"}])


def test_expressions_of_expressions_are_followed_for_some_levels_and_never_too_deep():
    chain = [[{"expression": f"m{number} * 1", "id": f"m{number + 1}", "visible": False}] for number in range(1, 500)]
    assert shows_latency(HIDDEN, *chain, [{"expression": "m20"}])
    assert not shows_latency(HIDDEN, *chain, [{"expression": "m500"}])
    twice = [[{"expression": f"SORT([m{i}, m{i}], AVG, DESC)", "id": f"m{i + 1}", "visible": False}] for i in range(1, 25)]
    assert shows_latency(HIDDEN, *twice, [{"expression": "MAX(m25)"}])
    deep = [[{"expression": f"{'ABS(' * 50}m{i}{')' * 50}", "id": f"m{i + 1}", "visible": False}] for i in range(1, 99)]
    assert not shows_latency(HIDDEN, *deep, [{"expression": "m99"}])
    assert not shows_latency(HIDDEN, [{"expression": "FILL(e2, 0)", "id": "e1"}], [{"expression": "FILL(e1, 0)", "id": "e2"}])


def test_a_hidden_metric_is_shown_as_the_statistic_that_it_has():
    hidden = [*LATENCY_LINE, {"id": "m1", "visible": False, "stat": "Minimum"}]
    assert not shows_latency(hidden, [{"expression": "FILL(m1, 0)"}])
    foreign = [*LATENCY_LINE, {"id": "m1", "visible": False, "region": "eu-west-1"}]
    assert not shows_latency(foreign, [{"expression": "FILL(m1, 0)"}])


def test_a_line_that_puts_metrics_or_tools_together_shows_none_of_them():
    other = [NAMESPACE, "tool_latency_ms", "tool_name", "internal.x", "connector_id", "internal", {"id": "m2", "visible": False}]
    both = [{"expression": "AVG([m1, m2])"}]
    assert not shows_latency(HIDDEN, other, both, tools=("crm.create_task", "internal.x"))
    count = [*SUCCESS_LINE, {"id": "m2", "visible": False, "stat": "Sum"}]
    assert shown(HIDDEN, count, [{"expression": "SUM(METRICS())"}]) == []
    assert shown(HIDDEN, count, [{"expression": "FILL(METRICS(), 0)"}]) == ["tool_latency_ms", "tool_success"]
    everything = f"SUM(SEARCH('{{{NAMESPACE},tool_name,connector_id}}', 'Sum', 300))"
    assert shown([{"expression": everything}]) == []


def test_what_says_nothing_is_named():
    tools = registered("crm.create_task")
    lines = [[*LATENCY_LINE, {"stat": "Minimum"}], [*SUCCESS_LINE, {"period": 2592000}]]
    body = json.dumps({"widgets": [{"type": "metric", "properties": {"metrics": lines}}]})
    coverage = dashboard_coverage({"d": body}, tools, [], namespace=NAMESPACE, region="us-east-1", account=None)
    assert coverage.unfit == {
        "d": ["crm.create_task tool_latency_ms as Minimum", "crm.create_task tool_success with a period of 2592000 s"]
    }
