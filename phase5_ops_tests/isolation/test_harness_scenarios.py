"""The scenarios of row 4.1, each on a platform that really leaks; other tests go through Dagster."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.build import open_platform
from phase5_ops.isolation.harness_assets import OWN_READS
from phase5_ops.isolation.harness_judge import judge_harness
from phase5_ops.isolation.harness_run import collect_harness
from phase5_ops.isolation.harness_start import start_harness
from phase5_ops.sandbox.blueprint import ACCOUNT
from phase5_ops.sandbox.holes import Hole
from phase5_ops.sandbox.probe_tenants import B
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.sandbox.scenarios.isolation import HARNESS
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW

REGION = "us-west-2"
SCENARIOS = [each for each in all_scenarios() if each.change.__module__.endswith(".isolation")]
LARGE = ("cc-native-ledger", "cc-native-execution-outcomes", "cc-native-autonomy-budget-state", "cc-native-execution-attempts")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A healthy platform without its past, which takes long to compare."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            for table in LARGE:
                tables()[table].items.clear()
            yield running


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


def judged(state_dir: Path) -> Judgement:
    """Row 4.1 of a run against whatever the environment points to."""
    platform = open_platform(load_settings(state_dir=state_dir), str(uuid4()))
    table = collect_harness(platform, start_harness(platform))
    settings = platform.settings
    return judge_harness(
        table, policy=settings.isolation, environment=settings.environment, links=platform.links, ignoring=OWN_READS
    )


@pytest.fixture
def put(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The sandbox as the environment's platform, without holes before and after."""
    for name, value in {**sandbox.exports(), "PHASE5_PROBES__RUNS_PER_HOUR": "1000", "PHASE5_READING__MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    yield sandbox
    sandbox.holes.clear()


def test_a_healthy_platform_passes_with_every_read_judged_and_every_probe_refused(put: Sandbox, tmp_path: Path):
    judgement = judged(tmp_path)
    assert (judgement.verdict, judgement.findings) == (Verdict.PASS, ())
    facts = judgement.facts
    assert facts["reads_not_judged"] == facts["violations"] == 0
    assert facts["probes_refused"] == facts["probes"] >= 20
    assert min(facts["reads_judged"], facts["keys_written"], facts["events"]) > 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_leak_is_found_and_nothing_else(scenario: Scenario, put: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    state = scenario.blueprint(datetime.fromisoformat(NOW), REGION)
    for name, value in state.settings.items():
        monkeypatch.setenv(name, value)
    before = items_of_b()
    put.holes.update(state.holes)
    judgement = judged(tmp_path)
    verdict, code = scenario.turns[HARNESS]
    found = [(finding.code, finding.subject, finding.seen) for finding in judgement.findings]
    assert judgement.verdict == verdict, found
    assert code in {finding.code for finding in judgement.findings}, found
    assert items_of_b() == before


def test_there_is_a_scenario_for_every_hole_of_executions_and_routes():
    named = {hole for each in SCENARIOS for hole in each.blueprint(datetime.fromisoformat(NOW), REGION).holes}
    first = list(Hole).index(Hole.NOTE_UNDER_PREFIX_TENANT)
    assert named == set(list(Hole)[first : list(Hole).index(Hole.DOWN)])
    leaks = [each for each in all_scenarios() if (Verdict.FAIL, "foreign_tenant_in_log") in each.turns.values()]
    assert len(leaks) + sum(each.turns[HARNESS][0] is Verdict.FAIL for each in SCENARIOS) >= 20
