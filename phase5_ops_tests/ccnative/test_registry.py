"""The table registered_tools."""

import json

import pytest

from phase5_ops.ccnative.registry import registered_tools
from phase5_ops.policy import ToolSetting
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.slo.summary.gathering import GOOD_READ, NOW, registry_item


def table(items, tools=()):
    return registered_tools(items, GOOD_READ, tools, observed_at=NOW)


def test_highest_version_of_each_action_type_wins():
    """Version 10 beats version 9, though it sorts before it as text."""
    result = table([registry_item("crm.old", "A", 9), registry_item("crm.new", "A", 10), registry_item("crm.older", "A", 2)])
    assert [row.tool for row in result.rows] == ["crm.new"]


def test_tools_of_several_action_types_and_the_settings_are_one_row_each():
    result = table(
        [registry_item("crm.x", "B"), registry_item("gw___crm.x", "A")],
        [ToolSetting(name="crm.x", traffic="rare"), ToolSetting(name="mail.send", connector="smtp")],
    )
    assert result.frame.to_dict("records") == [
        {
            "tool": "crm.x",
            "connector": "crm_salesforce",
            "action_types": json.dumps(["A", "B"]),
            "source": "registry+settings",
            "traffic": "rare",
        },
        {"tool": "mail.send", "connector": "smtp", "action_types": "[]", "source": "settings", "traffic": "steady"},
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tool_name": None}, "tool_name"),
        ({"tool_name": {"N": "1"}}, "tool_name"),
        ({"tool_name": {"S": ""}}, "tool_name"),
        ({"tool_name": {"S": "gw___"}}, "tool_name"),
        ({"registry_version": {"S": "1"}}, "registry_version"),
        ({"registry_version": {"N": "7"}}, "registry_version"),
        ({"action_type": {"S": "OTHER"}}, "action_type"),
        ({"pk": {"S": "TENANT#t"}}, "key"),
    ],
)
def test_malformed_item_is_kept_aside_and_the_others_are_used(change, problem):
    bad = {name: value for name, value in (registry_item("crm.x", "BAD") | change).items() if value is not None}
    result = table([bad, registry_item("crm.y")])
    assert [row.tool for row in result.rows] == ["crm.y"]
    [entry] = result.facts.malformed
    assert problem in entry["problem"]
    assert entry["item"].endswith("/ REGISTRY_VERSION#1")


def test_empty_registry_gives_an_empty_table_that_still_says_how_it_was_read(tmp_path):
    result = table([])
    again = assert_kept(result, tmp_path)
    assert again.frame.empty
    assert again.reads == (GOOD_READ,)
