"""The readiness document as Markdown, for pull requests and tickets."""

from phase5_ops.report.document import ReadinessDocument, RowEntry

_MARK = {"PASS": "✅", "WARN": "⚠️", "INCONCLUSIVE": "❔", "FAIL": "❌", "ERROR": "⛔"}


def render(document: ReadinessDocument) -> str:
    """Headline, the checklist as a table, findings row by row, sign-offs, and what the run was."""
    lines = [
        f"# Phase 5 readiness of {_cell(document.environment)}: {document.decision}",
        "",
        f"Evaluated at {document.evaluated_at}, run `{document.run_id}`, exit code {document.exit_code}.",
        "",
        *_table(document.rows),
    ]
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
    lines += ["## Sign-off", "", "| Role | Done | Date |", "|---|---|---|"]
    lines += [f"| {s.role} | {'☑' if s.done else '☐'} | {s.date or ''} |" for s in document.sign_offs]
    lines += [
        "",
        f"Evidence `{document.evidence_digest}`, policy `{document.policy_digest}`; "
        f"{sum(document.reading.calls.values())} AWS calls, {document.reading.cost_usd:.4f} USD at list price.",
        "",
    ]
    return "\n".join(lines)


def _table(entries: list[RowEntry]) -> list[str]:
    lines = ["| row | what | verdict | summary | evidence |", "|---|---|---|---|---|"]
    for entry in entries:
        links = ", ".join(_linked(link.label, link.url) for link in entry.evidence)
        name = entry.id if entry.id != entry.check else "extra"
        lines.append(
            f"| {name} | {_cell(entry.title)} | {_MARK[entry.verdict]} {entry.verdict} | {_cell(entry.summary)} | {links} |"
        )
    return lines


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("[", "\\[")


def _linked(text: str, url: str | None) -> str:
    return f"[{_cell(text)}](<{url}>)" if url else _cell(text)
