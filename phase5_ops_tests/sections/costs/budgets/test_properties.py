"""Properties of row 5.1: whatever is approved by the rules is not found, and one wrong number is found for what it is."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.sections.costs.budgets.judge import judge_budget_visible
from phase5_ops.sections.costs.budgets.plot import plot_budget_use
from phase5_ops.sections.costs.budgets.report import by_tenant
from phase5_ops_tests.evidence.drawings import texts_of
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.costs.budgets.autonomy_platform import CRM, LINKS, NOTE, NOW, TASK, Platform, healthy

pytestmark = pytest.mark.slow

OWNERS = [("acme", "eu"), ("acme", "us"), ("globex", "eu")]

approvals = st.lists(
    st.fixed_dictionaries(
        {
            "owner": st.sampled_from(OWNERS),
            "seconds_ago": st.floats(10, 9 * 86_400),
            "action_type": st.sampled_from([NOTE, TASK, CRM]),
            "gate_ms": st.sampled_from([0, 60, 2_000]),
            "consumed_ms": st.floats(0, 1),
            "shape": st.sampled_from(
                [
                    {},
                    {"outcome": None},
                    {"outcome": None, "status": "RESERVED"},
                    {"outcome": False},
                    {"state": False},
                    {"intent": False},
                    {"intent": False, "outcome": None},
                ]
            ),
        }
    ),
    max_size=25,
)


def platform_of(sequence: list[dict]) -> Platform:
    """What the tables hold after these approvals, each consumed somewhere between approval and the gate's state."""
    platform = Platform()
    consumed: dict[tuple[str, str, str], dict[str, int]] = {}
    for tenant in ("acme", "globex"):
        platform.tenant(tenant)
    for owner in OWNERS:
        platform.cap(*owner, 25)
    for each in sequence:
        approved = NOW - timedelta(seconds=each["seconds_ago"])
        platform.approval(*each["owner"], approved, each["action_type"], gate_ms=each["gate_ms"], **each["shape"])
        day = (approved + timedelta(milliseconds=each["gate_ms"] * each["consumed_ms"])).date().isoformat()
        counts = consumed.setdefault((*each["owner"], day), {})
        counts[each["action_type"]] = counts.get(each["action_type"], 0) + 1
    for (tenant, account, day), counts in consumed.items():
        platform.state(tenant, account, day, counts)
    return platform


@settings(max_examples=40)
@given(approvals)
def test_any_valid_sequence_of_approvals_gives_no_finding(sequence: list[dict]):
    assert platform_of(sequence).codes() == []


@settings(max_examples=25)
@given(
    approvals.filter(
        lambda each: any(one["seconds_ago"] < 86_400 * 6 and one["shape"].get("outcome", True) is not None for one in each)
    ),
    st.data(),
)
def test_one_wrong_count_gives_exactly_its_code(sequence: list[dict], data: st.DataObject):
    # an approval that nothing ties to an account would explain a surplus
    platform = platform_of([each for each in sequence if each["shape"] != {"intent": False, "outcome": None}])
    states = [each for each in platform.tables["budget_state"] if each["sk"]["S"] >= "BUDGET_STATE#2026-11-17"]
    chosen = data.draw(st.sampled_from(states))
    name = data.draw(st.sampled_from(sorted(chosen["counts"]["M"])))
    step, code = data.draw(st.sampled_from([(1, "budget_overcounted"), (-1, "budget_undercounted")]))
    chosen["counts"]["M"][name] = {"N": str(int(chosen["counts"]["M"][name]["N"]) + step)}
    chosen["total"] = {"N": str(int(chosen["total"]["N"]) + step)}
    assert set(platform.codes()) == {code}
    chosen["total"] = {"N": str(int(chosen["total"]["N"]) - step)}
    assert set(platform.codes()) == {code, "budget_state_inconsistent"}


@settings(max_examples=20)
@given(approvals, st.randoms())
def test_the_order_of_items_does_not_matter(sequence: list[dict], random: object):
    platform = platform_of(sequence)
    before = platform.table()
    for items in platform.tables.values():
        random.shuffle(items)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(platform.table().frame, before.frame)


def test_the_table_survives_parquet_with_its_verdict(tmp_path):
    platform = healthy()
    platform.tables["budget_state"][1]["total"] = {"N": "9"}
    table = platform.table()
    read = assert_kept(table, tmp_path)
    assert judge_budget_visible(read, links=LINKS) == judge_budget_visible(table, links=LINKS)


def test_a_thousand_tenants_are_judged_and_the_report_stays_short():
    platform = Platform()
    for number in range(1_000):
        platform.tenant(f"t{number}")
        platform.cap(f"t{number}", "eu", 3)
        platform.state(f"t{number}", "eu", "2026-11-20", {NOTE: 1})
        platform.approval(f"t{number}", "eu", NOW - timedelta(days=3))
    table = platform.table()
    assert (len(table.rows), platform.codes()) == (7_000, [])
    report = by_tenant(table.frame)
    assert "950 more tenants" in report
    assert len(report) < 10_000


def test_the_picture_is_drawn_for_no_account_one_and_many():
    for number in (0, 1, 60):
        platform = Platform()
        platform.tenant("alone")
        for account in range(number):
            platform.cap("alone", f"eu-{account}" * 9, account % 3)
            platform.state("alone", f"eu-{account}" * 9, "2026-11-20", {NOTE: account % 5})
        drawing = plot_budget_use(platform.table())
        assert drawing is not None
        assert f"Autonomy budgets: 1 tenants, {max(number, 1)} accounts" in texts_of(drawing)
        assert ("no account has a cap or used an action" in texts_of(drawing)) is (number < 2)


def test_the_report_escapes_what_markdown_would_read():
    platform = Platform()
    platform.tenant("a|b\nc", execution_enabled=False)
    platform.tenant("stopping", disabled_action_types=[NOTE])
    lines = by_tenant(platform.table().frame).splitlines()
    assert len(lines) == 4
    assert "a\\|b c" in lines[2]
    assert "stopped" in lines[2]
    assert f"stops {NOTE}" in lines[3]
