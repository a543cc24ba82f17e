"""Judge of `calls_are_measured`: the metrics show the calls that executions made, and what became of them. Pure.

Each execution whose tool ran made one call at least, whose data points lie in the five-minute windows that it touches. Executions
and measured calls are matched: each execution takes one call of its windows, the one that must end first before the others, which
matches as many as can be matched at all (earliest deadline first). What is left over no data point can be about. More calls than
executions are no finding: InvokeTool repeats a call up to three times, and the wrapper measures perception too, which executes
nothing.

What may differ, and why, stands in docs/executions.md.
"""

import heapq
from collections import Counter, defaultdict
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
from phase5_ops.verdict import EvidenceLink, Fact, Finding, Judgement, Verdict, conclude

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


Windows = Counter[int]  # start of a five-minute window, epoch seconds -> calls


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
    calls, errors, coarse = _windows_of(measured.rows)
    first = int(measured.since.timestamp())
    last = int(measured.until.timestamp()) - _SETTLING_SECONDS - WINDOW_SECONDS
    demanded = {tool: _within(spans, first, last) for tool, spans in table.facts.calls.by_tool.items()}
    demanded = {tool: spans for tool, spans in demanded.items() if spans}
    metric_reads = [read for read in measured.reads if read.operation not in DASHBOARD_READS]
    findings = [*read_findings(table.reads), *read_findings(metric_reads), *malformed_findings(table, links, of_calls=True)]
    shortfalls: Counter[str] = Counter()
    for tool, spans in sorted(demanded.items()):
        link = links.metric(namespace, tool)
        if tool in coarse:
            findings.append(
                CallCode.CALLS_NOT_COMPARABLE.at(
                    tool, expected="calls by five minutes", seen="calls in longer periods alone", link=link
                )
            )
        elif whole(metric_reads):
            found = _compared(spans, calls[tool], errors[tool])
            shortfalls.update(unmeasured=found.unmeasured, hidden=found.hidden)
            findings += _of_tool(tool, found, policy, link)
    findings += _refused(table, policy, slo)
    compared = sum(span.calls for spans in demanded.values() for span in spans)
    if not compared and whole(table.reads):
        findings.append(
            CallCode.NO_CALL_IN_WINDOW.at(
                f"{stamp_of(first * 1000)} to {stamp_of((last + WINDOW_SECONDS) * 1000)}",
                expected="at least one execution whose tool is known to have been called",
                seen=f"{table.facts.calls.tool_unknown} executions whose tool is not known",
            )
        )
    return conclude(
        judged=compared,
        summary=f"{compared - shortfalls['unmeasured']} of {compared} executions of {len(demanded)} tools are in the metrics.",
        findings=findings,
        facts=_facts(table, compared, calls, demanded, shortfalls),
        evidence=[EvidenceLink("Metrics", links.metric(namespace))],
    )


def _windows_of(rows: Iterable[MeasuredTool]) -> tuple[dict[str, Windows], dict[str, Windows], set[str]]:
    """Calls and errors by tool and window, and the tools of which not all calls are known by the window.

    A call has a latency and a result; one that has lost one of the two was measured all the same, which row 1.1 judges.
    """
    calls: dict[str, Windows] = defaultdict(Counter)
    errors: dict[str, Windows] = defaultdict(Counter)
    coarse = set()
    for row in rows:
        for window in row.windows:
            start = int(parse_iso(window["start"]).timestamp())
            calls[row.canonical_tool][start] += max(window["requests"], window["latency_samples"])
            errors[row.canonical_tool][start] += window["errors"]
        if sum(window["requests"] for window in row.windows) != row.requests:
            coarse.add(row.canonical_tool)
    return calls, errors, coarse


def _within(spans: Iterable[CallSpan], first: int, last: int) -> list[CallSpan]:
    """The spans that lie within the windows that were measured and have settled."""
    return [span for span in spans if first <= span.first and span.last <= last]


