"""Row 5.1: every account that any table names is there, and what cannot be known of them is said."""

import pytest

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.costs.budgets.judge import judge_budget_visible
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import LINKS, NAMING, Item, Platform, healthy, item, key

pytestmark = pytest.mark.slow

NAMED = {
    "accounts": item(tenantId="acme", accountId="us"),
    "execution_attempts": item(pk=key("acme", "us")),
    "connector_config": item(pk=key("acme", "us")),
    "decision_proposal": item(pk=key("acme", "us")),
    "internal_notes": item(pk=key("acme", "us")),
    "internal_tasks": item(pk=key("acme", "us")),
    "signals": item(tenantId="acme", accountId="us"),
    "account_posture_state": item(pk="ACCOUNT#acme#us"),
    "audit_export": item(pk=key("acme"), account_id="us"),
    "ledger": item(pk=key("acme"), accountId="us"),
}


def owners(platform: Platform) -> set[tuple[str, str]]:
    return {(row.tenant, row.account) for row in platform.table().rows}


def test_every_naming_table_has_its_example():
    assert set(NAMED) == set(NAMING)


@pytest.mark.parametrize("role", list(NAMED))
def test_an_account_that_only_one_table_names_has_its_rows(role: str):
    platform = healthy()
    assert ("acme", "us") not in owners(platform)
    platform.naming[role].append(NAMED[role])
    assert ("acme", "us") in owners(platform)
    judgement = platform.judged()
    assert (judgement.verdict, judgement.facts["accounts_named_elsewhere"]) == (Verdict.PASS, 1)


@pytest.mark.parametrize("role", list(NAMED))
def test_an_account_that_only_one_table_names_and_that_may_act_alone_needs_a_cap(role: str):
    platform = healthy()
    platform.mode("acme", "", "AUTO_EXECUTE")
    platform.naming[role].append(NAMED[role])
    findings = platform.judged().findings
    assert [(finding.code, finding.subject) for finding in findings] == [("auto_execute_without_budget", "acme / us")]


@pytest.mark.parametrize("role", list(NAMED))
@pytest.mark.parametrize("status", [ReadStatus.DENIED, ReadStatus.TIMEOUT, ReadStatus.PARTIAL, ReadStatus.INVALID])
def test_a_naming_table_that_cannot_be_read_leaves_open_which_accounts_there_are(role: str, status: ReadStatus):
    platform = healthy()
    platform.statuses[role] = status
    judgement = platform.judged()
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert [(finding.code, finding.subject) for finding in judgement.findings] == [
        ("accounts_not_all_known", f"dynamodb:Scan {NAMING[role]}")
    ]


@pytest.mark.parametrize("role", list(NAMED))
def test_a_naming_table_that_is_not_deployed_is_said(role: str):
    platform = healthy()
    platform.statuses[role] = ReadStatus.NOT_FOUND
    judgement = platform.judged()
    assert judgement.verdict is Verdict.PASS
    assert judgement.facts["tables_not_deployed"] == NAMING[role]
    assert NAMING[role] in judgement.summary


def test_a_table_that_was_chosen_in_the_settings_must_exist():
    platform = healthy()
    platform.statuses["signals"], platform.chosen = ReadStatus.NOT_FOUND, frozenset({"signals"})
    assert platform.codes() == ["accounts_not_all_known"]


def test_a_table_of_the_budgets_stays_an_error_where_it_is_also_said_to_name_accounts():
    platform = healthy()
    platform.statuses["budget_state"] = ReadStatus.DENIED
    table = platform.table()
    table.facts.naming_tables["signals"]["table"] = "cc-native-autonomy-budget-state"
    assert judge_budget_visible(table, links=LINKS).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    "odd",
    [
        item(pk="acme#us"),
        item(pk="TENANT#acme#ACCOUNT#"),
        item(pk="ACCOUNT#acme"),
        item(pk="ACCOUNT##us"),
        item(pk=5),
        item(pk=key("acme"), accountId=5),
        item(accountId="us"),
        {},
    ],
)
def test_an_item_that_names_its_account_in_an_unknown_way_is_inconclusive(odd: Item):
    platform = healthy()
    platform.naming["signals"].append(odd)
    judgement = platform.judged()
    assert [finding.code for finding in judgement.findings] == ["accounts_not_all_known"]
    assert judgement.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "tenant_only",
    [item(pk=key("acme")), item(pk=key("acme"), accountId=None), item(pk=key("acme"), account_id=""), item(tenantId="acme")],
)
def test_an_item_of_a_tenant_alone_names_no_account(tenant_only: Item):
    platform = healthy()
    platform.naming["ledger"].append(tenant_only)
    assert platform.judged().verdict is Verdict.PASS
    assert owners(platform) == {("acme", "eu"), ("globex", "")}


@pytest.mark.parametrize(
    ("tenants", "body", "owner"),
    [
        ([], "a#b", ("a", "b")),
        ([], "a#b#c", ("a", "b#c")),
        (["a#b"], "a#b#c", ("a#b", "c")),
        (["a", "a#b"], "a#b#c", ("a#b", "c")),
        (["a"], "a#b#c", ("a", "b#c")),
    ],
)
def test_a_posture_key_is_split_after_a_tenant_that_is_known(tenants: list[str], body: str, owner: tuple[str, str]):
    platform = Platform()
    for tenant in tenants:
        platform.tenant(tenant)
    platform.naming["account_posture_state"].append(item(pk=f"ACCOUNT#{body}"))
    assert owner in owners(platform)
    assert sum(bool(account) for _, account in owners(platform)) == 1


def test_a_posture_key_is_split_as_an_account_that_is_known():
    platform = Platform()
    platform.tenant("a#b")
    platform.decisions("a", "b#c")
    platform.naming["account_posture_state"].append(item(pk="ACCOUNT#a#b#c"))
    assert owners(platform) == {("a", "b#c"), ("a#b", "")}


def test_an_account_of_a_test_tenant_is_left_out_wherever_it_is_named():
    platform = healthy()
    platform.canaries = frozenset({"probe"})
    platform.naming["ledger"].append(item(pk=key("probe"), accountId="eu"))
    judgement = platform.judged()
    assert (judgement.facts["test_tenants_left_out"], judgement.facts["accounts_named_elsewhere"]) == (1, 0)
    assert "probe" not in {tenant for tenant, _ in owners(platform)}
