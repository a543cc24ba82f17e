"""Row 5.1 as it is gathered: one reader, every table that names accounts, and what fails of them."""

from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from phase5_ops.context import open_run
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sections.costs.budgets.assets import gather_autonomy_budget
from phase5_ops.sections.costs.budgets.judge import judge_budget_visible
from phase5_ops.settings import load_settings
from phase5_ops_tests.sections.costs.budgets.test_accounts import NAMED

pytestmark = pytest.mark.slow

SORT_KEYS = {"ledger": "ENTRY#2026-11-17T00:00:00.000Z#entry-1"}


@pytest.fixture
def gathered(start: Callable[[str], Sandbox], tmp_path: Path):
    """Starts the healthy platform; gathers again at each call."""
    start("healthy")

    def gather():
        platform = open_run(load_settings(), "run")
        return platform, gather_autonomy_budget(platform, {})

    return gather


def put(role: str, account: str, sort_key: str = "") -> None:
    item = {name: {"S": value["S"].replace("us", account)} for name, value in NAMED[role].items()}
    keys = {"signals": "signalId"}.get(role, "sk")
    if role != "accounts":
        item[keys] = {"S": sort_key or SORT_KEYS.get(role, "X#1")}
    boto3.client("dynamodb").put_item(TableName=getattr(load_settings().tables, role), Item=item)


def test_accounts_of_every_table_are_read_once_and_the_ledgers_within_the_lookback(gathered):
    _, before = gathered()
    for role in NAMED:
        put(role, f"only-{role}")
    put("ledger", "too-old", "ENTRY#2026-11-16T23:59:59.999Z#entry-0")
    platform, table = gathered()
    found = {account.removeprefix("only-") for account in {row.account for row in table.rows} if account.startswith("only-")}
    assert found == set(NAMED)
    assert "too-old" not in {row.account for row in table.rows}
    assert platform.reader.meter.calls == {"dynamodb:Scan": sum(each.pages for each in table.reads)}
    assert len({each.resource for each in table.reads}) == len(table.reads) == 16
    named = [judge_budget_visible(each, links=platform.links).facts["accounts_named_elsewhere"] for each in (before, table)]
    assert named[1] - named[0] == len(NAMED)


def test_tables_that_are_not_there_are_said_unless_the_settings_name_them(gathered, monkeypatch):
    boto3.client("dynamodb").delete_table(TableName="cc-native-accounts")
    boto3.client("dynamodb").delete_table(TableName="cc-native-internal-notes")
    platform, table = gathered()
    judgement = judge_budget_visible(table, links=platform.links)
    assert judgement.findings == ()
    assert judgement.facts["tables_not_deployed"] == "cc-native-accounts, cc-native-internal-notes"
    monkeypatch.setenv("PHASE5_TABLES__SIGNALS", "cc-native-signal")
    platform, table = gathered()
    (finding,) = judge_budget_visible(table, links=platform.links).findings
    assert (finding.code, finding.subject) == ("accounts_not_all_known", "dynamodb:Scan cc-native-signal")


def test_the_policy_allows_every_table_that_is_read(gathered):
    platform, table = gathered()
    statements = policy_for(Purpose.readiness, platform.settings)["Statement"]
    allowed = {resource for each in statements if "dynamodb:Scan" in each["Action"] for resource in each["Resource"]}
    assert {f"arn:*:dynamodb:*:*:table/{each.resource}" for each in table.reads} <= allowed
