"""The contract with Dagster: what its records of a real readiness run say, and what posted, wiped and deleted records do."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine, event, text

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import evidence_io_manager
from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.context import RunContext
from phase5_ops.evidence.history import History
from phase5_ops.evidence.run_tags import ATTEMPT_TAG, DIGEST_TAG, ENVIRONMENT_TAG, READINESS_JOB, RELEASE_TAG, SERIES_TAG
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import DeclaredTable, GatheredTable, NoFacts
from phase5_ops.gate.decision.recorded_rules import LeftEvidence
from phase5_ops.gate.decision.row_state import state_problems
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.dagster_records import (
    newest_finished,
    other_runs,
    readiness_run,
    runs_of_candidate,
    stored_bundle,
    stored_results,
)
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import GateInputs, Release, RunFacts, RunState, StoredResult
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.wiring import Evidence, Judging, evidence_asset, row_checks
from phase5_ops.policy import GatePolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings, Settings
from phase5_ops.verdict import FindingCode, Judgement, Verdict, conclude

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RELEASE = Release("r-1", "sha256:" + "d" * 64, "production")
RUN_1, RUN_2, RUN_3 = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
POLICY_DIGEST = "sha256:" + "b" * 64
CHECK = "gate_blocks_on_failure"
ROW = ROW_OF_CHECK[CHECK]
TAGS = {
    RELEASE_TAG: RELEASE.name,
    DIGEST_TAG: RELEASE.digest,
    ENVIRONMENT_TAG: RELEASE.environment,
    SERIES_TAG: "1",
    ATTEMPT_TAG: "1",
}
SMALL = FindingCode(Verdict.WARN, "A test's.", "None.", also=(Verdict.FAIL,), code="case_opens")


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


@pytest.fixture
def sqlite_instance(tmp_path: Path):
    """As it is kept on a disk, where the log of a run is a file of its own."""
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"telemetry": {"enabled": False}}) as chosen:
        yield chosen


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


@dataclass(frozen=True)
class Case:
    case: str


CASES = DeclaredTable(Case, NoFacts)


def readiness(instance, store, run_id: str, *, tags=TAGS, judge=None, job: str = READINESS_JOB, platform_changes=None) -> None:
    """A run of a readiness job with one asset and one row, as the project's own wiring makes them."""
    settings = Settings(environment=RELEASE.environment, state_dir=store.run_folder("x").parent, **(platform_changes or {}))
    platform = RunContext(settings, AwsReader(ReadingSettings()), History(settings.state_dir / "h.sqlite"), store, run_id)
    platform.__dict__["policy_digest"] = POLICY_DIGEST

    def gather(platform: RunContext, _tables) -> GatheredTable:
        read = Read("phase5:Decide", "test", ReadStatus.OK, None, 1, "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z")
        return CASES.gathered([Case("one")], NoFacts()).with_reads([read], NOW)

    def good(_platform, _tables, _now) -> Judgement:
        found = [SMALL.at("tenant-a", expected="none", seen="one", link="https://example.org/x")]
        return conclude(judged=1, summary="fine", findings=found)

    evidence = Evidence("gate_drill", "4", "A test's.", gather, "security-compliance", frozenset({"table"}), CASES)
    late = Evidence(
        "late", "4", "Without checks, made last.", gather, "security-compliance", frozenset({"table"}), CASES, priority=-9
    )
    definitions = dg.Definitions(
        assets=[evidence_asset(evidence, DagsterNames()), evidence_asset(late, DagsterNames())],
        asset_checks=[row_checks(Judging("gate_drill", {CHECK: judge or good}), DagsterNames())],
        jobs=[
            dg.define_asset_job(
                job, selection=dg.AssetSelection.assets("gate_drill", "late"), executor_def=dg.in_process_executor
            )
        ],
        resources={
            "run": dg.ResourceDefinition.hardcoded_resource(platform),
            "evidence_io": evidence_io_manager,
        },
    )
    definitions.resolve_job_def(job).execute_in_process(instance=instance, run_id=run_id, tags=tags, raise_on_error=False)


def problems(instance, store, run_id: str, results=None) -> list[str]:
    record = instance.get_run_record_by_id(run_id)
    run = readiness_run(record) if record else None
    facts = run.facts if run else None
    found = results if results is not None else (stored_results(instance, facts) if facts else {})
    bundle = stored_bundle(store, run) if run else None
    inputs = GateInputs(RELEASE, run_id, found, bundle, POLICY_DIGEST, GatePolicy(), NOW)
    return [reason.code for reason in state_problems(ROW, found.get(CHECK), inputs)]


