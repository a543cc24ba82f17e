"""One real candidate that the gate opens for, as it is stored: a sandbox's AWS, Dagster's records on a disk, evidence files.

Made once by what makes it in production (registration, sensor, readiness run, three people with their KMS keys), then put back to
the same state for each test: a fresh copy of the state folder, and the items of the state table as they were.
"""

import pickle
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import boto3
import dagster as dg
import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table as MotoTable

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS, build_defs, evidence_for
from phase5_ops.checklist import ROLES
from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.state_folder import prepare_state_folder
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import PROMOTION_ASSET, PROMOTION_JOB, READINESS_JOB
from phase5_ops.files import sha256_of
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.defs.promotion_job import open_door, promotion_run_config
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.promotion.promote import promote
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import GateSession, new_session, open_session
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.items import StateError
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.shown import LONGEST_LINE, in_lines
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.postgres import own_database, without_database

RELEASE = Release("r-1", "sha256:" + "d" * 64, "sandbox")
PARAMETER = "/phase5/promoted"
PEOPLE = dict(zip(ROLES, ("alice", "bob", "carol"), strict=True))
TABLE = "phase5-readiness"


@dataclass
class Promotion:
    """How a run of promotion_job ended."""

    success: bool
    said: str
    run_id: str


@dataclass
class World:
    """The sandbox, and the state folder that the environment points to."""

    sandbox: Sandbox
    folder: Path
    instance: dg.DagsterInstance
    cursor: str | None
    clients: dict[str, Any]

    @property
    def settings(self) -> Settings:
        """As the environment has them now, like a process that begins now."""
        return load_settings()

    @property
    def state(self) -> StateTable:
        return StateTable(AwsReader(self.settings.reading), TABLE)

    @property
    def evidence(self) -> Path:
        return self.folder / "evidence"

    def client(self, service: str):
        if service not in self.clients:
            self.clients[service] = self.sandbox.session().client(service)
        return self.clients[service]

    def end(self) -> None:
        """Gives back what Dagster's storage takes."""
        self.instance.dispose()
        without_database(self.folder)

    def register(self, release: Release = RELEASE, **metadata: Any) -> None:
        event = dg.AssetMaterialization(candidates.ASSET, partition=release.name, metadata={"digest": release.digest, **metadata})
        self.instance.report_runless_asset_event(event)

    def tick(self, cursor: str | None = "", now: datetime | None = None) -> sensor.Tick:
        """One look of the sensor, by default from where the last one ended."""
        sources = DecidingSession(open_run(self.settings, "sensor-tick"), instance=self.instance)
        tick = sensor.run_tick(sources, self.cursor if cursor == "" else cursor, now or datetime.now(UTC), WORDS)
        self.cursor = tick.cursor
        return tick

    def readiness(self, tags: dict[str, str] | None = None, rows: Sequence[str] | None = None) -> str:
        """A run of readiness_job with these tags; its id."""
        selection = [dg.AssetKey(name) for name in sorted(evidence_for(set(rows)))] if rows else None
        job = build_defs(settings=self.settings).resolve_job_def(READINESS_JOB)
        return job.execute_in_process(
            instance=self.instance, tags=tags, asset_selection=selection, run_config=QUIET, raise_on_error=False
        ).run_id

    def promote(self, tags: dict[str, str] | None = None, release: Release | None = RELEASE, instance=None) -> Promotion:
        """A run of promotion_job, as by hand unless it has a request's tags."""
        job = build_defs(settings=self.settings).resolve_job_def(PROMOTION_JOB)
        config = {**QUIET, **(promotion_run_config(release) if release else {})}
        result = job.execute_in_process(
            instance=instance or self.instance, run_config=config, tags=tags or {}, raise_on_error=False
        )
        said = ""
        for event in result.all_events:
            if event.is_step_failure:
                failure = event.step_failure_data
                described = failure.user_failure_data
                said = described.description if described else str(failure.error.cause or failure.error)
        return Promotion(result.success, said, result.run_id)

    def by_hand(self, release: Release = RELEASE) -> Promotion:
        """What such a run decides and does, without Dagster around it."""
        run = open_run(self.settings, "by-hand")
        try:
            outcome = promote(open_door(self.instance, run), release)
        except (KeysError, StateError, SigningError) as error:
            return Promotion(success=False, said=str(error), run_id=run.run_id)
        return Promotion(outcome.promoted, f"{outcome.ending}: {'; '.join(outcome.reasons)}", run.run_id)

    def launch(self, request: dg.RunRequest, instance=None) -> Promotion:
        """What the daemon makes of a request for a promotion."""
        assert request.job_name == PROMOTION_JOB
        return self.promote({**request.tags, "dagster/run_key": request.run_key}, instance=instance)

    def session(self, person: str) -> GateSession:
        arn = "arn:aws:iam::123456789012:role/phase5-signer-x"
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName=person)["Credentials"]
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        assumed = boto3.Session(*keys, region_name=self.sandbox.region)
        return open_session(self.settings, "signing", reader=AwsReader(self.settings.reading, session=assumed))

    def sign(self, role: str, person: str, release: Release = RELEASE) -> None:
        session = self.session(person)
        what = to_sign(session, registered(session, release.name))
        sign_off(session, role, what, signer(session, role, what))

    def items(self) -> list[dict[str, Any]]:
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        return [item for page in pages for item in page["Items"]]

    def item(self, sort_key: str) -> dict[str, Any]:
        """The item of the candidate whose sort key begins so."""
        (found,) = [
            each for each in self.items() if each["pk"]["S"].startswith("RELEASE#") and each["sk"]["S"].startswith(sort_key)
        ]
        return found

    def run_records(self, *run_ids: str) -> list[dict[str, Any]]:
        """The records of these runs, or of all."""
        records = [each for each in self.items() if each["pk"]["S"].startswith("RUNS#")]
        return [each for each in records if not run_ids or each["run_id"]["S"] in run_ids]

    def put(self, item: dict[str, Any]) -> None:
        self.client("dynamodb").put_item(TableName=TABLE, Item=item)

    def delete(self, item: dict[str, Any]) -> None:
        self.client("dynamodb").delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})

    def effects(self) -> int:
        """How often the target was told."""
        ssm = self.client("ssm")
        try:
            return int(ssm.get_parameter(Name=PARAMETER)["Parameter"]["Version"])
        except ssm.exceptions.ParameterNotFound:
            return 0

    def records(self) -> int:
        """How often the state table says that something was promoted."""
        return sum(item["sk"]["S"].startswith("PROMOTION#") for item in self.items())

    def stays_closed(self, *codes: str, release: Release = RELEASE) -> None:
        """The sensor asks for no promotion, one made by hand ends with these reasons, and nothing is told or recorded.

        How Dagster's run of it ends then, tests show that make one with `promote`.
        """
        tick = self.tick()
        assert [request for request in tick.requests if request.job_name == PROMOTION_JOB] == []
        by_hand = self.by_hand(release)
        assert not by_hand.success
        for code in codes:
            assert code in by_hand.said, by_hand.said
        assert (self.effects(), self.records()) == (0, 0)
        assert not list(self.evidence.glob("*/attestations/*"))

    def is_promoted_once(self, *, asked: bool = True) -> None:
        """The sensor asks for the promotion, it succeeds, and whatever comes after, there is one effect and one record."""
        tick = self.tick()
        requests = [request for request in tick.requests if request.job_name == PROMOTION_JOB]
        assert len(requests) == asked, tick.lines
        for request in requests:
            promoted = self.launch(request)
            assert promoted.success, promoted.said
        assert (self.effects(), self.records()) == (1, 1)
        assert self.promote().success
        assert self.tick().requests == []
        assert (self.effects(), self.records()) == (1, 1)
        self.shows_one_promotion()

    def shows_one_promotion(self) -> None:
        """Dagster shows the promotion once, with the command that verifies it."""
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(PROMOTION_ASSET), asset_partitions=[RELEASE.name])
        (record,) = self.instance.fetch_materializations(wanted, limit=10).records
        shown = record.asset_materialization.metadata
        command = shlex.split(shown["verify"].value.strip("`\n").replace("\\\n", ""))
        assert command[:2] == ["phase5", "verify"]
        assert all(Path(name).exists() for name in command[2:4])
        digests = [sha256_of(Path(name).read_bytes()) for name in command[2:4]]
        assert [in_lines(each) for each in digests] == [shown[f"digest of {Path(name).name}"].value for name in command[2:4]]
        assert (shown["target"].value, shown["artifact"].value) == ("ssm", in_lines(RELEASE.digest))
        assert command[4:6] == ["--digest", RELEASE.digest]
        assert max(map(len, shown["verify"].value.splitlines())) <= LONGEST_LINE + 2  # a blank before, a backslash behind


