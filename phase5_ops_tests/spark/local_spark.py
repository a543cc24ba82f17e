"""Spark on this machine in place of EMR Serverless: the same script, the same messages through S3, in a process of its own."""

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import Any

import dagster as dg
import pytest
from dagster import open_pipes_session
from dagster._core.pipes.client import PipesClientCompletedInvocation

from phase5_ops.spark import __file__ as package
from phase5_ops_tests.places import ROOT

JOB = os.path.join(os.path.dirname(package), "job.py")  # noqa: PTH118, PTH120 - of a file of the package
MISSING = [
    what for what, there in (("pyspark", importlib.util.find_spec("pyspark")), ("java", shutil.which("java"))) if not there
]
REQUIRED = "TESTS_NEED_SPARK"


def need_spark() -> None:
    """Skips where Spark is not there, unless it has to be."""
    if MISSING and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is no {' and no '.join(MISSING)}")
    if MISSING:
        pytest.skip(f"no {' and no '.join(MISSING)}: pip install -c constraints.txt -e '.[dev,spark]', and Java 17")


class LocalSpark(dg.PipesClient):
    """Takes what Dagster's client of EMR Serverless takes, and runs the job on this machine.

    Attributes:
        cores: of this machine that a job gets.
        started: what StartJobRun would have been told.
    """

    cores = 2
    started: list[dict[str, Any]]

    def __init__(self, *, client, context_injector, message_reader, poll_interval) -> None:
        del client, poll_interval
        self._injector, self._reader = context_injector, message_reader

    def run(self, *, context, start_job_run_params, extras) -> PipesClientCompletedInvocation:
        type(self).started.append(start_job_run_params)
        with open_pipes_session(
            context=context, extras=extras, context_injector=self._injector, message_reader=self._reader
        ) as session:
            environment = {
                **os.environ,
                **session.get_bootstrap_env_vars(),
                "PYSPARK_SUBMIT_ARGS": f"--master local[{self.cores}] --conf spark.ui.enabled=false pyspark-shell",
                "PYSPARK_PYTHON": sys.executable,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
                "SPARK_LOCAL_IP": "127.0.0.1",
            }
            done = subprocess.run(
                [sys.executable, JOB], env=environment, capture_output=True, text=True, check=False, timeout=300
            )
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
        return PipesClientCompletedInvocation(session)
