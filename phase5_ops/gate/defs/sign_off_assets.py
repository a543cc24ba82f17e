"""Rows S.1 to S.3 as Dagster sees them: asset `sign_offs` with its checks, and `sign_off_job`, launched after each signature.

Not part of the readiness run. Nothing depends on these results; see `approval/judge.py`.
"""

from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from phase5_ops.checklist import ROWS, SECTIONS
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG, READINESS_ASSET, RELEASE_TAG, SIGN_OFF_ASSET, SIGN_OFF_JOB
from phase5_ops.evidence.table import Tables
from phase5_ops.gate.approval.judge import SIGN_OFFS, SignOffs, judge_sign_off, sign_offs_table
from phase5_ops.gate.approval.preview import PREVIEW
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.decision.signature_rules import of_another_series, sign_off_problems
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.signing.trusted_keys import FILE_NAME
from phase5_ops.gate.state.items import StateError
from phase5_ops.orchestration.evidence_page import column_schema, evidence_metadata, reading_metadata
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.tags import asset_tags
from phase5_ops.orchestration.wiring import Judging, row_checks
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.verdict import CodeChapter, Judgement

ASSET = SIGN_OFF_ASSET


class SignOffConfig(dg.Config):
    """Which release's signatures are shown."""

    release: str | None = None


def sign_off_run_config(release: str, names: DagsterNames) -> dict[str, Any]:
    """The run configuration of `sign_off_job` for a release."""
    return {"ops": {names.step(ASSET): {"config": {"release": release}}}}


def sign_offs(names: DagsterNames) -> dg.AssetsDefinition:
    """The asset of a release's signatures."""

    @dg.asset(
        key=names.key(ASSET),
        deps=[names.key(READINESS_ASSET)],
        group_name=names.group(SECTIONS["S"].group),
        description="One row per role: whether it has signed the release's readiness statement, who and when.",
        owners=["team:security-compliance"],
        kinds={"dynamodb", "table"},
        tags=asset_tags(ASSET, "S"),
        required_resource_keys={"run"},
        io_manager_key="evidence_io",
        metadata=column_schema(SIGN_OFFS),
    )
    def gathered(context: dg.AssetExecutionContext, config: SignOffConfig) -> dg.MaterializeResult[Any]:
        run: RunContext = context.resources.run
        table = gather_sign_offs(run, config.release)
        tags = {ENVIRONMENT_TAG: run.settings.environment, **({RELEASE_TAG: config.release} if config.release else {})}
        context.instance.add_run_tags(context.run.run_id, tags)
        about = {"release": config.release or "none", "signed": ", ".join(row.role for row in table.rows if row.done)}
        shown = evidence_metadata(table, PREVIEW, ASSET) | about | reading_metadata(table)
        return dg.MaterializeResult(value=table, metadata=shown)

    return gathered


def gather_sign_offs(run: RunContext, release: str | None) -> SignOffs:
    """The table `sign_offs` of a release; what could not be read stands in its reads."""
    now = run.now()
    if release is None:
        return sign_offs_table(None, None).with_reads([_read("state table", ReadStatus.OK, None, now)], now)
    try:
        return _table(GateSession(run, at=now), release).with_reads([_read(release, ReadStatus.OK, None, now)], now)
    except StateError as error:
        return sign_offs_table(None, None).with_reads([error.read], now)
    except (KeysError, SigningError) as error:
        return sign_offs_table(None, None).with_reads([_read(FILE_NAME, ReadStatus.INVALID, str(error), now)], now)
    except MalformedEnvelope as error:
        return sign_offs_table(None, None).with_reads([_read("readiness statement", ReadStatus.INVALID, str(error), now)], now)


def _table(session: GateSession, name: str) -> SignOffs:
    state, settings = session.state, session.settings
    candidate = state.candidate(Release(name, "", settings.environment))
    if candidate is None:
        return sign_offs_table(None, None)
    frozen, statements = state.statement_among_all(candidate.release, candidate.series)
    if frozen is None:
        return sign_offs_table(candidate.release, None)
    statement = facts_of(frozen.payload)
    offs = session.sign_offs(state.sign_offs(candidate.release), [each.payload for each in statements])
    problems = sign_off_problems(
        offs,
        statement_digest=statement.statement_digest,
        release=candidate.release,
        void=of_another_series(statement.series, candidate.series),
        policy=settings.gate,
        now=session.now,
    )
    return sign_offs_table(candidate.release, statement, offs, problems)


def _read(resource: str, status: ReadStatus, error: str | None, now: datetime) -> Read:
    return Read("phase5:SignOffs", resource, status, error, 1, iso(now), iso(now))


def _judge(run: RunContext, tables: Tables, _now: datetime, *, role: str) -> Judgement:
    del run
    return judge_sign_off(tables[ASSET], role=role)


JUDGING = Judging(
    ASSET,
    {row.check: partial(_judge, role=row.owner) for row in ROWS if row.is_sign_off},
    codes=(CodeChapter("S.1 to S.3 Sign-off", (SignOffReason,), "S.1", ("S.1", "S.2", "S.3")),),
)


def sign_off_checks(names: DagsterNames) -> dg.AssetChecksDefinition:
    """The checks of rows S.1 to S.3."""
    return row_checks(JUDGING, names)


def sign_off_job(names: DagsterNames) -> UnresolvedAssetJobDefinition:
    """The job that makes the asset anew."""
    return dg.define_asset_job(
        SIGN_OFF_JOB,
        selection=dg.AssetSelection.assets(names.key(ASSET)),
        description="Shows who has signed a release; made after each signature.",
        executor_def=dg.in_process_executor,
        config=None,
    )
