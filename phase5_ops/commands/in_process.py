"""Runs a job of the code location in this process, so that Dagster has it like a run that its daemon launched."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from phase5_ops.orchestration.names_in_dagster import DagsterNames

#: The name of the one repository of a code location.
_REPOSITORY = "__repository__"

#: Run configuration of a run in this process: Dagster's own log lines are not for who typed the command.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_in_process(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    names: DagsterNames,
    *,
    run_id: str,
    run_config: Mapping[str, Any] | None = None,
    assets: Collection[str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Runs a job to its end, whether it succeeds or not.

    Args:
        job: of the code location.
        instance: where Dagster records the run.
        names: of the environment, as the code location has them.
        run_id: of the run.
        run_config: beside what keeps Dagster quiet.
        assets: those that are chosen; None for all of the job.
    """
    with _runs_of_the_location(instance, names.location, job.name):
        return job.execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config={**(run_config or {}), **QUIET},
            asset_selection=[names.key(name) for name in sorted(assets)] if assets is not None else None,
            raise_on_error=False,
        )


@contextmanager
def _runs_of_the_location(instance: dg.DagsterInstance, location: str, job: str) -> Iterator[None]:
    """Has Dagster record of a run which code location it belongs to.

    `execute_in_process` leaves that out and takes no argument for it; the timeline of the UI shows no run without it.
    """
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), _REPOSITORY), job)
    made = partial(instance.create_run_for_job, remote_job_origin=origin)
    instance.create_run_for_job = made  # type: ignore[method-assign]
    try:
        yield
    finally:
        del instance.create_run_for_job
