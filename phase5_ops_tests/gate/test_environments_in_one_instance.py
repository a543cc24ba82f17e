"""Environments of a list in one Dagster instance, with equal releases and keys: each sees what it would see there alone."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

import boto3
import dagster as dg
import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

from phase5_ops.aws.reader import reader_of
from phase5_ops.build import WORDS, build_defs
from phase5_ops.commands.promote import to_instance
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_ASSET, READINESS_JOB, RELEASE_TAG, SIGN_OFF_ASSET, SIGN_OFF_JOB
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs.sensor import run_tick
from phase5_ops.gate.defs.sign_off_assets import sign_off_run_config
from phase5_ops.gate.defs.sign_off_watch import sign_off_requests
from phase5_ops.gate.inputs.candidate_events import candidate_events
from phase5_ops.gate.inputs.dagster_records import KeptResults, finished_runs, other_runs, unknown_runs
from phase5_ops.gate.inputs.forgotten_runs import ForgottenRuns
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing import lease
from phase5_ops.probing.codes import Obstructed
from phase5_ops.report.past_runs import EvidenceFolder
from phase5_ops.sandbox.seed import _seed_signing_keys
from phase5_ops.settings import load_settings
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.test_environments_apart import Place, with_a_table
from phase5_ops_tests.several_environments import NAMES, list_environments

pytestmark = pytest.mark.slow(60)

ROLES_OF = {"eu": "arn:aws:iam::222222222222:role/of-eu", "us": "arn:aws:iam::333333333333:role/of-us"}
#: Two accounts and regions; two environments have account, region and state table together.
ENTRIES = (
    {"environment": NAMES[0], "aws": {"region": "eu-central-1", "role_arn": ROLES_OF["eu"]}},
    {"environment": NAMES[1], "aws": {"region": "us-west-2", "role_arn": ROLES_OF["us"]}},
    {"environment": NAMES[2], "aws": {"region": "us-west-2", "role_arn": ROLES_OF["us"].replace("of-us", "of-staging")}},
)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
EVIDENCE = "gate_drill"  # which reads nothing, so that a real run of it is cheap


class InInstance(Place):
    """One environment in an instance; what is done in it goes through the code that a daemon, a run or a command has."""

    def __init__(self, desk: Desk, instance: dg.DagsterInstance) -> None:
        super().__init__(desk, desk.settings.environment)
        self.instance, self.settings, self.names = instance, desk.settings, DagsterNames.of(desk.settings)
        self.kept, self.cursor, self.asked, self.made = KeptResults(), None, [], 0

    def post(self) -> None:
        to_instance(self.instance, self.names)(self.release.name, {candidates.DIGEST: DIGEST})

    def tick(self) -> None:
        session = DecidingSession(open_run(self.settings, "sensor-tick"), instance=self.instance, kept=self.kept)
        tick = run_tick(session, self.cursor, datetime.now(UTC), WORDS)
        self.cursor = tick.cursor
        self.asked += [request for request in tick.requests if request.run_key not in {each.run_key for each in self.asked}]

    def run(self) -> None:
        """A readiness run: that which a tick asked for last, or one that nobody asked for."""
        of_release = [request for request in self.asked if request.job_name == READINESS_JOB][-1:]
        tags = {**of_release[0].tags, "dagster/run_key": of_release[0].run_key} if of_release else {}
        self._execute(READINESS_JOB, tags=tags, asset_selection=[self.names.key(EVIDENCE)])

    def show_signatures(self) -> None:
        self._execute(SIGN_OFF_JOB, run_config=sign_off_run_config(self.release.name, self.names))

    def _execute(self, name: str, **given: object) -> None:
        self.made += 1
        run = open_run(self.settings, str(uuid5(NAMESPACE_URL, f"{self.settings.environment} {self.made}")))
        job = build_defs(settings=self.settings, run=run, gathered={EVIDENCE}).resolve_job_def(name)
        assert job.execute_in_process(instance=self.instance, run_id=run.run_id, **given).success

    def probe(self) -> None:
        """Takes the lease, and keeps it."""
        place = lease.ProbesPartition.of(self.settings)
        try:
            lease.acquire(reader_of(self.settings), place, f"run-of-{self.settings.environment}", ProbePolicy(), wall=lambda: 1e9)
        except Obstructed as refused:
            self.asked.append(dg.RunRequest(run_key=f"obstructed: {refused.obstacle.code}"))

    def seen(self) -> str:
        """Everything that the environment's gate, its pages and its commands read, but for times of this test."""
        instance, names, store = self.instance, self.names, open_run(self.settings, "looks").store
        environment, state = self.settings.environment, StateTable(self.session.reader, self.settings.tables.readiness)
        events, _ = candidate_events(instance, names.key(candidates.ASSET), None, 99, datetime.now(UTC))
        latest = {
            each: event and event.run_id
            for each in (READINESS_ASSET, SIGN_OFF_ASSET, EVIDENCE)
            for event in [instance.get_latest_materialization_event(names.key(each))]
        }
        forgotten = ForgottenRuns(store, lambda run_ids: unknown_runs(instance, run_ids))
        finished = finished_runs(instance, environment)
        place = lease.ProbesPartition.of(self.settings)
        found = {
            "events": [(each.partition, each.metadata) for each in events],
            "releases": instance.get_dynamic_partitions(names.releases),
            "finished runs": [(each.facts.run_id, each.release, each.series, each.attempt) for each in finished],
            "other runs": [each.run_id for each in other_runs(instance, environment, LONG_AGO, allow_fixed_now=False)],
            "forgotten": forgotten.since(LONG_AGO, environment, allow_fixed_now=False),
            "latest": latest,
            "evidence": sorted(store.run_ids()),
            "history": sorted(EvidenceFolder(self.settings.own_folder / "evidence").run_ids()),
            "asked": [(each.job_name, each.run_key, sorted((each.tags or {}).items())) for each in self.asked],
            "to be shown": [each.run_key for each in sign_off_requests(state, self.settings)],
            "own lease": lease.held(self.session.reader, place, f"run-of-{environment}"),
        }
        text = "\n".join([super().seen(), *(f"{name}: {value}" for name, value in found.items())])
        return re.sub(r"datetime\.datetime\([^)]*\)", "a time", text)


