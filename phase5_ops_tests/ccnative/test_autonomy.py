"""Records of autonomy: read strictly, and what cannot be read is named."""

from typing import Any

import pytest

from phase5_ops.ccnative.autonomy import AutonomyRecords, ProblemKind

OWNER = ("acme", "eu")
TA = {"pk": {"S": "TENANT#acme#ACCOUNT#eu"}}
NAMED = {"tenant_id": {"S": "acme"}, "account_id": {"S": "eu"}}
STATE: dict[str, Any] = {
    **TA,
    **NAMED,
    "sk": {"S": "BUDGET_STATE#2026-11-23"},
    "date_key": {"S": "2026-11-23"},
    "total": {"N": "3"},
    "counts": {"M": {"CREATE_INTERNAL_NOTE": {"N": "2"}, "CREATE_INTERNAL_TASK": {"N": "1"}}},
    "updated_at": {"S": "2026-11-23T09:08:06.289Z"},
}
CONFIG: dict[str, Any] = {**TA, **NAMED, "sk": {"S": "BUDGET#CONFIG"}, "max_autonomous_per_day": {"N": "3"}}
MODE: dict[str, Any] = {**TA, **NAMED, "sk": {"S": "AUTONOMY#DEFAULT"}, "mode": {"S": "AUTO_EXECUTE"}}


def budgets(*items: Any) -> AutonomyRecords:
    records = AutonomyRecords()
    records.add_budgets(items, "budgets", ["2026-11-22", "2026-11-23"])
    return records


def modes(*items: Any) -> AutonomyRecords:
    records = AutonomyRecords()
    records.add_autonomy_config(items, "config")
    return records


def test_a_state_and_a_cap_as_the_platform_writes_them_are_read():
    records = budgets(STATE, {**CONFIG, "max_per_action_type": {"M": {"CREATE_INTERNAL_NOTE": {"N": "3"}}}})
    assert records.problems == []
    assert records.days[OWNER]["2026-11-23"].counts == {"CREATE_INTERNAL_NOTE": 2, "CREATE_INTERNAL_TASK": 1}
    assert (records.configs[OWNER].cap, records.configs[OWNER].per_type) == (3, {"CREATE_INTERNAL_NOTE": 3})


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("total", None),
        ("total", {"S": "3"}),
        ("total", {"N": "-1"}),
        ("total", {"N": "2.5"}),
        ("total", {"NULL": True}),
        ("counts", None),
        ("counts", {"NULL": True}),
        ("counts", {"L": []}),
        ("counts", {"M": {"CREATE_INTERNAL_NOTE": {"N": "-2"}}}),
        ("counts", {"M": {"CREATE_INTERNAL_NOTE": {"S": "2"}}}),
        ("counts", {"M": {"CREATE_INTERNAL_NOTE": {"N": "1e400"}}}),
        ("counts", {"M": {"CREATE_INTERNAL_NOTE": "2"}}),
        ("sk", {"S": "BUDGET_STATE#2026-11-3"}),
        ("sk", {"S": "BUDGET_STATE#20261123"}),
        ("sk", {"S": "BUDGET_STATE#"}),
        ("sk", {"S": "BUDGET#STATE"}),
        ("sk", {"N": "1"}),
        ("pk", {"S": "TENANT#acme"}),
        ("pk", {"S": "acme#eu"}),
        ("pk", {"S": "TENANT#"}),
        ("date_key", None),
        ("date_key", {"S": "23/11/2026"}),
        ("updated_at", {"S": "2026-11-23 09:00"}),
        ("updated_at", None),
        ("tenant_id", None),
        ("account_id", None),
        ("tenant_id", {"N": "1"}),
    ],
)
def test_a_state_of_another_form_is_malformed_and_not_used(attribute: str, value: Any):
    changed = {**STATE, attribute: value}
    records = budgets({name: each for name, each in changed.items() if each is not None})
    assert [problem.kind for problem in records.problems] == [ProblemKind.MALFORMED]
    assert records.problems[0].attribute.startswith(attribute)
    assert not records.days.get(OWNER)


