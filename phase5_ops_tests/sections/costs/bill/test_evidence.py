"""The cost table: exact sums, columns that survive Parquet, usage where it belongs."""

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase5_ops.sections.costs.bill.evidence import ZERO
from phase5_ops.sections.costs.bill.report import as_html, as_markdown, averages, change, sparkline, tenant_costs
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.costs.bill.cost_platform import CRM, NOTE, Bill, judge, outcome, tenant

pytestmark = pytest.mark.slow

EXAMPLES = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
NAMES = ("acme", "globex", "initech", "umbrella")
CONNECTORS = ("", "internal", "crm_salesforce", "calendar")
daily = st.decimals(min_value=Decimal("-50"), max_value=Decimal("500"), places=10).map(str)
bills = st.dictionaries(st.tuples(st.sampled_from(("", *NAMES)), st.sampled_from(CONNECTORS)), daily, max_size=8)
executions = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([NOTE, CRM, "unknown"]), st.integers(1, 40)), max_size=12)


def by_key(table):
    return {(row.tenant, row.connector): row for row in table.rows}


def of(lines, usage, names=NAMES):
    named = dict(zip(NAMES, names, strict=True)) | {"": ""}
    return Bill(
        lines={(named[name], connector): cost for (name, connector), cost in lines.items()},
        tenants=[tenant(name) for name in names],
        outcomes=[outcome(named[name], tool, days_ago=ago) for name, tool, ago in usage],
    )


@EXAMPLES
@given(lines=bills, usage=executions)
def test_the_rows_add_up_to_the_bill_and_the_shared_rest_to_its_parts(lines, usage):
    rows = of(lines, usage).table().rows
    assert sum((row.billed for row in rows), ZERO) == 30 * sum((Decimal(cost) for cost in lines.values()), ZERO)
    shared = sum((row.billed for row in rows if not row.tenant), ZERO)
    assert sum((row.allocated + row.unallocated for row in rows), ZERO) == shared
    for row in rows:
        assert sum(row.daily, ZERO) == row.billed == row.previous
        assert not (row.tenant and row.unallocated)


@EXAMPLES
@given(lines=bills.map(lambda bill: {key: cost for key, cost in bill.items() if Decimal(cost) >= 0}), usage=executions)
def test_of_a_bill_without_credits_no_share_is_negative(lines, usage):
    assert all(row.allocated >= 0 and row.unallocated >= 0 for row in of(lines, usage).table().rows)


@EXAMPLES
@given(lines=bills, usage=executions, data=st.data())
def test_renamed_tenants_and_reordered_lines_change_nothing(lines, usage, data):
    names = tuple(f"t{number}" for number in data.draw(st.permutations(range(4))))
    before = by_key(of(lines, usage).table())
    shuffled = {key: lines[key] for key in data.draw(st.permutations(list(lines)))}
    after = by_key(of(shuffled, data.draw(st.permutations(usage)), names).table())
    renamed = dict(zip(NAMES, names, strict=True)) | {"": ""}
    assert {(renamed[name], connector) for name, connector in before} == set(after)
    for (name, connector), row in before.items():
        other = after[renamed[name], connector]
        assert (row.billed, row.allocated, row.unallocated, row.executions, row.tools) == (
            other.billed, other.allocated, other.unallocated, other.executions, other.tools,
        )  # fmt: skip


@EXAMPLES
@given(lines=bills, usage=executions)
def test_the_table_survives_parquet_and_no_bill_makes_the_judge_raise(tmp_path_factory, lines, usage):
    table = of(lines, usage).table()
    back = assert_kept(table, tmp_path_factory.mktemp("table"))
    assert judge(back) == judge(table)
    assert judge(back).verdict in Verdict
    assert as_html(back) == as_html(table)


