"""Judge of row 1.1, `tool_slo_metrics_visible`: every registered tool's metrics are there, well-formed, fresh, on a dashboard.

Pure. The rules are CCNative's metrics contract; figures come from the table `tool_slo_summary`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TOOL_METRICS
from phase5_ops.ccnative.names import is_gateway_form
from phase5_ops.ccnative.registry import RegisteredTool, Registry
from phase5_ops.cloudwatch.metric_query import DASHBOARD_READS, MetricSet
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import read_findings, whole
from phase5_ops.sections.slo.summary.evidence import Summary, ToolSlo
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class MetricCode(FindingCodes):
    """The finding codes of row 1.1; the other checks on the table use some of them too."""

    NO_TOOL_REGISTERED = FindingCode(
        Verdict.INCONCLUSIVE,
        "Neither the action type registry nor the settings name a tool, so there is nothing that must be visible.",
        "Seed the action type registry, or check the setting tables.action_type_registry.",
        not_tried=True,
    )
    REGISTRY_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "An item of the action type registry cannot be understood, so a tool may be missing from what is judged.",
        "Repair the item that the finding names, or write it again with the platform's seed script.",
    )
    TOOL_WITHOUT_METRICS = FindingCode(
        Verdict.FAIL,
        "A registered tool has no data point of any of its metrics in 30 days.",
        "Check that the tool invoker emits metrics for the tool, and the setting metrics_namespace.",
    )
    METRIC_MISSING = FindingCode(
        Verdict.FAIL,
        "One of a tool's metrics is absent although the others show calls that must have produced it; tool_latency_ms and"
        " tool_success must be there whatever became of the calls.",
        "Check the emitting code and its permission cloudwatch:PutMetricData.",
    )
    DIMENSION_MISSING = FindingCode(
        Verdict.FAIL,
        "Data points lack a required dimension: tool_name and connector_id always, tenant_id on errors.",
        "Emit the dimension; data without it cannot be attributed.",
    )
    METRICS_STALE = FindingCode(
        Verdict.INCONCLUSIVE,
        "A tool's newest data point is too old to say how it is now.",
        "If the tool really had no traffic, wait for some, or mark it `traffic: rare` in the setting tools.",
        also=(Verdict.WARN,),
    )
    TOOL_NOT_REGISTERED = FindingCode(
        Verdict.WARN,
        "Metrics name a tool that neither the action type registry nor the settings know.",
        "Register the tool, or find out what emits under this name.",
    )
    TOOL_NAME_NOT_CANONICAL = FindingCode(
        Verdict.FAIL,
        "Metrics of a registered tool are emitted under the gateway's form of its name, so alarms and dashboards by name"
        " miss them.",
        "Emit the canonical tool name.",
    )
    CONNECTOR_NOT_CANONICAL = FindingCode(
        Verdict.FAIL,
        "Metrics of a registered tool are emitted with another connector than the one it runs through.",
        "Emit the canonical connector id, or correct the connector of the tool in the setting tools.",
    )
    CALL_COUNTS_DISAGREE = FindingCode(
        Verdict.WARN,
        "Latency samples and successes plus errors differ, though every call emits one of each: data points were lost or"
        " doubled.",
        "Compare the metrics named in the finding; the SLO figures are uncertain by the difference.",
    )
    DASHBOARD_MISSING = FindingCode(
        Verdict.FAIL,
        "No dashboard shows any metric of the registered tools.",
        "Create a dashboard with tool_latency_ms, tool_success and tool_error of every registered tool.",
    )
    DASHBOARD_INCOMPLETE = FindingCode(
        Verdict.FAIL,
        "No single dashboard shows every registered tool's three metrics; errors need the dimension sets with tenant_id.",
        "Add what the finding names; a SEARCH over {namespace, tool_name, connector_id, tenant_id} shows the errors of all"
        " tenants.",
    )
    TOO_FEW_SAMPLES = FindingCode(
        Verdict.INCONCLUSIVE,
        "A tool had too few calls, canaries not counted, to say anything about it, even over 30 days.",
        "Wait for traffic, or mark the tool `traffic: rare` in the setting tools.",
        also=(Verdict.WARN,),
        not_tried=True,
    )


@dataclass(frozen=True, slots=True)
class MetricsCase:
    """What the judges of the tool metrics look at.

    Attributes:
        summary: the table `tool_slo_summary`, with its reads. It gives ages relative to its own evaluation time.
        registered_tools: the table of that name, with its reads.
        policy: thresholds and windows.
        now: the time of judging, shown with the facts.
        links: console links.
        namespace: the metrics' namespace.
    """

    summary: Summary
    registered_tools: Registry
    policy: SloPolicy
    now: datetime
    links: ConsoleLinks
    namespace: str

    @property
    def judged_at(self) -> str:
        """The time of judging, for the facts."""
        return f"{self.now:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def evidence(self) -> EvidenceLink:
        """The metrics of the namespace in the console."""
        return EvidenceLink("Metrics", self.links.metric(self.namespace))

    def link(self, tool: str) -> str:
        """The tool's metrics in the console."""
        return self.links.metric(self.namespace, tool)

    def rows_of(self, tool: str) -> list[ToolSlo]:
        """The rows of a tool under all its names and connectors."""
        return [row for row in self.summary.rows if row.canonical_tool == tool]

    def decided(self) -> list[tuple[RegisteredTool, list[ToolSlo]]]:
        """The registered tools of which everything was read, so that what is not there is really absent, each with its rows."""
        if not whole(read for read in self.summary.reads if read.operation == "cloudwatch:ListMetrics"):
            return []
        tools = [(tool, self.rows_of(tool.tool)) for tool in self.registered_tools.rows]
        return [(tool, rows) for tool, rows in tools if not any(row.unread_sets for row in rows)]

    def unread(self, *, ignoring: Sequence[str] = DASHBOARD_READS) -> list[Finding]:
        """What could not be read of the metrics and of the registered tools, but for reads that a check does not need."""
        return [
            *read_findings(self.registered_tools.reads),
            *read_findings(self.summary.reads, ignoring=ignoring),
            *_registry_findings(self.registered_tools),
        ]


