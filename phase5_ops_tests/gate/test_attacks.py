"""Attacks on a gate that stands open for one real candidate, each through what an attacker would use.

After each, the sensor asks for no promotion, one that is launched by hand fails with the reason, and nothing is told or recorded;
or where the attack is none on the decision (a renamed sensor, a reset cursor), there is exactly one effect.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from multiprocessing.synchronize import Barrier

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.reconstruct import reconstructable

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import EVIDENCE, WORDS, build_defs, evidence_for
from phase5_ops.checklist import ALL_CHECKS, ROLES
from phase5_ops.cli import app as cli
from phase5_ops.commands.status import release_status
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import ATTEMPT_TAG, DIGEST_TAG, EVIDENCE_TAG, PROMOTION_JOB, READINESS_JOB
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.approval.sign_off import to_sign
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import idempotency_key
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs import sensor
from phase5_ops.gate.defs.promotion_job import promotion_run_config
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.runs import continuity
from phase5_ops.gate.session import Refused, new_session, open_session
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.signing.trusted_keys import MARK_NAME, pin_keys
from phase5_ops.gate.state.items import Fate, Prepared, Promotion, StoredSignOff
from phase5_ops.gate.state.table import StateTable
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import load_settings
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.gate.own_aws import decision_payload, readiness_payload
from phase5_ops_tests.gate.real_candidate import PEOPLE, QUIET, RELEASE, TABLE, Kept, World, opened_candidate
from phase5_ops_tests.gate.signing.test_trusted_keys import LOST
from phase5_ops_tests.gate.warm_processes import CONTEXT, exit_code, started
from phase5_ops_tests.without_dagster import recorded

pytestmark = pytest.mark.slow(90)

OTHER_DIGEST = "sha256:" + "e" * 64
JUDGED = [row for row in ALL_CHECKS if not row.is_sign_off]
BREAKERS = ("2.1", "2.2")
LOGS = ("4.2",)  # of the rows that read the platform the one that is gathered soonest


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    with opened_candidate(tmp_path_factory.mktemp("candidate")) as put_back:
        yield put_back


@pytest.fixture
def world(again, monkeypatch, tmp_path):
    made = again(monkeypatch, tmp_path / "state")
    yield made
    made.end()


def own_run(world: World) -> str:
    """The candidate's readiness run."""
    (record,) = world.instance.get_run_records(dg.RunsFilter(job_name=READINESS_JOB))
    return record.dagster_run.run_id


def tags_of(world: World, attempt: int = 2, **changes: str) -> dict[str, str]:
    """The tags of a run for the candidate, as anybody can give them in the launchpad."""
    return {**sensor.candidate_tags(world.state.candidate(RELEASE), attempt), **changes}


def failing_run(world: World, tags: dict[str, str] | None = None) -> str:
    """A run of the row on log groups, on a platform that does not let them be read."""
    world.sandbox.faults.add(operation="FilterLogEvents", kind="denied")
    run_id = world.readiness(tags, LOGS)
    world.sandbox.faults.clear()
    return run_id


#: What is run by hand before the attack, each state made once: name -> (the state it follows, the last run).
RUNS = {
    "failing": (None, failing_run),
    "failing, then passing": ("failing", lambda world: world.readiness(rows=LOGS)),
    "passing": (None, lambda world: world.readiness(rows=LOGS)),
    "failing attempt": (None, lambda world: failing_run(world, tags_of(world))),
}


@pytest.fixture(scope="module")
def kept_after(again, tmp_path_factory):
    @cache
    def made(name: str) -> tuple[Kept, list[str]]:
        """The state, and the ids of the runs that led to it, in order."""
        before, run = RUNS[name]
        kept, run_ids = made(before) if before else (None, [])
        folder = tmp_path_factory.mktemp("after-runs")
        with pytest.MonkeyPatch.context() as patch:
            clean(patch)
            world = again(patch, folder / "state", kept)
            run_ids = [*run_ids, run(world)]
            return Kept.of(world), run_ids

    return made


@pytest.fixture
def after(kept_after, again, monkeypatch, tmp_path):
    """Puts back the world as it was after such runs, and says their ids."""
    with ExitStack() as ends:

        def put_back(name: str) -> tuple[World, *tuple[str, ...]]:
            kept, run_ids = kept_after(name)
            made = again(monkeypatch, tmp_path / "after", kept)
            ends.callback(made.end)
            return made, *run_ids

        yield put_back


def post_everything(world: World, *, passed: bool) -> None:
    """As POST /report_asset_materialization and /report_asset_check do, for every asset and check."""
    for asset in {row.asset for row in JUDGED}:
        world.instance.report_runless_asset_event(dg.AssetMaterialization(asset))
    verdict = "PASS" if passed else "FAIL"
    result = {"verdict": verdict, "findings": [], "observed_at": NOW}
    metadata = {"verdict": verdict, "result": result, "evidence_files": {}, "verdict_file": "x", "policy_digest": "x"}
    for row in JUDGED:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(row.asset), check_name=row.check, passed=passed, metadata=metadata
        )
        world.instance.report_runless_asset_event(evaluation)


