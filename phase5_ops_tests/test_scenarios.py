"""The scenarios as acceptance tests: each turns exactly the rows it declares, into what it declares, and the gate says so.

A scenario is judged on every row whose evidence reads something that the scenario changed; the other rows see the healthy
platform, on which the scenario `healthy` judges them. PHASE5_WHOLE_SCENARIOS=1 judges every row of every scenario.
"""

import os
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime

import dagster as dg
import pytest

from phase5_ops.build import implemented_checks
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.findings import catalogue
from phase5_ops.sandbox.scenarios import replay_probes
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios, named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.traffic import rows_of
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, run
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_run
from phase5_ops_tests.test_summaries import says_what_was_not_judged

SCENARIOS = all_scenarios()
WHOLE = {"PHASE5_WHOLE_SCENARIOS"} & set(os.environ)  # read before a test clears the environment
WHOLE_RUNS = [
    each for each in SCENARIOS if not each.change.__module__.endswith((".replay_audit", ".replay_probes", ".isolation"))
]  # those have tests of their own
PROBED = (*replay_probes.ROWS, "4.1")
JUDGED = tuple(row.id for row in ALL_CHECKS if row.check in implemented_checks())

_METRICS_AND_ALARMS = frozenset({"tool_slo_summary", "slo_alarms", "runbook", "breaker_snapshot"})
_RECORDS = frozenset({"replay_audit", "tenant_log_scan", "autonomy_budget", "tenant_cost_report"})
_BILL = frozenset({"tenant_cost_report"})
#: Field of the blueprint -> the assets that read what it becomes; a field that is not here is read by every asset.
READERS = {
    **dict.fromkeys(("traffic", "points", "alarms", "alarm_states", "composites", "mute_rules", "topics"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("dashboards", "runbook", "breakers"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("items", "raw_items"), _RECORDS),
    **dict.fromkeys(("billing", "cost_tags", "cost_tags_updated", "cost_budgets"), _BILL),
    "logs": frozenset({"tenant_log_scan"}),
    "roles": frozenset({"role_access"}),
}


def judged_in(scenario: Scenario) -> tuple[str, ...]:
    """The rows that a run of the scenario is held to: probes take their time, so most scenarios are tried without them."""
    if scenario.change.__module__.endswith(".platform"):
        return JUDGED
    rows = [row for row in ALL_CHECKS if row.id in JUDGED and row.id not in PROBED]
    now = datetime.fromisoformat(NOW)
    state, healthy = scenario.blueprint(now, "us-west-2"), named("healthy").blueprint(now, "us-west-2")
    changed = [field.name for field in fields(state) if getattr(state, field.name) != getattr(healthy, field.name)]
    if "PHASE5_WHOLE_SCENARIOS" in WHOLE or any(name not in READERS for name in changed):
        return tuple(row.id for row in rows)
    readers = frozenset().union(*(READERS[name] for name in changed))
    return tuple(row.id for row in rows if row.asset in readers)


def exit_code_of(verdicts: dict[str, Verdict]) -> int:
    """1 if a row fails, else 2 if one is not decided, else 1 where signatures are asked for, which is in a run of all rows."""
    if Verdict.FAIL in verdicts.values():
        return 1
    if any(verdict.blocks for verdict in verdicts.values()):
        return 2
    return 1 if set(verdicts) == set(JUDGED) else 0


@pytest.mark.parametrize("scenario", WHOLE_RUNS, ids=lambda scenario: scenario.name)
def test_a_scenario_turns_exactly_its_rows(scenario: Scenario, start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "2")
    monkeypatch.setattr("phase5_ops.slo.assets.plot_summary", lambda *_, **__: b"")  # their own tests draw them
    monkeypatch.setattr("phase5_ops.costs.cost_assets.plot_costs", lambda *_: b"")
    monkeypatch.setattr("phase5_ops.costs.budget_assets.plot_budget_use", lambda *_: b"")
    start(scenario.name)
    rows = judged_in(scenario)
    assert set(scenario.turns) <= set(rows)
    if rows != JUDGED:
        monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
    instance = dg.DagsterInstance.ephemeral()
    document = run(rows=None if rows == JUDGED else list(rows), instance=instance)
    entries = {entry.id: entry for entry in (*document.rows, *document.extra_checks)}
    verdicts = {row: entries[row].verdict for row in rows}
    assert verdicts == {row: scenario.turns[row][0] if row in scenario.turns else Verdict.PASS for row in rows}
    for row, (_, code) in scenario.turns.items():
        assert code in {finding.code for finding in entries[row].findings}
    for row in rows:
        if verdicts[row] in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            assert says_what_was_not_judged(entries[row].summary)
    assert document.decision == "BLOCKED"
    assert document.exit_code == exit_code_of(verdicts)
    assert_gate_says(of_run(instance, load_settings(), document, rows), scenario.turns)


def test_there_are_scenarios_for_every_kind_of_fault():
    faults = [scenario for scenario in SCENARIOS if scenario.turns]
    assert len(faults) >= 25
    assert {verdict for scenario in faults for verdict, _ in scenario.turns.values()} == set(Verdict) - {Verdict.PASS}


def test_scenarios_declare_only_known_codes():
    assert {code for scenario in SCENARIOS for _, code in scenario.turns.values()} <= set(catalogue())


def test_a_scenario_is_the_same_whenever_it_is_seeded_at_the_same_moment():
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    compared = []  # traffic is slow to make, and most scenarios leave it alone
    for scenario in SCENARIOS:
        first, second = (scenario.blueprint(now, "us-west-2") for _ in range(2))
        assert first == second
        if (first.traffic, first.points) not in compared:
            compared.append((first.traffic, first.points))
            assert rows_of(first) == rows_of(second)
