"""Evidence of row 5.2: the table `tenant_cost_report`, one row per tenant and connector over the charge period. Pure.

Columns carry the names of the FOCUS specification where it has one; `x_` columns are ours. Billed cost is what the bill says of
the tenant's own tagged resources. The shared rest (no tenant tag: one table, one function for all tenants) is allocated to
tenants by their executions in the same period, in columns of its own. Rows without a tenant are that rest; the part that no
registered tenant can be given stays there as unallocated.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pyarrow
import pyarrow.compute as pc

from phase5_ops.aws.cost_answers import AMORTIZED, BudgetAlerts, CostQuery, CostTag
from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.executions.usage import ExecutionUsage, connector_of_usage
from phase5_ops.ccnative.names import canonical_connector
from phase5_ops.ccnative.tenant_register import RegisteredTenant
from phase5_ops.clock import iso
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import CostPolicy
from phase5_ops.sections.costs.bill.allocation import allocate
from phase5_ops.sections.costs.bill.cache import CostPull

ZERO, CENT = Decimal(0), Decimal("0.01")
SHARED = ""  # tenant of the rows that carry no tenant tag

_BATCH = 50_000  # lines that are Python objects at a time

ACTIVE, INACTIVE, UNKNOWN, REST = "active", "inactive", "unknown", "shared"

_SORTED = {"sort_keys": True}


def _is_amount(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _digits(amount: Decimal) -> str:
    return format(amount, "f")


def in_cents(amount: Decimal) -> str:
    """An amount rounded to cents, with separators."""
    return f"{amount.quantize(CENT) + ZERO:,}"  # adding zero turns -0.00 into 0.00


@dataclass(slots=True)
class CostRow:
    """One row of `tenant_cost_report`; amounts in the billing currency."""

    sub_account: Annotated[str | None, "the account in scope; null if several are", Column("SubAccountId")] = None
    service: Annotated[
        str | None, "the service in scope; null if several are (Cost Explorer groups by two)", Column("ServiceName")
    ] = None
    period_start: Annotated[str, "ISO-8601, inclusive", Column("ChargePeriodStart")] = ""
    period_end: Annotated[str, "ISO-8601, exclusive", Column("ChargePeriodEnd")] = ""
    currency: Annotated[
        str,
        'ISO 4217; "" for a tenant that nothing was billed for where nothing was billed at all',
        Column("BillingCurrency"),
    ] = ""
    billed: Annotated[Decimal, "in BillingCurrency, unblended", Column("BilledCost", check=_is_amount)] = ZERO
    effective: Annotated[Decimal, "in BillingCurrency, amortized", Column("EffectiveCost", check=_is_amount)] = ZERO
    tags: Annotated[dict[str, str], "tenant and connector tag, as on the bill", Column("Tags", json=_SORTED)] = field(
        default_factory=dict
    )
    tenant: Annotated[str, '"" for what carries no tenant tag', Column("x_TenantId")] = SHARED
    connector: Annotated[
        str, 'value of the connector tag, or the connector executions ran through; "" for neither', Column("x_ConnectorId")
    ] = ""
    state: Annotated[str, "of the tenant", Column("x_TenantState", among=(ACTIVE, INACTIVE, UNKNOWN, REST))] = ACTIVE
    created_at: Annotated[str | None, "ISO-8601", Column("x_TenantCreatedAt")] = None
    allocated: Annotated[
        Decimal,
        "in BillingCurrency: part of the shared rest",
        Column("x_AllocatedCost", check=_is_amount),
    ] = ZERO
    unallocated: Annotated[
        Decimal,
        "in BillingCurrency, of a row without a tenant: what no registered tenant's usage could be found for",
        Column("x_UnallocatedCost", check=_is_amount),
    ] = ZERO
    unallocated_gross: Annotated[
        Decimal,
        "in BillingCurrency: the same of its days without their signs, so that a credit hides no other day's cost",
        Column("x_UnallocatedGross", check=_is_amount),
    ] = ZERO
    previous: Annotated[
        Decimal,
        "in BillingCurrency: own cost of the period before",
        Column("x_PreviousCost", check=_is_amount),
    ] = ZERO
    executions: Annotated[int, "number of executions through this connector", Column("x_Executions", least=0)] = 0
    tools: Annotated[dict[str, int], "executions by tool", Column("x_ExecutionsByTool", json=_SORTED)] = field(
        default_factory=dict
    )
    daily: Annotated[
        list[Decimal],
        "own cost on each day of the charge period, in the metric that is judged",
        Column("x_DailyCosts", json={"default": _digits}),
    ] = field(default_factory=list)

    def cost(self, metric: str) -> Decimal:
        """The row's own cost in a metric of Cost Explorer."""
        return self.effective if metric == AMORTIZED else self.billed

    @property
    def gross(self) -> Decimal:
        """The sum of the row's own daily costs, each without its sign."""
        return sum(map(abs, self.daily), ZERO)


