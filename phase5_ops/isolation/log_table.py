"""The table of row 4.2, as it is stored: the rows of a scan with a declared schema. Apart, since pandas takes its time."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pandera.pandas as pa

from phase5_ops.isolation.log_evidence import COUNTS, FOREIGN, GROUP, NOT_SCANNABLE, TEXTS, Dictionary, scan_facts, scan_rows
from phase5_ops.isolation.log_run import LogScan

FACTS = "log_scan"  # attribute of the table: what the scan was made with

SCHEMA = pa.DataFrameSchema(
    {
        **{name: pa.Column(str, pa.Check.isin([GROUP, FOREIGN, NOT_SCANNABLE]) if name == "kind" else None) for name in TEXTS},
        **{name: pa.Column(int, pa.Check.ge(0)) for name in COUNTS},
    },
    strict=True,
    coerce=True,
)


def scan_table(scan: LogScan, dictionary: Dictionary, facts: Mapping[str, Any]) -> pd.DataFrame:
    """The table of a scan; `facts` (sampled share, window, ...) are kept in `attrs` beside those of the scan."""
    table = SCHEMA.validate(pd.DataFrame(scan_rows(scan, dictionary), columns=list(SCHEMA.columns)))
    table.attrs[FACTS] = {**scan_facts(scan, dictionary), **facts}
    return table


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as mappings."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]