@pytest.mark.parametrize(
    "changed",
    [
        {"max_autonomous_per_day": None},
        {"max_autonomous_per_day": {"S": "3"}},
        {"max_autonomous_per_day": {"N": "-3"}},
        {"max_per_action_type": {"M": {"CREATE_INTERNAL_NOTE": {"N": "0.5"}}}},
        {"max_per_action_type": {"L": []}},
        {"account_id": None},
    ],
)
def test_a_cap_of_another_form_is_malformed(changed: dict[str, Any]):
    records = budgets({name: value for name, value in {**CONFIG, **changed}.items() if value is not None})
    assert [problem.kind for problem in records.problems] == [ProblemKind.MALFORMED]
    assert (OWNER, "BUDGET#CONFIG") in records.unreadable


@pytest.mark.parametrize("absent", [{"NULL": True}, {"M": {}}, {"M": {"CREATE_INTERNAL_NOTE": {"NULL": True}}}])
def test_caps_per_type_may_be_left_out_as_null(absent: dict[str, Any]):
    assert budgets({**CONFIG, "max_per_action_type": absent}).configs[OWNER].per_type == {}


def test_a_cap_of_zero_is_a_cap():
    assert budgets({**CONFIG, "max_autonomous_per_day": {"N": "0"}}).configs[OWNER].cap == 0


def test_states_before_the_window_are_passed_over_even_if_malformed():
    records = budgets({**STATE, "sk": {"S": "BUDGET_STATE#2026-11-01"}, "total": {"S": "many"}})
    assert (records.problems, dict(records.days)) == ([], {})
    assert records.owners == {OWNER}


@pytest.mark.parametrize("attribute", ["tenant_id", "account_id"])
def test_a_record_that_names_another_owner_is_used_under_its_key(attribute: str):
    records = budgets({**STATE, attribute: {"S": "other"}})
    assert [(problem.kind, problem.attribute) for problem in records.problems] == [(ProblemKind.OWNER, attribute)]
    assert "2026-11-23" in records.days[OWNER]


def test_a_date_key_of_another_day_is_a_date_problem():
    assert [problem.kind for problem in budgets({**STATE, "date_key": {"S": "2026-11-22"}}).problems] == [ProblemKind.DATE]


@pytest.mark.parametrize("mode", ["auto_execute", "AUTO", "", "AUTO_EXECUTE "])
def test_a_mode_that_the_platform_does_not_know_is_malformed(mode: str):
    records = modes({**MODE, "mode": {"S": mode}})
    assert [problem.attribute for problem in records.problems] == ["mode"]


@pytest.mark.parametrize(
    "changed",
    [
        {"mode": None},
        {"mode": {"N": "1"}},
        {"tenant_id": None},
        {"sk": {"S": "AUTONOMY#"}},
        {"sk": {"S": "MODE#DEFAULT"}},
        {"sk": {"S": "AUTONOMY#A"}, "action_type": {"S": "B"}},
    ],
)
def test_a_mode_record_of_another_form_is_malformed(changed: dict[str, Any]):
    records = modes({name: value for name, value in {**MODE, **changed}.items() if value is not None})
    assert [problem.kind for problem in records.problems] == [ProblemKind.MALFORMED]


def test_a_tenants_mode_that_names_an_account_contradicts_its_key():
    assert [problem.kind for problem in modes({**MODE, "pk": {"S": "TENANT#acme"}}).problems] == [ProblemKind.OWNER]


def mode(account: str, action_type: str, value: str) -> dict[str, Any]:
    pk = "TENANT#acme" + (f"#ACCOUNT#{account}" if account else "")
    owner = {"tenant_id": {"S": "acme"}, **({"account_id": {"S": account}} if account else {})}
    return {"pk": {"S": pk}, "sk": {"S": f"AUTONOMY#{action_type}"}, "mode": {"S": value}, **owner}


