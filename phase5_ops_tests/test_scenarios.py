"""The scenarios as acceptance tests: each turns exactly the rows it declares, into what it declares."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from phase5_ops.build import implemented_checks
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.findings import catalogue
from phase5_ops.sandbox.scenarios import replay_probes
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.traffic import rows_of
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import run

SCENARIOS = all_scenarios()
WHOLE_RUNS = [
    each for each in SCENARIOS if not each.change.__module__.endswith((".replay_audit", ".replay_probes", ".isolation"))
]  # those have tests of their own
PROBED = (*replay_probes.ROWS, "4.1")
JUDGED = tuple(row.id for row in ALL_CHECKS if row.check in implemented_checks())


def judged_in(scenario: Scenario) -> tuple[str, ...]:
    """The rows that a run of the scenario is held to: probes take their time, so most scenarios are tried without them."""
    probed = scenario.change.__module__.endswith(".platform")
    return JUDGED if probed else tuple(row for row in JUDGED if row not in PROBED)


@pytest.mark.parametrize("scenario", WHOLE_RUNS, ids=lambda scenario: scenario.name)
def test_a_scenario_turns_exactly_its_rows(scenario: Scenario, start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "2")
    monkeypatch.setattr("phase5_ops.slo.assets.plot_summary", lambda *_, **__: b"")  # their own tests draw them
    monkeypatch.setattr("phase5_ops.costs.cost_assets.plot_costs", lambda *_: b"")
    monkeypatch.setattr("phase5_ops.costs.budget_assets.plot_budget_use", lambda *_: b"")
    start(scenario.name)
    rows = judged_in(scenario)
    if rows != JUDGED:
        monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
    document = run()
    entries = {entry.id: entry for entry in (*document.rows, *document.extra_checks)}
    verdicts = {row: entries[row].verdict for row in rows}
    assert verdicts == {row: scenario.turns[row][0] if row in scenario.turns else Verdict.PASS for row in rows}
    for row, (_, code) in scenario.turns.items():
        assert code in {finding.code for finding in entries[row].findings}
    assert document.decision == "BLOCKED"
    assert document.exit_code in (1, 2)


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
