"""Row 5.2: every verdict and every finding code."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from phase5_ops.aws.cost_answers import BudgetAlerts, CostTag
from phase5_ops.clock import iso
from phase5_ops.policy import CostPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.costs.bill.evidence import TENANT_COST_REPORT, CostFacts
from phase5_ops.sections.costs.bill.judge import CostCode, shown_amount
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.costs.bill.cost_platform import (
    ACCOUNT,
    NOW,
    OUTCOMES,
    TENANTS,
    Bill,
    codes,
    judge,
    outcome,
    tenant,
)

pytestmark = pytest.mark.slow


def test_a_bill_that_adds_up_and_names_every_tenant_passes():
    judgement = Bill().judged()
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    assert judgement.facts["cost"] == "300.00"
    assert judgement.facts["shared_cost"] == "30.00"
    assert judgement.facts["unallocated_share"] == 0
    assert judgement.facts["complete_through"] == "2026-11-21"
    assert judgement.summary.startswith("2 of 2 active tenants have a cost; USD 300.00")


def test_evidence_links_to_the_view_the_report_and_the_tables():
    table = Bill().table()
    table = replace(table, facts=replace(table.facts, report_url="file:///r.html"))
    labels = {link.label: link.url for link in judge(table).evidence}
    assert labels["Stored cost report"] == "file:///r.html"
    assert "startDate=2026-10-24&endDate=2026-11-22" in labels["Cost Explorer by tenant"]
    assert {f"Table {TENANTS}", f"Table {OUTCOMES}", "Cost Explorer by connector"} <= set(labels)


# Active tenants


def test_an_active_tenant_without_cost_fails():
    bill = Bill(tenants=[tenant("acme"), tenant("globex"), tenant("umbrella")])
    assert codes(bill.judged()) == [("FAIL", "active_tenant_without_cost", "umbrella")]


def test_an_allocated_cost_counts():
    bill = Bill(tenants=[tenant("acme"), tenant("globex"), tenant("umbrella")])
    bill.outcomes.append(outcome("umbrella"))
    assert bill.judged().verdict is Verdict.PASS


@pytest.mark.parametrize("status", ["deleted", "Suspended", "INACTIVE"])
def test_an_inactive_tenant_needs_no_cost(status):
    assert Bill(tenants=[tenant("acme"), tenant("globex"), tenant("gone", status)]).judged().verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("created", "verdict"),
    [
        (NOW - timedelta(hours=71), "WARN"),
        (NOW - timedelta(hours=72), "FAIL"),
        (NOW + timedelta(days=1), "FAIL"),
        (None, "FAIL"),
    ],
)
def test_a_tenant_younger_than_the_grace_is_a_warning(created, verdict):
    more = {"createdAt": {"S": iso(created)}} if created else {"createdAt": {"S": "soon"}}
    bill = Bill(tenants=[tenant("acme"), tenant("globex"), tenant("umbrella", **more)])
    assert codes(bill.judged()) == [(verdict, "active_tenant_without_cost", "umbrella")]


def test_a_tenant_registered_after_the_kept_pull_is_still_new():
    created = {"createdAt": {"S": iso(NOW - timedelta(hours=1))}}
    bill = Bill(tenants=[tenant("acme"), tenant("umbrella", **created)], observed_at=NOW - timedelta(hours=6))
    assert ("WARN", "active_tenant_without_cost", "umbrella") in codes(bill.judged())


def test_a_tag_activated_within_the_grace_makes_it_a_warning():
    bill = Bill(tenants=[tenant("acme"), tenant("globex"), tenant("umbrella")])
    bill.tags = [CostTag("connector", "Active", None), CostTag("tenant", "Active", "2026-11-22T00:00:00Z")]
    assert codes(bill.judged()) == [("WARN", "active_tenant_without_cost", "umbrella")]


def test_a_tenant_whose_credits_make_up_for_its_costs_has_a_cost():
    bill = Bill()
    bill.lines["globex", "internal"] = lambda ago: "3" if ago % 2 else "-3"
    bill.outcomes = [outcome("acme")]
    assert bill.judged().verdict is Verdict.PASS


def test_credits_alone_are_no_cost():
    bill = Bill(outcomes=[outcome("acme")])
    bill.lines["globex", "internal"] = "-3"
    assert codes(bill.judged()) == [("FAIL", "active_tenant_without_cost", "globex")]
    nothing = Bill(lines={("acme", "internal"): "-6", ("", ""): "-1"})
    assert codes(nothing.judged()) == [("FAIL", "active_tenant_without_cost", name) for name in ("acme", "globex")]


def test_a_tenant_of_shared_resources_has_a_cost_where_one_credit_exceeds_them():
    bill = Bill(lines={("", "internal"): lambda ago: "1" if ago != 9 else "-100"})
    assert bill.judged().verdict is Verdict.PASS


def test_a_tenant_that_cost_something_only_in_the_period_before_has_no_cost():
    bill = Bill(outcomes=[outcome("acme")])
    bill.lines["globex", "internal"] = lambda ago: "3" if ago > 30 else None
    assert codes(bill.judged()) == [("FAIL", "active_tenant_without_cost", "globex")]


def test_lines_of_nothing_are_no_cost():
    bill = Bill(outcomes=[outcome("acme")])
    bill.lines["globex", "internal"] = "0"
    assert codes(bill.judged()) == [("FAIL", "active_tenant_without_cost", "globex")]


def test_many_tenants_without_cost_are_shown_by_a_hundred_and_a_number():
    bill = Bill(tenants=[tenant("acme"), tenant("globex"), *(tenant(f"t{n:03}") for n in range(130))])
    found = codes(bill.judged())
    assert len(found) == 101
    assert ("FAIL", "active_tenant_without_cost", "30 further tenants") in found


def test_tenants_that_begin_or_end_within_the_period_are_judged_by_what_they_cost():
    bill = Bill()
    bill.lines["acme", "internal"] = lambda ago: "6" if ago > 20 else None  # ended
    bill.lines["globex", "internal"] = lambda ago: "3" if ago < 5 else None  # began
    assert bill.judged().verdict is Verdict.PASS


def test_no_tenant_at_all_is_nothing_judged():
    judgement = Bill(tenants=[], lines={("", ""): "1"}, outcomes=[outcome("acme")]).judged()
    assert codes(judgement) == [("FAIL", "unallocated_share_too_high", "shared costs")]
    alone = Bill(tenants=[], lines={("", ""): "1"}, outcomes=[outcome("acme")], policy=CostPolicy(max_unallocated_share=1))
    assert [(str(f.verdict), f.code) for f in alone.judged().findings] == [("INCONCLUSIVE", "nothing_judged")]


def test_no_cost_of_anything_is_no_pass():
    judgement = Bill(lines={}).judged()
    assert [finding.code for finding in judgement.findings] == [
        "active_tenant_without_cost", "active_tenant_without_cost", "cost_data_stale",
    ]  # fmt: skip
    zero = Bill(lines={("acme", "internal"): "0"}).judged()
    assert {finding.code for finding in zero.findings} == {"active_tenant_without_cost", "cost_data_stale"}


# The shared rest


def test_the_rest_of_a_connector_nobody_uses_stays_unallocated():
    bill = Bill()
    bill.lines["", "calendar"] = "2"
    found = bill.judged()
    assert codes(found) == [("FAIL", "unallocated_share_too_high", "shared costs")]
    assert "calendar USD 60.00" in found.findings[0].seen


@pytest.mark.parametrize(("daily", "verdict"), [("1.1111111111", Verdict.PASS), ("1.12", Verdict.FAIL)])
def test_the_unallocated_share_may_reach_its_limit(daily, verdict):
    bill = Bill(lines={("acme", "internal"): "7", ("globex", "internal"): "3", ("", "calendar"): daily})
    assert bill.judged().verdict is verdict


def test_without_any_execution_the_whole_rest_is_unallocated():
    bill = Bill(outcomes=[])
    bill.lines["", ""] = "5"
    assert bill.judged().findings[0].code == "unallocated_share_too_high"


def test_a_credit_does_not_hide_what_is_unallocated():
    bill = Bill()
    bill.lines |= {("", "calendar"): "5", ("", "fax"): "-5"}
    assert codes(bill.judged()) == [("FAIL", "unallocated_share_too_high", "shared costs")]


def test_a_credit_of_the_same_connector_does_not_hide_what_other_days_leave_unallocated():
    bill = Bill()
    bill.lines["", "calendar"] = lambda ago: "5" if ago % 2 else "-5"
    assert codes(bill.judged()) == [("FAIL", "unallocated_share_too_high", "shared costs")]


def test_what_unregistered_tenants_used_belongs_to_nobody():
    bill = Bill(outcomes=[outcome("nobody", days_ago=3 + n / 100) for n in range(3)] + [outcome("acme")])
    bill.lines["", ""] = "9"
    judgement = bill.judged()
    assert codes(judgement) == [("FAIL", "unallocated_share_too_high", "shared costs")]
    assert "3 executions by 1 tenant(s) that are not in the tenants table" in judgement.findings[0].seen
    assert judgement.facts["unallocated_cost"] == "202.50"


def test_executions_of_test_tenants_bear_nothing():
    bill = Bill(canary=frozenset({"probe-a"}), outcomes=[outcome("probe-a")])
    bill.lines["", ""] = "9"
    assert codes(bill.judged()) == [("FAIL", "unallocated_share_too_high", "shared costs")]


@pytest.mark.parametrize("table", [TENANTS, OUTCOMES])
def test_where_usage_or_tenants_were_not_read_no_share_is_judged_and_nothing_passes(table):
    bill = Bill(outcomes=[], reads={table: ReadStatus.TIMEOUT})
    bill.lines["", ""] = "9"
    judgement = bill.judged()
    assert judgement.verdict is not Verdict.PASS
    assert "unallocated_share_too_high" not in {finding.code for finding in judgement.findings}


# Tags


@pytest.mark.parametrize(
    ("tags", "subjects"),
    [
        ([CostTag("tenant", "Active", None), CostTag("connector", "Inactive", None)], ["connector"]),
        ([CostTag("connector", "Active", None)], ["tenant"]),
        ([], ["connector", "tenant"]),
    ],
)
def test_a_tag_that_is_not_active_fails(tags, subjects):
    assert codes(Bill(tags=tags).judged()) == [("FAIL", "tag_not_active", subject) for subject in subjects]


@pytest.mark.parametrize("status", [ReadStatus.DENIED, ReadStatus.THROTTLED, ReadStatus.FAILED])
def test_where_tags_cannot_be_listed_their_values_in_the_answer_tell(status):
    denied = {"ce:ListCostAllocationTags": status}
    assert Bill(reads=denied).judged().verdict is Verdict.PASS
    untagged = Bill(reads=denied, lines={("", ""): "1"})
    assert codes(untagged.judged()) == [("FAIL", "tag_not_active", "tenant"), ("WARN", "tag_not_active", "connector")]


# Staleness


@pytest.mark.parametrize(("newest", "verdict"), [(3, Verdict.PASS), (4, Verdict.FAIL)])
def test_costs_may_lag_by_the_days_of_the_policy(newest, verdict):
    bill = Bill()
    bill.lines = {key: lambda ago, cost=cost: cost if ago >= newest else None for key, cost in bill.lines.items()}
    judgement = bill.judged()
    assert judgement.verdict is verdict
    if verdict is Verdict.FAIL:
        assert codes(judgement) == [("FAIL", "cost_data_stale", "Cost Explorer")]
        assert "2026-11-19; complete through 2026-11-19" in judgement.findings[0].seen


def test_days_without_any_cost_between_others_are_a_warning():
    bill = Bill()
    bill.lines = {key: lambda ago, cost=cost: None if 5 <= ago <= 7 else cost for key, cost in bill.lines.items()}
    assert codes(bill.judged()) == [("WARN", "cost_data_stale", "2026-11-16 and 2 further days")]


def test_a_platform_younger_than_the_period_is_no_hole():
    bill = Bill()
    bill.lines = {key: lambda ago, cost=cost: None if ago > 12 else cost for key, cost in bill.lines.items()}
    assert bill.judged().verdict is Verdict.PASS


# Reconciliation


def test_a_cent_that_is_missing_on_a_final_day_fails():
    assert codes(Bill(totals={30: "10.01"}).judged()) == [("FAIL", "cost_does_not_reconcile", "2026-10-24")]
    assert Bill(totals={30: "10.004"}).judged().verdict is Verdict.PASS


def test_the_gap_of_one_day_does_not_make_up_for_anothers():
    assert len(codes(Bill(totals={30: "10.01", 31: "9.99"}).judged())) == 2


def test_small_gaps_of_many_days_pile_up():
    bill = Bill(totals=dict.fromkeys(range(23, 50), "10.001"))
    assert codes(bill.judged()) == [("FAIL", "cost_does_not_reconcile", "all final days")]


def test_a_gap_on_an_estimated_day_warns_and_decides_nothing_where_no_day_is_final():
    assert codes(Bill(totals={2: "11"}).judged()) == [("WARN", "cost_does_not_reconcile", "2026-11-21 (estimated)")]
    bill = Bill(totals={2: "11"}, final_before="2026-01-01")
    assert codes(bill.judged()) == [("INCONCLUSIVE", "cost_does_not_reconcile", "2026-11-21 (estimated)")]
    assert Bill(final_before="2026-01-01").judged().verdict is Verdict.PASS


def test_many_days_apart_are_shown_by_ten_and_a_number():
    assert len(codes(Bill(totals=dict.fromkeys(range(23, 60), "11")).judged())) == 11


# Unknown tenants


@pytest.mark.parametrize("spelled", ["Acme", " acme", "ac me"])
def test_a_tag_value_that_is_nearly_a_tenant_gets_a_hint(spelled):
    bill = Bill()
    bill.lines[spelled, "internal"] = "0.5"
    judgement = bill.judged()
    assert codes(judgement) == [("FAIL", "unknown_tenant_billed", repr(spelled))]
    assert "'acme' is a tenant" in judgement.findings[0].seen


def test_a_tenant_that_nobody_knows_is_named_without_a_hint():
    bill = Bill()
    bill.lines["nobody", ""] = "0.5"
    assert bill.judged().findings[0].seen == "USD 15.00 billed"


def test_an_unknown_tenant_that_costs_nothing_any_more_is_none():
    bill = Bill()
    bill.lines["nobody", ""] = lambda ago: "1" if ago > 30 else "0"
    assert bill.judged().verdict is Verdict.PASS


def test_test_tenants_are_left_out_and_totals_still_reconcile():
    bill = Bill(canary=frozenset({"probe-a"}))
    bill.lines["probe-a", "internal"] = "2"
    bill.outcomes.append(outcome("probe-a"))
    judgement = bill.judged()
    assert judgement.verdict is Verdict.PASS
    assert Decimal(judgement.facts["test_tenant_cost"]) == 60
    assert "probe-a" not in {row.tenant for row in bill.table().rows}


# Anomalies


@pytest.mark.parametrize(("cost", "found"), [("18", False), ("18.01", True)])
def test_a_recent_day_above_three_times_the_median_day_warns(cost, found):
    bill = Bill()
    bill.lines["acme", "internal"] = lambda ago: cost if ago == 4 else "6"
    expected = [("WARN", "cost_anomaly", "acme")] if found else []
    assert codes(bill.judged()) == expected


def test_a_small_increase_a_day_that_is_not_complete_and_a_new_tenant_are_no_anomaly():
    bill = Bill()
    bill.lines["acme", "internal"] = lambda ago: "0.5" if ago != 4 else "5"
    bill.lines["globex", "internal"] = lambda ago: "3" if ago != 1 else "300"
    bill.lines["acme", "crm_salesforce"] = lambda ago: "0" if ago > 6 else "0.01"
    bill.lines["", ""] = lambda ago: None if ago > 10 else "40"
    assert bill.judged().verdict is Verdict.PASS


# Budgets


def test_without_an_alert_the_row_warns():
    judgement = Bill(alerts=BudgetAlerts(2, None)).judged()
    assert codes(judgement) == [("WARN", "budget_alarm_missing", f"account {ACCOUNT}")]
    assert judgement.findings[0].seen == "2 cost budgets, none with an alert"


def test_budgets_that_cannot_be_read_say_so():
    judgement = Bill(alerts=BudgetAlerts(0, None), reads={"budgets:DescribeBudgets": ReadStatus.DENIED}).judged()
    assert codes(judgement) == [("WARN", "budget_alarm_missing", f"account {ACCOUNT}")]
    assert "denied" in judgement.findings[0].seen


def test_budgets_that_were_not_asked_for_are_not_said_to_be_none():
    bill = Bill(alerts=BudgetAlerts(0, None))
    table = bill.table()
    table = replace(table, reads=[each for each in table.reads if not each.operation.startswith("budgets:")])
    assert judge(table).findings[0].seen == "not asked, since the account is not known"


# Reading


@pytest.mark.parametrize("status", [status for status in ReadStatus if status is not ReadStatus.OK])
def test_costs_that_were_not_read_whole_are_an_error_and_say_nothing_of_tenants(status):
    judgement = Bill(reads={"ce:GetCostAndUsage": status}, tenants=[tenant("umbrella")]).judged()
    assert codes(judgement) == [("ERROR", "cost_unreadable", "ce:GetCostAndUsage costs")]


@pytest.mark.parametrize("table", [TENANTS, OUTCOMES])
def test_a_table_that_was_not_read_is_an_error_and_no_tenant_is_blamed(table):
    bill = Bill(reads={table: ReadStatus.DENIED}, tenants=[tenant("acme"), tenant("umbrella")])
    assert {code for _, code, _ in codes(bill.judged())} == {"read_failed"} | (
        {"unknown_tenant_billed"} if table == OUTCOMES else set()
    )


def test_a_table_without_reads_is_an_error():
    assert codes(judge(TENANT_COST_REPORT.gathered([], CostFacts()))) == [("ERROR", "reads_missing", "evidence")]


def test_a_record_that_cannot_be_read_is_an_error():
    bill = Bill()
    bill.tenants.append({"tenantId": {"N": "7"}})
    bill.outcomes.append(outcome("acme", tool_name={"NULL": True}))
    assert [code for _, code, _ in codes(bill.judged())] == ["cost_record_malformed"] * 2


def _of_day(change):
    def changed(grouped, total):
        change(grouped[0]["ResultsByTime"], total[0]["ResultsByTime"])

    return changed


def _metric(value, of="Amount"):
    return lambda grouped, _: grouped[5]["Groups"][0]["Metrics"]["UnblendedCost"].__setitem__(of, value)


@pytest.mark.parametrize(
    "change",
    [
        _metric("NaN"),
        _metric("1e999999999999999999"),
        _metric("Infinity"),
        _metric("-inf"),
        _metric("six"),
        _metric(""),
        _metric(6.0),
        _metric(None),
        _metric("1e400"),
        _metric("GB", of="Unit"),
        _metric("EUR", of="Unit"),
        _metric(None, of="Unit"),
        lambda grouped, _: grouped.pop(3),
        lambda _, total: total.pop(3),
        lambda grouped, _: grouped[3].pop("Groups"),
        lambda grouped, _: grouped[3].pop("Estimated"),
        lambda grouped, _: grouped[3].pop("TimePeriod"),
        lambda grouped, _: grouped[3].__setitem__("TimePeriod", {"Start": "2026-11-23", "End": "2026-11-24"}),
        lambda grouped, _: grouped[3]["TimePeriod"].__setitem__("End", "2026-12-01"),
        lambda grouped, _: grouped[3]["Groups"].append(grouped[3]["Groups"][0]),
        lambda grouped, _: grouped[3]["Groups"].append("group"),
        lambda grouped, _: grouped[3]["Groups"][0].__setitem__("Keys", ["acme", "internal"]),
        lambda grouped, _: grouped[3]["Groups"][0].__setitem__("Keys", ["tenant$acme"]),
        lambda grouped, _: grouped[3]["Groups"][0].__setitem__("Keys", ["tenant$\ud800", "connector$internal"]),
        lambda grouped, _: grouped[3]["Groups"][0].pop("Metrics"),
        lambda grouped, _: grouped[3]["Groups"][0]["Metrics"].pop("AmortizedCost"),
        lambda _, total: total[3].pop("Total"),
        lambda _, total: total[3]["Total"].clear(),
        lambda _, total: total.append(total[0]),
        lambda grouped, _: grouped.append(None),
    ],
)
def test_an_answer_of_another_form_is_an_error(change):
    judgement = Bill(change=_of_day(change)).judged()
    assert judgement.verdict is Verdict.ERROR
    assert {finding.code for finding in judgement.findings} == {"cost_unreadable"}


def test_an_amount_in_digits_of_another_script_is_that_amount():
    assert Bill(change=_of_day(_metric("\u0666"))).judged() == Bill().judged()  # ARABIC-INDIC DIGIT SIX


def test_a_page_without_results_is_an_error():
    assert Bill(change=lambda grouped, _: grouped[0].pop("ResultsByTime")).judged().verdict is Verdict.ERROR


# Currencies


def test_a_single_other_currency_is_fine():
    judgement = Bill(unit="EUR").judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["currency"] == "EUR"


def test_two_currencies_are_not_added():
    def euros(grouped, _):
        for result in grouped:
            metrics = result["Groups"][0]["Metrics"]
            metrics["UnblendedCost"]["Unit"] = metrics["AmortizedCost"]["Unit"] = "EUR"

    judgement = Bill(change=_of_day(euros)).judged()
    assert codes(judgement) == [("INCONCLUSIVE", "cost_currency_mixed", "the bill")]
    assert "cost" not in judgement.facts


def test_the_amortized_cost_is_judged_where_the_setting_says_so():
    bill = Bill(policy=CostPolicy(metric="AmortizedCost"))
    assert bill.judged().facts["cost"] == "300.00"
    assert "costAggregate=amortizedCost" in bill.judged().evidence[0].url


def test_every_code_is_produced_by_a_test_of_this_module():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [code.code for code in CostCode.all() if f'"{code.code}"' not in source] == []


def test_amounts_below_a_cent_are_shown_with_their_digits():
    assert shown_amount(Decimal("0.0000000123")) == "0.0000000123"
    assert shown_amount(Decimal("-1234.565")) == "-1,234.56"
