"""The cost report per tenant, for people: Markdown for the asset's metadata, HTML to be stored with the evidence. Pure.

Per tenant: billed and allocated cost, share, change against the previous period, cost per execution, connectors, trend. The two
kinds of cost stand side by side and are never added into one column without saying so.
"""

import html
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from phase5_ops.ccnative.names import canonical_connector
from phase5_ops.sections.costs.bill.evidence import REST, SHARED, ZERO, CostReport, in_cents

MARKDOWN_TENANTS = 50  # in the asset's metadata; the stored report has them all
MARKDOWN_TREND = 10  # characters of a trend there: with one a day Dagster's dialog cuts it

_BARS = "▁▂▃▄▅▆▇█"
_HEADINGS = (
    "tenant", "state", "billed", "allocated", "together", "share", "previous", "change", "executions", "per execution",
    "by connector", "trend",
)  # fmt: skip
_MOST_CONNECTORS = 4  # named in a line; the others are added up


@dataclass(slots=True)
class TenantCost:
    """One tenant's line of the report; `daily` is its own (billed) cost a day, `connectors` billed and allocated cost by name."""

    tenant: str
    state: str
    billed: Decimal = ZERO
    allocated: Decimal = ZERO
    unallocated: Decimal = ZERO
    previous: Decimal = ZERO
    executions: int = 0
    daily: list[Decimal] = field(default_factory=list)
    connectors: dict[str, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    @property
    def together(self) -> Decimal:
        """Billed and allocated cost."""
        return self.billed + self.allocated


def tenant_costs(table: CostReport) -> list[TenantCost]:
    """The tenants of a `tenant_cost_report` table, most expensive first; costs without a tenant tag are the line of tenant ""."""
    metric = table.facts.metric
    lines: dict[str, TenantCost] = {}
    for row in table.rows:
        line = lines.setdefault(row.tenant, TenantCost(row.tenant, row.state, daily=[ZERO] * len(row.daily)))
        line.billed += row.cost(metric)
        line.allocated += row.allocated
        line.unallocated += row.unallocated
        line.previous += row.previous
        line.executions += row.executions
        line.daily = [before + cost for before, cost in zip(line.daily, row.daily, strict=True)]
        if cost := row.cost(metric) + row.allocated:
            line.connectors[canonical_connector(row.connector) if row.connector else "none"] += cost
    return sorted(lines.values(), key=lambda line: (-line.together, line.tenant))


def sparkline(costs: Sequence[Decimal]) -> str:
    """One character a cost, from nothing to the highest; credits (negative costs) show as nothing."""
    top = max(costs, default=ZERO)
    if top <= 0:
        return _BARS[0] * len(costs)
    return "".join(_BARS[min(int(max(cost, ZERO) * len(_BARS) / top), len(_BARS) - 1)] for cost in costs)


def averages(costs: Sequence[Decimal], most: int) -> list[Decimal]:
    """The mean cost a day of at most so many spans of equal length; the last span may be shorter."""
    length = -(-len(costs) // most) or 1
    spans = [costs[start : start + length] for start in range(0, len(costs), length)]
    return [sum(span, ZERO) / len(span) for span in spans]


def _cells(line: TenantCost, whole: Decimal, trend: Sequence[Decimal]) -> tuple[str, ...]:
    per_execution = line.together / line.executions if line.executions else None
    return (
        line.tenant or "(shared, no tenant tag)",
        line.state,
        in_cents(line.billed),
        in_cents(line.allocated) if line.state != REST else f"{in_cents(line.unallocated)} unallocated",
        in_cents(line.together) if line.state != REST else "",
        f"{line.together / whole:.1%}" if whole > 0 and line.state != REST else "",
        in_cents(line.previous),
        change(line.billed, line.previous),
        f"{line.executions:,}",
        f"{per_execution:,.4f}" if per_execution is not None else "",
        _connectors(line),
        sparkline(trend),
    )


def change(now: Decimal, before: Decimal) -> str:
    """Billed cost against the period before, in percent; `new` and `ended` where one of the two is nothing."""
    if before <= 0:
        return "" if not before and not now else "new" if not before else "n/a"
    return "ended" if not now else f"{(now - before) / before:+.1%}"


def _connectors(line: TenantCost) -> str:
    ordered = sorted(line.connectors.items(), key=lambda item: (-item[1], item[0]))
    texts = [f"{name} {in_cents(cost)}" for name, cost in ordered[:_MOST_CONNECTORS]]
    if rest := ordered[_MOST_CONNECTORS:]:
        texts.append(f"{len(rest)} more {in_cents(sum((cost for _, cost in rest), ZERO))}")
    return ", ".join(texts)


def _header(table: CostReport) -> str:
    facts = table.facts
    scope = f"accounts {', '.join(facts.accounts)}; services {', '.join(facts.services) or 'all'}"
    again = "kept from an earlier run" if facts.pull["reused"] else "pulled by this run"
    return (
        f"{facts.metric} in {', '.join(facts.currencies) or 'no currency'}, {facts.start} to before {facts.end};"
        f" {scope}; read from Cost Explorer at {facts.pull['observed_at']} ({again})"
    )


def _comparable(table: CostReport) -> bool:
    """Amounts can be compared and added: there is at most one currency."""
    return len(table.facts.currencies) <= 1


_MIXED = "The bill is in more than one currency; amounts are not added. The table tenant_cost_report has every line."


def as_markdown(table: CostReport, limit: int = MARKDOWN_TENANTS) -> str:
    """The report as Markdown: the `limit` most expensive tenants, and the shared rest."""
    if not _comparable(table):
        return f"{_header(table)}\n\n{_MIXED}"
    lines = tenant_costs(table)
    whole = sum((line.together for line in lines if line.tenant != SHARED), ZERO)
    shown = [line for line in lines if line.tenant != SHARED][:limit]
    rest = [line for line in lines if line.tenant == SHARED]
    cells = [_cells(line, whole, averages(line.daily, MARKDOWN_TREND)) for line in (*shown, *rest)]
    rows = [f"| {' | '.join(map(_escaped, each))} |" for each in cells]
    left_out = len(lines) - len(shown) - len(rest)
    note = f"\n\n{left_out} further tenants are in the stored report." if left_out else ""
    align = "|".join("---" if name in ("tenant", "state", "by connector", "trend") else "---:" for name in _HEADINGS)
    return "\n".join([_header(table), "", f"| {' | '.join(_HEADINGS)} |", f"|{align}|", *rows]) + note


def _escaped(cell: str) -> str:
    """The cell, escaped so that a tenant tag cannot break the table."""
    return html.escape(" ".join(cell.split()), quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`")


def as_html(table: CostReport) -> str:
    """The whole report as one HTML page that needs nothing else."""
    lines = tenant_costs(table) if _comparable(table) else []
    whole = sum((line.together for line in lines if line.tenant != SHARED), ZERO)
    rows = [_cells(line, whole, line.daily) for line in lines]
    body = "\n".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows)
    heads = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    note = "" if _comparable(table) else f"<p>{_MIXED}</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Cost per tenant</title><style>'
        "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{padding:3px 10px;border-bottom:1px solid #ddd;"
        "text-align:right;white-space:nowrap}td:first-child,td:nth-child(2),td:nth-child(11),td:last-child{text-align:left}</style>"
        f"</head><body><h1>Cost per tenant</h1><p>{html.escape(_header(table))}</p>{note}"
        "<p>Billed: the tenant's own tagged resources. Allocated: its part of the shared rest, by executions. Change: billed cost"
        f" against as many days before.</p>\n<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        "</body></html>\n"
    )
