"""The readiness document as tables for a terminal."""

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.result import RowEntry
from phase5_ops.report.document import (
    WHOLE_RUN,
    ReadinessDocument,
    candidate_line,
    headline,
    judged_line,
    waiver_line,
)
from phase5_ops.text import printable
from phase5_ops.verdict import Verdict

STYLE = {
    Verdict.PASS: "bold green",
    Verdict.WARN: "bold yellow",
    Verdict.INCONCLUSIVE: "bold magenta",
    Verdict.FAIL: "bold red",
    Verdict.ERROR: "bold white on red",
}
_DECISION_STYLE = {"OPEN": "bold green", "BLOCKED": "bold red", "NOT_DECIDED": "bold yellow"}
_FINDINGS_SHOWN = 8
_LINES_SHOWN = 40  # of blockers, of waivers
#: Findings that say no more than the row's summary.
_SAID_BY_THE_ROW = frozenset({"not_implemented", "no_release", "nothing_to_sign", "signature_missing"})


def render(document: ReadinessDocument, console: Console) -> None:
    """Prints the checklist, the findings of every row that has some, waivers, what keeps a candidate closed, and the decision."""
    of = f"{document.release} in {document.environment}" if document.release else document.environment
    console.print(_rows(f"Phase 5 readiness of {escape(of)}", document.rows))
    if document.extra_checks:
        console.print(_rows("Extra checks", document.extra_checks))
    if any(ROW_OF_ID[entry.id].is_sign_off for entry in document.rows):
        console.print(_sign_offs(document))
    found = [
        _findings(entry)
        for entry in (*document.rows, *document.extra_checks)
        if any(finding.code not in _SAID_BY_THE_ROW for finding in entry.findings)
    ]
    if found:
        console.print(Panel(Group(*found), title="Findings", title_align="left"))
    if document.waivers:
        console.print(Panel(_lines([waiver_line(each) for each in document.waivers]), title="Waivers", title_align="left"))
    if document.release and document.blockers:
        console.print(Panel(_lines(document.blockers), title="What keeps it closed", title_align="left"))
    if document.notices:
        console.print(Panel(_lines(document.notices), title="Notices", title_align="left"))
    console.print(_footer(document))


def _lines(lines: list[str]) -> Text:
    more = [f"... and {len(lines) - _LINES_SHOWN} more: use --format json for all"] if len(lines) > _LINES_SHOWN else []
    return Text("\n".join(printable(line) for line in (*lines[:_LINES_SHOWN], *more)))


def _sign_offs(document: ReadinessDocument) -> Table:
    table = Table(title="Sign-off", title_justify="left", title_style="bold")
    for column in ("role", "done", "date", "by"):
        table.add_column(column, no_wrap=True)
    for entry in document.sign_offs:
        table.add_row(entry.role, "yes" if entry.done else "no", entry.date or "", escape(printable(entry.by or "")))
    return table


def _rows(title: str, entries: list[RowEntry]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", expand=True)
    table.add_column("row", no_wrap=True)
    table.add_column("what", ratio=2)
    table.add_column("verdict", no_wrap=True)
    table.add_column("summary", ratio=5)
    for entry in entries:
        name = entry.id if entry.id != entry.check else "extra"
        table.add_row(name, escape(entry.title), _verdict(entry), escape(printable(entry.summary)))
    return table


def _verdict(entry: RowEntry) -> Text:
    text = Text(entry.verdict, style=STYLE[entry.verdict])
    return text.append("\nwaived", style="bold yellow") if entry.waived else text


def _findings(entry: RowEntry) -> Text:
    text = Text()
    text.append(f"{entry.id} {entry.title}\n" if entry.id != entry.check else f"{entry.title}\n", style="bold")
    for finding in entry.findings[:_FINDINGS_SHOWN]:
        text.append(f"  {finding.verdict:<12} ", style=STYLE[finding.verdict])
        text.append(f"{finding.code} ", style="bold")
        text.append(f"{printable(finding.subject)}\n")
        text.append(f"{'':15}expected {printable(finding.expected)}; seen {printable(finding.seen)}\n")
        if finding.link:
            text.append(f"{'':15}{printable(finding.link)}\n", style="blue")
    if len(entry.findings) > _FINDINGS_SHOWN:
        text.append(
            f"  ... and {len(entry.findings) - _FINDINGS_SHOWN} more: use --format json or markdown for all\n", style="dim"
        )
    return text


def _footer(document: ReadinessDocument) -> Text:
    text = Text()
    if line := candidate_line(document):
        text.append(f"{printable(line)}\n")
    text.append(headline(document), style=_DECISION_STYLE[document.decision])
    text.append(f" (exit code {document.exit_code}), {len(document.blockers)} blocker(s); evaluated at {document.evaluated_at}")
    text.append(f", said by the gate at {document.stated_at}\n" if document.stated_at else "\n")
    if line := judged_line(document):
        text.append(f"{printable(line)}\n")
    text.append(f"run {document.run_id or 'none yet'}")
    if calls := sum(document.reading.calls.values()):
        seconds = document.reading.seconds.get(WHOLE_RUN, 0.0)
        text.append(f", {calls} AWS calls, {document.reading.cost_usd:.4f} USD at list price, {seconds:.1f} s")
    if document.candidate and document.candidate.url:
        text.append(f", {document.candidate.url}", style="blue")
    text.append(f"\nevidence {document.evidence_digest}", style="dim")
    return text