def forget_runs(world: World) -> None:
    for run_id in list(world.instance.get_run_ids()):
        world.instance.delete_run(run_id)


def test_without_an_attack_it_is_promoted_once(world):
    world.is_promoted_once()


def forget_entirely(world: World, run_id: str) -> None:
    """Dagster's record of a run and its evidence are gone; the state table alone knows it."""
    world.instance.delete_run(run_id)
    shutil.rmtree(world.evidence / run_id)


# --- what Dagster holds ------------------------------------------------------------------------------------------------------


def test_results_posted_before_any_run_open_nothing(world):
    forget_runs(world)
    shutil.rmtree(world.evidence)
    post_everything(world, passed=True)
    world.stays_closed("no_readiness_run")


def test_results_posted_over_a_failing_attempt_open_nothing(after):
    world, _ = after("failing attempt")
    post_everything(world, passed=True)
    world.stays_closed("4.2 ERROR log_group_unreadable", "3.1 MISSING result_missing")


def test_results_posted_after_the_run_neither_close_nor_open(world):
    post_everything(world, passed=False)
    world.is_promoted_once()


def test_wiped_assets_change_nothing_that_the_run_and_its_evidence_say(world):
    world.instance.wipe_assets([dg.AssetKey(asset) for asset in {row.asset for row in JUDGED}])
    world.is_promoted_once()


def test_a_wiped_candidate_asset_does_not_bring_the_promotion_back(world):
    world.is_promoted_once()
    world.instance.wipe_assets([dg.AssetKey(candidates.ASSET)])
    world.instance.delete_dynamic_partition(DagsterNames().releases, RELEASE.name)
    world.register()
    assert world.tick(None).requests == []
    assert (world.effects(), world.records(), world.state.candidate(RELEASE).series) == (1, 1, 1)


def test_the_deleted_run_of_the_candidate_is_no_run(world):
    world.instance.delete_run(own_run(world))
    world.stays_closed("no_readiness_run")


def test_a_newer_failing_run_closes(after):
    world, run_id = after("failing")
    world.stays_closed(f"newer_run_disagrees {run_id}: row 4.2 is ERROR there")


def test_deleting_a_newer_failing_run_opens_nothing(after):
    world, run_id = after("failing")
    world.instance.delete_run(run_id)
    world.stays_closed(f"newer_run_disagrees {run_id}: row 4.2 is ERROR there; Dagster has no record of it")


def test_deleting_the_failing_attempt_does_not_bring_the_earlier_one_back(after):
    world, run_id = after("failing attempt")
    world.instance.delete_run(run_id)
    world.stays_closed(f"newer_run_disagrees {run_id}: row 4.2 is ERROR there; Dagster has no record of it")


def test_a_deleted_run_that_no_longer_says_what_it_was_closes(after):
    world, run_id = after("failing")
    world.instance.delete_run(run_id)
    (world.evidence / run_id / "run.json").unlink()
    world.stays_closed(f"newer_run_unreadable {run_id}")


def test_a_partial_run_that_passes_cures_nothing_and_closes_nothing_whether_or_not_it_is_deleted(after):
    world, failed, later = after("failing, then passing")
    world.stays_closed(f"newer_run_disagrees {failed}")
    world.instance.delete_run(later)
    world.stays_closed(f"newer_run_disagrees {failed}")
    forget_entirely(world, failed)
    world.stays_closed(f"newer_run_unreadable {failed}")
    for record in world.run_records(failed, later):
        world.delete(record)
    shutil.rmtree(world.evidence / later)
    world.readiness(rows=LOGS)
    world.is_promoted_once()


def test_a_reset_or_forged_cursor_promotes_once(world):
    for cursor in (None, "0", "9" * 18, "x"):
        world.cursor = cursor
        requests = world.tick().requests
        assert [request.job_name for request in requests] == [PROMOTION_JOB]
    world.is_promoted_once()
    for cursor in (None, "0", "9" * 18, "x"):
        assert world.tick(cursor).requests == []
    assert (world.state.candidate(RELEASE).series, world.effects(), world.records()) == (1, 1, 1)


def evaluated(world: World) -> list[dg.RunRequest]:
    """What the sensor itself asks for, whatever its name; Dagster knows the run keys of a sensor by that name."""
    definitions = build_defs(settings=world.settings)
    context = dg.build_sensor_context(instance=world.instance, cursor=world.cursor, definitions=definitions)
    found = definitions.resolve_sensor_def(sensor.SENSOR).evaluate_tick(context)
    return list(found.run_requests)


def test_a_renamed_sensor_asks_again_and_there_is_one_effect(world, monkeypatch):
    (before,) = evaluated(world)
    monkeypatch.setattr(sensor, "SENSOR", "renamed_gate")
    (after,) = evaluated(world)
    assert before.run_key == after.run_key
    assert world.launch(before).success
    assert world.launch(after).success  # it finds the release promoted
    assert evaluated(world) == []
    assert (world.effects(), world.records()) == (1, 1)