@dataclass(frozen=True)
class Kept:
    """A state that a world was in, from which it is put back."""

    folder: Path
    items: bytes
    cursor: str | None

    @classmethod
    def of(cls, world: World) -> "Kept":
        """The present state; the world is at its end with it."""
        world.instance.dispose()
        return cls(world.folder, pickle.dumps(_table(world).items), world.cursor)


class PutBack(Protocol):
    """Puts a kept state back into a folder: that of the candidate for which the gate is open, unless another is given."""

    def __call__(self, monkeypatch: pytest.MonkeyPatch, state: Path, kept: Kept | None = None) -> World: ...


@contextmanager
def opened_candidate(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[PutBack]:
    """Makes the candidate; yields what puts its state back, for one test, into a folder of that test."""
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as sandbox:
            patch.undo()
            exports = {
                **sandbox.exports(),
                "PHASE5_PROMOTION__TARGET": "ssm",
                "PHASE5_PROMOTION__SSM_PARAMETER": PARAMETER,
                "PHASE5_FLOW__ATTEMPT_MINUTES": "0.000001",  # seconds matter in no test
                **(settings or {}),
            }

            clients: dict[str, Any] = {}  # making one takes longer than what most tests do with it

            def begin(monkeypatch: pytest.MonkeyPatch, state: Path, cursor: str | None = None) -> World:
                for name, value in {**exports, "PHASE5_STATE_DIR": str(state), "DAGSTER_HOME": str(state)}.items():
                    monkeypatch.setenv(name, value)
                own_database(state)
                prepare_state_folder(state)
                return World(sandbox, state, dg.DagsterInstance.get(), cursor, clients)

            clean(patch)
            world = begin(patch, folder / "made")
            _make(world)
            opened = Kept.of(world)
            patch.undo()

            def again(monkeypatch: pytest.MonkeyPatch, state: Path, kept: Kept | None = None) -> World:
                kept = kept or opened
                shutil.copytree(kept.folder, state, symlinks=True)
                copy = begin(monkeypatch, state, kept.cursor)
                _restore(copy, kept.items)
                return copy

            yield again


def _make(world: World) -> None:
    settings = world.settings
    session = new_session(settings, "phase5 init")
    pin_keys(session.reader, settings, session.state, datetime.now(UTC))
    world.register()
    (request,) = world.tick().requests
    assert request.job_name == READINESS_JOB
    world.readiness({**request.tags, "dagster/run_key": request.run_key})
    waiting = world.tick()
    assert waiting.requests == [], waiting.lines
    for role, person in PEOPLE.items():
        world.sign(role, person)
    (request,) = world.tick().requests
    assert request.job_name == PROMOTION_JOB


def _table(world: World) -> MotoTable:
    return dynamodb_backends[ACCOUNT][world.sandbox.region].tables[TABLE]


def _restore(world: World, items: bytes) -> None:
    _table(world).items = pickle.loads(items)
    if world.effects():
        world.client("ssm").delete_parameter(Name=PARAMETER)
    world.sandbox.faults.clear()