def test_the_rest_is_shared_by_the_executions_of_its_connector_and_by_all_where_it_has_none():
    bill = Bill(lines={("", "crm_salesforce"): "4", ("", ""): "3", ("acme", "internal"): "1"})
    rows = by_key(bill.table())
    assert rows["acme", "crm_salesforce"].allocated == 120  # the only one that used the CRM
    assert (rows["acme", ""].allocated, rows["globex", ""].allocated) == (60, 30)
    assert rows["acme", "internal"].executions == 1
    assert rows["acme", "crm_salesforce"].tools == {"crm.create_task": 1}
    assert rows["globex", "internal"].billed == 0


def test_a_connector_tag_in_a_spelling_of_the_platform_finds_its_executions():
    rows = by_key(Bill(lines={("", "crm"): "4"}).table())
    assert rows["acme", "crm"].allocated == 120


def test_only_executions_of_the_period_count():
    days = (0.4, 0.6, 30.4, 30.6)  # from noon: today, yesterday, the first day of the period, the day before it
    rows = by_key(Bill(outcomes=[outcome("acme", days_ago=ago) for ago in days]).table())
    assert rows["acme", "internal"].executions == 2


def test_columns_are_those_of_focus_and_ours():
    table = Bill().table().frame
    assert [name for name in table.columns if not name.startswith("x_")] == [
        "SubAccountId", "ServiceName", "ChargePeriodStart", "ChargePeriodEnd", "BillingCurrency", "BilledCost",
        "EffectiveCost", "Tags",
    ]  # fmt: skip
    row = table[table["x_TenantId"] == "acme"].iloc[-1]
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-10-24T00:00:00Z", "2026-11-23T00:00:00Z")
    assert json.loads(row["Tags"]) == {"tenant": "acme", "connector": "internal"}
    assert (row["SubAccountId"], row["BillingCurrency"]) == ("123456789012", "USD")


def test_the_report_shows_both_kinds_of_cost_share_change_and_trend():
    bill = Bill()
    bill.lines["globex", "internal"] = lambda ago: "3" if ago <= 30 else "2"
    acme, globex = (line for line in tenant_costs(bill.table()) if line.tenant)
    assert (acme.billed, acme.allocated, globex.billed, globex.allocated) == (180, 20, 90, 10)
    text = as_markdown(bill.table())
    assert "| acme | active | 180.00 | 20.00 | 200.00 | 66.7% | 180.00 | +0.0% | 2 | 100.0000 |" in text
    assert "| 60.00 | +50.0% | 1 |" in text
    assert "(shared, no tenant tag) | shared | 30.00 | 0.00 unallocated" in text


def test_a_tenant_tag_cannot_break_out_of_the_report():
    bill = Bill()
    bill.lines["<script>|`x\n", "internal"] = "1"
    assert "<script>" not in as_html(bill.table())
    line = next(line for line in as_markdown(bill.table()).splitlines() if "script" in line)
    assert "&lt;script&gt;\\|\\`x |" in line


def test_a_long_report_shows_the_most_expensive_and_says_how_many_are_left_out():
    text = as_markdown(Bill().table(), limit=1)
    assert "| acme |" in text
    assert "| globex |" not in text
    assert "1 further tenants" in text


def test_changes_and_trends_have_words_for_what_cannot_be_divided():
    assert [change(Decimal(now), Decimal(before)) for now, before in ((5, 0), (0, 5), (0, 0), (6, 4), (1, -1))] == [
        "new", "ended", "", "+50.0%", "n/a",
    ]  # fmt: skip
    assert sparkline([Decimal(n) for n in (0, 1, 2, 4, -3)]) == "▁▃▅█▁"
    assert sparkline([ZERO, ZERO]) == "▁▁"


@pytest.mark.parametrize(
    ("costs", "most", "means"), [((1, 2, 3, 5), 2, [1.5, 4]), ((1, 2, 3), 2, [1.5, 3]), ((1, 2), 10, [1, 2]), ((), 10, [])]
)
def test_a_long_trend_is_shown_by_the_means_of_its_spans(costs, most, means):
    assert averages([Decimal(cost) for cost in costs], most) == means
