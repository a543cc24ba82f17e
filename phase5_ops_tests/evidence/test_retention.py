"""The state folder does not grow for ever, and nothing that the gate may still read is removed from it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.aws.reader import AwsReader
from phase5_ops.context import RunContext
from phase5_ops.evidence.histories import Standing
from phase5_ops.evidence.history import History
from phase5_ops.evidence.retention import KeptRun, no_longer_needed, shortest
from phase5_ops.evidence.run_tags import DIGEST_TAG, ENVIRONMENT_TAG, READINESS_JOB, RELEASE_TAG
from phase5_ops.evidence.store import Ended, EvidenceStore, Origin
from phase5_ops.gate.runs.pruning import prune
from phase5_ops.policy import FlowPolicy, GatePolicy, RetentionPolicy
from phase5_ops.settings import ConfigurationError, ReadingSettings, Settings, load_settings

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def chosen(**policy) -> Settings:
    return load_settings(environment="production", retention=RetentionPolicy(**{"newest_runs": 1, **policy}))


def kept(days_ago: float | None, name: str = "", **changes) -> KeptRun:
    ended_at = None if days_ago is None else NOW - timedelta(days=days_ago)
    given = {"environment": "production", "for_release": False, "ended": True, **changes}
    return KeptRun(name or f"run-{days_ago}", ended_at=ended_at, **given)


def test_runs_beyond_their_age_go_and_the_newest_stay():
    runs = [kept(days) for days in (0, 10, 29, 31, 90)]
    assert no_longer_needed(runs, chosen(), NOW) == ["run-90", "run-31"]
    assert no_longer_needed(runs, chosen(newest_runs=4), NOW) == ["run-90"]
    assert no_longer_needed(runs, chosen(run_days=100), NOW) == []


@pytest.mark.parametrize(
    "stays",
    [
        {"environment": "staging"},
        {"environment": None},
        {"days_ago": None},
        {"for_release": True},
    ],
)
def test_what_is_of_another_environment_or_of_a_release_or_not_told_stays(stays):
    assert no_longer_needed([kept(0), kept(**{"days_ago": 300, **stays})], chosen(), NOW) == []


def test_a_release_is_kept_for_the_auditor_and_never_shorter_than_other_runs():
    runs = [kept(0), kept(399, for_release=True), kept(401, for_release=True)]
    assert no_longer_needed(runs, chosen(), NOW) == ["run-401"]
    assert no_longer_needed(runs, chosen(run_days=3000, release_days=1), NOW) == []


def test_the_run_that_histories_continue_from_stays_whatever_came_after_it():
    runs = [kept(0, ended=False), kept(50, ended=False), kept(60), kept(70)]
    assert no_longer_needed(runs, chosen(), NOW) == ["run-70", "run-50"]


@pytest.mark.parametrize(
    ("policy", "days"),
    [
        ({}, 11),
        ({"flow": FlowPolicy(deadline_hours=720)}, 34),
        ({"gate": GatePolicy(max_evidence_age_hours=720)}, 38),
        ({"gate": GatePolicy(sign_off_days=30)}, 34),
    ],
)
def test_no_setting_takes_what_a_candidate_may_need(policy, days):
    least = chosen(run_days=0.1, release_days=0.1).model_copy(update=policy)
    assert shortest(least) == timedelta(days=days)
    assert no_longer_needed([kept(0), kept(days - 0.1), kept(days + 0.1)], least, NOW) == [f"run-{days + 0.1}"]


RUNS = st.lists(
    st.tuples(st.floats(0, 1000), st.booleans(), st.booleans(), st.sampled_from(["production", "staging", None])), max_size=30
)


@settings(max_examples=100)
@given(RUNS, st.integers(1, 5), st.floats(0.1, 500), st.floats(0.1, 500))
def test_whatever_is_set_what_may_be_read_stays(runs, newest, run_days, release_days):
    made = [
        kept(days, f"run-{number}", for_release=release, ended=ended, environment=environment)
        for number, (days, release, ended, environment) in enumerate(runs)
    ]
    policy = chosen(newest_runs=newest, run_days=run_days, release_days=release_days)
    gone = set(no_longer_needed(made, policy, NOW))
    own = sorted((run for run in made if run.environment == "production"), key=lambda run: (run.ended_at, run.run_id))
    assert gone <= {run.run_id for run in own}
    assert not gone & {run.run_id for run in own[-newest:]}
    assert not gone & {run.run_id for run in own if run.ended_at >= NOW - shortest(policy)}
    assert not gone & {run.run_id for run in [run for run in own if run.ended][-1:]}


@pytest.mark.parametrize("name", ["RUN_DAYS", "RELEASE_DAYS", "NEWEST_RUNS"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_setting_that_keeps_nothing_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"PHASE5_RETENTION__{name}", value)
    with pytest.raises(ConfigurationError, match=f"(?i)retention.*{name}"):
        load_settings()


# --- on a real folder, with Dagster's files and the state table ---------------------------------------------------------------


@dg.op
def nothing() -> None:
    """A run's only step."""


