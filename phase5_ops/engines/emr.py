"""Spark jobs on EMR Serverless, started by a step of a run through Dagster Pipes, and followed to their end.

A job gets its order through Pipes and reports one message: the digest of the order that it carried out, and where its result is.
Whatever else happens (it failed, was cancelled, took too long, reported nothing, or something else) is a `SparkJobFailed` that
says so. The job itself is in `spark/`.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from phase5_ops.aws.iam_statements import Statement, statement
from phase5_ops.aws.reader import AwsReader, describe_failure
from phase5_ops.engines.partials import json_digest
from phase5_ops.engines.places import place_statements
from phase5_ops.policy import SparkPolicy
from phase5_ops.settings import Settings

_SECONDS = 60
_OF_APPLICATION = ("emr-serverless:StartJobRun", "emr-serverless:GetApplication")
_OF_JOB_RUN = (
    "emr-serverless:GetJobRun",
    "emr-serverless:CancelJobRun",
    "emr-serverless:GetDashboardForJobRun",
)
#: The IAM actions by which a job is started and followed.
IAM_ACTIONS = (*_OF_APPLICATION, *_OF_JOB_RUN)


class SparkJobFailed(Exception):
    """A Spark job gave no result; the message names the job and says why."""


class FollowedJobs:
    """The calls of EMR Serverless that Dagster's client makes, with a deadline; remembers what became of the job.

    Dagster's client has no deadline of its own, and tells why a job failed in its log only.

    Attributes:
        last: the job run as it was described last.
    """

    def __init__(self, client: Any, minutes: float, monotonic: Callable[[], float] = time.monotonic) -> None:  # noqa: ANN401
        self._client, self._minutes, self._monotonic = client, minutes, monotonic
        self._ends = monotonic() + minutes * _SECONDS
        self.last: Mapping[str, Any] = {}

    def start_job_run(self, **params: Any) -> Any:  # noqa: ANN401 - boto3's clients have no types
        """Starts the job."""
        answer = self._client.start_job_run(**params)
        self.last = {"jobRunId": answer["jobRunId"], "state": "SUBMITTED"}
        return answer

    def get_job_run(self, **params: Any) -> Any:  # noqa: ANN401
        """The job as it is now.

        Raises:
            TimeoutError: its time is over; it was told to stop.
        """
        answer = self._client.get_job_run(**params)
        self.last = answer["jobRun"]
        if self.last["state"] not in ("SUCCESS", "FAILED", "CANCELLED", "CANCELLING") and self._monotonic() > self._ends:
            self._client.cancel_job_run(**params)
            raise TimeoutError(f"not over after {self._minutes:g} min (engine.spark.minutes), and told to stop")
        return answer

    def cancel_job_run(self, **params: Any) -> Any:  # noqa: ANN401
        """Tells it to stop."""
        return self._client.cancel_job_run(**params)

    def get_application(self, **params: Any) -> Any:  # noqa: ANN401
        """The application that it runs on."""
        return self._client.get_application(**params)

    def get_dashboard_for_job_run(self, **params: Any) -> Any:  # noqa: ANN401
        """Where people can look at it; a job does not fail because there is no such page."""
        try:
            return self._client.get_dashboard_for_job_run(**params)
        except (ClientError, BotoCoreError) as error:
            return {"url": f"none: {describe_failure(error)[1]}"}

    @property
    def told(self) -> str:
        """The job's id, state and what EMR says of it."""
        if not self.last:
            return "no job was started"
        details = self.last.get("stateDetails")
        return f"job {self.last['jobRunId']} is {self.last['state']}" + (f": {details}" if details else "")


def run_job(step: object, settings: Settings, reader: AwsReader, name: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Has a Spark job carry out an order, and waits for its end.

    Args:
        step: Dagster's context of the step under way.
        settings: where and how.
        reader: whose clients are used.
        name: of the job, for people.
        order: JSON; `scan` says what is to be done.

    Returns:
        What the job reported.

    Raises:
        SparkJobFailed: there is no result of this order.
    """
    if step is None:
        raise SparkJobFailed("a Spark job is started by a step of a Dagster run, and this is none")
    from phase5_ops.engines import pipes  # most runs start no job, and the import takes its time

    order = json.loads(json.dumps(order))
    client, followed = pipes.emr_client(settings, reader)
    try:
        with reader.not_reading():  # a job takes minutes, for which there is `engine.spark.minutes`
            done = client.run(context=step, start_job_run_params=job_params(settings.engine.spark, name), extras={"order": order})
        reports = done.get_custom_messages()
    except Exception as error:
        raise SparkJobFailed(f"{followed.told}; {describe_failure(error)[1]}") from error
    if len(reports) != 1 or not isinstance(reports[0], dict):
        raise SparkJobFailed(f"{followed.told}, and reported no result")
    if reports[0].get("order") != json_digest(order):
        raise SparkJobFailed(f"{followed.told}, and reported the result of another input")
    return cast("Mapping[str, Any]", reports[0])


def job_params(spark: SparkPolicy, name: str) -> dict[str, Any]:
    """What StartJobRun is told, but for what Pipes adds."""
    python = "./environment/bin/python"
    packed = (
        f"--conf spark.archives={spark.environment}#environment"
        f" --conf spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON={python}"
        f" --conf spark.emr-serverless.driverEnv.PYSPARK_PYTHON={python}"
        f" --conf spark.executorEnv.PYSPARK_PYTHON={python}"
    )
    parameters = [packed if spark.environment else "", spark.parameters]
    return {
        "applicationId": spark.application_id,
        "executionRoleArn": spark.role_arn,
        "name": name,
        "executionTimeoutMinutes": spark.minutes,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": spark.entry_point,
                "sparkSubmitParameters": " ".join(part for part in parameters if part),
            }
        },
    }


def job_statements(settings: Settings) -> list[Statement]:
    """The IAM statements for starting and following jobs, and for what goes between them and the run."""
    engine = settings.engine
    if not engine.uses_spark:
        return []
    application = f"arn:*:emr-serverless:*:*:/applications/{engine.spark.application_id}"
    passed = {"StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}}
    return [
        statement("RunSparkJobs", _OF_APPLICATION, [application]),
        statement("FollowSparkJobs", _OF_JOB_RUN, [f"{application}/jobruns/*"]),
        statement("PassJobRole", ["iam:PassRole"], [str(engine.spark.role_arn)], passed),
        *place_statements("ExchangeWithJobs", str(engine.partials), ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]),
    ]
