"""Data points of steady tool traffic, as the platform's resilience wrapper emits them. Deterministic for a tool and a present.

One call makes tool_latency_ms and either tool_success or tool_error, on {tool_name, connector_id}; tenant_id is added on every
error and on one success in a hundred. Minutes for the last two hours, five minutes for three days, hours for thirty days: the
older the coarser, so that a scenario is seeded in seconds.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from phase5_ops.sandbox.aws.metric_store import MetricRow
from phase5_ops.sandbox.state.blueprint import Blueprint, Traffic

_MINUTE, _FIVE_MINUTES, _HOUR = 60, 300, 3600
_FINE_UNTIL, _MIDDLE_UNTIL = 2 * _HOUR, 73 * _HOUR
SLOW_MS = 9000.0


class MetricKey(NamedTuple):
    """One series: metric and sorted dimensions."""

    metric: str
    dimensions: tuple[tuple[str, str], ...]


Rows = dict[MetricKey, list[MetricRow]]


def rows_of(blueprint: Blueprint) -> Rows:
    """All data points of the blueprint's traffic and extra points."""
    rows: Rows = defaultdict(list)
    for traffic in blueprint.traffic:
        _add_traffic(rows, traffic, blueprint.epoch)
    for point in blueprint.points:
        at = int(blueprint.epoch - point.minutes_ago * _MINUTE)
        rows[MetricKey(point.metric, tuple(sorted(point.dimensions.items())))].append(_row(at, point.value, point.count))
    return rows


def _slots(traffic: Traffic, now: int) -> Iterator[tuple[int, int]]:
    """(start, seconds) of each slot, oldest first; only slots that are over."""
    for seconds, oldest, newest in (
        (_HOUR, traffic.from_minutes * _MINUTE, _MIDDLE_UNTIL),
        (_FIVE_MINUTES, _MIDDLE_UNTIL, _FINE_UNTIL),
        (_MINUTE, _FINE_UNTIL, traffic.until_minutes * _MINUTE),
    ):
        first = max(now - oldest, now - traffic.from_minutes * _MINUTE) // seconds * seconds
        last = min(now - newest, now - traffic.until_minutes * _MINUTE) // seconds * seconds
        yield from ((start, seconds) for start in range(first, last, seconds))


def rows_between(blueprint: Blueprint, since: int, until: int) -> Rows:
    """The data points of the traffic that goes on, of every whole minute from `since` to before `until` (epoch seconds).

    Traffic that a scenario has ended stays ended, and a burst or slowness that it has at its present goes on.
    """
    rows: Rows = defaultdict(list)
    for traffic in blueprint.traffic:
        if traffic.until_minutes <= 0:
            for start in range(since, until, _MINUTE):
                chance = random.Random(f"{traffic.tool}/{start}")  # noqa: S311 - made-up traffic, not a secret
                _add_slot(rows, traffic, start, _MINUTE, age_minutes=0, chance=chance)
    return rows


def _add_traffic(rows: Rows, traffic: Traffic, now: int) -> None:
    chance = random.Random(f"{traffic.tool}/{traffic.connector}")  # noqa: S311 - made-up traffic, not a secret
    for start, seconds in _slots(traffic, now):
        _add_slot(rows, traffic, start, seconds, age_minutes=(now - start) / _MINUTE, chance=chance)
    for minutes, tenant in traffic.failed_minutes_ago:
        if traffic.until_minutes <= minutes <= traffic.from_minutes:
            dimensions = (("connector_id", traffic.connector), ("tenant_id", tenant), ("tool_name", traffic.tool))
            at = int(now - minutes * _MINUTE)
            _emit(rows, traffic, MetricKey("tool_error", dimensions), at, {round(traffic.latency_ms): 1})


def _add_slot(rows: Rows, traffic: Traffic, start: int, seconds: int, *, age_minutes: float, chance: random.Random) -> None:
    """The calls of one slot, which began `age_minutes` before the present that the scenario was made for."""
    base = (("connector_id", traffic.connector), ("tool_name", traffic.tool))
    error_every = traffic.error_every_minutes * _MINUTE
    errors = _error_moments(start, start + seconds, error_every) if error_every else 0
    if age_minutes <= traffic.burst_minutes:
        errors += traffic.burst * seconds // _MINUTE
    successes = max(traffic.calls_per_minute * seconds // _MINUTE - errors, 0)
    slow = traffic.slow_share if age_minutes <= traffic.slow_minutes else 0.0
    sampled = successes // 100 + (1 if chance.random() < successes % 100 / 100 else 0)
    at = start + seconds // 2
    for dimensions, count in ((base, successes - sampled), (_with_tenant(base, traffic.tenants, chance), sampled)):
        _emit(rows, traffic, MetricKey("tool_success", dimensions), at, _latencies(traffic, count, slow, chance))
    failed = _with_tenant(base, traffic.tenants, chance) if traffic.tenant_on_errors else base
    _emit(rows, traffic, MetricKey("tool_error", failed), at, _latencies(traffic, errors, slow, chance))


def _error_moments(start: int, end: int, every: int) -> int:
    """Single errors in [start, end): in the minute before each multiple of `every`, when their window has its other calls."""
    return (end + _MINUTE - 1) // every - (start + _MINUTE - 1) // every


def _emit(rows: Rows, traffic: Traffic, key: MetricKey, at: int, latencies: dict[float, int]) -> None:
    """Adds the outcome of some calls, and their latencies on the same dimensions."""
    count = sum(latencies.values())
    if not count:
        return
    if key.metric not in traffic.omit:
        rows[key].append(_row(at, 1.0, count))
    if "tool_latency_ms" not in traffic.omit:
        rows[MetricKey("tool_latency_ms", key.dimensions)] += [_row(at, value, n) for value, n in latencies.items()]


def _latencies(traffic: Traffic, count: int, slow_share: float, chance: random.Random) -> dict[float, int]:
    """Latency (ms) -> calls; a hundredth of the calls takes three times as long as the rest."""
    if count <= 0:
        return {}
    slow = round(count * slow_share)
    tail = (count - slow) // 100
    usual = round(traffic.latency_ms * chance.uniform(0.8, 1.2))
    shares = {SLOW_MS: slow, 3 * traffic.latency_ms: tail, float(usual): count - slow - tail}
    return {value: n for value, n in shares.items() if n > 0}


def _with_tenant(base: tuple[tuple[str, str], ...], tenants: Sequence[str], chance: random.Random) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((*base, ("tenant_id", chance.choice(tenants)))))


def _row(at: int, value: float, count: int) -> MetricRow:
    return MetricRow(at, float(count), value * count, value, value)
