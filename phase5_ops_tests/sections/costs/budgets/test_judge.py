"""Row 5.1: every finding code, and what must not be found."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.costs.budgets import judge as budget_judge
from phase5_ops.sections.costs.budgets.judge import BudgetCode
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import CRM, NOTE, TASK, TODAY, Platform, at, healthy, item

pytestmark = pytest.mark.slow

YESTERDAY = "2026-11-22"


def capped(cap: int = 5, **per_type: int) -> Platform:
    """One account with a cap and nothing else."""
    platform = Platform()
    platform.tenant("acme")
    platform.cap("acme", "eu", cap, **per_type)
    return platform


def test_a_healthy_platform_passes_and_says_what_was_compared():
    judgement = healthy().judged()
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    assert judgement.facts["actions_recorded"] == judgement.facts["actions_counted"] == 8
    assert "8 actions recorded, 8 counted" in judgement.summary


def test_no_autonomy_at_all_passes_and_says_so():
    platform = Platform()
    platform.tenant("acme")
    platform.mode("acme", "", "APPROVAL_REQUIRED")
    platform.decisions("acme", "eu")
    judgement = platform.judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.summary.startswith("No account has autonomy")


def test_an_empty_platform_is_inconclusive():
    assert Platform().codes() == ["nothing_judged"]


@pytest.mark.parametrize("role", list(Platform().tables))
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (ReadStatus.DENIED, Verdict.ERROR),
        (ReadStatus.NOT_FOUND, Verdict.ERROR),
        (ReadStatus.TIMEOUT, Verdict.ERROR),
        (ReadStatus.PARTIAL, Verdict.INCONCLUSIVE),
    ],
)
def test_a_table_that_was_not_read_whole_never_passes_nor_accuses(role: str, status: ReadStatus, verdict: Verdict):
    platform = healthy()
    platform.tables[role].clear()
    platform.statuses[role] = status
    judgement = platform.judged()
    assert judgement.verdict is verdict
    assert {finding.code for finding in judgement.findings} == {"read_failed" if verdict is Verdict.ERROR else "partial_data"}


def test_evidence_without_reads_is_an_error():
    table = replace(healthy().table(), reads=())
    judgement = budget_judge.judge_budget_visible(table, links=ConsoleLinks("us-west-2"))
    assert [finding.code for finding in judgement.findings] == ["reads_missing"]


# Configuration


@pytest.mark.parametrize(("account", "action_type"), [("eu", NOTE), ("", NOTE), ("eu", "DEFAULT"), ("", "DEFAULT")])
def test_a_mode_that_acts_alone_needs_a_cap_at_every_level(account: str, action_type: str):
    platform = Platform()
    platform.tenant("acme")
    platform.decisions("acme", "eu")
    platform.mode("acme", account, "AUTO_EXECUTE", action_type)
    assert platform.codes() == ["auto_execute_without_budget"]
    platform.cap("acme", "eu", 0)
    assert platform.codes() == []


def test_a_tenant_in_auto_execute_without_any_account_has_no_cap():
    platform = Platform()
    platform.tenant("acme")
    platform.mode("acme", "", "AUTO_EXECUTE")
    assert platform.codes() == ["auto_execute_without_budget"]


def test_a_more_specific_mode_takes_autonomy_away():
    platform = Platform()
    platform.tenant("acme")
    platform.decisions("acme", "eu")
    platform.mode("acme", "", "AUTO_EXECUTE")
    platform.mode("acme", "eu", "DISABLED")
    assert platform.codes() == []


def test_a_mode_that_cannot_be_read_is_not_replaced_by_a_less_specific_one():
    platform = Platform()
    platform.tenant("acme")
    platform.decisions("acme", "eu")
    platform.mode("acme", "", "AUTO_EXECUTE")
    platform.mode("acme", "eu", "disabled")
    platform.mode("acme", "eu", "off", NOTE)
    platform.cap("acme", "us", 1)
    assert set(platform.codes()) == {"budget_record_malformed"}
    row = platform.table().frame.query("account == 'eu'").iloc[0]
    assert (row["mode"], row["mode_source"], row["modes"]) == ("UNREADABLE", "account default", f'{{"{NOTE}": "UNREADABLE"}}')


def test_a_mode_whose_more_specific_one_may_not_have_been_read_accuses_nobody():
    platform = Platform()
    platform.tenant("acme")
    platform.mode("acme", "", "AUTO_EXECUTE")
    platform.statuses["autonomy_config"] = ReadStatus.TIMEOUT
    assert platform.codes() == ["read_failed"]


@pytest.mark.parametrize(
    ("tenant", "account"), [("a#b", "c"), ("a", "b#c"), ("a#", "#c"), ("ä b/ü", "e|u\n1"), ("TENANT#a", "ACCOUNT#b")]
)
def test_odd_characters_in_the_ids_change_nothing(tenant: str, account: str):
    platform = Platform()
    platform.tenant(tenant)
    platform.mode(tenant, account, "AUTO_EXECUTE")
    platform.cap(tenant, account, 3)
    platform.decisions(tenant, account)
    platform.state(tenant, account, TODAY, {NOTE: 1})
    platform.approval(tenant, account, at("08:00:00"))
    assert platform.codes() == []
    assert {(row.tenant, row.account) for row in platform.table().rows} == {(tenant, account)}


@pytest.mark.parametrize("key", ["TENANT#acme#ACCOUNT#", "TENANT##ACCOUNT#eu", "TENANT#"])
def test_a_key_with_an_empty_id_is_malformed_and_makes_no_row(key: str):
    platform = healthy()
    platform.tables["autonomy_config"].append(item(pk=key, sk="AUTONOMY#DEFAULT", mode="AUTO_EXECUTE", tenant_id="acme"))
    assert platform.codes() == ["budget_record_malformed"]
    assert {row.tenant for row in platform.table().rows} == {"acme", "globex"}


def test_another_tenants_cap_for_an_account_of_the_same_name_does_not_count():
    platform = Platform()
    for tenant in ("acme", "globex"):
        platform.tenant(tenant)
        platform.mode(tenant, "eu", "AUTO_EXECUTE")
    platform.cap("acme", "eu", 5)
    findings = platform.judged().findings
    assert [(finding.code, finding.subject) for finding in findings] == [("auto_execute_without_budget", "globex / eu")]


def test_consumption_without_a_cap_is_not_visible():
    platform = Platform()
    platform.tenant("acme")
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    platform.approval("acme", "eu", at("08:00:00"))
    assert platform.codes() == ["account_without_visibility"]


def test_an_account_that_acted_alone_without_any_budget_record_is_not_visible_and_not_counted():
    platform = Platform()
    platform.tenant("acme")
    platform.approval("acme", "eu", at("08:00:00"))
    assert platform.codes() == ["account_without_visibility", "budget_undercounted"]


def test_autonomy_of_a_tenant_that_is_not_registered_is_not_visible():
    platform = healthy()
    platform.tables["tenants"].pop(0)
    assert platform.codes() == ["account_without_visibility"]


def test_people_working_for_an_unregistered_tenant_is_not_this_rows_matter():
    platform = healthy()
    platform.outcome("hooli", "eu", "ai_1", at("08:00:00"), approval_source="HUMAN", auto_executed=False)
    assert platform.codes() == []
    assert ("hooli", "eu") in {(row.tenant, row.account) for row in platform.table().rows}


@pytest.mark.parametrize(("daily", "monthly"), [(-1, 90), (0, -0.5), (-1, -1)])
def test_a_negative_decision_budget_is_found(daily: float, monthly: float):
    platform = capped()
    platform.decisions("acme", "eu", daily, monthly)
    assert platform.codes() == ["decision_budget_negative"]


def test_a_decision_budget_of_zero_is_only_used_up():
    platform = capped()
    platform.decisions("acme", "eu", 0, 0)
    assert platform.codes() == []


# The record by itself


@pytest.mark.parametrize("total", [1, 3])
def test_a_total_that_is_not_the_sum_is_that_one_finding(total: int):
    platform = healthy()
    platform.found("budget_state", f"BUDGET_STATE#{TODAY}")["total"] = {"N": str(total)}
    assert platform.codes() == ["budget_state_inconsistent"]


def test_a_total_one_ahead_as_it_is_read_may_only_be_half_written():
    platform = capped()
    state = platform.state("acme", "eu", TODAY, {}, total=1, updated=f"{TODAY}T09:16:40.000Z")
    judgement = platform.judged()
    assert [finding.code for finding in judgement.findings] == ["budget_state_inconsistent"]
    assert judgement.verdict is Verdict.INCONCLUSIVE
    state["total"] = {"N": "2"}
    assert platform.judged().verdict is Verdict.FAIL
    state |= item(total=1, updated_at=f"{TODAY}T09:00:00.000Z")
    assert platform.judged().verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("per_type", "counts", "total", "found"),
    [
        ({}, {NOTE: 5}, 5, []),
        ({}, {NOTE: 6}, 6, ["budget_overspent"]),
        ({}, {NOTE: 3, TASK: 3}, 5, ["budget_overspent", "budget_state_inconsistent"]),
        ({}, {NOTE: 5}, 6, ["budget_overspent", "budget_state_inconsistent"]),
        ({NOTE: 2}, {NOTE: 3}, 3, ["budget_overspent"]),
        ({NOTE: 0}, {NOTE: 1}, 1, ["budget_overspent"]),
        ({NOTE: 9}, {NOTE: 5}, 5, []),
        ({CRM: 1}, {NOTE: 5}, 5, []),
        ({"NO_SUCH_TYPE": 1}, {NOTE: 2}, 2, []),
    ],
)
def test_total_sum_and_each_type_stay_within_the_cap(per_type: dict, counts: dict, total: int, found: list[str]):
    platform = capped(5, **per_type)
    platform.state("acme", "eu", TODAY, counts, total=total)
    for name, number in counts.items():
        for minute in range(number):
            platform.approval("acme", "eu", at(f"08:{minute:02d}:00"), name)
    assert platform.codes() == found


def test_a_cap_set_after_the_consumption_cannot_say_that_it_was_overspent():
    platform = Platform()
    platform.tenant("acme")
    platform.cap("acme", "eu", 1, updated_at=f"{TODAY}T09:10:00.000Z")
    platform.state("acme", "eu", TODAY, {NOTE: 2})
    for minute in (1, 2):
        platform.approval("acme", "eu", at(f"08:0{minute}:00"))
    judgement = platform.judged()
    assert (judgement.verdict, [finding.code for finding in judgement.findings]) == (Verdict.INCONCLUSIVE, ["budget_overspent"])


@pytest.mark.parametrize("attribute", ["tenant_id", "account_id"])
def test_key_and_attributes_must_name_the_same_owner(attribute: str):
    for sort_key in ("BUDGET#CONFIG", "BUDGET_STATE#"):
        platform = healthy()
        platform.found("budget_state", sort_key)[attribute] = {"S": "other"}
        assert platform.codes() == ["budget_tenant_mismatch"]


def test_a_mode_of_another_tenant_under_this_key_is_a_mismatch():
    platform = healthy()
    platform.found("autonomy_config", "AUTONOMY#")["tenant_id"] = {"S": "globex"}
    assert platform.codes() == ["budget_tenant_mismatch"]


@pytest.mark.parametrize(
    "change",
    [
        {"date_key": {"S": "2026-11-21"}},
        {"updated_at": {"S": "2026-11-21T23:00:00.000Z"}},
    ],
)
def test_key_date_and_time_of_writing_must_agree(change: dict):
    platform = healthy()
    platform.found("budget_state", f"BUDGET_STATE#{YESTERDAY}").update(change)
    assert platform.codes() == ["budget_date_mismatch"]


def test_a_state_of_a_day_that_has_not_begun_is_found():
    platform = healthy()
    platform.state("acme", "eu", "2026-11-24", {NOTE: 1}, updated=f"{TODAY}T09:00:00.000Z")
    assert platform.codes() == ["budget_date_mismatch"]


@pytest.mark.parametrize("written", ["2031-01-01T08:00:00.000Z", "9999-12-31T23:59:59.999Z"])
def test_a_state_written_at_a_time_that_has_not_come_is_found(written: str):
    platform = healthy()
    platform.found("budget_state", f"BUDGET_STATE#{YESTERDAY}")["updated_at"] = {"S": written}
    assert platform.codes() == ["budget_date_mismatch"]


def test_a_state_written_just_after_its_day_is_right():
    platform = healthy()
    platform.found("budget_state", f"BUDGET_STATE#{YESTERDAY}")["updated_at"] = {"S": f"{TODAY}T00:00:00.012Z"}
    assert platform.codes() == []


@pytest.mark.parametrize("role", ["tenants", "autonomy_config", "budget_state", "decision_budget", "execution_outcomes"])
def test_a_malformed_record_of_any_table_is_an_error_and_nothing_is_concluded_from_it(role: str):
    platform = healthy()
    broken = platform.tables[role][0 if role != "autonomy_config" else -1]
    for name in ("status", "mode", "max_autonomous_per_day", "daily_decisions_remaining", "approval_source"):
        if name in broken:
            broken[name] = {"BOOL": True}
    judgement = platform.judged()
    assert judgement.verdict is Verdict.ERROR
    assert {finding.code for finding in judgement.findings} == {"budget_record_malformed"}


def test_an_unreadable_state_is_not_also_undercounted():
    platform = healthy()
    platform.found("budget_state", f"BUDGET_STATE#{TODAY}")["counts"] = {"NULL": True}
    assert platform.codes() == ["budget_record_malformed"]
    row = platform.table().frame.query("day == @TODAY and tenant == 'acme'").iloc[0]
    assert row["state"] == "unreadable"
    assert row.isna()["consumed"]


# The record against the count


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ({}, "succeeded"),
        ({"outcome": None}, "in flight"),
        ({"outcome": None, "status": "RESERVED"}, "reserved, not published"),
        ({"outcome": False}, "failed before the tool"),
        ({"state": False}, "gate state gone"),
        ({"intent": False}, "intent expired"),
        ({"intent": False, "state": False}, "only the outcome left"),
        ({"intent": False, "outcome": False}, "intent expired, failed before the tool"),
    ],
)
def test_every_kind_of_approval_counts_once(shape: dict, note: str):
    platform = capped()
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    platform.approval("acme", "eu", at("08:00:00"), **shape)
    assert platform.codes() == [], note
    platform.tables["budget_state"].pop()
    assert platform.codes() == ["budget_undercounted"], note


def test_only_an_approval_by_policy_counts():
    platform = capped()
    platform.outcome("acme", "eu", "ai_1795424885975_a", at("08:00:00"), approval_source="HUMAN", auto_executed=False)
    platform.tables["action_intent"].append(item(pk="TENANT#acme#ACCOUNT#eu", sk="ACTION_INTENT#ai_1795424885975_a"))
    assert platform.codes() == []


def test_an_approval_that_nothing_ties_to_an_account_is_said_and_explains_one_surplus():
    platform = capped()
    platform.approval("acme", "eu", at("08:00:00"), intent=False, outcome=None)
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    judgement = platform.judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["approvals_of_unknown_account"] == judgement.facts["surplus_left_to_unknown_account"] == 1
    assert "could not be counted" in judgement.summary
    platform.found("budget_state", "BUDGET_STATE#").update(item(total=2, counts={NOTE: 2}))
    assert platform.codes() == ["budget_overcounted"]


def test_an_approval_that_nothing_ties_to_an_account_and_no_record_has_room_for_is_inconclusive():
    platform = healthy()
    made = platform.approval("acme", "eu", at("08:00:00"), intent=False, outcome=None)
    judgement = platform.judged()
    assert (judgement.verdict, [finding.code for finding in judgement.findings]) == (
        Verdict.INCONCLUSIVE,
        ["budget_undercounted"],
    )
    assert made in judgement.findings[0].subject
    platform.canaries = frozenset({"probe"})
    platform.state("probe", "eu", TODAY, {NOTE: 1})  # it may be the test tenant's
    assert platform.judged().verdict is Verdict.PASS


@pytest.mark.parametrize("approved", ["2026-11-16T23:59:59.990", "2026-11-17T00:00:00", "09:16:40"])
def test_an_unplaced_approval_at_the_edges_of_what_was_read_needs_no_record(approved: str):
    platform = capped()
    platform.approval("acme", "eu", at(approved), intent=False, outcome=None)
    expected = ["budget_undercounted"] if approved == "2026-11-17T00:00:00" else []
    assert platform.codes() == expected


def test_an_unplaced_approval_that_two_tenants_may_have_made_explains_nobody_elses_surplus():
    platform = capped()
    platform.cap("globex", "eu", 5)
    platform.cap("hooli", "eu", 5)
    made = platform.approval("acme", "eu", at("08:00:00"), outcome=None)
    other = platform.found("action_intent", f"ACTION_INTENT#{made}") | item(
        pk="TENANT#globex#ACCOUNT#eu", tenant_id="globex", account_id="eu"
    )
    platform.tables["action_intent"].append(other)
    for tenant in ("globex", "hooli"):
        platform.tenant(tenant)
    assert platform.codes() == ["budget_undercounted"]
    state = platform.state("globex", "eu", TODAY, {NOTE: 1})
    assert platform.codes() == []
    state |= item(pk="TENANT#hooli#ACCOUNT#eu", tenant_id="hooli")
    assert platform.codes() == ["budget_overcounted"]


def test_an_explained_surplus_explains_only_its_own_day():
    platform = capped()
    platform.approval("acme", "eu", at("08:00:00"), intent=False, outcome=None)
    platform.state("acme", "eu", YESTERDAY, {NOTE: 1})
    assert platform.codes() == ["budget_overcounted"]


@pytest.mark.parametrize("day", [YESTERDAY, TODAY])
def test_an_approval_over_midnight_may_be_consumed_on_either_day(day: str):
    platform = capped()
    platform.approval("acme", "eu", at(f"{YESTERDAY}T23:59:59.999"), gate_ms=300)
    platform.state("acme", "eu", day, {NOTE: 1})
    assert platform.codes() == []


@pytest.mark.parametrize(("days", "code"), [([], "budget_undercounted"), ([YESTERDAY, TODAY], "budget_overcounted")])
def test_an_approval_over_midnight_is_consumed_exactly_once(days: list[str], code: str):
    platform = capped()
    platform.approval("acme", "eu", at(f"{YESTERDAY}T23:59:59.999"), gate_ms=300)
    for day in days:
        platform.state("acme", "eu", day, {NOTE: 1})
    assert platform.codes() == [code]


@pytest.mark.parametrize(("approved", "day"), [(f"{YESTERDAY}T23:59:59.900", YESTERDAY), (f"{TODAY}T00:00:00.000", TODAY)])
def test_the_day_is_the_approvals_utc_day(approved: str, day: str):
    platform = capped()
    platform.approval("acme", "eu", at(approved), gate_ms=99)
    platform.state("acme", "eu", day, {NOTE: 1})
    assert platform.codes() == []
    other = capped()
    other.approval("acme", "eu", at(approved), gate_ms=99)
    other.state("acme", "eu", TODAY if day == YESTERDAY else YESTERDAY, {NOTE: 1})
    assert other.codes() == ["budget_overcounted", "budget_undercounted"]


def test_a_state_updated_for_the_last_time_on_the_next_day_keeps_its_day():
    platform = capped()
    platform.approval("acme", "eu", at(f"{YESTERDAY}T23:59:59.999"), gate_ms=0)
    platform.state("acme", "eu", YESTERDAY, {NOTE: 1}, updated=f"{TODAY}T00:00:00.004Z")
    assert platform.codes() == []


def test_an_edited_intent_is_counted_when_it_was_made_not_when_its_original_was_approved():
    platform = capped()
    made = platform.approval("acme", "eu", at("08:00:00"))
    platform.found("action_intent", f"ACTION_INTENT#{made}")["approval_timestamp"] = {"S": f"{YESTERDAY}T08:00:00.000Z"}
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    assert platform.codes() == []
    assert platform.table().frame["account_counted_min"].max() == 1


def test_an_intent_that_two_accounts_carried_out_counts_for_both():
    platform = capped()
    platform.cap("acme", "us", 5)
    made = platform.approval("acme", "eu", at("08:00:00"))
    platform.outcome("acme", "us", made, at("08:00:01"), approval_source="POLICY", auto_executed=True)
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    findings = platform.judged().findings
    assert [(finding.code, finding.subject) for finding in findings] == [("budget_undercounted", f"acme / us on {TODAY}")]


def test_an_execution_by_policy_in_another_account_than_the_intents_is_that_accounts_lack_only():
    platform = capped()
    made = platform.approval("acme", "eu", at("08:00:00"), outcome=None)
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    platform.outcome("globex", "eu", made, at("08:00:01"), approval_source="POLICY", auto_executed=True)
    found = {(finding.code, finding.subject.split(" on ")[0]) for finding in platform.judged().findings}
    assert found == {
        ("account_without_visibility", "globex / eu"),
        ("budget_undercounted", "globex / eu"),
    }


def test_an_old_gate_state_of_one_account_does_not_hide_a_later_execution_of_another():
    platform = capped()
    made = platform.approval("acme", "eu", at("2026-11-10T08:00:00"))
    platform.outcome("acme", "us", made, at("08:00:00"), approval_source="POLICY", auto_executed=True)
    platform.cap("acme", "us", 5)
    findings = platform.judged().findings
    assert [(finding.code, finding.subject) for finding in findings] == [("budget_undercounted", f"acme / us on {TODAY}")]


def test_what_people_approved_under_the_same_intent_id_elsewhere_is_not_taken_for_the_gates():
    platform = capped()
    platform.cap("globex", "eu", 5)
    platform.tenant("globex")
    made = platform.approval("acme", "eu", at("08:00:00"), outcome=None)
    platform.state("acme", "eu", TODAY, {NOTE: 1})
    platform.outcome("globex", "eu", made, at("08:00:01"), approval_source="HUMAN", auto_executed=False)
    assert platform.codes() == []


def test_a_timestamp_far_ahead_of_the_reading_excuses_nothing():
    platform = capped()
    platform.approval("acme", "eu", at("10:00:00"))
    assert platform.codes() == ["budget_undercounted"]


def test_a_wrong_action_type_is_found_on_both_sides():
    platform = capped()
    platform.approval("acme", "eu", at("08:00:00"), NOTE)
    platform.state("acme", "eu", TODAY, {TASK: 1})
    assert platform.codes() == ["budget_overcounted", "budget_undercounted"]


def test_an_approval_outside_the_lookback_is_not_counted():
    platform = capped()
    platform.approval("acme", "eu", at("2026-11-16T23:00:00"))
    assert platform.codes() == []
    assert platform.table().frame["day"].min() == "2026-11-17"


def test_an_approval_younger_than_the_reading_may_be_seen_in_any_of_the_tables():
    changes: list[Callable[[Platform], object]] = [
        lambda platform: platform.approval("acme", "eu", at("09:16:40")),
        lambda platform: platform.state("acme", "eu", TODAY, {NOTE: 1}, updated=f"{TODAY}T09:16:40.000Z"),
    ]
    for change in changes:
        platform = capped()
        change(platform)
        assert platform.codes() == []
    both = capped()
    for change in changes:
        change(both)
    assert both.codes() == []


def test_being_in_motion_excuses_one_action_and_no_more():
    platform = capped()
    platform.state("acme", "eu", TODAY, {NOTE: 2}, updated=f"{TODAY}T09:16:40.000Z")
    assert platform.codes() == ["budget_overcounted"]


# Beside the findings


def test_test_tenants_are_left_out_and_counted():
    platform = healthy()
    platform.tenant("probe-a")
    platform.mode("probe-a", "eu", "AUTO_EXECUTE")
    platform.approval("probe-a", "eu", at("08:00:00"))
    platform.state("probe-a", "eu", TODAY, {NOTE: 4})
    platform.found("budget_state", "BUDGET_STATE#")
    assert platform.judged().verdict is Verdict.FAIL
    platform.canaries = frozenset({"probe-a", "probe-b"})
    judgement = platform.judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["test_tenants_left_out"] == 1
    assert "probe-a" not in {row.tenant for row in platform.table().rows}


def test_every_tenant_and_every_account_is_there_on_every_day():
    platform = healthy()
    platform.outcome("acme", "us", "ai_9", at("08:00:00"))
    platform.mode("initech", "", "DISABLED")
    table = platform.table().frame
    owners = {("acme", "eu"), ("acme", "us"), ("globex", ""), ("initech", "")}
    assert set(zip(table["tenant"], table["account"], strict=True)) == owners
    assert len(table) == len(owners) * 7


def test_every_code_has_its_default_verdict():
    assert {code.code for code in BudgetCode.all() if code.verdict is Verdict.ERROR} == {"budget_record_malformed"}
    assert {code.code for code in BudgetCode.all() if code.verdict is Verdict.INCONCLUSIVE} == {"accounts_not_all_known"}
    assert {code.verdict for code in BudgetCode.all()} == {Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE}
