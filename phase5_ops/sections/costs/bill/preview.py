"""What people look at first in `tenant_cost_report`: the cost that nobody bears, then the most expensive tenants. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phase5_ops.evidence.drawing import Drawing
from phase5_ops.evidence.preview import Preview, by, figures
from phase5_ops.sections.costs.bill.evidence import ACTIVE, REST, UNKNOWN, CostReport
from phase5_ops.sections.costs.bill.judge import total_cost, unallocated_share

if TYPE_CHECKING:
    from pandas import DataFrame


def _worst_first(frame: "DataFrame") -> "DataFrame":
    """What no tenant bears, what no known tenant bears, active tenants without any cost, then by cost."""
    cost = frame["BilledCost"].astype(float) + frame["x_AllocatedCost"].astype(float)
    state = frame["x_TenantState"]
    tenants = cost.abs().groupby(frame["x_TenantId"]).transform("sum")
    return by(frame, frame["x_UnallocatedCost"].astype(float).ne(0), state.eq(UNKNOWN), state.eq(ACTIVE) & tenants.eq(0), cost)


def _figures(report: CostReport) -> Mapping[str, float]:
    rows, metric = report.rows, report.facts.metric
    active = {row.tenant for row in rows if row.state == ACTIVE}
    bearing = {row.tenant for row in rows if row.state == ACTIVE and (row.cost(metric) or row.allocated)}
    counts = figures(
        active_tenants=len(active),
        tenants_without_cost=len(active - bearing),
        unknown_tenants_billed=len({row.tenant for row in rows if row.state == UNKNOWN}),
        executions=sum(row.executions for row in rows),
    )
    if len(report.facts.currencies) != 1:  # amounts cannot be added
        return counts
    shared = [row for row in rows if row.state == REST]
    currency = report.facts.currencies[0].lower()
    amounts = {
        "cost": total_cost(rows, metric),
        "shared_cost": total_cost(shared, metric),
        "unallocated_cost": sum(row.unallocated for row in shared),
    }
    return {
        "unallocated_share_percent": round(100 * unallocated_share(rows), 4),
        **{f"{name}_{currency}": round(float(amount), 2) for name, amount in amounts.items()},
        **counts,
    }


def _picture(report: CostReport) -> Drawing | None:
    from phase5_ops.sections.costs.bill import plot

    return plot.plot_costs(report)


PREVIEW = Preview(
    columns=(
        "x_TenantId",
        "x_ConnectorId",
        "BilledCost",
        "x_AllocatedCost",
        "x_UnallocatedCost",
        "x_TenantState",
        "x_PreviousCost",
        "x_Executions",
        "BillingCurrency",
    ),
    worst_first=_worst_first,
    figures=_figures,
    picture=_picture,
)
