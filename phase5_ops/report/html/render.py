"""The whole report as one HTML text: no network, no file beside it is needed, and nothing in it is trusted.

Every text goes through Jinja's escaping; the content security policy allows the page's own script and nothing else.
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined

from phase5_ops.report.document import WHOLE_RUN, ReadinessDocument, candidate_line, headline, judged_line, waiver_line
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html import rows

if TYPE_CHECKING:
    from phase5_ops.evidence.table import GatheredTable

_NO_CATALOGUE = Catalogue(())


def render_report(
    document: ReadinessDocument,
    *,
    tables: "Mapping[str, GatheredTable[Any, Any]]",
    previews: Mapping[str, Any],
    changes: Any,  # noqa: ANN401
    catalogue: Catalogue = _NO_CATALOGUE,
) -> str:
    """The report of one readiness run, or of a candidate as the gate sees it.

    Args:
        document: what is shown.
        tables: the evidence of its run by asset; one that is missing is said to be missing.
        previews: how each table is shown, by asset; without one all of its columns are.
        changes: against the previous run; None where that was not looked at.
        catalogue: what each finding code means and what to do about it.
    """
    of = f"{document.release} in {document.environment}" if document.release else document.environment
    template = _environment().get_template("report.html.j2")
    script = _source("report.js")
    return template.render(
        document=document,
        of=of,
        headline=headline(document),
        candidate_line=candidate_line(document),
        judged_line=judged_line(document),
        waivers=[(waiver, waiver_line(waiver)) for waiver in document.waivers],
        sections=rows.sections(document, catalogue),
        blockers=rows.blockers(document, catalogue),
        counted=rows.counted([*document.rows, *document.extra_checks]),
        calls=sum(document.reading.calls.values()),
        whole_run=WHOLE_RUN,
        style=_source("report.css"),
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
    made.globals["signs"] = rows.SIGNS
    made.filters |= {"in_words": rows.in_words, "anchor": anchor}
    made.tests["web_address"] = is_web_address
    return made


def _source(name: str) -> str:
    """A template file as it stands."""
    environment = _environment()
    assert environment.loader is not None  # noqa: S101 - given above
    return environment.loader.get_source(environment, name)[0]


def anchor(name: str) -> str:
    """The id of an element that is named after a row, check or asset."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in name)


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
