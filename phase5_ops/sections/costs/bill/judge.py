"""Row 5.2: every active tenant has a cost, the bill adds up, and little of it belongs to nobody. Pure.

Costs that could not be read or understood are an ERROR, and then nothing is said of any tenant. Everything else is judged on
exact decimals of one currency. It is one file because all its rules, a few lines each, look at the same case.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from statistics import median
from typing import Any

from phase5_ops.aws.cost_answers import CostTag
from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.clock import parse_iso
from phase5_ops.policy import CostPolicy
from phase5_ops.reads import Read, ReadStatus, read_findings, whole
from phase5_ops.sections.costs.bill.evidence import ACTIVE, CENT, REST, SHARED, UNKNOWN, ZERO, CostReport, CostRow, in_cents
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class CostCode(FindingCodes):
    """The finding codes of row 5.2."""

    COST_UNREADABLE = FindingCode(
        Verdict.ERROR,
        "Cost Explorer did not answer, or its answer could not be understood, so no cost is known.",
        "Allow ce:GetCostAndUsage and, in a member account, have the management account open Cost Explorer to it; then run with"
        " --refresh. Thousands of tenants are hundreds of pages: raise reading.deadline_seconds if they take too long.",
    )
    ACTIVE_TENANT_WITHOUT_COST = FindingCode(
        Verdict.FAIL,
        "An active tenant has neither a billed nor an allocated cost in the period; WARN while the tenant or the tag is new.",
        "Tag the tenant's resources with the tenant tag, or find out why it has no executions.",
        also=(Verdict.WARN,),
    )
    UNALLOCATED_SHARE_TOO_HIGH = FindingCode(
        Verdict.FAIL,
        "Too much of the cost is neither tagged with a tenant nor shared out by measured usage of registered tenants.",
        "Tag more resources, or correct the connector tag of shared ones so that executions can be found for it; register the"
        " tenants that execute.",
    )
    TAG_NOT_ACTIVE = FindingCode(
        Verdict.FAIL,
        "A tag that splits the costs is no active cost allocation tag; WARN for the connector tag where that is only inferred.",
        "Activate it as a cost allocation tag in the management account; it takes up to 24 hours to show, and does not reach back"
        " unless backfilled.",
        also=(Verdict.WARN,),
    )
    COST_DATA_STALE = FindingCode(
        Verdict.FAIL,
        "Cost Explorer has no cost of the last days, although it is at most a day or two behind; WARN for days without any cost"
        " between days that have one.",
        "Look at Cost Explorer in the console; run again with --refresh when the days have arrived.",
        also=(Verdict.WARN,),
    )
    COST_DOES_NOT_RECONCILE = FindingCode(
        Verdict.FAIL,
        "The costs by tenant and connector do not add up to the total of the same scope, to the cent, over days that are"
        " final. On days still estimated a difference is WARN, or INCONCLUSIVE where no day is final.",
        "Run with --refresh; if it stays, compare the two views of the day in Cost Explorer.",
        also=(Verdict.INCONCLUSIVE, Verdict.WARN),
    )
    UNKNOWN_TENANT_BILLED = FindingCode(
        Verdict.FAIL,
        "Resources carry a tenant tag whose value is no tenant of the tenants table.",
        "Correct the tag's value (case and spaces count), or remove the resources of a tenant that is gone.",
    )
    COST_ANOMALY = FindingCode(
        Verdict.WARN,
        "A tenant's (or the shared) cost of a recent day is far above its median day.",
        "Look at the tenant's costs by service and at what it executed that day.",
    )
    BUDGET_ALARM_MISSING = FindingCode(
        Verdict.WARN,
        "AWS Budgets has no alert for the account, or it could not be read.",
        "Create a cost budget with an alert, or allow budgets:ViewBudget.",
    )
    COST_CURRENCY_MIXED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The bill has costs in more than one currency, which cannot be added.",
        "Narrow the scope (costs.accounts) to accounts of one billing currency.",
    )
    COST_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "A record of the tenants or outcomes table could not be read, so tenants or usage may be missing.",
        "The finding names table, key and attribute: correct the record.",
    )


#: Reads that this judge turns into findings of its own.
_COSTS, _TAGS, _BUDGETS = "ce:GetCostAndUsage", "ce:ListCostAllocationTags", "budgets:"

_HALF_A_CENT = Decimal("0.005")
_SETTLED = timedelta(hours=24)  # Cost Explorer refreshes a day's costs at least once in that time
_RECENT_DAYS = 7  # days in which anomalies are looked for
_BASELINE_DAYS = 7  # fewer days with cost before them say nothing about what is usual
_TENANTS_FOUND = 100  # one finding counts the others, so that 10,000 tenants do not drown a report
_DAYS_FOUND = 10


@dataclass(frozen=True)
class _CostCase:
    """What every rule looks at."""

    table: CostReport
    rows: Sequence[CostRow]
    policy: CostPolicy
    links: ConsoleLinks

    @property
    def metric(self) -> str:
        return self.table.facts.metric

    @property
    def currency(self) -> str:
        currencies = self.table.facts.currencies
        return currencies[0] if len(currencies) == 1 else ""

    @property
    def days(self) -> list[dict[str, Any]]:
        return self.table.facts.days

    @cached_property
    def shared_cost(self) -> bool:
        """True if the shared rest cost something on at least one day, even if credits made up for it."""
        return any(cost > 0 for row in self.rows if row.state == REST for cost in row.daily)

    def money(self, amount: Decimal) -> str:
        return f"{self.currency} {shown_amount(amount)}".strip()

    def link(self, tenant: str | None = None, tag: str | None = None) -> str:
        """The Cost Explorer view behind the report, or one tenant's part of it."""
        facts = self.table.facts
        last = date.fromisoformat(facts.end) - timedelta(days=1)
        return self.links.cost_explorer(
            date.fromisoformat(facts.start),
            last,
            tag=tag or self.policy.tenant_tag,
            metric=self.metric,
            value=tenant,
            accounts=facts.accounts,
            services=facts.services,
        )


