"""What people look at first in `tenant_log_scan`: lines that name a foreign tenant, then what could not be scanned. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.isolation.logs.evidence import TenantLogScan

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """Lines that name a foreign tenant, ids that could not be looked for, then the groups by their hits and lines."""
    first = (frame["kind"].eq("foreign"), frame["kind"].eq("not_scannable"))
    return by(frame, *first, frame["foreign_hits"], frame["unattributed"], frame["lines"])


def _figures(scan: TenantLogScan) -> Mapping[str, float]:
    groups = scan.frame[scan.frame["kind"].eq("group")]
    return figures(
        foreign_hits=int(groups["foreign_hits"].sum()),
        foreign_tenants_named=scan.frame.loc[scan.frame["kind"].eq("foreign"), "foreign"].nunique(),
        ids_not_scannable=int(scan.frame["kind"].eq("not_scannable").sum()),
        lines_without_known_owner=int(groups["unattributed"].sum()),
        lines_too_deep=int(groups["too_deep"].sum()),
        hits_set_aside=int(groups["probes_set_aside"].sum() + groups["listed_set_aside"].sum()),
        lines_scanned=int(groups["lines"].sum()),
        lines_that_name_a_tenant=int(groups["naming"].sum()),
        bytes_scanned=int(groups["bytes"].sum()),
        log_groups=len(groups),
    )


PREVIEW = Preview(
    ("kind", "group", "time", "owner", "foreign", "excerpt", "lines", "naming", "unattributed", "foreign_hits"),
    _worst_first,
    _figures,
)
