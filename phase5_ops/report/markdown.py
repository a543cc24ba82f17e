"""The readiness document as Markdown, for pull requests and tickets."""

from phase5_ops.evidence.result import RowEntry
from phase5_ops.report.document import ReadinessDocument, candidate_line, headline, judged_line, waiver_line

_MARK = {"PASS": "✅", "WARN": "⚠️", "INCONCLUSIVE": "❔", "FAIL": "❌", "ERROR": "⛔"}


def render(document: ReadinessDocument) -> str:
    """Headline, what keeps a candidate closed, the checklist, findings row by row, sign-offs, waivers, and what the run was."""
    of = f"{document.release} in {document.environment}" if document.release else document.environment
    url = document.candidate.url if document.candidate else None
    run = f"run {_linked(document.run_id, url)}" if document.run_id else "no run"
    lines = [
        f"# Phase 5 readiness of {_cell(of)}: {headline(document)}",
        "",
        f"Evaluated at {document.evaluated_at}, {run}, exit code {document.exit_code}"
        f"{f'; said by the gate at {document.stated_at}' if document.stated_at else ''}.",
        "",
    ]
    if line := judged_line(document):
        lines += [f"Judged: {_cell(line)}.", ""]
    if line := candidate_line(document):
        lines += [_cell(line), ""]
    if document.release and document.blockers:
        lines += ["## What keeps it closed", "", *(f"- {_cell(blocker)}" for blocker in document.blockers), "", "## Rows", ""]
    lines += _table(document.rows)
    if document.extra_checks:
        lines += ["", "## Extra checks", "", *_table(document.extra_checks)]
    lines += ["", "## Findings", ""]
    found = [entry for entry in (*document.rows, *document.extra_checks) if entry.findings]
    for entry in found:
        lines += [
            f"### {entry.id} {_cell(entry.title)}",
            "",
            "| verdict | code | subject | expected | seen |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {f.verdict} | `{f.code}` | {_linked(f.subject, f.link)} | {_cell(f.expected)} | {_cell(f.seen)} |"
            for f in entry.findings
        ]
        lines.append("")
    if not found:
        lines += ["None.", ""]
    lines += ["## Sign-off", "", "| Role | Done | Date | By |", "|---|---|---|---|"]
    lines += [f"| {s.role} | {'☑' if s.done else '☐'} | {s.date or ''} | {_cell(s.by or '')} |" for s in document.sign_offs]
    if document.waivers:
        lines += ["", "## Waivers", "", *(f"- row {each['row']}: {_cell(waiver_line(each))}" for each in document.waivers)]
    if document.notices:
        lines += ["", "## Notices", "", *(f"- {_cell(notice)}" for notice in document.notices)]
    calls = sum(document.reading.calls.values())
    cost = f"; {calls} AWS calls, {document.reading.cost_usd:.4f} USD at list price" if calls else ""
    lines += ["", f"Evidence `{document.evidence_digest}`, policy `{document.policy_digest}`{cost}.", ""]
    return "\n".join(lines)


def _table(entries: list[RowEntry]) -> list[str]:
    lines = ["| row | what | verdict | summary | evidence |", "|---|---|---|---|---|"]
    for entry in entries:
        links = ", ".join(_linked(link.label, link.url) for link in entry.evidence)
        name = entry.id if entry.id != entry.check else "extra"
        lines.append(f"| {name} | {_cell(entry.title)} | {_verdict(entry)} | {_cell(entry.summary)} | {links} |")
    return lines


def _verdict(entry: RowEntry) -> str:
    return f"{_MARK[entry.verdict]} {entry.verdict}{' (waived)' if entry.waived else ''}"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("[", "\\[")


def _linked(text: str, url: str | None) -> str:
    return f"[{_cell(text)}](<{url}>)" if url else _cell(text)
