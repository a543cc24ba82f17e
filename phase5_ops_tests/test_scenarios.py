"""The scenarios as acceptance tests: each turns exactly the rows it declares, into what it declares, and the gate says so.

A scenario is judged on every row whose evidence reads something that the scenario changed; the other rows see the healthy
platform, on which the scenario `healthy` judges them. One sandbox is put into one scenario after the other, and of the evidence
of a row only the tables that can be others than those of the healthy platform are gathered anew. One scenario of each kind goes
through Dagster; the others are gathered and judged by the same declarations without it. PHASE5_WHOLE_SCENARIOS=1 gathers and
judges every row of every scenario, through Dagster.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from phase5_ops.build import CATALOGUE, EVIDENCE, evidence_for, implemented_checks
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.context import open_run
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.orchestration.wiring import Evidence
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.scenarios import replay_probes
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios, named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.healthy import healthy
from phase5_ops.sandbox.state.traffic import rows_of
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, clean, run, standing
from phase5_ops_tests.documentation.test_summaries import says_what_was_not_judged
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_judgements, of_run
from phase5_ops_tests.sandbox.state.changing import CHANGEABLE, changed, in_scenario
from phase5_ops_tests.sandbox.state.seeded_once import seeded_once
from phase5_ops_tests.sections.replay.probes.few_probes import every_probe
from phase5_ops_tests.without_dagster import gathered, judged

pytestmark = pytest.mark.slow(100)

REGION = "us-west-2"
SCENARIOS = all_scenarios()
WHOLE = {"PHASE5_WHOLE_SCENARIOS"} & set(os.environ)  # read before a test clears the environment
WHOLE_RUNS = [
    each
    for each in SCENARIOS
    if not each.change.__module__.endswith((".replay_audit", ".replay_probes", ".isolation", ".audit_export"))
]  # those have tests of their own
PROBED = (*replay_probes.ROWS, "4.1", "audit_export_is_whole")
JUDGED = tuple(row.id for row in ALL_CHECKS if row.check in implemented_checks())
UNPROBED = tuple(row for row in JUDGED if row not in PROBED)

_METRICS_AND_ALARMS = frozenset({"tool_slo_summary", "slo_alarms", "alarm_replay", "runbook", "breaker_snapshot"}) | {
    "execution_outcomes"
}
_ACCOUNTS = frozenset({"tenant_log_scan", "autonomy_budget", "autonomy_changes", "tenant_cost_report"})
_RECORDS = _ACCOUNTS | {"replay_audit", "execution_outcomes"}
_BILL = frozenset({"tenant_cost_report"})
_LOGS, _ROLES = frozenset({"tenant_log_scan"}), frozenset({"role_access"})
#: Field of the blueprint -> the assets that read what it becomes; a field that is not here is read by every asset.
READERS = {
    **dict.fromkeys(
        ("traffic", "points", "alarms", "alarm_states", "alarm_histories", "composites", "mute_rules", "topics"),
        _METRICS_AND_ALARMS,
    ),
    **dict.fromkeys(("dashboards", "runbook", "breakers"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("items", "raw_items"), _RECORDS),
    **dict.fromkeys(("billing", "cost_tags", "cost_tags_updated", "cost_budgets"), _BILL),
    "logs": _LOGS,
    "roles": _ROLES,
    "tenants": _ACCOUNTS | {"breaker_snapshot"},
}
#: Operation that a fault strikes -> the assets that call it; a fault of another one may strike every asset.
CALLERS = {
    **dict.fromkeys(("GetMetricData", "ListDashboards", "DescribeAlarms", "ListSubscriptionsByTopic"), _METRICS_AND_ALARMS),
    **dict.fromkeys(("ListCostAllocationTags", "GetCostAndUsage", "DescribeBudgets"), _BILL),
    "DescribeAlarmHistory": frozenset({"alarm_replay"}),
    "FilterLogEvents": _LOGS,
    "GetAccountAuthorizationDetails": _ROLES,
}
#: What is asked of a table itself, which no scenario changes.
NO_ITEMS = {"dynamodb:DescribeTable", "dynamodb:GetResourcePolicy", "dynamodb:ListTables"}
#: Gathered from metrics and dashboards alone, which takes longest.
SUMMARY = ("registered_tools", "tool_slo_summary")
#: Field of the blueprint, or operation -> the assets that read it themselves, where others see it only in the tables of these.
READ_BY = {
    # an alarm's state comes of metrics
    **dict.fromkeys(("traffic", "points"), frozenset({"tool_slo_summary", "slo_alarms", "alarm_replay"})),
    **dict.fromkeys(("alarms", "alarm_states", "composites", "mute_rules", "topics"), frozenset({"slo_alarms"})),
    **dict.fromkeys(("ListDashboards", "dashboards"), frozenset({"tool_slo_summary"})),
    "GetMetricData": frozenset({"tool_slo_summary", "alarm_replay"}),
    "alarm_histories": frozenset({"slo_alarms", "alarm_replay"}),  # when an alarm was put is in both
    **dict.fromkeys(("DescribeAlarms", "ListSubscriptionsByTopic"), frozenset({"slo_alarms"})),
    "runbook": frozenset({"runbook"}),
    "breakers": frozenset({"breaker_snapshot"}),
}


@cache
def changed_by(name: str) -> frozenset[str]:
    """The fields of the blueprint in which the scenario of this name is not the healthy platform."""
    return changed(named(name).blueprint(datetime.fromisoformat(NOW), REGION), REGION)


def touched_by(scenario: Scenario) -> list[str]:
    """What the scenario changed: fields of the blueprint, and in place of its faults the operations that they strike."""
    faults = scenario.blueprint(datetime.fromisoformat(NOW), REGION).faults
    return [*(changed_by(scenario.name) - {"faults"}), *(str(fault.get("operation")) for fault in faults)]


def anew(scenario: Scenario) -> frozenset[str] | None:
    """The assets that are gathered in the scenario, since they or what they are made of read what it changed; None for all."""
    if readers_of(scenario) is None:
        return None
    found = frozenset[str]().union(*(READ_BY.get(name) or READERS.get(name) or CALLERS[name] for name in touched_by(scenario)))
    while more := {evidence.name for evidence in EVIDENCE if found & set(evidence.needs)} - found:
        found |= more
    return found


def readers_of(scenario: Scenario) -> frozenset[str] | None:
    """The assets that read something that the scenario changed; None for all."""
    found = [READERS.get(name) or CALLERS.get(name) for name in touched_by(scenario)]
    return None if None in found else frozenset().union(*found)


def judged_in(scenario: Scenario) -> tuple[str, ...]:
    """The rows that a run of the scenario is held to: probes take their time, so most scenarios are tried without them."""
    if scenario.change.__module__.endswith((".platform", ".observed")):
        return JUDGED
    readers = readers_of(scenario)
    if WHOLE or readers is None:
        return UNPROBED
    return tuple(row.id for row in ALL_CHECKS if row.id in UNPROBED and row.asset in readers)


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


@pytest.fixture(scope="module")
def healthy_sandbox() -> Iterator[Sandbox]:
    """Runs for the tests of this module, and is put into one scenario after the other."""
    with standing("healthy") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def healthy_tables(healthy_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, GatheredTable[Any, Any]]:
    """What is gathered from the healthy platform without probes."""
    folder = tmp_path_factory.mktemp("healthy")
    with pytest.MonkeyPatch.context() as patch, in_scenario(healthy_sandbox, named("healthy")) as environment:
        clean(patch)
        for name, value in {**environment, "PHASE5_PROBE_MODE": "off"}.items():
            patch.setenv(name, value)
        return gathered(open_run(load_settings(state_dir=folder), "run", look_back), evidence_for(set(UNPROBED)))


#: The rows that a scenario is held to, and of the healthy platform's tables those that are in it what they are without it.
Held = tuple[tuple[str, ...], dict[str, GatheredTable[Any, Any]]]
PutInto = Callable[[Scenario], AbstractContextManager[Held]]


@pytest.fixture
def put_into(healthy_sandbox, healthy_tables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PutInto:
    """Puts the running sandbox into a scenario for a block, and points the environment to it."""

    @contextmanager
    def put(scenario: Scenario) -> Iterator[Held]:
        with in_scenario(healthy_sandbox, scenario) as environment:
            own = {"PHASE5_PROBE_MODE": "off", "PHASE5_STATE_DIR": str(tmp_path / "put"), "PHASE5_READING__MAX_ATTEMPTS": "2"}
            for name, value in {**environment, **own}.items():
                monkeypatch.setenv(name, value)
            rows, assets = judged_in(scenario), anew(scenario)
            assert set(scenario.turns) <= set(rows)
            if WHOLE or assets is None:
                yield rows, {}
            else:
                yield rows, {name: table for name, table in healthy_tables.items() if name not in assets}

    return put


@pytest.fixture
def begin(start: Callable[[str], Sandbox], monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], tuple[str, ...]]:
    """Starts a sandbox in the scenario; the rows that it is held to."""

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


@pytest.mark.parametrize("scenario", [each for each in WHOLE_RUNS if each not in THROUGH_DAGSTER], ids=lambda each: each.name)
def test_a_scenario_turns_exactly_its_rows(scenario: Scenario, put_into: PutInto):
    with put_into(scenario) as (rows, untouched):
        settings = load_settings()
        made = judged(settings, rows, untouched)
    assert_turned(scenario, rows, made.document)
    assert_gate_says(of_judgements(made.judgements, settings.gate), scenario.turns)


@pytest.mark.parametrize("scenario", THROUGH_DAGSTER, ids=lambda each: each.name)
def test_a_whole_run_of_a_scenario_turns_exactly_its_rows(scenario: Scenario, put_into: PutInto, begin):
    alone = None
    if scenario in COMPARED:
        with put_into(scenario) as (rows, untouched):
            alone = judged(load_settings(), rows, untouched)
    rows = begin(scenario)
    instance = dg.DagsterInstance.ephemeral()
    with every_probe() if scenario.name == "healthy" else nullcontext():
        document = run(rows=None if rows == JUDGED else list(rows), instance=instance)
    assert_turned(scenario, rows, document)
    assert_gate_says(of_run(instance, load_settings(), document, rows), scenario.turns)
    if alone is not None:  # without Dagster, in the sandbox that was running, the same was gathered and found
        assert_same(alone.tables, tables_of(document))
        before, found = entries_of(alone.document), entries_of(document)
        assert {row: found_in(before[row]) for row in rows} == {row: found_in(found[row]) for row in rows}


with seeded_once():
    #: The scenarios of those whole runs that a running sandbox is put into, too.
    COMPARED = [each for each in THROUGH_DAGSTER if judged_in(each) != JUDGED]


def some_for_each_change() -> list[Scenario]:
    """Scenarios that change, taken together, every field in which a running sandbox is changed and those compared are not."""
    with seeded_once():
        able = {each.name: each for each in WHOLE_RUNS if changed_by(each.name) <= CHANGEABLE}
        left = frozenset[str]().union(*map(changed_by, able)).difference(*(changed_by(each.name) for each in COMPARED))
    chosen = []
    while left:
        name = max(able, key=lambda name: len(changed_by(name) & left))
        chosen.append(able[name])
        left -= changed_by(name)
    return list(able.values()) if WHOLE else chosen


@pytest.mark.parametrize("scenario", some_for_each_change(), ids=lambda each: each.name)
def test_a_sandbox_that_was_put_into_a_scenario_is_what_one_is_that_began_in_it(scenario: Scenario, put_into: PutInto, begin):
    """And what is taken of the healthy platform is what is gathered in the scenario."""
    with put_into(scenario) as (rows, untouched):
        assets = evidence_for(set(rows))
        put = gathered(open_run(load_settings(), "run", look_back), assets, untouched)
    begin(scenario)
    assert_same(put, gathered(open_run(load_settings(), "run", look_back), assets))


def tables_of(document: ReadinessDocument) -> dict[str, GatheredTable[Any, Any]]:
    """What a run of the present settings has gathered."""
    platform = open_run(load_settings(), document.run_id)
    declared = {evidence.name: evidence.table for evidence in EVIDENCE}
    return {
        name: platform.store.read_table(document.run_id, name, declared[name]) for name in evidence_for(set(entries_of(document)))
    }


def assert_same(put: Mapping[str, GatheredTable[Any, Any]], begun: Mapping[str, GatheredTable[Any, Any]]) -> None:
    """In the sandbox that was put into a scenario the same was gathered as in one that began in it."""
    assert put.keys() == begun.keys()
    for name in put.keys() - {"replay_probes_sent", "replay_probe"}:  # they tell of each sandbox's addresses, and are not judged
        assert content_of(put[name]) == content_of(begun[name])


#: What differs in two sandboxes and runs of the same: ids, what is chained to a table's id, folders, and the time that passed.
BY_CHANCE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|ai_[0-9]{13}_phase5\w+|/phase5-sandbox-\w+/|/(healthy|put|state)[^/]*/evidence/[\w-]+/"
    r"|(?<='head': ')[0-9a-f]{64}|(?<=T12:0)[0-9]:[0-9]{2}\.[0-9]{3}Z"
)


def content_of(table: GatheredTable[Any, Any]) -> tuple[list[str], ...]:
    """A table's rows, what is known beside them, and how each read ended, but for what differs by chance."""
    reads = sorted(BY_CHANCE.sub("", repr((each.operation, each.resource, each.status, each.error))) for each in table.reads)
    return [BY_CHANCE.sub("", repr(row)) for row in table.rows], [BY_CHANCE.sub("", repr(table.facts))], reads


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
    runbook = platform.settings.runbook
    calls: dict[str, set[str]] = {}
    scanned: dict[str, set[str]] = {}
    tables: dict[str, GatheredTable[Any, Any]] = {}
    assets = [row.asset for row in ALL_CHECKS if row.id in UNPROBED]
    for name in dict.fromkeys(("registered_tools", "tool_slo_summary", "replay_probes_sent", "replay_probe", *assets)):
        before = dict(platform.reader.meter.calls)
        needed = evidence_of(name).needs
        tables |= gathered(platform, (*needed, name), tables)
        meter = platform.reader.meter.calls
        calls[name] = {call for call in meter if meter[call] != before.get(call, 0)}
        of_tables = [read for read in tables[name].reads if read.operation.startswith("dynamodb:")]
        scanned[name] = {read.resource for read in of_tables if read.operation not in NO_ITEMS}
    for operation, callers in CALLERS.items():
        calling = {name for name, called in calls.items() if any(call.endswith(f":{operation}") for call in called)}
        assert calling <= callers & READ_BY.get(operation, callers)
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
    assert (
        {name for name, read in scanned.items() if "cc-native-resilience" in read} == READ_BY["breakers"] <= READERS["breakers"]
    )
    of_alarms = {"cloudwatch:DescribeAlarms", "cloudwatch:ListAlarmMuteRules", "cloudwatch:GetAlarmMuteRule"}
    assert {name for name, called in calls.items() if called & of_alarms or "sns" in services[name]} == READ_BY["alarms"]
    assert {name for name, table in tables.items() if any(runbook in read.resource for read in table.reads)} == {"runbook"}
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
    assert healthy(now, REGION) == healthy(now, REGION)  # which tests make once, and scenarios change
    compared = []  # traffic is slow to make, and most scenarios leave it alone; its rows are those of its parts
    for scenario in SCENARIOS:
        first, second = (scenario.blueprint(now, REGION) for _ in range(2))
        assert first == second
        for part in (*({"traffic": [each], "points": []} for each in first.traffic), {"traffic": [], "points": first.points}):
            if part not in compared:
                compared.append(part)
                assert rows_of(replace(first, **part)) == rows_of(replace(second, **part))
