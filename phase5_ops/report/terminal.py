"""The readiness document as text for a terminal of any width: the checklist with its findings, and the decision. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from phase5_ops.checklist import ROW_OF_ID, SECTIONS
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.document import (
    WHOLE_RUN,
    ReadinessDocument,
    candidate_line,
    headline,
    judged_line,
    waiver_line,
)
from phase5_ops.report.findings import Catalogue, stored_explanations
from phase5_ops.report.formats import Detail
from phase5_ops.report.wrapping import columns, labelled
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
_FINDINGS_SHOWN = 8  # of a row
_LINES_SHOWN = 40  # of blockers, of waivers
#: Findings that say no more than the row's summary.
_SAID_BY_THE_ROW = frozenset({"not_implemented", "no_release", "nothing_to_sign", "signature_missing"})

_ROW, _VERDICT, _TITLE = 5, 12, 28  # widths of columns
_WIDE = 110  # from this width on, the summary has a column of its own
_LABEL = 8


def render(document: ReadinessDocument, console: Console, detail: Detail = Detail.normal) -> None:
    """Prints the checklist with what was found under each row, sign-offs, waivers, what keeps a candidate closed, the decision.

    No line is wider than the console but those that hold one long address.
    """
    _Page(console, detail, stored_explanations().catalogue).print(document)


@dataclass(frozen=True)
class _Page:
    console: Console
    detail: Detail
    catalogue: Catalogue

    @property
    def _width(self) -> int:
        return self.console.width

    @property
    def _wide(self) -> bool:
        return self._width >= _WIDE

    def print(self, document: ReadinessDocument) -> None:
        of = f"{document.release} in {document.environment}" if document.release else document.environment
        self._lines([f"Phase 5 readiness of {of}"], "bold")
        for section in SECTIONS:
            entries = [entry for entry in document.rows if entry.id.startswith(f"{section}.")]
            if entries:
                self._section(f"{section}  {SECTIONS[section].title}", entries)
        if document.extra_checks:
            self._section("Extra checks", document.extra_checks)
        if self.detail is not Detail.quiet:
            if any(ROW_OF_ID[entry.id].is_sign_off for entry in document.rows):
                self._sign_offs(document)
            self._block("Waivers", [waiver_line(each) for each in document.waivers])
            self._block("What keeps it closed", document.blockers if document.release else [])
            self._block("Notices", document.notices)
        self.console.print()
        self._footer(document)

    # Rows

    def _section(self, title: str, entries: Iterable[RowEntry]) -> None:
        self.console.print()
        self._lines([title], "bold")
        for entry in entries:
            self._row(entry)
            if self.detail is not Detail.quiet:
                self._findings(entry)
            if self.detail is Detail.verbose:
                self._figures(entry)

    def _row(self, entry: RowEntry) -> None:
        extra = entry.id == entry.check
        title = f"{printable(entry.title)} ({entry.check})" if extra else printable(entry.title)
        verdict = f"{entry.verdict} waived" if entry.waived else str(entry.verdict)
        first = [("extra" if extra else entry.id, _ROW, "bold"), (verdict, _VERDICT, STYLE[entry.verdict])]
        summary = printable(entry.summary)
        if self._wide:
            rest = self._width - self._text_indent - _TITLE - 2
            self._texts(columns([*first, (title, _TITLE, "bold"), (summary, rest, "")], indent=1))
            return
        rest = self._width - self._text_indent
        self._texts(columns([*first, (title, rest, "bold")], indent=1))
        self._lines(labelled("", summary, self._width, indent=self._text_indent))

    @property
    def _text_indent(self) -> int:
        return 1 + _ROW + 2 + _VERDICT + 2

    @property
    def _finding_indent(self) -> int:
        return self._text_indent if self._wide else 1 + _ROW + 2

    def _findings(self, entry: RowEntry) -> None:
        findings = [finding for finding in entry.findings if finding.code not in _SAID_BY_THE_ROW]
        shown = findings if self.detail is Detail.verbose else findings[:_FINDINGS_SHOWN]
        for n, finding in enumerate(shown):
            before = shown[n - 1] if n and shown[n - 1].code == finding.code else None
            self._finding(finding, before)
            if n + 1 == len(shown) or shown[n + 1].code != finding.code:
                self._remedy(finding.code, entry.id)
        if left := findings[len(shown) :]:
            counted = Counter(f"{finding.verdict} {finding.code}" for finding in left)
            kinds = ", ".join(f"{number} {kind}" for kind, number in counted.items())
            self._lines(
                labelled("", f"and {len(left)} more ({kinds}): --verbose shows all", self._width, indent=self._finding_indent),
                "dim",
            )
        if findings and not any(finding.link for finding in findings) and self.detail is Detail.normal:
            self._links(entry)

    def _finding(self, finding: FindingEntry, before: FindingEntry | None) -> None:
        """Prints a finding; what it has in common with the one `before`, of the same code, is not said again."""
        head = Text(" " * self._finding_indent)
        head.append(finding.verdict, style=STYLE[finding.verdict])
        head.append(f" {finding.code}", style="bold")
        subject = printable(finding.subject)
        if head.cell_len + 1 + len(subject) <= self._width:
            head.append(f" {subject}")
            self._texts([head])
        else:
            self._texts([head])
            self._labelled("at", subject)
        if before is None or before.expected != finding.expected:
            self._labelled("expected", printable(finding.expected))
        self._labelled("seen", printable(finding.seen))
        if finding.link and (before is None or before.link != finding.link):
            self._labelled("link", printable(finding.link), "blue")

    def _remedy(self, code: str, row: str) -> None:
        if meaning := self.catalogue.meaning(code, row):
            self._labelled("remedy", meaning.remedy, "bold")

    def _figures(self, entry: RowEntry) -> None:
        if entry.facts:
            self._labelled("figures", printable(", ".join(f"{name} {value}" for name, value in entry.facts.items())), "dim")
        self._links(entry)

    def _links(self, entry: RowEntry) -> None:
        for link in entry.evidence:
            self._labelled("evidence", printable(f"{link.label} {link.url}"), "blue")

    def _labelled(self, label: str, text: str, style: str = "") -> None:
        self._lines(labelled(label, text, self._width, indent=self._finding_indent + 2, label_width=_LABEL), style)

    # What stands under the rows

    def _sign_offs(self, document: ReadinessDocument) -> None:
        self.console.print()
        self._lines(["Sign-off"], "bold")
        for entry in document.sign_offs:
            done = f"signed {entry.date or ''} by {printable(entry.by or '')}" if entry.done else "not signed"
            self._lines(labelled(entry.role, done, self._width, indent=1, label_width=19))

    def _block(self, title: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        shown = lines if self.detail is Detail.verbose else lines[:_LINES_SHOWN]
        self.console.print()
        self._lines([title], "bold")
        for line in shown:
            self._lines(labelled("-", printable(line), self._width, indent=1))
        if len(lines) > len(shown):
            self._lines(labelled("", f"and {len(lines) - len(shown)} more: --verbose shows all", self._width, indent=3), "dim")

    def _footer(self, document: ReadinessDocument) -> None:
        if line := candidate_line(document):
            self._plain(line)
        said = f", said by the gate at {document.stated_at}" if document.stated_at else ""
        self._plain(
            f"{headline(document)} (exit code {document.exit_code}), {len(document.blockers)} blocker(s); evaluated at"
            f" {document.evaluated_at}{said}",
            _DECISION_STYLE[document.decision],
        )
        if line := judged_line(document):
            self._plain(line)
        run = f"run {document.run_id or 'none yet'}"
        if calls := sum(document.reading.calls.values()):
            seconds = document.reading.seconds.get(WHOLE_RUN, 0.0)
            run += f", {calls} AWS calls, {document.reading.cost_usd:.4f} USD at list price, {seconds:.1f} s"
        self._plain(run)
        if document.candidate and document.candidate.url:
            self._plain(document.candidate.url, "blue")
        self._plain(f"evidence {document.evidence_digest}", "dim")

    # Printing

    def _plain(self, text: str, style: str = "") -> None:
        self._lines(labelled("", printable(text), self._width), style)

    def _lines(self, lines: Iterable[str], style: str = "") -> None:
        self._texts(Text(line, style=style) for line in lines)

    def _texts(self, texts: Iterable[Text]) -> None:
        for text in texts:
            self.console.print(text, soft_wrap=True)
