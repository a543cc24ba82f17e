"""Scenarios of row 5.1: autonomy budgets."""

from datetime import timedelta

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, scenario
from phase5_ops.sandbox.state import autonomy
from phase5_ops.sandbox.state.autonomy import (
    BUDGET_TABLE,
    BUSY,
    CONFIG_TABLE,
    DECISION_TABLE,
    MANUAL,
    NOTE_TYPE,
    TASK_TYPE,
)
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.records import ATTEMPTS, INTENTS, LEDGER, OUTCOMES


@scenario(
    "autonomy-without-budget",
    "A tenant's default mode lets its accounts act alone, and one of them has no cap.",
    {"5.1": (FAIL, "auto_execute_without_budget")},
)
def _autonomy_without_budget(state: Blueprint) -> None:
    autonomy.add_mode(state, ("acme", ""), "DEFAULT", "AUTO_EXECUTE")


@scenario(
    "budget-total-off",
    "A refusal took one from a budget's total and left its counts, as the platform's code does.",
    {"5.1": (FAIL, "budget_state_inconsistent")},
)
def _budget_total_off(state: Blueprint) -> None:
    autonomy.state_of(state)["total"] -= 1


@scenario(
    "budget-overspent",
    "An account's budget was consumed beyond its cap.",
    {"5.1": (FAIL, "budget_overspent")},
)
def _budget_overspent(state: Blueprint) -> None:
    for minute in range(1, 5):
        autonomy.approve(state, BUSY, TASK_TYPE, state.now - timedelta(days=1, minutes=30, seconds=minute))


@scenario(
    "budget-undercounted",
    "Two actions were approved by policy and never charged: one is done, one in flight.",
    {"5.1": (FAIL, "budget_undercounted")},
)
def _budget_undercounted(state: Blueprint) -> None:
    for days_ago, finished in ((1, True), (2, False)):
        moment = state.now - timedelta(days=days_ago, minutes=31)
        autonomy.approve(state, BUSY, NOTE_TYPE, moment, charged=False, finished=finished)


@scenario(
    "budget-overcounted",
    "The gate charged an approval and crashed before it wrote its state; the retry charged it again.",
    {"5.1": (FAIL, "budget_overcounted")},
)
def _budget_overcounted(state: Blueprint) -> None:
    autonomy.consume(state, BUSY, NOTE_TYPE, state.now - timedelta(days=1, minutes=30))


@scenario(
    "budget-of-another-tenant",
    "A budget under one tenant's key names another tenant.",
    {"5.1": (FAIL, "budget_tenant_mismatch")},
)
def _budget_of_another_tenant(state: Blueprint) -> None:
    autonomy.config_of(state)["tenant_id"] = "globex"


@scenario(
    "budget-of-another-day",
    "A budget state's date is not that of its key.",
    {"5.1": (FAIL, "budget_date_mismatch")},
)
def _budget_of_another_day(state: Blueprint) -> None:
    item = autonomy.state_of(state)
    item["date_key"] = autonomy.state_of(state, days_ago=2)["date_key"]


@scenario(
    "budget-record-malformed",
    "A budget's counts are text.",
    {"5.1": (ERROR, "budget_record_malformed")},
)
def _budget_record_malformed(state: Blueprint) -> None:
    autonomy.state_of(state)["counts"] = {NOTE_TYPE: "2"}


@scenario(
    "autonomy-mode-unknown",
    "A mode is written in lower case, which the platform does not know.",
    {"5.1": (ERROR, "budget_record_malformed")},
)
def _autonomy_mode_unknown(state: Blueprint) -> None:
    autonomy.add_mode(state, MANUAL, "DEFAULT", "auto_execute")


@scenario(
    "decision-budget-negative",
    "An account evaluated more decisions than it had left.",
    {"5.1": (FAIL, "decision_budget_negative")},
)
def _decision_budget_negative(state: Blueprint) -> None:
    autonomy.decisions_of(state)["daily_decisions_remaining"] = -1


@scenario(
    "autonomy-not-visible",
    "An account acted alone, was charged, and has no budget to see that against.",
    {"5.1": (FAIL, "account_without_visibility")},
)
def _autonomy_not_visible(state: Blueprint) -> None:
    autonomy.approve(state, MANUAL, NOTE_TYPE, state.now - timedelta(hours=2))


@scenario(
    "autonomy-table-missing",
    "The autonomy configuration does not exist.",
    dict.fromkeys(("5.1", "changes_are_audited"), (ERROR, "read_failed")),
)
def _autonomy_table_missing(state: Blueprint) -> None:
    state.missing_tables.add(CONFIG_TABLE)


@scenario("autonomy-traces-expired", "Intents and gate states of earlier days have expired; outcomes are left.", {})
def _autonomy_traces_expired(state: Blueprint) -> None:
    today = {intent["sk"].removeprefix("ACTION_INTENT#") for intent in state.items[INTENTS][:3]}
    state.items[INTENTS] = state.items[INTENTS][:3]
    state.items[CONFIG_TABLE] = [
        item for item in state.items[CONFIG_TABLE] if item["pk"] != "AUTO_EXEC_STATE" or item["sk"] in today
    ]


@scenario("autonomy-off", "People approve everything: no mode, no cap, nothing consumed.", {})
def _autonomy_off(state: Blueprint) -> None:
    for table in (CONFIG_TABLE, INTENTS, BUDGET_TABLE, DECISION_TABLE):
        state.items.pop(table, None)
    autonomous = {item["trace_id"] for item in state.items[OUTCOMES] if item["auto_executed"]}
    for table, trace in ((OUTCOMES, "trace_id"), (ATTEMPTS, "trace_id"), (LEDGER, "traceId")):
        state.items[table] = [item for item in state.items[table] if item[trace] not in autonomous]