def test_a_run_of_the_readiness_job_gives_results_that_count(sqlite_instance, store):
    instance = sqlite_instance
    readiness(instance, store, RUN_1)
    (run,) = runs_of_candidate(instance, RELEASE, 1)
    assert (run.facts.run_id, run.facts.job, run.facts.state) == (RUN_1, READINESS_JOB, RunState.FINISHED)
    assert (run.release, run.series, run.attempt, run.facts.release_digest) == ("r-1", 1, 1, RELEASE.digest)
    result = stored_results(instance, run.facts)[CHECK]
    assert (result.passed, result.verdict, result.target_run_id, result.observed_at) == (False, Verdict.WARN, RUN_1, NOW)
    assert [(f.code, f.subject, f.link) for f in result.findings] == [("case_opens", "tenant-a", "https://example.org/x")]
    bundle = stored_bundle(store, run)
    assert bundle.digest == bundle.sealed_digest
    assert bundle.tables.items() >= result.tables.items()
    assert "late" in bundle.tables  # sealed too, though no check comes after it
    assert problems(instance, store, RUN_1) == []


def test_a_check_that_was_planned_and_never_evaluated_is_crashed(instance, store, monkeypatch):
    monkeypatch.setattr(EvidenceStore, "write_verdict", lambda *_: 1 / 0)
    readiness(instance, store, RUN_1)
    assert problems(instance, store, RUN_1) == [GateReason.RESULT_CRASHED.code]


def test_posted_results_and_materializations_are_not_seen(instance, store):
    readiness(
        instance,
        store,
        RUN_1,
        judge=lambda *_: conclude(
            judged=1, summary="bad", findings=[SMALL.at("t", expected="x", seen="y", verdict=Verdict.FAIL)]
        ),
    )
    metadata = {"verdict": "PASS", "result": {"findings": [], "verdict": "PASS", "observed_at": "2026-11-23T12:00:00Z"}}
    instance.report_runless_asset_event(dg.AssetMaterialization("gate_drill"))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=dg.AssetKey("gate_drill"), check_name=CHECK, passed=True, metadata=metadata)
    )
    result = stored_results(instance, readiness_run(instance.get_run_record_by_id(RUN_1)).facts)[CHECK]
    assert (result.verdict, result.passed) == (Verdict.FAIL, False)


def test_a_newer_run_does_not_take_the_place_of_the_candidates_own(instance, store):
    readiness(instance, store, RUN_1)
    readiness(instance, store, RUN_2, tags={})
    assert [run.facts.run_id for run in runs_of_candidate(instance, RELEASE, 1)] == [RUN_1]
    assert problems(instance, store, RUN_1) == []


def test_wiping_the_asset_opens_nothing_and_a_deleted_run_has_no_results(sqlite_instance, store):
    instance = sqlite_instance
    readiness(instance, store, RUN_1)
    instance.wipe_assets([dg.AssetKey("gate_drill")])
    assert problems(instance, store, RUN_1) in ([], [GateReason.RESULT_MISSING.code])
    instance.delete_run(RUN_1)
    assert instance.get_run_record_by_id(RUN_1) is None
    assert problems(instance, store, RUN_1) == [GateReason.RESULT_MISSING.code]


def test_another_job_is_not_believed(instance, store):
    readiness(instance, store, RUN_1, job="other_job")
    assert runs_of_candidate(instance, RELEASE, 1) == []
    assert problems(instance, store, RUN_1) == [GateReason.RESULT_OF_ANOTHER_JOB.code]


def test_a_run_under_a_fixed_clock_says_so(instance, store):
    readiness(instance, store, RUN_1, platform_changes={"now": NOW})
    assert GateReason.RESULT_UNDER_FIXED_CLOCK.code in problems(instance, store, RUN_1)


@pytest.mark.parametrize("file", ["tables/gate_drill.parquet", f"verdicts/{CHECK}.json"])
def test_an_edited_evidence_file_is_noticed(instance, store, file):
    readiness(instance, store, RUN_1)
    path = store.run_folder(RUN_1) / file
    path.write_bytes(path.read_bytes().replace(b"WARN", b"PASS") + b"\n")
    bundle = stored_bundle(store, readiness_run(instance.get_run_record_by_id(RUN_1)))
    assert bundle is not None
    assert bundle.digest != bundle.sealed_digest
    assert GateReason.RESULT_NOT_OF_THE_EVIDENCE.code in problems(instance, store, RUN_1)


