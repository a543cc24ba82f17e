"""The evidence table `slo_alarms`: for every registered tool and signal what is required, beside the alarms that exist. Pure.

`topics_to_read` says which SNS topics bear on these alarms; `slo_alarms_table` builds the table from what was read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import pandera.pandas as pa

from phase5_ops.aws.alarm_answers import Alarms, Topic
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TOOL_METRICS
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.clock import parse_iso
from phase5_ops.links import ConsoleLinks
from phase5_ops.reads import Read, attach, reads_of
from phase5_ops.slo.alarm_description import account_of, alarm_columns, as_json, is_topic, names_in, queries_of
from phase5_ops.slo.alarm_model import AlarmError, AlarmSpec, Leaf, ToolTraffic, signal_of, tools_of
from phase5_ops.slo.composites import Composites

SIGNALS = ("latency", "error")

#: Of an alarm whose queries alone are looked at.
_ANY_CONDITION: Mapping[str, Any] = {"period": 60, "threshold": 0, "comparison": "", "treat_missing": ""}

_text = pa.Column("str", nullable=True)
_whole = pa.Column("Int64", nullable=True)

#: One row per (tool, signal, candidate alarm), the alarm's columns null where a tool has no candidate; then one row per other
#: alarm on the platform's metrics or namespace, its tool and signal null. JSON columns hold text; timestamps are ISO-8601 UTC.
SCHEMA = pa.DataFrameSchema(
    {
        "tool": _text,  # canonical name of a registered tool
        "connector": _text,
        "traffic": _text,  # steady | rare
        "signal": _text,  # latency | error
        "alarm": _text,  # name
        "namespace": _text,
        "metric": _text,  # metrics read, joined by ", "
        "statistic": _text,  # statistics, joined by ", "
        "expression": _text,  # of the query that is compared, where it is math or Metrics Insights
        "queries": _text,  # JSON list of {id, metric, namespace, dimensions, stat, unit, account, expression, returned, period}
        "period": _whole,  # seconds
        "evaluation_periods": _whole,
        "datapoints_to_alarm": _whole,
        "threshold": pa.Column("Float64", nullable=True),
        "comparison": _text,
        "treat_missing": _text,
        "low_sample": _text,  # EvaluateLowSampleCountPercentile
        "account": _text,
        "region": _text,
        "arn": _text,
        "actions_enabled": pa.Column("boolean", nullable=True),
        "alarm_actions": _text,  # JSON list of ARNs
        "topics": _text,  # JSON {ARN: {exists, confirmed, pending, error, policy, key, subscriptions}} of all SNS actions
        "parents": _text,  # JSON list of the composites above it: {alarm, way, why, actions_enabled, actions, suppressor, ...}
        "mute_rules": _text,  # JSON list of {alarm, name, status, expression, duration, timezone, starts, expires}
        "state": _text,
        "state_reason": _text,
        "state_updated_at": _text,
        "configured_at": _text,
        "evaluation_state": _text,
        "description": _text,
        "url": _text,
        "unreadable": _text,  # why the alarm could not be understood
        "inputs_last_datapoint_at": _text,  # when the last of its inputs that it cannot do without last had data
        "requests_per_period": pa.Column("Float64", nullable=True),  # median over the 5-minute windows with requests
        "tool_sets": _text,  # JSON list of {metric, dimensions, last_datapoint_at, samples} of the tool; samples: of the lookback
        "request_windows": _text,  # JSON list of requests of consecutive 5-minute windows
    },
    strict=True,
    coerce=True,
)


def topics_to_read(alarms: Alarms, namespace: str) -> list[str]:
    """The SNS topics that alarms on the platform's metrics publish to when they go into ALARM, and the composites above them."""
    composites = Composites(alarms.composite_alarms, {})
    arns = set()
    for raw in alarms.metric_alarms:
        if _reads_platform(queries_of(raw), namespace):
            arns.update(names_in(raw.get("AlarmActions")))
            for parent in composites.above(str(raw.get("AlarmName"))):
                arns.update(parent["actions"])
    return sorted(arn for arn in arns if is_topic(arn))