@dataclass(frozen=True, slots=True)
class _Compared:
    """What came of comparing one tool's executions with its metrics.

    Attributes:
        executions, failures: how many there were, and how many of them reported a failure.
        missing: executions that no measured call can be, by their windows.
        hidden_spans: reported failures that no measured error can be, by their windows.
    """

    executions: int
    failures: int
    missing: Counter[tuple[int, int]]
    hidden_spans: Counter[tuple[int, int]]

    @property
    def unmeasured(self) -> int:
        """How many executions no measured call can be."""
        return self.missing.total()

    @property
    def hidden(self) -> int:
        """How many failures are successes in the metrics: one that was not measured at all is none."""
        excused = sum(
            min(count, sum(few for (begin, end), few in self.missing.items() if begin <= last and first <= end))
            for (first, last), count in self.hidden_spans.items()
        )
        return self.hidden_spans.total() - min(self.unmeasured, excused)


def _compared(spans: Sequence[CallSpan], calls: Windows, errors: Windows) -> _Compared:
    return _Compared(
        sum(span.calls for span in spans),
        sum(span.failed for span in spans),
        unmatched([(span.first, span.last, span.calls) for span in spans], calls),
        unmatched([(span.first, span.last, span.failed) for span in spans if span.failed], errors),
    )


def _of_tool(tool: str, found: _Compared, policy: ExecutionPolicy, link: str) -> Iterator[Finding]:
    """What is wrong with the metrics of one tool."""
    if found.unmeasured > policy.max_unmeasured_share * found.executions:
        yield CallCode.EXECUTION_NOT_MEASURED.at(
            tool,
            expected=f"a call in the metrics for each of {found.executions} executions",
            seen=f"none for {found.unmeasured} of them, the first between {_span(min(found.missing))}",
            link=link,
        )
    if found.hidden > policy.max_hidden_failure_share * found.executions:
        yield CallCode.FAILURE_MEASURED_AS_SUCCESS.at(
            tool,
            expected=f"{found.failures} reported failures among the errors in the metrics",
            seen=f"{found.hidden} of them are not, the first between {_span(min(found.hidden_spans))}",
            link=link,
        )


def unmatched(spans: Iterable[tuple[int, int, int]], windows: Mapping[int, int]) -> Counter[tuple[int, int]]:
    """Of spans (first window, last window, how many), those that are left over when each has taken one call of its windows.

    Each window gives its calls to the spans that end first, which leaves over as few as possible.
    """
    waiting = sorted(spans)
    left: Counter[tuple[int, int]] = Counter()
    open_: list[list[int]] = []  # last window, first window, how many
    position = 0
    for window in sorted({*windows, *(first for first, _, _ in waiting)}):
        while position < len(waiting) and waiting[position][0] <= window:
            first, last, count = waiting[position]
            heapq.heappush(open_, [last, first, count])
            position += 1
        available = windows.get(window, 0)
        while open_ and open_[0][0] < window:
            last, first, count = heapq.heappop(open_)
            left[first, last] += count
        while open_ and available:
            taken = min(available, open_[0][2])
            available -= taken
            open_[0][2] -= taken
            if not open_[0][2]:
                heapq.heappop(open_)
    for last, first, count in open_:
        left[first, last] += count
    return left


def _span(windows: tuple[int, int]) -> str:
    first, last = windows
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


def _facts(
    table: Executions,
    compared: int,
    calls: Mapping[str, Windows],
    demanded: Mapping[str, Sequence[CallSpan]],
    shortfalls: Counter[str],
) -> dict[str, Fact]:
    found = table.facts.calls
    return {
        "executions_ended": found.ended,
        "executions_compared": compared,
        "executions_not_measured": shortfalls["unmeasured"],
        "failures_measured_as_success": shortfalls["hidden"],
        "executions_of_unknown_tool": found.tool_unknown,
        "executions_refused": found.refused,
        "tools_compared": len(demanded),
        "calls_measured": sum(sum(windows.values()) for windows in calls.values()),
        "test_executions_left_out": table.facts.test_executions,
    }
