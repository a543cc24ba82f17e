"""The metrics that CCNative emits for every tool call: names and dimensions. Pure.

One PutMetricData per call, with two data points of the same dimensions: the latency, and either a success or an error. Dimensions
are tool_name and connector_id, and tenant_id on every error and on 1 % of successes. CloudWatch does not sum over dimension sets.
"""

LATENCY = "tool_latency_ms"
SUCCESS = "tool_success"
ERROR = "tool_error"
TOOL_METRICS = (LATENCY, SUCCESS, ERROR)

RESOLUTION_SECONDS = 60
"""Seconds between the data points that CloudWatch keeps, since PutMetricData is called without StorageResolution."""

TOOL_DIMENSION = "tool_name"
CONNECTOR_DIMENSION = "connector_id"
TENANT_DIMENSION = "tenant_id"