def judge_cost_report(
    table: CostReport, *, policy: CostPolicy, links: ConsoleLinks, tenants_table: str, outcomes_table: str
) -> Judgement:
    """Row 5.2.

    Args:
        table: `tenant_cost_report`, with its reads.
        policy: tags, limits and ages.
        links: console links.
        tenants_table: name of the tenants table.
        outcomes_table: name of the outcomes table.
    """
    reads = table.reads
    findings = read_findings(reads, ignoring={r.operation for r in reads if r.operation.startswith((_COSTS, _TAGS, _BUDGETS))})
    if not reads:
        return conclude(judged=0, summary="The costs could not be judged", findings=findings)
    case = _CostCase(table, table.rows, policy, links)
    evidence = _evidence(case, tenants_table, outcomes_table)
    findings += [*_malformed_findings(case), *_budget_findings(case, reads)]
    unreadable = list(_unreadable_findings(case, reads))
    if unreadable:
        summary = "The costs could not be read"
        return conclude(judged=0, summary=summary, findings=findings + unreadable, evidence=evidence)
    tenants_known, usage_known = (
        whole(read for read in reads if read.resource == table_name) for table_name in (tenants_table, outcomes_table)
    )
    findings += _tag_findings(case, reads)
    findings += _stale_findings(case)
    findings += _unknown_tenant_findings(case) if tenants_known else []
    if len(table.facts.currencies) > 1:
        findings.append(_mixed(case))
    else:
        findings += [*_reconcile_findings(case), *_anomaly_findings(case)]
        findings += _share_findings(case) if tenants_known and usage_known else []
    active = _by_tenant(row for row in case.rows if row.state == ACTIVE)
    if tenants_known and usage_known:
        findings += _without_cost_findings(case, active)
    return conclude(
        judged=len(active), summary=_summary(case, active), findings=findings, facts=_facts(case, active), evidence=evidence
    )


def shown_amount(amount: Decimal) -> str:
    """An amount for people: cents, and more digits only where cents would show nothing."""
    if amount and abs(amount) < CENT:
        return format(amount.normalize(), "f")
    return in_cents(amount)


