"""Spark jobs on EMR Serverless as a run starts and follows them: all but a result of this order is an error."""

from collections.abc import Mapping
from typing import Any

import boto3
import dagster as dg
import pytest
from botocore.exceptions import ClientError
from dagster._core.pipes import utils as pipes_utils
from moto import mock_aws

from phase5_ops.aws.reader import AwsReader, DeadlineExceeded
from phase5_ops.engines import pipes
from phase5_ops.engines.emr import FollowedJobs, SparkJobFailed, job_params, job_statements, run_job
from phase5_ops.engines.partials import json_digest
from phase5_ops.policy import EnginePolicy, SparkPolicy
from phase5_ops.settings import ReadingSettings, Settings

ORDER = {"scan": "log-scan", "files": ["a"]}
SPARK = SparkPolicy(
    application_id="00fm4oe0607u5a1d",
    role_arn="arn:aws:iam::123456789012:role/spark",
    entry_point="s3://kept/job.py",
    environment="s3://kept/phase5.tar.gz",
    parameters="--conf spark.executor.cores=4",
    poll_seconds=0.01,
)


def settings_with(spark: SparkPolicy = SPARK) -> Settings:
    return Settings(engine=EnginePolicy(log_scan="spark", partials="s3://kept/partials", spark=spark))


