"""Bodies of dashboards: what of a tool's metrics they show, row 1.1."""

import json
from functools import cache

from phase5_ops.ccnative.registry import registered_tools
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.sections.slo.summary.dashboards import dashboard_coverage
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.slo.summary.gathering import GOOD_READ, NAMESPACE, NOW, registry_item, search_dashboard

READS = "bodies of CloudWatch dashboards, with their variables, shorthands and expressions (`sections/slo/summary/dashboards`)"
MALFORMED = "shows nothing: the tool's metrics are on no dashboard (`dashboard_incomplete`)"

TOOL = "crm.create_task"
LINE = [NAMESPACE, "tool_latency_ms", "tool_name", TOOL, "connector_id", "crm_salesforce", {"stat": "p99"}]
BODY = {
    "variables": [
        {"type": "property", "property": "region", "inputType": "select", "id": "r", "values": [{"value": "us-east-1"}]}
    ],
    "widgets": [
        {"type": "metric", "properties": {"region": "us-east-1", "metrics": [LINE, [".", "tool_success", ".", ".", ".", "."]]}},
        {
            "type": "metric",
            "properties": {"metrics": [[{"expression": "SUM(METRICS('tool'))", "id": "e"}], ["...", {"id": "tool1"}]]},
        },
        *json.loads(search_dashboard())["widgets"],
        {"type": "text", "properties": {"markdown": "x"}},
    ],
}
PIECES = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "SEARCH('",
    "SELECT ",
    "NaN",
    "1e999",
    "\\ud800",
    "...",
    '"."',
    "METRICS()",
    "${region}",
)


@cache
def _registered() -> object:
    return registered_tools([registry_item(TOOL)], GOOD_READ, (), observed_at=NOW).rows


def coverage(body: str) -> list:
    """What a dashboard shows of the tool."""
    sets = [MetricSet.of("tool_error", {"tool_name": TOOL, "connector_id": "crm_salesforce", "tenant_id": "t1"})]
    found = dashboard_coverage({"d": body}, _registered(), sets, namespace=NAMESPACE, region="us-east-1", account="123456789012")
    return list(found.of_tool(TOOL))


def fuzz(data: bytes) -> None:
    """Reads an altered body; what is no JSON object shows nothing."""
    source = Source(data)
    if not data:
        assert coverage(json.dumps(BODY))
    text = source.json_text(source.changed(BODY, most=5))
    if source.chance(2):
        text = source.spliced(text, PIECES)
    found = coverage(text)
    try:
        readable = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        readable = False
    assert readable or not found, "a body that cannot be read shows metrics"