def total_cost(rows: Sequence[CostRow], metric: str) -> Decimal:
    """The own cost of these rows together; allocated cost is not added, since the shared rows hold it already."""
    return sum((row.cost(metric) for row in rows), ZERO)


def unallocated_share(rows: Sequence[CostRow]) -> float:
    """Share of the cost that no tenant bears; daily costs count without their signs, so that credits cannot hide it."""
    gross = sum((row.gross for row in rows), ZERO)
    return float(sum((row.unallocated_gross for row in rows), ZERO) / gross) if gross else 0.0


def complete_through(days: Sequence[Mapping[str, Any]], observed_at: datetime) -> str | None:
    """The newest day that has arrived and had a day's time to settle before it was read; None if there is none."""
    settled = (observed_at - _SETTLED).date().isoformat()  # a day is over at the start of the next
    return max((day["day"] for day in days if day["arrived"] and day["day"] < settled), default=None)


def _by_tenant(rows: Iterator[CostRow] | Sequence[CostRow]) -> dict[str, list[CostRow]]:
    grouped: dict[str, list[CostRow]] = defaultdict(list)
    for row in rows:
        grouped[row.tenant].append(row)
    return grouped


def _evidence(case: _CostCase, tenants_table: str, outcomes_table: str) -> list[EvidenceLink]:
    report = case.table.facts.report_url
    return [
        EvidenceLink("Cost Explorer by tenant", case.link()),
        EvidenceLink("Cost Explorer by connector", case.link(tag=case.policy.connector_tag)),
        *([EvidenceLink("Stored cost report", report)] if report else []),
        *(EvidenceLink(f"Table {name}", case.links.table(name)) for name in (tenants_table, outcomes_table)),
        EvidenceLink("AWS Budgets", case.links.budgets()),
    ]


def _summary(case: _CostCase, active: Mapping[str, Sequence[CostRow]]) -> str:
    rest = [row for row in case.rows if row.state == REST]
    total = total_cost(case.rows, case.metric)
    unallocated = sum((row.unallocated for row in rest), ZERO)
    with_cost = sum(1 for rows in active.values() if _has_cost(case, rows))
    known = case.table.facts
    if len(known.currencies) > 1:
        return f"{with_cost} of {len(active)} active tenants have a cost; the bill is in {', '.join(known.currencies)}"
    return (
        f"{with_cost} of {len(active)} active tenants have a cost; {case.currency} {in_cents(total)} from {known.start} to"
        f" before {known.end}, {in_cents(total_cost(rest, case.metric))} of it shared, {in_cents(unallocated)} unallocated"
    )


def _facts(case: _CostCase, active: Mapping[str, Sequence[CostRow]]) -> dict[str, Fact]:
    known, days = case.table.facts, case.days
    rest = [row for row in case.rows if row.state == REST]
    facts: dict[str, Fact] = {
        "active_tenants": len(active),
        "active_tenants_with_cost": sum(1 for rows in active.values() if _has_cost(case, rows)),
        "executions": sum(row.executions for row in case.rows),
        "currency": ", ".join(known.currencies),
        "days_final": sum(1 for day in days if not day["estimated"]),
        "days_estimated": sum(1 for day in days if day["estimated"]),
        "complete_through": complete_through(days, parse_iso(known.pull["observed_at"])) or "no day",
        "costs_read_at": known.pull["observed_at"],
        "cost_explorer_requests": known.pull["requests"],
        "test_tenant_cost": known.test_tenant_cost,
    }
    if len(known.currencies) <= 1:
        facts |= {
            "cost": in_cents(total_cost(case.rows, case.metric)),
            "shared_cost": in_cents(total_cost(rest, case.metric)),
            "unallocated_cost": in_cents(sum((row.unallocated for row in rest), ZERO)),
            "unallocated_share": round(unallocated_share(case.rows), 4),
        }
    return facts


# What could not be read


