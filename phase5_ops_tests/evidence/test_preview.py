"""Every table has a preview that fits it, of any content, and a preview puts the worst first."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

from phase5_ops.build import EVIDENCE, PREVIEWS
from phase5_ops.evidence.preview import by, cell, figures
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.decision.deployed_rules import DEPLOYED_IDENTITY, END, START, DeployedThing
from phase5_ops.gate.drill.cases import GATE_DRILL, DrilledCase
from phase5_ops_tests.sections.costs.bill.cost_platform import Bill
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import Platform
from phase5_ops_tests.sections.slo.summary.gathering import World

_LONGEST_NAME = 26  # of a figure: with a longer one, the column of names takes the width that the evidence needs

CASE = DrilledCase("1.1 failing", "1.1", "failing", "BLOCKED", "drilled_finding", "BLOCKED", "drilled_finding", None)
THING = DeployedThing(START, "function", "starter", "$LATEST", "a" * 64)


@pytest.mark.parametrize("evidence", EVIDENCE, ids=lambda each: each.name)
def test_each_table_has_a_preview_of_its_own_columns_that_also_fits_an_empty_one(evidence):
    preview = PREVIEWS[evidence.name]
    assert set(preview.columns) <= {column.name for column in evidence.table.columns}
    assert preview.worst_first(evidence.table.frame([])).empty


def test_tables_that_a_picture_helps_with_have_one():
    assert {name for name, preview in PREVIEWS.items() if preview.picture is not None} == {
        "tool_slo_summary",
        "alarm_replay",
        "breaker_snapshot",
        "replay_audit",
        "isolation_harness",
        "autonomy_budget",
        "tenant_cost_report",
    }


def test_a_case_that_the_gate_answered_otherwise_comes_first_then_one_that_was_not_tried():
    other_code = replace(CASE, case="other code", codes="evidence_stale")
    opened = replace(CASE, case="opened", outcome="OPEN", codes="")
    untried = replace(CASE, case="untried", outcome=None, codes="", problem="TypeError")
    table = GATE_DRILL.gathered([CASE, untried, other_code, opened], NoFacts())
    preview = PREVIEWS["gate_drill"]
    assert list(preview.worst_first(table.frame)["case"]) == ["other code", "opened", "untried", "1.1 failing"]
    assert preview.figures(table) == {
        "cases_answered_wrong": 2,
        "cases_not_tried": 1,
        "cases": 4,
        "kinds_of_fault": 1,
        "rows_drilled": 1,
    }


def test_what_changed_during_the_run_comes_first():
    rows = [
        THING,
        replace(THING, moment=END),
        replace(THING, name="validator"),
        replace(THING, name="validator", moment=END, code="b"),
    ]
    table = DEPLOYED_IDENTITY.gathered(rows, NoFacts())
    preview = PREVIEWS["deployed_identity"]
    assert list(preview.worst_first(table.frame)["name"]) == ["validator", "validator", "starter", "starter"]
    assert preview.figures(table)["changed_during_run"] == 1
    of_one_moment = DEPLOYED_IDENTITY.gathered(rows[::2], NoFacts())
    assert preview.figures(of_one_moment)["changed_during_run"] == 0


def test_the_unallocated_rest_and_the_most_expensive_come_first_in_the_bill():
    table = Bill({("acme", ""): "10", ("globex", ""): "30", ("", "nobody"): "5"}).table()
    preview = PREVIEWS["tenant_cost_report"]
    first = preview.worst_first(table.frame)
    assert list(first["x_TenantId"])[:3] == ["", "globex", "acme"]
    found = preview.figures(table)
    assert found["unallocated_share_percent"] == pytest.approx(100 * 5 / 45, abs=0.01)
    assert found["cost_usd"] == 45 * 30  # days


def test_an_overspent_budget_comes_before_a_full_one():
    platform = Platform()
    platform.tenant("acme")
    for account, used in (("full", 3), ("over", 4), ("idle", 0)):
        platform.cap("acme", account, 3)
        platform.state("acme", account, "2026-11-22", {"CREATE_INTERNAL_NOTE": used})
    table = platform.table()
    preview = PREVIEWS["autonomy_budget"]
    assert list(preview.worst_first(table.frame)["account"])[:2] == ["over", "full"]
    found = preview.figures(table)
    assert (found["accounts_overspent"], found["accounts"]) == (1, 3)
    assert found["fullest_budget_percent"] == pytest.approx(100 * 4 / 3, abs=0.01)


def test_a_tool_without_calls_is_counted_and_figures_that_are_not_known_are_left_out():
    steady, silent = World().steady().summary(), World().summary()
    preview = PREVIEWS["tool_slo_summary"]
    assert preview.figures(steady)["tools_out_of_slo"] == 0
    found = preview.figures(silent)
    assert found["tools_without_calls"] == len({row.canonical_tool for row in silent.rows})
    assert "worst_error_percent" not in found


def test_figures_have_short_names_and_are_plain_numbers():
    tables = {
        "tool_slo_summary": World().steady().summary(),
        "tenant_cost_report": Bill().table(),
        "autonomy_budget": Platform().table(),
    }
    for name, table in tables.items():
        for figure, number in PREVIEWS[name].figures(table).items():
            assert type(number) in (int, float), figure
            assert re.fullmatch(r"[a-z0-9_]+", figure)
            assert len(figure) <= _LONGEST_NAME, figure


def test_rows_are_sorted_by_each_key_largest_first_and_those_without_one_come_last():
    frame = pd.DataFrame({"name": list("abcd")})
    flags = pd.Series([False, True, True, False])
    sizes = pd.Series([1.0, None, 2.0, 3.0])
    assert list(by(frame, flags, sizes)["name"]) == ["c", "b", "d", "a"]


def test_figures_that_are_empty_or_endless_are_left_out():
    given = figures(a=1, b=None, c=float("nan"), d=float("inf"), e=pd.NA, f=2.00016, g=Decimal(3))
    assert given == {"a": 1, "f": 2.0002, "g": 3}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        (float("nan"), ""),
        (0.00083333, "0.0008"),
        (123456.7, "123457"),
        (Decimal("188.9920000000"), "188.992"),
        (Decimal("0E-10"), "0"),
        (datetime(2026, 11, 23, 12, tzinfo=UTC), "2026-11-23 12:00:00"),
        (7, "7"),
        (True, "True"),
    ],
)
def test_a_cell_is_as_people_read_it(value, shown):
    assert cell(value) == shown
