"""audit_export_is_whole as Dagster sees it: the asset `audit_export` and its check. Thin: asks, judges, reports."""

from datetime import datetime

from phase5_ops.context import RunContext
from phase5_ops.evidence.table import Tables
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.probing import iam as probing
from phase5_ops.sections.isolation.exports.evidence import AUDIT_EXPORT, AuditExport
from phase5_ops.sections.isolation.exports.judge import ExportCode, judge_export
from phase5_ops.sections.isolation.exports.preview import PREVIEW
from phase5_ops.sections.isolation.exports.requesting import export_and_compare
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES: tuple[Source, ...] = ()

#: After the canary of row 4.1 was announced: while the platform executes it, it exports, too.
_MEANWHILE = 85


def gather_audit_export(run: RunContext, _tables: Tables) -> AuditExport:
    """An export of test tenant A, fetched and compared with its ledger."""
    return export_and_compare(run)


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_export(tables["audit_export"], policy=run.settings.exports, links=run.links)


EVIDENCE = (
    Evidence(
        name="audit_export",
        section="4",
        description="One row per entry of test tenant A's ledger and of an audit export of it: which of the two has it, and how.",
        gather=gather_audit_export,
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "https", "table"}),
        sources=("control_center/replay", "cognito/user_pool", "dynamodb/ledger", "dynamodb/audit_export"),
        iam=probing.statements,
        priority=_MEANWHILE,
        preview=PREVIEW,
        table=AUDIT_EXPORT,
    ),
)

JUDGING = (
    Judging(
        "audit_export",
        {"audit_export_is_whole": _judge},
        codes=(CodeChapter("Audit export whole", (ExportCode,), "4.1", ("audit_export_is_whole",)),),
    ),
)
