"""Sharing a common cost: exact, fair, and blind to names and order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.sections.costs.bill.allocation import allocate

amounts = st.decimals(min_value=Decimal("-1e9"), max_value=Decimal("1e9"), places=10)
weights = st.dictionaries(st.text(min_size=1, max_size=6), st.integers(0, 10**6), max_size=12)


@given(amount=amounts, weights=weights)
def test_shares_and_the_unallocated_part_sum_exactly_and_have_the_amounts_sign(amount, weights):
    allocation = allocate(amount, weights)
    assert sum(allocation.shares.values(), allocation.unallocated) == amount
    sign = -1 if amount < 0 else 1
    assert all(share * sign >= 0 for share in (*allocation.shares.values(), allocation.unallocated))


@given(amount=amounts, weights=weights)
def test_what_usage_was_found_for_is_allocated_but_for_less_than_a_unit_a_tenant(amount, weights):
    users = [name for name, weight in weights.items() if weight]
    unallocated = abs(allocate(amount, weights).unallocated)
    if users:
        assert unallocated < len(users) * Decimal("1e-10")
    else:
        assert unallocated == abs(amount)


@given(amount=amounts, weights=weights, data=st.data())
def test_new_names_and_another_order_change_no_share(amount, weights, data):
    names = data.draw(st.permutations([f"renamed-{n}" for n in range(len(weights))]))
    renamed = dict(zip(weights, names, strict=True))
    shuffled = data.draw(st.permutations(list(weights)))
    before = allocate(amount, weights)
    after = allocate(amount, {renamed[name]: weights[name] for name in shuffled})
    assert after.unallocated == before.unallocated
    assert after.shares == {renamed[name]: share for name, share in before.shares.items()}


@given(amount=amounts.filter(lambda amount: amount >= 0), weights=weights)
def test_who_used_more_never_bears_less(amount, weights):
    shares = allocate(amount, weights).shares
    ordered = sorted(shares, key=lambda name: weights[name])
    assert [shares[name] for name in ordered] == sorted(shares.values())


def test_equal_users_bear_equal_parts_and_the_indivisible_rest_stays_unallocated():
    allocation = allocate(Decimal(1), {"a": 1, "b": 1, "c": 1})
    assert set(allocation.shares.values()) == {Decimal("0.3333333333")}
    assert allocation.unallocated == Decimal("0.0000000001")


def test_the_largest_remainder_gets_the_last_unit():
    assert allocate(Decimal("0.0000000010"), {"a": 2, "b": 1}).shares == {"a": Decimal("7e-10"), "b": Decimal("3e-10")}


def test_a_credit_is_given_back_by_the_same_rule():
    positive, negative = (allocate(Decimal(sign * 7), {"a": 5, "b": 2}).shares for sign in (1, -1))
    assert negative == {name: -share for name, share in positive.items()}


def test_negative_usage_is_refused():
    with pytest.raises(ValueError, match="negative"):
        allocate(Decimal(1), {"a": -1})
