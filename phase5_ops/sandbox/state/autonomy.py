"""Autonomy on the sandbox platform: modes, caps, approvals by policy and what they consumed, as CCNative's gate would write them.

Plain items, put into `Blueprint.items`; `seed.py` writes them. What lives here: the healthy state, and the small steps that
scenarios change it with.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from phase5_ops.clock import iso
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.execution_trail import add_execution
from phase5_ops.sandbox.state.records import (
    INTENT_TTL,
    INTENTS,
    LEDGER,
    Item,
    account_key,
    configuration_change,
    ledger_entry,
    milliseconds,
    outcome,
    tenant_key,
)

CONFIG_TABLE = "cc-native-autonomy-config"
BUDGET_TABLE = "cc-native-autonomy-budget-state"
DECISION_TABLE = "cc-native-decision-budget"

NOTE_TYPE, TASK_TYPE, CRM_TYPE = "CREATE_INTERNAL_NOTE", "CREATE_INTERNAL_TASK", "CREATE_CRM_TASK"
#: The account with the most autonomy: scenarios change it.
BUSY = ("acme", "acct-eu")
#: An account in which people approve everything.
MANUAL = ("acme", "acct-us")

#: Who changes configuration on the healthy platform.
CHANGED_BY = "dana.reyes@example.com"

_DAYS = 8  # one more than row 5.1 looks back
_GATE = timedelta(milliseconds=60)  # from the intent to the gate's state
_STATE_TTL = timedelta(days=90)


def add_autonomy(blueprint: Blueprint) -> None:
    """Two accounts that act alone within their caps, on eight days, and two in which people approve."""
    add_mode(blueprint, BUSY, NOTE_TYPE, "AUTO_EXECUTE")
    add_mode(blueprint, ("globex", "acct-main"), TASK_TYPE, "AUTO_EXECUTE")
    add_mode(blueprint, ("initech", ""), "DEFAULT", "APPROVAL_REQUIRED")
    for owner, types in ((BUSY, [NOTE_TYPE]), (("globex", ""), [TASK_TYPE])):
        _add_allowlist(blueprint, owner, types)
    _add_caps(blueprint, BUSY, 5, {NOTE_TYPE: 3})
    _add_caps(blueprint, ("globex", "acct-main"), 2)
    _add_changes(blueprint)
    for owner in (BUSY, MANUAL, ("globex", "acct-main"), ("initech", "acct-main")):
        _add_decision_budget(blueprint, owner)
    for days_ago in range(_DAYS):
        moment = blueprint.now - timedelta(days=days_ago, minutes=30)
        for minutes in (0, 7):
            approve(blueprint, BUSY, NOTE_TYPE, moment - timedelta(minutes=minutes))
        approve(blueprint, ("globex", "acct-main"), TASK_TYPE, moment)
    for owner in (MANUAL, ("initech", "acct-main")):
        approve(blueprint, owner, CRM_TYPE, blueprint.now - timedelta(hours=5), by_person=True)


def _add_changes(blueprint: Blueprint) -> None:
    """What was changed lately, each with its entry: the busy account's mode, allowlist and caps, and a tenant's kill switches."""
    changed = blueprint.now - timedelta(days=12)
    for number, item in enumerate((mode_of(blueprint), allowlist_of(blueprint), config_of(blueprint))):
        record_change(blueprint, item, changed + timedelta(seconds=5 * number))
    switches = switches_of(blueprint)
    switches |= {"execution_enabled": True, "disabled_action_types": []}
    record_change(blueprint, switches, blueprint.now - timedelta(days=5))


def record_change(blueprint: Blueprint, item: Item, moment: datetime) -> None:
    """Stamps a record of configuration as changed at `moment`, and tells the ledger."""
    item["updated_at"] = iso(moment)
    if "mode" in item:
        item["updated_by"] = CHANGED_BY
    told = configuration_change(item, at=moment, who=CHANGED_BY, why="Review of autonomy 2026-11")
    blueprint.add(LEDGER, ledger_entry(**told, at=moment, unique="change"))


def add_autonomous_account(blueprint: Blueprint, owner: tuple[str, str], moment: datetime) -> None:
    """An account that acts alone within its cap, and did so once, at `moment`; its tables have nothing else of that day."""
    add_mode(blueprint, owner, NOTE_TYPE, "AUTO_EXECUTE")
    _add_allowlist(blueprint, owner, [NOTE_TYPE])
    _add_caps(blueprint, owner, 2)
    _add_decision_budget(blueprint, owner)
    approve(blueprint, owner, NOTE_TYPE, moment, charged=False)
    state = _unused(owner, moment.date().isoformat())
    blueprint.add(BUDGET_TABLE, _with_one_more(state, NOTE_TYPE, moment + _GATE))


def _add_allowlist(blueprint: Blueprint, owner: tuple[str, str], types: list[str]) -> None:
    blueprint.add(
        CONFIG_TABLE,
        {**_owned(owner), "sk": "ALLOWLIST#AUTO_EXEC", "action_types": types, "updated_at": _set_up_at(blueprint)},
    )


def _add_caps(blueprint: Blueprint, owner: tuple[str, str], cap: int, per_type: Mapping[str, int] | None = None) -> None:
    blueprint.add(
        BUDGET_TABLE,
        {
            **_owned(owner),
            "sk": "BUDGET#CONFIG",
            "max_autonomous_per_day": cap,
            **({"max_per_action_type": dict(per_type)} if per_type else {}),
            "updated_at": _set_up_at(blueprint),
        },
    )


def _set_up_at(blueprint: Blueprint) -> str:
    return iso(blueprint.now - timedelta(days=40))


def add_mode(blueprint: Blueprint, owner: tuple[str, str], action_type: str, mode: str) -> None:
    """A mode of an account, or of a tenant where the account is ""."""
    blueprint.add(
        CONFIG_TABLE,
        {
            **_owned(owner),
            "sk": f"AUTONOMY#{action_type}",
            **({} if action_type == "DEFAULT" else {"action_type": action_type}),
            "mode": mode,
            "updated_at": _set_up_at(blueprint),
            "updated_by": CHANGED_BY,
            "policy_version": "AutonomyModeConfigV1",
        },
    )


def approve(
    blueprint: Blueprint,
    owner: tuple[str, str],
    action_type: str,
    moment: datetime,
    *,
    by_person: bool = False,
    charged: bool = True,
    finished: bool = True,
) -> str:
    """An action approved at `moment` and carried out: intent, the gate's state, consumption, outcome; returns the intent's id.

    Args:
        blueprint: the platform.
        owner: tenant and account.
        action_type: of the intent.
        moment: when it was approved.
        by_person: approved by a person, which consumes nothing and leaves no state.
        charged: False leaves the budget as it was.
        finished: False leaves it in flight.
    """
    number = len(blueprint.items.get(INTENTS, ()))
    intent = f"ai_{milliseconds(moment)}_{number:06d}"
    written = moment + _GATE
    blueprint.add(INTENTS, _intent(owner, intent, action_type, moment, by_person=by_person))
    if not by_person:
        blueprint.add(CONFIG_TABLE, gate_state(intent, written))
        if charged:
            consume(blueprint, owner, action_type, written)
    if finished:
        tool = blueprint.action_types[action_type]
        add_execution(blueprint, _outcome(owner, intent, tool, written, by_person=by_person))
    return intent


def gate_state(intent: str, moment: datetime) -> dict[str, Any]:
    """The gate's state of an intent that it approved."""
    return {
        "pk": "AUTO_EXEC_STATE",
        "sk": intent,
        "action_intent_id": intent,
        "status": "PUBLISHED",
        "updated_at": iso(moment),
        "ttl": int((moment + _STATE_TTL).timestamp()),
    }


