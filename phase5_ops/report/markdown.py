"""The readiness document as Markdown, fit to commit: the user's checklist page filled in, then findings and what the run was."""

import re
from collections.abc import Collection, Iterator
from itertools import groupby

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.result import EvidenceEntry, RowEntry
from phase5_ops.report.document import ReadinessDocument, candidate_line, headline, judged_line, waiver_line
from phase5_ops.report.formats.plain import one_line, web_link
from phase5_ops.report.release import LEFT_OUT
from phase5_ops.report.worst import SHOWN, first_lines, more, worst_findings
from phase5_ops.verdict import Verdict

PAGE = "Phase 5 — Operational Readiness Exit Checklist"

_MARK = {"PASS": "✅", "WARN": "⚠️", "INCONCLUSIVE": "❔", "FAIL": "❌", "ERROR": "⛔"}
_TICKED, _OPEN = "☑", "☐"

#: The page's own headings where they say more than the checklist's titles.
_HEADINGS = {"2": "Circuit Breaker State View (Control Center)", "4": "Tenant Isolation Harness (CI / Prod Gate)"}
_ROLES = {"S.1": "eng-reliability", "S.2": "ops-sre", "S.3": "security-compliance"}

#: What Markdown, or HTML in it, would take for markup.
_MARKUP = re.compile(r"[\\`*\[|~]|<|&(?=[#\w]+;)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}

#: Characters of a page: GitHub takes no longer comment on a pull request or issue. The summary of a step may have 1 MiB.
LARGEST = 65_536
_SHOWN = (SHOWN, 10, 3)  # findings of a row, fewer where a page would be larger
_NOTE = 400  # characters of a sentence that says what is not shown
_WHOLE = "`--format json` has all"


def render(document: ReadinessDocument) -> str:
    """Headline, the checklist page, what keeps a candidate closed, rows, findings row by row, waivers, and what the run was.

    Of each row the worst findings, so many that GitHub takes the page as a comment. Where three of each row are too many, the
    mildest rows have none, and what is still too long ends with a whole line; the page says so.
    """
    for most in _SHOWN:
        parts = _Parts(document, most)
        if len(page := parts.page()) <= LARGEST:
            return page
    return _cut(parts.page(parts.too_much()))


class _Parts:
    """A page with at most so many lines of each list, its findings row by row."""

    def __init__(self, document: ReadinessDocument, most: int) -> None:
        found = [entry for entry in (*document.rows, *document.extra_checks) if entry.findings]
        self._head, self._tail = _head(document, most), _tail(document, most)
        self._findings = [(entry, _findings(entry, most)) for entry in found]

    def page(self, without: Collection[str] = ()) -> str:
        """The text, without the findings of the checks named."""
        lines = [*self._head, "", "## Findings", ""]
        lines += [line for entry, about in self._findings if entry.check not in without for line in about]
        if without:
            left = [entry for entry, _ in self._findings if entry.check in without]
            count = sum(len(entry.findings) + int(entry.facts.get(LEFT_OUT, 0)) for entry in left)
            rows = ", ".join(entry.id for entry in left)
            lines += [f"Not shown here are the findings of {len(left)} rows, {count:,} in all ({rows}): {_WHOLE}.", ""]
        return "\n".join([*lines, *([] if self._findings else ["None.", ""]), *self._tail])

    def too_much(self) -> set[str]:
        """The checks whose findings do not fit into a page, the mildest first."""
        every = {entry.check for entry, _ in self._findings}
        room = LARGEST - _NOTE - len(self.page(every))
        for entry, about in sorted(self._findings, key=lambda each: -each[0].verdict.severity):
            if (size := sum(len(line) + 1 for line in about)) <= room:
                room -= size
                every.remove(entry.check)
        return every


def _cut(page: str) -> str:
    """The page up to its last line that fits."""
    if len(page) <= LARGEST:
        return page
    kept = page[: LARGEST - _NOTE].rpartition("\n")[0]
    return f"{kept}\n\nThe page ends here, {page.count(chr(10)) - kept.count(chr(10)):,} lines early: {_WHOLE}.\n"


def _head(document: ReadinessDocument, most: int) -> list[str]:
    """What stands before the findings."""
    of = f"{document.release} in {document.environment}" if document.release else document.environment
    url = document.candidate.url if document.candidate else None
    run = f"run {_linked(document.run_id, url)}" if document.run_id else "no run"
    lines = [
        f"# Phase 5 readiness of {cell(of)}: {headline(document)}",
        "",
        f"Evaluated at {document.evaluated_at}, {run}, exit code {document.exit_code}"
        f"{f'; said by the gate at {document.stated_at}' if document.stated_at else ''}.",
        "",
    ]
    if line := judged_line(document):
        lines += [f"Judged: {cell(line)}.", ""]
    if line := candidate_line(document):
        lines += [cell(line), ""]
    lines += _page(document)
    if document.release and document.blockers:
        lines += ["## What keeps it closed", "", *(f"- {cell(line)}" for line in first_lines(document.blockers, most)), ""]
    lines += ["## Rows", "", *_table(document.rows)]
    if document.extra_checks:
        lines += ["", "## Extra checks", "", *_table(document.extra_checks)]
    return lines


def _findings(entry: RowEntry, most: int) -> list[str]:
    """The worst findings of a row."""
    lines = [f"### {entry.id} {cell(entry.title)}", "", "| verdict | code | subject | expected | seen |", "|---|---|---|---|---|"]
    findings = entry.findings if len(entry.findings) <= most else worst_findings(entry.findings, most)
    lines += [
        f"| {f.verdict} | `{f.code}` | {_linked(f.subject, f.link)} | {cell(f.expected)} | {cell(f.seen)} |" for f in findings
    ]
    if further := more(entry, len(findings)):
        lines += ["", f"{cell(further)}."]
    return [*lines, ""]


def _tail(document: ReadinessDocument, most: int) -> list[str]:
    """What stands behind the findings."""
    lines = []
    if document.waivers:
        waivers = [f"row {each['row']}: {waiver_line(each)}" for each in document.waivers]
        lines += ["## Waivers", "", *(f"- {cell(line)}" for line in first_lines(waivers, most)), ""]
    if document.notices:
        lines += ["## Notices", "", *(f"- {cell(notice)}" for notice in first_lines(document.notices, most)), ""]
    calls = sum(document.reading.calls.values())
    cost = f"; {calls} AWS calls, {document.reading.cost_usd:.4f} USD at list price" if calls else ""
    lines += [f"Evidence `{document.evidence_digest}`, policy `{document.policy_digest}`{cost}.", ""]
    return lines


def lines_of_rows(document: ReadinessDocument) -> dict[str, int]:
    """Where each row stands in the text of `render`: row id -> line, from 1; of an extra check, its line in the second table."""
    numbers = {line: number for number, line in reversed(list(enumerate(render(document).split("\n"), 1)))}
    beginnings = {entry.id: _item(entry) for entry in document.rows if not ROW_OF_ID[entry.id].is_sign_off}
    beginnings |= {entry.id: f"| {cell(entry.title)} |" for entry in document.rows if ROW_OF_ID[entry.id].is_sign_off}
    beginnings |= {entry.id: f"| extra | {cell(entry.title)} |" for entry in document.extra_checks}
    return {
        row: min((n for line, n in numbers.items() if line.startswith(begin)), default=1) for row, begin in beginnings.items()
    }


def _page(document: ReadinessDocument) -> Iterator[str]:
    """The user's page: its sections and items, each box ticked only for what passes, with its evidence; then the signatures."""
    runbook = _runbook(document)
    plan = "PHASE\\_5\\_CODE\\_LEVEL\\_PLAN.md"
    yield from (
        f"## {PAGE}",
        "",
        "One-page gate before declaring Phase 5 production-ready. Complete each item and link evidence (dashboards, CI, docs).",
        "",
        f"**Parent:** {plan} \\| {_linked('Phase 5.7 Runbook', runbook)}",
        "",
    )
    rows = [entry for entry in document.rows if not ROW_OF_ID[entry.id].is_sign_off]
    for number, entries in groupby(rows, key=lambda entry: ROW_OF_ID[entry.id].section_number):
        found = list(entries)
        yield from (f"### {number}. {cell(_HEADINGS.get(number, found[0].section))}", "")
        yield from ("| Item | Link / Evidence |", "|------|-----------------|")
        for entry in found:
            links = ", ".join(_linked(link.label, link.url) for link in entry.evidence)
            yield f"{_item(entry)} {_verdict(entry)}: {cell(entry.summary)}{' — ' if links else ''}{links} |"
        yield ""
    signed = {each.role: each for each in document.sign_offs}
    yield from ("### Sign-off", "", "| Role | Done | Date | By |", "|------|------|------|----|")
    for entry in (each for each in document.rows if ROW_OF_ID[each.id].is_sign_off):
        sign_off = signed.get(_ROLES[entry.id])
        done = sign_off is not None and sign_off.done and entry.verdict is Verdict.PASS
        date, by = (sign_off.date or "", sign_off.by or "") if sign_off and done else ("", "")
        yield f"| {cell(entry.title)} | {_TICKED if done else _OPEN} | {cell(date)} | {cell(by)} |"
    yield from ("", "*Once all rows are checked and linked, Phase 5 is operationally ready for production.*", "")


def _runbook(document: ReadinessDocument) -> str | None:
    """The runbook's address as the evidence of the rows links it, without its section."""
    links: list[EvidenceEntry] = [link for entry in document.rows for link in entry.evidence if "runbook" in link.label.lower()]
    return next((link.url.split("#")[0] for link in links if web_link(link.url)), None)


def _item(entry: RowEntry) -> str:
    """The first cell of a row's line in the page."""
    return f"| {_box(entry)} {entry.id} {cell(entry.title)} |"


def _box(entry: RowEntry) -> str:
    """Ticked only for a row that passes: one that warns or is waived holds with something that a person has to know."""
    return _TICKED if entry.verdict is Verdict.PASS else _OPEN


def _table(entries: list[RowEntry]) -> list[str]:
    lines = ["| row | what | verdict | summary | evidence |", "|---|---|---|---|---|"]
    for entry in entries:
        links = ", ".join(_linked(link.label, link.url) for link in entry.evidence)
        name = entry.id if entry.id != entry.check else "extra"
        lines.append(f"| {name} | {cell(entry.title)} | {_verdict(entry)} | {cell(entry.summary)} | {links} |")
    return lines


def _verdict(entry: RowEntry) -> str:
    return f"{_MARK[entry.verdict]} {entry.verdict}{' (waived)' if entry.waived else ''}"


def cell(text: str) -> str:
    """The text in one line, without anything that Markdown, a table or HTML would take for its own."""
    line = one_line(text.replace("\n", " "))
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)


def _linked(text: str, url: str | None) -> str:
    """The text, linked where the URL leads to the web."""
    address = web_link(url)
    shown = cell(text)
    return "[" + shown.replace("]", "\\]") + f"](<{address}>)" if address else shown