def test_a_run_key_that_a_failed_run_has_used_up_gives_way_to_the_next_attempt(world):
    (request,) = world.tick().requests
    world.sandbox.faults.add(operation="PutParameter", kind="denied")
    assert "PutParameter" in world.launch(request).said
    world.sandbox.faults.clear()
    (again,) = world.tick().requests
    assert (again.job_name, again.run_key != request.run_key) == (PROMOTION_JOB, True)
    assert "has been promoting since" in world.launch(again).said  # the lock of the first attempt is young
    lock = world.item("LOCK#")
    world.put({**lock, "taken_at": {"S": "2026-01-01T00:00:00.000Z"}})
    world.is_promoted_once()


def test_a_deleted_promotion_run_is_not_made_again(world):
    world.is_promoted_once()
    forget_runs(world)
    assert world.tick(None).requests == []
    assert world.promote().success
    assert (world.effects(), world.records()) == (1, 1)


# --- runs by hand ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_two_signatures_of_three_do_not_suffice_whoever_launches_the_promotion(world, role):
    world.delete(world.item(f"SIGN_OFF#{role}#"))
    world.stays_closed("UNSIGNED signature_missing " + role)


def test_a_promotion_of_another_artifact_under_the_same_name_is_stopped(world):
    forged = replace(RELEASE, digest=OTHER_DIGEST)
    by_hand = world.promote(tags_of(world, **{DIGEST_TAG: OTHER_DIGEST}), release=forged)
    assert f"no candidate r-1 with digest {OTHER_DIGEST}" in by_hand.said
    assert (by_hand.success, world.effects(), world.records()) == (False, 0, 0)


def test_forged_tags_on_a_promotion_open_nothing(world):
    world.delete(world.item("SIGN_OFF#ops-sre#"))
    tags = {
        **world.instance.get_run_by_id(own_run(world)).tags,
        "dagster/sensor_name": sensor.SENSOR,
        "phase5/decision": "OPEN",
        ATTEMPT_TAG: "1",
    }
    by_hand = world.promote(tags, release=None)
    assert "signature_missing ops-sre" in by_hand.said
    assert (by_hand.success, world.effects(), world.records()) == (False, 0, 0)
    world.stays_closed("signature_missing ops-sre")


def test_a_run_of_another_job_with_the_candidates_tags_is_not_its_run(world):
    forget_runs(world)
    shutil.rmtree(world.evidence)
    job = dg.define_asset_job("other_job", selection=dg.AssetSelection.assets("gate_drill"))
    definitions = dg.Definitions.merge(build_defs(settings=world.settings), dg.Definitions(jobs=[job]))
    made = definitions.resolve_job_def("other_job").execute_in_process(
        instance=world.instance, tags=tags_of(world), run_config=QUIET
    )
    assert made.success
    world.stays_closed("no_readiness_run")


def test_a_run_that_is_tagged_for_another_artifact_is_not_the_candidates(world):
    world.instance.delete_run(own_run(world))
    world.readiness(tags_of(world, **{DIGEST_TAG: OTHER_DIGEST}), ["4.3"])
    world.stays_closed("no_readiness_run")


def readiness_again() -> dg.JobDefinition:
    return build_defs(settings=load_settings()).resolve_job_def(READINESS_JOB)


def test_a_re_execution_of_some_steps_takes_the_candidates_place_and_closes(world):
    """As "Re-execute selected" in the UI, which copies the tags, dagster/run_key too."""
    parent = world.instance.get_run_by_id(own_run(world))
    assert "dagster/run_key" in parent.tags
    with dg.execute_job(
        reconstructable(readiness_again),
        world.instance,
        tags=parent.tags,
        reexecution_options=dg.ReexecutionOptions(parent.run_id, step_selection=["gate_drill_checks"]),
    ) as made:
        assert made.success
    world.stays_closed("4.3 UNTRUSTED result_of_another_materialization", "1.1 MISSING result_missing")


def test_a_re_execution_of_the_promotion_promotes_nothing_again(world):
    (request,) = world.tick().requests
    first = world.launch(request)
    tags = {**world.instance.get_run_by_id(first.run_id).tags, "dagster/parent_run_id": first.run_id}
    again = world.promote(tags)
    assert (first.success, again.success, first.run_id != again.run_id) == (True, True, True)
    assert world.state.promotion(RELEASE, 1).holder == first.run_id
    assert (world.effects(), world.records(), world.tick().requests) == (1, 1, [])


def test_a_check_that_crashed_does_not_leave_the_earlier_pass_standing(world, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("phase5_ops.evidence.store.EvidenceStore.write_verdict", lambda *_: 1 / 0)
        world.readiness(tags_of(world), LOGS)
    world.stays_closed("4.2 CRASHED result_crashed")


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("Query", {"operation": "Query", "kind": "denied"}),  # signatures and waivers
        ("DescribeAlarms", {"operation": "DescribeAlarms", "kind": "html"}),
        ("ListFunctions", {"service": "lambda", "kind": "denied"}),  # its requests name no operation
        ("Sign", {"operation": "Sign", "kind": "denied"}),
        ("GetParameterHistory", {"operation": "GetParameterHistory", "kind": "denied"}),  # the target
    ],
)
def test_what_does_not_answer_when_it_is_promoted_never_counts_as_fine(world, operation, fault):
    world.sandbox.faults.add(**fault)
    by_hand = world.promote()
    assert operation in by_hand.said
    assert (by_hand.success, world.effects(), world.records()) == (False, 0, 0)


