"""What is different where Dagster keeps its records in PostgreSQL: times in the server's own zone, events that are stored late.

The gate's attacks, crash points and two daemons at once are run on it with TESTS_STORAGE=postgres.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg2
import pytest

from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.candidates.registration import ASSET
from phase5_ops.gate.inputs.candidate_events import candidate_events
from phase5_ops.gate.inputs.dagster_records import other_runs, readiness_run
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.sandbox.ports import free_port
from phase5_ops.settings import ConfigurationError
from phase5_ops_tests.gate.inputs.test_dagster_records import RUN_1, RUN_2, readiness
from phase5_ops_tests.postgres import Database, a_database, on_postgres

pytestmark = pytest.mark.slow


@pytest.fixture
def instance(tmp_path: Path, monkeypatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with a_database() as database:
        (tmp_path / "dagster.yaml").write_text(on_postgres(database))
        with dg.DagsterInstance.from_config(str(tmp_path)) as chosen:
            yield chosen


def test_a_newer_run_is_seen_where_the_server_s_time_is_behind_utc(instance, tmp_path):
    """Dagster's times of the last change have no time zone there: they are the server's own, and it is asked for them in UTC."""
    store = EvidenceStore(tmp_path / "evidence")
    readiness(instance, store, RUN_1)
    record = instance.get_run_record_by_id(RUN_1)
    ended = readiness_run(record).ended_at
    assert record.update_timestamp < ended - timedelta(hours=6)
    readiness(instance, store, RUN_2, tags={ENVIRONMENT_TAG: "production"})
    assert {run.run_id for run in other_runs(instance, "production", ended, allow_fixed_now=False)} >= {RUN_2}


def test_an_event_that_appears_after_a_newer_one_is_not_passed_over(instance):
    """Its id is given out when it is stored, and it is seen when its transaction ends."""

    asset = DagsterNames().key(ASSET)

    def post(name: str) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=name))

    def look(cursor: str | None, now: datetime) -> tuple[list[str], str]:
        events, following = candidate_events(instance, asset, cursor, 9, now)
        return [event.partition for event in events], following

    now = datetime.now(UTC)
    post("late")
    with closing(psycopg2.connect(instance.event_log_storage.postgres_url.replace("+psycopg2", ""))) as storing:
        with storing.cursor() as cursor:  # as if it were being stored only now
            cursor.execute("CREATE TABLE late AS SELECT * FROM event_logs; DELETE FROM event_logs")
            storing.commit()
            cursor.execute("UPDATE late SET id = nextval('event_logs_id_seq'); INSERT INTO event_logs SELECT * FROM late")
        post("newer")
        seen, first = look(None, now)
        assert seen == ["newer"]
        storing.commit()
    seen, second = look(first, now)
    assert seen == ["late"]
    assert look(second, now) == ([], second)
    post("newest")
    seen, third = look(second, now + timedelta(minutes=1))
    assert seen == ["newest"]
    _, settled = look(third, now + timedelta(minutes=10))
    assert third.startswith("0 ")
    assert third.split()[-1] == settled
    assert look(settled, now + timedelta(minutes=10)) == ([], settled)


def test_a_server_that_does_not_answer_is_an_error_of_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # Dagster tries six times
    home = prepare_state_folder(tmp_path / "state")
    (home / "dagster.yaml").write_text(on_postgres(Database(free_port(0, "nobody"), "phase5")))
    with pytest.raises(ConfigurationError, match=r"dagster.yaml names it, does not answer: .* Connection refused .*; start it"):
        open_dagster(home)
