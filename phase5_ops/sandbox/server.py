"""The sandbox itself: moto's server with the corrected CloudWatch and a working platform, in this process, in one scenario.

moto keeps its state in the process: a sandbox that begins while another one runs has it to itself until it ends (`moto_state`).
What it serves is on 127.0.0.1 only.
"""

import logging
import os
import shutil
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import boto3

from phase5_ops.aws.sessions import bare_session
from phase5_ops.sandbox.aws import cloudwatch as moto_cloudwatch
from phase5_ops.sandbox.aws import cost_explorer
from phase5_ops.sandbox.aws import dynamodb as moto_dynamodb
from phase5_ops.sandbox.aws import kms as moto_kms
from phase5_ops.sandbox.aws import logs as moto_logs
from phase5_ops.sandbox.aws.access_trail import AccessTrail
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.inside import InsideAws, one_at_a_time
from phase5_ops.sandbox.aws.moto_requests import answered_quickly
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.sandbox.continuing import ContinuingPlatform
from phase5_ops.sandbox.platform import Platform
from phase5_ops.sandbox.ports import HOST, free_port
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.scenarios.registry import EMPTY
from phase5_ops.sandbox.seed import arn_of_notifications, seed
from phase5_ops.sandbox.state.blueprint import RUNBOOK_ADDRESS
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.sized import Size, enlarge
from phase5_ops.settings import load_settings

ALARMS_AGE = timedelta(days=1)  # a scenario's alarms have long been there, so that what they do not see counts
DEFAULT_REGION = "us-west-2"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}  # no secret: nothing checks them


class Sandbox:
    """A running sandbox: use as a context manager, or `start()` and `stop()`.

    Attributes:
        region: the one region it has.
        clock: the platform's clock.
        faults: the faults of its AWS; may change while it serves.
        platform_faults: the faults of the platform in it; may change while it serves.
        trail: what data the platform touched.
        inside: AWS as the platform reaches it, past faults and HTTP.
        platform: the working CCNative, once started.
    """

    def __init__(self, scenario: str, *, port: int = 0, size: Size | None = None) -> None:
        """Starts nothing yet; `size` enlarges the scenario's platform."""
        self._scenario = named(scenario)
        self._size = size
        self._port = port
        self._fixed_now = load_settings().now
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        self.clock = PlatformClock(self._fixed_now, replay=self._scenario.name == EMPTY and self._fixed_now is None)
        self.faults = Faults()
        self.platform_faults: set[PlatformFault] = set()
        self.trail = AccessTrail(self.clock)
        self.inside = InsideAws(self.session(), self.trail)
        self.platform: Platform | None = None
        self._server = FaultableMotoServer(self.faults, HOST, port)
        self._patches = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="phase5-sandbox-"))
        self._settings: dict[str, str] = {}
        self._serving = False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The URL of the AWS endpoint."""
        return self._server.endpoint

    def session(self) -> boto3.Session:
        """A boto3 session with the sandbox's credentials and region."""
        keys = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        return boto3.Session(*keys, region_name=self.region, botocore_session=bare_session())

    def start(self) -> None:
        """Serves, and puts the scenario in.

        Raises:
            ConfigurationError: the port is taken.
        """
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        free_port(self._port, "the sandbox")  # moto's server ends its thread without a word where the port is taken
        patches = (
            own_aws(),
            answered_quickly(),
            moto_cloudwatch.installed(self.clock, self.faults),
            moto_dynamodb.installed(),
            moto_kms.installed(),
            moto_logs.installed(self.clock),
            one_at_a_time(),
        )
        for patch in patches:
            self._patches.enter_context(patch)
        self._server.start()
        self._serving = True
        blueprint = self._scenario.blueprint(self.clock.first, self.region)
        if self._size is not None:
            enlarge(blueprint, self._size, self.region)
        seed(self.inside, self.region, blueprint)
        self.platform_faults.update(blueprint.platform_faults)
        self.platform = Platform(
            self.inside,
            self.clock,
            self.region,
            self.platform_faults,
            serving=blueprint.serving,
            endpoint=self.endpoint,
        )
        self._settings = {**self.platform.start(self._folder), **blueprint.settings}
        bill = cost_explorer.installed(
            self.clock, lines=blueprint.billing, tags=blueprint.cost_tags, tags_updated=blueprint.cost_tags_updated
        )
        self._patches.enter_context(bill)
        runbook = self._folder / "phase_5_7_reliability.md"
        if blueprint.runbook is not None:
            runbook.write_text(blueprint.runbook, encoding="utf-8")
        self._settings |= {"PHASE5_RUNBOOK": str(runbook), "PHASE5_RUNBOOK_URL": RUNBOOK_ADDRESS}
        moto_cloudwatch.backdate_alarms(self.region, self.clock.now() - ALARMS_AGE)
        for fault in blueprint.faults:
            self.faults.add(**fault)
        if not self.clock.replay:
            self._server.before = ContinuingPlatform(blueprint, self.inside, self.clock, self.region).catch_up

    def stop(self) -> None:
        """Ends the server; the process has the AWS again that it had before."""
        if self.platform is not None:
            self.platform.stop()
        if self._serving:
            self._server.stop()
        self._patches.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def exports(self) -> dict[str, str]:
        """The environment variables that point AWS clients and `phase5` at this sandbox."""
        fixed = {"PHASE5_NOW": self._fixed_now.isoformat().replace("+00:00", "Z")} if self._fixed_now else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **CREDENTIALS,
            "PHASE5_ENVIRONMENT": "sandbox",
            "PHASE5_LOGS__REQUESTS_PER_SECOND": "50",  # the pace that AWS sets does not bind the sandbox
            "PHASE5_PROBES__RUNS_PER_HOUR": "1000",  # nor does what a platform with customers bears
            "PHASE5_SIGNING__TRUSTED_ROLES": f'["{ACCOUNT}/phase5-signer-*"]',  # their sessions are named after the person
            "PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN": arn_of_notifications(self.region),
            **self._settings,
            **fixed,
        }
