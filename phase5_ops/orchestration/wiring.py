"""Turns declared evidence and judges into Dagster assets and checks; the only place that knows how.

A section declares `Evidence` (a table, how it is gathered, what it needs) and `Judging` (which checks a table gets, and the pure
judge behind each). One evidence becomes one asset, one judging becomes one multi-asset check. What lives here: storing tables,
metadata, timing, turning a Judgement into a check result. What must not: reading AWS, deciding anything.
"""

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from phase5_ops.aws.iam_statements import Statement
from phase5_ops.aws.pricing import cost_usd
from phase5_ops.checklist import ALL_CHECKS, ROW_OF_CHECK, SECTIONS, Row
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import with_breaks
from phase5_ops.evidence.preview import Preview
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.run_tags import AWS_CALLS_TAG, ENVIRONMENT_TAG, EVIDENCE_TAG, FIXED_NOW_TAG, LIST_PRICE_TAG, POLICY_TAG
from phase5_ops.evidence.store import Origin
from phase5_ops.evidence.table import DeclaredTable, GatheredTable, Tables, observed_at
from phase5_ops.orchestration.check_page import check_description, check_metadata, check_spec, remedies
from phase5_ops.orchestration.evidence_page import column_schema, cost_metadata, evidence_metadata, reading_metadata
from phase5_ops.orchestration.names_in_dagster import DagsterNames, plain_name
from phase5_ops.orchestration.shown import in_lines, in_words
from phase5_ops.orchestration.steps import begin_step
from phase5_ops.orchestration.tags import asset_tags
from phase5_ops.remedies.model import Mend
from phase5_ops.settings import Settings
from phase5_ops.verdict import CodeChapter, Judgement, JudgingCode, Verdict, conclude

log = logging.getLogger(__name__)

Gather = Callable[[RunContext, Tables], GatheredTable[Any, Any]]
Judge = Callable[[RunContext, Tables, datetime], Judgement]
Describe = Callable[[Any], Mapping[str, dg.MetadataValue]]  # of a GatheredTable of the asset's own

SOURCES_GROUP, SHARED_GROUP = "platform_sources", "shared_inputs"


@dataclass(frozen=True)
class Source:
    """A system that evidence is read from: the beginning of the lineage."""

    key: str
    description: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """One asset: its table, gathered by `gather(platform, upstream tables)`; `table` declares its columns.

    `priority` orders the steps that are ready (highest first), so that waiting can be overlapped: one asset begins something
    early, another collects what came of it late. It cannot override `needs`.

    `iam` gives the IAM statements that gathering needs under the settings (`phase5 iam-policy`). `preview` is how people see it.
    `shared`: evidence of another section needs it, too (see `marked_shared`).
    """

    name: str
    section: str
    description: str
    gather: Gather
    owner: str
    kinds: frozenset[str]
    table: DeclaredTable[Any, Any]
    needs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    describe: Describe | None = None
    preview: Preview | None = None
    priority: int = 0
    iam: Callable[[Settings], Iterable[Statement]] = lambda _: ()
    shared: bool = False


def marked_shared(declared: Sequence[Evidence]) -> Iterator[Evidence]:
    """The same evidence, marked where another section needs it: in a group of its own, no section hangs on another."""
    section = {evidence.name: evidence.section for evidence in declared}
    needs = {(needed, evidence.section) for evidence in declared for needed in evidence.needs}
    elsewhere = {needed for needed, needing in needs if section[needed] != needing}
    return (replace(evidence, shared=True) if evidence.name in elsewhere else evidence for evidence in declared)


@dataclass(frozen=True)
class Judging:
    """The checks of one asset; `also` names further tables their judges read.

    `rests_on` names, for a check, the histories that its judge relies on and the tables they are about (names of `histories.py`):
    where one of them does not continue what earlier runs had, the check does not pass.

    `codes` are the finding codes that the judges can give, as chapters of the documentation. `not_tried_facts` names, for a
    check, those of its facts that tell of something not tried although no finding does, each with words for those who sign.

    `mends` makes, for a check, the resources that would mend what it found, where code can (`phase5 remedy`).
    """

    asset: str
    judges: Mapping[str, Judge]
    also: tuple[str, ...] = ()
    rests_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: tuple[CodeChapter, ...] = ()
    not_tried_facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    mends: Mapping[str, Mend] = field(default_factory=dict)


def source_asset(source: Source, names: DagsterNames) -> dg.AssetSpec:
    """The external asset of a source system."""
    return dg.AssetSpec(
        names.key(source.key),
        description=source.description,
        group_name=names.group(SOURCES_GROUP),
        kinds=set(source.kinds),
    )


