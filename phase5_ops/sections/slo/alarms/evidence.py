"""The evidence table `slo_alarms`: for every registered tool and signal what is required, beside the alarms that exist. Pure.

`topics_to_read` says which SNS topics bear on these alarms; `slo_alarms_table` builds the table from what was read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TOOL_METRICS
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.ccnative.registry import RegisteredTool, Registry
from phase5_ops.clock import parse_iso
from phase5_ops.cloudwatch.alarm_answers import Alarms, Topic
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, filled
from phase5_ops.reads import Read, distinct
from phase5_ops.sections.slo.alarms.composites import Composites
from phase5_ops.sections.slo.alarms.description import account_of, alarm_columns, is_topic, names_in, queries_of
from phase5_ops.sections.slo.alarms.model import AlarmError, AlarmSpec, Leaf, ToolTraffic, signal_of, tools_of
from phase5_ops.sections.slo.summary.evidence import Summary, ToolSlo

SIGNALS = ("latency", "error")

#: Stands for the condition of an alarm of which only the queries are looked at.
_ANY_CONDITION: Mapping[str, Any] = {"period": 60, "threshold": 0, "comparison": "", "treat_missing": ""}

_JSON = Column(json={"sort_keys": True, "separators": (",", ":"), "default": str})


@dataclass(frozen=True, slots=True)
class SloAlarm:
    """One row of `slo_alarms`: a tool, a signal and a candidate alarm; where there is none, the alarm's columns are null.

    These are followed by one row per other alarm on the platform's metrics or namespace, with tool and signal null. Timestamps
    are ISO-8601 UTC.
    """

    tool: Annotated[str | None, "canonical name of a registered tool"] = None
    connector: Annotated[str | None, "that the tool runs through"] = None
    traffic: Annotated[str | None, "of the tool: steady, rare"] = None
    signal: Annotated[str | None, "latency, error"] = None
    alarm: Annotated[str | None, "its name"] = None
    namespace: Annotated[str | None, 'namespaces read, joined by ", "'] = None
    metric: Annotated[str | None, 'metrics read, joined by ", "'] = None
    statistic: Annotated[str | None, 'statistics, joined by ", "'] = None
    expression: Annotated[str | None, "of the query that is compared, where it is math or Metrics Insights"] = None
    queries: Annotated[
        list[dict[str, Any]] | None,
        "[{id, metric, namespace, dimensions, stat, unit, account, expression, returned, period}]",
        _JSON,
    ] = None
    period: Annotated[int | None, "seconds"] = None
    evaluation_periods: Annotated[int | None, "number of periods that are looked at"] = None
    datapoints_to_alarm: Annotated[int | None, "number of those periods that must breach"] = None
    threshold: Annotated[float | None, "in the unit of what is compared: milliseconds of a latency, else a count or share"] = None
    comparison: Annotated[str | None, "ComparisonOperator"] = None
    treat_missing: Annotated[str | None, "TreatMissingData"] = None
    low_sample: Annotated[str | None, "EvaluateLowSampleCountPercentile"] = None
    account: Annotated[str | None, "of its metrics"] = None
    region: Annotated[str | None, "where it is"] = None
    arn: Annotated[str | None, "its ARN"] = None
    actions_enabled: Annotated[bool | None, "ActionsEnabled"] = None
    alarm_actions: Annotated[list[str] | None, "ARNs", _JSON] = None
    topics: Annotated[
        dict[str, dict[str, Any]] | None,
        "of all SNS actions: {ARN: {exists, confirmed, pending, error, policy, key, subscriptions}}",
        _JSON,
    ] = None
    parents: Annotated[
        list[dict[str, Any]] | None,
        "the composites above it: [{alarm, way, why, actions_enabled, actions, suppressor, ...}]",
        _JSON,
    ] = None
    mute_rules: Annotated[
        list[dict[str, Any]] | None, "[{alarm, name, status, expression, duration, timezone, starts, expires}]", _JSON
    ] = None
    state: Annotated[str | None, "OK, ALARM, INSUFFICIENT_DATA"] = None
    state_reason: Annotated[str | None, "as CloudWatch gives it"] = None
    state_updated_at: Annotated[str | None, "since when it is in that state"] = None
    configured_at: Annotated[str | None, "when its definition was last changed"] = None
    evaluation_state: Annotated[str | None, "EvaluationState"] = None
    description: Annotated[str | None, "AlarmDescription"] = None
    url: Annotated[str | None, "its page in the console"] = None
    unreadable: Annotated[str | None, "why the alarm could not be understood"] = None
    inputs_last_datapoint_at: Annotated[str | None, "when the last of its inputs that it cannot do without last had data"] = None
    requests_per_period: Annotated[float | None, "number of requests: median over the 5-minute windows with requests"] = None
    tool_sets: Annotated[
        list[dict[str, Any]] | None,
        "of the tool: [{metric, dimensions, last_datapoint_at, samples}]; samples: of the lookback",
        _JSON,
    ] = None
    request_windows: Annotated[list[float] | None, "requests of consecutive 5-minute windows", _JSON] = None


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """What is known beside the rows.

    Attributes:
        metrics_namespace: that the platform emits to.
        composite_rules: of the composites above these alarms, of their suppressors, and of all that these rest on, by name.
    """

    metrics_namespace: str = ""
    composite_rules: dict[str, str] = field(default_factory=dict)


SLO_ALARMS = DeclaredTable(SloAlarm, AlarmFacts)
SloAlarms = GatheredTable[SloAlarm, AlarmFacts]


def topics_to_read(alarms: Alarms, namespace: str) -> list[str]:
    """The SNS topics that alarms on the platform's metrics, and composites above them, publish to when they go into ALARM."""
    composites = Composites(alarms.composite_alarms, {})
    arns = set()
    for raw in alarms.metric_alarms:
        if _reads_platform(queries_of(raw), namespace):
            arns.update(names_in(raw.get("AlarmActions")))
            for parent in composites.above(str(raw.get("AlarmName"))):
                arns.update(parent["actions"])
    return sorted(arn for arn in arns if is_topic(arn))


