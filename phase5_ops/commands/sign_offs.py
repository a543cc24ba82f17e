"""Makes one run of `sign_off_job` in this process, so that the rows S.1 to S.3 show a signature that was just made."""

from uuid import uuid4

from phase5_ops.build import build_defs
from phase5_ops.commands.in_process import run_in_process
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import SIGN_OFF_JOB
from phase5_ops.gate.defs.sign_off_assets import sign_off_run_config
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import Settings


def run_sign_offs(settings: Settings, release: str) -> bool:
    """Materializes `sign_offs` for a release and judges its checks; whether the run succeeded.

    Raises:
        ConfigurationError: the state folder cannot be used.
    """
    settings = settings.model_copy(update={"state_dir": prepare_state_folder(settings.state_dir)})
    run = open_run(settings, str(uuid4()))
    job = build_defs(settings=settings, run=run).resolve_job_def(SIGN_OFF_JOB)
    names = DagsterNames.of(settings)
    with open_dagster(settings.state_dir) as instance:
        result = run_in_process(job, instance, names, run_id=run.run_id, run_config=sign_off_run_config(release, names))
    return bool(result.success)
