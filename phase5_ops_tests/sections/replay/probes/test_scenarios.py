"""The scenarios of rows 3.1 and 3.3, each on a Control Center that really has the fault; other tests go through Dagster.

A faulty Control Center is sent a probe of each kind, and those that show the fault: a platform in memory, which answers with the
same code, says which. `healthy` is sent every probe; test_planted_replay_faults.py judges every probe, for many more faults.
"""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.aws.reader import AwsReader
from phase5_ops.context import open_run
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.scenarios.catalogue import all_scenarios
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.scenarios.replay_probes import ROWS
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.healthy import healthy
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.judge import judge_authorization, judge_permissions
from phase5_ops.sections.replay.probes.sending import send_probes
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.gate.candidacy import assert_gate_says, of_judgements
from phase5_ops_tests.sandbox.control_center.memory_platform import MemoryPlatform
from phase5_ops_tests.sections.replay.probes.few_probes import few_probes
from phase5_ops_tests.sections.replay.probes.test_planted_replay_faults import PLAN, answers_of
from phase5_ops_tests.sections.replay.probes.test_planted_replay_faults import healthy as well

pytestmark = pytest.mark.slow(70)

REGION = "us-west-2"
SCENARIOS = [each for each in all_scenarios() if each.change.__module__.endswith(".replay_probes")]
FAULTS = list(PlatformFault)
LEDGER = "cc-native-ledger"
SESSION = boto3.Session("sandbox", "sandbox", region_name=REGION)


def judged(state_dir: Path) -> dict[str, Judgement]:
    """Rows 3.1 and 3.3 of a run against whatever the environment points to."""
    settings = load_settings(state_dir=state_dir)
    platform = open_run(settings, str(uuid4()))
    platform.reader = AwsReader(settings.reading, session=SESSION)  # which knows the services' descriptions from the last test
    table = collect_probes(platform, send_probes(platform))
    return {
        row: judge(table, links=platform.links, ledger_table=LEDGER)
        for row, judge in zip(ROWS, (judge_authorization, judge_permissions), strict=True)
    }


def only_faults(state: Blueprint) -> bool:
    """Whether a running sandbox can be put into the scenario."""
    untouched = healthy(state.now, REGION)
    untouched.platform_faults, untouched.settings, untouched.faults = state.platform_faults, state.settings, state.faults
    return state == untouched


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            yield running


def forget_probes(sandbox: Sandbox) -> None:
    """Ends what earlier scenarios' faults have begun, and removes it: it would be a late effect in this one."""
    assert sandbox.platform.executor.wait_idle(300)
    tables = dynamodb_backends[ACCOUNT][REGION].tables
    tables[LEDGER].items.clear()
    for name in ("cc-native-action-intent", "cc-native-execution-attempts", "cc-native-execution-outcomes"):
        for partition in [key for key in tables[name].items if "phase5-canary" in str(key)]:
            del tables[name].items[partition]


#: What no status of an answer tells: how a replay runs, who is told to have asked for it, and what is wrong with connections.
IN_NO_STATUS = {
    PlatformFault.REFUSED_BUT_RECORDED,
    PlatformFault.REQUESTER_FROM_BODY,
    *FAULTS[FAULTS.index(PlatformFault.REPLAY_NOT_STARTED) : FAULTS.index(PlatformFault.NOTE_UNDER_PREFIX_TENANT)],
    *FAULTS[FAULTS.index(PlatformFault.DOWN) :],
}


def showing(faults: Set[PlatformFault]) -> set[str]:
    """The first ten probes that a platform with these faults answers otherwise than a healthy one."""
    platform = MemoryPlatform()
    platform.platform_faults.update(faults)
    answers = answers_of(platform, PLAN) if faults - IN_NO_STATUS else ()
    return set(islice((probe.name for probe, answer in answers if answer.status != healthy_answers()[probe.name]), 10))


@cache
def healthy_answers() -> dict[str, int | None]:
    """The status with which a healthy platform answers each probe, by its name."""
    return {row.name: row.status for row in well(PLAN).rows}


def assert_turned(scenario: Scenario, rows: dict[str, Judgement]) -> None:
    expected = {row: scenario.turns[row][0] if row in scenario.turns else Verdict.PASS for row in ROWS}
    found = {row: [(finding.code, finding.subject, finding.seen) for finding in rows[row].findings] for row in ROWS}
    assert {row: rows[row].verdict for row in ROWS} == expected, found
    for row, (_, code) in scenario.turns.items():
        assert code in {finding.code for finding in rows[row].findings}
    assert_gate_says(of_judgements(rows), scenario.turns)


@contextmanager
def in_scenario(sandbox: Sandbox, state: Blueprint) -> Iterator[None]:
    """The running sandbox is in this state in this block, and healthy after it."""
    forget_probes(sandbox)
    sandbox.platform_faults.clear()
    sandbox.platform_faults.update(state.platform_faults)
    for fault in state.faults:
        sandbox.faults.add(**fault)
    try:
        yield
    finally:
        sandbox.faults.clear()
        sandbox.platform_faults.clear()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_scenario_turns_exactly_its_rows(scenario: Scenario, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    state = scenario.blueprint(datetime.fromisoformat(NOW), REGION)
    if not only_faults(state):
        monkeypatch.setenv("PHASE5_NOW", NOW)
        with Sandbox(scenario.name) as its_own:
            for name, value in its_own.exports().items():
                monkeypatch.setenv(name, value)
            assert_turned(scenario, judged(tmp_path))
        return
    for name, value in {**sandbox.exports(), **state.settings, "PHASE5_PROBES__RUNS_PER_HOUR": "1000"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "1")
    with in_scenario(sandbox, state), few_probes(but_all=showing(state.platform_faults)):
        assert_turned(scenario, judged(tmp_path))
