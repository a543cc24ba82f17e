"""What every part of the sandbox's platform works with."""

from dataclasses import dataclass

from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.ccnative.ledger_writer import LedgerWriter
from phase5_ops.sandbox.ccnative.logs import PlatformLogs
from phase5_ops.sandbox.state.platform_faults import PlatformFault


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
        endpoint: where its AWS is served to the world outside.
    """

    aws: InsideAws
    clock: PlatformClock
    logs: PlatformLogs
    ledger: LedgerWriter
    region: str
    platform_faults: set[PlatformFault]
    endpoint: str = ""