# --- evidence ----------------------------------------------------------------------------------------------------------------


def edit(world: World, name: str) -> None:
    path = world.evidence / own_run(world) / name
    content = path.read_bytes()
    if name.endswith(".parquet"):
        path.write_bytes(content + b"x")
    else:
        path.write_bytes(content.replace(b'"', b' "', 1))


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("tables/breaker_snapshot.parquet", ("evidence_changed", "2.1 UNTRUSTED result_not_of_the_evidence breaker_snapshot")),
        ("verdicts/breaker_state_observable.json", ("evidence_changed", "2.1 UNTRUSTED result_not_of_the_evidence")),
        ("manifest.json", ("evidence_changed",)),
    ],
)
def test_an_edited_file_of_the_evidence_closes(world, name, codes):
    edit(world, name)
    world.stays_closed(*codes)


def test_evidence_that_is_edited_and_sealed_again_is_not_what_dagster_recorded(world):
    run_id = own_run(world)
    edit(world, "verdicts/breaker_state_observable.json")
    world.instance.add_run_tags(run_id, {EVIDENCE_TAG: EvidenceStore(world.evidence).seal(run_id)})
    world.stays_closed("2.1 UNTRUSTED result_not_of_the_evidence")


def test_evidence_that_is_rewritten_with_manifest_and_tags_is_not_what_the_state_table_recorded(world):
    run_id = own_run(world)
    table = world.evidence / run_id / "tables" / "registered_tools.parquet"
    pd.read_parquet(table).to_parquet(table, index=False, compression="gzip")  # a table of which no verdict names the digest
    store = EvidenceStore(world.evidence)
    recorded = store.sealed_digest(run_id)
    digest = store.seal(run_id)
    world.instance.add_run_tags(run_id, {EVIDENCE_TAG: digest})
    world.stays_closed(f"evidence_not_as_recorded {run_id}: recorded {recorded}, stored {digest}")
    record = world.run_records(run_id)[0]
    forged = json.loads(record["payload"]["B"]) | {"manifest": digest}
    payload = json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()
    world.put({**record, "payload": {"B": payload}})
    world.stays_closed(f"run_record_not_believed {run_id}")
    attempt = world.readiness(tags_of(world), ["4.3"])
    signed = world.run_records(attempt)[0]
    world.put({name: value for name, value in signed.items() if name not in ("key_id", "signature")})
    world.stays_closed(f"run_record_not_believed {attempt}: no signature")  # the attempt before has one


def test_what_a_run_says_of_itself_is_part_of_its_evidence(world):
    for name in ("run.json", "histories.json"):
        path = world.evidence / own_run(world) / name
        before = path.read_bytes()
        path.write_text(json.dumps({**json.loads(before), "environment": "elsewhere"}))
        world.stays_closed("evidence_changed", "evidence_not_as_recorded")
        path.write_bytes(before)


def test_a_failing_run_whose_evidence_says_another_thing_of_itself_still_closes(after):
    world, run_id = after("failing")
    world.instance.delete_run(run_id)
    path = world.evidence / run_id / "run.json"
    before = json.loads(path.read_bytes())
    for change in ({"job": "other_job"}, {"environment": "elsewhere"}, {"began_at": "2020-01-01T00:00:00.000Z"}):
        path.write_text(json.dumps({**before, **change}))
        world.stays_closed(f"newer_run_unreadable {run_id}")


def test_a_failing_run_whose_verdicts_were_made_to_pass_still_closes(after):
    world, run_id, passing = after("failing, then passing")
    world.instance.delete_run(run_id)
    for part in ("verdicts", "tables"):
        shutil.rmtree(world.evidence / run_id / part)
        shutil.copytree(world.evidence / passing / part, world.evidence / run_id / part)
    EvidenceStore(world.evidence).seal(run_id)
    world.stays_closed(f"newer_run_unreadable {run_id}")


def test_a_failing_run_that_the_state_table_alone_knows_still_closes(after):
    world, run_id = after("failing")
    forget_entirely(world, run_id)
    world.stays_closed(f"newer_run_unreadable {run_id}")


def test_a_record_that_was_taken_out_of_the_state_table_shows_and_the_candidates_own_is_needed(after):
    world, run_id, _ = after("failing, then passing")
    run_of_candidate = check_state.runs_of_candidate(world.instance, RELEASE, 1)[0].facts.run_id
    forget_entirely(world, run_id)
    world.delete(world.run_records(run_id)[0])
    world.stays_closed("run_records_broken")
    for record in world.run_records():
        world.delete(record)
    world.stays_closed(f"run_not_recorded {run_of_candidate}")


