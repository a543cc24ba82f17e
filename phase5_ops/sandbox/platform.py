"""The working CCNative inside the sandbox, put together: user pool, bus, executor, export worker, Control Center."""

from contextlib import ExitStack
from pathlib import Path

from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.event_bus import targets
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.ccnative.arns import arn_of_event_log, arn_of_export_worker, arn_of_state_machine
from phase5_ops.sandbox.ccnative.audit_export import AuditExportWorker
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.ccnative.event_log import GROUP, EventLog
from phase5_ops.sandbox.ccnative.executor import Executor
from phase5_ops.sandbox.ccnative.ledger_writer import LedgerWriter
from phase5_ops.sandbox.ccnative.logs import PlatformLogs
from phase5_ops.sandbox.ccnative.trail_delivery import TrailDelivery
from phase5_ops.sandbox.ccnative.user_pool import UserPool
from phase5_ops.sandbox.control_center.authorizer import Authorizer
from phase5_ops.sandbox.control_center.routes import ControlCenter
from phase5_ops.sandbox.control_center.server import ControlCenterServer
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A


class Platform:
    """The platform of one sandbox.

    Args:
        aws: AWS as the platform reaches it.
        clock: the platform's clock.
        region: where it is.
        platform_faults: its faults; the set may change while it runs.
        serving: False for a platform of tables alone, with a user pool and nobody in it.
        endpoint: where its AWS is served to the world outside.

    Attributes:
        pool: its user pool.
        ledger: appends to its ledger.
        executor: executes what its bus delivers.
        trail: delivers what data it touched.
        control_center: its HTTP server.
    """

    def __init__(
        self,
        aws: InsideAws,
        clock: PlatformClock,
        region: str,
        platform_faults: set[PlatformFault],
        *,
        serving: bool,
        endpoint: str = "",
    ) -> None:
        self.ledger = LedgerWriter(aws, clock)
        context = PlatformContext(aws, clock, PlatformLogs(clock, region), self.ledger, region, platform_faults, endpoint)
        self._serving, self._region = serving, region
        self._patches = ExitStack()
        self.pool = UserPool(aws, region)
        self.executor = Executor(context)
        self.trail = TrailDelivery(aws.trail, clock, region, platform_faults, self.executor.wait_idle)
        self._exports = AuditExportWorker(context)
        self._event_log = EventLog(clock, region)
        application = ControlCenter(context, Authorizer(self.pool, platform_faults))
        self.control_center = ControlCenterServer(application, platform_faults)

    def start(self, folder: Path) -> dict[str, str]:
        """Takes events and requests from now on.

        Args:
            folder: where the expired token goes.

        Returns:
            The settings by which `phase5` finds it.
        """
        settings = {"PHASE5_USER_POOL_ID": self.pool.id, "PHASE5_USER_POOL_CLIENT_ID": self.pool.client_id}
        if not self._serving:
            return settings
        served = {
            arn_of_state_machine(self._region): self.executor.deliver,
            arn_of_export_worker(self._region): self._exports.deliver,
            arn_of_event_log(self._region): self._event_log.deliver,
        }
        self._patches.enter_context(targets(served))
        self._patches.enter_context(self.trail.delivering())
        self.pool.add_probe_users()
        self.control_center.start()
        token = folder / "expired-token"
        token.touch(mode=0o600)
        token.write_text(self.pool.expired_token(A), encoding="ascii")
        return settings | {
            **self.pool.exports,
            "PHASE5_CONTROL_CENTER_URL": self.control_center.url,
            "PHASE5_PROBES__SETTLE_SECONDS": "0",
            "PHASE5_ISOLATION__PROBE_REQUESTS_PER_SECOND": "10000",  # no pace binds the sandbox
            "PHASE5_PROBES__REQUESTS_PER_SECOND": "10000",
            "PHASE5_ISOLATION__TRAIL_S3_URI": self.trail.location,
            "PHASE5_ISOLATION__EVENT_LOG_GROUP": GROUP,
            "PHASE5_PROBES__EXPIRED_TOKEN_FILE": str(token),
            "PHASE5_PROBES__OTHER_CLIENT_ID": self.pool.other_client_id,
        }

    def stop(self) -> None:
        """Ends its threads and its server."""
        self.control_center.stop()
        self._patches.close()
        self.executor.stop()