@dataclass(frozen=True, slots=True)
class CostFacts:
    """What is known beside the rows.

    Attributes:
        metric: the metric of Cost Explorer that is judged.
        start, end: of the charge period, ISO dates; the end is exclusive.
        accounts, services: in scope; no service means all.
        currencies: of the bill.
        days: every day of both periods with both totals, see `_days`.
        test_tenant_cost: cost of the dedicated test tenants, a decimal text.
        problems: parts of Cost Explorer's answer that were not understood.
        malformed: unreadable records of tenants and outcomes; `further_malformed`: how many more there are.
        tags: the cost allocation tags. `budgets`: the cost budgets and alerts of AWS Budgets.
        tenants_read_at: ISO-8601.
        pull: {observed_at, requests, reused} of the pull of Cost Explorer.
        report_url: where the stored report can be opened.
    """

    metric: str = ""
    start: str = ""
    end: str = ""
    accounts: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    currencies: list[str] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    test_tenant_cost: str = ""
    problems: list[str] = field(default_factory=list)
    malformed: list[MalformedRecord] = field(default_factory=list)
    further_malformed: int = 0
    tags: list[CostTag] = field(default_factory=list)
    budgets: BudgetAlerts = field(default_factory=lambda: BudgetAlerts(0, None))
    tenants_read_at: str = ""
    pull: dict[str, Any] = field(default_factory=dict)
    report_url: str | None = None


