"""What the operator must do about a breaker that is OPEN or opens again and again (row 2.2). Pure.

Two rules show that a breaker does not recover by itself. In a row: snapshots whose openings follow each other within a cooldown
and a call timeout are one unbroken disturbance, seen by runs minutes apart. Over days: the openings in a window are counted,
whatever lies between the runs, see `recurrence`; this rule also applies to a breaker that this run finds CLOSED.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from phase5_ops.ccnative.breaker_records import HALF_OPEN, OPEN
from phase5_ops.policy import BreakerPolicy
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.sections.breakers.evidence import Breaker, payload
from phase5_ops.sections.breakers.times import duration, epoch_of, instant
from phase5_ops.verdict import Finding


def open_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    """The findings from the breaker's present state and from the runs of the last days."""
    not_closed = row.state in (OPEN, HALF_OPEN)
    lasting = (_persistence(row, policy, now) if not_closed else None) or _recurring(row, policy, now)
    if lasting and not row.operator_action:
        yield BreakerCode.OPEN_BREAKER_WITHOUT_OPERATOR_ACTION.at(
            row.connector,
            expected=f"no tenant executes through {row.connector} ({_named(row.action_types)})",
            seen=f"{lasting}; {row.operator_action_seen}",
            link=link,
        )
    elif row.operator_action and not_closed and (lasting or row.state == OPEN):
        yield BreakerCode.BREAKER_OPEN.at(
            row.connector,
            expected="CLOSED once the connector recovers",
            seen=f"{lasting or _deadline_text(row, now)}; operator action in place: {row.operator_action_seen}",
            link=link,
        )
    elif row.state == OPEN:
        idle = _past_deadline(row, now) and not _called_since(row, _episode_end(payload(row)))
        yield (BreakerCode.OPEN_IDLE if idle else BreakerCode.BREAKER_OPEN).at(
            row.connector, expected="CLOSED", seen=_deadline_text(row, now), link=link
        )


def _recurring(row: Breaker, policy: BreakerPolicy, now: datetime) -> str | None:
    """Why the breaker counts as opening again and again; None if the runs do not show it, or it has recovered since."""
    found = row.recurrence.seen(payload(row), now.timestamp())
    if found.first is None or found.last is None or now.timestamp() - found.last > policy.recovery_hours * 3600:
        return None
    again_and_again = len(found.openings) >= policy.max_openings
    in_most = (
        found.not_closed > policy.max_open_share * found.runs
        and len(found.openings) >= policy.max_reopenings
        and found.last - found.first >= policy.recurrence_hours * 3600
    )
    if not (again_and_again or in_most):
        return None
    return (
        f"not closed in {found.not_closed} of {found.runs} runs of {policy.recurrence_days} d, in {len(found.openings)} openings"
        f" from {instant(found.openings[0])} to {instant(found.openings[-1])}"
    )


def _named(action_types: Sequence[str]) -> str:
    return ", ".join(action_types) if action_types else "no registered action type: execution_enabled false"


def _past_deadline(row: Breaker, now: datetime) -> bool:
    return row.open_until_epoch_sec is None or row.open_until_epoch_sec <= now.timestamp()


def _deadline_text(row: Breaker, now: datetime) -> str:
    if row.open_until_epoch_sec is None:
        return "OPEN without a deadline"
    left = row.open_until_epoch_sec - now.timestamp()
    when = f"for {duration(left)} more" if left > 0 else f"for {duration(-left)} past its deadline"
    return f"OPEN {when} (until {instant(row.open_until_epoch_sec)}), last data point {row.last_datapoint_at or 'none'}"


def _called_since(row: Breaker, epoch: float | None) -> bool:
    """True if the newest data point of the connector is later than `epoch` (both written by the platform)."""
    last = epoch_of(row.last_datapoint_at)
    return last is not None and epoch is not None and last > epoch


def _persistence(row: Breaker, policy: BreakerPolicy, now: datetime) -> str | None:
    """Why the breaker counts as not recovering by itself; None if nothing shows it."""
    chain = _chain(row, policy)
    reopenings = _reopenings(chain)
    if reopenings >= policy.max_reopenings:
        return f"re-opened {reopenings} times in a row since {instant(chain[0].get('window_start'))}"
    since = chain[0].get("window_start")
    if since is None:
        return None
    open_for = now.timestamp() - since
    if open_for > policy.open_max_minutes * 60 and _called_since(row, _episode_end(chain[0])):
        called = f"newest data point {row.last_datapoint_at}"
        return f"not closed for {duration(open_for)} (since {instant(since)}) under traffic ({called})"
    return None


def _chain(row: Breaker, policy: BreakerPolicy) -> list[Mapping[str, Any]]:
    """The newest unbroken series of OPEN and HALF_OPEN snapshots, this one last.

    Two snapshots are linked if the later one's window starts no later than a cooldown and a call timeout after the earlier one's
    deadline; after a longer gap it may have been closed in between.
    """
    chain: list[Mapping[str, Any]] = [payload(row)]
    for earlier in reversed(row.history):
        start, end = chain[0].get("window_start"), _episode_end(earlier)
        if earlier.get("state") not in (OPEN, HALF_OPEN) or start is None or end is None:
            break
        if start != earlier.get("window_start") and start > end + policy.cooldown_seconds + policy.call_timeout_seconds:
            break
        chain.insert(0, earlier)
    return chain


def _episode_end(snapshot: Mapping[str, Any]) -> float | None:
    """The deadline of an OPEN snapshot; without one, the last write, which in HALF_OPEN is the start of the probe."""
    for name in ("open_until", "last_write", "window_start"):
        if (value := snapshot.get(name)) is not None:
            return float(value)
    return None


def _reopenings(chain: Sequence[Mapping[str, Any]]) -> int:
    """How many OPEN periods began after the previous deadline had passed; late failures only move a deadline."""
    count, deadline = 0, None
    for snapshot in chain:
        following, start = snapshot.get("open_until"), snapshot.get("window_start")
        if snapshot.get("state") != OPEN or following is None or start is None:
            continue
        if deadline is not None and following > deadline and start >= deadline:
            count += 1
        deadline = following
    return count
