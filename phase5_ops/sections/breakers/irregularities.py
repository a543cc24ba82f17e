"""Finds what no working breaker does (row 2.2). Pure.

A probe that never ends, slots that are not released, and a breaker that somebody closed or removed by hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from phase5_ops.ccnative.breaker_records import CLOSED, CONCURRENCY_KEY, HALF_OPEN, STATE_KEY, item_key
from phase5_ops.policy import BreakerPolicy
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.sections.breakers.evidence import EXPIRED, FROM_ITEM, NEVER_FAILED, NOT_OBSERVED, Breaker, payload
from phase5_ops.sections.breakers.times import age_of, duration, epoch_of, instant
from phase5_ops.verdict import Finding, Verdict

_CLOSED_BY_PROBE = "closed by a probe after its deadline"


def half_open_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    """A HALF_OPEN that lasts longer than a cooldown plus a call timeout, or that the item does not date."""
    if row.state != HALF_OPEN:
        return
    longest = policy.cooldown_seconds + policy.call_timeout_seconds
    expected = f"a probe that ends within {longest} s"
    what = "its probe in flight" if row.half_open_probe_in_flight else "no probe in flight"
    held = _held_seconds(row, ("state", "ttl", "window_start"), now)
    written = row.last_write_epoch_sec
    age = None if written is None else now.timestamp() - written
    stuck_for = max(held, age or 0)
    if stuck_for > longest:
        yield BreakerCode.HALF_OPEN_STUCK.at(
            row.connector,
            expected=expected,
            seen=f"HALF_OPEN with {what} for {duration(stuck_for)}, last write {instant(written)}",
            link=link,
        )
    elif age is None or age < -policy.clock_skew_seconds:
        yield BreakerCode.HALF_OPEN_STUCK.at(
            row.connector,
            expected=f"{expected}, dated by ttl_epoch_sec less {policy.state_ttl_days} days (breakers.state_ttl_days)",
            seen=f"HALF_OPEN with {what}; its ttl ({instant(row.ttl_epoch_sec)}) does not date the last write",
            verdict=Verdict.INCONCLUSIVE,
            link=link,
        )


def _held(row: Breaker, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The newest unbroken series of earlier snapshots in which these fields are as they are now, oldest first."""
    current = payload(row)
    held: list[Mapping[str, Any]] = []
    for earlier in reversed(row.history):
        if any(earlier.get(name) != current[name] for name in names):
            break
        held.insert(0, earlier)
    return held


def _held_seconds(row: Breaker, names: Sequence[str], now: datetime) -> float:
    """Seconds for which earlier snapshots have shown these fields as they are now; 0 without such a snapshot."""
    ages = [age_of(snapshot, now) for snapshot in _held(row, names)]
    return max(ages, default=0)


def slot_findings(row: Breaker, policy: BreakerPolicy, now: datetime, link: str, *, activity_known: bool) -> Iterator[Finding]:
    """Calls in flight above the limit, without recent data points, or unchanged for longer than a call timeout."""
    used = row.in_flight_count or 0
    link = link.replace(f"sk={STATE_KEY}", f"sk={CONCURRENCY_KEY}")
    if used > policy.max_in_flight:
        yield BreakerCode.SLOT_LEAKED.at(
            row.connector, expected=f"at most {policy.max_in_flight} calls in flight", seen=f"{used} in flight", link=link
        )
    if used == 0 or not activity_known:
        return
    last = epoch_of(row.last_datapoint_at)
    idle = None if last is None else now.timestamp() - last
    if idle is None or idle > policy.slot_idle_minutes * 60:
        yield BreakerCode.SLOT_LEAKED.at(
            row.connector,
            expected=f"a data point within {policy.slot_idle_minutes} min of calls in flight",
            seen=f"{used} in flight, " + ("no data point at all" if idle is None else f"last data point {duration(idle)} ago"),
            link=link,
        )
    held = [snapshot for snapshot in _held(row, ("in_flight",)) if age_of(snapshot, now) >= policy.call_timeout_seconds]
    if held:
        calls_ended = held[-1].get("last_datapoint_at") != row.last_datapoint_at
        yield BreakerCode.SLOT_LEAKED.at(
            row.connector,
            expected=f"another number of calls in flight after {policy.call_timeout_seconds} s",
            seen=f"{used} in flight in every snapshot since {held[0].get('observed_at')}, "
            + ("though calls ended since then" if calls_ended else "and no call ended since then"),
            verdict=Verdict.WARN if calls_ended else Verdict.FAIL,
            link=link,
        )