def slo_alarms_table(
    registered_tools: pd.DataFrame,
    tool_slo_summary: pd.DataFrame,
    alarms: Alarms,
    topics: Mapping[str, Topic],
    *,
    topic_reads: Sequence[Read],
    namespace: str,
    links: ConsoleLinks,
    observed_at: datetime,
) -> pd.DataFrame:
    """The evidence table; columns see `SCHEMA`. `attrs["metrics_namespace"]` keeps the namespace for the judge.

    Args:
        registered_tools: the tools that are required (tool, connector, traffic).
        tool_slo_summary: where their data points are (tool, dimension_sets, windows).
        alarms: all alarms and mute rules.
        topics: the topics of `topics_to_read`, by ARN.
        topic_reads: how the topics were read.
        namespace: the namespace that the platform emits to.
        links: console URLs of the region.
        observed_at: when the alarms were read.
    """
    tools = _tools(registered_tools, tool_slo_summary)
    traffic = {tool: entry["traffic_model"] for tool, entry in tools.items()}
    states = {str(raw.get("AlarmName")): str(raw.get("StateValue")) for raw in (*alarms.metric_alarms, *alarms.composite_alarms)}
    composites = Composites(alarms.composite_alarms, states)
    candidates: dict[tuple[str, str], list[dict[str, Any]]] = {(tool, signal): [] for tool in tools for signal in SIGNALS}
    others = []
    watching = {
        str(raw.get("AlarmName")): (raw, queries, *_about(queries, account_of(raw), traffic))
        for raw in alarms.metric_alarms
        if _reads_platform(queries := queries_of(raw), namespace)
    }
    for name, (raw, queries, signal, about) in sorted(watching.items()):
        alike = [
            other for other, (_, _, same, of) in watching.items() if other != name and same == signal and set(of) & set(about)
        ]
        columns = alarm_columns(raw, queries, composites.above(name, alike), topics, alarms.mute_rules, links)
        for tool in about if signal else []:
            candidates[tool, str(signal)].append(
                columns | {"inputs_last_datapoint_at": _inputs_last(queries, account_of(raw), tools[tool]["sets"])}
            )
        if not about or not signal:
            others.append(columns)
    rows = [
        _tool_columns(tools[tool], signal, found.get("period")) | found
        for (tool, signal), listed in candidates.items()
        for found in listed or [{}]
    ]
    table = SCHEMA.validate(pd.DataFrame([*rows, *others], columns=list(SCHEMA.columns)))
    reads = [*reads_of(registered_tools), *reads_of(tool_slo_summary), *alarms.reads, *topic_reads]
    unique = list({(read.operation, read.resource, read.status, read.error): read for read in reads}.values())
    table.attrs["metrics_namespace"] = namespace
    return attach(table, unique, observed_at)


def spec_of(row: Mapping[str, Any]) -> AlarmSpec:
    """The alarm of a row, ready to be tried.

    Raises:
        AlarmError: it cannot work or cannot be understood.
    """
    if row.get("period") is None:
        raise AlarmError("no period")
    return AlarmSpec.of(
        json.loads(row["queries"]),
        row["account"],
        period=int(row["period"]),
        threshold=row["threshold"],
        comparison=str(row["comparison"]),
        treat_missing=str(row["treat_missing"]),
    )


def traffic_of(row: Mapping[str, Any]) -> ToolTraffic:
    """The traffic of the tool of a row."""
    entries = json.loads(row["tool_sets"])
    chosen = [entry for entry in entries if entry["samples"]] or entries
    sets = [(entry["metric"], entry["dimensions"]) for entry in chosen]
    return ToolTraffic(row["tool"], row["connector"], sets, json.loads(row["request_windows"]))


