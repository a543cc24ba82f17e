"""The evidence tables that a run left, for its report: on this machine, or in a copy of the evidence."""

from collections.abc import Callable, Mapping
from typing import Any

from phase5_ops.evidence.store import table_in
from phase5_ops.evidence.table import DeclaredTable, GatheredTable, Tables
from phase5_ops.report.past_runs import RunFiles


def tables_of(
    files: RunFiles,
    run_id: str,
    declared: Mapping[str, DeclaredTable[Any, Any]],
    understood: Callable[[bytes, DeclaredTable[Any, Any]], GatheredTable[Any, Any]] = table_in,
) -> tuple[Tables, dict[str, Exception]]:
    """The tables of a run by asset, and why one that is there cannot be read; what the run did not gather is in neither.

    `understood` makes a table of the content of its file.
    """
    tables: dict[str, GatheredTable[Any, Any]] = {}
    unread: dict[str, Exception] = {}
    for asset, table in declared.items():
        try:
            tables[asset] = understood(files.read(run_id, f"tables/{asset}.parquet"), table)
        except FileNotFoundError:
            continue  # its rows say that there is none
        except (OSError, KeyError, ValueError, TypeError) as error:
            unread[asset] = error
    return tables, unread
