"""SIGTERM, as a scheduler of containers sends it, to real processes: a check, a run worker of Dagster's.

`phase5 ui` gets it in the middle of a run at the end of `gate/test_end_to_end.py`.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from phase5_ops.build import build_defs, evidence_for
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.settings import load_settings
from phase5_ops_tests.commands.test_ends import canaries
from phase5_ops_tests.gate.serving import COMMAND, ended, until
from phase5_ops_tests.gate.warm_processes import Command

pytestmark = pytest.mark.slow(30)


@pytest.fixture
def sandbox(start, monkeypatch) -> Iterator[Sandbox]:
    """One whose replays never finish, so that a run of row 3.3 follows its canary until it is stopped."""
    running = start("healthy")
    running.platform_faults.add(PlatformFault.REPLAY_NEVER_FINISHES)
    monkeypatch.setenv("PHASE5_PROBES__FOLLOW_SECONDS", "600")
    return running


def is_followed(sandbox: Sandbox) -> bool | None:
    """True once the run holds the lease and its canaries are there."""
    return True if lease(sandbox) and canaries(sandbox.session().resource("dynamodb")) else None


def lease(sandbox: Sandbox) -> dict | None:
    table = sandbox.session().resource("dynamodb").Table("phase5-readiness")
    return table.get_item(Key={"pk": "PROBES", "sk": "LEASE"}).get("Item")


def nothing_is_held(sandbox: Sandbox) -> None:
    assert canaries(sandbox.session().resource("dynamodb")) == []
    assert lease(sandbox) is None


def test_a_check_that_is_told_to_end_gives_back_what_it_holds_and_decides_nothing(sandbox, tmp_path):
    process = Command([*COMMAND, "check", "--quiet", "--row", "3.3"], os.environ, tmp_path)
    until("the run follows its canary", lambda: is_followed(sandbox), 120)
    process.terminate()
    found = ended(process, 60)
    assert (found.code, found.out, found.err) == (130, "", "phase5: interrupted, nothing decided\n")
    nothing_is_held(sandbox)


def test_a_run_worker_that_is_told_to_end_gives_back_what_it_holds_and_its_run_is_over(sandbox, tmp_path):
    home = prepare_state_folder(load_settings().state_dir)
    with open_dagster(home) as instance:
        repository = ReconstructableRepository.for_module("phase5_ops.definitions", "defs", str(Path.cwd()))
        origin = repository.get_reconstructable_job(READINESS_JOB).get_python_origin()
        job = build_defs(settings=load_settings()).resolve_job_def(READINESS_JOB)
        assets = frozenset(map(dg.AssetKey, evidence_for({"3.3"})))
        run = instance.create_run_for_job(job, job_code_origin=origin, asset_selection=assets)
        order = serialize_value(ExecuteRunArgs(job_origin=origin, run_id=run.run_id, instance_ref=instance.get_ref()))
        process = Command([sys.executable, "-m", "dagster", "api", "execute_run", order], os.environ, tmp_path)
        until("the run follows its canary", lambda: is_followed(sandbox), 120)
        process.terminate()
        assert ended(process, 60).code == 0
        nothing_is_held(sandbox)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