def test_an_edited_manifest_is_changed_evidence_and_a_missing_one_is_none(instance, store):
    readiness(instance, store, RUN_1)
    path = store.run_folder(RUN_1) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"sha256:", b"sha512:"))
    bundle = stored_bundle(store, readiness_run(instance.get_run_record_by_id(RUN_1)))
    assert bundle.digest != bundle.sealed_digest
    path.unlink()
    assert stored_bundle(store, readiness_run(instance.get_run_record_by_id(RUN_1))) is None


def test_more_runs_than_are_looked_at_close_whatever_they_are(instance, monkeypatch):
    """Six runs that say nothing of now must not hide a newer one that failed, where five are looked at."""
    monkeypatch.setattr(check_state, "_MOST_OTHER_RUNS", 5)
    ended = datetime.now(UTC) - timedelta(hours=1)
    tags = {"phase5/environment": "production", "phase5/fixed_now": "x"}
    for _ in range(5):
        instance.add_run(dg.DagsterRun(job_name="readiness_job", status=dg.DagsterRunStatus.CANCELED, tags=tags))
    assert other_runs(instance, "production", ended, allow_fixed_now=False) == ()
    instance.add_run(dg.DagsterRun(job_name="readiness_job", status=dg.DagsterRunStatus.CANCELED, tags=tags))
    [hidden] = other_runs(instance, "production", ended, allow_fixed_now=False)
    assert hidden.rows is None


def test_evidence_that_is_nested_without_end_or_of_no_day_is_no_evidence(instance, store):
    readiness(instance, store, RUN_1)
    run, path = readiness_run(instance.get_run_record_by_id(RUN_1)), store.run_folder(RUN_1) / "verdicts" / f"{CHECK}.json"
    content = path.read_text()
    path.write_text("[" * 100_000)
    assert stored_bundle(store, run) is None
    path.write_text(re.sub(r'"observed_at":"[^"]*"', '"observed_at":"0001-01-01T00:00:00+14:00"', content))
    assert stored_bundle(store, run).verdicts[CHECK].verdict is None


def test_evidence_that_is_gone_or_no_json_is_no_evidence(instance, store):
    readiness(instance, store, RUN_1)
    run = readiness_run(instance.get_run_record_by_id(RUN_1))
    (store.run_folder(RUN_1) / "verdicts" / f"{CHECK}.json").write_text("[1]")
    assert stored_bundle(store, run) is None
    for path in store.run_folder(RUN_1).rglob("*.*"):
        if path.is_file():
            path.unlink()
    assert stored_bundle(store, run) is None


def test_a_result_without_the_wiring_s_metadata_has_no_verdict():
    evaluation = dg.AssetCheckEvaluation(asset_key=dg.AssetKey("gate_drill"), check_name=CHECK, passed=True, metadata={})
    assert check_state._result(evaluation, None) == StoredResult(CHECK, None, evaluated=True, passed=True)


def test_newer_runs_of_the_environment_are_found_with_their_verdicts(instance, store):
    readiness(instance, store, RUN_1)
    ended = readiness_run(instance.get_run_record_by_id(RUN_1)).ended_at
    readiness(
        instance,
        store,
        RUN_2,
        tags={ENVIRONMENT_TAG: "production"},
        judge=lambda *_: conclude(
            judged=1, summary="bad", findings=[SMALL.at("t", expected="x", seen="y", verdict=Verdict.FAIL)]
        ),
    )
    readiness(instance, store, RUN_3, tags={ENVIRONMENT_TAG: "staging"}, platform_changes={"now": NOW})
    found = {run.run_id: run for run in other_runs(instance, "production", ended, allow_fixed_now=False)}
    assert found.keys() == {RUN_1, RUN_2}  # the decision leaves the candidate's own out
    assert found[RUN_2].rows["4.3"][0] is Verdict.FAIL
    assert other_runs(instance, "production", ended + timedelta(hours=1), allow_fixed_now=False) == ()


def test_the_last_run_that_is_over_is_the_one_judged(instance, store):
    readiness(instance, store, RUN_1)
    readiness(instance, store, RUN_2)
    runs = runs_of_candidate(instance, RELEASE, 1)
    assert newest_finished(runs).facts.run_id == RUN_2
    assert newest_finished([]) is None


def test_results_of_runs_that_are_over_are_read_once_and_the_oldest_of_many_are_forgotten(instance, monkeypatch):
    read = []
    monkeypatch.setattr(
        check_state, "stored_results", lambda _, run: read.append(run.run_id) or {CHECK: StoredResult(CHECK, run)}
    )
    kept = check_state.KeptResults(most=2)
    over = [RunFacts(name, READINESS_JOB, RunState.FINISHED) for name in ("a", "b", "c")]
    running = RunFacts("r", READINESS_JOB, RunState.RUNNING)
    retagged = replace(over[0], release_digest="sha256:other")
    for run in (over[0], over[0], running, running, retagged, over[1], over[2], over[0]):
        assert kept.of(instance, run)[CHECK].run == run
    assert read == ["a", "r", "r", "a", "b", "c", "a"]


