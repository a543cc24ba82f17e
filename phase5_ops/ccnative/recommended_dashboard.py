"""The dashboard that row 1.1 asks for, as the body that CloudWatch's PutDashboard takes. Pure.

One widget a tool: latency and successes by name, errors by SEARCH, since they always carry tenant_id.
"""

from collections.abc import Mapping
from typing import Any

from phase5_ops.ccnative.metrics import CONNECTOR_DIMENSION, ERROR, LATENCY, SUCCESS, TENANT_DIMENSION, TOOL_DIMENSION
from phase5_ops.text import quoted

MOST_WIDGETS = 500
"""Widgets that CloudWatch takes on one dashboard."""

_PERIOD_SECONDS, _WIDTH, _HEIGHT = 300, 24, 6


def tool_dashboard(connectors: Mapping[str, str], *, namespace: str, region: str) -> dict[str, Any]:
    """The body of a dashboard that shows the three metrics of every tool.

    Args:
        connectors: the connector id that a tool's metrics carry, by the tool's canonical name.
        namespace: the namespace that the platform emits to.
        region: the region of the metrics.
    """
    return {"widgets": [_widget(row, *each, namespace, region) for row, each in enumerate(connectors.items())]}


def _widget(row: int, tool: str, connector: str, namespace: str, region: str) -> dict[str, Any]:
    base = [TOOL_DIMENSION, tool, CONNECTOR_DIMENSION, connector]
    schema = f"{{{namespace},{TOOL_DIMENSION},{CONNECTOR_DIMENSION},{TENANT_DIMENSION}}}"
    search = f'{schema} MetricName="{ERROR}" {TOOL_DIMENSION}={quoted(tool, chr(34))}'
    errors = f"SEARCH({quoted(search, chr(39))}, 'Sum', {_PERIOD_SECONDS})"
    return {
        "type": "metric",
        "x": 0,
        "y": _HEIGHT * row,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": tool,
            "region": region,
            "view": "timeSeries",
            "period": _PERIOD_SECONDS,
            "metrics": [
                [namespace, LATENCY, *base, {"stat": "p99"}],
                [".", SUCCESS, ".", ".", ".", ".", {"stat": "Sum"}],
                [{"expression": errors, "id": f"e{row}"}],
            ],
        },
    }