def evidence_asset(evidence: Evidence, names: DagsterNames) -> dg.AssetsDefinition:
    """The asset that gathers one table and shows how it was read, what that cost and how long it took."""

    @dg.asset(
        key=names.key(evidence.name),
        ins={name: dg.AssetIn(names.key(name)) for name in evidence.needs},
        deps=[names.key(source) for source in evidence.sources],
        group_name=names.group(SHARED_GROUP if evidence.shared else SECTIONS[evidence.section].group),
        description=evidence.description,
        owners=[f"team:{evidence.owner}"],
        kinds=set(evidence.kinds),
        tags=asset_tags(evidence.name, evidence.section),
        metadata=column_schema(evidence.table),
        required_resource_keys={"run"},
        io_manager_key="evidence_io",
        op_tags={"dagster/priority": str(evidence.priority)} if evidence.priority else None,
        pool=names.pool,
    )
    def gathered(context: dg.AssetExecutionContext, **tables: GatheredTable[Any, Any]) -> dg.MaterializeResult[Any]:
        run: RunContext = context.resources.run
        begin_step(f"gathering {evidence.name}")
        cost_before, calls_before = cost_usd(run.reader.meter), dict(run.reader.meter.calls)
        started = time.perf_counter()
        run.step = context
        table = evidence.gather(run, tables)
        if table.table is not evidence.table:  # which its rows were validated against
            raise TypeError(f"{evidence.name} is not the table that it is declared to be")
        seconds = time.perf_counter() - started
        run.timings[evidence.name] = seconds
        calls = {name: n - calls_before.get(name, 0) for name, n in run.reader.meter.calls.items()}
        metadata = _shown(evidence, table)
        metadata |= reading_metadata(table) | cost_metadata(seconds, calls, cost_usd(run.reader.meter) - cost_before)
        return dg.MaterializeResult(value=table, metadata=metadata)

    return gathered


def _shown(evidence: Evidence, table: GatheredTable[Any, Any]) -> dict[str, Any]:
    """What the asset's page shows of the table; where that fails, the page says so, and the table is evidence all the same."""
    try:
        shown: dict[str, Any] = {}
        if evidence.preview is not None:
            shown |= evidence_metadata(table, evidence.preview, evidence.name)
        if evidence.describe is not None:
            shown |= {in_words(name): value for name, value in evidence.describe(table).items()}
    except Exception as error:
        log.exception("the page of %s could not be made", evidence.name)
        return {"not shown": f"the table could not be shown here: {type(error).__name__}: {error}; its file is whole"}
    return shown


def _run_tags(run: RunContext) -> dict[str, str]:
    meter = run.reader.meter
    return {
        ENVIRONMENT_TAG: run.settings.environment,
        AWS_CALLS_TAG: str(sum(meter.calls.values())),
        LIST_PRICE_TAG: f"{cost_usd(meter):.6f}",
        POLICY_TAG: run.policy_digest,
        **({FIXED_NOW_TAG: iso(run.now())} if run.settings.now else {}),
    }


def origin_of(context: RunContext, run: dg.DagsterRun) -> Origin:
    """What makes the evidence of a run."""
    return Origin(
        job=run.job_name,
        environment=context.settings.environment,
        fixed_now=context.settings.now is not None,
        assets=tuple(sorted(plain_name(key) for key in run.asset_selection or ())) or None,
        began_at=datetime.now(UTC),
        account=context.account,
        region=context.reader.region,
        identity=context.identity,
    )


def row_checks(judging: Judging, names: DagsterNames) -> dg.AssetChecksDefinition:
    """One multi-asset check for all rows and extra checks on an asset.

    A judge that raises becomes an ERROR of its own check, with the traceback; the other checks of the asset are still judged.
    """
    judged = [row.check for row in ALL_CHECKS if row.check in judging.judges]
    others = [name for name in judging.also if name != judging.asset]
    what_to_do = remedies(judging.codes)

    @dg.multi_asset_check(
        name=f"{judging.asset}_checks",
        specs=[check_spec(ROW_OF_CHECK[name], others, names) for name in judged],
        ins={name: dg.AssetIn(names.key(name)) for name in (judging.asset, *others)},
        required_resource_keys={"run"},
    )
    def checked(context: dg.AssetCheckExecutionContext, **tables: GatheredTable[Any, Any]) -> Iterator[dg.AssetCheckResult]:
        run: RunContext = context.resources.run
        run.store.write_origin(run.run_id, origin_of(run, context.run))
        for name in judged:
            begin_step(f"judging {name}")
            started = time.perf_counter()
            judgement, problem = _judge(judging.judges[name], run, tables, judging.rests_on.get(name, ()))
            run.timings[name] = time.perf_counter() - started
            yield _check_result(ROW_OF_CHECK[name], judgement, run, tables, problem, what_to_do=what_to_do)
        digest = run.store.seal(run.run_id)  # after every step, so that a run of any origin ends sealed
        context.instance.add_run_tags(context.run.run_id, {EVIDENCE_TAG: digest})

    return checked


