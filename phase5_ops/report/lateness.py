"""What is said where nothing has happened for too long: no readiness run for a day, no look of the gate's daemon. Pure.

It is for people who read an old state as if it were the present one. Nothing is decided from it.
"""

from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.report.standing import in_words

_RUN_LATE = timedelta(days=1)  # as the notice `no_run` has it
_DAEMON_LATE = timedelta(minutes=30)  # it looks every ten


def late_run(at: datetime | None, now: datetime) -> str | None:
    """What is said of the newest readiness run of the whole checklist; None if it is recent. `at`: when it was, None: never."""
    what = "start one with phase5 check, and see that Dagster's daemon runs with its schedule on"
    if at is None:
        return f"no readiness run of the whole checklist is known: {what}"
    if now - at < _RUN_LATE:
        return None
    return f"the newest readiness run of the whole checklist is {in_words(now - at)} old ({iso(at)}): {what}"


def late_daemon(looked_at: datetime | None, now: datetime) -> str | None:
    """What is said of the gate's daemon; None if it looked lately. `looked_at`: when it looked last, None: never."""
    if looked_at is not None and abs(now - looked_at) < _DAEMON_LATE:
        return None
    last = (
        "is not known to have ever looked"
        if looked_at is None
        else f"looked last {in_words(now - looked_at)} ago ({iso(looked_at)})"
    )
    return f"Dagster's daemon of the gate {last}: until it runs (phase5 ui), nothing is judged, promoted or told to anybody"