class Jobs:
    """EMR Serverless with one job, which goes through these states."""

    def __init__(self, *states: str, details: str = "") -> None:
        self._states, self._details, self.cancelled = list(states), details, False

    def start_job_run(self, **_: object) -> dict[str, str]:
        return {"jobRunId": "j1", "applicationId": "a1"}

    def get_job_run(self, **_: object) -> dict[str, Any]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return {"jobRun": {"jobRunId": "j1", "applicationId": "a1", "state": state, "stateDetails": self._details}}

    def cancel_job_run(self, **_: object) -> None:
        self.cancelled = True

    def get_dashboard_for_job_run(self, **_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetDashboardForJobRun")

    def get_application(self, **_: object) -> dict[str, Any]:
        return {"application": {"type": "Spark"}}


@pytest.fixture
def failure(monkeypatch: pytest.MonkeyPatch):
    """What a run is told of an order whose job goes that way; Dagster's own client starts and follows it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setattr(pipes_utils, "WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", -1)
    monkeypatch.setattr(pipes_utils, "DEFAULT_SLEEP_INTERVAL", 0.01)

    def told(jobs: object, settings: Settings | None = None) -> str:
        settings, said = settings or settings_with(), []
        with mock_aws():
            location = {"LocationConstraint": "us-west-2"}
            boto3.client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration=location)
            reader = AwsReader(ReadingSettings())
            make = reader.client
            monkeypatch.setattr(reader, "client", lambda service: jobs if service == "emr-serverless" and jobs else make(service))

            @dg.op
            def step(context: dg.OpExecutionContext) -> None:
                with pytest.raises(SparkJobFailed) as caught:
                    run_job(context, settings, reader, "a job", ORDER)
                said.append(str(caught.value))

            dg.GraphDefinition(name="g", node_defs=[step]).execute_in_process(instance=dg.DagsterInstance.ephemeral())
            left = boto3.client("s3").list_objects_v2(Bucket="kept").get("Contents", [])
            assert not [each["Key"] for each in left if not each["Key"].startswith("partials/pipes/")]
        return said[0]

    return told


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "CANCELLING"])
def test_a_job_that_failed_or_was_cancelled_is_named_with_what_emr_says(failure, state: str):
    assert failure(Jobs("SUBMITTED", "RUNNING", state, details="out of memory")).startswith(f"job j1 is {state}: out of memory")


def test_a_job_that_succeeds_and_reports_nothing_has_no_result(failure):
    assert failure(Jobs("SUCCESS")) == "job j1 is SUCCESS, and reported no result"


def test_motos_jobs_succeed_without_running_and_have_no_result(failure, monkeypatch: pytest.MonkeyPatch):
    """With moto's own EMR Serverless, so that calls have the parameters that botocore knows of the service."""
    monkeypatch.setattr("moto.emrserverless.models.EMRServerlessBackend.get_application", lambda *_, **__: Application())
    assert "is SUCCESS, and reported no result" in failure(None)


class Application:
    """What moto asks of an application."""

    release_label, type, state, network_configuration = "emr-7.9.0", "Spark", "STARTED", None

    def to_dict(self) -> dict[str, Any]:
        return {"type": "Spark"}


def test_a_job_that_takes_too_long_is_told_to_stop(failure, monkeypatch: pytest.MonkeyPatch):
    jobs, clock = Jobs("RUNNING"), iter(range(0, 100_000, 1000))
    monkeypatch.setattr(pipes, "FollowedJobs", lambda client, minutes: FollowedJobs(client, minutes, lambda: next(clock)))
    assert failure(jobs).startswith("job j1 is RUNNING; not over after 60 min (engine.spark.minutes)")
    assert jobs.cancelled


def test_a_job_that_cannot_be_started_is_an_error_that_says_why(failure):
    class Refusing(Jobs):
        def start_job_run(self, **_: object) -> dict[str, str]:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not you"}}, "StartJobRun")

    assert failure(Refusing("SUCCESS")) == "no job was started; AccessDeniedException: not you"


class Done:
    """What a job reported."""

    def __init__(self, *reports: Mapping[str, str]) -> None:
        self._reports = reports

    def get_custom_messages(self) -> tuple[Mapping[str, str], ...]:
        return self._reports

    def run(self, **_: object) -> "Done":
        return self


@pytest.mark.parametrize(
    ("reports", "why"),
    [
        ([{"order": json_digest({"scan": "other"}), "index": "x"}], "the result of another input"),
        ([{"index": "x"}], "the result of another input"),
        ([{"order": json_digest(ORDER)}] * 2, "reported no result"),
    ],
)
def test_the_result_of_another_input_is_none(monkeypatch: pytest.MonkeyPatch, reports: list[dict[str, str]], why: str):
    monkeypatch.setattr(pipes, "emr_client", lambda *_: (Done(*reports), FollowedJobs(None, 1)))
    with pytest.raises(SparkJobFailed, match=why):
        run_job(object(), settings_with(), AwsReader(ReadingSettings()), "a job", ORDER)


def test_what_a_job_reports_of_this_order_is_returned(monkeypatch: pytest.MonkeyPatch):
    report = {"order": json_digest(ORDER), "index": "x"}
    monkeypatch.setattr(pipes, "emr_client", lambda *_: (Done(report), FollowedJobs(None, 1)))
    assert run_job(object(), settings_with(), AwsReader(ReadingSettings()), "a job", ORDER) == report


def test_the_time_that_a_job_takes_is_not_taken_from_reading(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]

    class Slow(Done):
        def run(self, **_: object) -> "Done":
            clock[0] += 3000
            return self

    reader = AwsReader(ReadingSettings(deadline_seconds=100), monotonic=lambda: clock[0])
    monkeypatch.setattr(pipes, "emr_client", lambda *_: (Slow({"order": json_digest(ORDER)}), FollowedJobs(None, 60)))
    clock[0] = 60
    run_job(object(), settings_with(), reader, "a job", ORDER)
    clock[0] += 39
    assert reader.bounded(lambda: "read") == "read"
    clock[0] += 2
    with pytest.raises(DeadlineExceeded):
        reader.bounded(lambda: "read")


def test_outside_a_step_no_job_is_started():
    with pytest.raises(SparkJobFailed, match="a step of a Dagster run"):
        run_job(None, settings_with(), None, "a job", ORDER)


def test_a_job_runs_in_the_packed_environment():
    submitted = job_params(SPARK, "a job")["jobDriver"]["sparkSubmit"]
    assert submitted["entryPoint"] == "s3://kept/job.py"
    assert submitted["sparkSubmitParameters"].startswith("--conf spark.archives=s3://kept/phase5.tar.gz#environment --conf ")
    assert submitted["sparkSubmitParameters"].endswith("--conf spark.executor.cores=4")


def test_whoever_starts_jobs_may_do_no_more_than_that():
    statements = {each["Sid"]: each for each in job_statements(settings_with())}
    assert statements["PassJobRole"]["Resource"] == [SPARK.role_arn]
    assert statements["RunSparkJobs"]["Resource"][0].endswith("/applications/00fm4oe0607u5a1d")
    assert statements["ExchangeWithJobs"]["Resource"] == ["arn:*:s3:::kept/partials/*"]
    assert job_statements(Settings()) == []


def test_spark_without_its_settings_is_refused():
    with pytest.raises(ValueError, match=r"Spark jobs need spark.application_id, .*partials"):
        EnginePolicy(log_scan="spark")
