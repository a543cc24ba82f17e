"""Judge of the extra check `tool_slo_met`: each registered tool meets its latency and error SLO. Pure.

"p99 at or under the threshold" is judged as "at least 99 % of calls at or under it", which adds up exactly over dimension sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from phase5_ops.clock import parse_iso
from phase5_ops.policy import SloPolicy
from phase5_ops.sections.slo.summary.evidence import ToolSlo
from phase5_ops.sections.slo.summary.judges.visible import MetricsCase, label, real_calls, too_few
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class SloCode(FindingCodes):
    """The finding codes of the check tool_slo_met alone."""

    LATENCY_SLO_MISSED = FindingCode(
        Verdict.FAIL,
        "Over the whole lookback, too large a share of a tool's calls took longer than the threshold.",
        "Find out what the slow calls have in common (tenant, connector); the runbook's alarm section says how.",
    )
    ERROR_SLO_MISSED = FindingCode(
        Verdict.FAIL,
        "Over the whole lookback, too large a share of a tool's calls failed.",
        "Find out which tenants and errors; the runbook's alarm section says how.",
    )
    CURRENT_WINDOW_BAD = FindingCode(
        Verdict.FAIL,
        "The tool misses its SLO right now.",
        "Treat it as an incident; the runbook's alarm section says how.",
    )
    TOO_MANY_BAD_WINDOWS = FindingCode(
        Verdict.FAIL,
        "The tool meets its SLO over the whole lookback, but missed it in too many five-minute windows.",
        "Look for what recurs at the times of the bad windows.",
    )
    BAD_WINDOW = FindingCode(
        Verdict.WARN,
        "The tool missed its SLO in a few five-minute windows.",
        "Look at what happened at that time.",
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """Calls of one span of time."""

    requests: int
    errors: int
    samples: int
    within: int

    @property
    def error_share(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def within_share(self) -> float:
        return self.within / self.samples if self.samples else 1.0

    def misses(self, policy: SloPolicy, least: int = 1) -> list[str]:
        """What misses the SLO, as text; an SLI with fewer than `least` calls is not judged."""
        missed = []
        if self.samples >= least and self.within_share < policy.latency_target:
            missed.append(
                f"{percent(self.within_share)} of {self.samples} calls within {policy.latency_threshold_ms:g} ms"
                f" (target {percent(policy.latency_target)})"
            )
        if self.requests >= least and self.error_share > policy.error_rate_max:
            missed.append(
                f"{percent(self.error_share)} of {self.requests} calls failed (at most {percent(policy.error_rate_max)})"
            )
        return missed


def judge_slo_met(case: MetricsCase) -> Judgement:
    """The check tool_slo_met: the whole lookback (30 days where it holds too few calls), the current window, and all windows."""
    policy, findings, decided = case.policy, case.unread(), case.decided()
    for tool, rows in decided:
        link = case.link(tool.tool)
        few = list(too_few(tool, rows, policy, link))
        findings += few
        if not few:
            suffix = "" if real_calls(rows) >= policy.min_samples else "_30d"
            for row in rows:
                findings += _row_findings(row, suffix, policy, link)
    missing = sum(f.code in (SloCode.LATENCY_SLO_MISSED.code, SloCode.ERROR_SLO_MISSED.code) for f in findings)
    return conclude(
        judged=len(decided),
        summary=f"{len(decided)} tools judged over {policy.lookback_hours} h: "
        + (f"{missing} SLOs missed" if missing else "no SLO missed on the whole"),
        findings=findings,
        facts={
            "judged_at": case.judged_at,
            "tools_judged": len(decided),
            "latency_slo": f"{percent(policy.latency_target)} within {policy.latency_threshold_ms:g} ms",
            "error_slo": f"at most {percent(policy.error_rate_max)} failed",
            "lookback_hours": policy.lookback_hours,
        },
        evidence=[case.evidence],
    )


def _row_findings(row: ToolSlo, suffix: str, policy: SloPolicy, link: str) -> Iterator[Finding]:
    """One tool and connector as emitted, on the lookback (suffix empty) or on 30 days."""
    period = "30 days" if suffix else f"the last {policy.lookback_hours} h"
    whole = _Span(
        *(int(getattr(row, f"{name}{suffix}")) for name in ("requests", "errors", "latency_samples", "within_threshold"))
    )
    if whole.samples and whole.within_share < policy.latency_target:
        yield SloCode.LATENCY_SLO_MISSED.at(
            label(row),
            expected=f"{percent(policy.latency_target)} or more of calls within {policy.latency_threshold_ms:g} ms over {period}",
            seen=f"{percent(whole.within_share)}: {whole.samples - whole.within} of {whole.samples} calls took longer",
            link=link,
        )
    if whole.requests and whole.error_share > policy.error_rate_max:
        yield SloCode.ERROR_SLO_MISSED.at(
            label(row),
            expected=f"at most {percent(policy.error_rate_max)} of calls failed over {period}",
            seen=f"{percent(whole.error_share)}: {whole.errors} of {whole.requests} calls failed",
            link=link,
        )
    current = _Span(row.current_requests, row.current_errors, row.current_latency_samples, row.current_within_threshold)
    if missed := current.misses(policy, policy.min_window_samples):
        yield SloCode.CURRENT_WINDOW_BAD.at(
            label(row), expected=f"the SLO met in the last {policy.current_window_minutes} min", seen="; ".join(missed), link=link
        )
    yield from _window_findings(row, policy, link)


def _window_findings(row: ToolSlo, policy: SloPolicy, link: str) -> Iterator[Finding]:
    """The five-minute windows of the lookback that have enough calls."""
    least = policy.min_window_samples
    windows = [
        (entry["start"], _Span(entry["requests"], entry["errors"], entry["latency_samples"], entry["within"]))
        for entry in row.windows
        if max(entry["requests"], entry["latency_samples"]) >= least
    ]
    bad = [(start, missed) for start, span in windows if (missed := span.misses(policy, least))]
    if not bad:
        return
    share = len(bad) / len(windows)
    # A single bad window is a warning however few windows there are: its calls are part of the whole, which is judged above.
    code = SloCode.TOO_MANY_BAD_WINDOWS if len(bad) > 1 and share > policy.max_bad_window_share else SloCode.BAD_WINDOW
    times = ", ".join(f"{parse_iso(start):%m-%d %H:%M}" for start, _ in bad[:3]) + (" ..." if len(bad) > 3 else "")  # noqa: PLR2004
    yield code.at(
        label(row),
        expected=f"at most {percent(policy.max_bad_window_share)} of five-minute windows bad",
        seen=f"{len(bad)} of {len(windows)} windows bad (UTC {times}), the last: {'; '.join(bad[-1][1])}",
        link=link,
    )


def percent(share: float) -> str:
    """A share for people, exact enough not to round to the limit it misses: 0.98973 -> `98.973 %`."""
    return f"{share * 100:.4g} %" if share < 0.1 else f"{share * 100:.5g} %"  # noqa: PLR2004
