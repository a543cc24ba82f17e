"""What a readiness document is written as: the formats, the file that each is written to, and the function that makes its text.

One module a format, pure: its text follows from the document and from a `RenderContext`. Heavy packages are imported by the
module that needs them, when its format is asked for. What must not live here: judging, deciding, reading AWS, options.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from phase5_ops.report.document import ReadinessDocument
    from phase5_ops.verdict import FindingCode


class Format(StrEnum):
    """Output formats of a readiness document."""

    table = "table"
    json = "json"
    html = "html"
    markdown = "markdown"
    junit = "junit"
    sarif = "sarif"
    csv = "csv"
    ocsf = "ocsf"
    oscal = "oscal"


class Detail(StrEnum):
    """How much a table shows under the rows."""

    quiet = "quiet"  # nothing
    normal = "normal"  # what was found, and what to do
    verbose = "verbose"  # also figures and evidence, of every row, and nothing is cut short


@dataclass(frozen=True)
class RenderContext:
    """What a format may show beside the document.

    Attributes:
        meanings: every finding code by its name, as the catalogue has them; a name used by two rows has an entry for each.
        runbook: web address of the runbook; None where it has none.
        before: the document of the previous whole run of the environment; None where there is none, or where nobody looked.
        page: makes the HTML report, with the evidence that only a command can read; None: the page without evidence.
        width: columns of a table.
        to_terminal: a table may have colours.
        detail: how much a table shows under the rows.
    """

    meanings: Mapping[str, Sequence["FindingCode"]] = field(default_factory=dict)
    runbook: str | None = None
    before: "ReadinessDocument | None" = None
    page: Callable[["ReadinessDocument"], str] | None = None
    width: int = 120
    to_terminal: bool = False
    detail: Detail = Detail.normal


@dataclass(frozen=True)
class OutputFormat:
    """How one format is written.

    Attributes:
        file_name: of its file in the folder of `--output DIR`.
        render: makes its text.
        package: what must be installed for it, as it is imported; "" where what phase5_ops itself needs is enough.
        needs_context: it shows more than the document: what codes mean, the runbook, the previous run.
    """

    file_name: str
    render: Callable[["ReadinessDocument", RenderContext], str]
    package: str = ""
    needs_context: bool = True

    @property
    def installed(self) -> bool:
        """Whether what it needs is installed."""
        return not self.package or find_spec(self.package) is not None


def render(document: "ReadinessDocument", output_format: Format, context: RenderContext) -> str:
    """The document in a format, without a newline at its end."""
    return FORMATS[output_format].render(document, context).rstrip("\n")


def _table(document: "ReadinessDocument", context: RenderContext) -> str:
    from io import StringIO

    from rich.console import Console

    from phase5_ops.report import terminal

    buffer = StringIO()
    console = Console(file=buffer, force_terminal=context.to_terminal, width=context.width, color_system=_colours(context))
    terminal.render(document, console, context.detail)
    return buffer.getvalue()


def _colours(context: RenderContext) -> Literal["auto"] | None:
    return "auto" if context.to_terminal else None


def _json(document: "ReadinessDocument", _context: RenderContext) -> str:
    import json

    return json.dumps(document.to_json(), indent=2, ensure_ascii=False)


def _html(document: "ReadinessDocument", context: RenderContext) -> str:
    if context.page is not None:
        return context.page(document)
    from phase5_ops.report.changes import changes_between
    from phase5_ops.report.html.render import render_report

    changes = changes_between(context.before, document) if context.before is not None else None
    return render_report(document, tables={}, previews={}, changes=changes, beside_evidence=False)


def _markdown(document: "ReadinessDocument", _context: RenderContext) -> str:
    from phase5_ops.report import markdown

    return markdown.render(document)


def _junit(document: "ReadinessDocument", context: RenderContext) -> str:
    from phase5_ops.report.formats import junit

    return junit.render(document, context)


def _sarif(document: "ReadinessDocument", context: RenderContext) -> str:
    from phase5_ops.report.formats import sarif

    return sarif.render(document, context)


def _csv(document: "ReadinessDocument", context: RenderContext) -> str:
    from phase5_ops.report.formats import csv_lines

    return csv_lines.render(document, context)


def _ocsf(document: "ReadinessDocument", context: RenderContext) -> str:
    from phase5_ops.report.formats import ocsf

    return ocsf.render(document, context)


def _oscal(document: "ReadinessDocument", context: RenderContext) -> str:
    from phase5_ops.report.formats import oscal

    return oscal.render(document, context)


#: How people install what the heavy formats need.
EXTRA = "pip install 'phase5-ops[formats]'"

FORMATS: Mapping[Format, OutputFormat] = {
    Format.table: OutputFormat("readiness.txt", _table, needs_context=False),
    Format.json: OutputFormat("readiness.json", _json, needs_context=False),
    Format.html: OutputFormat("readiness.html", _html),
    Format.markdown: OutputFormat("readiness.md", _markdown, needs_context=False),
    Format.junit: OutputFormat("readiness.junit.xml", _junit),
    Format.sarif: OutputFormat("readiness.sarif", _sarif),
    Format.csv: OutputFormat("readiness.csv", _csv),
    Format.ocsf: OutputFormat("readiness.ocsf.json", _ocsf, "py_ocsf_models"),
    Format.oscal: OutputFormat("readiness.oscal.json", _oscal, "trestle"),
}