ACTIONS: Mapping[str, Callable[[InInstance], None]] = {
    name: getattr(InInstance, name)
    for name in (
        "post",
        "tick",
        "run",
        "show_signatures",
        "probe",
        "freeze",
        "sign",
        "waive",
        "lock",
        "promote",
        "order",
        "give_up",
    )
}
#: Registering, a tick and a run come often: what follows rests on them.
OFTEN = ("post", "tick", "run")
steps = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([*OFTEN, *OFTEN, *sorted(ACTIONS)])), min_size=10, max_size=16)


@pytest.fixture
def accounts(aws, monkeypatch) -> Mapping[str, boto3.Session]:
    """Each environment's session in its account and region, which have keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    found, seeded = {}, set()
    for entry in ENTRIES:
        access = entry["aws"]
        given = aws.client("sts").assume_role(RoleArn=access["role_arn"], RoleSessionName="test")["Credentials"]
        session = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=access["region"]
        )
        where = (access["role_arn"].split(":")[4], access["region"])
        if where not in seeded:
            _seed_signing_keys(session.client("kms"))
            seeded.add(where)
        found[entry["environment"]] = session
    return found


class Installation:
    """A state folder with its Dagster instance, and a state table in each account; all of it is new."""

    def __init__(self, accounts: Mapping[str, boto3.Session], folder: Path, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
        folder.mkdir(parents=True)
        list_environments(patch, folder, ENTRIES)
        patch.setenv("DAGSTER_HOME", str(folder))
        self.instance = stack.enter_context(dg.DagsterInstance.local_temp(str(folder)))
        tables = {}
        self.places = {}
        for name, session in accounts.items():
            settings = load_settings(environment=name)
            where = (settings.aws.role_arn.split(":")[4], settings.aws.region)
            if where not in tables:
                tables[where] = with_a_table(Desk(session, settings)).settings.tables
            own = settings.model_copy(update={"tables": tables[where]})
            self.places[name] = InInstance(Desk(session, own), self.instance)


@pytest.fixture
def installed(accounts, tmp_path, monkeypatch) -> Iterator[Callable[[], Installation]]:
    with ExitStack() as stack:
        yield lambda: Installation(accounts, tmp_path / uuid4().hex, monkeypatch, stack)


def done(installation: Installation, taken: list[tuple[str, str]]) -> None:
    for environment, action in taken:
        ACTIONS[action](installation.places[environment])


@hypothesis.settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(taken=steps)
def test_an_environment_sees_in_a_shared_instance_exactly_what_it_would_see_there_alone(installed, taken):
    together = installed()
    done(together, taken)
    for name in NAMES:
        alone = installed()
        done(alone, [each for each in taken if each[0] == name])
        assert together.places[name].seen() == alone.places[name].seen()


def test_what_is_compared_holds_all_that_was_done(installed):
    """So that the comparison above is none of nothing with nothing."""
    taken = [(name, action) for action in ("post", "tick", "run", "tick", "show_signatures", "probe") for name in NAMES]
    together = installed()
    done(together, taken)
    for name, place in together.places.items():
        seen = dict(line.split(": ", 1) for line in place.seen().splitlines())
        (first, second) = (str(uuid5(NAMESPACE_URL, f"{name} {number}")) for number in (1, 2))
        assert seen["latest"] == str({READINESS_ASSET: first, SIGN_OFF_ASSET: second, EVIDENCE: first})
        assert (seen["releases"], seen["own lease"]) == ("['r-1']", "True")
        assert seen["finished runs"].startswith(f"[('{first}', 'r-1', 1, 1)")
        assert (RELEASE_TAG in seen["asked"], seen["evidence"]) == (True, str(sorted((first, second))))
        assert "r-1" in seen["candidate"]
    assert len({place.seen() for place in together.places.values()}) == len(NAMES)
