"""The evidence table `slo_alarms`: for every registered tool and signal what is required, beside the alarms that exist. Pure.

`topics_to_read` says which SNS topics bear on these alarms; `slo_alarms_table` builds the table from what was read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
import pandera.pandas as pa

from phase5_ops.aws.alarm_answers import Alarms, Subscription, Topic
from phase5_ops.aws.metrics_insights import InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TOOL_METRICS
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.clock import iso, parse_iso
from phase5_ops.links import ConsoleLinks
from phase5_ops.reads import Read, attach, reads_of
from phase5_ops.slo.alarm_model import AlarmError, AlarmSpec, Leaf, ToolTraffic, signal_of, tools_of
from phase5_ops.slo.composites import Composites

SIGNALS = ("latency", "error")

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
        if _reads_platform(_queries(raw), namespace):
            arns.update(_names(raw.get("AlarmActions")))
            for parent in composites.above(str(raw.get("AlarmName"))):
                arns.update(parent["actions"])
    return sorted(arn for arn in arns if is_topic(arn))


def is_topic(arn: str) -> bool:
    """Whether an action publishes to SNS."""
    return arn.split(":")[2:3] == ["sns"]


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
        str(raw.get("AlarmName")): (raw, queries, *_about(queries, traffic))
        for raw in alarms.metric_alarms
        if _reads_platform(queries := _queries(raw), namespace)
    }
    for name, (raw, queries, signal, about) in sorted(watching.items()):
        alike = [
            other for other, (_, _, same, of) in watching.items() if other != name and same == signal and set(of) & set(about)
        ]
        columns = _alarm_columns(raw, queries, composites.above(name, alike), topics, alarms.mute_rules, links)
        for tool in about if signal else []:
            candidates[tool, str(signal)].append(
                columns | {"inputs_last_datapoint_at": _inputs_last(queries, tools[tool]["sets"])}
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
        period=int(row["period"]),
        threshold=row["threshold"],
        comparison=str(row["comparison"]),
        treat_missing=str(row["treat_missing"]),
        account=row["account"],
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
        "tool_sets": _json(
            [{key: entry.get(key) for key in ("metric", "dimensions", "last_datapoint_at", "samples")} for entry in tool["sets"]]
        ),
        "request_windows": _json(tool["windows"]),
    }
    model = tool.get("traffic_model")
    return columns | {"requests_per_period": model.requests(period or 300) if model else None}


def _about(queries: Sequence[Mapping[str, Any]], traffic: Mapping[str, ToolTraffic]) -> tuple[str | None, list[str]]:
    """The signal of an alarm and the tools it is about; an alarm that cannot be parsed counts by the names in its text."""
    leaves: list[Leaf] = []
    for query in queries:
        try:
            leaves += AlarmSpec.of(
                [{**query, "returned": True}], period=60, threshold=0, comparison="", treat_missing=""
            ).leaves.values()
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


def _queries(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An alarm's queries in one shape, whether it watches one metric or a list of queries."""
    if not raw.get("Metrics"):
        stat = raw.get("ExtendedStatistic") or raw.get("Statistic")
        source = {"Metric": raw, "Stat": stat, "Period": raw.get("Period"), "Unit": raw.get("Unit")}
        return [_query({"Id": "m1", "MetricStat": source})]
    return [_query(query) for query in raw["Metrics"] if isinstance(query, Mapping)]


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    source = query.get("MetricStat") or {}
    metric = source.get("Metric") or {}
    expression = query.get("Expression")
    insights = _insights(expression)
    return {
        "id": str(query.get("Id")),
        "metric": insights.metric_name if insights else metric.get("MetricName"),
        "namespace": insights.namespace if insights else metric.get("Namespace"),
        "dimensions": {str(entry.get("Name")): str(entry.get("Value")) for entry in metric.get("Dimensions") or []},
        "stat": insights.statistic if insights else source.get("Stat"),
        "unit": source.get("Unit"),
        "account": query.get("AccountId"),
        "expression": expression,
        "returned": query.get("ReturnData", True) is not False,
        "period": source.get("Period") or query.get("Period"),
    }


def _insights(expression: object) -> InsightsQuery | None:
    """The Metrics Insights query of an expression, or None where it is not one or cannot be read (the judge says so then)."""
    try:
        return parse_query(expression) if isinstance(expression, str) and is_insights_query(expression) else None
    except InsightsError:
        return None


