"""Evidence of audit_export_is_whole: the table `audit_export`, one row per entry of the ledger or of the exported file. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from phase5_ops.ccnative.attributes import key_text
from phase5_ops.ccnative.audit_exports import differing
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """One row of `audit_export`."""

    entry_id: Annotated[str, "its id", Column(unique=True)]
    timestamp: Annotated[str, '"" where it has none']
    event_type: Annotated[str, '"" where it has none']
    tenant: Annotated[str, "the tenant that it names"]
    in_ledger: Annotated[bool, "the ledger has it in the tenant's partition, in the period"]
    in_file: Annotated[int, "number of times that the file has it", Column(least=0)]
    differs: Annotated[list[str], "names of attributes that the file has otherwise than the ledger"]


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What is known beside the rows.

    Attributes:
        obstacle: code, subject, expected and seen of what kept the export from being asked for or compared; None for nothing.
        tenant: the test tenant.
        period: from and to, ISO-8601.
        export_id: as the Control Center named it; "" where it named none.
        ledger: the name of its table.
        ledger_pages: pages of at most 1 MB in which DynamoDB gives the period's entries.
        planted: entries that this run wrote so that there is more than one page.
        waited: seconds until the export was completed.
        file_bytes: size of the file.
        compared: whether file and ledger were compared.
    """

    obstacle: dict[str, str] | None = None
    tenant: str = ""
    period: list[str] = field(default_factory=list)
    export_id: str = ""
    ledger: str = ""
    ledger_pages: int = 0
    planted: int = 0
    waited: float = 0.0
    file_bytes: int = 0
    compared: bool = False


AUDIT_EXPORT = DeclaredTable(ExportedEntry, ExportFacts)
AuditExport = GatheredTable[ExportedEntry, ExportFacts]


def compared_entries(items: Iterable[Mapping[str, Any]], exported: Sequence[Mapping[str, Any]]) -> list[ExportedEntry]:
    """Each entry of the ledger (DynamoDB JSON) or of the file, compared; in order of time, then of id.

    Of an id that two entries of the ledger have it cannot be told which one the file has: `entryId` differs.
    """
    held: dict[str, Mapping[str, Any]] = {}
    twice = set[str]()
    for one in items:
        name = key_text(one, "entryId")
        twice |= {name} & held.keys()
        held[name] = one
    times = Counter(str(entry["entryId"]) for entry in exported)
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in exported:
        found.setdefault(str(entry["entryId"]), []).append(entry)
    rows = []
    for entry_id in {*held, *found}:
        item, entries = held.get(entry_id), found.get(entry_id, [])
        first = entries[0] if entries else {}
        foreign = [str(each.get("tenantId")) for each in entries if each.get("tenantId") != first.get("tenantId")]
        rows.append(
            ExportedEntry(
                entry_id,
                key_text(item, "timestamp") if item is not None else _text(first, "timestamp"),
                key_text(item, "eventType") if item is not None else _text(first, "eventType"),
                (foreign or [_text(first, "tenantId") if entries else key_text(item or {}, "tenantId")])[0],
                item is not None,
                times[entry_id],
                sorted(
                    {name for each in entries for name in differing(item, each)} | ({"entryId"} if entry_id in twice else set())
                )
                if item is not None
                else [],
            )
        )
    return sorted(rows, key=lambda row: (row.timestamp, row.entry_id))


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