TENANT_COST_REPORT = DeclaredTable(CostRow, CostFacts, unique=("tenant", "connector", "currency"))
CostReport = GatheredTable[CostRow, CostFacts]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the report is about: the question, the metric, the first day of the charge period (the previous one comes before)."""

    query: CostQuery
    metric: str
    start: date

    @classmethod
    def of(cls, policy: CostPolicy, account: str, now: datetime) -> "Scope":
        """The last `policy.days` whole UTC days before `now`, and as many before them."""
        end = now.date()
        start = end - timedelta(days=policy.days)
        query = CostQuery(
            start=start - timedelta(days=policy.days),
            end=end,
            tenant_tag=policy.tenant_tag,
            connector_tag=policy.connector_tag,
            accounts=policy.accounts or (account,),
            services=policy.services,
        )
        return cls(query, policy.metric, start)

    @property
    def column(self) -> str:
        """The column of the pulled lines that has the metric."""
        return "effective" if self.metric == AMORTIZED else "billed"

    def days(self) -> list[str]:
        """The days of the charge period, ISO-8601."""
        return [day for day in self.query.days() if day >= self.start.isoformat()]


def tenant_cost_report(
    *,
    scope: Scope,
    pull: CostPull,
    tenants: Mapping[str, RegisteredTenant],
    usage: ExecutionUsage,
    malformed: Iterable[MalformedRecord],
    budget_alerts: BudgetAlerts,
    canary_tenants: frozenset[str],
    policy: CostPolicy,
    now: datetime,
) -> CostReport:
    """The table `tenant_cost_report`; the caller says how its inputs were read (`with_reads`).

    Every tenant of the register, of the bill and of the outcomes has a row, except the test tenants: their executions never
    count, and what they cost is a number of its own (the fact `test_tenant_cost`), so that totals still reconcile.

    Args:
        scope: period, tags, accounts, services, metric.
        pull: what Cost Explorer answered.
        tenants: the tenants table.
        usage: executions in the charge period.
        malformed: records of the tenants table that could not be read; those of `usage` are added.
        budget_alerts: the cost budgets and alerts of AWS Budgets.
        canary_tenants: the dedicated test tenants.
        policy: statuses that count as inactive.
        now: when tenants and usage were read; the costs may be of an earlier run.

    Returns:
        The table, ordered by tenant and connector.
    """
    rows = _billed_rows(scope, pull, canary_tenants)
    currencies = sorted({row.currency for row in rows.values()} | {total.currency for total in pull.totals if total.currency})
    main = currencies[0] if len(currencies) == 1 else ""
    _add_usage(rows, usage, main, canary_tenants)
    if len(currencies) <= 1:
        _allocate_shared_rest(rows, usage, scope.metric, main, registered=tenants.keys(), canary_tenants=canary_tenants)
    else:  # amounts of different currencies are not added, so nothing can be shared out
        for row in rows.values():
            if row.tenant == SHARED:
                row.unallocated, row.unallocated_gross = row.cost(scope.metric), row.gross
    present = {row.tenant for row in rows.values()}
    for tenant in tenants.keys() - present - canary_tenants:
        rows[tenant, "", main] = CostRow(tenant=tenant, currency=main)
    nothing = [ZERO] * len(scope.days())
    for row in rows.values():
        known = tenants.get(row.tenant)
        row.daily = row.daily or nothing
        row.state = _state(row.tenant, known, policy)
        _set_scope(row, scope)
        row.created_at = iso(known.created_at) if known and known.created_at else None
    all_malformed = [*malformed, *usage.malformed]
    facts = CostFacts(
        metric=scope.metric,
        start=scope.start.isoformat(),
        end=scope.query.end.isoformat(),
        accounts=list(scope.query.accounts),
        services=list(scope.query.services),
        currencies=currencies,
        days=_days(scope, pull),
        test_tenant_cost=str(_cost_of(pull, scope, canary_tenants)),
        problems=list(pull.problems),
        malformed=all_malformed,
        further_malformed=usage.further_malformed,
        tags=list(pull.tags),
        budgets=budget_alerts,
        tenants_read_at=iso(now),
        pull={"observed_at": iso(pull.observed_at), "requests": pull.requests, "reused": pull.reused},
    )
    return TENANT_COST_REPORT.gathered((rows[key] for key in sorted(rows)), facts)


def _set_scope(row: CostRow, scope: Scope) -> None:
    """Writes account, service, period and tags into a row."""
    query = scope.query
    row.sub_account = query.accounts[0] if len(query.accounts) == 1 else None
    row.service = query.services[0] if len(query.services) == 1 else None
    row.period_start, row.period_end = f"{scope.start.isoformat()}T00:00:00Z", f"{query.end.isoformat()}T00:00:00Z"
    row.tags = {k: v for k, v in ((query.tenant_tag, row.tenant), (query.connector_tag, row.connector)) if v}


def _state(tenant: str, known: RegisteredTenant | None, policy: CostPolicy) -> str:
    if tenant == SHARED:
        return REST
    if known is None:
        return UNKNOWN
    return ACTIVE if known.active(policy.inactive_tenant_statuses) else INACTIVE


Rows = dict[tuple[str, str, str], CostRow]  # by tenant, connector, currency


def _row_of(rows: Rows, tenant: str, connector: str, currency: str) -> CostRow:
    """The row of that key, made if there is none."""
    made = CostRow(tenant=tenant, connector=connector, currency=currency)
    return rows.setdefault((tenant, connector, currency), made)


def _billed_rows(scope: Scope, pull: CostPull, canary_tenants: frozenset[str]) -> Rows:
    """A row for every tenant, connector and currency of the bill."""
    rows: Rows = {}
    first = scope.start.isoformat()
    position = {day: n for n, day in enumerate(scope.days())}
    keys = ("tenant", "connector", "currency")
    left_out = pc.is_in(pull.lines["tenant"], pyarrow.array(sorted(canary_tenants), pyarrow.string()))
    lines = pull.lines.filter(pc.invert(left_out))
    is_current = pc.greater_equal(lines["day"], first)
    current, previous = lines.filter(is_current), lines.filter(pc.invert(is_current))
    for tenant, connector, currency, billed, effective in _summed(current, keys, ("billed", "effective")):
        rows[tenant, connector, currency] = CostRow(
            tenant=tenant, connector=connector, currency=currency, billed=billed, effective=effective
        )
    for tenant, connector, currency, cost in _summed(previous, keys, (scope.column,)):
        _row_of(rows, tenant, connector, currency).previous = cost
    for row in rows.values():
        row.daily = [ZERO] * len(position)
    for batch in current.select([*keys, "day", scope.column]).to_batches(max_chunksize=_BATCH):
        for tenant, connector, currency, day, cost in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            rows[tenant, connector, currency].daily[position[day]] += cost
    return rows


def _summed(lines: pyarrow.Table, keys: tuple[str, ...], amounts: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Keys and sums of these columns, exact."""
    sums = lines.group_by(list(keys)).aggregate([(name, "sum") for name in amounts])
    yield from zip(*(sums[name].to_pylist() for name in (*keys, *(f"{name}_sum" for name in amounts))), strict=True)