def _alarm_columns(  # noqa: PLR0917 - everything that is known of an alarm
    raw: Mapping[str, Any],
    queries: Sequence[Mapping[str, Any]],
    parents: Sequence[Mapping[str, Any]],
    topics: Mapping[str, Topic],
    mute_rules: Sequence[Mapping[str, Any]],
    links: ConsoleLinks,
) -> dict[str, Any]:
    name, arn = str(raw.get("AlarmName")), str(raw.get("AlarmArn") or "")
    actions = _names(raw.get("AlarmActions"))
    used = sorted({arn for arn in (*actions, *(arn for parent in parents for arn in parent["actions"])) if is_topic(arn)})
    returned = next((query for query in queries if query["returned"]), queries[0] if queries else {})
    columns = {
        "alarm": name,
        "namespace": _joined(query["namespace"] for query in queries),
        "metric": _joined(query["metric"] for query in queries),
        "statistic": _joined(query["stat"] for query in queries),
        "expression": returned.get("expression"),
        "queries": _json(queries),
        "treat_missing": raw.get("TreatMissingData") or "missing",
        "low_sample": raw.get("EvaluateLowSampleCountPercentile"),
        "account": (arn.split(":") + [""] * 5)[4] or None,
        "region": (arn.split(":") + [""] * 4)[3] or links.region,
        "arn": arn or None,
        "comparison": raw.get("ComparisonOperator"),
        "actions_enabled": raw.get("ActionsEnabled") is not False,
        "alarm_actions": _json(actions),
        "topics": _json({arn: _topic_columns(topics.get(arn)) for arn in used}),
        "parents": _json(parents),
        "mute_rules": _json(_mutes({name, *(parent["alarm"] for parent in parents)}, mute_rules)),
        "state": raw.get("StateValue"),
        "state_reason": raw.get("StateReason"),
        "evaluation_state": raw.get("EvaluationState"),
        "description": raw.get("AlarmDescription"),
        "url": links.alarm(name),
    }
    return columns | _figures(raw, queries)


def _figures(raw: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers and timestamps of an alarm, null where they cannot be read, with the reason in `unreadable`."""
    try:
        periods = [int(query["period"]) for query in queries if query["period"] is not None]
        evaluation = int(raw["EvaluationPeriods"])
        if evaluation < 1 or min(periods, default=1) < 1:
            raise ValueError(f"period {periods} s, {evaluation} evaluation periods")  # noqa: TRY301 - joins what int() refuses
        needed = raw.get("DatapointsToAlarm")
        threshold = raw.get("Threshold")
        return {
            "period": max(periods) if periods else 300 if raw.get("Metrics") else None,
            "evaluation_periods": evaluation,
            "datapoints_to_alarm": int(needed) if needed is not None else evaluation,
            "threshold": float(threshold) if threshold is not None else None,
            "state_updated_at": _stamp(raw.get("StateUpdatedTimestamp")),
            "configured_at": _stamp(raw.get("AlarmConfigurationUpdatedTimestamp")),
            "unreadable": None,
        }
    except (KeyError, TypeError, ValueError) as error:
        return {"unreadable": f"{type(error).__name__}: {error}"}


def _stamp(value: object) -> str | None:
    if value is None:
        return None
    return iso(value) if isinstance(value, datetime) else iso(parse_iso(str(value)))


def _topic_columns(topic: Topic | None) -> dict[str, Any]:
    """What is kept of a topic; addresses of people are not."""
    if topic is None:
        return {"exists": None, "confirmed": None, "pending": None, "error": "not read"}
    return {
        "exists": topic.exists,
        "confirmed": topic.confirmed,
        "pending": topic.pending,
        "error": topic.error,
        "policy": topic.policy,
        "key": asdict(topic.key) if topic.key else None,
        "subscriptions": [_subscription_columns(subscription) for subscription in topic.subscriptions],
    }


def _subscription_columns(subscription: Subscription) -> dict[str, Any]:
    attributes = subscription.attributes or {}
    return {
        "protocol": subscription.protocol,
        "target": subscription.endpoint if subscription.protocol in ("sqs", "lambda") else None,
        "read": subscription.attributes is not None,
        "filter_policy": attributes.get("FilterPolicy"),
        "filter_scope": attributes.get("FilterPolicyScope"),
        "missing": subscription.missing,
        "target_policy": subscription.target_policy,
        "target_key": subscription.target_key,
    }


def _mutes(names: set[str], rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The mute rules, active or scheduled, on any of these alarms."""
    found = []
    for rule in rules:
        schedule = (rule.get("Rule") or {}).get("Schedule") or {}
        for alarm in sorted(names & set(_names((rule.get("MuteTargets") or {}).get("AlarmNames")))):
            found.append(
                {
                    "alarm": alarm,
                    "name": rule.get("Name"),
                    "status": rule.get("Status"),
                    "expression": schedule.get("Expression"),
                    "duration": schedule.get("Duration"),
                    "timezone": schedule.get("Timezone"),
                    "starts": _stamp(rule.get("StartDate")),
                    "expires": _stamp(rule.get("ExpireDate")),
                }
            )
    return found


def _inputs_last(queries: Sequence[Mapping[str, Any]], sets: Sequence[Mapping[str, Any]]) -> str | None:
    """When the alarm last had every input that it cannot do without; inputs inside FILL count only where there are no others."""
    try:
        marked = [{**query, "returned": index == 0} for index, query in enumerate(queries)]
        spec = AlarmSpec.of(marked, period=60, threshold=0, comparison="", treat_missing="")
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


def _names(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _joined(values: Iterable[object]) -> str | None:
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
