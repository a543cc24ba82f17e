"""A Dagster job with the steps of a recorded readiness run and empty bodies: what Dagster itself costs at the least.

The same assets, checks, dependencies, priorities and executor; each step gives at once the metadata and results that it gave in
the recorded run, so that Dagster stores as much. Nothing is read, gathered, judged, drawn or kept in files, no tag is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg

from phase5_ops.build import EVIDENCE, JUDGING
from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.commands.in_process import run_in_process
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.orchestration.check_page import check_spec
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.wiring import Evidence, Judging

_JOB, _IO = "empty_job", "nothing_is_kept"
_NAMES = DagsterNames()  # of an environment that is alone


def recorded_events(state_folder: Path) -> str:
    """What Dagster's log has of the folder's newest run, serialized."""
    with open_dagster(state_folder) as instance:
        (run,) = instance.get_runs(limit=1)
        return dg.serialize_value(_events(instance, run.run_id))


def empty_run(events: str, state_folder: Path) -> None:
    """Makes and runs the empty job on a state folder.

    Args:
        events: what `recorded_events` gave.
        state_folder: where Dagster keeps its record of the run.

    Raises:
        RuntimeError: a step has other kinds of events than in the recorded run, or not as many.
    """
    recorded = dg.deserialize_value(events, list)
    job = _definitions(recorded).resolve_job_def(_JOB)
    with open_dagster(prepare_state_folder(state_folder)) as instance:
        run_id = str(uuid4())
        run_in_process(job, instance, _NAMES, run_id=run_id)
        made, wanted = _of_steps(_events(instance, run_id)), _of_steps(recorded)
    if made != wanted:
        raise RuntimeError(f"events of the empty run: more {made - wanted}, fewer {wanted - made}")


def _events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    """The events of a run, but for those that no step had: the run's end reports the checklist as a whole."""
    found = (entry.dagster_event for entry in instance.all_logs(run_id))
    return [event for event in found if event is not None and not (event.is_step_materialization and event.step_key is None)]


def _of_steps(events: Sequence[dg.DagsterEvent]) -> Counter[tuple[str, str]]:
    """How many events of each kind each step had; a step that failed, as one of a part of the rows may, is left out."""
    failed = {event.step_key for event in events if event.is_step_failure}
    of_steps = (event for event in events if event.step_key and event.step_key not in failed)
    return Counter((str(event.step_key), event.event_type_value) for event in of_steps)


def _definitions(recorded: Sequence[dg.DagsterEvent]) -> dg.Definitions:
    made = [event.step_materialization_data.materialization for event in recorded if event.is_step_materialization]
    metadata = {each.asset_key.path[-1]: each.metadata for each in made if each.asset_key is not None}
    evaluated = (event for event in recorded if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    results = {each.check_name: each for each in (event.asset_check_evaluation_data for event in evaluated)}
    return dg.Definitions(
        assets=[_asset(each, metadata[each.name]) for each in EVIDENCE if each.name in metadata],
        asset_checks=[_checks(each, results) for each in JUDGING if each.judges.keys() & results.keys()],
        jobs=[dg.define_asset_job(_JOB, executor_def=dg.in_process_executor)],
        resources={_IO: _NothingIsKept()},
    )


class _NothingIsKept(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        pass

    def load_input(self, context: dg.InputContext) -> None:
        pass


def _asset(evidence: Evidence, metadata: Mapping[str, Any]) -> dg.AssetsDefinition:
    @dg.asset(
        key=_NAMES.key(evidence.name),
        ins={name: dg.AssetIn(_NAMES.key(name)) for name in evidence.needs},
        deps=[_NAMES.key(source) for source in evidence.sources],
        io_manager_key=_IO,
        op_tags={"dagster/priority": str(evidence.priority)} if evidence.priority else None,
    )
    def empty(_context: dg.AssetExecutionContext, **_: object) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(value=None, metadata=metadata)

    return empty


def _checks(judging: Judging, results: Mapping[str, Any]) -> dg.AssetChecksDefinition:
    names = [name for name in judging.judges if name in results]
    others = [name for name in judging.also if name != judging.asset]

    @dg.multi_asset_check(
        name=f"{judging.asset}_checks",
        specs=[check_spec(ROW_OF_CHECK[name], others, _NAMES) for name in names],
        ins={name: dg.AssetIn(_NAMES.key(name)) for name in (judging.asset, *others)},
    )
    def empty(_context: dg.AssetCheckExecutionContext, **_: object) -> Iterator[dg.AssetCheckResult]:
        for name in names:
            found = results[name]
            yield dg.AssetCheckResult(
                passed=found.passed,
                asset_key=found.asset_key,
                check_name=name,
                severity=found.severity,
                description=found.description,
                metadata=found.metadata,
            )

    return empty