def slo_alarms_table(
    registered_tools: Registry,
    tool_slo_summary: Summary,
    alarms: Alarms,
    topics: Mapping[str, Topic],
    *,
    topic_reads: Sequence[Read],
    namespace: str,
    links: ConsoleLinks,
    observed_at: datetime,
) -> SloAlarms:
    """The evidence table.

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
    tools = _tools(registered_tools.rows, tool_slo_summary.rows)
    traffic = {tool: traffic_of(SloAlarm(**columns)) for tool, columns in tools.items()}
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
                columns | {"inputs_last_datapoint_at": _inputs_last(queries, account_of(raw), tools[tool]["tool_sets"])}
            )
        if not about or not signal:
            others.append(columns)
    rows = [
        SloAlarm(**tools[tool], signal=signal, requests_per_period=traffic[tool].requests(found.get("period") or 300), **found)
        for (tool, signal), listed in candidates.items()
        for found in listed or [{}]
    ]
    reads = [*registered_tools.reads, *tool_slo_summary.reads, *alarms.reads, *topic_reads]
    all_rows = [*rows, *(SloAlarm(**columns) for columns in others)]
    above = [parent for row in all_rows for parent in row.parents or ()]
    rules = composites.rules(name for parent in above for name in (parent["alarm"], parent["suppressor"]) if name)
    table = SLO_ALARMS.gathered(all_rows, AlarmFacts(namespace, rules))
    return table.with_reads(distinct(reads), observed_at)


def spec_of(row: SloAlarm) -> AlarmSpec:
    """The alarm of a row, ready to be tried.

    Raises:
        AlarmError: it cannot work or cannot be understood.
    """
    if row.period is None:
        raise AlarmError("no period")
    return AlarmSpec.of(
        filled(row.queries),
        row.account,
        period=row.period,
        threshold=row.threshold,
        comparison=str(row.comparison),
        treat_missing=str(row.treat_missing),
    )


def traffic_of(row: SloAlarm) -> ToolTraffic:
    """The traffic of the tool of a row."""
    entries = filled(row.tool_sets)
    chosen = [entry for entry in entries if entry["samples"]] or entries
    sets = [(entry["metric"], entry["dimensions"]) for entry in chosen]
    return ToolTraffic(filled(row.tool), filled(row.connector), sets, filled(row.request_windows))


def _tools(registered: Iterable[RegisteredTool], summary: Sequence[ToolSlo]) -> dict[str, dict[str, Any]]:
    """The columns of every registered tool, whatever the alarm, by its canonical name."""
    tools: dict[str, dict[str, Any]] = {}
    for row in sorted(registered, key=lambda row: row.tool):
        tool = canonical_tool(row.tool)
        mine = [measured for measured in summary if canonical_tool(measured.tool) == tool]
        sets = [entry for measured in mine for entry in measured.dimension_sets]
        tools[tool] = {
            "tool": tool,
            "connector": row.connector,
            "traffic": row.traffic,
            "tool_sets": [
                {key: entry.get(key) for key in ("metric", "dimensions", "last_datapoint_at", "samples")} for entry in sets
            ],
            "request_windows": _windows([window for measured in mine for window in measured.windows]),
        }
    return tools


def _windows(windows: Iterable[Mapping[str, Any]]) -> list[float]:
    """Requests of consecutive 5-minute windows, added up over connectors; a window that is not there had none."""
    requests: dict[int, float] = {}
    for window in windows:
        slot = int(parse_iso(window["start"]).timestamp()) // 300
        requests[slot] = requests.get(slot, 0) + float(window["requests"] or 0)
    return [requests.get(slot, 0) for slot in range(min(requests), max(requests) + 1)] if requests else []


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
    """When the alarm last had every input that it needs; inputs inside FILL count only where there are no others."""
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
