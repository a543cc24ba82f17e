"""From a registration to the promotion under a real `dagster dev`: closed by a fault, cured, signed, promoted once, verified.

Then it is told to end by SIGTERM, as a scheduler of containers sends it, in the middle of a run.
"""

import json
from pathlib import Path

import dagster as dg
import pytest

from phase5_ops.build import evidence_for
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops_tests.commands.test_terminated import is_followed, nothing_is_held
from phase5_ops_tests.gate.serving import Serving, ended, serving, until

pytestmark = pytest.mark.slow(200)

BAD, GOOD = (Release(name, f"sha256:{digit * 64}", "sandbox") for name, digit in (("r-bad", "b"), ("r-good", "a")))
FAULT = "alarm-actions-disabled"
TARGET = "/phase5/promoted"
PATIENCE = 240  # seconds; each step takes some five on an idle machine


def is_fate(system: Serving, release: Release, fate: Fate):
    found = system.state.candidate(release)
    return found if found is not None and found.fate is fate else None


@pytest.fixture
def system(tmp_path, monkeypatch):
    settings = {
        "PHASE5_FLOW__TICK_SECONDS": "5",
        "PHASE5_FLOW__ATTEMPT_MINUTES": "60",
        "PHASE5_PROBES__RUNS_PER_HOUR": "100",
        "PHASE5_PROBES__FOLLOW_SECONDS": "600",
        "PHASE5_PROMOTION__TARGET": "ssm",
        "PHASE5_PROMOTION__SSM_PARAMETER": TARGET,
    }
    with serving(FAULT, tmp_path, **settings) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.environment["AWS_ENDPOINT_URL"])
        yield running


def test_a_fault_closes_with_its_reason_and_the_release_after_it_is_promoted_once_when_three_people_signed(system, tmp_path):
    assert system.phase5("init").code == 0
    assert system.phase5("promote", BAD.name, "--digest", BAD.digest).code == 0

    # a fault closes: the tick says which row and why
    [(row, (verdict, code))] = named(FAULT).turns.items()
    closed = until("blockers", lambda: system.tick_that_says(BAD.name, f"{row} {verdict} {code}"), PATIENCE)

    # cured, a newer candidate takes its place and waits for signatures alone
    for alarm in system.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        system.client("cloudwatch").enable_alarm_actions(AlarmNames=[alarm["AlarmName"]])
    waiting = system.start("promote", GOOD.name, "--digest", GOOD.digest, "--wait", "--timeout", str(4 * PATIENCE))
    until("ready to sign", lambda: is_fate(system, GOOD, Fate.READY_TO_SIGN), PATIENCE)
    assert is_fate(system, BAD, Fate.SUPERSEDED)
    unsigned = until("missing signatures", lambda: system.tick_that_says(GOOD.name, "S.3 UNSIGNED signature_missing"), PATIENCE)

    # three people sign, and nobody twice
    alice = system.person("alice")
    signed = system.phase5("sign-off", GOOD.name, "--role", "eng-reliability", "--yes", environment=alice)
    assert signed.code == 0, signed
    again = system.phase5("sign-off", GOOD.name, "--role", "ops-sre", "--yes", environment=alice)
    assert (again.code, "alice has signed for eng-reliability already" in again.err) == (1, True), again
    others = [
        system.start("sign-off", GOOD.name, "--role", role, "--yes", environment=system.person(name))
        for name, role in (("bob", "ops-sre"), ("carol", "security-compliance"))
    ]
    bob, carol = (ended(each) for each in others)
    assert (bob.code, carol.code) == (0, 0), (bob, carol)

    # promoted once: in the state table, at the target, by the run that a tick asked for
    waited = ended(waiting)
    assert waited.code == 0, (waited, system.ticks())
    promotion = system.state.promotion(GOOD, 1)
    assert [run["runId"] for run in system.runs("promotion_job")] == [promotion.holder]
    (version,) = system.client("ssm").get_parameter_history(Name=TARGET)["Parameters"]
    assert json.loads(version["Value"])["idempotency_key"] == promotion.idempotency_key
    assert (system.state.promotion(BAD, 1), system.state.statement(BAD, 1)) == (None, None)
    (launched,) = [tick for tick in system.ticks() if promotion.holder in tick["runIds"]]
    assert int(closed["tickId"]) < int(unsigned["tickId"]) < int(launched["tickId"])

    # and verified with nothing but the files
    files = sorted((tmp_path / "state" / "evidence" / promotion.holder / "attestations").iterdir())
    offline = {name: value for name, value in system.environment.items() if not name.startswith(("AWS_", "PHASE5_"))}
    keys = Path(system.environment["PHASE5_STATE_DIR"]) / "keys.json"
    given = ("verify", *map(str, files), "--digest", GOOD.digest, "--policy", str(keys))
    checked = system.phase5(*given, "--environment", GOOD.environment, environment=offline, fresh=True)
    assert (checked.code, len(files)) == (0, 2), checked
    unnamed = system.phase5(*given, environment=offline)
    assert (unnamed.code, "give --environment sandbox" in unnamed.err) == (3, True), unnamed

    # told to end in the middle of a run, it ends with it, with its daemon and with every other process
    system.sandbox.platform_faults.add(PlatformFault.REPLAY_NEVER_FINISHES)
    run_id = system.launch(READINESS_JOB, evidence_for({"3.3"}))
    until("the run follows its canary", lambda: is_followed(system.sandbox), PATIENCE)
    assert len(system.processes()) >= 4
    system.ui.terminate()
    assert system.ui.wait(90) == 0
    assert system.processes() == []
    nothing_is_held(system.sandbox)
    with open_dagster(prepare_state_folder(tmp_path / "state")) as instance:
        assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.FAILURE
