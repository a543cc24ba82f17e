"""A server of the sandbox's AWS without a platform on it."""

import logging
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config

from phase5_ops.sandbox.aws import cloudwatch as moto_cloudwatch
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.sandbox.server import Sandbox
from phase5_ops_tests.sandbox.ccnative.stored_items import Ccnative

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
REGION = "us-west-2"


class SteppedClock(PlatformClock):
    """A platform clock that stands still until it is moved."""

    def __init__(self):
        super().__init__(NOW)
        self.moment = NOW

    def now(self):
        return super().now() if self.replay else self.moment

    def move(self, **delta):
        self.moment += timedelta(**delta)


@pytest.fixture(scope="session")
def moto_server():
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    faults = Faults()
    server = FaultableMotoServer(faults)
    server.start()
    yield server, faults
    server.stop()


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def aws(moto_server, clock):
    """Makes clients of an emptied server; `aws.faults` and `aws.endpoint` are its."""
    server, faults = moto_server
    faults.clear()

    def client(service, **options):
        config = Config(retries={"total_max_attempts": 1}, read_timeout=5, **options)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        return boto3.client(service, endpoint_url=server.endpoint, config=config, **keys)

    client.faults, client.endpoint = faults, server.endpoint
    with own_aws(), moto_cloudwatch.installed(clock, faults):
        yield client
    faults.clear()


@pytest.fixture
def cloudwatch(aws):
    return aws("cloudwatch")


@pytest.fixture(scope="module")
def shared_platform():
    """The healthy platform of a module's tests."""
    with Sandbox("healthy") as sandbox:
        yield Ccnative(sandbox)


@pytest.fixture
def ccnative(shared_platform):
    """The module's platform; a test's faults and faults end with it."""
    yield shared_platform
    shared_platform.platform_faults.clear()
    shared_platform.sandbox.faults.clear()
