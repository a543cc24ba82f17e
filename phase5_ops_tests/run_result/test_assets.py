"""Every readiness run leaves its document, its report, its tags and the asset `readiness`, outside what is sealed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from phase5_ops.build import CATALOGUE, PROJECT, build_defs, evidence_for, implemented_checks
from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.context import RunContext, open_run
from phase5_ops.evidence import run_tags
from phase5_ops.evidence.result import RowEntry
from phase5_ops.gate.inputs.dagster_records import RunLog, stored_results
from phase5_ops.gate.records import RunFacts, RunState
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.run_result import assets
from phase5_ops.run_result.document import Project
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests.conftest import NOW, standing
from phase5_ops_tests.report.documents import finding, row

pytestmark = pytest.mark.slow

SIGN_OFFS = ["eng_reliability_signed_off", "ops_sre_signed_off", "security_compliance_signed_off"]


@pytest.fixture(scope="module")
def healthy() -> Iterator[Sandbox]:
    with standing("healthy") as sandbox:
        yield sandbox


@pytest.fixture
def settings(healthy: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a healthy platform, with a state folder of the test."""
    for name, value in {**healthy.exports(), "PHASE5_NOW": NOW, "PHASE5_STATE_DIR": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@dg.job(name=run_tags.READINESS_JOB)
def nothing() -> None:
    """Stands for the job of a run that is over."""


def ended(settings: Settings, instance: dg.DagsterInstance, **tags: str) -> tuple[RunContext, dg.DagsterRun]:
    """A run whose evidence is sealed."""
    run = open_run(settings, str(uuid4()))
    run.store.seal(run.run_id)
    return run, instance.create_run_for_job(nothing, run_id=run.run_id, tags=tags)


def whole(**entries: RowEntry) -> RunLog:
    """The log of a run that judged every row; they pass unless given otherwise."""
    checks = implemented_checks()
    return RunLog({name: entries.get(name) or row(ROW_OF_CHECK[name].id) for name in checks}, checks, (), interrupted=False)


def state(settings, instance, monkeypatch, found: RunLog, project: Project = PROJECT, **tags: str) -> RunContext:
    run, dagster_run = ended(settings, instance, **tags)
    monkeypatch.setattr(assets, "run_log", lambda *_: found)
    assets.state_result(run, instance, dagster_run, project, CATALOGUE)
    return run


def sign_offs_shown(instance: dg.DagsterInstance) -> dict[str, tuple[str, str]]:
    """Check -> the run of the event, and what it says."""
    keys = [dg.AssetCheckKey(dg.AssetKey("sign_offs"), name) for name in SIGN_OFFS]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {
        key.name: (record.event.run_id, record.event.dagster_event.asset_check_evaluation_data.description)
        for key, record in found.items()
    }


#: What Dagster stores of a run of row 1.3: four tables, which eight inputs take, and six checks in three steps. Each event takes
#: its time in every run.
EVENTS = Counter(
    ["PIPELINE_START", "ENGINE_EVENT", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "LOGS_CAPTURED"]
    + ["ASSET_MATERIALIZATION_PLANNED", "STEP_START", "STEP_OUTPUT", "ASSET_MATERIALIZATION", "HANDLED_OUTPUT", "STEP_SUCCESS"]
    * 4
    + ["STEP_START", "STEP_SUCCESS"] * 3
    + ["ASSET_CHECK_EVALUATION_PLANNED", "STEP_OUTPUT", "ASSET_CHECK_EVALUATION"] * 6
    + ["STEP_INPUT", "LOADED_INPUT"] * 8
    + ["ASSET_MATERIALIZATION"]  # of `readiness`
    + ["PIPELINE_SUCCESS", "ENGINE_EVENT"]
)
TAGGED = 4 + 3 + 2  # with each table, with each step of checks, at the end with the seal and the result


def test_a_run_that_nobody_typed_leaves_what_check_leaves(settings, instance, monkeypatch):
    tagged = []
    add = instance.add_run_tags
    monkeypatch.setattr(instance, "add_run_tags", lambda *given: tagged.append(given) or add(*given))
    job = build_defs(settings=settings).resolve_job_def(run_tags.READINESS_JOB)
    selection = [dg.AssetKey(name) for name in sorted(evidence_for({"1.3"}))]
    result = job.execute_in_process(instance=instance, asset_selection=selection)
    run_id, folder = result.run_id, settings.state_dir / "evidence" / result.run_id
    document = ReadinessDocument.model_validate_json((folder / "readiness.json").read_bytes())
    judged = {evaluation.check_name for evaluation in result.get_asset_check_evaluations()}
    assert {entry.check for entry in (*document.rows, *document.extra_checks)} == judged
    assert (document.decision, document.exit_code) == ("NOT_DECIDED", 0)
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    tags = instance.get_run_by_id(run_id).tags
    assert tags["phase5/decision"] == "NOT_DECIDED"
    assert tags["phase5/verdicts"] == f"PASS {len(judged)}"
    assert tags["phase5/evidence_digest"] == document.evidence_digest
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert not {"readiness.json", "report.html"} & manifest.keys()
    store = open_run(settings, run_id).store
    assert store.differences(run_id, document.evidence_digest) == []
    event = instance.get_latest_materialization_event(dg.AssetKey("readiness"))
    assert event.run_id == run_id
    assert "1.3 Alarm runbook" in event.asset_materialization.metadata
    assert sign_offs_shown(instance) == {}
    stored = [each.event_log_entry.dagster_event_type for each in instance.get_records_for_run(run_id).records]
    assert Counter(kind and kind.value for kind in stored) == EVENTS
    assert len(tagged) == TAGGED


def test_the_tags_say_which_rows_are_closed(settings, instance, monkeypatch):
    closed = {"slo_alarms_defined": row("1.2", finding("error_alarm_missing"))}
    run = state(settings, instance, monkeypatch, whole(**closed))
    tags = instance.get_run_by_id(run.run_id).tags
    assert (tags["phase5/decision"], tags["phase5/verdicts"]) == ("BLOCKED", f"FAIL 1.2; PASS {len(implemented_checks()) - 1}")


def test_sign_offs_have_the_state_that_the_document_has_and_are_no_result_of_the_run(settings, instance, monkeypatch):
    run = state(settings, instance, monkeypatch, whole())
    document = assets.result_of(run)
    said = {entry.check: f"{entry.verdict}: {entry.summary}" for entry in document.rows if entry.check in SIGN_OFFS}
    assert sign_offs_shown(instance) == {name: ("", said[name]) for name in SIGN_OFFS}
    facts = RunFacts(run.run_id, run_tags.READINESS_JOB, RunState.FINISHED, "sandbox", None, fixed_now=False)
    assert stored_results(instance, facts) == {}


def test_the_signatures_of_a_release_stay_shown_until_a_run_for_another(settings, instance, monkeypatch):
    materialized = dg.AssetMaterialization("sign_offs", metadata={"release": "r-1"})
    instance.report_runless_asset_event(materialized)
    state(settings, instance, monkeypatch, whole())
    of_release = {run_tags.RELEASE_TAG: "r-1", run_tags.DIGEST_TAG: "sha256:" + "d" * 64}
    state(settings, instance, monkeypatch, whole(), **of_release)
    assert sign_offs_shown(instance) == {}
    state(settings, instance, monkeypatch, whole(), **{**of_release, run_tags.RELEASE_TAG: "r-2"})
    said = [each for _, each in sign_offs_shown(instance).values()]
    assert len(said) == len(SIGN_OFFS)
    assert all("no readiness statement of r-2 yet" in each for each in said)


def test_an_interrupted_run_leaves_no_result(settings, instance, monkeypatch):
    run = state(settings, instance, monkeypatch, RunLog({}, implemented_checks(), (), interrupted=True))
    assert assets.result_of(run) is None
    assert not run.store.document_path(run.run_id).exists()
    assert instance.get_run_by_id(run.run_id).tags["phase5/decision"] == "INTERRUPTED"
    assert instance.get_latest_materialization_event(dg.AssetKey("readiness")) is None


def test_a_report_that_cannot_be_made_is_said_and_costs_the_run_nothing(settings, instance, monkeypatch):
    def broken(*_: object) -> str:
        raise ValueError("no template")

    run = state(settings, instance, monkeypatch, whole(), Project(implemented_checks(), {}, broken))
    stored = json.loads(run.store.document_path(run.run_id).read_bytes())
    assert "the report could not be made: ValueError: no template" in stored["notices"]
    assert not run.store.page_path(run.run_id).exists()
    metadata = instance.get_latest_materialization_event(dg.AssetKey("readiness")).asset_materialization.metadata
    assert "report" not in metadata


def test_a_run_whose_end_cannot_be_kept_fails_nothing(settings, instance, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("phase5_ops.evidence.store.EvidenceStore.write_result", full)
    job = build_defs(settings=settings).resolve_job_def(run_tags.READINESS_JOB)
    result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("gate_drill")])
    assert result.success
    assert "the result of run" in caplog.text
    assert not Path(settings.state_dir, "evidence", result.run_id, "readiness.json").exists()
    assert "phase5/decision" not in instance.get_run_by_id(result.run_id).tags
