"""A candidate whose evidence ages while people sign: real readiness and promotion runs in this process, a moving clock."""

import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import dagster as dg
import pytest
from moto.dynamodb.models import Table, dynamodb_backends

from phase5_ops.build import WORDS, build_defs
from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.state_folder import prepare_state_folder
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import ATTEMPT_TAG, PROMOTION_JOB, READINESS_JOB, SERIES_TAG
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.blueprint import opened
from phase5_ops.sandbox.state.healthy import healthy
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests.conftest import clean, standing
from phase5_ops_tests.gate.own_aws import DIGEST, NOW
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.postgres import own_database

pytestmark = pytest.mark.slow(30)

RELEASE = Release("r-1", DIGEST, "sandbox")


class Gate:
    """The gate of a sandbox, without a daemon: what a tick asks for is done when the test says so."""

    def __init__(
        self, sandbox: Sandbox, instance: dg.DagsterInstance, moment: tuple[datetime, datetime, str | None] | None = None
    ) -> None:
        self._sandbox, self._instance = sandbox, instance
        self._now, self._wall, self._cursor = moment or (NOW, datetime.now(UTC), None)

    @property
    def moment(self) -> tuple[datetime, datetime, str | None]:
        """Evidence time, the daemon's time, and the sensor's cursor."""
        return self._now, self._wall, self._cursor

    @property
    def settings(self) -> Settings:
        return load_settings(now=self._now)

    @property
    def candidate(self) -> Candidate:
        return DecidingSession(open_run(self.settings, "test"), instance=self._instance).state.candidate(RELEASE)

    def pass_time(self, minutes: float) -> None:
        """Lets time pass: evidence time, the platform's, and the daemon's."""
        by = timedelta(minutes=minutes)
        self._now, self._wall = self._now + by, self._wall + by
        self._sandbox.clock.advance(by)

    def tick(self) -> Tick:
        found = run_tick(
            DecidingSession(open_run(self.settings, "tick"), instance=self._instance), self._cursor, self._wall, WORDS
        )
        self._cursor = found.cursor
        return found

    def run(self, request: dg.RunRequest) -> None:
        """What the daemon does with a request."""
        job = build_defs(settings=self.settings).resolve_job_def(request.job_name)
        config = {**QUIET, **request.run_config} if request.run_config else QUIET
        job.execute_in_process(run_config=config, tags=request.tags, instance=self._instance)
        self._wall = max(self._wall, datetime.now(UTC))

    def open_breaker(self, connector: str) -> None:
        """A breaker opens: a warning that still opens its row."""
        present = healthy(self._now, self._sandbox.region)
        table = boto3.resource("dynamodb", region_name=self._sandbox.region).Table(self.settings.tables.resilience)
        table.put_item(Item=opened(present, connector, seconds_ago=10))

    def sign(self, role: str) -> None:
        session = boto3.Session("sandbox", "sandbox", region_name=self._sandbox.region)
        person = Desk(session, self.settings).person(f"person-of-{role}", now=self._now)
        what = to_sign(person, registered(person, RELEASE.name))
        sign_off(person, role, what, signer(person, role, what))


@dataclass(frozen=True)
class Stale:
    """Two people have signed, the evidence has grown stale, and this confirmation run is asked for; the state then, kept."""

    sandbox: Sandbox
    folder: Path
    tables: bytes
    moment: tuple[datetime, datetime, str | None]
    confirmation: dg.RunRequest


@pytest.fixture(scope="module")
def stale(tmp_path_factory) -> Iterator[Stale]:
    """What both tests begin with, made once: nothing in it depends on how they go on."""
    home = tmp_path_factory.mktemp("stale")
    with standing("healthy") as sandbox, pytest.MonkeyPatch.context() as patch:
        clean(patch)
        surround(patch, sandbox, home / "state")
        with dg.DagsterInstance.get() as instance:
            gate = Gate(sandbox, instance)
            event = dg.AssetMaterialization(candidates.ASSET, partition=RELEASE.name, metadata={"digest": DIGEST})
            instance.report_runless_asset_event(event)
            (request,) = gate.tick().requests
            gate.run(request)
            gate.tick()
            assert gate.candidate.fate is Fate.READY_TO_SIGN
            gate.sign("eng-reliability")
            gate.sign("ops-sre")
            confirmation = grown_stale(gate)
        kept = pickle.dumps({name: table.items for name, table in changing_tables(sandbox, gate.settings).items()})
        patch.undo()
        yield Stale(sandbox, home / "state", kept, gate.moment, confirmation)


