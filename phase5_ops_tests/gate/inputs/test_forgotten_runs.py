"""A run that was deleted in Dagster is remembered by its evidence: it closes where it failed, and opens or cures nothing."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.histories import Standing
from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG, READINESS_JOB
from phase5_ops.evidence.store import Ended, EvidenceStore, Origin
from phase5_ops.gate.inputs.dagster_records import unknown_runs
from phase5_ops.gate.inputs.forgotten_runs import ForgottenRuns
from phase5_ops.verdict import Verdict, conclude
from phase5_ops_tests.gate.inputs.test_dagster_records import CHECK, RUN_1, RUN_2, RUN_3, SMALL, readiness

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
MADE = Origin(READINESS_JOB, "production", fixed_now=False, assets=("gate_drill", "late"))


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


@pytest.fixture
def store(tmp_path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


def failing(*_):
    return conclude(judged=1, summary="bad", findings=[SMALL.at("t", expected="x", seen="y", verdict=Verdict.FAIL)])


def left(store, run_id: str = RUN_1, origin: Origin | None = MADE, verdict: str = "FAIL") -> None:
    """Evidence as a run leaves it, of one row."""
    if origin:
        store.write_origin(run_id, origin)
    content = {"verdict": verdict, "findings": [], "observed_at": "2026-11-23T12:00:00Z", "tables": {}}
    store.write_verdict(run_id, CHECK, content)


def found(store, unknown=set, since: datetime = BEFORE):
    return ForgottenRuns(store, unknown).since(since, "production", allow_fixed_now=False)


def test_a_failing_run_that_is_deleted_still_says_so(instance, store):
    store.write_origin(RUN_1, MADE)  # so that the one row of this small job is all of it
    readiness(instance, store, RUN_1, tags={ENVIRONMENT_TAG: "production"}, judge=failing)
    ask = ForgottenRuns(store, lambda ids: unknown_runs(instance, ids))
    assert ask.since(BEFORE, "production", allow_fixed_now=False) == ()
    instance.delete_run(RUN_1)
    again = ForgottenRuns(store, lambda ids: unknown_runs(instance, ids))
    (run,) = again.since(BEFORE, "production", allow_fixed_now=False)
    assert (run.run_id, run.recorded, set(run.rows)) == (RUN_1, False, {"4.3"})
    verdict, (finding,) = run.rows["4.3"]
    assert (verdict, finding.code, finding.subject) == (Verdict.FAIL, "case_opens", "t")
    assert again.since(run.completed_at, "production", allow_fixed_now=False) == (run,)
    assert again.since(run.completed_at + timedelta(seconds=1), "production", allow_fixed_now=False) == ()


def test_the_wiring_says_what_made_the_evidence_within_the_digest(instance, store):
    readiness(instance, store, RUN_1)
    assert store.origin(RUN_1) == Origin(READINESS_JOB, "production", fixed_now=False, assets=None)
    assert "run.json" in store.manifest(RUN_1)
    assert instance.get_run_by_id(RUN_1).tags["phase5/evidence_digest"] == store.digest_of(store.manifest(RUN_1))


def test_a_run_that_dagster_knows_is_none_whether_or_not_it_is_over(instance, store):
    left(store)
    instance.create_run_for_job(dg.JobDefinition(name="other", graph_def=dg.GraphDefinition("g")), run_id=RUN_1)
    assert found(store, lambda ids: unknown_runs(instance, ids)) == ()


@pytest.mark.parametrize(
    "origin",
    [
        Origin("sign_off_job", "production", fixed_now=False, assets=None),
        Origin(READINESS_JOB, "staging", fixed_now=False, assets=None),
        Origin(READINESS_JOB, "production", fixed_now=True, assets=None),
    ],
    ids=["another job", "another environment", "a fixed clock"],
)
def test_what_is_no_readiness_run_of_now_and_here_says_nothing(store, origin):
    left(store, origin=origin)
    assert found(store, set) == ()


def test_a_fixed_clock_counts_where_it_is_allowed(store):
    left(store, origin=Origin(READINESS_JOB, "production", fixed_now=True, assets=None))
    assert len(ForgottenRuns(store, set).since(BEFORE, "production", allow_fixed_now=True)) == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"[1]", b"{}", b'{"job":"readiness_job","environment":"x","fixed_now":1}', b"\xff"]
)
def test_evidence_that_does_not_say_what_made_it_cannot_be_read(store, content):
    left(store, origin=None)
    if content is not None:
        (store.run_folder(RUN_1) / "run.json").write_bytes(content)
    (run,) = found(store)
    assert (run.run_id, run.rows) == (RUN_1, None)


def test_a_folder_without_evidence_is_no_run(store):
    store.write_origin(RUN_1, MADE)
    store.write_attestation(RUN_2, "decision.dsse.json", b"{}")
    assert found(store) == ()


def test_a_row_that_was_not_judged_or_cannot_be_read_is_an_error_and_one_that_was_not_chosen_is_none(store):
    left(store, RUN_1, Origin(READINESS_JOB, "production", fixed_now=False, assets=None), verdict="PASS")
    left(store, RUN_2, verdict="PASS")
    left(store, RUN_3, verdict="EXCELLENT")
    by_id = {run.run_id: run.rows for run in found(store)}
    judged = {row.id for row in ALL_CHECKS if not row.is_sign_off}
    assert by_id[RUN_1] == {row: (Verdict.PASS if row == "4.3" else Verdict.ERROR, ()) for row in judged}
    assert by_id[RUN_2] == {"4.3": (Verdict.PASS, ())}
    assert by_id[RUN_3] == {"4.3": (Verdict.ERROR, ())}


def test_of_very_many_one_that_cannot_be_read_stands_for_the_rest(store):
    for number in range(60):
        left(store, f"run-{number}", replace(MADE, began_at=datetime.fromtimestamp(1_700_000_000 + number, UTC)))
        os.utime(store.run_folder(f"run-{number}"), (1_700_000_000 - number,) * 2)  # which tells nothing
    runs = found(store, since=datetime(2020, 1, 1, tzinfo=UTC))
    assert [run.run_id for run in runs] == [f"run-{number}" for number in range(59, 8, -1)]
    assert [run.rows is None for run in runs] == [False] * 50 + [True]


def test_a_tick_lists_once_and_asks_dagster_once_whatever_the_number_of_candidates(store, monkeypatch):
    for number in range(5):
        left(store, f"run-{number}")
    listed, asked = [], []
    listing = EvidenceStore.run_ids
    monkeypatch.setattr(EvidenceStore, "run_ids", lambda self: listed.append(1) or listing(self))
    runs = ForgottenRuns(store, lambda ids: asked.append(sorted(ids)) or set())
    for hours in range(100):
        runs.since(BEFORE + timedelta(hours=hours), "production", allow_fixed_now=False)
    assert (len(listed), asked) == (1, [[f"run-{number}" for number in range(5)]])


def test_an_evidence_folder_that_cannot_be_listed_closes_and_one_that_is_not_there_does_not(store, tmp_path):
    assert found(store) == ()
    (tmp_path / "evidence").write_text("no folder")
    (run,) = found(store)
    assert (run.rows, run.recorded, run.completed_at.year) == (None, False, 9999)


@pytest.mark.parametrize(
    ("began", "ended", "observed", "moment"),
    [
        ("10:00", "10:20", "09:00", "10:20"),
        ("10:00", None, "09:00", "11:00"),  # killed: the longest that a run takes
        (None, None, "09:00", "10:00"),  # of an earlier version: what it read last, and the same
        (None, None, "gone", "never"),
        ("10:00", "unreadable", "09:00", "never"),
    ],
)
def test_when_a_run_ended_is_told_by_what_it_wrote(store, began, ended, observed, moment):
    def at(clock: str) -> datetime:
        return datetime.fromisoformat(f"2026-11-23T{clock}:00+00:00")

    store.write_origin(RUN_1, replace(MADE, began_at=at(began) if began else None))
    said = f"2026-11-23T{observed}:00Z" if observed != "gone" else "?"
    store.write_verdict(RUN_1, CHECK, {"verdict": "FAIL", "findings": [], "observed_at": said, "tables": {}})
    if ended == "unreadable":
        (store.run_folder(RUN_1) / "histories.json").write_text("{}")
    elif ended:
        store.write_ended(RUN_1, Ended("production", at(ended), Standing()))
    for seconds in (0, 4_000_000_000):
        os.utime(store.run_folder(RUN_1), (seconds, seconds))
        (run,) = found(store)
        assert run.completed_at == at(moment) if moment != "never" else run.completed_at.year == 9999