def _unreadable_findings(case: _CostCase, reads: Sequence[Read]) -> Iterator[Finding]:
    failed = [read for read in reads if read.operation == _COSTS and read.status is not ReadStatus.OK]
    for read in failed:
        yield CostCode.COST_UNREADABLE.at(
            f"{read.operation} {read.resource}",
            expected="a complete answer",
            seen=f"{read.status}: {read.error or 'no details'}",
            link=case.link(),
        )
    if failed:  # the failed read explains whatever else is missing
        return
    if not any(read.operation == _COSTS for read in reads):
        yield CostCode.COST_UNREADABLE.at(
            _COSTS, expected="costs read from Cost Explorer", seen="nothing was asked", link=case.link()
        )
    for problem in case.table.facts.problems:
        yield CostCode.COST_UNREADABLE.at(
            _COSTS, expected="an answer as Cost Explorer documents it", seen=problem, link=case.link()
        )


def _malformed_findings(case: _CostCase) -> Iterator[Finding]:
    for record in case.table.facts.malformed:
        yield record.finding(CostCode.COST_RECORD_MALFORMED, case.links.table(record.table))
    if further := case.table.facts.further_malformed:
        yield CostCode.COST_RECORD_MALFORMED.at(
            "further outcomes", expected="items as the platform writes them", seen=f"{further} more"
        )


def _mixed(case: _CostCase) -> Finding:
    currencies = ", ".join(case.table.facts.currencies)
    return CostCode.COST_CURRENCY_MIXED.at("the bill", expected="one billing currency", seen=currencies, link=case.link())


def _budget_findings(case: _CostCase, reads: Sequence[Read]) -> Iterator[Finding]:
    budgets = case.table.facts.budgets
    if budgets.alerting:
        return
    failed = [read for read in reads if read.operation.startswith(_BUDGETS) and read.status is not ReadStatus.OK]
    asked = any(read.operation.startswith(_BUDGETS) for read in reads)
    seen = "; ".join(f"{read.operation} {read.resource}: {read.status}: {read.error}" for read in failed) or (
        f"{budgets.budgets} cost budgets, none with an alert" if asked else "not asked, since the account is not known"
    )
    yield CostCode.BUDGET_ALARM_MISSING.at(
        f"account {', '.join(case.table.facts.accounts)}",
        expected="a cost budget with an alert",
        seen=seen,
        link=case.links.budgets(),
    )


# Is the bill good enough to judge by


def _tags(case: _CostCase) -> dict[str, CostTag]:
    return {tag.key: tag for tag in case.table.facts.tags}


def _tag_findings(case: _CostCase, reads: Sequence[Read]) -> Iterator[Finding]:
    listing = next((read for read in reads if read.operation == _TAGS), None)
    listed = listing is not None and listing.status is ReadStatus.OK
    for key, in_use in (
        (case.policy.tenant_tag, any(row.tenant != SHARED and any(row.daily) for row in case.rows)),
        (case.policy.connector_tag, any(row.connector and (row.billed or row.effective) for row in case.rows)),
    ):
        expected, link = "an active cost allocation tag", case.links.cost_allocation_tags()
        if listed:
            tag = _tags(case).get(key)
            if tag is None or not tag.active:
                seen = tag.status if tag else "no resource carries it: Cost Explorer does not list it"
                yield CostCode.TAG_NOT_ACTIVE.at(key, expected=expected, seen=seen, link=link)
        elif not in_use:
            error = f"{listing.status}: {listing.error}" if listing else "not asked"
            verdict = None if key == case.policy.tenant_tag else Verdict.WARN
            seen = f"no cost carries a value of it, and the tags could not be listed ({error})"
            yield CostCode.TAG_NOT_ACTIVE.at(key, expected=expected, seen=seen, link=link, verdict=verdict)


