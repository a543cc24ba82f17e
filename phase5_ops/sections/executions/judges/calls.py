"""Judge of `calls_are_measured`: the metrics show the calls that executions made, and what became of them. Pure.

Each execution whose tool ran made one call at least, whose data points lie in the five-minute windows that it touches. Executions
and measured calls are matched, as many as can be matched at all (`matching`); what is left over no data point can be about. More
calls than executions are no finding: InvokeTool repeats a call up to three times, and the wrapper measures perception too, which
executes nothing. Executions whose tool is named nowhere are matched with what those of named ones leave of all tools' calls.

What may differ, and why, stands in docs/executions.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.ledger import stamp_of
from phase5_ops.clock import parse_iso
from phase5_ops.cloudwatch.metric_query import DASHBOARD_READS
from phase5_ops.policy import ExecutionPolicy, SloPolicy
from phase5_ops.reads import Read, read_findings, whole
from phase5_ops.sections.executions.codes import CallCode
from phase5_ops.sections.executions.demand import WINDOW_SECONDS, CallSpan
from phase5_ops.sections.executions.evidence import Executions
from phase5_ops.sections.executions.judges.ends import malformed_findings
from phase5_ops.sections.executions.judges.matching import Matched, Spans, Windows, matched
from phase5_ops.verdict import EvidenceLink, Finding, Judgement, Verdict, conclude

#: What findings are about that are about executions whose tool is named nowhere.
UNNAMED = "executions whose tool is not named"

_SETTLING_SECONDS = 300  # data points of one call may not have arrived together yet


class MeasuredTool(Protocol):
    """What is needed of a row of `tool_slo_summary`."""

    canonical_tool: str
    requests: int
    windows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """The tools' metrics: the rows of `tool_slo_summary`, how they were read, and from when to when its windows reach."""

    rows: Sequence[MeasuredTool]
    reads: Sequence[Read]
    since: datetime
    until: datetime


def judge_calls_measured(
    table: Executions, measured: Measured, *, policy: ExecutionPolicy, slo: SloPolicy, namespace: str, links: ConsoleLinks
) -> Judgement:
    """Every call that an execution of the SLO's lookback made is in the metrics, and the failures among them are errors.

    Args:
        table: `execution_outcomes`, with its reads.
        measured: what metrics show.
        policy: what may differ.
        slo: how few executions decide nothing of a share.
        namespace: of the metrics.
        links: console links.
    """
    first = int(measured.since.timestamp())
    last = int(measured.until.timestamp()) - _SETTLING_SECONDS - WINDOW_SECONDS
    demanded = {tool: _within(spans, first, last) for tool, spans in sorted(table.facts.calls.by_tool.items())}
    demanded = {tool: spans for tool, spans in demanded.items() if spans}
    unnamed = _within(table.facts.calls.unnamed, first, last)
    metric_reads = [read for read in measured.reads if read.operation not in DASHBOARD_READS]
    metrics = _Metrics(measured.rows) if whole(metric_reads) else None
    found = metrics.matched(demanded, unnamed) if metrics is not None else {}
    findings = [*read_findings(table.reads), *read_findings(metric_reads), *malformed_findings(table, links, of_calls=True)]
    for subject in (*demanded, *([UNNAMED] if unnamed else [])):
        link = links.metric(namespace) if subject == UNNAMED else links.metric(namespace, subject)
        if subject in found:
            findings += _of_tool(subject, found[subject], policy, link)
        elif metrics is not None:
            findings.append(
                CallCode.CALLS_NOT_COMPARABLE.at(
                    subject, expected="calls by five minutes", seen="calls in longer periods alone", link=link
                )
            )
    findings += _refused(table, policy, slo)
    compared = sum(span.calls for spans in (*demanded.values(), unnamed) for span in spans)
    if not compared and whole(table.reads):
        findings.append(
            CallCode.NO_CALL_IN_WINDOW.at(
                f"{stamp_of(first * 1000)} to {stamp_of((last + WINDOW_SECONDS) * 1000)}",
                expected="at least one execution that is known to have called a tool",
                seen=f"{table.facts.calls.tool_unknown} executions of which that is not known",
            )
        )
    unmeasured = sum(each.unmeasured for each in found.values())
    return conclude(
        judged=compared,
        summary=f"{compared - unmeasured} of {compared} executions of {len(demanded)} tools are in the metrics.",
        findings=findings,
        facts={
            "executions_ended": table.facts.calls.ended,
            "executions_compared": compared,
            "executions_not_measured": unmeasured,
            "failures_measured_as_success": sum(each.hidden.total() for each in found.values()),
            "executions_of_unknown_tool": table.facts.calls.tool_unknown,
            "executions_of_unnamed_tool": sum(span.calls for span in unnamed),
            "executions_refused": table.facts.calls.refused,
            "tools_compared": len(demanded),
            "calls_measured": sum(windows.total() for windows in metrics.calls.values()) if metrics is not None else 0,
            "test_executions_left_out": table.facts.test_executions,
        },
        evidence=[EvidenceLink("Metrics", links.metric(namespace))],
    )


