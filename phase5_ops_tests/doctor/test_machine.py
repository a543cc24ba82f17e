"""The state folder, Dagster and the daemon: each fault gives its line."""

import os
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo

from phase5_ops.clock import iso
from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.doctor.machine import dagster_of, file_system, look_at_gate, state_folder_of
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.gate.state.notice_box import RUNS, NoticeItem
from phase5_ops.settings import load_settings
from phase5_ops_tests.doctor.conftest import given, said
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.several_environments import list_environments

OK, NOTE, UNKNOWN, PROBLEM = InstallOutcome.OK, InstallOutcome.NOTE, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM


def test_a_folder_that_is_gone_full_or_read_only(installation, tmp_path, monkeypatch):
    assert "is not there" in said(state_folder_of(lambda _: None)(given(installation, state_dir=tmp_path / "none")))[PROBLEM][0]
    assert "cannot be written: read-only" in said(state_folder_of(lambda _: "read-only")(installation))[PROBLEM][0]
    assert PROBLEM not in said(state_folder_of(lambda _: None)(installation))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30 - 1))
    assert said(state_folder_of(lambda _: None)(installation))[PROBLEM] == ["1.0 GiB are free for it"]


def test_the_file_system_of_a_folder():
    mounts = "overlay / overlay rw 0 0\n127.0.0.1:/ /var/lib/phase5 nfs4 rw 0 0\ntmpfs /a\\040b tmpfs rw 0 0\n"
    assert file_system(Path("/var/lib/phase5/state"), mounts) == "nfs4"
    assert file_system(Path("/a b"), mounts) == "tmpfs"
    assert file_system(Path("/home"), mounts) == "overlay"
    assert file_system(Path("/home"), "") is None


@pytest.fixture
def instance(installation, monkeypatch):
    (installation.settings.state_dir / "dagster.yaml").write_text("")
    with dg.DagsterInstance.ephemeral() as opened:
        monkeypatch.setattr(opened, "all_instigator_state", list)  # one in memory has no storage for it
        monkeypatch.setattr(opened, "get_required_daemon_types", lambda: ["SCHEDULER", "SENSOR"])  # and asks for none
        yield opened


def look(installation, instance):
    return said(dagster_of(lambda _: nullcontext(instance))(installation))


def beat(instance, kind, seconds_ago=0, errors=None):
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, kind, "id", errors))


def test_daemons_that_are_dead_or_in_trouble(installation, instance):
    kinds = instance.get_required_daemon_types()
    (never,) = look(installation, instance)[PROBLEM]
    assert all(kind in never for kind in kinds)
    for kind in kinds:
        beat(instance, kind)
    assert set(look(installation, instance)) == {OK}
    beat(instance, "SENSOR", seconds_ago=7200)
    beat(instance, "SCHEDULER", errors=[SerializableErrorInfo("no database\nat line 3", [], None)])
    scheduler, sensor = look(installation, instance)[PROBLEM]
    assert "daemon SENSOR gave its last sign at" in sensor
    assert scheduler.endswith("with errors: no database")


def test_an_instance_that_asks_for_no_daemon_is_not_taken_as_well(installation, instance, monkeypatch):
    monkeypatch.setattr(instance, "get_required_daemon_types", list)
    assert look(installation, instance)[UNKNOWN] == ["this instance of Dagster asks for no daemon"]


def test_a_sensor_that_somebody_switched_off(installation, instance, monkeypatch):
    target = LoadableTargetOrigin(python_file="x.py")
    repository = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "r")
    origin = RemoteInstigatorOrigin(repository, "promotion_gate")
    stopped = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)
    monkeypatch.setattr(instance, "all_instigator_state", lambda: [stopped])
    assert "sensor promotion_gate is switched off" in look(installation, instance)[PROBLEM]


def test_storage_that_is_not_there_or_does_not_answer_fails_as_a_part(installation, tmp_path):
    empty = given(installation, state_dir=tmp_path / "empty")
    assert "has no dagster.yaml" in look(empty, None)[PROBLEM][0]


def test_the_storage_of_a_state_folder_is_found_in_a_shell_that_knows_only_the_folder(installation, monkeypatch):
    folder = prepare_state_folder(installation.settings.state_dir)
    monkeypatch.delenv("DAGSTER_HOME")
    found = said(dagster_of(open_dagster)(installation))
    assert found[OK] == ["Dagster's storage answers (KeptRunStorage, 0 runs)"]
    assert set(found) == {OK, PROBLEM}
    assert os.environ["DAGSTER_HOME"] == str(folder)


def test_variables_that_dagster_yaml_asks_for_are_named(installation, instance, monkeypatch):
    path = installation.settings.state_dir / "dagster.yaml"
    path.write_text((ROOT / "deploy" / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "db")
    (wrong,) = look(installation, instance)[PROBLEM]
    assert wrong == (
        "dagster.yaml asks for variables that are not set: DAGSTER_LOGS_BUCKET, DAGSTER_POSTGRES_DB, DAGSTER_POSTGRES_PASSWORD, "
        "DAGSTER_POSTGRES_USER, DAGSTER_RUN_TASK_DEFINITION"
    )


def test_what_the_state_table_says_of_daemon_and_runs(installation, desk, aws_faults):
    daemon, run = said(look_at_gate(installation))[PROBLEM]
    assert "is not known to have ever looked" in daemon
    assert "no readiness run of the whole checklist is known" in run
    now = iso(datetime.now(UTC))
    notices = installation.session().notices
    notices.record("production", NoticeItem(RUNS), {"looked_at": now}, (), over=False)
    assert said(look_at_gate(installation))[OK] == ["the gate's daemon looked in the last half hour"]
    aws_faults.add("denied", service="dynamodb")
    assert set(said(look_at_gate(installation))) == {UNKNOWN}


def test_what_is_switched_off_in_another_environment_of_a_list_is_left_to_that_ones_doctor(
    installation, instance, monkeypatch, tmp_path
):
    def stopped(location: str) -> InstigatorState:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        origin = RemoteInstigatorOrigin(repository, f"sensor_of_{location}")
        return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED)

    list_environments(monkeypatch, tmp_path)
    here = replace(installation, settings=load_settings(environment="staging", state_dir=installation.settings.state_dir))
    monkeypatch.setattr(instance, "all_instigator_state", lambda: [stopped("staging"), stopped("production-eu")])
    said = [line for line in look(here, instance)[PROBLEM] if "switched off" in line]
    assert said == ["sensor sensor_of_staging is switched off"]
