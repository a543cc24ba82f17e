"""A readiness run of some rows without Dagster: the same declarations, gathered, stored and judged one after the other.

What Dagster adds (records of runs, checks and materializations) is not there: where that is what is tested, a whole run is made.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any
from uuid import uuid4

import dagster as dg

from phase5_ops.build import EVIDENCE, JUDGING, PROJECT, evidence_for
from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.clock import iso
from phase5_ops.context import RunContext, open_run
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.table import GatheredTable, Tables, observed_at
from phase5_ops.gate.inputs.dagster_records import RunLog
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.gate.runs.run_end import end_run
from phase5_ops.orchestration import wiring
from phase5_ops.orchestration.wiring import Evidence
from phase5_ops.report.document import ReadinessDocument, Reading, readiness_document
from phase5_ops.run_result.document import leave_result
from phase5_ops.settings import Settings
from phase5_ops.verdict import Judgement


@dataclass(frozen=True)
class Judged:
    """The judgement of each row, by its id, the document of the run, and the tables that it was judged on."""

    judgements: dict[str, Judgement]
    document: ReadinessDocument
    tables: dict[str, GatheredTable[Any, Any]]


def gathered(
    platform: RunContext, assets: Collection[str], given: Mapping[str, GatheredTable[Any, Any]] | None = None
) -> dict[str, GatheredTable[Any, Any]]:
    """The tables of these assets as they are read back from the evidence store; all that they need must be among them.

    `given` holds tables that are taken as they are, and not gathered.
    """
    declared = {evidence.name: evidence for evidence in EVIDENCE}
    tables: dict[str, GatheredTable[Any, Any]] = {}
    order = TopologicalSorter({name: declared[name].needs for name in assets})
    order.prepare()
    ready: list[str] = []
    while order.is_active():  # one at a time, as Dagster executes the steps of a process
        ready = sorted([*ready, *order.get_ready()], key=lambda name: -declared[name].priority)
        name = ready.pop(0)
        if given and name in given:
            tables[name] = given[name]
        else:
            tables[name] = _gathered(platform, declared[name], tables)
        order.done(name)
    return tables


def _gathered(platform: RunContext, evidence: Evidence, tables: Mapping[str, GatheredTable[Any, Any]]) -> GatheredTable[Any, Any]:
    table = evidence.gather(platform, {needed: tables[needed] for needed in evidence.needs})
    platform.store.write_table(platform.run_id, evidence.name, table)
    if evidence.describe is not None:
        evidence.describe(table)
    return platform.store.read_table(platform.run_id, evidence.name, evidence.table)


def judged_rows(
    platform: RunContext, rows: Collection[str], tables: Tables
) -> Iterator[tuple[RowEntry, Judgement, Mapping[str, GatheredTable[Any, Any]]]]:
    """Each of these rows, judged on these tables: its entry, its judgement, and the tables that its judge saw."""
    for judging in JUDGING:
        for check, judge in judging.judges.items():
            row = ROW_OF_CHECK[check]
            if row.id in rows:
                seen = {name: tables[name] for name in (judging.asset, *judging.also)}
                judgement, _ = wiring._judge(judge, platform, seen, judging.rests_on.get(check, ()))
                yield RowEntry.of(row, judgement, iso(observed_at(seen) or platform.now())), judgement, seen


def judged(settings: Settings, rows: Collection[str], given: Mapping[str, GatheredTable[Any, Any]] | None = None) -> Judged:
    """What a run of these rows (ids or names of extra checks) finds; see `gathered` for what is `given`."""
    platform = open_run(settings, str(uuid4()), look_back)
    tables = gathered(platform, evidence_for(set(rows)), given)
    judgements, entries = {}, {}
    for entry, judgement, _ in judged_rows(platform, rows, tables):
        judgements[entry.id] = judgement
        entries[entry.check] = RowEntry.model_validate_json(entry.model_dump_json())
    document = readiness_document(
        environment=settings.environment,
        run_id=platform.run_id,
        evaluated_at=iso(platform.now()),
        evidence_digest=platform.store.seal(platform.run_id),
        policy_digest=platform.policy_digest,
        entries=entries,
        gate=settings.gate,
        reading=Reading(calls=dict(platform.reader.meter.calls), cost_usd=0.0, seconds={}),
        chosen=sorted(rows),
    )
    return Judged(judgements, document, tables)


def recorded(
    settings: Settings, rows: Collection[str], given: Mapping[str, GatheredTable[Any, Any]] | None = None
) -> ReadinessDocument:
    """The document of a run of these rows that ends as every run does: sealed, and recorded in the state table.

    See `gathered` for what is `given`.
    """
    platform = open_run(settings, str(uuid4()), look_back, rows=list(rows))
    tables = gathered(platform, evidence_for(set(rows)), given)
    entries = {}
    for entry, judgement, seen in judged_rows(platform, rows, tables):
        wiring._check_result(ROW_OF_CHECK[entry.check], judgement, platform, seen, None, what_to_do={})  # keeps the verdict
        entries[entry.check] = RowEntry.model_validate_json(entry.model_dump_json())
    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.DagsterRun(READINESS_JOB, platform.run_id, asset_selection=frozenset(map(dg.AssetKey, tables)))
        instance.add_run(made)
        end_run(platform, instance, made)
    found = RunLog(entries, frozenset(entries), failures=(), interrupted=False)
    digest = platform.store.sealed_digest(platform.run_id)
    return leave_result(platform, found, replace(PROJECT, render=None), digest).document
