"""The scenarios of row 4.1, each on a platform that really leaks; other tests go through Dagster."""

from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from phase5_ops.context import RunContext, open_run
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.ccnative.trail_delivery import BUCKET
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.sandbox.scenarios.isolation import HARNESS
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import B
from phase5_ops.sections.isolation.harness import probe_matrix
from phase5_ops.sections.isolation.harness.assets import OWN_READS
from phase5_ops.sections.isolation.harness.collecting import _HarnessCollecting, collect_harness
from phase5_ops.sections.isolation.harness.cross_probes import CrossProbing
from phase5_ops.sections.isolation.harness.judge import judge_harness
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES
from phase5_ops.sections.isolation.harness.starting import start_harness
from phase5_ops.settings import is_production, load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_judgements
from phase5_ops_tests.sections.isolation.harness.support import LARGE
from phase5_ops_tests.sections.replay.probes.few_probes import thin

pytestmark = pytest.mark.slow(60)

REGION = "us-west-2"
SCENARIOS = [each for each in all_scenarios() if each.change.__module__.endswith(".isolation")]
FAULTS = list(PlatformFault)
EXECUTION_FAULTS = set(
    FAULTS[FAULTS.index(PlatformFault.NOTE_UNDER_PREFIX_TENANT) : FAULTS.index(PlatformFault.FOREIGN_EXPLANATION_READABLE)]
)
ROUTE_FAULTS = set(
    FAULTS[FAULTS.index(PlatformFault.FOREIGN_EXPLANATION_READABLE) : FAULTS.index(PlatformFault.TRAIL_NOT_DELIVERED)]
)
PATIENCE = {
    "PHASE5_ISOLATION__OUTCOME_SECONDS": "1",
    "PHASE5_PROBES__RUNS_PER_HOUR": "1000",
    "PHASE5_READING__MAX_ATTEMPTS": "1",
    "PHASE5_READING__DEADLINE_SECONDS": "3600",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A healthy platform."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            yield running


@pytest.fixture(scope="module")
def platform(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    """What all runs work with: making its clients takes longer than a run."""
    with pytest.MonkeyPatch.context() as patch:
        point_at(sandbox, patch)
        return open_run(load_settings(state_dir=tmp_path_factory.mktemp("state")), "unused")


def point_at(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    for name, value in {**sandbox.exports(), **PATIENCE}.items():
        patch.setenv(name, value)


@pytest.fixture
def run(sandbox: Sandbox, platform: RunContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Judgement]]:
    """Judges row 4.1 of a run of its own. There is no past, which takes long to read, and no fault before and after."""
    point_at(sandbox, monkeypatch)
    for table in LARGE:
        tables()[table].items.clear()
    s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys.clear()
    yield lambda: judged(replace(platform, run_id=str(uuid4())))
    sandbox.platform_faults.clear()


def tables():
    return dynamodb_backends[ACCOUNT][REGION].tables


def items_of_b() -> dict[str, list[str]]:
    """Everything that stands under tenant B's keys, the ledger aside, by table."""
    found = {}
    for name, table in tables().items():
        items = [
            item for partition in table.items.values() for item in (partition.values() if table.has_range_key else [partition])
        ]
        mine = [str(sorted(item.to_json()["Attributes"].items())) for item in items if B.tenant_id in str(item.hash_key.value)]
        if mine and name not in ("cc-native-ledger", "cc-native-audit-export"):
            found[name] = sorted(mine)
    return found


def judged(platform: RunContext) -> Judgement:
    table = collect_harness(platform, start_harness(platform))
    return judge_harness(table, production=is_production(platform.settings), links=platform.links, ignoring=OWN_READS)


def test_a_healthy_platform_passes_with_every_read_judged_and_every_probe_refused(
    run: Callable[[], Judgement], monkeypatch: pytest.MonkeyPatch
):
    plan = CrossProbing.plan
    monkeypatch.setattr(CrossProbing, "plan", lambda probing: thin(plan(probing)))  # `test_collecting` sends all of them
    judgement = run()
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    facts = judgement.facts
    assert facts["reads_not_judged"] == facts["violations"] == 0
    assert facts["probes_refused"] == facts["probes"] >= 20
    assert min(facts["reads_judged"], facts["keys_written"], facts["events"]) > 0


#: The route that acts for whom the request names, where it is routes that the scenario opens.
OPENED = {
    PlatformFault.FOREIGN_EXPLANATION_READABLE: "ledger_explanation",
    PlatformFault.FOREIGN_BUDGET_READABLE: "budget",
    PlatformFault.FOREIGN_BUDGET_STATE_READABLE: "budget_state",
    PlatformFault.FOREIGN_CONFIG_READABLE: "config",
    PlatformFault.FOREIGN_KILL_SWITCHES_READABLE: "kill_switches",
    PlatformFault.FOREIGN_EXPORT_READABLE: "export",
    PlatformFault.FOREIGN_EXECUTION_STATUS_READABLE: "execution_status",
    PlatformFault.FOREIGN_EXECUTIONS_READABLE: "executions",
    PlatformFault.FOREIGN_BUDGET_WRITABLE: "write_budget",
    PlatformFault.FOREIGN_CONFIG_WRITABLE: "write_config",
    PlatformFault.CONFIG_KEY_FROM_BODY: "write_config",
    PlatformFault.FOREIGN_KILL_SWITCHES_WRITABLE: "write_kill_switches",
    PlatformFault.FOREIGN_EXPORT_WRITABLE: "create_export",
}


#: Asked of every platform: a route that reads and one that writes.
ASKED = ("config", "write_config")
#: What an execution leaks to where the probes look as well: into the other tenant's partitions.
AMONG_THE_PROBES = {
    PlatformFault.NOTE_IN_OTHER_PARTITION,
    PlatformFault.SIGNAL_FOR_OTHER,
    PlatformFault.EXECUTION_RECORDED_ELSEWHERE,
}


def probe_only(faults: Set[PlatformFault], patch: pytest.MonkeyPatch) -> None:
    """Sends every probe of the routes that these faults open, and a thin plan of two others, which find nothing here.

    A leak of an execution fails the row whatever the probes find, so most of those platforms are not probed.
    """
    opened = {OPENED[fault] for fault in faults if fault in OPENED}
    patch.setattr(probe_matrix, "ROUTES", tuple(route for route in ROUTES if route.name in opened.union(ASKED)))
    plan = CrossProbing.plan

    def reaching(probing: CrossProbing) -> tuple[CrossProbe, ...]:
        probes = plan(probing)
        few = {probe.name for probe in thin(probes)}
        return tuple(probe for probe in probes if probe.route.name in opened or probe.name in few)

    patch.setattr(CrossProbing, "plan", reaching)
    if faults <= EXECUTION_FAULTS - AMONG_THE_PROBES:
        patch.setattr(_HarnessCollecting, "_probe", lambda *_: [])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_leak_is_found(scenario: Scenario, sandbox: Sandbox, run: Callable[[], Judgement], monkeypatch: pytest.MonkeyPatch):
    before = items_of_b()
    faults = scenario.blueprint(datetime.fromisoformat(NOW), REGION).platform_faults
    probe_only(faults, monkeypatch)
    sandbox.platform_faults.update(faults)
    judgement = run()
    verdict, code = scenario.turns[HARNESS]
    found = [(finding.code, finding.subject, finding.seen) for finding in judgement.findings]
    assert judgement.verdict == verdict, found
    assert code in {finding.code for finding in judgement.findings}, found
    assert items_of_b() == before
    assert_gate_says(of_judgements({HARNESS: judgement}), scenario.turns)


def test_there_is_a_scenario_for_every_hole_of_executions_and_routes():
    named = {fault for each in SCENARIOS for fault in each.blueprint(datetime.fromisoformat(NOW), REGION).platform_faults}
    first = FAULTS.index(PlatformFault.NOTE_UNDER_PREFIX_TENANT)
    holes = {fault for fault in FAULTS[first : FAULTS.index(PlatformFault.DOWN)] if not fault.value.startswith("export-")}
    assert named == holes  # those of exports are tried by audit_export_is_whole
    assert set(OPENED) == ROUTE_FAULTS
    leaks = [each for each in all_scenarios() if (Verdict.FAIL, "foreign_tenant_in_log") in each.turns.values()]
    assert len(leaks) + sum(each.turns[HARNESS][0] is Verdict.FAIL for each in SCENARIOS) >= 20
