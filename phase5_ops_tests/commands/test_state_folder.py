"""The state folder: several processes may begin with a new one at once, and one of an earlier version goes on."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import dagster as dg
import pytest

from phase5_ops.commands.state_folder import (
    SHIPPED,
    SHIPPED_BEFORE,
    open_dagster,
    packaged,
    prepare_state_folder,
    renew_dagster_yaml,
)
from phase5_ops.files import sha256_of
from phase5_ops.orchestration.sqlite_storage import KeptRunStorage
from phase5_ops_tests.gate.serving import ended
from phase5_ops_tests.gate.warm_processes import Command

TOGETHER = 4


#: As an earlier version put it into state folders.
EARLIER_DAGSTER_YAML = """\
# Dagster instance of the embedded default: one machine, SQLite under the state folder, nothing sent anywhere.
# `phase5` copies this file into the state folder (PHASE5_STATE_DIR) and uses that folder as DAGSTER_HOME.
# Only what differs from Dagster's defaults is set, each with its reason.

storage:
  sqlite:
    base_dir:
      env: DAGSTER_HOME # one folder holds runs, events and schedules, so that it can be archived or removed as a whole

compute_logs:
  module: phase5_ops.step_output
  class: StepOutput # what steps print is kept and shown in the UI, and not copied to the terminal by further processes

telemetry:
  enabled: false # an operational gate reports to nobody but its users

nux:
  enabled: false # no newsletter form in front of the checks

concurrency:
  runs:
    max_concurrent_runs: 1 # two readiness runs at once would read, and later probe, the same platform twice

run_monitoring:
  enabled: true # a run whose process died is marked failed instead of staying STARTED for ever
  start_timeout_seconds: 180
  max_runtime_seconds: 3600 # reading is bounded by PHASE5_READING__DEADLINE_SECONDS; this is the last resort

retention:
  schedule:
    purge_after_days: 400 # an auditor may come a year later
  sensor:
    purge_after_days:
      skipped: 30
      failure: 400
      success: 400
"""


def test_whoever_opens_dagster_in_a_new_folder_at_once_waits_for_the_first_one_to_make_its_storage(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    begin = Barrier(TOGETHER)

    def opened(home) -> int:
        begin.wait()
        with open_dagster(home) as instance:
            return instance.get_runs_count()

    for attempt in range(3):
        home = prepare_state_folder(tmp_path / str(attempt))
        with ThreadPoolExecutor(TOGETHER) as pool:
            assert list(pool.map(opened, [home] * TOGETHER)) == [0] * TOGETHER


def test_a_dagster_yaml_of_an_earlier_version_is_renewed_and_kept_beside(tmp_path):
    home = prepare_state_folder(tmp_path / "state")
    assert renew_dagster_yaml(home) is None
    earlier = EARLIER_DAGSTER_YAML.encode()
    (home / "dagster.yaml").write_bytes(earlier)
    assert sha256_of(earlier).removeprefix("sha256:") in SHIPPED_BEFORE
    prepare_state_folder(home)
    assert (home / "dagster.yaml").read_bytes() == earlier  # nothing but `phase5 init` changes it
    said = renew_dagster_yaml(home)
    assert "is this version's now" in said
    assert (home / "dagster.yaml").read_bytes() == packaged("dagster.yaml").read_bytes()
    assert (home / "dagster.yaml.b09de912").read_bytes() == earlier
    assert renew_dagster_yaml(home) is None


def test_a_dagster_yaml_that_a_person_changed_stays_and_the_new_one_lies_beside_it(tmp_path):
    home = prepare_state_folder(tmp_path / "state")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert "was changed here and stays" in renew_dagster_yaml(home)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"
    assert (home / "dagster.yaml.shipped").read_bytes() == packaged("dagster.yaml").read_bytes()


def test_the_shipped_dagster_yaml_is_known_so_that_the_next_version_can_renew_it():
    digest = sha256_of(packaged("dagster.yaml").read_bytes()).removeprefix("sha256:")
    assert digest == SHIPPED, f"dagster.yaml changed: put {SHIPPED} into SHIPPED_BEFORE, and {digest} into SHIPPED"
    assert SHIPPED not in SHIPPED_BEFORE


@pytest.mark.slow
def test_dagsters_records_of_an_earlier_version_go_on_after_the_file_is_renewed_and_its_storage_migrated(tmp_path):
    home = tmp_path / "state"
    home.mkdir()
    (home / "dagster.yaml").write_text(EARLIER_DAGSTER_YAML)
    prepare_state_folder(home)
    with open_dagster(home) as earlier:
        assert not isinstance(earlier.run_storage, KeptRunStorage)
        earlier.report_runless_asset_event(dg.AssetMaterialization("release_candidate", partition="r-1"))
        earlier.add_dynamic_partitions("releases", ["r-1"])
    assert "is this version's now" in renew_dagster_yaml(home)
    environment = {**os.environ, "DAGSTER_HOME": str(home)}  # as docs/upgrading.md shows it
    command = [sys.executable, "-m", "dagster", *["dagster", "instance", "migrate"][1:]]
    done = ended(Command(command, environment, tmp_path))
    assert done.code == 0, done
    with open_dagster(home) as present:
        assert isinstance(present.run_storage, KeptRunStorage)
        assert present.get_dynamic_partitions("releases") == ["r-1"]
        found = present.fetch_materializations(dg.AssetKey("release_candidate"), limit=2).records
        assert [each.partition_key for each in found] == ["r-1"]
