"""Dagster's client of EMR Serverless, with context and messages in S3, below the place of partial results."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster_aws.pipes import PipesEMRServerlessClient, PipesS3ContextInjector, PipesS3MessageReader

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.s3.addresses import bucket_and_key
from phase5_ops.engines.emr import FollowedJobs
from phase5_ops.policy import EnginePolicy
from phase5_ops.settings import Settings

_MESSAGES = "pipes/"


class _MessagesBelow(PipesS3MessageReader):  # type: ignore[misc] # dagster_aws has no types
    """Messages below a prefix of the bucket, so that a job needs no permission for the rest of it."""

    def __init__(self, prefix: str, **given: Any) -> None:  # noqa: ANN401
        super().__init__(**given)
        self._prefix = prefix

    @contextmanager
    def get_params(self) -> Iterator[dict[str, Any]]:
        with super().get_params() as params:
            yield {**params, "key_prefix": f"{self._prefix}{params['key_prefix']}"}


def pipes_place(engine: EnginePolicy) -> tuple[str, str]:
    """Bucket and key prefix of the messages between a run and its jobs: below the place of partial results."""
    bucket, prefix = bucket_and_key(engine.partials or "")
    return bucket, "/".join(part for part in (prefix.strip("/"), _MESSAGES) if part)


def emr_client(settings: Settings, reader: AwsReader) -> tuple[Any, FollowedJobs]:
    """Dagster's client of EMR Serverless, and the jobs that it follows."""
    engine = settings.engine
    bucket, prefix = pipes_place(engine)
    s3, followed = reader.client("s3"), FollowedJobs(reader.client("emr-serverless"), engine.spark.minutes)
    client = PipesEMRServerlessClient(
        client=followed,
        context_injector=PipesS3ContextInjector(bucket=bucket, client=s3, key_prefix=prefix),
        message_reader=_MessagesBelow(prefix, bucket=bucket, client=s3, interval=engine.spark.poll_seconds),
        poll_interval=engine.spark.poll_seconds,
    )
    return client, followed
