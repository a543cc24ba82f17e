"""The order of a ledger audit by a Spark job, and its result as it is kept."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.engines.partials import Partial, code_digest, json_digest
from phase5_ops.settings import Settings

SCAN = "ledger-audit"
_CODE = ("phase5_ops.sections.replay.audit", "phase5_ops.input_files", "phase5_ops.ccnative")


def order_of(settings: Settings, run_id: str) -> dict[str, Any]:
    """What the job is told."""
    return {
        "scan": SCAN,
        "place": settings.partials_location,
        "folder": f"{SCAN}/jobs/{run_id}",
        "reading": settings.reading.model_dump_json(),
        "locations": list(settings.engine.ledger_exports),
        "policy": settings.replay.model_dump(mode="json"),
        "table": settings.tables.ledger,
        "now": iso(settings.now) if settings.now else None,
    }


def depends_on(order: Mapping[str, Any]) -> dict[str, str]:
    """What the result depends on, by name."""
    return {"order": json_digest(order), "code": code_digest(_CODE)}


def result_of(order: Mapping[str, Any], document: str) -> Partial:
    """The result as it is kept: the document of `phase5 audit-ledger --format json`."""
    return Partial(SCAN, str(order["folder"]), depends_on(order), iso(datetime.now(UTC)), (), document.encode())


def document_in(kept: bytes, order: Mapping[str, Any]) -> bytes:
    """The document that was kept for an order.

    Raises:
        PartialUnusable: it is not whole, of another order, or made by other code.
    """
    return Partial.unpacked(kept, scan=SCAN, part=str(order["folder"]), depends_on=depends_on(order)).content