def consume(blueprint: Blueprint, owner: tuple[str, str], action_type: str, moment: datetime) -> None:
    """One unit of the account's budget on the day of `moment`."""
    day = moment.date().isoformat()
    states = [
        item
        for item in blueprint.items.get(BUDGET_TABLE, ())
        if item["sk"] == f"BUDGET_STATE#{day}" and item["pk"] == _owned(owner)["pk"]
    ]
    if not states:
        states.append(_unused(owner, day))
        blueprint.add(BUDGET_TABLE, states[0])
    _with_one_more(states[0], action_type, moment)


def _unused(owner: tuple[str, str], day: str) -> dict[str, Any]:
    """The budget state of a day on which nothing was consumed."""
    return {**_owned(owner), "sk": f"BUDGET_STATE#{day}", "date_key": day, "total": 0, "counts": {}, "updated_at": ""}


def _with_one_more(state: dict[str, Any], action_type: str, moment: datetime) -> dict[str, Any]:
    """The state, changed: one more unit was consumed at `moment`."""
    state["counts"] = dict(Counter(state["counts"]) + Counter({action_type: 1}))
    state["total"] += 1
    state["updated_at"] = max(state["updated_at"], iso(moment))
    return state


def state_of(blueprint: Blueprint, owner: tuple[str, str] = BUSY, days_ago: int = 1) -> dict[str, Any]:
    """The budget state of an account on the day of what it did `days_ago`."""
    day = (blueprint.now - timedelta(days=days_ago, minutes=30)).date().isoformat()
    return blueprint.item(BUDGET_TABLE, _owned(owner)["pk"], f"BUDGET_STATE#{day}")


