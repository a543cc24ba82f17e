"""Rows 3.1 and 3.3 as Dagster sees them. Thin: sends, collects, judges, reports.

Two assets, so that other evidence is read while the canary replay runs: `replay_probes_sent` is the first step of a run, and
`replay_probe` comes after all steps that do not need it.
"""

from collections.abc import Callable

from phase5_ops.orchestration.wiring import Evidence, Judge, Judging, Source
from phase5_ops.probing import iam as probing
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.sections.replay.probes.codes import AuthorizationCode, PermissionCode, ProbeCode
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.evidence import REPLAY_PROBE, REPLAY_PROBES_SENT
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.sections.replay.probes.preview import PREVIEW, SENT_PREVIEW
from phase5_ops.sections.replay.probes.sending import send_probes
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (
    Source("control_center/replay", "The replay API of the Control Center.", frozenset({"https"})),
    Source("cognito/user_pool", "The user pool that signs the Control Center's tokens.", frozenset({"cognito"})),
)

FIRST, LAST = 100, -100


def _of_probes(judge: Callable[..., Judgement]) -> Judge:
    """The judge of a check on `replay_probe`."""
    return lambda run, tables, _: judge(tables["replay_probe"], links=run.links, ledger_table=run.settings.tables.ledger)


EVIDENCE = (
    Evidence(
        name="replay_probes_sent",
        section="3",
        description="One row per probe: what was sent to the replay API as a test tenant, and what came back.",
        gather=lambda run, _: send_probes(run),
        owner="security-compliance",
        kinds=frozenset({"https", "table"}),
        sources=("control_center/replay", "cognito/user_pool", "dynamodb/tenants"),
        iam=probing.statements,
        priority=FIRST,
        preview=SENT_PREVIEW,
        table=REPLAY_PROBES_SENT,
    ),
    Evidence(
        name="replay_probe",
        section="3",
        description="One row per probe: what was expected, what came back, and what it left in the ledger.",
        gather=lambda run, tables: collect_probes(run, tables["replay_probes_sent"]),
        owner="security-compliance",
        kinds=frozenset({"dynamodb", "table"}),
        needs=("replay_probes_sent",),
        iam=probing.statements,
        priority=LAST,
        preview=PREVIEW,
        table=REPLAY_PROBE,
    ),
)

JUDGING = (
    Judging(
        "replay_probe",
        {
            "replay_api_authorization": _of_probes(judge_authorization),
            "replay_permission_tests": _of_probes(judge_permissions),
        },
        codes=(
            CodeChapter("3.1 Replay API authorization", (AuthorizationCode,), "3.1"),
            CodeChapter("3.3 Replay permission tests", (PermissionCode,), "3.3"),
            CodeChapter("3.1 and 3.3 Probes", (ProbeCode, ProbingCode), "3.3", ("3.1", "3.3")),
        ),
    ),
)