def test_the_times_of_files_decide_nothing(after):
    world, run_id = after("failing")
    world.instance.delete_run(run_id)
    for seconds in (0, 4_000_000_000):
        for path in (world.evidence, *world.evidence.rglob("*")):
            os.utime(path, (seconds, seconds))
        world.stays_closed(f"newer_run_disagrees {run_id}")


def without_dagster(world: World, rows: Collection[str], gather: str) -> set[tuple[str, str, str, str]]:
    """Row, its verdict, code and subject of all that a run of these rows finds, which gathers only this asset anew."""
    store, run_id, needed = EvidenceStore(world.evidence), own_run(world), evidence_for(set(rows)) - {gather}
    given = {each.name: store.read_table(run_id, each.name, each.table) for each in EVIDENCE if each.name in needed}
    document = recorded(world.settings, rows, given)
    return {
        (row.id, row.verdict, finding.code, finding.subject)
        for row in document.rows
        if row.id in rows
        for finding in row.findings
    }


def test_a_history_that_was_removed_closes_again_and_again(world):
    (world.folder / "history.sqlite").unlink()
    for attempt in (2, 3):
        world.readiness(tags_of(world, attempt), BREAKERS)
        codes = [f"{row} INCONCLUSIVE history_starts_anew history.sqlite" for row in BREAKERS]
        world.stays_closed(*codes)


@pytest.mark.parametrize(
    ("how", "verdict", "code"),
    [
        ("emptied", "INCONCLUSIVE", "history_starts_anew"),
        ("cut off", "FAIL", "history_altered"),
        ("older copy", "INCONCLUSIVE", "history_not_continued"),
    ],
)
def test_a_history_that_was_emptied_or_cut_off_is_found(world, how, verdict, code):
    path = world.folder / "history.sqlite"
    if how == "older copy":
        older = path.read_bytes()
        assert without_dagster(world, BREAKERS, "breaker_snapshot") == set()
        path.write_bytes(older)
    else:
        with sqlite3.connect(path) as connection:
            for table in ("snapshots", "sightings", "journal"):
                connection.execute(f"DELETE FROM {table}" + (" WHERE rowid > 2" if how == "cut off" else ""))
        connection.close()
    found = without_dagster(world, BREAKERS, "breaker_snapshot")
    assert found >= {(row, verdict, code, "history.sqlite") for row in BREAKERS}


