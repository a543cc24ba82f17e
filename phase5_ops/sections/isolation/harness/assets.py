"""Row 4.1 as Dagster sees it. Thin: starts, collects, judges, reports.

Two assets, so that other evidence is read while the canary executes.
"""

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from phase5_ops.aws.iam import data_trail_read, event_log_read
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.shown import MOST_ROWS
from phase5_ops.orchestration.shown import table as shown_table
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.probing import iam as probing
from phase5_ops.sections.isolation.harness.collecting import collect_harness
from phase5_ops.sections.isolation.harness.evidence import ISOLATION_HARNESS, AccessKind, Harness
from phase5_ops.sections.isolation.harness.judge import HarnessCode, judge_harness
from phase5_ops.sections.isolation.harness.preview import PREVIEW, STARTED_PREVIEW
from phase5_ops.sections.isolation.harness.starting import start_harness
from phase5_ops.sections.isolation.harness.tables import ISOLATION_CANARY_STARTED, CanaryStarted
from phase5_ops.settings import is_production
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("eventbridge/platform_bus", "The platform's event bus.", frozenset({"eventbridge"})),
    Source("cloudtrail/dynamodb_data_events", "Which keys the platform's functions read and wrote.", frozenset({"cloudtrail"})),
)

#: EARLY: after the replay probes are sent, before anything else. LATE: before the results of the replay probes are collected.
EARLY, LATE = 90, -50

#: Reads of the trail: where they fail, the trail's own row says that reads were not judged.
OWN_READS = ("s3:ListObjectsV2", "s3:GetObject")


def gather_canary_started(run: RunContext, _tables: Tables) -> CanaryStarted:
    """Reads every table, writes the canary intent and announces it."""
    return start_harness(run)


def gather_harness(run: RunContext, tables: Tables) -> Harness:
    """What the canary execution wrote and read, and how the platform answered the cross-tenant probes."""
    return collect_harness(run, tables["isolation_canary_started"])


def describe_harness(table: Harness) -> Mapping[str, dg.MetadataValue]:
    """The approved exceptions with their justification."""
    approved = [
        {"table": row.table, "index": row.index, "key": row.key, "justification": row.reason}
        for row in table.rows
        if row.kind is AccessKind.EXCEPTION
    ]
    columns = [dg.TableColumn(name) for name in ("table", "index", "key", "justification")]
    return {"approved_exceptions": shown_table(columns, approved[:MOST_ROWS])}


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    production = is_production(run.settings)
    return judge_harness(tables["isolation_harness"], production=production, links=run.links, ignoring=OWN_READS)


EVIDENCE = (
    Evidence(
        name="isolation_canary_started",
        section="4",
        description="A digest of every item of the platform before one canary execution for test tenant A.",
        gather=gather_canary_started,
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "table"}),
        sources=("eventbridge/platform_bus", "dynamodb/tenants"),
        iam=probing.statements,
        priority=EARLY,
        preview=STARTED_PREVIEW,
        table=ISOLATION_CANARY_STARTED,
    ),
    Evidence(
        name="isolation_harness",
        section="4",
        description="One row per key that the canary execution wrote or read, per cross-tenant probe, and per detector shown.",
        gather=gather_harness,
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "https", "table"}),
        sources=("cloudtrail/dynamodb_data_events", "control_center/replay", "cognito/user_pool", "dynamodb/ledger"),
        needs=("isolation_canary_started",),
        iam=lambda settings: (*data_trail_read(settings), *event_log_read(settings), *probing.statements(settings)),
        describe=describe_harness,
        priority=LATE,
        preview=PREVIEW,
        table=ISOLATION_HARNESS,
    ),
)
JUDGING = (
    Judging(
        "isolation_harness",
        {"isolation_harness_passes": _judge},
        codes=(CodeChapter("4.1 Isolation harness", (HarnessCode,), "4.1"),),
    ),
)
