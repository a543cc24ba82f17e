"""Reads the records of configuration, once a run: row 5.1 reads the same tables whole, and leaves here what configures.

Where it did not (the asset is gathered alone), the tables are read here, page by page.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from phase5_ops.aws.tables import scan_items_once, scan_pages
from phase5_ops.ccnative.configuration_changes import ATTRIBUTES, ConfigurationRecords
from phase5_ops.context import RunContext
from phase5_ops.reads import Read

_KEPT = "costs/configuration"  # key in `run.shared`

Scanned = tuple[Iterable[Mapping[str, Any]], Read]


def keep_configuration(run: RunContext, *, autonomy_config: Scanned, budget_state: Scanned, tenants: Scanned) -> None:
    """Keeps the records of configuration among these items, and how they were read."""
    tables, records = run.settings.tables, ConfigurationRecords()
    records.add(autonomy_config[0], tables.autonomy_config)
    records.add(budget_state[0], tables.autonomy_budget_state)
    records.add_tenants(tenants[0], tables.tenants)
    run.shared[_KEPT] = (records, [autonomy_config[1], budget_state[1], tenants[1]])


def read_configuration(run: RunContext) -> tuple[ConfigurationRecords, list[Read]]:
    """The records of configuration, and how they were read."""
    if _KEPT in run.shared:
        kept: tuple[ConfigurationRecords, list[Read]] = run.shared[_KEPT]
        return kept
    tables, records = run.settings.tables, ConfigurationRecords()
    reads = [
        scan_pages(run.reader, name, lambda items, name=name: records.add(items, name), attributes=ATTRIBUTES)  # type: ignore[misc]
        for name in (tables.autonomy_config, tables.autonomy_budget_state)
    ]
    items, read = scan_items_once(run.reader, tables.tenants)
    records.add_tenants(items, tables.tenants)
    return records, [*reads, read]
