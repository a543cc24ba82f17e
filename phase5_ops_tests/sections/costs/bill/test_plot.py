"""The picture of the cost report is drawn for any number of tenants."""

import pytest

from phase5_ops.evidence.preview import as_png
from phase5_ops.sections.costs.bill.plot import _bars, plot_costs
from phase5_ops.sections.costs.bill.report import tenant_costs
from phase5_ops_tests.sections.costs.bill.cost_platform import Bill, outcome, tenant


def bill_of(number):
    names = [f"tenant-{n:03}" for n in range(number)]
    lines = {(name, "internal"): str(number - n) for n, name in enumerate(names)}
    return Bill(lines | {("", ""): "5"}, tenants=[tenant(name) for name in names], outcomes=[outcome(name) for name in names])


@pytest.mark.parametrize("number", [0, 1, 60])
def test_it_is_drawn(number):
    assert as_png(plot_costs(bill_of(number).table())).startswith(b"\x89PNG")


def test_names_and_credits_that_matplotlib_could_stumble_over_are_drawn():
    bill = Bill()
    bill.lines |= {("$x$ <b>" + "y" * 60, ""): "-4", ("", "calendar"): "2"}
    assert as_png(plot_costs(bill.table())).startswith(b"\x89PNG")


def test_the_most_expensive_have_a_bar_each_and_the_others_share_one():
    lines = [line for line in tenant_costs(bill_of(60).table()) if line.tenant]
    bars = _bars(lines)
    assert (len(bars), bars[-1][0]) == (26, "35 others")
    assert sum(bar[1] for bar in bars) == sum(line.billed for line in lines)
    assert len(_bars(lines[:26])) == 26
