"""The span of time whose ledger entries are judged, and from when on they are read. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from phase5_ops.ccnative.ledger import epoch_ms
from phase5_ops.clock import iso
from phase5_ops.policy import ReplayPolicy


@dataclass(frozen=True, slots=True)
class Window:
    """What is judged, in epoch milliseconds; reading begins a margin earlier, see `read_from`."""

    start: int
    end: int

    @classmethod
    def before(cls, now: datetime, policy: ReplayPolicy) -> "Window":
        """The policy's days before `now`; entries may be stamped a little ahead of it."""
        end = now + timedelta(seconds=policy.future_tolerance_seconds)
        return cls(epoch_ms(iso(now - timedelta(days=policy.window_days))), epoch_ms(iso(end)))


def read_from(window: Window, policy: ReplayPolicy) -> int:
    """Epoch ms from which the ledger is read: whatever starts or ends within the window was requested after this."""
    return window.start - int((policy.start_deadline_minutes + policy.finish_deadline_minutes) * 60_000)