def _judge(judge: Judge, run: RunContext, tables: Tables, rests_on: tuple[str, ...]) -> tuple[Judgement, str | None]:
    try:
        judgement = judge(run, tables, observed_at(tables) or run.now())
        return (with_breaks(judgement, run.continuity, rests_on) if rests_on else judgement), None
    except Exception as error:
        log.exception("judge failed")
        finding = JudgingCode.JUDGE_CRASHED.at("judge", expected="a verdict", seen=f"{type(error).__name__}: {error}")
        return conclude(judged=0, summary="The judge failed on this evidence.", findings=[finding]), traceback.format_exc()


def _check_result(
    row: Row,
    judgement: Judgement,
    run: RunContext,
    tables: Tables,
    problem: str | None,
    *,
    what_to_do: Mapping[str, str],
) -> dg.AssetCheckResult:
    entry = RowEntry.of(row, judgement, iso(observed_at(tables) or run.now()))
    dumped = entry.model_dump(mode="json")
    digests = {name: tables[name].digest for name in sorted(tables)}
    content = {**dumped, "tables": digests, "policy_digest": run.policy_digest}
    stored = run.store.write_verdict(run.run_id, row.check, content)
    runbook = run.settings.runbook_address if row.runbook_anchor else None
    metadata: dict[str, Any] = {
        **check_metadata(row, entry, f"{runbook}#{row.runbook_anchor}" if runbook else None),
        "verdict": str(judgement.verdict),
        "result": dg.MetadataValue.json(dumped),
        "evidence_files": dg.MetadataValue.json(digests),
        "verdict_file": stored,
        "policy_digest": run.policy_digest,
    }
    if problem:
        metadata["Traceback"] = dg.MetadataValue.md(f"```\n{problem}\n```")
    return dg.AssetCheckResult(
        passed=judgement.verdict is Verdict.PASS,
        asset_key=DagsterNames.of(run.settings).key(row.asset),
        check_name=row.check,
        severity=dg.AssetCheckSeverity.WARN if judgement.verdict is Verdict.WARN else dg.AssetCheckSeverity.ERROR,
        description=check_description(entry, what_to_do),
        metadata=metadata,
    )


class EvidenceIOManager(dg.IOManager):
    """Keeps tables in the run's evidence folder and reads them back from there.

    A check run on its own has no table of its own run: it then gets the table of the asset's latest materialization. The gate
    recognises such a result: it does not target a materialization of its own run.
    """

    def __init__(self, tables: Mapping[str, DeclaredTable[Any, Any]]) -> None:
        self._tables = tables

    def handle_output(self, context: dg.OutputContext, obj: GatheredTable[Any, Any]) -> None:
        """Stores the table under the run and records its digest."""
        run: RunContext = context.resources.run
        asset = plain_name(context.asset_key)
        run.store.write_origin(run.run_id, origin_of(run, context.step_context.dagster_run))
        digest = run.store.write_table(run.run_id, asset, obj)
        # an asset without checks may be the last step of a run: then no check seals the evidence after it
        sealed = run.store.seal(run.run_id)
        context.step_context.instance.add_run_tags(context.run_id, {**_run_tags(run), EVIDENCE_TAG: sealed})
        context.add_output_metadata(
            {
                "sha256": dg.MetadataValue.md(in_lines(digest)),
                "path": dg.MetadataValue.md(in_lines(str(run.store.table_path(run.run_id, asset)))),
                "evidence run id": run.run_id,
            }
        )

    def load_input(self, context: dg.InputContext) -> GatheredTable[Any, Any]:
        """The table of this run, else of the latest materialization."""
        run: RunContext = context.resources.run
        asset = plain_name(context.asset_key)
        run_id = run.run_id
        if not run.store.table_path(run_id, asset).exists():
            event = context.step_context.instance.get_latest_materialization_event(context.asset_key)
            if event is None:
                raise FileNotFoundError(f"asset {asset} has no stored evidence: materialize it first")
            run_id = event.run_id
        return run.store.read_table(run_id, asset, self._tables[asset])
