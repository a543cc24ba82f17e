"""The scenarios as acceptance tests: each turns exactly the rows it declares, into what it declares, and the gate says so.

A scenario is judged on every row whose evidence reads something that the scenario changed; the other rows see the healthy
platform, on which the scenario `healthy` judges them. One scenario of each kind goes through Dagster; the others are gathered and
judged by the same declarations without it. PHASE5_WHOLE_SCENARIOS=1 judges every row of every scenario, through Dagster.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import Any

import dagster as dg
import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.build import CATALOGUE, EVIDENCE, implemented_checks
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.context import open_run
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.orchestration.wiring import Evidence
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.scenarios import replay_probes
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios, named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.traffic import rows_of
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, run
from phase5_ops_tests.documentation.test_summaries import says_what_was_not_judged
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_judgements, of_run
from phase5_ops_tests.sections.replay.probes.few_probes import every_probe
from phase5_ops_tests.without_dagster import gathered, judged

pytestmark = pytest.mark.slow

REGION = "us-west-2"
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
_LOGS, _ROLES = frozenset({"tenant_log_scan"}), frozenset({"role_access"})
#: Field of the blueprint -> the assets that read what it becomes; a field that is not here is read by every asset.
READERS = {
    **dict.fromkeys(("traffic", "points", "alarms", "alarm_states", "composites", "mute_rules", "topics"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("dashboards", "runbook", "breakers"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("items", "raw_items"), _RECORDS),
    **dict.fromkeys(("billing", "cost_tags", "cost_tags_updated", "cost_budgets"), _BILL),
    "logs": _LOGS,
    "roles": _ROLES,
    "tenants": frozenset({"tenant_log_scan", "autonomy_budget", "tenant_cost_report", "breaker_snapshot"}),
}
#: Operation that a fault strikes -> the assets that call it; a fault of another one may strike every asset.
CALLERS = {
    **dict.fromkeys(("GetMetricData", "ListDashboards", "DescribeAlarms", "ListSubscriptionsByTopic"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("ListCostAllocationTags", "GetCostAndUsage", "DescribeBudgets"), _BILL),
    "FilterLogEvents": _LOGS,
    "GetAccountAuthorizationDetails": _ROLES,
}
#: What is asked of a table itself, which no scenario changes.
NO_ITEMS = {"dynamodb:DescribeTable", "dynamodb:GetResourcePolicy", "dynamodb:ListTables"}
#: Gathered from metrics and dashboards alone, which takes longest: a scenario that leaves those alone takes the healthy tables.
SUMMARY = ("registered_tools", "tool_slo_summary")
LEAVES_SUMMARY = frozenset({"alarms", "alarm_states", "mute_rules", "topics", "runbook", "breakers"})


@cache
def healthy_platform() -> Blueprint:
    """What scenarios are compared with."""
    return named("healthy").blueprint(datetime.fromisoformat(NOW), REGION)


@cache
def changed_by(name: str) -> frozenset[str]:
    """The fields of the blueprint in which the scenario of this name is not the healthy platform."""
    now = datetime.fromisoformat(NOW)
    state, healthy = named(name).blueprint(now, REGION), healthy_platform()
    return frozenset(field.name for field in fields(state) if getattr(state, field.name) != getattr(healthy, field.name))


def readers_of(scenario: Scenario) -> frozenset[str] | None:
    """The assets that read something that the scenario changed; None for all."""
    found = []
    for name in changed_by(scenario.name):
        if name == "faults":
            faults = scenario.blueprint(datetime.fromisoformat(NOW), REGION).faults
            found += [CALLERS.get(str(fault.get("operation"))) for fault in faults]
        else:
            found.append(READERS.get(name))
    return None if None in found else frozenset().union(*found)


def judged_in(scenario: Scenario) -> tuple[str, ...]:
    """The rows that a run of the scenario is held to: probes take their time, so most scenarios are tried without them."""
    if scenario.change.__module__.endswith(".platform"):
        return JUDGED
    rows = [row for row in ALL_CHECKS if row.id in JUDGED and row.id not in PROBED]
    readers = readers_of(scenario)
    if WHOLE or readers is None:
        return tuple(row.id for row in rows)
    return tuple(row.id for row in rows if row.asset in readers)


def first_of_each_module() -> frozenset[str]:
    """A scenario of each kind of fault, together of every verdict."""
    first: dict[str, str] = {}
    for scenario in WHOLE_RUNS:
        first.setdefault(scenario.change.__module__, scenario.name)
    return frozenset(first.values())


def exit_code_of(verdicts: dict[str, Verdict]) -> int:
    """1 if a row fails, else 2 if one is not decided, else 1 where signatures are asked for, which is in a run of all rows."""
    if Verdict.FAIL in verdicts.values():
        return 1
    if any(verdict.blocks for verdict in verdicts.values()):
        return 2
    return 1 if set(verdicts) == set(JUDGED) else 0


THROUGH_DAGSTER = [
    each for each in WHOLE_RUNS if WHOLE or each.name in first_of_each_module() or each.change.__module__.endswith(".platform")
]


@pytest.fixture
def begin(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], tuple[str, ...]]:
    """Starts the sandbox in a scenario; the rows that it is held to."""

    def started(scenario: Scenario) -> tuple[str, ...]:
        monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "2")
        start(scenario.name)
        rows = judged_in(scenario)
        assert set(scenario.turns) <= set(rows)
        if rows != JUDGED:
            monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
        return rows

    return started


def assert_turned(scenario: Scenario, rows: tuple[str, ...], document: ReadinessDocument) -> None:
    """Exactly what the scenario declares, with its codes, and nothing opens."""
    entries = entries_of(document)
    verdicts = {row: entries[row].verdict for row in rows}
    assert verdicts == {row: scenario.turns[row][0] if row in scenario.turns else Verdict.PASS for row in rows}
    for row, (_, code) in scenario.turns.items():
        assert code in {finding.code for finding in entries[row].findings}
    for row in rows:
        if verdicts[row] in (Verdict.INCONCLUSIVE, Verdict.ERROR):
            assert says_what_was_not_judged(entries[row].summary)
    assert document.decision == ("BLOCKED" if document.covers is None else "NOT_DECIDED")
    assert document.exit_code == exit_code_of(verdicts)


def entries_of(document: ReadinessDocument) -> dict[str, RowEntry]:
    return {entry.id: entry for entry in (*document.rows, *document.extra_checks)}


@pytest.fixture(scope="module")
def healthy_summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GatheredTable[Any, Any]]:
    """What is gathered from metrics and dashboards of the healthy platform."""
    folder = tmp_path_factory.mktemp("healthy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as sandbox:
            for name, value in {**sandbox.exports(), "PHASE5_PROBE_MODE": "off"}.items():
                patch.setenv(name, value)
            return gathered(open_run(load_settings(state_dir=folder), "healthy"), SUMMARY)


@pytest.mark.parametrize("scenario", [each for each in WHOLE_RUNS if each not in THROUGH_DAGSTER], ids=lambda each: each.name)
def test_a_scenario_turns_exactly_its_rows(scenario: Scenario, begin, healthy_summary):
    rows = begin(scenario)
    settings = load_settings()
    made = judged(settings, rows, healthy_summary if changed_by(scenario.name) <= LEAVES_SUMMARY else None)
    assert_turned(scenario, rows, made.document)
    assert_gate_says(of_judgements(made.judgements, settings.gate), scenario.turns)


@pytest.mark.parametrize("scenario", THROUGH_DAGSTER, ids=lambda each: each.name)
def test_a_whole_run_of_a_scenario_turns_exactly_its_rows(scenario: Scenario, begin, tmp_path):
    rows = begin(scenario)
    instance = dg.DagsterInstance.ephemeral()
    with every_probe() if scenario.name == "healthy" else nullcontext():
        document = run(rows=None if rows == JUDGED else list(rows), instance=instance)
    assert_turned(scenario, rows, document)
    assert_gate_says(of_run(instance, load_settings(), document, rows), scenario.turns)
    if rows != JUDGED:  # and without Dagster the same is found, by a run that is a first one too
        alone_settings = load_settings(state_dir=tmp_path / "alone")
        dynamodb_backends[ACCOUNT][REGION].tables[alone_settings.tables.readiness].items.clear()
        alone = entries_of(judged(alone_settings, rows).document)
        found = entries_of(document)
        assert {row: found_in(alone[row]) for row in rows} == {row: found_in(found[row]) for row in rows}


def found_in(entry: RowEntry) -> tuple[object, ...]:
    """What a judge found, but for the times of the reading."""
    return entry.verdict, entry.summary, [(each.code, each.subject, each.expected) for each in entry.findings], entry.observed_at


def test_whole_runs_are_made_of_every_kind_of_fault_and_of_every_verdict():
    assert {verdict for each in THROUGH_DAGSTER for verdict, _ in each.turns.values()} == set(Verdict) - {Verdict.PASS}
    assert {each.change.__module__ for each in THROUGH_DAGSTER} == {each.change.__module__ for each in WHOLE_RUNS}


def test_an_asset_reads_nothing_of_what_is_left_out_where_only_its_readers_are_judged(start, monkeypatch):
    """The tables above say what a scenario cannot reach; here is what each asset really reads."""
    start("healthy")
    monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
    platform = open_run(load_settings(), "reading", look_back)
    calls: dict[str, set[str]] = {}
    scanned: dict[str, set[str]] = {}
    tables: dict[str, GatheredTable[Any, Any]] = {}
    assets = [row.asset for row in ALL_CHECKS if row.id in JUDGED and row.id not in PROBED]
    for name in dict.fromkeys(("registered_tools", "tool_slo_summary", "replay_probes_sent", "replay_probe", *assets)):
        before = dict(platform.reader.meter.calls)
        needed = evidence_of(name).needs
        tables |= gathered(platform, (*needed, name), tables)
        meter = platform.reader.meter.calls
        calls[name] = {call for call in meter if meter[call] != before.get(call, 0)}
        of_tables = [read for read in tables[name].reads if read.operation.startswith("dynamodb:")]
        scanned[name] = {read.resource for read in of_tables if read.operation not in NO_ITEMS}
    for operation, callers in CALLERS.items():
        assert {name for name, called in calls.items() if any(call.endswith(f":{operation}") for call in called)} <= callers
    services = {name: {call.split(":")[0] for call in called} for name, called in calls.items()}
    for service, readers in {
        "cloudwatch": _METRICS_AND_ALARMS,
        "sns": _METRICS_AND_ALARMS,
        "logs": _LOGS,
        "iam": _ROLES,
        "ce": _BILL,
        "budgets": _BILL,
    }.items():
        assert {name for name, used in services.items() if service in used} <= readers
    assert {name for name, read in scanned.items() if "cc-native-tenants" in read} == READERS["tenants"]
    assert {name for name, read in scanned.items() if "cc-native-resilience" in read} <= READERS["breakers"]
    of_summary = set().union(*(calls[name] for name in SUMMARY)) - {"sts:GetCallerIdentity"}
    metrics = {f"cloudwatch:{name}" for name in ("ListMetrics", "GetMetricData", "ListDashboards", "GetDashboard")}
    assert of_summary == metrics | {"dynamodb:Scan"}
    assert set().union(*(scanned[name] for name in SUMMARY)) == {"cc-native-action-type-registry"}


def evidence_of(name: str) -> Evidence:
    return next(evidence for evidence in EVIDENCE if evidence.name == name)


def test_there_are_scenarios_for_every_kind_of_fault():
    faults = [scenario for scenario in SCENARIOS if scenario.turns]
    assert len(faults) >= 25
    assert {verdict for scenario in faults for verdict, _ in scenario.turns.values()} == set(Verdict) - {Verdict.PASS}


def test_scenarios_declare_only_known_codes():
    assert {code for scenario in SCENARIOS for _, code in scenario.turns.values()} <= set(CATALOGUE.by_name)


def test_a_scenario_is_the_same_whenever_it_is_seeded_at_the_same_moment():
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    compared = []  # traffic is slow to make, and most scenarios leave it alone
    for scenario in SCENARIOS:
        first, second = (scenario.blueprint(now, REGION) for _ in range(2))
        assert first == second
        if (first.traffic, first.points) not in compared:
            compared.append((first.traffic, first.points))
            assert rows_of(first) == rows_of(second)