class _Metrics:
    """Calls and errors by tool and window, and the tools of which not all calls are known by the window.

    A call has a latency and a result; one that has lost one of the two was measured all the same, which row 1.1 judges.
    """

    def __init__(self, rows: Iterable[MeasuredTool]) -> None:
        self.calls: dict[str, Windows] = defaultdict(Windows)
        self._errors: dict[str, Windows] = defaultdict(Windows)
        self._coarse = set()
        for row in rows:
            for window in row.windows:
                start = int(parse_iso(window["start"]).timestamp())
                self.calls[row.canonical_tool][start] += max(window["requests"], window["latency_samples"])
                self._errors[row.canonical_tool][start] += window["errors"]
            if sum(window["requests"] for window in row.windows) != row.requests:
                self._coarse.add(row.canonical_tool)

    def matched(self, demanded: Mapping[str, Sequence[CallSpan]], unnamed: Sequence[CallSpan]) -> dict[str, Matched]:
        """Each tool's executions with its calls, and the unnamed with what these leave; without what cannot be compared."""
        found = {
            tool: matched(*_spans(spans), self.calls[tool], self._errors[tool])
            for tool, spans in demanded.items()
            if tool not in self._coarse
        }
        if unnamed and not self._coarse:
            all_calls, all_errors = (sum(each.values(), Windows()) for each in (self.calls, self._errors))
            found[UNNAMED] = matched(*_spans(unnamed), all_calls, all_errors, beside=list(found.values()))
        return found


def _within(spans: Iterable[CallSpan], first: int, last: int) -> list[CallSpan]:
    """The spans that lie within the windows that were measured and have settled."""
    return [span for span in spans if first <= span.first and span.last <= last]


def _spans(of: Iterable[CallSpan]) -> tuple[Spans, Spans]:
    """The executions, and those of them that reported a failure."""
    executions, failures = Spans(), Spans()
    for span in of:
        executions[span.first, span.last] += span.calls
        failures[span.first, span.last] += span.failed
    return executions, +failures


def _of_tool(tool: str, found: Matched, policy: ExecutionPolicy, link: str) -> Iterator[Finding]:
    """What is wrong with the metrics of one tool."""
    executions = found.executions.total()
    if found.unmeasured > policy.max_unmeasured_share * executions:
        yield CallCode.EXECUTION_NOT_MEASURED.at(
            tool,
            expected=f"a call in the metrics for each of {executions} executions",
            seen=f"none for {found.unmeasured} of them, the first between {_first(found.missing, found.executions)}",
            link=link,
        )
    if found.hidden.total() > policy.max_hidden_failure_share * executions + _lost(found, policy):
        yield CallCode.FAILURE_MEASURED_AS_SUCCESS.at(
            tool,
            expected=f"{found.failures.total()} reported failures among the errors in the metrics",
            seen=f"{found.hidden.total()} of them are not, the first between {_first(found.hidden, found.failures)}",
            link=link,
        )


def _lost(found: Matched, policy: ExecutionPolicy) -> float:
    """How many of the hidden failures may be data points that were lost, in whose place stands a call of something else.

    What remains of those that may be lost, as long as more failures are errors than not: what is lost is lost by chance.
    """
    remaining = policy.max_unmeasured_share * found.executions.total() - found.unmeasured
    return max(remaining, 0) if found.shown > found.hidden.total() else 0


def _first(left: Spans, of: Spans) -> str:
    """When the first of those was that were left over; where others were left over in their place, the first of all."""
    first, last = min(left & of or of)
    return f"{stamp_of(first * 1000)} and {stamp_of((last + WINDOW_SECONDS) * 1000)}"


def _refused(table: Executions, policy: ExecutionPolicy, slo: SloPolicy) -> Iterator[Finding]:
    """Executions that a breaker refused: their calls emit nothing."""
    calls = table.facts.calls
    if not calls.refused:
        return
    many = calls.ended >= slo.min_samples and calls.refused > policy.max_refused_share * calls.ended
    yield CallCode.CALLS_REFUSED.at(
        "executions refused by a connector's breaker",
        expected=f"at most {policy.max_refused_share:.2%} of the executions, which no metric counts",
        seen=f"{calls.refused} of {calls.ended}",
        verdict=Verdict.FAIL if many else None,
    )