def test_the_most_specific_mode_wins_in_the_platforms_order():
    steps = [
        ("", "DEFAULT", "PROPOSE_ONLY", "tenant default"),
        ("eu", "DEFAULT", "DISABLED", "account default"),
        ("", "NOTE", "AUTO_EXECUTE", "tenant and action type"),
        ("eu", "NOTE", "APPROVAL_REQUIRED", "account and action type"),
    ]
    assert modes().mode(OWNER, "NOTE") == ("APPROVAL_REQUIRED", "no configuration")
    items = []
    for account, action_type, value, source in steps:
        items.append(mode(account, action_type, value))
        assert modes(*items).mode(OWNER, "NOTE") == (value, source)
    assert modes(*items).mode(OWNER, "TASK") == ("DISABLED", "account default")
    assert modes(*items).mode(("acme", "us"), "NOTE") == ("AUTO_EXECUTE", "tenant and action type")
    assert modes(*items).mode(("globex", "eu"), "NOTE") == ("APPROVAL_REQUIRED", "no configuration")


def test_an_accounts_allowlist_counts_before_the_tenants_unless_it_is_empty():
    def allow(account: str, *types: str) -> dict[str, Any]:
        return {
            **mode(account, "x", "x"),
            "sk": {"S": "ALLOWLIST#AUTO_EXEC"},
            "action_types": {"L": [{"S": each} for each in types]},
        }

    assert modes(allow("", "A"), allow("eu", "B")).allowlist(OWNER) == ("B",)
    assert modes(allow("", "A"), allow("eu")).allowlist(OWNER) == ("A",)
    assert modes().allowlist(OWNER) == ()


@pytest.mark.parametrize(
    "changed",
    [{"status": {"S": "reserved"}}, {"action_intent_id": {"S": "other"}}, {"updated_at": {"S": "?"}}, {"updated_at": None}],
)
def test_a_gate_state_of_another_form_is_malformed(changed: dict[str, Any]):
    good: dict[str, Any] = {
        "pk": {"S": "AUTO_EXEC_STATE"},
        "sk": {"S": "ai_1"},
        "action_intent_id": {"S": "ai_1"},
        "status": {"S": "RESERVED"},
        "updated_at": {"S": "2026-11-23T09:00:00.000Z"},
    }
    assert set(modes(good).auto_exec) == {"ai_1"}
    assert modes(good).owners == set()
    records = modes({name: value for name, value in {**good, **changed}.items() if value is not None})
    assert len(records.problems) == 1


def test_outcomes_say_whether_policy_approved_them():
    def outcome(**said: Any) -> AutonomyRecords:
        records = AutonomyRecords()
        item = {**TA, **NAMED, "sk": {"S": "OUTCOME#ai_1"}, "started_at": {"S": "2026-11-23T09:00:00.000Z"}, **said}
        records.add_outcomes([item], "outcomes")
        return records

    assert not outcome().outcomes["ai_1"][0].auto
    assert not outcome(approval_source={"S": "HUMAN"}, auto_executed={"BOOL": False}).outcomes["ai_1"][0].auto
    assert outcome(approval_source={"S": "POLICY"}).outcomes["ai_1"][0].auto
    assert outcome(auto_executed={"BOOL": True}).outcomes["ai_1"][0].auto
    assert [problem.attribute for problem in outcome(auto_executed={"S": "true"}).problems] == ["auto_executed"]
    assert [problem.attribute for problem in outcome(approval_source={"S": "policy"}).problems] == ["approval_source"]


@pytest.mark.parametrize("entry", [None, 5, "text", [], {}, {"pk": "TENANT#a"}, {"pk": {"S": "TENANT#a"}}])
def test_an_entry_that_is_no_item_is_malformed_in_every_table(entry: Any):
    records = AutonomyRecords()
    records.add_budgets([entry], "t", ["2026-11-23"])
    records.add_autonomy_config([entry], "t")
    records.add_decision_budgets([entry], "t")
    records.add_outcomes([entry], "t")
    records.add_intents([entry], "t")
    assert [problem.kind for problem in records.problems] == [ProblemKind.MALFORMED] * 5