def _tools(registered: pd.DataFrame, summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    tools: dict[str, dict[str, Any]] = {}
    for row in registered.sort_values("tool").to_dict("records"):
        tool = canonical_tool(str(row["tool"]))
        mine = summary[summary["tool"].map(canonical_tool) == tool].to_dict("records")
        sets = [entry for measured in mine for entry in json.loads(measured["dimension_sets"])]
        entry = {"tool": tool, "connector": row["connector"], "traffic": row["traffic"], "sets": sets}
        entry["windows"] = _windows([window for measured in mine for window in json.loads(measured["windows"])])
        entry["traffic_model"] = traffic_of(_tool_columns(entry, "", None))
        tools[tool] = entry
    return tools


def _windows(windows: Iterable[Mapping[str, Any]]) -> list[float]:
    """Requests of consecutive 5-minute windows, added up over connectors; a window that is not there had none."""
    requests: dict[int, float] = {}
    for window in windows:
        slot = int(parse_iso(window["start"]).timestamp()) // 300
        requests[slot] = requests.get(slot, 0) + float(window["requests"] or 0)
    return [requests.get(slot, 0) for slot in range(min(requests), max(requests) + 1)] if requests else []


def _tool_columns(tool: Mapping[str, Any], signal: str, period: int | None) -> dict[str, Any]:
    columns = {
        "tool": tool["tool"],
        "connector": tool["connector"],
        "traffic": tool["traffic"],
        "signal": signal,
        "tool_sets": as_json(
            [{key: entry.get(key) for key in ("metric", "dimensions", "last_datapoint_at", "samples")} for entry in tool["sets"]]
        ),
        "request_windows": as_json(tool["windows"]),
    }
    model = tool.get("traffic_model")
    return columns | {"requests_per_period": model.requests(period or 300) if model else None}


def _about(
    queries: Sequence[Mapping[str, Any]], account: str | None, traffic: Mapping[str, ToolTraffic]
) -> tuple[str | None, list[str]]:
    """The signal of an alarm and the tools it is about; an alarm that cannot be parsed counts by the names in its text."""
    leaves: list[Leaf] = []
    for query in queries:
        try:
            leaves += AlarmSpec.of([{**query, "returned": True}], account, **_ANY_CONDITION).leaves.values()
        except AlarmError:
            continue
    if leaves:
        return signal_of(leaves), tools_of(leaves, traffic)
    text = json.dumps(queries)
    signal = "error" if ERROR in text or SUCCESS in text else "latency" if LATENCY in text else None
    return signal, [tool for tool in traffic if f'"{tool}"' in text or f"'{tool}'" in text]


def _reads_platform(queries: Sequence[Mapping[str, Any]], namespace: str) -> bool:
    """Whether a query reads the platform's namespace, or metrics of the platform's names anywhere."""
    return any(
        query["namespace"] == namespace
        or query["metric"] in TOOL_METRICS
        or any(name in (query["expression"] or "") for name in (*TOOL_METRICS, namespace))
        for query in queries
    )


def _inputs_last(queries: Sequence[Mapping[str, Any]], account: str | None, sets: Sequence[Mapping[str, Any]]) -> str | None:
    """When the alarm last had every input that it cannot do without; inputs inside FILL count only where there are no others."""
    try:
        marked = [{**query, "returned": index == 0} for index, query in enumerate(queries)]
        spec = AlarmSpec.of(marked, account, **_ANY_CONDITION)
    except AlarmError:
        return None
    latest = {
        key: max(
            (
                entry["last_datapoint_at"]
                for entry in sets
                if entry["metric"] == leaf.metric and entry.get("last_datapoint_at") and leaf.names(entry["dimensions"])
            ),
            default="",
        )
        for key, leaf in spec.leaves.items()
    }
    required = [stamp for key, stamp in latest.items() if key not in spec.filled]
    return (min(required) if required else max(latest.values(), default="")) or None
