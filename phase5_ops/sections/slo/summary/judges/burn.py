"""Judge of the extra check `error_budget_not_burning`: multiwindow, multi-burn-rate, as the SRE workbook has it. Pure.

A budget burns where both windows of a pair exceed the pair's factor: the long one makes it significant, the short one current.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.policy import SloPolicy
from phase5_ops.sections.slo.summary.evidence import ToolSlo
from phase5_ops.sections.slo.summary.judges.visible import MetricCode, MetricsCase, duration, label, lenient
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class BurnCode(FindingCodes):
    """The finding codes of the check error_budget_not_burning alone."""

    ERROR_BUDGET_BURNING = FindingCode(
        Verdict.FAIL,
        "A tool uses up its error budget faster than a pair of burn-rate windows allows (WARN: few calls in the short one).",
        "Treat it as an incident; the runbook's alarm section says how.",
        also=(Verdict.WARN,),
    )


def judge_budget_not_burning(case: MetricsCase) -> Judgement:
    """The check error_budget_not_burning, per registered tool, SLI and pair of windows."""
    summary, findings, decided = case.summary, case.unread(), case.decided()
    for tool, rows in decided:
        findings += _tool_findings(tool, rows, case.policy, case.link(tool.tool))
    burning = {f.subject for f in findings if f.code == BurnCode.ERROR_BUDGET_BURNING.code}
    left = {
        name: [value for row in summary.rows if row.registered and (value := getattr(row, name)) is not None]
        for name in ("budget_left_errors", "budget_left_latency")
    }
    return conclude(
        judged=len(decided),
        summary=f"{len(decided)} tools judged, error budget burning for {len(burning)}",
        findings=findings,
        facts={
            "judged_at": case.judged_at,
            "tools_judged": len(decided),
            "budget_days": case.policy.budget_days,
            "budget_days_covered": min((row.budget_days_covered for row in summary.rows), default=0),
            **{f"least_{name}": round(min(values), 4) for name, values in left.items() if values},
        },
        evidence=[case.evidence],
    )


def _tool_findings(tool: RegisteredTool, rows: Sequence[ToolSlo], policy: SloPolicy, link: str) -> Iterator[Finding]:
    """All pairs of windows of one tool, and whether there was anything to judge."""
    rates = [(row, rate) for row in rows for rate in row.burn]
    for row, rate in rates:
        if _exceeds(rate):
            certain = rate["short_requests"] >= policy.burn_min_requests and rate["short_bad"] >= policy.burn_min_errors
            yield BurnCode.ERROR_BUDGET_BURNING.at(
                f"{label(row)} {rate['sli']}",
                expected=f"at most {rate['factor']:g} times the budgeted rate over {duration(rate['long_hours'] * 3600)}"
                f" or over {duration(rate['short_minutes'] * 60)}",
                seen=f"{rate['long_burn']:.3g} times ({rate['long_bad']} of {rate['long_requests']} calls bad) and"
                f" {rate['short_burn']:.3g} times ({rate['short_bad']} of {rate['short_requests']})",
                verdict=None if certain else Verdict.WARN,
                link=link,
            )
    longest = max(pair.long_hours for pair in policy.burn_windows)
    ages = [row.last_datapoint_age_seconds for row in rows if row.last_datapoint_age_seconds is not None]
    fresh = bool(ages) and min(ages) <= longest * 3600  # canaries left out
    for sli in ("errors", "latency"):
        if not fresh or not any(rate["long_requests"] for _, rate in rates if rate["sli"] == sli):
            yield MetricCode.TOO_FEW_SAMPLES.at(
                f"{tool.tool} {sli}",
                expected="a call in at least one burn-rate window",
                seen=f"none in the last {duration(longest * 3600)} (canaries not counted)",
                verdict=lenient(tool.traffic),
                link=link,
            )


def _exceeds(rate: Mapping[str, Any]) -> bool:
    """True if both windows of the pair have calls and burn faster than the factor."""
    return all(rate[f"{window}_burn"] is not None and rate[f"{window}_burn"] > rate["factor"] for window in ("long", "short"))