def work(look: Callable[[], object]) -> tuple[int, int]:
    """How much Dagster's storage does for a look: statements, and steps of SQLite's virtual machine."""
    statements, steps = [], []

    def count(connection, *_) -> None:
        statements.append(1)
        connection.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        look()
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return len(statements), len(steps)


def past_runs(instance, count: int) -> None:
    """Runs of the environment that ended long ago, each for a candidate of its own."""
    old = datetime.now(UTC) - timedelta(days=9)
    for number in range(count):
        tags = {**TAGS, RELEASE_TAG: f"past-{number}", DIGEST_TAG: f"sha256:{number:064x}"}
        instance.add_run(dg.DagsterRun(job_name=READINESS_JOB, status=dg.DagsterRunStatus.SUCCESS, tags=tags))
    with instance.run_storage.connect() as connection:
        connection.execute(text("UPDATE runs SET update_timestamp = :old"), {"old": old.strftime("%Y-%m-%d %H:%M:%S.%f")})


def test_past_runs_make_neither_the_search_for_a_candidate_s_runs_nor_that_for_newer_ones_longer():
    """Dagster keeps every run; each tick looks for the runs of ten candidates, and for those that ended since."""
    looked = []
    for count in (10, 60):
        with dg.DagsterInstance.ephemeral() as instance:
            past_runs(instance, count)
            own = dg.DagsterRun(job_name=READINESS_JOB, status=dg.DagsterRunStatus.SUCCESS, tags=TAGS)
            instance.add_run(own)
            ended = datetime.now(UTC) - timedelta(minutes=1)
            found = []
            done = (
                work(lambda: found.extend(runs_of_candidate(instance, RELEASE, 1))),  # noqa: B023 - called at once
                work(lambda: found.extend(other_runs(instance, "production", ended, allow_fixed_now=False))),  # noqa: B023
            )
            looked.append(done)
            assert [found[0].facts.run_id, found[1].run_id] == [own.run_id, own.run_id]
    for (queries_of_few, steps_of_few), (queries, steps) in zip(*looked, strict=True):
        assert queries == queries_of_few
        assert steps <= steps_of_few * 1.2


def test_newer_runs_of_other_environments_and_jobs_hide_none(instance, monkeypatch):
    """More of them than are looked at; the storage is asked for all, since it finds those of one environment slowly."""
    ended = datetime.now(UTC) - timedelta(hours=1)
    mine = dg.DagsterRun(job_name=READINESS_JOB, status=dg.DagsterRunStatus.SUCCESS, tags=TAGS)
    instance.add_run(mine)
    monkeypatch.setattr(check_state, "_MOST_OTHER_RUNS", 10)
    for number in range(25):
        job, environment = (READINESS_JOB, "staging") if number % 2 else ("sign_off_job", "production")
        instance.add_run(dg.DagsterRun(job_name=job, status=dg.DagsterRunStatus.SUCCESS, tags={ENVIRONMENT_TAG: environment}))
    assert [run.run_id for run in other_runs(instance, "production", ended, allow_fixed_now=False)] == [mine.run_id]


def test_a_series_has_the_runs_that_were_tagged_so_to_the_letter(instance):
    for tags in (TAGS, {**TAGS, SERIES_TAG: "01"}, {**TAGS, ENVIRONMENT_TAG: "staging"}, {**TAGS, SERIES_TAG: "2"}):
        instance.add_run(dg.DagsterRun(job_name=READINESS_JOB, status=dg.DagsterRunStatus.SUCCESS, tags=tags))
    assert len(runs_of_candidate(instance, RELEASE, 1)) == 1


def test_what_evidence_is_left_is_read_again_only_where_a_file_changed(instance, store):
    readiness(instance, store, RUN_1)
    kept, read = check_state.KeptResults(), []

    def look() -> LeftEvidence:
        return kept.left(RUN_1, store.marks(RUN_1), lambda: read.append(1) or LeftEvidence(store.sealed_digest(RUN_1), None))

    assert look() is look()
    path = store.run_folder(RUN_1) / "verdicts" / f"{CHECK}.json"
    stat = path.stat()
    path.write_bytes(path.read_bytes().replace(b"WARN", b"PASS"))  # as long as before,
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # and as old
    look()
    assert len(read) == 2
    path.unlink()
    look()
    assert len(read) == 3
