"""kill -9 of real processes at each write of a promotion, a sign-off and a readiness run: afterwards it is once, or not at all.

A process is forked from a warm one, works on the real candidate's state, and kills itself with SIGKILL at its nth write: nothing
is flushed, closed or told, and Dagster's record of its run stays as it was. Then a new attempt is made in the test's process.
"""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import build_defs, evidence_for
from phase5_ops.commands import approvals as people_command
from phase5_ops.evidence.run_tags import ATTEMPT_TAG, PROMOTION_JOB, READINESS_JOB
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.defs.promotion_job import promotion_run_config
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, READINESS_FILE
from phase5_ops.gate.state.items import Fate
from phase5_ops.settings import load_settings
from phase5_ops_tests.gate.real_candidate import PEOPLE, QUIET, RELEASE, World, opened_candidate
from phase5_ops_tests.gate.warm_processes import exit_code, started

pytestmark = pytest.mark.slow(50)

_AWS_WRITES = frozenset({"put_item", "update_item", "sign", "put_parameter"})
ROWS = ("4.2",)  # of the rows that read the platform the one that is gathered soonest


# --- in the process that dies ------------------------------------------------------------------------------------------------


class Doom:
    """Counts this process's writes, to AWS and of files, and kills it before or after the nth."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.writes = at, after, 0

    def write(self, make: Callable[[], Any]) -> Any:
        mine, self.writes = self.writes, self.writes + 1
        if mine == self.at and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        made = make()
        if mine == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    def hang_over(self) -> None:
        """From now on, in this process."""
        call, rename = AwsReader.call, Path.replace

        def mortal_call(reader, service, operation, resource, **parameters):
            def make():
                return call(reader, service, operation, resource, **parameters)

            return self.write(make) if operation in _AWS_WRITES else make()

        def mortal_rename(path, target):  # files become whole by it
            return self.write(lambda: rename(path, target))

        AwsReader.call, Path.replace = mortal_call, mortal_rename


def doomed(at: int, after: bool, act: Callable[..., None], arguments: dict[str, Any]) -> int:
    """Does `act` until it is killed; the exit code of a process that lives to the end is the number of its writes."""
    doom = Doom(at, after=after)
    doom.hang_over()
    act(**arguments)
    return doom.writes


def promotes(tags: dict[str, str]) -> None:
    run_job(PROMOTION_JOB, {**QUIET, **promotion_run_config(RELEASE)}, tags=tags)


def gathers(tags: dict[str, str]) -> None:
    assets = [dg.AssetKey(name) for name in sorted(evidence_for(set(ROWS)))]
    run_job(READINESS_JOB, QUIET, tags=tags, asset_selection=assets)


def signs(role: str) -> None:
    people_command.run_sign_off(load_settings(), RELEASE.name, role, lambda _: True)


def run_job(name: str, config: dict[str, Any], **given: Any) -> None:
    job = build_defs(settings=load_settings()).resolve_job_def(name)
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance, run_config=config, raise_on_error=False, **given)


# --- in the test -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    with opened_candidate(tmp_path_factory.mktemp("candidate")) as put_back:
        yield put_back


@pytest.fixture
def world(again, monkeypatch, tmp_path):
    made = again(monkeypatch, tmp_path / "state")
    yield made
    made.end()


def end_of(act: Callable[..., None], at: int, *, after: bool = True, **arguments: Any) -> int:
    """The exit code of a process that does `act`, or is killed at its nth write."""
    return exit_code(started(doomed, at, after, act, arguments))


def files_are_whole(world: World) -> None:
    """Every file that has its name is whole; what was being written has a hidden name and is no evidence."""
    for path in world.evidence.rglob("[!.]*"):
        if path.suffix == ".parquet":
            pd.read_parquet(path)
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
    assert not [
        name
        for folder in world.evidence.iterdir()
        for name in EvidenceStore(world.evidence).manifest(folder.name)
        if "/." in name
    ]


PROMOTION = ("sign", "lock", "prepared", "publish", "signed", "record", "note", "fate", "file 1", "file 2")
POINTS = [
    pytest.param(0, False, id="before sign"),
    *(pytest.param(PROMOTION.index(name), True, id=f"after {name}") for name in PROMOTION[1:-3]),
    pytest.param(PROMOTION.index("file 1"), False, id="before file 1 has its name"),
]


@pytest.mark.parametrize(("at", "after"), POINTS)
def test_a_promotion_killed_at_any_write_is_made_once_by_the_next_run(world, at, after):
    (request,) = world.tick().requests
    assert end_of(promotes, at, after=after, tags={**request.tags, "dagster/run_key": request.run_key}) == -signal.SIGKILL
    published = at >= PROMOTION.index("publish") and (after or at > PROMOTION.index("publish"))
    assert world.effects() == published
    files_are_whole(world)
    (stuck,) = world.instance.get_run_records(dg.RunsFilter(job_name=PROMOTION_JOB))
    assert not stuck.dagster_run.is_finished  # nobody told Dagster
    if world.records() == 0:
        assert "is under way" in world.tick().lines[-1]
    for lock in [item for item in world.items() if item["sk"]["S"].startswith("LOCK#") and not world.records()]:
        if at == PROMOTION.index("lock"):
            assert f"run {stuck.dagster_run.run_id} has been promoting since" in world.promote().said
        world.put({**lock, "taken_at": {"S": "2026-01-01T00:00:00.000Z"}})  # as if five minutes had gone by
    last = world.promote()
    assert last.success, last.said
    assert (world.effects(), world.records(), world.state.candidate(RELEASE).fate) == (1, 1, Fate.PROMOTED)
    holder = world.state.promotion(RELEASE, 1).holder
    kept = {path.name for path in (world.evidence / holder / "attestations").glob("[!.]*")}
    assert kept == {READINESS_FILE, DECISION_FILE}
    files_are_whole(world)
    assert world.tick().requests == []


def test_every_write_of_a_promotion_is_one_of_those(world):
    assert end_of(promotes, 99, tags={}) == len(PROMOTION)


@pytest.fixture
def alice(world, monkeypatch):
    """Her credentials, and her signature not yet given."""
    world.delete(world.item("SIGN_OFF#eng-reliability#"))
    arn = "arn:aws:iam::123456789012:role/phase5-signer-x"
    given = world.client("sts").assume_role(RoleArn=arn, RoleSessionName=PEOPLE["eng-reliability"])["Credentials"]
    for variable, name in (
        ("ACCESS_KEY_ID", "AccessKeyId"),
        ("SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("SESSION_TOKEN", "SessionToken"),
    ):
        monkeypatch.setenv(f"AWS_{variable}", given[name])


@pytest.mark.parametrize(
    ("at", "after", "there"),
    [
        pytest.param(0, False, 0, id="before it is made"),
        pytest.param(0, True, 0, id="after it is made"),
        pytest.param(1, True, 1, id="after it is recorded"),
        pytest.param(3, False, 1, id="while it is shown"),
    ],
)
def test_a_sign_off_killed_at_any_write_is_there_once_after_the_next(world, alice, at, after, there):
    def signatures() -> int:
        return sum(off.role == "eng-reliability" for off in world.state.sign_offs(RELEASE))

    assert end_of(signs, at, after=after, role="eng-reliability") == -signal.SIGKILL
    assert signatures() == there
    if not there:
        world.stays_closed("S.1 UNSIGNED signature_missing")
    for _ in range(2):
        assert people_command.run_sign_off(world.settings, RELEASE.name, "eng-reliability", lambda _: True) == 0
    assert signatures() == 1
    files_are_whole(world)
    assert [request.job_name for request in world.tick().requests] == [PROMOTION_JOB]


@pytest.mark.parametrize(
    ("at", "after", "code"),
    [
        pytest.param(0, True, "4.2 CRASHED result_crashed", id="after it said what it is"),
        pytest.param(1, True, "4.2 CRASHED result_crashed", id="after the first table, before it is sealed"),
        pytest.param(-5, True, "evidence_changed", id="after the last seal, before Dagster is told"),
        pytest.param(-3, False, "run_not_recorded", id="after its record is signed, before it is written"),
    ],
)
def test_a_readiness_run_killed_at_any_write_counts_for_nothing_and_says_so(world, gathering_writes, at, after, code):
    tags = sensor.candidate_tags(world.state.candidate(RELEASE), 2)
    assert end_of(gathers, at % gathering_writes, after=after, tags=tags) == -signal.SIGKILL
    files_are_whole(world)
    (killed,) = [run.facts.run_id for run in check_state.runs_of_candidate(world.instance, RELEASE, 1) if run.attempt == 2]
    assert any(f"run {killed} is under way" in line for line in world.tick().lines)
    world.instance.report_run_failed(world.instance.get_run_by_id(killed))  # as Dagster's run monitoring does in time
    world.stays_closed(code, "3.1 MISSING result_missing")
    (request,) = world.tick().requests
    assert (request.job_name, request.tags[ATTEMPT_TAG]) == (READINESS_JOB, "3")


@pytest.fixture(scope="module")
def gathering_writes(again, tmp_path_factory) -> int:
    """How many writes such a run makes."""
    with pytest.MonkeyPatch.context() as patch:
        counted = again(patch, tmp_path_factory.mktemp("counted") / "state")
        writes = end_of(gathers, 99, tags={})
        counted.end()
    assert 8 < writes < 99
    return writes
