"""The picture of the cost report is drawn for any number of tenants."""

import pytest

from phase5_ops.sections.costs.bill.plot import _bars, plot_costs
from phase5_ops.sections.costs.bill.report import tenant_costs
from phase5_ops_tests.evidence.drawings import texts_of
from phase5_ops_tests.sections.costs.bill.cost_platform import Bill, outcome, tenant


def bill_of(number):
    names = [f"tenant-{n:03}" for n in range(number)]
    lines = {(name, "internal"): str(number - n) for n, name in enumerate(names)}
    return Bill(lines | {("", ""): "5"}, tenants=[tenant(name) for name in names], outcomes=[outcome(name) for name in names])


@pytest.mark.parametrize("number", [0, 1, 60])
def test_it_is_drawn(number):
    drawing = plot_costs(bill_of(number).table())
    assert drawing is not None
    texts = texts_of(drawing)
    assert ("tenant-000" in texts) is (number > 0)
    assert ("35 others" in texts) is (number == 60)


def test_hostile_names_and_credits_are_drawn():
    bill = Bill()
    bill.lines |= {("$x$ <b>" + "y" * 60, ""): "-4", ("", "calendar"): "2"}
    drawing = plot_costs(bill.table())
    assert drawing is not None
    assert any(text.startswith("$x$ <b>yyy") for text in texts_of(drawing))
    assert "-120.00" in texts_of(drawing)


def test_the_most_expensive_have_a_bar_each_and_the_others_share_one():
    lines = [line for line in tenant_costs(bill_of(60).table()) if line.tenant]
    bars = _bars(lines)
    assert (len(bars), bars[-1][0]) == (26, "35 others")
    assert sum(bar[1] for bar in bars) == sum(line.billed for line in lines)
    assert len(_bars(lines[:26])) == 26
