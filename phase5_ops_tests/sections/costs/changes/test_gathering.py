"""changes_are_audited as it is gathered: nothing is read twice, and the ledger is asked for the minutes of changes alone."""

import pytest

from phase5_ops.context import open_run
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sandbox.state.autonomy import record_change
from phase5_ops.sandbox.state.healthy import healthy
from phase5_ops.sections.costs.budgets.assets import gather_autonomy_budget
from phase5_ops.sections.costs.changes.assets import gather_autonomy_changes
from phase5_ops.sections.costs.changes.judge import judge_changes
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict

pytestmark = pytest.mark.slow


def test_row_5_1_leaves_what_configures_and_the_ledger_is_asked_once_a_stretch(start):
    start("healthy")
    run = open_run(load_settings(), "run")
    gather_autonomy_budget(run, {})
    before = dict(run.reader.meter.calls)
    shared = gather_autonomy_changes(run, {})
    assert {
        name: calls - before.get(name, 0) for name, calls in run.reader.meter.calls.items() if calls != before.get(name, 0)
    } == {
        "dynamodb:Query": 2  # acme's review, and initech's kill switches
    }
    alone = open_run(load_settings(), "alone")
    assert gather_autonomy_changes(alone, {}).rows == shared.rows
    assert alone.reader.meter.calls == {"dynamodb:Scan": 3, "dynamodb:Query": 2}
    judgement = judge_changes(shared, policy=run.settings.changes, links=run.links)
    assert (judgement.verdict, judgement.facts["changes_in_window"], judgement.facts["test_tenants_left_out"]) == (
        Verdict.PASS,
        4,
        2,
    )
    statements = policy_for(Purpose.readiness, run.settings)["Statement"]
    allowed = {(action, name) for each in statements for action in each["Action"] for name in each["Resource"]}
    assert {(each.operation, f"arn:*:dynamodb:*:*:table/{each.resource}") for each in shared.reads} <= allowed


def test_a_changed_record_of_the_sandbox_has_one_entry():
    state = healthy(load_settings().clock.now(), "us-west-2")
    tenant = next(each for each in state.tenants if each["tenantId"] == "globex")
    tenant["disabled_action_types"] = ["CREATE_CRM_TASK"]
    record_change(state, tenant, state.now)
    assert [entry["eventType"] for entry in state.items["cc-native-ledger"]].count("KILL_SWITCHES_CHANGED") == 2