def judge_metrics_visible(case: MetricsCase) -> Judgement:
    """Row 1.1."""
    summary, registered_tools = case.summary, case.registered_tools
    gaps = _dashboard_gaps(summary, registered_tools)
    complete = [name for name in summary.facts.dashboards if registered_tools.rows and not gaps[name]]
    findings = case.unread(ignoring=DASHBOARD_READS if complete else ())
    for tool, rows in case.decided():
        findings += _presence_findings(tool, rows, case.policy, case.link(tool.tool))
    for row in summary.rows:
        findings += _form_findings(row, case.link(row.canonical_tool), known=whole(registered_tools.reads))
    if not complete and registered_tools.rows and whole(read for read in summary.reads if read.operation in DASHBOARD_READS):
        findings.append(_dashboard_finding(case, gaps))
    names = [tool.tool for tool in registered_tools.rows]
    silent = sum(not _has_data(case.rows_of(tool)) for tool in names)
    return conclude(
        judged=len(names),
        summary=f"{len(names) - silent} of {len(names)} registered tools emit metrics; "
        + (f"dashboard {complete[0]} shows them all" if complete else "no dashboard shows them all"),
        findings=findings,
        facts={
            "judged_at": case.judged_at,
            "registered_tools": len(names),
            "tools_without_metrics": silent,
            "requests": sum(row.requests for row in summary.rows),
            "canary_requests": sum(row.canary_requests for row in summary.rows),
            "dimension_sets": sum(len(row.dimension_sets) for row in summary.rows),
            "dashboards": len(summary.facts.dashboards),
            "lookback_hours": case.policy.lookback_hours,
        },
        evidence=[case.evidence, EvidenceLink("Dashboards", case.links.dashboards())],
    )


def _has_data(rows: Sequence[ToolSlo]) -> bool:
    """True if a call was counted in 30 days."""
    return any(row.requests_30d + row.latency_samples_30d > 0 for row in rows)