def config_of(blueprint: Blueprint, owner: tuple[str, str] = BUSY) -> dict[str, Any]:
    """The caps of an account."""
    return blueprint.item(BUDGET_TABLE, _owned(owner)["pk"], "BUDGET#CONFIG")


def mode_of(blueprint: Blueprint) -> dict[str, Any]:
    """The mode that lets the busy account act alone."""
    return blueprint.item(CONFIG_TABLE, _owned(BUSY)["pk"], f"AUTONOMY#{NOTE_TYPE}")


def allowlist_of(blueprint: Blueprint) -> dict[str, Any]:
    """The busy account's allowlist."""
    return blueprint.item(CONFIG_TABLE, _owned(BUSY)["pk"], "ALLOWLIST#AUTO_EXEC")


def switches_of(blueprint: Blueprint) -> dict[str, Any]:
    """The tenant whose kill switches were set: they stop nothing."""
    return next(each for each in blueprint.tenants if each["tenantId"] == "initech")


def entry_of(blueprint: Blueprint, item: Item) -> dict[str, Any]:
    """The ledger entry of a record's change."""
    told = [entry for entry in blueprint.items[LEDGER] if entry["timestamp"] == item["updated_at"]]
    return next(entry for entry in told if "changed_by" in entry["data"])


def decisions_of(blueprint: Blueprint, owner: tuple[str, str] = BUSY) -> dict[str, Any]:
    """The decision budget of an account."""
    return blueprint.item(DECISION_TABLE, _owned(owner)["pk"], "BUDGET")


def _owned(owner: tuple[str, str]) -> dict[str, Any]:
    tenant, account = owner
    if not account:
        return {"pk": tenant_key(tenant), "tenant_id": tenant}
    return {"pk": account_key(tenant, account), "tenant_id": tenant, "account_id": account}


def _add_decision_budget(blueprint: Blueprint, owner: tuple[str, str]) -> None:
    blueprint.add(
        DECISION_TABLE,
        {
            "pk": _owned(owner)["pk"],
            "sk": "BUDGET",
            "daily_decisions_remaining": 7,
            "monthly_cost_remaining": 82,
            "last_reset_date": blueprint.now.date().isoformat(),
            "updated_at": iso(blueprint.now - timedelta(minutes=30)),
        },
    )


def _intent(owner: tuple[str, str], intent: str, action_type: str, moment: datetime, *, by_person: bool) -> dict[str, Any]:
    expires = moment + INTENT_TTL
    return {
        **_owned(owner),
        "sk": f"ACTION_INTENT#{intent}",
        "action_intent_id": intent,
        "action_type": action_type,
        "target": {"entity_type": "ACCOUNT", "entity_id": owner[1]},
        "parameters": {"title": "follow up"},
        "approved_by": "seller-1" if by_person else "AUTONOMY",
        "approval_timestamp": iso(moment),
        "expires_at": iso(expires),
        "expires_at_epoch": int(expires.timestamp()),
        "trace_id": f"trace-{milliseconds(moment)}-decision",
        "registry_version": 1,
    }


def _outcome(owner: tuple[str, str], intent: str, tool: str, moment: datetime, *, by_person: bool) -> dict[str, Any]:
    item = outcome(
        {**_owned(owner), "action_intent_id": intent},
        status="SUCCEEDED",
        trace_id=f"trace-{milliseconds(moment)}-{uuid5(NAMESPACE_URL, intent)}",
        started_at=moment + timedelta(milliseconds=20),
        at=moment + timedelta(milliseconds=140),
        count=1,
        tool=tool,
        approval={"approval_source": "HUMAN" if by_person else "POLICY", "auto_executed": not by_person},
    )
    del item["tool_run_ref"]  # nothing reads it, and these outcomes never had it
    return item