def earlier_hand_closing(row: Breaker, policy: BreakerPolicy, now: datetime, link: str) -> Iterator[Finding]:
    """A closing by hand between two kept snapshots; it stays a finding after the next success."""
    latest = None
    for earlier, later in pairwise(row.history):
        deadline, start = earlier.get("open_until") or 0, later.get("window_start")
        gone = start is None and (earlier.get("ttl") or 0) > (epoch_of(later.get("observed_at")) or 0)
        early = later.get("state") == CLOSED and start is not None and start < deadline
        unprobed = earlier.get("state") == HALF_OPEN and later.get("state") == CLOSED and start == earlier.get("window_start")
        if gone or early or unprobed:
            latest = (earlier, later, "its record gone" if gone else f"CLOSED with window start {instant(start)}")
    if latest is None:
        return
    earlier, later, how = latest
    age = now.timestamp() - (epoch_of(later.get("observed_at")) or 0)
    yield BreakerCode.CLOSED_BY_HAND.at(
        row.connector,
        expected=_CLOSED_BY_PROBE,
        seen=f"{earlier.get('state')} at {earlier.get('observed_at')}, then {how} at {later.get('observed_at')}, "
        f"{duration(max(age, 0))} ago",
        verdict=Verdict.FAIL if age <= policy.hand_closing_hours * 3600 else Verdict.WARN,
        link=link,
    )


def closed_by_hand_findings(row: Breaker, now: datetime, link: str) -> Iterator[Finding]:
    """A closing by hand: only a probe closes a breaker, after its deadline, by a whole new item; only a ttl removes items."""
    if row.state == CLOSED and row.state_source == FROM_ITEM:
        start = row.window_start_epoch_sec or 0
        snapshots = [*row.history, payload(row)]
        deadline = max((snapshot.get("open_until") or 0 for snapshot in snapshots), default=0)
        probed = max((s.get("window_start") or 0 for s in row.history if s.get("state") == HALF_OPEN), default=-1)
        left = {"open_until_epoch_sec": row.open_until_epoch_sec, "half_open_probe_in_flight": row.half_open_probe_in_flight}
        still = [name for name, value in left.items() if value is not None]
        why = (
            f"was open until {instant(deadline)}"
            if start < deadline
            else "which is that of its HALF_OPEN"
            if start <= probed
            else f"and still {' and '.join(still)}"
            if still
            else ""
        )
        if why:
            yield BreakerCode.CLOSED_BY_HAND.at(
                row.connector,
                expected=_CLOSED_BY_PROBE,
                seen=f"CLOSED with window start {instant(start)}, {why}",
                link=link,
            )
    elif row.state_source in (NEVER_FAILED, NOT_OBSERVED, EXPIRED):
        lasting = [snapshot for snapshot in row.history if (snapshot.get("ttl") or 0) > now.timestamp()]
        if lasting:
            newest = lasting[-1]
            yield BreakerCode.CLOSED_BY_HAND.at(
                row.connector,
                expected=f"{item_key(row.connector, STATE_KEY)} until its ttl {instant(newest.get('ttl'))}",
                seen=f"no such item with its ttl ahead; it was {newest.get('state')} when seen at {newest.get('observed_at')}",
                link=link,
            )