def real_calls(rows: Sequence[ToolSlo], suffix: str = "") -> int:
    """Calls with both result and latency that were not canaries, over the lookback or (suffix `_30d`) 30 days."""

    def total(name: str) -> int:
        return sum(getattr(row, f"{name}{suffix}") for row in rows)

    return min(total("requests"), total("latency_samples")) - total("canary_requests")


def lenient(traffic: str) -> Verdict | None:
    """The verdict of too little data: WARN for a tool of rare traffic, else the code's own."""
    return Verdict.WARN if traffic == "rare" else None


def _registry_findings(registered_tools: Registry) -> Iterator[Finding]:
    """What is wrong with the list of registered tools itself."""
    for entry in registered_tools.facts.malformed:
        yield MetricCode.REGISTRY_RECORD_MALFORMED.at(
            entry["item"], expected="an item of the action type registry", seen=entry["problem"]
        )
    if not registered_tools.rows and whole(registered_tools.reads):
        yield MetricCode.NO_TOOL_REGISTERED.at(
            "action type registry", expected="at least one tool", seen="no tool in registry or settings"
        )


def too_few(tool: RegisteredTool, rows: Sequence[ToolSlo], policy: SloPolicy, link: str | None) -> Iterator[Finding]:
    """`TOO_FEW_SAMPLES` unless the lookback or 30 days hold enough calls that were not canaries."""
    lookback, month = real_calls(rows), real_calls(rows, "_30d")
    if max(lookback, month) < policy.min_samples:
        yield MetricCode.TOO_FEW_SAMPLES.at(
            tool.tool,
            expected=f"at least {policy.min_samples} calls with result and latency",
            seen=f"{month} calls in 30 days, {lookback} in the last {policy.lookback_hours} h (canaries not counted)",
            verdict=lenient(tool.traffic),
            link=link,
        )


def _presence_findings(tool: RegisteredTool, rows: Sequence[ToolSlo], policy: SloPolicy, link: str) -> Iterator[Finding]:
    """Whether a registered tool's metrics are there, enough and fresh; only for a tool of which everything was read."""
    if not _has_data(rows):
        yield MetricCode.TOOL_WITHOUT_METRICS.at(
            tool.tool,
            expected=f"{', '.join(TOOL_METRICS)} for connector {tool.connector}",
            seen="no data point in 30 days",
            link=link,
        )
        return
    for row in rows:
        for metric in row.missing_metrics:
            yield MetricCode.METRIC_MISSING.at(
                f"{label(row)} {metric}",
                expected="a data point for every call"
                if metric == ERROR
                else f"every registered tool shows {LATENCY}, {SUCCESS}",
                seen=f"none, beside {row.latency_samples_30d} latency samples, {row.requests_30d - row.errors_30d} successes and"
                f" {row.errors_30d} errors in 30 days",
                link=link,
            )
        if row.settled_requests != row.settled_latency_samples and not row.missing_metrics:
            yield MetricCode.CALL_COUNTS_DISAGREE.at(
                label(row),
                expected="as many latency samples as successes plus errors",
                seen=f"{row.settled_latency_samples} latency samples, {row.settled_requests} successes plus errors"
                f" in the last {policy.lookback_hours} h",
                link=link,
            )
    yield from _freshness(tool, rows, policy, link)
    if not any(row.missing_metrics for row in rows):  # otherwise the missing metric is why calls are few
        yield from too_few(tool, rows, policy, link)


def _freshness(tool: RegisteredTool, rows: Sequence[ToolSlo], policy: SloPolicy, link: str) -> Iterator[Finding]:
    """`METRICS_STALE` unless a call that was not a canary is young enough."""
    ages = [row.last_datapoint_age_seconds for row in rows if row.last_datapoint_age_seconds is not None]
    age = min(ages, default=None)
    last = max((row.last_datapoint_at for row in rows if row.last_datapoint_at), default=None)
    if age is None or last is None or age > policy.max_datapoint_age_minutes * 60:
        yield MetricCode.METRICS_STALE.at(
            tool.tool,
            expected=f"a data point within {policy.max_datapoint_age_minutes} min",
            seen="none but those of canaries"
            if age is None or last is None
            else f"the newest is {duration(age)} old ({last:%Y-%m-%d %H:%M} UTC)",
            verdict=lenient(tool.traffic),
            link=link,
        )


