"""Times of breaker rows as text, and ages of snapshots. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.sections.breakers.evidence import DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(epoch: float | None) -> str:
    """An epoch second as an ISO-8601 text; one beyond the calendar stays a number."""
    if epoch is None:
        return "none"
    try:
        return (_EPOCH + timedelta(seconds=epoch)).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError:
        return f"epoch second {epoch:.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `12.5 min`, `3.2 h`, `4.0 d`."""
    for unit, size in (("d", DAY), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def epoch_of(stamp: str | None) -> float | None:
    """Epoch seconds of an ISO-8601 stamp; None if there is none or it cannot be read."""
    try:
        return parse_iso(stamp).timestamp() if stamp else None
    except (ValueError, TypeError):
        return None


def age_of(snapshot: Mapping[str, Any], now: datetime) -> float:
    """Seconds from the snapshot to `now`, both in evaluation time; 0 where the snapshot has no time."""
    observed = epoch_of(snapshot.get("observed_at"))
    return 0 if observed is None else now.timestamp() - observed