@pytest.fixture
def gate(stale: Stale, monkeypatch, tmp_path) -> Iterator[Gate]:
    """The gate when its evidence has grown stale, with a state folder and tables of its own."""
    shutil.copytree(stale.folder, tmp_path / "state", symlinks=True)
    surround(monkeypatch, stale.sandbox, tmp_path / "state")
    with dg.DagsterInstance.get() as instance:
        gate = Gate(stale.sandbox, instance, stale.moment)
        for name, items in pickle.loads(stale.tables).items():
            changing_tables(stale.sandbox, gate.settings)[name].items = items
        yield gate


def surround(patch: pytest.MonkeyPatch, sandbox: Sandbox, state: Path) -> None:
    """The environment of a process that works with this state folder."""
    settings = {
        "PHASE5_GATE__MAX_EVIDENCE_AGE_HOURS": "0.1",
        "PHASE5_FLOW__ATTEMPT_MINUTES": "5",
        "PHASE5_PROBES__RUNS_PER_HOUR": "100",
        "PHASE5_STATE_DIR": str(state),
        "DAGSTER_HOME": str(state),
    }
    for name, value in {**sandbox.exports(), **settings}.items():
        patch.setenv(name, value)
    own_database(state)
    prepare_state_folder(state)


def changing_tables(sandbox: Sandbox, settings: Settings) -> dict[str, Table]:
    """What people, the gate and a test write to; the platform's own tables go on growing, as they do anyway."""
    tables = dynamodb_backends[ACCOUNT][sandbox.region].tables
    return {name: tables[name] for name in (settings.tables.readiness, settings.tables.resilience)}


def grown_stale(gate: Gate) -> dg.RunRequest:
    """The confirmation run that is asked for once the evidence has grown stale."""
    gate.pass_time(7)
    found = gate.tick()
    assert all("START_RUN" in line for line in found.lines)
    assert any("STALE evidence_stale" in line for line in found.lines)
    (request,) = found.requests
    assert (request.job_name, request.tags[SERIES_TAG], request.tags[ATTEMPT_TAG]) == (READINESS_JOB, "1", "2")
    return request


def test_evidence_that_grows_stale_after_two_signatures_is_confirmed_and_the_third_signature_promotes_once(
    gate: Gate, stale: Stale
):
    gate.run(stale.confirmation)
    [line] = gate.tick().lines
    assert "S.3 UNSIGNED signature_missing" in line
    gate.sign("security-compliance")
    (request,) = gate.tick().requests
    assert request.job_name == PROMOTION_JOB
    gate.run(request)
    assert (gate.candidate.fate, gate.candidate.series) == (Fate.PROMOTED, 1)
    assert gate.tick().requests == []


def test_a_confirmation_run_that_finds_something_new_voids_what_was_signed_and_names_it_and_the_next_series_begins(
    gate: Gate, stale: Stale
):
    gate.open_breaker("crm_salesforce")
    gate.run(stale.confirmation)
    found = gate.tick().lines
    assert all("RENEW" in line for line in found), found
    assert [line for line in found if "row 2.2 is WARN, signed PASS" in line], found
    assert [line for line in found if "row 2.2 has breaker_open" in line], found
    closed = gate.candidate
    assert (closed.series, closed.fate) == (2, Fate.PENDING)
    (request,) = gate.tick().requests
    assert (request.job_name, request.tags[SERIES_TAG], request.tags[ATTEMPT_TAG]) == (READINESS_JOB, "2", "1")