def _stale_findings(case: _CostCase) -> Iterator[Finding]:
    end = date.fromisoformat(case.table.facts.end)
    oldest_fine = (end - timedelta(days=1 + case.policy.max_lag_days)).isoformat()
    arrived = [day["day"] for day in case.days if day["arrived"]]
    newest = max(arrived, default=None)
    if newest is not None and newest >= oldest_fine:
        between = [day["day"] for day in case.days if not day["arrived"] and arrived[0] < day["day"] < newest]
        if between:
            yield CostCode.COST_DATA_STALE.at(
                f"{between[0]}{f' and {len(between) - 1} further days' if between[1:] else ''}",
                expected="a cost on every day between days that have one",
                seen="none, neither by tenant nor in the total",
                verdict=Verdict.WARN,
                link=case.link(),
            )
        return
    complete = complete_through(case.days, parse_iso(case.table.facts.pull["observed_at"]))
    yield CostCode.COST_DATA_STALE.at(
        "Cost Explorer",
        expected=f"costs of {oldest_fine} or later",
        seen=f"the newest day with a cost is {newest or 'none'}; complete through {complete or 'no day'}",
        link=case.link(),
    )


def _reconcile_findings(case: _CostCase) -> Iterator[Finding]:
    """By day, so that one day's gap cannot make up for another's; then over all final days, so that small gaps cannot pile up."""
    final = [day for day in case.days if not day["estimated"]]
    findings = []
    for day in case.days:
        gap = Decimal(day["grouped"]) - Decimal(day["total"])
        if abs(gap) < _HALF_A_CENT:
            continue
        verdict = None if not day["estimated"] else Verdict.WARN if final else Verdict.INCONCLUSIVE
        findings.append(
            CostCode.COST_DOES_NOT_RECONCILE.at(
                f"{day['day']}{' (estimated)' if day['estimated'] else ''}",
                expected=f"account total {case.money(Decimal(day['total']))}",
                seen=f"{case.money(Decimal(day['grouped']))} over tenants and connectors, {case.money(gap)} apart",
                verdict=verdict,
                link=case.link(),
            )
        )
    yield from _limited(findings, CostCode.COST_DOES_NOT_RECONCILE, "equal totals", "days", most=_DAYS_FOUND)
    gap = sum((Decimal(day["grouped"]) - Decimal(day["total"]) for day in final), ZERO)
    if abs(gap) >= _HALF_A_CENT and all(abs(Decimal(d["grouped"]) - Decimal(d["total"])) < _HALF_A_CENT for d in final):
        yield CostCode.COST_DOES_NOT_RECONCILE.at(
            "all final days", expected="equal totals", seen=f"{case.money(gap)} apart together", link=case.link()
        )


# What the bill says


def _share_findings(case: _CostCase) -> Iterator[Finding]:
    share, limit = unallocated_share(case.rows), case.policy.max_unallocated_share
    if share <= limit:
        return
    worst = sorted((row for row in case.rows if row.unallocated_gross), key=lambda row: -row.unallocated_gross)[:5]
    strangers = [row for row in case.rows if row.state == UNKNOWN and row.executions]
    parts = ", ".join(f"{row.connector or 'no connector'} {case.money(row.unallocated)}" for row in worst)
    yield CostCode.UNALLOCATED_SHARE_TOO_HIGH.at(
        "shared costs",
        expected=f"at most {limit:.1%} of the cost unallocated",
        seen=f"{share:.1%}: {parts}{_executed_by(strangers)}",
        link=case.link(SHARED),
    )


def _executed_by(strangers: Sequence[CostRow]) -> str:
    if not strangers:
        return ""
    executions, names = sum(row.executions for row in strangers), len({row.tenant for row in strangers})
    return f"; {executions} executions by {names} tenant(s) that are not in the tenants table"


def _unknown_tenant_findings(case: _CostCase) -> Iterator[Finding]:
    known = {_folded(row.tenant): row.tenant for row in case.rows if row.state not in (UNKNOWN, REST)}
    billed = _by_tenant(row for row in case.rows if row.state == UNKNOWN and any(row.daily))
    findings = []
    for tenant, rows in sorted(billed.items()):
        close = known.get(_folded(tenant))
        hint = f"; {close!r} is a tenant, and case and spaces count" if close else ""
        findings.append(
            CostCode.UNKNOWN_TENANT_BILLED.at(
                repr(tenant),
                expected="a tenant of the tenants table",
                seen=f"{', '.join(_amounts(case, rows))} billed{hint}",
                link=case.link(tenant),
            )
        )
    yield from _limited(findings, CostCode.UNKNOWN_TENANT_BILLED, "tenants of the tenants table", "tenants", most=_TENANTS_FOUND)


