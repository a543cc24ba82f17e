"""Appends to the sandbox's execution ledger: one entry a call, each with a moment of its own.

The platform's entries lie milliseconds apart because its writes take that long; these would often share one, and the order of
entries within a millisecond is by a random id. So every entry gets a later millisecond than the one before.
"""

import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.state.records import LEDGER, Item, ledger_entry

_MILLISECOND = timedelta(milliseconds=1)


class LedgerWriter:
    """Appends entries; safe for several threads."""

    def __init__(self, aws: InsideAws, clock: PlatformClock) -> None:
        self._aws, self._clock = aws, clock
        self._last = datetime.min.replace(tzinfo=UTC)
        self._lock = threading.Lock()

    def moment(self) -> datetime:
        """The present, in whole milliseconds, and later than every moment given before."""
        with self._lock:
            now = self._clock.now()
            now = now.replace(microsecond=now.microsecond // 1000 * 1000)
            self._last = max(now, self._last + _MILLISECOND)
            return self._last

    def append(
        self,
        event_type: str,
        *,
        tenant: str,
        account: str | None,
        trace_id: str,
        data: Mapping[str, Any],
        evidence_refs: list[Item] | None = None,
    ) -> Item:
        """Writes one entry and returns it."""
        entry = ledger_entry(
            event_type,
            tenant=tenant,
            account=account,
            trace_id=trace_id,
            at=self.moment(),
            unique=str(uuid.uuid4()),
            data=data,
            evidence_refs=evidence_refs,
        )
        self._aws.put(LEDGER, entry, once_by="sk")
        return entry
