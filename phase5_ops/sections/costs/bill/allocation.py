"""Sharing a common cost among tenants by what they measurably used. Pure, exact, and blind to names and order.

Largest-remainder rounding in units of 1e-10 of the currency. Tenants of equal weight get equal shares: units that a group with
equal remainders cannot share evenly (less than one a tenant) stay unallocated. So shares and the unallocated part always sum to
the amount, and neither the tenants' names nor the order of the lines can change a share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from phase5_ops.aws.cost_answers import QUANTUM, SCALE


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who bears how much of an amount; shares have the amount's sign. shares + unallocated = the amount, to the last digit."""

    shares: Mapping[str, Decimal]
    unallocated: Decimal


def allocate(amount: Decimal, weights: Mapping[str, int]) -> Allocation:
    """Shares of `amount` in proportion to `weights`.

    A negative amount (credits or refunds exceed the shared cost) is shared by the same rule: tenants get it back in the
    proportion in which they would have borne it. Without any weight nothing is shared.

    Args:
        amount: the cost to share, with at most ten decimals.
        weights: measured usage by tenant, for instance executions.

    Raises:
        ValueError: a negative weight.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("usage cannot be negative")
    users = {name: weight for name, weight in weights.items() if weight}
    whole = sum(users.values())
    units = int(amount.scaleb(SCALE))
    sign = -1 if units < 0 else 1
    if not whole:
        return Allocation({}, amount)
    floors, remainders = {}, {}
    for name, weight in users.items():
        floors[name], remainders[name] = divmod(abs(units) * weight, whole)
    left = abs(units) - sum(floors.values())
    by_remainder = sorted(remainders, key=lambda name: -remainders[name])
    for _, names in groupby(by_remainder, key=lambda name: remainders[name]):
        tied = list(names)
        if len(tied) > left:
            break
        for name in tied:
            floors[name] += 1
        left -= len(tied)
    shares = {name: sign * share * QUANTUM for name, share in floors.items()}
    return Allocation(shares, sign * left * QUANTUM)