def _folded(tenant: str) -> str:
    return "".join(tenant.split()).casefold()


def _amounts(case: _CostCase, rows: Sequence[CostRow]) -> list[str]:
    by_currency: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        by_currency[row.currency] += row.cost(case.metric)
    return [f"{currency} {shown_amount(amount)}".strip() for currency, amount in sorted(by_currency.items())]


def _without_cost_findings(case: _CostCase, active: Mapping[str, Sequence[CostRow]]) -> Iterator[Finding]:
    tag = _tags(case).get(case.policy.tenant_tag)
    young_tag = tag is not None and tag.active and _young(case, tag.updated)
    findings = []
    for tenant, rows in sorted(active.items()):
        if _has_cost(case, rows):
            continue
        created = next((row.created_at for row in rows if row.created_at), None)
        reason = "the tenant is new" if _young(case, created) else "the tag is new" if young_tag else None
        findings.append(
            CostCode.ACTIVE_TENANT_WITHOUT_COST.at(
                tenant,
                expected="a billed or allocated cost in the period",
                seen=f"none, {sum(row.executions for row in rows)} executions" + (f"; {reason}" if reason else ""),
                verdict=Verdict.WARN if reason else None,
                link=case.link(tenant),
            )
        )
    expected = "a billed or allocated cost in the period"
    yield from _limited(findings, CostCode.ACTIVE_TENANT_WITHOUT_COST, expected, "tenants", most=_TENANTS_FOUND)


def _has_cost(case: _CostCase, rows: Sequence[CostRow]) -> bool:
    """Any day with a cost counts, also where credits make up for it; credits alone are no cost."""
    return any(
        row.billed > 0
        or row.effective > 0
        or row.allocated > 0
        or (row.allocated < 0 and case.shared_cost)
        or any(cost > 0 for cost in row.daily)
        for row in rows
    )


def _young(case: _CostCase, stamp: str | None) -> bool:
    """True if `stamp` is less than the grace period ago; False if it is unknown, unreadable or in the future."""
    try:
        age = parse_iso(case.table.facts.tenants_read_at) - parse_iso(stamp) if stamp else None
    except ValueError:
        return False
    return age is not None and timedelta(minutes=-5) <= age < timedelta(hours=case.policy.grace_hours)


def _anomaly_findings(case: _CostCase) -> Iterator[Finding]:
    """A recent complete day far above the median of the days before the recent ones."""
    through = complete_through(case.days, parse_iso(case.table.facts.pull["observed_at"]))
    days = [day["day"] for day in case.days if day["current"]]
    complete = sum(1 for day in days if through is not None and day <= through)
    recent_from = complete - _RECENT_DAYS
    if recent_from < _BASELINE_DAYS:
        return
    factor, least = Decimal(str(case.policy.anomaly_factor)), Decimal(str(case.policy.anomaly_min_increase))
    for tenant, rows in sorted(_by_tenant(case.rows).items()):
        daily = [sum(costs, ZERO) for costs in zip(*(row.daily for row in rows), strict=True)]
        baseline = [cost for cost in daily[:recent_from] if cost > 0]
        if len(baseline) < _BASELINE_DAYS:
            continue
        usual = median(baseline)
        highest = max(range(recent_from, complete), key=lambda n: daily[n])
        if daily[highest] > usual * factor and daily[highest] - usual >= least:
            yield CostCode.COST_ANOMALY.at(
                tenant or "shared costs",
                expected=f"about {case.money(usual)} a day, at most {case.policy.anomaly_factor:g} times that",
                seen=f"{case.money(daily[highest])} on {days[highest]}",
                link=case.link(tenant),
            )


def _limited(findings: list[Finding], code: FindingCode, expected: str, what: str, *, most: int) -> Iterator[Finding]:
    """The worst findings of one code, and one with the number of the others."""
    ordered = sorted(findings, key=lambda finding: -finding.verdict.severity)
    yield from ordered[:most]
    if rest := ordered[most:]:
        yield code.at(f"{len(rest)} further {what}", expected=expected, seen="the table has them all", verdict=rest[0].verdict)
