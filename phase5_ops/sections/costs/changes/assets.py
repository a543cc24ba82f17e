"""changes_are_audited as Dagster sees it: the asset `autonomy_changes` and its check. Thin: reads, calls, reports."""

from datetime import UTC, datetime

from phase5_ops.aws.iam import tables_read
from phase5_ops.aws.iam_statements import Statement, statement, table_arn
from phase5_ops.aws.ledger import nothing_to_read, read_spans
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.sections.costs.changes.evidence import AUTONOMY_CHANGES, ChangeAudit, Changes
from phase5_ops.sections.costs.changes.judge import NOT_TRIED_FACTS, ChangeCode, judge_changes
from phase5_ops.sections.costs.changes.preview import PREVIEW
from phase5_ops.sections.costs.changes.reading import read_configuration
from phase5_ops.settings import Settings
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES: tuple[Source, ...] = ()


def gather_autonomy_changes(run: RunContext, _tables: Tables) -> Changes:
    """The records of configuration, and of the ledger the minutes in which they were changed."""
    settings, now = run.settings, run.now()
    ledger = settings.tables.ledger
    records, reads = read_configuration(run)
    # a fixed evaluation time may lie behind the platform's clock
    audit = ChangeAudit(records, now, max(now, datetime.now(UTC)), settings.changes, settings.canary_tenants)
    entries_read = read_spans(run.reader, ledger, audit.spans(), lambda items: audit.take(ledger, items))
    table = audit.table(ledger, (settings.tables.autonomy_config, settings.tables.autonomy_budget_state, settings.tables.tenants))
    return table.with_reads([*reads, *(entries_read or [nothing_to_read("dynamodb:Query", ledger)])], now)


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_changes(tables["autonomy_changes"], policy=run.settings.changes, links=run.links)


def _iam(settings: Settings) -> list[Statement]:
    names = settings.tables
    return [
        *tables_read(names.autonomy_config, names.autonomy_budget_state, names.tenants),
        statement("ReadTables", ["dynamodb:Query"], [table_arn(names.ledger)]),
    ]


EVIDENCE = (
    Evidence(
        name="autonomy_changes",
        section="5",
        description="One row per mode, allowlist, budget and kill switch: when it was last changed, and the ledger entry of it.",
        gather=gather_autonomy_changes,
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "table"}),
        needs=("autonomy_budget",),
        sources=("dynamodb/autonomy_config", "dynamodb/autonomy_budget_state", "dynamodb/tenants", "dynamodb/ledger"),
        iam=_iam,
        preview=PREVIEW,
        table=AUTONOMY_CHANGES,
    ),
)

JUDGING = (
    Judging(
        "autonomy_changes",
        {"changes_are_audited": _judge},
        codes=(CodeChapter("Changes of autonomy audited", (ChangeCode,), "5.1", ("changes_are_audited",)),),
        not_tried_facts={"changes_are_audited": NOT_TRIED_FACTS},
    ),
)
