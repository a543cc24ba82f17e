"""The runbook, and what alarms' descriptions say of it: rows 1.3 and 2.2."""

from functools import cache

from phase5_ops.ccnative.runbook import anchor_findings, runbook_table, unreadable_findings
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.slo.runbook.judge import judge_alarm_runbook
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, RUNBOOK, errors, evidence, latency

READS = "the operator's runbook in Markdown, and alarms' descriptions (`ccnative/runbook`, `markdown_sections`, `disclaimers`)"
MALFORMED = "`runbook_unreadable`, `runbook_anchor_missing`, `runbook_section_empty`; never PASS without the section"

LOCATION, ADDRESS = "docs/runbooks/phase_5_7_reliability.md", "https://git.example/phase_5_7_reliability.md"
HEADING = "## SLO alarms (`tool_latency_ms`, `tool_error`)"
TABLE = "| a | b |\n|---|---|\n| 1 | 2 |"
TEXT = f"# Reliability\n\n{HEADING}\nLook at the vendor.\n\n{TABLE}\n\n## Empty\n\n## Circuit breaker OPEN\n\nWait.\n"
PIECES = (
    "#", "## ", "```\n", "~~~", "<a id='x'></a>", "<a name=", "<!--", "-->", "[x](#", "![", "](", "|", "|---", "> ", "- [ ] ",
    "1. ", "TODO", "T.O.D.O.", "do not use this section ", "this section will be written ", "deprecated ", "will be ",
    "to be ", "&nbsp;", "&#0;", "\\", "`", "**", "__", "_", "*", "<details>", "\n\n", "\n", "---\n", "===\n", "http://", "%E0",
    "see ", "section ", "the ", "not yet ",
)  # fmt: skip


@cache
def _alarms(description: str = f"see {RUNBOOK}") -> object:
    return evidence(latency(AlarmDescription=description), errors(AlarmDescription=description))


def fuzz(data: bytes) -> None:
    """Judges an altered runbook, then altered descriptions; without the heading nothing passes."""
    source = Source(data)
    removed = source.chance(2)
    text = source.spliced(TEXT.replace(HEADING, "") if removed else TEXT, PIECES)
    how = Read("file:read", LOCATION, ReadStatus.OK, None, 1, "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.000Z")
    runbook = runbook_table(text, how, location=LOCATION, url=ADDRESS, observed_at=NOW)
    policy = RunbookPolicy()
    judged = judge_alarm_runbook(runbook, _alarms(), policy=policy)
    if not data:
        assert judged.verdict is Verdict.PASS
    named = any("slo" in line.casefold() for line in text.splitlines())
    assert named or judged.verdict is not Verdict.PASS, "passes without the section"
    _ = [*unreadable_findings(runbook), *anchor_findings(runbook, source.text())]
    if source.left:
        described = source.spliced(f"Look at {RUNBOOK} first.", PIECES)
        table = evidence(latency(AlarmDescription=described), errors(AlarmDescription=described))
        linked = judge_alarm_runbook(runbook, table, policy=policy)
        assert "phase_5_7" in described or linked.verdict is not Verdict.PASS, "passes without a link"
