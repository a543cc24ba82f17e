"""Row 5.2 as Dagster sees it: the cost report and its check. Thin: reads, calls, reports."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import dagster as dg

from phase5_ops.aws.budgets import read_budget_alerts
from phase5_ops.aws.cost_answers import LINES, METRICS, BudgetAlerts
from phase5_ops.aws.cost_explorer import read_cost_tags, read_costs
from phase5_ops.aws.iam import costs_read, tables_read
from phase5_ops.aws.tables import scan_items_once, table_identity
from phase5_ops.ccnative.tenant_register import parse_tenants
from phase5_ops.context import UNKNOWN_ACCOUNT, RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import web_link, wide
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read
from phase5_ops.sections.costs.bill.cache import CostCache, CostPull, question_digest
from phase5_ops.sections.costs.bill.evidence import TENANT_COST_REPORT, CostReport, Scope, tenant_cost_report
from phase5_ops.sections.costs.bill.judge import CostCode, judge_cost_report
from phase5_ops.sections.costs.bill.preview import PREVIEW
from phase5_ops.sections.costs.bill.remedy import mend_costs
from phase5_ops.sections.costs.bill.report import as_html, as_markdown
from phase5_ops.sections.costs.bill.usage import read_usage
from phase5_ops.verdict import CodeChapter, Judgement

log = logging.getLogger(__name__)

SOURCES = (
    Source("costexplorer/costs", "Daily costs by tenant and connector tag, and the account's total.", frozenset({"aws"})),
    Source("budgets/alerts", "Cost budgets of the account and their alerts.", frozenset({"aws"})),
)

ASSET = "tenant_cost_report"
PRICE_USD = 0.01  # of one page of Cost Explorer's answer
CACHE_FOLDER = "costs"  # of the state folder


def gather_cost_report(run: RunContext, _tables: Tables) -> CostReport:
    """What each tenant costs, from the day's pull of Cost Explorer, the tenants and their executions; stores the report."""
    settings, now = run.settings, run.now()
    scope = Scope.of(settings.costs, run.account, now)
    pull, identity_read = _pull(run, scope, now)
    items, tenants_read = scan_items_once(run.reader, settings.tables.tenants)
    tenants, malformed = parse_tenants(items, settings.tables.tenants)
    usage, usage_read = read_usage(run, scope)
    alerts, budget_reads = _budget_alerts(run, now)
    table = tenant_cost_report(
        scope=scope,
        pull=pull,
        tenants=tenants,
        usage=usage,
        malformed=malformed,
        budget_alerts=alerts,
        canary_tenants=settings.canary_tenants,
        policy=settings.costs,
        now=now,
    )
    reads = [*pull.reads, identity_read, tenants_read, usage_read, *budget_reads]
    run.store.write_report(run.run_id, f"{ASSET}.html", as_html(table).encode())
    table = replace(table, facts=replace(table.facts, report_url=_report_url(run)))
    return table.with_reads(reads, min(now, pull.observed_at))


def _pull(run: RunContext, scope: Scope, now: datetime) -> tuple[CostPull, Read]:
    """The day's pull (the kept one, unless it is missing, too old or not wanted), and the read of the platform's identity.

    Account and platform are part of the question: another account, or a platform set up anew, never gets a kept answer.
    """
    settings = run.settings
    identity, identity_read = table_identity(run.reader, settings.tables.tenants)
    question = {
        "account": run.account,
        "platform": identity,
        "environment": settings.environment,
        "accounts": scope.query.accounts,
        "services": scope.query.services,
        "metrics": METRICS,
        "tags": (scope.query.tenant_tag, scope.query.connector_tag),
        "period": (scope.query.start.isoformat(), scope.query.end.isoformat()),
    }
    if identity is None or run.account == UNKNOWN_ACCOUNT:
        return _ask(run, scope, now), identity_read
    cache, digest = CostCache(settings.own_folder / CACHE_FOLDER), question_digest(question)
    with cache.locked(digest, wait_seconds=settings.reading.deadline_seconds / 2):
        kept = None if settings.refresh_costs else cache.load(digest, until=now)
        # a pull nearly too old for the gate is made again: else a new run, started because evidence was too old, would not help
        usable = timedelta(hours=settings.gate.max_evidence_age_hours / 2)
        if kept is not None and now - kept.observed_at <= usable:
            return kept, identity_read
        pull = _ask(run, scope, now)
        if pull.whole:
            try:
                cache.keep(digest, pull)
            except OSError as error:  # it was paid for: this run can still use it
                log.warning("what Cost Explorer answered could not be kept: %s", error)
    return pull, identity_read


