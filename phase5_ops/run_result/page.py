"""The page of `readiness` in Dagster: the checklist as the user's page has it, with everything that a reader asks next.

Dagster shows a text of up to a thousand characters at once and hides a longer one behind a link, so each row of the checklist has
an entry of its own. Text of the platform may be hostile: none of it becomes markup.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlparse

import dagster as dg

from phase5_ops.context import RunContext
from phase5_ops.gate.records import Release
from phase5_ops.orchestration.shown import in_lines, web_link
from phase5_ops.policy import GatePolicy
from phase5_ops.report.changes import Changes
from phase5_ops.report.document import ReadinessDocument, headline, judged_line, opens
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html.rows import SIGNS, ReportRow, ReportSection, blockers, sections
from phase5_ops.run_result.document import RunResult

_SHOWN_AT_ONCE = 990  # characters of Markdown
_LONGEST = 300  # characters of a text of the platform
_MOST_BLOCKERS, _MOST_OF_A_KIND = 10, 3
_NEXT_LINE = "  \n"

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def metadata_of(result: RunResult, run: RunContext, catalogue: Catalogue, release: Release | None) -> dict[str, dg.MetadataValue]:
    """The entries of the page, in the order in which they are read.

    Args:
        result: what the run came to.
        run: the run.
        catalogue: what to do about each finding.
        release: of the candidate that it was made for; None if it was made for none.
    """
    document, gate = result.document, run.settings.gate
    found = sections(document, catalogue)
    shown: dict[str, dg.MetadataValue] = {
        "decision": _markdown(f"**{_plain(headline(document))}** (exit code {document.exit_code}), {_why(document)}"),
        "environment": _markdown(_plain(document.environment)),
    }
    if release is not None:
        shown["made for"] = _markdown(_plain(f"{release.name} {release.digest}"))
    if document.blockers:
        shown |= dict(_blockers(document, catalogue))
    for section in found:
        shown |= dict(_section(section, gate))
    shown["since the run before"] = _changes(result)
    shown |= dict(_where(result, run))
    if line := judged_line(document):
        shown["judged"] = _markdown(_plain(line))
    if document.notices:
        shown["notices"] = _lines([f"- {_plain(_cut(notice))}" for notice in document.notices])
    rows = [row for section in found for row in section.rows if not row.is_sign_off]
    shown["rows that hold"] = dg.MetadataValue.int(sum(_opens(row, gate) for row in rows))
    shown["rows that do not hold"] = dg.MetadataValue.int(sum(not _opens(row, gate) for row in rows))
    shown["findings"] = dg.MetadataValue.int(sum(len(row.entry.findings) for row in rows))
    return shown


def _why(document: ReadinessDocument) -> str:
    if document.covers is not None:
        return "since only some rows were asked for; a run of the whole checklist decides"
    return "nothing keeps it closed" if not document.blockers else f"kept closed by {len(document.blockers)}: see below"


def _blockers(document: ReadinessDocument, catalogue: Catalogue) -> Iterator[tuple[str, dg.MetadataValue]]:
    """An entry for each kind of blocker: the row, what to do about it, and the first that are of the kind."""
    found = blockers(document, catalogue)
    for number, each in enumerate(found[:_MOST_BLOCKERS], 1):
        first, *others = (_plain(_cut(line)) for line in each.said[:_MOST_OF_A_KIND])
        more = len(each.said) - _MOST_OF_A_KIND
        lines = [f"**{each.row} {each.verdict}** {first}" if each.row else first]
        lines += [f"**To do:** {_plain(_cut(each.remedy))}"] if each.remedy else []
        lines += [f"also: {other}" for other in others]
        lines += [f"and {more} more, all in the report"] if more > 0 else []
        yield f"blocker {number}", _lines(lines, end=_NEXT_LINE)
    if further := sum(len(each.said) for each in found[_MOST_BLOCKERS:]):
        yield "further blockers", _markdown(f"{further} more, all in the report")


def _section(section: ReportSection, gate: GatePolicy) -> Iterator[tuple[str, dg.MetadataValue]]:
    name = f"{section.number}. {section.title}" if section.number.isdigit() else section.title
    opened = sum(_opens(row, gate) for row in section.rows)
    yield name, _markdown(f"**{opened} of {len(section.rows)}** {'signed' if section.rows[0].is_sign_off else 'hold'}")
    for row in section.rows:
        yield f"extra: {row.entry.title}" if row.is_extra else f"{row.entry.id} {row.entry.title}", _row(row, gate)


def _opens(row: ReportRow, gate: GatePolicy) -> bool:
    return row.entry.waived or opens(row.entry.id, row.entry.verdict, gate)


def _row(row: ReportRow, gate: GatePolicy) -> dg.MetadataValue:
    """Box, verdict, what was found, and links to the evidence, as many as are shown at once."""
    entry = row.entry
    waived = ", waived" if entry.waived else ""
    said = f"{'☑' if _opens(row, gate) else '☐'} **{SIGNS[entry.verdict]} {entry.verdict}{waived}** {_plain(_cut(entry.summary))}"
    links = [(link.label, link.url) for link in entry.evidence if link.url.startswith(("https://", "http://"))]
    for number, (label, url) in enumerate(links):
        longer = f"{said}{' · ' if number else _NEXT_LINE}[{_plain(_cut(label))}](<{_address(url)}>)"
        if len(longer) > _SHOWN_AT_ONCE - 40:
            return _markdown(f"{said} · {len(links) - number} more in the report")
        said = longer
    return _markdown(said)


def _changes(result: RunResult) -> dg.MetadataValue:
    changes = result.changes
    if changes is None:
        return _markdown(_plain(_cut(f"cannot be told: {result.why_not}")))
    if changes.since_run is None:
        return dg.MetadataValue.text("there is no earlier run of the whole checklist")
    since = f"run {changes.since_run} of {changes.since_at}"
    records = list(_changed(changes))
    if not records:
        return _markdown(_plain(f"nothing changed since {since}"))
    return _lines([f"since {_plain(since)}:", "", *records])


def _changed(changes: Changes) -> Iterator[str]:
    for row in changes.rows:
        before, after = row.before or "not judged", row.after or "not judged"
        yield f"- **{row.row}** {_plain(row.title)}: {before} → **{after}**"
    for came in changes.came:
        yield f"- **{came.row}** came: {came.verdict} {_plain(_cut(f'{came.code} {came.subject}'))}"
    for went in changes.went:
        yield f"- **{went.row}** went: {went.verdict} {_plain(_cut(f'{went.code} {went.subject}'))}"
    for figure in changes.figures:
        yield f"- **{figure.row}** {_plain(_cut(figure.fact))}: {_number(figure.before)} → {_number(figure.after)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.6g}"


def _where(result: RunResult, run: RunContext) -> Iterator[tuple[str, dg.MetadataValue]]:
    """Where the report and the evidence are: on this machine, and where they were copied to."""
    store, run_id = run.store, run.run_id
    if result.has_report:
        yield "report", _markdown(_plain(str(store.page_path(run_id).resolve())))
        yield "opens the report", dg.MetadataValue.text(f"phase5 report {run_id} --open")
    yield "evidence bundle", _markdown(_plain(str(store.run_folder(run_id).resolve())))
    yield "evidence digest", _markdown(_plain(result.document.evidence_digest))
    if run.settings.evidence_s3_uri is not None:
        copy = urlparse(f"{run.settings.evidence_s3_uri.rstrip('/')}/{run_id}/")
        bucket, prefix = copy.netloc, copy.path.lstrip("/")
        if result.has_report:
            report = f"{prefix}{store.page_path(run_id).name}"
            yield "report on S3", web_link(run.links.s3_object(bucket, report))
        yield "evidence bundle on S3", web_link(run.links.s3_folder(bucket, prefix))


def _lines(lines: list[str], end: str = "\n") -> dg.MetadataValue:
    """As many lines as are shown at once."""
    text = ""
    for number, line in enumerate(lines):
        if len(text) + len(line) > _SHOWN_AT_ONCE - 40:
            return _markdown(f"{text}and {len(lines) - number} more in the report")
        text += f"{line}{end}"
    return _markdown(text.rstrip())


def _markdown(text: str) -> dg.MetadataValue:
    return dg.MetadataValue.md(text)


def _cut(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _one_line(text: str) -> str:
    return _NO_TEXT.sub(" ", text)


def _plain(text: str) -> str:
    """Text in which nothing is Markdown or HTML, and no word longer than a line of the page."""
    return in_lines(_one_line(text))


def _address(url: str) -> str:
    return re.sub(r"[\s<>\\\x00-\x20\x7f]", lambda found: f"%{ord(found[0]):02X}", url)
