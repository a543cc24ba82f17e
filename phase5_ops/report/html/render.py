"""The whole report as one HTML text: it needs no network and no file beside it, and nothing that it shows is trusted.

Every text goes through Jinja's escaping; the content security policy allows the page's own script and nothing else. What must
not live here: where tables come from, where the page goes.
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from phase5_ops.checklist import CHECKLIST_VERSION
from phase5_ops.report.document import WHOLE_RUN, ReadinessDocument, candidate_line, headline, judged_line
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html import rows
from phase5_ops.report.html.pictures import pictures
from phase5_ops.report.html.tables import shown_tables
from phase5_ops.report.worst import SHOWN

if TYPE_CHECKING:
    from phase5_ops.evidence.preview import Preview
    from phase5_ops.evidence.table import GatheredTable
    from phase5_ops.report.changes import Changes

_NO_CATALOGUE = Catalogue(())


def render_report(
    document: ReadinessDocument,
    *,
    tables: "Mapping[str, GatheredTable[Any, Any]]",
    previews: "Mapping[str, Preview]",
    changes: "Changes | None",
    catalogue: Catalogue = _NO_CATALOGUE,
    unread: Mapping[str, str] | None = None,
    beside_evidence: bool = True,
) -> str:
    """The report of one readiness run, or of a candidate as the gate sees it.

    Args:
        document: what is shown.
        tables: the evidence of its run by asset; one that is missing is said to be missing.
        previews: how each table is shown, by asset; without one all of its columns are.
        changes: against the previous run; None where nobody looked.
        catalogue: what each finding code means and what to do about it.
        unread: why a table of the run could not be read, by asset.
        beside_evidence: the page is to lie in the run's evidence folder, so that it may link to the files there.
    """
    of = f"{document.release} in {document.environment}" if document.release else document.environment
    environment = _environment()
    script = _source(environment, "report.js")
    sections = rows.sections(document, catalogue)
    under_rows = {row.entry.asset for section in sections for row in section.rows}
    shown, problems = shown_tables(tables, previews)
    not_shown = dict(sorted({**(unread or {}), **problems}.items()))
    return environment.get_template("report.html.j2").render(
        document=document,
        of=of,
        headline=headline(document),
        candidate_line=candidate_line(document),
        judged_line=judged_line(document),
        sections=sections,
        blockers=rows.blockers(document, catalogue),
        counted=rows.counted([*document.rows, *document.extra_checks]),
        changes=changes,
        tables=shown,
        other_tables=[table for asset, table in shown.items() if asset not in under_rows],
        unread=not_shown,
        other_unread={asset: why for asset, why in not_shown.items() if asset not in under_rows},
        pictures=pictures(tables, previews),
        beside_evidence=beside_evidence,
        calls=sum(document.reading.calls.values()),
        whole_run=WHOLE_RUN,
        version=_version(),
        checklist_version=CHECKLIST_VERSION,
        style=_source(environment, "report.css"),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("phase5_ops.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"signs": rows.SIGNS, "most_shown": SHOWN}
    made.filters |= {"in_words": rows.in_words, "anchor": anchor, "figure": figure}
    made.tests["web_address"] = is_web_address
    return made


def _source(environment: Environment, name: str) -> str:
    """A file of the templates' folder as it stands."""
    return environment.loader.get_source(environment, name)[0] if environment.loader else ""


@cache
def _version() -> str:
    try:
        return version("phase5-ops")
    except PackageNotFoundError:  # run from a clone that is not installed
        return "of a clone that is not installed"


def anchor(name: str) -> str:
    """The id of an element that is named after a row, check or asset."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in name)


def figure(value: float | str | None) -> str:
    """A fact for people: numbers with separators and at most six digits after them, nothing for none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)  # noqa: PLR2004


def is_web_address(url: str | None) -> bool:
    """Whether a text may become a link: http or https to another machine, never a script or a file."""
    if not url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and host not in ("localhost", "127.0.0.1", "::1")