def _ask(run: RunContext, scope: Scope, now: datetime) -> CostPull:
    """Asks Cost Explorer, unless neither the run nor the policy names an account: then there is no scope."""
    if run.account == UNKNOWN_ACCOUNT and not run.settings.costs.accounts:
        problem = "the AWS account is not known, so it is not known whose costs to ask for (set costs.accounts)"
        return CostPull(LINES.empty_table(), (), (), (problem,), (), now, 0)
    answers, reads = read_costs(run.reader, scope.query)
    lines, totals = answers.finish()
    tags, tag_read = read_cost_tags(run.reader, (scope.query.tenant_tag, scope.query.connector_tag))
    further = (f"and {answers.further_problems} more",) if answers.further_problems else ()
    pages = sum(read.pages for read in (*reads, tag_read))
    return CostPull(lines, tuple(totals), tuple(tags), (*answers.problems, *further), (*reads, tag_read), now, pages)


def _budget_alerts(run: RunContext, now: datetime) -> tuple[BudgetAlerts, list[Read]]:
    if run.account == UNKNOWN_ACCOUNT:
        return BudgetAlerts(0, None), []
    return read_budget_alerts(run.reader, run.account, now)


def _report_url(run: RunContext) -> str:
    """Where the stored report can be opened: the copy in S3 if there is one, else the file."""
    settings = run.settings
    if settings.evidence_s3_uri:
        return f"{settings.evidence_s3_uri.rstrip('/')}/{run.run_id}/reports/{quote(ASSET)}.html"
    return run.store.report_path(run.run_id, f"{ASSET}.html").resolve().as_uri()


def describe_cost_report(table: CostReport) -> Mapping[str, dg.MetadataValue]:
    """The report of the most expensive tenants, and what the pull cost and when it was made."""
    pull = table.facts.pull
    paid = 0 if pull["reused"] else pull["requests"]
    return {
        "report": wide(as_markdown(table)),
        "stored_report": web_link(table.facts.report_url or ""),
        "costs_read_at": dg.MetadataValue.text(pull["observed_at"]),
        "cost_explorer_requests": dg.MetadataValue.int(paid),
        "cost_explorer_price_usd": dg.MetadataValue.float(round(paid * PRICE_USD, 2)),
        "cost_explorer_price_of_pull_usd": dg.MetadataValue.float(round(pull["requests"] * PRICE_USD, 2)),
    }


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    settings = run.settings
    return judge_cost_report(
        tables[ASSET],
        policy=settings.costs,
        links=run.links,
        tenants_table=settings.tables.tenants,
        outcomes_table=settings.tables.execution_outcomes,
    )


EVIDENCE = (
    Evidence(
        name=ASSET,
        section="5",
        description="One row per tenant and connector: billed cost, part of the shared rest, executions, previous period, days.",
        gather=gather_cost_report,
        owner="ops-sre",
        kinds=frozenset({"dynamodb", "table"}),
        sources=("costexplorer/costs", "budgets/alerts", "dynamodb/tenants", "dynamodb/execution_outcomes"),
        iam=lambda settings: (*costs_read(), *tables_read(settings.tables.tenants, settings.tables.execution_outcomes)),
        describe=describe_cost_report,
        preview=PREVIEW,
        table=TENANT_COST_REPORT,
        priority=-1,  # after row 5.1, which reads the outcomes in any case
    ),
)

JUDGING = (
    Judging(
        ASSET,
        {"cost_reported_per_tenant": _judge},
        mends={"cost_reported_per_tenant": mend_costs},
        codes=(CodeChapter("5.2 Cost reports", (CostCode,), "5.2"),),
    ),
)