class Folder:
    """A state folder with runs in it."""

    def __init__(self, instance, root) -> None:
        self.root, self.instance = root, instance
        self.store = EvidenceStore(root / "evidence")
        self.settings = chosen().model_copy(update={"state_dir": root})

    def run(self, days_ago: float, *, evidence: bool = True, **tags: str) -> str:
        """A run that Dagster knows and, by what its evidence says, ended so many days ago."""
        job = dg.GraphDefinition(name=READINESS_JOB, node_defs=[nothing]).to_job()
        own = {ENVIRONMENT_TAG: self.settings.environment, **tags}
        run_id = job.execute_in_process(instance=self.instance, run_id=str(uuid4()), tags=own).run_id
        if evidence:
            self.evidence(run_id, days_ago)
        return run_id

    def evidence(self, run_id: str, days_ago: float) -> None:
        at, environment = datetime.now(UTC) - timedelta(days=days_ago), self.settings.environment
        self.store.write_origin(run_id, Origin(READINESS_JOB, environment, False, None, at))
        self.store.write_verdict(run_id, "check", {"verdict": "PASS"})
        self.store.write_ended(run_id, Ended(environment, at, Standing()))
        self.store.seal(run_id)

    def prune(self) -> str | None:
        platform = RunContext(
            self.settings, AwsReader(ReadingSettings()), History(self.root / "history.sqlite"), self.store, "now"
        )
        return prune(platform, self.instance)

    def files_of(self, run_id: str) -> list[str]:
        return [str(path.relative_to(self.root)) for path in self.root.rglob(f"*{run_id}*")]


@pytest.fixture
def folder(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"telemetry": {"enabled": False}}) as instance:
        yield Folder(instance, tmp_path)


def test_an_old_run_goes_whole_and_the_others_stay_whole(folder):
    old, release, newest = folder.run(31), folder.run(31, **{RELEASE_TAG: "r", DIGEST_TAG: "d"}), folder.run(1)
    signed, forgotten = folder.run(31), str(uuid4())
    folder.store.write_attestation(signed, "decision.dsse.json", b"{}")
    folder.evidence(forgotten, 31)
    before = {run_id: folder.files_of(run_id) for run_id in (release, newest, signed, forgotten)}
    assert any(name.startswith("history/runs/") for name in folder.files_of(old))
    assert folder.prune() is None
    assert folder.files_of(old) == []
    assert folder.instance.get_run_record_by_id(old) is None
    assert {run_id: folder.files_of(run_id) for run_id in before} == before
    assert folder.instance.get_run_record_by_id(newest) is not None
    assert folder.prune() is None


def test_the_folder_stops_growing(folder):
    folder.settings = folder.settings.model_copy(update={"retention": RetentionPolicy(newest_runs=3)})
    sizes = []
    for _ in range(6):
        folder.run(40)
        folder.prune()
        sizes.append((len(folder.store.run_ids()), len(list((folder.root / "history" / "runs").glob("*-*.db")))))
    assert sizes == [(1, 1), (2, 2), *[(3, 3)] * 4]


def test_a_folder_that_cannot_be_removed_is_said(folder, monkeypatch):
    folder.run(0)
    old = folder.run(40)
    monkeypatch.setattr(EvidenceStore, "remove", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied", "x")))
    assert folder.prune() == "old evidence cannot be removed: [Errno 13] Permission denied: 'x'"
    assert folder.instance.get_run_record_by_id(old) is not None


def test_what_a_killed_pruning_left_is_finished_by_the_next(folder):
    folder.run(0)
    old = folder.run(40)
    folder.store.run_folder(old).rename(folder.root / "evidence" / f".removed-{old}")
    half = folder.run(40)
    assert folder.prune() is None
    assert half not in folder.store.run_ids()
    assert list((folder.root / "evidence").glob(".removed-*")) == []


def test_evidence_that_does_not_say_what_made_it_stays(folder):
    folder.run(0)
    odd = folder.run(40)
    (folder.store.run_folder(odd) / "histories.json").write_text("{}")
    assert folder.prune() is None
    assert odd in folder.store.run_ids()
