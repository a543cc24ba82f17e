"""The readiness document as CSV (RFC 4180): a header, a line a finding, and one for a row without findings. Pure.

Every cell is quoted and printable. A cell that a spreadsheet would take for a formula begins with an apostrophe.
"""

import csv
from collections.abc import Iterator
from io import StringIO

from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import RenderContext
from phase5_ops.report.formats.outcomes import closing, findings_of, outcome, remedies, shown_rows
from phase5_ops.report.formats.plain import one_line, web_link

#: Stable: programs read the columns by these names.
HEADER = (
    "environment",
    "release",
    "run_id",
    "evaluated_at",
    "decision",
    "row",
    "section",
    "title",
    "check",
    "verdict",
    "outcome",
    "waived",
    "summary",
    "observed_at",
    "code",
    "finding_verdict",
    "subject",
    "expected",
    "seen",
    "remedy",
    "link",
    "evidence",
)

#: What a spreadsheet begins a formula with; the wide forms are taken for the others.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001


def render(document: ReadinessDocument, context: RenderContext) -> str:
    """The document as CSV, its lines ended by CR LF."""
    text = StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(HEADER)
    about = {
        "environment": document.environment,
        "release": document.release or "",
        "run_id": document.run_id,
        "evaluated_at": document.evaluated_at,
        "decision": document.decision,
    }
    for line in _lines(document, context):
        writer.writerow([guarded((about | line).get(column, "")) for column in HEADER])
    return text.getvalue()


def guarded(text: str) -> str:
    """The text as a cell: in one line, and never a formula."""
    return one_line(f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text)


def _lines(document: ReadinessDocument, context: RenderContext) -> Iterator[dict[str, str]]:
    closed = closing(document)
    for entry in shown_rows(document, context.meanings):
        row = {
            "row": entry.id,
            "section": entry.section,
            "title": entry.title,
            "check": entry.check,
            "verdict": str(entry.verdict),
            "outcome": str(outcome(entry, closed)),
            "waived": "yes" if entry.waived else "no",
            "summary": entry.summary,
            "observed_at": entry.observed_at,
            "evidence": " ".join(filter(None, (web_link(each.url) for each in entry.evidence))),
        }
        found = [each.finding for each in findings_of(entry)]
        for each in found:
            yield row | {
                "code": each.code,
                "finding_verdict": str(each.verdict),
                "subject": each.subject,
                "expected": each.expected,
                "seen": each.seen,
                "remedy": remedies(each.code, context.meanings),
                "link": web_link(each.link) or "",
            }
        if not found:
            yield row
