"""What every part of the sandbox's platform works with."""

from dataclasses import dataclass

from phase5_ops.sandbox.holes import PlatformFault
from phase5_ops.sandbox.inside_aws import InsideAws
from phase5_ops.sandbox.ledger_writer import LedgerWriter
from phase5_ops.sandbox.platform_clock import PlatformClock
from phase5_ops.sandbox.platform_logs import PlatformLogs


@dataclass(frozen=True, slots=True)
class PlatformContext:
    """The surroundings of one platform.

    Attributes:
        aws: AWS as the platform reaches it.
        clock: the platform's clock.
        logs: writes its log groups.
        ledger: appends to its ledger.
        region: where it is.
        platform_faults: its faults; the set may change while it runs.
    """

    aws: InsideAws
    clock: PlatformClock
    logs: PlatformLogs
    ledger: LedgerWriter
    region: str
    platform_faults: set[PlatformFault]
