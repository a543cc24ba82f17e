"""Dagster's own classes take the production dagster.yaml, on a real PostgreSQL and moto's ECS and S3."""

import shutil
from collections.abc import Iterator

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import PoolGranularity
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.scheduler.instigation import InstigatorType, TickStatus
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.dagster_run import DagsterRun, DagsterRunStatus
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3 import S3ComputeLogManager
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage

from phase5_ops.build import build_defs
from phase5_ops.evidence.run_tags import PROMOTION_JOB, READINESS_JOB
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.postgres import USER, a_database

pytestmark = [pytest.mark.slow, pytest.mark.over_sockets]

FILE = ROOT / "deploy" / "dagster.yaml"
TASK = "phase5-run"


@pytest.fixture
def instance(aws, tmp_path, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """The instance, as the file has it but for TLS and the port, which the tests' PostgreSQL has otherwise."""
    where = {"LocationConstraint": "us-west-2"}
    aws.client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration=where)
    container = {"name": "run", "image": "phase5", "memory": 512}
    aws.client("ecs").register_task_definition(family=TASK, containerDefinitions=[container])
    config = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    of_database = config["storage"]["postgres"]["postgres_db"]
    assert of_database.pop("params")["sslmode"] == "verify-full"
    with a_database() as database:
        of_database["port"] = database.port
        environment = {
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": "us-west-2",
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_USER": USER,
            "DAGSTER_POSTGRES_PASSWORD": "unused",
            "DAGSTER_POSTGRES_DB": database.name,
            "DAGSTER_LOGS_BUCKET": "logs",
            "DAGSTER_RUN_TASK_DEFINITION": TASK,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
        with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
            yield opened


def test_each_class_is_the_one_that_is_meant_and_nothing_that_had_an_effect_is_done_twice(instance, aws):
    parts = (instance._run_storage, instance._event_storage, instance._schedule_storage)
    assert [type(part) for part in parts] == [PostgresRunStorage, PostgresEventLogStorage, PostgresScheduleStorage]
    launcher = instance.run_launcher
    assert isinstance(launcher, EcsRunLauncher)
    assert launcher.task_definition.endswith(f"task-definition/{TASK}:1")
    assert (launcher.container_name, launcher.use_current_ecs_task_config) == ("run", True)

    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_max_resume_run_attempts == 0
    assert instance.run_monitoring_start_timeout_seconds == 600
    assert not instance.run_retries_enabled
    assert not instance.telemetry_enabled
    assert instance.get_tick_retention_settings(InstigatorType.SENSOR)[TickStatus.SUCCESS] == 400

    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)
    with instance.compute_log_manager.open_log_stream(["run", "compute_logs", "step"], ComputeIOType.STDERR) as stream:
        stream.write("printed by a step\n")
    (entry,) = [each["Key"] for each in aws.client("s3").list_objects_v2(Bucket="logs")["Contents"]]
    assert entry == "compute-logs/storage/run/compute_logs/step.err"
    assert aws.client("s3").get_object(Bucket="logs", Key=entry)["Body"].read() == b"printed by a step\n"


def test_a_second_readiness_run_waits_and_a_promotion_does_not(instance):
    definitions = build_defs()

    def made(name: str, status: DagsterRunStatus = DagsterRunStatus.NOT_STARTED) -> DagsterRun:
        return instance.create_run_for_job(definitions.resolve_job_def(name), status=status)

    config = instance.get_concurrency_config()
    assert (config.pool_config.pool_granularity, config.pool_config.default_pool_limit) == (PoolGranularity.RUN, 1)
    assert config.run_queue_config.max_concurrent_runs == 4
    started = made(READINESS_JOB, DagsterRunStatus.STARTED)
    second, promotion = made(READINESS_JOB), made(PROMOTION_JOB)
    assert started.run_op_concurrency.all_pools == {DagsterNames().pool}

    def blocked(*in_progress: dg.RunRecord) -> list[bool]:
        """Of the second readiness run and of the promotion, as Dagster's queue decides it."""
        storage = instance.event_log_storage
        counter = GlobalOpConcurrencyLimitsCounter(
            instance,
            [second, promotion],
            in_progress,
            storage.get_concurrency_keys() | {DagsterNames().pool},
            storage.get_pool_limits(),
            pool_granularity=config.pool_config.pool_granularity,
        )
        return [counter.is_blocked(each) for each in (second, promotion)]

    assert blocked() == [False, False]
    assert blocked(*instance.get_run_records(dg.RunsFilter(run_ids=[started.run_id]))) == [True, False]


def test_without_its_environment_it_names_what_is_missing(tmp_path):
    shutil.copy(FILE, tmp_path)
    with pytest.raises(Exception, match="DAGSTER_POSTGRES_HOST"):
        dg.DagsterInstance.from_config(str(tmp_path))


def test_retention_and_silence_are_those_of_the_project():
    own, deployed = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "dagster.yaml", FILE))
    assert [deployed[name] for name in ("retention", "telemetry", "nux")] == [
        own[name] for name in ("retention", "telemetry", "nux")
    ]