def _form_findings(row: ToolSlo, link: str, *, known: bool) -> Iterator[Finding]:
    """Whether a row's tool, connector and dimensions are canonical and whole; `known`: it is known which tools are registered."""
    for entry in row.bad_dimension_sets:
        yield MetricCode.DIMENSION_MISSING.at(
            MetricSet.of(entry["metric"], entry["dimensions"]).label,
            expected=f"dimension {' and '.join(entry['missing'])}",
            seen=f"only {', '.join(sorted(entry['dimensions'])) or 'no dimension at all'}",
            link=link,
        )
    if row.tool and not row.registered and known:
        yield MetricCode.TOOL_NOT_REGISTERED.at(
            label(row),
            expected="a tool of the action type registry or the settings",
            seen=f"{row.requests_30d} calls in 30 days",
            link=link,
        )
    elif row.registered and is_gateway_form(row.tool):
        yield MetricCode.TOOL_NAME_NOT_CANONICAL.at(
            label(row),
            expected=f"tool_name {row.canonical_tool}",
            seen=f"{row.tool}, {row.requests_30d} calls in 30 days",
            link=link,
        )
    if row.registered and row.connector and row.connector != row.expected_connector:
        yield MetricCode.CONNECTOR_NOT_CANONICAL.at(
            label(row),
            expected=f"connector_id {row.expected_connector}",
            seen=f"{row.connector}, {row.requests_30d} calls in 30 days",
            link=link,
        )


def _dashboard_gaps(summary: Summary, registered_tools: Registry) -> dict[str, list[str]]:
    """`tool metric` of everything that a dashboard leaves out, by dashboard."""
    shown = {(entry["dashboard"], row.canonical_tool): entry["metrics"] for row in summary.rows for entry in row.dashboards}
    return {
        name: [
            f"{tool.tool} {metric}"
            for tool in registered_tools.rows
            for metric in TOOL_METRICS
            if metric not in shown.get((name, tool.tool), ())
        ]
        for name in summary.facts.dashboards
    }


def _dashboard_finding(case: MetricsCase, gaps: Mapping[str, Sequence[str]]) -> Finding:
    """What is wrong where no dashboard is complete."""
    facts, tools, links = case.summary.facts, case.registered_tools.rows, case.links
    most = len(tools) * len(TOOL_METRICS)
    best = min(gaps, key=lambda name: (len(gaps[name]), name), default=None)
    parts = facts.dashboards_not_understood.items()
    unread = [f"{part} of {name}" for name, listing in sorted(parts, key=lambda entry: entry[0] != best) for part in listing]
    unread = [*facts.dashboards_malformed, *unread]
    hint = f"; not understood: {first_few(unread)}" if unread else ""
    unfit = facts.dashboards_unfit.get(best or "", ())
    hint += f"; drawn in a way that tells nothing about the SLO: {first_few(unfit)}" if unfit else ""
    if best is None or len(gaps[best]) == most:
        return MetricCode.DASHBOARD_MISSING.at(
            "dashboards",
            expected="a dashboard with every registered tool's metrics",
            seen=f"{len(gaps)} dashboards, none shows a tool metric{hint}",
            link=links.dashboards(),
        )
    return MetricCode.DASHBOARD_INCOMPLETE.at(
        best,
        expected=f"all {most} metrics of {len(tools)} tools on one dashboard",
        seen=f"not shown: {first_few(gaps[best])}{hint}",
        link=links.dashboard(best),
    )


def label(row: ToolSlo) -> str:
    """How a row is named: `crm.create_task (crm_salesforce)`."""
    return f"{row.tool or 'no tool_name'} ({row.connector or 'no connector_id'})"


def duration(seconds: float) -> str:
    """A length of time for people: `42 min`, `5.5 h`, `3.2 days`."""
    minutes = seconds / 60
    if minutes < 120:  # noqa: PLR2004 - below two hours minutes say it best
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{round(hours, 1):g} h" if hours < 48 else f"{round(hours / 24, 1):g} days"  # noqa: PLR2004 - nor above two days
