"""What the formats of a readiness document show beside it: what codes mean, where the runbook is, the run before."""

import logging

from phase5_ops.build import CATALOGUE
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import RenderContext
from phase5_ops.report.past_runs import previous_of
from phase5_ops.settings import Settings

log = logging.getLogger(__name__)


def context_of(document: ReadinessDocument, settings: Settings) -> RenderContext:
    """The context of a document, as this machine knows it.

    The previous run is that of this machine's evidence folder; where its runs cannot be listed, nothing is compared, and a
    warning says so.
    """
    try:
        before = previous_of(settings.own_folder / "evidence", document)
    except OSError as error:
        log.warning("nothing is compared with the previous run: %s", error)
        before = None

    def page(shown: ReadinessDocument) -> str:
        from phase5_ops.commands.report import page_of

        return page_of(settings, shown, before)

    return RenderContext(meanings=CATALOGUE.by_name, runbook=settings.runbook_address, before=before, page=page)
