"""A promotion run started by hand goes through the same door, and fails with the reason unless the release is promoted."""

import dagster as dg
import pytest

from phase5_ops.build import build_defs
from phase5_ops.evidence.run_tags import DIGEST_TAG, PROMOTION_JOB, RELEASE_TAG
from phase5_ops.gate.defs.promotion_job import promotion_run_config
from phase5_ops.gate.records import Release
from phase5_ops.settings import load_settings
from phase5_ops_tests.gate.people import Desk

DIGEST = "sha256:" + "d" * 64


def launched_by_hand(settings, name: str = "r-1", digest: str = DIGEST, tags: dict[str, str] | None = None) -> str:
    job = build_defs(settings=settings).resolve_job_def(PROMOTION_JOB)
    config = None if tags is not None else promotion_run_config(Release(name, digest, settings.environment))
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(run_config=config, instance=instance, raise_on_error=False, tags=tags)
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    described = failure.step_failure_data.user_failure_data
    return described.description if described else str(error.cause or error)


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path)


def test_a_release_that_nobody_registered_is_not_promoted(desk, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    assert "STOPPED: no candidate r-1" in launched_by_hand(desk.settings)


def test_a_candidate_without_a_readiness_run_is_blocked_although_its_statement_was_signed(desk, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    candidate = desk.ready()
    seen = launched_by_hand(desk.settings, candidate.release.name, candidate.release.digest)
    assert seen.startswith("BLOCKED: ")
    assert "no_readiness_run" in seen
    assert desk.open().state.lock(candidate.release, 1) is None


def test_the_release_may_stand_in_the_runs_tags(desk, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    tags = {RELEASE_TAG: "r-2", DIGEST_TAG: DIGEST}
    assert "STOPPED: no candidate r-2" in launched_by_hand(desk.settings, tags=tags)


def test_a_run_that_names_no_release_promotes_nothing():
    assert "not a release name" in launched_by_hand(load_settings(), tags={})


@pytest.mark.parametrize(("name", "digest"), [("../x", DIGEST), ("r-1", "sha256:1"), ("r-1", "latest")])
def test_what_is_no_release_is_refused_before_anything_is_read(name, digest):
    assert "not a" in launched_by_hand(load_settings(), name, digest)


def test_a_fixed_clock_promotes_nothing_outside_the_sandbox(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    assert "PHASE5_NOW fixes the clock: promotion is refused" in launched_by_hand(load_settings())
