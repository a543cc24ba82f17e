"""Removes from the state folder what `retention.py` says is no longer needed: evidence, and Dagster's record of the run.

Done at the end of each readiness run, by what the folder and Dagster tell. The folder is removed first: a process that is killed
in between leaves a run that Dagster still knows, which the next pruning finds. These stay: a copy of the evidence elsewhere, the
histories, Dagster's records of promotions and sign-offs, and runs whose folder does not say what made it.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from phase5_ops.context import RunContext
from phase5_ops.evidence.retention import KeptRun, no_longer_needed
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.inputs.dagster_records import finished_runs
from phase5_ops.gate.inputs.forgotten_runs import over_at
from phase5_ops.gate.records import NO_MOMENT, ReadinessRun

log = logging.getLogger(__name__)

_DAGSTER_RUNS = ("history", "runs")  # where Dagster keeps one SQLite file a run; deleting a run leaves it


def prune(run: RunContext, instance: dg.DagsterInstance) -> str | None:
    """Removes what is no longer needed.

    Returns:
        Why not everything was removed; None if it was.
    """
    settings = run.settings
    try:
        old = no_longer_needed(_kept(run.store, instance, settings.environment), settings, datetime.now(UTC))
        for run_id in old:
            _remove(run.store, instance, settings.state_dir, run_id)
    except OSError as error:
        return f"old evidence cannot be removed: {error}"
    if old:
        log.info("%d readiness runs, older than the policy of retention asks for, were removed", len(old))
    return None


def _kept(store: EvidenceStore, instance: dg.DagsterInstance, environment: str) -> list[KeptRun]:
    """Every run that left evidence, and those that Dagster knows without it."""
    known = {run.facts.run_id: run for run in finished_runs(instance, environment)}
    left = store.run_ids()
    there = set(left)
    without = (run for run_id, run in known.items() if run_id not in there)
    return [
        *(_of_evidence(store, run_id, known.get(run_id)) for run_id in left),
        *(KeptRun(run.facts.run_id, environment, run.ended_at, run.release is not None, ended=False) for run in without),
    ]


def _of_evidence(store: EvidenceStore, run_id: str, known: ReadinessRun | None) -> KeptRun:
    try:
        origin, ended = store.origin(run_id), store.ended(run_id)
    except (OSError, ValueError):
        return KeptRun(run_id, None, None, for_release=True, ended=False)
    moment = over_at(store, run_id, origin)
    return KeptRun(
        run_id,
        ended.environment if ended else origin.environment if origin else None,
        None if moment == NO_MOMENT else moment,
        for_release=known is None or known.release is not None or store.has_attestations(run_id),
        ended=ended is not None,
    )


def _remove(store: EvidenceStore, instance: dg.DagsterInstance, state_folder: Path, run_id: str) -> None:
    store.remove(run_id)
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    for file in state_folder.joinpath(*_DAGSTER_RUNS).glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
