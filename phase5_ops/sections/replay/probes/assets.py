"""Rows 3.1 and 3.3 as Dagster sees them. Thin: sends, collects, judges, reports.

Two assets, so that other evidence is read while the canary replay runs: `replay_probes_sent` is the first step of a run, and
`replay_probe` comes after all steps that do not need it.
"""

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.probing import iam as probing
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.sections.replay.probes.codes import AuthorizationCode, PermissionCode, ProbeCode
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.evidence import REPLAY_PROBE, REPLAY_PROBES_SENT, Probes, SentProbes
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.sections.replay.probes.sending import send_probes
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("control_center/replay", "The replay API of the Control Center.", frozenset({"https"})),
    Source("cognito/user_pool", "The user pool that signs the Control Center's tokens.", frozenset({"cognito"})),
)

FIRST, LAST = 100, -100


def gather_probes_sent(run: RunContext, _tables: Tables) -> SentProbes:
    """Sends every probe, and announces the canary replay that `replay_probe` follows."""
    return send_probes(run)


def gather_probe(run: RunContext, tables: Tables) -> Probes:
    """What came of the probes, with what they left in the ledger."""
    return collect_probes(run, tables["replay_probes_sent"])


def describe_probes(table: Probes) -> Mapping[str, dg.MetadataValue]:
    """Every probe with its answer, as a table; bodies and tokens are not shown here."""
    records = [
        dg.TableRecord(
            {
                "row": row.row,
                "probe": row.name,
                "expected": row.expected,
                "answer": row.not_tried or row.problem or str(row.status),
                "ledger": ", ".join(sorted({entry.event for entry in row.left_behind})),
                "latency_ms": row.latency_ms or 0.0,
            }
        )
        for row in table.rows
    ]
    columns = [dg.TableColumn(name) for name in ("row", "probe", "expected", "answer", "ledger")]
    schema = dg.TableSchema([*columns, dg.TableColumn("latency_ms", "float")])
    return {"probes": dg.MetadataValue.table(records=records, schema=schema)}


def _judge_authorization(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_authorization(tables["replay_probe"], links=run.links, ledger_table=run.settings.tables.ledger)


def _judge_permissions(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_permissions(tables["replay_probe"], links=run.links, ledger_table=run.settings.tables.ledger)


EVIDENCE = (
    Evidence(
        name="replay_probes_sent",
        section="3",
        description="One row per probe: what was sent to the replay API as a test tenant, and what came back.",
        gather=gather_probes_sent,
        owner="security-compliance",
        kinds=frozenset({"https", "table"}),
        sources=("control_center/replay", "cognito/user_pool", "dynamodb/tenants"),
        iam=probing.statements,
        priority=FIRST,
        table=REPLAY_PROBES_SENT,
    ),
    Evidence(
        name="replay_probe",
        section="3",
        description="One row per probe: what was expected, what came back, and what it left in the ledger.",
        gather=gather_probe,
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "table"}),
        needs=("replay_probes_sent",),
        iam=probing.statements,
        describe=describe_probes,
        priority=LAST,
        table=REPLAY_PROBE,
    ),
)

JUDGING = (
    Judging(
        "replay_probe",
        {"replay_api_authorization": _judge_authorization, "replay_permission_tests": _judge_permissions},
        codes=(
            CodeChapter("3.1 Replay API authorization", (AuthorizationCode,), "3.1"),
            CodeChapter("3.3 Replay permission tests", (PermissionCode,), "3.3"),
            CodeChapter("3.1 and 3.3 Probes", (ProbeCode, ProbingCode), "3.3"),
        ),
    ),
)