def made_anew(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """DescribeTable tells of another table of this name."""
    described = continuity.identity_of
    anew = {"TableId": "11111111-2222-3333-4444-555555555555"}
    monkeypatch.setattr(continuity, "identity_of", lambda d: described({**d, **anew} if d.get("TableName") == table else d))


@pytest.mark.parametrize("table", ["cc-native-resilience", TABLE])
def test_a_table_that_was_made_anew_is_found(world, monkeypatch, table):
    made_anew(monkeypatch, table)
    found = without_dagster(world, BREAKERS, "breaker_snapshot")
    assert {each[:3] for each in found} == {(row, "INCONCLUSIVE", "table_made_anew") for row in BREAKERS}


def test_a_ledger_that_was_made_anew_and_its_history_that_was_removed_close(world, monkeypatch):
    (world.folder / "ledger_history.sqlite").unlink()
    made_anew(monkeypatch, "cc-native-ledger")
    world.readiness(tags_of(world), ["3.2"])
    world.stays_closed("3.2 INCONCLUSIVE table_made_anew", "3.2 INCONCLUSIVE history_starts_anew ledger_history.sqlite")


def test_an_added_file_in_the_evidence_closes(world):
    (world.evidence / own_run(world) / "reports" / "other.html").write_text("<p>all is well</p>")
    world.stays_closed("evidence_changed")


def test_another_runs_folder_in_the_place_of_the_evidence_closes(after):
    world, other = after("passing")
    run_id = check_state.runs_of_candidate(world.instance, RELEASE, 1)[0].facts.run_id
    shutil.rmtree(world.evidence / run_id)
    shutil.copytree(world.evidence / other, world.evidence / run_id)
    world.stays_closed("evidence_changed", "4.2 UNTRUSTED result_not_of_the_evidence")


def test_evidence_that_is_gone_closes(world):
    shutil.rmtree(world.evidence / own_run(world))
    world.stays_closed("evidence_missing")


# --- signatures and the state table ------------------------------------------------------------------------------------------


def forged_sign_off(world: World, role: str, key_of: str, payload: bytes) -> None:
    """A signature by a real key over any bytes, recorded under any role: what someone who writes to the table can do."""
    reader = AwsReader(world.settings.reading)
    made = sign(reader, load_key(reader, world.settings.signing, key_of), payload)
    world.delete(world.item(f"SIGN_OFF#{role}#"))
    off = StoredSignOff(
        f"forged-{role}",
        role,
        RELEASE.digest,
        1,
        facts_of(payload).statement_digest,
        made.key_id,
        made.kms_key,
        made.signature,
        PEOPLE[role],
        "arn",
        made.request_id,
        datetime.fromisoformat(NOW),
    )
    world.state.add_sign_off(RELEASE, off)


def test_three_signatures_by_one_roles_key_are_one(world):
    payload = world.state.statement(RELEASE, 1).payload
    for role in ROLES:
        forged_sign_off(world, role, "ops-sre", payload)
    world.stays_closed(
        "S.1 UNSIGNED signature_of_another_role eng-reliability", "S.3 UNSIGNED signature_of_another_role security-compliance"
    )


def test_a_signature_over_an_older_release_is_not_over_this_one(world):
    older = readiness_payload(Release("r-0", OTHER_DIGEST, "sandbox"))
    forged_sign_off(world, "ops-sre", "ops-sre", older)
    world.stays_closed("signature_invalid ops-sre", "signature_of_another_statement ops-sre")
    reader = AwsReader(world.settings.reading)
    frozen = sign(reader, load_key(reader, world.settings.signing, GATE), older)
    world.state.freeze_statement(RELEASE, 9, older, frozen.signature, frozen.key_id)  # so that its bytes are known
    world.stays_closed("signature_of_another_release ops-sre")


def test_signatures_of_an_aborted_series_do_not_open_the_next_one(world):
    """Who can write to the state table, as every signer can, copies what was signed to the series that a pipeline began anew."""
    signed = world.item("STATEMENT#000001")
    world.register(abort="true")
    world.tick()
    world.register(new_series="true")
    requests = world.tick().requests
    world.put({**signed, "sk": {"S": "STATEMENT#000002"}})
    candidate = replace(world.state.candidate(RELEASE), fate=Fate.READY_TO_SIGN)
    with pytest.raises(Refused, match="not about this series"):
        to_sign(open_session(world.settings, "phase5 sign-off"), candidate)
    (run,) = [each for each in requests if each.job_name == READINESS_JOB]
    world.readiness({**run.tags, "dagster/run_key": run.run_key})
    tick = world.tick()
    assert tick.requests == []
    assert any("what was to be signed no longer holds: series 2, signed 1" in line for line in tick.lines)
    assert (world.state.candidate(RELEASE).series, world.effects()) == (3, 0)  # and so people sign what is frozen for the third


def test_one_person_who_signs_under_three_names_of_roles_is_one(world):
    for role in ROLES:
        item = world.item(f"SIGN_OFF#{role}#")
        world.put({**item, "identity": {"S": "mallory"}})
    world.stays_closed("S.1 UNSIGNED signer_repeated", "S.2 UNSIGNED signer_repeated", "S.3 UNSIGNED signer_repeated")


def status_says(world: World, *codes: str) -> None:
    """`phase5 status` of the release after the gate's next look: closed, with these reasons."""
    world.tick()
    found = release_status(world.settings, RELEASE.name)
    assert (found.decision, found.exit_code) == ("BLOCKED", 1)
    for code in codes:
        assert any(code in blocker for blocker in found.blockers), found.blockers


@pytest.mark.parametrize("signed_at", ["2020-01-01T00:00:00.000Z", "2026-11-23T11:59:59.999Z"])
def test_a_signature_dated_before_its_statement_counts_nowhere(world, signed_at):
    world.put({**world.item("SIGN_OFF#ops-sre#"), "signed_at": {"S": signed_at}})
    status_says(world, "S.2 UNSIGNED signature_before_statement ops-sre")
    world.stays_closed("S.2 UNSIGNED signature_before_statement ops-sre")


def test_signatures_over_the_same_release_of_another_environment_are_not_over_this_one(world):
    """Three people signed it for staging, with the same keys; somebody copies all of that into this environment's table."""
    reader = AwsReader(world.settings.reading)
    elsewhere = readiness_payload(replace(RELEASE, environment="staging"))
    made = sign(reader, load_key(reader, world.settings.signing, GATE), elsewhere)
    world.state.freeze_statement(RELEASE, 9, elsewhere, made.signature, made.key_id)
    for role in ROLES:
        forged_sign_off(world, role, role, elsewhere)
    codes = [f"{row} UNSIGNED signature_of_another_environment" for row in ("S.1", "S.2", "S.3")]
    status_says(world, *codes)
    world.stays_closed(*codes)


# --- keys --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repointed(world):
    """The alias of ops-sre's key names another key, which somebody else holds; afterwards it does not."""
    kms, alias = world.client("kms"), world.settings.signing.ops_sre_key
    before = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    yield before
    kms.update_alias(AliasName=alias, TargetKeyId=before)


def signed_by_the_other_key(world: World) -> None:
    payload = world.state.statement(RELEASE, 1).payload
    forged_sign_off(world, "ops-sre", "ops-sre", payload)


@pytest.mark.usefixtures("repointed")
def test_the_key_that_an_alias_names_by_now_signs_for_nobody(world):
    signed_by_the_other_key(world)
    status_says(world, "S.2 UNSIGNED signature_invalid ops-sre")
    world.stays_closed("S.2 UNSIGNED signature_invalid ops-sre")


@pytest.mark.usefixtures("repointed")
@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_where_the_file_of_keys_is_not_what_it_was_nothing_is_trusted_and_status_exits_with_three(
    world, lose, monkeypatch, capsys
):
    signed_by_the_other_key(world)
    lose(world.folder / "keys.json")
    tick = world.tick()
    assert tick.requests == []
    assert "keys.json" in tick.lines[0]
    world.stays_closed("keys.json")
    for arguments in (("status", RELEASE.name), ("status",), ("sign-off", RELEASE.name, "--role", "ops-sre", "--yes")):
        monkeypatch.setattr("sys.argv", ["phase5", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert (ended.value.code, "keys.json" in capsys.readouterr().err) == (3, True), arguments


@pytest.mark.usefixtures("repointed")
def test_a_state_folder_without_keys_does_not_take_those_that_an_alias_names_by_now(world):
    """Whoever writes to the folder takes away the mark as well; the state table knows what was pinned."""
    signed_by_the_other_key(world)
    for name in ("keys.json", MARK_NAME):
        (world.folder / name).unlink()
    world.stays_closed("KMS has another key of ops-sre than was pinned")


@pytest.mark.usefixtures("repointed")
def test_the_signature_of_a_key_that_was_revoked_since_counts_only_by_the_record_of_kms(world):
    """The table says that it was made in time, which whoever holds the key can have written; CloudTrail here has no record."""
    settings = world.settings
    session = new_session(settings, "phase5 init")
    pin_keys(session.reader, settings, session.state, datetime.now(UTC), may_replace=lambda _: True)
    code = "S.2 UNSIGNED signature_key_revoked ops-sre"
    status_says(world, code)
    world.stays_closed(code, "nothing proves that the signature was made before (CloudTrail: ")
    world.sign("ops-sre", PEOPLE["ops-sre"])  # with the key of now
    world.is_promoted_once()


def test_a_statement_that_was_put_in_the_place_of_the_signed_one_has_no_signatures(world):
    lax = readiness_payload(RELEASE)
    world.put({**world.item("STATEMENT#"), "payload": {"B": lax}})
    by_hand = world.promote()
    assert "S.1 UNSIGNED signature_of_another_statement" in by_hand.said
    world.stays_closed("no_readiness_run")  # the sensor sees that it does not hold, and begins a new series
    assert world.state.candidate(RELEASE).series == 2


@pytest.mark.parametrize("foreign", [True, False], ids=["of another release", "signed by nobody believed"])
def test_an_attestation_that_was_prepared_by_somebody_else_is_not_published(world, signers, foreign):
    release = Release("r-0", OTHER_DIGEST, "sandbox") if foreign else RELEASE
    readiness = signers.envelope(readiness_payload(release))
    decision = signers.envelope(decision_payload(readiness, release), roles=(GATE,))
    world.state.prepare_promotion(RELEASE, 1, Prepared(readiness, decision))
    (request,) = world.tick().requests
    ended = world.launch(request)
    assert "what an earlier attempt prepared no longer verifies" in ended.said
    assert (ended.success, world.effects(), world.records()) == (False, 0, 0)


def test_an_artifact_that_was_exchanged_in_the_table_has_no_run_and_no_signature(world):
    world.put({**world.item("CANDIDATE"), "digest": {"S": OTHER_DIGEST}})
    world.stays_closed("no_readiness_run", release=replace(RELEASE, digest=OTHER_DIGEST))
    world.stays_closed(f"registered is {OTHER_DIGEST}")


@pytest.mark.parametrize("fate", [Fate.ABORTED, Fate.REJECTED, Fate.SUPERSEDED])
def test_a_closed_candidate_is_not_promoted_by_hand(world, fate):
    world.state.set_fate(world.state.candidate(RELEASE), fate, "because")
    world.stays_closed(f"series 1 is {fate}")


def test_the_record_of_another_environments_promotion_is_not_this_ones(world):
    """The same artifact, promoted elsewhere by a gate with the same keys: everything about it verifies."""
    reader = AwsReader(world.settings.reading)
    signing = world.settings.signing

    def envelope(payload: bytes, roles) -> bytes:
        made = [sign(reader, load_key(reader, signing, role), payload) for role in roles]
        return envelope_bytes(payload, {each.key_id: each.signature for each in made})

    elsewhere, at = replace(RELEASE, environment="staging"), datetime.fromisoformat(NOW)
    readiness = envelope(readiness_payload(elsewhere), (GATE, *ROLES))
    decision = envelope(decision_payload(readiness, elsewhere), (GATE,))
    record = Promotion("run", at, idempotency_key(RELEASE, 1), readiness.decode(), decision.decode(), "fine")
    world.state.record_promotion(RELEASE, 1, record)
    by_hand = world.promote()
    assert by_hand.said.endswith("it is about r-1 in staging")
    assert (by_hand.success, world.effects()) == (False, 0)


@pytest.mark.parametrize("forged", ["no envelopes", "of another release"])
def test_a_forged_record_of_a_promotion_is_not_taken_for_one(world, signers, forged):
    other = Release("r-0", OTHER_DIGEST, "sandbox")
    readiness = signers.envelope(readiness_payload(other)) if forged == "of another release" else b"{}"
    decision = signers.envelope(decision_payload(readiness, other), roles=(GATE,)) if readiness != b"{}" else b"{}"
    key = idempotency_key(RELEASE, 1)
    record = Promotion("nobody", datetime.fromisoformat(NOW), key, readiness.decode(), decision.decode(), "fine")
    world.state.record_promotion(RELEASE, 1, record)
    by_hand = world.promote()
    assert "the record of the promotion cannot be trusted" in by_hand.said
    assert (by_hand.success, world.effects(), world.state.candidate(RELEASE).fate) == (False, 0, Fate.READY_TO_SIGN)
    assert not list(world.evidence.glob("*/attestations/*"))


# --- clock and policy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("PHASE5_ENVIRONMENT", "production"), ("AWS_ENDPOINT_URL", "https://sandbox.example.org")]
)
def test_a_fixed_clock_outside_a_sandbox_does_nothing(world, monkeypatch, name, value):
    settings = world.settings
    monkeypatch.setenv(name, value)
    tick = world.tick()
    assert (tick.requests, len(tick.lines)) == ([], 1)
    assert "PHASE5_NOW fixes the clock" in tick.lines[0]
    by_hand = world.promote()
    assert "PHASE5_NOW fixes the clock: promotion is refused" in by_hand.said
    monkeypatch.setenv("PHASE5_ENVIRONMENT", settings.environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.sandbox.endpoint)
    assert (by_hand.success, world.effects(), world.records()) == (False, 0, 0)


def test_a_run_under_a_fixed_clock_promotes_nothing_when_the_clock_is_let_go_outside_a_sandbox(world, monkeypatch):
    """The same records, read by a gate that guards no sandbox."""
    monkeypatch.delenv("PHASE5_NOW")
    monkeypatch.setattr("phase5_ops.gate.inputs.read.in_sandbox", lambda _: False)
    world.stays_closed("UNTRUSTED result_under_fixed_clock")


def test_a_clock_that_was_put_back_makes_evidence_and_signatures_come_from_the_future(world, monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", "2026-11-22T12:00:00Z")
    world.stays_closed("1.1 UNTRUSTED evidence_from_the_future", "S.1 UNSIGNED signature_from_the_future")


def test_a_clock_that_was_put_forward_makes_evidence_stale_and_signatures_expire(world, monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", "2026-12-23T12:00:00Z")
    world.stays_closed("1.1 STALE evidence_stale", "S.1 UNSIGNED signature_expired")


@pytest.mark.parametrize("loosened", [True, False], ids=["loosened", "tightened"])
def test_a_policy_that_changed_since_the_check_closes(world, monkeypatch, tmp_path, loosened):
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps({"slo": {"error_rate_max": 0.02 if loosened else 0.005}}))
    monkeypatch.setenv("PHASE5_CONFIG", str(policy))
    world.stays_closed("1.1 OUTDATED_POLICY judged_under_other_policy", "S.1 UNSIGNED signature_void")


# --- twice at once -----------------------------------------------------------------------------------------------------------


def daemon(meet: Barrier) -> int:
    """A process that looks as the sensor does and launches what it asks for, knowing of no other."""
    settings = load_settings()
    with dg.DagsterInstance.get() as instance:
        tick = sensor.run_tick(
            DecidingSession(open_run(settings, "sensor-tick"), instance=instance), None, datetime.now(UTC), WORDS
        )
        meet.wait()
        job = build_defs(settings=settings).resolve_job_def(PROMOTION_JOB)
        (request,) = [request for request in tick.requests if request.job_name == PROMOTION_JOB]
        tags = {**request.tags, "dagster/run_key": request.run_key}
        ran = job.execute_in_process(
            instance=instance, run_config={**QUIET, **request.run_config}, tags=tags, raise_on_error=False
        )
    return 0 if ran.success else 1


def promotion(meet: Barrier) -> int:
    """A process that launches the promotion by hand, and has decided when the other has."""
    take = StateTable.take_lock

    def together(self, *arguments, **about):
        meet.wait()
        return take(self, *arguments, **about)

    StateTable.take_lock = together
    with dg.DagsterInstance.get() as instance:
        job = build_defs(settings=load_settings()).resolve_job_def(PROMOTION_JOB)
        config = {**QUIET, **promotion_run_config(RELEASE)}
        return 0 if job.execute_in_process(instance=instance, run_config=config, raise_on_error=False).success else 1


@pytest.mark.parametrize("act", [daemon, promotion], ids=["two daemons", "two promotions that decided alike"])
def test_two_processes_at_once_have_one_effect(world, act):
    meet = CONTEXT.Barrier(2, timeout=120)
    both = [started(act, meet), started(act, meet)]
    codes = sorted(exit_code(each) for each in both)
    assert codes in ([0, 0], [0, 1])  # one that waits for the other's lock fails
    assert (world.effects(), world.records()) == (1, 1)
    world.is_promoted_once(asked=False)