def _add_usage(rows: Rows, usage: ExecutionUsage, currency: str, canary_tenants: frozenset[str]) -> None:
    """Counts every execution in the row of its tenant and connector, which is made if the bill has none."""
    for (tenant, tool), count in sorted(usage.counts.items()):
        if tenant in canary_tenants:
            continue
        row = _row_of(rows, tenant, connector_of_usage(tool), currency)
        row.executions += count
        row.tools[tool] = row.tools.get(tool, 0) + count


def _allocate_shared_rest(
    rows: Rows,
    usage: ExecutionUsage,
    metric: str,
    currency: str,
    *,
    registered: Collection[str],
    canary_tenants: frozenset[str],
) -> None:
    """Shares costs without tenant tag: those with a connector tag by executions through that connector, else by all executions.

    The share of a tenant that executed but is not registered stays unallocated.
    """
    by_connector: dict[str, Counter[str]] = defaultdict(Counter)
    overall: Counter[str] = Counter()
    for (tenant, tool), count in usage.counts.items():
        if tenant not in canary_tenants:
            by_connector[connector_of_usage(tool)][tenant] += count
            overall[tenant] += count
    for rest in [row for row in rows.values() if row.tenant == SHARED]:
        weights = by_connector.get(canonical_connector(rest.connector), Counter()) if rest.connector else overall
        allocation, gross = allocate(rest.cost(metric), weights), allocate(rest.gross, weights)
        rest.unallocated, rest.unallocated_gross = allocation.unallocated, gross.unallocated
        for tenant, share in allocation.shares.items():
            if tenant in registered:
                _row_of(rows, tenant, rest.connector, currency).allocated += share
            else:
                rest.unallocated += share
        rest.unallocated_gross += sum((share for tenant, share in gross.shares.items() if tenant not in registered), ZERO)


def _days(scope: Scope, pull: CostPull) -> list[dict[str, Any]]:
    """Every day of both periods: the sum of the grouped lines beside the account's total, as decimal texts."""
    grouped: dict[str, Decimal] = dict(_summed(pull.lines, ("day",), (scope.column,)))
    spent = set(pc.unique(pull.lines["day"].filter(pc.not_equal(pull.lines[scope.column], ZERO))).to_pylist())
    return [
        {
            "day": total.day,
            "current": total.day >= scope.start.isoformat(),
            "estimated": total.estimated,
            "grouped": str(grouped.get(total.day, ZERO)),
            "total": str(getattr(total, scope.column)),
            "arrived": total.day in spent or bool(total.billed) or bool(total.effective),
        }
        for total in pull.totals
    ]


def _cost_of(pull: CostPull, scope: Scope, tenants: frozenset[str]) -> Decimal:
    """What the bill of the charge period says of these tenants, in the metric that is judged."""
    of_them = pc.is_in(pull.lines["tenant"], pyarrow.array(sorted(tenants), pyarrow.string()))
    in_period = pc.greater_equal(pull.lines["day"], scope.start.isoformat())
    costs = pull.lines.filter(pc.and_(of_them, in_period))[scope.column]
    return pc.sum(costs).as_py() or ZERO
