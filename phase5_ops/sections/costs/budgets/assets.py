"""Row 5.1 as Dagster sees it: the asset `autonomy_budget` and its check. Thin: reads, calls, reports."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import dagster as dg

from phase5_ops.aws.iam import tables_read
from phase5_ops.aws.iam_statements import Statement, statement, table_arn
from phase5_ops.aws.tables import scan_items, scan_items_once, scan_pages
from phase5_ops.ccnative.named_accounts import NAMING_TABLES, NamedAccounts, NamingTable
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import wide
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read
from phase5_ops.run_reads.executions import read_attempts
from phase5_ops.sections.costs.bill.usage import read_outcomes
from phase5_ops.sections.costs.budgets.evidence import (
    AUTONOMY_BUDGET,
    BudgetNaming,
    Budgets,
    BudgetScans,
    Scan,
    autonomy_budget,
    window_days,
)
from phase5_ops.sections.costs.budgets.judge import NOT_TRIED_FACTS, BudgetCode, judge_budget_visible
from phase5_ops.sections.costs.budgets.preview import PREVIEW
from phase5_ops.sections.costs.budgets.report import by_tenant
from phase5_ops.sections.costs.changes.reading import keep_configuration
from phase5_ops.settings import Settings
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("dynamodb/autonomy_config", "Autonomy modes, allowlists, and what the gate approved.", frozenset({"dynamodb"})),
    Source("dynamodb/autonomy_budget_state", "Caps and consumption of autonomous actions.", frozenset({"dynamodb"})),
    Source("dynamodb/decision_budget", "Decision evaluations and cost units left.", frozenset({"dynamodb"})),
    Source("dynamodb/action_intent", "Approved action intents.", frozenset({"dynamodb"})),
    Source("dynamodb/execution_outcomes", "Outcomes of executions.", frozenset({"dynamodb"})),
    *(Source(f"dynamodb/{table.role}", table.description, frozenset({"dynamodb"})) for table in NAMING_TABLES),
)

#: Read in this order, as the platform consumes the budget first and writes the outcome last; see `evidence.autonomy_budget`.
#: Intents and outcomes may be large: only the attributes that are used are fetched.
_ATTRIBUTES = {
    "budget_state": (),
    "autonomy_config": (),
    "decision_budget": (),
    "tenants": (),
    "action_intent": ("pk", "sk", "action_type", "approval_timestamp", "tenant_id", "account_id"),
    "execution_outcomes": (
        "pk",
        "sk",
        "auto_executed",
        "approval_source",
        "started_at",
        "completed_at",
        "tenant_id",
        "account_id",
    ),
}

_PARALLEL_SCANS = 4


def gather_autonomy_budget(run: RunContext, _tables: Tables) -> Budgets:
    """What is configured, what was consumed, an independent count of it, and every account that any table names."""
    settings, now = run.settings, run.now()
    names = settings.tables.model_dump() | {"budget_state": settings.tables.autonomy_budget_state}
    since = f"ENTRY#{window_days(now, settings.budget)[0]}"
    scans, scanned = {}, {}
    with ThreadPoolExecutor(_PARALLEL_SCANS, thread_name_prefix="named-accounts") as pool:
        futures = {each.role: pool.submit(_read_names, run, each, names[each.role], since) for each in NAMING_TABLES}
        for role, attributes in _ATTRIBUTES.items():
            items, read = _scan(run, role, names[role], attributes)
            scans[role] = Scan(names[role], items)
            scanned[role] = (items, read)
    keep_configuration(run, **{role: scanned[role] for role in ("autonomy_config", "budget_state", "tenants")})
    naming = {role: future.result() for role, future in futures.items()}
    table = autonomy_budget(
        BudgetScans(**scans),
        now=now,
        policy=settings.budget,
        named={role: named for role, (named, _) in naming.items()},
        canary_tenants=settings.canary_tenants,
    )
    return table.with_reads([*(read for _, read in scanned.values()), *(read for _, read in naming.values())], now)


def _scan(run: RunContext, role: str, name: str, attributes: tuple[str, ...]) -> tuple[list[dict[str, Any]], Read]:
    """The items of one table; a table that other assets of the run need too is read once."""
    if role == "tenants":
        return scan_items_once(run.reader, name)
    if role == "execution_outcomes":
        return read_outcomes(run, attributes)
    return scan_items(run.reader, name, attributes=attributes)


def _read_names(run: RunContext, table: NamingTable, name: str, since: str) -> tuple[BudgetNaming, Read]:
    """The accounts that one table names; of the ledger, in entries from `since` on."""
    accounts, seconds = NamedAccounts(), run.settings.budget.naming_seconds
    if table.role == "execution_attempts":
        read = read_attempts(run, accounts.take, attributes=table.attributes, seconds=seconds)
    else:
        at_least = ("sk", since) if table.entries else None
        read = scan_pages(run.reader, name, accounts.take, attributes=table.attributes, at_least=at_least, seconds=seconds)
    default = type(run.settings.tables).model_fields[table.role].default
    return BudgetNaming(name, accounts, chosen=name != default), read


def describe_budget(table: Budgets) -> Mapping[str, dg.MetadataValue]:
    """Budget use by tenant as Markdown."""
    return {"by_tenant": wide(by_tenant(table.frame))}


def _judge_budget(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_budget_visible(tables["autonomy_budget"], links=run.links)


def _iam(settings: Settings) -> list[Statement]:
    read = settings.tables
    budgets = (read.tenants, read.action_intent, read.autonomy_config, read.autonomy_budget_state, read.decision_budget)
    naming = [table_arn(getattr(read, table.role)) for table in NAMING_TABLES]
    return [*tables_read(*budgets, read.execution_outcomes), statement("ReadTables", ["dynamodb:Scan"], naming)]


EVIDENCE = (
    Evidence(
        name="autonomy_budget",
        section="5",
        description="One row per tenant, account and UTC day: modes, caps, what was consumed, and an independent count of it.",
        gather=gather_autonomy_budget,
        owner="ops-sre",
        kinds=frozenset({"dynamodb", "table"}),
        sources=("dynamodb/tenants", *(source.key for source in SOURCES)),
        iam=_iam,
        describe=describe_budget,
        preview=PREVIEW,
        table=AUTONOMY_BUDGET,
    ),
)

JUDGING = (
    Judging(
        "autonomy_budget",
        {"autonomy_budget_visible": _judge_budget},
        codes=(CodeChapter("5.1 Autonomy budget visibility", (BudgetCode,), "5.1"),),
        not_tried_facts={"autonomy_budget_visible": NOT_TRIED_FACTS},
    ),
)
